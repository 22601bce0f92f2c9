"""What a study takes over from an earlier one: its ended jobs, in the space of this study and in its log.

As the "same" task they are jobs of this study, with the tag `("added", name, origin, job)`. As a "related" task (other
data, another size of model, another machine) their losses cannot be compared with those of this study: then they are no
jobs, so that nothing can take them for its results, but stand in one Act "related", which `Bayes` and `TPE` read.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Sequence

import msgspec

from tunewell.errors import SpaceError, StudyError
from tunewell.space import Config
from tunewell.study import Act, Event, Job, Metrics, Result, Study


class Earlier(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a job of an earlier study ended: its config in the space of this study, its steps as those of this study, its
    finite metrics, and why it `failed` (one of `FAILURES`; empty: it did not).
    """

    job: int
    config: Config
    until: int
    metrics: Metrics = {}
    failed: str = ""


class Taken(msgspec.Struct, frozen=True):
    """What `add_from` did: how many results of the earlier study were `added`, how many were `known` from before, and
    how many were left out, by the reason.
    """

    added: int
    known: int
    left_out: dict[str, int]

    def __str__(self) -> str:
        known = f", {self.known} were known" if self.known else ""
        return f"{self.added} results added{known}{self._omitted()}"

    def _omitted(self) -> str:
        if not self.left_out:
            return ""
        reasons = Counter(self.left_out).most_common(3)
        more = ", ..." if len(self.left_out) > len(reasons) else ""
        return f", {sum(self.left_out.values())} left out ({', '.join(reason for reason, _ in reasons)}{more})"


def origin_of(study: Study) -> str:
    """What tells a study from all others, whatever it is called: a digest of its opening and of the time of that."""
    opening = msgspec.json.encode([study.events[0], study.times[0]], order="sorted")
    return hashlib.sha256(opening).hexdigest()[:12]


def related(act: Act) -> tuple[str, list[Earlier]]:
    """The origin and the results that an Act "related" holds."""
    return act.data["origin"], msgspec.convert(act.data["results"], list[Earlier])


def taken_over(study: Study, other: Study, same: bool) -> tuple[list[Event], Taken]:
    """The events that bring the ended jobs of `other` into `study`, in so far as they are not there; and what they do.

    Raises StudyError where nothing can be taken over.
    """
    _check(study, other, same)
    known, told = _known(study, same), [job for job in other.jobs.values() if _tells(other, job.id)]
    fresh = [job for job in told if _key(other, job, same) not in known and _source(other, job)[1] != origin_of(study)]
    left_out: Counter[str] = Counter()
    found = list(_fitting(study, other, fresh, same, left_out))
    if told and not found and len(fresh) == len(told):
        reason = left_out.most_common(1)[0][0]
        raise StudyError(
            f"no result of {other.name!r} fits this study: {reason}",
            hint="Give new entries the default that stands for what the earlier study did.",
        )
    events = _as_jobs(study, other, found) if same else _as_act(other, found)
    return events, Taken(len(found), len(told) - len(fresh), dict(left_out))


def _check(study: Study, other: Study, same: bool) -> None:
    if not len(other) or origin_of(other) == origin_of(study):
        raise StudyError("a study learns from another one that has begun", hint="Open it with open_study(name, store).")
    if any(origin == origin_of(other) for origin, _ in _known(study, not same)):
        before = "a related task" if same else "the same task"
        raise StudyError(f"the study {other.name!r} was added as {before} before", hint="It cannot be both.")
    done = [result for result in other.results.values() if result.status == "done"]
    for goal in study.goals:
        if done and not any(goal.metric in result.metrics for result in done):
            names = sorted({name for result in done for name in result.metrics})
            raise StudyError(
                f"the study {other.name!r} has no metric {goal.metric!r}", hint=f"It has: {', '.join(names) or 'none'}."
            )


def _tells(other: Study, job: int) -> bool:
    return job in other.results and other.results[job].tells


def _source(other: Study, job: Job) -> tuple[str, str, int]:
    """Where a result comes from: the study's name and origin, and the job there; what that one has taken over itself
    keeps its own.
    """
    if job.tag[:1] == ("added",) and len(job.tag) == 4:
        return job.tag[1:]  # type: ignore[return-value]
    return other.name, origin_of(other), job.id


def _key(other: Study, job: Job, same: bool) -> tuple[str, int]:
    return _source(other, job)[1:] if same else (origin_of(other), job.id)


def _known(study: Study, same: bool) -> set[tuple[str, int]]:
    """The origins and jobs that the study has taken over as the same task, or as a related one."""
    if same:
        tags = (job.tag for job in study.jobs.values() if job.tag[:1] == ("added",) and len(job.tag) == 4)
        return {(str(tag[2]), int(tag[3])) for tag in tags}
    return {(act.data["origin"], result["job"]) for act in study.acts("related") for result in act.data["results"]}


def _fitting(study: Study, other: Study, jobs: Sequence[Job], same: bool, left_out: Counter[str]) -> Iterator[Earlier]:
    """The jobs as results in the space, the steps and the goals of `study`; why others do not fit is counted."""
    for job in jobs:
        result = other.results[job.id]
        try:
            config = study.space.overlap(job.config)
            until = _same_steps(study, other, job) if same else _scaled_steps(study, other, job)
            metrics = {} if result.status == "failed" else _metrics(study, other, result)
        except (SpaceError, StudyError) as error:
            left_out[error.message] += 1
            continue
        failed = result.error.kind if result.error is not None else ""
        yield Earlier(job.id, config, until, metrics, failed or ("" if metrics else "invalid"))


def _same_steps(study: Study, other: Study, job: Job) -> int:
    """The steps of a job as those of this study: its own, but a whole run stands for one where a study counts none."""
    most = study.steps.maximum
    if 1 in (most, other.steps.maximum):
        if job.until == other.steps.maximum:
            return most
        raise StudyError("a part of a run, where this study knows whole runs")
    if job.until > most:
        raise StudyError(f"more than {most} steps")
    return job.until


def _scaled_steps(study: Study, other: Study, job: Job) -> int:
    """The steps that are the same share of a whole run here."""
    share = min(job.until / other.steps.maximum, 1.0)
    return max(1, round(share * study.steps.maximum))


def _metrics(study: Study, other: Study, result: Result) -> Metrics:
    """What a job measured; of each goal the value that counts here."""
    values = {goal.metric: other.value(result.job, goal) for goal in study.goals}
    metrics = {name: float(value) for name, value in {**result.metrics, **values}.items() if math.isfinite(value)}
    for goal in study.goals:
        if goal.metric not in metrics:
            raise StudyError(f"without a finite {goal.metric!r}")
    return metrics


def _as_jobs(study: Study, other: Study, found: Sequence[Earlier]) -> list[Event]:
    events: list[Event] = []
    for number, earlier in enumerate(found, start=len(study.jobs)):
        old, result = other.jobs[earlier.job], other.results[earlier.job]
        tag = ("added", *_source(other, old))
        job = Job(earlier.config, earlier.until, tag=tag, seed=old.seed, id=number, seen=len(study))
        gradient = result.gradient if study.goals[:1] == other.goals[:1] else None
        copy = Result(number, result.status, earlier.metrics, earlier.until, result.seconds, std=result.std)
        events += [job, msgspec.structs.replace(copy, error=result.error, gradient=gradient)]
    return events


def _as_act(other: Study, found: Sequence[Earlier]) -> list[Event]:
    data = {"study": other.name, "origin": origin_of(other), "results": msgspec.to_builtins(found)}
    return [Act("related", data)] if found else []
