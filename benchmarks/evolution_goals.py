"""Evolution with several goals: how much of the space its front covers, and the time of a proposal beside Optuna's.

ZDT1, ZDT2 and ZDT3: E. Zitzler, K. Deb, L. Thiele, Evolutionary Computation 8, 2000; 30 numbers, populations of 100.
Their optimum lies at the end of 29 ranges, which helps an operator that stops at the ends; "moved" has it at 0.4.
"""

import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from benchmarks.figures import FOLDER, Row, figure
from benchmarks.quality_runs import Program
from dev import ROOT, Environment
from tunewell.contract.methods import new_study, propose
from tunewell.methods.nsga2 import NSGA2
from tunewell.space import Float, Space
from tunewell.study import Act, Result, Study
from tunewell.surrogates.hypervolume import hypervolume

WIDTH = 30
SPACE = Space({f"x{number}": Float(0.0, 1.0) for number in range(WIDTH)})
REACHED = {1: 0.870, 2: 0.536, 3: 1.328}
"""The hypervolumes of pymoo's NSGA-II after 25,000 evaluations, reference point (1.1, 1.1)."""
MARKS = (1000, 5000)
Problem = Callable[[Sequence[float]], tuple[float, float]]


def zdt(number: int, optimum: float = 0.0) -> Problem:
    """A function of 30 numbers from 0 to 1 with two losses; all numbers but the first have their best at `optimum`."""

    def losses(x: Sequence[float]) -> tuple[float, float]:
        first = x[0]
        far = 1 + 9 * statistics.fmean(abs(value - optimum) for value in x[1:])
        share = first / far
        if number == 2:
            return first, far * (1 - share**2)
        wave = share * math.sin(10 * math.pi * first) if number == 3 else 0.0
        return first, far * (1 - math.sqrt(share) - wave)

    return losses


def opened(seed: int) -> Study:
    """A study of two goals."""
    study = new_study(SPACE, seed=seed)
    study.commit(Act("change", {"goals": [{"metric": "first"}, {"metric": "second"}]}))
    return study


def play(study: Study, losses: Problem, trials: int) -> list[float]:
    """One trial after the other; returns the seconds of each proposal."""
    seconds, method = [], NSGA2(population=100)
    for _ in range(trials):
        start = time.perf_counter()
        job = propose(method, study)
        seconds.append(time.perf_counter() - start)
        assert job is not None
        job = study.start(job)
        study.commit(job)
        first, second = losses(list(job.config.values()))
        study.commit(Result(job.id, "done", {"first": first, "second": second}, step=1))
    return seconds


def covered(study: Study) -> tuple[float, float]:
    """The hypervolume of the population, as papers give it; and that of all that was measured."""
    members = NSGA2(population=100)._known(study).parents()
    every = np.array([[result.metrics["first"], result.metrics["second"]] for result in study.results.values()])
    reference = np.array([1.1, 1.1])
    return hypervolume(np.array([one.losses for one in members]), reference), hypervolume(every, reference)


@figure("hypervolume after 25,000 evaluations", target=">= 0.997 x peer")
def volumes(quick: bool) -> Iterator[Row]:
    """The median of three seeds."""
    seeds, trials = (1, 1000) if quick else (3, 25_000)
    for number, peer in REACHED.items():
        found = []
        for seed in range(seeds):
            study = opened(seed)
            play(study, zdt(number), trials)
            found.append(covered(study))
        population, every = (statistics.median(column) for column in zip(*found, strict=True))
        yield Row(population, peer, f"ZDT{number}, the population's hypervolume after {trials:,}")
        yield Row(every, name=f"ZDT{number}, that of all {trials:,} trials", target="")
    study = opened(0)
    play(study, zdt(1, 0.4), trials)
    yield Row(covered(study)[0], name=f"ZDT1 moved to the inside, the population after {trials:,}", target="")


@figure("a proposal beside Optuna's NSGA-II", target="<= 0.3 x peer", unit="ms")
def proposals(quick: bool) -> Iterator[Row]:
    """The mean wall clock of the hundred proposals up to each mark, on ZDT1."""
    marks = (200, 400) if quick else MARKS
    ours, theirs = play(opened(0), zdt(1), marks[-1]), optuna_seconds(marks[-1])
    for mark, share in zip(marks, ("0.3", "0.15"), strict=True):
        mine, peer = (1e3 * statistics.fmean(seconds[mark - 100 : mark]) for seconds in (ours, theirs))
        yield Row(mine, peer, f"a proposal at {mark:,} trials", target=f"<= {share} x peer")


def optuna_seconds(trials: int) -> list[float]:
    """The seconds of each suggestion of Optuna's sampler."""
    home = Environment(ROOT / ".venvs" / "optuna-quality")
    home.install(FOLDER / "peers" / "optuna-quality.txt")
    program = Program([str(home.python), str(FOLDER / "peers" / "quality_optuna_goals.py"), "nsga2"])
    floats = [
        {"name": f"x{number}", "kind": "float", "low": 0.0, "high": 1.0, "log": False, "when": []}
        for number in range(WIDTH)
    ]
    message = program.say({"parameters": floats, "seed": 0, "trials": trials, "goals": 2})
    seconds, losses = [], zdt(1)
    while "end" not in message:
        seconds.append(message["wall"])
        config = message["config"]
        message = program.say({"losses": losses([config[f"x{number}"] for number in range(WIDTH)])})
    return seconds


@figure("a proposal at 100,000 trials", target="<= 1.5 x peer", unit="ms")
def growth(quick: bool) -> Row:
    """The mean of a thousand proposals, beside those up to the thousandth child of a full population."""
    trials = 4000 if quick else 100_000
    seconds = play(opened(0), zdt(1), trials)
    late, early = (1e3 * statistics.fmean(some) for some in (seconds[-1000:], seconds[1000:2000]))
    return Row(late, early, f"a proposal at {trials:,} trials, beside the second thousand")
