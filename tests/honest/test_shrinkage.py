"""Estimates with luck taken out."""

import numpy as np
import pytest

from tunewell.honest.shrinkage import noise_of_curves, noise_of_replicates, shrink


def test_replicates_tell_the_noise():
    rng = np.random.default_rng(0)
    groups = [list(centre + rng.normal(0, 0.5, 3)) for centre in range(400)]
    assert noise_of_replicates(groups) == pytest.approx(0.5, rel=0.1)
    assert noise_of_replicates([[1.0], [2.0]]) is None


def test_the_jitter_of_a_curve_is_measured_about_its_trend():
    rng = np.random.default_rng(0)
    at = np.arange(60)
    curves = [list(np.exp(-at / 30) + rng.normal(0, 0.01, 60)) for _ in range(50)]
    assert noise_of_curves(curves) == pytest.approx(0.01, rel=0.15)
    assert noise_of_curves([[1.0, 2.0]]) is None


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_estimate_of_the_winner_is_hardly_biased_where_the_raw_best_is(noise):
    raw, shrunk, covered = [], [], []
    for seed in range(400):
        rng = np.random.default_rng(seed)
        truth = rng.normal(0, 1, 100)
        measured = truth + rng.normal(0, noise, 100)
        estimates, errors = shrink(measured, np.ones(100), noise)
        winner = int(np.argmin(estimates))
        raw.append(measured[winner] - truth[winner])
        shrunk.append(estimates[winner] - truth[winner])
        covered.append(abs(shrunk[-1]) <= 1.96 * errors[winner])
    assert abs(np.mean(shrunk)) < 0.5 * abs(np.mean(raw))
    assert np.mean(covered) > 0.75


def test_without_noise_the_measurements_stand():
    estimates, errors = shrink([1.0, 2.0], [1, 1], None)
    assert list(estimates) == [1.0, 2.0]
    assert errors is None


def test_an_interval_is_never_empty_where_there_is_noise():
    _, errors = shrink([1.0, 1.0, 1.0], [1, 1, 1], 0.5)
    assert (errors > 0).all()
