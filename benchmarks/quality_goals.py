"""How much of the space of several goals the front covers after 50 and 100 trials, beside even coverings and Optuna.

The normalised hypervolume is 1 for the true front of a function; of the public tasks, whose front nobody knows, for the
front of 2,000 random configs, so that it may exceed 1. The reference point lies a tenth of the range of that front
beyond its worst. What a run covers is counted over all that it measured, in the units of the losses.

    python -m benchmarks.quality_goals --method 'Bayes()' --method 'Sobol()' --method optuna-nsga2 --seeds 3 --on ZDT1
"""

import argparse
import math
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from types import SimpleNamespace
from typing import Any

import numpy as np

from benchmarks.figures import FOLDER, ONE_THREAD, Row, figure
from benchmarks.quality_methods import method_of
from benchmarks.quality_runs import Program, say
from benchmarks.tasks import data_folder, load, space_of, spread_evenly, told
from dev import ROOT, Environment
from tunewell.contract.methods import new_study, propose
from tunewell.space import Config, Space
from tunewell.study import Act, Failure, Result
from tunewell.surrogates.hypervolume import hypervolume
from tunewell.surrogates.pareto import non_dominated

Array = np.ndarray[Any, np.dtype[np.float64]]

MARKS = (50, 100)
PEERS = {"optuna-nsga2": "nsga2", "optuna-tpe": "tpe"}
METHODS = ("Bayes()", "Sobol()", "Random()")
FUNCTIONS = ("ZDT1", "ZDT2", "DTLZ2", "DTLZ2-3")
TASKS = 8
"""Of the public tasks with two goals, chosen by `spread_evenly`."""


# --- what is measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Tradeoff:
    """Several losses of a config; `front` (n, k) is what counts as a hypervolume of 1."""

    name: str
    parameters: Sequence[Any]
    losses: Callable[[Config], Sequence[float]]
    front: Array

    @cached_property
    def space(self) -> Space:
        """The parameters, for tunewell."""
        return space_of(self.parameters)

    def normalised(self, losses: Sequence[Sequence[float]]) -> float:
        """The hypervolume of the front of some losses, as a share of that of `front`."""
        reference = self.front.max(0) + 0.1 * np.ptp(self.front, axis=0)
        scale = np.ptp(self.front, axis=0)
        return hypervolume(np.array(losses) / scale, reference / scale) / self._whole(reference, scale)

    def _whole(self, reference: Array, scale: Array) -> float:
        return hypervolume(self.front / scale, reference / scale)


def zdt(power: float, config: Config) -> list[float]:
    """ZDT1 (power 1/2) and ZDT2 (power 2). E. Zitzler, K. Deb, L. Thiele, Evolutionary Computation 8, 2000."""
    first, *rest = config.values()
    far = 1 + 9 * statistics.fmean(rest)
    return [first, far * (1 - (first / far) ** power)]


def dtlz2(goals: int, config: Config) -> list[float]:
    """DTLZ2. K. Deb, L. Thiele, M. Laumanns, E. Zitzler, CEC 2002."""
    angles, rest = list(config.values())[: goals - 1], list(config.values())[goals - 1 :]
    size, found = 1 + sum((value - 0.5) ** 2 for value in rest), []
    for angle in reversed(angles):
        found.append(size * math.sin(angle * math.pi / 2))
        size *= math.cos(angle * math.pi / 2)
    return [size, *reversed(found)]


def of_function(name: str) -> Tradeoff:
    """A function on floats, with its true front."""
    grid = np.linspace(0, 1, 500)
    width, goals = (6, 2) if name.startswith("ZDT") else (5, int(name.partition("-")[2] or 2))
    if name.startswith("ZDT"):
        power = 0.5 if name == "ZDT1" else 2.0
        losses: Callable[[Config], Sequence[float]] = lambda config: zdt(power, config)  # noqa: E731
        front = np.stack([grid, 1 - grid**power], axis=1)
    else:
        losses = lambda config: dtlz2(goals, config)  # noqa: E731
        angles = np.stack(np.meshgrid(*[np.linspace(0, 1, 500 if goals == 2 else 25)] * (goals - 1)), axis=-1)
        front = np.array(
            [dtlz2(goals, dict(enumerate(row)) | {9: 0.5}) for row in angles.reshape(-1, goals - 1)]  # type: ignore[arg-type]
        )
    floats = [SimpleNamespace(name=f"x{i}", kind="float", low=0.0, high=1.0, log=False, when=()) for i in range(width)]
    return Tradeoff(name, floats, losses, front)


def of_task(name: str) -> Tradeoff:
    """A public task, with the front of 2,000 random configs."""
    problem, rng = load(data_folder(), name), np.random.default_rng(2026)
    metrics = metrics_of(name)
    signs = [-1.0 if getattr(problem, "metrics", {}).get(metric) == "max" else 1.0 for metric in metrics]

    def losses(config: Config) -> Sequence[float]:
        try:
            found = problem.evaluate(dict(config))
        except Exception as error:
            if type(error).__name__ != "Infeasible":
                raise
            return [math.inf] * len(signs)
        return [sign * float(found[metric]) for sign, metric in zip(signs, metrics, strict=True)]

    seen = np.array([losses(problem.sample(rng)) for _ in range(2000)])
    seen = seen[np.isfinite(seen).all(1)]
    return Tradeoff(name, problem.params, losses, seen[non_dominated(seen)])


def metrics_of(name: str) -> Sequence[str]:
    """The metrics that a public task trades off."""
    load(data_folder(), "bbob/bbob/1/2/1")
    from suite import MULTI_OBJECTIVE  # type: ignore[import-not-found]

    return next(metrics for family, metrics in MULTI_OBJECTIVE.items() if name.startswith(family))


@cache
def tradeoff(name: str) -> Tradeoff:
    """The one of that name."""
    return of_function(name) if name in FUNCTIONS else of_task(name)


def task_names() -> list[str]:
    """Public tasks of two goals."""
    load(data_folder(), "bbob/bbob/1/2/1")
    from suite import names

    several = names("public", kind="multi-objective")
    return spread_evenly([name for name in several if len(metrics_of(name)) == 2], TASKS)


# --- runs ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """The losses of the finished trials, in order, and the seconds of each suggestion."""

    losses: list[Sequence[float]]
    seconds: list[float]

    def at(self, mark: int, of: Tradeoff) -> float:
        """The normalised hypervolume after so many trials."""
        kept = [losses for losses in self.losses[:mark] if all(map(math.isfinite, losses))]
        return of.normalised(kept) if kept else 0.0


def play(expression: str, of: Tradeoff, seed: int, trials: int) -> Run:
    """A run of one of our methods."""
    study, run = new_study(of.space, seed=seed, trials=trials), Run([], [])
    goals = [f"goal{number}" for number in range(of.front.shape[1])]
    study.commit(Act("change", {"goals": [{"metric": goal} for goal in goals]}))
    for _ in range(trials):
        start = time.process_time()
        job = propose(method_of(expression), study)
        run.seconds.append(time.process_time() - start)
        assert job is not None
        job = study.start(job)
        study.commit(job)
        losses = of.losses(job.config)
        run.losses.append(losses)
        done = all(map(math.isfinite, losses))
        metrics = dict(zip(goals, losses, strict=True))
        failed = Result(job.id, "failed", error=Failure("crashed"))
        study.commit(Result(job.id, "done", metrics, step=1) if done else failed)
    return run


def play_peer(kind: str, of: Tradeoff, seed: int, trials: int) -> Run:
    """A run of a sampler of Optuna, with its default settings."""
    return asked(peer("optuna-quality", "quality_optuna_goals.py", kind), of, seed, trials)


def asked(program: Program, of: Tradeoff, seed: int, trials: int) -> Run:
    """A run of a peer's program."""
    run, parameters = Run([], []), [told(parameter) for parameter in of.parameters]
    order = {"parameters": parameters, "seed": seed, "trials": trials, "goals": of.front.shape[1]}
    message = program.say(order)
    while "end" not in message:
        losses = of.losses(message["config"])
        run.losses.append(losses)
        run.seconds.append(message["cpu"])
        message = program.say({"losses": list(losses) if all(map(math.isfinite, losses)) else None})
    return run


@cache
def peer(environment: str, script: str, kind: str) -> Program:
    """A peer's program, which serves one run after the other."""
    home = Environment(ROOT / ".venvs" / environment)
    home.install(FOLDER / "peers" / f"{environment}.txt")
    if (environment, kind) == ("optuna-quality", "gp"):
        home.install_torch()
    return Program([str(home.python), str(FOLDER / "peers" / script), kind])


# --- figures ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Reached:
    """What a contender reached on a trade-off: the mean hypervolume at each mark, and the seconds of a suggestion over
    the last ten trials.
    """

    volumes: Sequence[float]
    seconds: float


def reached(contender: str, name: str, seeds: int) -> Reached:
    """By one of our methods, an expression, or by a sampler of PEERS."""
    of, trials = tradeoff(name), MARKS[-1]
    kind = PEERS.get(contender)
    runs = [play_peer(kind, of, s, trials) if kind else play(contender, of, s, trials) for s in range(seeds)]
    volumes = [statistics.fmean(run.at(mark, of) for run in runs) for mark in MARKS]
    seconds = statistics.fmean(statistics.fmean(run.seconds[-10:]) for run in runs)
    numbers = " ".join(f"{volume:.4f}" for volume in volumes)
    say(f"{name:26} {contender:24} {numbers}  {seconds:.3f} s")
    return Reached(volumes, seconds)


@figure("hypervolume of several goals", target=">= 1 x peer")
def several_goals(quick: bool) -> Iterator[Row]:
    """The mean over functions and public tasks after 50 and 100 trials, beside the best of the others."""
    names = ["ZDT1", "DTLZ2"] if quick else [*FUNCTIONS, *task_names()]
    contenders = [*METHODS[:2], "optuna-nsga2"] if quick else [*METHODS, *PEERS]
    table = {each: [reached(each, name, 1 if quick else 3) for name in names] for each in contenders}
    for place, mark in enumerate(MARKS):
        means = {each: statistics.fmean(one.volumes[place] for one in found) for each, found in table.items()}
        best = max(contenders[1:], key=means.__getitem__)
        yield Row(means[METHODS[0]], means[best], f"hypervolume of {len(names)} trade-offs at {mark}, best peer {best}")
    seconds = max(one.seconds for one in table[METHODS[0]])
    yield Row(seconds, name="a suggestion at 100 trials, the slowest", target="<= 0.3", unit="s")


def main(words: Sequence[str] | None = None) -> None:
    """Some contenders on some trade-offs."""
    line = argparse.ArgumentParser(prog="python -m benchmarks.quality_goals")
    line.add_argument("--method", action="append", metavar="EXPRESSION", help="one of ours, or a peer's name")
    line.add_argument("--on", action="append", metavar="NAME", help="a function or a public task (default: all)")
    line.add_argument("--seeds", type=int, default=3, metavar="N")
    options = line.parse_args(words)
    names = options.on or [*FUNCTIONS, *task_names()]
    table: dict[str, list[Reached]] = {each: [] for each in options.method or METHODS}
    for name in names:
        for each, rows in table.items():
            rows.append(reached(each, name, options.seeds))
    for each, rows in table.items():
        means = [statistics.fmean(row.volumes[place] for row in rows) for place in range(len(MARKS))]
        print(f"{each:40} " + " ".join(f"{mean:.4f}" for mean in means))


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        environment = os.environ | ONE_THREAD
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.quality_goals", *sys.argv[1:]], environment)
    main()
