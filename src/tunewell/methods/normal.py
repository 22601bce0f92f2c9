"""A normal distribution that learns its mean, its step size and its covariance from ranks, with a margin for integers.

N. Hansen: The CMA evolution strategy: a tutorial. arXiv:1604.00772. Equation numbers without a name are those of its
version 2 (2023).
R. Hamano, S. Saito, M. Nomura, S. Shirakawa: CMA-ES with margin: lower-bounding marginal probability for mixed-integer
black-box optimization. GECCO 2022. arXiv:2205.13482.
N. Hansen: Injecting external solutions into CMA-ES. arXiv:1110.4181, 2011.
R. Ros, N. Hansen: A simple modification in CMA-ES achieving linear time and space complexity. PPSN 2008.
M. Nomura, Y. Akimoto, I. Ono: CMA-ES with learning rate adaptation. ACM TELO 2024. arXiv:2401.15876.
"""

from __future__ import annotations

import math
from functools import lru_cache
from statistics import NormalDist
from typing import Any, NamedTuple

import msgspec
import numpy as np

from tunewell.methods.layout import Layout

Array = np.ndarray[Any, np.dtype[np.float64]]

_NARROW = 1e-12
"""A distribution that is narrower in each entry, as a share of its range, has nothing to find: floats have a grid."""
_CONDITION = 1e14
"""No covariance is stretched more, as the ratio of its variances."""
_EPSILON = 1e-8


# --- constants -------------------------------------------------------------------------------------------------------


class Constants(NamedTuple):
    """The weights `(size,)`, of which the first `mu` are positive, and the learning rates: Hansen, table 1."""

    weights: Array
    mu: int
    mass: float
    c_1: float
    c_mu: float
    c_sigma: float
    d_sigma: float
    c_c: float
    length: float


@lru_cache(maxsize=64)
def constants(n: int, size: int, separable: bool) -> Constants:
    """For n numbers and generations of `size`."""
    raw = math.log((size + 1) / 2) - np.log(np.arange(1, size + 1))  # (49)
    mu = int((raw > 0).sum())
    mass = float(raw[:mu].sum() ** 2 / (raw[:mu] ** 2).sum())
    negative = float(raw[mu:].sum() ** 2 / (raw[mu:] ** 2).sum())
    faster = (n + 2) / 3 if separable else 1.0  # Ros and Hansen, section 3
    c_1 = min(0.5, faster * 2 / ((n + 1.3) ** 2 + mass))  # (57)
    c_mu = min(1 - c_1 - _EPSILON, faster * 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))  # (58)
    c_mu = max(c_mu, _EPSILON)
    least = min(1 + c_1 / c_mu, 1 + 2 * negative / (mass + 2), (1 - c_1 - c_mu) / (n * c_mu))  # (50) to (52)
    weights = np.where(raw >= 0, raw / raw[:mu].sum(), least * raw / -raw[mu:].sum())  # (53)
    c_sigma = (mass + 2) / (n + mass + 5)  # (55)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1) + c_sigma
    c_c = (4 + mass / n) / (n + 4 + 2 * mass / n)  # (56)
    length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    return Constants(weights, mu, mass, c_1, c_mu, c_sigma, d_sigma, c_c, length)


# --- the distribution ------------------------------------------------------------------------------------------------


class Normal(msgspec.Struct):
    """N(mean, sigma² C), of which the margin stretches the coordinates by `stretch` when it is sampled.

    C is `axes` · diag(`lengths`²) · `axes`ᵀ, and a diagonal where `axes` is None. `to_sigma` and `to_c` are the
    evolution paths.
    """

    mean: Array
    sigma: float
    covariance: Array
    axes: Array | None
    lengths: Array
    to_sigma: Array
    to_c: Array
    stretch: Array
    rates: Rates | None = None

    @classmethod
    def round(cls, mean: Array, sigma: float, separable: bool, adapted: bool) -> Normal:
        """Equally wide in all directions."""
        n = len(mean)
        covariance, axes = (np.ones(n), None) if separable else (np.eye(n), np.eye(n))
        rates = Rates(np.zeros(n), np.zeros_like(covariance)) if adapted else None
        return cls(mean, sigma, covariance, axes, np.ones(n), np.zeros(n), np.zeros(n), np.ones(n), rates)

    @property
    def widths(self) -> Array:
        """The standard deviation of each coordinate `(n,)`, without the margin."""
        variances = self.covariance if self.axes is None else np.diag(self.covariance)
        return self.sigma * np.sqrt(variances)

    def coloured(self, z: Array) -> Array:
        """C^(1/2) z of white noise: (38), (39)."""
        return self.lengths * z if self.axes is None else self.axes @ (self.lengths * z)

    def whitened(self, y: Array) -> Array:
        """C^(-1/2) y of points `(..., n)`."""
        return y / self.lengths if self.axes is None else ((y @ self.axes) / self.lengths) @ self.axes.T

    def unstretched(self, points: Array) -> Array:
        """Points `(..., n)` as they would have been drawn without the margin."""
        return self.mean + (points - self.mean) / self.stretch

    def centred(self, x: Array, layout: Layout) -> Array:
        """Points `(size, n)` whose discrete coordinates lie in the middle of cells: see `Layout.centred`."""
        return self.unstretched(layout.centred(self.mean + self.stretch * (x - self.mean), self.mean))

    def learn(self, x: Array, late: Any, generation: int, k: Constants) -> None:
        """Points `(size, n)`, the best first; `late` `(size,)` are those that were drawn from an earlier one."""
        before = (self.mean, self.sigma, self.covariance, self.whitened(np.eye(len(self.mean))))
        y = (x - self.mean) / self.sigma
        lengths = np.linalg.norm(self.whitened(y), axis=1)
        n = len(self.mean)
        longest = math.sqrt(n) + 2 * n / (n + 2)  # Hansen 2011, equation (4) and table 1
        y[late] *= np.minimum(1.0, longest / (lengths[late] + _EPSILON))[:, None]
        step = k.weights[: k.mu] @ y[: k.mu]  # (41)
        self.mean = self.mean + self.sigma * step  # (42)
        c, gain = k.c_sigma, math.sqrt(k.c_sigma * (2 - k.c_sigma) * k.mass)
        self.to_sigma = (1 - c) * self.to_sigma + gain * self.whitened(step)  # (43)
        size = float(np.linalg.norm(self.to_sigma))
        self.sigma *= math.exp(min(1.0, c / k.d_sigma * (size / k.length - 1)))  # (44); the bound: Hansen 2011
        calm = size / math.sqrt(1 - (1 - c) ** (2 * (generation + 2))) < (1.4 + 2 / (n + 1)) * k.length
        self.to_c = (1 - k.c_c) * self.to_c + calm * math.sqrt(k.c_c * (2 - k.c_c) * k.mass) * step  # (45)
        weights = k.weights * np.where(k.weights >= 0, 1.0, n / (lengths**2 + _EPSILON))  # (46)
        kept = 1 + (not calm) * k.c_1 * k.c_c * (2 - k.c_c) - k.c_1 - k.c_mu * k.weights.sum()
        self.covariance = kept * self.covariance + k.c_1 * self._outer(self.to_c[None], np.ones(1))  # (47)
        self.covariance = self.covariance + k.c_mu * self._outer(y, weights)
        if self.rates is not None:
            self.rates.damp(self, *before)
        self._decompose()

    def _outer(self, y: Array, weights: Array) -> Array:
        """The weighted sum of y yᵀ, or of its diagonal, over the rows of `y`."""
        return weights @ y**2 if self.axes is None else (y.T * weights) @ y

    def _decompose(self) -> None:
        if self.axes is None:
            self.covariance = np.maximum(self.covariance, 1e-30)
            self.lengths = np.sqrt(self.covariance)
            return
        self.covariance = (self.covariance + self.covariance.T) / 2
        variances, self.axes = np.linalg.eigh(self.covariance)
        self.lengths = np.sqrt(np.maximum(variances, 1e-30))

    def keep_margin(self, layout: Layout, least: float) -> None:
        """Each discrete coordinate leaves the cell of the mean with probability `least` or more: Hamano et al. 2022."""
        widths = self.widths * self.stretch
        for index in layout.discrete:
            low, high = layout.borders(index, float(self.mean[index]))
            width, mean = max(float(widths[index]), 1e-300), float(self.mean[index])
            if low is None or high is None:
                border = high if low is None else low
                if border is not None:
                    self.mean[index] = _beside(border, mean, width, least)  # equation (15)
            else:
                self.mean[index], width = _between(low, high, mean, width, least)
                self.stretch[index] *= width / max(float(widths[index]), 1e-300)

    def is_spent(self, layout: Layout) -> bool:
        """Whether no further step can be seen: narrower than the grid, or stretched beyond the precision of numbers."""
        narrow = bool(layout.smooth.any() and (self.widths[layout.smooth] < _NARROW).all())
        return narrow or float(self.lengths.max() ** 2) > _CONDITION * float(self.lengths.min() ** 2)


def _beside(border: float, mean: float, width: float, least: float) -> float:
    """The mean of an outermost cell, no farther from its border than `least` beyond the border allows."""
    farthest = -width * NormalDist().inv_cdf(least)
    return border + math.copysign(min(abs(mean - border), farthest), mean - border)


def _between(low: float, high: float, mean: float, width: float, least: float) -> tuple[float, float]:
    """Mean and width of a coordinate in an inner cell, of which each side keeps half the margin: equations (18) to
    (25).
    """
    normal = NormalDist(mean, width)
    below, above = normal.cdf(low), 1 - normal.cdf(high)
    inside = 1 - below - above
    low_part, high_part = max(below, least / 2), max(above, least / 2)
    surplus = (1 - low_part - high_part - inside) / (low_part + high_part + inside - 1.5 * least)
    low_part += surplus * (low_part - least / 2)
    high_part += surplus * (high_part - least / 2)
    to_low, to_high = (-NormalDist().inv_cdf(min(max(part, 1e-10), 0.5 - 1e-10)) for part in (low_part, high_part))
    return (low * to_high + high * to_low) / (to_low + to_high), (high - low) / (to_low + to_high)


class Rates(msgspec.Struct):
    """Learning rates that keep the signal above the noise: Nomura et al., algorithm 1. Running means of the steps of
    the mean and of the covariance, in coordinates where the distribution is round, and of their squared lengths.
    """

    mean: Array
    covariance: Array
    mean_square: float = 0.0
    covariance_square: float = 0.0
    for_mean: float = 1.0
    for_covariance: float = 1.0

    def damp(self, normal: Normal, mean: Array, sigma: float, covariance: Array, white: Array) -> None:
        """Shorten the step that the distribution has made from `mean`, `sigma`² `covariance`; `white` is C^(-1/2)."""
        moved, wide = normal.mean - mean, sigma**2 * covariance
        grown, diagonal = normal.sigma**2 * normal.covariance - wide, normal.axes is None
        step = moved / np.sqrt(covariance) / sigma if diagonal else white @ moved / sigma
        spread = (grown / covariance if diagonal else white @ grown @ white) / (sigma**2 * math.sqrt(2))
        before = self.for_mean
        self.mean, self.mean_square, self.for_mean = _adapted(self.mean, self.mean_square, step, before, 0.1)
        self.covariance, self.covariance_square, self.for_covariance = _adapted(
            self.covariance, self.covariance_square, spread, self.for_covariance, 0.03
        )
        normal.mean = mean + self.for_mean * moved
        whole = wide + self.for_covariance * grown
        variances = whole if diagonal else np.linalg.eigvalsh(whole)
        normal.sigma = math.exp(float(np.log(np.maximum(variances, 1e-300)).mean()) / 2)
        normal.covariance = whole / normal.sigma**2
        normal.sigma *= before / self.for_mean


def _adapted(running: Array, square: float, step: Array, rate: float, beta: float) -> tuple[Array, float, float]:
    """The running mean of steps, that of their squares, and the rate at which signal to noise is 1.4 times it."""
    running = (1 - beta) * running + beta * step
    square = (1 - beta) * square + beta * float((step**2).sum())
    signal = float((running**2).sum())
    ratio = (signal - beta / (2 - beta) * square) / max(square - signal, 1e-300)
    change = min(max(ratio / (1.4 * rate) - 1, -1.0), 1.0)
    return running, square, min(1.0, rate * math.exp(min(0.1 * rate, beta) * change))
