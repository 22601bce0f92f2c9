"""What a study uses that names no method."""

from tunewell.contract.methods import MethodContract, new_study, propose
from tunewell.methods.auto import Auto
from tunewell.space import Float, Int, Space


class TestAuto(MethodContract):
    method = Auto()


def test_the_default_config_comes_first():
    study = new_study(Space({"x": Float(0, 1), "n": Int(1, 9, default=2)}))
    job = propose(Auto(), study)
    assert job is not None
    assert job.config == {"x": 0.5, "n": 2}


def test_a_default_that_violates_a_constraint_is_left_out():
    study = new_study(Space({"x": Float(0, 1)}, {"high": "x > 0.6"}))
    job = propose(Auto(), study)
    assert job is not None
    assert job.config["x"] > 0.6
