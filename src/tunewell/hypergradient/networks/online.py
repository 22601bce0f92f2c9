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
from tunewell.hypergradient.networks.forward import carried
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
    rate: float = 0.2,
    period: int = 10,
    ahead: Literal["training", "validation"] = "validation",
) -> Online:
    """Train once; before each step, each positive value is multiplied by exp(-rate x cosine).

    The cosine is that between the move of the weights that the value makes in this step, and the gradient of the loss
    after it: the validation loss, or the training loss on the next batch. Within `period` steps a value changes by a
    factor of 2 at most. Values of 0 or below stay. Raises GradientError as `Training` does.
    """
    idle, layout = training.look(values), Layout(values)
    numbers = training.tensor(layout.flat(values))
    logs, moving = numbers.clamp_min(1e-300).log(), numbers > 0
    units = torch.eye(layout.size, dtype=numbers.dtype, device=numbers.device)
    state, path = training.optimizer.begin(training.begin), []
    for number in range(training.steps):
        if number % period == 0:
            anchor = logs
        blank = tuple(part.new_zeros(layout.size, len(part)) for part in state)
        after, moves = carried(training, layout, numbers, units, state, blank, number)
        towards = _slope(training, layout, after[0], numbers, number, ahead)
        length = torch.linalg.vector_norm(moves[0], dim=1) * torch.linalg.vector_norm(towards)
        cosine = torch.where(moving & (length > 0), moves[0] @ towards / length.clamp_min(1e-300), 0.0)
        logs = (logs - rate * cosine).clamp(anchor - math.log(_FACTOR), anchor + math.log(_FACTOR))
        numbers = torch.where(moving, logs.exp(), numbers)
        path.append(layout.plain(numbers.cpu().numpy()))
        with torch.no_grad():
            state = training.step(state, layout.named(numbers), number)
    named = {name: [row[name] for row in path] for name in layout.shapes if name not in idle}
    return Online(training.val_loss(state[0]).item(), named, state[0])


def _slope(
    training: Training, layout: Layout, weights: torch.Tensor, numbers: torch.Tensor, number: int, ahead: str
) -> torch.Tensor:
    """The gradient (p,) of the loss after a step by the weights there."""
    if ahead == "validation":
        return training.loss(weights, {})[1]
    return training.slope(weights, layout.named(numbers), training.batch(min(number + 1, training.steps - 1)))
