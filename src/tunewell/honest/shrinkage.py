"""The value of the best of many, with luck taken out: empirical-Bayes shrinkage of noisy scores.

Efron & Morris 1973, "Stein's estimation rule and its competitors"; the winner's curse that it corrects is measured in
the project's `methods` notes: with noise as large as the spread of 100 configs, the best raw score is 1.8 spreads too
good.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def noise_of_replicates(groups: Sequence[Sequence[float]]) -> float | None:
    """The pooled standard deviation within groups of repeated measurements; None where nothing was repeated."""
    repeated = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated)
    if freedom == 0:
        return None
    return float(np.sqrt(sum(((group - group.mean()) ** 2).sum() for group in repeated) / freedom))


def noise_of_curves(curves: Sequence[Sequence[float]]) -> float | None:
    """The jitter of the last third of each curve about its own line, pooled; None where no curve is long enough.

    It sees the noise from step to step, not that from seed to seed: a lower bound.
    """
    squares, freedom = 0.0, 0
    for curve in curves:
        tail = np.asarray(curve[-max(4, len(curve) // 3) :], dtype=float)
        if len(tail) < 4 or not np.isfinite(tail).all():
            continue
        at = np.arange(len(tail))
        squares += float(((tail - np.polyval(np.polyfit(at, tail, 1), at)) ** 2).sum())
        freedom += len(tail) - 2
    return float(np.sqrt(squares / freedom)) if freedom else None


def shrink(means: ArrayLike, counts: ArrayLike, noise: float | None) -> tuple[Array, Array | None]:
    """Posterior means `(n,)` and standard errors `(n,)` of the true losses behind measured `means (n,)`.

    `counts (n,)` is how many measurements each mean rests on, `noise` the standard deviation of one. The prior is
    normal, fitted to the better half (bad configs say nothing about the spread of good ones). Without `noise`: the means, and None.
    """
    x, n = np.asarray(means, dtype=float), np.asarray(counts, dtype=float)
    if noise is None:
        return x, None
    better = np.sort(x)[: max(2, (len(x) + 1) // 2)]
    variance = noise**2 / n
    spread = max(float(better.var()) - float(np.median(variance)), 0.0)
    total = spread + variance
    weight = np.divide(spread, total, out=np.ones_like(x), where=total > 0)
    return better.mean() + weight * (x - better.mean()), np.sqrt(weight * variance)
