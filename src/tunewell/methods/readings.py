"""Outcomes as the arrays that models are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.methods.cube import Array, Cube, Flags
from tunewell.methods.front import best_first, fits_boxes, mixed
from tunewell.methods.history import History, Outcome
from tunewell.study import Goal
from tunewell.surrogates.gp import Columns
from tunewell.surrogates.hypervolume import non_dominated
from tunewell.surrogates.kernels import Groups, squared_distances
from tunewell.surrogates.warping import WARPS, steepness


@dataclass(frozen=True)
class Readings:
    """What n outcomes say, for a model of each of k goals.

    `points` (n, d) are those of the space, `z` (n, p) the same as columns of `cube` and, where results of several
    numbers of steps are modelled together, of their logarithm; `stage` (q,) is what stands there for the largest. The
    losses are warped to `values` (n, k), whose `variances` (n, k) are known or 0, each the mean of `counts` (n,)
    results; `slopes` (n, p) are the derivatives of the first goal's values, NaN where one is unknown. Those that keep
    to the constraints are `allowed` (n,), the trained ones of them that can be best `eligible` (n,). `lost` (m, p) are
    the columns of what failed.
    """

    cube: Cube
    outcomes: Sequence[Outcome]
    points: Array
    z: Array
    stage: Array
    values: Array
    variances: Array
    counts: Array
    slopes: Array
    allowed: Flags
    eligible: Flags
    lost: Array

    @property
    def columns(self) -> Columns:
        """What the columns are: those of the cube, then those of the stage."""
        groups = np.concatenate([self.cube.groups, len(self.cube.sizes) + np.arange(len(self.stage))]).astype(np.intp)
        numbers = np.concatenate([~self.cube.choices[self.cube.groups], np.ones(len(self.stage), dtype=bool)])
        return Columns.of(groups, numbers)

    def embed(self, points: Array) -> Array:
        """Points (m, d) as columns (m, p), trained to the largest number of steps."""
        return at_stage(self.cube.embed(points), self.stage)

    def best(self) -> Array:
        """The points (m, d) of the best outcomes, best first: eight, or the whole front."""
        return self.points[best_first(self.values, self.allowed)[: max(8, _front(self.values[self.allowed]))]]


@dataclass(frozen=True)
class Reader:
    """How outcomes are read: by which warp of the losses, and how many of them at most."""

    output: str
    limit: int

    def read(self, cube: Cube, history: History, goals: Sequence[Goal], rng: np.random.Generator) -> Readings:
        """The outcomes of a study of these goals. More goals than a hypervolume bears are mixed to one, at random."""
        outcomes, bounds = list(history.done.values()), [goal for goal in goals if goal.is_constraint]
        losses, errors = _losses(outcomes, len(goals) - len(bounds))
        if not fits_boxes(losses):
            losses = mixed(self._warped(outcomes, losses), rng)
            errors = np.full_like(losses, np.nan)
        values, variances = self._warped(outcomes, losses), _variances(errors, losses)
        kept = self._kept(cube, outcomes, values)
        steep = self._steep(outcomes, losses, values)[kept]
        outcomes, values, variances = [outcomes[place] for place in kept], values[kept], variances[kept]
        points = np.array([outcome.point for outcome in outcomes])
        z, stage = _staged(cube.embed(points), np.array([float(outcome.until) for outcome in outcomes]))
        counts = np.array([float(outcome.count) for outcome in outcomes])
        allowed = np.array([_is_allowed(outcome, bounds) for outcome in outcomes])
        failed = np.array([*history.failed.values()]).reshape(-1, points.shape[1])[-self.limit // 2 :]
        slopes, lost = _slopes(cube, outcomes, steep, z.shape[1]), at_stage(cube.embed(failed), stage)
        eligible = allowed & _is_longest(outcomes)
        return Readings(cube, outcomes, points, z, stage, values, variances, counts, slopes, allowed, eligible, lost)

    def _warped(self, outcomes: Sequence[Outcome], losses: Array) -> Array:
        """The losses (n, k) as values; those of each goal and number of steps among themselves."""
        found = np.empty_like(losses)
        for rows in _by_steps(outcomes):
            for goal, column in enumerate(losses.T):
                found[rows, goal] = WARPS[self.output](column[rows])
        return found

    def _steep(self, outcomes: Sequence[Outcome], losses: Array, values: Array) -> Array:
        """How steep the warp of the first goal is at its losses (n,); nowhere, where goals are mixed."""
        found = np.full(len(losses), np.nan)
        if losses.shape[1] == 1 < len(outcomes[0].variances):
            return found
        for rows in _by_steps(outcomes):
            found[rows] = steepness(self.output, losses[rows, 0], values[rows, 0])
        return found

    def _kept(self, cube: Cube, outcomes: Sequence[Outcome], values: Array) -> Groups:
        """Which outcomes enter the models: all, or a third each of the best, of those nearest to the best one or to the
        front, and of the others, evenly over time.
        """
        if len(outcomes) <= self.limit:
            return np.arange(len(outcomes))
        third = self.limit // 3
        order = best_first(values, np.ones(len(values), dtype=bool))
        z = cube.embed(np.array([outcome.point for outcome in outcomes]))
        near = np.argsort(squared_distances(z, z[order[: _front(values)]]).min(1), kind="stable")
        chosen = dict.fromkeys([*order[:third].tolist()])
        chosen.update(dict.fromkeys([place for place in near.tolist() if place not in chosen][:third]))
        rest = np.array([place for place in range(len(outcomes)) if place not in chosen])
        evenly = rest[np.linspace(0, len(rest) - 1, self.limit - len(chosen)).astype(int)]
        return np.sort(np.array([*chosen, *evenly.tolist()]))


def at_stage(z: Array, stage: Array) -> Array:
    """Columns (m, p) of a cube, and those of the stage (q,) behind them: (m, p + q)."""
    return np.hstack([z, np.broadcast_to(stage, (len(z), len(stage)))])


def _losses(outcomes: Sequence[Outcome], goals: int) -> tuple[Array, Array]:
    """The mean losses (n, k) of the objectives, and their standard errors, NaN where one is unknown."""
    counts = np.array([[outcome.count] for outcome in outcomes])
    losses = np.array([outcome.totals[:goals] for outcome in outcomes]) / counts
    return losses, np.sqrt([outcome.variances for outcome in outcomes]) / counts


def _variances(errors: Array, losses: Array) -> Array:
    """The squares of standard errors (n, k) as shares of the variances of the losses; 0 where they are unknown."""
    if np.isnan(errors).all():
        return np.zeros_like(losses)
    spread = losses.std(0)
    known: Array = (np.nan_to_num(errors) / np.where(spread > 0, spread, np.inf)) ** 2
    return known


def _by_steps(outcomes: Sequence[Outcome]) -> list[Flags]:
    """The rows (n,) of each number of steps."""
    untils = np.array([outcome.until for outcome in outcomes])
    return [untils == until for until in np.unique(untils)]


def _is_longest(outcomes: Sequence[Outcome]) -> Flags:
    return _by_steps(outcomes)[-1]


def _staged(z: Array, untils: Array) -> tuple[Array, Array]:
    """The columns with the logarithm of the steps behind them, and what stands there for the largest: nothing where
    all are equal.
    """
    logs = np.log(untils)
    if not np.ptp(logs):
        return z, np.zeros(0)
    return np.hstack([z, ((logs - logs.min()) / np.ptp(logs))[:, None]]), np.ones(1)


def _front(values: Array) -> int:
    """How many of the values (n, k) no other one dominates: of one goal, 1."""
    return int(non_dominated(values).sum())


def _is_allowed(outcome: Outcome, bounds: Sequence[Goal]) -> bool:
    values = outcome.totals[len(outcome.totals) - len(bounds) :]
    return all(goal.holds(total / outcome.count) for goal, total in zip(bounds, values, strict=True))


def _slopes(cube: Cube, outcomes: Sequence[Outcome], steep: Array, width: int) -> Array:
    """The derivatives of the values along the columns (n, width) by the chain rule, NaN where one is unknown."""
    found = np.full((len(outcomes), width), np.nan)
    for row, outcome in enumerate(outcomes):
        if outcome.slopes:
            found[row, cube.firsts] = np.array(outcome.slopes) / outcome.count * steep[row]
    found[~np.isfinite(found)] = np.nan
    return found
