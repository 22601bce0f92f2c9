"""The Matérn-5/2 kernel."""

import numpy as np
import pytest

from tunewell.surrogates.kernels import correlation, squared_distances, with_slope


def test_distances_are_those_of_the_rows():
    rng = np.random.default_rng(0)
    first, second = rng.random((7, 3)), rng.random((5, 3))
    expected = ((first[:, None] - second[None]) ** 2).sum(-1)
    np.testing.assert_allclose(squared_distances(first, second), expected, atol=1e-12)


def test_the_distance_of_a_point_to_itself_is_never_negative():
    points = np.random.default_rng(0).random((200, 9)) * 1e3
    assert squared_distances(points, points).min() >= 0


@pytest.mark.parametrize("distance", [0.0, 0.3, 2.0])
def test_the_correlation_is_the_textbook_formula(distance):
    expected = (1 + 5**0.5 * distance + 5 / 3 * distance**2) * np.exp(-(5**0.5) * distance)
    assert correlation(np.array(distance**2)) == pytest.approx(expected, rel=1e-14)


def test_the_slope_is_the_derivative_and_finite_at_zero():
    squares, step = np.array([1e-3, 0.2, 1.0, 30.0]), 1e-7
    value, slope = with_slope(squares)
    np.testing.assert_array_equal(value, correlation(squares))
    numeric = (correlation(squares + step) - correlation(squares - step)) / (2 * step)
    np.testing.assert_allclose(slope, numeric, rtol=1e-5, atol=1e-9)
    assert with_slope(np.zeros(1))[1] == pytest.approx(-5 / 6)
