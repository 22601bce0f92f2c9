"""The demo: a real network tuned on real images, three ways, with an honest end.

A multi-layer perceptron in NumPy learns scikit-learn's handwritten digits. Grid, random and coarse-to-fine search spend
the same budget on several seeds; the last study is killed and resumed on the way; the winner meets the test set once.
"""

from __future__ import annotations

import itertools
import math
import multiprocessing
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import tunewell as tw
from tunewell.errors import MissingExtra
from tunewell.honest.compare import Comparison, compare
from tunewell.honest.splits import Array
from tunewell.honest.vault import Reading

SPACE = {
    "lr": tw.Float(1e-4, 1.0, log=True, default=1e-3),
    "layers": tw.Int(1, 4, default=2),
    "units": tw.Int(16, 128, log=True, default=64),
    "batch": tw.Int(16, 128, log=True, default=32),
    "weight_decay": tw.Float(1e-5, 1.0, log=True, default=1e-2),
}
"""The defaults are those of PyTorch's AdamW, and a network that many would begin with."""

METHODS: dict[str, tw.Method] = {
    "random": tw.Random(),
    "grid": tw.Grid(levels={"lr": 4, "layers": 2, "units": 2, "batch": 2, "weight_decay": 1}),
    "coarse-to-fine": tw.Zoom(),
}


class Perceptron:
    """A multi-layer perceptron with ReLU units, softmax output and AdamW (Loshchilov & Hutter, 2019, algorithm 2)."""

    def __init__(self, sizes: Sequence[int], seed: int) -> None:
        rng = np.random.default_rng(seed)
        pairs = list(itertools.pairwise(sizes))
        self.weights: list[Array] = [rng.normal(0, np.sqrt(2 / n), (n, m)).astype(np.float32) for n, m in pairs]
        self.weights += [np.zeros(m, np.float32) for _, m in pairs]
        self.moments: list[Array] = [np.zeros_like(w) for w in self.weights * 2]
        self.updates = 0

    def save(self, folder: Path) -> None:
        """Write weights and optimizer state to `folder`."""
        arrays = {f"a{i}": array for i, array in enumerate(self.weights + self.moments)}
        np.savez(folder / "network.npz", updates=self.updates, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, folder: Path) -> Perceptron:
        """The network that `save` wrote."""
        network = cls.__new__(cls)
        with np.load(folder / "network.npz", allow_pickle=False) as file:
            arrays = [file[f"a{i}"] for i in range(len(file.files) - 1)]
            network.updates = int(file["updates"])
        network.weights, network.moments = arrays[: len(arrays) // 3], arrays[len(arrays) // 3 :]
        return network

    def forward(self, x: Array) -> list[Array]:
        """The activations of each layer for inputs `x (n, d)`; the last are log-probabilities `(n, classes)`."""
        depth, activations = len(self.weights) // 2, [x]
        for i in range(depth):
            z = activations[-1] @ self.weights[i] + self.weights[depth + i]
            activations.append(np.maximum(z, 0) if i < depth - 1 else z - _log_sum_exp(z))
        return activations

    def gradients(self, x: Array, y: Array) -> list[Array]:
        """Gradients of the mean cross-entropy of labels `y (n,)` with respect to each weight."""
        depth, activations = len(self.weights) // 2, self.forward(x)
        delta = np.exp(activations.pop())
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        kernels, biases = [], []
        for i in reversed(range(depth)):
            kernels.append(activations[i].T @ delta)
            biases.append(delta.sum(0))
            delta = (delta @ self.weights[i].T) * (activations[i] > 0)
        return kernels[::-1] + biases[::-1]

    def update(self, gradients: Sequence[Array], lr: float, weight_decay: float) -> None:
        """One step of AdamW; biases are not decayed."""
        self.updates += 1
        n, correction = len(gradients), np.sqrt(1 - 0.999**self.updates) / (1 - 0.9**self.updates)
        for i, gradient in enumerate(gradients):
            mean, square = self.moments[i], self.moments[n + i]
            mean += 0.1 * (gradient - mean)
            square += 0.001 * (gradient * gradient - square)
            decay = weight_decay if i < n // 2 else 0.0
            self.weights[i] -= np.float32(lr) * (correction * mean / (np.sqrt(square) + 1e-8) + decay * self.weights[i])

    def epoch(self, x: Array, y: Array, config: Mapping[str, Any], rng: np.random.Generator) -> None:
        """Learn all rows once, in random order."""
        order = rng.permutation(len(y))
        for at in range(0, len(y), config["batch"]):
            rows = order[at : at + config["batch"]]
            self.update(self.gradients(x[rows], y[rows]), config["lr"], config["weight_decay"])

    def score(self, x: Array, y: Array) -> tuple[float, float]:
        """Mean cross-entropy and accuracy."""
        log_probabilities = self.forward(x)[-1]
        loss = -float(np.mean(log_probabilities[np.arange(len(y)), y]))
        return loss, float(np.mean(log_probabilities.argmax(1) == y))


def _log_sum_exp(z: Array) -> Array:
    top = z.max(1, keepdims=True)
    total: Array = top + np.log(np.exp(z - top).sum(1, keepdims=True))
    return total


def train(run: tw.Run) -> None:
    """Train one network: what a user of tunewell writes."""
    config, rows, held = run.config, run.data.train, run.data.validation
    network = (
        Perceptron.load(run.checkpoint)
        if run.checkpoint
        else Perceptron([rows.x.shape[1], *[config["units"]] * config["layers"], 10], run.seed)
    )
    with np.errstate(all="ignore"):  # a config that diverges is told by its loss
        for epoch in run.steps():
            network.epoch(rows.x, rows.y, config, np.random.default_rng([run.seed, epoch]))
            loss, accuracy = network.score(held.x, held.y)
            run.report(epoch, loss=loss, accuracy=accuracy, save=network.save)


def digits() -> tw.Split:
    """1,797 images of handwritten digits, 8 x 8 pixels; a fifth of them sealed."""
    try:
        from sklearn.datasets import load_digits
    except ImportError:
        raise MissingExtra("the demo needs scikit-learn", hint='pip install "tunewell[demo]"') from None
    images, labels = load_digits(return_X_y=True)
    return tw.Split((images / 16).astype(np.float32), labels, stratify=True)


def accuracy_of(best: tw.Best, sealed: tw.Sealed) -> dict[str, float]:
    """The share of sealed images that the winner's own weights name right."""
    if best.checkpoint is None:
        raise tw.CheckpointError("the winner left no weights")
    return {"accuracy": Perceptron.load(best.checkpoint).score(sealed.test.x, sealed.test.y)[1]}


class Plan:
    """What a run of the demo spends: `trials` of `epochs` for each method and each of `seeds`, by `workers`
    processes.
    """

    def __init__(self, out: Path, *, seeds: int = 5, trials: int = 32, epochs: int = 12, workers: int = 2) -> None:
        self.out, self.seeds, self.trials, self.epochs, self.workers = out, seeds, trials, epochs, workers
        self.store = out / "demo.db"

    def tune(self, method: str, seed: int, *, quiet: bool = False) -> tw.LiveStudy:
        """One study; it goes on where it stopped. Shows its progress on a terminal."""
        return tw.tune(
            train,
            SPACE,
            minimize="loss",
            method=METHODS[method],
            steps=tw.Steps(1, self.epochs, unit="epochs"),
            trials=self.trials,
            store=self.store,
            name=f"{method}, seed {seed}",
            seed=seed,
            data=digits(),
            executor=tw.Processes(self.workers, reuse=True),
            save_every=2.0,
            progress=None if sys.stderr.isatty() and not quiet else False,
        )


def killed_and_resumed(plan: Plan, method: str, seed: int) -> tw.LiveStudy:
    """The same as `plan.tune`, but its process is killed with all it runs after a third of the trials, and resumed."""
    victim = multiprocessing.get_context("spawn").Process(target=plan.tune, args=(method, seed), kwargs={"quiet": True})
    victim.start()
    finished = _watch_until(plan, f"{method}, seed {seed}", plan.trials // 3, victim)
    os.kill(victim.pid or 0, getattr(signal, "SIGKILL", signal.SIGTERM))
    victim.join()
    print(f"  killed -9 after {finished} trials; going on with the same call")
    study = plan.tune(method, seed)
    print(f"  verify: {tw.verify(study)}")
    return study


def _watch_until(plan: Plan, name: str, trials: int, victim: Any) -> int:
    """Wait until the study in another process has `trials` results; returns how many it has."""
    store, finished = tw.open_store(plan.store), 0
    while victim.is_alive() and finished < trials:
        time.sleep(0.05)
        finished = sum(isinstance(entry.event, tw.Result) for entry in store.read(name))
    store.close()
    return finished


def main(out: Path, *, seeds: int = 5, workers: int = 2, quick: bool = False) -> None:
    """Run the demo and write its studies and its page under `out`."""
    began = time.perf_counter()
    out.mkdir(parents=True, exist_ok=True)
    plan = Plan(out, seeds=seeds, workers=workers, **({"trials": 4, "epochs": 3} if quick else {}))
    print(
        f"Tuning a neural network on 1,797 images of handwritten digits: {len(METHODS)} methods x {seeds} seeds x "
        f"{plan.trials} trials of {plan.epochs} epochs, {workers} workers, kept in {plan.store}"
    )
    studies = {(method, seed): _study(plan, method, seed) for seed in range(seeds) for method in METHODS}
    print()
    _show_table(studies, seeds)
    _show_winner(plan, min(studies.values(), key=_loss))
    print(f"\n{time.perf_counter() - began:.0f} s. More: tunewell show --store {plan.store}")
    for study in studies.values():
        study.close()


def _study(plan: Plan, method: str, seed: int) -> tw.LiveStudy:
    last = seed == plan.seeds - 1 and method == list(METHODS)[-1]
    study = killed_and_resumed(plan, method, seed) if last else plan.tune(method, seed)
    best = study.best
    failed = sum(trial.status == "failed" for trial in study.trials)
    value = f"best loss {best.estimate:.4f}" if best else "nothing finished"
    print(f"  {study.name:<24} {value}{f', {failed} failed' if failed else ''}", flush=True)
    return study


def _show_table(studies: Mapping[tuple[str, int], tw.LiveStudy], seeds: int) -> None:
    from rich.console import Console
    from rich.table import Table

    losses = {
        method: [_loss(studies[method, seed]) for seed in range(seeds)]
        for method in dict.fromkeys(m for m, _ in studies)
    }
    table = Table(title=f"validation loss of the best network, {seeds} seeds, equal budget", title_justify="left")
    for column in ("method", "mean", "over seeds", "less random's, 95 %", "verdict"):
        table.add_column(column, no_wrap=True)
    for method, row in losses.items():
        against = compare(row, losses["random"]) if method != "random" else None
        spread = f"{min(row):.3f} to {max(row):.3f}"
        table.add_row(method, f"{np.mean(row):.3f}", spread, _effect(against), against.verdict if against else "")
    Console().print(table)


def _loss(study: tw.LiveStudy) -> float:
    best = study.best
    return best.estimate if best is not None else float("inf")


def _effect(against: Comparison | None) -> str:
    if against is None:
        return ""
    low, high = against.interval
    return f"{against.effect:+.3f} [{low:+.2f}, {high:+.2f}]"


def _show_winner(plan: Plan, study: tw.LiveStudy) -> None:
    if not study.readings:
        _confirm(plan, study)
    best, reading = study.best, study.readings[0] if study.readings else study.read_vault(accuracy_of)
    record, against = study.sealed, study.against_default()
    if best is None or record is None:
        return
    print(f"\nthe winner, from {study.name!r}: {best}")
    print(f"its loss less that of the default config, on fresh seeds: {against or 'too few of them to tell'}")
    print(_test_line(reading, record["rows"][1]))
    print(f"its weights: {best.checkpoint}")
    print(f"the picture: {study.plot(Path(study.files or '.').parent.parent / 'demo.html')}")


def _confirm(plan: Plan, study: tw.LiveStudy) -> None:
    """Three quarters as many runs again: fresh seeds for the finalists and the default config."""
    before = len(study.jobs)
    study.confirm(0.75)
    tw.run(study, train, executor=tw.Processes(plan.workers, reuse=True), progress=False)
    again = len(study.jobs) - before
    print(f"\nthe best of {len(METHODS) * plan.seeds} studies is lucky; {again} runs on fresh seeds say by how much")


def _test_line(reading: Reading, rows: int) -> str:
    score, error, validation = reading.score or math.nan, reading.error or math.nan, reading.validation or math.nan
    return (
        f"accuracy on {rows} sealed test images, read once: {score:.4f} (+- {1.96 * error:.4f}); "
        f"on validation it was {validation:.4f}, a gap of {validation - score:+.4f}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "tunewell-demo"))
