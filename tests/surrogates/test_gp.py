"""Gaussian processes: gradients, exactness of predictions, and points that are added."""

from dataclasses import replace

import numpy as np
import pytest

from tunewell.surrogates.gp import FLOOR, Columns, Data, Hyperparameters, Posterior, Prior, evidence, fit
from tunewell.surrogates.kernels import correlation, squared_distances

rng = np.random.default_rng(3)
GROUPS = np.array([0, 1, 2, 2, 2, 3])
COLUMNS = Columns.of(GROUPS, GROUPS < 2)
Z = rng.random((24, 6))
Y = np.sin(5 * Z[:, 0]) + Z[:, 1] ** 2 + 0.1 * rng.standard_normal(24)
DATA = Data(Z, (Y - Y.mean()) / Y.std(), COLUMNS, np.where(np.arange(24) < 5, 0.1, 0.0), 1.0 + (np.arange(24) % 3))
HYPER = Hyperparameters((3.0, 0.7, 0.2, 0.5), 0.6, 1.4, 0.02)


@pytest.mark.parametrize("prior", [None, Prior()])
def test_the_gradient_of_the_evidence_is_that_of_differences(prior):
    logs, step = HYPER.vector() + 0.1, 1e-5
    numeric = [
        (evidence(logs + move, DATA, prior)[0] - evidence(logs - move, DATA, prior)[0]) / (2 * step)
        for move in np.eye(len(logs)) * step
    ]
    np.testing.assert_allclose(evidence(logs, DATA, prior)[1], numeric, rtol=1e-5, atol=1e-7)


def matrix(data: Data, hyper: Hyperparameters) -> np.ndarray:
    """The covariance of the values, written down as in the book."""
    widths = np.sqrt(np.array(hyper.inverse))[data.columns.groups]
    shared = hyper.scale * correlation(squared_distances(data.z * widths, data.z * widths))
    trend = hyper.trend * data.columns.features(data.z) @ data.columns.features(data.z).T
    return shared + trend + np.diag(hyper.noise / data.counts + data.variances + FLOOR)


def test_the_evidence_is_the_density_of_a_normal_distribution():
    covariance = matrix(DATA, HYPER)
    sign, size = np.linalg.slogdet(covariance)
    expected = -0.5 * DATA.y @ np.linalg.solve(covariance, DATA.y) - 0.5 * size
    assert sign > 0
    assert evidence(HYPER.vector(), DATA)[0] == pytest.approx(expected, rel=1e-9)


def test_predictions_are_those_of_the_book():
    posterior, new = Posterior.of(DATA, HYPER), rng.random((9, 6))
    widths = np.sqrt(np.array(HYPER.inverse))[GROUPS]
    features, trend = COLUMNS.features(new), COLUMNS.features(Z)
    shared = HYPER.scale * correlation(squared_distances(new * widths, Z * widths)) + HYPER.trend * features @ trend.T
    alone = HYPER.scale + HYPER.trend * (features**2).sum(1)
    solved = np.linalg.solve(matrix(DATA, HYPER), shared.T)
    mean, variance = posterior.predict(new)
    np.testing.assert_allclose(mean, solved.T @ DATA.y, rtol=1e-8)
    np.testing.assert_allclose(variance, alone - np.einsum("ij,ji->i", shared, solved), rtol=1e-7)
    np.testing.assert_allclose(np.diag(posterior.covariance(new)), variance, rtol=1e-6)


def test_the_gradient_of_a_prediction_is_that_of_differences():
    posterior, point, step = Posterior.of(DATA, HYPER), rng.random(6), 1e-5
    moves = np.eye(6) * step
    ahead, behind = posterior.predict(point + moves), posterior.predict(point - moves)
    mean, variance, slope, bend = posterior.predict_with_gradient(point)
    assert (mean[0], variance) == pytest.approx([float(part[0]) for part in posterior.predict(point[None])])
    np.testing.assert_allclose(slope[0], (ahead[0] - behind[0]) / (2 * step), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(bend, (ahead[1] - behind[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_points_that_are_added_count_as_if_they_had_always_been_there():
    added, values = rng.random((3, 6)), rng.standard_normal((4, 3))
    grown = Posterior.of(DATA, HYPER).extended(added, values)
    exact = np.full(3, 1e-4 - HYPER.noise - FLOOR)
    together = replace(
        DATA,
        z=np.vstack([Z, added]),
        y=np.concatenate([DATA.y, values[2]]),
        variances=np.concatenate([DATA.variances, exact]),
        counts=np.concatenate([DATA.counts, np.ones(3)]),
    )
    new = rng.random((6, 6))
    expected = Posterior.of(together, HYPER).predict(new)
    found = grown.predict(new)
    np.testing.assert_allclose(found[0][2], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-9)


def test_a_fit_finds_what_matters_and_the_noise():
    z = np.random.default_rng(0).random((80, 3))
    truth = np.sin(6 * z[:, 0])
    y = truth + 0.3 * np.random.default_rng(1).standard_normal(80)
    y = (y - y.mean()) / y.std()
    hyper = fit(Data.of(z, y), Hyperparameters.start(3))
    assert hyper.inverse[0] > 10 * max(hyper.inverse[1:])
    assert 0.3**2 / y.var() / 2 < hyper.noise < 0.6
    again = fit(Data.of(z, y), hyper)
    assert evidence(again.vector(), Data.of(z, y), Prior())[0] >= evidence(hyper.vector(), Data.of(z, y), Prior())[0]


@pytest.mark.parametrize("values", [np.zeros(6), np.array([0.0, 0, 0, 0, 0, 1.0])])
def test_equal_points_and_constant_values_are_no_trouble(values):
    data = Data.of(np.zeros((6, 2)), values)
    mean, variance = Posterior.of(data, fit(data, Hyperparameters.start(2))).predict(np.zeros((1, 2)))
    assert np.isfinite(mean).all()
    assert (variance > 0).all()
