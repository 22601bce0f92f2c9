"""What one more measurement is worth."""

import numpy as np
import pytest

from tunewell.honest.worth import worth


def test_it_is_the_expected_drop_of_the_best_mean():
    means, deviations, noise = np.array([0.0, 0.3]), np.array([0.5, 0.8]), 1.0
    rng = np.random.default_rng(0)
    after = rng.normal(0.3, np.sqrt(0.8**4 / (0.8**2 + noise**2)), 400_000)
    drop = 0.0 - np.minimum(after, 0.0).mean()
    assert worth(means, deviations, np.zeros(2), noise, 1)[1] == pytest.approx(drop, rel=0.01)


def test_a_close_and_uncertain_rival_is_worth_most():
    gains = worth(np.array([0.0, 0.1, 3.0, 0.1]), np.array([0.1, 0.5, 0.5, 0.01]), np.zeros(4), 1.0, 10)
    assert gains.argmax() == 1
    assert gains[2] < 1e-3 * gains[1]


def test_what_runs_already_is_worth_less():
    means, deviations = np.zeros(3), np.ones(3)
    gains = worth(means, deviations, np.array([4.0, 0.0, 0.0]), 1.0, 10)
    assert gains[0] < gains[1] == pytest.approx(gains[2])
