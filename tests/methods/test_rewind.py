"""Rewind: the laws; a trial that diverged goes on from its last good checkpoint with a lower rate."""

import math

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.rewind import Rewind


class TestRewind(MethodContract):
    method = tw.Rewind(tw.Random(), tries=0, period=2)


def train(run):
    """Falls, until step 25; from there on it explodes where the rate is above 0.1."""
    loss = 4.0
    if run.checkpoint:
        loss = float((run.checkpoint / "loss").read_text())
    for step in run.steps():
        loss = loss * 3 if step > 25 and run.config["lr"] > 0.1 else loss * 0.95
        run.report(step, loss=loss, save=lambda path, now=loss: (path / "loss").write_text(str(now)))


def studied(method, trials=1, lr=0.5, **settings):
    space = {"lr": tw.Float(0.01, 1.0, default=lr), "width": tw.Int(1, 9)}
    settings = {"minimize": "loss", "steps": 60, "trials": trials, "seed": 1, "progress": False, **settings}
    return tw.tune(train, space, method=method, **settings)


def test_what_diverged_goes_on_from_the_checkpoint_before_with_a_lower_rate():
    study = studied(Rewind(tw.Grid(levels=1), factor=0.1, period=20))
    broke = next(result for result in study.results.values() if result.status == "failed")
    child = next(job for job in study.jobs.values() if job.parent is not None and job.id > broke.job)
    before = study.jobs[study.jobs[broke.job].parent]
    assert broke.error.kind == "diverged"
    assert (child.parent, before.until) == (before.id, 20)
    assert child.config["lr"] == pytest.approx(0.1 * before.config["lr"])
    assert {**child.config, "lr": 0} == {**before.config, "lr": 0}
    last = study.trials[-1]
    assert (last.status, last.step) == ("done", 60)
    assert last.value < 1.0


def test_a_trial_goes_back_so_often_and_no_more():
    study = studied(Rewind(tw.Grid(levels=1), factor=0.9, tries=2, period=20))
    assert sum(result.status == "failed" for result in study.results.values()) == 3


def test_without_a_checkpoint_it_begins_anew():
    def forgetful(run):
        for step in run.steps():
            run.report(step, loss=math.nan if run.config["lr"] > 0.1 else 1.0 / step)

    space = {"lr": tw.Float(0.01, 1.0)}
    study = tw.tune(forgetful, space, minimize="loss", steps=30, trials=2, seed=1, progress=False,
                    method=Rewind(tw.Grid(levels=1), factor=0.1))  # fmt: skip
    assert [job.parent for job in study.jobs.values()][:2] == [None, None]
    assert study.trials[-1].status == "done"


def test_it_stops_where_it_shall_not_go_back():
    study = studied(Rewind(tw.Grid(levels=1), tries=0, period=20))
    assert [result.status for result in study.results.values()] == ["done", "failed"]


def test_curves_that_nobody_stopped_are_looked_at_as_well():
    study = studied(Rewind(tw.Grid(levels=1), factor=0.1, period=20), divergence="ignore")
    assert {result.status for result in study.results.values()} == {"done"}
    assert study.trials[-1].config["lr"] < 0.1
    assert study.trials[-1].value < 1.0


def test_a_plateau_ends_a_trial():
    def flat(run):
        for step in run.steps():
            run.report(step, loss=1.0 + 0.01 * math.sin(step))

    study = tw.tune(flat, {"lr": tw.Float(0.01, 1.0)}, minimize="loss", steps=400, trials=1, progress=False,
                    method=Rewind(stop=("plateau",)))  # fmt: skip
    assert study.trials[0].step == 80


def test_what_to_lower_must_be_clear():
    for entry, space in ((None, {"x": tw.Float(0, 1)}), ("rate", {"lr": tw.Float(0, 1)}),
                         (None, {"lr": tw.Float(0, 1), "head_lr": tw.Float(0, 1)})):  # fmt: skip
        with pytest.raises(Unsupported, match="what to lower"):
            tw.tune(train, space, minimize="loss", steps=10, trials=1, method=Rewind(entry=entry), progress=False)


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"factor": 1.5}, {"tries": -1}, {"period": 0}, {"stop": ("luck",)}):
        with pytest.raises(StudyError):
            Rewind(**wrong)
