"""Online: hyperparameters that follow the gradient one step ahead, while the one training runs.

Greedy: what helps the next step need not help the last one. It is cheap, and biased: a learning rate ends too low.

A. G. Baydin, R. Cornish, D. Martínez Rubio, M. Schmidt, F. Wood: Online learning rate adaptation with hypergradient
descent. ICLR 2018. arXiv:1703.04782, equation 8 (the multiplicative rule).
J. Luketina, M. Berglund, K. Greff, T. Raiko: Scalable gradient-based tuning of continuous regularization
hyperparameters. ICML 2016 (T1-T2).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch

from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.networks.training import Training

_FACTOR = 2.0
"""Within `period` steps a value changes by no more than this factor."""


@dataclass(frozen=True)
class Online:
    """One training with values that moved: the `loss` at its end, the `path` of each value before each step, `weights`.

    `biased` says what is wrong with it on principle.
    """

    loss: float
    path: Mapping[str, list[Any]]
    weights: torch.Tensor
    biased: str = "one step ahead: what helps later is not seen, and learning rates end too low"

    def schedule(self, unit: int = 1) -> list[tuple[int, dict[str, float]]]:
        """The path as segments for `tunewell.Schedule`: pairs of a step and a config, one every `unit` steps."""
        count = len(next(iter(self.path.values())))
        rows = ({name: float(values[step]) for name, values in self.path.items()} for step in range(0, count, unit))
        return list(zip(range(0, count, unit), rows))


def online(
    training: Training,
    values: Mapping[str, Any],
    *,
    rate: float = 0.1,
    period: int = 10,
    ahead: Literal["training", "validation"] = "validation",
) -> Online:
    """Train once; before each step, each positive value is multiplied by exp(-rate x its normalized gradient).

    The gradient is that of the loss after one step by the values of that step: the validation loss, or the training
    loss on the next batch. It is divided by a running root mean square; within `period` steps a value changes by a
    factor of 2 at most. Values of 0 or below stay. Raises GradientError as `Training` does.
    """
    idle, layout = training.look(values), Layout(values)
    numbers = training.tensor(layout.flat(values))
    logs, moving = numbers.clamp_min(1e-300).log(), numbers > 0
    state, square = training.optimizer.begin(training.begin), torch.zeros_like(logs)
    path: list[list[float]] = []
    for number in range(training.steps):
        if number % period == 0:
            anchor = logs
        slope = _ahead(training, layout, state, torch.where(moving, logs.exp(), numbers), number, ahead)
        towards = torch.where(moving, slope * logs.exp(), 0.0)
        square = 0.9 * square + 0.1 * towards**2
        fair = towards / (square / (1 - 0.9 ** (number + 1)) + 1e-30).sqrt()
        logs = (logs - rate * fair).clamp(anchor - math.log(_FACTOR), anchor + math.log(_FACTOR))
        numbers = torch.where(moving, logs.exp(), numbers)
        path.append(numbers.tolist())
        with torch.no_grad():
            state = training.step(state, layout.named(numbers), number)
    columns = [layout.plain(torch.tensor(row).numpy()) for row in path]
    named = {name: [row[name] for row in columns] for name in layout.shapes if name not in idle}
    return Online(training.val_loss(state[0]).item(), named, state[0])


def _ahead(
    training: Training, layout: Layout, state: Any, numbers: torch.Tensor, number: int, ahead: str
) -> torch.Tensor:
    """The gradient (m,) of the loss after the next step by the values of that step."""
    leaf = numbers.detach().requires_grad_()
    start = tuple(part.detach().requires_grad_() for part in state)
    values = layout.named(leaf)
    after = training.step(start, values, number, training.slope_in_graph)[0]
    if ahead == "validation":
        loss = training.val_loss(after)
    else:
        loss = training.train_loss(after, values, training.batch(min(number + 1, training.steps - 1)))
    found = torch.autograd.grad(loss, leaf, allow_unused=True)[0]
    return torch.zeros_like(leaf) if found is None else found

