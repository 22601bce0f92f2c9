"""Replay: every decision of a study is made again from what it had seen, and compared with what the log says."""

from __future__ import annotations

import msgspec

from tunewell.errors import TunewellError
from tunewell.live import LiveStudy, decide, method_of
from tunewell.method import Method
from tunewell.study import Job, Study


class Difference(msgspec.Struct, frozen=True):
    """A job that the replay did not make again: `logged` stands in the log, `proposed` is what the method says now."""

    job: int
    logged: Job
    proposed: Job | None
    error: str = ""


class Verification(msgspec.Struct, frozen=True):
    """What `verify` found. Exact on the platform that made the study; elsewhere floating point may differ in the last
    digit.
    """

    checked: int
    skipped: int
    differences: tuple[Difference, ...]

    @property
    def holds(self) -> bool:
        """Whether every decision was made again."""
        return not self.differences

    def __str__(self) -> str:
        if self.holds:
            return f"all {self.checked} decisions replay ({self.skipped} added by hand)"
        first = self.differences[0]
        return (
            f"{len(self.differences)} of {self.checked} decisions differ; the first is job {first.job}: "
            f"the log has {first.logged.config}, the replay {first.error or first.proposed}"
        )


def verify(study: Study) -> Verification:
    """Propose every job of `study` again from the events that it had seen; one pass over the log."""
    replay = Study(study.name, functions=study._functions)
    methods = dict(study.methods) if isinstance(study, LiveStudy) else {}
    differences, checked, skipped = [], 0, 0
    for job in study.jobs.values():
        if job.tag[:1] == ("added",):
            skipped += 1
            continue
        for index in range(len(replay), job.seen):
            replay.commit(study.events[index], study.times[index])
        checked += 1
        difference = _compare(replay, job, methods)
        differences += [difference] if difference is not None else []
    return Verification(checked, skipped, tuple(differences))


def _compare(replay: Study, job: Job, methods: dict[str, Method]) -> Difference | None:
    try:
        proposed = decide(replay, method_of(replay, methods))
    except TunewellError as error:
        return Difference(job.id, job, None, str(error))
    if proposed is not None and msgspec.structs.replace(proposed, id=job.id, seen=job.seen) == job:
        return None
    return Difference(job.id, job, proposed)
