"""What goes wrong in a curve: divergence, spikes, plateaus; and losses that say no more than "bad".

Robust statistics: medians, and the median absolute deviation. F. R. Hampel: The influence curve and its role in robust
estimation. Journal of the American Statistical Association 69, 1974.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunewell.honest.watch import Watch

Array = NDArray[np.float64]

_NORMAL = 1.4826
"""The standard deviation of a normal distribution, in units of its median absolute deviation."""


def diverged(curve: ArrayLike, *, maximize: bool = False) -> tuple[int, str] | None:
    """The place at which a curve (n,) has diverged, and why; None where it has not. See `tunewell.honest.watch`."""
    watch = Watch(maximize)
    for place, value in enumerate(np.asarray(curve, dtype=float).tolist()):
        why = watch.see(value)
        if why:
            return place, why
    return None


def spikes(losses: ArrayLike, *, window: int = 50, deviations: float = 6.0) -> NDArray[np.intp]:
    """The places (k,) of losses (n,) that lie above the median of the `window` losses before them by more than so many
    standard deviations of these; what is not finite is a spike as well.

    Nothing is a spike before eight losses are known. The deviation is that of the differences from one loss to the
    next, so that a curve which falls steeply has no wide one.
    """
    x = np.asarray(losses, dtype=float)
    found = [place for place in range(8, len(x)) if _is_spike(x[: place + 1], window, deviations)]
    return np.array(found, dtype=np.intp)


def _is_spike(x: Array, window: int, deviations: float) -> bool:
    if not np.isfinite(x[-1]):
        return True
    before = x[-1 - window : -1]
    before = before[np.isfinite(before)]
    if len(before) < 8:
        return False
    deviation = _NORMAL * float(np.median(np.abs(np.diff(before)))) / np.sqrt(2.0)
    return bool(x[-1] > np.median(before) + deviations * max(deviation, 1e-12 * abs(float(np.median(before)))))


def is_plateau(losses: ArrayLike, *, window: int = 30) -> bool:
    """Whether losses (n,) brought nothing over their last two windows: the median of the last one is no better than
    that of the one before, by more than twice the standard error of their difference.

    Never before there are two windows, and never where one of them holds what is not finite.
    """
    x = np.asarray(losses, dtype=float)[-2 * window :]
    if len(x) < 2 * window or not np.isfinite(x).all():
        return False
    earlier, later = x[:window], x[window:]
    deviation = _NORMAL * float(np.median(np.abs(np.diff(x)))) / np.sqrt(2.0)
    error = 1.2533 * deviation * np.sqrt(2.0 / window)  # that of a median of normal values is 1.25 times a mean's
    return bool(np.median(earlier) - np.median(later) <= 2.0 * error)


def censored(losses: Sequence[float] | Array, *, reach: float = 10.0) -> Array:
    """Losses (n,), of which none is worse than a cap: the median, and `reach` times what lies between it and the best.

    A result of a run that blew up says "at least so bad", and no more: as a number it would be the only one that a
    model or a plot sees. Half of the losses, the better one, is never changed; nothing is where all of that is equal.
    """
    x = np.asarray(losses, dtype=float)
    if len(x) < 4:
        return x
    middle, best = float(np.median(x)), float(x.min())
    return np.minimum(x, middle + reach * (middle - best)) if middle > best else x
