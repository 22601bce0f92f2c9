"""Output warps: losses as values that a Gaussian process can model, robust to heavy tails, outliers and any scale.

X. Song et al.: The Vizier Gaussian process bandit algorithm. arXiv:2408.11527, 2024 (half-rank).
I.-K. Yeo, R. A. Johnson: A new family of power transformations to improve normality or symmetry. Biometrika 87, 2000.

Each takes finite losses (n,) and returns values (n,) of mean 0 and standard deviation 1 in the same order, smaller is
better; equal losses give equal values, and constant ones zeros.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import ndtr, ndtri

from tunewell.surrogates.kernels import Array


def standardized(losses: Array) -> Array:
    """Shifted and scaled alone."""
    small = _small(losses)
    centred = small - small.mean()
    spread = float(centred.std())
    if spread <= 1e-12 * max(float(np.max(np.abs(small), initial=0.0)), 1e-290):
        return np.zeros_like(losses)
    found: Array = centred / spread
    return found


def _small(losses: Array) -> Array:
    """The losses, scaled so that neither a sum nor a square of them overflows."""
    return losses / _size(losses)


def _size(losses: Array) -> float:
    size = float(np.max(np.abs(losses), initial=0.0))
    return size if size > 1e100 else 1.0


def half_rank(losses: Array, until: float = -np.inf) -> Array:
    """The better half as it is, and what is no worse than `until`; the rest by its ranks, as the upper part of a normal
    distribution that spreads below that part as the losses do, but no further away than it is.

    Ranks bring near what is far. What is near, like the losses of all trainings that learned nothing, they would part
    by as much as all that differ, and a model would take it for noise.
    """
    losses, until = _small(losses), until / _size(losses)
    middle = max(float(np.median(losses)), until)
    better = losses[losses <= middle] - middle
    size = float(np.max(np.abs(better), initial=0.0))
    spread = size * float(np.sqrt(np.mean((better / size) ** 2))) if size > 0 else 0.0
    if spread == 0.0:
        return normal_scores(losses)
    start = 0.0 if until < middle else float(ndtri(np.mean(losses <= middle) * (1 - 0.5 / len(losses))))
    scores = (ndtri(_quantiles(losses)) - start) / _spread_below(start)
    with np.errstate(over="ignore"):
        away = (losses - middle) / spread
    return standardized(np.minimum(away, np.maximum(scores, 0.0)))


def _spread_below(start: float) -> float:
    """The root of the mean square distance from `start` of a standard normal number that is smaller."""
    ratio = float(np.exp(-0.5 * start**2) / np.sqrt(2 * np.pi) / ndtr(start))
    return float(np.sqrt(1.0 + start * ratio + start**2))


def normal_scores(losses: Array) -> Array:
    """Ranks as quantiles of the normal distribution."""
    return standardized(ndtri(_quantiles(losses)))


def _quantiles(losses: Array) -> Array:
    """The middle of the ranks of each loss, as a share of n, in (0, 1)."""
    _, place, counts = np.unique(losses, return_inverse=True, return_counts=True)
    found: Array = ((np.cumsum(counts) - counts / 2) / len(losses))[place]
    return found


def yeo_johnson(losses: Array) -> Array:
    """The power transformation of the largest normal likelihood, with a power from -8 to 4, of standardized losses."""
    values = standardized(losses)
    if not values.any():
        return values
    logs = np.sign(values) * np.log1p(np.abs(values))

    def negative(power: float) -> float:
        spread = float(np.var(_powered(values, power)))
        likelihood: float = 0.5 * len(values) * np.log(max(spread, 1e-300)) - (power - 1.0) * float(logs.sum())
        return likelihood

    power = float(minimize_scalar(negative, bounds=(-8.0, 4.0), method="bounded").x)
    return standardized(_powered(values, power))


def _powered(values: Array, power: float) -> Array:
    """Equation (2.1) of Yeo and Johnson."""
    above, below = np.maximum(values, 0.0), np.maximum(-values, 0.0)
    high = np.log1p(above) if abs(power) < 1e-8 else ((above + 1.0) ** power - 1.0) / power
    rest = 2.0 - power
    low = np.log1p(below) if abs(rest) < 1e-8 else ((below + 1.0) ** rest - 1.0) / rest
    found: Array = high - low
    return found


WARPS: Mapping[str, Callable[[Array], Array]] = {
    "none": standardized,
    "half-rank": half_rank,
    "normal": normal_scores,
    "yeo-johnson": yeo_johnson,
}
"""By name."""


_SMOOTH = {"none": 1.0, "half-rank": 0.5, "normal": 0.0, "yeo-johnson": 1.0}
"""The share of the losses, from the best on, that each warp does not turn into ranks."""


def steepness(name: str, losses: Array, values: Array) -> Array:
    """The derivative (n,) of a warp, from losses (n,) to values (n,), at the losses; NaN where it has none.

    Ranks say nothing of how fast a loss grows, so that there is none where they are taken. Elsewhere it is that of the
    monotone interpolation of F. N. Fritsch and J. Butland (SIAM J. Sci. Stat. Comput. 5, 1984), the harmonic mean of
    the slopes of the two secants: exact where the warp is affine.
    """
    found = np.full(len(losses), np.nan)
    with np.errstate(all="ignore"):  # differences of the largest and of the smallest numbers
        smooth = losses <= np.quantile(losses, _SMOOTH[name])
        places, first, back = np.unique(losses[smooth], return_index=True, return_inverse=True)
        if len(places) > 1:
            secants = np.diff(values[smooth][first]) / np.diff(places)
            before, after = np.append(secants[0], secants), np.append(secants, secants[-1])
            found[smooth] = (2.0 * before * after / (before + after))[back]
    return np.where(np.isfinite(found), found, np.nan)
