"""Scores of a network that nobody has trained: from one look at its weights, or at one batch.

Each is larger for a network that is likely to be better. How likely differs from space to space, and the number of
parameters is hard to beat: see `standings`.

J. Mellor, J. Turner, A. Storkey, E. Crowley: Neural architecture search without training. ICML 2021. arXiv:2006.04647.
The score of the published paper (`naswot`), and that of its first version (`jacobian_covariance`).
H. Tanaka, D. Kunin, D. Yamins, S. Ganguli: Pruning neural networks without any data by iteratively conserving synaptic
flow. NeurIPS 2020. arXiv:2006.05467.
M. Abdelfattah, A. Mehrotra, L. Dudziak, N. Lane: Zero-cost proxies for lightweight NAS. ICLR 2021. arXiv:2101.08134.
The sum over all weights.
"""

from __future__ import annotations

import math
from copy import deepcopy
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

_NAMES = ("relu", "leaky_relu", "elu", "gelu", "silu", "mish", "hardtanh", "hardswish")
_RECTIFIERS = {getattr(torch.ops.aten, name + place).default for name in _NAMES for place in ("", "_")}
_SMALL = 1e-5
"""Added to eigenvalues, as in the paper's code."""


def synflow(module: nn.Module, example: Tensor) -> float:
    """The synaptic flow: how much of a signal of ones all weights together let through, were they positive.

    `example` is an input (1, ...) of numbers, of which only the shape is used. The module should be as it was made:
    batch normalization is in its evaluation mode, in which it then changes nothing. In double precision, since the
    product over all layers has a wide range. The module is not changed.
    """
    positive = deepcopy(module).double().eval()
    weights = [weight for weight in positive.parameters() if weight.requires_grad]
    with torch.no_grad():
        for weight in positive.parameters():
            weight.abs_()
    flow = positive(torch.ones_like(example, dtype=torch.double)).sum()  # R of Tanaka et al.
    slopes = torch.autograd.grad(flow, weights, allow_unused=True)
    scores = (weight * slope for weight, slope in zip(weights, slopes, strict=True) if slope is not None)
    return float(sum(score.detach().sum() for score in scores))  # dR/dw * w, summed


def naswot(module: nn.Module, batch: Tensor) -> float:
    """How well the rectifiers tell the inputs (n, ...) of a batch apart: the log-determinant of the kernel of their
    codes, each the signs of all that enters a rectifier (ReLU, or a smooth one such as GELU).

    -inf where two inputs have the same code, and where there is no rectifier. The module is not changed.
    """
    with torch.no_grad(), _Codes() as codes:
        deepcopy(module).train()(batch)
    kernels = [_agreements(code.flatten(1).double()) for code in codes.seen]
    return float(torch.linalg.slogdet(torch.stack(kernels).sum(0))[1]) if kernels else -math.inf


def _agreements(code: Tensor) -> Tensor:
    """On how many of its k places each two of the codes (n, k) of zeros and ones agree (n, n): k less their distance
    (Mellor et al., section 3).
    """
    return code @ code.T + (1 - code) @ (1 - code).T


class _Codes(TorchDispatchMode):  # type: ignore[misc]
    """Keeps the signs of what enters each rectifier, whether that is a module or a function."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[Tensor] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in _RECTIFIERS:
            self.seen.append(args[0] > 0)
        return func(*args, **(kwargs or {}))


def jacobian_covariance(module: nn.Module, batch: Tensor) -> float:
    """How little the slopes of the outputs by the inputs (n, ...) of a batch are correlated from input to input.

    The inputs are numbers, not tokens. The sum of -log(v + k) - 1/(v + k) over the eigenvalues v of their correlations
    (Mellor et al., first version). The module is not changed.
    """
    inputs = batch.clone().requires_grad_()
    (slopes,) = torch.autograd.grad(deepcopy(module).train()(inputs).sum(), inputs)
    rows = slopes.flatten(1).double()
    rows = rows - rows.mean(1, keepdim=True)
    rows = rows / rows.norm(dim=1, keepdim=True).clamp_min(torch.finfo(rows.dtype).tiny)
    values = torch.linalg.eigvalsh(rows @ rows.T).clamp_min(0.0) + _SMALL
    return -float((values.log() + 1 / values).sum())
