"""Successive halving, together or asynchronously, and Hyperband: many configs begin, the best of each rung go on.

K. Jamieson, A. Talwalkar: Non-stochastic best arm identification and hyperparameter optimization. AISTATS 2016.
arXiv:1502.07943.
L. Li, K. Jamieson, G. DeSalvo, A. Rostamizadeh, A. Talwalkar: Hyperband: a novel bandit-based approach to
hyperparameter optimization. JMLR 18, 2018. arXiv:1603.06560.
L. Li, K. Jamieson, A. Rostamizadeh, E. Gonina, J. Ben-tzur, M. Hardt, B. Recht, A. Talwalkar: A system for massively
parallel hyperparameter tuning. MLSys 2020. arXiv:1810.05934.
R. Schmucker, M. Donini, M. B. Zafar, D. Salinas, C. Archambeau: Multi-objective asynchronous successive halving. 2021.
arXiv:2106.12639.
"""

from __future__ import annotations

import math
from bisect import bisect
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import msgspec
import numpy as np

from tunewell.budget import spent
from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.compose import begin, sources
from tunewell.methods.random import Random
from tunewell.methods.rungs import Bracket, Rung, bracket, brackets, rungs, rungs_above, steps_set
from tunewell.study import Event, Job, Result, Steps, Study

RANDOM = Random()

_FIRST = 4.5
"""Full runs' worth of steps after which a first result at the last step is due; the half to five is for what runs."""


@dataclass(frozen=True)
class Halving:
    """Trains many configs for a few steps, the best 1/`eta` of them for `eta` times as many, and so on to the last.

    `of` is the source of the configs: it sees the jobs that began with them, and in `root` every result at every rung.
    `minimum` is the lowest rung; left out, that of the study, or the maximum divided by `eta` as often as a hundredth
    of it is left.

    Without `width` and `table` it is asynchronous and never ends: whenever ⌊n/η⌋ of the n configs that ended at a rung
    exceeds those that went on, the best that waits goes on, a failed one never (ASHA, without the surplus of promotions
    that its rule allows). With `early` the first config of each higher rung goes on at once as long as nothing runs or
    ended above it, so that a result at the last step exists soon.

    With `guard` a rung is not trusted whose ranks say little of those on the next one: below a rank correlation
    (Spearman's) of 0.4 in twelve pairs all its configs go on. Pairs of the best alone would tell too little, so that
    every sixth config that ends at the lowest trusted rung (every 24th above it) goes on whatever its rank, within
    ⌊n/η⌋, until the correlation is clear; only those are counted.

    With `width`, as many configs start on the lowest rung, and each rung waits until the one below has ended. With a
    `table`, such brackets of several widths and lowest rungs follow each other, each as soon as a worker is free: see
    `tunewell.methods.rungs.brackets`. Both are done `rounds` times; None: for ever. They are the hedge against a
    misleading rung themselves, and know no guard.

    A larger maximum of steps (`study.extend(until=...)`) puts rungs on top of what has begun, each with room for
    1/`eta` of the one below, though for one at least. The trials that reached the end of a bracket are one field then,
    and its best go on. What begins later has the rungs of the new maximum.

    With several objectives a rung is ranked front by front, and within a front by the distance from those that went on
    already; it is trusted as far as it tells the ranks of each.

    Raises Unsupported without an objective, or where a trial has no two rungs.
    Reference: Jamieson and Talwalkar, AISTATS 2016; Li et al., JMLR 18, 2018; Li et al., MLSys 2020.
    """

    of: Method = RANDOM
    eta: int = 3
    minimum: int | None = None
    width: int | None = None
    table: Literal["formula", "printed"] | None = None
    rounds: int | None = 1
    early: bool = True
    guard: bool = True

    reference: ClassVar[str] = """
@inproceedings{jamieson2016nonstochastic,
  title={Non-stochastic best arm identification and hyperparameter optimization},
  author={Jamieson, Kevin and Talwalkar, Ameet},
  booktitle={International Conference on Artificial Intelligence and Statistics},
  pages={240--248},
  year={2016}
}

@article{li2018hyperband,
  title={Hyperband: a novel bandit-based approach to hyperparameter optimization},
  author={Li, Lisha and Jamieson, Kevin and DeSalvo, Giulia and Rostamizadeh, Afshin and Talwalkar, Ameet},
  journal={Journal of Machine Learning Research},
  volume={18},
  number={185},
  pages={1--52},
  year={2018}
}

@inproceedings{li2020system,
  title={A system for massively parallel hyperparameter tuning},
  author={Li, Liam and Jamieson, Kevin and Rostamizadeh, Afshin and Gonina, Ekaterina and Ben-tzur, Jonathan and
    Hardt, Moritz and Recht, Benjamin and Talwalkar, Ameet},
  booktitle={Proceedings of Machine Learning and Systems},
  volume={2},
  pages={230--246},
  year={2020}
}"""

    def __post_init__(self) -> None:
        if self.eta < 2:
            raise StudyError(f"Halving: eta={self.eta}", hint="At least 2: one in eta goes on.")
        for name in ("minimum", "width", "rounds"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise StudyError(f"Halving: {name}={value}", hint="At least 1, or leave it out.")
        if self.table not in (None, "formula", "printed"):
            raise StudyError(f"Halving: table={self.table!r}", hint='"formula" or "printed".')
        if self.width is not None and self.table is not None:
            raise StudyError("Halving: a width and a table", hint="A table has widths of its own: leave one out.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next job of a config that goes on, or else a new one of the source."""
        if not study.objectives:
            raise Unsupported("Halving ranks by objectives, and the study has none", hint="Random() serves any study.")
        standing = self._standing(study)
        for number, race in self._races(standing):
            turn = race.turn()
            if turn is not None and turn.parent is not None:
                return _next(study, number, turn)
            if turn is not None:
                return self._first(study, number, race, rng) or _last(study, standing)
        return None

    def _first(self, study: Study, number: int, race: Race, rng: np.random.Generator) -> Job | None:
        """A new config of the source, on the lowest rung of a bracket; None where it, or the budget of trials, has no
        more.
        """
        most = study.limits.trials
        if most is not None and spent(study.root).trials >= most:
            return None
        job = begin(self, self.of, study, _LABELS, rng)
        return job and msgspec.structs.replace(job, until=race.rungs[0].until, tag=(number, 0, *job.tag))

    # --- where it stands ---------------------------------------------------------------------------------------------

    def plan(self, steps: Steps) -> tuple[Bracket, ...]:
        """The brackets for trials of such steps, as (configs, steps) of each rung; 0 configs for any number."""
        if self.table is not None:
            return brackets(steps.maximum, self.eta, self._lowest(steps), self.table)
        numbers = rungs(steps.maximum, self.eta, self._lowest(steps))
        if self.width is not None:
            return (bracket(self.width, numbers, self.eta),)
        return (tuple((0, until) for until in numbers),)

    def _lowest(self, steps: Steps) -> int | None:
        return self.minimum or (steps.minimum if steps.minimum > 1 else None)

    def _standing(self, study: Study) -> Standing:
        steps = study.steps
        if len(rungs(steps.maximum, self.eta, self._lowest(steps))) == 1:
            raise Unsupported(
                f"Halving compares trials on their way, but they have {steps.maximum} {steps.unit} and no rung below",
                hint="Write steps=27, for example, and report after each; or take Bayes().",
            )
        start = lambda: Standing(self, self.plan(Steps()), Rung(1))  # noqa: E731
        return study.fold(("halving", self, study.goals), start, Standing.follow)

    def _races(self, standing: Standing) -> Iterator[tuple[int, Race]]:
        """The brackets that have not ended, the oldest first, and then the next one."""
        yield from standing.races.items()
        last = None if self.rounds is None else self.rounds * len(standing.plan)
        if (last is None or standing.begun < last) and not (standing.begun and standing.plan[0][0][0] == 0):
            yield standing.begun, standing.race(standing.begun)

    def why(self, study: Study) -> str:
        """The rungs, and how well each ranks, in one line."""
        standing = self._standing(study.plan)
        unit = study.steps.unit
        if self.table is not None or self.width is not None:
            return f"{standing.begun} brackets begun, rungs {_listed([u for _, u in standing.plan[0]])} {unit}"
        race = standing.races.get(0) or standing.race(0)
        told = "; ".join(filter(None, (rung.verdict for rung in race.rungs[:-1])))
        return f"rungs {_listed([rung.until for rung in race.rungs])} {unit}" + (f"; {told}" if told else "")


def _listed(numbers: list[int]) -> str:
    return ", ".join(map(str, numbers))


def ASHA(
    of: Method = RANDOM,
    *,
    eta: int = 3,
    minimum: int | None = None,
    early: bool = True,
    guard: bool = True,
) -> Halving:
    """Asynchronous successive halving: for any number of workers, and never ends. See `Halving`.

    Reference: Li et al., MLSys 2020.
    """
    return Halving(of, eta, minimum, early=early, guard=guard)


def Hyperband(
    of: Method = RANDOM,
    *,
    eta: int = 3,
    minimum: int | None = None,
    table: Literal["formula", "printed"] = "formula",
    rounds: int | None = None,
) -> Halving:
    """Brackets of successive halving from many configs with few steps to few with all; `rounds` times, or for ever.

    See `Halving`. Reference: Li et al., JMLR 18, 2018.
    """
    return Halving(of, eta, minimum, table=table, rounds=rounds)


_LABELS = 2
"""A tag begins with the number of the bracket and that of the rung."""


# --- jobs ------------------------------------------------------------------------------------------------------------


class Turn(NamedTuple):
    """What a bracket asks for: a job on the rung of that number, on from `parent`; None: with a new config."""

    place: int
    until: int
    parent: int | None


def _next(study: Study, number: int, turn: Turn) -> Job:
    assert turn.parent is not None
    before = study.jobs[turn.parent]
    tag = (number, turn.place, *before.tag[2:])
    return msgspec.structs.replace(before, until=turn.until, parent=before.id, tag=tag, id=-1, seen=-1)


def _last(study: Study, standing: Standing) -> Job | None:
    """What can go on while nothing begins; where nothing will any more, as if the brackets were full."""
    ended = not sources(study, _LABELS).pending()
    for number, race in standing.races.items():
        turn = race.turn(full=ended)
        if turn is not None and turn.parent is not None:
            return _next(study, number, turn)
    return None


# --- the fold --------------------------------------------------------------------------------------------------------


class Race(msgspec.Struct):
    """A bracket: its `rungs`, the lowest first, and how many configs each has room for; no `widths`: asynchronous.
    `spent` are the steps of all its jobs; `thawed` is the last step before there were more of them, or 0."""

    rungs: list[Rung]
    widths: list[int]
    eta: int
    early: bool
    spent: int = 0
    thawed: int = 0

    def reach(self, maximum: int) -> None:
        """Another maximum of steps: rungs on top, or fewer."""
        if maximum > self.rungs[-1].until:
            self.thawed = self.rungs[-1].until
        self.rungs = [rung for rung in self.rungs if rung.until <= maximum]
        self.widths = self.widths[: max(1, len(self.rungs))]
        top = self.rungs[-1].until if self.rungs else 0
        for until in rungs_above(top, maximum, self.eta) if top else (maximum,):
            if self.widths and self.rungs:
                self.widths.append(max(1, self.widths[-1] // self.eta))
            self.rungs.append(Rung(until))
        for rung in self.rungs:
            rung.forget()

    def turn(self, full: bool = False) -> Turn | None:
        """What to run now; None where it has to wait, or has ended. With `full` no config begins any more."""
        return self._together(full) if self.widths else self._alone(full)

    # --- asynchronous ------------------------------------------------------------------------------------------------

    def _alone(self, full: bool) -> Turn | None:
        """The highest rung first (Li et al. 2020, algorithm 2)."""
        for place in range(len(self.rungs) - 1, 0, -1):
            rung = self.rungs[place - 1]
            if not rung.is_trusted or rung.is_due(self.eta) or self._leads(place - 1):
                parent = rung.next_probe() if rung.is_trusted else rung.best()
                if parent is not None:
                    return Turn(place, self.rungs[place].until, parent)
        return self._top() or (None if full else Turn(0, self.rungs[0].until, None))

    def _top(self) -> Turn | None:
        """The best of a rung, where more steps put rungs above it, and nobody else would get there."""
        for place in range(len(self.rungs) - 1, 0, -1):
            below = self.rungs[place - 1]
            is_quiet = below.asked == below.ended and not self.rungs[place].alive
            if 0 < self.thawed <= below.until and is_quiet and below.able:
                return Turn(place, self.rungs[place].until, below.best())
        return None

    def _leads(self, place: int) -> bool:
        """Whether the best of a rung goes on at once: nothing is above it, and it is high time, since what all workers
        do until it has arrived at the last step is the rest of five full runs, or nearly.
        """
        if not self.early or place == 0 or self.rungs[place + 1].alive:
            return False
        last = self.rungs[-1].until
        running = 1 + sum(rung.asked - rung.ended for rung in self.rungs)
        return self.spent + running * (last - self.rungs[place].until) >= _FIRST * last

    def is_lowest_trusted(self, place: int) -> bool:
        """Whether the rung of that number is the lowest that is trusted."""
        return not any(rung.is_trusted for rung in self.rungs[:place])

    # --- together ----------------------------------------------------------------------------------------------------

    def _together(self, full: bool) -> Turn | None:
        place = self.stage(full)
        if place == len(self.rungs) or self.rungs[place].asked >= self._room(place, full):
            return None
        return Turn(place, self.rungs[place].until, self.rungs[place - 1].best() if place else None)

    def stage(self, full: bool = False) -> int:
        """The number of the lowest rung that is not complete; that of all rungs where none is left."""
        for place, rung in enumerate(self.rungs):
            if rung.asked < self._room(place, full) or rung.ended < rung.asked:
                return place
        return len(self.rungs)

    def _room(self, place: int, full: bool) -> int:
        """How many jobs a rung has, when the one below is complete."""
        if place == 0:
            return self.rungs[0].asked if full else self.widths[0]
        below = self.rungs[place - 1]
        width = min(self.widths[place], max(1, below.asked // self.eta)) if full else self.widths[place]
        return min(width, below.risen + below.able)


class Standing(msgspec.Struct):
    """Fold state: the brackets that run, by number, and how many have begun; who is a probe; and the `finals`, who
    reached the last step in brackets. Those that go on from there later have the numbers -1, -2, ..."""

    method: Halving
    plan: tuple[Bracket, ...]
    finals: Rung
    races: dict[int, Race] = {}
    begun: int = 0
    thawed: int = 0
    probes: set[int] = set()

    def race(self, number: int) -> Race:
        """A bracket at its beginning."""
        steps = self.plan[number % len(self.plan)]
        widths = [width for width, _ in steps if width]
        return Race([Rung(until) for _, until in steps], widths, self.method.eta, self.method.early)

    def follow(self, event: Event, study: Study) -> Standing:
        """One event more."""
        steps = steps_set(event)
        if steps is not None:
            self._replan(steps)
        elif isinstance(event, Job):
            self._ask(event, study)
        elif isinstance(event, Result):
            self._end(event, study)
        return self

    def _replan(self, steps: Steps) -> None:
        """Other steps of a trial: what runs gets rungs on top, and of those that reached the end the best go on."""
        for race in self.races.values():
            race.reach(steps.maximum)
        if self.finals.able and steps.maximum > self.finals.until:
            eta, able = self.method.eta, self.finals.able
            race = Race([self.finals], [able], eta, self.method.early)
            race.reach(steps.maximum)
            race.widths[0] = self.finals.asked
            self.thawed += 1
            self.races[-self.thawed] = race
        self.plan, self.finals = self.method.plan(steps), Rung(steps.maximum)

    def _at(self, job: Job, until: int) -> tuple[Race, int] | None:
        """The bracket of a job and the number of a rung in it: the highest below `until`; None below them all."""
        number = job.tag[0] if job.tag else None
        race = self.races.get(number) if isinstance(number, int) else None
        place = -1 if race is None else bisect(race.rungs, until, key=lambda rung: rung.until) - 1
        return None if race is None or place < 0 else (race, place)

    def _ask(self, job: Job, study: Study) -> None:
        number = job.tag[0] if job.tag else None
        if isinstance(number, int) and number >= self.begun:
            self.races[number] = self.race(number)
            self.begun = number + 1
        found = self._at(job, job.until)
        below = self._at(job, study.jobs[job.parent].until) if job.parent is not None else None
        if found is not None:
            found[0].rungs[found[1]].ask()
            found[0].spent += study.reserved(job)
        if below is not None and job.parent is not None:
            below[0].rungs[below[1]].leave(job.parent, self.method.eta)

    def _end(self, result: Result, study: Study) -> None:
        job = study.jobs[result.job]
        found = self._at(job, job.until)
        if found is None:
            return
        (race, place), losses = found, _losses(study, job.id)
        key = (not study.feasible(job.id), losses) if all(map(math.isfinite, losses)) else None
        race.rungs[place].arrive(job.id, key)
        if race.widths and place + 1 == len(race.rungs):
            self.finals.ask()
            self.finals.arrive(job.id, key)
        if race.widths and race.stage() == len(race.rungs):
            assert isinstance(job.tag[0], int)
            del self.races[job.tag[0]]
        if self.method.guard and not race.widths and result.tells:
            self._watch(race, place, job, study)

    def _watch(self, race: Race, place: int, job: Job, study: Study) -> None:
        """The pairs of a job that has ended; and whether it is to be a probe."""
        if job.parent in self.probes and place:
            race.rungs[place - 1].compare(_losses(study, job.parent), _losses(study, job.id))
        if place + 1 == len(race.rungs):
            self._look_back(race, job, study)
        can_rise = place + 1 < len(race.rungs) and all(map(math.isfinite, _losses(study, job.id)))
        if can_rise and race.rungs[place].probe(job.id, race.is_lowest_trusted(place)):
            self.probes.add(job.id)

    def _look_back(self, race: Race, job: Job, study: Study) -> None:
        """The losses of one that has come to the last rung, there and on those below."""
        for before in study.lineage(job.id)[:-1]:
            found = self._at(before, before.until)
            if found is not None:
                race.rungs[found[1]].look_back(_losses(study, before.id), _losses(study, job.id))


def _losses(study: Study, job: int) -> tuple[float, ...]:
    """Those of a job that has ended, one for each objective."""
    return tuple(study.loss(job, goal) for goal in range(len(study.objectives)))
