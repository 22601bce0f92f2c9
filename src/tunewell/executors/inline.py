"""Inline: the training function runs in this process, one at a time.

A function that may report runs on a helper thread, because a lineage may wait inside `report()` for a decision while
the loop decides and another one runs. The two take turns: the loop's thread and the user's do not run at the same time,
except that `wait(seconds)` comes back while a long step is still being trained. A function that only returns a number
runs on the caller's own thread.
"""

from __future__ import annotations

import ctypes
import math
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tunewell.errors import Released
from tunewell.events import Report, Result
from tunewell.executors.check import check
from tunewell.executors.reports import Outbox, to_result
from tunewell.executors.run import Order, Run, perform
from tunewell.protocols import Objective, Task

if TYPE_CHECKING:
    from tunewell.executors.run import Ending, Metrics

GRACE = 5.0
"""Seconds that a stopped function gets to end."""

TICK = 0.05
"""Seconds between two looks at `wake`."""


class Inline:
    """Runs jobs in this process. One at a time; a lineage that waits for a decision is let go when another job
    starts.
    """

    inside = True

    def __init__(self) -> None:
        self._lineage: _Lineage | None = None
        self._task: Task | None = None

    def open(self, objective: Objective, wake: threading.Event | None = None) -> None:
        """Check the objective and call its setup(). `wait` also returns soon after somebody sets `wake`."""
        check(objective)
        self.close()
        self._objective = objective
        self._wake = wake
        self._function = _function(objective)
        self._speaks = _may_report(objective)
        self._data = objective.setup() if objective.setup is not None else None
        self._outbox = Outbox()
        self._caller = threading.Condition(threading.Lock())

    def free(self) -> int:
        """1 when no job runs."""
        return int(
            self._task is None and (self._lineage is None or self._lineage.held is not None or self._lineage.ended)
        )

    def held(self) -> Sequence[int]:
        """The finished job that waits inside `report()`, if one does."""
        lineage = self._lineage
        return () if lineage is None or lineage.held is None else (lineage.held.job.id,)

    def submit(self, task: Task) -> None:
        """Take a task; it begins, or goes on, in the next `wait`."""
        if not self.free():
            raise RuntimeError("a job runs already: see free()")
        lineage = self._lineage
        if lineage is None or lineage.held is None:
            self._task = task
            return
        if goes_on(lineage.held, task):
            lineage.go_on(task)
            return
        lineage.release()
        self._task = task
        if not lineage.ended:
            self._lineage = None  # it will not end; its thread is given up

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """Run until there is something to commit, or for `seconds`."""
        task, self._task = self._task, None
        if task is not None and task.last == 1 and not self._speaks:
            return self._run_here(task)
        with self._caller:
            if task is not None:
                self._start(task)
            self._take_turns(time.monotonic() + seconds)
            said = self._outbox.take()
        if self._lineage is not None and self._lineage.interrupt is not None:
            raise self._lineage.interrupt
        return said

    def cancel(self, job: int) -> None:
        """Stop a job at its next report."""
        if self._task is not None and self._task.job.id == job:
            self._outbox.result(Result(job, "cancelled", attempt=self._task.attempt))
            self._task = None
        elif self._lineage is not None and self._lineage.is_running(job):
            self._lineage.cancel()

    def close(self) -> None:
        """Stop what runs, at its next report or between two of its steps."""
        lineage, self._lineage, self._task = self._lineage, None, None
        if lineage is None:
            return
        if lineage.held is not None:
            lineage.release()
        if lineage.ended:
            lineage.retire()
        else:
            lineage.abort()

    # --- on the caller's thread --------------------------------------------------------------------------------------

    def _run_here(self, task: Task) -> Sequence[Report | Result]:
        link = _Direct(task, self._outbox)
        perform(self._function, self._new_run(task, link))
        self._speaks = (
            link.spoke
        )  # a function that reports gets a thread from now on, so that its reports are safe soon
        return self._outbox.take()

    def _new_run(self, task: Task, link: Any) -> Run:
        return Run(to_order(task), link, self._data, **self._objective.for_runs)

    # --- taking turns with a helper thread ---------------------------------------------------------------------------

    def _start(self, task: Task) -> None:
        if self._lineage is None:
            self._lineage = _Lineage(self._caller, self._outbox)
        self._lineage.begin(task, lambda link: perform(self._function, self._new_run(task, link)))

    def _take_turns(self, end: float) -> None:
        """Let the function run until the caller is needed; sleep when there is none."""
        lineage = self._lineage
        runs = lineage is not None and not lineage.ended and lineage.held is None
        if lineage is not None and runs:
            lineage.take_turn()
        try:
            while not self._outbox.due() and (not runs or (lineage is not None and lineage.has_turn)):
                remaining = min(end, self._outbox.deadline) - time.monotonic()
                if remaining <= 0 or (self._wake is not None and self._wake.is_set()):
                    break
                self._caller.wait(remaining if self._wake is None else min(remaining, TICK))
        finally:
            if lineage is not None:
                lineage.has_turn = False


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

    def point(self, step: int, metrics: Metrics, saved: str | None, last: bool = False) -> None:
        self.spoke = True
        self.outbox.point(self.task.job.id, self.task.attempt, step, metrics, saved)

    def settle(self) -> None:
        """Cannot be waited for on this thread; the next run of the function gets a thread of its own."""
        self.spoke = True

    def end(self, ending: Ending, held: bool) -> None:
        self.outbox.result(to_result(self.task.job.id, self.task.attempt, ending))

    def decide(self) -> Order:
        raise Released  # with last == 1 nothing is decided on the way


class _Lineage:
    """A helper thread, and the link of the run on it. The fields are guarded by the lock of the executor."""

    def __init__(self, caller: threading.Condition, outbox: Outbox) -> None:
        self.has_turn = False
        self.held: Task | None = None
        self.ended = True
        self.interrupt: BaseException | None = None
        self.blocked = 0.0
        self.busy = False
        self._caller = caller
        self._mine = threading.Condition(caller._lock)  # type: ignore[attr-defined]  # one lock, two ways to wait
        self._outbox = outbox
        self._task: Task
        self._work: Callable[[_Lineage], None] | None = None
        self._stop = ""
        self._inside = False
        self._retired = False
        self._thread = threading.Thread(target=self._run, name="tunewell-run", daemon=True)

    # --- called by the executor --------------------------------------------------------------------------------------

    def begin(self, task: Task, work: Callable[[_Lineage], None]) -> None:
        """Run `work` from the next turn on."""
        self._task, self._work = task, work
        self.ended, self._stop, self.blocked = False, "", 0.0
        if not self._thread.is_alive():
            self._thread.start()

    def go_on(self, task: Task) -> None:
        """Let the held lineage do `task`, from the next turn on."""
        with self._caller:
            self._task, self.held = task, None

    def take_turn(self) -> None:
        """Let the function run."""
        self.has_turn = True
        self._mine.notify()

    def is_running(self, job: int) -> bool:
        """Whether `job` runs here, not held."""
        return not self.ended and self.held is None and self._task.job.id == job

    def cancel(self) -> None:
        """Raise Released in the function at its next report, and say so in a Result."""
        self._stop = "cancelled"

    def release(self) -> None:
        """End a function that waits inside `report()`, without a Result."""
        with self._caller:
            self._stop, self.held = "released", None
            self._mine.notify()
            self._caller.wait_for(lambda: self.ended, GRACE)

    def retire(self) -> None:
        """End the thread of a function that has ended."""
        with self._caller:
            self._retired = True
            self._mine.notify()
        self._thread.join()

    def abort(self) -> None:
        """End the function wherever it is, as far as that is possible. The lock may be lost after this."""
        self._stop, self._retired = "released", True
        self._outbox = Outbox()
        if self._inside:
            with self._caller:
                self._mine.notify()
        elif not self.busy and self._thread.ident is not None:
            _raise_in(self._thread.ident)
        self._thread.join(GRACE)

    # --- the thread --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        """Do one piece of work after the other."""
        try:
            while self._await_work():
                self._do_work()
        except Released:
            pass  # from abort(), between two pieces of work

    def _await_work(self) -> bool:
        with self._caller:
            self._inside = True
            self._mine.wait_for(lambda: self._retired or (self._work is not None and self.has_turn))
            self._inside = False
            return not self._retired

    def _do_work(self) -> None:
        assert self._work is not None
        try:
            self._work(self)
        except Released:
            pass
        except BaseException as error:
            self.interrupt = error
        self._inside = True
        with self._caller:
            if self._stop == "cancelled" and self._work is not None:
                self._outbox.result(Result(self._task.job.id, "cancelled", attempt=self._task.attempt))
            self._work, self.held, self.ended, self.has_turn = None, None, True, False
            self._caller.notify()

    # --- the link ----------------------------------------------------------------------------------------------------

    def heed(self) -> None:
        if self._stop:
            raise Released

    def point(self, step: int, metrics: Metrics, saved: str | None, last: bool = False) -> None:
        with self._caller:
            if not self.has_turn:
                self._await_turn()
            first = self._outbox.deadline == math.inf
            self._outbox.point(self._task.job.id, self._task.attempt, step, metrics, saved)
            if self._outbox.due():
                self._pass_turn()
            elif first:
                self._caller.notify()  # there is a time by now when it must take what is there

    def settle(self) -> None:
        with self._caller:
            self._outbox.urge()
            self._pass_turn()

    def end(self, ending: Ending, held: bool) -> None:
        with self._caller:
            if not self.has_turn and not self._stop:
                self._await_turn()
            self._outbox.result(to_result(self._task.job.id, self._task.attempt, ending))
            if held:
                self.held = self._task
            else:
                self._work = None

    def decide(self) -> Order:
        with self._caller:
            self._pass_turn()
            return to_order(self._task)

    def _pass_turn(self) -> None:
        """Let the caller commit what was said; its next `wait` gives the turn back."""
        self.has_turn = False
        self._caller.notify()
        self._await_turn()

    def _await_turn(self) -> None:
        began = time.perf_counter()
        self._inside = True
        self._mine.wait_for(lambda: self._stop or (self.has_turn and self.held is None))
        self._inside = False
        self.blocked += time.perf_counter() - began
        self.heed()


def goes_on(before: Task, task: Task) -> bool:
    """Whether `task` continues the lineage whose last job was `before`."""
    old, new = before.job, task.job
    return new.parent == old.id and new.seed == old.seed and new.config == old.config


def to_order(task: Task) -> Order:
    """A Task as a Run takes it."""
    job = task.job
    return Order(
        job.id,
        task.attempt,
        job.config,
        task.start,
        job.until,
        task.last,
        task.seed,
        task.checkpoint,
        task.folder,
        job.seed,
        task.first,
    )


def _function(objective: Objective) -> Callable[[Any], Any]:
    if objective.function is not None:
        return objective.function
    from tunewell.executors.command import Command

    return Command(objective.command, objective.environment)


def _may_report(objective: Objective) -> bool:
    """Whether the objective is seen to report. One that reports unseen is found out when it first does."""
    code = getattr(objective.function, "__code__", None)
    return objective.function is None or (code is not None and bool({"report", "flush"} & set(code.co_names)))


def _raise_in(thread: int) -> None:
    """Raise Released in another thread, between two of its steps."""
    ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Released))
