"""Shares of functions whose shares are known; and nothing told of noise."""

import numpy as np
import pytest

from tunewell.honest.importance import Coordinates, shares

LINEAR = np.array([4.0, 2.0, 1.0, 0.0])


def numbers(count):
    return Coordinates((0,) * count, (False,) * count, (None,) * count)


def told(function, count, results, noise=0.0, coordinates=None, seed=0):
    rng = np.random.default_rng(seed)
    coordinates = coordinates or numbers(count)
    points = coordinates.settled(rng.random((results, count)))
    values = function(points)
    values = values + noise * values.std() * rng.standard_normal(results)
    return shares(points, values, np.ones(results), coordinates, seed)


def test_shares_of_a_sum_are_those_of_the_squares():
    found = told(lambda x: x @ LINEAR, 4, 50, noise=0.3)
    truth = LINEAR**2 / (LINEAR @ LINEAR)
    assert found.tells
    assert found.total == pytest.approx(truth, abs=0.08)
    assert found.alone == pytest.approx(truth, abs=0.08)
    low, high = found.total_interval
    assert np.all(low <= found.total)
    assert np.all(found.total <= high)


def test_what_interacts_has_a_total_share_above_that_alone():
    """Of (x - 1/2)(y - 1/2) nothing is explained by either number alone."""
    found = told(lambda x: (x[:, 0] - 0.5) * (x[:, 1] - 0.5), 3, 80)
    assert found.total == pytest.approx([1, 1, 0], abs=0.1)
    assert found.alone == pytest.approx([0, 0, 0], abs=0.1)


def test_options_and_what_stands_below_them_have_their_shares():
    """A choice of two; below the second option a number counts, which makes a difference in half of the configs."""
    coordinates = Coordinates((2, 0, 0), (True, False, False), (None, (0, 1), None))

    def function(x):
        return np.where(x[:, 0] > 0.5, 1.0 + np.nan_to_num(x[:, 1]), 0.0)

    found = told(function, 3, 80, coordinates=coordinates)
    # variances: of the choice 1.5² / 4, of the number 1 / 12 in half of the configs
    whole = 1.5**2 / 4 + 1 / 24
    assert found.total[1] == pytest.approx(1 / 24 / whole, abs=0.04)
    assert found.total[0] > 0.9
    assert found.total[2] < 0.05


def test_options_without_order_are_no_numbers():
    coordinates = Coordinates((4, 0), (True, False), (None, None))
    heights = np.array([0.0, 3.0, 0.0, 3.0])
    found = told(lambda x: heights[np.floor(x[:, 0] * 4).astype(int)] + x[:, 1], 2, 60, coordinates=coordinates)
    assert found.total[0] == pytest.approx(2.25 / (2.25 + 1 / 12), abs=0.05)


def test_little_is_told_of_pure_noise():
    rng = np.random.default_rng(3)
    tells = [
        shares(rng.random((20, 3)), rng.standard_normal(20), np.ones(20), numbers(3), seed).tells for seed in range(20)
    ]
    assert sum(tells) <= 3


def test_more_results_make_narrower_intervals():
    few, many = (told(lambda x: x @ LINEAR, 4, results, noise=0.3) for results in (25, 100))
    assert np.ptp(many.total_interval, axis=0).sum() < np.ptp(few.total_interval, axis=0).sum()
