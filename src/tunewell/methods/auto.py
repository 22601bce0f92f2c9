"""What a study uses that names no method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunewell.method import Method
from tunewell.methods.bayes import Bayes
from tunewell.methods.quasirandom import Sobol
from tunewell.methods.tpe import TPE
from tunewell.study import Job, Study

_LONG = 500
"""From so many results on, a Gaussian process has seen the most that its time is worth."""
_WIDE = 60
"""With more coordinates, most of them conditional or idle, densities tell more than distances."""
_CROWD = 32
"""With more pending jobs, imagining their results says little."""


@dataclass(frozen=True)
class Auto:
    """Chooses among the methods, by what the log says now: `why` tells which and for what reason. Never ends.

    `Bayes`; for one objective `TPE` in a study of more than 500 results, in a space of more than 60 coordinates, or
    beside more than 32 pending jobs; Sobol's sequence where there is no objective.
    """

    reference: ClassVar[str] = Bayes.reference

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the chosen method proposes."""
        return _chosen(study)[0].propose(study, rng)

    def why(self, study: Study) -> str:
        """The choice and its reason, in one line."""
        method, reason = _chosen(study)
        return f"{type(method).__name__}, since {reason}"


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
