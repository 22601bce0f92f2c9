"""Evolution: children of the configs that survive, by mutation, by crossover, or by differences between them.

E. Real, A. Aggarwal, Y. Huang, Q. V. Le: Regularized evolution for image classifier architecture search. AAAI 2019.
arXiv:1802.01548. Algorithm 1.
R. Storn, K. Price: Differential evolution: a simple and efficient heuristic for global optimization over continuous
spaces. Journal of Global Optimization 11, 1997. Equations (2) to (4): DE/rand/1/bin.
I. Rechenberg: Evolutionsstrategie. 1973. The rule of one success in five.
N. Awad, N. Mallik, F. Hutter: DEHB: evolutionary hyperband for scalable, robust and efficient hyperparameter
optimization. IJCAI 2021. arXiv:2105.09821. That is Hyperband(Evolution.differential()).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import leads, violation
from tunewell.methods.unique import Unique
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study, canonical

Array = np.ndarray[Any, np.dtype[np.float64]]

_CHILD, _SLOT = "child", "slot"
"""The tag of a job: the parent that it is a mutation of, as (_CHILD, job); or its place in the population."""

_SUCCESS = 0.2
"""One mutation in five is to be better than its parent (Rechenberg 1973)."""
_PATIENCE = 3.0
"""A success makes steps larger by exp((1 - 1/5) / 3), a failure smaller by exp(1/5 / 3)."""
_NARROWEST, _WIDEST = 1e-9, 0.5
"""The least and the largest strength of a mutation, as shares of a range."""
_TRIES = 20
"""So many differences that violate a constraint are enough."""


@dataclass(frozen=True)
class Evolution:
    """A population of configs; those that survive have children. Never ends, unless every config was asked for.

    The default config and random ones come first, until `population` are asked for and half of them are known. From
    then on each child has a parent, the best of `tournament` members drawn at random, and with probability `crossover`
    a second one. With `variation="mutation"` a child of one is its `Space.mutate`, a child of two their `Space.cross`,
    or a mutation where the two are too alike. With "difference", a member x is crossed with a + strength · (b - c) of
    three others, from which it takes each entry with probability `crossover` (DE/rand/1/bin).

    `survival`: who leaves for a child. The oldest ("age"), the worst of all after each `offspring` children ("best"),
    or the x of the child, where the child is no worse ("pair").

    A mutation changes one entry, and `others` more on average. `strength` is the standard deviation of its numeric
    steps as a share of a range; with `adapt` it grows where more than one mutation in five is better than its parent,
    and shrinks where fewer are. `duplicates`: no config
    twice ("forbid"), again with the next seed ("replicate"), or as they come ("allow"): see `Unique`.

    Nobody waits: a child enters the population when its result comes, whoever is still running; what fails has no
    place in it. Learns from all results of the study at the largest `until` of which half a population is known.
    Raises Unsupported for more than one objective.

    Reference: Real et al., AAAI 2019; Storn and Price, J. Global Optimization 11, 1997; Awad et al., IJCAI 2021.
    """

    population: int = 30
    tournament: int = 10
    offspring: int = 1
    crossover: float = 0.0
    variation: Literal["mutation", "difference"] = "mutation"
    survival: Literal["age", "best", "pair"] = "age"
    strength: float = 0.1
    others: float = 0.0
    adapt: bool = True
    duplicates: Literal["forbid", "replicate", "allow"] = "forbid"

    reference: ClassVar[str] = """
@inproceedings{real2019regularized,
  title={Regularized evolution for image classifier architecture search},
  author={Real, Esteban and Aggarwal, Alok and Huang, Yanping and Le, Quoc V},
  booktitle={AAAI Conference on Artificial Intelligence},
  volume={33},
  pages={4780--4789},
  year={2019}
}

@article{storn1997differential,
  title={Differential evolution: a simple and efficient heuristic for global optimization over continuous spaces},
  author={Storn, Rainer and Price, Kenneth},
  journal={Journal of Global Optimization},
  volume={11},
  pages={341--359},
  year={1997}
}

@inproceedings{awad2021dehb,
  title={{DEHB}: evolutionary hyperband for scalable, robust and efficient hyperparameter optimization},
  author={Awad, Noor and Mallik, Neeratyoy and Hutter, Frank},
  booktitle={International Joint Conference on Artificial Intelligence},
  pages={2147--2153},
  year={2021}
}"""

    def __post_init__(self) -> None:
        for name in ("population", "tournament", "offspring"):
            if getattr(self, name) < 1:
                raise StudyError(f"Evolution: {name}={getattr(self, name)}", hint="At least 1.")
        if not 0 <= self.crossover <= 1:
            raise StudyError(f"Evolution: crossover={self.crossover}", hint="A probability, from 0 to 1.")
        if not self.strength > 0:
            raise StudyError(f"Evolution: strength={self.strength}", hint="Above 0, such as 0.1.")
        if not self.others >= 0:
            raise StudyError(f"Evolution: others={self.others}", hint="0 or more entries.")
        for name, known in _WORDS.items():
            if getattr(self, name) not in known:
                raise StudyError(f"Evolution: {name}={getattr(self, name)!r}", hint=f"One of {', '.join(known)}.")
        if self.variation == "difference" and self.population < _FOUR:
            raise StudyError(f"Evolution: population={self.population} with differences", hint="At least 4 members.")

    # --- named settings ----------------------------------------------------------------------------------------------

    @classmethod
    def regularized(cls, population: int = 30, tournament: int = 10, **settings: Any) -> Evolution:
        """Regularized evolution: the oldest dies, so that luck does not live for ever. Good with choices and noise.

        Reference: Real et al., AAAI 2019.
        """
        return cls(population, tournament, **settings)

    @classmethod
    def genetic(cls, population: int = 20, tournament: int = 5, crossover: float = 0.5, **settings: Any) -> Evolution:
        """A genetic algorithm: children of two parents, who give whole branches of conditional spaces; the oldest dies.

        Reference: Goldberg, Genetic algorithms in search, optimization, and machine learning, 1989.
        """
        return cls(population, tournament, crossover=crossover, **settings)

    @classmethod
    def plus(cls, mu: int = 5, lam: int = 20, **settings: Any) -> Evolution:
        """(mu + lam): any of the mu best has a child; after lam children the mu best of all stay.

        Reference: Rechenberg, Evolutionsstrategie, 1973.
        """
        return cls(mu, **{"tournament": 1, "offspring": lam, "survival": "best", "others": 1.0, **settings})

    @classmethod
    def one_plus_one(cls, **settings: Any) -> Evolution:
        """(1 + 1): the best config and its mutations, from the default config on, for the smallest budgets.

        Reference: Rechenberg, Evolutionsstrategie, 1973.
        """
        return cls.plus(1, 1, **settings)

    @classmethod
    def differential(
        cls, population: int = 20, strength: float = 0.5, crossover: float = 0.5, **settings: Any
    ) -> Evolution:
        """Differential evolution, DE/rand/1/bin; DEHB is `Hyperband(Evolution.differential())`.

        Reference: Storn and Price, J. Global Optimization 11, 1997.
        """
        given = {"variation": "difference", "survival": "pair", "adapt": False, **settings}
        return cls(population, tournament=1, crossover=crossover, strength=strength, **given)

    # --- proposals ---------------------------------------------------------------------------------------------------

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The default config, random ones, then children; trained to the end."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Evolution ranks by one objective, the study has {len(study.objectives)}",
                hint="Random() and Bayes() serve several; or make the others constraints with at_most.",
            )
        if self.duplicates != "allow":
            return Unique(replace(self, duplicates="allow"), self.duplicates).propose(study, rng)
        past = self._past(study)
        level = past.level(self._enough)
        if level is None or past.begun < self.population:
            return Job(_first(study, past, rng), study.steps.maximum)
        if self.variation == "difference":
            return self._difference(study, past, level, rng)
        return self._descent(study, past, level, rng)

    def why(self, study: Study) -> str:
        """The population, and the strength of mutations, in one line."""
        past = self._past(study.plan)
        level = past.level(self._enough) or Level()
        return f"{len(level.members)} members of {self.population}, strength {past.strength:.3g}"

    def _past(self, study: Study) -> Past:
        settings = replace(self, duplicates="allow")
        key = ("evolution", settings, study.space, study.goals)
        return study.root.fold(key, lambda: Past(settings, settings.strength), Past.follow)

    @property
    def _enough(self) -> int:
        """So many members are a population: the slow ones of the first are not waited for."""
        return max(_FOUR if self.variation == "difference" else 1, self.population // 2)

    def _descent(self, study: Study, past: Past, level: Level, rng: np.random.Generator) -> Job:
        """A child of one parent, or of two."""
        parent = self._parent(level, rng)
        if rng.random() < self.crossover:
            other = self._parent(level, rng)
            config = study.space.cross(parent.config, other.config, rng)
            if config not in (parent.config, other.config):
                return Job(config, study.steps.maximum)
        config = study.space.mutate(parent.config, rng, past.strength, self.others)
        return Job(config, study.steps.maximum, tag=(_CHILD, parent.job))

    def _parent(self, level: Level, rng: np.random.Generator) -> Member:
        """The best of the members drawn, with replacement (Real et al., algorithm 1)."""
        drawn: list[int] = rng.integers(len(level.members), size=self.tournament).tolist()
        return min((level.members[place] for place in drawn), key=lambda member: member.rank)

    def _difference(self, study: Study, past: Past, level: Level, rng: np.random.Generator) -> Job:
        """The trial vector of a member: Storn and Price, equations (2) to (4)."""
        space, place = study.space, past.begun % len(level.members)
        target = level.members[place].config
        others = [member.config for number, member in enumerate(level.members) if number != place]
        for _ in range(_TRIES):
            three = [others[number] for number in rng.permutation(len(others))[:3].tolist()]
            mutant = differed(space, three[0], three[1], three[2], self.strength, rng)
            if space.decode(mutant) == three[0]:
                break  # differences are lost in rounding: the population has converged
            config = space.decode(_crossed(space.encode(target), mutant, self.crossover, rng))
            if space.satisfies(config) is None:
                return Job(config, study.steps.maximum, tag=(_SLOT, place))
        return Job(space.mutate(target, rng), study.steps.maximum, tag=(_SLOT, place))


_WORDS = {
    "variation": ("mutation", "difference"),
    "survival": ("age", "best", "pair"),
    "duplicates": ("forbid", "replicate", "allow"),
}
_FOUR = 4
"""A difference takes a member and three others."""


def _first(study: Study, past: Past, rng: np.random.Generator) -> Config:
    """What related tasks were good at, the default config, random ones."""
    options = [*(leads(study) if past.begun < 4 else []), *([] if past.begun else [study.space.default()])]
    allowed = (config for config in options if study.space.satisfies(config) is None)
    return next(allowed, None) or study.space.sample(rng)


# --- differences -----------------------------------------------------------------------------------------------------


def differed(space: Space, a: Config, b: Config, c: Config, scale: float, rng: np.random.Generator) -> Array:
    """The point a + scale · (b - c), `(d,)`, reflected into the unit cube: Storn and Price, equation (2).

    A value that stands for a cell counts as a random point of it, so that rounding favours none of its neighbours. A
    Choice has no differences: where b and c chose alike it is that of a, else with probability `scale` any option.
    What is inactive is drawn at random.
    """
    first, second, third = (_within(space, config, rng) for config in (a, b, c))
    moved = np.abs(first + scale * (second - third)) % 2.0
    point = np.where(moved > 1.0, 2.0 - moved, moved)
    for place, dimension in enumerate(space.dimensions):
        if dimension.kind == "choice" and dimension.size is not None:
            differs = int(second[place] * dimension.size) != int(third[place] * dimension.size)
            point[place] = rng.random() if differs and rng.random() < scale else first[place]
    return point


def _within(space: Space, config: Config, rng: np.random.Generator) -> Array:
    """A random point `(d,)` of the cells of a config's values."""
    point, chances = space.encode(config), rng.random(len(space.paths))
    for place, (axis, unit) in enumerate(zip(space.axes, point.tolist(), strict=True)):
        if axis.size is not None and not math.isnan(unit):
            low, high = axis.cell(axis.at(unit))
            point[place] = low + (high - low) * chances[place]
    return np.where(np.isnan(point), chances, point)


def _crossed(target: Array, mutant: Array, chance: float, rng: np.random.Generator) -> Array:
    """The target with some coordinates of the mutant, at least an active one: Storn and Price, equations (3), (4)."""
    taken = rng.random(len(target)) < chance
    active = np.flatnonzero(~np.isnan(target))
    if len(active):
        taken[active[int(rng.integers(len(active)))]] = True
    return np.where(taken | np.isnan(target), mutant, target)


# --- the fold --------------------------------------------------------------------------------------------------------

Rank = tuple[float, float]
"""By how much the constraints are violated, and then the loss; smaller is better."""


class Member(msgspec.Struct):
    """A config that has results: the mean of `count` of them, and the first `job` with it."""

    config: Config
    job: int
    rank: Rank
    count: int = 1

    def hear(self, rank: Rank) -> None:
        """One replicate more."""
        self.count += 1
        self.rank = tuple(old + (new - old) / self.count for old, new in zip(self.rank, rank, strict=True))  # type: ignore[assignment]


class Level(msgspec.Struct):
    """The results at one number of steps: the `members` of the population; who was `born` and is not judged yet; and
    each config by its text.
    """

    members: list[Member] = []
    born: list[Member] = []
    known: dict[str, Member] = {}

    def enter(self, one: Member, slot: int | None, settings: Evolution) -> None:
        """A member more, and one less where there are too many."""
        size = settings.population
        if settings.survival == "age":
            self.members = [*self.members, one][-size:]
        elif settings.survival == "pair":
            self._replace(one, slot, size)
        elif not any(one is each for each in (*self.members, *self.born)):
            self.born.append(one)
            if len(self.born) >= settings.offspring or len(self.members) < size:
                # A child that is as good as its parent takes its place, so that plateaus are crossed.
                self.members = sorted([*self.born, *self.members], key=lambda member: member.rank)[:size]
                self.born = []

    def _replace(self, one: Member, slot: int | None, size: int) -> None:
        """One against one: Storn and Price, section 2. Who comes from elsewhere is compared with the worst."""
        if len(self.members) < size:
            self.members.append(one)
            return
        if slot is None or slot >= len(self.members):
            slot = max(range(len(self.members)), key=lambda place: self.members[place].rank)
        if one.rank <= self.members[slot].rank:
            self.members[slot] = one


class Past(msgspec.Struct):
    """Fold state: what is known at each number of steps; how many configs have `begun`; the `strength` of mutations."""

    settings: Evolution
    strength: float
    levels: dict[int, Level] = {}
    begun: int = 0

    def follow(self, event: Event, study: Study) -> Past:
        """One event more."""
        if isinstance(event, Job):
            self.begun += event.parent is None and event.seed == 0
        elif isinstance(event, Result) and event.tells:
            self._end(study.jobs[event.job], study)
        return self

    def level(self, enough: int) -> Level | None:
        """The results at the largest `until` of which so many are known; None where there is none."""
        filled = [until for until, level in self.levels.items() if len(level.members) >= enough]
        return self.levels[max(filled)] if filled else None

    def _end(self, job: Job, study: Study) -> None:
        text, loss = canonical(job.config), study.loss(job.id)
        if not math.isfinite(loss):
            self._fail(text, job.until)
            return
        level, rank = self.levels.setdefault(job.until, Level()), (violation(study, job.id), loss)
        member = level.known.get(text)
        if member is None:
            member = level.known[text] = Member(job.config, job.id, rank)
            self._learn(level, job, rank, study)
        else:
            member.hear(rank)
        level.enter(member, _number(job, _SLOT), self.settings)

    def _fail(self, text: str, until: int) -> None:
        """What failed later on its way is as bad as can be at the steps before."""
        for earlier, level in self.levels.items():
            if earlier <= until and text in level.known:
                level.known[text].rank = (math.inf, math.inf)

    def _learn(self, level: Level, job: Job, rank: Rank, study: Study) -> None:
        """The rule of one success in five."""
        number = _number(job, _CHILD)
        before = study.jobs.get(number) if number is not None else None
        parent = level.known.get(canonical(before.config)) if before is not None else None
        if parent is None or not self.settings.adapt:
            return
        factor = math.exp(((rank < parent.rank) - _SUCCESS) / _PATIENCE)
        self.strength = min(max(self.strength * factor, _NARROWEST), _WIDEST)


def _number(job: Job, word: str) -> int | None:
    """What the tag of a job says after a word; other methods may have put words of theirs before."""
    tag = job.tag[-2:]
    return tag[1] if len(tag) == 2 and tag[0] == word and isinstance(tag[1], int) else None
