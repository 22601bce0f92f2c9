"""What a study uses that names no method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from tunewell.methods.quasirandom import Sobol
from tunewell.study import Job, Study


@dataclass(frozen=True)
class Auto:
    """The default config first (the middle of a range that has none), then an even covering of the space. Never ends.

    Later versions will look at the space, the steps and the budget, and choose among more methods.
    """

    reference: ClassVar[str] = Sobol.reference

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The default config, then the next point of Sobol's sequence, trained to the end."""
        if not study.jobs:
            config = study.space.default()
            if study.space.satisfies(config) is None:
                return Job(config, study.steps.maximum)
        return Sobol().propose(study, rng)
