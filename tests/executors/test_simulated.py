"""Virtual time."""

import pytest

import tunewell as tw
from tests.halving import HalfGoesOn
from tests.test_loop import SPACE


def curve(run):
    for step in run.steps():
        run.report(step, loss=run.config["x"] + 1 / step, seconds=step * (1.0 + run.config["x"]))


def tune(executor, **settings):
    given = {"minimize": "loss", "method": tw.Random(), "seed": 1, "progress": False, "executor": executor}
    return tw.tune(settings.pop("objective", curve), SPACE, **{**given, **settings})


def test_workers_run_side_by_side_in_virtual_time():
    executor = tw.Simulated(workers=4, duration=lambda config, steps: 10.0 * steps)
    study = tune(executor, steps=3, trials=8)
    assert executor.now == 60.0
    assert executor.utilisation == 1.0
    assert {trial.seconds for trial in study.trials} == {30.0}


def test_jobs_end_in_the_order_of_their_virtual_ends():
    executor = tw.Simulated(workers=8)
    study = tune(executor, steps=2, trials=8)
    ends = [study.jobs[job].config["x"] for job in study.results]
    assert ends == sorted(ends)


def test_a_lineage_that_goes_on_pays_only_for_its_new_steps():
    executor = tw.Simulated(workers=4)
    study = tune(executor, method=HalfGoesOn(4), steps=3)
    for trial in study.trials:
        assert trial.seconds == pytest.approx(trial.step * (1.0 + trial.config["x"]))
        assert study.curve(trial.jobs[-1]).steps == list(range(1, trial.step + 1))


def test_a_job_runs_no_further_than_its_last_step():
    reached = []

    def train(run):
        for step in run.steps():
            reached.append(step)
            run.report(step, loss=run.config["x"], seconds=1.0 * step)

    study = tw.open_study(space=SPACE, minimize="loss", method=HalfGoesOn(2), steps=5)
    job = study.next_job()
    executor = tw.Simulated(workers=1)
    from tunewell.protocols import Objective, Task

    executor.open(Objective(train))
    executor.submit(Task(job, 1, 0, 5, 0))
    assert reached == [1]


def test_failures_are_results():
    def train(run):
        if run.config["x"] > 0.5:
            raise ValueError("no")
        return run.config["x"]

    study = tune(tw.Simulated(workers=2, duration=lambda config, steps: 1.0), objective=train, trials=10)
    assert {trial.status for trial in study.trials} == {"done", "failed"}


def test_time_by_a_metric_that_never_comes_is_told():
    with pytest.raises(tw.ObjectiveError, match="never came"):
        tune(tw.Simulated(workers=2), objective=lambda run: 1.0, trials=2)


def test_the_real_time_of_proposals_can_be_charged():
    executor = tw.Simulated(workers=1, duration=lambda config, steps: 0.0, charge_proposals=True)
    tune(executor, objective=lambda run: 1.0, trials=20)
    assert executor.now > 0.0


def test_a_thousand_workers_have_little_to_wait_for():
    executor = tw.Simulated(workers=1000, duration=lambda config, steps: 1.0 + config["x"])
    study = tune(executor, objective=lambda run: run.config["x"], trials=5000)
    assert len(study.trials) == 5000
    assert executor.utilisation > 0.75
