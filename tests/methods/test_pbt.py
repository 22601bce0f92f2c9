"""Population-based training: the laws, who copies whom, what a copy is, and the toy of the paper."""

import math
from collections import Counter
from dataclasses import replace
from functools import partial

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from benchmarks.pbt_toy import TOY, Corners, quality
from tunewell.checkpoints import keeps
from tunewell.contract.methods import MethodContract, Player, cut, new_study
from tunewell.errors import StudyError, Unsupported
from tunewell.study import Act


class TestPBT(MethodContract):
    method = tw.PBT(population=6, period=2)


class TestPBTOfSobol(MethodContract):
    method = tw.PBT(population=8, of=tw.Sobol(), share=0.5)


class TestSelectionAlone(MethodContract):
    method = tw.PBT(population=5, explore=False)


class TestSeveralPeriods(MethodContract):
    method = tw.PBT(population=12, periods=(1, 2, 4))


class TestMoreMembersThanTrials(MethodContract):
    method = tw.PBT(population=40)
    trials = 10


class TestNested(MethodContract):
    first = tw.Take(4, tw.PBT(population=4))
    method = tw.Then(tw.Take(6, tw.Random()), tw.Then(first, tw.PBT(population=4, of=tw.TPE())))


LINE = {"x": tw.Float(0.0, 1.0)}


def by_steps(config, step):
    """A loss that falls with the steps."""
    return config["x"] / step


def play(method, loss=by_steps, *, steps=20, workers=1, failures=0.0, seed=0, told=lambda study: None, space=LINE):
    """A study of `loss(config, step)`."""
    study = new_study(tw.Space.of(space), seed=seed, steps=steps)
    return Player(method, loss, workers=workers, failures=failures, luck=seed, told=told).play(study)


def members(study):
    """The jobs of each member."""
    found = {}
    for job in study.jobs.values():
        found.setdefault(job.tag[0], []).append(job)
    return found


def copies(study):
    """The jobs that took over another member's state."""
    return [job for job in study.jobs.values() if job.parent is not None and study.jobs[job.parent].tag != job.tag]


# --- the population --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 3, 8, 20])
def test_any_number_of_workers_trains_the_whole_population_to_the_end(workers):
    study = play(tw.PBT(population=8), workers=workers)
    assert len(members(study)) == 8
    assert all(max(job.until for job in jobs) == 20 for jobs in members(study).values())
    assert copies(study)


def test_one_worker_trains_the_members_in_turns_and_replaces_a_quarter_at_each_decision():
    study = play(tw.PBT(population=8, period=2))
    assert [job.until for job in study.jobs.values()] == [until for until in range(2, 21, 2) for _ in range(8)]
    assert Counter(job.until for job in copies(study)) == dict.fromkeys(range(4, 21, 2), 2)


@pytest.mark.parametrize("workers", [1, 5])
def test_nobody_waits_while_a_member_is_behind(workers):
    running = []
    play(tw.PBT(population=16), workers=workers, told=lambda study: running.append(len(study.pending())))
    assert min(running[2 * workers : -2 * workers]) >= workers - 1


def test_the_worst_copies_the_best_and_goes_on_from_its_checkpoint():
    study = play(tw.PBT(population=4, period=5), steps=10)
    (copy,) = copies(study)
    first = sorted(range(4), key=study.loss)
    assert (copy.parent, copy.tag) == (first[0], study.jobs[first[-1]].tag)
    assert copy.config != study.jobs[copy.parent].config


@settings(max_examples=15, deadline=None)
@given(
    st.integers(0, 10**6),
    st.sampled_from([1, 2, 4, 7]),
    st.sampled_from([0.0, 0.3]),
    st.sampled_from([(1,), (1, 2)]),
    st.booleans(),
)
def test_a_copy_is_the_newest_scored_state_of_its_donor(seed, workers, failures, periods, explore):
    method = tw.PBT(population=8, periods=periods, explore=explore)
    study = play(method, workers=workers, failures=failures, seed=seed)
    then = cut(study, 0)
    for job in study.jobs.values():
        for event in study.events[len(then) : job.seen]:
            then.commit(event)
        if job.parent is None:
            continue
        assert then.results[job.parent].status == "done"
        donor = [each.id for each in members(then)[then.jobs[job.parent].tag[0]]]
        assert job.parent == max(each for each in donor if each in then.results and math.isfinite(then.loss(each)))
        assert job.parent in keeps(then)
        same = (job.config, job.seed) == (study.jobs[job.parent].config, study.jobs[job.parent].seed)
        assert same == (job.tag == study.jobs[job.parent].tag) or (job.tag == study.jobs[job.parent].tag and failures)


def unseen(job):
    """The job without the number of events before it: one that was cut off reports again."""
    return msgspec.structs.replace(job, seen=-1)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([1, 3]), st.floats(0, 1))
def test_a_study_that_is_cut_anywhere_goes_on_and_with_one_worker_the_same(seed, workers, share):
    study = play(tw.PBT(population=6), workers=workers, failures=0.1, seed=seed)
    rest = cut(study, 1 + int(share * (len(study) - 1)))
    again = Player(tw.PBT(population=6), by_steps, workers=workers, failures=0.1, luck=seed).play(rest)
    for jobs in members(again).values():
        assert jobs[-1].until == 20 or all(again.results[job.id].status == "failed" for job in jobs[-3:])
    if workers == 1:
        told = {job.id: unseen(job) for job in again.jobs.values()}
        assert told == {job.id: unseen(job) for job in study.jobs.values()}
        assert again.results == study.results


def test_only_the_checkpoints_of_the_population_are_kept():
    most = []
    study = play(tw.PBT(population=8), workers=3, told=lambda study: most.append(len(keeps(study))))
    assert max(most) <= 8 + 3
    assert keeps(study) == {jobs[-1].id for jobs in members(study).values()}


def test_a_member_that_failed_goes_on_as_a_copy_and_is_given_up_after_three_failures():
    def loss(config, step):
        return math.inf if config["x"] > 0.5 else config["x"]

    study = play(tw.PBT(population=8, strength=0.02, resample=0.0), loss, seed=2)
    alive = [jobs for jobs in members(study).values() if jobs[-1].until == 20]
    assert len(alive) == 8
    broken = play(tw.PBT(population=8), lambda config, step: math.inf if step > 3 else 1.0)
    assert all(
        [broken.results[job.id].status for job in jobs[-3:]] == ["failed"] * 3 for jobs in members(broken).values()
    )


def test_ties_are_broken_at_random():
    method = tw.PBT(population=2, share=0.5, period=5)
    flat = [play(method, lambda config, step: 1.0, steps=100, workers=2, seed=seed) for seed in range(10)]
    copied = Counter(job.tag[0] for study in flat for job in copies(study))
    assert 0.4 < copied[0] / copied.total() < 0.6
    assert copied.total() > 50


def test_a_population_is_as_large_as_the_budget_of_trials():
    study = new_study(tw.Space.of(LINE), steps=20, trials=5)
    study = Player(tw.PBT(population=8), lambda config, step: 1.0).play(study)
    assert len(members(study)) == 5
    assert all(jobs[-1].until == 20 for jobs in members(study).values())


def test_a_longer_maximum_takes_the_population_up_again():
    study = play(tw.PBT(population=4, period=5))
    study.commit(Act("change", {"steps": {"minimum": 1, "maximum": 30, "unit": "steps"}}))
    study = Player(tw.PBT(population=4, period=5), lambda config, step: 1.0).play(study)
    assert all(jobs[-1].until == 30 for jobs in members(study).values())


# --- several periods -------------------------------------------------------------------------------------------------


def test_a_part_of_the_population_decides_each_so_many_periods():
    study = play(tw.PBT(population=8, period=1, periods=(1, 5)))
    slow = [job for job in copies(study) if job.tag[0] % 2 == 1]
    assert slow
    assert all(study.jobs[job.parent].until % 5 == 0 for job in slow)


def test_migrants_take_the_config_of_slower_parts_and_keep_that_of_their_own_best_from_faster_ones():
    method = tw.PBT(population=8, periods=(1, 4))
    fast, slow = [0, 2, 4, 6], [1, 3, 5, 7]
    ranked = [*slow, *fast]
    assert method._judged(4, ranked) == ([1], None, False)
    assert method._judged(5, [*fast, *slow]) == ([0], 1, False)
    assert method._judged(6, ranked) == ([0], None, True)
    assert method._judged(2, ranked) is None


def write_step(step, path):
    (path / "step").write_text(str(step))


def falls(run):
    for step in run.steps():
        loss = run.config["x"] / step
        run.report(step, loss=loss, save=partial(write_step, step))


@pytest.mark.parametrize("period", [None, 5])
@pytest.mark.parametrize("method", [tw.PBT(population=4), tw.PBT(population=6, periods=(1, 2))])
def test_a_study_that_is_extended_goes_on_with_the_whole_population(tmp_path, method, period):
    method = replace(method, period=period)
    settings = {"minimize": "loss", "method": method, "seed": 2, "progress": False, "store": tmp_path / "t.db"}
    study = tw.tune(falls, LINE, steps=10, **settings)
    before, began = len(study.jobs), len(members(study))
    study.extend(until=25)
    assert not study.acts("enqueue")
    tw.run(study, falls, progress=False)
    later = [job for job in study.jobs.values() if job.id >= before]
    assert len(members(study)) == began == method.population
    assert all(jobs[-1].until == 25 for jobs in members(study).values())
    assert all(study.results[job.id].status == "done" and job.parent is not None for job in later)
    assert not study.acts("restart")
    assert any(job in later for job in copies(study))
    assert tw.verify(study).holds
    study.close()


# --- selection alone, refusals ---------------------------------------------------------------------------------------


def test_without_exploring_no_config_is_new_and_copies_train_with_other_seeds():
    study = play(tw.PBT(population=6, explore=False))
    first = [job.config for job in study.jobs.values() if job.parent is None]
    assert all(job.config in first for job in study.jobs.values())
    assert all(job.seed not in (0, study.jobs[job.parent].seed) for job in copies(study))


@pytest.mark.parametrize(
    "settings",
    [{"population": 1}, {"population": 3, "periods": (1, 2)}, {"period": 0}, {"share": 0.6}, {"periods": ()}],
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(StudyError):
        tw.PBT(**settings)


def test_one_step_trials_and_several_goals_are_refused():
    with pytest.raises(Unsupported, match="trials have 1 in all"):
        play(tw.PBT(), steps=1)
    with pytest.raises(Unsupported, match="begin configs only"):
        play(tw.PBT(of=tw.Then(tw.Take(0, tw.Random()), tw.Schedule([(0, {"x": 0.5}), (1, {"x": 0.1})]))))


def test_an_objective_without_checkpoints_is_told():
    def train(run):
        for step in run.steps():
            run.report(step, loss=run.config["x"])

    with pytest.raises(Unsupported, match="left no checkpoint"):
        tw.tune(train, LINE, minimize="loss", steps=10, method=tw.PBT(), progress=False)


# --- the toy of the paper --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("workers", [1, 2])
def test_pbt_solves_the_toy_of_its_paper(workers):
    assert np.percentile([quality(TOY, seed, workers) for seed in range(20)], 10) >= 1.19


def test_neither_the_configs_nor_copies_alone_solve_it():
    assert quality(tw.Take(2, Corners()), 0) == pytest.approx(0.39, abs=1e-3)
    assert quality(replace(TOY, explore=False), 0) == pytest.approx(0.39, abs=1e-3)
