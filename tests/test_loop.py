"""The loop, from `tune` to the log, in this process and in memory."""

import itertools
import logging
import os
import shutil
import signal
import sys
import threading
from functools import partial

import pytest

import tunewell as tw
from tests.halving import Copycat, HalfGoesOn, HeirsOfOne
from tunewell.budget import spent
from tunewell.events import Act, Job, Result
from tunewell.loop import Loop, run_seed
from tunewell.protocols import Objective
from tunewell.study import Study

SPACE = {"x": tw.Float(0.0, 1.0)}


def square(run):
    return (run.config["x"] - 0.3) ** 2


def write(step, path):
    (path / "step").write_text(str(step))


def curve(run):
    for step in run.steps():
        run.report(step, loss=run.config["x"] + 1 / step, save=partial(write, step))


def tune(objective=square, **settings):
    given = {"minimize": "loss", "method": tw.Random(), "seed": 1, "progress": False, **settings}
    return tw.tune(objective, given.pop("space", SPACE), **given)


def test_a_function_that_returns_a_number_is_tuned():
    study = tune(trials=20)
    assert len(study.trials) == 20
    assert study.best.value == min(trial.value for trial in study.trials)
    assert tw.verify(study).holds


def test_a_mapping_of_metrics_and_several_goals():
    def train(run):
        return {"loss": run.config["x"], "latency": 1 - run.config["x"]}

    study = tune(train, at_most={"latency": 0.5}, trials=30)
    assert study.best.metrics["latency"] <= 0.5


def test_trials_and_steps_are_met_exactly():
    assert spent(tune(trials=7)).trials == 7
    study = tune(curve, steps=3, limits=tw.Limits(steps=10))
    assert spent(study).steps == 9  # a fourth trial of three steps would not fit
    assert len(study.trials) == 3


def test_a_target_ends_the_study():
    study = tune(limits=tw.Limits(trials=1000, target=0.05))
    assert study.best.value <= 0.05
    assert len(study.trials) < 1000
    assert sum(trial.value <= 0.05 for trial in study.trials) == 1


def test_compute_seconds_and_cost_stop_the_starting_of_jobs():
    study = tune(lambda run: {"loss": 0.0, "cost": 2.5}, limits=tw.Limits(trials=100, cost=10))
    assert len(study.trials) == 4


def test_a_method_decides_on_the_way_and_the_function_goes_on_without_reload():
    starts = []

    def train(run):
        starts.append((run.config["x"], run.start))
        curve(run)

    study = tune(train, method=HalfGoesOn(4), steps=3)
    assert len(study.jobs) == 6
    assert sorted(trial.status for trial in study.trials) == ["done", "done", "waiting", "waiting"]
    longest = max(study.trials, key=lambda trial: trial.step)
    assert study.curve(longest.jobs[-1]).steps == [1, 2, 3]
    assert tw.verify(study).holds


def test_a_lineage_that_was_let_go_starts_from_its_checkpoint():
    found = []

    def train(run):
        if run.checkpoint:
            found.append((run.start, (run.checkpoint / "step").read_text()))
        curve(run)

    tune(train, method=HalfGoesOn(4), steps=3)
    assert found
    assert all(start == 1 and text == "1" for start, text in found)


def test_a_lineage_without_checkpoint_starts_again_and_the_log_says_so():
    def train(run):
        for step in run.steps():
            run.report(step, loss=run.config["x"])

    study = tune(train, method=HalfGoesOn(4), steps=3)
    assert any(isinstance(event, Act) and event.what == "restart" for event in study.events)
    assert max(trial.step for trial in study.trials) == 3


def test_another_config_goes_on_from_a_checkpoint():
    study = tune(curve, method=Copycat(), steps=2)
    assert study.trials[1].came_from == 0
    assert study.results[1].step == 2


def test_another_config_cannot_go_on_without_a_checkpoint():
    with pytest.raises(tw.Unsupported, match="left no checkpoint"):
        tune(lambda run: [run.report(step, loss=1.0) for step in run.steps()] and None, method=Copycat(), steps=2)


def test_a_failed_trial_is_a_result_with_a_class():
    def train(run):
        if run.config["x"] > 0.5:
            raise ValueError("too large")
        return run.config["x"]

    study = tune(train, trials=20)
    failed = [trial for trial in study.trials if trial.status == "failed"]
    assert failed
    assert {trial.error.kind for trial in failed} == {"crashed"}
    assert "too large" in failed[0].error.message
    assert tw.verify(study).holds


def test_a_metric_that_is_not_finite_is_a_divergence():
    study = tune(lambda run: float("nan") if run.config["x"] > 0.5 else 1.0, trials=20)
    assert {trial.error.kind for trial in study.trials if trial.error} == {"diverged"}


def test_a_transient_error_is_retried_where_the_user_asks_for_it():
    seen = []

    def train(run):
        seen.append(run.config["x"])
        if len(seen) % 2:
            raise ConnectionError("again")
        return 1.0

    study = tune(train, trials=3, retry={"ConnectionError": 2})
    assert [trial.status for trial in study.trials] == ["done"] * 3
    assert len(seen) == 6
    assert [result.attempt for result in study.results.values()] == [2, 2, 2]


def test_a_metric_that_never_comes_ends_the_study_with_a_sentence():
    with pytest.raises(tw.ObjectiveError, match="the metric 'loss' never came; the trial gave: accuracy"):
        tune(lambda run: {"accuracy": 1.0}, trials=50)


def test_an_objective_that_returns_text_ends_the_study_with_a_sentence():
    with pytest.raises(tw.ObjectiveError, match="returned str"):
        tune(lambda run: "0.5", trials=50)


def test_a_step_that_goes_back_is_told():
    def train(run):
        run.report(2, loss=1.0)
        run.report(1, loss=1.0)

    with pytest.raises(tw.ObjectiveError, match="goes back"):
        tune(train, steps=3, trials=5)


def test_trials_that_all_crash_alike_end_the_study():
    def train(run):
        raise KeyError("data")

    store = tw.MemoryStore()
    with pytest.raises(tw.ObjectiveError, match="each of the first 10 trials failed"):
        tune(train, trials=50, store=store)
    assert len(tw.open_study("study", store).trials) == 10


def test_a_study_goes_on_with_more_budget_another_method_and_a_wider_space():
    store = tw.MemoryStore()
    tune(trials=5, store=store)
    study = tw.open_study("study", store)
    study.extend(trials=5)
    study.change(method=tw.Sobol())
    tw.run(study, square, progress=False)
    assert len(study.trials) == 10
    study.change(space={"x": tw.Float(0.0, 2.0), "y": tw.Float(0.0, 1.0, default=0.5)}, trials=15)
    tw.run(study, square, progress=False)
    assert len(study.trials) == 15
    assert "y" in study.trials[-1].config
    assert tw.verify(study).holds


def test_the_same_call_goes_on_and_another_setting_is_an_error():
    store = tw.MemoryStore()
    tune(trials=5, store=store)
    assert len(tune(trials=5, store=store).trials) == 5
    with pytest.raises(tw.StudyError, match="exists with another limits"):
        tune(trials=6, store=store)
    with pytest.raises(tw.StudyError, match="seed"):
        tune(trials=5, store=store, seed=2)
    with pytest.raises(tw.StudyError, match="another space"):
        tune(trials=5, store=store, space={"x": tw.Float(0.0, 2.0)})


def test_an_enqueued_config_runs_first_and_added_results_count_for_nothing():
    store = tw.MemoryStore()
    study = tw.open_study("study", store, space=SPACE, minimize="loss", method=tw.Random(), limits=tw.Limits(trials=3))
    study.enqueue({"x": 0.125})
    study.add({"x": 0.3}, 0.0)
    tw.run(study, square, progress=False)
    assert study.jobs[1].config == {"x": 0.125}
    assert study.jobs[1].tag == ("user", 0)
    assert len(study.trials) == 4
    assert study.best.config == {"x": 0.3}
    assert tw.verify(study).holds
    with pytest.raises(tw.SpaceError):
        study.enqueue({"x": 2.0})


def test_ask_and_tell():
    study = tw.open_study(space=SPACE, minimize="loss", method=tw.Sobol(), limits=tw.Limits(trials=4))
    asked = [study.ask(), study.ask()]
    assert [job.id for job in asked] == [0, 1]
    study.tell(asked[1], 1.0)
    study.tell(0, {"loss": 2.0, "accuracy": 0.5}, seconds=3.0)
    study.tell(study.ask(), failed="oom")
    study.tell(study.ask(), float("nan"))
    assert study.ask() is None
    assert [trial.status for trial in study.trials] == ["done", "done", "failed", "failed"]
    assert study.trials[3].error.kind == "diverged"
    with pytest.raises(tw.StudyError, match="not asked"):
        study.tell(0, 1.0)


def test_the_random_seed_is_the_same_for_every_config_and_another_for_each_replicate():
    seeds = []
    tune(lambda run: seeds.append(run.seed) or 1.0, trials=3)
    assert set(seeds) == {run_seed(1, 0)}
    assert run_seed(1, 1) != run_seed(1, 0) != run_seed(2, 0)


def test_setup_runs_once_and_its_value_is_the_data():
    calls = []
    tune(lambda run: float(run.data), setup=lambda: calls.append(1) or 3, trials=4)
    assert calls == [1]


def test_callbacks_get_each_committed_event():
    got = []
    tune(trials=2, callbacks=[lambda study, event: got.append(type(event))])
    assert got.count(Job) == got.count(Result) == 2


def test_a_changed_objective_warns_when_the_study_goes_on(caplog):
    store = tw.MemoryStore()
    tune(trials=1, store=store)
    study = tw.open_study("study", store)
    study.extend(trials=1)
    with caplog.at_level(logging.WARNING, "tunewell"):
        tw.run(study, lambda run: 2.0, progress=False)
    assert "the objective's source" in caplog.text
    assert len({result.made for result in study.results.values()}) == 2


def test_a_cancelled_trial_ends_cancelled():
    store = tw.MemoryStore()

    def train(run):
        for step in run.steps():
            run.report(step, loss=1.0)
            if run.config["x"] == 0.125 and step == 1:
                tw.open_study("study", store).cancel(0)
                threading.Event().wait(0.7)  # until the loop has looked at the log

    study = tw.open_study("study", store, space=SPACE, minimize="loss", method=tw.Random(), steps=1000)
    study.change(limits=tw.Limits(trials=2))
    study.enqueue({"x": 0.125})
    tw.run(study, train, progress=False)
    assert [trial.status for trial in study.trials] == ["cancelled", "done"]


def test_ctrl_c_releases_everything_writes_no_result_and_the_study_goes_on():
    store = tw.MemoryStore()

    def train(run):
        if run.config["x"] > 0.5 and not done:
            done.append(1)
            raise KeyboardInterrupt
        return 1.0

    done = []
    with pytest.raises(KeyboardInterrupt):
        tune(train, trials=20, store=store)
    study = tw.open_study("study", store)
    assert len(study.pending()) == 1
    assert not store.leases.owners("study")
    assert len(tune(train, trials=20, store=store).trials) == 20


@pytest.mark.parametrize("workers", [1, 3])
def test_a_deterministic_study_is_the_same_whoever_is_quicker(workers):
    runs = []
    for duration in (lambda config, steps: 1.0, lambda config, steps: 1.0 + config["x"] * 7 % 1):
        executor = tw.Simulated(workers=workers, duration=duration)
        study = tune(curve, method=HalfGoesOn(6), steps=3, deterministic=workers, executor=executor)
        assert len(study.jobs) == 9
        runs.append([(job.config, job.until, job.parent) for job in study.jobs.values()])
        assert tw.verify(study).holds
    assert runs[0] == runs[1]


def test_without_a_budget_and_a_method_nothing_starts():
    with pytest.raises(tw.StudyError, match="no budget"):
        tw.tune(square, SPACE, minimize="loss")


@pytest.mark.parametrize("objective", [lambda: 1.0, lambda a, b: 1.0, 3, "train"])
def test_an_objective_that_cannot_be_called_is_refused_before_anything_runs(objective):
    store = tw.MemoryStore()
    with pytest.raises(tw.ObjectiveError):
        tune(objective, trials=3, store=store)
    assert not tw.open_study("study", store).jobs


def test_a_loop_takes_over_what_a_dead_one_left():
    store = tw.MemoryStore()
    study = tw.open_study("study", store, space=SPACE, minimize="loss", method=tw.Random(), limits=tw.Limits(trials=3))
    study.next_job()  # proposed, never run
    Loop(study, Objective(square), tw.Inline()).run()
    assert [trial.status for trial in study.trials] == ["done"] * 3


def test_a_method_that_breaks_the_contract_is_told():
    class Outside:
        def propose(self, study: Study, rng: object) -> Job:
            return Job({"x": 5.0}, 1)

    study = tw.open_study(space=SPACE, minimize="loss", method=tw.Random(), limits=tw.Limits(trials=3))
    from tunewell.live import decide

    with pytest.raises(tw.SpaceError, match="x"):
        decide(study, Outside())


def test_a_constraint_that_nothing_satisfies_is_told_before_anything_runs():
    store = tw.MemoryStore()
    space = tw.Space(SPACE, constraints={"never": "x > 2"})
    with pytest.raises(tw.SpaceError, match="never"):
        tune(space=space, trials=3, store=store)
    assert store.studies() == []


def test_a_constraint_in_python_is_given_again_when_the_study_goes_on():
    store = tw.MemoryStore()
    space = tw.Space(SPACE, constraints={"low": lambda config: config["x"] < 0.5})
    study = tune(space=space, trials=10, store=store)
    assert all(trial.config["x"] < 0.5 for trial in study.trials)
    assert tw.verify(study).holds
    with pytest.raises(tw.SpaceError, match="low"):
        tw.open_study("study", store)


def test_a_goal_that_the_space_knows_is_written_into_each_result_and_never_reported():
    store = tw.MemoryStore()
    space = tw.Space(SPACE, known={"size": lambda config: 10 * config["x"]})
    goals = ["loss", "size"]
    study = tune(lambda run: {"loss": 1 - run.config["x"]}, space=space, minimize=goals, trials=12, store=store)
    assert [trial.metrics["size"] for trial in study.trials] == [10 * trial.config["x"] for trial in study.trials]
    assert tw.verify(study).holds
    with pytest.raises(tw.SpaceError, match="known number 'size' is a function"):
        tw.open_study("study", store)


@pytest.mark.parametrize("method", [tw.Random(), tw.Bayes(start=2), tw.Grid(levels=9)])
@pytest.mark.parametrize("size", ["10 * x", lambda config: 10 * config["x"]])
def test_what_breaks_a_bound_on_a_known_number_never_runs(method, size):
    space = tw.Space({"x": tw.Float(0.0, 1.0)}, known={"size": size})
    goals = ["loss", tw.Goal("size", at_least=1, at_most=4.0)]
    study = tune(lambda run: {"loss": 1 - run.config["x"]}, space=space, minimize=goals, trials=9, method=method)
    assert len(study.trials) >= 3
    assert all(1 <= trial.metrics["size"] <= 4.0 for trial in study.trials)
    assert study.settings.space == space
    assert tw.verify(study).holds
    with pytest.raises(tw.SpaceError):
        tw.open_study("none", space=space, minimize="loss", at_most={"size": -1.0})


def test_a_command_that_names_no_entry_is_told_before_anything_runs():
    with pytest.raises(tw.ObjectiveError, match="rate"):
        tune(["python", "train.py", "{rate}"], trials=3)


def test_a_method_that_no_package_registers_is_given_again_when_the_study_goes_on():
    store = tw.MemoryStore()
    study = tune(curve, method=HalfGoesOn(2), steps=3, store=store)
    assert tw.verify(study).holds
    with pytest.raises(tw.StudyError, match="HalfGoesOn"):
        _ = tw.open_study("study", store).method
    assert tw.verify(tw.open_study("study", store, method=HalfGoesOn(2))).holds


def test_a_method_sees_neither_the_store_nor_the_reads_of_the_test_set():
    seen = []

    class Spy:
        def propose(self, study: Study, rng: object) -> None:
            seen.append((study, [event.what for event in study.root.events if isinstance(event, Act)]))

    study = tw.open_study(space=SPACE, minimize="loss", method=tw.Random(), limits=tw.Limits(trials=3))
    study.write(Act("vault", {"read": 1, "score": 0.5}))
    from tunewell.live import decide

    decide(study, Spy())
    assert seen[0][1] == ["open"]
    assert not isinstance(seen[0][0].root, tw.LiveStudy)


def test_a_new_method_plans_from_its_own_jobs_and_learns_from_all():
    store = tw.MemoryStore()
    study = tune(method=tw.Sobol(), trials=20, store=store)
    study.change(method=tw.Grid(levels=3), trials=40)
    tw.run(study, square, progress=False)
    assert [study.jobs[job].config["x"] for job in range(20, 23)] == [0.0, 0.5, 1.0]
    assert len(study.jobs) == 23
    assert tw.verify(study).holds


@pytest.mark.parametrize("method", [tw.Random(), tw.Grid(levels=9), tw.Bayes(start=4)], ids=lambda m: type(m).__name__)
def test_more_steps_go_on_with_the_best_third_of_whole_trials(method):
    study = tune(curve, steps=3, trials=9, method=method)
    study.extend(until=6)
    tw.run(study, curve, progress=False)
    later = list(study.jobs.values())[9:]
    order = sorted(range(9), key=study.loss)
    assert [job.parent for job in later] == order[:3]
    assert all((job.until, study.results[job.id].step, study.results[job.id].status) == (6, 6, "done") for job in later)
    assert spent(study).steps == 9 * 3 + 3 * 3
    assert study.best.trial == order[0]
    study.extend(until=12, trials=1)
    tw.run(study, curve, progress=False)
    assert [job.parent for job in study.jobs.values() if job.until == 12 and job.parent is not None] == [later[0].id]
    assert tw.verify(study).holds


@pytest.mark.parametrize("method", [tw.ASHA(), tw.Hyperband(rounds=1), tw.MedianStop(period=1)])
def test_more_steps_are_left_to_a_method_that_decides_on_the_way(method):
    study = tune(curve, steps=9, trials=30, method=method)
    study.extend(until=27)
    assert not study.acts("enqueue")
    tw.run(study, curve, progress=False)
    assert study.best.checkpoint is None or study.jobs[max(study.jobs)].until == 27
    assert max(job.until for job in study.jobs.values()) == 27
    parents = [job.parent for job in study.jobs.values() if job.parent is not None]
    assert len(parents) == len(set(parents))
    assert tw.verify(study).holds


def test_a_limit_of_steps_is_raised_apart_from_the_steps_of_a_trial():
    study = tune(curve, steps=9, limits=tw.Limits(steps=90), trials=None, method=tw.ASHA())
    study.extend(steps=30)
    assert (study.steps.maximum, study.limits.steps) == (9, 120)
    study.extend(until=27, steps=60)
    assert (study.steps.maximum, study.limits.steps) == (27, 180)
    tw.run(study, curve, progress=False)
    assert 120 < spent(study).steps <= 180


def test_of_several_goals_what_no_other_dominates_goes_on():
    def train(run):
        run.report(run.until, a=run.config["x"], b=(run.config["x"] - 0.5) ** 2)

    study = tune(train, minimize=["a", "b"], steps=2, trials=12)
    study.extend(until=4)
    tw.run(study, train, progress=False)
    front = [job.config["x"] for job in study.jobs.values() if job.until == 4]
    assert max(front) == min((job.config["x"] for job in list(study.jobs.values())[:12]), key=lambda x: abs(x - 0.5))


def test_extending_to_fewer_steps_is_an_error():
    study = tune(curve, steps=3, trials=2)
    with pytest.raises(tw.StudyError, match="3 steps already"):
        study.extend(until=3)


def killed_at(call, work):
    """Let a fork of this process do `work()`, and kill it at its n-th call of a function."""
    child = os.fork()
    if child == 0:
        calls = itertools.count(1)
        sys.setprofile(lambda *_: os.kill(os.getpid(), signal.SIGKILL) if next(calls) == call else None)
        work()
        os._exit(0)
    os.waitpid(child, 0)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_kill_at_any_moment_extends_a_study_wholly_or_not_at_all(tmp_path):
    kept = tmp_path / "kept"
    kept.mkdir()
    tune(curve, steps=3, trials=9, store=kept / "t.db").close()

    def extended(call):
        here = shutil.copytree(kept, tmp_path / f"{call}")
        killed_at(call, lambda: tw.open_study(store=here / "t.db").extend(until=6, trials=1))
        with tw.open_study(store=here / "t.db") as study:
            now = study.steps.maximum, study.limits.trials, len(study.acts("enqueue"))
        assert now in ((3, 9, 0), (6, 10, 3))
        return now == (6, 10, 3)

    first, last = 1, 1 << 20  # the last call before which nothing is there, the first one at which something is
    while last - first > 1:
        call = (first + last) // 2
        first, last = (first, call) if extended(call) else (call, last)
    assert 100 < first < 1 << 19


def test_another_config_is_judged_with_the_weights_of_its_parent_at_the_same_step():
    """As sub-networks of a network with shared weights: the runs train nothing."""

    def train(run):
        for step in run.steps():
            run.report(step, loss=1.0, save=partial(write, step))
        if run.start == 4:
            return {"loss": run.config["x"], "trained": float((run.checkpoint / "step").read_text())}
        return None

    study = tune(train, method=HeirsOfOne(), steps=4, trials=9)
    first, *heirs = study.jobs.values()
    assert [(job.parent, job.until) for job in heirs] == [(first.id, 4)] * 3
    assert all(study.results[job.id].metrics == {"loss": job.config["x"], "trained": 4.0} for job in heirs)
    assert spent(study).steps == 4
    assert tw.verify(study).holds
    study = tune(train, method=tw.Take(0, tw.Random()), steps=4)
    study.change(method=HeirsOfOne(changed=False))
    with pytest.raises(tw.StudyError, match="from a parent that is at 4"):
        tw.run(study, train, progress=False)
