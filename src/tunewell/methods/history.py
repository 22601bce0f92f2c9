"""What ended, as a model reads it: one outcome for each config and number of steps, replicates pooled."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec
import numpy as np

from tunewell.earlier import related
from tunewell.methods.cube import Cube, cube_of
from tunewell.methods.plan import asked_for
from tunewell.space import Config
from tunewell.study import Act, Event, Goal, Result, Study, canonical

Point = np.ndarray[Any, np.dtype[np.float64]]


LEADS = 2
"""So many of the best configs of related tasks are tried first."""

_GOOD = 0.25
"""The best share of the results of related tasks, among which these differ as much as they can."""


class Outcome(msgspec.Struct):
    """The results of one config at one number of steps.

    `point` is that of `Space.encode`; `totals` the sums over replicates of the loss of each objective and then of the
    value of each constraint; `variances` those of the squared standard errors of each objective, NaN where one is
    unknown; `slopes` those of the derivatives of the first goal's loss along each coordinate of the point, NaN where
    one is unknown, empty where all are; `seconds` and `cost` those of what it took. `origin` is the earlier study, of a
    related task, that they come from; empty: this one.
    """

    point: list[float]
    until: int
    totals: list[float]
    variances: list[float]
    count: int = 0
    slopes: list[float] = []
    seconds: float = 0.0
    cost: float = 0.0
    origin: str = ""


class History(msgspec.Struct):
    """Fold state: `done` by config and steps, in the order of their first results; the points that `failed`, and the
    `kinds` of these failures, by config; what such a trial had measured on its way counts no more. What was cancelled
    or lost says nothing of its config. What earlier studies of related tasks tell is kept apart, by their origins as
    well.
    """

    done: dict[tuple[str, int], Outcome] = {}
    failed: dict[str, list[float]] = {}
    kinds: dict[str, str] = {}
    related: dict[tuple[str, str, int], Outcome] = {}
    related_failed: dict[tuple[str, str], list[float]] = {}
    told: set[tuple[str, int]] = set()


def history_of(study: Study) -> History:
    """The outcomes of a study, in its space and by its goals. Not to be changed."""
    return study.fold(("history", study.space, study.goals), History, _follow)


def leads(study: Study, count: int = LEADS) -> list[Config]:
    """The best configs of earlier studies of related tasks: `count` of them, less those that this study has asked for.

    Those of several studies come in turn. Several goals count by the mean of their ranks.
    """
    history, asked = history_of(study.root), asked_for(study.root)
    if not history.related:
        return []
    ranked = sorted(_ranked(list(history.related.values()), study.goals), key=lambda pair: pair[0])
    good = [(rank, point) for rank, point in ranked if rank < _GOOD] or ranked[:1]
    points = _spread([point for _, point in good], count, cube_of(study.space))
    configs = {study.root.space.key(config): config for config in map(study.space.decode, points)}
    return [config for key, config in configs.items() if key not in asked and study.space.satisfies(config) is None]


def _spread(points: list[Point], count: int, cube: Cube) -> list[Point]:
    """The first point, and then each time the one that is farthest from those before it."""
    from tunewell.surrogates.kernels import squared_distances

    z = cube.embed(np.array(points))
    chosen = [0]
    while len(chosen) < min(count, len(points)):
        chosen.append(int(squared_distances(z, z[chosen]).min(1).argmax()))
    return [points[place] for place in chosen]


def _ranked(outcomes: list[Outcome], goals: Sequence[Goal]) -> Iterator[tuple[float, Point]]:
    """The outcomes of each origin at its largest number of steps, with a rank that grows from 0 to 1."""
    bounds = [goal for goal in goals if goal.is_constraint]
    longest = {one.origin: max(each.until for each in outcomes if each.origin == one.origin) for one in outcomes}
    for origin, until in longest.items():
        rows = [one for one in outcomes if (one.origin, one.until) == (origin, until)]
        means = np.array([one.totals for one in rows]) / np.array([[one.count] for one in rows])
        ranks = means[:, : len(goals) - len(bounds)].argsort(0, kind="stable").argsort(0, kind="stable").mean(1)
        for row, rank, mean in zip(rows, ranks, means, strict=True):
            yield float(rank + len(rows) * (not keeps_to(bounds, mean))) / len(rows), np.array(row.point)


def keeps_to(bounds: Sequence[Goal], values: Sequence[float] | Point) -> bool:
    """Whether the last of the values, one for each bound, keep to the bounds."""
    held = values[len(values) - len(bounds) :]
    return all(goal.holds(float(value)) for goal, value in zip(bounds, held, strict=True))


def violation(study: Study, job: int) -> float:
    """By how much a finished job violates the measured constraints, each relative to its bound."""
    total = 0.0
    for goal in study.goals:
        value = study.value(job, goal) if goal.is_constraint else 0.0
        for bound, excess in ((goal.at_most, 1.0), (goal.at_least, -1.0)):
            if bound is not None:
                over = excess * (value - bound) / (1.0 + abs(bound))
                total += max(over, 0.0) if math.isfinite(over) else 1e9
    return total


def _follow(history: History, event: Event, study: Study) -> History:
    if isinstance(event, Act) and event.what == "related":
        return _learn(history, event, study)
    if not isinstance(event, Result) or not event.tells:
        return history
    job = study.jobs[event.job]
    key, point = canonical(job.config), study.space.encode(job.config).tolist()
    values = [study.loss(job.id, number) for number in range(len(study.objectives))]
    values += [study.value(job.id, goal) for goal in study.goals if goal.is_constraint]
    if not all(map(math.isfinite, values)):
        _fail(history, key, point, job.until, event)
        return history
    slopes = slopes_of(event, job.config, study)
    errors = [float(event.std.get(goal.metric, math.nan)) for goal in study.objectives]
    fresh = Outcome(point, job.until, [0.0] * len(values), [0.0] * len(errors))
    outcome = history.done.setdefault((key, job.until), fresh)
    outcome.totals = [total + value for total, value in zip(outcome.totals, values, strict=True)]
    pairs = zip(outcome.slopes, slopes, strict=False)  # of no length where a replicate has no gradient
    outcome.slopes = [total + slope for total, slope in pairs] if outcome.count else slopes
    outcome.count += 1
    outcome.seconds += event.seconds
    outcome.cost += event.metrics.get("cost", math.nan)
    outcome.variances = [total + error**2 for total, error in zip(outcome.variances, errors, strict=True)]
    return history


def _fail(history: History, key: str, point: list[float], until: int, result: Result) -> None:
    """A config failed on its way to `until`: as if it had told nothing before, for it did not get there."""
    history.failed[key] = point
    history.kinds[key] = result.error.kind if result.error is not None else "diverged"
    for earlier in [place for place in history.done if place[0] == key and place[1] < until]:
        del history.done[earlier]


def slopes_of(result: Result, config: Config, study: Study) -> list[float]:
    """The gradient of a result turned to the loss and, by the chain rule, to the coordinates of its point.

    It is that of the first goal, and says nothing where this is a constraint. An entry that is inactive, takes separate
    values or has no width has no derivative.
    """
    goal = study.goals[0]
    if not result.gradient or goal.is_constraint:
        return []
    sign, found = -1.0 if goal.maximize else 1.0, []
    point = study.space.encode(config).tolist()
    for dimension, axis, unit in zip(study.space.dimensions, study.space.axes, point, strict=True):
        active = not math.isnan(unit)
        width = axis.slope(config.get(dimension.name)) if active and dimension.size is None else math.nan
        found.append(sign * width * result.gradient.get(dimension.name, math.nan))
    return found


def _learn(history: History, act: Act, study: Study) -> History:
    """The results of an earlier study of a related task, each once; in the space and by the goals of this one."""
    origin, results = related(act)
    for earlier in results:
        config = study.space.adopt(earlier.config)
        if config is None or (origin, earlier.job) in history.told:
            continue
        history.told.add((origin, earlier.job))
        key, point = canonical(config), study.space.encode(config).tolist()
        values = [goal.loss(earlier.metrics.get(goal.metric, math.nan)) for goal in study.objectives]
        values += [earlier.metrics.get(goal.metric, math.nan) for goal in study.goals if goal.is_constraint]
        if earlier.failed:
            history.related_failed[origin, key] = point
        elif all(map(math.isfinite, values)):
            unknown = [math.nan] * len(study.objectives)
            fresh = Outcome(point, earlier.until, [0.0] * len(values), unknown, origin=origin)
            outcome = history.related.setdefault((origin, key, earlier.until), fresh)
            outcome.totals = [total + value for total, value in zip(outcome.totals, values, strict=True)]
            outcome.count += 1
    return history
