"""Configs that satisfy constraints which hardly any config does: a walk that never makes anything worse.

W. K. Hastings: Monte Carlo sampling methods using Markov chains and their applications. Biometrika 57, 1970.

A config is a point of the unit cube here, one uniform number for each entry, from which it is drawn by its prior. A
step is as likely as its reverse, so that the walk, once inside, visits what is allowed as often as the priors say,
conditions included. Until then it goes downhill: each constraint says by how much it is violated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

Point = np.ndarray[Any, np.dtype[np.float64]]
Excess = Callable[[Point], float]
"""By how much a point violates the constraints: 0 where it satisfies them."""

_MIXING = 50
"""So many steps for each coordinate are taken inside, until where the walk came in is forgotten."""


def walked(start: Point, excess: Excess, rng: np.random.Generator, steps: int) -> Point | None:
    """A random point that satisfies the constraints; None where no such point is found within some steps of `start`."""
    point, worst = start, excess(start)
    for _ in range(steps):
        if worst == 0.0:
            break
        point, worst = _stepped(point, worst, excess, rng)
    else:
        return None
    for _ in range(_MIXING * len(point)):
        point, worst = _stepped(point, worst, excess, rng)
    return point


def _stepped(point: Point, worst: float, excess: Excess, rng: np.random.Generator) -> tuple[Point, float]:
    """The point a step further, or the same where that would be worse; and by how much it violates."""
    moved = _moved(point, rng)
    found = excess(moved)
    return (moved, found) if found <= worst else (point, worst)


def _moved(point: Point, rng: np.random.Generator) -> Point:
    """One coordinate or a few are drawn anew, or make a normal step of any size, reflected at the ends."""
    chosen = rng.random(len(point)) < 1.0 / len(point)
    chosen[rng.integers(len(point))] = True
    steps = point + 10.0 ** rng.uniform(-3.0, 0.0) * rng.standard_normal(len(point))
    anew = rng.random(len(point)) if rng.random() < 0.5 else 1.0 - np.abs(1.0 - np.abs(steps) % 2.0)
    return np.where(chosen, np.minimum(anew, 1.0 - 2.0**-53), point)
