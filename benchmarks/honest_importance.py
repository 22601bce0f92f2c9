"""Whether the intervals of importance hold the truth: functions whose total Sobol indices are known.

A. Saltelli et al.: Global sensitivity analysis: the primer. Wiley, 2008: the functions of Ishigami and of Sobol.

    python -m benchmarks.honest_importance
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.figures import Row
from tunewell.honest.importance import Coordinates, Shares, shares

Array = np.ndarray[Any, np.dtype[np.float64]]

_SLOPES = np.array([4.0, 2.0, 1.0, 0.0])
_FLAT = np.array([0.0, 1.0, 4.5, 9.0, 99.0])
_PARTS = 1 / (3 * (1 + _FLAT) ** 2)


def ishigami(x: Array) -> Array:
    """Three numbers: two waves in the second, and the third in interaction with the first alone."""
    z = np.pi * (2 * x - 1)
    found: Array = (1 + 0.1 * z[:, 2] ** 4) * np.sin(z[:, 0]) + 7 * np.sin(z[:, 1]) ** 2
    return found


@dataclass(frozen=True)
class Known:
    """A function of points `(n, d)` of the unit cube, and the total share of each coordinate `(d,)`."""

    function: Callable[[Array], Array]
    total: Array


FUNCTIONS = {
    "linear-4": Known(lambda x: x @ _SLOPES, _SLOPES**2 / (_SLOPES @ _SLOPES)),
    "Sobol's g-5": Known(
        lambda x: np.prod((np.abs(4 * x - 2) + _FLAT) / (1 + _FLAT), axis=1),
        _PARTS * np.prod(1 + _PARTS) / (1 + _PARTS) / (np.prod(1 + _PARTS) - 1),
    ),
    "Ishigami": Known(ishigami, np.array([0.5576, 0.4424, 0.2437])),
}


def found(known: Known, results: int, noise: float, seed: int) -> Shares:
    """The shares of so many results at uniform points, with noise in standard deviations of the function."""
    rng, width = np.random.default_rng([seed, results, 5]), len(known.total)
    points = rng.random((results, width))
    values = known.function(points)
    values = values + noise * values.std() * rng.standard_normal(results)
    coordinates = Coordinates((0,) * width, (False,) * width, (None,) * width)
    return shares(points, values, np.ones(results), coordinates, seed)


def rows(quick: bool) -> Iterator[Row]:
    """How many of the intervals hold the true share (to a hundredth), among the studies that tell; how many tell."""
    for name, known in FUNCTIONS.items():
        for results in (50,) if quick else (20, 50, 100):
            told = [each for seed in range(2 if quick else 40) if (each := found(known, results, 0.3, seed)).tells]
            where = f"importance, {name}, {results} results: "
            held = [np.abs(np.clip(known.total, *each.total_interval) - known.total) <= 0.01 for each in told]
            if told:
                yield Row(100 * float(np.mean(held)), name=where + "intervals that hold", target="", unit="%")
            yield Row(100 * len(told) / (2 if quick else 40), name=where + "studies that tell", target="", unit="%")
    pure = Known(lambda x: np.random.default_rng(int(1e9 * x[0, 0])).standard_normal(len(x)), np.zeros(4))
    told = [found(pure, 50, 0.0, seed) for seed in range(2 if quick else 100)]
    share = 100 * float(np.mean([each.tells for each in told]))
    yield Row(share, name="importance, pure noise, 50 results: studies that tell", target="", unit="%")


if __name__ == "__main__":
    for row in rows(quick=False):
        print(f"{row.name}: {row.measured:.4g} {row.unit}", flush=True)
