"""Which sub-networks a step of the supernet trains: one at random, or the largest, the smallest and some at random.

J. Yu, T. Huang: Universally slimmable networks and improved training techniques. ICCV 2019. arXiv:1903.05134,
section 3.2 (the sandwich rule; without the distillation of section 3.3).
Z. Guo et al.: Single path one-shot neural architecture search with uniform sampling. ECCV 2020. arXiv:1904.00420.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Config = Mapping[str, Any]
Draw = Callable[[np.random.Generator], Config]
"""A config at random, such as `lambda rng: nested(space.sample(rng))`."""


@dataclass(frozen=True)
class Uniform:
    """`count` sub-networks at random."""

    draw: Draw
    count: int = 1

    def __call__(self, rng: np.random.Generator) -> list[Config]:
        """The configs of one step."""
        return [self.draw(rng) for _ in range(self.count)]


@dataclass(frozen=True)
class Sandwich:
    """The largest, the smallest, and `count` sub-networks at random: the ends bound all that lie between."""

    draw: Draw
    largest: Config
    smallest: Config
    count: int = 2

    def __call__(self, rng: np.random.Generator) -> list[Config]:
        """The configs of one step."""
        return [self.largest, self.smallest, *(self.draw(rng) for _ in range(self.count))]


def slope(configs: Sequence[Config], loss: Callable[[Config], torch.Tensor]) -> float:
    """Add the gradient of the mean loss of the configs to that of the shared weights; returns that mean.

    One config after the other, so that the memory is that of one network. The optimizer's step is yours:

        optimizer.zero_grad()
        slope(rule(rng), lambda config: cross_entropy(supernet(config, x), y))
        optimizer.step()
    """
    total = 0.0
    for config in configs:
        part = loss(config) / len(configs)
        part.backward()
        total += float(part.detach())
    return total
