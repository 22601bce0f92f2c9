"""Local search: from one config to a better neighbour, until it has none.

C. White, S. Nolen, Y. Savani: Exploring the loss landscape in neural architecture search. UAI 2021. arXiv:2005.02960.
Algorithm 1; of its variants the one that moves to the first neighbour that is better.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import leads, violation
from tunewell.methods.plan import asked_for
from tunewell.methods.random import Random
from tunewell.methods.unique import Unique
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study, canonical

Array = np.ndarray[Any, np.dtype[np.float64]]

_WALK = "walk"
"""The tag of a job: (_WALK, the walk, the job whose neighbour it is, and which one); -1, 0 where a walk starts."""

_BELOW = 1e-12
"""What is so little below the cell of a value belongs to the value before."""


@dataclass(frozen=True)
class LocalSearch:
    """Walks from a config to a better neighbour until it has none, then walks from a random one. Never ends, unless
    every config was asked for.

    The first walk starts at the default config, or at the best that is known. The neighbours of the best config of the
    walk are asked for in random order, and as soon as one is better the walk goes on from there. A neighbour differs in
    one active entry: another option of a Choice, with new entries below it; a number or an Ordinal a step up or down,
    by each of `strengths`, shares of its scale, and at least by one value.

    Nobody waits: other neighbours are asked for while some are running, random configs where a walk has no result yet,
    and a walk whose last neighbours come back better goes on. No config twice; what fails is no place to go on from.
    Of trials of several lengths the longest count. `alone`: what other methods of the study found is no place to go on
    from. Raises Unsupported for more than one objective.

    Reference: White, Nolen and Savani, UAI 2021.
    """

    strengths: tuple[float, ...] = (0.2, 0.05, 0.0125)
    alone: bool = False

    reference: ClassVar[str] = """
@inproceedings{white2021exploring,
  title={Exploring the loss landscape in neural architecture search},
  author={White, Colin and Nolen, Sam and Savani, Yash},
  booktitle={Uncertainty in Artificial Intelligence},
  pages={654--664},
  year={2021}
}"""

    def __post_init__(self) -> None:
        if not self.strengths or not all(0 < strength <= 1 for strength in self.strengths):
            raise StudyError(f"LocalSearch: strengths={self.strengths}", hint="Shares of a range, such as (0.1,).")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A new neighbour of the best config of a walk, or where a new walk starts; trained to the end."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"LocalSearch compares by one objective, the study has {len(study.objectives)}",
                hint="Random() and Bayes() serve several; or make the others constraints with at_most.",
            )
        past = _past(study, self.alone)
        for number, walk in past.walks.items():
            if walk.best is None:
                return _start(study, past, number, rng)
            job = None if walk.is_over else self._neighbour(study, walk, number, rng)
            if job is not None:
                return job
        return _start(study, past, len(past.walks), rng)

    def why(self, study: Study) -> str:
        """The walk and what is left of its neighbourhood, in one line."""
        walks = _past(study.plan, self.alone).walks
        asked = sum(len(walk.asked) for walk in walks.values())
        return f"walk {len(walks)}, {asked} neighbours of the places it stands at were asked for"

    def _neighbour(self, study: Study, walk: Walk, number: int, rng: np.random.Generator) -> Job | None:
        """One of those that are left, at random."""
        assert walk.best is not None
        point, asked = study.space.encode(walk.best.config), asked_for(study.root)
        moves = list(_moves(study.space, point, self.strengths))
        for place in rng.permutation(len(moves)).tolist():
            if place not in walk.asked:
                config = _moved(study.space, point, moves[place], rng)
                if study.root.space.key(config) not in asked and study.space.satisfies(config) is None:
                    return Job(config, study.steps.maximum, tag=(_WALK, number, walk.best.job, place))
        return None


def _start(study: Study, past: Past, number: int, rng: np.random.Generator) -> Job | None:
    """What related tasks were good at, the default config, or a random one."""
    tag = (_WALK, number, -1, 0)
    options = [*leads(study), study.space.default()] if number == 0 else []
    asked = asked_for(study.root)
    for config in options:
        if study.space.satisfies(config) is None and study.root.space.key(config) not in asked:
            return Job(config, study.steps.maximum, tag=tag)
    job = Unique(Random()).propose(study, rng)
    return job and msgspec.structs.replace(job, tag=tag)


# --- neighbours ------------------------------------------------------------------------------------------------------


def _moves(space: Space, point: Array, strengths: tuple[float, ...]) -> Iterator[tuple[int, float]]:
    """The changes of one active coordinate of a point (d,) of the unit cube: which one, and its new value there."""
    for place, (axis, dimension, unit) in enumerate(zip(space.axes, space.dimensions, point.tolist(), strict=True)):
        if math.isnan(unit):
            continue
        value = axis.at(unit)
        if dimension.kind == "choice" and axis.size is not None:
            near = [(number + 0.5) / axis.size for number in range(axis.size)]
        else:
            low, high = axis.cell(value)
            ups = [max(unit + strength, high) for strength in strengths]
            near = [*ups, *(min(unit - strength, low - _BELOW) for strength in strengths)]
        yield from ((place, other) for other in near if axis.at(other) != value)


def _moved(space: Space, point: Array, move: tuple[int, float], rng: np.random.Generator) -> Config:
    """The config at a point (d,) with another value at one place; what becomes active is random."""
    found = np.where(np.isnan(point), rng.random(len(point)), point)
    found[move[0]] = move[1]
    return space.decode(found)


# --- the fold --------------------------------------------------------------------------------------------------------


class Place(msgspec.Struct, frozen=True):
    """A config that has a result, the job, and its rank: the longest trial, the least violation, the least loss."""

    config: Config
    job: int
    rank: tuple[float, float, float]


class Walk(msgspec.Struct):
    """What one walk knows: its results by config, the `best` of them, which neighbours of that were `asked` for, and
    whether none of them `is_over`: left to ask for.
    """

    known: dict[str, Place] = {}
    best: Place | None = None
    asked: set[int] = set()
    is_over: bool = False

    def hear(self, text: str, place: Place | None) -> None:
        """A result of a config; None where it failed."""
        if place is None:
            self.known.pop(text, None)
        elif text not in self.known or place.rank < self.known[text].rank:
            self.known[text] = place
        if place is None or self.best is None or place.rank < self.best.rank:
            self._stand(min(self.known.values(), key=lambda each: each.rank, default=None))

    def _stand(self, best: Place | None) -> None:
        if best is None or self.best is None or best.config != self.best.config:
            self.asked, self.is_over = set(), False
        self.best = best


class Past(msgspec.Struct):
    """Fold state: each walk by its number; results that are of none of them count for the first, or not (`alone`)."""

    alone: bool
    walks: dict[int, Walk] = {}

    def follow(self, event: Event, study: Study) -> Past:
        """One event more."""
        job = event if isinstance(event, Job) else study.jobs[event.job] if isinstance(event, Result) else None
        if job is None or (self.alone and _tag(job)[1] is None):
            return self
        if isinstance(event, Job):
            self._ask(job)
        elif isinstance(event, Result) and event.tells and job.seed == 0:
            self._end(job, study)
        return self

    def _ask(self, job: Job) -> None:
        number, centre, place = _tag(job)
        if number not in self.walks and centre is not None:
            for walk in self.walks.values():
                walk.is_over = True  # a new one starts where the others have nothing left to ask for
        walk = self.walks.setdefault(number, Walk())
        if walk.best is not None and walk.best.job == centre:
            walk.asked.add(place)

    def _end(self, job: Job, study: Study) -> None:
        loss, text = study.loss(job.id), canonical(job.config)
        rank = (-float(job.until), violation(study, job.id), loss)
        place = Place(job.config, job.id, rank) if math.isfinite(loss) else None
        self.walks.setdefault(_tag(job)[0], Walk()).hear(text, place)


def _past(study: Study, alone: bool) -> Past:
    return study.root.fold(("local search", alone, study.space, study.goals), lambda: Past(alone), Past.follow)


def _tag(job: Job) -> tuple[int, int | None, int]:
    """The walk, the job whose neighbour it is, and which one; other methods may have put words of theirs before."""
    word, *numbers = job.tag[-4:] or ("",)
    if word == _WALK and len(numbers) == 3:
        walk, centre, place = (int(number) for number in numbers)
        return walk, centre, place
    return 0, None, 0
