"""The figures of the core: what tunewell costs beside the training it drives, and what it keeps when it is killed."""

import json
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, alternate, ask, ask_peer, cpu_seconds, figure, import_seconds, medians
from benchmarks.killing import NAMES, Launcher, Report, campaign, joined, together
from benchmarks.postgres import server

# --- the time of two workers -----------------------------------------------------------------------------------------

WORKERS = (
    ("10 ms a step, a fresh process a trial, the next one started ahead", 0.010, "fresh", False, ">= 0.88 x peer"),
    ("10 ms a step, a cold start a trial", 0.010, "cold", False, ""),
    ("1 ms a step, workers reused", 0.001, "reused", False, ">= 0.85 x peer"),
    ("1 ms a step, workers reused, flush() each step", 0.001, "reused", True, ">= 0.6 x peer"),
)


@figure("share of 2 workers' time that trains: 81 steps a trial, a report each, SQLite", target="")
def workers(quick: bool) -> Iterator[Row]:
    """Beside two bare processes that sleep as long, in turns with them."""
    for name, step, how, flush, target in WORKERS:
        trials = 4 if quick else round(0.1 / step) + 10
        settings = {"step": step, "trials": trials, "how": how, "flush": flush}
        bare = settings | {"how": "bare", "trials": trials // 4 * 2}
        rounds = 1 if quick else 3 if step < 0.01 else 2
        ours, peer = alternate(rounds, partial(useful, settings), partial(useful, bare))
        yield Row(ours, peer, f"useful time of 2 workers: {name}", target)


def useful(settings: dict[str, Any]) -> float:
    """The share of two workers' time, in a process of its own."""
    return float(ours("useful", json.dumps(settings)))


def ours(program: str, *words: str) -> Any:
    """What a program of `benchmarks/ours` prints, as JSON; like the peers' programs, it is a process of its own."""
    return ask([sys.executable, "-m", f"benchmarks.ours.{program}", *words])


# --- one trial -------------------------------------------------------------------------------------------------------


@figure("random search, inline, in memory, 10 mixed entries", target="<= 0.3 x peer", unit="us")
def random_search(quick: bool) -> Iterator[Row]:
    """Seconds per trial around trials number 100 and 10,000, beside Optuna's RandomSampler, in turns."""
    size = "--quick" if quick else "--full"
    taken = medians(
        1 if quick else 3,
        lambda: flat(ours("random_search", size)),
        lambda: flat(ask_peer("optuna", "optuna_random.py", size)),
    )
    mine, peer = taken
    for trials in ("100", "10000"):
        for clock in ("wall", "cpu"):
            key = f"{trials} {clock}"
            name = f"random search in memory, a trial, at {int(trials):,} trials, {clock}"
            yield Row(mine[key] * 1e6, peer[key] * 1e6, name)
    for clock, target in (("wall", ""), ("cpu", "<= 1.2")):
        growth, theirs = (each[f"10000 {clock}"] / each[f"100 {clock}"] for each in taken)
        name = f"random search in memory, a trial, at 10,000 over at 100 trials, {clock}"
        yield Row(growth, theirs, name, target, "")


def flat(nested: dict[str, dict[str, float]]) -> dict[str, float]:
    """`{"100 wall": ...}` from `{"100": {"wall": ...}}`."""
    return {f"{outer} {inner}": value for outer, some in nested.items() for inner, value in some.items()}


@figure("a trial of 10 entries and 10 reports, SQLite", target="", unit="ms")
def storage(quick: bool) -> Iterator[Row]:
    """Beside Optuna on SQLite in the same folder, in turns; then the same on a disk in memory."""
    with tempfile.TemporaryDirectory() as disk:
        kill, full, peer = trial_times(quick, Path(disk), "kill", "full")
        name = "a trial of 10 entries and 10 reports, SQLite"
        yield Row(kill["wall"], peer["wall"], f"{name}, survives kill -9", "<= 1/40 x peer and <= 3")
        yield Row(full["wall"], peer["wall"], f"{name}, survives power loss", "<= 1/5 x peer")
        yield Row(kill["cpu"], peer["cpu"], f"{name}, survives kill -9, CPU", "")
    if not Path("/dev/shm").is_dir():
        return
    with tempfile.TemporaryDirectory(dir="/dev/shm") as memory:
        kill, peer = trial_times(quick, Path(memory), "kill")
        yield Row(kill["wall"], peer["wall"], f"{name} on a disk in memory", "<= 1/8 x peer")


def trial_times(quick: bool, folder: Path, *durabilities: str) -> list[dict[str, float]]:
    """Milliseconds of a trial, ours in each durability and Optuna's, wall and CPU."""

    def path() -> str:
        return str(folder / f"{secrets.token_hex(4)}.db")

    def one(durability: str) -> dict[str, float]:
        return milliseconds(ours("storage", path(), "9" if quick else "99", durability))

    def peer() -> dict[str, float]:
        return milliseconds(ask_peer("optuna", "optuna_storage.py", path(), "3" if quick else "9"))

    return medians(1 if quick else 5, *(partial(one, durability) for durability in durabilities), peer)


def milliseconds(seconds: dict[str, float]) -> dict[str, float]:
    """The same in milliseconds."""
    return {key: value * 1e3 for key, value in seconds.items()}


# --- a large study, and the start ------------------------------------------------------------------------------------


@figure("opening 100,000 trials of 10 reports, and `best`", target="", unit="s")
def opening(quick: bool) -> Iterator[Row]:
    """In fresh processes, imports apart; the median of three. The number of trials is a hundredth in a quick run."""
    for block, how, targets in ((10, "", ("<= 3", "<= 500")), (1, ", each report an event of its own", ("", ""))):
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "study.db")
            ours("opening", "make", path, "1000" if quick else "100000", str(block))
            (taken,) = medians(1 if quick or block == 1 else 3, lambda: ours("opening", "open", path))  # noqa: B023
            name = f"opening 100,000 trials of 10 reports{how}"
            yield Row(taken["seconds"], name=f"{name}, and `best`", target=targets[0])
            yield Row(taken["cpu"], name=f"{name}, and `best`, CPU", target="")
            yield Row(taken["megabytes"], name=f"{name}, memory", target=targets[1], unit="MB")


@figure("import tunewell, beside import numpy", target="<= 1.3 x peer", unit="s")
def import_time(quick: bool) -> Row:
    """Fresh processes in turns; the interpreter's own start is not counted."""
    mine, numpy = alternate(3 if quick else 11, lambda: import_seconds("tunewell"), lambda: import_seconds("numpy"))
    return Row(mine, numpy)


@figure("tunewell --help, CPU", target="<= 250", unit="ms")
def help_time(quick: bool) -> Row:
    """The whole process, from the start of the interpreter to its end."""
    command = [str(Path(sys.executable).parent / "tunewell"), "--help"]
    (seconds,) = alternate(3 if quick else 11, lambda: cpu_seconds(command))
    return Row(seconds * 1e3)


# --- what survives ---------------------------------------------------------------------------------------------------


@figure("kill -9", target="<= 0", unit="faults")
def killed(quick: bool) -> Iterator[Row]:
    """A hundred random moments for each victim, on both stores at the same time."""
    moments = 3 if quick else 100
    for victim, name in NAMES.items():
        work = partial(campaign, victim=victim, moments=moments, seed=secrets.randbits(32))
        yield from on_both_stores(f"kill -9 of {name} at {moments} random moments", work)


@figure("8 processes tune one study together, one is killed", target="<= 0", unit="faults")
def eight(quick: bool) -> Iterator[Row]:
    """Ten studies on each store."""
    rounds = 1 if quick else 10

    def work(launcher: Launcher, store: str, folder: Path) -> Report:
        return joined([together(launcher, store, folder, seed=secrets.randbits(32)) for _ in range(rounds)])

    yield from on_both_stores(f"8 processes tune one study together, one is killed, {rounds} x", work)


def on_both_stores(name: str, work: Callable[[Launcher, str, Path], Report]) -> Iterator[Row]:
    """The faults that `work` finds on SQLite and on PostgreSQL."""

    def faults(place: tuple[str, str]) -> Row:
        kind, store = place
        with tempfile.TemporaryDirectory() as folder, Launcher() as launcher:
            report = work(launcher, store or str(Path(folder) / "tune.db"), Path(folder))
        for fault in report.faults:
            print(f"{name}, {kind}, seed {report.seed}: {fault}", file=sys.stderr)
        return Row(len(report.faults), name=f"{name}, {kind}")

    with server() as address, ThreadPoolExecutor() as threads:
        yield from threads.map(faults, [("SQLite", ""), ("PostgreSQL", address)])


# --- methods ---------------------------------------------------------------------------------------------------------


# --- methods ---------------------------------------------------------------------------------------------------------


@figure("coarse to fine on the public tasks, beside random search at equal trials", target="<= 1 x peer", unit="regret")
def coarse_to_fine(quick: bool) -> Iterator[Row]:
    """Mean regret: 0 the best known value, 1 the median of random search; then the share of runs won, a draw a half.

    At 25 trials the coarse part has just ended, so that there is nothing to judge yet.
    """
    from benchmarks.zoom import public_tasks

    table = public_tasks(quick)
    for method in ("Zoom(Grid)", "Then(Grid, Sobol)"):
        for trials, regret in table[method]["regret"].items():
            random, target = table["Random"]["regret"][trials], "" if trials == 25 else None
            yield Row(regret, random, f"{method} against random, regret at {trials} trials", target)
            won, name = table[method]["wins"][trials] * 100, f"{method} against random, runs won at {trials} trials"
            yield Row(won, name=name, target="", unit="%")


@figure("Zoom(Grid), an optimum outside of the first narrowing is found again, 100 seeds", target=">= 95", unit="%")
def planted(quick: bool) -> Iterator[Row]:
    """For each kind of landscape."""
    from benchmarks.zoom import planted_optimum

    for kind, share in planted_optimum(quick).items():
        yield Row(share * 100, name=f"Zoom(Grid) finds an optimum outside of its first narrowing: {kind}")


@figure("proposing with 100,000 finished jobs, beside the cost at 100", target="<= 1.5 x peer", unit="us")
def proposing(quick: bool) -> Iterator[Row]:
    """CPU of a proposal, its check against the space included."""
    for method, (few, many) in ours("proposing", "2000" if quick else "100000").items():
        yield Row(many * 1e6, few * 1e6, f"{method}: proposing with 100,000 finished jobs, beside the cost at 100, CPU")
