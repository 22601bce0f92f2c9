"""Which part of a space the evidence leaves: what `Then` and `Zoom` narrow by.

A `Region` holds, for each coordinate of the unit cube, what is kept of it: (low, high), or for a Choice the numbers of
the options. The best share of the trials in a region says where its successor lies. An entry is narrowed only where
these are closer together than as many trials drawn by chance would be (a permutation test), so that an entry which does
not matter keeps its range; and every new range leaves room beyond the outermost good trial, so that it can move
outward.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from tunewell.space import Choice, Dimension, Space
from tunewell.space.entry import Entry

Array = np.ndarray[Any, np.dtype[Any]]
Region = tuple[tuple[float, ...], ...]

_PERMUTATIONS = 200
_CLOSE = 1e-9


def whole(space: Space) -> Region:
    """All of a space."""
    return tuple(_everything(dimension) for dimension in space.dimensions)


def _everything(dimension: Dimension) -> tuple[float, ...]:
    return tuple(range(dimension.size or 0)) if dimension.kind == "choice" else (0.0, 1.0)


@dataclass(frozen=True)
class Narrowing:
    """How to narrow.

    `top`: the share of the trials that count as good. `floor`: the least width of a range, as a share of the original
    one. `chance`: how probable it may be at most that luck alone put the good trials so close together.
    """

    top: float = 0.25
    floor: float = 0.1
    chance: float = 0.2
    shrink: float = 0.5
    level: float = 0.9
    prior: float = 1.0

    def narrowed(self, space: Space, region: Region, units: Array, losses: Array, size: int) -> Region:
        """The successor of `region`, given all trials: points `(n, d)` of the unit cube of `space`, losses `(n,)`.

        The good ones are so many as the share `top` of `size`. A loss that is not finite is a trial that failed. Without
        three trials that did not, nothing is narrowed.
        """
        if np.isfinite(losses).sum() < 3:
            return region
        if self.top > 0.5:
            return model(self, space, region, units, losses)
        good = np.argsort(losses, kind="stable")[: max(3, math.ceil(self.top * size))]
        good = good[np.isfinite(losses[good])]
        within = _within(space, region, units)
        within[good] = True
        return tuple(
            self._options(dimension.size or 0, kept, column[within], column[good])
            if dimension.kind == "choice"
            else self._range(kept, column, column[within], column[good])
            for dimension, kept, column in zip(space.dimensions, region, units.T)
        )

    def _options(self, size: int, kept: tuple[float, ...], tried: Array, good: Array) -> tuple[float, ...]:
        """Drop the options that were tried often enough to have been among the good ones, and never were."""
        tried, good = _numbers(tried, size), _numbers(good, size)
        if not len(good):
            return kept
        missed = 1 - len(good) / len(tried)
        return tuple(n for n in kept if n in good or missed ** np.sum(tried == n) > self.chance)

    def _range(self, kept: tuple[float, ...], everywhere: Array, tried: Array, good: Array) -> tuple[float, ...]:
        """The range of the good trials and a margin; the range as it is where they may be so close by luck."""
        tried, active = tried[~np.isnan(tried)], good[~np.isnan(good)]
        if len(active) < 3:
            return kept
        best = good[0]
        low, high = np.quantile(active, (0.05, 0.95))
        if _chance(tried, len(active), high - low) > self.chance:
            return _widened(kept, best)
        low, high = np.fmin(low, best), np.fmax(high, best)
        least = (high - low) / (len(active) - 1)
        below, above = everywhere[everywhere < low - _CLOSE], everywhere[everywhere > high + _CLOSE]
        low -= max(least, (low - max(below, default=-low)) / 2)
        high += max(least, (min(above, default=2 - high) - high) / 2)
        least = max(self.floor, self.shrink * (kept[1] - kept[0]))
        return _at_least(max(low, 0.0), min(high, 1.0), least)


def _at_least(low: float, high: float, width: float) -> tuple[float, float]:
    """The range, made so wide at least."""
    if high - low >= width:
        return float(low), float(high)
    low = min(max((low + high - width) / 2, 0.0), 1.0 - width)
    return float(low), float(low + width)


def widened(space: Space, region: Region, best: Array) -> Region:
    """Each range twice as wide, about the best point `(d,)` where it is active; all options."""
    return tuple(
        _everything(dimension) if dimension.kind == "choice" else _doubled(kept, unit)
        for dimension, kept, unit in zip(space.dimensions, region, best)
    )


def _doubled(kept: tuple[float, ...], best: float) -> tuple[float, float]:
    width = kept[1] - kept[0]
    centre = (kept[0] + kept[1]) / 2 if np.isnan(best) else best
    return _at_least(max(centre - width, 0.0), min(centre + width, 1.0), min(2 * width, 1.0))


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


def _numbers(column: Array, size: int) -> Array:
    """The numbers of the options at coordinates, where the entry is active."""
    numbers: Array = np.floor(column[~np.isnan(column)] * size)
    return numbers


def _chance(tried: Array, count: int, width: float) -> float:
    """The probability that `count` of the values `tried`, drawn at random, lie within no more than `width`."""
    shuffles = np.random.default_rng(0).random((_PERMUTATIONS, len(tried))).argsort(axis=1)[:, :count]
    low, high = np.quantile(tried[shuffles], (0.05, 0.95), axis=1)
    return float(1 + np.sum(high - low <= width + _CLOSE)) / (_PERMUTATIONS + 1)


def _widened(kept: tuple[float, ...], best: float) -> tuple[float, ...]:
    """A range that is kept, moved outward by half its width where the best trial lies on its edge."""
    low, high = kept
    room = (high - low) / 2
    return (
        max(low - room, 0.0) if best <= low + _CLOSE else low,
        min(high + room, 1.0) if best >= high - _CLOSE else high,
    )


@lru_cache(maxsize=64)
def cut(space: Space, region: Region) -> Space:
    """The part of a space that a region leaves."""
    entries = dict(_entries(space.entries))
    ranges = {
        dimension.path: _values(entries[dimension.path], dimension, kept)
        for dimension, kept in zip(space.dimensions, region)
        if kept != _everything(dimension)
    }
    return space.narrow(ranges) if ranges else space


def _entries(entries: Mapping[str, Entry], prefix: str = "") -> Iterator[tuple[str, Entry]]:
    """Each entry with its path."""
    for name, entry in entries.items():
        yield prefix + name, entry
        for option, branch in entry.branches.items() if isinstance(entry, Choice) else ():
            yield from _entries(branch, f"{prefix}{name}={option}/")


def _values(entry: Entry, dimension: Dimension, kept: tuple[float, ...]) -> list[Any]:
    """What `Space.narrow` wants for one entry."""
    size = dimension.size or 0
    if dimension.kind == "choice":
        return [entry.axis.at((number + 0.5) / size) for number in kept]
    if dimension.kind == "ordinal":
        first, last = int(kept[0] * size), min(int(kept[1] * size), size - 1)
        return [entry.axis.at((number + 0.5) / size) for number in range(first, last + 1)]
    return [entry.axis.at(kept[0]), entry.axis.at(kept[1])]


def model(self, space, region, units, losses, draws=256):
    from statistics import NormalDist
    near = _within(space, tuple(_everything(x) if x.kind == "choice" else _doubled2(k) for x, k in zip(space.dimensions, region)), units)
    best = int(np.argmin(losses)); near[best] = True
    U = units[near]; L = losses[near]; n = len(L)
    if n < 4: return region
    order = np.argsort(np.argsort(L, kind="stable"), kind="stable").astype(float)
    bad = ~np.isfinite(L)
    if bad.any(): order[bad] = order[bad].mean()
    y = np.array([NormalDist().inv_cdf((o + 0.5) / n) for o in order])
    cols = [np.ones(n)]; spans = []
    for x, k, u in zip(space.dimensions, region, U.T):
        act = ~np.isnan(u)
        if x.kind == "choice":
            idx = np.where(act, np.floor(np.nan_to_num(u) * x.size), -1)
            spans.append((len(cols), len(cols) + x.size)); cols += [(idx == o).astype(float) for o in range(x.size)]
        else:
            c, h = (k[0] + k[1]) / 2, max((k[1] - k[0]) / 2, 1e-9)
            z = np.where(act, (np.nan_to_num(u) - c) / h, 0.0)
            spans.append((len(cols), len(cols) + 2)); cols += [z, np.where(act, z * z, 0.0)]
    X = np.array(cols).T
    prior = np.full(X.shape[1], self.prior); prior[0] = 1e-3
    s2 = 0.5
    for _ in range(5):
        A = X.T @ X / s2 + np.diag(prior)
        mu = np.linalg.solve(A, X.T @ y / s2)
        df = np.trace(np.linalg.solve(A, X.T @ X / s2))
        s2 = max(float(np.sum((y - X @ mu) ** 2)) / max(n - df, 1.0), 0.02)
    A = X.T @ X / s2 + np.diag(prior)
    chol = np.linalg.cholesky(np.linalg.inv(A))
    B = mu + np.random.default_rng(0).standard_normal((draws, len(mu))) @ chol.T
    out = []
    tail = (1 - self.level) / 2
    for x, k, (i, j), b in zip(space.dimensions, region, spans, units[best]):
        if x.kind == "choice":
            kept = np.array(list(range(x.size)))
            wins = np.bincount(np.argmin(B[:, i:j], axis=1), minlength=x.size) / draws
            rank = np.argsort(-wins); cum = np.cumsum(wins[rank])
            keep = set(rank[: int(np.searchsorted(cum, self.level)) + 1].tolist())
            if not np.isnan(b): keep.add(int(b * x.size))
            out.append(tuple(sorted(keep))); continue
        c, h = (k[0] + k[1]) / 2, max((k[1] - k[0]) / 2, 1e-9)
        lo, hi = (max(0.0, k[0] - h) - c) / h, (min(1.0, k[1] + h) - c) / h
        a, q = B[:, i], B[:, i + 1]
        inner = np.clip(np.where(q > 1e-9, -a / (2 * np.where(q > 1e-9, q, 1.0)), 0.0), lo, hi)
        ends = np.where(a * lo + q * lo * lo < a * hi + q * hi * hi, lo, hi)
        arg = np.where(q > 1e-9, inner, ends)
        low, high = c + h * np.quantile(arg, (tail, 1 - tail))
        if not np.isnan(b): low, high = min(low, b), max(high, b)
        out.append(_at_least(max(low, 0.0), min(high, 1.0), max(self.floor, self.shrink * (k[1] - k[0]))))
    return tuple(out)


def _doubled2(k):
    h = (k[1] - k[0]) / 2
    return (max(0.0, k[0] - h), min(1.0, k[1] + h))
