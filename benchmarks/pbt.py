"""The figures of population-based training: the toy of its paper, and what greed costs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.pbt_toy import TOY, Corners, quality


@figure("PBT on the toy of its paper, 2 workers: Q of 1.2, the 5th percentile of 300 seeds", target=">= 1.19")
def toy(quick: bool) -> Iterator[Row]:
    """Beside the two configs trained to the end, and copies without a change."""
    seeds = range(10 if quick else 300)
    for workers in (2, 1):
        reached = [quality(TOY, seed, workers) for seed in seeds]
        name = f"PBT on the toy of its paper, {workers} worker{'s' * (workers > 1)}, {len(seeds)} seeds: Q"
        yield Row(float(np.percentile(reached, 5)), name=f"{name}, 5th percentile")
        yield Row(float(np.median(reached)), name=f"{name}, median", target="")
    yield Row(quality(tw.Take(2, Corners()), 0), name="the toy, both configs to the end: Q", target="<= 0.3901")
    copies = [quality(replace(TOY, explore=False), seed) for seed in seeds]
    yield Row(max(copies), name="the toy, copies without a change: the best Q", target="<= 0.3901")
