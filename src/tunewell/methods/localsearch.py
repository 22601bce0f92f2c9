"""Local search: the neighbours of the best config of a walk, until none is better; then a new walk.

C. White, S. Nolen, Y. Savani: Exploring the loss landscape in neural architecture search. UAI 2021. arXiv:2005.02960.
Algorithm 1, with the first better neighbour instead of the best of all.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, TypeAlias

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import violation
from tunewell.methods.plan import asked_for
from tunewell.methods.random import Random
from tunewell.methods.unique import Unique
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study, canonical

Rank: TypeAlias = tuple[float, float]

_WALK = "walk"
"""The tag of a job: the walk that it is part of, as (_WALK, number)."""


@dataclass(frozen=True)
class LocalSearch:
    """Walks from config to better neighbour, each from another start. Never ends, unless every config was asked for.

    The first walk starts at the default config, the others at random ones. The neighbours of a config differ in one
    active entry: a Choice has each other option, a number or an Ordinal the next value on either side, and those that
    are the `steps` away, as shares of the range. What becomes active is random. The neighbours of the best config of a
    walk are asked for in random order; as soon as one is better, its neighbours are. Where none is left, a new walk
    starts. No config is asked for twice.

    Nobody waits: while a neighbour runs, the others go on; what fails costs its place and no more. Good where entries
    are choices, such as architectures, and results are not noisy. Learns from the results of its own jobs.
    Raises Unsupported for more than one objective.

    Reference: White, Nolen and Savani, UAI 2021.
    """

    steps: tuple[float, ...] = (0.2, 0.05, 0.0125)

    reference: ClassVar[str] = """
@inproceedings{white2021exploring,
  title={Exploring the loss landscape in neural architecture search},
  author={White, Colin and Nolen, Sam and Savani, Yash},
  booktitle={Uncertainty in Artificial Intelligence},
  pages={654--664},
  year={2021}
}"""

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps", tuple(self.steps))
        if not all(0 < step <= 1 for step in self.steps):
            raise StudyError(f"LocalSearch: steps={self.steps}", hint="Shares of a range, above 0 and up to 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A new neighbour of the best config of a walk; else the start of another walk."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"LocalSearch compares one objective, the study has {len(study.objectives)}",
                hint="NSGA2() and Bayes() serve several; or make the others constraints with at_most.",
            )
        walks = study.fold(("local search", self.steps), Walks, Walks.follow)
        for number, config in walks.best():
            options = self._open(study, config)
            if options:
                chosen = options[int(rng.integers(len(options)))]
                return Job(chosen, study.steps.maximum, tag=(_WALK, number))
        return self._start(study, walks, rng)

    def _open(self, study: Study, config: Config) -> list[Config]:
        """The neighbours that are allowed and were not asked for."""
        asked, space = asked_for(study.root), study.space
        nearby = _neighbours(space, canonical(config), self.steps)
        return [near for key, near in nearby.items() if key not in asked and space.satisfies(near) is None]

    def _start(self, study: Study, walks: Walks, rng: np.random.Generator) -> Job | None:
        tag = (_WALK, walks.begun)
        default, asked = study.space.default(), asked_for(study.root)
        if not (walks.begun or study.space.satisfies(default) or study.root.space.key(default) in asked):
            return Job(default, study.steps.maximum, tag=tag)
        job = Unique(Random()).propose(study, rng)
        return job and msgspec.structs.replace(job, tag=tag)


class Walk(msgspec.Struct):
    """The best config of a walk at each number of steps, with its rank; and how many results there are at each."""

    ranks: dict[int, Rank] = {}
    configs: dict[int, Config] = {}
    counts: dict[int, int] = {}

    def enter(self, job: Job, rank: Rank) -> None:
        """One result more."""
        self.counts[job.until] = self.counts.get(job.until, 0) + 1
        if rank < self.ranks.get(job.until, (math.inf, math.inf)):
            self.ranks[job.until], self.configs[job.until] = rank, job.config

    def level(self) -> int:
        """The number of steps of which most is known: there all are compared."""
        return max(self.ranks, key=lambda until: (self.counts[until], until))


class Walks(msgspec.Struct):
    """Fold state: the walks by their numbers, and how many have `begun`."""

    walks: dict[int, Walk] = {}
    begun: int = 0

    def follow(self, event: Event, study: Study) -> Walks:
        """One event more."""
        job = event if isinstance(event, Job) else study.jobs.get(getattr(event, "job", -1))
        number = _number(job) if job is not None else None
        if job is None or number is None:
            return self
        self.begun = max(self.begun, number + 1)
        if isinstance(event, Result) and event.tells and math.isfinite(study.loss(job.id)):
            self.walks.setdefault(number, Walk()).enter(job, (violation(study, job.id), study.loss(job.id)))
        return self

    def best(self) -> Iterator[tuple[int, Config]]:
        """The number and the best config of each walk, the best walk first; only of one number of steps."""
        levels = {number: walk.level() for number, walk in self.walks.items()}
        ranked = sorted(levels, key=lambda number: (-levels[number], self.walks[number].ranks[levels[number]]))
        for number in ranked:
            yield number, self.walks[number].configs[levels[number]]


def _number(job: Job) -> int | None:
    """The walk of a job; other methods may have put words of theirs before."""
    tag = job.tag[-2:]
    return tag[1] if len(tag) == 2 and tag[0] == _WALK and isinstance(tag[1], int) else None


@lru_cache(maxsize=512)
def _neighbours(space: Space, text: str, steps: tuple[float, ...]) -> dict[str, Config]:
    """The neighbours of the config with this canonical text, by their keys."""
    config = msgspec.json.decode(text)
    point = space.encode(space.validate(config))
    rng = np.random.default_rng(zlib.crc32(text.encode()))  # the same neighbours each time
    filled = np.where(np.isnan(point), rng.random(len(point)), point)
    found: dict[str, Config] = {}
    for place in np.flatnonzero(~np.isnan(point)).tolist():
        for unit in _others(space, place, float(point[place]), steps):
            moved = filled.copy()
            moved[place] = unit
            near = space.decode(moved)
            found[space.key(near)] = near
    found.pop(space.key(config), None)
    return found


def _others(space: Space, place: int, unit: float, steps: tuple[float, ...]) -> list[float]:
    """The coordinates of the values that a neighbour may have instead."""
    dimension, axis = space.dimensions[place], space.axes[place]
    if dimension.kind == "choice":
        size = dimension.size or 1
        return [(number + 0.5) / size for number in range(size) if number != int(unit * size)]
    moved = [unit + sign * step for step in steps for sign in (-1, 1)]
    if dimension.size is not None:
        low, high = axis.cell(axis.at(unit))
        moved = [math.nextafter(low, -1.0), math.nextafter(high, 2.0), *moved]
    return [other for other in moved if 0 <= other <= 1]

