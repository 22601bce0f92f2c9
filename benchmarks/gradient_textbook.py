"""Hypergradients as a textbook writes them, in plain PyTorch: what `benchmarks/gradient.py` holds ours against.

L. Franceschi, M. Donini, P. Frasconi, M. Pontil: Forward and reverse gradient-based hyperparameter optimization. ICML
2017, algorithm 1. R. Grazzi, L. Franceschi, M. Pontil, S. Salzo: On the iteration complexity of hypergradient
computation. ICML 2020 (conjugate gradients).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

Loss = Callable[..., Any]


def unrolled(
    train_loss: Loss, val_loss: Loss, weights: Sequence[Any], values: Any, *, steps: int, lr: float, momentum: float
) -> Any:
    """d val_loss(w_T) / d values through `steps` steps of SGD with momentum, all in one graph."""
    values = values.clone().requires_grad_()
    weights = [part.detach().clone().requires_grad_() for part in weights]
    buffers = [torch.zeros_like(part) for part in weights]
    for _ in range(steps):
        slopes = torch.autograd.grad(train_loss(weights, values), weights, create_graph=True)
        buffers = [momentum * buffer + slope for buffer, slope in zip(buffers, slopes)]
        weights = [part - lr * buffer for part, buffer in zip(weights, buffers)]
    return torch.autograd.grad(val_loss(weights), values)[0]


def implicit(
    train_loss: Loss, val_loss: Loss, weights: Sequence[Any], values: Any, *, products: int, tolerance: float
) -> Any:
    """-v' d2 train_loss / dw dvalues with v = H^-1 d val_loss / dw, by conjugate gradients at a minimum."""
    values = values.clone().requires_grad_()
    weights = [part.detach().clone().requires_grad_() for part in weights]
    slopes = torch.autograd.grad(train_loss(weights, values), weights, create_graph=True)
    rest = list(torch.autograd.grad(val_loss(weights), weights))
    found = [torch.zeros_like(part) for part in rest]
    direction, square = rest, _dot(rest, rest)
    enough = tolerance**2 * square
    for _ in range(products):
        product = torch.autograd.grad(slopes, weights, direction, retain_graph=True)
        step = square / _dot(direction, product)
        found = [part + step * move for part, move in zip(found, direction)]
        rest = [part - step * move for part, move in zip(rest, product)]
        before, square = square, _dot(rest, rest)
        if square <= enough:
            break
        direction = [part + square / before * move for part, move in zip(rest, direction)]
    return -torch.autograd.grad(slopes, values, found)[0]


def _dot(left: Sequence[Any], right: Sequence[Any]) -> Any:
    return sum((a * b).sum() for a, b in zip(left, right))
