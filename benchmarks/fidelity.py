"""The figures of multi-fidelity methods: Hyperband's tables, quality on learning curves, and a thousand workers."""

from collections.abc import Iterator
from functools import cache
from itertools import product

import numpy as np

import tunewell as tw
from benchmarks.fidelity_curves import FAMILIES, PARTS, coverage, held_out
from benchmarks.fidelity_runs import (
    BUDGETS,
    PlainASHA,
    correlations,
    crowd,
    first_full,
    instances,
    regrets,
    run,
)
from benchmarks.figures import Row, figure
from tunewell.methods.rungs import brackets, cost

# --- Hyperband -------------------------------------------------------------------------------------------------------


@figure("Hyperband's tables for R = 81, eta = 3", target="")
def tables(quick: bool) -> Iterator[Row]:
    """Both conventions behind one switch, exact."""
    formula, printed = brackets(81), brackets(81, table="printed")
    for name, measured, right in (
        ("configs by the formula", sum(each[0][0] for each in formula), 143),
        ("units by the formula, without resume", sum(cost(each, resume=False) for each in formula), 1902),
        ("units by the formula, with resume", sum(map(cost, formula)), 1581),
        ("configs as printed", sum(each[0][0] for each in printed), 128),
        ("units as printed", sum(cost(each, resume=False) for each in printed), 1701),
    ):
        yield Row(measured, name=f"Hyperband R = 81, eta = 3: {name}", target=f">= {right} and <= {right}")


# --- LCBench ---------------------------------------------------------------------------------------------------------

SOURCES: dict[str, tw.Method] = {
    "Random()": tw.Random(),
    "Halving(width=27)": tw.Halving(width=27, rounds=None),
    "Hyperband()": tw.Hyperband(),
    "ASHA()": tw.ASHA(),
    "ASHA(minimum=1), the guard against epoch 1": tw.ASHA(minimum=1),
    "Hyperband(TPE())": tw.Hyperband(tw.TPE()),
    "ASHA(TPE())": tw.ASHA(tw.TPE()),
    "Hyperband(Bayes())": tw.Hyperband(tw.Bayes(limit=100)),
    "ASHA(Bayes())": tw.ASHA(tw.Bayes(limit=100)),
    "FreezeThaw(Random())": tw.FreezeThaw(tw.Random()),
    "FreezeThaw(Bayes())": tw.FreezeThaw(tw.Bayes(limit=100)),
}
"""The methods of the protocol. The model of `Bayes` holds 100 results here, for the sake of the time that runs take."""


@cache
def plain(quick: bool) -> list[float]:
    """The regret of plain ASHA at each budget, at the lowest rung that is best there."""
    names, seeds = size(quick)
    lowest = (2,) if quick else (1, 2, 4, 6)
    found = [regrets(PlainASHA(minimum), names, seeds, budgets=budgets_of(quick)) for minimum in lowest]
    return [min(column) for column in zip(*found, strict=True)]


def size(quick: bool) -> tuple[list[str], int]:
    """The instances and the number of seeds."""
    return (instances()[:1], 1) if quick else (instances(), 3)


def budgets_of(quick: bool) -> tuple[int, ...]:
    """The full-run equivalents."""
    return BUDGETS[:1] if quick else BUDGETS


@figure("LCBench, beside plain ASHA at its best lowest rung", target="", unit="regret")
def lcbench(quick: bool) -> Iterator[Row]:
    """Mean normalised regret, one worker, simulated time; the target is for the best of ours at each budget."""
    names, seeds = size(quick)
    found = {}
    for name, method in SOURCES.items():
        found[name] = regrets(method, names, seeds, budgets=budgets_of(quick))
        for budget, value, peer in zip(budgets_of(quick), found[name], plain(quick), strict=True):
            yield Row(value, peer, f"LCBench, regret at {budget} full runs: {name}")
    for place, budget in enumerate(budgets_of(quick)):
        best = min(found, key=lambda name: found[name][place])
        told = f"LCBench, regret at {budget} full runs, the best of ours: {best}"
        yield Row(found[best][place], plain(quick)[place], told, "<= 0.8 x peer")


@figure("LCBench, ASHA, 4 workers beside 1", target="", unit="regret")
def four_workers(quick: bool) -> Iterator[Row]:
    """At 20 full-run equivalents."""
    names, seeds = size(quick)
    one, four = (regrets(tw.ASHA(), names, seeds, workers=workers, budgets=budgets_of(quick)) for workers in (1, 4))
    yield Row(four[-1], one[-1], f"LCBench, ASHA, regret at {budgets_of(quick)[-1]} full runs, 4 workers beside 1")


@figure("LCBench, ASHA, full runs until the first result at the last epoch, the worst run", target="<= 5")
def incumbent(quick: bool) -> Iterator[Row]:
    """Beside plain ASHA's."""
    names, seeds = size(quick)
    for workers, minimum in product((1, 4), (1, 2)):
        ours, peer = (
            max(first_full(method, name, workers, seed) for name in names for seed in range(seeds))
            for method in (tw.ASHA(minimum=minimum), PlainASHA(minimum))
        )
        name = f"LCBench, ASHA(minimum={minimum}), {workers} workers: full runs until the first whole result, worst run"
        yield Row(ours, peer if np.isfinite(peer) else None, name)


@figure("LCBench, the guard", target="", unit="%")
def guard(quick: bool) -> Iterator[Row]:
    """In which share of runs of 20 full-run equivalents a lowest rung is found to mislead."""
    names, seeds = size(quick)
    for minimum in (1, 2, 6):
        runs = [run(tw.ASHA(minimum=minimum), name, seed=seed)[0] for name in names for seed in range(seeds)]
        told = [f"at {minimum}: misleads" in tw.ASHA(minimum=minimum).why(study) for study in runs]
        true = np.mean([correlations(name, [minimum], 100)[0] for name in names])
        name = f"LCBench, epoch {minimum} is rejected (rank correlation with the last {true:.2f})"
        yield Row(
            100 * float(np.mean(told)), name=name, target=">= 50" if minimum == 1 else "<= 0" if minimum == 6 else ""
        )


# --- learning curves -------------------------------------------------------------------------------------------------


@figure("learning-curve intervals: 80 % intervals cover 75-85 %", target="", unit="%")
def intervals(quick: bool) -> Iterator[Row]:
    """On the tasks that no constant of the ensemble was chosen on, from 10, 25 and 50 % of each curve: calibrated by
    fifteen other curves of the same task, as in `FreezeThaw`, and as the ensemble alone has them.
    """
    for family in FAMILIES:
        found = [coverage(curves, part) for curves in held_out(family, quick) for part in PARTS]
        told = f"learning-curve intervals, {family}"
        raw, calibrated, width = (100 * float(np.mean([each[place] for each in found])) for place in range(3))
        name = f"{told}: 80 % intervals, calibrated by 15 other curves of the task, cover"
        yield Row(calibrated, name=name, target=">= 75 and <= 85")
        yield Row(raw, name=f"{told}: not calibrated")
        yield Row(width, name=f"{told}: median width, of the distance of the quartiles of last values")
        for place, part in enumerate(PARTS):
            covered = 100 * float(np.mean([each[0] for each in found[place :: len(PARTS)]]))
            yield Row(covered, name=f"{told}: not calibrated, from {part:.0%} of the curve")


# --- many workers ----------------------------------------------------------------------------------------------------


@figure("1,000 simulated workers, ASHA, 50 mean durations: utilisation", target=">= 0.97")
def thousand(quick: bool) -> Iterator[Row]:
    """The real time of each decision passes on the simulated clock; a step takes ten seconds on average."""
    workers, horizon = (100, 10) if quick else (1000, 50)
    used, seconds, jobs = crowd(tw.ASHA(), workers, horizon)
    yield Row(used, name=f"{workers:,} simulated workers, ASHA, {horizon} mean durations: utilisation, {jobs:,} jobs")
    yield Row(seconds * 1e6, name="ASHA: a decision, its commit and its job's look-up", target="", unit="us")
