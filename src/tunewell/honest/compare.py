"""Is a better than b, worse, or undecided: paired differences, one look.

Student 1908, "The probable error of a mean". Valid for one look at a fixed number of pairs; looking again after each
new pair would need an always-valid test.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit


class Comparison(msgspec.Struct, frozen=True):
    """`verdict` is "better", "worse" or "undecided" for a against b; `effect` the mean of a - b with its 95 %
    `interval`.

    `probability` is that of a lower mean for a, under a flat prior; `pairs` how many differences it rests on.
    """

    verdict: str
    effect: float
    interval: tuple[float, float]
    probability: float
    pairs: int


def compare(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Comparison:
    """Compare the losses `a (n,)` and `b (n,)` of the same n seeds: smaller is better."""
    differences = np.asarray(a, dtype=float) - np.asarray(b, dtype=float)
    n, effect = len(differences), float(np.mean(differences))
    if n < 2:
        return Comparison("undecided", effect, (-np.inf, np.inf), 0.5, n)
    error = float(differences.std(ddof=1)) / np.sqrt(n)
    half = float(stdtrit(n - 1, (1 + level) / 2)) * error
    probability = float(stdtr(n - 1, -effect / error)) if error > 0 else float(0.5 * (1 - np.sign(effect)))
    low, high = effect - half, effect + half
    verdict = "better" if high < 0 else "worse" if low > 0 else "undecided"
    return Comparison(verdict, effect, (low, high), probability, n)
