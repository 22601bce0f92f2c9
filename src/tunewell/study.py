"""The log of one search, and views of it.

A Study holds committed events in number order: the n-th event has number n, and `len(study)` is the last number read.
It never forgets and never changes what it holds; a store keeps it (`tunewell.stores`), the loop appends to it
(`tunewell.loop`), methods and people read it. Everything that is not an event is a view.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from tunewell.errors import StudyError
from tunewell.events import (
    FOREIGN,
    Act,
    Curve,
    Entry,
    Event,
    Failure,
    Goal,
    Job,
    Limits,
    Metrics,
    Report,
    Result,
    Steps,
)
from tunewell.importance import Importance, explained
from tunewell.pareto import Front, Tradeoff, pareto
from tunewell.space import Config, Space
from tunewell.trials import Best, Trial, against_default, best, canonical, incumbents, replicates, trials

if TYPE_CHECKING:
    from tunewell.honest.compare import Comparison

__all__ = [
    "FOREIGN",
    "Act",
    "Best",
    "Curve",
    "Entry",
    "Event",
    "Failure",
    "Front",
    "Goal",
    "Importance",
    "Job",
    "Limits",
    "Metrics",
    "Report",
    "Result",
    "Rewrite",
    "Settings",
    "Steps",
    "Study",
    "Tradeoff",
    "Trial",
    "View",
    "canonical",
]

State = TypeVar("State")


class Settings(msgspec.Struct, frozen=True):
    """What the latest Acts say. `method` is its JSON form; the seed never changes.

    `deterministic` is the width W of a study that is reproducible in parallel (see `tunewell.order`), else None.
    `divergence`: whether a run whose first objective has diverged is stopped at its next report.
    """

    seed: int
    space: Space
    goals: tuple[Goal, ...]
    steps: Steps
    limits: Limits
    method: Any
    deterministic: int | None = None
    divergence: Literal["stop", "ignore"] = "stop"

    def changed(self, data: Mapping[str, Any], functions: Mapping[str, Callable[[Config], Any]]) -> Settings:
        """These settings after an Act with `data`."""
        readers: dict[str, Callable[[Any], Any]] = {
            "space": lambda value: _read_space(value, functions),
            "goals": lambda value: msgspec.convert(value, tuple[Goal, ...]),
            "steps": lambda value: msgspec.convert(value, Steps),
            "limits": lambda value: msgspec.convert(value, Limits, strict=False),
            "method": lambda value: value,
            "deterministic": lambda value: value,
            "divergence": lambda value: value,
        }
        return msgspec.structs.replace(self, **{key: read(data[key]) for key, read in readers.items() if key in data})


def _read_space(value: Mapping[str, Any], functions: Mapping[str, Callable[[Config], Any]]) -> Space:
    """The space of an Act, with those of the functions that it names; a log holds no code, and None in its place."""
    rules = {**value.get("constraints", {}), **value.get("known", {})}
    named = {name: functions[name] for name, rule in rules.items() if rule is None and name in functions}
    return Space.from_json(value, named)


def bounded(space: Space, goals: Iterable[Goal]) -> Space:
    """The space with the bounds on numbers that it knows as constraints: what breaks one need not run to be known."""
    known = [goal for goal in goals if goal.metric in space.known and goal.metric.isidentifier()]
    sides = [(goal.metric, *side) for goal in known for side in (("<=", goal.at_most), (">=", goal.at_least))]
    rules = [f"{name} {sign} {bound!r}" for name, sign, bound in sides if bound is not None]
    if all(rule in space.constraints for rule in rules):
        return space
    return Space(space.entries, {**space.constraints, **dict(zip(rules, rules, strict=True))}, space.known)


NOTHING = Settings(0, Space({}), (), Steps(), Limits(), None)

_FOREIGN_TAGS = tuple((name,) for name in FOREIGN)

Rewrite = Callable[[Event], Iterable[Event]]


class Study:
    """The append-only log of one search.

    For methods: `space`, `goals`, `steps`, `limits`, `jobs`, `results`, `pending()`, `loss(job)`, `part(label)`,
    `root`, `fold(key, init, update)`. For people: `trials`, `best`, `pareto`, `importance()`,
    `curve(job)`. A method never changes a Study.
    """

    def __init__(self, name: str = "study", *, functions: Mapping[str, Callable[[Config], Any]] | None = None) -> None:
        self.name = name
        self.files: Path | None = None
        self._functions = functions or {}
        self._adopt(NOTHING)
        self._log: list[Event] = []
        self._times = array("d")
        self._jobs: dict[int, Job] = {}
        self._results: dict[int, Result] = {}
        self._pending: dict[int, Job] = {}
        self._reports: dict[int, list[Report]] = {}
        self._acts: dict[str, list[Act]] = {}
        self._foreign: set[int] = set()
        self._folds: dict[Hashable, tuple[int, Any]] = {}
        self._views: dict[Hashable, Study] = {}

    # --- the log -----------------------------------------------------------------------------------------------------

    def commit(self, event: Event, time: float = 0.0) -> None:
        """Append an event that the store has numbered. For the loop and for tests; never for methods."""
        self._log.append(event)
        self._times.append(time)
        if isinstance(event, Job):
            self._jobs[event.id] = event
            self._pending[event.id] = event
            if event.tag[:1] in _FOREIGN_TAGS:
                self._foreign.add(event.id)
        elif isinstance(event, Result):
            self._results[event.job] = event
            self._pending.pop(event.job, None)
        elif isinstance(event, Report):
            self._reports.setdefault(event.job, []).append(event)
        else:
            self._acts.setdefault(event.what, []).append(event)
            if event.what in ("open", "change"):
                self._read_settings(event)

    def _read_settings(self, act: Act) -> None:
        before = msgspec.structs.replace(NOTHING, seed=act.data["seed"]) if act.what == "open" else self._settings
        self._adopt(before.changed(act.data, self._functions))

    def _adopt(self, settings: Settings) -> None:
        self._settings = settings
        self._bounded = bounded(settings.space, settings.goals)
        self._objectives = tuple(goal for goal in settings.goals if not goal.is_constraint)

    def _sync(self) -> None:
        """Views catch up with their source here; a log itself has nothing to catch up with."""

    def __len__(self) -> int:
        """The number of the last event."""
        self._sync()
        return len(self._log)

    @property
    def events(self) -> Sequence[Event]:
        """All events in order."""
        self._sync()
        return self._log

    @property
    def times(self) -> Sequence[float]:
        """When each event was committed, in seconds since the epoch, by the store's clock."""
        self._sync()
        return self._times

    def acts(self, what: str) -> Sequence[Act]:
        """The Acts of one kind, in order."""
        self._sync()
        return self._acts.get(what, ())

    def start(self, job: Job) -> Job:
        """`job` as the next one of this study: its id, and what the decision has seen."""
        return msgspec.structs.replace(job, id=len(self.jobs), seen=len(self))

    # --- settings ----------------------------------------------------------------------------------------------------

    @property
    def seed(self) -> int:
        """The seed of the study, from its opening Act."""
        self._sync()
        return self._settings.seed

    @property
    def settings(self) -> Settings:
        """What the latest Acts say."""
        self._sync()
        return self._settings

    @property
    def space(self) -> Space:
        """The space in force, with the goals' bounds on numbers that it knows; in a narrowed part, the narrowed one."""
        self._sync()
        return self._bounded

    @property
    def goals(self) -> tuple[Goal, ...]:
        """All goals, objectives and constraints."""
        self._sync()
        return self._settings.goals

    @property
    def objectives(self) -> tuple[Goal, ...]:
        """The goals that rank."""
        self._sync()
        return self._objectives

    @property
    def steps(self) -> Steps:
        """How long one trial may train."""
        self._sync()
        return self._settings.steps

    @property
    def limits(self) -> Limits:
        """What the study may spend."""
        self._sync()
        return self._settings.limits

    # --- jobs --------------------------------------------------------------------------------------------------------

    @property
    def jobs(self) -> Mapping[int, Job]:
        """Job by id, in order of id."""
        self._sync()
        return self._jobs

    @property
    def results(self) -> Mapping[int, Result]:
        """Result by job id, in the order in which the jobs ended."""
        self._sync()
        return self._results

    def pending(self) -> Sequence[Job]:
        """The jobs without a Result, in order of id."""
        self._sync()
        return list(self._pending.values())

    def loss(self, job: int, goal: int = 0) -> float:
        """The `goal`-th objective of a job that has ended, turned so that smaller is better; inf when it failed."""
        return self._loss(self.results[job], self.objectives[goal])

    def _loss(self, result: Result, goal: Goal) -> float:
        return math.inf if result.status != "done" else goal.loss(self.value(result.job, goal))

    def value(self, job: int, goal: Goal) -> float:
        """The value of the goal's metric that counts for a finished job, as the user reported it; NaN if it never
        came.
        """
        last = self.results[job].metrics.get(goal.metric, math.nan)
        return last if goal.over == "last" else goal.value(last, self.curve(job).values.get(goal.metric, ()))

    def feasible(self, job: int) -> bool:
        """Whether a finished job satisfies every measured constraint."""
        if len(self.objectives) == len(self.goals):
            return True
        return all(goal.holds(self.value(job, goal)) for goal in self.goals if goal.is_constraint)

    def lineage(self, job: int) -> list[Job]:
        """The jobs from the root of the lineage to `job`."""
        chain = [self.jobs[job]]
        while chain[-1].parent is not None:
            chain.append(self.jobs[chain[-1].parent])
        return chain[::-1]

    def reserved(self, job: Job) -> int:
        """The steps that a job takes from the study's budget."""
        return job.until - (self.jobs[job.parent].until if job.parent is not None else 0)

    def path(self, saved: str | None) -> Path | None:
        """The folder of a checkpoint that the log names; None for a name that leads out of the study's files."""
        if saved is None or self.files is None:
            return None
        path = (self.files / saved).resolve()
        return path if path.is_relative_to(self.files.resolve()) else None

    def reports(self, job: int) -> Sequence[Report]:
        """The Reports of one job, in order."""
        self._sync()
        return self._reports.get(job, ())

    def curve(self, job: int) -> Curve:
        """What the lineage of `job` reported; where a step was run again, the highest attempt counts."""
        points: dict[int, tuple[int, dict[str, float]]] = {}
        for member in self.lineage(job):
            for report in self.reports(member.id):
                for i, step in enumerate(report.steps):
                    attempt, row = points.get(step, (0, {}))
                    if report.attempt >= attempt:
                        kept = row if report.attempt == attempt else {}
                        points[step] = (report.attempt, {**kept, **_row(report, i)})
        return _columns(points)

    # --- views for methods -------------------------------------------------------------------------------------------

    def fold(
        self,
        key: Hashable,
        init: Callable[[], State],
        update: Callable[[State, Event, Study], State],
        *,
        reports: bool = False,
    ) -> State:
        """The state after `update` has seen each event once, in order; Reports only with `reports=True`.

        The cache is keyed by `key`, which must hold all that `update` depends on (the method's settings), and is never
        saved. `update` may read of the Study only what no later event changes: jobs and results of ids that the event
        names.
        """
        self._sync()
        done, state = self._folds.get(key) or (0, init())
        if done == len(self._log):
            return state
        for index in range(done, len(self._log)):
            event = self._log[index]
            if reports or not isinstance(event, Report):
                state = update(state, event, self)
        self._folds[key] = (len(self._log), state)
        return state

    def derive(
        self, key: Hashable, rewrite: Callable[[], Rewrite], *, space: Space | None = None, base: bool = False
    ) -> Study:
        """A view whose events are `rewrite()(event)` for each event of this one; with `space`, in that space.

        `rewrite` is called once for the view, so that its function may keep what it needs in a closure. With
        `base=True` the view stands for the log itself: the `root` of its parts goes no further.
        """
        if key not in self._views:
            self._views[key] = View(self, rewrite(), space, base)
        return self._views[key]

    def part(self, label: str | int, space: Space | None = None) -> Study:
        """The jobs whose tag starts with `label`, without it: the study of an inner method. `root` still sees all."""
        return self.derive(("part", label, space), lambda: _inner(label), space=space)

    @property
    def log(self) -> Study:
        """The log alone, as a Study that can do no more than be read; it costs nothing an event."""
        if "log" not in self._views:
            self._views["log"] = Window(self)
        return self._views["log"]

    def fork(self, *events: Event) -> Study:
        """An independent Study with these events and `events`: what would be. Costs a pass over the log."""
        copy = Study(self.name, functions=self._functions)
        for event, time in zip(self.events, self.times, strict=True):
            copy.commit(event, time)
        copy._adopt(self.settings)
        for event in events:
            copy.commit(event)
        return copy

    @property
    def plan(self) -> Study:
        """What the method in force has planned: not the jobs of a method before it, nor those that people brought."""
        changes = self._times_set("method")
        if changes <= 1 and not self._foreign:
            return self
        return self.derive(("plan", changes), lambda: _planned(changes))

    @property
    def root(self) -> Study:
        """The whole study, all parts, with the configs that are valid in this view's space."""
        self._sync()
        return self._valid(self.space)

    def _valid(self, space: Space) -> Study:
        if space == self._bounded and not self._has_other_spaces():
            return self
        return self.derive(("valid", space), lambda: _adopted(space), space=space)

    def _has_other_spaces(self) -> bool:
        return self._times_set("space") > 1

    def _times_set(self, setting: str) -> int:
        return sum(setting in act.data for what in ("open", "change") for act in self.acts(what))

    # --- views for people --------------------------------------------------------------------------------------------

    @property
    def trials(self) -> list[Trial]:
        """Every lineage of jobs with one config, in order of its first job."""
        return trials(self)

    @property
    def incumbents(self) -> list[tuple[int, int]]:
        """Which trial was held for the best from which event on, as (number, trial), in order.

        One takes over only where it is better with a probability of 0.8, so that luck alone seldom makes a new best. As
        long as nothing tells how noisy the metric is, each lower loss counts.
        """
        return incumbents(self)

    def replicates(self, trial: int | None = None) -> dict[int, float]:
        """The loss of each seed with which the config of a trial ran to the last step; of the best one, left out.

        Compare two of them by `tunewell.compare`. Raises StudyError where there is no such trial.
        """
        return replicates(self, trial)

    def against_default(self) -> Comparison | None:
        """Whether the best config beats the default of the space, on the seeds that both had; None with fewer than two.

        The seed on which the best one was found is left out: its luck there is why it was chosen. `Confirm`, and so
        `Auto`, measures the default where the space has one.
        """
        return against_default(self)

    @property
    def best(self) -> Best | None:
        """The config with the best estimate among those that reached the largest `until`; None before the first
        result.

        Raises StudyError where the study has several objectives: no config is the best at all of them.
        """
        if len(self.objectives) > 1:
            names = ", ".join(goal.metric for goal in self.objectives)
            raise StudyError(
                f"the study has several objectives ({names}), and so no best config",
                hint="study.pareto has the trade-offs: take its knee, its best(metric) or its weighted({metric: 2}).",
            )
        return best(self)

    @property
    def pareto(self) -> Front:
        """The configs that no other one dominates, by estimates that luck has been taken out of as far as the noise is
        known; `pareto.knee`, `.best(metric)` and `.weighted({metric: 2})` are one of them. Empty before the first
        result.
        """
        return pareto(self)

    def importance(self) -> list[Importance]:
        """What each entry contributes to the differences between the results, the most important first; no shares
        where the results cannot tell.
        """
        return list(explained(self).entries)


class Window(Study):
    """The log of another Study, shared: what that one commits stands here, too."""

    def __init__(self, source: Study) -> None:
        super().__init__(source.name, functions=source._functions)
        self._source = source
        self.files = source.files
        self._log, self._times, self._acts, self._reports = source._log, source._times, source._acts, source._reports
        self._jobs, self._results, self._pending = source._jobs, source._results, source._pending
        self._foreign = source._foreign
        self._adopt(source._settings)

    def _sync(self) -> None:
        if self._source._settings is not self._settings:
            self._adopt(self._source._settings)


class View(Study):
    """A Study whose events are computed from another's, each once, in order."""

    def __init__(self, source: Study, rewrite: Rewrite, space: Space | None, base: bool) -> None:
        super().__init__(source.name, functions=source._functions)
        self._source = source
        self._is_base = base
        self._rewrite = rewrite
        self._space = space
        self._read = 0
        self._take_over(source.settings)

    @property
    def files(self) -> Path | None:
        """Where the checkpoints of the study lie."""
        return self._source.files

    @files.setter
    def files(self, value: Path | None) -> None:
        pass  # a view has no files of its own

    @property
    def root(self) -> Study:
        """The whole study, all parts, with the configs that are valid in this view's space."""
        return self._base()._valid(self.space)

    def _base(self) -> Study:
        base: Study = self
        while isinstance(base, View) and not base._is_base:
            base = base._source
        return base

    def _sync(self) -> None:
        source = self._source
        source._sync()
        for index in range(self._read, len(source._log)):
            for event in self._rewrite(source._log[index]):
                self.commit(event, source._times[index])
        self._read = len(source._log)
        if source._settings is not self._taken:
            self._take_over(source._settings)

    def _take_over(self, settings: Settings) -> None:
        self._taken = settings
        self._adopt(settings if self._space is None else msgspec.structs.replace(settings, space=self._space))

    def _read_settings(self, act: Act) -> None:
        pass  # taken over from the source, once for each catch-up

    def reports(self, job: int) -> Sequence[Report]:
        """The Reports of one job, in order."""
        return super().reports(job) if self._is_base else self._base().reports(job)

    def lineage(self, job: int) -> list[Job]:
        """The jobs from the root of the lineage to `job`; ancestors outside this view included."""
        return super().lineage(job) if self._is_base else self._base().lineage(job)

    def reserved(self, job: Job) -> int:
        """The steps that a job takes from the study's budget."""
        return super().reserved(job) if self._is_base else self._base().reserved(job)


def _row(report: Report, i: int) -> dict[str, float]:
    return {metric: value for metric, column in report.values.items() if (value := column[i]) is not None}


def _columns(points: Mapping[int, tuple[int, Mapping[str, float]]]) -> Curve:
    steps = sorted(points)
    names = dict.fromkeys(name for _, row in points.values() for name in row)
    return Curve(steps, {name: [points[step][1].get(name, math.nan) for step in steps] for name in names})


def _sets(event: Event, setting: str) -> bool:
    return isinstance(event, Act) and event.what in ("open", "change") and setting in event.data


def _inner(label: str | int) -> Rewrite:
    """Keep the jobs under `label`, drop it from their tags, keep their Results and all Acts."""
    mine: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            if event.tag and event.tag[0] == label:
                mine.add(event.id)
                yield msgspec.structs.replace(event, tag=event.tag[1:])
        elif isinstance(event, Act) or event.job in mine:
            yield event

    return rewrite


def _planned(changes: int) -> Rewrite:
    """Drop the jobs before the `changes`-th method was set, those that no method planned, and what they all said."""
    hidden: set[int] = set()
    methods = 0

    def rewrite(event: Event) -> Iterator[Event]:
        nonlocal methods
        methods += _sets(event, "method")
        if isinstance(event, Job) and (methods < changes or event.tag[:1] in (("user",), ("added",))):
            hidden.add(event.id)
        elif isinstance(event, Act | Job) or event.job not in hidden:
            yield event

    return rewrite


def _adopted(space: Space) -> Rewrite:
    """Keep the jobs whose config is valid in `space`, new entries filled by their defaults."""
    mine: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            config = space.adopt(event.config)
            if config is not None:
                mine.add(event.id)
                yield msgspec.structs.replace(event, config=config)
        elif isinstance(event, Act) or event.job in mine:
            yield event

    return rewrite
