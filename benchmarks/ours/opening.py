"""Opening a study of many trials, and its `best`, in a fresh process.

Usage: python -m benchmarks.ours.opening make PATH TRIALS BLOCK    writes trials of 10 reports, BLOCK to a Report
       python -m benchmarks.ours.opening open PATH                 prints {"seconds": ..., "cpu": ..., "megabytes": ...}
"""

import json
import random
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tunewell as tw
from tunewell.events import Event, Job, Report, Result

REPORTS = 10
BATCH = 1000
"""Trials in one commit."""


def events(trial: int, seen: int, block: int, rng: random.Random) -> Iterator[Event]:
    """What stands in the log of a trial that ran alone."""
    values = [rng.random() for _ in range(REPORTS)]
    yield Job({f"x{i}": rng.random() for i in range(10)}, REPORTS, id=trial, seen=seen)
    for first in range(0, REPORTS, block):
        steps = tuple(range(first + 1, first + block + 1))
        yield Report(trial, steps, {"loss": tuple(values[first : first + block])})
    yield Result(trial, "done", {"loss": values[-1]}, step=REPORTS, seconds=rng.random(), made="0123456789abcdef")


def make(path: str, trials: int, block: int) -> None:
    """Write the study."""
    space = {f"x{i}": tw.Float(0.0, 1.0) for i in range(10)}
    rng = random.Random(0)
    settings: dict[str, Any] = {"steps": REPORTS, "limits": tw.Limits(trials=trials), "method": tw.Random()}
    with tw.open_study("study", path, space=space, minimize="loss", **settings) as study:
        for first in range(0, trials, BATCH):
            batch: list[Event] = []
            for trial in range(first, min(first + BATCH, trials)):
                batch += events(trial, 1 + trial * (2 + REPORTS // block), block, rng)
            study.store.append("study", *batch)


def resident() -> float:
    """The largest memory of this process so far, in megabytes."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size / (1e6 if sys.platform == "darwin" else 1e3 / 1.024)


def opened(path: str) -> dict[str, float]:
    """What opening costs."""
    import_all(path)
    memory, wall, cpu = resident(), time.perf_counter(), time.process_time()
    study = tw.open_study("study", path)
    best = study.best
    taken = {"seconds": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    assert best is not None
    return {**taken, "megabytes": resident() - memory}


def import_all(path: str) -> None:
    """Load every module that opening needs, by opening an empty study beside it."""
    other = Path(path).with_suffix(".other.db")
    make(str(other), 2, 10)
    with tw.open_study("study", other) as study:
        assert study.best is not None
    other.unlink()


def main(words: list[str]) -> Any:
    """Run the command."""
    if words[0] == "make":
        return make(words[1], int(words[2]), int(words[3]))
    return opened(words[1])


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1:])))
