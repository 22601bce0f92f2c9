"""Small methods for tests that decide on the way, and that go on from another's checkpoint."""

from dataclasses import dataclass

import numpy as np

from tunewell.events import Job
from tunewell.study import Study


@dataclass(frozen=True)
class HalfGoesOn:
    """`width` configs until step 1; the better half of them until the last step."""

    width: int = 4

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        first = [job for job in study.jobs.values() if job.parent is None]
        if len(first) < self.width:
            return Job(study.space.sample(rng), 1, tag=(0,))
        if any(job.id not in study.results for job in first):
            return None
        ended = [job for job in first if study.results[job.id].status == "done"]
        better = sorted(ended, key=lambda job: (study.loss(job.id), job.id))[: self.width // 2]
        gone_on = {job.parent for job in study.jobs.values()}
        for job in better:
            if job.id not in gone_on:
                return Job(job.config, study.steps.maximum, parent=job.id, tag=(1,))
        return None


@dataclass(frozen=True)
class Copycat:
    """One config until step 1, then another config that goes on from its checkpoint."""

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        if not study.jobs:
            return Job({"x": 0.25}, 1)
        if study.pending() or len(study.jobs) > 1:
            return None
        return Job({"x": 0.75}, study.steps.maximum, parent=0)


@dataclass(frozen=True)
class HeirsOfOne:
    """One config until the last step, then three jobs until the same step from its checkpoint: with other configs, or
    with its own.
    """

    changed: bool = True

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        if not study.jobs:
            return Job({"x": 0.25}, study.steps.maximum)
        if study.pending() or len(study.jobs) > 3:
            return None
        return Job({"x": 0.5 + len(study.jobs) / 8 if self.changed else 0.25}, study.steps.maximum, parent=0)
