"""Ridge regression: one penalty, or one for each feature.

The fit minimizes |y - X w|^2 + sum_j alpha_j w_j^2, as scikit-learn's `Ridge` does: F = X'(X w - y) + alpha w.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.data import Data, squared_error
from tunewell.hypergradient.result import Array


class Ridge:
    """Values: `alpha`, a float or an array (d,). Validated by the mean squared error."""

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any, *, intercept: bool = True) -> None:
        self.x, self.y, self.x_held, self.y_held = Data(x, y, x_held, y_held).centred(intercept)
        self.gram: Array = self.x.T @ self.x
        self.moment: Array = self.x.T @ self.y

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The weights (d,), by one factorization."""
        return np.asarray(np.linalg.solve(self.gram + np.diag(self._penalties(values)), self.moment))

    def _penalties(self, values: Mapping[str, Any]) -> Array:
        return np.broadcast_to(np.asarray(values["alpha"], dtype=float), self.moment.shape)

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F (d,)."""
        return self.gram @ weights - self.moment + self._penalties(values) * weights

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector (d,) to (X'X + diag(alpha)) times it."""
        matrix = self.gram + np.diag(self._penalties(values))
        return lambda vector: matrix @ vector

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dalpha."""
        by_feature = vector * weights
        return {"alpha": by_feature if np.ndim(values["alpha"]) else float(by_feature.sum())}

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The mean squared error on the validation rows."""
        value, towards = squared_error(self.x_held @ weights - self.y_held)
        return value, self.x_held.T @ towards, {}

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Smooth everywhere."""
        return ""
