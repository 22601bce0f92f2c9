"""Nested cross-validation: how good is what this tuning procedure chooses? The whole procedure, once an outer fold.

S. Varma, R. Simon: Bias in error estimation when using cross-validation for model selection. BMC Bioinformatics, 2006.
C. Nadeau, Y. Bengio: Inference for the generalization error. Machine Learning, 2003.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import fmean, stdev
from typing import Any

import msgspec
import numpy as np

from tunewell.errors import StudyError
from tunewell.honest.vault import Sealed, Split
from tunewell.live import LiveStudy
from tunewell.loop import tune
from tunewell.space import Config
from tunewell.stores.address import open_store
from tunewell.study import Best
from tunewell.trials import best as best_of


class Outer(msgspec.Struct, frozen=True):
    """One outer fold: the study that tuned without it, the config that this chose, what validation promised for it
    (`estimate`, and as it was `measured`) and the test score; how many rows were for tuning and for the test.
    """

    study: str
    config: Config
    estimate: float
    measured: float
    score: float
    rows: tuple[int, int]


class Nested(msgspec.Struct, frozen=True):
    """What a tuning procedure is worth on data that it has not seen: a test score from each outer fold.

    It is the score of the procedure, not of one config: `configs` may all differ. To get a model, tune once more on all
    rows; `mean` is what to expect of it, or a little less, since it has more rows to learn from.
    """

    metric: str
    outer: tuple[Outer, ...]

    @property
    def scores(self) -> list[float]:
        """The test score of each outer fold."""
        return [each.score for each in self.outer]

    @property
    def configs(self) -> list[Config]:
        """The config that each outer fold's study chose."""
        return [each.config for each in self.outer]

    @property
    def mean(self) -> float:
        """The mean test score."""
        return fmean(self.scores)

    @property
    def gap(self) -> float:
        """The mean test score less the mean that validation had measured for the same configs: how much too good the
        best inner score was, where smaller is better.
        """
        return fmean(each.score - each.measured for each in self.outer)

    @property
    def interval(self) -> tuple[float, float]:
        """A 95 % interval of the mean. The outer folds share training rows, so their variance is raised by the ratio of
        test to training rows (Nadeau & Bengio's correction); even so it is approximate.
        """
        from scipy.special import stdtrit

        count = len(self.outer)
        shared = fmean(test / rest for rest, test in (each.rows for each in self.outer))
        half = float(stdtrit(count - 1, 0.975)) * math.sqrt(1 / count + shared) * stdev(self.scores)
        return self.mean - half, self.mean + half

    def __str__(self) -> str:
        low, high = self.interval
        folds = "\n".join(
            f"  {each.study}: {self.metric} {each.score:.6g} on {each.rows[1]} test rows, measured {each.measured:.6g}"
            for each in self.outer
        )
        head = f"{self.metric} = {self.mean:.6g} [{low:.6g}, {high:.6g}] over {len(self.outer)} outer folds"
        return f"{head}; {self.gap:+.3g} against the best inner scores\n{folds}"


def nested(
    objective: Callable[[Any], Any] | Sequence[str],
    space: Any,
    *,
    data: Split,
    test: Callable[[Best, Sealed], float],
    outer: int = 5,
    store: Any = None,
    name: str = "nested",
    seed: int | None = None,
    progress: bool | None = None,
    **settings: Any,
) -> Nested:
    """Evaluate the whole tuning procedure: for each of `outer` folds a study that never sees it, then its test score.

    The rows of `data` are divided into outer folds in place of its test share (by group, class and time as it says);
    within each, `tune` does what it would do otherwise, with the same `settings`. The test function fits the chosen
    config again and scores it, as with `tune`. It costs `outer` studies. Each is kept in `store` as "NAME, fold 1 of
    5", so that a call that was stopped goes on, and one that is done gives its answer again at once.

    Raises StudyError where a test score is missing, and what `tune` raises.
    """
    if outer < 2:
        raise StudyError(f"outer={outer}", hint="At least 2 outer folds.")
    kept, found = open_store(store), []
    try:
        for number, split in enumerate(data.outer(outer), start=1):
            own = None if seed is None else int(np.random.SeedSequence([seed, number]).generate_state(1)[0])
            settings |= {"store": kept, "name": f"{name}, fold {number} of {outer}", "seed": own, "data": split}
            study = tune(objective, space, test=test, progress=progress, **settings)
            found.append(_outcome(study))
    finally:
        if kept is not store:
            kept.close()
    return Nested(study.objectives[0].metric, tuple(found))


def _outcome(study: LiveStudy) -> Outer:
    reading, best, record = study.readings[0], best_of(study), study.sealed
    if reading.score is None or best is None or record is None:
        raise StudyError(f"the test of {study.name!r} did not end", hint="Mend the test, and give nested() a new name.")
    if reading.metric is not None or reading.validation is None:
        told = f"the test of {study.name!r} scores {reading.metric!r}, and {best.metric!r} is what was tuned for"
        raise StudyError(told, hint="Return the goal's own metric: nested() compares the two.")
    rest, test = record["rows"]
    return Outer(study.name, reading.config, reading.validation, best.value, reading.score, (rest, test))
