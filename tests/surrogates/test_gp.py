"""Gaussian processes: gradients, exactness of predictions, and points that are added."""

from dataclasses import replace

import numpy as np
import pytest

from tunewell.surrogates.gp import FLOOR, Columns, Data, Hyperparameters, Posterior, Prior, evidence, fit, fit_believed
from tunewell.surrogates.kernels import correlation, squared_distances

rng = np.random.default_rng(3)
GROUPS = np.array([0, 1, 2, 2, 2, 3])
COLUMNS = Columns.of(GROUPS, GROUPS < 2)
Z = rng.random((24, 6))
Y = np.sin(5 * Z[:, 0]) + Z[:, 1] ** 2 + 0.1 * rng.standard_normal(24)
DATA = Data(Z, (Y - Y.mean()) / Y.std(), COLUMNS, np.where(np.arange(24) < 5, 0.1, 0.0), 1.0 + (np.arange(24) % 3))
HYPER = Hyperparameters((3.0, 0.7, 0.2, 0.5), 0.6, 1.4, 0.02, 0.3)
DERIVED = DATA.with_derivatives(np.array([3, 3, 7, 20, 21]), np.array([0, 1, 1, 0, 0]), rng.standard_normal(5))


@pytest.mark.parametrize("data", [DATA, DERIVED], ids=["values", "derivatives"])
@pytest.mark.parametrize("prior", [None, Prior()])
def test_the_gradient_of_the_evidence_is_that_of_differences(prior, data):
    logs, step = HYPER.vector() + 0.1, 1e-5
    numeric = [
        (evidence(logs + move, data, prior)[0] - evidence(logs - move, data, prior)[0]) / (2 * step)
        for move in np.eye(len(logs)) * step
    ]
    np.testing.assert_allclose(evidence(logs, data, prior)[1], numeric, rtol=1e-5, atol=1e-7)


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


@pytest.mark.parametrize("data", [DATA, DERIVED], ids=["values", "derivatives"])
def test_the_gradient_of_a_prediction_is_that_of_differences(data):
    posterior, point, step = Posterior.of(data, HYPER), rng.random(6), 1e-5
    moves = np.eye(6) * step
    ahead, behind = posterior.predict(point + moves), posterior.predict(point - moves)
    mean, variance, slope, bend = posterior.predict_with_gradient(point)
    assert (mean[0], variance) == pytest.approx([float(part[0]) for part in posterior.predict(point[None])])
    np.testing.assert_allclose(slope[0], (ahead[0] - behind[0]) / (2 * step), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(bend, (ahead[1] - behind[1]) / (2 * step), rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("data", [DATA, DERIVED], ids=["values", "derivatives"])
def test_points_that_are_added_count_as_if_they_had_always_been_there(data):
    added, values = rng.random((3, 6)), rng.standard_normal((4, 3))
    grown = Posterior.of(data, HYPER).extended(added, values)
    exact = np.full(3, 1e-4 - HYPER.noise - FLOOR)
    together = replace(
        data,
        z=np.vstack([data.z, added]),
        y=np.concatenate([data.y, values[2]]),
        variances=np.concatenate([data.variances, exact]),
        counts=np.concatenate([data.counts, np.ones(3)]),
        along=None if data.along is None else np.concatenate([data.along, [-1, -1, -1]]),
    )
    new = rng.random((6, 6))
    expected = Posterior.of(together, HYPER).predict(new)
    found = grown.predict(new)
    np.testing.assert_allclose(found[0][2], expected[0], atol=1e-9)
    np.testing.assert_allclose(found[1], expected[1], atol=1e-9)


def test_derivatives_are_rows_of_the_data_and_parts_keep_them():
    assert (DERIVED.along[:24] == -1).all()
    part = DERIVED.part(np.array([3, 24, 26]))
    np.testing.assert_array_equal(part.along, [-1, 0, 1])
    np.testing.assert_array_equal(part.z, Z[[3, 3, 7]])
    np.testing.assert_array_equal(part.counts, DATA.counts[[3, 3, 7]])
    assert DATA.with_derivatives(*np.zeros((2, 0), dtype=int), np.zeros(0)).along is None


def wave(z):
    """A function and its gradient."""
    inside = z @ np.array([3.0, -2.0, 1.0])
    return np.sin(inside), np.cos(inside)[:, None] * np.array([3.0, -2.0, 1.0])


def with_gradients(count, change=lambda slopes: slopes):
    """Values of the wave and all of its gradients, changed."""
    z = np.random.default_rng(4).random((count, 3))
    values, slopes = wave(z)
    places, along = np.divmod(np.arange(3 * count), 3)
    return Data.of(z, values).with_derivatives(places, along, change(slopes).ravel())


def error(data, hyper):
    new = np.random.default_rng(5).random((200, 3))
    return float(np.sqrt(np.mean((Posterior.of(data, hyper).predict(new)[0] - wave(new)[0]) ** 2)))


@pytest.mark.parametrize("count", [6, 12, 24])
def test_gradients_tell_what_values_do_not(count):
    data = with_gradients(count)
    believed, hyper = fit_believed(data, Hyperparameters.start(3))
    assert believed is data
    assert error(believed, hyper) < 0.5 * error(data.values(), fit(data.values(), Hyperparameters.start(3)))


def test_the_noise_of_gradients_is_inferred():
    noisy = with_gradients(24, lambda slopes: slopes + 0.4 * np.random.default_rng(6).standard_normal(slopes.shape))
    believed, hyper = fit_believed(noisy, Hyperparameters.start(3))
    assert believed is noisy
    assert 0.4**2 / 2 < hyper.derivatives < 0.4**2 * 2
    assert hyper.noise < 1e-2


@pytest.mark.parametrize("factor", [-1.0, 0.0, 0.3, 30.0])
def test_gradients_that_contradict_the_values_are_dropped(factor):
    data = with_gradients(24, lambda slopes: factor * slopes)
    believed, hyper = fit_believed(data, Hyperparameters.start(3))
    assert believed.along is None
    assert hyper == fit(data.values(), Hyperparameters.start(3))


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
