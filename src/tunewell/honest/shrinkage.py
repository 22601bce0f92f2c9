"""The value of the best of many, with luck taken out: what all results together say of the true loss of each config.

B. Efron, C. Morris: Stein's estimation rule and its competitors. JASA 68, 1973.
A. Gelman, J. Carlin, H. Stern, D. Rubin: Bayesian data analysis. Chapman & Hall, 1995, section 5.4: the normal model
with the spread of the groups unknown, on a grid.

J. W. Tukey: A survey of sampling from contaminated distributions. In: Contributions to probability and statistics,
Stanford University Press, 1960: the normal with tails.

True losses are normal about a centre, a few of them wider; each result is its config's true loss and noise. Centre,
spread and noise are integrated over a grid. Of configs that are bad at first sight only that is used: how bad they are
says nothing of the good ones (a censored normal). Which config is measured again depends on results that the model
holds, and so needs no correction. The wider ones are there for searches that learn: they find configs that nothing
before resembled, and what is measured of these has to count more than where the others lie.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import log_ndtr, ndtr, softmax

Array = NDArray[np.float64]

_SHARE, _MOST = 0.25, 200
"""The share of the configs whose values shape the prior, and the most of them."""

_TRUST = 0.05
"""The scale of the Cauchy prior of the logarithm of the factor by which known errors are wrong."""

_PARTS = ((0.99, 1.0), (0.01, 4.0))
"""Of the true losses: which share of them lies how many spreads wide."""

_LEFT_BEHIND = 0.2
"""The share of the wider ones among what a search reports, as the low end of an interval allows for."""

_CENTRES, _SPREADS, _NOISES = 15, 18, 9
"""Points of the grid."""


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


class Measured:
    """What was measured of n configs: `means (n,)`, `counts (n,)` and `scatters (n,)`, the sums of squared deviations
    from the mean.

    `errors (n,)` are the standard errors of the means where these are known, else None; `taken` the degrees of freedom
    that were spent on effects which the measurements no longer hold.
    """

    def __init__(self, groups: Sequence[ArrayLike], errors: ArrayLike | None = None, taken: float = 0.0) -> None:
        self._taken = taken
        counts = np.array([np.size(group) for group in groups])
        values = np.concatenate([np.asarray(group, dtype=float) for group in groups])
        config = np.repeat(np.arange(len(counts)), counts)
        self.counts = counts.astype(float)
        self.means = np.bincount(config, values, len(counts)) / self.counts
        self.scatters = np.bincount(config, (values - self.means[config]) ** 2, len(counts))
        self.errors = None if errors is None else np.asarray(errors, dtype=float)

    @property
    def freedom(self) -> float:
        """How many results were repetitions, less what was taken."""
        return max(0.0, float((self.counts - 1).sum()) - self._taken)

    @property
    def scatter(self) -> float:
        """The sum of squared deviations from the means, in units of the known squared errors where there are any."""
        if self.errors is None:
            return float(self.scatters.sum())
        return float((self.scatters / (self.counts * self.errors**2)).sum())

    @property
    def is_exact(self) -> bool:
        """Whether a repetition gave the same number each time."""
        largest = float(np.abs(self.means[self.counts > 1]).max(initial=0.0))
        return self.freedom > 0 and float(self.scatters.sum()) <= self.freedom * (1e-9 * largest) ** 2


class Belief:
    """What the results say of the true loss of each config: a mixture of normal posteriors, of `_PARTS` at each point
    of the grid.

    `noise` is the standard deviation of one result where it is known; left out, repetitions tell it, and at least one
    is needed. Standard errors that the results carry are believed up to a factor, about 1, that repetitions tell; then
    `noise` is that factor. `whole`: how bad the bad ones are counts as well, because they may be good at something
    else.
    """

    def __init__(self, measured: Measured, noise: float | None = None, whole: bool = False) -> None:
        self.measured = measured
        self._centres, self._spreads, self._noises, self.weights = _grid(measured, noise, whole)
        self.noise = float(self.weights @ self._noises)

    def _of(self, config: int | NDArray[np.intp]) -> tuple[Array, Array, Array]:
        """Means, variances and shares of the posteriors of k configs, (parts, g, k): shares of a point sum to 1."""
        index = np.atleast_1d(config)
        errors, centres = _variances(self.measured, self._noises, index), self._centres[:, None]
        off = self.measured.means[index] - centres
        priors = np.stack([(width * self._spreads[:, None]) ** 2 for _, width in _PARTS])
        pull = priors / (priors + errors)
        logs = np.stack([_log_density(off, errors, self._spreads[:, None], part) for part in _PARTS])
        return centres + pull * off, pull * errors, softmax(logs, 0)

    def moments(self) -> tuple[Array, Array]:
        """Means `(n,)` and standard deviations `(n,)` of the true losses."""
        n = len(self.measured.means)
        means, deviations = np.empty(n), np.empty(n)
        for block in np.array_split(np.arange(n), n // 250 + 1):
            mean, variance, share = self._of(block)
            weights = share * self.weights[:, None]
            means[block] = (weights * mean).sum((0, 1))
            deviations[block] = np.sqrt((weights * (variance + (mean - means[block]) ** 2)).sum((0, 1)))
        return means, deviations

    def interval(self, config: int, level: float = 0.9) -> tuple[float, float]:
        """The central interval that holds the true loss with probability `level`. Its low end is no higher than if the
        wider ones were more: a search that learns may have left the others behind.
        """
        mean, variance, share = (column[:, :, 0] for column in self._of(config))
        low, high = _central(mean, variance, share * self.weights, level)
        left = share * np.array([[(1 - _LEFT_BEHIND) / _PARTS[0][0]], [_LEFT_BEHIND / _PARTS[1][0]]])
        return min(low, _central(mean, variance, left / left.sum(0) * self.weights, level)[0]), high

    def better(self, config: int, other: int) -> float:
        """The probability that the true loss of `config` is below that of `other`."""
        mean, variance, share = (column[:, None, :, 0] for column in self._of(config))
        means, variances, shares = (column[None, :, :, 0] for column in self._of(other))
        below = share * shares * ndtr((means - mean) / np.sqrt(variance + variances))
        return float(below.sum((0, 1)) @ self.weights)

    def better_by(self, again: Sequence[float], config: int, other: int) -> float:
        """The probability that the true loss of `config` is below that of `other`, by the results of `config` after
        its first one alone, as they are: luck may have chosen the first, and has no part in those that follow.
        """
        if not again:
            return 0.0
        mean, variance, share = (column[:, :, 0] for column in self._of(other))
        errors = _variances(self.measured, self._noises, np.array([config]))[:, 0]
        error = errors * self.measured.counts[config] / len(again)
        return float((share * ndtr((mean - np.mean(again)) / np.sqrt(variance + error))).sum(0) @ self.weights)


def _central(means: Array, variances: Array, weights: Array, level: float) -> tuple[float, float]:
    """The central interval of a mixture of normal distributions (parts, g)."""
    mean, deviation = means.ravel(), np.sqrt(variances).ravel()
    at = np.linspace((mean - 6 * deviation).min(), (mean + 6 * deviation).max(), 500)
    below = weights.ravel() @ ndtr((at - mean[:, None]) / deviation[:, None])
    low, high = np.interp([(1 - level) / 2, (1 + level) / 2], below, at)
    return float(low), float(high)


def _log_density(off: Array, errors: Array, spreads: Array, part: tuple[float, float]) -> Array:
    """Of means that are `off` the centre, by one of the parts, up to a constant."""
    variance = (part[1] * spreads) ** 2 + errors
    return np.asarray(np.log(part[0]) - 0.5 * (off**2 / variance + np.log(variance)))


def _variances(measured: Measured, noises: Array, index: NDArray[np.intp]) -> Array:
    """The squared standard errors of some means, (g, k)."""
    if measured.errors is not None:
        return np.asarray((noises[:, None] * measured.errors[index]) ** 2)
    return np.asarray(noises[:, None] ** 2 / measured.counts[index])


def _grid(measured: Measured, noise: float | None, whole: bool) -> tuple[Array, Array, Array, Array]:
    """Points of centre, spread and noise, each (g,), and their weights (g,)."""
    means = measured.means
    scale = float(means.std()) or abs(float(means[0])) or 1.0
    axes = (
        float(np.median(means)) + scale * np.linspace(-1.2, 1, _CENTRES),
        scale * np.geomspace(0.03, 2.5, _SPREADS),
        _noise_axis(measured, noise),
    )
    centre, spread, deviation = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
    log = _log_likelihood(measured, centre, spread, deviation, whole)
    one = deviation if measured.errors is None else deviation * float(np.median(measured.errors))
    log += np.log(spread / np.hypot(spread, one))  # flat in the share of the spread, not in its logarithm
    weights = np.exp(log - log.max())
    kept = weights > 1e-4 * weights.max()
    return centre[kept], spread[kept], deviation[kept], weights[kept] / weights[kept].sum()


def _noise_axis(measured: Measured, noise: float | None) -> Array:
    if measured.errors is not None:
        return np.geomspace(0.25, 4, 2 * _NOISES - 1) if measured.freedom else np.ones(1)  # as a factor of the errors
    if noise is not None:
        return np.array([noise])
    pooled = float(np.sqrt(measured.scatters.sum() / measured.freedom))
    width = min(1.5, 2.0 / np.sqrt(measured.freedom))  # about three of its standard errors to either side
    return pooled * np.exp(np.linspace(-width, width, _NOISES))


def _log_likelihood(measured: Measured, centre: Array, spread: Array, noise: Array, whole: bool) -> Array:
    """Of all results, at each point of the grid (g,): the good means and all repetitions in full, of the rest that it
    is bad."""
    once = measured.counts == 1
    first = measured.means[once] if once.any() else measured.means
    share = 1.0 if whole else min(_SHARE, _MOST / len(first))
    cut = float(np.partition(first, k := min(len(first) - 1, max(3, int(share * len(first)))))[k])
    full, bad = np.flatnonzero((measured.means <= cut) | ~once), np.flatnonzero(once & (measured.means > cut))
    off, errors = measured.means[full] - centre[:, None], _variances(measured, noise, full)
    log = np.logaddexp(*(_log_density(off, errors, spread[:, None], part) for part in _PARTS)).sum(1)
    log -= measured.freedom * np.log(noise) + measured.scatter / (2 * noise**2)
    if measured.errors is not None:
        log -= np.log1p((np.log(noise) / _TRUST) ** 2)  # heavy tails: repetitions that say otherwise win
    error = noise if measured.errors is None or not len(bad) else noise * float(np.median(measured.errors[bad]))
    above = (np.log(share) + log_ndtr((centre - cut) / np.hypot(width * spread, error)) for share, width in _PARTS)
    return np.asarray(log + len(bad) * np.logaddexp(*above))
