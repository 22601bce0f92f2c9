"""What the jobs of an executor said, merged into blocks until somebody takes it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

from tunewell.events import Failure, Report, Result

if TYPE_CHECKING:
    from tunewell.executors.run import Ending, Metrics

    Rows = list[tuple[int, Metrics]]

DELAY = 0.05
"""Seconds that a report may wait for others."""

ROWS = 100
"""Reports of one job that are not merged with more."""


class Outbox:
    """Reports and Results on their way to the loop, in order for each job.

    It is `due` when it holds a Result, a checkpoint, a flush or a full block, or when its oldest report is 50 ms old.
    """

    def __init__(self) -> None:
        self._events: list[Report | Result] = []
        self._rows: dict[tuple[int, int], Rows] = {}
        self.deadline = math.inf
        """When the outbox is due, on the clock of `time.monotonic`."""

    def point(self, job: int, attempt: int, step: int, metrics: Metrics, saved: str | None) -> None:
        """One point of a curve, and the checkpoint written after it."""
        rows = self._rows.setdefault((job, attempt), [])
        rows.append((step, metrics))
        if saved is not None:
            self._seal(job, attempt, saved)
        elif len(rows) >= ROWS:
            self._seal(job, attempt)
        elif self.deadline == math.inf:
            self.deadline = time.monotonic() + DELAY

    def result(self, result: Result) -> None:
        """The ending of a job, after all that it reported."""
        self._seal(result.job, result.attempt)
        self._events.append(result)

    def urge(self) -> None:
        """Somebody waits for what is here: it is due now."""
        self.deadline = 0.0

    def holds(self, job: int) -> bool:
        """Whether something that `job` said is here."""
        return any(key[0] == job for key in self._rows) or any(event.job == job for event in self._events)

    def due(self) -> bool:
        """Whether it is time to take what is here."""
        return self.deadline <= 0.0 or self.deadline <= time.monotonic()

    def take(self) -> list[Report | Result]:
        """All that was said, and forget it."""
        for job, attempt in list(self._rows):
            self._seal(job, attempt)
        events, self._events = self._events, []
        self.deadline = math.inf
        return events

    def _seal(self, job: int, attempt: int, saved: str | None = None) -> None:
        rows = self._rows.pop((job, attempt), None)
        self.deadline = 0.0
        if rows:
            self._events.append(Report(job, tuple(step for step, _ in rows), _columns(rows), attempt, saved))


def _columns(rows: Rows) -> dict[str, tuple[float | None, ...]]:
    names = dict.fromkeys(name for _, metrics in rows for name in metrics)
    return {name: tuple(metrics.get(name) for _, metrics in rows) for name in names}


def to_result(job: int, attempt: int, ending: Ending) -> Result:
    """The Result that an ending describes."""
    error = ending.get("error")
    rest: dict[str, Any] = {key: value for key, value in ending.items() if key != "error"}
    return Result(job=job, attempt=attempt, error=None if error is None else Failure(*error), **rest)
