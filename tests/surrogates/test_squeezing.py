"""Input warps: shape, gradients, and what the evidence makes of them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.surrogates.gp import Columns, Data, Hyperparameters, Posterior, fit
from tunewell.surrogates.squeezing import Squeeze, Squeezed, evidence_of_squeeze, fit_squeeze

rng = np.random.default_rng(3)
GROUPS = np.array([0, 1, 2, 2, 2])
Z = rng.random((20, 5))
DATA = Data.of(Z, rng.standard_normal(20), Columns.of(GROUPS, GROUPS < 2))
HYPER = Hyperparameters((3.0, 0.7, 0.2), 0.6, 1.4, 0.02)
SHAPE = np.array([0.5, -0.4, -0.2, 0.7])
SQUEEZE = Squeeze(*np.exp(np.array([[0.5, -0.4, 0, 0, 0], [-0.2, 0.7, 0, 0, 0]])))

UNITS = st.lists(st.floats(0, 1), min_size=2, max_size=30)
POWERS = st.floats(-3, 3).map(np.exp)


@given(units=UNITS, a=POWERS, b=POWERS)
def test_a_squeeze_rises_from_0_to_1(units, a, b):
    squeeze = Squeeze(np.array([a]), np.array([b]))
    found = squeeze.at(np.array([0.0, *sorted(units), 1.0])[:, None])[:, 0]
    assert np.all(np.diff(found) >= 0)
    assert (found[0], found[-1]) == (0.0, 1.0)
    assert np.isfinite(squeeze.slope(np.array(units)[:, None])).all()


@given(units=UNITS)
def test_powers_of_1_change_nothing(units):
    z = np.array(units)[:, None]
    none = Squeeze(np.ones(1), np.ones(1))
    np.testing.assert_allclose(none.at(z), z, atol=1e-15)
    np.testing.assert_allclose(none.slope(z), 1.0)


def test_derivatives_are_those_of_differences():
    step = 1e-6
    numeric = (SQUEEZE.at(Z + step) - SQUEEZE.at(Z - step)) / (2 * step)
    np.testing.assert_allclose(SQUEEZE.slope(Z), numeric, rtol=1e-5)
    for place, found in enumerate(SQUEEZE.by_logs(Z)):
        factors = np.exp(np.array([[1.0 - place], [place]]) * step)
        ahead = Squeeze(SQUEEZE.a * factors[0], SQUEEZE.b * factors[1]).at(Z)
        behind = Squeeze(SQUEEZE.a / factors[0], SQUEEZE.b / factors[1]).at(Z)
        np.testing.assert_allclose(found, (ahead - behind) / (2 * step), rtol=1e-5, atol=1e-9)


def test_the_gradient_of_the_evidence_is_that_of_differences():
    logs, step = np.concatenate([HYPER.vector(), SHAPE]), 1e-5
    numeric = [
        (evidence_of_squeeze(logs + move, DATA)[0] - evidence_of_squeeze(logs - move, DATA)[0]) / (2 * step)
        for move in np.eye(len(logs)) * step
    ]
    np.testing.assert_allclose(evidence_of_squeeze(logs, DATA)[1], numeric, rtol=1e-5, atol=1e-7)


def test_options_are_not_squeezed():
    squeeze, _ = fit_squeeze(DATA, HYPER)
    np.testing.assert_array_equal(squeeze.a[2:], 1.0)
    np.testing.assert_allclose(squeeze.of_data(DATA).z[:, 2:], Z[:, 2:], atol=1e-15)


def test_the_gradient_of_a_prediction_is_that_of_differences():
    model, point, step = Squeezed(Posterior.of(SQUEEZE.of_data(DATA), HYPER), SQUEEZE), rng.random(5), 1e-5
    ahead, behind = model.predict(point + np.eye(5) * step), model.predict(point - np.eye(5) * step)
    mean, variance, slope, bend = model.predict_with_gradient(point)
    assert (mean[0], variance) == pytest.approx([float(part[0]) for part in model.predict(point[None])])
    np.testing.assert_allclose(slope[0], (ahead[0] - behind[0]) / (2 * step), rtol=1e-5, atol=1e-8)
    np.testing.assert_allclose(bend, (ahead[1] - behind[1]) / (2 * step), rtol=1e-5, atol=1e-8)


def test_a_function_that_changes_at_one_end_is_squeezed_there():
    def steep(z):
        return np.log(z[:, 0] + 0.003) + z[:, 1]

    z, new = np.random.default_rng(0).random((25, 2)), np.random.default_rng(1).random((300, 2))
    y, truth = steep(z), steep(new)
    data, start = Data.of(z, (y - y.mean()) / y.std()), Hyperparameters.start(2)
    squeeze, hyper = fit_squeeze(data, start)
    model = Squeezed(Posterior.of(squeeze.of_data(data), hyper), squeeze)
    plain = Posterior.of(data, fit(data, start))
    errors = [float(np.abs(each.predict(new)[0] * y.std() + y.mean() - truth).mean()) for each in (model, plain)]
    assert errors[0] < 0.5 * errors[1]
    assert squeeze.a[0] < 0.8
