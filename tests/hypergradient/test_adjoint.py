"""The implicit way, on every model: it is what central differences say, and knows when it is not."""

import numpy as np
import pytest

from tests.hypergradient.problems import central, regression
from tunewell.errors import GradientError
from tunewell.hypergradient import (
    ElasticNet,
    Equations,
    GaussianProcess,
    KernelMachine,
    KernelRidge,
    LinearMachine,
    Logistic,
    Ridge,
    differentiate,
    implicit,
)

X, Y, X_HELD, Y_HELD = regression()
ROWS = X, Y, X_HELD, Y_HELD
SIGNS = X, Y > 0, X_HELD, Y_HELD > 0
THREE = X, np.digitize(Y, [-2, 2]), X_HELD, np.digitize(Y_HELD, [-2, 2])
MODELS = {
    "ridge": (Ridge(*ROWS), {"alpha": 1.5}),
    "ridge by feature": (Ridge(*ROWS, intercept=False), {"alpha": np.geomspace(0.1, 10, 20)}),
    "elastic net": (ElasticNet(*ROWS), {"alpha": 0.1, "l1_ratio": 0.7}),
    "lasso": (ElasticNet(*ROWS), {"alpha": 0.3}),
    "logistic": (Logistic(*SIGNS), {"alpha": 0.5}),
    "logistic by feature": (Logistic(*SIGNS), {"alpha": np.geomspace(0.1, 10, 20)}),
    "three classes": (Logistic(*THREE), {"alpha": 0.5, "weights": np.linspace(0.5, 1.5, len(X))}),
    "machine": (LinearMachine(*SIGNS), {"alpha": 0.5}),
    "kernel machine": (KernelMachine(*SIGNS), {"C": 1.0, "length": 4.0, "scale": 1.3}),
    "kernel machine by feature": (KernelMachine(*SIGNS), {"C": 5.0, "length": np.linspace(3, 6, 20)}),
    "kernel ridge": (KernelRidge(*ROWS), {"alpha": 0.5, "length": 5.0, "scale": 1.3}),
    "kernel ridge by feature": (KernelRidge(*ROWS), {"alpha": 0.5, "length": np.linspace(3, 6, 20)}),
    "process": (GaussianProcess(X, Y), {"noise": 0.5, "length": np.linspace(3, 6, 20), "scale": 3.0}),
}


def loss_of(model):
    return lambda values: model.loss(model.solve(values), values)[0]


@pytest.mark.parametrize("name", MODELS)
def test_it_is_what_central_differences_say(name):
    model, values = MODELS[name]
    found = differentiate(model, values, check=True)
    assert (found.way, found.trusted) == ("implicit", True)
    assert found.checked < 1e-3
    for each in values:
        expected = central(loss_of(model), values, each)
        assert np.atleast_1d(found.gradient[each]) == pytest.approx(expected, rel=2e-4, abs=1e-6)


def test_ridge_is_exact():
    """Of the derivative of w = (X'X + alpha I)^-1 X'y."""
    model, alpha = Ridge(*ROWS, intercept=False), np.exp(0.3)
    found = implicit(model, {"alpha": alpha}, tolerance=1e-14)
    inverse = np.linalg.inv(X.T @ X + alpha * np.eye(20))
    weights = inverse @ X.T @ Y
    exact = -2 / len(Y_HELD) * (X_HELD @ weights - Y_HELD) @ X_HELD @ inverse @ weights
    assert found.gradient["alpha"] == pytest.approx(exact, rel=1e-10)


@pytest.mark.parametrize(("most", "digits"), [(5, 1.0), (10, 1e-1), (15, 1e-3)])
def test_the_bound_holds_the_error_of_few_products(most, digits):
    model = Ridge(*ROWS)
    exact = implicit(model, {"alpha": 1.5}, tolerance=1e-14).gradient["alpha"]
    found = implicit(model, {"alpha": 1.5}, most=most, tolerance=0.0, trust=None)
    assert abs(found.gradient["alpha"] - exact) <= max(found.bound, 1e-12)
    assert found.bound < digits


def test_the_bound_holds_the_error_of_weights_that_are_not_at_the_minimum():
    model, values = MODELS["logistic"]
    exact, best = implicit(model, values), model.solve(values)
    for size in (1e-1, 1e-2, 1e-3, 1e-5):
        near = best + size * np.random.default_rng(1).standard_normal(len(best))
        found = implicit(model, values, weights=near, trust=None)
        error = abs(found.gradient["alpha"] - exact.gradient["alpha"])
        assert 0.3 * error <= found.bound <= 30 * error + 1e-10


def test_it_refuses_far_from_the_minimum():
    model, values = MODELS["logistic"]
    with pytest.raises(GradientError, match="train closer to a minimum"):
        implicit(model, values, weights=np.zeros(21))


def test_it_refuses_where_the_curvature_is_not_positive():
    saddle = Equations(
        lambda h: np.zeros(2), lambda w, h: np.array([w[0], -w[1]]) * h["a"], lambda w, h: float(w.sum())
    )
    with pytest.raises(GradientError, match="curvature of the training loss is not positive"):
        implicit(saddle, {"a": 1.0})


def test_it_refuses_what_is_not_finite():
    broken = Equations(lambda h: np.ones(2), lambda w, h: w - 1, lambda w, h: float("nan"))
    with pytest.raises(GradientError, match="not finite"):
        implicit(broken, {"a": 1.0})


def test_a_wrong_residual_is_found_by_the_check():
    x, y, x_held, y_held = ROWS
    wrong = Equations(
        lambda h: np.linalg.solve(x.T @ x + h["a"] * np.eye(20), x.T @ y),
        lambda w, h: x.T @ (x @ w - y) + 2 * h["a"] * w,
        lambda w, h: float(np.mean((x_held @ w - y_held) ** 2)),
    )
    with pytest.raises(GradientError, match="central differences disagree"):
        implicit(wrong, {"a": 3.0}, check=True, trust=0.9)


def test_equations_of_your_own_need_no_derivatives():
    x, y, x_held, y_held = ROWS
    own = Equations(
        lambda h: np.linalg.solve(x.T @ x + h["alpha"] * np.eye(20), x.T @ y),
        lambda w, h: x.T @ (x @ w - y) + h["alpha"] * w,
        lambda w, h: float(np.mean((x_held @ w - y_held) ** 2)),
    )
    exact = implicit(Ridge(*ROWS, intercept=False), {"alpha": 1.5}).gradient["alpha"]
    assert implicit(own, {"alpha": 1.5}).gradient["alpha"] == pytest.approx(exact, rel=1e-7)


def test_equations_that_are_not_symmetric_are_refused():
    odd = Equations(lambda h: np.zeros(2), lambda w, h: np.array([w[0] + w[1], w[1]]), lambda w, h: float(w.sum()))
    with pytest.raises(GradientError, match="not symmetric"):
        implicit(odd, {"a": 1.0})


def test_values_without_a_derivative_are_held_and_named():
    found = differentiate(Ridge(*ROWS), {"alpha": 1.5, "solver": "svd", "rank": 3})
    assert found.held == ("solver", "rank")
    assert set(found.gradient) == {"alpha"}
    with pytest.raises(GradientError, match="no value has a derivative: rank=3"):
        differentiate(Ridge(*ROWS), {"rank": 3})


def test_a_kink_of_the_lasso_is_doubted():
    """The penalty at which the next feature enters."""
    first = np.abs((X - X.mean(0)).T @ (Y - Y.mean())).max() / len(Y)
    with pytest.raises(GradientError, match="about to enter"):
        differentiate(ElasticNet(*ROWS), {"alpha": float(first)})


def test_a_row_of_the_machine_that_changes_sides_is_doubted():
    """The C, between two at which other rows are free, at which the next one stops being so."""
    model = KernelMachine(*SIGNS)

    def free(c):
        weights = np.abs(model.solve({"C": c, "length": 4.0}))
        return tuple(np.flatnonzero((weights > 0) & (weights < c * (1 - 1e-12))))

    low, high = 1.0, 1.2
    assert free(low) != free(high)
    for _ in range(30):
        middle = (low + high) / 2
        low, high = (middle, high) if free(middle) == free(low) else (low, middle)
    with pytest.raises(GradientError, match="about to change sides"):
        differentiate(model, {"C": low, "length": 4.0})


def test_a_machine_without_a_row_on_the_margin_is_refused():
    x, y = np.array([[0.0], [0.1], [0.2], [0.3]]), np.array([0, 1, 0, 1])
    with pytest.raises(GradientError, match="no row lies on the margin"):
        differentiate(KernelMachine(x, y, x, y), {"C": 0.01, "length": 1.0})


def test_damping_is_said():
    found = implicit(Ridge(*ROWS), {"alpha": 1.5}, damping=1e-3)
    assert "damped" in found.biased
    assert abs(found.gradient["alpha"] - implicit(Ridge(*ROWS), {"alpha": 1.5}).gradient["alpha"]) <= found.bound


def test_neumann_agrees_with_conjugate_gradients():
    exact = implicit(Ridge(*ROWS), {"alpha": 1.5}).gradient["alpha"]
    found = implicit(Ridge(*ROWS), {"alpha": 1.5}, solver="neumann", most=200)
    assert found.gradient["alpha"] == pytest.approx(exact, rel=1e-6)


def test_bad_rows_are_refused():
    with pytest.raises(GradientError, match="shape"):
        Ridge(X, Y[:5], X_HELD, Y_HELD)
    with pytest.raises(GradientError, match="not finite"):
        Ridge(np.where(X > 2, np.nan, X), Y, X_HELD, Y_HELD)
    with pytest.raises(GradientError, match="one class"):
        Logistic(X, np.zeros(80), X_HELD, np.zeros(40))
    with pytest.raises(GradientError, match="classes"):
        LinearMachine(*THREE)
    with pytest.raises(GradientError, match="classes 0, 1, 2"):
        KernelMachine(*THREE)
