"""What ended, as a model reads it: one outcome for each config and number of steps, replicates pooled."""

from __future__ import annotations

import math

import msgspec

from tunewell.space import Config
from tunewell.study import Event, Result, Study, canonical


class Outcome(msgspec.Struct):
    """The results of one config at one number of steps.

    `point` is that of `Space.encode`; `totals` the sums over replicates of the loss of each objective and then of the
    value of each constraint; `variances` those of the squared standard errors of each objective, NaN where one is
    unknown; `slopes` those of the derivatives of the first goal's loss along each coordinate of the point, NaN where
    one is unknown, empty where all are; `seconds` and `cost` those of what it took.
    """

    point: list[float]
    until: int
    totals: list[float]
    variances: list[float]
    count: int = 0
    slopes: list[float] = []
    seconds: float = 0.0
    cost: float = 0.0


class History(msgspec.Struct):
    """Fold state: `done` by config and steps, in the order of their first results; the points that `failed`, by
    config. What was cancelled or lost says nothing of its config.
    """

    done: dict[tuple[str, int], Outcome] = {}
    failed: dict[str, list[float]] = {}


def history_of(study: Study) -> History:
    """The outcomes of a study, in its space and by its goals. Not to be changed."""
    return study.fold(("history", study.space, study.goals), History, _follow)


def _follow(history: History, event: Event, study: Study) -> History:
    if not isinstance(event, Result) or not event.tells:
        return history
    job = study.jobs[event.job]
    key, point = canonical(job.config), study.space.encode(job.config).tolist()
    values = [study.loss(job.id, number) for number in range(len(study.objectives))]
    values += [study.value(job.id, goal) for goal in study.goals if goal.is_constraint]
    if not all(map(math.isfinite, values)):
        history.failed[key] = point
        return history
    slopes = _slopes(event, job.config, point, study)
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


def _slopes(result: Result, config: Config, point: list[float], study: Study) -> list[float]:
    """The gradient of a result turned to the loss and, by the chain rule, to the coordinates of its point.

    It is that of the first goal, and says nothing where this is a constraint. An entry that is inactive, takes separate
    values or has no width has no derivative.
    """
    goal = study.goals[0]
    if not result.gradient or goal.is_constraint:
        return []
    sign, found = -1.0 if goal.maximize else 1.0, []
    for dimension, axis, unit in zip(study.space.dimensions, study.space.axes, point, strict=True):
        active = not math.isnan(unit)
        width = axis.slope(config.get(dimension.name)) if active and dimension.size is None else math.nan
        found.append(sign * width * result.gradient.get(dimension.name, math.nan))
    return found
