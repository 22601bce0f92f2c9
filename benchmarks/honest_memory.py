"""Spaces in which about a third of the configs run out of memory, and how many trials a tuner wastes there.

What a training run takes is counted as it is by hand: the weights with the optimizer's state, and the activations that
wait for the backward pass. The loss is better for larger models, so that the best configs lie beside those that do not
fit: what a tuner meets in practice. The limit of each space is the quantile at which a third of random configs fail.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

import tunewell as tw
from tunewell.contract.methods import new_study
from tunewell.space import Config
from tunewell.study import Failure, Job, Report, Result, Study

SHARE = 1 / 3
"""Of random configs, so many fail."""


@dataclass(frozen=True)
class Room:
    """A space, the bytes that a config takes (up to a factor), and its loss."""

    name: str
    space: tw.Space
    size: Callable[[Config], float]
    loss: Callable[[Config], float]

    @cached_property
    def limit(self) -> float:
        """The size beyond which a config fails."""
        rng = np.random.default_rng(12)
        return float(np.quantile([self.size(self.space.sample(rng)) for _ in range(4000)], 1 - SHARE))

    def measured(self, config: Config) -> float | None:
        """The loss; None where it runs out of memory."""
        return self.loss(config) if self.size(config) <= self.limit else None


def perceptron_size(c: Config) -> float:
    """Weights of the layers, four times for Adam; the activations of a batch."""
    return float(4.0 * c["depth"] * c["width"] ** 2 + c["batch"] * c["depth"] * c["width"] * 4.0)


def transformer_size(c: Config) -> float:
    """12 d^2 weights a block with their state of 16 bytes; of the activations, the attention maps grow as length^2."""
    width = 64 * c["heads"]
    state = 16.0 if c["optimizer"] == "adamw" else 8.0
    kept = c["batch"] * c["length"] * (width * (4.0 if c["checkpointing"] else 34.0) + 5.0 * c["heads"] * c["length"])
    return float(c["layers"] * (12 * width**2 * state + kept))


def convolution_size(c: Config) -> float:
    """Feature maps at full resolution, halved in each stage, which doubles the channels."""
    maps = sum(c["channels"] * 2.0**stage * (c["pixels"] / 2**stage) ** 2 for stage in range(c["stages"]))
    return float(c["batch"] * maps * 12 + 9 * (c["channels"] * 2.0 ** c["stages"]) ** 2 * 16)


def bowl(found: float, best: float, width: float) -> float:
    """A parabola in the logarithm."""
    return ((math.log10(found) - math.log10(best)) / width) ** 2


def perceptron_loss(c: Config) -> float:
    """Larger is better, with less and less gain; the rate has an optimum, which falls with the width."""
    size, rate = c["width"] * c["depth"], 0.3 / c["width"] ** 0.7
    return float(size**-0.3 + 0.1 * bowl(c["lr"], rate, 1.0) + 0.02 * c["dropout"])


def transformer_loss(c: Config) -> float:
    """A power law in the weights and in the tokens of a batch."""
    weights = c["layers"] * 12 * (64 * c["heads"]) ** 2
    tokens = c["batch"] * c["length"]
    worse = 0.1 * bowl(c["lr"], 6e-4, 0.8) + 0.05 * (c["optimizer"] == "sgd")
    return float(8 * weights**-0.1 + 0.3 * tokens**-0.1 + worse)


def convolution_loss(c: Config) -> float:
    """More pixels and channels help; the batch has an optimum."""
    size = c["channels"] * 2.0 ** c["stages"]
    return float(size**-0.3 + 4 / c["pixels"] + 0.05 * bowl(c["batch"], 64, 0.8) + 0.1 * bowl(c["lr"], 0.05, 1.0))


_RATE: Any = tw.Float(1e-5, 1e-1, log=True)

ROOMS = (
    Room(
        "perceptron",
        tw.Space.of(
            {
                "width": tw.Int(32, 8192, log=True),
                "depth": tw.Int(1, 12),
                "batch": tw.Int(16, 4096, log=True),
                "lr": _RATE,
                "dropout": tw.Float(0, 0.7),
            }
        ),
        perceptron_size,
        perceptron_loss,
    ),
    Room(
        "transformer",
        tw.Space.of(
            {
                "layers": tw.Int(2, 48, log=True),
                "heads": tw.Int(2, 32, log=True),
                "batch": tw.Ordinal([1, 2, 4, 8, 16, 32, 64, 128]),
                "length": tw.Ordinal([256, 512, 1024, 2048]),
                "checkpointing": tw.Choice([False, True]),
                "optimizer": tw.Choice(["adamw", "sgd"]),
                "lr": _RATE,
                "warmup": tw.Float(0, 0.2),
            }
        ),
        transformer_size,
        transformer_loss,
    ),
    Room(
        "convolution",
        tw.Space.of(
            {
                "channels": tw.Int(8, 256, log=True),
                "stages": tw.Int(2, 5),
                "pixels": tw.Ordinal([64, 96, 128, 160, 192, 224, 256]),
                "batch": tw.Int(8, 512, log=True),
                "lr": tw.Float(1e-4, 1, log=True),
                "decay": tw.Float(1e-6, 1e-2, log=True),
                "augment": tw.Choice(["none", "flip", "mix"]),
            }
        ),
        convolution_size,
        convolution_loss,
    ),
)


def played(room: Room, method: tw.Method, seed: int, trials: int) -> tuple[int, float]:
    """How many of the trials of a study ran out of memory, and its best loss."""
    study = new_study(room.space, seed=seed, trials=trials)
    for _ in range(trials):
        job = method.propose(study, np.random.default_rng([study.seed, len(study.jobs)]))
        assert job is not None
        end(study, study.start(job), room.measured(job.config))
    failed = sum(result.status == "failed" for result in study.results.values())
    return failed, min(study.loss(job) for job in study.results)


def end(study: Study, job: Job, loss: float | None) -> None:
    """A job, and its result."""
    study.commit(job)
    if loss is None:
        study.commit(Result(job.id, "failed", error=Failure("oom", "out of memory")))
    else:
        study.commit(Report(job.id, (1,), {"loss": (loss,)}))
        study.commit(Result(job.id, "done", {"loss": loss}, step=1))


def parameters(room: Room) -> list[dict[str, Any]]:
    """The space as the peers' programs are told of it."""
    return [_told(name, entry) for name, entry in room.space.entries.items()]


def _told(name: str, entry: Any) -> dict[str, Any]:
    if isinstance(entry, tw.Ordinal | tw.Choice):
        options = list(entry.values if isinstance(entry, tw.Ordinal) else entry.options)
        return {"name": name, "kind": "ord" if isinstance(entry, tw.Ordinal) else "cat", "choices": options, "when": []}
    kind = "int" if isinstance(entry, tw.Int) else "float"
    return {"name": name, "kind": kind, "low": entry.low, "high": entry.high, "log": entry.log, "when": []}


def played_by_peer(program: Any, room: Room, seed: int, trials: int) -> tuple[int, float]:
    """The same, of a peer's program (`benchmarks.quality_runs.Program`); it is told that the trial failed."""
    failed, best = 0, math.inf
    message = program.say({"parameters": parameters(room), "seed": seed, "trials": trials, "bad": 1e3})
    while "end" not in message:
        loss = room.measured(message["config"])
        failed, best = failed + (loss is None), min(best, math.inf if loss is None else loss)
        message = program.say({"loss": loss})
    return failed, best
