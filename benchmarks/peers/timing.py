"""Seconds per trial from the inside of an objective, the same way for tunewell and for every peer. Needs no package.

The objective calls `Clock.tick()` once. What lies between two ticks is a trial with all that the tool does around it.
"""

import statistics
import time
from itertools import pairwise


class Clock:
    """Remembers wall and CPU time at every tick."""

    def __init__(self) -> None:
        self.ticks: list[tuple[float, float]] = []

    def tick(self) -> None:
        """Call this once in each trial."""
        self.ticks.append((time.perf_counter(), time.process_time()))

    def per_trial(self, block: int, last: int) -> dict[str, float]:
        """Median over blocks of `block` trials of the seconds per trial, within the `last` trials."""
        marks = self.ticks[-last - 1 :: block]
        pairs = list(pairwise(marks))
        wall, cpu = ([(b[i] - a[i]) / block for a, b in pairs] for i in (0, 1))
        return {"wall": statistics.median(wall), "cpu": statistics.median(cpu)}
