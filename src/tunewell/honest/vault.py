"""A sealed test set: its rows lie in a file of their own, no trial is handed them, and every read is in the log.

What it cannot prevent: a training function that loads the data set by itself, or a person who opens the file. It keeps
the search from learning of the test set by accident, and it makes a second look visible.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from tunewell.errors import StudyError

Array = NDArray[Any]


class Rows(msgspec.Struct, frozen=True, eq=False):
    """Some rows of a data set: inputs `x (n, ...)` and targets `y (n, ...)`."""

    x: Array
    y: Array


class Fold(msgspec.Struct, frozen=True, eq=False):
    """What a trial gets as `run.data`: the rows to train on and the rows to validate on."""

    train: Rows
    validation: Rows


class Sealed(msgspec.Struct, frozen=True, eq=False):
    """What the test function gets: the sealed rows, and all others, to fit the winner again where it left no
    weights.
    """

    test: Rows
    rest: Rows


class Split:
    """Rows `x (n, ...)`, `y (n, ...)`, of which a share `test` is sealed, and of the rest a share `validation`
    validates.

    The test rows depend on `seed` alone. The validation rows depend on the replicate (`run.seed`), the same for every
    config; with `reshuffle=False` they are the same for every replicate too. `stratify` keeps the shares of the classes
    in `y`.
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        test: float = 0.2,
        validation: float = 0.25,
        stratify: bool = False,
        reshuffle: bool = True,
        seed: int = 0,
    ) -> None:
        self.x, self.y = np.asarray(x), np.asarray(y)
        if len(self.x) != len(self.y):
            raise StudyError(f"{len(self.x)} rows of x and {len(self.y)} of y", hint="They must belong to each other.")
        for name, share in (("test", test), ("validation", validation)):
            if not 0 < share < 1:
                raise StudyError(f"{name}={share} is no share of the rows", hint="Give a number between 0 and 1.")
        if self.x.dtype.hasobject or self.y.dtype.hasobject:
            raise StudyError("arrays of Python objects cannot be stored safely", hint="Turn them into numbers or text.")
        self.test, self.validation = test, validation
        self.stratify, self.reshuffle, self.seed = stratify, reshuffle, seed

    def seal(self, folder: Path) -> dict[str, Any]:
        """Write the sealed rows and the others to `folder`; returns what the log keeps: sizes, settings and hashes.

        Files that are there already must hold the same rows. Raises StudyError when they do not.
        """
        folder.mkdir(parents=True, exist_ok=True)
        rest, test = divide(self.y, self.test, np.random.default_rng(self.seed), self.stratify)
        record = {
            "test": _write(folder / "test.npz", self.x[test], self.y[test]),
            "rest": _write(folder / "rest.npz", self.x[rest], self.y[rest]),
            "rows": [len(rest), len(test)],
            "validation": self.validation,
            "stratify": self.stratify,
            "reshuffle": self.reshuffle,
        }
        shared = _shared_rows(self.x[rest], self.x[test])
        return {**record, "shared": shared} if shared else record


def divide(y: Array, share: float, rng: np.random.Generator, stratify: bool) -> tuple[Array, Array]:
    """Row numbers `(n - k,)` and `(k,)`, k = a `share` of the n rows, at random; by class of `y` with `stratify`."""
    groups = [np.flatnonzero(y == value) for value in np.unique(y)] if stratify else [np.arange(len(y))]
    kept, taken = [], []
    for group in groups:
        order = rng.permutation(group)
        size = min(max(1, round(share * len(order))), len(order) - 1)
        taken.append(order[:size])
        kept.append(order[size:])
    return np.sort(np.concatenate(kept)), np.sort(np.concatenate(taken))


def _write(path: Path, x: Array, y: Array) -> str:
    """Write rows to `path` unless they are there; returns their hash."""
    digest = _digest(x, y)
    if not path.exists():
        temporary = path.with_name("." + path.name)
        np.savez(temporary.with_suffix(".npz"), x=x, y=y)
        temporary.replace(path)
    elif _digest(*_load(path)) != digest:
        raise StudyError(f"{path} holds other rows", hint="A study keeps its data: give the new data a new study.")
    return digest


def _load(path: Path) -> tuple[Array, Array]:
    with np.load(path, allow_pickle=False) as file:
        return file["x"], file["y"]


def _digest(x: Array, y: Array) -> str:
    state = hashlib.blake2b(digest_size=16)
    for array in (x, y):
        state.update(repr((array.shape, array.dtype.str)).encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _shared_rows(rest: Array, test: Array) -> int:
    """How many sealed rows stand among the others, too: a leak that the score would not show."""
    known = {row.tobytes() for row in np.ascontiguousarray(rest)}
    return sum(row.tobytes() in known for row in np.ascontiguousarray(test))


@lru_cache(maxsize=4)
def _rest(path: Path) -> Rows:
    return Rows(*_load(path))


class WithData:
    """A training function whose `run.data` is the Fold of its replicate. Knows the path of the open rows only."""

    def __init__(self, function: Callable[[Any], Any], folder: Path, record: Mapping[str, Any]) -> None:
        self.function = function
        self.path = folder / "rest.npz"
        self.settings = (record["validation"], record["stratify"], record["reshuffle"])
        self.__wrapped__ = function

    def load(self) -> None:
        """Read the rows, once a worker."""
        _rest(self.path)

    def __call__(self, run: Any) -> Any:
        run.data = fold(_rest(self.path), run.seed, *self.settings)
        return self.function(run)


def fold(rows: Rows, seed: int, validation: float, stratify: bool, reshuffle: bool) -> Fold:
    """The training and validation rows of a replicate."""
    rng = np.random.default_rng(seed if reshuffle else 0)
    train, held = divide(rows.y, validation, rng, stratify)
    return Fold(Rows(rows.x[train], rows.y[train]), Rows(rows.x[held], rows.y[held]))


def unseal(folder: Path, record: Mapping[str, Any]) -> Sealed:
    """The sealed rows. Raises StudyError when the file is not the one that was sealed."""
    test = Rows(*_load(folder / "test.npz"))
    if _digest(test.x, test.y) != record["test"]:
        raise StudyError(f"the sealed rows in {folder} were altered", hint="The test score would mean nothing.")
    return Sealed(test, _rest(folder / "rest.npz"))


def standard_error(score: float, rows: int) -> float | None:
    """The standard error of a share of `rows` test rows; None for a score that is no share."""
    return math.sqrt(score * (1 - score) / rows) if 0 <= score <= 1 else None
