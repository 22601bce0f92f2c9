"""Random search."""

import numpy as np

from tunewell.contract.methods import MethodContract, Player, bowl, new_study
from tunewell.methods.random import Random
from tunewell.space import Float, Normal, Space


class TestRandom(MethodContract):
    method = Random()


def test_follows_the_priors():
    space = Space({"x": Float(0, 1, prior=Normal(0.2, 0.02))})
    study = Player(Random(), bowl(space)).play(new_study(space, trials=200))
    values = [job.config["x"] for job in study.jobs.values()]
    assert abs(np.mean(values) - 0.2) < 0.01
    assert np.std(values) < 0.03
