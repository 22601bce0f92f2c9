"""The figures of multi-fidelity methods: Hyperband's tables, quality on learning curves, and a thousand workers."""

import os
import sys
from collections.abc import Iterator
from functools import cache, partial
from itertools import product

import numpy as np

import tunewell as tw
from benchmarks.fidelity_curves import FAMILIES, PARTS, coverage, held_out
from benchmarks.fidelity_language import RUNS, best_loss, interval
from benchmarks.fidelity_peers import SEEDS, TOOLS, Contender, Ours, Regrets, attempt, common, kept
from benchmarks.fidelity_runs import (
    BUDGETS,
    PlainASHA,
    correlations,
    crowd,
    first_full,
    instances,
    regret,
    regrets,
    run,
)
from benchmarks.fidelity_share import (
    Course,
    fits,
    flights,
    kernel_machine,
    made,
    mean_at,
    reached,
    real_search,
    search,
    seconds_of_whole,
    trees,
)
from benchmarks.figures import Row, alternate, ask, ask_peer, figure
from benchmarks.tasks import spread_evenly, task
from tunewell.methods.rungs import brackets, cost, rungs

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
    "Hyperband(Bayes(), eta=4)": tw.Hyperband(tw.Bayes(limit=100), eta=4),
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


@figure("LCBench, beside the peers", target="", unit="regret")
def versus(quick: bool) -> Iterator[Row]:
    """Mean normalised regret of the same instances and seeds, one worker, simulated time. Then the best of ours at
    each budget, and what a study uses that names no method, beside each peer on the runs that the peer has: what lies
    between them, and the standard error of that over runs. The best of ours is chosen by these very runs, and so is
    not the figure to expect of it elsewhere.
    """
    mine, theirs = contenders(quick)
    for name, runs in {**mine, **theirs}.items():
        for place, budget in enumerate(BUDGETS):
            yield Row(mean(runs, place), name=f"LCBench at {budget} full runs: {name}, {len(runs)} runs")
    for (place, budget), (name, runs) in product(enumerate(BUDGETS), theirs.items()):
        peer, *same = common([runs, *mine.values()])
        of = dict(zip(mine, same, strict=True))
        best = min(of, key=lambda each: mean(of[each], place))
        for which, target in ((best, "<= 1 x peer"), (AUTO, "")):
            gap, error = difference(of[which], peer, place)
            told = f"{which} beside {name}, {len(peer)} runs, {gap:+.3f} ± {error:.3f}"
            yield Row(mean(of[which], place), mean(peer, place), f"LCBench at {budget} full runs: {told}", target)


AUTO = "Auto()"


def contenders(quick: bool) -> tuple[dict[str, Regrets], dict[str, Regrets]]:
    """The runs of ours and of the peers; of the peers only what is kept, in a quick run or when told so."""
    names, seeds = (instances()[:1], 1) if quick else (instances(), SEEDS)
    ours = [Ours(name, method) for name, method in {**SOURCES, AUTO: tw.Auto()}.items()]
    stored = quick or os.environ.get("TUNEWELL_QUALITY_PEERS") == "stored"
    some: list[Contender] = [*ours, *([] if stored else TOOLS)]
    for contender in some:
        attempt(contender, names, seeds)
    theirs = {tool.name: runs for tool in TOOLS if (runs := kept(tool))}
    return {each.name: kept(each) for each in ours}, theirs


def mean(runs: Regrets, place: int) -> float:
    """The mean regret at one budget."""
    return float(np.mean([row[place] for row in runs.values()]))


def difference(ours: Regrets, peer: Regrets, place: int) -> tuple[float, float]:
    """The mean of what ours has more of regret, run by run, and its standard error."""
    gaps = [ours[work][place] - peer[work][place] for work in ours]
    return float(np.mean(gaps)), float(np.std(gaps) / max(1.0, np.sqrt(len(gaps) - 1)))


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


# --- shares of the rows ----------------------------------------------------------------------------------------------


@figure("shares of the rows as steps: boosted trees", target="")
def shares(quick: bool) -> Iterator[Row]:
    """Hyperband over 11, 33 and 100 percent beside random search on all rows of the flights."""
    task, seeds, seconds = trees(flights()), range(4 if quick else 100), 6.0 if quick else 60.0
    known = fits(task, 4 if quick else 100, rungs(100, 3, 11))
    full = [search(tw.Random(), 100, known, seed, seconds) for seed in seeds]
    ours = [search(tw.Hyperband(minimum=11), 11, known, seed, seconds) for seed in seeds]
    yield from beside(f"{task.name}, {len(task.table.y):,} rows", "Hyperband(minimum=11)", ours, full, seconds)


_WHOLE = 20
"""Fits on all rows that the time of a search is worth, in the mean."""


@figure("shares of the rows as steps: a kernel machine", target="")
def kernel_shares(quick: bool) -> Iterator[Row]:
    """Hyperband from 1 to 100 percent beside random search on all rows, of the flights and of made rows."""
    seeds = range(4 if quick else 100)
    for table in [made()] if quick else {table.name: table for table in (flights(), made())}.values():
        task = kernel_machine(table)
        known = fits(task, 4 if quick else 60, rungs(100, 3))
        seconds = _WHOLE * seconds_of_whole(known)
        full = [search(tw.Random(), 100, known, seed, seconds) for seed in seeds]
        ours = [search(tw.Hyperband(), 1, known, seed, seconds) for seed in seeds]
        yield from beside(f"{task.name}, {len(table.y):,} rows", "Hyperband()", ours, full, seconds)


@figure("shares of the rows as steps: Auto beside Bayes on all rows", target="")
def model_shares(quick: bool) -> Iterator[Row]:
    """A kernel machine on made rows, in the time of 20 fits on all of them; both methods have a model."""
    task, seeds = kernel_machine(made()), range(1 if quick else 10)
    seconds = (2 if quick else _WHOLE) * seconds_of_whole(fits(task, 2 if quick else 10, [100]))
    full = [real_search(tw.Bayes(), 100, task, seed, seconds) for seed in seeds]
    ours = [real_search(tw.Auto(), 1, task, seed, seconds) for seed in seeds]
    yield from beside(f"{task.name}, {len(task.table.y):,} rows", "Auto()", ours, full, seconds)


def beside(told: str, method: str, ours: list[Course], full: list[Course], seconds: float) -> Iterator[Row]:
    """The test losses of searches over shares beside those on all rows."""
    name = f"{told}, {seconds:.0f} s of training, {len(ours)} seeds: "
    score = mean_at(full, seconds)
    yield Row(mean_at(ours, seconds), score, name=f"{name}test loss of {method}", target="<= 1 x peer")
    yield Row(mean_at(ours, seconds / 2), score, name=f"{name}that after half of the time", target="<= 1 x peer")
    yield Row(reached(ours, score) / seconds, name=f"{name}share of the time to the same", target="<= 0.5")


# --- a language model ------------------------------------------------------------------------------------------------


@figure("a small GPT, validation loss beside random search at equal tokens", target="", unit="nats")
def language(quick: bool) -> Iterator[Row]:
    """Means over seeds with 95 % intervals; the targets are for the paired differences."""
    seeds, tokens, runs = (range(2), 27 * 256, RUNS) if quick else (range(5), 0, RUNS)
    for method, peer in (("Hyperband()", "random search"), ("PBT(12), default size", "random search, default size")):
        theirs, ours = ([best_loss(name, seed, tokens, runs) for seed in seeds] for name in (peer, method))
        for name, losses in ((peer, theirs), (method, ours)):
            yield Row(interval(losses)[0], name=f"a small GPT, {len(seeds)} seeds, {runs} runs: {told(name, losses)}")
        apart = [mine - other for mine, other in zip(ours, theirs, strict=True)]
        yield Row(interval(apart)[0], name=f"a small GPT: {told(f'{method} less {peer}', apart)}", target="<= 0")


def told(name: str, values: list[float]) -> str:
    """The name with the 95 % interval of the mean."""
    _, low, high = interval(values)
    return f"{name} [{low:.3f}, {high:.3f}]"


@figure("1,000 simulated workers, ASHA, 5,000 full runs in all: LCBench's regret beside 10 workers", target="")
def quality_of_thousand(quick: bool) -> Iterator[Row]:
    """One seed each on four instances at even distances in the list; the regret near 0 is that of few good configs."""
    names, total = (instances()[:1], 100) if quick else (spread_evenly(instances(), 4), 5000)
    many: list[float] = []
    few: list[float] = []
    for name in names:
        for found, workers in ((few, 10), (many, total // 5)):
            _, trace = run(tw.ASHA(), name, workers=workers, most=total)
            found.append(regret(task(name), trace, total))
        yield Row(many[-1], few[-1], f"LCBench, ASHA, {total:,} full runs, {total // 5:,} workers beside 10: {name}")
    told = f"LCBench, ASHA, {total:,} full runs, {total // 5:,} workers beside 10, the mean of {len(names)}"
    yield Row(float(np.mean(many)), float(np.mean(few)), told, "<= 1.1 x peer", "regret")


# --- the time of two workers -----------------------------------------------------------------------------------------

SLEEPERS = {
    "Optuna, 2 threads in memory": ("optuna", "sleeping_optuna.py", "threads"),
    "Optuna, 2 processes on a journal": ("optuna", "sleeping_optuna.py", "processes"),
    "Ray Tune, actors reused": ("ray", "sleeping_ray.py", "-"),
    "Syne Tune, a process a trial": ("syne-tune", "sleeping_syne_tune.py", "-"),
}
"""Environment, program and its first word."""


@figure("share of 2 workers' time that trains under ASHA: 10 ms a step, 81 steps", target="")
def sleeping(quick: bool) -> Iterator[Row]:
    """Beside bare processes that sleep as long, in turns, and then beside the peers. Of ours, each paused trial has a
    checkpoint on disk, and a third of all jobs is more than one step; the others stop trials and save nothing.
    """
    seconds, rounds = ("2", 1) if quick else ("15", 3)
    ours = lambda how: asleep([sys.executable, "-m", "benchmarks.ours.sleeping", how, "0.01", seconds])  # noqa: E731
    hows = ("bare", "reused", "tuned")
    bare, reused, fresh = alternate(rounds, *(partial(ours, how) for how in hows))
    yield Row(reused, bare, "ASHA, 10 ms a step, 2 processes reused: share of their time", ">= 0.9 x peer")
    yield Row(fresh, bare, "ASHA, 10 ms a step, a fresh process a trial: share of their time")
    for name, (environment, script, word) in SLEEPERS.items():
        told = f"ASHA, 10 ms a step, 2 processes reused, beside {name}"
        try:
            longer = seconds if environment == "optuna" or quick else "30"  # their start takes up to ten
            peer = ask_peer(environment, script, word, "0.01", longer)
            error = "" if peer["steps"] else f"no step in {longer} s"
            yield Row(reused, float(peer["share"]), told, ">= 1 x peer", error=error)
        except Exception as error:
            yield Row(None, name=told, error=f"{type(error).__name__}: {error}")


def asleep(command: list[str]) -> float:
    """The share that a program prints."""
    return float(ask(command)["share"])
