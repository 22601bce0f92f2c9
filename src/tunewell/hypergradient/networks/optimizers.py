"""Optimizers as functions of their state, so that a gradient passes through each step.

A setting is a number or the name of a hyperparameter. That one may be a vector: entry t K / T of K numbers is in force
at step t of T, which makes it a schedule.

D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015.
I. Loshchilov, F. Hutter: Decoupled weight decay regularization. ICLR 2019.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

State = tuple[Any, ...]
"""The weights (p,), and what an optimizer keeps beside them, each (p,)."""

Setting = float | str


@dataclass(frozen=True)
class Optimizer:
    """What the two share."""

    def names(self) -> list[str]:
        """The hyperparameters that its settings name."""
        return [value for each in fields(self) if isinstance(value := getattr(self, each.name), str)]

    def begin(self, weights: Any) -> State:
        """The state before the first step."""
        raise NotImplementedError

    def step(self, state: State, slope: Any, at: Callable[[Setting], Any], number: int) -> State:
        """The state after step `number`, counted from 0, along the gradient `slope` (p,)."""
        raise NotImplementedError


@dataclass(frozen=True)
class SGD(Optimizer):
    """Gradient descent with momentum (`torch.optim.SGD`): b <- momentum b + slope + weight_decay w; w <- w - lr b."""

    lr: Setting = "lr"
    momentum: Setting = 0.0
    weight_decay: Setting = 0.0

    def begin(self, weights: Any) -> State:
        """The weights, and a buffer where there is momentum."""
        return (weights,) if self.momentum == 0.0 else (weights, weights * 0.0)

    def step(self, state: State, slope: Any, at: Callable[[Setting], Any], number: int) -> State:
        """One step."""
        weights = state[0]
        if self.weight_decay != 0.0:
            slope = _added(slope, at(self.weight_decay), weights)
        if len(state) == 1:
            return (_added(weights, -at(self.lr), slope),)
        buffer = _added(slope, at(self.momentum), state[1])
        return _added(weights, -at(self.lr), buffer), buffer


def _added(left: Any, factor: Any, right: Any) -> Any:
    """left + factor right: one node of the graph where the factor is a number, two where it is a tensor."""
    return left + factor * right if hasattr(factor, "ndim") else left.add(right, alpha=factor)


@dataclass(frozen=True)
class Adam(Optimizer):
    """Adam with decoupled weight decay (`torch.optim.AdamW`), but for the root of the second moment: `eps` stands
    under it, sqrt(v + eps^2), for a root has no derivative at 0, where weights lie that no row has moved yet.
    """

    lr: Setting = "lr"
    beta1: Setting = 0.9
    beta2: Setting = 0.999
    weight_decay: Setting = 0.0
    eps: float = 1e-8

    def begin(self, weights: Any) -> State:
        """The weights and two moments."""
        return weights, weights * 0.0, weights * 0.0

    def step(self, state: State, slope: Any, at: Callable[[Setting], Any], number: int) -> State:
        """One step."""
        weights, mean, square = state
        first, second, lr = at(self.beta1), at(self.beta2), at(self.lr)
        mean = first * mean + (1 - first) * slope
        square = second * square + (1 - second) * slope * slope
        fair = mean / (1 - first ** (number + 1))
        root = (square / (1 - second ** (number + 1)) + self.eps**2).sqrt()
        if self.weight_decay != 0.0:
            weights = weights * (1 - lr * at(self.weight_decay))
        return weights - lr * fair / root, mean, square


def value_at(values: Mapping[str, Any], setting: Setting, number: int, steps: int) -> Any:
    """A setting at a step: a number, or the value of that name; of a vector the entry in force."""
    value: Any = values[setting] if isinstance(setting, str) else setting
    if getattr(value, "ndim", 0):
        value = value[number * len(value) // steps]
    return value
