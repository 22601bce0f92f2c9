"""Forward mode: the tangent of the weights by each hyperparameter, carried along with the optimizer.

Its memory does not grow with the steps, and its price grows with the hyperparameters: one tangent for each.

L. Franceschi, M. Donini, P. Frasconi, M. Pontil: Forward and reverse gradient-based hyperparameter optimization. ICML
2017, algorithm 2.
P. Micaelli, A. Storkey: Gradient-based hyperparameter optimization over long horizons. NeurIPS 2021. arXiv:2007.07869.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from tunewell.hypergradient.check import compared
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.networks.optimizers import State
from tunewell.hypergradient.networks.training import Training
from tunewell.hypergradient.result import Hypergradient, judged


def forward(
    training: Training, values: Mapping[str, Any], *, trust: float | None = 0.1, check: bool = False
) -> Hypergradient:
    """The gradient of the validation loss after all steps by `values`: that of `reverse`, and the same number.

    `check` compares with central differences along one direction, which trains twice more. Raises GradientError as the
    losses and numbers give reason to: see `Training`.
    """
    idle, layout = training.look(values), Layout(values)
    numbers = training.tensor(layout.flat(values))
    state = training.optimizer.begin(training.begin)
    tangents = tuple(part.new_zeros(layout.size, len(part)) for part in state)
    units = torch.eye(layout.size, dtype=numbers.dtype, device=numbers.device)
    with torch.no_grad():
        for number in range(training.steps):
            state, tangents = carried(training, layout, numbers, units, state, tangents, number)
    loss, towards, _ = training.loss(state[0], values)
    found = Hypergradient(
        loss,
        layout.plain((tangents[0] @ towards).cpu().numpy()),
        "forward",
        held=(*layout.held, *idle),
        stationarity=float(torch.linalg.vector_norm(training.residual(state[0], values))),
        weights=state[0],
    )
    if check:
        found = compared(found, layout, values, lambda near: float(training.val_loss(training.trained(near)[0])))
    return judged(found, trust, float(torch.linalg.vector_norm(numbers)))


def carried(
    training: Training,
    layout: Layout,
    numbers: torch.Tensor,
    units: torch.Tensor,
    state: State,
    tangents: State,
    number: int,
) -> tuple[State, State]:
    """The state and its tangents, each (m, p), after step `number`."""
    slope, moves = _slope(training, layout, numbers, units, state[0], tangents[0], training.batch(number))
    with torch.enable_grad():
        leaves = [part.detach().requires_grad_() for part in (*state, slope, numbers)]
        after = training.step(tuple(leaves[:-2]), layout.named(leaves[-1]), number, lambda *_: leaves[-2])
    return tuple(part.detach() for part in after), _pushed(leaves, after, (*tangents, moves, units))


def _pushed(inputs: list[torch.Tensor], outputs: State, moves: State) -> State:
    """Tangents of the inputs, (m, ...) each, to those of the outputs: the derivative, by u, of u' dy/dx move, which is
    linear in u.
    """
    with torch.enable_grad():
        duals = [torch.zeros_like(part, requires_grad=True) for part in outputs]
        pulled = torch.autograd.grad(outputs, inputs, duals, create_graph=True, allow_unused=True)
    pairs = [(part, move) for part, move in zip(pulled, moves) if part is not None and part.requires_grad]
    parts, towards = zip(*pairs)
    found = torch.autograd.grad(parts, duals, towards, is_grads_batched=True, allow_unused=True)
    blank = [moves[0].new_zeros(len(moves[0]), *part.shape) for part in outputs]
    return tuple(zero if part is None else part for part, zero in zip(found, blank))


def _slope(
    training: Training,
    layout: Layout,
    numbers: torch.Tensor,
    units: torch.Tensor,
    weights: torch.Tensor,
    tangents: torch.Tensor,
    batch: Any,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The gradient of the training loss (p,), and its tangents (m, p).

    Second derivatives are symmetric, so that the tangents are a gradient by the weights, back through the graph of the
    first: d slope_j = d/dw (slope' tangent_j + dL/dh_j), for all j at once.
    """
    with torch.enable_grad():
        weights, leaf = weights.detach().requires_grad_(), numbers.detach().requires_grad_()
        loss = training.train_loss(weights, layout.named(leaf), batch)
        slope, direct = torch.autograd.grad(loss, (weights, leaf), create_graph=True, allow_unused=True)
    pairs = [(slope, tangents)] + ([(direct, units)] if direct is not None and direct.requires_grad else [])
    outputs, towards = zip(*pairs)
    moves = torch.autograd.grad(outputs, weights, towards, is_grads_batched=True)[0]
    return slope.detach(), moves
