"""The figures of evolution: CMA-ES beside its reference, architectures from a table, mixed integers, time, workers."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.evolution_mixed import PEERS, means, ours, peer, reached
from benchmarks.figures import Row, ask, ask_peer, figure
from benchmarks.nas import accuracy_left
from tunewell.contract.methods import new_study, propose
from tunewell.study import Result

Array = np.ndarray[Any, np.dtype[np.float64]]

# --- CMA-ES beside its reference -------------------------------------------------------------------------------------


def sphere(x: Array) -> float:
    """The sum of squares."""
    return float((x**2).sum())


def ellipsoid(x: Array) -> float:
    """Squares with weights from 1 to 10**6."""
    return float((10 ** (6 * np.arange(len(x)) / (len(x) - 1)) * x**2).sum())


def rosenbrock(x: Array) -> float:
    """A bent valley."""
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


REFERENCE: Mapping[str, tuple[Callable[[Array], float], float, float, Mapping[int, int]]] = {
    "sphere": (sphere, 3.0, 2.0, {5: 725, 10: 1491, 20: 2787}),
    "ellipsoid": (ellipsoid, 3.0, 2.0, {5: 1581, 10: 4318, 20: 13_493}),
    "Rosenbrock from 0": (rosenbrock, 0.0, 0.1, {5: 1680, 10: 5059, 20: 16_537}),
}
"""The function, its start and step, and by dimension the median evaluations of `cmaes` 0.13.1 to 1e-8."""

HALF = 20.0
"""Each number goes from -20 to 20, so that hardly a sample meets a bound."""
_MOST = 100_000


def evaluations(f: Callable[[Array], float], dimensions: int, start: float, sigma: float, seed: int) -> float:
    """The evaluations until 1e-8; infinite where they are not enough."""
    space = tw.Space({f"x{place}": tw.Float(-HALF, HALF, default=start) for place in range(dimensions)})
    study, method = new_study(space, seed=seed), tw.CMAES(sigma / (2 * HALF))
    for number in range(1, _MOST):
        job = propose(method, study)
        assert job is not None
        job = study.start(job)
        study.commit(job)
        loss = f(np.array(list(job.config.values())))
        if loss <= 1e-8:
            return number
        study.commit(Result(job.id, "done", {"loss": loss}, step=1))
    return np.inf


@figure("CMA-ES, evaluations to 1e-8, median of 21 seeds, beside cmaes 0.13.1", target="<= 1.1 x peer")
def cma(quick: bool) -> Iterator[Row]:
    """The peer's numbers are those of its table; with restarts (BIPOP) no run may fail."""
    seeds = range(2 if quick else 21)
    for name, (f, start, sigma, table) in REFERENCE.items():
        for dimensions, known in table.items() if not quick else [(5, table[5])]:
            found = [evaluations(f, dimensions, start, sigma, seed) for seed in seeds]
            yield Row(float(np.median(found)), known, f"CMA-ES to 1e-8, {name}, d = {dimensions}, median")
            success = sum(np.isfinite(found))
            told = f"CMA-ES to 1e-8, {name}, d = {dimensions}, runs that succeed"
            yield Row(success, name=told, target=f">= {len(seeds)}")


@figure("CMA-ES with restarts, Rosenbrock from 3, runs of 21 that succeed", target=">= 21")
def restarts(quick: bool) -> Iterator[Row]:
    """One run alone succeeds in 17 to 20 of 21."""
    seeds = range(2 if quick else 21)
    for dimensions in (5,) if quick else (5, 10, 20):
        found = [evaluations(rosenbrock, dimensions, 3.0, 2.0, seed) for seed in seeds]
        name = f"CMA-ES with restarts, Rosenbrock from 3, d = {dimensions}: runs that succeed"
        yield Row(sum(np.isfinite(found)), name=name, target=f">= {len(seeds)}")
        yield Row(float(np.median(found)), name=f"{name}, median evaluations", target="")


# --- architectures ---------------------------------------------------------------------------------------------------


@figure("NAS-Bench-201, 200 seeds", target="", unit="points")
def nas(quick: bool) -> Iterator[Row]:
    """Regret after 150 queries beside random search's, and how often the optimum was found after 500."""
    seeds = range(4 if quick else 200)
    random = np.array([accuracy_left(tw.Random(), seed, 150) for seed in seeds])[:, -1].mean()
    for name, method, judged in (
        ("Evolution.regularized()", tw.Evolution.regularized(), True),
        ("Evolution.genetic()", tw.Evolution.genetic(), False),
        ("Evolution.differential()", tw.Evolution.differential(), False),
    ):
        left = np.array([accuracy_left(method, seed) for seed in seeds])
        told = f"NAS-Bench-201, {len(seeds)} seeds, {name}"
        yield Row(left[:, 149].mean(), random, f"{told}: regret at 150", "<= 0.2 x peer" if judged else "")
        optimum = 100 * float((left[:, -1] < 1e-9).mean())
        yield Row(optimum, name=f"{told}: optimum at 500", target=">= 88" if judged else "", unit="%")


# --- mixed integers --------------------------------------------------------------------------------------------------


@figure("BBOB-mixint, expected running time, beside the best peer", target="<= 1 x peer")
def mixed(quick: bool) -> Iterator[Row]:
    """Geometric mean over functions, dimensions and targets; all tools in this run."""
    tools = {"CMAES()": ours(tw.CMAES(), quick), "Evolution.differential()": ours(tw.Evolution.differential(), quick)}
    tools |= {name: peer(name, quick) for name in PEERS}
    times = means(tools)
    best = min(PEERS, key=lambda name: times[name])
    for name, value in times.items():
        told = f"BBOB-mixint, expected running time: {name}"
        judged = name == "CMAES()"
        yield Row(value, times[best] if judged else None, told, None if judged else "")
        yield Row(100 * reached(tools[name]), name=f"BBOB-mixint, targets reached: {name}", target="", unit="%")


# --- time ------------------------------------------------------------------------------------------------------------


@figure("a proposal, CPU, 10 numbers, beside Optuna's CMA-ES", target="", unit="us")
def seconds(quick: bool) -> Iterator[Row]:
    """After 1,000 and 5,000 trials, in the same run."""
    marks = ("100",) if quick else ("1000", "5000")
    theirs = ask_peer("optuna-quality", "evolution_seconds.py", *marks)
    for method, (mark, target) in (
        (method, pair)
        for method in ("CMAES()", "Evolution()")
        for pair in zip(marks, ("<= 0.3 x peer", "<= 0.15 x peer"), strict=False)
    ):
        mine = ask([sys.executable, "-m", "benchmarks.ours.evolution_seconds", method, *marks])
        name = f"{method}, a proposal after {int(mark):,} trials, beside Optuna's CMA-ES"
        yield Row(mine[mark] * 1e6, theirs[mark] * 1e6, name, target)


@figure("a proposal after 100,000 trials beside one after 1,000, CPU", target="<= 1.5 x peer", unit="us")
def growth(quick: bool) -> Iterator[Row]:
    """It may not grow; of CMA-ES the population of later restarts does."""
    many = "2000" if quick else "100000"
    for method in ("CMAES()", "Evolution()", "Evolution.differential()", "Evolution.plus()"):
        found = ask([sys.executable, "-m", "benchmarks.ours.evolution_seconds", method, "1000", many])
        yield Row(found[many] * 1e6, found["1000"] * 1e6, f"{method}, a proposal after {int(many):,} trials")


# --- many workers ----------------------------------------------------------------------------------------------------

MEAN = 60.0
"""Seconds of a job; its logarithm has a standard deviation of 1.5: one in a hundred takes more than 10 times that."""


@figure("1,000 simulated workers, heavy-tailed durations, 50 mean durations: utilisation", target=">= 0.95")
def workers(quick: bool) -> Iterator[Row]:
    """The real time of each decision passes on the simulated clock."""
    crowd, horizon = (50, 5) if quick else (1000, 50)
    for name, method in (
        ("Evolution()", tw.Evolution()),
        ("Evolution.differential()", tw.Evolution.differential()),
        ("CMAES()", tw.CMAES()),
    ):
        used, taken, jobs = busy(method, crowd, horizon)
        told = f"{crowd:,} simulated workers, {name}"
        yield Row(used, name=f"{told}: utilisation, {jobs:,} jobs of {MEAN:.0f} s on average")
        yield Row(taken * 1e6, name=f"{told}: a job takes the loop", target="", unit="us")


def busy(method: tw.Method, crowd: int, horizon: float) -> tuple[float, float, int]:
    """The share of their time that workers have trained, the seconds that a job took the loop, and the jobs."""
    rng = np.random.default_rng(0)
    used: list[tuple[float, int]] = []
    executor = tw.Simulated(crowd, duration=lambda config, steps: duration(rng), charge_proposals=True)

    def train(run: tw.Run) -> float:
        return sum(float(value) ** 2 for value in run.config.values())

    def stop(study: Any, event: Any) -> None:
        if isinstance(event, tw.Result) and executor.now >= horizon * MEAN and not used:
            running = sum(end - executor.now for end, *_ in executor._running)
            used.append(((executor.busy - running) / (crowd * executor.now), len(study.jobs)))
            study.change(limits=tw.Limits(trials=0))

    space = {f"x{place}": tw.Float(-5.0, 5.0) for place in range(5)} | {"n": tw.Int(-5, 5)}
    began = time.perf_counter()
    tw.tune(
        train, space, minimize="loss", limits=tw.Limits(trials=10**9), method=method, executor=executor, seed=0,
        callbacks=[stop], progress=False,
    )  # fmt: skip
    return used[0][0], (time.perf_counter() - began) / used[0][1], used[0][1]


def duration(rng: np.random.Generator) -> float:
    """A draw of the seconds of a job."""
    return float(MEAN * np.exp(1.5 * rng.standard_normal() - 1.5**2 / 2))
