"""The rungs of successive halving: their numbers of steps, the brackets of Hyperband, and who stands where.

L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar: Hyperband: a novel bandit-based approach to
hyperparameter optimization. JMLR 18, 2018. arXiv:1603.06560.
R. Schmucker, M. Donini, M. B. Zafar, D. Salinas, C. Archambeau: Multi-objective asynchronous successive halving. 2021.
arXiv:2106.12639.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Sequence
from typing import Literal

import msgspec
import numpy as np

from tunewell.honest.ranks import rank_correlation
from tunewell.study import Act, Event, Steps
from tunewell.surrogates.pareto import chebyshev, fronts, scaled

Bracket = tuple[tuple[int, int], ...]
"""(configs, steps) of each rung of a bracket, the lowest first."""

MISLEADING = 0.4
"""A rung whose rank correlation with the next one is lower is not trusted."""
PAIRS = 12
"""Configs that have results on both rungs before the correlation says anything."""

_SMALLEST = 100
"""Where nobody says it, the lowest rung has no less than this part of all steps."""
_SOON, _LATER = 6, 24
"""Every sixth config of the lowest rung that is trusted is a probe, and every 24th of the rungs above it."""
_RECENT = 500
"""No more pairs than these enter a correlation."""


# --- the numbers -----------------------------------------------------------------------------------------------------


def rungs(maximum: int, eta: int, minimum: int | None = None) -> tuple[int, ...]:
    """The numbers of steps at which a config may stop, ascending, the last one `maximum`.

    From `minimum` upwards, each `eta` times the one below; one that would come close to the maximum (within a factor
    of the root of `eta`) is left out. Without `minimum` from the maximum downwards, to no less than a step and a
    hundredth of the maximum.
    """
    if minimum is None:
        count = _log(min(maximum, _SMALLEST), eta)
        return tuple(dict.fromkeys(round(maximum / eta**below) for below in range(count, -1, -1)))
    steps = [minimum * eta**place for place in range(_log(maximum / minimum, eta) + 1)]
    return (*(step for step in steps if step * math.sqrt(eta) < maximum), maximum)


def rungs_above(top: int, maximum: int, eta: int) -> tuple[int, ...]:
    """The rungs that a larger maximum of steps puts on top of the one at `top`; none where it is not larger."""
    return tuple(step for step in rungs(maximum, eta, top) if step > top)


def steps_set(event: Event) -> Steps | None:
    """How long a trial may train from this event on, where it says so."""
    if isinstance(event, Act) and event.what in ("open", "change") and "steps" in event.data:
        return msgspec.convert(event.data["steps"], Steps)
    return None


def _log(ratio: float, eta: int) -> int:
    """⌊log_η ratio⌋, exact where the ratio is a power."""
    return math.floor(math.log(ratio) / math.log(eta) + 1e-9)


def bracket(width: int, steps: Sequence[int], eta: int) -> Bracket:
    """`width` configs on the lowest rung, ⌊n/η⌋ of the n of each rung on the next; it ends at the last of `steps`, and
    begins on the lowest rung from which a config gets there.
    """
    count = min(len(steps), _log(width, eta) + 1)
    return tuple((width // eta**place, until) for place, until in enumerate(steps[-count:]))


def brackets(
    maximum: int, eta: int = 3, minimum: int | None = None, table: Literal["formula", "printed"] = "formula"
) -> tuple[Bracket, ...]:
    """The brackets of Hyperband, the one with the most configs first (Li et al., algorithm 1).

    `table`: bracket s begins with n = ⌈(s_max + 1)/(s + 1) · η^s⌉ configs, as the "formula" of the paper says; or with
    ⌊(s_max + 1)/(s + 1)⌋ · η^s, as in its table for R = 81 ("printed").
    """
    steps = rungs(maximum, eta, minimum)
    found = []
    for s in range(len(steps) - 1, -1, -1):
        whole = len(steps) * eta**s
        width = -(-whole // (s + 1)) if table == "formula" else len(steps) // (s + 1) * eta**s
        found.append(tuple((width // eta**place, until) for place, until in enumerate(steps[-s - 1 :])))
    return tuple(found)


def cost(bracket: Bracket, resume: bool = True) -> int:
    """The steps that a bracket takes; without `resume`, each rung trains from step 0."""
    before = (0, *(until for _, until in bracket[:-1])) if resume else [0] * len(bracket)
    return sum(count * (until - start) for (count, until), start in zip(bracket, before, strict=True))


# --- who stands where ------------------------------------------------------------------------------------------------


class Rung(msgspec.Struct):
    """The jobs of a bracket until one number of steps. Each change costs O(log n) of the n that wait; with several
    objectives the best one is sought among all, in front after front.

    `asked` and `ended` count jobs, failed ones too; `alive` those that have not failed. `waiting` is a heap of
    (violates a constraint, losses, job) of those that were done and may have `left` for the next rung since; `risen`
    counts who left, `passed` those of them who left beyond the share of the rung. `probes` are the waiting jobs that
    shall go on whatever their rank, and `pairs` their losses here and on the next rung: a fair sample. `arrived` are
    the losses, here and there, of all that came to the last rung: the better ones mostly.
    """

    until: int
    asked: int = 0
    ended: int = 0
    alive: int = 0
    waiting: list[tuple[bool, tuple[float, ...], int]] = []
    left: set[int] = set()
    risen: int = 0
    passed: int = 0
    probes: list[int] = []
    pairs: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
    correlation: float = math.nan
    arrived: list[tuple[tuple[float, ...], tuple[float, ...]]] = []
    last: float = math.nan

    @property
    def is_trusted(self) -> bool:
        """Whether the ranks here say something of those on the next rung, and are not the reverse of those on the last,
        as far as anybody knows.
        """
        return (len(self.pairs) < PAIRS or self.correlation >= MISLEADING) and not self.is_reversed

    @property
    def is_reversed(self) -> bool:
        """Whether the worse of those that came to the last rung were better there, by more than three standard errors
        (Fisher's transformation). That mostly the better ones come takes from a correlation, but does not turn it.
        """
        return len(self.arrived) >= PAIRS and self.last < -math.tanh(3 / math.sqrt(len(self.arrived) - 3))

    @property
    def is_clear(self) -> bool:
        """Whether the correlation is above the limit by more than its standard error (Fisher's transformation)."""
        if len(self.pairs) < PAIRS or self.correlation < MISLEADING:
            return False
        gap = math.atanh(min(self.correlation, 0.999)) - math.atanh(MISLEADING)
        return gap > 1 / math.sqrt(len(self.pairs) - 3)

    @property
    def verdict(self) -> str:
        """What the pairs say, in a few words; empty without enough of them."""
        which, value, pairs = "next", self.correlation, self.pairs
        if self.is_reversed:
            which, value, pairs = "last", self.last, self.arrived
        if len(pairs) < PAIRS:
            return ""
        told = f"rank correlation with the {which} rung {value:.2f} of {len(pairs)} pairs at {self.until}"
        return told if self.is_trusted else f"{told}: misleads, so all go on"

    @property
    def able(self) -> int:
        """How many were done and wait."""
        return len(self.waiting) - len(self.left)

    def best(self) -> int | None:
        """The best job that waits; ties to the lower id."""
        if not self.able:
            return None
        return _foremost(self.waiting, self.left) if self._is_plural else self.waiting[0][-1]

    @property
    def _is_plural(self) -> bool:
        """Whether there are several objectives: then those that left are kept, for they still dominate others."""
        return bool(self.waiting) and len(self.waiting[0][1]) > 1

    def next_probe(self) -> int | None:
        """The oldest probe that waits, or else the best job."""
        return self.probes[0] if self.probes else self.best()

    def ask(self) -> None:
        """A job is asked for."""
        self.asked += 1
        self.alive += 1

    def arrive(self, job: int, key: tuple[bool, tuple[float, ...]] | None) -> None:
        """A job has ended, `key` is how it ranks; None: it failed."""
        self.ended += 1
        if key is None:
            self.alive -= 1
        else:
            heapq.heappush(self.waiting, (*key, job))

    def probe(self, job: int, soon: bool) -> bool:
        """Make the job that has just arrived a probe, if it is its turn; not where the correlation is clear."""
        chosen = not self.is_clear and self.ended % (_SOON if soon else _LATER) == 0
        if chosen:
            self.probes.append(job)
        return chosen

    def is_due(self, eta: int) -> bool:
        """Whether the share of the rung, ⌊n/η⌋, is larger than the number of those who left on its account."""
        return self.risen - self.passed < (self.ended - self.passed) // eta

    def leave(self, job: int, eta: int) -> None:
        """A job goes on to the next rung."""
        self.passed += not (self.is_trusted and self.is_due(eta))
        self.risen += 1
        self.left.add(job)
        if job in self.probes:
            self.probes.remove(job)
        while self.waiting and not self._is_plural and self.waiting[0][-1] in self.left:
            self.left.remove(heapq.heappop(self.waiting)[-1])

    def compare(self, here: tuple[float, ...], above: tuple[float, ...]) -> None:
        """A probe has its losses on the next rung."""
        self.pairs = [*self.pairs[1 - _RECENT :], (here, above)]
        if len(self.pairs) >= PAIRS:
            self.correlation = _agreement(self.pairs)

    def look_back(self, here: tuple[float, ...], there: tuple[float, ...]) -> None:
        """One that was here has its losses on the last rung."""
        self.arrived = [*self.arrived[1 - _RECENT :], (here, there)]
        if len(self.arrived) >= PAIRS:
            self.last = _agreement(self.arrived)

    def forget(self) -> None:
        """There is another last rung."""
        self.arrived, self.last = [], math.nan


def _agreement(pairs: Sequence[tuple[tuple[float, ...], tuple[float, ...]]]) -> float:
    """The rank correlation of the losses here with those above; of several objectives, that of the one which it is
    lowest for. One that is the same for all, such as a size, has no rank to lose.
    """
    columns = [[(here[goal], above[goal]) for here, above in pairs] for goal in range(len(pairs[0][0]))]
    varied = [column for column in columns if len(columns) == 1 or len({here for here, _ in column}) > 1]
    return min(map(rank_correlation, varied), default=1.0)


def _foremost(waiting: Sequence[tuple[bool, tuple[float, ...], int]], left: set[int]) -> int:
    """Of several objectives, the job that goes on next: of the first front that has one, the farthest from those who
    left from there, so that they cover it (Schmucker et al., section 4.2); where nobody did, the most balanced one.
    """
    allowed = [one for one in waiting if not one[0]]
    field = sorted(allowed if any(one[-1] not in left for one in allowed) else waiting, key=lambda one: one[-1])
    losses = np.array([one[1] for one in field])
    gone = np.array([one[-1] in left for one in field])
    front = next(some for some in fronts(losses) if not gone[some].all())
    points, before = scaled(losses[front]), gone[front]
    if before.any():
        distances = np.linalg.norm(points[:, None] - points[before], axis=2).min(1)
        place = int(np.where(before, -1.0, distances).argmax())
    else:
        place = int(chebyshev(losses[front], np.ones(losses.shape[1])).argmin())
    *_, job = field[front[place]]
    return int(job)
