"""When to stop: the gain that further trials promise, against what is worth having and what the noise can tell.

The promise is that of records and extreme values. A trial is better than all before it with a chance q: where the
latest n brought k new bests it is taken for (k + 1/2) / (n + 1), the mean under Jeffreys' prior. Of random search that
is too much, for its new bests become rare; other searches get better. By how much: excesses over a low threshold are
exponential, with a scale s (J. Pickands: Statistical inference using extreme order statistics. Annals of Statistics 3,
1975, in the case without an end point). The expected gain of m trials is then the integral of 1 - (1 - q exp(-g / s))^m
over g >= 0: s times the sum of (1 - (1 - q)^j) / j over j = 1, ..., m. Most losses have an end point, their optimum:
then this promises too much rather than too little.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.study import Act, Event, Job, Result, Study, canonical

_TAIL = 5
"""So many of the best of the latest half of the results tell by how much a new best would be better."""


@dataclass(frozen=True)
class Enough:
    """Ends `of` when its next trials promise too little: less than `gain`, or less than the noise.

    The expected gain of the next `ahead` trials is the larger of two: what the latest half of the results promises, by
    how often it brought a new best and how far its best lie apart, which is how the search draws by now and not how
    random search would; and what the last `ahead` trials have gained. `gain` is in the unit of the objective; left out,
    it is `share` of the distance from the median of the first half of the results to the best. `noise` is the standard
    deviation of a result; left out, what configs with several results at the last step tell, and 0 where there are
    none. Nothing is decided before `least` configs have a result at the last step. The decision is final for this
    method: `study.change(method=...)` goes on. `why` tells it in a sentence.

    Raises Unsupported for several objectives, or none. A search that is stuck and would get free much later is ended.
    Reference: Pickands, Annals of Statistics 1975.
    """

    of: Method
    gain: float | None = None
    share: float = 0.01
    ahead: int = 25
    noise: float | None = None
    least: int = 30

    reference: ClassVar[str] = """
@article{pickands1975statistical,
  title={Statistical inference using extreme order statistics},
  author={Pickands, James},
  journal={The Annals of Statistics},
  volume={3},
  number={1},
  pages={119--131},
  year={1975}
}"""

    def __post_init__(self) -> None:
        for name in ("gain", "share", "noise"):
            value = getattr(self, name)
            if value is not None and not 0 <= value < math.inf:
                raise StudyError(f"Enough: {name}={value}", hint="A number, at least 0.")
        if self.ahead < 1 or self.least < 10:
            raise StudyError(f"Enough: ahead={self.ahead}, least={self.least}", hint="ahead >= 1 and least >= 10.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method proposes, until it is enough."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Enough weighs the gain in one objective, the study has {len(study.objectives)}",
                hint="Leave Enough out and give a limit; or make the others constraints with at_most.",
            )
        return None if self._progress(study).ended else self.of.propose(study, rng)

    def why(self, study: Study) -> str:
        """What the next trials promise, and what was decided, in a sentence."""
        progress = self._progress(study)
        verdict = progress.ended or progress.verdict(self)
        if verdict is None:
            return f"no decision before {self.least} configs have a result; {len(progress.losses)} have"
        return verdict.told(study)

    def _progress(self, study: Study) -> Progress:
        return study.fold(("enough", self, study.goals), lambda: Progress(self), Progress.follow)


class Verdict(msgspec.Struct, frozen=True):
    """What the next `ahead` trials promise after `seen` results: `expected`, beside the least `gain` that is worth it
    and the `noise`.
    """

    seen: int
    ahead: int
    expected: float
    gain: float
    noise: float
    seconds: float

    @property
    def is_enough(self) -> bool:
        """Whether less is promised than what is wanted, or than the noise."""
        return self.expected < max(self.gain, self.noise)

    def told(self, study: Study) -> str:
        """The verdict in a sentence."""
        metric = study.objectives[0].metric
        bar = "the noise" if self.noise > self.gain else "what is wanted"
        cost = f" (about {self.seconds:.2g} s of computing)" if self.seconds > 0 else ""
        end = "it is enough" if self.is_enough else "it goes on"
        return (
            f"after {self.seen} configs, {self.ahead} more{cost} are expected to improve {metric} by "
            f"{self.expected:.3g}, {'less' if self.is_enough else 'no less'} than {bar}, "
            f"{max(self.gain, self.noise):.3g}: {end}"
        )


class Progress(msgspec.Struct):
    """Fold state: the losses at the last step by config, in the order of their first results; the verdict that ended
    it.
    """

    method: Enough
    losses: dict[str, list[float]] = {}
    began: int = 0
    last: int = 1
    seconds: float = 0.0
    ended: Verdict | None = None

    def follow(self, event: Event, study: Study) -> Progress:
        """One event more."""
        if isinstance(event, Act) and event.what in ("open", "change"):
            self._reach(event.data)
        elif isinstance(event, Job):
            self.began += event.parent is None and event.seed == 0
        elif isinstance(event, Result):
            self.seconds += event.seconds
            if event.status == "done" and study.jobs[event.job].until == self.last and study.feasible(event.job):
                self._measure(study.jobs[event.job], study.loss(event.job))
        return self

    def _reach(self, data: dict[str, Any]) -> None:
        """Other steps of a trial: what was measured at fewer no longer compares."""
        if "steps" in data and data["steps"]["maximum"] != self.last:
            self.last, self.losses = data["steps"]["maximum"], {}

    def _measure(self, job: Job, loss: float) -> None:
        self.losses.setdefault(canonical(job.config), []).append(loss)
        verdict = None if self.ended else self.verdict(self.method)
        if verdict is not None and verdict.is_enough:
            self.ended = verdict

    def verdict(self, method: Enough) -> Verdict | None:
        """What the next trials promise now; None while there are too few results."""
        means = np.array([sum(group) / len(group) for group in self.losses.values()])
        if len(means) < method.least:
            return None
        median = float(np.median(means[: len(means) // 2]))
        gain = method.gain if method.gain is not None else method.share * max(median - float(means.min()), 0.0)
        noise = method.noise if method.noise is not None else _noise(self.losses)
        expected = max(promised(means, method.ahead), _gained(means, method.ahead))
        cost = method.ahead * self.seconds / max(self.began, 1)
        return Verdict(len(means), method.ahead, expected, gain, noise, cost)


def promised(losses: np.ndarray[Any, Any], ahead: int) -> float:
    """The gain that `ahead` more promise, by the latest half of `losses (n,)`, n >= 10, in order."""
    latest, bests = losses[len(losses) // 2 :], np.minimum.accumulate(losses)
    records = int(np.sum(np.diff(bests)[len(losses) // 2 - 1 :] < 0))
    chance = (records + 0.5) / (len(latest) + 1)
    ordered = np.sort(latest)
    count = min(_TAIL, len(ordered) - 1)
    # the mean excess; count / (count - 1) times it, as the posterior of the scale has it under a flat prior
    scale = float(np.mean(ordered[count] - ordered[:count])) * count / (count - 1)
    return scale * sum((1.0 - (1.0 - chance) ** more) / more for more in range(1, ahead + 1))


def _gained(losses: np.ndarray[Any, Any], last: int) -> float:
    """What the last so many have gained; of no more than half of the losses, for the first ones gain by any search."""
    last = min(last, len(losses) // 2)
    return float(losses[:-last].min() - losses.min())


def _noise(losses: dict[str, list[float]]) -> float:
    """The standard deviation of a result about the mean of its config; 0 where no config has several."""
    groups = [np.array(group) for group in losses.values() if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    return math.sqrt(sum(float(((group - group.mean()) ** 2).sum()) for group in groups) / freedom) if freedom else 0.0
