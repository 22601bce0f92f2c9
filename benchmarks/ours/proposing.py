"""Seconds that a proposal takes with few and with many finished jobs in the log, for random search, grid and Sobol.

Usage: python -m benchmarks.ours.proposing JOBS. Prints {"Random": [seconds at 100 jobs, seconds at JOBS], ...}.
"""

import json
import statistics
import sys
import time

import msgspec

import tunewell as tw
from benchmarks.ours.random_search import SPACE
from tunewell.events import Act, Goal, Job, Limits, Result, Steps
from tunewell.live import decide
from tunewell.method import Method, to_json
from tunewell.study import Study

FEW = 100
MEASURED = 200
"""Proposals whose median is taken."""


def opened(method: Method) -> Study:
    """A study in memory, without a store."""
    study = Study()
    settings = {"goals": (Goal("loss"),), "steps": Steps(), "limits": Limits(), "method": to_json(method)}
    study.commit(Act("open", {"seed": 0, "space": tw.Space(SPACE).to_json(), **msgspec.to_builtins(settings)}))
    return study


def add(study: Study, method: Method) -> float:
    """Propose a job and end it; the CPU seconds of the proposal."""
    start = time.process_time()
    job = decide(study, method)
    seconds = time.process_time() - start
    assert isinstance(job, Job)
    job = study.start(job)
    study.commit(job)
    study.commit(Result(job.id, "done", {"loss": float(job.id % 97)}, step=1))
    return seconds


def costs(method: Method, many: int) -> list[float]:
    """The median CPU seconds of a proposal after `FEW` and after `many` finished jobs."""
    study = opened(method)
    found = []
    for jobs in (FEW, many):
        while len(study.jobs) < jobs:
            add(study, method)
        found.append(statistics.median(add(study, method) for _ in range(MEASURED)))
    return found


def main() -> None:
    """Measure and print."""
    many = int(sys.argv[1])
    print(json.dumps({type(method).__name__: costs(method, many) for method in (tw.Random(), tw.Grid(), tw.Sobol())}))


if __name__ == "__main__":
    main()
