"""Seconds of CPU that a suggestion of ours takes after so many results; the same as `peers/quality_seconds.py`.

Usage: python -m benchmarks.quality_seconds EXPRESSION N TIMES. The first suggestion is not counted; the median of the
next ones is printed as JSON.
"""

import json
import random
import statistics
import sys
import time
from types import SimpleNamespace

from benchmarks.peers.quality_space import PARAMETERS, drawn, loss
from benchmarks.quality_methods import method_of
from benchmarks.tasks import space_of
from tunewell.contract.methods import new_study, propose
from tunewell.space import Config
from tunewell.study import Job, Result, Study


def add(study: Study, job: Job) -> None:
    """The job and its result."""
    job = study.start(job)
    study.commit(job)
    study.commit(Result(job.id, "done", {"loss": loss(job.config)}, step=1))


def main(expression: str, results: int, times: int) -> float:
    """The median of the seconds."""
    method, rng = method_of(expression), random.Random(0)
    study = new_study(space_of([SimpleNamespace(**each) for each in PARAMETERS]))
    for _ in range(results):
        config: Config = drawn(rng)
        add(study, Job(config, 1))
    taken = []
    for _ in range(times + 1):
        start = time.process_time()
        job = propose(method, study)
        taken.append(time.process_time() - start)
        assert job is not None
        add(study, job)
    return statistics.median(taken[1:])


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
