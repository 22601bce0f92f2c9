"""Whether a training run has diverged, from the losses that it reports, one after the other.

Every worker process loads this file, so it imports the standard library only.
"""

from __future__ import annotations

import math
from collections import deque
from itertools import islice

WINDOW = 50
"""Reports that are looked at together."""

LEVEL = 0.44
"""A run has diverged whose loss was, over a whole window, worse than its first one by a factor of exp(0.44) = 1.55: the
geometric mean, where a report counts for no more than 20 times and for no less than 0.9 times. A run that hovers a
little above its first loss and never learns takes that long to tell from a noisy batch.
"""

CEILING = 3.0
"""The logarithm of that 20: so eight reports in a row are the least that is taken as an explosion."""

LEARNED = 10
"""After so many good reports, more than the bad ones outweigh, a run has learned: its rate was no mistake."""

LAST, STILL = 6, 1.5
"""A run that has learned is on its way back from a bad batch where its last reports are, in the mean, no more than
exp(1.5) = 4.5 times worse than the first one.
"""

FLOOR = 0.1

DRIFT = 0.012
"""A loss may rise by so much a report without being called diverged: a model that overfits rises slowly."""

NONFINITE = 3
"""So many reports in a row that are NaN or infinite: one alone may be a batch that overflowed, and is skipped."""


class Watch:
    """Sees the values of a metric, in order, and says why the run has diverged, as soon as it has.

    `first` is the first value of a lineage that goes on from a checkpoint, NaN where there is none yet. What counts is
    how much worse than the first value the others are; a spike that recovers, or the rise after a warm restart, is
    shorter than a window, or stays below the first value. What has learned before it jumped is left alone while it
    comes down again. A metric that is maximized, or whose first value is not positive, has no ratio: there, what counts
    is the difference to the first value in units of its size, or of 1 where that is more. A metric that is bounded,
    such as an accuracy, never explodes.
    """

    __slots__ = ("_bad", "_first", "_learned", "_level", "_recent", "_scale", "_sign", "_total")

    def __init__(self, maximize: bool = False, first: float = math.nan) -> None:
        self._sign = -1.0 if maximize else 1.0
        self._bad = 0
        self._recent: deque[float] = deque(maxlen=WINDOW)
        self._total = 0.0
        self._first = math.nan
        self._learned = False
        self._level = 0.0
        self._scale = 1.0
        if math.isfinite(first):
            self._begin(self._sign * first)

    def _begin(self, loss: float) -> None:
        self._first = loss
        self._scale = loss if loss > 0 and self._sign > 0 else max(abs(loss), 1.0)

    def see(self, value: float) -> str:
        """Why the run has diverged with this value; empty while it has not."""
        if not math.isfinite(value):
            self._bad += 1
            return f"{self._bad} reports in a row were not finite, this one {value}" if self._bad >= NONFINITE else ""
        self._bad = 0
        loss = self._sign * value
        if math.isnan(self._first):
            self._begin(loss)
        self._add(self._excess(loss))
        if self._total < LEVEL * WINDOW or self._returns():
            return ""
        return f"{value:.6g}, far worse than the first value {self._sign * self._first:.6g} for {self._for()} reports"

    def _excess(self, loss: float) -> float:
        """The logarithm of how many times worse than the first value a loss is, less what it drifted."""
        ratio = 1.0 + (loss - self._first) / self._scale
        log = math.log(ratio) if ratio > 0 else -math.inf
        found = max(-FLOOR, min(log - self._level, CEILING))
        self._level = min(max(self._level + math.copysign(DRIFT, log - self._level), 0.0), max(log, 0.0))
        return found

    def _add(self, excess: float) -> None:
        if len(self._recent) == WINDOW:
            self._total -= self._recent[0]
        self._recent.append(excess)
        self._total += excess
        self._learned = self._learned or self._total <= -FLOOR * LEARNED

    def _returns(self) -> bool:
        """Whether it has learned, and is not far worse any more."""
        return self._learned and sum(islice(reversed(self._recent), LAST)) < STILL * LAST

    def _for(self) -> int:
        """How many of the last reports were worse than the first."""
        return sum(excess > 0 for excess in self._recent)
