"""A problem as an objective of `tunewell.tune`, which reports the validation loss and its gradient."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tunewell.hypergradient.choose import Way, differentiate
from tunewell.hypergradient.result import Hypergradient, numbered


def vector(name: str, count: int, entry: Any) -> dict[str, Any]:
    """The entries of a space for a vector of `count` numbers: `name`_0, `name`_1, ..., all alike."""
    return dict.fromkeys(numbered(name, count), entry)


@dataclass
class Objective:
    """A training function for `tunewell.tune`: config to values, the gradient, and a report of both.

    `problem` is what `differentiate` takes, or a function of the run that makes one, where entries such as the number
    of layers decide on it. `vectors` says which entries of the space form one value: {"alpha": 20}. All others are
    values of their own; those without a derivative are held. `score(problem, found)` may give further metrics by name.
    `check`: the first gradient of each process is compared with central differences ("first"), every one, or none.

    Reported beside the loss, where there are such numbers: `stationarity`, `residual`, `bound` and `checked`, see
    `Hypergradient`. A gradient that is refused fails its trial, with the sentence.
    """

    problem: Any
    vectors: Mapping[str, int] = field(default_factory=dict)
    way: Way | None = None
    check: Literal["first"] | bool = "first"
    metric: str = "loss"
    trust: float | None = 0.1
    settings: Mapping[str, Any] = field(default_factory=dict)
    score: Callable[[Any, Hypergradient], Mapping[str, float]] | None = None
    _checked: bool = field(default=False, init=False, repr=False)

    def __call__(self, run: Any) -> None:
        """One trial."""
        made = callable(self.problem) and not hasattr(self.problem, "solve")
        problem = self.problem(run) if made else self.problem
        check = self.check is True or (self.check == "first" and not self._checked)
        found = differentiate(
            problem, self.values(run.config), way=self.way, check=check, trust=self.trust, **self.settings
        )
        self._checked = True
        told = {name: getattr(found, name) for name in ("stationarity", "residual", "bound", "checked")}
        more = {name: value for name, value in told.items() if math.isfinite(value)}
        more |= {} if self.score is None else self.score(problem, found)
        run.report(run.until, gradient=found.flat(), **{**more, self.metric: found.loss})

    def values(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """The values of a config: vectors gathered, the rest as it is."""
        inside = {entry for name, count in self.vectors.items() for entry in numbered(name, count)}
        found = {name: value for name, value in config.items() if name not in inside}
        gathered = {
            name: np.array([config[entry] for entry in numbered(name, count)]) for name, count in self.vectors.items()
        }
        return {**found, **gathered}
