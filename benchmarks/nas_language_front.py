"""The best trade-offs of perplexity and parameters that anybody knows on the language-model benchmark.

For each size of model the union of what ten runs of NSGA-II find, 100,000 configs each, and the worst of 10,000 random
configs. A run is the algorithm of Deb et al., IEEE TEC 6, 2002, on lists of choices: populations of 100, uniform
crossover, and a tenth of the children's entries drawn anew at first, one of them later; everything that a run measured
counts, not only its last population.

    python -m benchmarks.nas_language_front      writes benchmarks/data/nas_language.json anew (a minute)
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.tasks import data_folder, load
from tunewell.surrogates.pareto import crowding, fronts, non_dominated

Array = np.ndarray[Any, np.dtype[np.float64]]
Numbers = np.ndarray[Any, np.dtype[np.intp]]

STORED = Path(__file__).resolve().parent / "data" / "nas_language.json"
GOALS = ("perplexity", "params_m")
RUNS, EVALUATIONS, POPULATION, RANDOM = 10, 100_000, 100, 10_000


def sizes() -> list[str]:
    """The sizes of model that the data hold, the small one first."""
    load(data_folder(), "bbob/bbob/1/2/1")
    from hwgpt import sizes as found  # type: ignore[import-not-found]

    return sorted(found(), key="sml".index)


@dataclass(frozen=True)
class Many:
    """The benchmark on many configs at once: rows of numbers of choices, (n, 3 + 2 layers): width, layers, bias, the
    ratio of each layer, the heads of each.
    """

    problem: Any

    @property
    def counts(self) -> Numbers:
        """How many choices each column has."""
        width, layers, ratios, heads = self.problem._choices
        top = max(layers)
        return np.array([len(width), len(layers), 2, *[len(ratios)] * top, *[len(heads)] * top])

    def uniform(self, count: int, rng: np.random.Generator) -> Numbers:
        """Rows at random."""
        return rng.integers(self.counts, size=(count, len(self.counts)))

    def config(self, row: Numbers) -> Mapping[str, Any]:
        """One row as the loader takes it."""
        width, layers, ratios, heads = self.problem._choices
        count, top = layers[row[1]], max(layers)
        found = {"embed_dim": width[row[0]], "n_layer": count, "bias": ("True", "False")[row[2]]}
        for layer in range(count):
            found[f"mlp_ratio_{layer}"] = ratios[row[3 + layer]]
            found[f"n_head_{layer}"] = heads[row[3 + top + layer]]
        return found

    def losses(self, rows: Numbers) -> Array:
        """Perplexity and millions of parameters: (n, 2)."""
        width, layers, ratios, heads = (np.array(each, dtype=float) for each in self.problem._choices)
        top, counts = int(layers.max()), layers[rows[:, 1]].astype(int)
        here = np.arange(top) < counts[:, None]
        blocks = [rows[:, 3 : 3 + top], rows[:, 3 + top :]]
        kinds = [np.eye(3)[each] * here[:, :, None] for each in blocks]
        ends = np.eye(len(width))[rows[:, 0]], np.eye(len(layers))[rows[:, 1]], np.eye(2)[rows[:, 2]]
        hot = np.hstack([ends[0], ends[1], *(_front_loaded(each, here) for each in kinds), ends[2]])
        units = [np.where(here, _unit(each)[some], -1.0) for each, some in zip((ratios, heads), blocks, strict=True)]
        scaled = np.column_stack([_unit(width)[rows[:, 0]], _unit(layers)[rows[:, 1]], *units, rows[:, 2] == 0])
        return np.stack([self._net("perplexity", hot), self._net("params", scaled)], axis=1)

    def _net(self, metric: str, x: Array) -> Array:
        weights, z = self.problem._w, x.astype(np.float32)
        for layer in range(1, 5):
            z = np.maximum(z @ weights[f"{metric}.fc{layer}.weight"].T + weights[f"{metric}.fc{layer}.bias"], 0)
        return np.asarray((z @ weights[f"{metric}.fc5.weight"].T + weights[f"{metric}.fc5.bias"])[:, 0], dtype=float)


def _front_loaded(kinds: Array, here: Any) -> Array:
    """The choices of the layers, (n, layers, 3), one after the other; what a model lacks is 0, at the end."""
    found: Array = (kinds * here[:, :, None]).reshape(len(kinds), -1)
    return found


def _unit(values: Array) -> Array:
    found: Array = (values - values[0]) / (values[-1] - values[0])
    return found


# --- NSGA-II ---------------------------------------------------------------------------------------------------------


def evolved(many: Many, seed: int, evaluations: int = EVALUATIONS) -> Array:
    """The losses (n, 2) that nothing in a run dominates."""
    rng = np.random.default_rng([2026, seed])
    rows = many.uniform(POPULATION, rng)
    losses = many.losses(rows)
    best, places = losses[non_dominated(losses)], np.arange(POPULATION)
    for _ in range(evaluations // POPULATION - 1):
        born = _children(many, rows, places, rng)
        found = many.losses(born)
        kept = _survivors(np.vstack([losses, found]))
        rows, losses = np.vstack([rows, born])[kept], np.vstack([losses, found])[kept]
        every = np.vstack([best, found])
        best = every[non_dominated(every)]
    return best


def _survivors(losses: Array) -> Numbers:
    """The places of the better half, best first."""
    kept: list[int] = []
    for front in fronts(losses, POPULATION):
        kept += list(front[np.argsort(-crowding(losses[front]), kind="stable")])
    return np.array(kept[:POPULATION])


def _children(many: Many, rows: Numbers, places: Numbers, rng: np.random.Generator) -> Numbers:
    """As many children, each of two that won a tournament; rows are best first."""
    first, second = (np.minimum(*rng.choice(places, (2, POPULATION))) for _ in range(2))
    crossed = (rng.random(rows.shape) < 0.5) & (rng.random(POPULATION) < 0.9)[:, None]
    child = np.where(crossed, rows[second], rows[first])
    changed = rng.random(rows.shape) < 1.5 / rows.shape[1]
    return np.where(changed, many.uniform(POPULATION, rng), child)


# --- what is stored --------------------------------------------------------------------------------------------------


def found_on(size: str) -> dict[str, Any]:
    """The front and the ends of one size."""
    many = Many(load(data_folder(), f"hwgpt/{size}"))
    every = np.vstack([evolved(many, seed) for seed in range(RUNS)])
    random = many.losses(many.uniform(RANDOM, np.random.default_rng(2026)))
    front = every[non_dominated(every)]
    ends = {"worst": random.max(0).tolist(), "best": random.min(0).tolist()}
    return {**ends, "front": [[float(f"{loss:.7g}") for loss in row] for row in front[np.argsort(front[:, 0])]]}


def main() -> None:
    """All sizes that the data hold."""
    STORED.parent.mkdir(exist_ok=True)
    told = {size: found_on(size) for size in sizes()}
    STORED.write_text(json.dumps(told, indent=None, separators=(",", ":")) + "\n")
    for size, found in told.items():
        print(f"{size}: {len(found['front'])} points", file=sys.stderr)


if __name__ == "__main__":
    main()
