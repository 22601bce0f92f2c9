"""Seconds of CPU that a proposal of ours takes after so many trials: as `peers/evolution_seconds.py`.

Usage: python -m benchmarks.ours.evolution_seconds EXPRESSION N N ... The event of each job and of its result are part
of it, as what they teach is worked out there or in the next proposal.
"""

import json
import statistics
import sys
import time

import tunewell as tw
from benchmarks.quality_methods import method_of
from tunewell.contract.methods import new_study, propose
from tunewell.study import Result

MEASURED = 200


def main(expression: str, marks: list[int]) -> dict[str, float]:
    """The mean of the seconds at each mark."""
    space = tw.Space({f"x{place}": tw.Float(-5, 5) for place in range(10)})
    study, method, found, taken = new_study(space), method_of(expression), {}, list[float]()
    for number in range(max(marks) + MEASURED):
        start = time.process_time()
        job = propose(method, study)
        assert job is not None
        job = study.start(job)
        study.commit(job)
        taken.append(time.process_time() - start)
        loss = sum(value**2 for value in job.config.values())
        study.commit(Result(job.id, "done", {"loss": loss}, step=1))
        if number + 1 - MEASURED in marks:
            found[str(number + 1 - MEASURED)] = statistics.fmean(taken[-MEASURED:])
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], [int(word) for word in sys.argv[2:]])))
