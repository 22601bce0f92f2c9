"""Estimators of scikit-learn: the same fit, and the gradient by their own names."""

import numpy as np
import pytest

from tests.hypergradient.problems import central, regression
from tunewell.errors import GradientError
from tunewell.hypergradient import differentiate, from_estimator

sklearn = pytest.importorskip("sklearn")
from sklearn.ensemble import RandomForestClassifier  # noqa: E402
from sklearn.kernel_ridge import KernelRidge  # noqa: E402
from sklearn.linear_model import ElasticNet, Lasso, LogisticRegression, Ridge  # noqa: E402
from sklearn.svm import SVC, LinearSVC  # noqa: E402

X, Y, X_HELD, Y_HELD = regression()
NUMBERS = X, Y, X_HELD, Y_HELD
SIGNS = X, Y > 0, X_HELD, Y_HELD > 0


@pytest.mark.parametrize(
    ("estimator", "values"),
    [
        (Ridge(), {"alpha": 2.0}),
        (Lasso(tol=1e-10), {"alpha": 0.2}),
        (ElasticNet(tol=1e-10), {"alpha": 0.2, "l1_ratio": 0.6}),
        (KernelRidge(kernel="rbf"), {"alpha": 0.7, "gamma": 0.02}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_regression_is_that_of_the_estimator(estimator, values):
    def loss(near):
        fitted = estimator.set_params(**near).fit(X, Y)
        return float(np.mean((fitted.predict(X_HELD) - Y_HELD) ** 2))

    found = differentiate(from_estimator(estimator, *NUMBERS), values)
    assert found.loss == pytest.approx(loss(values), rel=1e-6)
    for name in values:
        assert found.gradient[name] == pytest.approx(central(loss, values, name, 1e-4)[0], rel=1e-3)


def test_classification_is_that_of_the_estimator():
    def loss(near):
        fitted = LogisticRegression(tol=1e-10, max_iter=10_000, **near).fit(X, Y > 0)
        chance = fitted.predict_proba(X_HELD)[:, 1]
        return -float(np.mean(np.log(np.where(Y_HELD > 0, chance, 1 - chance))))

    found = differentiate(from_estimator(LogisticRegression(), *SIGNS), {"C": 2.0})
    assert found.loss == pytest.approx(loss({"C": 2.0}), rel=1e-5)
    assert found.gradient["C"] == pytest.approx(central(loss, {"C": 2.0}, "C", 1e-3)[0], rel=1e-2)
    assert differentiate(from_estimator(LinearSVC(), *SIGNS), {"C": 2.0}, check=True).checked < 1e-3


@pytest.mark.parametrize("settings", [{"C": 0.7, "gamma": 0.03}, {"C": 2.0}, {"gamma": 0.05}], ids=str)
def test_the_kernel_machine_is_that_of_the_estimator(settings):
    given = {"C": 1.0, "gamma": "scale", **settings}

    def loss(near):  # with a kernel in single precision: the differences are long
        fitted = SVC(**{**given, **near}, tol=1e-10).fit(X, Y > 0)
        slack = np.maximum(0.0, 1 - np.where(Y_HELD > 0, 1, -1) * fitted.decision_function(X_HELD))
        return float(np.mean(slack**2))

    found = differentiate(from_estimator(SVC(**given), *SIGNS), settings)
    assert found.loss == pytest.approx(loss(settings), rel=1e-6)
    for name in settings:
        assert found.gradient[name] == pytest.approx(central(loss, settings, name, 1e-3)[0], rel=5e-3)


def test_what_has_no_gradient_is_refused_with_a_reason():
    with pytest.raises(GradientError, match="no gradient through RandomForestClassifier"):
        from_estimator(RandomForestClassifier(), *SIGNS)
    with pytest.raises(GradientError, match="kernel='poly'"):
        from_estimator(SVC(kernel="poly"), *SIGNS)
    with pytest.raises(GradientError, match="loss='hinge'"):
        from_estimator(LinearSVC(loss="hinge"), *SIGNS)
    with pytest.raises(GradientError, match="no gradient by tol"):
        differentiate(from_estimator(Ridge(), *NUMBERS), {"tol": 1e-3})
