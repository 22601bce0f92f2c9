"""Successive halving, ASHA and Hyperband: the laws, who goes on, what a model learns, and the guard."""

import math
from collections import Counter

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, cut, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.method import from_json, to_json
from tunewell.methods.halving import Race
from tunewell.methods.rungs import Rung, brackets
from tunewell.study import Act, Failure, Result

LINE = {"x": tw.Float(0.0, 1.0)}


class TestHalving(MethodContract):
    method = tw.Halving(width=9)


class TestASHA(MethodContract):
    method = tw.ASHA()


class TestHyperband(MethodContract):
    method = tw.Hyperband(tw.Sobol())


class TestHyperbandOfBayes(MethodContract):
    method = tw.Hyperband(tw.Bayes(start=3), rounds=1)
    trials = 12


class TestHyperbandOfTPE(MethodContract):
    method = tw.Hyperband(tw.TPE(start=4), table="printed")
    trials = 16


class TestASHAOfBayes(MethodContract):
    method = tw.ASHA(tw.Bayes(start=3), eta=2)
    trials = 10


class TestNested(MethodContract):
    method = tw.Then(tw.Take(6, tw.ASHA(tw.Unique(tw.Random()))), tw.Halving(tw.Grid(levels=2), width=9))


def play(method, loss, *, steps=27, trials=60, workers=1, failures=0.0, seed=0, told=lambda study: None, space=LINE):
    """A study of `loss(config, step)`."""
    study = new_study(tw.Space.of(space), seed=seed, steps=steps, trials=trials)
    return Player(method, loss, workers=workers, failures=failures, luck=seed, told=told).play(study)


def noisy(config, step):
    """A bowl whose ranks settle with the steps."""
    return (config["x"] - 0.3) ** 2 + math.sin(1e4 * config["x"]) / (3 * step)


def rungs_of(study):
    """The jobs of each rung of bracket 0, by their steps."""
    found = {}
    for job in study.jobs.values():
        if job.tag[0] == 0:
            found.setdefault(job.until, []).append(job)
    return found


# --- the plan --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("table", ["formula", "printed"])
@pytest.mark.parametrize("workers", [1, 7])
def test_hyperband_runs_its_table(table, workers):
    study = play(tw.Hyperband(table=table, rounds=1), noisy, steps=81, trials=None, workers=workers)
    counted = Counter((job.tag[0], job.until) for job in study.jobs.values())
    plan = brackets(81, table=table)
    assert counted == {(number, until): count for number, each in enumerate(plan) for count, until in each}


def test_hyperband_goes_round_and_keeps_workers_busy():
    running = []
    study = play(tw.Hyperband(), noisy, trials=200, workers=8, told=lambda study: running.append(len(study.pending())))
    assert max(job.tag[0] for job in study.jobs.values()) > 4
    assert min(running[20:-60]) >= 6


@pytest.mark.parametrize("workers", [1, 5])
def test_a_bracket_promotes_the_best_of_each_rung(workers):
    study = play(tw.Halving(width=27), noisy, workers=workers, failures=0.2, seed=3)
    rungs = rungs_of(study)
    assert [len(rungs[until]) for until in (1, 3, 9, 27)][:3] == [27, 9, 3]
    for low, high in [(1, 3), (3, 9), (9, 27)]:
        done = [job for job in rungs[low] if study.results[job.id].status == "done"]
        best = sorted(done, key=lambda job: (study.loss(job.id), job.id))[: len(rungs[high])]
        assert {job.parent for job in rungs[high]} == {job.id for job in best}


def test_a_job_goes_on_with_its_config_seed_and_the_tag_of_its_source():
    study = play(tw.ASHA(tw.Sobol()), noisy)
    for job in study.jobs.values():
        parent = study.jobs.get(job.parent)
        if parent is None:
            assert (job.until, job.tag[:2]) == (1, (0, 0))
        else:
            assert (job.config, job.seed, job.tag[2:]) == (parent.config, parent.seed, parent.tag[2:])
            assert (job.until, job.tag[1]) == (3 * parent.until, parent.tag[1] + 1)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 4, 16]), st.sampled_from([0.0, 0.3]), st.sampled_from([2, 3, 4]))
def test_asha_promotes_the_best_at_the_time_and_nobody_twice(seed, workers, failures, eta):
    study = play(tw.ASHA(eta=eta, guard=False), noisy, trials=80, workers=workers, failures=failures, seed=seed)
    parents = [job.parent for job in study.jobs.values() if job.parent is not None]
    assert len(set(parents)) == len(parents)
    for job in study.jobs.values():
        if job.parent is None:
            continue
        then = cut(study, job.seen)
        assert then.results[job.parent].status == "done"
        level = then.jobs[job.parent].until
        gone = {other.parent for other in then.jobs.values()}
        able = [
            (then.loss(other.id), other.id)
            for other in then.jobs.values()
            if other.until == level and other.id in then.results and other.id not in gone
        ]
        assert job.parent == min(able)[1]


@pytest.mark.parametrize("guard", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_a_rung_of_asha_holds_the_share_of_the_one_below(guard, seed):
    def check(study):
        rungs = rungs_of(study)
        for low, high in [(1, 3), (3, 9), (9, 27)]:
            ended = sum(job.id in study.results for job in rungs.get(low, ()))
            assert abs(len(rungs.get(high, ())) - ended // 3) <= 1

    play(tw.ASHA(guard=guard), lambda config, step: (config["x"] - 0.3) ** 2, trials=100, seed=seed, told=check)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 2, 3, 4]), st.sampled_from([27, 52, 81]), st.sampled_from([None, 1]))
def test_a_result_at_the_last_step_exists_soon(seed, workers, steps, minimum):
    """Within five full runs' worth of steps, whatever the order of losses."""
    assert steps_until_the_first_full_result(tw.ASHA(minimum=minimum), steps, workers, seed) <= 5 * steps


def test_without_early_it_may_take_longer():
    method = tw.ASHA(early=False)
    assert max(steps_until_the_first_full_result(method, 81, 4, seed) for seed in range(5)) > 5 * 81


def steps_until_the_first_full_result(method, steps, workers, seed):
    """What the workers have trained until a job of all steps has ended, in simulated time: a step takes a second."""
    rng, reached, found = np.random.default_rng(seed), {}, []

    def train(run):
        reached.setdefault(run.config["x"], [0]).append(run.until)
        run.report(run.until, loss=rng.random())

    def stop(study, event):
        if isinstance(event, tw.Result) and study.jobs[event.job].until == steps and not found:
            found.append(executor.now * workers)
            study.change(limits=tw.Limits(trials=0, steps=0))

    seconds = lambda config, count: float(reached[config["x"]][-1] - reached[config["x"]][-2])  # noqa: E731
    executor = tw.Simulated(workers, duration=seconds)
    settings = {"minimize": "loss", "steps": steps, "trials": 1000, "seed": seed, "progress": False}
    tw.tune(train, LINE, method=method, executor=executor, callbacks=[stop], **settings)
    return found[0]


def test_a_source_that_ends_fills_no_bracket_but_halves_what_there_is():
    study = play(tw.Halving(tw.Grid(levels=5), width=27), noisy)
    assert [len(jobs) for jobs in rungs_of(study).values()] == [5, 1, 1, 1]
    assert not study.pending()


@pytest.mark.parametrize("workers", [1, 4])
@pytest.mark.parametrize("method", [tw.Hyperband(), tw.Halving(width=50)])
def test_a_bracket_wider_than_the_budget_of_trials_is_halved_all_the_same(method, workers):
    study = play(method, noisy, trials=20, workers=workers)
    assert {until: len(jobs) for until, jobs in rungs_of(study).items()} == {1: 20, 3: 6, 9: 2, 27: 1}
    study.commit(tw.Act("change", {"limits": msgspec.to_builtins(tw.Limits(trials=50))}))
    Player(method, noisy, workers=workers).play(study)
    full = {1: 27, 3: 9, 9: 3, 27: 1} if method.table else {1: 50, 3: 16, 9: 5, 27: 1}
    assert {until: len(jobs) for until, jobs in rungs_of(study).items()} == full


def test_more_steps_thaw_what_waits():
    study = play(tw.ASHA(), noisy, steps=27, trials=100)
    before = len(study.jobs)
    study.commit(tw.Act("change", {"steps": msgspec.to_builtins(tw.Steps(1, 81))}))
    Player(tw.ASHA(), noisy).play(study)
    later = list(study.jobs.values())[before:]
    assert later
    assert all(job.parent is not None for job in later)
    assert max(job.until for job in later) == 81


def extended(method, study, steps, workers=1):
    """What a method asks for after a study was given so many steps a trial."""
    before = len(study.jobs)
    study.commit(tw.Act("change", {"steps": msgspec.to_builtins(tw.Steps(1, steps))}))
    Player(method, noisy, workers=workers).play(study)
    return list(study.jobs.values())[before:]


def test_asha_puts_rungs_on_top_of_those_it_has():
    study = play(tw.ASHA(guard=False), noisy, steps=10, trials=60)
    later = extended(tw.ASHA(guard=False), study, 100)
    assert {job.until for job in study.jobs.values()} == {1, 3, 10, 30, 100}
    whole = [job for job in study.jobs.values() if job.until == 10]
    assert sum(job.until == 30 for job in later) == len(whole) // 3
    best = min(whole, key=lambda job: study.loss(job.id))
    assert best.id in {job.parent for job in later}


@pytest.mark.parametrize("workers", [1, 4])
def test_the_best_of_ended_brackets_go_on_as_one_field(workers):
    method = tw.Hyperband(rounds=1)
    study = play(method, noisy, trials=None, workers=workers)
    whole = [job for job in study.jobs.values() if job.until == 27]
    assert len(whole) == 8
    later = extended(method, study, 81, workers)
    on = [job for job in later if job.parent is not None]
    assert [job.parent for job in on] == [
        job.id for job in sorted(whole, key=lambda job: (study.loss(job.id), job.id))[:2]
    ]
    assert all(job.until == 81 and job.tag[0] == -1 for job in on)
    parents = [job.parent for job in study.jobs.values() if job.parent is not None]
    assert len(set(parents)) == len(parents)


def test_one_winner_goes_on_each_time():
    method = tw.Halving(width=9)
    study = play(method, noisy, steps=9)
    for number, steps in enumerate((27, 81), start=1):
        (job,) = extended(method, study, steps)
        assert (job.until, job.tag[0]) == (steps, -number)
        assert study.lineage(job.id)[0].parent is None
    assert [each.until for each in study.lineage(job.id)] == [1, 3, 9, 27, 81]


@pytest.mark.parametrize("length", [5, 20, 60])
@pytest.mark.parametrize("steps", [9, 20, 81])
@pytest.mark.parametrize("method", [tw.ASHA(), tw.Hyperband(), tw.Halving(width=27)], ids=["asha", "hyperband", "one"])
def test_other_steps_in_the_middle(method, steps, length):
    """More of them or fewer, while jobs run: it ends, and replays from the log alone."""
    study = cut(play(method, noisy, workers=4), length)
    begun = len(study.jobs)
    later = extended(method, study, steps, 4)
    assert not study.pending()
    assert all(job.until <= steps for job in later)
    assert max(job.until for job in list(study.jobs.values())[begun:]) == steps
    for job in later[::5]:
        again = propose(method, cut(study, job.seen))
        assert MethodContract.same(again, job)


# --- the source ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", [tw.TPE(start=5), tw.Bayes(start=4)])
@pytest.mark.parametrize("make", [tw.ASHA, lambda of: tw.Hyperband(of, rounds=1)])
def test_a_model_learns_from_low_rungs(source, make):
    study = play(make(source), lambda config, step: (config["x"] - 0.3) ** 2 + 1 / step, trials=40)
    starts = [job for job in study.jobs.values() if job.parent is None]
    late = [abs(job.config["x"] - 0.3) for job in starts[20:]]
    assert np.median(late) < 0.15  # random: 0.25


def test_the_source_sees_each_config_that_began_once():
    """So that Sobol's points and the budget of Take go on over all brackets."""
    study = play(tw.Hyperband(tw.Take(30, tw.Sobol())), noisy, trials=None)
    starts = [job for job in study.jobs.values() if job.parent is None]
    assert [job.tag[2:] for job in starts] == [(place,) for place in range(30)]


def test_a_source_that_goes_on_itself_is_refused():
    with pytest.raises(Unsupported, match="begin configs"):
        play(tw.ASHA(tw.ASHA()), noisy)


# --- the guard -------------------------------------------------------------------------------------------------------


def misleading(config, step):
    """The first step says the opposite, all later ones the truth."""
    return (1 if step > 1 else -1) * (config["x"] - 0.3) ** 2


@pytest.mark.parametrize("seed", range(3))
def test_a_rung_that_misleads_is_found_and_passed(seed):
    study = play(tw.ASHA(), misleading, trials=200, seed=seed)
    assert "at 1: misleads" in tw.ASHA().why(study)
    late = [job for job in study.jobs.values() if job.parent is None][150:]
    gone = {job.parent for job in study.jobs.values()}
    assert all(job.id in gone for job in late)
    chosen = [job.config["x"] for job in study.jobs.values() if job.until == 27][-5:]
    assert max(abs(x - 0.3) for x in chosen) < 0.2


@pytest.mark.parametrize("seed", range(3))
def test_a_rung_that_tells_is_trusted(seed):
    study = play(tw.ASHA(), lambda config, step: (config["x"] - 0.3) ** 2 + 1 / step, trials=200, seed=seed)
    assert "rank correlation with the next rung 1.00 of 12 pairs at 1" in tw.ASHA().why(study)
    assert "misleads" not in tw.ASHA().why(study)


def late(config, step):
    """Neighbouring rungs agree nearly as long as anything runs; only the last step says the opposite of the first."""
    share = (step - 1) / 26
    return (1 - share) * (1 - config["x"]) + share * config["x"]


@pytest.mark.parametrize("seed", range(3))
def test_rungs_that_rank_the_last_one_in_reverse_are_passed_though_the_next_agrees(seed):
    study = play(tw.ASHA(minimum=1), late, trials=500, seed=seed)
    assert "rank correlation with the last rung -1.00" in tw.ASHA(minimum=1).why(study)
    gone = {job.parent for job in study.jobs.values()}
    waiting = [job for job in study.jobs.values() if job.until < 27 and job.id not in gone]
    assert waiting == []
    assert min(job.config["x"] for job in study.jobs.values() if job.until == 27) < 0.02


def test_noise_alone_does_not_turn_the_ranks_of_those_that_come_to_the_last_rung():
    for seed in range(6):
        study = play(tw.ASHA(minimum=1), noisy, trials=400, seed=seed)
        assert "last rung" not in tw.ASHA(minimum=1).why(study)


def test_what_was_lost_with_its_machine_or_cancelled_says_nothing_of_a_rung():
    for ended in (Result(-1, "failed", error=Failure("lost")), Result(-1, "cancelled")):
        study = new_study(tw.Space.of(LINE), seed=0, steps=27, trials=300)
        for _ in range(400):
            job = study.start(propose(tw.ASHA(), study))
            study.commit(job)
            done = Result(job.id, "done", {"loss": job.config["x"] + 1 / job.until}, step=job.until)
            is_gone = job.until > 1 and job.id % 2 == 0
            study.commit(msgspec.structs.replace(ended, job=job.id) if is_gone else done)
        assert "rank correlation with the next rung 1.00 of 12 pairs at 1" in tw.ASHA().why(study)


def test_what_was_said_of_the_last_rung_is_forgotten_when_there_is_another():
    rung = Rung(1)
    for number in range(12):
        rung.look_back((float(number),), (-float(number),))
    assert rung.is_reversed
    assert not rung.is_trusted
    race = Race([rung, Rung(3)], [], 3, True)
    race.reach(9)
    assert [each.until for each in race.rungs] == [1, 3, 9]
    assert rung.is_trusted


def test_it_tells_what_it_does():
    study = play(tw.Hyperband(), noisy, trials=30)
    assert tw.Hyperband().why(study) == "2 brackets begun, rungs 1, 3, 9, 27 steps"


# --- what cannot be --------------------------------------------------------------------------------------------------


def test_a_trial_of_one_step_is_refused():
    with pytest.raises(Unsupported, match="no rung below"):
        play(tw.ASHA(), noisy, steps=1)


def test_no_objective_is_refused():
    study = new_study(tw.Space(LINE), steps=9)
    study.commit(Act("change", {"goals": []}))
    with pytest.raises(Unsupported, match="none"):
        propose(tw.ASHA(), study)


# --- several objectives ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", [tw.ASHA(guard=False, early=False), tw.Hyperband(), tw.Halving(width=27)])
def test_of_several_objectives_what_nothing_dominates_goes_on(method):
    def train(run):
        x, y = run.config["x"], run.config["y"]
        for step in run.steps():
            run.report(step, loss=x + y + 1 / step, size=1 - x + y)

    space = {"x": tw.Float(0, 1), "y": tw.Float(0, 1)}
    study = tw.tune(train, space, minimize=["loss", "size"], method=method, steps=9, trials=60, seed=0, progress=False)
    assert any(job.until == 9 for job in study.jobs.values())
    for job in study.jobs.values():
        if job.parent is not None:
            rung, known = study.jobs[job.parent].until, study.events[: job.seen]
            ended = [study.jobs[event.job] for event in known if isinstance(event, Result)]
            went = {other.parent for other in study.jobs.values() if other.id < job.id}
            rivals = [other for other in ended if other.until == rung and other.tag[0] == job.tag[0]]
            waiting = [other for other in rivals if other.id not in {*went, job.parent}]
            assert not any(dominates(study, other.id, job.parent) for other in waiting)
    assert tw.verify(study).holds
    assert len(study.pareto)


def dominates(study, one, other):
    pairs = [(study.loss(one, goal), study.loss(other, goal)) for goal in range(2)]
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def test_those_that_go_on_cover_the_front():
    rung = Rung(1)
    for job in range(9):
        rung.ask()
        rung.arrive(job, (False, (job / 8, 1 - job / 8)))
    gone = []
    for _ in range(3):
        gone.append(rung.best())
        rung.leave(gone[-1], 3)
    assert gone == [4, 0, 8]
    assert rung.able == 6
    rung.arrive(9, (True, (-1.0, -1.0)))
    assert rung.best() != 9  # it violates a constraint


def test_a_rung_has_to_tell_the_ranks_of_each_objective():
    constant, random = Rung(1), Rung(1)
    for number in range(12):
        constant.compare((number, 5.0), (number, 5.0))
        random.compare((number, float(number)), (number, float(-number)))
    assert constant.is_trusted
    assert not random.is_trusted


@pytest.mark.parametrize(
    "given",
    [{"eta": 1}, {"minimum": 0}, {"width": 0}, {"rounds": 0}, {"table": "other"}, {"width": 9, "table": "formula"}],
)
def test_settings_that_mean_nothing(given):
    with pytest.raises(StudyError, match="Halving"):
        tw.Halving(**given)


def test_short_names_are_settings_of_the_one_class():
    assert from_json("Hyperband") == tw.Hyperband() == tw.Halving(table="formula", rounds=None)
    assert from_json({"method": "ASHA", "of": "TPE", "eta": 4}) == tw.ASHA(tw.TPE(), eta=4)
    assert to_json(tw.Hyperband(tw.Bayes()))["method"] == "Halving"
    with pytest.raises(StudyError, match="Did you mean 'eta'"):
        from_json({"method": "ASHA", "etta": 4})
