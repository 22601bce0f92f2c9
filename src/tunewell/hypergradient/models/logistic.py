"""Linear classifiers: logistic regression of two or more classes, and the support vector machine where it holds.

The fit minimizes sum_i s_i loss(y_i, x_i'w + b) + sum_j alpha_j |w_j|^2 / 2, without a penalty on the intercept b:
scikit-learn's `LogisticRegression(C=1 / alpha)` and `LinearSVC(C=1 / alpha)`. `s` are weights of the training rows: by
them, the gradient is what each row does for the validation loss. With the hinge the fit is not a smooth system: a row
on the margin makes it jump; the squared hinge has a curvature everywhere but at the margin itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from tunewell.errors import GradientError
from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.models.data import Data
from tunewell.hypergradient.newton import minimize
from tunewell.hypergradient.result import Array


class Bend(NamedTuple):
    """The losses (n,) of scores (n, k), their gradients (n, k), and what multiplies changes (n, k) of the scores."""

    losses: Array
    towards: Array
    curve: Any


@dataclass(frozen=True)
class Softmax:
    """Cross-entropy of one-hot targets (n, k); of k = 1 column, 0 or 1: the logistic loss."""

    def bend(self, scores: Array, targets: Array) -> Bend:
        """Losses, gradients and curvature at scores (n, k)."""
        if scores.shape[1] == 1:
            chance = 1 / (1 + np.exp(-np.clip(scores, -700, 700)))
            losses = np.logaddexp(0.0, scores) - targets * scores
            return Bend(losses[:, 0], chance - targets, lambda move: chance * (1 - chance) * move)
        shifted = scores - scores.max(1, keepdims=True)
        total = np.log(np.exp(shifted).sum(1, keepdims=True))
        chance = np.exp(shifted - total)
        losses = total[:, 0] - (targets * shifted).sum(1)
        return Bend(losses, chance - targets, lambda move: _spread(chance, move))


def _spread(chance: Array, move: Array) -> Array:
    weighted: Array = chance * move
    found: Array = weighted - chance * weighted.sum(1, keepdims=True)
    return found


@dataclass(frozen=True)
class SquaredHinge:
    """max(0, 1 - y f)^2 of targets -1 and 1."""

    def bend(self, scores: Array, targets: Array) -> Bend:
        """Losses, gradients and curvature at scores (n, 1)."""
        sign = 2 * targets - 1
        slack = np.maximum(0.0, 1 - sign * scores)
        return Bend((slack**2)[:, 0], -2 * sign * slack, lambda move: 2.0 * (slack > 0) * move)


class Linear:
    """A linear classifier with a penalty. Weights are (d + 1) k numbers, the last k of them intercepts."""

    rule: Any

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any, *, tolerance: float = 1e-9) -> None:
        data = Data(x, y, x_held, y_held)
        self.classes = np.unique(data.y)
        if len(self.classes) < 2:
            raise GradientError("the training rows are of one class", hint="Give it rows of two classes or more.")
        self.x, self.x_held = (np.hstack([part, np.ones((len(part), 1))]) for part in (data.x, data.x_held))
        self.targets, self.targets_held = self._one_hot(data.y), self._one_hot(data.y_held)
        self.tolerance = tolerance

    def _one_hot(self, labels: Any) -> Array:
        found: Array = (labels[:, None] == self.classes).astype(float)
        if not np.all(found.sum(1)):
            raise GradientError("a validation row is of a class that no training row has", hint="Split by class.")
        return found[:, 1:] if len(self.classes) == 2 else found

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Array:
        """The weights, by Newton's method, to a gradient of `tolerance` times the number of rows."""
        zero = np.zeros(self.x.shape[1] * self.targets.shape[1]) if start is None else np.asarray(start, dtype=float)

        def smooth(weights: Array) -> tuple[float, Array]:
            bend = self.rule.bend(self._scores(self.x, weights), self.targets)
            decay = self._decay(values) * weights
            towards = (self._rows(values)[:, None] * bend.towards).ravel()
            value = float(self._rows(values) @ bend.losses) + 0.5 * float(decay @ weights)
            return value, self._back(self.x, towards.reshape(bend.towards.shape)) + decay

        least = self.tolerance * len(self.x)
        return np.asarray(minimize(smooth, lambda w: self.curvature(w, values), zero, tolerance=least))

    def _scores(self, x: Array, weights: Array) -> Array:
        return x @ weights.reshape(x.shape[1], -1)

    def _back(self, x: Array, towards: Array) -> Array:
        found: Array = (x.T @ towards).ravel()
        return found

    def _rows(self, values: Mapping[str, Any]) -> Array:
        return np.broadcast_to(np.asarray(values.get("weights", 1.0), dtype=float), len(self.x))

    def _decay(self, values: Mapping[str, Any]) -> Array:
        """The penalty of each weight; 0 for intercepts."""
        penalty = np.zeros((self.x.shape[1], self.targets.shape[1]))
        penalty[:-1] = np.broadcast_to(np.asarray(values["alpha"], dtype=float), self.x.shape[1] - 1)[:, None]
        return penalty.ravel()

    def residual(self, weights: Array, values: Mapping[str, Any]) -> Array:
        """F: the gradient of the training loss."""
        towards = self.rule.bend(self._scores(self.x, weights), self.targets).towards
        return self._back(self.x, self._rows(values)[:, None] * towards) + self._decay(values) * weights

    def curvature(self, weights: Array, values: Mapping[str, Any]) -> Product:
        """A vector to the Hessian of the training loss times it."""
        curve = self.rule.bend(self._scores(self.x, weights), self.targets).curve
        rows, decay = self._rows(values)[:, None], self._decay(values)
        return lambda v: self._back(self.x, rows * curve(self._scores(self.x, v))) + decay * v

    def mixed(self, weights: Array, values: Mapping[str, Any], vector: Array) -> dict[str, Any]:
        """v' dF/dh, by name."""
        both = (vector * weights).reshape(self.x.shape[1], -1)[:-1].sum(1)
        found: dict[str, Any] = {"alpha": both if np.ndim(values["alpha"]) else float(both.sum())}
        if "weights" in values:
            towards = self.rule.bend(self._scores(self.x, weights), self.targets).towards
            by_row = (towards * self._scores(self.x, vector)).sum(1)
            found["weights"] = by_row if np.ndim(values["weights"]) else float(by_row.sum())
        return found

    def loss(self, weights: Array, values: Mapping[str, Any]) -> tuple[float, Array, dict[str, Any]]:
        """The mean loss on the validation rows, without the penalty."""
        bend = self.rule.bend(self._scores(self.x_held, weights), self.targets_held)
        return float(bend.losses.mean()), self._back(self.x_held, bend.towards / len(self.x_held)), {}

    def training_losses(self, weights: Array) -> Array:
        """The loss of each training row (n,)."""
        losses: Array = self.rule.bend(self._scores(self.x, weights), self.targets).losses
        return losses

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Smooth everywhere."""
        return ""


class Logistic(Linear):
    """Logistic regression. Values: `alpha`, a float or an array (d,); `weights`, of the training rows, (n,).

    Validated by the mean cross-entropy.
    """

    rule = Softmax()


class LinearMachine(Linear):
    """The support vector machine with the squared hinge, for two classes. Values: `alpha`; `weights`, (n,).

    Validated by the mean squared hinge. Where a row lies on the margin, the gradient is doubted. Raises GradientError
    for more classes.
    """

    rule = SquaredHinge()

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any, *, tolerance: float = 1e-9) -> None:
        super().__init__(x, y, x_held, y_held, tolerance=tolerance)
        if len(self.classes) > 2:
            told = f"a support vector machine of {len(self.classes)} classes"
            raise GradientError(told, hint="Two classes at a time, or Logistic, which takes any number.")

    def doubt(self, weights: Array, values: Mapping[str, Any]) -> str:
        """Whether a row lies on the margin."""
        margin = (2 * self.targets - 1) * self._scores(self.x, weights)
        near = np.flatnonzero(np.abs(1 - margin[:, 0]) < 1e-9)
        return f"row {near[0]} lies on the margin, where the curvature jumps: move alpha a little" if len(near) else ""
