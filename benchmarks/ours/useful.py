"""The share of two workers' time that goes into training, here sleeping: what a study leaves of it, or bare processes.

Usage: python -m benchmarks.ours.useful SETTINGS, as JSON: `step` (seconds), `trials` (of 81 steps), `how` ("bare", or
what `Processes` is told: "fresh", "cold" or "reused") and `flush`. Prints the share.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tunewell as tw

STEPS = 81
WORKERS = 2
HOW: dict[str, dict[str, Any]] = {
    "fresh": {"reuse": False},
    "cold": {"reuse": False, "ahead": False},
    "reused": {"reuse": True},
}


def timed(marks: str, train: Callable[[], None]) -> None:
    """Run a trial, and add a line with its beginning and its end to the file `marks`."""
    began = time.monotonic()
    train()
    with Path(marks).open("a") as file:
        file.write(f"{began} {time.monotonic()}\n")


def objective(marks: str, seconds: float, flush: bool) -> Callable[[Any], None]:
    """A training function that sleeps for each step and reports it."""

    def train(run: Any) -> None:
        for step in run.steps():
            time.sleep(seconds)
            run.report(step, loss=1.0 / step, flush=flush)

    def measured(run: Any) -> None:
        timed(marks, lambda: train(run))

    return measured


def tuned(marks: str, folder: Path, settings: dict[str, Any]) -> None:
    """The trials, as a study in an SQLite file."""
    tw.tune(
        objective(marks, settings["step"], settings["flush"]),
        {"x": tw.Float(0.0, 1.0)},
        minimize="loss",
        method=tw.Random(),
        trials=settings["trials"],
        steps=STEPS,
        executor=tw.Processes(WORKERS, **HOW[settings["how"]]),
        store=folder / "study.db",
        progress=False,
    )


def slept(marks: str, seconds: float, trials: int) -> None:
    """The trials of one bare process."""

    def train() -> None:
        for _ in range(STEPS):
            time.sleep(seconds)

    for _ in range(trials):
        timed(marks, train)


def bare(marks: str, settings: dict[str, Any]) -> None:
    """The trials in processes that report nothing."""
    context = multiprocessing.get_context("fork")
    share = settings["trials"] // WORKERS
    processes = [context.Process(target=slept, args=(marks, settings["step"], share)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def share_of(marks: str, step: float) -> float:
    """Seconds of training, over the seconds that the workers had from the first step to the last."""
    times = [tuple(map(float, line.split())) for line in Path(marks).read_text().splitlines()]
    wall = max(end for _, end in times) - min(began for began, _ in times)
    return len(times) * STEPS * step / (wall * WORKERS)


def main() -> None:
    """Measure and print."""
    settings = json.loads(sys.argv[1])
    with tempfile.TemporaryDirectory() as folder:
        marks = os.path.join(folder, "marks")
        if settings["how"] == "bare":
            bare(marks, settings)
        else:
            tuned(marks, Path(folder), settings)
        print(share_of(marks, settings["step"]))


if __name__ == "__main__":
    main()
