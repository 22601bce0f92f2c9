"""Which part of a space the evidence leaves: what `Then` and `Zoom` narrow by.

The trials in and around a region are fitted by a sum of one quadratic for each number and one level for each option,
as in the response surface designs of Box and Wilson, on the normal scores of the losses, which outliers and failures
cannot bend. Draws from the posterior of this Bayesian fit say where the optimum of each entry may lie, also beyond the
edge of the region: the next region is where it lies with probability `level`. So a range shrinks as far as the evidence
goes, moves and widens outward where the best seems to lie there, and stays wide in an entry that does not matter, or
whose effect is no such sum.

G. E. P. Box, K. B. Wilson: On the experimental attainment of optimum conditions. J. Royal Stat. Society B 13, 1951.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any

import msgspec
import numpy as np

from tunewell.space import Config, Dimension, Space
from tunewell.space.entry import Entry
from tunewell.study import Event, Result, Study

Array = np.ndarray[Any, np.dtype[Any]]

Region = tuple[tuple[float, ...], ...]
"""For each coordinate of the unit cube, what is kept of it: (low, high), or for a Choice the numbers of the options."""

_DRAWS = 256
_FEWEST = 4
"""With fewer trials nothing is narrowed."""

_RIVALS = 5
"""So many of the best trials decide where to look."""

_CLOSE = 1e-9


def whole(space: Space) -> Region:
    """All of a space."""
    return tuple(_everything(dimension) for dimension in space.dimensions)


def _everything(dimension: Dimension) -> tuple[float, ...]:
    return tuple(range(dimension.size or 0)) if dimension.kind == "choice" else (0.0, 1.0)


@dataclass(frozen=True)
class Narrowing:
    """How to narrow: to where the optimum of an entry lies with probability `level`, and a number to no less than the
    share `floor` of its range in the whole space.
    """

    level: float = 0.9
    floor: float = 0.1

    def narrowed(self, space: Space, region: Region, units: Array, losses: Array) -> Region:
        """The successor of `region`, given all trials: points `(n, d)` of the unit cube of `space`, losses `(n,)`.

        A loss that is not finite is a trial that failed. Too few trials leave the region as it is.
        """
        centre = _centre(space, region, units, losses)
        if centre is None:
            return region
        region = _moved(space, region, centre)
        near = _within(space, _around(space, region), units)
        if near.sum() < _FEWEST:
            return region
        optima = _optima(space, region, units[near], losses[near])
        return tuple(
            self._options(dimension.size or 0, draws, unit) if dimension.kind == "choice" else self._range(draws, unit)
            for dimension, draws, unit in zip(space.dimensions, optima.T, centre)
        )

    def is_narrowest(self, space: Space, region: Region) -> bool:
        """Whether nothing is left to narrow."""
        return all(
            len(kept) == 1 if dimension.kind == "choice" else kept[1] - kept[0] <= self.floor + _CLOSE
            for dimension, kept in zip(space.dimensions, region)
        )

    def _options(self, size: int, optima: Array, centre: float) -> tuple[float, ...]:
        """The options without those that are hardly ever the best."""
        kept = np.bincount(optima.astype(int), minlength=size) >= len(optima) * (1 - self.level) / size
        if not np.isnan(centre):
            kept[int(centre * size)] = True
        return tuple(np.flatnonzero(kept).tolist())

    def _range(self, optima: Array, centre: float) -> tuple[float, ...]:
        """The range in which the optimum lies, and the centre with it, not narrower than the floor."""
        tail = (1 - self.level) / 2
        low, high = np.quantile(optima, (tail, 1 - tail))
        return _at_least(float(np.fmin(low, centre)), float(np.fmax(high, centre)), self.floor)


def _at_least(low: float, high: float, width: float) -> tuple[float, float]:
    """The range, made so wide at least, within 0 and 1."""
    if high - low >= width:
        return low, high
    low = min(max((low + high - width) / 2, 0.0), 1.0 - width)
    return low, low + width


# --- where to look ---------------------------------------------------------------------------------------------------


def _centre(space: Space, region: Region, units: Array, losses: Array) -> Array | None:
    """The point `(d,)` of the trial to look around; None where all failed.

    It is the best trial, as long as little has been tried about it. Then it is that one of the best which has most of
    them about it, so that a single lucky result does not hold the search for ever.
    """
    order = losses.argsort(kind="stable")[:_RIVALS]
    best = units[order[np.isfinite(losses[order])]]
    if not len(best):
        return None
    if _within(space, _box(space, region, best[0]), units).sum() < _FEWEST + len(space.paths):
        found: Array = best[0]
        return found
    weights = 1 / np.arange(1, len(best) + 1)
    support = [weights @ _within(space, _box(space, region, point), best) for point in best]
    found = best[int(np.argmax(support))]
    return found


def _box(space: Space, region: Region, point: Array) -> Region:
    """As much room as the region has, about a point, with all options."""
    return tuple(
        _everything(dimension) if dimension.kind == "choice" or np.isnan(unit) else _about(kept, unit)
        for dimension, kept, unit in zip(space.dimensions, region, point)
    )


def _about(kept: tuple[float, ...], unit: float) -> tuple[float, float]:
    return _at_least(float(unit), float(unit), kept[1] - kept[0])


def _moved(space: Space, region: Region, point: Array) -> Region:
    """The region, or as much room about a point that lies outside."""
    return region if _within(space, region, point[None])[0] else _box(space, region, point)


def _around(space: Space, region: Region) -> Region:
    """The region with half its width more on each side, and all options."""
    return tuple(
        _everything(dimension) if dimension.kind == "choice" else _reach(kept)
        for dimension, kept in zip(space.dimensions, region)
    )


def _reach(kept: tuple[float, ...]) -> tuple[float, float]:
    room = (kept[1] - kept[0]) / 2
    return max(kept[0] - room, 0.0), min(kept[1] + room, 1.0)


def _within(space: Space, region: Region, units: Array) -> Array:
    """Which points lie in a region, `(n,)`; an inactive entry lies anywhere."""
    found = np.ones(len(units), dtype=bool)
    for dimension, kept, column in zip(space.dimensions, region, units.T):
        if dimension.kind == "choice":
            inside = np.isin(np.floor(column * (dimension.size or 0)), kept)
        else:
            inside = (column >= kept[0] - _CLOSE) & (column <= kept[1] + _CLOSE)
        found &= inside | np.isnan(column)
    return found


# --- the fit ---------------------------------------------------------------------------------------------------------


def _optima(space: Space, region: Region, units: Array, losses: Array) -> Array:
    """Where the optimum of each entry may lie: draws `(256, d)`, a coordinate for a number, the number of an option."""
    blocks = [_features(dimension, kept, column) for dimension, kept, column in zip(space.dimensions, region, units.T)]
    draws = _posterior(np.hstack([np.ones((len(units), 1)), *blocks]), _scores(losses))
    ends = np.cumsum([1, *(block.shape[1] for block in blocks)])
    found = [
        draws[:, start:end].argmin(axis=1) if dimension.kind == "choice" else _lowest(kept, draws[:, start:end])
        for dimension, kept, start, end in zip(space.dimensions, region, ends, ends[1:])
    ]
    return np.array(found, dtype=float).reshape(-1, _DRAWS).T


def _scores(losses: Array) -> Array:
    """The normal scores of losses, `(n,)`: ranks as quantiles of the normal distribution. Equal losses share the mean
    of their ranks, and so do failures, the last.
    """
    _, place, counts = np.unique(np.where(np.isfinite(losses), losses, np.inf), return_inverse=True, return_counts=True)
    middles = np.cumsum(counts) - counts / 2
    normal = NormalDist()
    return np.array([normal.inv_cdf(middle / len(losses)) for middle in middles])[place]


def _features(dimension: Dimension, kept: tuple[float, ...], column: Array) -> Array:
    """What the loss is a sum of: an indicator of each option, or a number and its square; 0 where it is inactive."""
    if dimension.kind == "choice":
        chosen: Array = np.floor(column * (dimension.size or 0))[:, None] == np.arange(dimension.size or 0)
        return chosen.astype(float)
    centre, half = _middle(kept)
    scaled = np.nan_to_num((column - centre) / half)
    return np.stack([scaled, scaled**2], axis=1)


def _middle(kept: tuple[float, ...]) -> tuple[float, float]:
    """The centre of a range, and half its width."""
    return (kept[0] + kept[1]) / 2, max((kept[1] - kept[0]) / 2, _CLOSE)


def _posterior(features: Array, scores: Array) -> Array:
    """Draws `(256, p)` of the coefficients of a linear fit of scores `(n,)` by features `(n, p)`.

    The prior of a coefficient is the standard normal distribution, as wide as the scores are; that of the constant, the
    first, is wide. The variance of the noise is iterated: the residual sum of squares by the degrees of freedom left.
    """
    precision = np.eye(features.shape[1])
    precision[0, 0] = 1e-3
    square, noise = features.T @ features, 0.5
    for _ in range(5):
        covariance = np.linalg.inv(square / noise + precision)
        mean = covariance @ (features.T @ scores) / noise
        used = float(np.trace(covariance @ square)) / noise
        noise = max(float(np.sum((scores - features @ mean) ** 2)) / max(len(scores) - used, 1.0), 0.02)
    root = np.linalg.cholesky(covariance)
    draws: Array = mean + np.random.default_rng(0).standard_normal((_DRAWS, len(mean))) @ root.T
    return draws


def _lowest(kept: tuple[float, ...], coefficients: Array) -> Array:
    """Where quadratics `(256, 2)` are lowest, up to half a width beyond the range: coordinates `(256,)`."""
    centre, half = _middle(kept)
    low, high = ((end - centre) / half for end in _reach(kept))
    slope, bend = coefficients.T
    ends = np.where(slope * low + bend * low**2 < slope * high + bend * high**2, low, high)
    inner = np.clip(-slope / (2 * np.where(bend > 0, bend, 1.0)), low, high)
    found: Array = centre + half * np.where(bend > 0, inner, ends)
    return found


# --- trials as they come in ------------------------------------------------------------------------------------------


class Evidence(msgspec.Struct):
    """Fold state: the configs that ended and their losses. What was cancelled or lost says nothing of its config."""

    space: Space
    configs: list[Config] = []
    losses: list[float] = []

    def narrowed(self, narrowing: Narrowing, region: Region) -> Region:
        """The successor of `region` by these trials."""
        if not region:
            return region  # a space of constants
        return narrowing.narrowed(self.space, region, self.space.encode_many(self.configs), np.array(self.losses))


def add_evidence(seen: Evidence, event: Event, study: Study) -> Evidence:
    """Fold: one event more. Keyed by what it depends on: the space and the goals of the study."""
    if isinstance(event, Result) and event.tells:
        seen.configs.append(study.jobs[event.job].config)
        seen.losses.append(study.loss(event.job))
    return seen


# --- as a space ------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def cut(space: Space, region: Region) -> Space:
    """The part of a space that a region leaves."""
    entries = space.leaves
    ranges = {
        dimension.path: _values(entries[dimension.path], dimension, kept)
        for dimension, kept in zip(space.dimensions, region)
        if kept != _everything(dimension)
    }
    return space.narrow(ranges) if ranges else space


def _values(entry: Entry, dimension: Dimension, kept: tuple[float, ...]) -> list[Any]:
    """What `Space.narrow` wants for one entry."""
    size = dimension.size or 0
    if dimension.kind == "choice":
        return [entry.axis.at((number + 0.5) / size) for number in kept]
    if dimension.kind == "ordinal":
        first, last = int(kept[0] * size), min(int(kept[1] * size), size - 1)
        return [entry.axis.at((number + 0.5) / size) for number in range(first, last + 1)]
    return [entry.axis.at(kept[0]), entry.axis.at(kept[1])]
