"""The executor's side of one worker process: start it, talk to it, stop it, bury it."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tunewell.events import Failure, Metrics, Result
from tunewell.protocols import Task

BOOT = "import sys; sys.path[:] = sys.argv[5:]; del sys.argv[5:]; from tunewell.executors.worker import main; main()"
"""What a worker process runs: with our own sys.path, so that it finds what we would find."""

PIPE_SIZE = 1 << 20
"""Bytes that a worker can say before it must wait for us, where the system allows it."""

TAIL = 20
"""Lines of the log that a failure shows."""


class Child:
    """One worker process, and what it does now.

    `task` is the job that runs or is held here, `held` whether it waits for a decision. `verdict` is set when the
    worker was told to stop: the ending of its job. `waits` is set between a flush and its acknowledgement, `unwinding`
    while the function of a lineage that was let go returns, after which the next job begins.
    """

    def __init__(
        self, bell: int, payload: int, settings: Mapping[str, Any], environment: Mapping[str, str], log: Path
    ) -> None:
        self.log = log
        self.task: Task | None = None
        self.held = False
        self.ready = False
        self.broken = ""
        self.waits = False
        self.unwinding = False
        self.silent = False
        self.buried = False
        self.verdict: Failure | str | None = None
        self.kill_at: float | None = None
        self.began = self.heard = time.monotonic()
        self.memory = 0
        self._metrics: Metrics = {}
        self._step = 0
        self._saved: str | None = None
        self._said = b""
        self._start(bell, payload, environment)
        self.tell(dict(settings))

    def _start(self, bell: int, payload: int, environment: Mapping[str, str]) -> None:
        control, self.control = os.pipe()
        self.output, output = os.pipe()
        os.set_blocking(self.output, False)
        if hasattr(fcntl, "F_SETPIPE_SZ"):
            with contextlib.suppress(OSError):
                fcntl.fcntl(self.output, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        inherited = (control, output, bell, payload)
        try:
            with self.log.open("wb") as log:
                self.process = subprocess.Popen(
                    [sys.executable, "-c", BOOT, *map(str, inherited), *sys.path],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    env=dict(environment),
                    pass_fds=inherited,
                    start_new_session=True,
                )
        except BaseException:
            os.close(self.control)
            os.close(self.output)
            raise
        finally:
            os.close(control)
            os.close(output)
        self.exit = os.pidfd_open(self.process.pid) if hasattr(os, "pidfd_open") else None

    # --- talking -----------------------------------------------------------------------------------------------------

    def tell(self, *words: Any) -> None:
        """Send a line; nothing happens when the process has died: its end will be seen."""
        data = json.dumps(words).encode() + b"\n"
        with contextlib.suppress(BrokenPipeError):
            while data:
                data = data[os.write(self.control, data) :]

    def run(self, task: Task, order: Mapping[str, Any], log: Path) -> None:
        """Begin a job, or go on with one in the lineage held here."""
        word = "go" if self.held else "run"
        self.task, self.held, self.waits, self.log = task, False, False, log
        self.began = self.heard = time.monotonic()
        self._metrics, self._step, self._saved = {}, task.start, None
        self.tell(word, dict(order), str(log))

    @property
    def works(self) -> bool:
        """Whether a job runs here."""
        return self.task is not None and not self.held and not self.unwinding

    def listen(self) -> Iterator[list[Any]]:
        """The lines that have arrived."""
        while True:
            try:
                data = os.read(self.output, 1 << 18)
            except BlockingIOError:
                return
            if not data:
                self.silent = True
                return
            *lines, self._said = (self._said + data).split(b"\n")
            yield from map(json.loads, lines)
            if len(data) < 1 << 16:
                return

    def note(self, step: int, metrics: Metrics, saved: str | None) -> None:
        """Remember what the job reported last, for the case that it does not end by itself."""
        self._step = step
        self._metrics.update(metrics)
        self._saved = saved or self._saved

    # --- stopping ----------------------------------------------------------------------------------------------------

    def stop(self, verdict: Failure | str, grace: float) -> None:
        """Ask the job to end, with `verdict` as its ending; after `grace` seconds it is killed."""
        if self.verdict is None:
            self.verdict = verdict
            self.leave(grace)
            self.process.send_signal(signal.SIGTERM)

    def leave(self, grace: float) -> None:
        """Give the process `grace` seconds to end."""
        if self.kill_at is None:
            self.kill_at = time.monotonic() + grace

    def let_go(self, grace: float) -> None:
        """End the lineage that is held here; the process says when its function has returned."""
        self.task, self.held, self.unwinding = None, False, True
        self.leave(grace)
        self.tell("release")

    def kill(self) -> None:
        """Kill the process and all that it has started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)

    def bury(self) -> int:
        """Kill what is left of the group, reap the process and close all that belongs to it; the exit code."""
        self.buried = True
        self.kill()  # before it is reaped: until then nobody else can have its number
        code = self.process.wait()
        for descriptor in (self.control, self.output, self.exit):
            if descriptor is not None:
                os.close(descriptor)
        return code

    def has_ended(self) -> bool:
        """Whether the process has ended; for systems that do not tell."""
        if not hasattr(os, "waitid"):
            return self.process.poll() is not None
        return os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    # --- endings -----------------------------------------------------------------------------------------------------

    def ending(self, verdict: Failure | str) -> Result:
        """The Result of a job that did not end by itself."""
        assert self.task is not None
        failure = verdict if isinstance(verdict, Failure) else None
        return Result(
            self.task.job.id,
            "failed" if failure is not None else "cancelled",
            dict(self._metrics),
            step=self._step,
            seconds=time.monotonic() - self.began,
            attempt=self.task.attempt,
            error=failure,
            saved=self._saved,
        )

    def tail(self) -> str:
        """The last lines of the log, to be added to a message."""
        try:
            with self.log.open("rb") as file:
                file.seek(max(0, os.fstat(file.fileno()).st_size - 8192))
                lines = file.read().decode(errors="replace").replace("\0", "?").splitlines()[-TAIL:]
        except OSError:
            return ""
        return "\nThe end of its log:\n" + "\n".join(lines) if lines else ""


def describe(code: int) -> str:
    """What an exit code says."""
    if code >= 0:
        return f"the process ended with exit code {code}, without a result"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"the process was ended by {name}"
