"""A goal that follows from the config alone, such as how many parameters a network has: it is computed, not modelled.

Beside a goal that needs a training, such a goal is half of the trade-off. The expected hypervolume improvement takes it
as it is: of what the models promise, only the other goals are in doubt.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.methods.cube import Array, Cube
from tunewell.study import Goal

_SURE = 1e-12
"""The variance of what is computed, of values whose own is 1: as small as that of a model can be."""

_STEP = 1e-4
"""Derivatives are differences over so much of a range, to both sides."""


@dataclass(frozen=True)
class Known:
    """The losses of a known goal, less their `middle` and by their `size` over the results."""

    cube: Cube
    goal: Goal
    middle: float
    size: float

    @classmethod
    def of(cls, cube: Cube, goal: Goal, losses: Array) -> Known:
        """The one on the scale of some losses (n,)."""
        return cls(cube, goal, float(losses.mean()), float(losses.std()) or 1.0)

    def values(self, losses: Array) -> Array:
        """Losses (n,) on that scale."""
        found: Array = (losses - self.middle) / self.size
        return found

    def predict(self, z: Array) -> tuple[Array, Array]:
        """The values (m,) at columns (m, p), and their variances (m,), as a model has them. What stands behind the
        columns of the cube does not matter.
        """
        space, points = self.cube.space, self.cube.points_at(z[:, : len(self.cube.groups)])
        numbers = [space.number(self.goal.metric, space.decode(point)) for point in points]
        losses = np.array([self.goal.loss(number) for number in numbers])
        return self.values(losses), np.full(len(z), _SURE)

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """The value (1,) and the variance at one point (p,), and their gradients (1, p) and (p,): differences along the
        coordinates that are continuous.
        """
        columns = self.cube.firsts[self.cube.smooth]
        steps = np.eye(len(point))[columns] * _STEP
        below, above = point - steps, point + steps
        for moved in (below, above):
            moved[:, columns] = np.clip(moved[:, columns], 0.0, 1.0)  # others may be longer: the places of structures
        value, *values = self.predict(np.vstack([point, below, above]))[0]
        low, high = np.split(np.array(values), 2)
        gradient = np.zeros((1, len(point)))
        gradient[0, columns] = (high - low) / (above - below).sum(1)
        return np.array([value]), _SURE, gradient, np.zeros(len(point))

    def extended(self, z: Array, y: Array) -> Known:
        """The same: results tell nothing new."""
        return self


def known_goals(cube: Cube, goals: Sequence[Goal], losses: Array) -> Mapping[int, Known]:
    """Those of the objectives, with losses (n, k), that the space knows, by their places. Where a study has one
    objective only, none: there is no other to weigh it against.
    """
    objectives = [goal for goal in goals if not goal.is_constraint]
    if len(objectives) == 1:
        return {}
    places = [place for place, goal in enumerate(objectives) if goal.metric in cube.space.known]
    return {place: Known.of(cube, objectives[place], losses[:, place]) for place in places}
