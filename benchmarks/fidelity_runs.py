"""Runs of multi-fidelity methods on the learning curves of LCBench (YAHPO's surrogates), in simulated time.

A step is an epoch and takes a second, whatever the config; who goes on from a checkpoint pays for the new epochs only.
The regret of a run at b full-run equivalents is that of the best result at the last epoch within b times as many
epochs, summed over workers: 0 is the best value known, 1 the median of random configs, and what a run has that has no
such result yet.
"""

import itertools
import json
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.tasks import Task, data_folder, task
from tunewell.honest.ranks import rank_correlation
from tunewell.methods.rungs import rungs

EPOCHS = 52
BUDGETS = (5, 10, 20)
"""Full-run equivalents."""


def instances() -> list[str]:
    """The instances of LCBench whose best value is known."""
    known = json.loads((data_folder() / "yahpo" / "lcbench.json").read_text())
    return [f"yahpo/lcbench/{name}" for name in known["instances"] if known["reference"].get(name)]


@lru_cache(maxsize=200_000)
def _loss(name: str, text: str, epoch: int) -> float:
    problem = task(name).problem
    return float(problem.loss(problem.evaluate(json.loads(text), epoch)))


def loss_of(name: str, config: Mapping[str, Any], epoch: int) -> float:
    """The loss of a config after some epochs."""
    return _loss(name, _text(config), epoch)


def _text(config: Mapping[str, Any]) -> str:
    return json.dumps(dict(config), sort_keys=True)


def run(
    method: tw.Method, name: str, *, workers: int = 1, seed: int = 0, most: float = BUDGETS[-1]
) -> tuple[tw.Study, list[tuple[float, float]]]:
    """A study of `most` full-run equivalents, and the (equivalents, loss) of each result at the last epoch."""
    trace: list[tuple[float, float]] = []
    reached: dict[str, list[int]] = {}  # the epochs at which each config has stopped: nothing is saved that takes time

    def seconds(config: Mapping[str, Any], steps: int) -> float:
        return float(reached[_text(config)][-1] - reached[_text(config)][-2])

    executor = tw.Simulated(workers, duration=seconds)

    def train(run: tw.Run) -> None:
        reached.setdefault(_text(run.config), [0]).append(run.until)
        for epoch in run.steps():
            run.report(epoch, loss=loss_of(name, run.config, epoch))

    def note(study: tw.Study, event: Any) -> None:
        if isinstance(event, tw.Result) and study.jobs[event.job].until == EPOCHS:
            trace.append((executor.now * workers / EPOCHS, study.loss(event.job)))

    study = tw.tune(
        train,
        task(name).space,
        minimize="loss",
        steps=EPOCHS,
        limits=tw.Limits(steps=int((most + workers) * EPOCHS)),
        method=method,
        executor=executor,
        seed=seed,
        callbacks=[note],
        progress=False,
    )
    return study, trace


def regret(scale: Task, trace: Sequence[tuple[float, float]], budget: float) -> float:
    """The regret within so many full-run equivalents."""
    losses = [loss for spent, loss in trace if spent <= budget + 1e-9]
    return max(0.0, scale.regret(min(losses))) if losses else 1.0


def regrets(
    method: tw.Method, names: Sequence[str], seeds: int, *, workers: int = 1, budgets: Sequence[int] = BUDGETS
) -> list[float]:
    """The mean regret at each budget over instances and seeds."""
    found = []
    for name in names:
        for seed in range(seeds):
            _, trace = run(method, name, workers=workers, seed=seed, most=budgets[-1])
            found.append([regret(task(name), trace, budget) for budget in budgets])
    return [float(value) for value in np.mean(found, axis=0)]


def first_full(method: tw.Method, name: str, workers: int, seed: int) -> float:
    """The full-run equivalents after which the first result at the last epoch stands."""
    _, trace = run(method, name, workers=workers, seed=seed, most=8)
    return trace[0][0] if trace else math.inf


def correlations(name: str, epochs: Sequence[int], configs: int, seed: int = 0) -> list[float]:
    """Spearman's rank correlation of the losses after some epochs with those after the last, of random configs."""
    space, rng = task(name).space, np.random.default_rng(seed)
    drawn = [space.sample(rng) for _ in range(configs)]
    full = [loss_of(name, config, EPOCHS) for config in drawn]
    return [rank_correlation([(loss_of(name, c, e), f) for c, f in zip(drawn, full, strict=True)]) for e in epochs]


# --- what others do --------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PlainASHA:
    """Li et al. 2020, algorithm 2, to the letter: whoever is among the best ⌊n/η⌋ of a rung goes on, with all the
    promotions that this allows as the best change. One rung after the other is sorted at each proposal.
    """

    minimum: int = 1
    eta: int = 3

    def propose(self, study: tw.Study, rng: np.random.Generator) -> tw.Job | None:
        """A promotion from the highest rung that has one, or else a random config."""
        steps = rungs(study.steps.maximum, self.eta, self.minimum)
        gone = {job.parent for job in study.jobs.values()}
        for low, high in reversed(list(itertools.pairwise(steps))):
            ended = sorted((study.loss(job), job) for job in study.results if study.jobs[job].until == low)
            for loss, job in ended[: len(ended) // self.eta]:
                if job not in gone and math.isfinite(loss):
                    return tw.Job(study.jobs[job].config, high, parent=job)
        return tw.Job(study.space.sample(rng), steps[0])


# --- many workers ----------------------------------------------------------------------------------------------------


def crowd(method: tw.Method, workers: int, horizon: float) -> tuple[float, float, int]:
    """The share of their time that workers have trained, for `horizon` mean durations of a job, the seconds that a job
    took the loop, and the jobs. A step takes 10 seconds, more or less by config.
    """
    mean = 24.5  # of the jobs of ASHA, from rungs of 1, 3, 9, 27 and 81 steps
    used: list[tuple[float, int]] = []
    executor = tw.Simulated(workers, duration=_seconds, charge_proposals=True)

    def train(run: tw.Run) -> None:
        run.report(run.until, loss=abs(run.config["x"] - 0.3) + run.config["y"] / run.until)

    def stop(study: Any, event: Any) -> None:
        if isinstance(event, tw.Result) and executor.now >= horizon * mean and not used:
            running = sum(end - executor.now for end, *_ in executor._running)
            used.append(((executor.busy - running) / (workers * executor.now), len(study.jobs)))
            study.change(limits=tw.Limits(trials=0, steps=0))

    space = {"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0)}
    began = time.perf_counter()
    tw.tune(
        train, space, minimize="loss", steps=81, limits=tw.Limits(trials=10**9), method=method, executor=executor,
        seed=0, callbacks=[stop], progress=False,
    )  # fmt: skip
    return used[0][0], (time.perf_counter() - began) / used[0][1], used[0][1]


def _seconds(config: Mapping[str, Any], steps: int) -> float:
    return 10.0 * steps * (0.5 + float(config["y"]))
