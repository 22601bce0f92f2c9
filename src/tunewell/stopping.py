"""Ctrl-C, heard where nothing is half done.

Python raises KeyboardInterrupt between any two instructions: in a transaction of the store, in the start of a worker.
So while a loop works, a signal is only remembered, and raised when the loop next waits for its workers, after all that
they said is committed. What trains in this process is interrupted at once. A second signal always is.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)  # the second: a cluster that wants its machine back


class Stop:
    """Whether somebody asked this process to stop; while `at_once`, a signal interrupts what runs."""

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
        """The moment to stop, if somebody asked."""
        if self.asked:
            raise KeyboardInterrupt


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Remember signals while the block runs. Only the main thread hears signals: elsewhere nothing changes."""
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.hear) for number in SIGNALS}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
