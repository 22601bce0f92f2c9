"""A coarse grid, then finer ones."""

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError

SPACE = {"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0), "kind": tw.Choice(["a", "b", "c"])}


class TestZoom(MethodContract):
    method = tw.Zoom()


class TestZoomWithAnotherMethod(MethodContract):
    method = tw.Zoom(tw.Grid(levels=3), then=tw.Sobol(), trials=6)


class TestFewRounds(MethodContract):
    method = tw.Zoom(tw.Grid(levels=2), rounds=2, scouts=0)


def tune(method, objective, space=SPACE, trials=80):
    return tw.tune(objective, space, minimize="loss", seed=1, progress=False, method=method, trials=trials)


def bowl(run):
    return (run.config["x"] - 0.83) ** 2 + (run.config["kind"] != "b")


def test_later_rounds_look_closer_where_it_was_good():
    study = tune(tw.Zoom(scouts=0), bowl)
    assert study.best.value < 1e-3
    late = [trial.config for trial in study.trials[-20:]]
    assert sum(config["kind"] == "b" for config in late) >= 10
    assert tw.verify(study).holds


def test_an_entry_that_does_not_matter_keeps_its_range():
    study = tune(tw.Zoom(scouts=0), bowl)
    values = [trial.config["y"] for trial in study.trials[20:]]
    assert max(values) - min(values) > 0.5


def test_an_optimum_at_the_edge_of_a_narrowed_range_is_followed():
    study = tune(tw.Zoom(), lambda run: (run.config["x"] - 0.02) ** 2 + 0.3 * (run.config["y"] - 1.0) ** 2)
    assert study.best.value < 0.02


def test_rounds_end_the_search():
    study = tune(tw.Zoom(tw.Grid(levels=2), rounds=2, scouts=0), bowl)
    assert {job.tag[0] for job in study.jobs.values()} <= {0, 1}
    assert len(study.trials) < 80


def test_a_tiny_space_is_searched_once_and_ends():
    study = tune(tw.Zoom(), lambda run: float(run.config["n"]), {"n": tw.Int(1, 4)})
    assert sorted(trial.config["n"] for trial in study.trials)[:4] != []
    assert {trial.config["n"] for trial in study.trials} == {1, 2, 3, 4}


@pytest.mark.parametrize("settings", [{"level": 0}, {"floor": 2}, {"trials": 0}, {"rounds": 0}, {"scouts": -1}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(StudyError):
        tw.Zoom(**settings)
