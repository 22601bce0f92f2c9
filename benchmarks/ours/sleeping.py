"""The share of two workers' time that a sleeping objective trains under ASHA: of a study, or of bare processes.

Usage: python -m benchmarks.ours.sleeping tuned|reused|bare STEP SECONDS. The study lies in an SQLite file, and every
trial can go on from a checkpoint, which holds the number of its step.
"""

import json
import multiprocessing
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import tunewell as tw
from benchmarks.peers.sleeping import STEPS, WORKERS, share, steps


def tuned(marks: str, folder: Path, step: float, seconds: float, reuse: bool) -> None:
    """Tune for so many seconds."""

    def train(run: Any) -> None:
        for number in steps(marks, step, run.start + 1):
            save = lambda path: (path / "step").write_text(str(number))  # noqa: B023, E731
            run.report(number, save=save, loss=run.config["x"] + 1.0 / number)

    tw.tune(
        train,
        {"x": tw.Float(0.0, 1.0)},
        minimize="loss",
        method=tw.ASHA(),
        limits=tw.Limits(seconds=seconds),
        steps=STEPS,
        executor=tw.Processes(WORKERS, reuse=reuse),
        store=folder / "study.db",
        progress=False,
    )


def slept(marks: str, step: float, seconds: float) -> None:
    """As many steps as there is time for, in full runs."""
    for _ in range(max(1, round(seconds / (step * STEPS)))):
        list(steps(marks, step))


def bare(marks: str, step: float, seconds: float) -> None:
    """Processes that report nothing."""
    context = multiprocessing.get_context("fork")
    processes = [context.Process(target=slept, args=(marks, step, seconds)) for _ in range(WORKERS)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main() -> None:
    """Measure and print."""
    how, step, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        marks = os.path.join(folder, "marks")
        os.mkdir(marks)
        if how == "bare":
            bare(marks, step, seconds)
        else:
            tuned(marks, Path(folder), step, seconds, how == "reused")
        print(json.dumps(share(marks, step)))


if __name__ == "__main__":
    main()
