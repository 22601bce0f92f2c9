"""Simulated: thousands of workers in virtual time, for tests and for studies of methods on tabulated data.

The training function is called when a job starts; what it said is delivered when the job would have ended. So a night
on a cluster takes as long as its look-ups and proposals. As in the benchmark suites of multi-fidelity tuning (Salinas
et al. 2022, "Syne Tune: A library for large-scale hyperparameter tuning and reproducible research", section 4).
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from tunewell.errors import ObjectiveError, Released, StudyError
from tunewell.events import Report, Result
from tunewell.executors.check import check
from tunewell.executors.reports import Outbox, to_result
from tunewell.executors.run import Order, Run, perform
from tunewell.protocols import Objective, Task
from tunewell.space import Config


class Simulated:
    """`workers` workers in virtual time.

    `duration(config, steps)` says how many seconds so many steps of a config take; the name of a metric instead means
    that this metric is the seconds since the start of training. A lineage that waits for a decision keeps its worker
    until another job needs it, as in real processes; one without checkpoint that goes on is run again from step 0, at
    no cost in virtual time, so the function must be deterministic. With `charge_proposals` the real seconds that pass
    outside of `wait` pass on the virtual clock, too.

    `now` is the virtual time in seconds, `busy` the seconds that workers have trained.
    """

    inside = True

    def __init__(
        self,
        workers: int = 1000,
        *,
        duration: Callable[[Config, int], float] | str = "seconds",
        charge_proposals: bool = False,
    ) -> None:
        if workers < 1:
            raise StudyError(f"workers={workers}", hint="Write workers=1 or more.")
        self.workers = workers
        self.duration = duration
        self.charge_proposals = charge_proposals
        self.now = 0.0
        self.busy = 0.0
        self._running: list[tuple[float, int, Task, list[Report | Result], bool]] = []
        self._order = itertools.count()
        self._held: dict[int, Task] = {}
        self._left = time.perf_counter()

    @property
    def utilisation(self) -> float:
        """The share of all workers' time up to now that they have trained; jobs that run now count in full."""
        return self.busy / (self.workers * self.now) if self.now else 0.0

    def open(self, objective: Objective, wake: threading.Event | None = None) -> None:
        """Check the objective and call its setup()."""
        check(objective)
        if objective.function is None:
            raise ObjectiveError("a command cannot be simulated", hint="Give a function, or tune with Processes().")
        self._objective, self._function = objective, objective.function
        self._data = objective.setup() if objective.setup is not None else None
        self._left = time.perf_counter()

    def free(self) -> int:
        """The workers that do not train."""
        return self.workers - len(self._running)

    def held(self) -> Sequence[int]:
        """The finished jobs whose lineages still have their worker, longest held first."""
        return list(self._held)

    def submit(self, task: Task) -> None:
        """Start a job now, in virtual time."""
        if self.free() < 1:
            raise RuntimeError("all workers are taken: see free()")
        self._pass()
        held = self._held.pop(task.job.parent, None) if task.job.parent is not None else None
        if held is not None and not _goes_on(held, task):
            held = None
        if len(self._running) + len(self._held) >= self.workers:
            del self._held[next(iter(self._held))]
        said, waits = self._perform(task, held)
        result = said[-1]
        assert isinstance(result, Result)
        self.busy += result.seconds
        heapq.heappush(self._running, (self.now + result.seconds, next(self._order), task, said, waits))

    def _perform(self, task: Task, held: Task | None) -> tuple[list[Report | Result], bool]:
        """What the function says of a job, its Result last, and whether the lineage waits for a decision."""
        done = held.job.until if held is not None else task.start
        again = held is not None and task.checkpoint is None  # from step 0, unheard
        link = _Recorder(task, done)
        order = Order(
            task.job.id,
            task.attempt,
            task.job.config,
            0 if again else task.start,
            task.job.until,
            task.last,
            task.seed,
            task.checkpoint,
            task.folder,
            task.job.seed,
            None if again else task.first,
        )
        try:
            run = Run(order, link, self._data, **self._objective.for_runs)
            perform(self._function, run)
        except Released:
            pass
        seconds = self._seconds(task.job.config, link, done)
        ending = msgspec.structs.replace(to_result(task.job.id, task.attempt, link.ending), seconds=seconds)
        link.outbox.result(ending)
        return link.outbox.take(), link.held

    def _seconds(self, config: Config, link: _Recorder, done: int) -> float:
        if callable(self.duration):
            return float(self.duration(config, max(1, link.ending["step"] - done)))
        metrics = link.ending["metrics"]
        if self.duration not in metrics:
            raise ObjectiveError(
                f"the metric {self.duration!r}, by which time is simulated, never came",
                hint="Report it, or write Simulated(duration=lambda config, steps: ...).",
            )
        return float(metrics[self.duration]) - link.before.get(self.duration, 0.0)

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """What the next job to end has said; virtual time goes on to that moment."""
        self._pass()
        if not self._running:
            time.sleep(min(seconds, 0.01))  # somebody else's turn, in real time
            return []
        end, _, task, said, waits = heapq.heappop(self._running)
        self.now = max(self.now, end)
        if waits:
            self._held[task.job.id] = task
        self._left = time.perf_counter()
        return said

    def _pass(self) -> None:
        """Let the real time since the last look pass on the virtual clock."""
        if self.charge_proposals:
            now = time.perf_counter()
            self.now += now - self._left
            self._left = now

    def cancel(self, job: int) -> None:
        """Stop a running job now, in virtual time."""
        for at, (_, number, task, _, _) in enumerate(self._running):
            if task.job.id == job:
                said: list[Report | Result] = [Result(job, "cancelled", attempt=task.attempt)]
                self._running[at] = (self.now, number, task, said, False)
                return heapq.heapify(self._running)

    def close(self) -> None:
        """Forget what runs."""
        self._running.clear()
        self._held.clear()


def _goes_on(held: Task, task: Task) -> bool:
    return held.job.config == task.job.config and held.job.seed == task.job.seed


class _Recorder:
    """The link of a simulated run: keeps what the job says after step `done`."""

    def __init__(self, task: Task, done: int) -> None:
        self.blocked = 0.0
        self.busy = False
        self.outbox = Outbox()
        self.ending: dict[str, Any] = {}
        self.held = False
        self.before: dict[str, float] = {}
        self._task = task
        self._done = done

    def heed(self) -> None:
        """Nobody can stop it: it takes no time."""

    def point(self, step: int, metrics: dict[str, float], saved: str | None, last: bool = False) -> None:
        """A point of the curve; those that the parent has told are kept for what they say of time."""
        if step <= self._done:
            self.before.update(metrics)
        else:
            self.outbox.point(self._task.job.id, self._task.attempt, step, dict(metrics), saved)

    def settle(self) -> None:
        """There is nothing to wait for."""

    def end(self, ending: dict[str, Any], held: bool) -> None:
        """The job has ended."""
        self.ending, self.held = ending, held

    def decide(self) -> Order:
        """The decision comes in virtual time: let the function go."""
        raise Released
