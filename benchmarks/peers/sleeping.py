"""The sleeping objective of the wall-clock benchmark, the same way for tunewell and for every peer. Needs no package.

Every step sleeps and leaves the moment of its end in a file of its process; `share` reads them all.
"""

import os
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

STEPS = 81
WORKERS = 2


def steps(folder: str, seconds: float, first: int = 1) -> Iterator[int]:
    """Sleep for each step from `first` on, and say its number."""
    with (Path(folder) / f"{os.getpid()}-{time.monotonic_ns()}").open("a", buffering=1) as file:
        for step in range(first, STEPS + 1):
            began = time.monotonic()
            time.sleep(seconds)
            file.write(f"{began} {time.monotonic()}\n")
            yield step


def share(folder: str, seconds: float) -> dict[str, float]:
    """The sleep that was asked for over the time that the workers had, from the first step to the last."""
    lines = chain.from_iterable(path.read_text().splitlines() for path in Path(folder).iterdir())
    marks = [tuple(map(float, line.split())) for line in lines if len(line.split()) == 2]
    if not marks:
        return {"share": 0.0, "steps": 0}
    wall = max(end for _, end in marks) - min(began for began, _ in marks)
    return {"share": len(marks) * seconds / (wall * WORKERS), "steps": len(marks)}
