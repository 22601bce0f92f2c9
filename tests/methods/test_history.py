"""What models read of a study: gradients in the coordinates of the cube."""

import math

import pytest

from tunewell.contract.methods import SPACES, new_study
from tunewell.methods.history import history_of
from tunewell.study import Act, Job, Result

LINE = SPACES["continuous"]
POINT = {"x": 0.25, "y": 0.01, "z": 1.0}


def slopes(space, config, gradients, *goals):
    """The derivatives by path after replicates of one config with these gradients."""
    study = new_study(space)
    if goals:
        study.commit(Act("change", {"goals": list(goals)}))
    for seed, gradient in enumerate(gradients):
        job = study.start(Job(config, 1, seed=seed))
        study.commit(job)
        study.commit(Result(job.id, "done", {"loss": 1.0, "size": 1.0}, step=1, gradient=gradient))
    (outcome,) = history_of(study).done.values()
    return dict(zip(space.paths, outcome.slopes, strict=True)) if outcome.slopes else {}


def test_a_gradient_follows_the_scale_of_each_entry():
    found = slopes(LINE, POINT, [{"x": 2.0, "y": 3.0, "z": -1.0}])
    for (name, slope), axis, unit in zip(found.items(), LINE.axes, LINE.encode(POINT).tolist(), strict=True):
        rate = (axis.at(unit + 1e-6) - axis.at(unit - 1e-6)) / 2e-6
        assert slope == pytest.approx({"x": 2.0, "y": 3.0, "z": -1.0}[name] * rate, rel=1e-5)


def test_a_goal_that_is_maximized_turns_it():
    up = slopes(LINE, POINT, [{"x": 2.0}], {"metric": "loss", "maximize": True})
    assert up["x"] == -2.0
    assert math.isnan(up["y"])


def test_replicates_add_up_and_one_without_leaves_none():
    assert slopes(LINE, POINT, [{"x": 2.0}, {"x": 3.0}])["x"] == 5.0
    assert slopes(LINE, POINT, [{"x": 2.0}, None]) == {}
    assert slopes(LINE, POINT, [None, {"x": 2.0}]) == {}
    assert slopes(LINE, POINT, [None]) == {}


def test_the_gradient_of_a_constraint_says_nothing_of_the_loss():
    assert slopes(LINE, POINT, [{"x": 2.0}], {"metric": "size", "at_most": 2.0}, {"metric": "loss"}) == {}


def test_only_what_is_active_and_continuous_has_a_derivative():
    space = SPACES["conditional"]
    config = {"lr": 0.1, "model": "network", "depth": 2, "optimizer": "adam", "beta": 0.9}
    found = slopes(space, config, [{"lr": 1.0, "depth": 1.0, "beta": 1.0, "momentum": 1.0, "model": 1.0}])
    known = {path for path, slope in found.items() if not math.isnan(slope)}
    assert known == {"lr", "model=network/optimizer=adam/beta"}
