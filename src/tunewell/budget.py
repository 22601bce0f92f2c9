"""What a study has spent, read from its log, and what its limits still allow."""

from __future__ import annotations

import math

import msgspec

from tunewell.study import FOREIGN, Act, Event, Job, Result, Study


class Spent(msgspec.Struct):
    """What a study has used of its `Limits`, over all workers and sessions.

    `trials` and `steps` count what is reserved by appended jobs; `seconds` is wall clock while somebody worked on it,
    up to the last event; `best` the lowest loss of the first objective so far.
    """

    trials: int = 0
    steps: int = 0
    seconds: float = 0.0
    compute_seconds: float = 0.0
    cost: float = 0.0
    best: float = math.inf
    read: int = 0
    last: float = 0.0
    inside: int = 0
    away: bool = False


def spent(study: Study) -> Spent:
    """What `study` has used up to its last event."""
    return study.fold(("spent", study.objectives[:1]), Spent, _spend, reports=True)


def _spend(state: Spent, event: Event, study: Study) -> Spent:
    now = study.times[state.read]
    if state.read and not state.away and not _enters_alone(event):
        state.seconds += max(0.0, now - state.last)
    state.read, state.last = state.read + 1, now
    if isinstance(event, Act):
        _count_sessions(state, event)
    elif isinstance(event, Job) and event.tag[:1] != ("added",):
        state.trials += counts_as_trial(event)
        state.steps += study.reserved(event)
    elif isinstance(event, Result):
        _spend_result(state, event, study)
    return state


def _enters_alone(event: Event) -> bool:
    return isinstance(event, Act) and event.what == "enter" and bool(event.data.get("alone"))


def _count_sessions(state: Spent, act: Act) -> None:
    """The hours between two sessions are nobody's: the clock stands when the last process leaves, and starts again
    when one enters alone, for those before it may have been killed."""
    if act.what == "enter":
        state.inside = 1 if _enters_alone(act) else state.inside + 1
    elif act.what == "leave":
        state.inside -= 1
    state.away = state.inside == 0 and (act.what == "leave" or state.away)


def _spend_result(state: Spent, result: Result, study: Study) -> None:
    if study.jobs[result.job].tag[:1] != ("added",):
        state.compute_seconds += result.seconds
        cost = result.metrics.get("cost", 0.0)
        state.cost += cost if math.isfinite(cost) else 0.0
    if result.status == "done" and study.objectives:
        state.best = min(state.best, study.loss(result.job))


def counts_as_trial(job: Job) -> bool:
    """Whether a job counts against `Limits.trials`: it starts a config, and is no replicate."""
    return job.parent is None and job.seed == 0 and job.tag[:1] != FOREIGN[1:]


def affords(study: Study, job: Job) -> bool:
    """Whether the exact budgets, trials and steps, leave room for `job`."""
    limits, used = study.limits, spent(study)
    if limits.trials is not None and counts_as_trial(job) and used.trials >= limits.trials:
        return False
    return limits.steps is None or used.steps + study.reserved(job) <= limits.steps


def over(study: Study, now: float) -> str:
    """The name of the limit that forbids starting more jobs at time `now`; empty when none does."""
    limits = study.limits
    if limits.seconds is limits.compute_seconds is limits.cost is limits.target is None:
        return ""
    used = spent(study)
    wall = used.seconds + max(0.0, now - used.last) if used.read and not used.away else used.seconds
    if limits.target is not None and study.objectives and used.best <= study.objectives[0].loss(limits.target):
        return "target"
    measured = (("seconds", wall), ("compute_seconds", used.compute_seconds), ("cost", used.cost))
    exhausted = (name for name, value in measured if (limit := getattr(limits, name)) is not None and value >= limit)
    return next(exhausted, "")
