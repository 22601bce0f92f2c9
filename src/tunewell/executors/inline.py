"""Inline: the training function runs in this process, one at a time.

A function that may report runs on a helper thread, because a lineage may wait inside `report()` for a decision while the
loop decides and another one runs. The two take turns: the loop's thread and the user's do not run at the same time, except
that `wait(seconds)` comes back while a long step is still being trained. A function that only returns a number runs on the
caller's own thread.
"""

from __future__ import annotations

import ctypes
import functools
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from tunewell.errors import Released
from tunewell.events import Report, Result
from tunewell.executors.check import check
from tunewell.executors.reports import Outbox, to_result
from tunewell.executors.run import Ending, Metrics, Order, Run, perform
from tunewell.protocols import Objective, Task

GRACE = 5.0
"""Seconds that a stopped function gets to end."""

TICK = 0.05
"""Seconds between two looks at `wake`."""


class Inline:
    """Runs jobs in this process. One at a time; a lineage that waits for a decision is let go when another job starts."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._caller = threading.Condition(self._lock)
        self._outbox = Outbox()
        self._task: Task | None = None
        self._lineage: _Lineage | None = None
        self._spare: _Lineage | None = None
        self._speaks = False
        self._opened = False

    def open(self, objective: Objective, wake: threading.Event | None = None) -> None:
        """Check the objective and call its setup(). `wait` also returns soon after somebody sets `wake`."""
        check(objective)
        self._objective = objective
        self._wake = wake
        self._function = _function(objective)
        self._speaks = _may_report(objective)
        self._data = objective.setup() if objective.setup is not None else None
        self._opened = True

    def free(self) -> int:
        """1 when no job runs."""
        return int(self._task is None and (self._lineage is None or self._lineage.held is not None))

    def held(self) -> Sequence[int]:
        """The finished job that waits inside `report()`, if one does."""
        lineage = self._lineage
        return () if lineage is None or lineage.held is None else (lineage.held.job.id,)

    def submit(self, task: Task) -> None:
        """Take a task; it begins, or goes on, in the next `wait`."""
        if not self.free():
            raise RuntimeError("a job runs already; see free()")
        lineage = self._lineage
        if lineage is not None and lineage.held is not None:
            if goes_on(lineage.held, task):
                lineage.go_on(task)
                return
            self._let_go(lineage)
        self._task = task

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """Run until there is something to commit, or for `seconds`."""
        task = self._task
        if task is not None and not self._speaks and task.last == 1:
            self._task = None
            return self._run_here(task)
        if task is not None:
            self._task = None
            self._start(task)
        return self._take_turns(seconds)

    def cancel(self, job: int) -> None:
        """Stop a job at its next report."""
        if self._task is not None and self._task.job.id == job:
            self._outbox.result(Result(job, "cancelled", attempt=self._task.attempt))
            self._task = None
        elif self._lineage is not None and self._lineage.is_running(job):
            self._lineage.stop("cancelled")

    def close(self) -> None:
        """Stop what runs, at its next report or between two of its steps."""
        self._task = None
        if self._lineage is not None:
            self._let_go(self._lineage)
        if self._spare is not None:
            self._spare.retire()
            self._spare = None
        self._outbox = Outbox()
        self._data = None

    # --- on the caller's thread --------------------------------------------------------------------------------------

    def _run_here(self, task: Task) -> Sequence[Report | Result]:
        link = _Direct(task, self._outbox)
        perform(self._function, self._new_run(task, link))
        self._speaks = link.spoke  # a function that reports gets a thread from now on, so that its reports are safe at once
        return self._outbox.take()

    def _new_run(self, task: Task, link: Any) -> Run:
        objective = self._objective
        return Run(to_order(task), link, self._data, metric=objective.metric, save_every=objective.save_every)

    # --- taking turns with a helper thread ---------------------------------------------------------------------------

    def _start(self, task: Task) -> None:
        lineage, self._spare = self._spare or _Lineage(self._lock, self._caller, self._outbox), None
        self._lineage = lineage
        lineage.begin(task, functools.partial(perform, self._function, self._new_run(task, lineage)))

    def _take_turns(self, seconds: float) -> Sequence[Report | Result]:
        end = time.monotonic() + seconds
        with self._lock:
            lineage = self._lineage
            if lineage is None or lineage.held is not None:
                self._sleep(end)
            else:
                self._watch(lineage, end)
            if lineage is not None and lineage.ended:
                self._lineage, self._spare = None, lineage
            said = self._outbox.take()
        if lineage is not None and lineage.interrupt is not None:
            raise lineage.interrupt
        return said

    def _watch(self, lineage: _Lineage, end: float) -> None:
        """Let the function run until the caller is needed."""
        lineage.take_turn()
        try:
            while lineage.has_turn and not self._outbox.due():
                remaining = min(end, self._outbox.deadline) - time.monotonic()
                if remaining <= 0 or self._woken():
                    break
                self._caller.wait(min(remaining, TICK) if self._wake is not None else remaining)
        finally:
            lineage.has_turn = False

    def _sleep(self, end: float) -> None:
        """Nothing runs: wait for what others do."""
        while not self._outbox.due() and (remaining := end - time.monotonic()) > 0 and not self._woken():
            self._caller.wait(min(remaining, TICK) if self._wake is not None else remaining)

    def _woken(self) -> bool:
        return self._wake is not None and self._wake.is_set()

    def _let_go(self, lineage: _Lineage) -> None:
        self._lineage = None
        if lineage.release():
            self._spare = lineage


class _Direct:
    """The link of a function on the caller's own thread: all that it says is taken when it has returned."""

    __slots__ = ("blocked", "busy", "outbox", "spoke", "task")

    def __init__(self, task: Task, outbox: Outbox) -> None:
        self.task = task
        self.outbox = outbox
        self.blocked = 0.0
        self.busy = False
        self.spoke = False

    def heed(self) -> None:
        """Nobody can stop it but Ctrl-C."""

    def point(self, step: int, metrics: Metrics, saved: str | None) -> None:
        self.spoke = True
        self.outbox.point(self.task.job.id, self.task.attempt, step, metrics, saved)

    def settle(self) -> None:
        """Cannot be waited for on this thread; the next run of the function gets a thread of its own."""
        self.spoke = True

    def end(self, ending: Ending, held: bool) -> None:
        self.outbox.result(to_result(self.task.job.id, self.task.attempt, ending))

    def decide(self) -> Order:
        raise Released  # with last == 1 nothing is decided on the way


class _Lineage(threading.Thread):
    """A helper thread, and the link of the run on it. All fields are guarded by the lock of the executor."""

    def __init__(self, lock: threading.RLock, caller: threading.Condition, outbox: Outbox) -> None:  # type: ignore[valid-type]
        super().__init__(name="tunewell-run", daemon=True)
        self.has_turn = False
        self.held: Task | None = None
        self.ended = True
        self.interrupt: BaseException | None = None
        self.blocked = 0.0
        self.busy = False
        self._caller = caller
        self._mine = threading.Condition(lock)
        self._outbox = outbox
        self._work: Callable[[], None] | None = None
        self._task: Task
        self._stop = ""
        self._retired = False

    # --- called by the executor --------------------------------------------------------------------------------------

    def begin(self, task: Task, work: Callable[[], None]) -> None:
        """Run `work` from the next turn on."""
        self._task, self._work = task, work
        self.ended, self.interrupt, self._stop = False, None, ""
        if not self.is_alive():
            self.start()

    def go_on(self, task: Task) -> None:
        """Let the held lineage do `task`, from the next turn on."""
        self._task, self.held = task, None

    def take_turn(self) -> None:
        """Let the function run."""
        self.has_turn = True
        self._mine.notify_all()

    def is_running(self, job: int) -> bool:
        """Whether `job` runs here, not held."""
        return not self.ended and self.held is None and self._task.job.id == job

    def stop(self, why: str) -> None:
        """Raise Released in the function at its next report."""
        self._stop = why

    def release(self) -> bool:
        """End the function without a Result; False when it does not end, and its thread is given up."""
        with self._lock_of():
            self._stop = "released"
            self._outbox = Outbox()
            self._mine.notify_all()
            computes = not self.busy and self.held is None and self.has_left()
            if computes and self.ident is not None:
                _raise_in(self.ident)
            end = time.monotonic() + GRACE
            while not self.ended and (remaining := end - time.monotonic()) > 0:
                self._caller.wait(remaining)
            return self.ended

    def retire(self) -> None:
        """End the thread."""
        with self._lock_of():
            self._retired = True
            self._mine.notify_all()
        if self.ident is not None and self is not threading.current_thread():
            self.join(GRACE)
