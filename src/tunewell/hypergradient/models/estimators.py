"""Estimators of scikit-learn as models here, by what they are and how they are set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tunewell.errors import GradientError
from tunewell.hypergradient.inner import Inner
from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.elastic import ElasticNet
from tunewell.hypergradient.models.kernel import KernelRidge
from tunewell.hypergradient.models.logistic import LinearMachine, Logistic
from tunewell.hypergradient.models.machine import KernelMachine
from tunewell.hypergradient.models.ridge import Ridge
from tunewell.hypergradient.result import Array


@dataclass(frozen=True)
class Renamed:
    """A model under the names of another library: `names` maps a value here to the model's name, and how the model's
    value comes of it: "same", "inverse" (1 / v) or "width" (1 / sqrt(2 v)). `fixed` are values of the model's own.
    """

    inner: Inner
    names: Mapping[str, tuple[str, str]]
    fixed: Mapping[str, Any]

    def _values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(values) - set(self.names)
        if unknown:
            told = f"no gradient by {', '.join(sorted(unknown))}"
            raise GradientError(told, hint=f"There is one by {', '.join(self.names)}.")
        mapped = {self.names[name][0]: _forms(self.names[name][1], values[name])[0] for name in values}
        return {**self.fixed, **mapped}

    def _back(self, values: Mapping[str, Any], parts: Mapping[str, Any]) -> dict[str, Any]:
        named = {name: self.names[name] for name in values}
        return {
            name: parts[theirs] * _forms(form, values[name])[1]
            for name, (theirs, form) in named.items()
            if theirs in parts
        }

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The weights."""
        found: Array = self.inner.solve(self._values(values), start)
        return found

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F."""
        found: Array = self.inner.residual(weights, self._values(values))
        return found

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector to dF/dw times it."""
        return self.inner.curvature(weights, self._values(values))

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dh, by name."""
        return self._back(values, self.inner.mixed(weights, self._values(values), vector))

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The validation loss and its gradients."""
        value, slope, direct = self.inner.loss(weights, self._values(values))
        return value, slope, self._back(values, direct)

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """What the model says."""
        return self.inner.doubt(weights, self._values(values))


def _forms(form: str, value: Any) -> tuple[Any, Any]:
    """The model's value, and its derivative by the one here."""
    if form == "inverse":
        return 1 / value, -1 / value**2
    if form == "width":
        return 1 / math.sqrt(2 * value), -1 / (2 * value * math.sqrt(2 * value))
    return value, 1.0


def from_estimator(estimator: Any, x: Any, y: Any, x_held: Any, y_held: Any) -> Renamed:
    """The model of a scikit-learn estimator, fitted to rows (x, y) and validated on (x_held, y_held).

    `Ridge`, `Lasso`, `ElasticNet`, `LogisticRegression` (l2), `LinearSVC` (squared hinge), `SVC` and `KernelRidge`
    (rbf). Its values have the estimator's own names: alpha, l1_ratio, C, gamma. What is not among the values is as the
    estimator has it. Nothing of scikit-learn is imported. Raises GradientError for others, with the reason.
    """
    kind, settings, rows = type(estimator).__name__, estimator.get_params(), (x, y, x_held, y_held)
    intercept = bool(settings.get("fit_intercept", True))
    _check(kind, settings)
    alpha = {"alpha": ("alpha", "same")}
    if kind == "Ridge":
        return Renamed(Ridge(*rows, intercept=intercept), alpha, {"alpha": settings["alpha"]})
    if kind in ("Lasso", "ElasticNet"):
        fixed = {"alpha": settings["alpha"], "l1_ratio": settings.get("l1_ratio", 1.0)}
        return Renamed(ElasticNet(*rows, intercept=intercept), {**alpha, "l1_ratio": ("l1_ratio", "same")}, fixed)
    if kind == "KernelRidge":
        fixed = {"alpha": settings["alpha"], "length": 1 / math.sqrt(2 * (settings["gamma"] or 1 / len(x[0])))}
        names = {**alpha, "gamma": ("length", "width")}
        return Renamed(KernelRidge(*rows, intercept=False), names, fixed)
    if kind == "SVC":
        fixed = {"C": settings["C"], "length": 1 / math.sqrt(2 * _gamma(settings["gamma"], x))}
        return Renamed(KernelMachine(*rows), {"C": ("C", "same"), "gamma": ("length", "width")}, fixed)
    model = Logistic(*rows) if kind == "LogisticRegression" else LinearMachine(*rows)
    return Renamed(model, {"C": ("alpha", "inverse")}, {"alpha": 1 / settings["C"]})


def _gamma(gamma: float | str, x: Any) -> float:
    """The number that `SVC` makes of its setting."""
    if isinstance(gamma, str):
        return 1 / (len(x[0]) * (float(np.var(x)) if gamma == "scale" else 1.0))
    return gamma


def _check(kind: str, settings: Mapping[str, Any]) -> None:
    needs: dict[str, dict[str, Any]] = {
        "Ridge": {"positive": False},
        "Lasso": {"positive": False},
        "ElasticNet": {"positive": False},
        "KernelRidge": {"kernel": "rbf"},
        "LogisticRegression": {"fit_intercept": True, "class_weight": None},
        "SVC": {"kernel": "rbf", "class_weight": None},
        "LinearSVC": {"loss": "squared_hinge", "penalty": "l2", "class_weight": None, "multi_class": "ovr"},
    }
    if kind not in needs:
        told = f"no gradient through {kind}"
        raise GradientError(told, hint=f"There is one through {', '.join(needs)}; or write Equations of your own.")
    for name, wanted in needs[kind].items():
        if settings.get(name, wanted) != wanted:
            told = f"no gradient through {kind} with {name}={settings[name]!r}"
            raise GradientError(told, hint=f"Set {name}={wanted!r}, or write Equations of your own.")
