"""The support vector machine with the hinge and a kernel: smooth as long as no row changes sides.

The fit minimizes b'K b / 2 - sum_i y_i b_i over 0 <= y_i b_i <= C with sum_i b_i = 0, as scikit-learn's `SVC` does; y
are -1 and 1. Rows are free (between the ends, on the margin), bound (b_i = C y_i) or idle (b_i = 0). While each keeps
its side, the free ones S solve, with P b = b - mean(b) and the mean m that the bound ones B leave them,

    P (K_SS (P b_S + m) + C K_SB y_B - y_S) + s mean(b_S - m) = 0,    m = -C sum(y_B) / |S|,

whose derivative P K_SS P + s 1 1' / |S| is positive; any s > 0 will do.

R.-E. Fan, P.-H. Chen, C.-J. Lin: Working set selection using second order information for training support vector
machines. JMLR 6, 2005 (WSS 2, which finds the sides).
O. Chapelle, V. Vapnik, O. Bousquet, S. Mukherjee: Choosing multiple parameters for support vector machines. Machine
Learning 46, 2002.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from tunewell.errors import GradientError
from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.data import Data
from tunewell.hypergradient.models.kernel import Gaussian
from tunewell.hypergradient.result import Array

_PAIRS = 100_000
_CLOSE = 1e-10
"""The largest violation of the optimality conditions that is none."""

_NEAR = 1e-6
"""A row so close to changing sides, as a share of C or of the margin, may be on either side of the kink."""


class Sides(NamedTuple):
    """Which rows are free and which bound, each (n,)."""

    free: Any
    bound: Any


class KernelMachine(Gaussian):
    """Of two classes. Values: `C`; `length`, a float or an array (d,); `scale`. Weights are the b above, (n,).

    Validated by the mean squared hinge. Where a row is about to change sides the gradient is doubted. Raises
    GradientError for more classes, and where no row is free, so that the intercept is anything in an interval.
    """

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any) -> None:
        data = Data(x, y, x_held, y_held)
        self.x, self.x_held = data.x, data.x_held
        classes = np.unique(data.y)
        if len(classes) != 2 or not np.all(np.isin(data.y_held, classes)):
            told = f"a support vector machine of the classes {', '.join(map(str, classes))} in the training rows"
            raise GradientError(told, hint="Two classes, and none but these among the validation rows.")
        self.y, self.y_held = (np.where(part == classes[1], 1.0, -1.0) for part in (data.y, data.y_held))

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The weights (n,): pairs of rows are improved until the sides are found, then a linear system is solved."""
        kernel, most = self.matrix(values, self.x, self.x), float(values["C"])
        weights = self._paired(kernel, most)
        sides = self._sides(weights, values)
        if not sides.free.any():
            told = f"no row lies on the margin with C={most:g}, so that the intercept is undetermined"
            raise GradientError(told, hint="Give it a larger C, or another length.")
        return self._exact(kernel, weights, sides, most)

    def _paired(self, kernel: Array, most: float) -> Array:
        """The weights by steps of two rows, which keep the sum."""
        weights, pull, diagonal = np.zeros(len(self.y)), self.y.copy(), np.diag(kernel)
        low, high = np.minimum(most * self.y, 0.0), np.maximum(most * self.y, 0.0)
        for _ in range(_PAIRS):
            up, down = np.flatnonzero(weights < high), np.flatnonzero(weights > low)
            first = up[pull[up].argmax()]
            gaps = pull[first] - pull[down]
            if gaps.max() <= _CLOSE:
                break
            bends = np.maximum(diagonal[first] + diagonal[down] - 2 * kernel[first, down], 1e-12)
            best = np.where(gaps > 0, gaps**2 / bends, -1.0).argmax()
            second, room = down[best], high[first] - weights[first]
            step = min(gaps[best] / bends[best], room, spare := weights[second] - low[second])
            # an end is met exactly: the sides are told by it
            weights[first] = high[first] if step == room else weights[first] + step
            weights[second] = low[second] if step == spare else weights[second] - step
            pull -= step * (kernel[first] - kernel[second])
        return weights

    def _exact(self, kernel: Array, weights: Array, sides: Sides, most: float) -> Array:
        """The solution on these sides, where it keeps them."""
        free = sides.free.nonzero()[0]
        matrix = np.ones((len(free) + 1, len(free) + 1))
        matrix[:-1, :-1], matrix[-1, -1] = kernel[np.ix_(free, free)], 0.0
        fixed = np.where(sides.bound, most * self.y, 0.0)
        found = fixed.copy()
        aim = np.append(self.y[free] - kernel[free] @ fixed, -fixed.sum())
        found[free] = np.linalg.lstsq(matrix, aim, rcond=None)[0][:-1]
        inside = (found * self.y >= 0) & (found * self.y <= most)
        return found if np.all(inside) else weights

    def _sides(self, weights: Array, values: Mapping[str, Any]) -> Sides:
        size = np.abs(weights)
        bound = size >= float(values["C"]) * (1 - 1e-12)
        return Sides((size > 0) & ~bound, bound)

    def _middle(self, weights: Array, sides: Sides, most: float) -> Array:
        """The weights with bound ones at C, and free ones moved to the mean that these leave them (n,)."""
        fixed = np.where(sides.bound, most * self.y, 0.0)
        return np.where(sides.free, _less_mean(weights, sides.free) - fixed.sum() / sides.free.sum(), fixed)

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F (n,)."""
        kernel, sides, most = self.matrix(values, self.x, self.x), self._sides(weights, values), float(values["C"])
        middle = self._middle(weights, sides, most)
        free = _less_mean(kernel @ middle - self.y, sides.free) + np.diag(kernel).mean() * (weights - middle)
        return np.where(sides.free, free, weights - middle)

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector (n,) to dF/dw times it: the identity but for the free rows."""
        kernel, free = self.matrix(values, self.x, self.x), self._sides(weights, values).free
        level = np.diag(kernel).mean()

        def product(vector: Array) -> Array:
            apart = _less_mean(vector, free)
            return np.where(free, _less_mean(kernel @ apart, free) + level * (vector - apart), vector)

        return product

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dh, by name."""
        kernel, sides = self.matrix(values, self.x, self.x), self._sides(weights, values)
        apart = _less_mean(vector, sides.free)
        signs = np.where(sides.bound, self.y, 0.0)
        leaves = np.where(sides.free, -signs.sum() / sides.free.sum(), signs)  # the middle, by C
        level = np.diag(kernel).mean() * np.where(sides.free, vector, 0.0) + np.where(sides.bound, vector, 0.0)
        by_most = float(apart @ kernel @ leaves - level @ leaves)
        return {**self.slopes(values, self.x, self.x, np.outer(apart, weights)), "C": by_most}

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The mean squared hinge on the validation rows; the intercept puts the free rows on the margin."""
        kernel, across = self.matrix(values, self.x, self.x), self.matrix(values, self.x_held, self.x)
        free = self._sides(weights, values).free / self._sides(weights, values).free.sum()
        scores = across @ weights + free @ (self.y - kernel @ weights)
        slack = np.maximum(0.0, 1 - self.y_held * scores)
        towards = -2 * self.y_held * slack / len(slack)
        slope = across.T @ towards - towards.sum() * (kernel @ free)
        there = self.slopes(values, self.x_held, self.x, np.outer(towards, weights))
        here = self.slopes(values, self.x, self.x, np.outer(-towards.sum() * free, weights))
        return float(slack @ slack) / len(slack), slope, {name: there[name] + here[name] for name in there}

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Whether a row is about to change sides."""
        sides, size = self._sides(weights, values), np.abs(weights) / float(values["C"])
        pull = self.y - self.matrix(values, self.x, self.x) @ weights
        slack = np.abs(pull - pull[sides.free].mean())
        near = np.where(sides.free, np.minimum(size, 1 - size), slack) < _NEAR
        if not near.any():
            return ""
        return f"row {near.argmax()} is about to change sides, where the loss has a kink: move C a little"


def _less_mean(vector: Array, where: Any) -> Array:
    """Some entries less their mean (n,); 0 elsewhere."""
    return np.where(where, vector - vector[where].mean(), 0.0)
