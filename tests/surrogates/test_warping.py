"""Output warps: order, scale and robustness, for whatever a training run may say."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.surrogates.warping import WARPS, half_rank, steepness, yeo_johnson

ANY = st.lists(st.floats(allow_nan=False, allow_infinity=False, width=64), min_size=1, max_size=30)


@pytest.mark.parametrize("name", WARPS)
@given(losses=ANY)
def test_any_losses_give_finite_values_in_the_same_order(name, losses):
    values = WARPS[name](np.array(losses))
    assert np.isfinite(values).all()
    assert np.abs(values).max() <= 1e3
    ordered = values[np.argsort(losses, kind="stable")]
    assert np.all(np.diff(ordered) >= -1e-9)


@pytest.mark.parametrize("name", WARPS)
def test_values_are_standardized_and_equal_for_equal_losses(name):
    values = WARPS[name](np.array([3.0, 1.0, 2.0, 1.0, 9.0, 4.0]))
    assert values.mean() == pytest.approx(0, abs=1e-9)
    assert values.std() == pytest.approx(1)
    assert values[1] == values[3]


@pytest.mark.parametrize("name", WARPS)
@pytest.mark.parametrize("losses", [[5.0], [5.0] * 7, [-1e300] * 3, [0.0, 0.0]])
def test_constant_losses_are_zeros(name, losses):
    assert not WARPS[name](np.array(losses)).any()


def test_half_rank_keeps_the_better_half_affine():
    losses = np.array([0.0, 1.0, 2.0, 3.0, 50.0, 1e9, 1e12])
    values = half_rank(losses)
    steps = np.diff(values[:4])
    np.testing.assert_allclose(steps, steps[0])
    assert values[-1] < 3


def test_half_rank_does_not_part_a_plateau():
    """As of all trainings that learned nothing, whose losses differ by their rounding."""
    plateau = 0.6931 + 1e-5 * np.arange(20)
    values = half_rank(np.concatenate([[0.45, 0.5, 0.6], plateau]))
    assert np.all(np.diff(values) >= 0)
    assert np.ptp(values[3:]) < 0.01 * np.ptp(values[:4])


def test_yeo_johnson_makes_a_heavy_tail_normal():
    losses = np.exp(np.random.default_rng(0).standard_normal(300))
    values, raw = yeo_johnson(losses), (losses - losses.mean()) / losses.std()
    assert abs(float(np.mean(values**3))) < 0.5 < 2 < abs(float(np.mean(raw**3)))


@pytest.mark.parametrize("name", WARPS)
@given(losses=ANY)
def test_a_warp_is_nowhere_falling_and_has_a_finite_derivative_or_none(name, losses):
    losses = np.array(losses)
    found = steepness(name, losses, WARPS[name](losses))
    assert not np.any(np.isinf(found))
    assert not np.any(found < -1e-9)


def test_the_derivative_of_half_rank_is_exact_in_the_better_half_and_missing_in_the_worse():
    losses = np.array([7.0, 0.0, 1.0, 30.0, 2.5, 1e9, 1.0])
    values = half_rank(losses)
    found = steepness("half-rank", losses, values)
    np.testing.assert_allclose(found[[1, 2, 4, 6]], (values[2] - values[1]) / 1.0)
    assert np.isnan(found[[0, 3, 5]]).all()


def test_the_derivatives_of_the_other_warps():
    losses = np.linspace(-1.0, 2.0, 50) ** 3
    np.testing.assert_allclose(steepness("none", losses, WARPS["none"](losses)), 1 / losses.std())
    assert np.isnan(steepness("normal", losses, WARPS["normal"](losses))).all()
    bent, step = WARPS["yeo-johnson"](losses), slice(1, -1)
    expected = (bent[2:] - bent[:-2]) / (losses[2:] - losses[:-2])
    np.testing.assert_allclose(steepness("yeo-johnson", losses, bent)[step], expected, rtol=0.5)
