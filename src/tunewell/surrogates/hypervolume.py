"""Several goals at once: how much of their space the results cover, and how much more a normal guess would.

All goals are to be small, and a point covers all that is no better than it in any goal, up to a reference point.

K. Yang, M. Emmerich, A. Deutz, T. Bäck: Efficient computation of expected hypervolume improvement using box
decomposition algorithms. Journal of Global Optimization 75, 2019. arXiv:1904.12672.
R. Lacour, K. Klamroth, C. M. Fonseca: A box decomposition algorithm to compute the hypervolume indicator. Computers &
Operations Research 79, 2017. arXiv:1510.01963.
S. Ament, S. Daulton, D. Eriksson, M. Balandat, E. Bakshy: Unexpected improvements to expected improvement for Bayesian
optimization. NeurIPS 2023. arXiv:2310.20708 (why logarithms).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import log_ndtr, logsumexp

from tunewell.surrogates.acquisition import log_h
from tunewell.surrogates.kernels import Array
from tunewell.surrogates.pareto import Flags, Places, non_dominated

_NARROW = 1e-3
"""Over so small a change of its argument, the logarithm of Φ counts as a line."""


def hypervolume(points: Array, reference: Array) -> float:
    """The volume that the points (n, k) cover, up to the reference point (k,). Exact but for rounding.

    A sum of volumes of disjoint boxes: n for two goals, about 6 n for three, and 40 n for four, where n is 100.
    """
    boxes, total = Boxes.below(reference), 0.0
    for point in _in_order(points):
        total += float(boxes.gains(point[None])[0])
        boxes = boxes.without(point)
    return total


def _in_order(points: Array) -> Array:
    """The points that count, balanced ones first, for then the boxes stay few."""
    front = points[non_dominated(points)]
    ranks = front.argsort(0).argsort(0)
    return front[np.argsort(ranks.max(1, initial=0), kind="stable")]


@dataclass(frozen=True)
class Boxes:
    """Disjoint boxes that together are all that no point covers below a reference point: corners `low` and `high` (b,
    k). `low` is -inf where nothing ends the box.
    """

    low: Array
    high: Array

    @classmethod
    def below(cls, reference: Array) -> Boxes:
        """All that lies below the reference point (k,)."""
        high = np.array(reference, dtype=float)[None]
        return cls(np.full_like(high, -np.inf), high)

    @classmethod
    def of(cls, points: Array, reference: Array) -> Boxes:
        """All that the points (n, k) leave uncovered below the reference point (k,)."""
        boxes = cls.below(reference)
        for point in _in_order(points):
            boxes = boxes.without(point)
        return boxes

    def without(self, point: Array) -> Boxes:
        """The boxes without what a point (k,) covers: each that it cuts is split into at most k.

        A piece is below the point in one goal, and not below it in the goals before.
        """
        cut = (self.high > point).all(1)
        lows, highs = [self.low[~cut]], [self.high[~cut]]
        low, high = self.low[cut], self.high[cut]
        for goal, value in enumerate(point):
            sticks_out = low[:, goal] < value
            lows.append(low[sticks_out])
            highs.append(high[sticks_out])
            highs[-1][:, goal] = value
            low[:, goal] = np.maximum(low[:, goal], value)
        return Boxes(np.vstack(lows), np.vstack(highs))

    def gains(self, points: Array) -> Array:
        """How much more each of the points (m, k) would cover, alone: (m,)."""
        sides = np.maximum(self.high - np.maximum(self.low, points[:, None]), 0.0)
        found: Array = sides.prod(2).sum(1)
        return found

    @cached_property
    def sides(self) -> Sequence[tuple[Array, Places]]:
        """For each goal the different intervals (q, 2) that the boxes span, and the place there of each box (b,)."""
        spans = [np.stack(pair, axis=1) for pair in zip(self.low.T, self.high.T, strict=True)]
        found = [np.unique(span, axis=0, return_inverse=True) for span in spans]
        return [(intervals, places.reshape(-1)) for intervals, places in found]


def log_expected_gain(boxes: Boxes, mean: Array, deviation: Array) -> Array:
    """The log expected hypervolume improvement (m,) of points whose goals are normal and independent, with means and
    standard deviations (m, k).

    A product of expectations over each box (Yang et al., section 4), which are summed as logarithms.
    """
    total = np.zeros((len(mean), len(boxes.low)))
    for goal, (intervals, places) in enumerate(boxes.sides):
        logs = log_expected_length(intervals, mean[:, goal, None], deviation[:, goal, None])
        total += logs[:, places]
    top = total.max(1)
    found: Array = top + np.log(np.exp(total - top[:, None]).sum(1))
    return found


def with_slopes(boxes: Boxes, mean: Array, deviation: Array) -> tuple[float, Array, Array]:
    """`log_expected_gain` of one point with means and standard deviations (k,), and its derivatives with respect to
    these, (k,) each.
    """
    sides = boxes.sides
    logs = [log_expected_length(sides[goal][0], mean[goal], deviation[goal]) for goal in range(len(mean))]
    each = sum((log[places] for log, (_, places) in zip(logs, sides, strict=True)), np.zeros(len(boxes.low)))
    total = float(logsumexp(each))
    shares = np.exp(each - total)
    by_mean, by_deviation = np.empty(len(mean)), np.empty(len(mean))
    for goal, (intervals, places) in enumerate(sides):
        weights = np.bincount(places, shares, minlength=len(intervals))
        towards, wider = _slopes(intervals, mean[goal], deviation[goal], logs[goal])
        by_mean[goal], by_deviation[goal] = weights @ towards, weights @ wider
    return total, by_mean, by_deviation


# --- one goal --------------------------------------------------------------------------------------------------------


def log_expected_length(intervals: Array, mean: Array, deviation: Array) -> Array:
    """The log of the expected part of intervals [low, high] (q, 2) that is no better than f, normal:
    log E[(high - max(low, f))+]. Means and deviations broadcast against (q,).

    With h(z) = φ(z) + z Φ(z), that is σ h((high - μ) / σ) - σ h((low - μ) / σ), which is the integral of Φ from low to
    high: of a narrow interval, its width times Φ at its middle.
    """
    below, above, middle, narrow = _standardized(intervals, mean, deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        wide = _log_difference(log_h(above), log_h(below)) + np.log(deviation)
        thin = np.log(intervals[:, 1] - intervals[:, 0]) + log_ndtr(middle)
    return np.where(narrow, thin, wide)


def _slopes(intervals: Array, mean: Array, deviation: Array, logs: Array) -> tuple[Array, Array]:
    """The derivatives of `log_expected_length`, whose values are `logs` (q,), with respect to mean and deviation."""
    below, above, middle, narrow = _standardized(intervals, mean, deviation)
    size = logs - np.log(deviation)
    with np.errstate(divide="ignore", invalid="ignore"):
        mills = np.exp(_log_density(middle) - log_ndtr(middle))
        turned = middle > 0.0  # where both probabilities are near 1, their complements tell them apart
        first, second = np.where(turned, -below, above), np.where(turned, -above, below)
        rise = np.exp(_log_difference(log_ndtr(first), log_ndtr(second)) - size)
        nearer = np.minimum(np.abs(above), np.abs(below))
        apart = -np.expm1(-np.abs(above - below) * np.abs(middle))  # of the densities, as a share of the larger one
        bend = -np.sign(middle) * np.exp(_log_density(nearer) - size) * apart
    towards, wider = np.where(narrow, mills, rise), np.where(narrow, middle * mills, -bend)
    return -towards / deviation, -wider / deviation


def _standardized(intervals: Array, mean: Array, deviation: Array) -> tuple[Array, Array, Array, Flags]:
    """Both ends and the middle of intervals in standard deviations from the mean, and which of them are narrow."""
    below, above = (intervals[:, 0] - mean) / deviation, (intervals[:, 1] - mean) / deviation
    middle = 0.5 * (below + above)
    narrow: Flags = (above - below) * np.maximum(np.abs(middle), 1.0) < _NARROW
    return below, above, middle, narrow


def _log_density(z: Array) -> Array:
    found: Array = -0.5 * z * z - 0.5 * np.log(2.0 * np.pi)
    return found


def _log_difference(larger: Array, smaller: Array) -> Array:
    """The log of the difference of two numbers, given by their logs."""
    found: Array = larger + np.log(-np.expm1(smaller - larger))
    return found
