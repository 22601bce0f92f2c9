"""Where a function on a space is largest: random points, neighbours of good configs, and a climb from the best of them.

The space may be mixed and conditional, so that a climb takes the coordinates as they are: in rounds, each of the best
points is replaced by its best neighbour, where that is better, with ever smaller steps; at last the continuous
coordinates follow the gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from tunewell.methods.cube import Array, Cube

Value = Callable[[Array], Array]
"""Points (n, d) to values (n,)."""
Slope = Callable[[Array], tuple[float, Array]]
"""One point (p,) of the columns of `Cube.embed` to its value and gradient (p,)."""


@dataclass(frozen=True)
class Search:
    """How hard to look: `spread` random points, `local` neighbours of the centres, `tops` climbs of `children` a step,
    in rounds of these `strengths`, shares of a range.
    """

    spread: int = 512
    local: int = 512
    tops: int = 6
    children: int = 24
    strengths: tuple[float, ...] = (0.1, 0.05, 0.03, 0.02, 0.01, 0.005)

    def best_first(
        self, cube: Cube, value: Value, slope: Slope, centres: Array, rng: np.random.Generator
    ) -> Iterator[Array]:
        """Points (d,), the one of the largest value first; `centres` (k, d) are good configs, for their neighbours."""
        points = np.vstack([cube.uniform(self.spread, rng), self._around(cube, centres, rng)])
        values = value(points)
        order = np.argsort(-values, kind="stable")
        tops, heights = self._climbed(cube, value, points[order[: self.tops]], values[order[: self.tops]], rng)
        first = int(np.argmax(heights))
        followed = _followed(cube, slope, tops[first])
        if value(followed[None])[0] >= heights[first]:
            yield followed
        yield from tops[np.argsort(-heights, kind="stable")]
        yield from points[order]

    def _around(self, cube: Cube, centres: Array, rng: np.random.Generator) -> Array:
        """Neighbours of the centres, near and far."""
        chosen = centres[rng.integers(len(centres), size=self.local)]
        return cube.near(chosen, np.exp(rng.uniform(np.log(0.005), np.log(0.3), self.local)), rng)

    def _climbed(
        self, cube: Cube, value: Value, tops: Array, heights: Array, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        rows = np.arange(len(tops))
        for strength in self.strengths:
            born = cube.near(np.repeat(tops, self.children, 0), np.full(len(tops) * self.children, strength), rng)
            found = value(born).reshape(len(tops), -1)
            best = found.argmax(1)
            better = found[rows, best] > heights
            tops = np.where(better[:, None], born.reshape(len(tops), self.children, -1)[rows, best], tops)
            heights = np.where(better, found[rows, best], heights)
        return tops, heights


def _followed(cube: Cube, slope: Slope, point: Array) -> Array:
    """The point (d,) after L-BFGS-B in the continuous and active coordinates."""
    free = np.flatnonzero(cube.smooth & ~np.isnan(point))
    if not len(free):
        return point
    base, columns = cube.embed(point[None])[0], cube.firsts[free]

    def negative(numbers: Array) -> tuple[float, Array]:
        moved = base.copy()
        moved[columns] = numbers
        value, gradient = slope(moved)
        return (-value, -gradient[columns]) if np.isfinite(value) else (1e10, np.zeros(len(columns)))

    bounds = [(0.0, 1.0)] * len(free)
    found = minimize(negative, point[free], jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 30})
    moved = point.copy()
    moved[free] = found.x
    settled: Array = cube.settled(moved[None])[0]
    return settled
