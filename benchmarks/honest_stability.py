"""The figures of instability: what diverges is stopped, what is healthy is not, and memory is not run out of twice.

Rows of the benchmark `honest`. The thresholds of the detector (`tunewell.honest.watch`) were chosen on
perceptrons and linear models on iris, wine and breast cancer, trained by SGD, momentum and Adam, and then frozen. What
is measured here are other networks, other data and other optimizers.
"""

from collections.abc import Iterator
from functools import cache
from itertools import product
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import FOLDER, Row
from benchmarks.honest_memory import ROOMS, played, played_by_peer
from benchmarks.honest_training import Task, Trained, constant, stable_rate, train
from tunewell.honest.divergence import diverged

STEPS = 400
"""Of each training."""

PAIRS = (
    ("convolutional", "digits"),
    ("recurrent", "digits"),
    ("residual", "digits"),
    ("autoencoder", "digits"),
    ("swish", "diabetes"),
    ("residual", "diabetes"),
)
"""Networks and data, none of which the thresholds have seen."""

OPTIMIZERS = ("sgd", "nesterov", "rmsprop", "adamw", "adagrad")


def tasks(quick: bool) -> list[Task]:
    """Every network with every optimizer; in two sizes of a batch, in turns."""
    pairs = product(PAIRS[:2], OPTIMIZERS[:2]) if quick else product(PAIRS, OPTIMIZERS)
    named = enumerate((network, data, optimizer) for (network, data), optimizer in pairs)
    return [Task(words[0], words[1], words[2], batch=(16, 64)[at % 2]) for at, words in named]


@cache
def too_fast(count: int, quick: bool) -> list[Trained]:
    """Trainings at 3 to 100 times the stable rate, until `count` of them diverged; all of them, in order."""
    rng, known = np.random.default_rng(2024), tasks(quick)
    found: list[Trained] = []
    for seed in range(20 * count):
        if sum(run.diverged for run in found) >= count:
            break
        task, factor = known[rng.integers(len(known))], float(np.exp(rng.uniform(np.log(3), np.log(100))))
        rate = stable_rate(task) * factor
        found.append(train(task, constant(rate), STEPS, seed))
    return found


@cache
def well_behaved(count: int, quick: bool) -> list[Trained]:
    """Healthy trainings: 0.1 to 1 times the stable rate, cosine schedules with warm restarts, and bad batches."""
    rng, known = np.random.default_rng(2025), tasks(quick)
    found: list[Trained] = []
    for seed in range(10**5, 10**5 + 20 * count):
        if len(found) >= count:
            break
        task = known[rng.integers(len(known))]
        top, period = stable_rate(task) * 10 ** rng.uniform(-1, 0), int(rng.integers(30, 150))
        shocks = [
            (int(rng.integers(20, STEPS)), ("scale", "labels")[rng.integers(2)], float(rng.uniform(3, 30)))
            for _ in range(rng.integers(0, 4))
        ]
        run = train(task, restarts(top, period), STEPS, seed, shocks)
        found += [run] if run.healthy else []
    return found


def restarts(top: float, period: int) -> Any:
    """SGDR: half a cosine from `top` to a hundredth of it, then from the top again."""
    return lambda step: top * (0.01 + 0.495 * (1 + np.cos(np.pi * ((step - 1) % period) / period)))


def stopped_at(run: Trained) -> float:
    """The step at which the detector stops a training; infinite where it does not."""
    found = diverged(run.curve)
    return float("inf") if found is None else found[0] + 1.0


def detected_rows(quick: bool) -> Iterator[Row]:
    """Diverged: all looks at the loss of all rows, every tenth step of the later half, are above that at the start."""
    count = 10 if quick else 200
    runs = too_fast(count, quick)
    bad = [run for run in runs if run.diverged]
    late = [stopped_at(run) - run.onset for run in bad]
    share = 100 * float(np.mean([steps <= 50 for steps in late]))
    name = f"{len(bad)} trainings that diverge, of {len(runs)} at 3 to 100 x the stable rate"
    yield Row(share, name=f"{name}: stopped within 50 steps after they were last no worse")
    first = [stopped_at(run) <= 50 for run in bad]
    yield Row(100 * float(np.mean(first)), name="the same: stopped by step 50 of the training", target="")
    yield Row(float(np.median(late)), name="steps until it is stopped, the median", target="", unit="")
    yield Row(max(late), name="steps until it is stopped, the slowest", target="", unit="")
    back = [run for run in runs if run.healthy]
    stopped = 100 * float(np.mean([np.isfinite(stopped_at(run)) for run in back])) if back else 0.0
    name = f"{len(back)} trainings at such rates that came back to a healthy end: stopped all the same"
    yield Row(stopped, name=name, target="")


def spared_row(quick: bool) -> Row:
    """Healthy: a tenth of the loss of all rows is gone at the end, and for most of the later half."""
    runs = well_behaved(20 if quick else 1000, quick)
    share = 100 * float(np.mean([np.isfinite(stopped_at(run)) for run in runs]))
    return Row(share, name=f"{len(runs):,} healthy curves with warm restarts and spikes that recover: stopped")


METHODS: dict[str, tw.Method] = {
    "Auto()": tw.Auto(),
    "TPE()": tw.TPE(),
    "Avoid(TPE())": tw.Avoid(tw.TPE()),
    "Avoid(Random())": tw.Avoid(tw.Random()),
}


def wasted_rows(quick: bool) -> Iterator[Row]:
    """Beside Optuna's TPE, which is told that these trials failed; and the best loss that both found."""
    rooms, seeds, trials = (ROOMS[:1], 1, 30) if quick else (ROOMS, 3, 100)
    program = optuna()
    for room in rooms:
        peers = [played_by_peer(program, room, seed, trials) for seed in range(seeds)]
        theirs, their_best = 100 * float(np.mean([lost for lost, _ in peers])) / trials, mean_of(peers)
        for name, method in METHODS.items():
            ours = [played(room, method, seed, trials) for seed in range(seeds)]
            target = None if name == "Auto()" else ""
            share = 100 * float(np.mean([lost for lost, _ in ours])) / trials
            yield Row(share, theirs, f"{room.name}: wasted by {name}", target)
            yield Row(mean_of(ours), their_best, f"{room.name}: best loss of {name}", "", "")
    program.close()


def mean_of(runs: list[tuple[int, float]]) -> float:
    """The mean best loss."""
    return float(np.mean([best for _, best in runs]))


def optuna() -> Any:
    """Its program."""
    from benchmarks.quality_runs import Program
    from dev import ROOT, Environment

    home = Environment(ROOT / ".venvs" / "optuna-quality")
    home.install(FOLDER / "peers" / "optuna-quality.txt")
    return Program([str(home.python), str(FOLDER / "peers" / "quality_optuna.py"), "tpe"])
