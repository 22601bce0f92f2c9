"""Methods made of methods."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.narrowing import Evidence, Narrowing, add_evidence, cut, whole
from tunewell.space import Space
from tunewell.study import Event, Job, Result, Rewrite, Study


@dataclass(frozen=True)
class Take:
    """The first `n` trials of a method that would go on for longer, and what it does to go on with them.

    A trial is a job without parent and with seed 0: continuations and replicates do not count.
    """

    n: int
    of: Method

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.n < 0:
            raise StudyError(f"Take: {self.n} trials", hint="Take none, or more.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method proposes, unless it is one trial too many."""
        job = self.of.propose(study, rng)
        if job is None or not _starts(job):
            return job
        return job if study.fold("trials", lambda: 0, _count) < self.n else None


def _starts(job: Job) -> bool:
    return job.parent is None and job.seed == 0


def _count(trials: int, event: Event, study: Study) -> int:
    """Fold: the trials so far."""
    return trials + (isinstance(event, Job) and _starts(event))


@dataclass(frozen=True)
class Then:
    """One method until it ends and all its jobs have; then another, for good.

    With `narrow`, a probability such as 0.9, the second one works where the optimum of each entry lies with that
    probability, as far as the trials of the first can tell, and on no less than a tenth of a range: see
    `tunewell.methods.narrowing`. Without it, in the whole space.
    """

    first: Method
    second: Method
    narrow: float | None = None

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.narrow is not None and not 0 < self.narrow <= 1:
            raise StudyError(f"Then: narrow={self.narrow}", hint="A probability such as 0.9, or leave it out.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method whose turn it is proposes."""
        begun = study.part(0)
        second_began = study.fold("second began", lambda: False, _see_second)
        job = None if second_began else self.first.propose(begun, rng)
        if job is not None:
            return under(0, job)
        if begun.pending():
            return None
        job = self.second.propose(study.part(1, self._rest(study.space, begun)), rng)
        return None if job is None else under(1, job)

    def _rest(self, space: Space, begun: Study) -> Space | None:
        """The space of the second method; None for that of the study."""
        if self.narrow is None:
            return None
        seen = begun.fold(("evidence", space, begun.goals), lambda: Evidence(space), add_evidence)
        return cut(space, seen.narrowed(Narrowing(self.narrow), whole(space)))


def _see_second(began: bool, event: Event, study: Study) -> bool:
    """Fold: whether the second method has a job."""
    return began or (isinstance(event, Job) and event.tag[:1] == (1,))


def under(label: str | int, job: Job) -> Job:
    """The job of an inner method as one of the part `label`."""
    return msgspec.structs.replace(job, tag=(label, *job.tag))


# --- a method that goes on with what another one begins --------------------------------------------------------------


def begin(method: Method, of: Method, study: Study, labels: int, rng: np.random.Generator) -> Job | None:
    """What the source `of` of a method begins, under its own tag; `labels` words of the method's own stand before it.

    Raises Unsupported where the source goes on with its jobs itself.
    """
    job = of.propose(sources(study, labels), rng)
    if job is not None and job.parent is not None:
        raise Unsupported(
            f"{type(of).__name__} goes on with its jobs itself, so that {type(method).__name__} cannot",
            hint="Its source has to begin configs only: Random(), Sobol(), TPE(), Bayes(), ...",
        )
    return job


def sources(study: Study, labels: int) -> Study:
    """What the source of the configs sees as its own: the jobs that began with one, under its own tags."""
    return study.derive(("begun by the source", labels), lambda: _begun(labels))


def _begun(labels: int) -> Rewrite:
    own: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            if event.parent is None:
                own.add(event.id)
                yield msgspec.structs.replace(event, tag=event.tag[labels:])
        elif not isinstance(event, Result) or event.job in own:
            yield event

    return rewrite
