"""Extrapolation of learning curves: where a loss that was seen for some steps will be after more of them.

K. Swersky, J. Snoek, R. P. Adams: Freeze-thaw Bayesian optimization. arXiv:1406.3896, 2014.
T. Domhan, J. T. Springenberg, F. Hutter: Speeding up automatic hyperparameter optimization of deep neural networks by
extrapolation of learning curves. IJCAI 2015.

A curve is y(t) = a + b (t/s)^-c + drift(log t) + noise, s being the last step seen. An ensemble of such laws differ in
the exponent c (none: the last value stays, but for the drift), in the drift, which is a Brownian motion of the
logarithm of the step or, smoother, the integral of one, and in the noise, all as shares of the variance of b. For each
law a (flat prior), b and the scale of the whole (inverse gamma) are integrated in closed form, which leaves a Student
distribution; the laws are mixed by their prior weights and their evidence, tempered: no law is true, and the evidence
of a long smooth curve would bet all on one of them.

Nothing depends on the unit of the loss or of the steps. The prior weights, the power of the evidence and the prior of
the scale were chosen for the log score on the curves of half of the tasks of LCBench (YAHPO), TaskSet and LCDB; the
other half says how well the intervals cover (`benchmarks/fidelity.py`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from scipy.linalg import solve_triangular
from scipy.special import logsumexp, ndtr, ndtri, stdtr, stdtrit

Array = np.ndarray[Any, np.dtype[np.float64]]

TEMPER = 0.25
"""The power of the evidence of a law."""

FREEDOM = 1.0
SHARE = 0.3
"""The prior of the scale counts as so many points, and is this share of the spread of the losses."""

MOST = 48
"""A longer curve is summed up by the medians of so many stretches, even in the logarithm of the step."""

_CLIP = 8.0
"""Values farther from the quartiles than so many times their distance are taken as if they were there: spikes."""


@dataclass(frozen=True)
class Law:
    """One law: the exponent c (0: no power law), the variances of the drift and of the noise at the last step seen, as
    shares of the variance of b, whether the drift is smooth, whether the noise falls with the steps, and the prior
    weight.
    """

    power: float
    drift: float
    smooth: bool
    noise: float
    falls: bool
    weight: float

    def covariance(self, first: Array, second: Array, start: float) -> Array:
        """Of the values without noise at steps (n,) and (m,), as shares of the last step; `start` is where the drift
        begins, as a logarithm: (n, m).
        """
        low = np.minimum.outer(np.log(first), np.log(second)) - start
        high = np.maximum.outer(np.log(first), np.log(second)) - start
        drift = low * low * (high / 2 - low / 6) if self.smooth else low
        found: Array = self.drift * drift
        return found + np.outer(first**-self.power, second**-self.power) if self.power else found

    def noises(self, steps: Array, counts: Array | float = 1.0) -> Array:
        """The variances (n,) of the noise of medians of so many values."""
        found: Array = (self.noise * (1 / steps if self.falls else np.ones_like(steps)) + 1e-7) / counts
        return found


LAWS = (
    Law(0.0, 1.0, False, 1.0, True, 0.02),
    Law(0.0, 1.0, False, 0.01, True, 0.02),
    Law(2.0, 0.1, True, 0.1, True, 0.47),
    Law(1.0, 0.01, True, 0.1, True, 0.18),
    Law(2.0, 1.0, True, 1e-5, False, 0.08),
    Law(0.5, 0.001, True, 0.001, True, 0.06),
    Law(0.5, 1.0, False, 0.1, True, 0.05),
    Law(0.25, 0.01, True, 0.001, True, 0.05),
    Law(0.5, 0.01, False, 0.001, True, 0.05),
    Law(1.0, 0.1, False, 0.01, True, 0.02),
)


@dataclass(frozen=True)
class Forecast:
    """The values at q steps ahead: mixtures of m Student distributions with these `centres` and `scales` (q, m), the
    `weights` (m,) that sum to 1, and the degrees of `freedom`.
    """

    centres: Array
    scales: Array
    weights: Array
    freedom: float

    def rank(self, values: Array) -> Array:
        """The probability (q,) of a value at each step that is below these (q,)."""
        found: Array = stdtr(self.freedom, (values[:, None] - self.centres) / self.scales) @ self.weights
        return found

    def quantile(self, share: float) -> Array:
        """The values (q,) that are not reached with this probability, in (0, 1)."""
        each = self.centres + self.scales * stdtrit(self.freedom, share)
        low, high = each.min(1), each.max(1)  # that of a mixture lies between those of its parts
        for _ in range(50):
            middle = (low + high) / 2
            below = self.rank(middle) < share
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        found: Array = (low + high) / 2
        return found

    def interval(self, share: float = 0.8, calibration: Calibration | None = None) -> tuple[Array, Array]:
        """The ends (q,) of the middle intervals that hold the value with this probability."""
        low, high = (0.5 - share / 2, 0.5 + share / 2)
        ranks = calibration or Calibration()
        return self.quantile(ranks.rank(low)), self.quantile(ranks.rank(high))


@dataclass(frozen=True)
class Calibration:
    """How the forecasts of a study have to be moved and stretched, as far as those tell that came true.

    The normal scores of the ranks that true values had among their forecasts are standard normal where forecasts are
    right; here they have the mean `shift` and the deviation `stretch`.
    """

    shift: float = 0.0
    stretch: float = 1.0

    @classmethod
    def of(cls, ranks: Array, belief: float = 6.0) -> Calibration:
        """From the ranks (n,) of values that came true; the prior, that forecasts are right, counts as `belief` of
        them.
        """
        scores = ndtri(np.clip(ranks, 1e-3, 1 - 1e-3))
        shift = float(scores.sum()) / (len(scores) + belief)
        squares = float(np.sum((scores - shift) ** 2)) + belief * (1.0 + shift**2)
        return cls(shift, math.sqrt(squares / (len(scores) + belief)))

    def rank(self, share: float) -> float:
        """The rank among uncalibrated forecasts that the true value stays below with this probability."""
        return float(ndtr(self.shift + self.stretch * ndtri(share)))

    def chance(self, rank: float) -> float:
        """The probability of a true value below one that has this rank among uncalibrated forecasts."""
        return float(ndtr((ndtri(min(max(rank, 1e-12), 1 - 1e-12)) - self.shift) / self.stretch))


def extrapolate(steps: Array, values: Array, until: Array, spread: float = 0.0) -> Forecast | None:
    """The losses at the steps `until` (q,), none before the last of `steps` (n,), ascending from 1 or more, where the
    losses `values` (n,) were seen. What is not finite is left out; None where nothing is left.

    `spread` is how far the losses of other curves lie apart, and says what a short curve cannot: how much a loss may
    change at all. Left out, the range of the curve itself.
    """
    known = np.isfinite(values)
    if not known.any():
        return None
    places, heights, counts = summed_up(steps[known], _clipped(values[known]))
    spread = spread or float(np.ptp(heights)) or 1e-3 * abs(float(heights[-1])) or 1e-12
    base, unit = heights[-1], max(spread, float(np.max(np.abs(heights - heights[-1]))))
    prior = FREEDOM * (SHARE * spread / unit) ** 2
    freedom = len(places) - 1 + FREEDOM
    parts = _solved(tuple(places.tolist()), tuple(counts.tolist()), tuple(np.asarray(until, dtype=float).tolist()))
    scaled = (heights - base) / unit
    levels = parts.levels @ scaled
    rests = np.einsum("mij,j->mi", parts.roots, scaled) - levels[:, None] * parts.ones
    squares = np.einsum("mi,mi->m", rests, rests) + prior
    evidence = parts.evidence - 0.5 * freedom * np.log(squares)
    weights = TEMPER * evidence + np.log([law.weight for law in LAWS])
    centres = levels + np.einsum("mqi,mi->qm", parts.towards, rests)
    scales = np.sqrt(parts.variances.T * squares / freedom)
    return Forecast(base + unit * centres, unit * scales, np.exp(weights - logsumexp(weights)), freedom)


def summed_up(steps: Array, values: Array) -> tuple[Array, Array, Array]:
    """No more than `MOST` points of a curve: steps, values, and how many values each is the median of."""
    if len(steps) <= MOST:
        return steps.astype(float), values, np.ones(len(steps))
    logs = np.log(steps / steps[0]) / math.log(steps[-1] / steps[0])
    groups = np.minimum((logs * MOST).astype(int), MOST - 1)
    rows = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    means = [math.exp(float(np.log(steps[row]).mean())) for row in rows]
    return np.array(means), np.array([np.median(values[row]) for row in rows]), np.array([float(len(r)) for r in rows])


def _clipped(values: Array) -> Array:
    """Values without spikes; a short curve as it is, for nobody can tell which one that would be."""
    if len(values) < 4:
        return values
    low, high = np.quantile(values, [0.25, 0.75])
    return np.clip(values, low - _CLIP * (high - low), high + _CLIP * (high - low))


@dataclass(frozen=True)
class _Parts:
    """What of the m laws does not depend on the values of a curve of n points: the inverse Cholesky factors `roots`
    (m, n, n), what they make of 1, `ones` (m, n), `levels` (m, n), whose products with the values are the constants a;
    `towards` (m, q, n) and `variances` (m, q) of the steps ahead; and the part of the log evidence (m,).
    """

    roots: Array
    ones: Array
    levels: Array
    towards: Array
    variances: Array
    evidence: Array


@lru_cache(maxsize=256)
def _solved(steps: tuple[float, ...], counts: tuple[float, ...], until: tuple[float, ...]) -> _Parts:
    rows = [_of_law(law, np.array(steps), np.array(counts), np.array(until)) for law in LAWS]
    return _Parts(*(np.array(column) for column in zip(*rows, strict=True)))


def _of_law(law: Law, steps: Array, counts: Array, until: Array) -> tuple[Array, Array, Array, Array, Array, float]:
    """Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, equations 2.25, 2.26 and 2.41: a constant
    with a flat prior beside the process.
    """
    start, here, ahead = math.log(steps[0] / steps[-1]) - 0.5, steps / steps[-1], until / steps[-1]
    factor = np.linalg.cholesky(law.covariance(here, here, start) + np.diag(law.noises(here, counts)))
    root = solve_triangular(factor, np.eye(len(steps)), lower=True)
    ones = root.sum(1)
    weight = float(ones @ ones)
    towards = (root @ law.covariance(here, ahead, start)).T
    alone = np.diag(law.covariance(ahead, ahead, start)) + law.noises(ahead)
    missing = 1.0 - towards @ ones
    variances = np.maximum(alone - np.einsum("qi,qi->q", towards, towards), 1e-12) + missing**2 / weight
    evidence = float(np.sum(np.log(np.diag(root)))) - 0.5 * math.log(weight)
    return root, ones, (ones @ root) / weight, towards, variances, evidence
