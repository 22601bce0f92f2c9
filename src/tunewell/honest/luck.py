"""How much of the best validation score is luck: the winner of many is the one whose rows happened to suit it.

G. C. Cawley, N. L. C. Talbot: On over-fitting in model selection and subsequent selection bias in performance
evaluation. JMLR 2010. The expected maximum: H. A. David, H. N. Nagaraja, Order statistics, Wiley 2003, section 3.1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from statistics import median
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from tunewell.honest.vault import sealed_of, standard_error
from tunewell.space import Config

if TYPE_CHECKING:
    from tunewell.study import Study

ALARM = 0.5
"""Where more than this share of the lead of the best may be luck, the validation set is too small for the trials."""


class Luck(msgspec.Struct, frozen=True):
    """What luck may have in the best of `configs` scores, each with a standard `error` from its `rows` of validation.

    `lead` is how much better the best score is than the median one, `expected` what of it is luck: at most about, since
    configs that are measured on the same rows are partly lucky together. All in the units of the metric.
    """

    configs: int
    rows: int
    error: float
    lead: float
    expected: float

    @property
    def is_too_much(self) -> bool:
        """Whether the validation set is too small for so many configs."""
        return self.expected > ALARM * self.lead

    def __str__(self) -> str:
        told = f"the best of {self.configs} configs on {self.rows} rows of validation: up to {self.expected:.3g} of its"
        return f"{told} lead of {self.lead:.3g} over the median config may be luck (standard error {self.error:.3g})"


@lru_cache(maxsize=64)
def expected_best(n: int) -> float:
    """The expected maximum of n independent standard normal numbers: 0 for one, 1.54 for ten, 2.51 for a hundred."""
    from scipy.special import log_ndtr

    if n <= 1:
        return 0.0
    at = np.linspace(-12.0, 12.0, 24_001)
    density = np.exp(math.log(n) - at**2 / 2 - math.log(2 * math.pi) / 2 + (n - 1) * log_ndtr(at))
    return float(np.sum(at * density) * (at[1] - at[0]))


def expected_luck(error: float, configs: int, lead: float) -> float:
    """How much of a `lead` of the best of so many scores over the median is noise of standard deviation `error`.

    With normal scores of standard deviation T the lead is T E(n), E(n) being the expected maximum, and the noise of the
    best error^2 / T E(n) = (error E(n))^2 / lead. It is all of a lead that noise alone would give.
    """
    alone = error * expected_best(configs)
    return lead if alone >= lead else alone**2 / lead


def luck_of(study: Study) -> Luck | None:
    """The luck in the best config of a study with sealed data; None where nothing tells the error of its scores.

    The metric has to be a share of rows, such as an accuracy, and the only objective.
    """
    record, best = sealed_of(study), study.best if len(study.objectives) == 1 else None
    if record is None or best is None:
        return None
    scores = _scores(study)
    if len(scores) < 2 or not all(0 <= score <= 1 for score in scores):
        return None
    error = standard_error(best.value, record["validating"])
    if not error:
        return None
    lead = abs(best.value - median(scores))
    return Luck(len(scores), record["validating"], error, lead, expected_luck(error, len(scores), lead))


def _scores(study: Study) -> Sequence[float]:
    """The mean score of each config that ended, as the user reports it."""
    goal, found = study.objectives[0], dict[str, list[float]]()
    for result in study.results.values():
        if result.status == "done":
            found.setdefault(_key(study.jobs[result.job].config), []).append(study.value(result.job, goal))
    return [sum(row) / len(row) for row in found.values()]


def _key(config: Config) -> str:
    return msgspec.json.encode(config, order="sorted").decode()
