"""The tasks that methods are compared on: the public benchmark data, BBOB functions, live training, with noise or not.

The data are read from a folder: an argument, the environment variable TUNEWELL_BENCHDATA, or `../shared/benchdata`
beside the project. Everything in them is looked up without a seed, so that a config has one true loss: the mean of the
recorded repetitions, or YAHPO's tenth fold. `noisy/NAME` is the task NAME with noise added to what the method sees.

    python -m benchmarks.tasks      lists the groups; with --write, works out anew what is known of each task
                                    whose loader tells no best and no median value (minutes)
"""

import json
import math
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from tunewell.space import Choice, Config, Entry, Float, Int, Ordinal, Space

KNOWN = Path(__file__).resolve().parent / "peers" / "quality" / "known.json"
"""What was worked out of tasks once: best and median loss, spread, and the regret that counts as success."""

NOISE = 0.5
"""Standard deviation of the noise of `noisy/` tasks, in spreads of the losses of random configs."""

OPTIMA = tuple(f"bbob/bbob/{f}/{d}/2" for d in (5, 10) for f in (3, *range(15, 25)))
"""Many local optima: Rastrigin and BBOB f15 to f24, 5 and 10 entries."""

LIVE = ("live/kNN_wine_acc", "live/DT_breast_nll", "live/SVM_wine_nll", "live/lasso_diabetes_mae")
"""Live training: those of the loaders' ten that the loaders' own description calls cheap, one of each kind of model."""


# --- where they are --------------------------------------------------------------------------------------------------


def data_folder(folder: str | Path | None = None) -> Path:
    """The folder of benchmark data. Raises FileNotFoundError where there is none."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "benchdata"
    found = Path(folder or os.environ.get("TUNEWELL_BENCHDATA") or beside)
    if not (found / "loaders" / "suite.py").is_file():
        raise FileNotFoundError(f"there is no benchmark data in {found}: set TUNEWELL_BENCHDATA to its folder")
    return found


def load(folder: Path, name: str) -> Any:
    """The problem of that name, in the form of the loaders beside the data."""
    if str(folder / "loaders") not in sys.path:
        sys.path.insert(0, str(folder / "loaders"))
    from suite import get  # type: ignore[import-not-found]

    return get(name)


def public_names(folder: Path) -> list[str]:
    """The public tasks with one objective, as the loaders name them."""
    load(folder, "bbob/bbob/1/2/1")
    from suite import names

    return list(names("public", kind="single"))


def task_names(folder: Path) -> list[str]:
    """Those of them whose best value is known."""
    return [name for name in public_names(folder) if load(folder, name).reference]


# --- spaces ----------------------------------------------------------------------------------------------------------


def space_of(parameters: Iterable[Any]) -> Space:
    """The parameters of a problem as a space; those with a condition stand below the option that they need."""
    parameters = list(parameters)
    entries: dict[str, Entry] = {}
    for parameter in parameters:
        if not parameter.when:
            below = [inner for inner in parameters if inner.when and inner.when[0][0] == parameter.name]
            entries[parameter.name] = _entry(parameter, below)
    return Space(entries)


def _entry(parameter: Any, below: Iterable[Any] = ()) -> Entry:
    if below:
        return Choice(
            {
                option: {inner.name: _entry(inner) for inner in below if option in inner.when[0][1]}
                for option in parameter.choices
            }
        )
    if parameter.kind == "float":
        return Float(parameter.low, parameter.high, log=parameter.log)
    if parameter.kind == "int":
        return Int(int(parameter.low), int(parameter.high), log=_log(parameter))
    return (Choice if parameter.kind == "cat" else Ordinal)(list(parameter.choices))


def _log(parameter: Any) -> bool:
    return bool(parameter.log and (parameter.kind == "float" or parameter.low >= 1))


def told(parameter: Any) -> dict[str, Any]:
    """A parameter as the peers' programs are told of it: the same space as `space_of` makes."""
    when = [[parent, list(options)] for parent, options in parameter.when]
    if parameter.kind in ("cat", "ord"):
        return {"name": parameter.name, "kind": parameter.kind, "choices": list(parameter.choices), "when": when}
    kind = int if parameter.kind == "int" else float
    ends = {"low": kind(parameter.low), "high": kind(parameter.high), "log": _log(parameter)}
    return {"name": parameter.name, "kind": parameter.kind, **ends, "when": when}


# --- a task ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """A problem with its scale: regret 0 is the best loss known, 1 the median loss of random configs.

    `noise` is the standard deviation of what is added to the losses that a method sees.
    """

    name: str
    problem: Any
    best: float
    median: float
    noise: float = 0.0

    @cached_property
    def space(self) -> Space:
        """The space, for tunewell."""
        return space_of(self.problem.params)

    def loss(self, config: Config) -> float:
        """The true loss; infinite where the config cannot run."""
        return true_loss(self.problem, config)

    def regret(self, loss: float) -> float:
        """The regret of a true loss, below 0 where it is better than the best known."""
        return (loss - self.best) / (self.median - self.best) if math.isfinite(loss) else math.inf

    def noise_of(self, seed: int, trials: int) -> Sequence[float]:
        """What is added to the first trials of a run: the same for every method."""
        rng = np.random.default_rng([seed, 11, 2026])
        return list(self.noise * rng.standard_normal(trials))


def true_loss(problem: Any, config: Mapping[str, Any]) -> float:
    """A problem's loss, without noise; infinite for a config that cannot run."""
    try:
        loss = float(problem.loss(problem.evaluate(dict(config))))
    except Exception as error:
        if type(error).__name__ != "Infeasible":
            raise
        return math.inf
    return loss if math.isfinite(loss) else math.inf


@lru_cache(maxsize=8)
def task(name: str, data: str | Path | None = None) -> Task:
    """The task of that name."""
    base = name.removeprefix("noisy/")
    problem = load(data_folder(data), base)
    scale = getattr(problem, "reference", None) or known()[base]
    noise = NOISE * known()[name]["spread"] if name != base else 0.0
    return Task(name, problem, scale["best"], scale["median"], noise)


@cache
def known() -> Mapping[str, Mapping[str, float]]:
    """What was worked out once of the tasks whose loader does not tell it."""
    return json.loads(KNOWN.read_text()) if KNOWN.exists() else {}


# --- groups ----------------------------------------------------------------------------------------------------------


def spread_evenly(names: Sequence[str], count: int) -> list[str]:
    """So many of the names, at even distances in their sorted order: a choice that knows nothing of outcomes."""
    ordered, count = sorted(names), min(count, len(names))
    return [ordered[int((place + 0.5) * len(ordered) / count)] for place in range(count)]


def is_mixed(name: str, data: str | Path | None = None) -> bool:
    """Whether a space has entries of more than one kind: continuous, integer, ordered, unordered."""
    return len({parameter.kind for parameter in task(name, data).problem.params}) > 1


@cache
def groups(data: str | Path | None = None) -> Mapping[str, Sequence[str]]:
    """The names of the tasks of each group."""
    folder = data_folder(data)
    public = sorted(task_names(folder))
    functions = sorted(name for name in public_names(folder) if name.startswith("bbob/"))
    noisy = [*spread_evenly(public, 6), "bbob/bbob/8/10/1", "bbob/bbob-mixint/1/10/1"]
    return {
        "public": public,
        "mixed": [name for name in public if is_mixed(name, data)],
        "bbob": functions,
        "live": LIVE,
        "noisy": [f"noisy/{name}" for name in noisy],
        "optima": OPTIMA,
    }


def trials_of(name: str) -> int:
    """The evaluations of a run."""
    return 200 if name in OPTIMA else 100


# --- what is worked out once -----------------------------------------------------------------------------------------


def work_out() -> dict[str, dict[str, float]]:
    """Best, median, spread or success of the tasks that need it."""
    found: dict[str, dict[str, float]] = {}
    for name in (*groups()["bbob"], *OPTIMA):
        found[name] = _of_function(name)
    for name in LIVE:
        found[name] = _of_training(name)
    for name in groups()["noisy"]:
        found[name] = {"spread": _spread(_random_losses(name.removeprefix("noisy/"), 500))}
    return found


def _random_losses(name: str, count: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    problem, rng = load(data_folder(), name), np.random.default_rng(2026)
    return np.array([true_loss(problem, problem.sample(rng)) for _ in range(count)])


def _spread(losses: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    """The standard deviation of a normal distribution with the same quartiles; a few bad configs do not widen it."""
    low, high = np.quantile(losses[np.isfinite(losses)], [0.25, 0.75])
    return float(high - low) / 1.349


def _of_function(name: str) -> dict[str, float]:
    """The optimum that COCO tells, and the regret of the best of 10,000 random configs: to reach it is a success."""
    losses, best = _random_losses(name, 10_000), float(load(data_folder(), name).best)
    median = float(np.median(losses))
    return {"best": best, "median": median, "success": float((losses.min() - best) / (median - best))}


def _of_training(name: str) -> dict[str, float]:
    """The best of 1,000 random configs and 500 mutations of the best so far."""
    problem, rng = load(data_folder(), name), np.random.default_rng(2026)
    space = space_of(problem.params)
    configs: list[Config] = [problem.sample(rng) for _ in range(1000)]
    losses = [true_loss(problem, config) for config in configs]
    median = float(np.median(losses))
    best, config = min(losses), configs[int(np.argmin(losses))]
    for _ in range(500):
        other = space.mutate(config, rng)
        loss = true_loss(problem, other)
        if loss <= best:
            best, config = loss, other
    return {"best": best, "median": median}


def main(words: Sequence[str]) -> None:
    """List the groups, or write what is known of the tasks."""
    if "--write" in words:
        KNOWN.parent.mkdir(exist_ok=True)
        lines = [f" {json.dumps(name)}: {json.dumps(scale)}" for name, scale in sorted(work_out().items())]
        KNOWN.write_text("{\n" + ",\n".join(lines) + "\n}\n")
    for group, names in groups().items():
        print(f"{group} ({len(names)}): {', '.join(names)}")


if __name__ == "__main__":
    main(sys.argv[1:])
