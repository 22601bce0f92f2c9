"""Whole learning curves of the public data, and how well those are foretold that no constant was chosen on.

In each family the tasks take turns, in order of their names: the first, third, ... served to choose the constants of
`tunewell.surrogates.curves`, the others are held out.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from benchmarks.fidelity_runs import EPOCHS
from benchmarks.tasks import data_folder, load
from tunewell.surrogates.curves import Calibration, extrapolate

Array = np.ndarray[Any, np.dtype[np.float64]]

FAMILIES = {"LCBench": "yahpo/lcbench", "TaskSet": "taskset", "LCDB": "lcdb"}
PARTS = (0.1, 0.25, 0.5)
"""How much of a curve is seen."""

_CURVES = 150
"""Of a task, at random, where it has more; so many configs are drawn of a surrogate."""
_OTHERS = 15
"""So many of them calibrate the forecasts of the rest."""


@dataclass(frozen=True)
class Curves:
    """The losses (n, q) of n curves of a task, at steps (q,)."""

    steps: Array
    losses: Array


def tasks(family: str) -> list[str]:
    """The names of the tasks of a family, in order."""
    folder = data_folder()
    if family == "LCBench":
        import json

        known = json.loads((folder / "yahpo" / "lcbench.json").read_text())
        return sorted(f"yahpo/lcbench/{name}" for name in known["instances"])
    kind = FAMILIES[family]
    return sorted(f"{kind}/{path.stem}" for path in (folder / "tables" / kind).glob("*.npz"))


def held_out(family: str, quick: bool = False) -> Iterator[Curves]:
    """The curves of the tasks that are kept apart."""
    for name in tasks(family)[1::2][: 1 if quick else None]:
        yield curves_of(name)


def curves_of(name: str) -> Curves:
    """The curves of a task whose last value is known."""
    problem, rng = load(data_folder(), name), np.random.default_rng(2026)
    if name.startswith("yahpo/"):
        configs = [problem.sample(rng) for _ in range(_CURVES)]
        columns = [
            [problem.loss(each) for each in problem.evaluate_many(configs, epoch)] for epoch in range(1, EPOCHS + 1)
        ]
        return Curves(np.arange(1.0, EPOCHS + 1), np.array(columns).T)
    losses = np.asarray(problem._y[problem.objective], dtype=float)
    losses = losses.reshape(-1, losses.shape[-1]) * (1 if problem.metrics[problem.objective] == "min" else -1)
    losses = losses[np.isfinite(losses[:, -1])]
    choices = problem.fidelity.choices or range(1, losses.shape[1] + 1)
    return Curves(np.array(choices, dtype=float), losses[rng.permutation(len(losses))[:_CURVES]])


def coverage(curves: Curves, part: float) -> tuple[float, float, float]:
    """Of forecasts of the last value: the share within the 80 % interval; that of all but the first curves when these
    have calibrated it; and the median width, in units of the distance of the quartiles of the last values.
    """
    seen = int((curves.steps <= part * curves.steps[-1]).sum())
    last = curves.losses[:, -1]
    near, whole = (np.subtract(*np.nanquantile(losses, [0.75, 0.25])) for losses in (curves.losses[:, seen - 1], last))
    forecasts = [extrapolate(curves.steps[:seen], row[:seen], curves.steps[-1:], near) for row in curves.losses]
    pairs = [(forecast, value) for forecast, value in zip(forecasts, last, strict=True) if forecast is not None]
    ranks = np.array([forecast.rank(np.array([value]))[0] for forecast, value in pairs])
    found = Calibration.of(ranks[:_OTHERS])
    rest = ranks[_OTHERS:]
    ends = [forecast.interval() for forecast, _ in pairs]
    widths = [float(high[0] - low[0]) / whole for low, high in ends]
    inside = np.mean((ranks >= 0.1) & (ranks <= 0.9))
    calibrated = np.mean((rest >= found.rank(0.1)) & (rest <= found.rank(0.9)))
    return float(inside), float(calibrated), float(np.median(widths))
