"""What it is worth to measure a config once more, for the choice that follows.

P. Frazier, W. Powell: Paradoxes in learning and the marginal value of information. Decision Analysis 7, 2010: the
knowledge gradient KG(*), by the most that some number of measurements gains a measurement.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

Array = NDArray[np.float64]


def worth(means: Array, deviations: Array, pending: Array, noise: float, left: int) -> Array:
    """How much lower the true loss of the choice becomes, a measurement, for each of n >= 2 configs `(n,)`.

    `means (n,)` and `deviations (n,)` are the posteriors of the true losses; `pending (n,)` how many measurements of
    each run already; `noise` the standard deviation of one; `left` how many there will be.
    """
    order = np.argsort(means)
    rival = np.where(np.arange(len(means)) == order[0], means[order[1]], means[order[0]])
    prior = deviations**2
    variance = prior * noise**2 / (noise**2 + pending * prior)  # after what runs
    known = prior - variance
    gains = [_gain(means - rival, known, variance, noise, count) / count for count in _counts(left)]
    return np.asarray(np.max(gains, axis=0))


def _gain(difference: Array, known: Array, variance: Array, noise: float, count: int) -> Array:
    """Frazier & Powell, eq. (6): the expected drop of the lowest mean after `count` measurements."""
    change = np.sqrt(np.maximum(variance**2 / (variance + noise**2 / count), 1e-300))
    z = -np.abs(difference) / np.sqrt(known + change**2)  # what runs moves the means, too
    return np.asarray(change * (z * ndtr(z) + np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)))


def _counts(left: int) -> list[int]:
    return [count for count in (1, 2, 4, 8, 16) if count == 1 or count <= left]
