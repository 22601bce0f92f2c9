"""A coarse grid, then finer ones where it looked best: how most people tune, done with care."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError
from tunewell.method import Method
from tunewell.methods.compose import under
from tunewell.methods.grid import Grid
from tunewell.methods.narrowing import Narrowing, Region, cut, whole, widened
from tunewell.methods.quasirandom import Sobol
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study

_EMPTY = 20
"""So many rounds in a row without anything new to ask for are the end."""


@dataclass(frozen=True)
class Zoom:
    """Rounds of a method, each in the part of the space that the trials so far leave.

    The first round is `of` in the whole space, the later ones are `then` (`of` again where it is left out). A round ends
    with its method or after `trials` trials (left out: 8, and 2 for each entry); `rounds` limits their number. After each
    round every entry shrinks to the region of the best `top` of the trials in it, never below `floor` of its original
    range, and only where luck would put them so close together with no more than probability `chance`. A range grows
    outward when the best trial lies on its edge. Where nothing is left to narrow, the next round looks at the whole space
    again, with a finer grid. Learns from its own trials only.
    """

    of: Method = field(default_factory=lambda: Grid(levels=3, order="spread"))
    then: Method | None = None
    rounds: int | None = None
    trials: int | None = None
    top: float = 0.25
    floor: float = 0.1
    chance: float = 0.2
    scouts: int = 0
    shrink: float = 0.5
    level: float = 0.9
    prior: float = 1.0
    widen: bool = True

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for name in ("rounds", "trials"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StudyError(f"Zoom: {name}={value}", hint="At least 1.")
        for name in ("top", "floor", "chance"):
            if not 0 < getattr(self, name) <= 1:
                raise StudyError(f"Zoom: {name}={getattr(self, name)}", hint="A share, above 0 and up to 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the method of the present round proposes in its part of the space."""
        rounds = self._rounds(study)
        if rounds.asked < rounds.limit:
            job = self._propose(rounds, study, rng)
            if job is not None:
                return job
        return None if study.pending() else self._begin(rounds, study, rng)

    def _begin(self, rounds: Rounds, study: Study, rng: np.random.Generator) -> Job | None:
        """The first job of the next round that has something new to ask for."""
        last = rounds.number + _EMPTY if self.rounds is None else self.rounds - 1
        while rounds.number < last:
            rounds = rounds.next()
            job = self._propose(rounds, study, rng)
            if job is not None:
                return job
        return None

    def _rounds(self, study: Study) -> Rounds:
        space, goals = study.space, study.goals
        narrowing = Narrowing(self.top, self.floor, self.chance, self.shrink, self.level, self.prior)
        limit = self.trials or 8 + 2 * len(study.space.paths)
        return study.fold(("zoom", self, space, goals), lambda: Rounds(space, narrowing, whole(space), limit, self.widen), _follow)

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

    `finer` is how many rounds began in the whole space again; `since` the number of trials before the last of these.
    """

    space: Space
    narrowing: Narrowing
    region: Region
    limit: int
    widen: bool = True
    start: int = 0
    number: int = 0
    asked: int = 0
    finer: int = 0
    configs: list[Config] = []
    losses: list[float] = []

    def next(self) -> Rounds:
        """The round after this one, when all its trials have ended."""
        region = self._next_region()
        again = region == self.region
        return msgspec.structs.replace(
            self,
            region=whole(self.space) if again else region,
            number=self.number + 1,
            asked=0,
            finer=self.finer + again,
            start=len(self.losses),
        )

    def _next_region(self) -> Region:
        if not self.losses:
            return self.region
        best = min(range(len(self.losses)), key=self.losses.__getitem__)
        units = self.space.encode_many(self.configs)
        if best < self.start and self.region != whole(self.space) and self.widen:
            return widened(self.space, self.region, units[best])
        return self.narrowing.narrowed(self.space, self.region, units, np.array(self.losses), self.limit)


def _follow(rounds: Rounds, event: Event, study: Study) -> Rounds:
    if isinstance(event, Job):
        while event.tag[0] != "scout" and rounds.number < event.tag[0]:
            rounds = rounds.next()
        rounds.asked += event.parent is None and event.seed == 0
    elif isinstance(event, Result) and not _says_nothing(event):
        rounds.configs.append(study.jobs[event.job].config)
        rounds.losses.append(study.loss(event.job))
    return rounds


def _says_nothing(result: Result) -> bool:
    """Whether a result tells nothing of its config: somebody cancelled it, or the machine was lost."""
    lost = result.error is not None and result.error.kind == "lost"
    return result.status == "cancelled" or lost
