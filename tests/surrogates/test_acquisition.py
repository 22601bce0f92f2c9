"""Logarithms of improvements: reference values, tails and gradients."""

import numpy as np
import pytest

from tunewell.surrogates.acquisition import log_below, log_expected_improvement, log_h, slopes

# log(φ(z) + z Φ(z)), made with mpmath at 50 digits.
REFERENCE = {
    3.0: 1.09873966532771,
    0.0: -0.918938533204673,
    -1.0: -2.48512102571264,
    -5.0: -16.744301162661,
    -10.0: -55.5531220361224,
    -25.0: -319.861463581496,
    -40.0: -808.29856835662,
    -100.0: -5010.12957880025,
    -1000.0: -500014.734452091,
}


def test_the_reference_values_to_nine_digits():
    np.testing.assert_allclose(log_h(np.array(list(REFERENCE))), list(REFERENCE.values()), rtol=1e-9)


def test_it_rises_everywhere_across_its_branches():
    z = np.concatenate([np.linspace(-30, -20, 4001), np.linspace(-1.1, -0.9, 2001), np.linspace(-1e6, 10, 1001)])
    assert np.all(np.diff(log_h(np.sort(z))[np.diff(np.sort(z), prepend=-np.inf) > 0]) > 0)


def test_the_slope_is_its_derivative():
    z = np.array([-60.0, -24.0, -5.0, -1.0, 0.0, 2.0])
    numeric = (log_h(z + 1e-5) - log_h(z - 1e-5)) / 2e-5
    np.testing.assert_allclose(slopes(z), numeric, rtol=1e-5)


def test_the_improvement_is_that_of_a_simulation():
    draws = 0.4 + 0.5 * np.random.default_rng(0).standard_normal(400_000)
    expected = np.log(np.maximum(0.2 - draws, 0).mean())
    found = log_expected_improvement(np.array(0.4), np.array(0.5), 0.2)
    assert found == pytest.approx(expected, abs=0.01)


def test_the_probability_to_stay_below_a_bound():
    assert np.exp(log_below(np.array(1.0), np.array(2.0), 1.0)) == pytest.approx(0.5)
    assert np.isfinite(log_below(np.array(1e3), np.array(1.0), 0.0))
