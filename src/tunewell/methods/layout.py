"""A space as a normal distribution sees it: which entries are numbers, which of them come in cells, which are options.

T. Marty, N. Hansen, A. Auger, Y. Semet, S. Héron: LB+IC-CMA-ES: two simple modifications of CMA-ES to handle
mixed-integer problems. PPSN 2024.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from tunewell.space import Config, Space

Array = np.ndarray[Any, np.dtype[np.float64]]
Mask = np.ndarray[Any, np.dtype[np.bool_]]

_EPSILON = 1e-8


class Layout:
    """Which coordinates of a space are `numbers` `(n,)`, which of these are `discrete`, and which are `choices`."""

    def __init__(self, space: Space) -> None:
        kinds = [(dimension.kind == "choice", dimension.size) for dimension in space.dimensions]
        places = range(len(kinds))
        self.space = space
        self.numbers = [place for place in places if not kinds[place][0] and kinds[place][1] != 1]
        self.choices = [place for place in places if kinds[place][0] and kinds[place][1] != 1]
        self.sizes = [kinds[place][1] or 0 for place in self.choices]
        self.discrete = [index for index, place in enumerate(self.numbers) if kinds[place][1] is not None]
        self.smooth = np.array([kinds[place][1] is None for place in self.numbers], dtype=bool)
        self.count = len(self.numbers) + len(self.choices)

    def cell(self, index: int, unit: float) -> tuple[float, float]:
        """The ends of the cell of a discrete number that a point of its range lies in, or the nearest one."""
        axis = self.space.axes[self.numbers[index]]
        return axis.cell(axis.at(min(max(unit, 0.0), 1.0)))

    def borders(self, index: int, mean: float) -> tuple[float | None, float | None]:
        """Where the cell about `mean` of a discrete number ends; None where there is no other cell beyond."""
        low, high = self.cell(index, mean)
        return (low if low > _EPSILON else None), (high if high < 1 - _EPSILON else None)

    def moves(self, point: Array) -> list[tuple[int, float]]:
        """Each way from a point `(n,)` to the next value, up or down, of one discrete number: which, and to where."""
        return [
            (index, math.fsum(self.cell(index, border + side)) / 2)
            for index in self.discrete
            for border, side in zip(self.borders(index, float(point[index])), (-_EPSILON, _EPSILON), strict=True)
            if border is not None
        ]

    def centred(self, points: Array, mean: Array) -> Array:
        """Points `(size, n)` with their discrete numbers in the middle of cells, where it is not that of the mean.

        So the mean moves by whole cells, wherever in theirs the points lay. The other points go towards the middle of
        theirs, by what keeps the average: Marty et al. 2024, algorithm 1.
        """
        found = points.copy()
        for index in self.discrete:
            cells = np.array([self.cell(index, unit) for unit in points[:, index].tolist()])
            away = cells[:, 0] != self.cell(index, float(mean[index]))[0]
            found[:, index] = _centred(points[:, index], cells.mean(axis=1), away)
        return found

    def start(self, config: Config) -> Array:
        """Where the mean begins: at a config, but in the middle of the cube where its cell reaches there, so that a
        middle that was only rounded to one side favours none.
        """
        mean, _ = self.read(config, np.full(len(self.numbers), 0.5))
        for index in self.discrete:
            low, high = self.cell(index, float(mean[index]))
            mean[index] = 0.5 if low <= 0.5 <= high else mean[index]
        return mean

    def config(self, numbers: Array, options: Sequence[int]) -> Config:
        """The config at a point `(n,)` with an option for each Choice."""
        point = np.full(len(self.space.paths), 0.5)
        point[self.numbers] = numbers
        point[self.choices] = [(option + 0.5) / size for option, size in zip(options, self.sizes, strict=True)]
        return self.space.decode(point)

    def read(self, config: Config, mean: Array) -> tuple[Array, list[int | None]]:
        """A config as such a point, at the mean where it is inactive, and options."""
        point = self.space.encode(config)
        numbers = np.where(np.isnan(point[self.numbers]), mean, point[self.numbers])
        pairs = zip(point[self.choices].tolist(), self.sizes, strict=True)
        return numbers, [None if math.isnan(unit) else int(unit * size) for unit, size in pairs]


@lru_cache(maxsize=32)
def layout_of(space: Space) -> Layout:
    """The layout of a space, compiled once."""
    return Layout(space)


def _centred(units: Array, middles: Array, away: Mask) -> Array:
    """Those that are `away` in the middle of their cells, the others so far towards it that the sum stays."""
    gaps = middles - units
    bias = float(gaps[away].sum())
    back = np.where(away | (gaps * bias >= 0), 0.0, gaps)
    share = min(1.0, abs(bias) / max(float(np.abs(back).sum()), _EPSILON))
    moved: Array = np.where(away, middles, units + share * back)
    return moved
