"""Reverse mode: back through every step of training, from states kept every now and then.

Of T steps, T / k states are kept, and k steps at a time are run once more as one graph: with k = sqrt(T) the memory
grows as sqrt(T), for the price of training twice.

D. Maclaurin, D. Duvenaud, R. P. Adams: Gradient-based hyperparameter optimization through reversible learning. ICML
2015.
L. Franceschi, M. Donini, P. Frasconi, M. Pontil: Forward and reverse gradient-based hyperparameter optimization. ICML
2017, algorithm 1.
T. Chen, B. Xu, C. Zhang, C. Guestrin: Training deep nets with sublinear memory cost. arXiv:1604.06174, 2016.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from typing import Any

import torch

from tunewell.hypergradient.check import compared
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.networks.optimizers import State
from tunewell.hypergradient.networks.training import Training
from tunewell.hypergradient.result import Hypergradient, judged


def reverse(
    training: Training,
    values: Mapping[str, Any],
    *,
    every: int | None = None,
    trust: float | None = 0.1,
    check: bool = False,
) -> Hypergradient:
    """The gradient of the validation loss after all steps by `values`: exact, whether training converges or not.

    `every`: a state is kept every so many steps; left out, the root of their number; the number of steps itself keeps
    one graph of all of them, the fastest where it fits. `check` compares with central differences along one direction,
    which trains twice more. Raises GradientError as the losses and numbers give reason to: see `Training`.
    """
    return swept(training, values, first=0, every=every, way="reverse", trust=trust, check=check)


def swept(
    training: Training,
    values: Mapping[str, Any],
    *,
    first: int,
    every: int | None,
    way: str,
    biased: str = "",
    trust: float | None = 0.1,
    check: bool = False,
) -> Hypergradient:
    """Back from the last step to step `first`."""
    idle, layout = training.look(values), Layout(values)
    length = every or max(1, round(math.sqrt(training.steps - first)))
    numbers = training.tensor(layout.flat(values))
    kept = _kept(training, values, first, length)
    segment = _Segment(training, layout, numbers, *kept.pop())
    state = segment.after
    loss, towards, _ = training.loss(state[0], values)
    back: State = (towards, *(torch.zeros_like(part) for part in state[1:]))
    total = torch.zeros_like(numbers)
    while kept:
        back, more = segment.pulled(back)
        total = total + more
        segment = _Segment(training, layout, numbers, *kept.pop())
    total = total + segment.by_values(back)
    found = Hypergradient(
        loss,
        layout.plain(total.cpu().numpy()),
        way,
        biased=biased,
        held=(*layout.held, *idle),
        stationarity=float(torch.linalg.vector_norm(training.residual(state[0], values))),
        weights=state[0],
    )
    if check:
        found = compared(found, layout, values, lambda near: float(training.val_loss(training.trained(near)[0])))
    return judged(found, trust, float(torch.linalg.vector_norm(numbers)))


def _kept(training: Training, values: Mapping[str, Any], first: int, length: int) -> list[tuple[range, State]]:
    """Segments of at most `length` steps, from step `first` on, and the state before each; the last is not run."""
    state = training.went(training.optimizer.begin(training.begin), values, range(first))
    starts = range(first, training.steps, length)
    steps = [range(start, min(start + length, training.steps)) for start in starts]
    kept = [(steps[0], state)]
    for before, after in itertools.pairwise(steps):
        state = training.went(state, values, before)
        kept.append((after, state))
    return kept


class _Segment:
    """Some steps as one graph, from a state; `after` is the state after them."""

    def __init__(self, training: Training, layout: Layout, numbers: torch.Tensor, steps: range, state: State) -> None:
        self.start = tuple(part.detach().requires_grad_() for part in state)
        self.leaf = numbers.detach().requires_grad_()
        values, self._end = layout.named(self.leaf), self.start
        with torch.enable_grad():
            for number in steps:
                self._end = training.step(self._end, values, number, training.slope_in_graph)
        self.after = tuple(part.detach() for part in self._end)

    def pulled(self, back: State) -> tuple[State, torch.Tensor]:
        """Cotangents of the state after the steps to those of the state before them, and of the values (m,)."""
        inputs = [*self.start, self.leaf]
        found = torch.autograd.grad(self._end, inputs, back, allow_unused=True)
        given = [torch.zeros_like(into) if part is None else part for part, into in zip(found, inputs)]
        return tuple(given[:-1]), given[-1]

    def by_values(self, back: State) -> torch.Tensor:
        """The second of these alone, which spares a step for the first."""
        found = torch.autograd.grad(self._end, self.leaf, back, allow_unused=True)[0]
        return torch.zeros_like(self.leaf) if found is None else found
