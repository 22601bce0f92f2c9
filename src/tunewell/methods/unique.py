"""No config twice: forbid duplicates, run them as replicates, or answer them with what is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.study import Event, Job, Result, Study

_REUSED = "reused"


@dataclass(frozen=True)
class Unique:
    """A method without duplicates, of what the whole study has run or is running.

    What happens when `of` proposes a config that the study has: "forbid" asks again up to `tries` times, then changes
    the config until it is new, and ends where none is left; "replicate" runs it with the next random seed (and
    counts it as a trial of the budget); "reuse"
    answers a duplicate of `of`'s own with the result that is known, as if it had run again, and asks on. Jobs that go
    on from a parent pass as they are.
    """

    of: Method
    duplicates: Literal["forbid", "replicate", "reuse"] = "forbid"
    tries: int = 100

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.duplicates not in ("forbid", "replicate", "reuse"):
            raise StudyError(f"Unique: duplicates={self.duplicates!r}", hint='"forbid", "replicate" or "reuse".')
        if self.tries < 1:
            raise StudyError(f"Unique: tries={self.tries}", hint="At least 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method proposes, if it is new; else what `duplicates` says."""
        answer = {"forbid": self._forbid, "replicate": self._replicate, "reuse": self._reuse}[self.duplicates]
        return answer(study, rng)

    def _replicate(self, study: Study, rng: np.random.Generator) -> Job | None:
        job = self.of.propose(study, rng)
        known = _first_of(study.root, job)
        if known is not None and study.limits.trials is not None and _begun(study) >= study.limits.trials:
            return None  # the study's budget counts no replicates, so a small space would have no end
        return job if job is None or known is None else msgspec.structs.replace(job, seed=known[1])

    def _forbid(self, study: Study, rng: np.random.Generator) -> Job | None:
        job = None
        for _ in range(self.tries):
            job = self.of.propose(study, rng)
            if job is None or _first_of(study.root, job) is None:
                return job
        return self._changed(study, job, rng) if job is not None else None

    def _changed(self, study: Study, job: Job, rng: np.random.Generator) -> Job | None:
        """`job` with a config near its own that is new; None when no new one is found."""
        if study.space.size == 1:
            return None
        for _ in range(self.tries):
            changed = msgspec.structs.replace(job, config=study.space.mutate(job.config, rng))
            if _first_of(study.root, changed) is None:
                return changed
            job = changed  # a walk, so that it leaves a neighbourhood that is used up
        return None

    def _reuse(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The tag of each job says which duplicates were answered before it, so that the log alone tells it again."""
        if any(goal.over != "last" for goal in study.goals):
            raise Unsupported("reused results have no curves", hint='Use duplicates="forbid", or goals over="last".')
        answered: list[str | int] = []
        for _ in range(self.tries):
            seen = study.fork(Job({}, 1, tag=tuple(answered))) if answered else study
            job = self.of.propose(seen.derive("reused", _Reused), rng)
            known = _first_of(study, job)
            if job is None or known is None:
                return job and msgspec.structs.replace(job, tag=(*answered, *job.tag))
            answered += [_REUSED, known[0], len(job.tag), *job.tag]
        return None


def _first_of(study: Study, job: Job | None) -> tuple[int, int] | None:
    """The first job of `study` with that config, and how many began with it; None where it is new or goes on."""
    if job is None or job.parent is not None:
        return None
    return study.fold("first of each config", dict[str, tuple[int, int]], _remember).get(study.space.key(job.config))


def _begun(study: Study) -> int:
    """How many jobs of the study began without a parent, replicates included."""
    return study.root.fold("begun", int, _count)


def _count(begun: int, event: Event, study: Study) -> int:
    return begun + (isinstance(event, Job) and event.parent is None)


def _remember(known: dict[str, tuple[int, int]], event: Event, study: Study) -> dict[str, tuple[int, int]]:
    if isinstance(event, Job) and event.parent is None:
        key = study.space.key(event.config)
        first, times = known.get(key, (event.id, 0))
        known[key] = (first, times + 1)
    return known


class _Reused:
    """Rewrites the log for the inner method: each answered duplicate is a job that ended as the earlier one did.

    Such jobs have ids from -2 downwards.
    """

    def __init__(self) -> None:
        self.jobs: dict[int, Job] = {}
        self.results: dict[int, Result] = {}
        self.waiting: dict[int, list[int]] = {}
        self.count = 1

    def __call__(self, event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            yield from self._job(event)
        else:
            yield event
        if isinstance(event, Result):
            self.results[event.job] = event
            for again in self.waiting.pop(event.job, ()):
                yield msgspec.structs.replace(event, job=again)

    def _job(self, job: Job) -> Iterator[Event]:
        tag = job.tag
        while tag[:1] == (_REUSED,):
            earlier, size = int(tag[1]), int(tag[2])
            yield from self._again(earlier, tag[3 : 3 + size])
            tag = tag[3 + size :]
        if job.id >= 0:
            self.jobs[job.id] = msgspec.structs.replace(job, tag=tag)
            yield self.jobs[job.id]

    def _again(self, earlier: int, tag: tuple[str | int, ...]) -> Iterator[Event]:
        self.count += 1
        yield msgspec.structs.replace(self.jobs[earlier], id=-self.count, tag=tag)
        if earlier in self.results:
            yield msgspec.structs.replace(self.results[earlier], job=-self.count)
        else:
            self.waiting.setdefault(earlier, []).append(-self.count)
