"""Which rows train and which validate: holdout, cross-validation, by group, forward in time. Row numbers only.

Reshuffling: T. Nagler, L. Schneider, B. Bischl, M. Feurer: Reshuffling resampling splits can improve generalization of
hyperparameter optimization. NeurIPS 2024, arXiv:2405.15393.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunewell.errors import StudyError

Array = NDArray[Any]
Numbers = NDArray[np.intp]
Pair = tuple[Numbers, Numbers]
"""Row numbers `(n - k,)` to train on and `(k,)` to hold out, each ascending."""

RESHUFFLE = ("never", "replicate", "config")

_CLASSES = 20
"""A target of numbers with more distinct values than that is stratified by its tenths."""


class Plan(msgspec.Struct, frozen=True):
    """How the rows that are not sealed are divided into training and validation rows; the settings of a `Split`."""

    validation: float
    folds: int | None
    stratify: bool
    reshuffle: str
    seed: int

    def pair(self, y: Array, groups: Array | None, times: Array | None, replicate: int, config: Any = None) -> Pair:
        """The rows of a replicate: fold `replicate` of cross-validation (the next round after the last fold), or the
        holdout of this replicate. `groups (n,)` and `times (n,)` as in `Split`, for the same n rows as `y`.
        """
        if times is not None:
            if self.folds is None:
                return latest(times, self.validation)
            return forward(times, self.folds, replicate % self.folds)
        if self.folds is None:
            return share_of(y, groups, self.validation, self._rng(replicate, config), self.stratify)
        turn, fold = divmod(replicate, self.folds)
        numbers = folds_of(y, groups, self.folds, self._rng(turn, config), self.stratify)
        return np.flatnonzero(numbers != fold), np.flatnonzero(numbers == fold)

    def _rng(self, replicate: int, config: Any) -> np.random.Generator:
        """With "config", the first replicate of each config has rows of its own, all others those of all configs."""
        words = [self.seed, 0 if self.reshuffle == "never" and self.folds is None else replicate, 1]
        if self.reshuffle == "config" and replicate == 0:
            words.append(int.from_bytes(hashlib.sha256(_text(config)).digest()[:8], "little"))
        return np.random.default_rng(words)


def _text(config: Mapping[str, Any] | None) -> bytes:
    return json.dumps(config, sort_keys=True).encode()


# --- by chance -------------------------------------------------------------------------------------------------------


def share_of(y: Array, groups: Array | None, share: float, rng: np.random.Generator, stratify: bool = False) -> Pair:
    """Hold out about a `share` of the rows at random: of each class with `stratify`, whole groups with `groups`.

    At least one row is on either side. Raises StudyError where that cannot be.
    """
    strata = strata_of(y) if stratify else np.zeros(len(y), dtype=np.intp)
    if groups is not None:
        return _divided(_dealt(strata, groups, [1 - share, share], rng) == 1)
    held = np.zeros(len(y), dtype=bool)
    for stratum in range(strata.max(initial=0) + 1):
        order = rng.permutation(np.flatnonzero(strata == stratum))
        held[order[: min(max(1, round(share * len(order))), len(order) - 1)]] = True
    return _divided(held)


def folds_of(y: Array, groups: Array | None, folds: int, rng: np.random.Generator, stratify: bool = False) -> Numbers:
    """The fold `(n,)` of each row, 0 to `folds - 1`, at random and as even as can be; by class and group as above."""
    strata = strata_of(y) if stratify else np.zeros(len(y), dtype=np.intp)
    if groups is not None:
        return _dealt(strata, groups, [1 / folds] * folds, rng)
    if len(y) < folds:
        raise StudyError(f"{len(y)} rows cannot make {folds} folds", hint="Ask for fewer folds.")
    order = rng.permutation(len(y))
    order = order[np.argsort(strata[order], kind="stable")]
    numbers = np.empty(len(y), dtype=np.intp)
    numbers[order] = np.arange(len(y)) % folds
    return numbers


def strata_of(y: Array) -> Numbers:
    """The class `(n,)` of each row, counted from 0; of numbers with many values, the tenth that it lies in.

    Raises StudyError for targets that are no classes.
    """
    if y.ndim != 1:
        raise StudyError(f"targets of shape {y.shape} have no classes", hint="Leave out stratify=True.")
    values, classes = np.unique(y, return_inverse=True)
    if len(values) > _CLASSES and np.issubdtype(y.dtype, np.floating):
        edges = np.quantile(y, np.linspace(0, 1, 11)[1:-1])
        return np.unique(np.searchsorted(edges, y, side="right"), return_inverse=True)[1].astype(np.intp)
    return classes.astype(np.intp)


def _dealt(strata: Numbers, groups: Array, shares: Sequence[float], rng: np.random.Generator) -> Numbers:
    """The part `(n,)` of each row. Groups come in random order, each to the part that lacks most of its classes."""
    names, of_group = np.unique(groups, return_inverse=True)
    parts = len(shares)
    if len(names) < parts:
        raise StudyError(f"{len(names)} groups cannot fill {parts} parts", hint="Ask for fewer folds.")
    counts = np.zeros((len(names), strata.max() + 1))
    np.add.at(counts, (of_group, strata), 1.0)
    wanted = np.outer(shares, counts.sum(0))
    filled, part = np.zeros_like(wanted), np.empty(len(names), dtype=np.intp)
    for left, group in zip(range(len(names), 0, -1), rng.permutation(len(names)), strict=True):
        lack = ((wanted - filled) / wanted.sum(1, keepdims=True)) @ counts[group]
        empty = filled.sum(1) == 0
        if empty.sum() >= left:  # the last groups go where there is none yet
            lack[~empty] = -np.inf
        part[group] = lack.argmax()
        filled[part[group]] += counts[group]
    return part[of_group]


def _divided(held: Array) -> Pair:
    if held.all() or not held.any():
        raise StudyError(f"{len(held)} rows cannot be divided so", hint="Give more rows, or leave out stratify=True.")
    return np.flatnonzero(~held), np.flatnonzero(held)


# --- in time ---------------------------------------------------------------------------------------------------------


def latest(times: Array, share: float) -> Pair:
    """Hold out about a `share` of the rows: the latest ones. Rows of one time stay together."""
    block = _blocks(times, [1 - share, share])
    return np.flatnonzero(block == 0), np.flatnonzero(block == 1)


def forward(times: Array, folds: int, fold: int) -> Pair:
    """Forward chaining: of `folds + 1` blocks in time, train on the first `fold + 1` and validate on the next."""
    block = _blocks(times, [1 / (folds + 1)] * (folds + 1))
    return np.flatnonzero(block <= fold), np.flatnonzero(block == fold + 1)


def _blocks(times: Array, shares: Sequence[float]) -> Numbers:
    """The block `(n,)` of each row: consecutive in time, of about these shares of the rows, none empty."""
    values, at, counts = np.unique(times, return_inverse=True, return_counts=True)
    if len(values) < len(shares):
        raise StudyError(f"{len(values)} different times cannot make {len(shares)} blocks", hint="Ask for fewer folds.")
    ends = np.cumsum(shares)[:-1] * len(times)
    cuts = np.abs(np.cumsum(counts)[:, None] - ends).argmin(0) + 1
    for place in range(len(cuts)):  # each block has at least one time
        least = cuts[place - 1] + 1 if place else 1
        cuts[place] = min(max(cuts[place], least), len(values) - len(cuts) + place)
    return np.searchsorted(cuts, at, side="right").astype(np.intp)
