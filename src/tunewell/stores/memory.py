"""Logs in the memory of this process: for tests, benchmarks and studies that nobody needs to keep."""

from __future__ import annotations

import os
import secrets
import shutil
import threading
import time
import weakref
from array import array
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tunewell.events import Entry, Event, Result
from tunewell.owner import new_folder
from tunewell.protocols import Leases
from tunewell.stores.events import Row, decode, encode
from tunewell.stores.lease import NONE, Lease
from tunewell.stores.refusal import (
    attempts_of,
    check_attempts,
    check_name,
    check_opening,
    count_jobs,
    has_result,
    is_opening,
    missing,
    taken,
)


@dataclass
class _Log:
    """One study. Events lie there as text, so that no reader can change what another one reads."""

    token: str = field(default_factory=lambda: secrets.token_hex(8))
    times: array[float] = field(default_factory=lambda: array("d"))
    rows: list[Row] = field(default_factory=list)
    jobs: int = 0
    ended: set[int] = field(default_factory=set)
    leases: dict[int, Lease] = field(default_factory=dict)


class MemoryStore:
    """A Store that ends with the process.

        store = MemoryStore()
        store.append("mine", Act("open", {"seed": 0}))

    Threads may share it. Its files lie in a temporary folder, made when it is first asked for and removed by `close`
    or at exit. Its leases never expire: a process that is gone takes this store with it.
    """

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._lock = threading.RLock()
        self._folder: Path | None = None
        self.leases: Leases = MemoryLeases(self)

    def __repr__(self) -> str:
        return "MemoryStore()"

    def append(self, study: str, *events: Event) -> Sequence[Entry]:
        """Commit `events` together, or none; returns them numbered."""
        rows = [encode(event) for event in events]
        if not events:
            return []
        if is_opening(events[0]):
            check_name(study)
        check_opening(study, events)
        with self._lock:
            log = self._open(study) if is_opening(events[0]) else self._log(study)
            ending = [event.job for event in events if isinstance(event, Result)]
            log.jobs = self._check(study, log, events, ending)
            now, first = time.time(), len(log.rows) + 1
            log.ended.update(ending)
            log.times.extend([now] * len(rows))
            log.rows += rows
            self._logs[study] = log
        return [Entry(number, now, decode(row.kind, row.body)) for number, row in enumerate(rows, first)]

    def _open(self, study: str) -> _Log:
        if study in self._logs:
            raise taken(study)
        return _Log()

    def _log(self, study: str) -> _Log:
        if study not in self._logs:
            raise missing(study)
        return self._logs[study]

    def _check(self, study: str, log: _Log, events: Sequence[Event], ending: Sequence[int]) -> int:
        """How many jobs the log will have; raises where `events` do not fit. `ending`: the jobs that get a Result."""
        jobs = count_jobs(study, events, log.jobs)
        if spoken := attempts_of(events):
            check_attempts(study, spoken, {job: log.leases.get(job, NONE).attempt for job in spoken})
        if ending and (len(set(ending)) < len(ending) or not log.ended.isdisjoint(ending)):
            raise has_result(study, ending)
        return jobs

    def read(self, study: str, after: int = 0) -> Iterator[Entry]:
        """The committed events with a number above `after`, in order; nothing for a study that does not exist."""
        log = self._logs.get(study) or _Log()
        number = max(after, 0)
        while number < len(log.rows):
            when, row = log.times[number], log.rows[number]
            number += 1
            yield Entry(number, when, decode(row.kind, row.body))

    def files(self, study: str) -> Path | None:
        """The folder for the checkpoints and logs of a study, in a temporary one; None where there is no study."""
        with self._lock:
            if study not in self._logs:
                return None
            if self._folder is None:
                self._folder = new_folder()
                self._remove = weakref.finalize(self, _remove, self._folder, os.getpid())
            return self._folder / self._logs[study].token

    def studies(self) -> Sequence[str]:
        """The names of all studies, oldest first."""
        return list(self._logs)

    def rename(self, study: str, name: str) -> None:
        """Give a study another name. Raises Conflict when that is taken."""
        check_name(name)
        with self._lock:
            self._log(study)
            if name != study and name in self._logs:
                raise taken(name)
            self._logs = {name if key == study else key: log for key, log in self._logs.items()}

    def delete(self, study: str) -> None:
        """Forget a study; its files are the caller's to delete."""
        with self._lock:
            self._log(study)
            del self._logs[study]

    def close(self) -> None:
        """Remove the temporary folder; the logs stay for who still holds the store."""
        with self._lock:
            if self._folder is not None:
                self._remove()
                self._folder = None


class MemoryLeases:
    """The leases of a MemoryStore."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store

    def claim(self, study: str, job: int, owner: str, seconds: float, *, parent: int | None = None) -> int | None:
        """The attempt number, a fencing token (1, 2, …), or None when somebody else has the job, or it has ended."""
        with self._store._lock:
            log = self._store._log(study)
            asked = [log.leases.get(each, NONE) for each in (job, parent) if each is not None]
            if job in log.ended or not all(lease.is_free_for(owner) for lease in asked):
                return None
            log.leases[job] = Lease(owner, asked[0].attempt + 1)
            return log.leases[job].attempt

    def renew(self, study: str, jobs: Mapping[int, int], owner: str, seconds: float) -> Sequence[int]:
        """Prolong the leases `{job: attempt}`; returns those that are lost."""
        with self._store._lock:
            leases = self._leases(study)
            return [job for job, attempt in jobs.items() if leases.get(job) != Lease(owner, attempt)]

    def release(self, study: str, jobs: Collection[int], owner: str) -> None:
        """Give jobs up; their attempt numbers stay."""
        with self._store._lock:
            leases = self._leases(study)
            for job in jobs:
                if job in leases and leases[job].owner == owner:
                    leases[job] = leases[job]._replace(owner="")

    def owners(self, study: str) -> Mapping[int, str]:
        """The owner of each job that is under a live lease."""
        with self._store._lock:
            return {job: lease.owner for job, lease in self._leases(study).items() if not lease.is_free_for("")}

    def _leases(self, study: str) -> dict[int, Lease]:
        log = self._store._logs.get(study)
        return {} if log is None else log.leases


def _remove(folder: Path, pid: int) -> None:
    """Remove a temporary folder, unless this process is a fork of the one that made it."""
    if os.getpid() == pid:
        shutil.rmtree(folder, ignore_errors=True)
