"""Processes: jobs in local worker processes.

Every worker is a process group of its own, so that a crash, a hang, `os._exit`, a segmentation fault or a kill hurts
its own trial only and everything it started can be killed. The loop's thread does all the work here, inside `wait`: no
thread, no lock. A **slot** runs one job at a time; beside the process that runs stands the next one, started ahead.
"""

from __future__ import annotations

import contextlib
import math
import os
import selectors
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tunewell.errors import ObjectiveError, StudyError
from tunewell.events import Failure, Report, Result
from tunewell.executors import guard
from tunewell.executors.check import check, pickled
from tunewell.executors.child import Child, describe
from tunewell.executors.inline import goes_on
from tunewell.executors.limits import NEAR, Kills, memory_of
from tunewell.executors.reports import Outbox, to_result
from tunewell.owner import new_folder
from tunewell.protocols import Objective, Task

TICK = 0.1
"""Seconds between two looks at limits, and at what no file descriptor tells."""

MEMORY_TICK = 0.5
"""Seconds between two looks at the memory that the workers take."""

THREADS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
)
DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES")


class Slot:
    """A place for one job: the process that has it, the next process, and the devices that both see."""

    def __init__(self, device: str | None = None) -> None:
        self.device = device
        self.child: Child | None = None
        self.next: Child | None = None
        self.leaving: list[Child] = []
        self.queued: Task | None = None
        self.broke = False

    def children(self) -> Iterator[Child]:
        """All processes that belong here."""
        yield from (child for child in (self.child, self.next, *self.leaving) if child is not None)

    def is_free(self) -> bool:
        """Whether a task can come here, perhaps by letting a held lineage go."""
        return self.queued is None and (self.child is None or self.child.task is None or self.child.held)


class Processes:
    """Runs jobs in `workers` local processes.

    A trial gets a fresh process, of which the next is started ahead (`ahead=False` saves its memory); with `reuse=True`
    a process runs many trials, so that what `setup()` loads is loaded once a worker: the default where there is a
    setup. `gpus=[0, 1], per_gpu=2` makes four slots, two on each device. A job that runs longer than `wall_limit`
    seconds, reports nothing for `idle_limit` seconds or takes more than `memory_limit` bytes (with all that it started)
    is stopped: softly, then after `grace` seconds by force. `address_limit` bounds the address space instead, so that
    Python raises MemoryError; not for CUDA, which reserves more than it uses.
    """

    inside = False

    def __init__(
        self,
        workers: int | None = None,
        *,
        reuse: bool | None = None,
        ahead: bool = True,
        gpus: Sequence[int | str] = (),
        per_gpu: int = 1,
        wall_limit: float | None = None,
        idle_limit: float | None = None,
        memory_limit: int | None = None,
        address_limit: int | None = None,
        grace: float = 5.0,
    ) -> None:
        self.workers = _count(workers, gpus, per_gpu)
        self.reuse = reuse
        self.ahead = ahead
        self.gpus = tuple(str(device) for device in gpus for _ in range(per_gpu))
        self.wall_limit = wall_limit
        self.idle_limit = idle_limit
        self.memory_limit = memory_limit
        self.address_limit = address_limit
        self.grace = grace
        self._slots: list[Slot] = []

    # --- opening and closing -----------------------------------------------------------------------------------------

    def open(self, objective: Objective, wake: threading.Event | None = None) -> None:
        """Start the workers. `wait` also returns soon after somebody sets `wake`.

        Raises ObjectiveError for an objective that cannot be called or sent to another process.
        """
        if os.name != "posix":
            raise StudyError("worker processes need Linux or macOS", hint="Here, tune with workers=1, or in WSL.")
        check(objective)
        data = pickled(objective)
        self.close()
        self._objective = objective
        self._wake = wake
        self._reuses = self.reuse if self.reuse is not None else objective.setup is not None
        self._settings = self._make_settings(objective)
        self._folder = new_folder()
        self._payload = tempfile.TemporaryFile()  # noqa: SIM115  (closed by close)
        self._payload.write(data)
        self._payload.flush()
        self._guard = _start_guard()
        self._bell, self._rope = os.pipe()
        os.set_blocking(self._bell, False)
        self._alarms = selectors.DefaultSelector()
        self._voices = selectors.DefaultSelector()
        for selector in (self._alarms, self._voices):
            selector.register(self._bell, selectors.EVENT_READ)
        self._outbox = Outbox()
        self._owed: list[Child] = []
        self._kills = Kills()
        self._spawned = 0
        self._was_ready = False
        self._broken = ""
        self._looked = self._weighed = 0.0
        self._slots = [Slot(device) for device in self.gpus[: self.workers] or [None] * self.workers]
        self._fill()

    def _make_settings(self, objective: Objective) -> dict[str, Any]:
        return {
            "command": objective.command,
            "run": objective.for_runs,
            "address_limit": self.address_limit,
            "reuse": self._reuses,
        }

    def close(self) -> None:
        """Stop all that runs, softly and then by force, and free everything."""
        if not self._slots:
            return
        children = [child for slot in self._slots for child in slot.children()]
        for child in children:
            self._dismiss(child)
        self._await_end(children)
        self._slots = []
        self._alarms.close()
        self._voices.close()
        os.close(self._bell)
        os.close(self._rope)
        self._payload.close()
        assert self._guard.stdin is not None
        self._guard.stdin.close()
        self._guard.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def _dismiss(self, child: Child) -> None:
        """A running job is asked to stop; what waits has nothing to lose."""
        if child.task is not None and child.ready:
            child.stop("cancelled", self.grace)
        elif child.kill_at is None:
            child.kill()

    def _await_end(self, children: list[Child]) -> None:
        while children:
            self._alarms.select(0.02)
            for child in list(children):
                for _ in child.listen():
                    pass  # nobody commits it any more
                if child.kill_at is not None and child.kill_at <= time.monotonic():
                    child.kill()
                if child.has_ended():
                    self._bury(child)
                    children.remove(child)

    # --- taking work -------------------------------------------------------------------------------------------------

    def free(self) -> int:
        """How many tasks `submit` would take now, held lineages included."""
        return sum(slot.is_free() for slot in self._slots)

    def held(self) -> Sequence[int]:
        """The finished jobs whose processes wait inside `report()`, longest held first."""
        holders = sorted(
            (child for child in map(_holder, self._slots) if child is not None), key=lambda child: child.heard
        )
        return [child.task.job.id for child in holders if child.task is not None]

    def submit(self, task: Task) -> None:
        """Start an attempt in the process that holds its lineage, in an empty slot, or in place of the lineage held
        longest."""
        self._acknowledge()
        for slot in self._slots:
            child = _holder(slot)
            if child is not None and child.task is not None and goes_on(child.task, task):
                return self._send(child, task)
        self._place(self._choose(), task)

    def _choose(self) -> Slot:
        free = [slot for slot in self._slots if slot.is_free()]
        if not free:
            raise RuntimeError("all slots are taken: see free()")
        return min(free, key=_reluctance)

    def _place(self, slot: Slot, task: Task) -> None:
        child = _holder(slot)
        if child is not None:
            child.let_go(self.grace)
            if not self._reuses:
                self._retire(slot, child)
        if slot.device is not None and slot.leaving:
            slot.queued = task  # until the memory of the device is free
        else:
            self._begin(slot, task)

    def _begin(self, slot: Slot, task: Task) -> None:
        child = slot.child or slot.next or self._spawn(slot)
        slot.child, slot.next = child, None if child is slot.next else slot.next
        self._send(child, task)

    def _send(self, child: Child, task: Task) -> None:
        order = {
            "job": task.job.id,
            "attempt": task.attempt,
            "config": task.job.config,
            "start": task.start,
            "until": task.job.until,
            "last": task.last,
            "seed": task.seed,
            "checkpoint": os.path.abspath(task.checkpoint) if task.checkpoint is not None else None,
            "folder": os.path.abspath(task.folder) if task.folder is not None else None,
            "replicate": task.job.seed,
            "first": task.first,
        }
        child.run(task, order, self._log_of(task))

    def _log_of(self, task: Task) -> Path:
        if task.folder is not None:
            return Path(os.path.abspath(task.folder), f"attempt-{task.attempt}.log")
        return self._folder / f"job-{task.job.id:06d}-attempt-{task.attempt}.log"

    def cancel(self, job: int) -> None:
        """Stop a running job; its Result is "cancelled", unless it is done before it hears of this."""
        for slot in self._slots:
            if slot.queued is not None and slot.queued.job.id == job:
                self._outbox.result(Result(job, "cancelled", attempt=slot.queued.attempt))
                slot.queued = None
            child = slot.child
            if child is not None and child.task is not None and child.task.job.id == job and not child.held:
                child.stop("cancelled", self.grace)

    # --- waiting -----------------------------------------------------------------------------------------------------

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """What the jobs said: at once when there is a Result, a checkpoint or a flush, else when the oldest report is
        50 ms old, or after `seconds`."""
        self._acknowledge()
        self._fill()
        end = time.monotonic() + seconds
        while True:
            self._look(max(0.0, min(end, self._outbox.deadline, self._looked + TICK) - time.monotonic()))
            now = time.monotonic()
            if now >= self._looked + TICK:
                self._looked = now
                self._supervise(now)
            if self._broken:
                raise ObjectiveError(self._broken, hint="Nothing was run.")
            if self._outbox.due() or now >= end or (self._wake is not None and self._wake.is_set()):
                break
        self._owed = [slot.child for slot in self._slots if slot.child is not None and slot.child.waits]
        return self._outbox.take()

    def _look(self, seconds: float) -> None:
        """Sleep until somebody has something to say. Once there are reports that wait for others, more of them do not
        wake us: the bell does, and the end of a process."""
        nothing = self._outbox.deadline == math.inf
        for key, _ in (self._voices if nothing else self._alarms).select(seconds):
            if key.fd == self._bell:
                os.read(self._bell, 4096)
            elif key.data is not None and key.fd == key.data[1].exit and not key.data[1].buried:
                self._end(*key.data)
        for slot in self._slots:
            for child in list(slot.children()):
                self._hear(slot, child)

    def _acknowledge(self) -> None:
        """What the last `wait` returned is committed."""
        for child in self._owed:
            child.waits = False
            child.tell("ack")
        self._owed = []

    def _hear(self, slot: Slot, child: Child) -> None:
        for words in child.listen():
            getattr(self, f"_on_{words[0]}")(slot, child, *words[1:])
        if child.silent and child.output in self._voices.get_map():
            self._voices.unregister(child.output)  # its end would be news for ever

    # --- what workers say --------------------------------------------------------------------------------------------

    def _on_point(self, slot: Slot, child: Child, step: int, metrics: dict[str, float], saved: str | None) -> None:
        if child.task is not None:
            child.heard = time.monotonic()
            child.note(step, metrics, saved)
            self._outbox.point(child.task.job.id, child.task.attempt, step, metrics, saved)

    def _on_flush(self, slot: Slot, child: Child) -> None:
        child.waits = True
        child.heard = time.monotonic()
        if child.task is not None and self._outbox.holds(child.task.job.id):
            self._outbox.urge()
        else:
            child.waits = False
            child.tell("ack")

    def _on_end(self, slot: Slot, child: Child, ending: dict[str, Any], held: bool) -> None:
        if child.task is None:
            return
        child.heard = time.monotonic()
        result = to_result(child.task.job.id, child.task.attempt, ending)
        if child.verdict is not None and result.status != "done":
            result = child.ending(child.verdict)
        self._outbox.result(result)
        child.held = held and child.verdict is None
        if not child.held:
            self._finish(slot, child)

    def _on_released(self, slot: Slot, child: Child) -> None:
        if child.unwinding and self._reuses:
            child.began = child.heard = time.monotonic()
            child.unwinding, child.kill_at = False, None
            self._begin_queued(slot)
        elif child.task is not None:
            asked = Failure("lost", "somebody else asked the process to end (SIGTERM)")
            self._outbox.result(child.ending(child.verdict or asked))
            child.verdict = child.verdict or asked
            self._finish(slot, child)

    def _on_ready(self, slot: Slot, child: Child) -> None:
        child.ready = self._was_ready = True
        child.began = child.heard = time.monotonic()

    def _on_broken(self, slot: Slot, child: Child, why: str) -> None:
        child.broken = why

    # --- the life of a process ---------------------------------------------------------------------------------------

    def _fill(self) -> None:
        """Start the processes that will be needed."""
        for slot in self._slots:
            if slot.broke or slot.next is not None or (self._reuses and slot.child is not None):
                continue
            if self.ahead or self._reuses:
                slot.next = self._spawn(slot)

    def _spawn(self, slot: Slot) -> Child:
        self._spawned += 1
        log = self._folder / f"worker-{self._spawned}.log"
        child = Child(self._rope, self._payload.fileno(), self._settings, self._environment(slot), log)
        self._tell_guard("+", child)
        self._voices.register(child.output, selectors.EVENT_READ)
        if child.exit is not None:
            self._voices.register(child.exit, selectors.EVENT_READ, (slot, child))
            self._alarms.register(child.exit, selectors.EVENT_READ, (slot, child))
        return child

    def _environment(self, slot: Slot) -> dict[str, str]:
        threads = str(max(1, (os.cpu_count() or 1) // self.workers))
        defaults = {name: threads for name in THREADS if name not in os.environ}
        devices = dict.fromkeys(DEVICES, slot.device) if slot.device is not None else {}
        return {**os.environ, **defaults, **devices, **self._objective.environment}

    def _finish(self, slot: Slot, child: Child) -> None:
        """The job of a process has ended: keep the process for the next one, or let it end."""
        child.task, child.held = None, False
        if child.verdict is not None or not self._reuses:
            self._retire(slot, child)

    def _retire(self, slot: Slot, child: Child) -> None:
        child.leave(self.grace)
        slot.child = None
        slot.leaving.append(child)

    def _end(self, slot: Slot, child: Child) -> None:
        """A process has ended: say how its job did, and clear its place."""
        self._hear(slot, child)
        code = self._bury(child)
        if child.unwinding and child.task is not None and child.verdict is None:
            slot.queued, child.task = child.task, None  # it never got to it
        elif not child.ready:
            self._break(slot, child, code)
        elif child.task is not None and not child.held and child is slot.child:
            self._outbox.result(child.ending(child.verdict or self._blame(child, code)))
        self._clear(slot, child)

    def _clear(self, slot: Slot, child: Child) -> None:
        if child in slot.leaving:
            slot.leaving.remove(child)
        slot.child = None if child is slot.child else slot.child
        slot.next = None if child is slot.next else slot.next
        if not slot.leaving:
            self._begin_queued(slot)

    def _begin_queued(self, slot: Slot) -> None:
        if slot.queued is not None:
            task, slot.queued = slot.queued, None
            self._begin(slot, task)

    def _bury(self, child: Child) -> int:
        if not child.silent:
            self._voices.unregister(child.output)
        if child.exit is not None:
            self._voices.unregister(child.exit)
            self._alarms.unregister(child.exit)
        self._tell_guard("-", child)
        if child in self._owed:
            self._owed.remove(child)
        return child.bury()

    def _break(self, slot: Slot, child: Child, code: int) -> None:
        """A process ended before it could run anything: the objective's fault when that is so from the start."""
        why = child.broken or describe(code) + child.tail()
        killed = child.verdict is not None or (code == -9 and not child.broken)
        slot.broke = not killed
        if not killed and not self._was_ready:
            self._broken = f"a worker process could not load the objective: {why}"
        elif child.task is not None:
            self._outbox.result(child.ending(child.verdict or Failure("lost", f"a worker could not start: {why}")))

    def _blame(self, child: Child, code: int) -> Failure:
        """Why a process ended without a result and without our asking."""
        limit = self.memory_limit
        if code != -9:
            return Failure("crashed", describe(code) + child.tail())
        if limit is not None and child.memory >= NEAR * limit:
            return Failure("oom", f"{describe(code)} when it took {_size(child.memory)} of {_size(limit)}")
        if self._kills.rose():
            return Failure("oom", f"{describe(code)} because memory ran out")
        return Failure("lost", f"{describe(code)}, not by us, and there is no sign that memory ran out{child.tail()}")

    # --- limits ------------------------------------------------------------------------------------------------------

    def _supervise(self, now: float) -> None:
        """Kill what did not stop in time, stop what is over a limit, bury what died unheard."""
        self._weigh(now)
        for slot in self._slots:
            for child in list(slot.children()):
                if child.kill_at is not None and child.kill_at <= now:
                    child.kill()
                if child.exit is None and child.has_ended():
                    self._end(slot, child)
                elif child.works and (failure := self._over(child, now)) is not None:
                    child.stop(failure, self.grace)

    def _over(self, child: Child, now: float) -> Failure | None:
        if self.wall_limit is not None and child.ready and now - child.began > self.wall_limit:
            return Failure("timeout", f"it ran longer than wall_limit={self.wall_limit:g} seconds")
        if self.idle_limit is not None and now - child.heard > self.idle_limit:
            return Failure("timeout", f"it reported nothing for idle_limit={self.idle_limit:g} seconds")
        if self.memory_limit is not None and child.memory > self.memory_limit:
            return Failure("oom", f"it took {_size(child.memory)}, more than memory_limit={_size(self.memory_limit)}")
        return None

    def _weigh(self, now: float) -> None:
        if self.memory_limit is None or now - self._weighed < MEMORY_TICK:
            return
        self._weighed = now
        children = [slot.child for slot in self._slots if slot.child is not None]
        sizes = memory_of({child.process.pid for child in children})
        for child in children:
            child.memory = sizes[child.process.pid]

    # --- the guard ---------------------------------------------------------------------------------------------------

    def _tell_guard(self, sign: str, child: Child) -> None:
        assert self._guard.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # somebody killed it: then orphans end at their next report
            self._guard.stdin.write(f"{sign}{child.process.pid}\n".encode())


def _start_guard() -> subprocess.Popen[bytes]:
    command = [sys.executable, "-I", "-S", guard.__file__, str(os.getpid())]
    return subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, bufsize=0, start_new_session=True
    )


def _count(workers: int | None, gpus: Sequence[int | str], per_gpu: int) -> int:
    places = len(gpus) * per_gpu
    count = workers if workers is not None else places or 2
    if count < 1 or per_gpu < 1:
        raise StudyError(f"workers={workers}, per_gpu={per_gpu}", hint="Both are 1 or more.")
    if gpus and count > places:
        raise StudyError(
            f"{count} workers for {places} places on {len(gpus)} devices", hint="Raise per_gpu, or leave out workers."
        )
    return count


def _holder(slot: Slot) -> Child | None:
    return slot.child if slot.child is not None and slot.child.held else None


def _reluctance(slot: Slot) -> tuple[bool, float]:
    """Empty slots first, those with a ready process before others, then the lineage held longest."""
    child = _holder(slot)
    if child is not None:
        return True, child.heard
    ready = slot.child or slot.next
    return False, float(ready is None or not ready.ready)


def _size(bytes_: int) -> str:
    return f"{bytes_ / 2**20:.0f} MiB"
