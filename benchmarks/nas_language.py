"""A small GPT's layers, widths and heads: perplexity against parameters after 200 queries, and limits on parameters.

HW-GPT-Bench (R. S. Sukthanker et al., NeurIPS 2024 datasets and benchmarks, arXiv:2405.10299): surrogates of trainings
on OpenWebText, of 10 to 12 layers. The hypervolume is a share of that of the best known front, the union of ten runs of
NSGA-II with 100,000 configs each (`benchmarks.nas_language_front`). The reference point is the worst perplexity and the
worst number of parameters among 10,000 random configs, the scale of each goal their range.

Perplexity takes a training; the number of parameters follows from the config, and a space may say so (`Space.known`).
That is what a method of ours is measured with where it says "known"; the peers know of no such thing. What they reached
is kept in `benchmarks/peers/language.csv`, a row for each run; by hand, to run one again:

    python -m benchmarks.nas_language --method 'Bayes()' --known --method optuna-gp --seeds 5
"""

import argparse
import csv
import json
import os
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, Self

import numpy as np

from benchmarks.figures import FOLDER, ONE_THREAD, Row, figure
from benchmarks.nas_language_front import GOALS, STORED, sizes
from benchmarks.quality_goals import Run, Tradeoff, asked, peer, play, play_peer
from benchmarks.quality_runs import say
from benchmarks.tasks import data_folder, load
from tunewell.space import Blocks, Choice, Config, Ordinal, Space, unflatten
from tunewell.surrogates.hypervolume import hypervolume

Array = np.ndarray[Any, np.dtype[np.float64]]


def play_syne_tune(kind: str, of: Tradeoff, seed: int, queries: int) -> Run:
    """A run of one of its methods, with its default settings."""
    return asked(peer("syne-tune", "quality_syne_tune_goals.py", kind), of, seed, queries)


OURS = ("Bayes()", "NSGA2()", "Random()")
PLAY: Mapping[str, Callable[[Tradeoff, int, int], Run]] = {
    **{f"optuna-{kind}": partial(play_peer, kind) for kind in ("nsga2", "tpe", "gp")},
    **{f"syne-tune-{kind}": partial(play_syne_tune, kind) for kind in ("gp", "ea")},
}
"""How the peers are run: on a trade-off, with a seed, for so many queries."""
KEPT = FOLDER / "peers" / "language.csv"
"""What they reached: peer, version, size, seed, the volumes after 50, 100 and 200 queries, seconds a suggestion."""
QUERIES = 200


# --- what is measured ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Language(Tradeoff):
    """Perplexity and millions of parameters of a small GPT; `best` and `worst` (2,) of random ones."""

    best: Array
    worst: Array

    @cached_property
    def space(self) -> Space:
        """The models of that size: a layer has a ratio and heads where the model has the layer."""
        told = {parameter.name: list(parameter.choices) for parameter in self.parameters}
        layer = {"mlp_ratio": Ordinal(told["mlp_ratio_0"]), "n_head": Ordinal(told["n_head_0"])}
        layers = Blocks(layer, min(told["n_layer"]), max(told["n_layer"]))
        return Space({"embed_dim": Ordinal(told["embed_dim"]), "layers": layers, "bias": Choice(told["bias"])})

    def knowing(self) -> Self:
        """The same, whose number of parameters follows from a config: nobody has to train to know it."""
        known = replace(self)
        known.__dict__["space"] = Space(self.space.entries, known={"goal1": partial(parameters, self.name[-1])})
        return known

    def normalised(self, losses: Sequence[Sequence[float]]) -> float:
        """The hypervolume of some losses as a share of that of the front."""
        return self._volume(np.array(losses)) / self._volume(self.front)

    def _volume(self, losses: Array) -> float:
        scale = self.worst - self.best
        return hypervolume(losses / scale, self.worst / scale)


def named(config: Config) -> Config:
    """A config with the names of the benchmark: "mlp_ratio_3" is that of the fourth layer."""
    blocks = unflatten(config)["layers"]
    layers = {f"{name}_{place}": value for place, block in enumerate(blocks) for name, value in block.items()}
    return {"embed_dim": config["embed_dim"], "n_layer": len(blocks), "bias": config["bias"], **layers}


def parameters(size: str, config: Config) -> float:
    """The millions of parameters of a config of `Language.space`, without the rest of what the benchmark says."""
    problem = load(data_folder(), f"hwgpt/{size}")
    width, layers, *choices = problem._choices
    found = [_unit(config["embed_dim"], width), _unit(config["layers"], layers)]
    for name, some in zip(("mlp_ratio", "n_head"), choices, strict=True):
        told = (config.get(f"layers.{layer}.{name}") for layer in range(max(layers)))
        found += [-1.0 if value is None else _unit(value, some) for value in told]
    return float(problem._net("params", np.array([*found, config["bias"] == "True"], np.float32)))


def _unit(value: float, choices: Sequence[float]) -> float:
    return (value - choices[0]) / (choices[-1] - choices[0])


@cache
def language(size: str) -> Language:
    """The benchmark of that size of model: "s", "m" or "l"."""
    problem = load(data_folder(), f"hwgpt/{size}")
    known = json.loads(STORED.read_text())[size]

    def losses(config: Config) -> Sequence[float]:
        found: Mapping[str, float] = problem.evaluate(named(config) if "layers" in config else config)
        return [found[goal] for goal in GOALS]

    ends = [np.array(known[name]) for name in ("front", "best", "worst")]
    return Language(f"gpt-{size}", problem.params, losses, *ends)


@dataclass(frozen=True)
class Limited(Language):
    """The same with at most `most` millions of parameters, which methods know beforehand."""

    most: float

    @cached_property
    def space(self) -> Space:
        """The models that are small enough."""
        entries, rule = super().space.entries, f"millions <= {self.most}"
        return Space(entries, constraints={"small": rule}, known={"millions": partial(parameters, "s")})


# --- figures ---------------------------------------------------------------------------------------------------------


def played(contender: str, of: Language, seeds: int, queries: int = QUERIES) -> list[Run]:
    """Runs of one of our methods, an expression, or of a peer."""
    runs = []
    for seed in range(seeds):
        runs.append(PLAY[contender](of, seed, queries) if contender in PLAY else play(contender, of, seed, queries))
        volumes = " ".join(f"{runs[-1].at(mark, of):.4f}" for mark in (queries // 4, queries // 2, queries))
        say(f"{of.name} {contender:24} seed {seed}  {volumes}  {statistics.fmean(runs[-1].seconds):.3f} s")
    return runs


def kept(size: str) -> dict[str, list[float]]:
    """The volumes after 200 queries of each peer's runs that are kept, by its name and version."""
    found: dict[str, list[float]] = {}
    with KEPT.open() as file:
        for row in csv.DictReader(file):
            if row["size"] == size:
                found.setdefault(f"{row['peer']} {row['version']}", []).append(float(row[f"v{QUERIES}"]))
    return found


@figure("language-model benchmark, hypervolume after 200 queries", target=">= 0.97 and >= 1 x peer")
def volumes(quick: bool) -> Iterator[Row]:
    """The mean over seeds, a share of the best known front's; the peer is the best of the others."""
    seeds, queries = (1, 20) if quick else (5, QUERIES)
    for size in ["s"] if quick else sizes():
        of, told = language(size), f"gpt-{size}, hypervolume after {queries}"
        runs = {each: played(each, of, seeds, queries) for each in OURS}
        reached = {each: [run.at(queries, of) for run in some] for each, some in runs.items()}
        others = reached | ({} if quick else kept(size))
        knowing = played(OURS[0], of.knowing(), seeds, queries)
        best = max(others, key=lambda each: statistics.fmean(others[each]))
        mean = statistics.fmean(run.at(queries, of) for run in knowing)
        row = f"{told}, {OURS[0]} that knows the parameters; best other {best}"
        yield Row(mean, statistics.fmean(others[best]), row)
        for each, some in others.items():
            yield Row(statistics.fmean(some), name=f"{told}, {each}, {len(some)} seeds", target="")
        slowest = statistics.fmean(run.seconds[-1] for run in knowing)
        yield Row(slowest, name=f"gpt-{size}, a proposal after {queries} results", target="", unit="s")


LIMITS = {"70 million": 70.0, "30 million": 30.0, "18 million": 18.0}
"""Of parameters: 67 %, 33 % and 0.02 % of random models are as small."""


@figure("infeasible trainings under known constraints", target="<= 0")
def infeasible(quick: bool) -> Iterator[Row]:
    """How many of the models that a method asks for are too large."""
    for told, most in LIMITS.items():
        for each in ("Random()", "Evolution()", "NSGA2()", "Bayes()"):
            sizes, seconds = asked_below(each, most, 12 if quick else 50)
            large = sum(parameters > most for parameters in sizes)
            yield Row(large, name=f"of {len(sizes)} models of at most {told} parameters, too large ones, {each}")
            yield Row(1e3 * max(seconds), name=f"the slowest proposal there, {each}", target="", unit="ms")


def asked_below(expression: str, most: float, queries: int) -> tuple[list[float], list[float]]:
    """The millions of parameters of the models that a method asks for, and the seconds of each proposal."""
    of, sizes = language("s"), []
    goals = 1 if expression == "Evolution()" else 2  # it ranks by one

    def losses(config: Config) -> Sequence[float]:
        found = of.losses(config)
        sizes.append(found[1])
        return found[:goals]

    limited = Limited(of.name, of.parameters, losses, of.front[:, :goals], of.best, of.worst, most)
    return sizes, play(expression, limited, 0, queries).seconds


def main(words: Sequence[str] | None = None) -> None:
    """Some contenders."""
    line = argparse.ArgumentParser(prog="python -m benchmarks.nas_language")
    line.add_argument("--method", action="append", metavar="EXPRESSION", help="one of ours, or a peer's name")
    line.add_argument("--known", action="store_true", help="the number of parameters is known to ours")
    line.add_argument("--size", default="s", help="of the model: s, m or l")
    line.add_argument("--seeds", type=int, default=5, metavar="N")
    line.add_argument("--queries", type=int, default=QUERIES, metavar="N")
    options = line.parse_args(words)
    of = language(options.size).knowing() if options.known else language(options.size)
    for each in options.method or OURS:
        found = [run.at(options.queries, of) for run in played(each, of, options.seeds, options.queries)]
        print(f"{each:40} {statistics.fmean(found):.4f}  {min(found):.4f} to {max(found):.4f}", flush=True)


if __name__ == "__main__":
    if any(os.environ.get(name) != "1" for name in ONE_THREAD):
        environment = os.environ | ONE_THREAD
        os.execve(sys.executable, [sys.executable, "-m", "benchmarks.nas_language", *sys.argv[1:]], environment)
    main()
