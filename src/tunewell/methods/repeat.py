"""Several random seeds or folds for each config: a fixed number of them, or as many as it takes.

M. Birattari, T. Stützle, L. Paquete, K. Varrentrapp: A racing algorithm for configuring metaheuristics. GECCO 2002.
M. López-Ibáñez, J. Dubois-Lacoste, L. Pérez Cáceres, M. Birattari, T. Stützle: The irace package: iterated racing for
automatic algorithm configuration. Operations Research Perspectives 3, 2016.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.study import Event, Job, Metrics, Report, Result, Rewrite, Study

RACES = """
@inproceedings{birattari2002racing,
  title={A racing algorithm for configuring metaheuristics},
  author={Birattari, Mauro and St{\\"u}tzle, Thomas and Paquete, Luis and Varrentrapp, Klaus},
  booktitle={Genetic and Evolutionary Computation Conference},
  pages={11--18},
  year={2002}
}

@article{lopezibanez2016irace,
  title={The irace package: iterated racing for automatic algorithm configuration},
  author={L{\\'o}pez-Ib{\\'a}{\\~n}ez, Manuel and Dubois-Lacoste, J{\\'e}r{\\'e}mie and
    P{\\'e}rez C{\\'a}ceres, Leslie and Birattari, Mauro and St{\\"u}tzle, Thomas},
  journal={Operations Research Perspectives},
  volume={3},
  pages={43--58},
  year={2016}
}"""


@dataclass(frozen=True)
class Repeat:
    """Each job of `of` runs with the seeds 0 to `times` - 1, and `of` sees one result: their mean, with its standard
    error.

    All configs share the seeds. A job that goes on continues each of its replicates. Where a replicate fails, the job
    has failed and no further one begins. Replicates do not count against `Limits.trials`.
    Raises Unsupported for goals that count more than the last value of a curve.
    """

    of: Method
    times: int = 3

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        if self.times < 1:
            raise StudyError(f"Repeat: times={self.times}", hint="At least 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A replicate that is still to begin, or else the first one of what `of` proposes."""
        return _propose(self.of, self, study, rng)

    def lasts(self, group: Group, groups: Groups) -> bool:
        """Whether the group needs another replicate."""
        return len(group.jobs) < self.times


@dataclass(frozen=True)
class Race:
    """As `Repeat`, but a config whose chance to be the best has become small gets no further seeds.

    After each seed a config is compared with the best one so far on the seeds that both have had. It goes on while the
    probability that it is the better one is at least `chance`, up to `times` seeds; what stops has the mean that it has
    then. The spread of the paired differences is pooled over all configs, so that one seed may be enough to see that a
    config is hopeless. The first `warmup` configs run with all seeds, which tells that spread. Of a job that goes on
    (from Hyperband, say) those replicates go on that began.

    Raises Unsupported for several objectives, and for goals that count more than the last value of a curve.
    Reference: Birattari et al., GECCO 2002; López-Ibáñez et al., 2016.
    """

    of: Method
    times: int = 5
    chance: float = 0.1
    warmup: int = 2

    reference: ClassVar[str] = RACES

    def __post_init__(self) -> None:
        if self.times < 2:
            raise StudyError(f"Race: times={self.times}", hint="At least 2.")
        if not 0 < self.chance < 0.5:
            raise StudyError(f"Race: chance={self.chance}", hint="A probability between 0 and 0.5, such as 0.1.")
        if self.warmup < 1:
            raise StudyError(f"Race: warmup={self.warmup}", hint="At least 1 config.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """A replicate of a config that may be the best, or else the first one of what `of` proposes."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Race compares by one objective, the study has {len(study.objectives)}",
                hint="Repeat serves several; or make the others constraints with at_most.",
            )
        return _propose(self.of, self, study, rng)

    def lasts(self, group: Group, groups: Groups) -> bool:
        """Whether the group needs another replicate."""
        if len(group.jobs) >= self.times or group.number < self.warmup:
            return len(group.jobs) < self.times
        return len(group.losses) == len(group.jobs) and groups.hope(group) >= self.chance


# --- groups of replicates ---------------------------------------------------------------------------------------------


class Group(msgspec.Struct):
    """The replicates of one job of the inner method: `jobs` by seed, and the `losses` of those that ended, by seed.

    `first` is the inner job under its own tag; its id is that of the first replicate. `parent` is the group that it
    goes on from. `closed` when the inner method has its result.
    """

    number: int
    first: Job
    parent: int | None
    jobs: dict[int, int] = {}
    losses: dict[int, float] = {}
    failed: Result | None = None
    closed: bool = False


class Differences(NamedTuple):
    """Sums over pairs of the squared deviation of a difference from its config's mean difference, and their number."""

    squares: float = 0.0
    freedom: int = 0


class Groups(msgspec.Struct):
    """Fold state: all groups in order, by the numbers in their tags, and the group of each replicate."""

    groups: dict[int, Group] = {}
    of_job: dict[int, int] = {}
    best: int | None = None
    spread: Differences = Differences()

    def open(self) -> Iterator[Group]:
        """The groups whose result the inner method does not have yet."""
        return (group for group in self.groups.values() if not group.closed)

    def hope(self, group: Group) -> float:
        """The probability that a group beats the best one, on the seeds that both have had; 1 where nothing tells."""
        best = self.groups.get(-1 if self.best is None else self.best)
        if best is None or best is group or best.first.until != group.first.until or not self.spread.freedom:
            return 1.0
        shared = [group.losses[seed] - best.losses[seed] for seed in group.losses.keys() & best.losses.keys()]
        if not shared:
            return 1.0
        from scipy.special import ndtr

        error = math.sqrt(self.spread.squares / self.spread.freedom / len(shared))
        effect = sum(shared) / len(shared)
        return float(ndtr(-effect / error)) if error > 0 else float(effect <= 0)


def _propose(of: Method, rule: Repeat | Race, study: Study, rng: np.random.Generator) -> Job | None:
    if any(goal.over != "last" for goal in study.goals):
        raise Unsupported("the mean of several curves is none of them", hint='Use goals with over="last".')
    groups = study.fold(("groups", rule), Groups, _follow_by(rule))
    for group in groups.open():
        job = _next(rule, group, groups)
        if job is not None:
            return job
    inner = study.derive(("repeated", rule), lambda: _means(rule, study))
    job = of.propose(inner, rng)
    if job is None:
        return None
    parent = None if job.parent is None else groups.groups[groups.of_job[job.parent]]
    seed = 0 if parent is None else min(parent.jobs)
    return msgspec.structs.replace(
        job, tag=(len(groups.groups), seed, *job.tag), seed=seed, parent=None if parent is None else parent.jobs[seed]
    )


def _next(rule: Repeat | Race, group: Group, groups: Groups) -> Job | None:
    """The next replicate of an open group: a seed of its own, or the next one that its parent's group has."""
    if group.failed is not None:
        return None
    if group.parent is not None:
        parent = groups.groups[group.parent]
        seed = next((seed for seed in parent.jobs if seed not in group.jobs and seed in parent.losses), None)
        return None if seed is None else _replicate(group, seed, parent.jobs[seed])
    return _replicate(group, len(group.jobs), None) if rule.lasts(group, groups) else None


def _replicate(group: Group, seed: int, parent: int | None) -> Job:
    job = group.first
    return Job(job.config, job.until, parent, (group.number, seed, *job.tag), seed)


def _follow_by(rule: Repeat | Race) -> Callable[[Groups, Event, Study], Groups]:
    def follow(state: Groups, event: Event, study: Study) -> Groups:
        if isinstance(event, Job):
            _begin(state, event)
        elif isinstance(event, Result):
            _end(state, rule, event, study)
        return state

    return follow


def _begin(state: Groups, job: Job) -> None:
    number, seed = int(job.tag[0]), int(job.tag[1])
    state.of_job[job.id] = number
    if number not in state.groups:
        first = msgspec.structs.replace(job, tag=job.tag[2:], seed=0)
        parent = None if job.parent is None else state.of_job[job.parent]
        if parent is not None:
            first = msgspec.structs.replace(first, parent=state.groups[parent].first.id)
        state.groups[number] = Group(number, first, parent)
    state.groups[number].jobs[seed] = job.id


def _end(state: Groups, rule: Repeat | Race, result: Result, study: Study) -> None:
    group = state.groups[state.of_job[result.job]]
    if result.status != "done":
        group.failed = group.failed or result
    else:
        group.losses[study.jobs[result.job].seed] = study.loss(result.job) if study.objectives else 0.0
    for each in state.open():
        if not _is_waiting(each) and _next(rule, each, state) is None:
            _close(state, each)


def _is_waiting(group: Group) -> bool:
    """Whether a replicate still runs; a failure does not wait for the others."""
    return group.failed is None and len(group.losses) < len(group.jobs)


def _close(state: Groups, group: Group) -> None:
    group.closed = True
    if group.failed is not None or not group.losses:
        return
    best = state.groups.get(-1 if state.best is None else state.best)
    if best is not None and best.first.until == group.first.until:
        state.spread = _pooled(state.spread, group, best)
    if best is None or group.first.until > best.first.until or _is_better(group, best):
        state.best = group.number


def _pooled(spread: Differences, group: Group, best: Group) -> Differences:
    shared = [group.losses[seed] - best.losses[seed] for seed in group.losses.keys() & best.losses.keys()]
    if len(shared) < 2:
        return spread
    return Differences(spread.squares + float(np.var(shared)) * len(shared), spread.freedom + len(shared) - 1)


def _is_better(group: Group, best: Group) -> bool:
    """Whether a group that has had at least as many seeds has the lower mean on those that both have had."""
    shared = group.losses.keys() & best.losses.keys()
    if group.first.until < best.first.until or len(group.losses) < len(best.losses) or not shared:
        return False
    return sum(group.losses[seed] - best.losses[seed] for seed in shared) < 0


# --- what the inner method sees ---------------------------------------------------------------------------------------


def _means(rule: Repeat | Race, study: Study) -> Rewrite:
    """Each group as one job, with one result when the last of its replicates has ended."""
    state, results = Groups(), dict[int, Result]()
    told: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            _begin(state, event)
            group = state.groups[state.of_job[event.id]]
            if len(group.jobs) == 1:
                yield group.first
        elif isinstance(event, Result):
            results[event.job] = event
            yield from _ended(event)
        elif not isinstance(event, Report):
            yield event

    def _ended(result: Result) -> Iterator[Event]:
        _end(state, rule, result, study)
        for group in list(state.groups.values()):
            if group.closed and group.number not in told:
                told.add(group.number)
                yield _mean(group, [results[job] for job in group.jobs.values() if job in results])

    return rewrite


def _mean(group: Group, results: list[Result]) -> Result:
    """The result of a group: the means of its metrics, with their standard errors."""
    if group.failed is not None:
        return msgspec.structs.replace(group.failed, job=group.first.id)
    first = results[0]
    columns = {name: [result.metrics[name] for result in results if name in result.metrics] for name in first.metrics}
    errors: Metrics = {
        name: float(np.std(column, ddof=1) / math.sqrt(len(column)))
        for name, column in columns.items()
        if len(column) > 1
    }
    return msgspec.structs.replace(
        first,
        job=group.first.id,
        metrics={name: float(np.mean(column)) for name, column in columns.items()},
        seconds=sum(result.seconds for result in results),
        std=errors or first.std,
        gradient=None,
    )
