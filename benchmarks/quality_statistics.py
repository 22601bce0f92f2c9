"""Mean regrets and ranks over tasks, with their intervals, and paired tests over tasks.

A run's regret is clipped to [0, 1]: 0 is the best loss known, 1 the median of random configs or worse. A task's regret
is the mean over its seeds; everything else treats tasks as the units that were drawn.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Rows = Mapping[tuple[str, int], Mapping[str, float]]
"""The rows of a CSV file by task and seed."""

RESAMPLES = 4000


def task_means(rows: Rows, mark: int, tasks: Iterable[str], rule: str = "r") -> dict[str, float]:
    """The mean clipped regret of each task that has runs, after `mark` evaluations."""
    found: dict[str, list[float]] = {}
    wanted, column = set(tasks), f"{rule}{mark}"
    for (name, _), row in rows.items():
        if name in wanted and column in row:
            found.setdefault(name, []).append(clipped(row[column]))
    return {name: sum(values) / len(values) for name, values in found.items()}


def clipped(regret: float) -> float:
    """Between 0 and 1; what never ran is 1."""
    return 1.0 if math.isnan(regret) else min(max(regret, 0.0), 1.0)


def draws(count: int, seed: int = 0) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Bootstrap resamples `(RESAMPLES, count)` of the numbers below `count`."""
    return np.random.default_rng(seed).integers(count, size=(RESAMPLES, count))


def interval(values: Sequence[float], level: float = 0.95) -> tuple[float, float]:
    """The percentile bootstrap interval of the mean of tasks."""
    array = np.asarray(values, dtype=float)
    low, high = np.quantile(array[draws(len(array))].mean(1), [0.5 - level / 2, 0.5 + level / 2])
    return float(low), float(high)


def ranks(means: Mapping[str, Mapping[str, float]]) -> dict[str, list[float]]:
    """The rank of each contender on each task that all of them have, 1 the lowest regret, ties shared."""
    from scipy.stats import rankdata

    shared = sorted(set.intersection(*(set(each) for each in means.values())))
    table = np.array([[means[name][task] for task in shared] for name in means])
    return dict(zip(means, rankdata(table.round(6), axis=0).tolist(), strict=True))


@dataclass(frozen=True)
class Comparison:
    """Ours against another on the tasks that both have: mean regrets, their ratio with its interval, and a test.

    `p` is of the two-sided Wilcoxon test over the tasks' mean regrets; not yet corrected for the number of peers.
    """

    ours: float
    theirs: float
    low: float
    high: float
    p: float
    tasks: int

    @property
    def ratio(self) -> float:
        """Our regret over theirs."""
        return self.ours / self.theirs if self.theirs else math.inf if self.ours else 1.0

    @property
    def ahead(self) -> bool:
        """Whether our mean is the lower one."""
        return self.ours < self.theirs


def compare(ours: Mapping[str, float], theirs: Mapping[str, float], level: float = 0.95) -> Comparison:
    """Compare the tasks' mean regrets of two contenders. Raises ValueError where they share no task."""
    shared = sorted(ours.keys() & theirs.keys())
    if not shared:
        raise ValueError("no task that both have run")
    mine, other = (np.array([each[task] for task in shared]) for each in (ours, theirs))
    drawn = draws(len(shared))
    sums = np.maximum(other[drawn].sum(1), 1e-12)
    low, high = np.quantile(mine[drawn].sum(1) / sums, [0.5 - level / 2, 0.5 + level / 2])
    means, ends = (float(mine.mean()), float(other.mean())), (float(low), float(high))
    return Comparison(*means, *ends, wilcoxon(mine, other), len(shared))


def wilcoxon(mine: Array, other: Array) -> float:
    """The two-sided p of the paired test; 1 where nothing differs."""
    from scipy.stats import wilcoxon as test

    difference = (mine - other).round(9)
    return float(test(difference, zero_method="pratt").pvalue) if np.any(difference) else 1.0


def holm(values: Mapping[str, float]) -> dict[str, float]:
    """p values corrected for their number, by Holm's method."""
    adjusted, largest = {}, 0.0
    for place, name in enumerate(sorted(values, key=lambda each: values[each])):
        largest = max(largest, min(1.0, (len(values) - place) * values[name]))
        adjusted[name] = largest
    return adjusted


def evaluations_to_reach(regret: float, curve: Mapping[int, float]) -> float:
    """After how many evaluations a falling curve of mean regrets is at `regret`, on the line between two marks."""
    marks = sorted(curve)
    for before, after in pairwise(marks):
        if curve[before] <= regret:
            return float(before)
        if curve[after] <= regret:
            share = (curve[before] - regret) / (curve[before] - curve[after])
            return before + share * (after - before)
    return float(marks[0]) if curve[marks[0]] <= regret else math.inf
