"""Models of a kernel: kernel ridge regression, and the likelihood of a Gaussian process.

Both solve (K + c I) a = y for the coefficients a, with K_ij = s exp(-sum_k (x_ik - x_jk)^2 / (2 l_k^2)).

C. E. Rasmussen, C. K. I. Williams: Gaussian processes for machine learning. MIT Press, 2006, equation 5.8.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.data import Data, squared_error
from tunewell.hypergradient.result import Array


class Gaussian:
    """The kernel matrix, and the derivative of u' K v by its hyperparameters.

    Values: `length`, a float or an array (d,); `scale`, the s above, 1 where it is left out.
    """

    def matrix(self, values: Mapping[str, Any], left: Array, right: Array) -> Array:
        """K (n, k) of points (n, d) and (k, d)."""
        scaled = [part / np.asarray(values["length"], dtype=float) for part in (left, right)]
        squares = [np.sum(part**2, axis=1) for part in scaled]
        far = squares[0][:, None] + squares[1] - 2 * scaled[0] @ scaled[1].T
        found: Array = float(values.get("scale", 1.0)) * np.exp(-0.5 * np.maximum(far, 0.0))
        return found

    def slopes(self, values: Mapping[str, Any], left: Array, right: Array, weights: Array) -> dict[str, Any]:
        """The derivatives of the sum of `weights` (n, k) times K (n, k), by name."""
        length = np.asarray(values["length"], dtype=float)
        heavy = weights * self.matrix(values, left, right)
        rows, columns = heavy.sum(1), heavy.sum(0)
        # sum_ij h_ij (x_ik - x_jk)^2, without an array of n times k times d
        spread = rows @ left**2 + columns @ right**2 - 2 * np.sum(left * (heavy @ right), axis=0)
        by_length = spread / length**3
        found: dict[str, Any] = {"length": by_length if length.ndim else float(by_length.sum())}
        return {**found, "scale": float(heavy.sum()) / float(values.get("scale", 1.0))}


class Kernel(Gaussian):
    """What the two share."""

    ridge: str

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any, *, intercept: bool = True) -> None:
        data = Data(x, y, x_held, y_held)
        level = data.y.mean() if intercept else 0.0
        self.x, self.x_held, self.y, self.y_held = data.x, data.x_held, data.y - level, data.y_held - level

    def system(self, values: Mapping[str, Any]) -> Array:
        """K + c I of the training rows."""
        return self.matrix(values, self.x, self.x) + float(values[self.ridge]) * np.eye(len(self.x))

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The coefficients (n,)."""
        found: Array = np.linalg.solve(self.system(values), self.y)
        return found

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F = (K + c I) a - y."""
        return self.system(values) @ weights - self.y

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector (n,) to (K + c I) times it."""
        system = self.system(values)
        return lambda vector: system @ vector

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dh, by name."""
        found = self.slopes(values, self.x, self.x, np.outer(vector, weights))
        return {**found, self.ridge: float(vector @ weights)}

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Smooth everywhere."""
        return ""


class KernelRidge(Kernel):
    """Kernel ridge regression. Values: `alpha`, the c above; `length`; `scale`. Validated by the mean squared error.

    scikit-learn's `KernelRidge(kernel="rbf", gamma=g)` has `length` = 1 / sqrt(2 g), and no intercept.
    """

    ridge = "alpha"

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The mean squared error on the validation rows."""
        across = self.matrix(values, self.x_held, self.x)
        value, towards = squared_error(across @ weights - self.y_held)
        return value, across.T @ towards, self.slopes(values, self.x_held, self.x, np.outer(towards, weights))


class GaussianProcess(Kernel):
    """The negative log marginal likelihood of a Gaussian process, per row. Values: `length`; `noise`, the c; `scale`.

    It needs no validation rows: the training rows are judged as they are. Equation 5.8 is y'a / 2 + log|K + c I| / 2 +
    n log(2 pi) / 2 with the solution a.
    """

    ridge = "noise"

    def __init__(self, x: Any, y: Any, *, intercept: bool = True) -> None:
        super().__init__(x, y, x, y, intercept=intercept)

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The negative log marginal likelihood over the number of rows."""
        count = len(self.x)
        factor = np.linalg.cholesky(self.system(values))
        inverse = np.linalg.inv(self.system(values))
        determinant = 2 * float(np.log(np.diag(factor)).sum())
        value = 0.5 * (float(self.y @ weights) + determinant + count * np.log(2 * np.pi))
        direct = self.slopes(values, self.x, self.x, 0.5 * inverse / count)
        direct[self.ridge] = 0.5 * float(np.trace(inverse)) / count
        return value / count, 0.5 * self.y / count, direct
