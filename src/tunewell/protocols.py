"""What the loop asks of an executor and of a store. A plugin implements these and passes `tunewell.contract`."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from tunewell.study import Entry, Event, Job, Report, Result


class Task(msgspec.Struct, frozen=True):
    """One attempt at a job, as an executor gets it.

    `start` is the step that the attempt goes on from: 0, or the step of `checkpoint`, the folder to restore from.
    `last` is the largest step the study asks of any trial: `run.steps()` counts up to it. `seed` is the random seed
    that the training function sees. `folder`, directly below the study's files, is the job's own, for its checkpoints
    and logs; None: it cannot save. `first` is the first value of the objective that the lineage reported before
    `start`; None: none.
    """

    job: Job
    attempt: int
    start: int
    last: int
    seed: int
    checkpoint: str | None = None
    folder: str | None = None
    first: float | None = None


@dataclass(frozen=True)
class Objective:
    """What is tuned: a function of one `run`, or a command line; and how to load what it needs once a worker.

    `function` takes a `Run` and returns a number, a mapping of metrics, or None when it reported all. `metric` names
    the number that a bare float is, `maximize` its direction, and with `watch` a run is stopped where it has diverged.
    `setup()` is called once in each worker; what it returns is `run.data`. `save_every` is the least number of seconds
    between two checkpoints of a running job that are not asked for by a decision.
    """

    function: Callable[[Any], Any] | None = None
    command: tuple[str, ...] = ()
    metric: str = "loss"
    maximize: bool = False
    watch: bool = False
    setup: Callable[[], Any] | None = None
    save_every: float = 30.0
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def for_runs(self) -> dict[str, Any]:
        """What a Run is told of it, by the names of its arguments; plain data that travels as JSON."""
        names = ("metric", "save_every", "maximize", "watch")
        return {name: getattr(self, name) for name in names}


class Executor(Protocol):
    """Runs attempts at jobs. It never claims, retries or decides: the loop does.

    `inside` says whether jobs run in this very process, inside `wait`: then Ctrl-C interrupts them.
    """

    inside: bool

    def open(self, objective: Objective, wake: threading.Event | None = None) -> None:
        """Get ready to run `objective`."""
        ...

    def free(self) -> int:
        """How many tasks `submit` would take now. A lineage that waits inside `report()` counts as a free slot."""
        ...

    def held(self) -> Sequence[int]:
        """The finished jobs whose processes wait inside `report()`, longest held first."""
        ...

    def submit(self, task: Task) -> None:
        """Start an attempt. A job whose parent is held here, with the same config and seed, goes on there without
        reload; any other takes an empty slot, or evicts the lineage held longest."""
        ...

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """What the jobs said: as soon as there is a Result, a checkpoint or a flush, else after `seconds` or when the
        oldest report is 50 ms old. The caller commits what it got before it calls again: that call acknowledges it."""
        ...

    def cancel(self, job: int) -> None:
        """Stop a running job, softly and then by force; it still answers with one Result, "cancelled"."""
        ...

    def close(self) -> None:
        """Stop all that runs, without Results, and free everything."""
        ...


class Leases(Protocol):
    """Who runs which job now: beside the log; decides nothing that a method sees. Times are of the store's clock."""

    def claim(self, study: str, job: int, owner: str, seconds: float, *, parent: int | None = None) -> int | None:
        """The attempt number, a fencing token (1, 2, …), or None when somebody else has the job.

        A job whose `parent` is under a live lease of another owner is reserved for that owner, who holds the lineage.
        A lease whose owner is a dead process of this machine (see `tunewell.owner.is_gone`) is over at once.
        """
        ...

    def renew(self, study: str, jobs: Mapping[int, int], owner: str, seconds: float) -> Sequence[int]:
        """Prolong the leases `{job: attempt}`; returns those that are lost."""
        ...

    def release(self, study: str, jobs: Collection[int], owner: str) -> None:
        """Give jobs up; their attempt numbers stay."""
        ...

    def owners(self, study: str) -> Mapping[int, str]:
        """The owner of each job that is under a live lease."""
        ...


class Store(Protocol):
    """Keeps logs. Events are numbered in the order of their commits."""

    leases: Leases

    def append(self, study: str, *events: Event) -> Sequence[Entry]:
        """Commit `events` together, or none; returns them numbered.

        Raises Conflict when a job id is not the next one, or the job has its Result (an opening Act of a study that
        exists, too); Stale when a Report or Result is of an older attempt than the newest claimed.
        """
        ...

    def read(self, study: str, after: int = 0) -> Iterator[Entry]:
        """The committed events with a number above `after`, in order; nothing for a study that does not exist."""
        ...

    def files(self, study: str) -> Path | None:
        """The folder for the checkpoints and logs of a study; it does not change when the study is renamed."""
        ...

    def studies(self) -> Sequence[str]:
        """The names of all studies."""
        ...

    def rename(self, study: str, name: str) -> None:
        """Give a study another name. Raises Conflict when that is taken."""
        ...

    def delete(self, study: str) -> None:
        """Forget a study; its files are the caller's to delete."""
        ...

    def close(self) -> None:
        """Free what the store holds open."""
        ...
