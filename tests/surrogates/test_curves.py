"""Extrapolated curves: the unit does not count, intervals cover, and nothing that a curve may hold breaks them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewell.surrogates.curves import LAWS, MOST, Calibration, extrapolate, summed_up

STEPS = np.arange(1.0, 21.0)
AHEAD = np.array([40.0, 200.0])


def power_law(steps, noise=0.0, seed=0):
    """Falls from 2.5 to 0.5."""
    return 0.5 + 2 * steps**-0.7 + noise * np.random.default_rng(seed).standard_normal(len(steps))


def ends(values, **given):
    return np.array(extrapolate(STEPS, values, AHEAD, **given).interval())


def test_a_power_law_is_followed():
    low, high = ends(power_law(STEPS))
    assert (low < power_law(AHEAD)).all()
    assert (power_law(AHEAD) < high).all()
    middle = extrapolate(STEPS, power_law(STEPS), AHEAD).quantile(0.5)
    assert (np.abs(middle - power_law(AHEAD)) < np.abs(power_law(STEPS)[-1] - power_law(AHEAD))).all()


def test_the_interval_is_wider_the_farther_ahead_and_the_less_was_seen():
    low, high = ends(power_law(STEPS, 0.02))
    assert high[1] - low[1] > high[0] - low[0]
    few = extrapolate(STEPS[:6], power_law(STEPS, 0.02)[:6], AHEAD).interval()
    assert few[1][1] - few[0][1] > high[1] - low[1]


@pytest.mark.parametrize("size", [1e-9, 1.0, 1e12])
@pytest.mark.parametrize("shift", [0.0, -3.0])
def test_the_units_of_loss_and_steps_do_not_count(size, shift):
    values, plain = power_law(STEPS, 0.05), ends(power_law(STEPS, 0.05))
    other = extrapolate(10 * STEPS, size * (values + shift), 10 * AHEAD).interval()
    assert np.allclose(np.array(other) / size - shift, plain, rtol=1e-6)


def test_intervals_cover_what_the_ensemble_draws():
    """Of curves from the laws themselves, no less than 80 % end in the 80 % interval: it hedges among the laws."""
    rng, steps, inside = np.random.default_rng(0), np.append(STEPS, 100.0), []
    for law in LAWS[2:6]:
        covariance = law.covariance(steps / 20, steps / 20, np.log(1 / 20) - 0.5) + np.diag(law.noises(steps / 20))
        for curve in rng.multivariate_normal(np.zeros(len(steps)), covariance, size=60):
            low, high = extrapolate(STEPS, curve[:-1], steps[-1:]).interval()
            inside.append(bool(low[0] <= curve[-1] <= high[0]))
    assert np.mean(inside) >= 0.8


def test_calibration_moves_and_stretches():
    rng = np.random.default_rng(1)
    wrong = 1 / (1 + np.exp(-(1.0 + 3.0 * rng.standard_normal(400))))
    found = Calibration.of(wrong)
    assert found.shift > 0.3
    assert found.stretch > 1.2
    assert np.mean([found.rank(0.1) < rank < found.rank(0.9) for rank in wrong]) == pytest.approx(0.8, abs=0.08)
    assert found.chance(found.rank(0.3)) == pytest.approx(0.3)


def test_without_evidence_forecasts_are_taken_as_they_are():
    assert Calibration.of(np.zeros(0)) == Calibration()
    assert abs(Calibration.of(np.array([0.999])).shift) < 0.6


def test_what_is_not_finite_is_left_out():
    values = power_law(STEPS)
    values[[3, 7]] = np.nan, np.inf
    known = np.isfinite(values)
    whole = extrapolate(STEPS[known], values[known], AHEAD).interval()
    assert np.allclose(ends(values), whole)
    assert extrapolate(STEPS, np.full(20, np.nan), AHEAD) is None


def test_a_spike_hardly_counts():
    values = power_law(STEPS, 0.01)
    values[9] = 1e19
    low, high = ends(values)
    assert low[0] < power_law(AHEAD)[0] < high[0]
    assert high[0] - low[0] < 10


def test_a_constant_curve_stays_near():
    low, high = ends(np.full(20, 0.7))
    assert (low <= 0.7).all()
    assert (high >= 0.7).all()
    assert (high - low < 0.01).all()


def test_a_single_point_has_the_width_of_the_others():
    narrow = extrapolate(STEPS[:1], np.array([1.0]), AHEAD, spread=0.1).interval()
    wide = extrapolate(STEPS[:1], np.array([1.0]), AHEAD, spread=1.0).interval()
    assert np.allclose((wide[1] - wide[0]) / (narrow[1] - narrow[0]), 10)


def test_a_long_curve_is_summed_up():
    steps = np.arange(1.0, 5001.0)
    places, _, counts = summed_up(steps, power_law(steps))
    assert len(places) <= MOST
    assert counts.sum() == 5000
    assert (np.diff(places) > 0).all()
    low, high = extrapolate(steps, power_law(steps, 0.05), np.array([20_000.0])).interval()
    assert low[0] < power_law(np.array([20_000.0]))[0] + 0.07
    assert high[0] < 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=12))
def test_any_curve_has_an_interval(values):
    steps = np.arange(1.0, len(values) + 1)
    found = extrapolate(steps, np.array(values) / 1e10, np.array([20.0]))
    if found is None:
        assert not np.isfinite(values).any()
        return
    low, high = found.interval()
    assert not np.isnan([low, high]).any()
    assert low[0] <= high[0]
    ranks = [float(found.rank(found.quantile(share))[0]) for share in (0.1, 0.5, 0.9)]
    assert ranks == sorted(ranks)
