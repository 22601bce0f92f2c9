"""Cross-validation whose folds stop early, beside whole cross-validation, on ten real data sets; and what the best
inner score promises beside the outer folds of a nested evaluation.

The data sets: five of scikit-learn's and the five of `mlsets` in the benchmark data (see `benchmarks.tasks`). Of each,
at most `ROWS` rows are for tuning; all others are the test set. The model is one of four kinds with its settings.
"""

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from benchmarks.figures import Row
from benchmarks.tasks import data_folder
from tunewell import (
    Bayes,
    Best,
    Choice,
    CrossValidation,
    Float,
    Int,
    Limits,
    LiveStudy,
    Method,
    Random,
    Rows,
    Run,
    Sealed,
    Split,
    nested,
    tune,
)
from tunewell.honest.splits import Array, share_of

OWN = ("iris", "wine", "breast_cancer", "digits", "diabetes")
SHARED = ("abalone", "car", "housing", "segment", "vehicle")
SETS = (*OWN, *SHARED)

ROWS = 500
FOLDS = 5
FITS = 150
"""Folds that a study may fit: 30 configs on all five."""

SOURCES: Mapping[str, Method] = {"random search": Random(), "Bayes": Bayes()}
SEEDS = {"random search": 10, "Bayes": 5}
"""Studies of each data set."""


# --- data and models -------------------------------------------------------------------------------------------------


@cache
def rows_of(name: str) -> tuple[Array, Array]:
    """Inputs (n, d) and targets (n,) of a data set; numbers as targets have mean 0 and variance 1."""
    if name in OWN:
        from sklearn import datasets

        x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    else:
        with np.load(data_folder() / "mlsets" / f"{name}.npz", allow_pickle=False) as file:
            x, y = file["X"], file["y"]
    is_number = name in ("diabetes", "abalone", "housing")
    return np.asarray(x, float), (y - y.mean()) / y.std() if is_number else np.asarray(y, int)


def split_of(name: str, seed: int, folds: int | None = FOLDS) -> Split:
    """The rows for tuning and for the test."""
    x, y = rows_of(name)
    share = max(0.4, 1 - ROWS / len(y))
    return Split(x, y, test=share, folds=folds, stratify=y.dtype.kind == "i", seed=seed)


SPACE = {
    "model": Choice(
        {
            "tree": {"depth": Int(1, 20, log=True), "leaf": Int(1, 50, log=True)},
            "neighbours": {"neighbours": Int(1, 60, log=True), "power": Float(1, 4)},
            "linear": {"penalty": Float(1e-4, 1e3, log=True)},
            "kernel": {"cost": Float(1e-2, 1e3, log=True), "width": Float(1e-4, 1e1, log=True)},
        }
    )
}


def model_of(config: Mapping[str, Any], classes: bool) -> Any:
    """The model of a config, for classes or for numbers."""
    from sklearn import linear_model, neighbors, svm, tree
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    kind, end = config["model"], "Classifier" if classes else "Regressor"
    if kind == "tree":
        settings = {"max_depth": config["depth"], "min_samples_leaf": config["leaf"], "random_state": 0}
        return getattr(tree, f"DecisionTree{end}")(**settings)
    if kind == "neighbours":
        return make_pipeline(
            StandardScaler(), getattr(neighbors, f"KNeighbors{end}")(config["neighbours"], p=config["power"])
        )
    if kind == "linear":
        linear = linear_model.RidgeClassifier if classes else linear_model.Ridge
        return make_pipeline(StandardScaler(), linear(config["penalty"]))
    kernel = svm.SVC if classes else svm.SVR
    return make_pipeline(StandardScaler(), kernel(C=config["cost"], gamma=config["width"], max_iter=20_000))


def error_of(config: Mapping[str, Any], train: Any, held: Any) -> float:
    """The share of wrong classes, or the mean squared error in variances of the target, on the rows held out."""
    classes = train.y.dtype.kind == "i"
    size = {"neighbours": min(config["neighbours"], len(train.y))} if "neighbours" in config else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        told = model_of({**config, **size}, classes).fit(train.x, train.y).predict(held.x)
    return float(np.mean(told != held.y) if classes else np.mean((told - held.y) ** 2))


def objective(run: Run) -> float:
    """The error of a config on one fold."""
    return error_of(run.config, run.data.train, run.data.validation)


def test(best: Best, sealed: Sealed) -> float:
    """The error of the winner, fitted to all rows but the sealed ones."""
    return error_of(best.config, sealed.rest, sealed.test)


# --- folds that stop early -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Outcome:
    """A study: the configs that it began, and the test error of its best."""

    configs: int
    test: float


def outcome(name: str, method: Method, seed: int) -> Outcome:
    """One study within the budget of fits, from its split to its test."""
    study = tune(
        objective,
        SPACE,
        minimize="error",
        method=method,
        limits=Limits(steps=FITS),
        data=split_of(name, seed),
        test=test,
        seed=seed,
        progress=False,
    )
    score = study.readings[0].score
    assert score is not None
    return Outcome(configs_of(study), score)


def configs_of(study: LiveStudy) -> int:
    """How many configs a study began."""
    return sum(job.seed == 0 for job in study.jobs.values())


def standardized(early: Array, whole: Array) -> Array:
    """How much worse the test errors (sets, seeds) of the one are, by set, in standard deviations pooled of both.

    Where all errors of a set are equal, 0.
    """
    spread = np.sqrt((early.var(1, ddof=1) + whole.var(1, ddof=1)) / 2)
    worse: Array = (early.mean(1) - whole.mean(1)) / np.where(spread > 0, spread, 1.0)
    return worse


def early_rows(quick: bool) -> Iterator[Row]:
    """Configs a budget and test errors, with each source of configs."""
    names = SETS[: 2 if quick else None]
    for source, of in SOURCES.items():
        seeds = range(2 if quick else SEEDS[source])
        arms = {stop: CrossValidation(of, FOLDS, stop) for stop in (CrossValidation().stop, "never")}
        found = {
            stop: [[outcome(name, method, seed) for seed in seeds] for name in names] for stop, method in arms.items()
        }
        early, whole = found.values()
        yield from compared(source, early, whole)


def compared(source: str, early: list[list[Outcome]], whole: list[list[Outcome]]) -> Iterator[Row]:
    """The rows of one source of configs."""
    configs, tests = (
        [np.array([[getattr(each, what) for each in row] for row in arm], dtype=float) for arm in (early, whole)]
        for what in ("configs", "test")
    )
    ratios, worse = configs[0].mean(1) / configs[1].mean(1), standardized(*tests)
    error = float(worse.std(ddof=1) / np.sqrt(len(worse)))
    name = f"early-stopped cross-validation, {source}"
    yield Row(float(ratios.mean()), name=f"{name}: configs a budget, against whole", target=">= 2", unit="x")
    yield Row(float(ratios.min()), name=f"{name}: the same, least of {len(ratios)} data sets", target="", unit="x")
    yield Row(float(worse.mean()), name=f"{name}: test error worse by", target="<= 0.3", unit="sd")
    yield Row(error, name=f"{name}: standard error of that over the data sets", target="", unit="sd")
    yield Row(float(worse.max()), name=f"{name}: test error worse by, worst data set", target="", unit="sd")


# --- holdout: the same rows for all configs, or others for each ------------------------------------------------------

TRIALS = 60


def holdout_rows(quick: bool) -> Iterator[Row]:
    """Test errors of random search with new validation rows for each config, against the same rows for all."""
    names, seeds = SETS[: 2 if quick else None], range(2 if quick else 10)
    arms = {how: [[held_out(name, seed, how) for seed in seeds] for name in names] for how in ("config", "replicate")}
    tests = [np.array([[each.test for each in row] for row in arm]) for arm in arms.values()]
    worse = standardized(*tests)
    error = float(worse.std(ddof=1) / np.sqrt(len(worse)))
    name = "holdout, random search: new validation rows for each config"
    yield Row(float(worse.mean()), name=f"{name}, test error worse by", target="", unit="sd")
    yield Row(error, name=f"{name}, standard error of that over the data sets", target="", unit="sd")
    for how, arm in arms.items():
        lost = [each.overtuning for row in arm for each in row]
        for least, words in ((0.0, "an earlier incumbent was better"), (1.0, "the first config was better")):
            share = 100 * float(np.mean([each > least for each in lost]))
            yield Row(share, name=f"holdout, rows by {how}: studies where {words}", target="", unit="%")


@dataclass(frozen=True)
class HeldOut:
    """A study with a holdout: the test error of its best config, and its relative overtuning."""

    test: float
    overtuning: float


def held_out(name: str, seed: int, how: str) -> HeldOut:
    """One study, its test and, in a second read, its overtuning."""
    x, y = rows_of(name)
    share = max(0.4, 1 - ROWS / len(y))
    split = Split(x, y, test=share, stratify=y.dtype.kind == "i", reshuffle=how, seed=seed)
    study = tune(
        objective, SPACE, minimize="error", method=Random(), trials=TRIALS, data=split, seed=seed, progress=False
    )
    lost = study.overtuning(test)
    return HeldOut(lost.last, lost.relative)


# --- what nested evaluation corrects ---------------------------------------------------------------------------------

FEW = 150
"""Rows that a nested evaluation has in all; the others of the data set tell the truth."""


def nested_rows(quick: bool) -> Iterator[Row]:
    """How much too good the best inner score is, and the outer scores, for what the procedure chose: shares of rows."""
    names = ("breast_cancer", "digits", "car", "segment", "vehicle")[: 2 if quick else None]
    found = np.array([biases(name, seed) for name in names for seed in range(2 if quick else 10)])
    inner, outer = found.mean(0)
    error = float(found[:, 1].std(ddof=1) / np.sqrt(len(found)))
    name = f"nested evaluation, {FEW} rows, holdout, {TRIALS} trials"
    yield Row(inner, name=f"{name}: best inner score too good by", target="", unit="points")
    yield Row(abs(outer), inner, name=f"{name}: outer scores off by", target="<= 1/4 x peer", unit="points")
    yield Row(error, name=f"{name}: standard error of that", target="", unit="points")


def biases(name: str, seed: int) -> tuple[float, float]:
    """Points of error by which the best inner scores and the outer scores are too good, against the many other rows."""
    x, y = rows_of(name)
    many, few = share_of(y, None, FEW / len(y), np.random.default_rng(seed), stratify=True)
    split = Split(x[few], y[few], stratify=True, seed=seed)
    told = nested(
        objective,
        SPACE,
        data=split,
        test=test,
        minimize="error",
        method=Random(),
        trials=TRIALS,
        seed=seed,
        progress=False,
    )
    truth = [
        error_of(each.config, part.rows.take(part.pair()[0]), Rows(x[many], y[many]))
        for each, part in zip(told.outer, split.outer(len(told.outer)), strict=True)
    ]
    measured = np.mean([each.measured for each in told.outer])
    return 100 * float(np.mean(truth) - measured), 100 * float(np.mean(truth) - told.mean)
