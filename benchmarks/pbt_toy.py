"""The toy of population-based training (Jaderberg et al. 2017, section 4.3 and figure 2), as a study in memory.

Q = 1.2 - t0^2 - t1^2 is wanted; what a worker follows is the gradient of 1.2 - h0 t0^2 - h1 t1^2, in 200 steps with a
learning rate of 0.02. The two workers begin at (0.9, 0.9), with h = (1, 0) and (0, 1): neither can get anywhere alone.
"""

from dataclasses import dataclass

import numpy as np

import tunewell as tw
from tunewell.contract.methods import Player, new_study
from tunewell.events import Report
from tunewell.study import Job, Result, Study

SPACE = tw.Space({"h0": tw.Float(0, 1), "h1": tw.Float(0, 1)})
STEPS = 200
RATE = 0.02


@dataclass(frozen=True)
class Corners:
    """The configs (1, 0) and (0, 1), in turns."""

    def propose(self, study: Study, rng: np.random.Generator) -> Job:
        """The next one."""
        first = len(study.jobs) % 2 == 0
        return Job({"h0": float(first), "h1": float(not first)}, study.steps.maximum)


TOY = tw.PBT(population=2, period=5, of=Corners(), share=0.5, strength=0.1, resample=0.0)


class Toy(Player):
    """Simulated workers, whose checkpoints are what a job goes on from: the values of t0 and t1 by job."""

    def __init__(self, method: tw.Method, *, workers: int = 2, luck: int = 0) -> None:
        super().__init__(method, lambda config, step: 0.0, workers=workers, luck=luck)
        self.states: dict[int, np.ndarray] = {}

    def _run(self, study: Study, job: Job) -> None:
        state, start = (np.array([0.9, 0.9]), 0) if job.parent is None else self._restored(study, job.parent)
        for _ in range(start, job.until):
            state = state - 2 * RATE * np.array([job.config["h0"], job.config["h1"]]) * state
        self.states[job.id] = state
        loss = float(np.sum(state**2)) - 1.2
        self._commit(study, Report(job.id, (job.until,), {"loss": (loss,)}))
        self._commit(study, Result(job.id, "done", {"loss": loss}, step=job.until, saved=f"{job.id}"))

    def _restored(self, study: Study, parent: int) -> tuple[np.ndarray, int]:
        return self.states[parent], study.jobs[parent].until


def quality(method: tw.Method, seed: int, workers: int = 2) -> float:
    """The best Q at the last step."""
    study = Toy(method, workers=workers, luck=seed).play(new_study(SPACE, seed=seed, steps=STEPS))
    return max(-study.loss(job) for job in study.results if study.jobs[job].until == STEPS)
