"""Is a better than b, worse, or undecided: paired differences, valid however often one looks.

Student 1908, "The probable error of a mean".
K. K. G. Lan, D. L. DeMets: Discrete sequential boundaries for clinical trials. Biometrika 70, 1983: the chance of a
false verdict is spent little by little, so that all looks together do not exceed it.
C. Jennison, B. W. Turnbull: Group sequential methods. Chapman & Hall, 1999: repeated confidence intervals, chapter 9.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import stdtr, stdtrit

from tunewell.errors import StudyError

HORIZON = 20
"""So many pairs are looked at, one after another, where nobody says otherwise."""

_PATHS, _POWER, _SAFE = 200_000, 0.7, 0.97
"""Simulated paths for the boundary; the power of the spending function; a margin for the error of the simulation."""


class Comparison(msgspec.Struct, frozen=True):
    """`verdict` is "better", "worse" or "undecided" for a against b; `effect` the mean of a - b with its `interval`.

    `probability` is that of a lower mean for a, under a flat prior; `pairs` how many differences it rests on. `needed`
    is the number of further pairs after which the present effect would decide; None where the horizon ends before.
    """

    verdict: str
    effect: float
    interval: tuple[float, float]
    probability: float
    pairs: int
    needed: int | None = None

    def __str__(self) -> str:
        low, high = self.interval
        said = f"{self.verdict}: the difference is {self.effect:+.4g} [{low:+.4g}, {high:+.4g}] over {self.pairs} pairs"
        if self.verdict != "undecided":
            return said
        further = "more than the horizon holds" if self.needed is None else f"about {self.needed}"
        return f"{said}; further pairs needed: {further}"


Losses = ArrayLike | Mapping[int, float]


def compare(a: Losses, b: Losses, *, level: float = 0.95, looks: Sequence[int] | None = None) -> Comparison:
    """Compare the losses `a (n,)` and `b (n,)` of the same n seeds, in the order in which they came: smaller is better.

    Or mappings from seed to loss, such as `study.replicates(trial)`: the seeds that both have make the pairs.

    `looks` are the numbers of pairs at which somebody may look and stop, in order; left out, each from 3 to 20. Over
    all of them the chance of a verdict on equals is at most 1 - `level`. A verdict stands from the first look that
    reaches it; pairs beyond the last look decide nothing. `looks=[n]` is the usual paired t-test.
    Raises StudyError where the lengths differ, or a look rests on fewer than 2 pairs.
    """
    looks = tuple(range(3, HORIZON + 1) if looks is None else looks)
    x, y = _paired(a, b)
    if x.shape != y.shape or x.ndim != 1:
        raise StudyError(f"{x.size} losses against {y.size}", hint="A pair is one seed: give as many of each.")
    if not looks or looks[0] < 2 or any(later <= look for look, later in pairwise(looks)):
        raise StudyError(f"looks={looks!r} cannot be", hint="Numbers of pairs that grow, from 2 on.")
    differences = x - y
    bounds = _bounds(looks, round(1 - level, 12))
    decided = _first_decided(differences, looks, bounds)
    return _read(differences, decided, looks, bounds)


def _paired(a: Losses, b: Losses) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        shared = sorted(a.keys() & b.keys())
        a, b = [a[seed] for seed in shared], [b[seed] for seed in shared]
    if isinstance(a, Mapping) or isinstance(b, Mapping):
        raise StudyError("losses by seed against a plain list", hint="Give both as mappings, or both as lists.")
    return np.asarray(a, dtype=float), np.asarray(b, dtype=float)


def _first_decided(differences: NDArray[np.float64], looks: Sequence[int], bounds: Sequence[float]) -> int | None:
    """The first number of pairs at which the boundary is crossed."""
    for look, bound in zip(looks, bounds, strict=True):
        if look <= len(differences) and abs(_t(differences[:look])) > bound:
            return look
    return None


def _t(differences: NDArray[np.float64]) -> float:
    """Student's t of some differences: 0 where all are 0."""
    effect, spread = float(differences.mean()), float(differences.std(ddof=1))
    if spread <= 1e-12 * abs(effect):
        return float(np.sign(effect)) * np.inf if effect else 0.0
    return effect / spread * float(np.sqrt(len(differences)))


def _read(
    differences: NDArray[np.float64], decided: int | None, looks: Sequence[int], bounds: Sequence[float]
) -> Comparison:
    used = differences if decided is None else differences[:decided]
    verdict = "undecided" if decided is None else "better" if used.mean() < 0 else "worse"
    n = len(differences)
    effect = float(differences.mean()) if n else 0.0
    if n < 2:
        return Comparison(verdict, effect, (-np.inf, np.inf), 0.5, n, None)
    error = float(differences.std(ddof=1)) / float(np.sqrt(n))
    at = max((place for place, look in enumerate(looks) if look <= n), default=0)
    half = bounds[at] * error if looks[at] <= n else np.inf
    t = _t(differences)
    probability = float(stdtr(n - 1, -t)) if np.isfinite(t) else float(t < 0)
    needed = None if decided is not None else _needed(effect, error * float(np.sqrt(n)), n, looks, bounds)
    return Comparison(verdict, effect, (effect - half, effect + half), probability, n, needed)


def _needed(effect: float, spread: float, n: int, looks: Sequence[int], bounds: Sequence[float]) -> int | None:
    """After how many more pairs a t of the present effect and spread crosses the boundary."""
    for look, bound in zip(looks, bounds, strict=True):
        if look > n and abs(effect) * np.sqrt(look) > bound * spread:
            return look - n
    return None


@lru_cache(maxsize=32)
def _bounds(looks: tuple[int, ...], alpha: float) -> tuple[float, ...]:
    """The |t| that decides at each look. At the k-th of K looks alpha (k/K)^0.7 is spent (Lan & DeMets, eq. 3).

    The first one is exact; the path of t over the looks is free of location and scale where nothing differs, so that
    the others come from one simulation of normal differences, the same each time.
    """
    first = float(stdtrit(looks[0] - 1, 1 - _spent(1, len(looks), alpha) / 2))
    if len(looks) == 1:
        return (first,)
    paths = np.random.default_rng(0).normal(size=(_PATHS, looks[-1]))
    sums, squares = paths.cumsum(1), (paths**2).cumsum(1)
    alive, crossed, bounds = np.ones(_PATHS, bool), 0, [first]
    for k, n in enumerate(looks, 1):
        mean = sums[:, n - 1] / n
        t = np.abs(mean) * np.sqrt(n * (n - 1) / np.maximum(squares[:, n - 1] - n * mean**2, 1e-300))
        if k > 1:
            due = round(_SAFE * _spent(k, len(looks), alpha) * _PATHS) - crossed
            bounds.append(float(np.sort(t[alive])[-max(due, 1)]))
        beyond = alive & (t > bounds[-1])
        crossed, alive = crossed + int(beyond.sum()), alive & ~beyond
    return tuple(bounds)


def _spent(k: int, looks: int, alpha: float) -> float:
    return float(alpha * (k / looks) ** _POWER)
