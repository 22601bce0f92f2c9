"""Which checkpoints a study still needs, where a job goes on from, and what can be deleted.

`keeps` is the rule: the checkpoint of every job that nobody has gone on from yet, and of every pending job's parent. A
running job keeps its last one.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

from tunewell.study import Event, Job, Report, Result, Study


def keeps(study: Study) -> set[int]:
    """The finished jobs whose checkpoints must stay: every leaf, and every parent of a pending job."""
    parents = {job.parent for job in study.jobs.values() if job.parent is not None and _succeeded(study, job)}
    waiting = {job.parent for job in study.pending() if job.parent is not None}
    return {job for job in study.results if job not in parents} | waiting


def _succeeded(study: Study, job: Job) -> bool:
    """Whether a job carries its parent's state on: it has ended and saved a checkpoint of its own."""
    return job.id in study.results and study.results[job.id].saved is not None


def origin(study: Study, job: Job) -> tuple[int, Path | None]:
    """The step that an attempt at `job` starts from, and the checkpoint there: its own last one, its parent's, or none.

    One at the job's very end is none to go on from: nothing would be left to train.
    """
    own = [report for report in study.reports(job.id) if report.saved is not None and report.steps[-1] < job.until]
    if own and _exists(study, own[-1].saved):
        return own[-1].steps[-1], study.path(own[-1].saved)
    parent = study.results[job.parent] if job.parent is not None else None
    if parent is not None and _exists(study, parent.saved):
        return parent.step, study.path(parent.saved)
    return 0, None


def unsaid_result(study: Study, job: Job, attempt: int) -> Result | None:
    """The Result of a job whose reports and checkpoint go to its very end; None where something is left to train."""
    reports = study.reports(job.id)
    if not reports or reports[-1].saved is None or reports[-1].steps[-1] < job.until:
        return None
    columns = study.curve(job.id).values.items()
    metrics = {name: [value for value in column if not math.isnan(value)][-1] for name, column in columns}
    return Result(job.id, "done", metrics, reports[-1].steps[-1], attempt=attempt, saved=reports[-1].saved)


def _exists(study: Study, saved: str | None) -> bool:
    path = study.path(saved)
    return path is not None and (path / "manifest.json").is_file()


def sweep(study: Study, event: Event) -> None:
    """Delete what a committed event has made useless: a running job's older checkpoints, a parent that was gone on
    from.
    """
    if isinstance(event, Report) and event.saved is not None:
        _drop_older(study, event.job, event.saved)
    elif isinstance(event, Result):
        _drop_older(study, event.job, event.saved or _last_saved(study, event.job))
        parent = study.jobs[event.job].parent
        if parent is not None and event.saved is not None and not _waited_for(study, parent):
            _delete(study, study.results[parent].saved)


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


def garbage(study: Study) -> list[Path]:
    """The checkpoint folders that the study no longer needs, orphans of killed attempts included."""
    if study.files is None or not study.files.is_dir():
        return []
    needed = {study.path(study.results[job].saved) for job in keeps(study)}
    needed |= {study.path(_last_saved(study, job.id)) for job in study.pending()}
    found = (path for path in study.files.glob("job-*/*") if path.is_dir())
    return sorted(path for path in found if path.resolve() not in needed)
