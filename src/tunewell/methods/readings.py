"""Outcomes as the arrays that models are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunewell.honest.divergence import censored
from tunewell.methods.cube import Array, Cube, Flags
from tunewell.methods.front import best_first, fits_boxes, mixed
from tunewell.methods.history import History, Outcome, keeps_to
from tunewell.methods.known import Known, known_goals
from tunewell.study import Goal
from tunewell.surrogates.gp import Columns
from tunewell.surrogates.kernels import Groups, squared_distances
from tunewell.surrogates.pareto import non_dominated
from tunewell.surrogates.warping import WARPS, half_rank, steepness

_RELATED = 100
"""How many results of related tasks enter a model at most: they are to lead, not to crowd out."""

_BY_OUTCOME = ("outcomes", "points", "z", "values", "variances", "counts", "slopes", "allowed", "eligible")
"""What of readings has a row for each outcome."""


@dataclass(frozen=True)
class Readings:
    """What n outcomes say, for a model of each of k goals.

    The first `own` outcomes are those of the study, the others those of related tasks. `points` (n, d) are those of the
    space, `z` (n, p) the same as columns of `cube`; where results of several numbers of steps are modelled together, of
    their logarithm; and of one indicator for each of the `tasks`. `stage` (q,) is what stands behind the cube for the
    largest number of steps of this study. The losses are warped to `values` (n, k), whose `variances` (n, k) are known
    or 0, each the mean of `counts` (n,) results; `slopes` (n, p) are the derivatives of the first goal's values, NaN
    where one is unknown. Those that keep to the constraints are `allowed` (n,), the own and trained ones of them that
    can be best `eligible` (n,). `lost` (m, p) are the columns of what failed, and `kinds` (m,) how. The goals that are
    `known` by their places need no model.
    """

    cube: Cube
    outcomes: Sequence[Outcome]
    own: int
    points: Array
    z: Array
    stage: Array
    tasks: int
    values: Array
    variances: Array
    counts: Array
    slopes: Array
    allowed: Flags
    eligible: Flags
    lost: Array
    kinds: Sequence[str]
    known: Mapping[int, Known]

    @property
    def columns(self) -> Columns:
        """What the columns are: those of the cube, then those of the stage."""
        groups = np.concatenate([self.cube.groups, self.cube.count + np.arange(len(self.stage))]).astype(np.intp)
        behind = np.arange(len(self.stage)) < len(self.stage) - self.tasks
        numbers = np.concatenate([self.cube.numbers, behind])
        return Columns.of(groups, numbers)

    def embed(self, points: Array) -> Array:
        """Points (m, d) as columns (m, p), trained to the largest number of steps."""
        return at_stage(self.cube.embed(points), self.stage)

    def alone(self) -> Readings:
        """The readings of this study, without those of related tasks."""
        own = slice(self.own)
        kept = {name: getattr(self, name)[own] for name in _BY_OUTCOME}
        here = ~self.lost[:, self.lost.shape[1] - self.tasks :].any(1)
        kinds = [self.kinds[place] for place in np.flatnonzero(here).tolist()]
        return replace(self, **kept, lost=self.lost[here], kinds=kinds)

    def best(self) -> Array:
        """The points (m, d) of the best outcomes, best first: eight, or the whole front; and eight of related tasks."""
        values, allowed = self.values[: self.own], self.allowed[: self.own]
        own = best_first(values, allowed)[: max(8, _front(values[allowed]))]
        others = best_first(self.values[self.own :], self.allowed[self.own :])[:8]
        return self.points[[*own, *(self.own + others)]]


@dataclass(frozen=True)
class Reader:
    """How outcomes are read: by which warp of the losses, and how many of them at most."""

    output: str
    limit: int

    def read(self, cube: Cube, history: History, goals: Sequence[Goal], rng: np.random.Generator) -> Readings:
        """The outcomes of a study of these goals. More goals than a hypervolume bears are mixed to one, at random."""
        own, others = list(history.done.values()), list(history.related.values())
        outcomes, bounds = own + others, [goal for goal in goals if goal.is_constraint]
        losses, errors = _losses(outcomes, len(goals) - len(bounds))
        known = known_goals(cube, goals, losses[: len(own)])
        if not fits_boxes(losses[: len(own)]):
            losses = mixed(self._warped(outcomes, losses, known), rng)
            errors, known = np.full_like(losses, np.nan), {}
        values, variances = self._warped(outcomes, losses, known), _variances(errors, losses, len(own))
        first = _thinned(cube, own, values[: len(own)], self.limit)
        kept = np.concatenate([first, len(own) + _thinned(cube, others, values[len(own) :], _RELATED)])
        steep = self._steep(outcomes, losses, values)[kept]
        outcomes, values, variances = [outcomes[place] for place in kept], values[kept], variances[kept]
        points = np.array([outcome.point for outcome in outcomes])
        origins = list(
            dict.fromkeys([*(key[0] for key in history.related), *(key[0] for key in history.related_failed)])
        )
        steps, stage = _stages(outcomes, len(first))
        behind = np.hstack([steps, _tasks([outcome.origin for outcome in outcomes], origins)])
        z, stage = np.hstack([cube.embed(points), behind]), np.concatenate([stage, np.zeros(len(origins))])
        counts = np.array([float(outcome.count) for outcome in outcomes])
        allowed = np.array([_is_allowed(outcome, bounds) for outcome in outcomes])
        slopes, lost = _slopes(cube, outcomes, steep, z.shape[1]), self._lost(cube, history, origins, stage)
        eligible = allowed & _is_longest(outcomes, len(first))
        return Readings(
            cube,
            outcomes,
            len(first),
            points,
            z,
            stage,
            len(origins),
            values,
            variances,
            counts,
            slopes,
            allowed,
            eligible,
            lost,
            self._kinds(history),
            known,
        )

    def _lost(self, cube: Cube, history: History, origins: Sequence[str], stage: Array) -> Array:
        """The columns of what failed, here and in related tasks."""
        own = [(point, "") for point in history.failed.values()][-self.limit // 2 :]
        others = [(point, origin) for (origin, _), point in history.related_failed.items()][-_RELATED // 2 :]
        points = np.array([point for point, _ in own + others]).reshape(-1, len(cube.dimensions))
        lost = at_stage(cube.embed(points), stage)
        lost[:, lost.shape[1] - len(origins) :] = _tasks([origin for _, origin in own + others], origins)
        return lost

    def _kinds(self, history: History) -> list[str]:
        """How the rows of `lost` failed; of related tasks nobody knows."""
        own = [history.kinds[key] for key in history.failed][-self.limit // 2 :]
        return own + [""] * len(list(history.related_failed)[-_RELATED // 2 :])

    def _warped(self, outcomes: Sequence[Outcome], losses: Array, known: Mapping[int, Known]) -> Array:
        """The losses (n, k) as values; those of each goal, origin and number of steps among themselves, but for goals
        that are known.
        """
        found = np.empty_like(losses)
        for rows in _alike(outcomes):
            some = np.stack([censored(column) for column in losses[rows].T], axis=1)
            # what is bad of one goal is good of another: ranks would hide how much, as far as the front goes
            ends = some[non_dominated(some)].max(0) if some.shape[1] > 1 else [-np.inf]
            for goal, (column, end) in enumerate(zip(some.T, ends, strict=True)):
                found[rows, goal] = half_rank(column, end) if self.output == "half-rank" else WARPS[self.output](column)
        for goal, exact in known.items():
            found[:, goal] = exact.values(losses[:, goal])
        return found

    def _steep(self, outcomes: Sequence[Outcome], losses: Array, values: Array) -> Array:
        """How steep the warp of the first goal is at its losses (n,); nowhere, where goals are mixed."""
        found = np.full(len(losses), np.nan)
        if losses.shape[1] == 1 < len(outcomes[0].variances):
            return found
        for rows in _alike(outcomes):
            found[rows] = steepness(self.output, censored(losses[rows, 0]), values[rows, 0])
        return found


def _thinned(cube: Cube, outcomes: Sequence[Outcome], values: Array, limit: int) -> Groups:
    """Which outcomes enter the models: all, or a third each of the best, of those nearest to the best one or to the
    front, and of the others, evenly over time.
    """
    if len(outcomes) <= limit:
        return np.arange(len(outcomes))
    third = limit // 3
    order = best_first(values, np.ones(len(values), dtype=bool))
    z = cube.embed(np.array([outcome.point for outcome in outcomes]))
    near = np.argsort(squared_distances(z, z[order[: _front(values)]]).min(1), kind="stable")
    chosen = dict.fromkeys([*order[:third].tolist()])
    chosen.update(dict.fromkeys([place for place in near.tolist() if place not in chosen][:third]))
    rest = np.array([place for place in range(len(outcomes)) if place not in chosen])
    evenly = rest[np.linspace(0, len(rest) - 1, limit - len(chosen)).astype(int)]
    return np.sort(np.array([*chosen, *evenly.tolist()]))


def at_stage(z: Array, stage: Array) -> Array:
    """Columns (m, p) of a cube, and those of the stage (q,) behind them: (m, p + q)."""
    return np.hstack([z, np.broadcast_to(stage, (len(z), len(stage)))])


def _losses(outcomes: Sequence[Outcome], goals: int) -> tuple[Array, Array]:
    """The mean losses (n, k) of the objectives, and their standard errors, NaN where one is unknown."""
    counts = np.array([[outcome.count] for outcome in outcomes])
    losses = np.array([outcome.totals[:goals] for outcome in outcomes]) / counts
    return losses, np.sqrt([outcome.variances for outcome in outcomes]) / counts


def _variances(errors: Array, losses: Array, own: int) -> Array:
    """The squares of standard errors (n, k) as shares of the variances of the losses of the first `own`; 0 where they
    are unknown.
    """
    found = np.zeros_like(losses)
    if not np.isnan(errors[:own]).all():
        spread = losses[:own].std(0)
        found[:own] = (np.nan_to_num(errors[:own]) / np.where(spread > 0, spread, np.inf)) ** 2
    return found


def _alike(outcomes: Sequence[Outcome]) -> list[Flags]:
    """The rows (n,) of each origin and number of steps: their losses can be compared."""
    kinds = [(outcome.origin, outcome.until) for outcome in outcomes]
    return [np.array([kind == each for each in kinds]) for kind in sorted(set(kinds))]


def _is_longest(outcomes: Sequence[Outcome], own: int) -> Flags:
    """Which of the first `own` outcomes have the most steps of these."""
    untils = np.array([outcome.until for outcome in outcomes])
    longest: Flags = (untils == untils[:own].max()) & (np.arange(len(untils)) < own)
    return longest


def _stages(outcomes: Sequence[Outcome], own: int) -> tuple[Array, Array]:
    """The logarithms of the steps, from 0 to 1, as a column (n, 1), and what stands there for the most steps of the
    first `own`; no column where all are equal.
    """
    logs = np.log([float(outcome.until) for outcome in outcomes])
    if not np.ptp(logs):
        return np.zeros((len(logs), 0)), np.zeros(0)
    scaled = (logs - logs.min()) / np.ptp(logs)
    return scaled[:, None], scaled[:own].max(keepdims=True)


def _tasks(origins: Sequence[str], known: Sequence[str]) -> Array:
    """An indicator of each of the known origins (n, q)."""
    found = np.zeros((len(origins), len(known)))
    for row, origin in enumerate(origins):
        found[row, [origin == each for each in known]] = 1.0
    return found


def _front(values: Array) -> int:
    """How many of the values (n, k) no other one dominates: of one goal, 1."""
    return int(non_dominated(values).sum())


def _is_allowed(outcome: Outcome, bounds: Sequence[Goal]) -> bool:
    return keeps_to(bounds, [total / outcome.count for total in outcome.totals])


def _slopes(cube: Cube, outcomes: Sequence[Outcome], steep: Array, width: int) -> Array:
    """The derivatives of the values along the columns (n, width) by the chain rule, NaN where one is unknown."""
    found = np.full((len(outcomes), width), np.nan)
    for row, outcome in enumerate(outcomes):
        if outcome.slopes:
            found[row, cube.firsts] = np.array(outcome.slopes) / outcome.count * steep[row]
    found[~np.isfinite(found)] = np.nan
    return found
