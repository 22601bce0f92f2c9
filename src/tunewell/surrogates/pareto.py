"""Several goals at once, all to be small: what dominates what, how crowded a front is, and which point is a compromise.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan: A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE
Transactions on Evolutionary Computation 6, 2002.
J. Branke, K. Deb, H. Dierolf, M. Osswald: Finding knees in multi-objective optimization. PPSN 2004.
K. Miettinen: Nonlinear multiobjective optimization. Kluwer, 1999, section 3.4: the weighted Chebyshev problem.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]
Places = np.ndarray[Any, np.dtype[np.intp]]


def non_dominated(points: Array) -> Flags:
    """Which of the points (n, k) no other one dominates: (n,). Of equal points, the first."""
    found = np.zeros(len(points), dtype=bool)
    left = np.lexsort(points.T[::-1])  # of these, the first is dominated by none
    while len(left):
        found[left[0]] = True
        left = left[(points[left] < points[left[0]]).any(1)]
    return found


def fronts(points: Array, enough: int | None = None) -> list[Places]:
    """The places of the points (n, k), in fronts: what nothing dominates; what only that dominates; and so on.

    Of equal points each but the first stands a front lower. With `enough`, no more fronts than hold so many points.
    Deb et al., section III-A.
    """
    found: list[Places] = []
    left: Places = np.arange(len(points))
    wanted = len(points) if enough is None else enough
    while len(left) and sum(map(len, found)) < wanted:
        kept = non_dominated(points[left])
        found.append(left[kept])
        left = left[~kept]
    return found


def crowding(front: Array) -> Array:
    """How far apart the neighbours of each point of a front (n, k) lie, summed over the goals as shares of their
    ranges: (n,); infinite at the ends. Deb et al., section III-B.
    """
    found = np.zeros(len(front))
    for column in front.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        extent = ordered[-1] - ordered[0]
        if extent > 0:
            found[order[1:-1]] += (ordered[2:] - ordered[:-2]) / extent
            found[order[[0, -1]]] = np.inf
    return found


def scaled(front: Array) -> Array:
    """The points of a front (n, k) with each goal from 0, its best there, to 1, its worst; a goal that is the same
    everywhere is 0.
    """
    extent = np.ptp(front, axis=0)
    found: Array = (front - front.min(0)) / np.where(extent > 0, extent, 1.0)
    return found


def chebyshev(front: Array, weights: Array) -> Array:
    """The weighted Chebyshev distance of each point of a front (n, k) from the best of each goal, (n,); weights (k,).

    Goals count as shares of their range. A small share of the sum is added, so that of two points with the same
    largest part one that is dominated is farther (Miettinen, equation 3.4.5).
    """
    parts = scaled(front) * weights
    found: Array = parts.max(1) + 1e-6 * parts.sum(1)
    return found


def knee(front: Array) -> int:
    """The place of the point of a front (n, k) that lies farthest on the near side of the plane through the goals' best
    points: a little less of one goal costs much of another there.

    With each goal from 0 to 1, that is the least sum; where no point is better than that plane, the point nearest to
    the best of all goals in its worst one. The distance to the plane is that of Branke et al., section 2, of Das.
    """
    unit = scaled(front)
    sums = unit.sum(1)
    if sums.min() < 1.0 - 1e-9:
        return int(sums.argmin())
    return int(chebyshev(front, np.ones(front.shape[1])).argmin())
