"""What a module costs: parameters, operations, seconds and memory.

Parameters and operations are counted and the same everywhere; latency and memory are measured, on this machine. For a
budget on latency, mind `spread`: two networks whose times differ by less are equal.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def parameters(module: nn.Module) -> int:
    """How many numbers are trained; a shared weight counts once."""
    return sum(part.numel() for part in module.parameters() if part.requires_grad)


def operations(module: nn.Module, *inputs: Any) -> int:
    """Floating-point operations of one forward pass: those of matrix products, convolutions and attention.

    A multiplication and its addition count as two (`torch.utils.flop_counter`). Runs the module once.
    """
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module(*inputs)
    return int(counter.get_total_flops())


@dataclass(frozen=True)
class Latency:
    """The median of `repeats` forward passes, in seconds, and `spread`: the distance between their quartiles."""

    seconds: float
    spread: float
    repeats: int


def latency(module: nn.Module, *inputs: Any, repeats: int = 20, warm: int = 3) -> Latency:
    """The time of a forward pass without gradients, after `warm` passes that are not counted. At least one repeat.

    The median, since what disturbs a clock only ever makes it slower. Waits for the GPU where an input lies on one.
    """
    with torch.no_grad():
        seconds = [_once(module, inputs) for _ in range(warm + repeats)][warm:]
    low, middle, high = np.percentile(seconds, [25, 50, 75])
    return Latency(float(middle), float(high - low), repeats)


def _once(module: nn.Module, inputs: tuple[Any, ...]) -> float:
    _wait(inputs)
    start = time.perf_counter()
    module(*inputs)
    _wait(inputs)
    return time.perf_counter() - start


def _wait(inputs: tuple[Any, ...]) -> None:
    if any(getattr(each, "is_cuda", False) for each in inputs):
        torch.cuda.synchronize()


def memory(module: nn.Module) -> int:
    """Bytes of the weights and buffers, each counted once; what a forward pass needs beside them is not in it."""
    parts = {id(part): part for part in (*module.parameters(), *module.buffers())}
    return sum(part.numel() * part.element_size() for part in parts.values())
