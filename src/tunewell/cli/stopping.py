"""Ctrl-C, heard where nothing is half done.

Python raises KeyboardInterrupt between any two instructions: in a transaction of the store, in the start of a worker.
So while a study is worked on, a signal is only remembered, and raised when the loop next waits for its workers,
after all that they said is committed. What trains in this process is interrupted at once. A second signal always is.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tunewell.protocols import Executor
    from tunewell.study import Report, Result

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the second: a cluster that wants its machine back


class Stop:
    """Whether somebody asked this process to stop."""

    def __init__(self) -> None:
        self.asked = False
        self.at_once = False

    def hear(self, *_: Any) -> None:
        """A signal has come."""
        if self.asked or self.at_once:
            self.asked = True
            raise KeyboardInterrupt
        self.asked = True

    def check(self) -> None:
        """Raise KeyboardInterrupt if a signal has come."""
        if self.asked:
            raise KeyboardInterrupt


class Stoppable:
    """An executor that looks for signals before it waits. `inline`: its jobs run inside `wait`."""

    def __init__(self, inner: Executor, stop: Stop, *, inline: bool) -> None:
        self._inner = inner
        self._stop = stop
        self._inline = inline

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def wait(self, seconds: float) -> Sequence[Report | Result]:
        """What the jobs said; raises KeyboardInterrupt where a signal has come."""
        self._stop.check()
        self._stop.at_once = self._inline
        try:
            return self._inner.wait(seconds)
        finally:
            self._stop.at_once = False


@contextmanager
def stoppable(executor: Executor, *, inline: bool) -> Iterator[Executor]:
    """`executor`, which stops at a signal, while the block runs."""
    stop = Stop()
    before = {number: signal.signal(number, stop.hear) for number in SIGNALS}
    try:
        yield Stoppable(executor, stop, inline=inline)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
