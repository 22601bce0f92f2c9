"""Overtuning: the config that tuning chose is worse on the test set than one that it had before.

L. Schneider, B. Bischl, M. Feurer: Overtuning in hyperparameter optimization. AutoML 2025, arXiv:2506.19540,
section 3.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tunewell.errors import StudyError


class Overtuning(msgspec.Struct, frozen=True):
    """What was lost on the test set by going on: of the test losses of the incumbents, the `first`, `least` and `last`.

    Losses: smaller is better, whatever the direction of the metric.
    """

    first: float
    least: float
    last: float

    @property
    def absolute(self) -> float:
        """How much worse the last incumbent is than the best one before it; 0: none was better."""
        return self.last - self.least

    @property
    def relative(self) -> float:
        """The same as a share of all that tuning had gained: 1 takes all back, more is worse than the first config."""
        gained = self.first - self.least
        if gained > 0:
            return self.absolute / gained
        return math.inf if self.absolute > 0 else 0.0

    def __str__(self) -> str:
        if not self.absolute:
            return "no overtuning: no earlier incumbent was better on the test set than the last one"
        share = "all and more" if math.isinf(self.relative) else f"{self.relative:.0%}"
        lost = f"{self.absolute:.3g} worse on the test set than an earlier incumbent"
        return f"overtuning: the last incumbent is {lost}, {share} of what tuning had gained"


def overtuning(losses: Sequence[float]) -> Overtuning:
    """The overtuning of a study whose incumbents, in the order in which they came, have these test `losses (n,)`."""
    if not losses or not all(map(math.isfinite, losses)):
        raise StudyError(f"test losses {list(losses)}", hint="Give a finite one for each incumbent, in their order.")
    return Overtuning(losses[0], min(losses), losses[-1])
