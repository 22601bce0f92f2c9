"""A coarse grid, then finer ones where it looked best: how most people tune, done with care."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError
from tunewell.method import Method
from tunewell.methods.compose import under
from tunewell.methods.grid import Grid
from tunewell.methods.narrowing import Evidence, Narrowing, Region, add_evidence, cut, whole
from tunewell.methods.quasirandom import Sobol
from tunewell.study import Event, Job, Study

_EMPTY = 20
"""So many rounds in a row without anything new to ask for are the end."""


@dataclass(frozen=True)
class Zoom:
    """Rounds of a method, each in the part of the space that the trials so far leave.

    The first round is `of` in the whole space, the later ones are `then` (`of` again where it is left out). A round
    ends with its method or after `trials` trials (left out: 8, and 2 for each entry); `rounds` limits their number. The
    next region of each entry is where its optimum lies with probability `level`, as far as the trials can tell (see
    `tunewell.methods.narrowing`): never narrower than `floor` of the original range, and it may move and widen beyond
    the region before. In later rounds each `scouts`-th trial looks at the whole space (0: none does). Where nothing is
    left to narrow or to ask for, the next round is in the whole space again, with a finer grid. Learns from its own
    trials only.

    Reference: Box and Wilson, Journal of the Royal Statistical Society B 13, 1951.
    """

    of: Method = field(default_factory=lambda: Grid(levels=3, order="spread"))
    then: Method | None = None
    rounds: int | None = None
    trials: int | None = None
    level: float = 0.9
    floor: float = 0.1
    scouts: int = 5

    reference: ClassVar[str] = """
@article{box1951experimental,
  title={On the experimental attainment of optimum conditions},
  author={Box, George E. P. and Wilson, Kenneth B.},
  journal={Journal of the Royal Statistical Society: Series B},
  volume={13},
  number={1},
  pages={1--45},
  year={1951}
}"""

    def __post_init__(self) -> None:
        for name in ("rounds", "trials"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StudyError(f"Zoom: {name}={value}", hint="At least 1, or leave it out.")
        if self.scouts < 0:
            raise StudyError(f"Zoom: scouts={self.scouts}", hint="0 for none, or more.")
        for name in ("level", "floor"):
            if not 0 < getattr(self, name) <= 1:
                raise StudyError(f"Zoom: {name}={getattr(self, name)}", hint="A share, above 0 and up to 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method of the present round proposes in its part of the space."""
        rounds = self._rounds(study)
        if rounds.asked < rounds.limit:
            job = self._propose(rounds, study, rng)
            if job is not None:
                return job
        return None if study.pending() else self._begin(rounds.next(), study, rng)

    def _rounds(self, study: Study) -> Rounds:
        """The fold: where the search is."""
        space = study.space
        narrowing = Narrowing(self.level, self.floor)
        limit = self.trials or 8 + 2 * len(space.paths)
        first = lambda: Rounds(Evidence(space), narrowing, limit, whole(space))  # noqa: E731
        return study.fold(("zoom", self, space, study.goals), first, _follow)

    def _begin(self, rounds: Rounds, study: Study, rng: np.random.Generator) -> Job | None:
        """The first job of the next round that has something new to ask for."""
        last = rounds.number + _EMPTY if self.rounds is None else self.rounds - 1
        while rounds.number <= last:
            job = self._propose(rounds, study, rng)
            if job is not None:
                return job
            rounds = rounds.wider()
        return None

    def _propose(self, rounds: Rounds, study: Study, rng: np.random.Generator) -> Job | None:
        if rounds.number and self.scouts and rounds.asked % self.scouts == self.scouts - 1:
            job = Sobol().propose(study.part("scout"), rng)
            return None if job is None else under("scout", job)
        method = self.of if rounds.number == 0 or self.then is None else self.then
        for _ in range(rounds.finer):
            method = getattr(method, "finer", lambda same=method: same)()
        job = method.propose(study.part(rounds.number, cut(study.space, rounds.region)), rng)
        return None if job is None else under(rounds.number, job)


class Rounds(msgspec.Struct):
    """Fold state: the present round, its region, and all trials so far.

    `asked` counts the trials of the round, `finer` the rounds that began in the whole space again, `before` the results
    before the round.
    """

    seen: Evidence
    narrowing: Narrowing
    limit: int
    region: Region
    number: int = 0
    asked: int = 0
    finer: int = 0
    before: int = 0

    def next(self) -> Rounds:
        """The round after this one, when all its trials have ended."""
        if self.narrowing.is_narrowest(self.seen.space, self.region) and not self._is_better():
            return self.wider()
        return self._begun(self.seen.narrowed(self.narrowing, self.region), self.finer)

    def wider(self) -> Rounds:
        """A round after this one that looks at the whole space again."""
        return self._begun(whole(self.seen.space), self.finer + 1)

    def _begun(self, region: Region, finer: int) -> Rounds:
        return msgspec.structs.replace(
            self, region=region, number=self.number + 1, asked=0, finer=finer, before=len(self.seen.losses)
        )

    def _is_better(self) -> bool:
        """Whether this round found a new best."""
        losses = self.seen.losses
        return min(losses[self.before :], default=math.inf) < min(losses[: self.before], default=math.inf)


def _follow(rounds: Rounds, event: Event, study: Study) -> Rounds:
    """Fold: one event more."""
    if isinstance(event, Job):
        rounds = _advanced(rounds, event.tag[0])
        rounds.asked += event.parent is None and event.seed == 0
    else:
        rounds.seen = add_evidence(rounds.seen, event, study)
    return rounds


def _advanced(rounds: Rounds, label: str | int) -> Rounds:
    """The round of a job with that label; rounds without a job had nothing to ask for."""
    if isinstance(label, int) and rounds.number < label:
        rounds = rounds.next()
        while rounds.number < label:
            rounds = rounds.wider()
    return rounds
