"""How good the best config is after 20, 50 and 100 trials, and what a suggestion costs, beside the peers.

Every peer runs at its recommended settings in an environment of its own. What the peers reached is kept in
`benchmarks/peers/quality`, so that only what is missing there is run; TUNEWELL_QUALITY_PEERS=stored runs none of it.
Of ours, a run is made once for each state of the code (`build/quality`). The table, as CSV, and the picture are
written there. By hand, one method on some tasks: `python -m benchmarks.quality_run --help`.

Slow peers run on tasks chosen beforehand, at even distances in the sorted list of names: Optuna's Gaussian process on
12, scikit-optimize and SMAC3 on 8, HEBO on 4 and up to 50 evaluations. Everybody sees the same tasks and seeds; where a
peer has fewer tasks, ours is compared with it on those.
"""

import csv
import math
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.fidelity_runs import instances, regrets
from benchmarks.figures import Row, alternate, ask, ask_peer, figure
from benchmarks.quality_functions import FUNCTIONS, regret_after
from benchmarks.quality_methods import DEFAULT, JUDGED, METHODS, PLAIN, method_of
from benchmarks.quality_noise import offered, reported
from benchmarks.quality_picture import picture
from benchmarks.quality_runs import BUILT, PEERS, Contender, Ours, Peer, fill, missing, play, say
from benchmarks.quality_statistics import clipped, compare, evaluations_to_reach, holm, interval, ranks, task_means
from benchmarks.quality_table import Table, comparisons, complete, curve, lines, means_at, table_of, tasks_of
from benchmarks.tasks import groups, known, spread_evenly, task
from tunewell.study import canonical

MARKS = (20, 50, 100)
TPE = "optuna-tpe"
CURVED = ("Bayes()", "TPE()", "ASHA(TPE())", "ASHA(Bayes())", "Hyperband(TPE())", "Hyperband(Bayes())")
"""What `Auto` stands beside on learning curves."""
MORE = 4
"""Times the seeds of ours where losses are noisy, since luck has a large part in the choice, and our runs are cheap."""


# --- the runs --------------------------------------------------------------------------------------------------------


def ours() -> list[Ours]:
    """Our methods."""
    return [Ours(name, expression) for name, expression in METHODS.items()]


@cache
def measured(group: str, quick: bool) -> Table:
    """The rows of all contenders on a group of tasks; in a quick run on few tasks, with what is kept of the peers."""
    names, seeds = chosen(group, quick), 1 if quick else None
    for contender in ours():
        attempt(contender, names, seeds)
    if not quick and os.environ.get("TUNEWELL_QUALITY_PEERS") != "stored":
        for peer in PEERS:
            attempt(peer, names, seeds)
    return table_of([*ours(), *PEERS], names)


def chosen(group: str, quick: bool) -> list[str]:
    """The tasks of a group, or a few of them."""
    names = tasks_of([group])
    return spread_evenly(names, 1 if group == "live" else max(3, len(names) // 8)) if quick else names


def attempt(contender: Contender, names: Sequence[str], seeds: int | None) -> None:
    """Make the runs that are missing; who cannot run is told and left out."""
    work = missing(contender, names, seeds)
    try:
        if work:
            say(f"{contender.name}: {len(work)} runs")
        fill(contender, work)
    except Exception as error:
        say(f"{contender.name}: {type(error).__name__}: {error}")


def judged(group: str, quick: bool, name: str = JUDGED) -> Table:
    """The rows of a group. Raises LookupError where the method has none."""
    table = measured(group, quick)
    if name not in table:
        method_of(METHODS.get(name, name))
        raise LookupError(f"{name} has no finished run")
    return table


def peers_in(table: Table) -> list[str]:
    """The peers that have runs."""
    return [peer.name for peer in PEERS if peer.name in table]


# --- all public tasks ------------------------------------------------------------------------------------------------


@figure("all public tasks, beside the best peer", target="<= 1 x peer")
def public(quick: bool) -> Iterator[Row]:
    """Mean regret and rank, the corrected p of the paired tests over tasks, and each peer that ran on fewer tasks."""
    table, names = judged("public", quick), chosen("public", quick)
    report(table, names)
    clear = 0
    for mark in MARKS:
        best, rows = against_best(table, names, mark)
        yield from rows
        p = corrected(table, names, mark)[best]
        yield Row(p, name=f"regret at {mark} against {best}: p over tasks, Holm", target="")
        clear += p < 0.05 and bool(rows[0].met)
    yield Row(clear, name="of 20, 50 and 100: ahead of the best peer with p < 0.05", target=">= 2")
    yield from against_partial(table, names)


def against_best(table: Table, names: Sequence[str], mark: int) -> tuple[str, list[Row]]:
    """The best peer of those that ran every task, and the rows of regret and rank."""
    whole = complete(table, names)
    means = means_at(whole, mark, names)
    mean = {name: statistics.fmean(each.values()) for name, each in means.items()}
    rank = {name: statistics.fmean(each) for name, each in ranks(means).items()}
    peers = peers_in(whole)
    if not peers:
        raise LookupError("no peer has run all of these tasks")
    best, first = min(peers, key=mean.__getitem__), min(peers, key=rank.__getitem__)
    regret = Row(mean[JUDGED], mean[best], f"mean regret at {mark}, best peer {best}", "<= 1 x peer")
    return best, [regret, Row(rank[JUDGED], rank[first], f"mean rank of {len(whole)} at {mark}, best peer {first}")]


def corrected(table: Table, names: Sequence[str], mark: int) -> dict[str, float]:
    """The p values against all peers, by Holm's method."""
    found = comparisons(table, JUDGED, mark, names)
    return holm({name: each.p for name, each in found.items() if name in peers_in(table)})


def against_partial(table: Table, names: Sequence[str]) -> Iterator[Row]:
    """The peers that ran some of the tasks, on those."""
    for name in peers_in(table):
        if name not in complete(table, names):
            for mark in MARKS:
                found = comparisons(table, JUDGED, mark, names).get(name)
                if found is not None:
                    yield Row(found.ours, found.theirs, f"regret at {mark} on the {found.tasks} tasks of {name}")


def report(table: Table, names: Sequence[str]) -> None:
    """Print the table, and write it and the picture."""
    say("\n".join(lines(table, names, MARKS, JUDGED)))
    BUILT.mkdir(parents=True, exist_ok=True)
    write_table(BUILT / "table.csv", table, names)
    curves = {name: curve(rows, names) for name, rows in complete(table, names).items()}
    title = f"Mean regret over {len(names)} public tasks (0: best known, 1: median of random)"
    (BUILT / "quality.svg").write_text(picture(curves, title, JUDGED))
    say(f"written: {BUILT / 'table.csv'}, {BUILT / 'quality.svg'}")


def write_table(path: Path, table: Table, names: Sequence[str]) -> None:
    """A line for each contender and mark."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["contender", "evaluations", "tasks", "runs", "regret", "low", "high", "rank", "seconds"])
        for mark in MARKS:
            ranked = ranks(means_at(complete(table, names), mark, names))
            for name, rows in table.items():
                values = list(task_means(rows, mark, names).values())
                if not values:
                    continue  # a slow peer, whose runs are shorter
                rank = f"{statistics.fmean(ranked[name]):.3f}" if name in ranked else ""
                seconds = statistics.fmean(row["seconds"] for row in rows.values())
                cells = [f"{number:.5f}" for number in (statistics.fmean(values), *interval(values))]
                writer.writerow([name, mark, len(values), len(rows), *cells, rank, f"{seconds:.5f}"])


@figure("regret on the mixed public tasks, beside Optuna's TPE", target="")
def mixed(quick: bool) -> Iterator[Row]:
    """Spaces with entries of more than one kind."""
    table, names = judged("public", quick), set(tasks_of(["mixed"]))
    for mark, share in zip(MARKS, ("0.8", "0.65", "0.4"), strict=True):
        found = compare(task_means(table[JUDGED], mark, names), task_means(table[TPE], mark, names))
        name = f"regret at {mark} on {found.tasks} mixed tasks beside Optuna's TPE"
        yield Row(found.ours, found.theirs, name, f"<= {share} x peer")


@figure("evaluations until the regret that a peer has at 100", target="<= 70")
def efficiency(quick: bool) -> Iterator[Row]:
    """The best peer of those that ran every task, and each that ran on fewer."""
    table, names = judged("public", quick), chosen("public", quick)
    whole = complete(table, names)
    best = min(peers_in(whole), key=lambda name: curve(whole[name], names)[100])
    for peer in [best, *(name for name in peers_in(table) if name not in whole)]:
        theirs = task_means(table[peer], 100, names)
        if theirs:
            mine = curve({key: row for key, row in table[JUDGED].items() if key[0] in theirs}, list(theirs))
            name = f"evaluations until the regret of {peer} at 100, {len(theirs)} tasks"
            yield Row(evaluations_to_reach(statistics.fmean(theirs.values()), mine), name=name)


@figure("TPE, regret on all public tasks, beside Optuna's TPE", target="<= 1 x peer")
def parzen(quick: bool) -> Iterator[Row]:
    """At 50 and 100."""
    table, names = judged("public", quick, "TPE"), chosen("public", quick)
    for mark in (50, 100):
        found = compare(task_means(table["TPE"], mark, names), task_means(table[TPE], mark, names))
        yield Row(found.ours, found.theirs, f"TPE, regret at {mark}, beside Optuna's TPE")


@figure("regret on the YAHPO tasks, beside a plain Gaussian process", target="<= 0.9 x peer")
def plain(quick: bool) -> Iterator[Row]:
    """Ours without warp and without other proposers."""
    names, simple = [name for name in chosen("public", quick) if name.startswith("yahpo/")], Ours("plain", PLAIN)
    table = judged("public", quick)
    simple.prepare()
    attempt(simple, names, 1 if quick else None)
    rows = table_of([simple], names)["plain"]
    for mark in MARKS:
        found = compare(task_means(table[JUDGED], mark, names), task_means(rows, mark, names))
        yield Row(found.ours, found.theirs, f"YAHPO, regret at {mark} beside {PLAIN}", None if mark > 20 else "")


@figure("regret at 60 on functions with a known optimum, median of 7 runs", target="")
def acceptance(quick: bool) -> Iterator[Row]:
    """After ten random configs, as the numbers to reach were taken; random search beside it."""
    for name, (_, target) in FUNCTIONS.items():
        for expression in ("Then(Take(10, Random()), Bayes())", "Random()"):
            regrets = [regret_after(expression, name, seed, 60) for seed in range(1 if quick else 7)]
            is_ours = expression != "Random()"
            what = f"{name}, regret at 60" if is_ours else f"{name}, regret at 60 of Random()"
            yield Row(statistics.median(regrets), name=what, target=f"<= {target}" if is_ours else "")
            if is_ours and name == "Hartmann-6":
                share = 100 * statistics.fmean(regret < 0.02 for regret in regrets)
                yield Row(share, name=f"{name}, runs below 0.02", target="" if quick else ">= 30", unit="%")


# --- functions and live training -------------------------------------------------------------------------------------


@figure("regret on BBOB functions and on live training, beside the best peer", target="")
def others(quick: bool) -> Iterator[Row]:
    """At 20, 50 and 100; no targets."""
    for group, name in (("bbob", "BBOB"), ("live", "live training")):
        table, names = judged(group, quick), chosen(group, quick)
        say("\n".join(lines(table, names, MARKS, JUDGED)))
        for mark in MARKS:
            best, rows = against_best(table, names, mark)
            yield Row(rows[0].measured, rows[0].peer, f"{name}, regret at {mark}, best peer {best}")


@figure("many local optima: successes, beside the best of all others", target=">= 1 x peer", unit="%")
def local_optima(quick: bool) -> Iterator[Row]:
    """Rastrigin and BBOB f15 to f24 in 5 and 10 dimensions, 200 evaluations. A run is a success if its best is as good
    as the best of 10,000 random configs.
    """
    table = judged("optima", quick)
    shares = {name: 100 * statistics.fmean(map(is_success, rows.items())) for name, rows in table.items()}
    other = max((name for name in shares if name != JUDGED), key=shares.__getitem__)
    yield Row(shares[JUDGED], shares[other], f"many local optima, successes at 200, next best {other}")
    for name, share in shares.items():
        yield Row(share, name=f"many local optima, successes at 200: {name}", target="")


def is_success(item: tuple[tuple[str, int], Mapping[str, float]]) -> bool:
    """Whether a run found what one random config of 10,000 does."""
    (name, _), row = item
    return row["r200"] <= known()[name]["success"]


# --- noise -----------------------------------------------------------------------------------------------------------


@figure("noise of half the spread: true regret of the reported best", target="<= 0.8 x peer")
def noise(quick: bool) -> Iterator[Row]:
    """After 100 evaluations, replicates included, of what a user has: `Auto`, which confirms its finalists. Each peer
    is offered the same, and has the better of that and of its own rule.
    """
    judged("noisy", quick, DEFAULT)
    names = chosen("noisy", quick)
    mine = Ours(DEFAULT, METHODS[DEFAULT], factor=1 if quick else MORE)
    attempt(mine, names, 1 if quick else None)
    ours = reported(mine, names)
    both = {peer.name: compare(ours, found, level=0.9) for peer in PEERS if (found := offered(peer, names))}
    best = max(both, key=lambda name: both[name].ratio)
    for name, each in both.items():
        what = f"with noise, true regret at 100 beside {name}, {each.tasks} tasks"
        yield Row(each.ours, each.theirs, what, None if name == best else "")
    upper = f"with noise, regret over that of {best}: upper end of the 90 % interval"
    yield Row(both[best].high, name=upper, target="<= 1")


# --- eight workers ---------------------------------------------------------------------------------------------------


@figure("8 asynchronous workers, regret at 96, beside one after the other", target="<= 1.2 x peer")
def workers(quick: bool) -> Iterator[Row]:
    """Simulated workers that end in random order. Proposals that repeat a config are counted where a config has a
    continuous entry, so that there is always another one.
    """
    eight, repeats = with_workers(METHODS[JUDGED], 8, quick)
    one, _ = with_workers(METHODS[JUDGED], 1, quick)
    yield Row(eight, one, "8 asynchronous workers, regret at 96")
    yield Row(repeats, name="8 asynchronous workers, proposals that repeat", target="<= 0")


@cache
def with_workers(expression: str, count: int, quick: bool) -> tuple[float, int]:
    """The mean regret after 96 evaluations with so many workers, on 8 tasks, and the number of repeated configs."""
    method_of(expression)
    names = spread_evenly([name for name in groups()["public"] if is_continuous(name)], 2 if quick else 8)
    work = [(expression, name, seed, count) for name in names for seed in range(1 if quick else 3)]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(at_96, *zip(*work, strict=True)))
    return statistics.fmean(regret for regret, _ in found), sum(repeats for _, repeats in found)


def is_continuous(name: str) -> bool:
    """Whether a space has a continuous entry without condition."""
    return any(parameter.kind == "float" and not parameter.when for parameter in task(name).problem.params)


def at_96(expression: str, name: str, seed: int, count: int) -> tuple[float, int]:
    """The clipped regret after 96 evaluations, and how many configs were there before."""
    trace = play(expression, name, seed, 96, workers=count)
    return clipped(trace.regrets(task(name))[-1]), len(trace.configs) - len(set(map(canonical, trace.configs)))


# --- what is used when nothing is said -------------------------------------------------------------------------------


@figure("Auto, regret beside the best single method of ours", target="<= 1.05 x peer")
def auto(quick: bool) -> Iterator[Row]:
    """In each stratum: few evaluations, conditional spaces, noise, 8 workers, learning curves."""
    if "Auto" not in METHODS:
        raise LookupError("Auto is not among benchmarks.quality_methods.METHODS")
    conditional = [name for name in chosen("public", quick) if is_conditional(name)]
    yield beside_singles("25 evaluations", kept_means("public", 25, chosen("public", quick), quick))
    yield beside_singles("conditional spaces, 100 evaluations", kept_means("public", 100, conditional, quick))
    measured("noisy", quick)
    noisy = {each.name: mean_of(reported(each, chosen("noisy", quick))) for each in ours()}
    yield beside_singles("noise, 100 evaluations", noisy)
    eight = {each.name: with_workers(each.expression, 8, quick)[0] for each in ours()}
    yield beside_singles("8 workers, 96 evaluations", eight)
    yield beside_singles("learning curves, 20 full runs", with_curves(quick))


def with_curves(quick: bool) -> dict[str, float]:
    """The mean regret of our methods on LCBench, of those that stop trials early too, at 20 full-run equivalents."""
    names = spread_evenly(instances(), 1 if quick else 8)
    found = {}
    for expression in ("Auto()", *CURVED):
        name = expression.removesuffix("()")
        found[name] = regrets(method_of(expression), names, 1 if quick else 3, budgets=(20,))[-1]
    return found


def is_conditional(name: str) -> bool:
    """Whether a space has entries with a condition."""
    return any(parameter.when for parameter in task(name).problem.params)


def kept_means(group: str, mark: int, names: Sequence[str], quick: bool) -> dict[str, float]:
    """The mean regret of each of our methods on some tasks of a group."""
    table = judged(group, quick, "Auto")
    return {name: mean_of(task_means(table[name], mark, names)) for name in METHODS if name in table}


def mean_of(means: Mapping[str, float]) -> float:
    """The mean over tasks; not a number where there is none."""
    return statistics.fmean(means.values()) if means else math.nan


def beside_singles(stratum: str, means: Mapping[str, float]) -> Row:
    """Auto beside the best of the others."""
    best = min((name for name in means if name != "Auto"), key=means.__getitem__)
    return Row(means["Auto"], means[best], f"Auto, {stratum}, beside {best}")


# --- seconds ---------------------------------------------------------------------------------------------------------


@figure("a suggestion, 10 mixed entries, beside Optuna's GPSampler, CPU", target="", unit="s")
def seconds(quick: bool) -> Iterator[Row]:
    """In turns; after the results of 50, 200 and 500 random configs."""
    for results, target in ((50, "<= 0.3 x peer"), (200, "<= 0.3 x peer"), (500, "<= 0.25 x peer")):
        if not quick or results == 50:
            mine, peer = side_by_side(METHODS[JUDGED], "gp", results, quick)
            yield Row(mine, peer, f"a suggestion after {results} results, beside Optuna's GPSampler", target)


@figure("a suggestion of TPE, 10 mixed entries, beside Optuna's TPE, CPU", target="", unit="s")
def parzen_seconds(quick: bool) -> Iterator[Row]:
    """In turns; after the results of 100, 1,000 and 10,000 random configs."""
    for results, target in ((100, "<= 0.25 x peer"), (1000, "<= 0.15 x peer"), (10_000, "<= 0.1 x peer")):
        if not quick or results == 100:
            mine, peer = side_by_side(METHODS["TPE"], "tpe", results, quick)
            yield Row(mine, peer, f"a suggestion of TPE after {results:,} results, beside Optuna's TPE", target)


@figure("a suggestion after many results, 10 mixed entries, CPU", target="", unit="s")
def many_results(quick: bool) -> Iterator[Row]:
    """One thread. Of the model alone: half of the proposals are TPE's by then, and the median would be theirs."""
    for results, target in ((1000, "<= 0.6"), (10_000, "<= 1")):
        if not quick or results == 1000:
            taken = of_ours("Bayes(share=0.0)", results, 5)
            yield Row(taken, name=f"a suggestion of the model after {results:,} results", target=target)


def side_by_side(expression: str, kind: str, results: int, quick: bool) -> list[float]:
    """Seconds of ours and of Optuna's, medians of three rounds in turns."""
    method_of(expression)
    peer = next(each for each in PEERS if each.name == f"optuna-{kind}")
    peer.prepare()
    assert isinstance(peer, Peer)
    times = 2 if quick else 5
    words = ("quality_seconds.py", kind, str(results), str(times))
    theirs: Callable[[], Any] = lambda: ask_peer(peer.environment, *words)  # noqa: E731
    return alternate(1 if quick else 3, lambda: of_ours(expression, results, times), theirs)


def of_ours(expression: str, results: int, times: int) -> float:
    """Seconds of ours, in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.quality_seconds", expression, str(results), str(times)]
    return float(ask(command))
