"""A model of your own: how to solve it, the equations that the solution satisfies, and the loss.

What is not given as a function is taken by central differences of what is, which costs calls of `residual` and `loss`
and no solutions: about ten digits in double precision.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tunewell.errors import GradientError
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.result import Array

Values = Mapping[str, Any]

_STEP = float(np.finfo(float).eps) ** (1 / 3)


class Equations:
    """`solve(values) -> w` (p,), `residual(w, values)` (p,), which is 0 there, and the validation `loss(w, values)`.

    `product(w, values, v)` is dF/dw v, `mixed(w, values, v)` is v' dF/dh by name, `slope(w, values)` the gradient of
    the loss by w. dF/dw has to be symmetric, as it is where F is the gradient of a training loss by w; that is tried at
    the first use. Raises GradientError where it is not, or the solution leaves the equations unsolved.
    """

    def __init__(
        self,
        solve: Callable[[Values], Any],
        residual: Callable[[Array, Values], Any],
        loss: Callable[[Array, Values], float],
        *,
        product: Callable[[Array, Values, Array], Any] | None = None,
        mixed: Callable[[Array, Values, Array], Values] | None = None,
        slope: Callable[[Array, Values], Any] | None = None,
    ) -> None:
        self._solve, self._residual, self._loss = solve, residual, loss
        self._product, self._mixed, self._slope = product, mixed, slope
        self._tried = False

    def solve(self, values: Values, start: Any = None) -> Array:
        """What `solve` answers, as one vector of floats."""
        weights = np.asarray(self._solve(values), dtype=float)
        if weights.ndim != 1:
            raise GradientError(f"solve() answered weights of shape {weights.shape}", hint="Return one vector (p,).")
        return weights

    def residual(self, weights: Array, values: Values) -> Array:
        """F (p,)."""
        found = np.asarray(self._residual(weights, values), dtype=float)
        if found.shape != weights.shape:
            told = f"the residual has shape {found.shape}, the weights {weights.shape}"
            raise GradientError(told, hint="One equation for each weight: the gradient of the training loss.")
        return found

    def curvature(self, weights: Array, values: Values) -> Product:
        """A vector (p,) to dF/dw times it."""

        def product(vector: Array) -> Array:
            if self._product is not None:
                return np.asarray(self._product(weights, values, vector), dtype=float)
            found: Array = _along(lambda w: self.residual(w, values), weights, vector)
            return found

        self._try_symmetry(product, len(weights))
        return product

    def _try_symmetry(self, product: Product, size: int) -> None:
        if self._tried:
            return
        left, right = np.random.default_rng(0).standard_normal((2, size))
        there, back = float(left @ product(right)), float(right @ product(left))
        if abs(there - back) > 1e-5 * max(abs(there), abs(back), 1e-300):
            told = f"dF/dw is not symmetric: u'Jv = {there:.6g}, v'Ju = {back:.6g}"
            raise GradientError(told, hint="Write F as the gradient of the training loss by the weights.")
        self._tried = True

    def mixed(self, weights: Array, values: Values, vector: Array) -> dict[str, Any]:
        """A vector v (p,) to v' dF/dh, by name."""
        if self._mixed is not None:
            return dict(self._mixed(weights, values, vector))
        return _by_values(lambda near: float(vector @ self.residual(weights, near)), values)

    def loss(self, weights: Array, values: Values) -> tuple[float, Array, dict[str, Any]]:
        """The validation loss and its gradients by the weights and by the values."""
        value = float(self._loss(weights, values))
        if self._slope is not None:
            slope = np.asarray(self._slope(weights, values), dtype=float)
        else:
            units = np.eye(len(weights))
            slope = np.array([_along(lambda w: float(self._loss(w, values)), weights, unit) for unit in units])
        return value, slope, _by_values(lambda near: float(self._loss(weights, near)), values)

    def doubt(self, weights: Array, values: Values) -> str:
        """Nothing is known of where F has kinks."""
        return ""


def _along(function: Callable[[Array], Any], point: Array, vector: Array) -> Any:
    """The derivative of a function along a vector, by central differences."""
    size = float(np.linalg.norm(vector))
    step = _STEP * max(1.0, float(np.linalg.norm(point))) / max(size, 1e-300)
    return (function(point + step * vector) - function(point - step * vector)) / (2 * step)


def _by_values(function: Callable[[Values], float], values: Values) -> dict[str, Any]:
    """The derivative of a function by each float among the values, by central differences."""
    layout = Layout(values)
    centre = layout.flat(values)
    steps = _STEP * np.where(centre == 0, 1.0, np.abs(centre))
    found = [
        (function(layout.whole(centre + move)) - function(layout.whole(centre - move))) / (2 * step)
        for move, step in zip(np.diag(steps), steps)
    ]
    return layout.plain(np.array(found))
