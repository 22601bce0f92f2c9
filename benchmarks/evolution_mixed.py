"""COCO's mixed-integer functions: how many evaluations CMA-ES of ours and of the peers takes to reach targets.

Six functions, two of them separable, at least one of each group of BBOB, in 5 and 10 dimensions, of which four in five
are integers of 2, 4, 8 and 16 values; five instances; 100 evaluations a dimension. The expected running time of a
target is what all runs spent until they reached it, or in vain, divided by the number that did (Hansen et al., COCO,
2021, section 3). One that no run of a tool reached, but some other tool, counts as if half a run had.
"""

import math
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import FOLDER
from benchmarks.quality_runs import Alone, Program
from benchmarks.tasks import data_folder, load, space_of, told
from dev import ROOT
from tunewell.contract.methods import Player, new_study
from tunewell.space import Config

FUNCTIONS = (1, 3, 8, 10, 15, 21)
"""Sphere, Rastrigin, Rosenbrock, a rotated ellipsoid, a rotated Rastrigin, Gallagher's 101 peaks."""
DIMENSIONS = (5, 10)
INSTANCES = (1, 2, 3, 4, 5)
SEEDS = 3
BUDGET = 100
TARGETS = tuple(10.0**power for power in (2, 1.5, 1, 0.5, 0, -0.5, -1, -2))
"""What is left to the optimum."""

PEERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "cmaes, margin": ("optuna-quality", ("mixed_cmaes.py", "margin")),
    "cmaes, CatCMA with margin": ("optuna-quality", ("mixed_cmaes.py", "catcma")),
    "pycma": ("nevergrad", ("mixed_pycma.py",)),
    "Nevergrad, NGOpt": ("nevergrad", ("quality_nevergrad.py",)),
}
"""The environment and the program of each."""
SLOW = ("Nevergrad, NGOpt",)
"""Has one seed: a run takes it 20 seconds."""

Losses = Mapping[tuple[int, int, int, int], Sequence[float]]
"""By function, dimension, instance and seed: what is left to the optimum, evaluation by evaluation."""


@cache
def problem(function: int, dimension: int, instance: int) -> Any:
    """One function."""
    return load(data_folder(), f"bbob/bbob-mixint/{function}/{dimension}/{instance}")


def work(quick: bool, seeds: int = SEEDS) -> list[tuple[int, int, int, int]]:
    """All runs of a tool."""
    if quick:
        return [(1, 5, 1, 0)]
    return [(f, d, i, s) for f in FUNCTIONS for d in DIMENSIONS for i in INSTANCES for s in range(seeds)]


def ours(method: tw.Method, quick: bool) -> Losses:
    """The runs of a method of ours."""
    found: dict[tuple[int, int, int, int], Sequence[float]] = {}
    for run in work(quick):
        of, losses = problem(*run[:3]), list[float]()

        def loss(config: Config, step: int, of: Any = of, losses: list[float] = losses) -> float:
            losses.append(float(of.loss(of.evaluate(config))) - of.best)
            return losses[-1]

        study = new_study(space_of(of.params), seed=100 * run[2] + run[3], trials=BUDGET * run[1])
        Player(method, loss).play(study)
        found[run] = losses
    return found


def peer(name: str, quick: bool) -> Losses:
    """The runs of a peer, in its environment."""
    environment, (script, *words) = PEERS[name]
    home = Alone(ROOT / ".venvs" / environment)
    home.install(FOLDER / "peers" / f"{environment}.txt")
    program = Program((str(home.python), str(FOLDER / "peers" / script), *words))
    try:
        return {run: _asked(program, run) for run in work(quick, 1 if name in SLOW else SEEDS)}
    finally:
        program.close()


def _asked(program: Program, run: tuple[int, int, int, int]) -> Sequence[float]:
    of, losses = problem(*run[:3]), []
    order = {"seed": 100 * run[2] + run[3], "trials": BUDGET * run[1], "bad": 1e9}
    message = program.say({"parameters": [told(each) for each in of.params], **order})
    while "end" not in message:
        losses.append(float(of.loss(of.evaluate(message["config"]))) - of.best)
        message = program.say({"loss": losses[-1]})
    return losses


def running_times(losses: Losses) -> dict[tuple[int, int, float], float]:
    """The expected running time of each target, by function and dimension; infinite where no run reached it."""
    found = {}
    for function, dimension in dict.fromkeys(run[:2] for run in losses):
        runs = [np.array(some) for run, some in losses.items() if run[:2] == (function, dimension)]
        for target in TARGETS:
            hits = [np.flatnonzero(some <= target) for some in runs]
            spent = sum(int(hit[0]) + 1 if len(hit) else len(some) for hit, some in zip(hits, runs, strict=True))
            reached = sum(len(hit) > 0 for hit in hits)
            found[function, dimension, target] = spent / reached if reached else math.inf
    return found


def means(tools: Mapping[str, Losses]) -> dict[str, float]:
    """The geometric mean of the expected running times of the targets that some tool reached."""
    times = {name: running_times(losses) for name, losses in tools.items()}
    reached = [key for key in next(iter(times.values())) if any(math.isfinite(each[key]) for each in times.values())]
    found = {}
    for name, losses in tools.items():
        runs = {key: sum(len(some) for run, some in losses.items() if run[:2] == key[:2]) for key in reached}
        found[name] = math.exp(float(np.mean([math.log(min(times[name][key], 2.0 * runs[key])) for key in reached])))
    return found


def reached(losses: Losses) -> float:
    """The share of runs and targets that were reached."""
    return float(np.mean([[min(some) <= target for target in TARGETS] for some in losses.values()]))


if __name__ == "__main__":
    tools = {str(each): ours(each, False) for each in map(eval, sys.argv[1:])}
    tools |= {name: peer(name, False) for name in PEERS}
    for name, time in means(tools).items():
        print(f"{name:60s} {time:8.1f} {reached(tools[name]):.3f}")
