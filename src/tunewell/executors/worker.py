"""The worker process: `python -m tunewell.executors.worker CONTROL OUTPUT BELL PAYLOAD`, four inherited descriptors.

Everything it imports costs every trial, so it imports the standard library only; the function brings what it needs.

    CONTROL   lines of JSON from the executor: first the settings, then ["run", order, log], ["go", order, log],
              ["release"], ["ack"]; its end means: stop
    OUTPUT    lines of JSON to the executor: ["ready"], ["broken", why], ["point", step, metrics, saved], ["flush"],
              ["end", ending, held], ["released"]
    BELL      a byte after each line that the executor must hear at once; all workers share it. A point at which the
              study decides goes out with the end that follows, so that the executor wakes once
    PAYLOAD   a file with the pickled function and setup

SIGTERM raises Released in the training function, at once, or after the checkpoint that is being written.
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import pickle
import signal
import sys
import time

from tunewell.errors import Released
from tunewell.executors.run import Order, Run, failure, perform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tunewell.executors.run import Ending, Metrics

ENCODER = json.JSONEncoder(separators=(",", ":"), check_circular=False)


class Pipe:
    """The link of a run in a worker process, and all that this process says and hears."""

    def __init__(self, control: int, output: int, bell: int) -> None:
        self.blocked = 0.0
        self.busy = False
        self.stopping = False
        self.let_go = False
        self.forked = False
        self._control = control
        self._output = output
        self._bell = bell
        self._heard = self._kept = b""
        for descriptor in (control, output, bell):
            os.set_inheritable(descriptor, False)
        os.register_at_fork(after_in_child=self._detach)
        signal.signal(signal.SIGTERM, self._on_stop)

    def _detach(self) -> None:
        """In a process that the training function forked: it has no say here, and must not keep the pipes open."""
        self.forked = True
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        nothing = os.open(os.devnull, os.O_RDWR)
        for descriptor in (self._control, self._output, self._bell):
            os.dup2(nothing, descriptor, inheritable=False)
        os.close(nothing)

    def _on_stop(self, *_: object) -> None:
        self.stopping = True
        if not self.busy:
            raise Released

    def say(self, *words: Any) -> None:
        """Send a line."""
        data, self._kept = self._kept + _line(words), b""
        before, self.busy = self.busy, True
        try:
            while data:
                data = data[os.write(self._output, data) :]
            if _is_urgent(*words):
                os.write(self._bell, b"!")
        except BrokenPipeError:
            end_group()
        finally:
            self.busy = before

    def hear(self) -> list[Any]:
        """The next line; ["release"] when there are no more, and this process shall end."""
        while b"\n" not in self._heard:
            data = os.read(self._control, 1 << 16)
            if not data:
                self.stopping = True
                return ["release"]
            self._heard += data
        line, _, self._heard = self._heard.partition(b"\n")
        words: list[Any] = json.loads(line)
        return words

    # --- the link ----------------------------------------------------------------------------------------------------

    def heed(self) -> None:
        if self.stopping or self.let_go:
            raise Released

    def point(self, step: int, metrics: Metrics, saved: str | None, last: bool = False) -> None:
        if last:
            self._kept += _line(("point", step, metrics, saved))
        else:
            self.say("point", step, metrics, saved)

    def settle(self) -> None:
        self.say("flush")
        self._wait()

    def end(self, ending: Ending, held: bool) -> None:
        flush_output()
        if self.let_go:
            raise Released  # the function swallowed the first one
        if not self.forked:
            self.say("end", ending, held)

    def decide(self) -> Order:
        words = self._wait()
        self._redirect(words[2])
        return Order(**words[1])

    def _wait(self) -> list[Any]:
        """The answer of the executor, while this process does nothing else."""
        self.heed()  # a stop that came while the last line was sent
        began = time.perf_counter()
        words = self.hear()
        self.blocked += time.perf_counter() - began
        if words[0] == "release" or self.forked:
            self.let_go = True
            raise Released
        return words

    def next_run(self) -> Order | None:
        """The next job for this process; None at the end."""
        self.let_go = False
        words = self.hear()
        if words[0] != "run":
            return None
        self._redirect(words[2])
        return Order(**words[1])

    def _redirect(self, log: str) -> None:
        """What the user's code prints goes to the log file of the attempt from now on."""
        flush_output()
        os.makedirs(os.path.dirname(log), exist_ok=True)
        file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
        os.dup2(file, 1)
        os.dup2(file, 2)
        os.close(file)


def _is_urgent(word: str, *rest: Any) -> bool:
    """Whether somebody waits for this: not for a point without a checkpoint, nor for the end of what was let go."""
    return rest[-1] is not None if word == "point" else word != "released"


def _line(words: tuple[Any, ...]) -> bytes:
    return ENCODER.encode(words).encode() + b"\n"


def flush_output() -> None:
    """Write out what the user's code has printed, wherever it has led its output."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError, OSError, ValueError):
            stream.flush()


def end_group() -> None:
    """The executor is gone: end this process and all that it started."""
    os.killpg(os.getpgid(0), signal.SIGKILL)


def load(payload: int, settings: dict[str, Any]) -> tuple[Callable[[Run], Any], Any]:
    """The training function, and what its setup() returned."""
    with os.fdopen(os.dup(payload), "rb") as file:
        data = os.pread(file.fileno(), os.fstat(payload).st_size, 0)
    os.close(payload)
    function, setup = pickle.loads(data)
    if function is None:
        from tunewell.executors.command import Command

        function = Command(settings["command"])
    return function, setup() if setup is not None else None


def limit_memory(size: int | None) -> None:
    """Let allocations beyond `size` bytes of address space raise MemoryError."""
    if size is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (size, size))


def work(pipe: Pipe, payload: int) -> None:
    """Run jobs until the executor has no more."""
    settings: dict[str, Any] = pipe.hear()[0]
    limit_memory(settings["address_limit"])
    try:
        function, data = load(payload, settings)
    except Exception as error:
        return pipe.say("broken", failure(error)[1])
    pipe.say("ready")
    while (order := pipe.next_run()) is not None:
        run = Run(order, pipe, data, **settings["run"])
        try:
            perform(function, run)
        except Released:
            flush_output()
            pipe.say("released")
        if pipe.forked:
            os._exit(0)
        if pipe.stopping or not settings["reuse"]:
            return


def main() -> None:
    """Work, then leave; KeyboardInterrupt and Released end it without a word."""
    control, output, bell, payload = (int(word) for word in sys.argv[1:5])
    del sys.argv[1:]
    faulthandler.enable()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]
    pipe = Pipe(control, output, bell)
    with contextlib.suppress(Released):
        work(pipe, payload)


if __name__ == "__main__":
    main()
