"""The elastic net and the lasso, on the support: where the weights are not 0, the fit is a smooth system.

The fit minimizes |y - X w|^2 / (2 n) + alpha r |w|_1 + alpha (1 - r) |w|^2 / 2 with r = `l1_ratio`, as scikit-learn's
`ElasticNet` does. As long as no weight enters or leaves, F is on the support

    X'(X w - y) / n + alpha r sign(w) + alpha (1 - r) w,

and w elsewhere.

Q. Bertrand, Q. Klopfenstein, M. Massias, M. Blondel, S. Vaiter, A. Gramfort, J. Salmon: Implicit differentiation for
fast hyperparameter selection in non-smooth convex learning. JMLR 23, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.data import Data, squared_error
from tunewell.hypergradient.result import Array

_SWEEPS = 10_000
_NEAR = 1e-7
"""A feature so close to entering the support, as a share of the penalty, may be on either side of the kink."""


class ElasticNet:
    """Values: `alpha`, and `l1_ratio` in [0, 1], which may be held. Validated by the mean squared error.

    At a kink, where a weight is about to enter or leave, the gradient is doubted.
    """

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any, *, intercept: bool = True) -> None:
        self.x, self.y, self.x_held, self.y_held = Data(x, y, x_held, y_held).centred(intercept)
        self.gram, self.moment = self.x.T @ self.x / len(self.x), self.x.T @ self.y / len(self.x)

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The weights (d,): coordinate descent finds the support, a linear system the weights on it."""
        lasso, ridge = _penalties(values)
        weights = np.zeros(len(self.moment)) if start is None else np.array(start)
        diagonal = np.diag(self.gram) + ridge
        product = self.gram @ weights
        for _ in range(_SWEEPS):
            most = 0.0
            for place, scale in enumerate(diagonal):
                gap = self.moment[place] - product[place] + self.gram[place, place] * weights[place]
                fresh = np.sign(gap) * max(abs(gap) - lasso, 0.0) / max(scale, 1e-300)
                moved = fresh - weights[place]
                if moved:
                    weights[place] = fresh
                    product += self.gram[place] * moved
                    most = max(most, abs(moved) * scale)
            if most <= 1e-9 * max(lasso, 1e-300) or most <= 1e-15 * float(np.abs(self.moment).max()):
                break
        return self._exact(weights, lasso, ridge)

    def _exact(self, weights: Array, lasso: float, ridge: float) -> Array:
        """The solution on the support, where it keeps the signs."""
        inside = np.flatnonzero(weights)
        signs = np.sign(weights[inside])
        matrix = self.gram[np.ix_(inside, inside)] + ridge * np.eye(len(inside))
        exact = np.linalg.lstsq(matrix, self.moment[inside] - lasso * signs, rcond=None)[0]
        found = np.zeros_like(weights)
        found[inside] = exact
        return found if np.all(np.sign(exact) == signs) else weights

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F (d,)."""
        lasso, ridge = _penalties(values)
        inside = weights != 0
        return np.where(inside, self.gram @ weights - self.moment + lasso * np.sign(weights) + ridge * weights, 0.0)

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector (d,) to dF/dw times it: the identity off the support."""
        ridge, inside = _penalties(values)[1], weights != 0
        return lambda v: np.where(inside, self.gram @ np.where(inside, v, 0.0) + ridge * v, v)

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dh, by name."""
        alpha, share = float(values["alpha"]), float(values.get("l1_ratio", 1.0))
        lasso, ridge = float(vector @ np.sign(weights)), float(vector @ weights)
        return {"alpha": share * lasso + (1 - share) * ridge, "l1_ratio": alpha * (lasso - ridge)}

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The mean squared error on the validation rows."""
        value, towards = squared_error(self.x_held @ weights - self.y_held)
        return value, np.where(weights != 0, self.x_held.T @ towards, 0.0), {}

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Whether a feature is about to enter or to leave."""
        lasso = _penalties(values)[0]
        outside = np.flatnonzero(weights == 0)
        pull = np.abs(self.moment - self.gram @ weights)[outside]
        near = outside[pull >= (1 - _NEAR) * lasso].tolist() if lasso else []
        if not near:
            return ""
        return f"feature {near[0]} is about to enter the support, where the loss has a kink: move alpha a little"


def _penalties(values: Mapping[str, Any]) -> tuple[float, float]:
    """The weights of |w|_1 and of |w|^2 / 2."""
    alpha, share = float(values["alpha"]), float(values.get("l1_ratio", 1.0))
    return alpha * share, alpha * (1 - share)
