"""The covariance of values and derivatives: that of differences of values."""

import numpy as np
import pytest

from tunewell.surrogates.derivatives import across, joint, toward
from tunewell.surrogates.kernels import correlation, squared_distances

WIDTHS = np.array([1.5, 0.4, 2.0])
POINTS = np.random.default_rng(0).random((6, 3))
ALONG = np.array([-1, 0, 2, 2, 1, -1])
STEP = 1e-4


def functional():
    """Rows (6, 18) of weights: each value, or each derivative, from values at the points and one step beside them."""
    found = np.zeros((6, 18))
    for row, column in enumerate(ALONG):
        if column < 0:
            found[row, row] = 1.0
        else:
            found[row, 6 + row], found[row, 12 + row] = 1 / (2 * STEP), -1 / (2 * STEP)
    return found


def many():
    """The points, and those one step beside each along its own column."""
    moves = np.where(np.arange(3) == ALONG[:, None], STEP, 0.0)
    return np.vstack([POINTS, POINTS + moves, POINTS - moves])


def correlations(first, second):
    return correlation(squared_distances(first * WIDTHS, second * WIDTHS))


def test_rows_with_each_other():
    expected = functional() @ correlations(many(), many()) @ functional().T
    value = joint(POINTS * WIDTHS, ALONG, WIDTHS).value
    np.testing.assert_allclose(value, expected, atol=1e-6)
    np.testing.assert_array_equal(value, value.T)
    assert np.linalg.eigvalsh(value).min() > 0


def test_new_values_with_rows():
    new = np.random.default_rng(1).random((4, 3))
    found = across(new * WIDTHS, POINTS * WIDTHS, ALONG, WIDTHS)
    np.testing.assert_allclose(found, correlations(new, many()) @ functional().T, atol=1e-6)


@pytest.mark.parametrize("point", [np.array([0.3, 0.9, 0.1]), POINTS[2]], ids=["beside", "at a derivative"])
def test_the_way_towards_a_point(point):
    value, towards = toward((point - POINTS) * WIDTHS, ALONG, WIDTHS)
    moved = np.vstack([point, *(point + 1e-6 * np.eye(3)), *(point - 1e-6 * np.eye(3))])
    near = across(moved * WIDTHS, POINTS * WIDTHS, ALONG, WIDTHS)
    np.testing.assert_allclose(value, near[0], atol=1e-9)
    np.testing.assert_allclose(towards.T, (near[1:4] - near[4:]) / 2e-6, atol=1e-4)


def test_without_derivatives_all_is_that_of_values():
    scaled = POINTS * WIDTHS
    plain = joint(scaled, None, WIDTHS)
    np.testing.assert_allclose(plain.value, correlation(squared_distances(scaled, scaled)))
    np.testing.assert_array_equal(plain.by_width(plain.value, 3), np.zeros(3))
    none = joint(scaled, np.full(6, -1), WIDTHS)
    np.testing.assert_allclose(none.value, plain.value)
