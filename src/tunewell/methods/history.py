"""What ended, as a model reads it: one outcome for each config and number of steps, replicates pooled."""

from __future__ import annotations

import math

import msgspec

from tunewell.study import Event, Result, Study, canonical


class Outcome(msgspec.Struct):
    """The results of one config at one number of steps.

    `point` is that of `Space.encode`; `totals` the sums over replicates of the loss of each objective and then of the
    value of each constraint; `variances` those of the squared standard errors of each objective, NaN where one is
    unknown.
    """

    point: list[float]
    until: int
    totals: list[float]
    variances: list[float]
    count: int = 0


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
    errors = [float(event.std.get(goal.metric, math.nan)) for goal in study.objectives]
    fresh = Outcome(point, job.until, [0.0] * len(values), [0.0] * len(errors))
    outcome = history.done.setdefault((key, job.until), fresh)
    outcome.totals = [total + value for total, value in zip(outcome.totals, values, strict=True)]
    outcome.count += 1
    outcome.variances = [total + error**2 for total, error in zip(outcome.variances, errors, strict=True)]
    return history
