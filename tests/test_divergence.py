"""Runs that diverge are told to stop at a report, whoever runs them; their results are failures, never numbers."""

import contextlib
import math

import pytest

import tunewell as tw
from tunewell.errors import StudyError

STEPS = 200


def explode(run):
    """Above a rate of 1, each step is worse than the one before."""
    loss = 2.0
    for step in run.steps():
        loss = min(loss * (0.97 if run.config["lr"] <= 1 else 1.5), 1e300)
        run.report(step, loss=loss)


def spike(run):
    """Now and then a spike of three steps; each hundred steps a restart; and one batch that overflows."""
    for step in run.steps():
        at = step % 100
        loss = 2.0 * 0.96**at + (40.0 if at in (50, 51, 52) else 0.0)
        run.report(step, loss=math.inf if step == 77 else loss)


def swallow(run):
    """Catches everything, as training loops do."""
    for step in run.steps():
        with contextlib.suppress(BaseException):
            run.report(step, loss=math.nan)


def tuned(function, lr, **settings):
    """A study of one config."""
    space = {"lr": tw.Float(0.01, 100.0, log=True, default=lr)}
    study = tw.open_study(space=space, minimize="loss", steps=STEPS, limits=tw.Limits(trials=1), seed=0, **settings)
    study.enqueue({"lr": lr})
    return study


def ended(study, function, **how):
    """Its one result, once it ran."""
    tw.run(study, function, progress=False, **how)
    return study.results[0]


EXECUTORS = {
    "inline": tw.Inline,
    "processes": lambda: tw.Processes(1),
    "simulated": lambda: tw.Simulated(1, duration=lambda config, steps: steps),
}


@pytest.mark.parametrize("executor", EXECUTORS.values(), ids=EXECUTORS)
def test_what_explodes_is_stopped_and_the_log_says_why(executor):
    result = ended(tuned(explode, 10.0), explode, executor=executor())
    assert (result.status, result.error.kind) == ("failed", "diverged")
    assert "far worse than the first value" in result.error.message
    assert result.step < 50


def test_the_worker_that_stopped_it_goes_on_with_the_next_trial():
    study = tuned(explode, 10.0)
    study.change(trials=3)
    for lr in (0.1, 20.0):
        study.enqueue({"lr": lr})
    tw.run(study, explode, executor=tw.Processes(1, reuse=True), progress=False)
    assert [study.results[job].status for job in range(3)] == ["failed", "done", "failed"]
    assert study.best.config == {"lr": 0.1}


def test_a_run_is_let_go_on_where_that_is_asked_for():
    result = ended(tuned(explode, 10.0, divergence="ignore"), explode)
    assert (result.status, result.step) == ("done", STEPS)


def test_the_setting_can_change():
    study = tuned(explode, 10.0)
    study.change(divergence="ignore")
    assert ended(study, explode).status == "done"


def test_spikes_restarts_and_a_batch_that_overflows_pass():
    assert ended(tuned(spike, 1.0), spike).status == "done"


def test_who_swallows_the_end_of_a_run_has_failed_all_the_same():
    result = ended(tuned(swallow, 1.0), swallow)
    assert (result.status, result.error.kind, result.step) == ("failed", "diverged", 3)


def test_a_trial_that_goes_on_from_a_checkpoint_is_compared_with_its_first_value():
    def train(run):
        for step in run.steps():
            loss = 2.0 if step < 20 else 0.001 if step <= 100 else 0.5
            run.report(step, loss=loss, save=lambda path: (path / "x").write_text("x"))

    space = {"lr": tw.Float(0.01, 1)}
    study = tw.open_study(space=space, minimize="loss", steps=100, limits=tw.Limits(trials=1))
    tw.run(study, train, progress=False)
    study.extend(until=STEPS)
    tw.run(study, train, executor=tw.Inline(), progress=False)
    assert [result.status for result in study.results.values()] == ["done", "done"]


def test_a_setting_that_means_nothing_is_refused():
    with pytest.raises(StudyError, match="divergence"):
        tw.open_study(space={"x": tw.Float(0, 1)}, minimize="loss", divergence="rewind")
