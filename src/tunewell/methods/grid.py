"""Grid search, lazily: a grid of 10**9 points costs nothing until it is asked.

The oldest way of tuning, and still the one that most people use first; it wastes trials on entries that do not matter
(Bergstra and Bengio, JMLR 13, 2012), which a spread order softens where the budget ends before the grid.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, ClassVar, Literal

import numpy as np

from tunewell import space as spaces
from tunewell.errors import StudyError
from tunewell.methods.plan import asked_for, first_allowed, next_place
from tunewell.space import Config, Space
from tunewell.study import Job, Study

_FINEST = 2**16 + 1
"""The most levels of a grid that was made finer."""

Levels = int | tuple[tuple[str, int], ...]


@dataclass(frozen=True)
class Grid:
    """Every combination of evenly spaced values; ends after the last.

    `levels`: how many values of each number (both ends included, evenly on its scale), in all or by path (then 5 for
    the others); the options of a Choice are all taken. `order`: "listed", the entry written last changing fastest, or
    "spread", an order drawn from the study's seed in which any first part covers the space, for budgets smaller than
    the grid. Left out are points that violate a constraint of the space, and configs that the study has asked for.
    Raises SpaceError where 100,000 points in a row are left out, but for those that were asked for.
    """

    levels: Any = 5
    order: Literal["listed", "spread"] = "listed"

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        levels = self.levels.items() if isinstance(self.levels, Mapping) else self.levels
        if not isinstance(levels, int):
            object.__setattr__(self, "levels", tuple((str(path), int(count)) for path, count in levels))
        if self.order not in ("listed", "spread"):
            raise StudyError(f"Grid: order {self.order!r}", hint='It is "listed" or "spread".')

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The first point of the plan that nobody has asked for, trained to the end; None after the last."""
        return first_allowed(study, self._points(study, next_place(study)), but=asked_for(study.root))

    def finer(self) -> Grid:
        """The grid with a new value between any two."""
        if isinstance(self.levels, int):
            return replace(self, levels=_between(self.levels))
        return replace(self, levels=tuple((path, _between(count)) for path, count in self.levels))

    def _points(self, study: Study, first: int) -> Iterator[tuple[int, Config]]:
        """The plan from place `first` on."""
        grid = _grid(study.space, self.levels)
        start, stride = _stride(study.space, self.levels, study.seed) if self.order == "spread" else (0, 1)
        for place in range(first, grid.size):
            yield place, grid.point((start + place * stride) % grid.size)


def _between(levels: int) -> int:
    return min(max(2 * levels - 1, 2), _FINEST)


@lru_cache(maxsize=64)
def _grid(space: Space, levels: Levels) -> spaces.Grid:
    return space.grid(levels if isinstance(levels, int) else dict(levels))


@lru_cache(maxsize=64)
def _stride(space: Space, levels: Levels, seed: int) -> tuple[int, int]:
    """Where a spread order starts and how far it goes at each step, modulo the size of the grid.

    A stride without common divisor reaches every point once, and makes the plan a lattice. The best of 32 is about as
    even as Sobol's sequence rounded to the grid, by the centred discrepancy of its first 32 points.
    """
    from scipy.stats import qmc  # here, because it takes longer to load than all of tunewell

    grid, rng = _grid(space, levels), np.random.default_rng(seed)
    if grid.size <= 2:
        return 0, 1

    def unevenness(turn: tuple[int, int]) -> float:
        points = [grid.point((turn[0] + place * turn[1]) % grid.size) for place in range(min(grid.size, 32))]
        return float(qmc.discrepancy(np.nan_to_num(space.encode_many(points), nan=0.5), method="CD"))

    return min([(_below(grid.size, rng), _coprime(grid.size, rng)) for _ in range(32)], key=unevenness)


def _coprime(size: int, rng: np.random.Generator) -> int:
    while True:
        number = _below(size, rng)
        if math.gcd(number, size) == 1:
            return number


def _below(size: int, rng: np.random.Generator) -> int:
    """A random number from 0 to size - 1, which may be far beyond 64 bits."""
    return int.from_bytes(rng.bytes(size.bit_length() // 8 + 8), "little") % size
