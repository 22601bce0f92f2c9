"""Which checkpoints a study still needs, where a job goes on from, and what can be deleted.

`keeps` is the rule: the checkpoint of every job that nothing has replaced yet, and of every pending job's parent. A
running job keeps its last one.

A checkpoint that a later job needs is never deleted, though several processes decide at once. What a Result has
replaced goes when the log holds a job whose decision has seen that Result: the id of a job is taken once, so every
decision that had not seen it is refused from then on, or is a pending job by now. So beside those of the rule, the
disk holds what was replaced since the last job was decided; at the end of the study that goes too.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tunewell.errors import CheckpointError
from tunewell.executors.checkpoint import verify
from tunewell.order import ordered
from tunewell.study import Event, Job, Report, Result, Study


def keeps(study: Study) -> set[int]:
    """The finished jobs whose checkpoints must stay: all that are not replaced, and every parent of a pending job.

    A job is replaced when its trial went on and saved; or when its place in the method's plan was taken by a copy: a
    job with its tag that went on from elsewhere, or with another config, and saved. A copy alone replaces nobody: the
    trial that was copied may still go on.
    """
    waiting = {job.parent for job in study.pending() if job.parent is not None}
    return (study.results.keys() - _followed(study).replaced) | waiting


class _Followed(msgspec.Struct):
    """Fold state: the jobs that are `replaced` by others that are done, whose place each job `took`, and the `newest`
    of each tag.
    """

    replaced: set[int] = set()
    took: dict[int, int] = {}
    newest: dict[tuple[str | int, ...], int] = {}

    def follow(self, event: Event, study: Study) -> _Followed:
        """One event more."""
        if not isinstance(event, Result) or event.saved is None or event.status != "done":
            return self
        job = study.jobs[event.job]
        if job.parent is not None:
            before = study.jobs[job.parent]
            goes_on = (job.config, job.seed) == (before.config, before.seed)
            old = before.id if goes_on else self.newest.get(job.tag)
            if old is not None:
                self.replaced.add(old)
                self.took[job.id] = old
        if job.tag:
            self.newest[job.tag] = job.id  # without a tag nobody knows what replaces what
        return self


def _followed(study: Study) -> _Followed:
    """What is replaced as far as methods have seen, which may still copy the rest."""
    return ordered(study, study.settings.deterministic).fold("followed", _Followed, _Followed.follow)


def origin(study: Study, job: Job) -> tuple[int, Path | None]:
    """The step that an attempt at `job` starts from, and the checkpoint there: its own last one, its parent's, or none.

    One at the job's very end is none to go on from: nothing would be left to train.
    """
    own = [report for report in study.reports(job.id) if report.saved is not None and report.steps[-1] < job.until]
    if own and _is_whole(study, own[-1].saved):
        return own[-1].steps[-1], study.path(own[-1].saved)
    parent = study.results[job.parent] if job.parent is not None else None
    if parent is not None and _is_whole(study, parent.saved):
        return parent.step, study.path(parent.saved)
    return 0, None


def first_value(study: Study, job: Job) -> float | None:
    """The first value of the first objective that the lineage of a job reported; None where it has reported none."""
    metric = study.objectives[0].metric
    values = (value for member in study.lineage(job.id) for value in _reported(study, member.id, metric))
    return next(values, None)


def _reported(study: Study, job: int, metric: str) -> Iterator[float]:
    for report in study.reports(job):
        for value in report.values.get(metric, ()):
            if value is not None and math.isfinite(value):
                yield value


def unsaid_result(study: Study, job: Job, attempt: int) -> Result | None:
    """The Result of a job whose reports and checkpoint go to its very end; None where something is left to train."""
    reports = study.reports(job.id)
    if not reports or reports[-1].saved is None or reports[-1].steps[-1] < job.until:
        return None
    columns = study.curve(job.id).values.items()
    metrics = {name: [value for value in column if not math.isnan(value)][-1] for name, column in columns}
    return Result(job.id, "done", metrics, reports[-1].steps[-1], attempt=attempt, saved=reports[-1].saved)


def _is_whole(study: Study, saved: str | None) -> bool:
    """Whether a checkpoint is there, with all its files in full length: after a loss of power it may not be."""
    path = study.path(saved)
    try:
        return path is not None and bool(verify(path, hashes=False))
    except CheckpointError:
        return False


def sweep(study: Study, event: Event) -> None:
    """Delete what a committed event has made useless: a running job's older checkpoints; and at a job, what the results
    that its decision was the first to see have replaced.
    """
    if isinstance(event, Report) and event.saved is not None:
        _drop_older(study, event.job, event.saved)
    elif isinstance(event, Result):
        _drop_older(study, event.job, event.saved or _last_saved(study, event.job))
    elif isinstance(event, Job):
        before = study.jobs[event.id - 1].seen if event.id else 0
        _drop_replaced(study, before, event.seen)


def sweep_rest(study: Study) -> None:
    """Delete what was replaced since the last job was decided: for the one process that is left in the study."""
    _drop_replaced(study, _last_seen(study), len(study))


def _last_seen(study: Study) -> int:
    """The number of the last event that the decision for the newest job rests on."""
    return study.jobs[len(study.jobs) - 1].seen if study.jobs else 0


def _drop_replaced(study: Study, first: int, last: int) -> None:
    for old in _replaced(study, first, last):
        if not _waited_for(study, old):
            _delete(study, study.results[old].saved)


def _replaced(study: Study, first: int, last: int) -> set[int]:
    """What the results among these events have replaced."""
    ended = [event.job for event in study.events[first:last] if isinstance(event, Result)]
    return {old for job in ended for old in _just_replaced(study, job)}


def _just_replaced(study: Study, job: int) -> set[int]:
    """What a job that has ended replaced or went on from; in a deterministic study those before it, which methods have
    only now seen.
    """
    followed, width = _followed(study), study.settings.deterministic or 0
    ended = range(max(0, job - 2 * width), job + 1)
    found = {old for number in ended for old in (followed.took.get(number), study.jobs[number].parent)}
    return {old for old in found if old in followed.replaced}


def _waited_for(study: Study, job: int) -> bool:
    """Whether a pending job is to go on from `job`."""
    children = study.fold("children", dict[int, list[int]], _add_child)
    return any(child not in study.results for child in children.get(job, ()))


def _add_child(children: dict[int, list[int]], event: Event, study: Study) -> dict[int, list[int]]:
    if isinstance(event, Job) and event.parent is not None:
        children.setdefault(event.parent, []).append(event.id)
    return children


def _last_saved(study: Study, job: int) -> str | None:
    return next((report.saved for report in reversed(study.reports(job)) if report.saved is not None), None)


def _drop_older(study: Study, job: int, newest: str | None) -> None:
    for report in study.reports(job)[:-1]:
        if report.saved is not None and report.saved != newest:
            _delete(study, report.saved)


def _delete(study: Study, saved: str | None) -> None:
    path = study.path(saved)
    if path is not None:
        shutil.rmtree(path, ignore_errors=True)


def garbage(study: Study, *, worked_on: bool = False) -> list[Path]:
    """The checkpoint folders that the study no longer needs, orphans of killed attempts included; while it is worked
    on, without what a decision that is on its way may still ask for.
    """
    if study.files is None or not study.files.is_dir():
        return []
    needed = {study.path(study.results[job].saved) for job in keeps(study)}
    needed |= {study.path(_last_saved(study, job.id)) for job in study.pending()}
    if worked_on:
        needed |= {study.path(study.results[old].saved) for old in _replaced(study, _last_seen(study), len(study))}
    found = (path for path in study.files.glob("job-*/*") if path.is_dir())
    return sorted(path for path in found if path.resolve() not in needed)
