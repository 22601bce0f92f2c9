"""Avoid: a method that learns from failures, around any method that does not.

M. A. Gelbart, J. Snoek, R. P. Adams: Bayesian optimization with unknown constraints. UAI 2014. arXiv:1403.5607: the
probability that a config can be evaluated at all, as a model of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError
from tunewell.method import Method
from tunewell.methods.cube import cube_of
from tunewell.methods.history import History, history_of
from tunewell.space import Config, Space
from tunewell.study import Job, Study

_LIMIT = 400
"""So many of the last trials enter the models at most; half as many of the failed ones."""


@dataclass(frozen=True)
class Avoid:
    """What `of` proposes, unless it is likely to fail: then another proposal of it, up to `tries` times.

    Likely is what fails with a probability of more than `most`, by models of the trials that ended, one for each kind
    of failure: memory, divergence, time, others. They learn once `least` trials failed and one did not. A method that
    draws is asked again; one that goes through a plan (`Sobol`, `Grid`) goes on with its next point, and the point left
    out is not tried. Where all that was proposed is likely to fail, the least likely is run, so that it never ends
    before `of` does. Jobs that go on from a parent pass as they are.

    `Bayes`, and so `Auto`, has these models already; around `Random`, `Sobol`, `Grid`, `TPE` and inside of `Hyperband`
    they help. A proposal takes as long as fitting them, some ten milliseconds for a hundred trials.

    Reference: Gelbart, Snoek and Adams, UAI 2014.
    """

    of: Method
    most: float = 0.3
    tries: int = 32
    least: int = 1

    reference: ClassVar[str] = """
@inproceedings{gelbart2014bayesian,
  title={{Bayesian} optimization with unknown constraints},
  author={Gelbart, Michael A. and Snoek, Jasper and Adams, Ryan P.},
  booktitle={Conference on Uncertainty in Artificial Intelligence},
  year={2014}
}"""

    def __post_init__(self) -> None:
        if not 0 < self.most < 1:
            raise StudyError(f"Avoid: most={self.most}", hint="A probability, between 0 and 1.")
        if self.tries < 1 or self.least < 1:
            raise StudyError(f"Avoid: tries={self.tries}, least={self.least}", hint="At least 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The first proposal that is likely to succeed; else the likeliest."""
        job = self.of.propose(study, rng)
        history = history_of(study.root)
        if job is None or job.parent is not None or len(history.failed) < self.least or not history.done:
            return job
        chance = _Chance(study.space, history)
        best, highest = job, chance.of_success(job.config)
        for _ in range(self.tries):
            if highest >= 1 - self.most:
                break
            job, study = self._other(study, job, rng)
            if job is None or job.parent is not None:
                break
            found = chance.of_success(job.config)
            if found > highest:
                best, highest = job, found
        return best

    def _other(self, study: Study, job: Job, rng: np.random.Generator) -> tuple[Job | None, Study]:
        """Another proposal; of a plan, the point after that of `job`, as if this had been asked for."""
        other = self.of.propose(study, rng)
        if other is None or other.config != job.config:
            return other, study
        study = study.fork(msgspec.structs.replace(job, id=len(study.jobs), seen=len(study)))
        return self.of.propose(study, rng), study


class _Chance:
    """The models of a history."""

    def __init__(self, space: Space, history: History) -> None:
        from tunewell.methods.promise import successes  # here: scipy takes longer to load than tunewell
        from tunewell.surrogates.gp import Columns

        self.space = space
        self.cube = cube_of(space)
        failed = list(history.failed)[-_LIMIT // 2 :]
        worked = {key: outcome.point for (key, _), outcome in history.done.items()}
        rows = [*list(worked.values())[-_LIMIT:], *(history.failed[key] for key in failed)]
        z = self.cube.embed(np.array(rows))
        groups = self.cube.groups
        columns = Columns.of(groups, self.cube.numbers)
        split = len(z) - len(failed)
        self.factors = successes(z[:split], z[split:], [history.kinds[key] for key in failed], columns)

    def of_success(self, config: Config) -> float:
        """The probability that a config does not fail, in any way."""
        z = self.cube.embed(self.space.encode(config)[None])
        return float(np.exp(sum(factor.at(z)[0] for factor in self.factors)))
