"""Runs of multi-fidelity methods, ours and the peers', on LCBench's curves, and the CSV files that keep them.

A peer is a program in an environment of its own, asked and told, with one simulated worker: it says which config it
trains until which epoch, and pays for the epochs that this config has not been trained yet. So whoever trains anew what
it promotes (SMAC3, DEHB) is spared the price of that. Optuna and Syne Tune's stopping rules see every epoch, and have
nothing to resume. Each peer's halving runs from its default lowest rung, an epoch, and from two, as ours does here.

The peers' rows lie in `benchmarks/peers/fidelity/NAME-VERSION.csv`, ours in `build/fidelity`, named by the method and a
digest of the code: task, seed, CPU seconds of all proposals (of ours those of the whole run), and the regret at each
budget. By hand, to make what is missing: `python -m benchmarks.fidelity_peers NAME ... [--seeds N]`.
"""

import argparse
import json
import os
import re
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tunewell as tw
from benchmarks.fidelity_runs import BUDGETS, EPOCHS, instances, loss_of, regret, run
from benchmarks.figures import FOLDER, ONE_THREAD
from benchmarks.quality_runs import Peer, Program, Work, code, keep, rows_of, say
from benchmarks.tasks import task, told
from dev import ROOT

KEPT = FOLDER / "peers" / "fidelity"
BUILT = ROOT / "build" / "fidelity"
MARKS = tuple(f"r{budget}" for budget in BUDGETS)
COLUMNS = ("task", "seed", "seconds", *MARKS)
JOBS = 130
"""About as many jobs as 20 full runs pay for in Hyperband; SMAC3 is told, and sizes its initial design by it."""
QUESTIONS = 20_000
"""So many answers a run gets at most, since those that cost nothing would never end it."""

Regrets = dict[Work, list[float]]
"""The regret at each budget, by task and seed."""


@dataclass
class Account:
    """What a run of one worker has spent, in epochs, and its (full runs, loss) of each result at the last epoch."""

    name: str
    spent: int
    reached: dict[str, int]
    trace: list[tuple[float, float]]
    questions: int = 0

    def train(self, config: Mapping[str, Any], since: int, until: int) -> list[float] | None:
        """The losses after these epochs, of which only new ones are paid for; None where the budget ends before."""
        key = json.dumps(dict(config), sort_keys=True)
        before = self.reached.get(key, 0)
        self.spent += max(0, until - before)
        self.reached[key] = max(before, until)
        self.questions += 1
        if self.spent > BUDGETS[-1] * EPOCHS or self.questions > QUESTIONS:
            return None
        losses = [loss_of(self.name, config, epoch) for epoch in range(since + 1, until + 1)]
        if until == EPOCHS:
            self.trace.append((self.spent / EPOCHS, losses[-1]))
        return losses

    def row(self, seed: int, seconds: float) -> dict[str, str]:
        """The row of the CSV."""
        return row_of(self.name, seed, seconds, self.trace)


def row_of(name: str, seed: int, seconds: float, trace: Sequence[tuple[float, float]]) -> dict[str, str]:
    """The row of a run."""
    found = {f"r{budget}": f"{regret(task(name), trace, budget):.5g}" for budget in BUDGETS}
    return {"task": name, "seed": str(seed), "seconds": f"{seconds:.4g}", **found}


class Curves(Program):
    """A peer's program that asks for points of learning curves."""

    def train(self, name: str, seed: int) -> dict[str, str]:
        """The row of one run. Raises RuntimeError with the end of what the program said where it breaks."""
        account, seconds = Account(name, 0, {}, []), 0.0
        parameters = [told(parameter) for parameter in task(name).problem.params]
        message = self.say({"parameters": parameters, "seed": seed, "epochs": EPOCHS, "jobs": JOBS})
        while "end" not in message:
            seconds += message["cpu"]
            losses = account.train(message["config"], message["since"], message["until"])
            message = self.say({"over": True} if losses is None else {"losses": losses})
        return account.row(seed, seconds)


# --- who is compared -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tool(Peer):
    """A peer on learning curves; `most` is the number of seeds for which it has the time."""

    @property
    def path(self) -> Path:
        """Named by the version."""
        return KEPT / f"{self.name}-{self.version}.csv"

    def fill(self, work: Sequence[Work]) -> None:
        """Make these runs, one after the other, and keep each as it ends."""
        self.prepare()
        script = FOLDER / "peers" / self.words[0]
        program = Curves((str(self.home.python), str(script), *self.words[1:]))
        try:
            for name, seed in work:
                keep(self.path, program.train(name, seed), COLUMNS)
        finally:
            program.close()


@dataclass(frozen=True)
class Ours:
    """A method of ours."""

    name: str
    method: tw.Method
    most: int | None = None

    @property
    def path(self) -> Path:
        """Named by the method and the code."""
        words = re.sub(r"[^\w=.]+", "-", self.name).strip("-")
        return BUILT / f"{words}-{code()}.csv"

    def fill(self, work: Sequence[Work]) -> None:
        """Make these runs, one after the other, and keep each as it ends."""
        for name, seed in work:
            began = time.process_time()
            _, trace = run(self.method, name, seed=seed)
            keep(self.path, row_of(name, seed, time.process_time() - began, trace), COLUMNS)


Contender = Tool | Ours

SEEDS = 10
SLOW = 3
"""The seeds of peers that take minutes a run."""

TOOLS = (
    Tool("syne-tune-asha-1", "syne-tune", "syne-tune", ("fidelity_syne_tune.py", "asha", "1")),
    Tool("syne-tune-asha-2", "syne-tune", "syne-tune", ("fidelity_syne_tune.py", "asha", "2")),
    Tool("dehb-1", "dehb", "dehb", ("fidelity_dehb.py", "1")),
    Tool("dehb-2", "dehb", "dehb", ("fidelity_dehb.py", "2")),
    Tool("optuna-hyperband-1", "optuna-quality", "optuna", ("fidelity_optuna.py", "1")),
    Tool("optuna-hyperband-2", "optuna-quality", "optuna", ("fidelity_optuna.py", "2")),
    Tool("smac-1", "smac", "smac", ("fidelity_smac.py", "1"), most=SLOW),
    Tool("smac-2", "smac", "smac", ("fidelity_smac.py", "2"), most=SLOW),
    Tool("syne-tune-mobster-1", "syne-tune", "syne-tune", ("fidelity_syne_tune.py", "mobster", "1"), most=SLOW),
    Tool("syne-tune-mobster-2", "syne-tune", "syne-tune", ("fidelity_syne_tune.py", "mobster", "2"), most=SLOW),
)
"""The peers, the cheap ones first; the number is the lowest rung, in epochs."""


def missing(contender: Contender, names: Sequence[str], seeds: int) -> list[Work]:
    """The runs that have no row yet: the first seed of every task, then the second."""
    have = rows_of(contender.path)
    seeds = seeds if contender.most is None else min(seeds, contender.most)
    return [(name, seed) for seed in range(seeds) for name in names if (name, seed) not in have]


def kept(contender: Contender) -> Regrets:
    """The runs that have a row."""
    return {work: [row[mark] for mark in MARKS] for work, row in rows_of(contender.path).items()}


def attempt(contender: Contender, names: Sequence[str], seeds: int) -> None:
    """Make the runs that are missing, as many seeds as it has the time for; who cannot run is told and left out."""
    work = missing(contender, names, seeds)
    try:
        if work:
            say(f"{contender.name}: {len(work)} runs")
            contender.fill(work)
    except Exception as error:
        say(f"{contender.name}: {type(error).__name__}: {error}")


def common(several: Sequence[Regrets]) -> list[Regrets]:
    """The runs that all have."""
    works = [work for work in several[0] if all(work in runs for runs in several)]
    return [{work: runs[work] for work in works} for runs in several]


def main(arguments: Sequence[str] | None = None) -> int:
    """Make what peers lack."""
    line = argparse.ArgumentParser(prog="python -m benchmarks.fidelity_peers", description="Runs of peers, by hand.")
    line.add_argument("names", nargs="*", metavar="NAME", help=f"which: {', '.join(tool.name for tool in TOOLS)}")
    line.add_argument("--seeds", type=int, default=SEEDS, metavar="N", help="the first N seeds of every task")
    options = line.parse_args(arguments)
    for tool in TOOLS:
        if tool.name in options.names or not options.names:
            attempt(tool, instances(), options.seeds)
    return 0


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        environment = os.environ | ONE_THREAD
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.fidelity_peers", *sys.argv[1:]], environment)
    sys.exit(main())
