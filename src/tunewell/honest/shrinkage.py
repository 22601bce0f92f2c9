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


def noise_of_replicates(groups: Sequence[Sequence[float]], taken: float = 0.0) -> float | None:
    """The pooled standard deviation within groups of repeated measurements; None where nothing was repeated.

    `taken`: the degrees of freedom that were spent on effects which the measurements no longer hold.
    """
    repeated = [np.asarray(group, dtype=float) for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in repeated) - taken
    if freedom <= 0:
        return None
    return float(np.sqrt(sum(((group - group.mean()) ** 2).sum() for group in repeated) / freedom))


def noise_of_curves(curves: Sequence[Sequence[float]]) -> float | None:
    """The jitter of the last third of a typical curve about its own parabola; None where no curve is long enough.

    It sees the noise from step to step, not that from seed to seed: a lower bound. A median over the curves, because
    some still fall steeply and some diverge.
    """
    variances = [variance for curve in curves if (variance := _jitter(curve)) is not None]
    return float(np.sqrt(np.median(variances))) if variances else None


def _jitter(curve: Sequence[float]) -> float | None:
    """The residual variance of a curve's tail about its parabola, such that the median over many curves is unbiased."""
    tail = np.asarray(curve[-max(6, len(curve) // 3) :], dtype=float)
    if len(tail) < 6 or not np.isfinite(tail).all():
        return None
    at, freedom = np.linspace(-1, 1, len(tail)), len(tail) - 3
    residuals = tail - np.polyval(np.polyfit(at, tail, 2), at)
    median_of_chi_squared = (1 - 2 / (9 * freedom)) ** 3  # Wilson & Hilferty 1931, relative to the mean
    return float((residuals**2).sum() / freedom / median_of_chi_squared)


def shrink(means: ArrayLike, counts: ArrayLike, noise: float | None) -> tuple[Array, Array | None]:
    """Posterior means `(n,)` and standard errors `(n,)` of the true losses behind measured `means (n,)`.

    `counts (n,)` is how many measurements each mean rests on, `noise` the standard deviation of one. The prior is
    normal about the median, as wide as the better half says: how bad the bad configs are tells nothing about the good
    ones. Without `noise`: the means, and None.
    """
    x, n = np.asarray(means, dtype=float), np.asarray(counts, dtype=float)
    if noise is None:
        return x, None
    variance = noise**2 / n
    centre, typical = float(np.median(x)), float(np.median(variance))
    better = x[x <= centre]
    # Few configs cannot show that there is no spread at all: the floor is about one standard error of their variance.
    spread = max(float(np.mean((better - centre) ** 2)) - typical, typical / np.sqrt(len(better)))
    total = spread + variance
    weight = np.divide(spread, total, out=np.ones_like(x), where=total > 0)
    of_centre = (spread + typical) / len(better)
    return centre + weight * (x - centre), np.sqrt(weight * variance + (1 - weight) ** 2 * of_centre)
