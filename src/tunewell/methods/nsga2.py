"""NSGA-II: evolution with several goals, which keeps what nothing dominates and, of that, what lies apart.

K. Deb, A. Pratap, S. Agarwal, T. Meyarivan: A fast and elitist multiobjective genetic algorithm: NSGA-II. IEEE
Transactions on Evolutionary Computation 6, 2002.
K. Deb, H. Jain: An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
approach, part I (NSGA-III). IEEE Transactions on Evolutionary Computation 18, 2014.

A generation ends with every `population`-th result, whatever still runs: nobody waits for a slow trial, which counts
among those that end beside it. With one worker that is the algorithm of the paper.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.genes import Array, Genes, genes_of
from tunewell.methods.plan import asked_for
from tunewell.space import Config
from tunewell.study import Event, Goal, Job, Result, Study
from tunewell.surrogates.niching import niched
from tunewell.surrogates.pareto import Places, crowding, fronts

_MANY = 4
"""From so many goals on, nearly all points are on the front, and their distances from each other say little."""

_LEAST, _USUAL = 8, 100
"""A tenth of the trials are a population, within these bounds; the larger one where nobody limits the trials."""

_TRIES = 20
"""So many children that are not new, or not allowed, are enough; a random config follows."""


@dataclass(frozen=True)
class NSGA2:
    """Children of the configs that fewest dominate, from the least crowded part of the front. Never ends.

    The default config and random ones come first, `population` in all (left out: a tenth of the trials that the study
    may spend, from 8 to 100; 100 without a limit). Then each config is the child of two that won a tournament, by
    their front and then by `spread`: how crowded their part of it is ("crowding"), or how evenly the front is filled
    along given directions ("directions": NSGA-III, a help with four goals or more, where it is what happens if nothing
    is said). Of the population and as many new results the better half stays. Parents are crossed with probability
    `crossover`; a child's entries change with probability `mutation` each (left out: one of them on average). Larger
    indices `crossover_index` and `mutation_index` make smaller steps.

    What keeps to the constraints (`at_most`, `at_least`) comes before what does not, and of that the less it violates,
    each constraint as a share of its largest violation. A failed trial is no parent, and no generation waits for it or
    for any other. No config is asked for twice where a new one is easily found. Learns from all results of the study
    at the largest `until` with a whole population.

    Raises Unsupported where there is no objective.
    Reference: Deb et al., IEEE TEC 6, 2002; Deb and Jain, IEEE TEC 18, 2014.
    """

    population: int | None = None
    spread: Literal["crowding", "directions"] | None = None
    crossover: float = 0.9
    mutation: float | None = None
    crossover_index: float = 15.0
    mutation_index: float = 20.0

    reference: ClassVar[str] = """
@article{deb2002fast,
  title={A fast and elitist multiobjective genetic algorithm: {NSGA-II}},
  author={Deb, Kalyanmoy and Pratap, Amrit and Agarwal, Sameer and Meyarivan, T.},
  journal={IEEE Transactions on Evolutionary Computation},
  volume={6},
  number={2},
  pages={182--197},
  year={2002}
}

@article{deb2014evolutionary,
  title={An evolutionary many-objective optimization algorithm using reference-point-based nondominated sorting
    approach, part {I}: solving problems with box constraints},
  author={Deb, Kalyanmoy and Jain, Himanshu},
  journal={IEEE Transactions on Evolutionary Computation},
  volume={18},
  number={4},
  pages={577--601},
  year={2014}
}"""

    def __post_init__(self) -> None:
        if self.population is not None and self.population < 2:
            raise StudyError(f"NSGA2: population={self.population}", hint="At least 2, or leave it out.")
        if self.spread not in (None, "crowding", "directions"):
            raise StudyError(f"NSGA2: spread={self.spread!r}", hint='"crowding" or "directions", or leave it out.')
        for name in ("crossover", "mutation"):
            if not 0 <= (getattr(self, name) or 0.0) <= 1:
                raise StudyError(f"NSGA2: {name}={getattr(self, name)}", hint="A probability.")
        if min(self.crossover_index, self.mutation_index) < 0:
            told = f"NSGA2: crossover_index={self.crossover_index}, mutation_index={self.mutation_index}"
            raise StudyError(told, hint="At least 0; larger ones make smaller steps.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The default config, random ones, and then children of what is known."""
        if not study.objectives:
            raise Unsupported("NSGA2 ranks by objectives, and the study has none", hint="Random() serves any study.")
        known = self._known(study)
        parents = known.parents()
        is_first = len(study.jobs) < known.size or not parents
        config = self._first(study, rng) if is_first else self._child(study, parents, rng)
        return Job(config, study.steps.maximum, tag=(known.generation,))

    def _known(self, study: Study) -> Known:
        limit = study.limits.trials
        size = self.population or (_USUAL if limit is None else min(max(limit // 10, _LEAST), _USUAL))
        niches = self.spread == "directions" or (self.spread is None and len(study.objectives) >= _MANY)
        key = ("nsga2", size, niches, study.space, study.goals)
        known: Known = study.root.fold(key, lambda: Known(size, niches), partial(_learn, genes_of(study.space)))
        return known

    # --- the first ones --------------------------------------------------------------------------------------------

    def _first(self, study: Study, rng: np.random.Generator) -> Config:
        """The default config, then random ones; a new one where that is easily found."""
        space, asked = study.space, asked_for(study.root)
        config = space.default()
        if not study.jobs and space.satisfies(config) is None and study.root.space.key(config) not in asked:
            return config
        for _ in range(_TRIES):
            config = space.sample(rng)
            if study.root.space.key(config) not in asked:
                break
        return config

    # --- children --------------------------------------------------------------------------------------------------

    def _child(self, study: Study, parents: Sequence[Parent], rng: np.random.Generator) -> Config:
        """A new child that the constraints of the space allow; else a random config."""
        space, genes, asked = study.space, genes_of(study.space), asked_for(study.root)
        for _ in range(_TRIES):
            config = space.decode(self._bred(genes, _winner(parents, rng), _winner(parents, rng), rng))
            if study.root.space.key(config) not in asked and space.satisfies(config) is None:
                return config
        return self._first(study, rng)

    def _bred(self, genes: Genes, first: Parent, second: Parent, rng: np.random.Generator) -> Array:
        """A point of the unit cube from two parents."""
        is_crossed = first is not second and rng.random() < self.crossover
        point = genes.child(first.cells, second.cells, rng, self.crossover_index) if is_crossed else None
        point = genes.alone(first.cells, rng) if point is None else point
        active = max(1, int(np.count_nonzero(~np.isnan(first.cells[0]))))
        chance = 1 / active if self.mutation is None else self.mutation
        return genes.mutated(point, rng, chance, self.mutation_index)


# --- what is known ---------------------------------------------------------------------------------------------------


class Parent(msgspec.Struct):
    """A result: the `cells` of its config, (2, d), its losses (k,) and by how much it violates each constraint (c,).
    The less its `place`, the sooner it is a parent: its front, and what it adds there, negative.
    """

    cells: Array
    losses: Array
    violations: Array
    place: tuple[int, float] = (0, 0.0)


class Known(msgspec.Struct):
    """Fold state: the population of each number of steps, by that."""

    size: int
    niches: bool
    populations: dict[int, Population] = {}

    def parents(self) -> Sequence[Parent]:
        """Those of the largest number of steps with a whole population; else the results of the one that has most."""
        whole = [until for until, some in self.populations.items() if some.members]
        if whole:
            return self.populations[max(whole)].members
        begun = max(self.populations.items(), key=lambda pair: (len(pair[1].arrived), pair[0]), default=None)
        return begun[1].arrived if begun is not None else ()

    @property
    def generation(self) -> int:
        """How many generations have ended."""
        return max((some.generation for some in self.populations.values()), default=0)


class Population(msgspec.Struct):
    """The members, and the results that arrived since they were chosen; after how many such choices."""

    members: list[Parent] = []
    arrived: list[Parent] = []
    generation: int = 0


def _learn(genes: Genes, known: Known, event: Event, study: Study) -> Known:
    if not isinstance(event, Result) or event.status != "done":
        return known
    job, goals = study.jobs[event.job], study.goals
    losses = np.array([study.loss(job.id, number) for number in range(len(study.objectives))])
    violations = np.array([_violation(goal, study.value(job.id, goal)) for goal in goals if goal.is_constraint])
    if not (np.isfinite(losses).all() and np.isfinite(violations).all()):
        return known
    population = known.populations.setdefault(job.until, Population())
    population.arrived.append(Parent(genes.cells(job.config), losses, violations))
    if len(population.arrived) == known.size:
        rng = np.random.default_rng([study.seed, job.until, population.generation])
        pool = [*population.members, *population.arrived]
        population.members, population.arrived = survivors(pool, known.size, known.niches, rng), []
        population.generation += 1
    return known


def _violation(goal: Goal, value: float) -> float:
    """By how much a value exceeds its bounds; infinite where it is not finite."""
    if not math.isfinite(value):
        return math.inf
    over = 0.0 if goal.at_most is None else value - goal.at_most
    under = 0.0 if goal.at_least is None else goal.at_least - value
    return max(over, under, 0.0)


def _winner(parents: Sequence[Parent], rng: np.random.Generator) -> Parent:
    """The better of two by their places; by chance where these are the same. Deb et al., section III-B."""
    first, second = rng.integers(len(parents), size=2)
    one: Parent = parents[first]
    return parents[second] if parents[second].place < one.place else one


def survivors(pool: Sequence[Parent], count: int, niches: bool, rng: np.random.Generator) -> list[Parent]:
    """The `count` best of a pool, with their places: front by front, the last one by what each adds to those before.

    Deb et al., section III-C; what violates constraints comes after the rest, in the order of that (section VI).
    """
    losses, violated = np.array([one.losses for one in pool]), _total(np.array([one.violations for one in pool]))
    kept: Places = np.flatnonzero(violated == 0.0)
    found: list[Parent] = []
    sure = np.zeros(0, dtype=np.intp)
    for number, front in enumerate(kept[some] for some in fronts(losses[kept], count)):
        added = np.zeros(len(front)) if niches else crowding(losses[front])
        if len(sure) + len(front) <= count:
            chosen = np.arange(len(front))
        elif niches:
            chosen = niched(losses[np.concatenate([sure, front])], len(sure), count - len(sure), rng, count) - len(sure)
        else:
            chosen = np.argsort(-added, kind="stable")[: count - len(sure)]
        found += [_placed(pool[front[one]], number, -float(added[one])) for one in chosen]
        sure = np.concatenate([sure, front[chosen]])
    bad = np.flatnonzero(violated > 0.0)
    worse = bad[np.argsort(violated[bad], kind="stable")][: count - len(found)]
    return found + [_placed(pool[one], len(pool), float(violated[one])) for one in worse]


def _total(violations: Array) -> Array:
    """The sum over the constraints of violations (n, c), each a share of the largest of its constraint: (n,)."""
    if not violations.size:
        return np.zeros(len(violations))
    largest = violations.max(0)
    found: Array = (violations / np.where(largest > 0, largest, 1.0)).sum(1)
    return found


def _placed(parent: Parent, front: int, added: float) -> Parent:
    return Parent(parent.cells, parent.losses, parent.violations, (front, added))
