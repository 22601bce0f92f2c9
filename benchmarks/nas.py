"""The figures of architecture search on tables: the cells of NAS-Bench-201, and graph networks of NAS-Bench-Graph."""

import json
import time
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.nas_digits import search
from benchmarks.nas_language import infeasible, volumes
from benchmarks.nas_proxies import correlations, first_rung, trained
from benchmarks.nas_relaxed import derived
from benchmarks.nas_sharing import front, ranks
from benchmarks.tasks import data_folder
from tunewell.contract.methods import new_study, propose
from tunewell.events import Failure
from tunewell.study import Result, Study

__all__ = [
    "cells",
    "correlations",
    "derived",
    "first_rung",
    "front",
    "graphs",
    "infeasible",
    "ranks",
    "regret",
    "search",
    "seconds",
    "trained",
    "volumes",
]

Array = np.ndarray[Any, np.dtype[np.float64]]

QUERIES = 500
"""How long a search may take to find the optimum."""
MARKS = (50, 150, 300)
"""The queries after which regret is compared."""


@cache
def architectures(name: str = "nas201/cifar10", metric: str = "val_acc") -> tuple[tw.Space, Array]:
    """The space of a table of choices, and its accuracies: one axis an entry, the mean of the repetitions; NaN where a
    config cannot be trained. By default the cells of NAS-Bench-201 on CIFAR-10, in percent.
    """
    table = np.load(data_folder() / "tables" / f"{name}.npz")
    entries = {each["name"]: tw.Choice(each["choices"]) for each in json.loads(str(table["meta"]))["params"]}
    runs = table[f"Y_{metric}"]
    accuracy = np.nansum(runs, axis=-1) / np.where(np.isnan(runs).all(-1), np.nan, (~np.isnan(runs)).sum(-1))
    return tw.Space(entries), accuracy


def accuracy_left(
    method: tw.Method, seed: int, queries: int = QUERIES, table: tuple[tw.Space, Array] | None = None
) -> Array:
    """What is left to the best accuracy after each query `(queries,)`, in the unit of the table (points).

    Nothing is asked for after the optimum: 0 is left from there on.
    """
    space, accuracy = table or architectures()
    study, best, left = new_study(space, seed=seed), np.nanmax(accuracy), np.zeros(queries)
    before = np.nan
    for place in range(queries):
        before = left[place] = np.fmin(before, best - query(method, study, accuracy))
        if before <= 0:
            break
    return left


def query(method: tw.Method, study: Study, accuracy: Array) -> float:
    """The accuracy of one trial more; NaN where it failed."""
    proposed = propose(method, study)
    assert proposed is not None
    job = study.start(proposed)
    study.commit(job)
    units = study.space.encode(job.config)  # option i of n lies at (i + 0.5) / n
    found = float(accuracy[tuple((units * accuracy.shape).astype(int))])
    failed = Result(job.id, "failed", error=Failure("crashed", "not in the table"))
    study.commit(failed if np.isnan(found) else Result(job.id, "done", {"loss": -found}, step=1))
    return found


# --- NAS-Bench-201 ---------------------------------------------------------------------------------------------------

PUBLISHED = {"Evolution.regularized()": {150: 0.20 / 1.07, 300: 0.08 / 1.07}, "LocalSearch()": {150: 0.11 / 1.07}}
"""Regret as a share of random search's at 150 queries (1.07 points) on another table of the same space: accuracies
after 12 epochs, where those here are of whole trainings; a Gaussian process: 0.51 at 50.
"""
TARGETS: Mapping[tuple[str, int], str] = {
    ("Evolution.regularized()", 150): "<= 0.2 x peer",
    ("Evolution.regularized()", 300): "<= 0.08 x peer",
    ("Bayes()", 50): "<= 0.5 x peer",
}
"""Of regret beside random search's at 150 queries."""


@figure("NAS-Bench-201, mean regret beside random search's at 150", target="", unit="points")
def regret(quick: bool) -> Iterator[Row]:
    """200 seeds, of Bayes 40; and how often the optimum was found within 500 queries."""
    many, few = (4, 1) if quick else (200, 40)
    random = np.array([accuracy_left(tw.Random(), seed) for seed in range(many)])
    peer, evolution = float(random[:, 149].mean()), np.inf
    for mark in MARKS:
        yield Row(float(random[:, mark - 1].mean()), peer, f"NAS-Bench-201, {many} seeds, Random(): regret at {mark}")
    for name, method, seeds, often in (
        ("Evolution.regularized()", tw.Evolution.regularized(), many, ">= 88"),
        ("LocalSearch()", tw.LocalSearch(), many, ">= 98"),
        ("Bayes()", tw.Bayes(), few, ">= 90"),
    ):
        left, told = np.array([accuracy_left(method, seed) for seed in range(seeds)]), f"{seeds} seeds, {name}"
        for mark in MARKS:
            value = float(left[:, mark - 1].mean())
            known = PUBLISHED.get(name, {}).get(mark)
            beside = f" ({known:.2f} of random's on the 12-epoch table)" if known else ""
            row = f"NAS-Bench-201, {told}: regret at {mark}{beside}"
            yield Row(value, peer, row, TARGETS.get((name, mark), ""))
        if name == "Bayes()":
            told_of = f"NAS-Bench-201, {told}: regret at 150, beside Evolution.regularized()'s"
            yield Row(float(left[:, 149].mean()), evolution, told_of, "<= 1 x peer")
        evolution = float(left[:, 149].mean()) if name.startswith("Evolution") else evolution
        hits = 100 * float((left[:, -1] < 1e-9).mean())
        yield Row(hits, None, f"NAS-Bench-201, {told}: optimum within {QUERIES}", often, "%")


@figure("NAS-Bench-201 as one Cell, Bayes: mean regret beside that on six choices", target="<= 1 x peer", unit="points")
def cells(quick: bool) -> Iterator[Row]:
    """The same table and the same method: isomorphic cells are asked for once, and the kernel sees the graph."""
    choices, accuracy = architectures()
    names = next(iter(choices.entries.values())).to_json()["options"]
    space, seeds, queries = tw.Space({"cell": tw.Cell(4, names)}), range(1 if quick else 20), 20 if quick else 100
    ours, theirs = (
        np.array([accuracy_left(tw.Bayes(), seed, queries, (of, accuracy)) for seed in seeds])
        for of in (space, choices)
    )
    told = f"NAS-Bench-201 as one Cell, {len(seeds)} seeds, Bayes()"
    for mark in (queries // 2, queries):
        yield Row(float(ours[:, mark - 1].mean()), float(theirs[:, mark - 1].mean()), f"{told}: regret at {mark}")
    hits, others = (100 * float((left[:, -1] < 1e-9).mean()) for left in (ours, theirs))
    yield Row(hits, others, f"{told}: optimum within {queries}", ">= 1 x peer", "%")


@figure("NAS-Bench-201, Bayes, a proposal after 200 results", target="<= 0.1", unit="s")
def seconds(quick: bool) -> Row:
    """The median of 20, with the look into the table."""
    space, accuracy = architectures()
    method, study = tw.Bayes(), new_study(space)
    taken = []
    for _ in range(20 if quick else 220):
        start = time.perf_counter()
        query(method, study, accuracy)
        taken.append(time.perf_counter() - start)
    return Row(float(np.median(taken[-20:])))


# --- NAS-Bench-Graph -------------------------------------------------------------------------------------------------


@figure("NAS-Bench-Graph, mean regret, beside random search's", target="", unit="points")
def graphs(quick: bool) -> Iterator[Row]:
    """Tables that nothing here was chosen by: 59,040 networks of five choices with nine options each, one training each
    (so noise and structure are one); 20 seeds, of Bayes 10, on four data sets.
    """
    many, few, queries = (2, 1, 30) if quick else (20, 10, 150)
    for data in ("cora", "cs", "photo", "pubmed"):
        space, accuracy = architectures(f"nasgraph/{data}", "valid_perf")
        table = space, 100 * accuracy
        random = float(np.mean([accuracy_left(tw.Random(), seed, queries, table)[-1] for seed in range(many)]))
        for name, method, seeds in (
            ("Evolution.regularized()", tw.Evolution.regularized(), many),
            ("LocalSearch()", tw.LocalSearch(), many),
            ("Bayes()", tw.Bayes(), few),
        ):
            left = np.mean([accuracy_left(method, seed, queries, table)[-1] for seed in range(seeds)])
            yield Row(float(left), random, f"NAS-Bench-Graph {data}, {seeds} seeds, {name}: regret at {queries}")
