"""Functions whose optimum is known, for the acceptance of a Gaussian process: Branin, Hartmann, Rosenbrock, Ackley.

S. Surjanovic, D. Bingham: Virtual library of simulation experiments: test functions and datasets. 2013.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.quality_methods import method_of
from tunewell.contract.methods import Player, new_study
from tunewell.space import Float, Space

Array = np.ndarray[Any, np.dtype[np.float64]]


@dataclass(frozen=True)
class Function:
    """A function of `size` numbers between the ends, and its least value."""

    value: Callable[[Array], float]
    ends: Sequence[tuple[float, float]]
    least: float = 0.0

    @property
    def space(self) -> Space:
        """One Float for each number."""
        return Space({f"x{place}": Float(low, high) for place, (low, high) in enumerate(self.ends)})

    def regret(self, config: Mapping[str, Any]) -> float:
        """How far above the least value a config is."""
        return self.value(np.array([config[f"x{place}"] for place in range(len(self.ends))])) - self.least


def branin(x: Array) -> float:
    """Of two numbers; three optima."""
    bend = x[1] - 5.1 * x[0] ** 2 / (4 * np.pi**2) + 5 * x[0] / np.pi - 6
    return float(bend**2 + 10 * (1 - 1 / (8 * np.pi)) * np.cos(x[0]) + 10)


_CENTRES = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_WIDTHS = np.array(
    [[10, 3, 17, 3.5, 1.7, 8], [0.05, 10, 17, 0.1, 8, 14], [3, 3.5, 1.7, 10, 17, 8], [17, 8, 0.05, 10, 0.1, 14]]
)
_HEIGHTS = np.array([1.0, 1.2, 3.0, 3.2])


def hartmann(x: Array) -> float:
    """Of six numbers; six optima, the second best 0.12 above the best."""
    return -float(_HEIGHTS @ np.exp(-np.sum(_WIDTHS * (x - _CENTRES) ** 2, axis=1)))


def log_rosenbrock(x: Array) -> float:
    """log(1 + f) of Rosenbrock's curved valley."""
    return float(np.log1p(np.sum(100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2)))


def ackley(x: Array) -> float:
    """Many small pits around one hole."""
    near, waves = np.sqrt(np.mean(x**2)), np.mean(np.cos(2 * np.pi * x))
    return float(-20 * np.exp(-0.2 * near) - np.exp(waves) + 20 + np.e)


FUNCTIONS: Mapping[str, tuple[Function, float]] = {
    "Branin": (Function(branin, ((-5, 10), (0, 15)), 0.39788735772973816), 1e-3),
    "Hartmann-6": (Function(hartmann, ((0, 1),) * 6, -3.32236801141551), 0.13),
    "log Rosenbrock-4": (Function(log_rosenbrock, ((-2.048, 2.048),) * 4), 1.9),
    "Ackley-5": (Function(ackley, ((-32.768, 32.768),) * 5), 8.0),
}
"""Each with the regret that a Gaussian process should reach in 60 evaluations, the median of seven runs."""


def regret_after(expression: str, name: str, seed: int, trials: int) -> float:
    """The regret of the best config of a run of one of our methods."""
    function = FUNCTIONS[name][0]
    study = new_study(function.space, seed=seed, trials=trials)
    Player(method_of(expression), lambda config, step: function.regret(config)).play(study)
    return min(study.loss(job) for job in study.results)
