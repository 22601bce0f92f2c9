"""Coarse to fine: `Zoom(Grid)` and `Then(Grid, Sobol)` beside random search on public tuning tasks, and whether an
optimum that the first narrowing leaves out is found again.

The public tasks are those of `benchmarks.tasks`. Here the repetition that a trial sees is drawn, and its loss counts.
"""

import dataclasses
import math
import os
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tasks import data_folder, load, space_of, task_names
from tunewell.contract.methods import Player, new_study
from tunewell.method import Method
from tunewell.methods.compose import Take, Then
from tunewell.methods.grid import Grid
from tunewell.methods.narrowing import Narrowing, whole
from tunewell.methods.quasirandom import Sobol
from tunewell.methods.random import Random
from tunewell.methods.zoom import Zoom
from tunewell.space import Config, Float, Space

MARKS = (25, 50, 100)
"""After so many trials the regret is taken."""

METHODS: Mapping[str, Method] = {
    "Random": Random(),
    "Sobol": Sobol(),
    "Zoom(Grid)": Zoom(),
    "Then(Grid, Sobol)": Then(Take(25, Grid(levels=3, order="spread")), Sobol(), narrow=0.9),
}
"""What is compared; the first is what the others are compared with."""


# --- the public tasks ------------------------------------------------------------------------------------------------


def regrets(folder: Path, task: str, method: Method, seed: int, marks: tuple[int, ...] = MARKS) -> list[float]:
    """The regret of the best trial so far, after so many trials: 0 is the best value known, 1 the median of random."""
    problem, found = load(folder, task), []
    rng = np.random.default_rng([seed, 1, 7])

    def loss(config: Config, step: int) -> float:
        try:
            value = problem.loss(problem.evaluate(config, seed=int(rng.integers(2**31))))
        except Exception as error:
            if type(error).__name__ != "Infeasible":
                raise
            value = math.inf
        found.append(value)
        return float(value)

    Player(method, loss).play(new_study(space_of(problem.params), seed=seed, trials=max(marks)))
    best = np.minimum.accumulate(found)
    return [_regret(problem, best[min(mark, len(best)) - 1]) for mark in marks]


def _regret(problem: Any, loss: float) -> float:
    return min(max(float(problem.regret(loss)), 0.0), 1.0) if math.isfinite(loss) else 1.0


def public_tasks(quick: bool, data: str | Path | None = None) -> dict[str, dict[str, Any]]:
    """For each method: mean regret after 25, 50 and 100 trials, the share of runs it wins against random search with
    the same seed (a draw is half a win), and the share of tasks on which it is better on average.
    """
    folder = data_folder(data)
    tasks = task_names(folder)[:: 8 if quick else 1]
    seeds = range(2 if quick else 10)
    work = [(folder, task, method, seed) for method in METHODS.values() for task in tasks for seed in seeds]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        rows = list(pool.map(regrets, *zip(*work, strict=True), chunksize=8))
    table = np.array(rows).reshape(len(METHODS), len(tasks), len(seeds), len(MARKS))
    return {name: _compared(table[place], table[0]) for place, name in enumerate(METHODS)}


def _compared(mine: Any, random: Any) -> dict[str, Any]:
    won = np.where(mine == random, 0.5, mine < random)
    better = np.where(mine.mean(1) == random.mean(1), 0.5, mine.mean(1) < random.mean(1))
    shares = {"regret": mine.mean((0, 1)), "wins": won.mean((0, 1)), "tasks": better.mean(0)}
    return {name: {mark: float(v) for mark, v in zip(MARKS, values, strict=True)} for name, values in shares.items()}


# --- an optimum outside of the first narrowing -----------------------------------------------------------------------

Points = np.ndarray[Any, np.dtype[Any]]
Surface = Callable[[Points], float]
"""A loss on the unit cube."""


@dataclass(frozen=True)
class Landscape:
    """A loss on the unit cube, where it is lowest, and the loss that only the place about the optimum has."""

    loss: Surface
    optimum: np.ndarray[Any, Any]
    enough: float


def _bowl(rng: np.random.Generator, optimum: np.ndarray[Any, Any]) -> Landscape:
    """A bowl up to ten times as steep in one entry as in another."""
    weights = 10 ** -rng.random(len(optimum))
    return Landscape(lambda x: float(weights @ (x - optimum) ** 2), optimum, 0.01 * float(weights.mean()))


def _anywhere(rng: np.random.Generator, dimensions: int) -> Landscape:
    return _bowl(rng, rng.random(dimensions))


def _at_the_edge(rng: np.random.Generator, dimensions: int) -> Landscape:
    corner = rng.integers(0, 2, dimensions)
    return _bowl(rng, np.abs(corner - rng.uniform(0.1, 0.2, dimensions)))


def _valley(rng: np.random.Generator, dimensions: int) -> Landscape:
    """A slanted valley, ten times as steep across as along: no sum over its entries."""
    turn = np.linalg.qr(rng.standard_normal((dimensions, dimensions)))[0]
    optimum, weights = rng.random(dimensions), 10 ** np.linspace(0, 1, dimensions)
    loss: Surface = lambda x: float(weights @ (turn @ (x - optimum)) ** 2)  # noqa: E731
    return Landscape(loss, optimum, 0.01 * float(np.median([loss(x) for x in rng.random((300, dimensions))])))


def _decoy(rng: np.random.Generator, dimensions: int) -> Landscape:
    """A wide bowl that leads the first round astray, and a deeper hole elsewhere, of a tenth of the space or more."""
    centre, optimum, radius = rng.random(dimensions), rng.uniform(0.1, 0.9, dimensions), 0.4

    def loss(x: np.ndarray[Any, Any]) -> float:
        near = float(np.sum((x - optimum) ** 2)) / radius**2
        return (0.5 + float(np.sum((x - centre) ** 2))) * min(near, 1.0)

    return Landscape(loss, optimum, 0.1)


PLANTED: Mapping[str, tuple[Callable[[np.random.Generator, int], Landscape], int, int]] = {
    "bowl": (_anywhere, 3, 100),
    "edge": (_at_the_edge, 3, 100),
    "decoy": (_decoy, 3, 240),
    "valley": (_valley, 3, 200),
}
"""Each kind of landscape, its dimensions, and the trials."""


def planted_optimum(quick: bool, method: Method | None = None) -> dict[str, float]:
    """For each kind of landscape: the share of 100 in which the optimum is found that the first narrowing leaves out.

    `method` searches instead of Zoom, on the same landscapes.
    """
    seeds = range(8 if quick else 100)
    work = [(kind, seed, method or Zoom()) for kind in PLANTED for seed in seeds]
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = list(pool.map(is_found, *zip(*work, strict=True), chunksize=4))
    table = np.array(found, dtype=float).reshape(len(PLANTED), len(seeds))
    return {kind: float(row.mean()) for kind, row in zip(PLANTED, table, strict=True)}


def is_found(kind: str, seed: int, method: Method) -> bool:
    """Whether a method finds the optimum of one landscape, the first of its kind whose optimum Zoom narrows away."""
    make, dimensions, trials = PLANTED[kind]
    for attempt in range(1000):
        rng = np.random.default_rng([seed, attempt, 7])  # not the stream that a method draws from
        landscape = make(rng, dimensions)
        if _is_left_out(landscape, seed):
            return min(_losses(method, landscape, seed, trials)) <= landscape.enough
    raise RuntimeError(f"{kind}: no optimum of 1000 lies outside of the first narrowing")


def _is_left_out(landscape: Landscape, seed: int) -> bool:
    """Whether the region of Zoom's second round lacks the optimum."""
    dimensions = len(landscape.optimum)
    space, zoom = _cube(dimensions), Zoom()
    points: list[Any] = []
    losses = _losses(dataclasses.replace(zoom, rounds=1), landscape, seed, 1000, points)
    second = Narrowing(zoom.level, zoom.floor).narrowed(space, whole(space), np.array(points), np.array(losses))
    return any(not low <= unit <= high for unit, (low, high) in zip(landscape.optimum, second, strict=True))


def _losses(
    method: Method, landscape: Landscape, seed: int, trials: int, points: list[Any] | None = None
) -> list[float]:
    """The losses of a run on a landscape, in order; `points` receives where they were measured."""
    space, losses = _cube(len(landscape.optimum)), []

    def measure(config: Config, step: int) -> float:
        point = space.encode(config)
        losses.append(landscape.loss(point))
        if points is not None:
            points.append(point)
        return losses[-1]

    Player(method, measure).play(new_study(space, seed=seed, trials=trials))
    return losses


def _cube(dimensions: int) -> Space:
    return Space({f"x{number}": Float(0, 1) for number in range(dimensions)})


if __name__ == "__main__":
    for name, row in public_tasks(quick=False).items():
        print(name, {key: {mark: round(value, 4) for mark, value in marks.items()} for key, marks in row.items()})
    for method in (Zoom(), Random(), Sobol()):
        print(type(method).__name__, planted_optimum(quick=False, method=method))
