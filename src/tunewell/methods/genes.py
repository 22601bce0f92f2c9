"""Configs as genes: two points of the unit cube crossed, and one mutated, on numbers, integers and options alike.

K. Deb, R. B. Agrawal: Simulated binary crossover for continuous search space. Complex Systems 9, 1995.
K. Deb, M. Goyal: A combined genetic adaptive search (GeneAS) for engineering design. Computer Science and Informatics
26, 1996: polynomial mutation.

A value that has neighbours, such as an integer, stands for its whole cell of the unit interval, and a child begins at a
random place of it: rounding to the middles would hold integers where they are, or draw them to one side. Beyond the
ends an integer is reflected, so that mutation alone drifts nowhere; a float stays there: good ones often do.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np

from tunewell.space import Config, Space

Array = np.ndarray[Any, np.dtype[np.float64]]

_BROAD = 11.0
"""The longest step of a mutation is at least so many cells: at index 20 half a cell on average, so that it is left."""


class Genes:
    """The coordinates of a space, and what varies points of it."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.options = np.array([dimension.kind == "choice" for dimension in space.dimensions], dtype=bool)
        self.sizes = np.array([dimension.size or 0 for dimension in space.dimensions], dtype=float)
        self.reach = np.where(self.sizes > 0, np.maximum(1.0, _BROAD / np.maximum(self.sizes, 1.0)), 1.0)

    def cells(self, config: Config) -> Array:
        """The ends of the cell of each entry, (2, d); NaN where it is inactive."""
        found = np.full((2, len(self.sizes)), np.nan)
        units = self.space.encode(config)
        for place in np.flatnonzero(~np.isnan(units)).tolist():
            found[:, place] = self.space.axes[place].cell(config[self.space.dimensions[place].name])
        return found

    def child(self, first: Array, second: Array, rng: np.random.Generator, spread: float) -> Array:
        """A point (d,) between or beside those of two parents, given by their cells (2, d).

        Each number is that of simulated binary crossover with index `spread`, with the chance of one half, and else
        that of the first parent; each option that of either parent. What one parent has alone is kept; what none has is
        anew.
        """
        place, luck, coin = rng.random((3, len(self.sizes)))
        a, b = first[0] + (first[1] - first[0]) * place, second[0] + (second[1] - second[0]) * place
        a, b = np.where(np.isnan(a), b, a), np.where(np.isnan(b), a, b)
        half = 0.5 * _beta(luck, spread) * np.abs(a - b)  # Deb and Agrawal, equations (2) and (6)
        beside = (a + b) / 2 + np.where(coin < 0.25, -half, half)
        number = np.where(coin < 0.5, beside, a)
        found = np.where(self.options, np.where(coin < 0.5, a, b), number)
        return self._inside(np.where(np.isnan(found), luck, found))

    def alone(self, parent: Array, rng: np.random.Generator) -> Array:
        """A point (d,) of one parent's cells (2, d); what it has not is anew."""
        place = rng.random(len(self.sizes))
        found = parent[0] + (parent[1] - parent[0]) * place
        return np.where(np.isnan(found), place, found)

    def mutated(self, point: Array, rng: np.random.Generator, chance: float, spread: float) -> Array:
        """The point (d,) with some coordinates moved, each with the given chance: a number by a polynomial step with
        index `spread`, a Choice to another option.
        """
        luck, coin = rng.random((2, len(self.sizes)))
        moved = coin < chance
        if not moved.any():
            return point
        numbers = self._inside(point + self.reach * _delta(luck, spread))
        return np.where(moved, np.where(self.options, self._others(point, luck), numbers), point)

    def _inside(self, point: Array) -> Array:
        turned = np.abs(point) % 2.0
        return np.where(self.sizes > 0, np.where(turned > 1.0, 2.0 - turned, turned), np.clip(point, 0.0, 1.0))

    def _others(self, point: Array, luck: Array) -> Array:
        """Another option than that of the point, all equally likely, at the middle of its cell."""
        count = np.maximum(self.sizes, 1.0)
        old = np.minimum(np.floor(point * count), count - 1)
        new = np.floor(luck * np.maximum(count - 1, 1.0))
        found: Array = (np.minimum(new + (new >= old), count - 1) + 0.5) / count
        return found


def _beta(luck: Array, spread: float) -> Array:
    """How much farther apart than their parents two children lie. Deb and Agrawal, equation (6)."""
    near = np.where(luck <= 0.5, 2 * luck, 0.5 / np.maximum(1 - luck, 1e-12))
    found: Array = near ** (1 / (spread + 1))
    return found


def _delta(luck: Array, spread: float) -> Array:
    """A step between -1 and 1, mostly short. Deb and Goyal, equation (5)."""
    near = np.minimum(2 * luck, 2 * (1 - luck)) ** (1 / (spread + 1))
    found: Array = np.where(luck < 0.5, near - 1, 1 - near)
    return found


@lru_cache(maxsize=32)
def genes_of(space: Space) -> Genes:
    """The genes of a space, compiled once."""
    return Genes(space)
