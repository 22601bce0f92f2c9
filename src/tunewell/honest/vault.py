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
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike

from tunewell.errors import StudyError
from tunewell.honest.splits import RESHUFFLE, Array, Numbers, Pair, Plan, latest, share_of
from tunewell.space import Config

if TYPE_CHECKING:
    from tunewell.study import Study


class Rows(msgspec.Struct, frozen=True, eq=False):
    """Some rows of a data set: inputs `x (n, ...)` and targets `y (n, ...)`; their `groups (n,)` and `times (n,)` where
    the `Split` was given any.
    """

    x: Array
    y: Array
    groups: Array | None = None
    times: Array | None = None

    def take(self, rows: Numbers) -> Rows:
        """The rows with these numbers."""
        return Rows(*(None if each is None else each[rows] for each in self._arrays()))  # type: ignore[arg-type]

    def _arrays(self) -> tuple[Array | None, ...]:
        return self.x, self.y, self.groups, self.times

    def _named(self) -> dict[str, Array]:
        """The arrays that there are, by name."""
        return {name: each for name, each in zip(("x", "y", "groups", "times"), self._arrays()) if each is not None}


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
    """Rows `x (n, ...)`, `y (n, ...)`, of which some are sealed as a test set; the others train and validate.

    `test` is the share of the rows to seal, or their row numbers. Of the others

    - with `folds` left out (holdout), a share `validation` validates;
    - with `folds=k` (cross-validation), replicate j validates on fold j: see `CrossValidation`. After the last fold a
      new division into folds begins.

    `stratify` keeps the shares of the classes in `y` in every part (of numbers with many values, those of its tenths).
    With `groups (n,)` the rows of one group are never in two parts. With `times (n,)` nothing is drawn: what trains is
    earlier than what validates, and that is earlier than the test rows; fold j of k trains on the first j + 1 of k + 1
    blocks of time and validates on the next one (forward chaining). Rows of one time stay together.

    `reshuffle` says what gets new validation rows in a holdout: each "replicate" of a config (the default; all configs
    are compared on the same rows), the first replicate of each "config" as well (less is fitted to one set of rows, but
    configs are compared on different ones), or "never". Folds are the same for all configs, so that these are compared
    in pairs. All depends on `seed` alone. Raises StudyError for what cannot be divided so.
    Reference: Nagler et al., NeurIPS 2024 (reshuffling).
    """

    def __init__(
        self,
        x: ArrayLike,
        y: ArrayLike,
        *,
        test: float | ArrayLike = 0.2,
        validation: float = 0.25,
        folds: int | None = None,
        stratify: bool = False,
        groups: ArrayLike | None = None,
        times: ArrayLike | None = None,
        reshuffle: str | None = None,
        seed: int = 0,
    ) -> None:
        self.rows = Rows(np.asarray(x), np.asarray(y), _array(groups), _array(times))
        drawn = "replicate" if folds is None and times is None else "never"
        self.plan = Plan(validation, folds, stratify, reshuffle or drawn, seed)
        self.test = test if isinstance(test, int | float) else np.asarray(test)
        _check(self.rows, self.plan, self.test)
        rest, _ = self.pair()
        open_rows = self.rows.take(rest)
        self.plan.pair(open_rows.y, open_rows.groups, open_rows.times, 0)  # raises where it cannot be

    def pair(self) -> Pair:
        """The numbers of the rows that are not sealed, and of those that are."""
        rows, plan = self.rows, self.plan
        if not isinstance(self.test, int | float):
            return np.setdiff1d(np.arange(len(rows.y)), self.test), np.unique(self.test)
        if rows.times is not None:
            return latest(rows.times, self.test)
        return share_of(rows.y, rows.groups, self.test, np.random.default_rng(plan.seed), plan.stratify)

    def outer(self, folds: int) -> list[Split]:
        """This split with other sealed rows, once for each of so many outer folds: see `nested`."""
        rows, plan = self.rows, msgspec.structs.replace(self.plan, folds=folds, reshuffle="never")
        made = []
        for kept, held in (plan.pair(rows.y, rows.groups, rows.times, at) for at in range(folds)):
            known = np.sort(np.concatenate([kept, held]))  # later rows are unknown yet where time counts
            part = rows.take(known)
            more = msgspec.structs.asdict(self.plan)
            test = np.searchsorted(known, held)
            made.append(Split(part.x, part.y, test=test, groups=part.groups, times=part.times, **more))
        return made

    def seal(self, folder: Path) -> dict[str, Any]:
        """Write the sealed rows and the others to `folder`; returns what the log keeps: sizes, settings and hashes.

        Files that are there already must hold the same rows. Raises StudyError when they do not.
        """
        folder.mkdir(parents=True, exist_ok=True)
        kept, held = self.pair()
        rest, test = self.rows.take(kept), self.rows.take(held)
        record = {
            "test": _write(folder / "test.npz", test),
            "rest": _write(folder / "rest.npz", rest),
            "rows": [len(kept), len(held)],
            "validating": self._validating(rest),
            "plan": msgspec.structs.asdict(self.plan),
        }
        shared = _shared_rows(rest.x, test.x)
        return {**record, "shared": shared} if shared else record

    def _validating(self, rest: Rows) -> int:
        """How many rows validate a config that is measured once on all that the plan has: one holdout, or all folds."""
        plan = self.plan
        pairs = (plan.pair(rest.y, rest.groups, rest.times, at) for at in range(plan.folds or 1))
        return sum(len(held) for _, held in pairs)


def _array(values: ArrayLike | None) -> Array | None:
    return None if values is None else np.asarray(values)


def _check(rows: Rows, plan: Plan, test: float | Array) -> None:
    """Raise StudyError for what means nothing."""
    for name, each in rows._named().items():
        if len(each) != len(rows.x):
            raise StudyError(f"{len(rows.x)} rows of x and {len(each)} of {name}", hint="They must belong together.")
        if each.dtype.hasobject:
            raise StudyError(f"{name} holds Python objects, which cannot be stored safely", hint="Use numbers or text.")
    shares = {"test": test, "validation": plan.validation} if isinstance(test, int | float) else {}
    for name, share in shares.items():
        if not 0 < share < 1:
            raise StudyError(f"{name}={share} is no share of the rows", hint="Give a number between 0 and 1.")
    if plan.folds is not None and plan.folds < 2:
        raise StudyError(f"folds={plan.folds}", hint="At least 2, or leave it out for a holdout.")
    if plan.reshuffle not in RESHUFFLE:
        raise StudyError(f"reshuffle={plan.reshuffle!r}", hint=f"One of {', '.join(RESHUFFLE)}.")
    if rows.times is not None and (rows.groups is not None or plan.stratify or plan.reshuffle != "never"):
        raise StudyError(
            "rows in order of time are not divided by chance", hint="Leave out groups, stratify and reshuffle."
        )
    if not isinstance(test, int | float):
        _check_numbers(rows, test)


def _check_numbers(rows: Rows, test: Array) -> None:
    """Raise StudyError for test rows, given by number, that are none, or do not keep apart what must be."""
    if not np.issubdtype(test.dtype, np.integer) or test.ndim != 1 or not 0 < len(np.unique(test)) < len(rows.y):
        raise StudyError("test= names no rows", hint="Give a share such as 0.2, or some of the row numbers.")
    if test.min() < 0 or test.max() >= len(rows.y):
        raise StudyError(f"test= names rows beyond the {len(rows.y)} that there are", hint="Row numbers start at 0.")
    sealed = np.isin(np.arange(len(rows.y)), test)
    if rows.groups is not None and np.isin(rows.groups[sealed], rows.groups[~sealed]).any():
        raise StudyError("a group has rows among the sealed ones and among the others", hint="Seal whole groups.")
    if rows.times is not None and rows.times[sealed].min() <= rows.times[~sealed].max():
        raise StudyError("a sealed row is not later than all others", hint="Seal the latest rows.")


def _write(path: Path, rows: Rows) -> str:
    """Write rows to `path` unless they are there; returns their hash."""
    digest = _digest(rows)
    if not path.exists():
        temporary = path.with_name("." + path.name)
        np.savez(temporary.with_suffix(".npz"), **rows._named())  # type: ignore[arg-type]
        temporary.replace(path)
    elif _digest(_load(path)) != digest:
        raise StudyError(f"{path} holds other rows", hint="A study keeps its data: give the new data a new study.")
    return digest


def _load(path: Path) -> Rows:
    with np.load(path, allow_pickle=False) as file:
        return Rows(**{name: file[name] for name in file.files})


def _digest(rows: Rows) -> str:
    state = hashlib.blake2b(digest_size=16)
    for array in rows._named().values():
        state.update(repr((array.shape, array.dtype.str)).encode())
        state.update(np.ascontiguousarray(array).tobytes())
    return state.hexdigest()


def _shared_rows(rest: Array, test: Array) -> int:
    """How many sealed rows stand among the others, too: a leak that the score would not show."""
    known = {row.tobytes() for row in np.ascontiguousarray(rest)}
    return sum(row.tobytes() in known for row in np.ascontiguousarray(test))


@lru_cache(maxsize=4)
def _rest(path: Path) -> Rows:
    return _load(path)


class WithData:
    """A training function whose `run.data` is the Fold of its replicate. Knows the path of the open rows only."""

    def __init__(self, function: Callable[[Any], Any], folder: Path, record: Mapping[str, Any]) -> None:
        self.function = function
        self.path = folder / "rest.npz"
        self.plan = Plan(**record["plan"])
        self.__wrapped__ = function

    def load(self) -> None:
        """Read the rows, once a worker."""
        _rest(self.path)

    def __call__(self, run: Any) -> Any:
        run.data = fold(_rest(self.path), self.plan, run.replicate, run.config)
        return self.function(run)


def fold(rows: Rows, plan: Plan, replicate: int, config: Mapping[str, Any] | None = None) -> Fold:
    """The training and validation rows of a replicate of a config."""
    train, held = plan.pair(rows.y, rows.groups, rows.times, replicate, config)
    return Fold(rows.take(train), rows.take(held))


def unseal(folder: Path, record: Mapping[str, Any]) -> Sealed:
    """The sealed rows. Raises StudyError when the file is not the one that was sealed."""
    test = _load(folder / "test.npz")
    if _digest(test) != record["test"]:
        raise StudyError(f"the sealed rows in {folder} were altered", hint="The test score would mean nothing.")
    return Sealed(test, _rest(folder / "rest.npz"))


class Score(msgspec.Struct, frozen=True):
    """A test score: its value, its standard error where that is known, and its metric where the function named it."""

    value: float
    error: float | None = None
    metric: str | None = None

    def named(self, metric: str) -> Score:
        """The same, of this metric where the function named none."""
        return self if self.metric is not None else msgspec.structs.replace(self, metric=metric)

    def end(self, goal: str, metrics: Mapping[str, float]) -> dict[str, Any]:
        """What the log keeps of it; for another metric than the goal, what validation had said of that, too."""
        found: dict[str, Any] = {"score": self.value}
        if self.error is not None:
            found["error"] = self.error
        if self.metric not in (None, goal):
            found |= {"metric": self.metric, "validation": metrics.get(str(self.metric))}
        return found


def score_of(told: Any, rows: int) -> Score:
    """What a test function returned: a number, or numbers `(n,)` of the rows, whose mean counts; or one of these by the
    name of its metric.

    Raises StudyError for anything else.
    """
    (metric, value), *more = told.items() if isinstance(told, Mapping) and told else [(None, told)]
    try:
        values = np.empty((0, 0)) if value is None else np.asarray(value, dtype=float)
    except (TypeError, ValueError):
        values = np.empty((0, 0))
    if more or values.ndim > 1 or not values.size:
        raise StudyError(
            f"the test function returned {told!r:.80}",
            hint='A number, a number for each test row, or one of these under its metric: {"accuracy": 0.97}.',
        )
    if values.ndim:
        error = float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else None
        return Score(float(values.mean()), error, metric)
    return Score(float(values), standard_error(float(values), rows), metric)


def standard_error(score: float, rows: int) -> float | None:
    """The standard error of a share of `rows` test rows; None for a score that is no share."""
    return math.sqrt(score * (1 - score) / rows) if 0 <= score <= 1 else None


# --- what the log says of it -----------------------------------------------------------------------------------------


class Reading(msgspec.Struct, frozen=True):
    """One read of the sealed test set: whose, the score (None: it never came) with its standard `error`, and what
    validation had said of the same `metric` (None where no trial reported it).

    `metric` is None for the goal's own. `others` are the test scores of earlier incumbents, by trial, where the read
    was for the overtuning.
    """

    number: int
    trial: int
    config: Config
    validation: float | None
    score: float | None
    others: dict[int, float] = {}
    error: float | None = None
    metric: str | None = None

    @property
    def gap(self) -> float | None:
        """The score less what validation had said, in the units of the metric; None where one of them is missing."""
        return None if self.score is None or self.validation is None else self.score - self.validation


def sealed_of(study: Study) -> dict[str, Any] | None:
    """The record of the sealed test set; None for a study that was opened without `data`."""
    acts = study.acts("seal")
    return acts[-1].data if acts else None


def readings_of(study: Study) -> list[Reading]:
    """Every read of the test set, finished or not, in order."""
    acts = [act.data for act in study.acts("vault")]
    ends = {act["read"]: act for act in acts if "score" in act}
    return [_reading(act, ends.get(act["read"], {})) for act in acts if "score" not in act]


def _reading(intent: Mapping[str, Any], end: Mapping[str, Any]) -> Reading:
    others = {int(trial): score for trial, score in end.get("others", {}).items()}
    known = (intent["read"], intent["trial"], intent["config"], end.get("validation", intent["validation"]))
    return Reading(*known, end.get("score"), others, end.get("error"), end.get("metric"))
