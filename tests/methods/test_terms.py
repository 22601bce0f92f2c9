"""The terms of an acquisition: the regression, and what two models say together."""

import numpy as np
import pytest

from tunewell.methods.terms import Line, Pool


def tried(count, seed=0):
    """Points (n, 3) below a half, and whether each of them worked: the sum of two columns is small."""
    z = 0.5 * np.random.default_rng(seed).random((count, 3))
    return z, z[:, 0] + z[:, 1] < 0.6


def test_a_line_knows_on_which_side_what_was_tried_lies():
    z, held = tried(60)
    assert np.mean((Line.of(z, held).at(z) > np.log(0.5)) == held) > 0.95


@pytest.mark.parametrize("least", [False, True])
def test_two_models_say_their_mean_or_the_least(least):
    lines = tuple(Line.of(*tried(30, seed)) for seed in (1, 2))
    points, pool = np.random.default_rng(3).random((20, 3)), Pool(lines, 4.0, least)
    logs = np.array([line.at(points) for line in lines])
    assert pool.at(points) == pytest.approx(4.0 * (logs.min(0) if least else logs.mean(0)))
    value, gradient = pool.slope(points[0])
    near = [points[:1] + sign * 1e-6 * np.eye(3) for sign in (1, -1)]
    assert value == pytest.approx(pool.at(points[:1])[0])
    assert gradient == pytest.approx((pool.at(near[0]) - pool.at(near[1])) / 2e-6, abs=1e-6)
