"""Which of many goals' points stay: one near each of evenly spread directions, which fronts of many points lack.

I. Das, J. E. Dennis: Normal-boundary intersection. SIAM Journal on Optimization 8, 1998: the directions.
K. Deb, H. Jain: An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
approach, part I (NSGA-III). IEEE Transactions on Evolutionary Computation 18, 2014.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from math import comb

import numpy as np

from tunewell.surrogates.pareto import Array, Places

_INSIDE = 1e-6
"""What a direction leaves to the other goals where one counts fully: equation (4) of Deb and Jain."""


@lru_cache(maxsize=16)
def directions(goals: int, most: int) -> Array:
    """Even directions (m, goals), each of sum 1: as many as there are with one number of divisions, at most `most`.

    Where these would all lie on the edge, a second layer half as wide stands inside (Deb and Jain, section VII). At
    least one for each goal.
    """
    outer = _divisions(goals, most)
    found = _lattice(goals, outer)
    room = most - len(found)
    if outer < goals and room >= goals:
        found = np.vstack([found, (_lattice(goals, _divisions(goals, room)) + 1 / goals) / 2])
    found.setflags(write=False)
    return found


def _divisions(goals: int, most: int) -> int:
    """How fine a lattice of at most so many points may be; 1, where even the goals are more."""
    count = 1
    while goals > 1 and comb(goals + count, goals - 1) <= most:
        count += 1
    return count


def _lattice(goals: int, divisions: int) -> Array:
    """All (m, goals) whose parts are multiples of 1 / `divisions` with the sum 1."""
    places = list(combinations(range(divisions + goals - 1), goals - 1))
    bars = np.array(places, dtype=int).reshape(len(places), goals - 1)
    ends = np.hstack([np.full((len(bars), 1), -1), bars, np.full((len(bars), 1), divisions + goals - 1)])
    found: Array = (np.diff(ends, axis=1) - 1) / divisions
    return found


def normalized(points: Array) -> Array:
    """The points (n, k) with the best of each goal at 0, and at 1 where the plane through the extreme points cuts its
    axis; at the worst of a goal where these span no plane. Deb and Jain, algorithm 2.
    """
    moved = points - points.min(0)
    goals = points.shape[1]
    weights = np.where(np.eye(goals, dtype=bool), 1.0, _INSIDE)
    extremes = moved[[int((moved / weight).max(1).argmin()) for weight in weights]]
    worst = moved.max(0)
    try:
        slopes = np.linalg.solve(extremes, np.ones(goals))
    except np.linalg.LinAlgError:
        slopes = np.zeros(goals)
    is_plane = np.isfinite(slopes).all() and (slopes > 0).all() and (slopes * worst < 1e6).all()
    found: Array = moved * slopes if is_plane else moved / np.where(worst > 0, worst, 1.0)
    return found


def associated(points: Array, towards: Array) -> tuple[Places, Array]:
    """The direction (m, k) nearest to each point (n, k), by its number, and the distance to its line. Deb and Jain,
    algorithm 3.
    """
    lines = towards / np.linalg.norm(towards, axis=1, keepdims=True)
    squares = (points**2).sum(1, keepdims=True) - (points @ lines.T) ** 2
    nearest = squares.argmin(1)
    return nearest, np.sqrt(np.maximum(squares[np.arange(len(points)), nearest], 0.0))


def niched(points: Array, sure: int, count: int, rng: np.random.Generator, most: int | None = None) -> Places:
    """The places of `count` of the points (n, k) besides the first `sure` ones, which stay: each time one of the
    direction that has the fewest; where it has none yet, the nearest, else any. Deb and Jain, algorithm 4.

    The points that do not stay are all of one front. `most` bounds the number of directions; left out, so many as stay.
    """
    towards = directions(points.shape[1], most or sure + count)
    nearest, distances = associated(normalized(points), towards)
    held = np.bincount(nearest[:sure], minlength=len(towards))
    waiting = {line: _by_distance(nearest, distances, line, sure) for line in set(nearest[sure:].tolist())}
    chosen: list[int] = []
    while len(chosen) < count and waiting:
        least = min(int(held[line]) for line in waiting)
        lines = sorted(line for line in waiting if held[line] == least)
        line = lines[int(rng.integers(len(lines)))]
        some = waiting[line]
        chosen.append(some.pop(0 if least == 0 else int(rng.integers(len(some)))))
        held[line] += 1
        if not some:
            del waiting[line]
    return np.array(chosen, dtype=np.intp)


def _by_distance(nearest: Places, distances: Array, line: int, sure: int) -> list[int]:
    """The places from `sure` on of the points of one direction, the nearest first."""
    mine = sure + np.flatnonzero(nearest[sure:] == line)
    found: list[int] = mine[np.argsort(distances[mine], kind="stable")].tolist()
    return found
