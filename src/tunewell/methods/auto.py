"""What a study uses that names no method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunewell.method import Method
from tunewell.methods.bayes import Bayes
from tunewell.methods.compose import under
from tunewell.methods.confirm import Confirm
from tunewell.methods.halving import Hyperband
from tunewell.methods.quasirandom import Sobol
from tunewell.methods.random import Random
from tunewell.methods.rungs import cost
from tunewell.methods.tpe import TPE
from tunewell.study import Job, Study

RANDOM = Random()

_FEW = 20
"""With fewer trials, none is to spare for replicates."""
_LONG = 500
"""From so many results on, a Gaussian process has seen the most that its time is worth."""
_WIDE = 60
"""With more coordinates, most of them conditional or idle, densities tell more than distances."""
_CROWD = 32
"""With more pending jobs, imagining their results says little."""


_RUNGS = 9
"""With so many times the least steps in a trial, there are rungs to compare trials on."""
_ETA = {"rungs": 3, "bold rungs": 4}
"""The parts of a study in which Hyperband trains, and its `eta` there: the rungs in a log are those of one `eta`."""


@dataclass(frozen=True)
class Auto:
    """Chooses among the methods, by what the log says now: `why` tells which and for what reason. Never ends.

    `Bayes`; for one objective `TPE` in a study of more than 500 results, in a space of more than 60 coordinates, or
    beside more than 32 pending jobs; Sobol's sequence where there is no objective. Where the budget counts steps, time
    or cost, and not trials, and a trial has nine times the least steps, Hyperband trains what these propose: with the
    `eta` of 3 and 4 whose first bracket takes fewer steps, and with the same when trials become longer.

    Where the metric is noisy, the last share `confirm` of the budget goes to fresh seeds for the finalists, as
    `Confirm` spends it; one replicate tells whether it is. Not in a study of fewer than 20 trials; 0: never.
    """

    confirm: float = 0.2

    reference: ClassVar[str] = Bayes.reference

    def __post_init__(self) -> None:
        Confirm(RANDOM, self.confirm)  # checks the share

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the chosen method proposes, or a finalist again."""
        confirm = Confirm(RANDOM, self.confirm)
        if self.confirm and _may_confirm(study) and confirm.is_due(study):
            job = confirm.replicate(study)
            if job is not None or confirm.is_over(study):
                return None if job is None else under("again", job)
        return self._search(study, rng)

    def _search(self, study: Study, rng: np.random.Generator) -> Job | None:
        method = _chosen(study)[0]
        if not _pays_for_steps(study):
            return method.propose(study, rng)
        part = _rungs(study)
        job = Hyperband(method, eta=_ETA[part]).propose(study.part(part), rng)
        return None if job is None else under(part, job)

    def why(self, study: Study) -> str:
        """The choice and its reason, in one line."""
        method, reason = _chosen(study)
        if _pays_for_steps(study):
            return f"Hyperband of {type(method).__name__}, since trials of few {study.steps.unit} cost less; {reason}"
        return f"{type(method).__name__}, since {reason}"


def _pays_for_steps(study: Study) -> bool:
    limits = study.limits
    counts = any(limit is not None for limit in (limits.steps, limits.seconds, limits.compute_seconds, limits.cost))
    deep = study.steps.maximum >= _RUNGS * study.steps.minimum
    return counts and limits.trials is None and deep and len(study.objectives) == 1


def _rungs(study: Study) -> str:
    """The part that has jobs, or else that of the `eta` whose first bracket has a trial whole after fewer steps."""
    begun = [part for part in _ETA if study.part(part).jobs]
    first = lambda part: cost(Hyperband(eta=_ETA[part]).plan(study.steps)[0])  # noqa: E731
    return begun[0] if begun else min(_ETA, key=first)


def _may_confirm(study: Study) -> bool:
    return len(study.objectives) == 1 and (study.limits.trials is None or study.limits.trials >= _FEW)


def _chosen(study: Study) -> tuple[Method, str]:
    if not study.objectives:
        return Sobol(), "there is no objective"
    if len(study.objectives) > 1:
        return Bayes(), "the study has several objectives"
    if len(study.space.paths) > _WIDE:
        return TPE(), f"the space has {len(study.space.paths)} coordinates"
    if len(study.root.results) > _LONG:
        return TPE(), f"there are more than {_LONG} results"
    if len(study.root.pending()) > _CROWD:
        return TPE(), f"more than {_CROWD} jobs are pending"
    return Bayes(), "the study has one objective and few results"
