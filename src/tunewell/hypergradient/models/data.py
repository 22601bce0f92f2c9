"""Rows of training and validation data as every model here takes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tunewell.errors import GradientError
from tunewell.hypergradient.result import Array


class Data:
    """Inputs `x` (n, d) and targets `y` (n,) to train on, `x_held` (k, d) and `y_held` (k,) to validate on.

    Raises GradientError where shapes do not fit together, or a number is not finite.
    """

    def __init__(self, x: Any, y: Any, x_held: Any, y_held: Any) -> None:
        self.x, self.x_held = np.asarray(x, dtype=float), np.asarray(x_held, dtype=float)
        self.y, self.y_held = np.asarray(y), np.asarray(y_held)
        for inputs, targets, name in ((self.x, self.y, "training"), (self.x_held, self.y_held, "validation")):
            if inputs.ndim != 2 or len(inputs) != len(targets) or inputs.shape[1] != self.x.shape[1]:
                told = f"{name} inputs of shape {inputs.shape}, targets of shape {targets.shape}"
                raise GradientError(told, hint="Inputs (n, d) and targets (n,), the same d for both.")
            if not np.all(np.isfinite(inputs)):
                raise GradientError(f"a {name} input is not finite", hint="Impute or drop these rows first.")

    def centred(self, intercept: bool) -> tuple[Array, Array, Array, Array]:
        """The four arrays, less the training means: what fitting an unpenalized intercept comes to."""
        x, x_held, y, y_held = self.x, self.x_held, self.y.astype(float), self.y_held.astype(float)
        if not intercept:
            return x, y, x_held, y_held
        return x - x.mean(0), y - y.mean(), x_held - x.mean(0), y_held - y.mean()


def squared_error(gap: Array) -> tuple[float, Array]:
    """The mean square of residuals (k,) and its gradient by them."""
    return float(gap @ gap) / len(gap), 2 * gap / len(gap)
