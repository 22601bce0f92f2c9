"""A study that is bound to its store: what `tune` and `open_study` give to people."""

from __future__ import annotations

import gc
import itertools
import logging
import math
import secrets
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tunewell import budget
from tunewell.earlier import Taken, taken_over
from tunewell.errors import Conflict, StudyError, Unsupported
from tunewell.honest.luck import Luck, luck_of
from tunewell.honest.overtuning import Overtuning, overtuning
from tunewell.honest.vault import Reading, Sealed, Split, readings_of, score_of, sealed_of, unseal
from tunewell.method import Method, from_json, to_json
from tunewell.order import ordered, waits_for
from tunewell.owner import new_owner
from tunewell.pareto import Tradeoff, place_of
from tunewell.protocols import Store
from tunewell.space import Config, Space
from tunewell.study import (
    Act,
    Best,
    Entry,
    Event,
    Failure,
    Goal,
    Job,
    Limits,
    Metrics,
    Result,
    Settings,
    Steps,
    Study,
    bounded,
)
from tunewell.trials import best as best_of
from tunewell.trials import leaders, winners

log = logging.getLogger("tunewell")

LEASE = 10.0
"""Seconds after which the jobs of a coordinator that no longer renews its leases go to another."""


class LiveStudy(Study):
    """A Study and the store that keeps it. Made by `tune` and `open_study`, not by hand.

    Besides the views of a Study: `ask`/`tell` for people who own their loop, `add` for results from elsewhere,
    `enqueue`, `cancel`, `change` and `extend`. Close it, or use it in a `with` statement.
    """

    def __init__(self, store: Store, name: str, functions: Mapping[str, Callable[[Config], Any]] | None = None) -> None:
        super().__init__(name, functions=functions)
        self.store = store
        self.owner = new_owner()
        self.watchers: list[Callable[[Study, Event], None]] = []
        self._asked: dict[int, tuple[int, float]] = {}
        self.methods: dict[str, Method] = {}

    def __enter__(self) -> LiveStudy:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Free the store."""
        self.store.close()

    # --- reading and writing the log ---------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Read what others have committed."""
        collects = gc.isenabled()
        gc.disable()  # all that is read stays: looking for garbage among it took most of the time
        try:
            self._take(self.store.read(self.name, after=len(self._log)))
        finally:
            if collects:
                gc.enable()

    def write(self, *events: Event) -> None:
        """Commit events, and read what others committed before them. Raises Conflict or Stale; then nothing is
        written.
        """
        entries = self.store.append(self.name, *events)
        if entries and entries[0].number == len(self._log) + 1:
            self._take(entries)
        else:
            self.refresh()

    def _take(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            self.commit(entry.event, entry.time)
            for watcher in self.watchers:
                watcher(self, entry.event)

    # --- deciding ----------------------------------------------------------------------------------------------------

    @property
    def method(self) -> Method:
        """The method in force."""
        return method_of(self, self.methods)

    def decide(self) -> Job | None:
        """The next job: the oldest enqueued config, else what the method proposes; None when there is none that the
        budget affords. It is not written yet."""
        job = decide(self, self.method)
        return self.start(job) if job is not None and budget.affords(self, job) else None

    def next_job(self) -> Job | None:
        """Decide and commit the next job; when somebody else was quicker, read what they did and decide again."""
        while not budget.over(self, time.time()):
            job = self.decide()
            if job is None:
                return None
            try:
                self.write(job)
            except Conflict:
                self.refresh()
                continue
            return job
        return None

    # --- for people who own their loop -------------------------------------------------------------------------------

    def ask(self) -> Job | None:
        """A job to run now, under this process's lease; None when there is nothing to do now.

        Run `job.config` up to `job.until` steps, then `tell`.
        """
        self.refresh()
        waiting = [job for job in self.pending() if job.id not in self._asked]
        for job in itertools.chain(waiting, iter(self.next_job, None)):
            attempt = self.store.leases.claim(self.name, job.id, self.owner, 24 * 3600.0, parent=job.parent)
            if attempt is not None:
                self._asked[job.id] = attempt, time.perf_counter()
                return job
        return None

    def tell(
        self, job: Job | int, metrics: Mapping[str, float] | float | None = None, *, failed: str = "", **more: Any
    ) -> None:
        """The Result of a job that `ask` gave: a number, a mapping of metrics, or why it failed (one of `FAILURES`).

        `more` are fields of `Result`: seconds, std, gradient. Raises StudyError for a job that was not asked here.
        """
        number = job if isinstance(job, int) else job.id
        if number not in self._asked:
            raise StudyError(f"job {number} was not asked for here", hint="tell() answers a job that ask() gave.")
        attempt, began = self._asked[number]
        more = {"seconds": time.perf_counter() - began, "step": self.jobs[number].until, **more}
        result = Result(number, "failed" if failed else "done", self._metrics(metrics), attempt=attempt, **more)
        if failed:
            result = msgspec.structs.replace(result, error=Failure(failed))
        self.write(checked(self, result))
        del self._asked[number]
        self.store.leases.release(self.name, [number], self.owner)

    def add(self, config: Config, metrics: Mapping[str, float] | float, *, seed: int = 0) -> None:
        """A result from elsewhere: all methods learn from it, no budget counts it. Raises SpaceError for a bad
        config.
        """
        config = self.space.validate(config)
        while True:
            job = self.start(Job(config, self.steps.maximum, tag=("added",), seed=seed))
            try:
                result = Result(job.id, "done", self._metrics(metrics), step=job.until)
                return self.write(job, checked(self, result, job))
            except Conflict:
                self.refresh()

    def add_from(self, other: Study, *, same: bool = False) -> Taken:
        """Learn from an earlier study of the same or of an overlapping space: take over its ended jobs, each once.

        Left out, a related task (other data, another size of model): its results are not among those of this study, and
        cannot be the best; they only say where good configs are. With `same=True` they count as results of this study,
        as those of `add` do: only for the very same objective. Entries that this space lacks are dropped, new ones take
        their explicit default. What has a value outside of the space, or lacks a goal, is left out: see what is
        returned, which the log of Python tells as well.
        Raises StudyError where nothing of it fits.
        """
        while True:
            events, taken = taken_over(self, other, same)
            try:
                self.write(*events)
            except Conflict:
                self.refresh()
                continue
            log.log(logging.WARNING if taken.left_out else logging.INFO, "from the study %r: %s", other.name, taken)
            return taken

    def _metrics(self, metrics: Mapping[str, float] | float | None) -> Metrics:
        if metrics is None:
            return {}
        if isinstance(metrics, Mapping):
            return {name: float(value) for name, value in metrics.items()}
        return {self.objectives[0].metric: float(metrics)}

    # --- changes -----------------------------------------------------------------------------------------------------

    def enqueue(self, config: Config) -> None:
        """Run `config` before the method is asked again. Raises SpaceError where the space forbids it."""
        self.write(Act("enqueue", {"config": self.space.validate(config)}, by=self.owner))

    def cancel(self, trial: int) -> None:
        """Stop a trial for good: its running job ends "cancelled"."""
        if trial not in self.jobs:
            raise StudyError(
                f"there is no trial {trial}", hint=f"The study has {len(self.trials)} trials: see study.trials."
            )
        self.write(Act("cancel", {"trial": trial}, by=self.owner))

    def change(
        self,
        *,
        space: Any = None,
        goals: Sequence[Goal] | None = None,
        method: Any = None,
        steps: int | Steps | None = None,
        limits: Limits | None = None,
        divergence: str | None = None,
        **limit: float | None,
    ) -> None:
        """Go on with another space, other goals, another method, more steps a trial, or other limits (`trials=100`, …);
        or stop what diverges (`divergence="stop"`), or not ("ignore").

        What ran stays; methods see of it what is valid in the new space.
        """
        if limit:
            limits = msgspec.structs.replace(limits or self.limits, **limit)
        given = settings_json(
            space=space, goals=goals, method=method, steps=steps, limits=limits, divergence=divergence
        )
        self.remember(method)
        if given:
            self.write(Act("change", given, by=self.owner))

    def remember(self, method: Any) -> None:
        """Use this very object where the log names a method with its settings: one that no package has registered."""
        if isinstance(method, Method):
            self.methods[settings_key(to_json(method))] = method

    def extend(self, *, until: int | None = None, **more: float) -> None:
        """Raise limits by these amounts, and the steps of a trial to `until`: `extend(trials=50, until=81)`.

        Nothing is trained twice. A method that decides on the way (Hyperband, MedianStop, ...) goes on itself with the
        best of the trials that wait. Of one that trains each trial to the end, the best third of those that are there
        goes on, before new ones. Raises StudyError where there is no such limit, or no more steps.
        """
        for name in more:
            if getattr(self.limits, name, None) is None:
                raise StudyError(f"the study has no limit {name!r} to extend", hint="Use change() to set one.")
        raised = {name: getattr(self.limits, name) + amount for name, amount in more.items()}
        limits = msgspec.structs.replace(self.limits, **raised) if raised else None
        if until is None:
            return self.change(limits=limits)
        if until <= self.steps.maximum:
            now = f"its trials train {self.steps.maximum} {self.steps.unit} already"
            raise StudyError(f"the study cannot be extended until {until}: {now}", hint="Name a later step.")
        steps = msgspec.structs.replace(self.steps, maximum=until)
        change = Act("change", settings_json(steps=steps, limits=limits), by=self.owner)
        thawed = [{"config": self.jobs[job].config, "parent": job} for job in leaders(self)]
        self.write(change, *(Act("enqueue", data, by=self.owner) for data in thawed))  # all of it or nothing

    def confirm(self, share: float = 0.2) -> None:
        """Spend a `share` of what the study has spent on fresh seeds for the finalists, when it runs next.

        The method becomes `Confirm`, and each limit is raised by the share. `Auto` does so itself, within the budget.
        """
        from tunewell.methods.compose import Take
        from tunewell.methods.confirm import Confirm

        begun = sum(budget.counts_as_trial(job) for job in self.jobs.values())
        raised = {
            name: type(value)(value + math.ceil(share * value))
            for name in ("steps", "seconds", "compute_seconds", "cost")
            if (value := getattr(self.limits, name)) is not None
        }
        limits = msgspec.structs.replace(self.limits, trials=begun + round(share * begun), **raised)
        self.change(method=Confirm(Take(0, self.method), share / (1 + share)), limits=limits)

    # --- the sealed test set -----------------------------------------------------------------------------------------

    @property
    def sealed(self) -> dict[str, Any] | None:
        """The record of the sealed test set; None when the study was opened without `data`."""
        return sealed_of(self)

    @property
    def readings(self) -> list[Reading]:
        """Every read of the test set, finished or not, in order. More than one is a warning: the score is no longer
        fresh.
        """
        return readings_of(self)

    @property
    def luck(self) -> Luck | None:
        """What luck may have in the best config, from the number of validation rows; None where nothing tells."""
        return luck_of(self)

    def read_vault(self, score: Callable[[Best, Sealed], Any], of: Tradeoff | None = None) -> Reading:
        """The test score of the best config: `score(best, sealed)`, once. The read is logged before it happens.

        `score` returns a number in the metric of the goal, or a number for each test row `(n,)`, whose mean is the
        score and whose spread tells its error; or one of these by the name of another metric that trials report, as in
        `{"accuracy": 0.97}`. Where there are several goals the score is that of a point `of` the front
        (`study.pareto`), of its knee where that is left out; `best` has its estimate of the first goal.
        Raises StudyError when nothing is sealed or nothing has finished.
        """
        return self._read_vault(score, self._chosen(of))

    def overtuning(self, score: Callable[[Best, Sealed], Any], by: str | None = None) -> Overtuning:
        """Whether the search went on for too long: the test scores of all incumbents, in one more read of the vault.

        An incumbent is a config that was the best measured one in its time, on as many replicates as the best config.
        Of several goals that is told of one: `by` its metric, the first one where that is left out; the last incumbent
        is then that end of the front. To be called when the study is over, after its test score has been read: what is
        chosen by these scores was chosen on the test set. Raises StudyError as `read_vault` does, for a metric that is
        no objective, and for scores of another one.
        """
        place = place_of(self.objectives, by)
        goal = self.objectives[place]
        found = best_of(self) if len(self.objectives) < 2 else self.pareto.best(goal.metric).by(goal.metric)
        reading = self._read_vault(score, found, winners(self, found, place) if found is not None else [])
        assert reading.score is not None
        scored = reading.metric or self.objectives[0].metric
        if scored != goal.metric:
            raise StudyError(f"the test function scores {scored!r}, and {goal.metric!r} is what was tuned for")
        return overtuning([goal.loss(each) for each in (*reading.others.values(), reading.score)])

    def _read_vault(
        self, score: Callable[[Best, Sealed], Any], found: Best | None, others: Sequence[Best] = ()
    ) -> Reading:
        record = self.sealed
        if record is None or self.files is None or found is None:
            what = "nothing has finished yet" if record is not None else "the study has no sealed test set"
            raise StudyError(what, hint="Open the study with data=Split(x, y).")
        number = len(self.readings) + 1
        if number > 1:
            log.warning(
                "the sealed test set is read for the %d. time: its score is no longer that of unseen data", number
            )
        intent = {"read": number, "trial": found.trial, "config": dict(found.config), "validation": found.estimate}
        self.write(Act("vault", intent, by=self.owner))
        sealed = unseal(self.files / "vault", record)
        size, rivals = len(sealed.test.y), [each for each in others if each.trial != found.trial]
        earlier = {str(each.trial): score_of(score(each, sealed), size).value for each in rivals}
        told = score_of(score(found, sealed), size).named(found.metric)
        end = {"read": number, **told.end(self.objectives[0].metric, found.metrics)}
        self.write(Act("vault", {**end, "others": earlier} if earlier else end, by=self.owner))
        return self.readings[-1]

    def _chosen(self, of: Tradeoff | None) -> Best | None:
        """Whose test score is read: that of a point of the front, where one is named or there are several goals."""
        if of is None and (len(self.objectives) < 2 or not len(self.pareto)):
            return best_of(self)
        return (self.pareto.knee if of is None else of).by(self.objectives[0].metric)

    def seal(self, data: Split) -> None:
        """Seal the test rows of `data`; when the study has sealed rows already, check that they are the same."""
        if self.files is None:
            raise StudyError("this store keeps no files, so nothing can be sealed", hint="Use a store with a folder.")
        record, known = data.seal(self.files / "vault"), self.sealed
        if record.get("shared"):
            log.warning(
                "%d sealed rows stand among those for training and validation, too: the test score is too good",
                record["shared"],
            )
        if known is None:
            self.write(Act("seal", record, by=self.owner))
        elif known != record:
            raise StudyError(f"the study {self.name!r} has sealed other data", hint="Give the new data a new study.")

    def report(self) -> str:
        """What a reviewer asks of the study, in sentences: cost, winner, default config, random search, test score,
        importance, seeds and versions, and what was not established.
        """
        from tunewell.report.review import review

        return str(review(self))

    def plot(self, path: str | Path) -> Path:
        """Write a self-contained HTML page: history, curves, parallel coordinates, slices. Needs plotly."""
        from tunewell.report.page import write_page

        return write_page(self, Path(path))


def method_of(study: Study, known: dict[str, Method]) -> Method:
    """The method in force in `study`: one of the `known`, by its settings, or one that an entry point names."""
    key = settings_key(study.settings.method)
    if key not in known:
        known[key] = from_json(study.settings.method)
    return known[key]


def settings_key(settings: Any) -> str:
    """The text that the same settings of a method share."""
    return msgspec.json.encode(settings, order="sorted").decode()


def decide(study: Study, method: Method) -> Job | None:
    """The next job of `study`, from its log alone: not numbered, not written, not checked against the budget."""
    queued = _oldest_enqueued(study)
    if queued is not None:
        return queued
    width = study.settings.deterministic
    if waits_for(study, width):
        return None
    rng = np.random.default_rng([study.seed, len(study.jobs)])
    job = method.propose(ordered(study, width).plan, rng)
    if job is not None:
        _check(study, job)
    return job


class _Queue(msgspec.Struct):
    """Fold state: how many configs were enqueued, and those that wait, by their count."""

    count: int = 0
    waiting: dict[int, dict[str, Any]] = {}


def _oldest_enqueued(study: Study) -> Job | None:
    if not study.acts("enqueue"):
        return None
    for count, asked in study.fold("enqueued", _Queue, _enqueue).waiting.items():
        parent = asked.get("parent")
        seed = study.jobs[parent].seed if parent is not None else 0
        return Job(asked["config"], study.steps.maximum, parent, ("user", count), seed)
    return None


def _enqueue(queue: _Queue, event: Event, study: Study) -> _Queue:
    if isinstance(event, Act) and event.what == "enqueue":
        queue.waiting[queue.count] = event.data
        queue.count += 1
    elif isinstance(event, Job) and event.tag[:1] == ("user",):
        queue.waiting.pop(int(event.tag[1]), None)
    return queue


def _check(study: Study, job: Job) -> None:
    """What every method must keep to; a plugin that does not is told at once."""
    study.space.validate(job.config)
    if not 1 <= job.until <= study.steps.maximum:
        raise StudyError(f"a job until step {job.until} in a study of {study.steps.maximum} steps")
    if job.parent is None:
        return
    if job.parent not in study.results or study.results[job.parent].status != "done":
        raise StudyError(f"a job whose parent {job.parent} has not finished")
    parent = study.jobs[job.parent]
    is_other = (job.config, job.seed) != (parent.config, parent.seed)
    if job.until < parent.until or (job.until == parent.until and not is_other):
        raise StudyError(
            f"a job until step {job.until} from a parent that is at {parent.until}",
            hint="It goes further; another config may be judged with the parent's weights at the same step.",
        )
    if job.config != parent.config and study.results[job.parent].saved is None:
        raise Unsupported(
            f"job {job.parent} left no checkpoint, so no other config can go on from it",
            hint="Save one: run.report(step, save=..., loss=...).",
        )


def checked(study: Study, result: Result, job: Job | None = None) -> Result:
    """`result` with the goals that the space knows, failed when it is done without a finite value for each goal:
    "invalid" if one never came, else "diverged".
    """
    if result.status != "done":
        return result
    config = (job or study.jobs[result.job]).config
    known = {g.metric: study.space.number(g.metric, config) for g in study.goals if g.metric in study.space.known}
    result = msgspec.structs.replace(result, metrics={**result.metrics, **known})
    for goal in study.goals:
        if goal.metric not in result.metrics:
            came = ", ".join(sorted(result.metrics)) or "none"
            text = f"the metric {goal.metric!r} never came; the trial gave: {came}"
            return msgspec.structs.replace(result, status="failed", error=Failure("invalid", text))
        if not math.isfinite(result.metrics[goal.metric]):
            text = f"{goal.metric} = {result.metrics[goal.metric]}"
            return msgspec.structs.replace(result, status="failed", error=Failure("diverged", text))
    return result


# --- opening
# ------------------------------------------------------------------------------------------------------------


def settings_json(
    *,
    space: Any = None,
    goals: Sequence[Goal] | None = None,
    method: Any = None,
    steps: int | Steps | None = None,
    limits: Limits | None = None,
    deterministic: int | None = None,
    divergence: str | None = None,
) -> dict[str, Any]:
    """The data of an Act with what is given."""
    given: dict[str, Any] = {}
    if space is not None:
        given["space"] = Space.of(space).to_json()
    if goals:
        given["goals"] = msgspec.to_builtins(tuple(goals))
    if method is not None:
        given["method"] = to_json(from_json(method))
    if steps is not None:
        given["steps"] = msgspec.to_builtins(Steps(1, steps) if isinstance(steps, int) else steps)
    if limits is not None:
        given["limits"] = msgspec.to_builtins(limits)
    if deterministic is not None:
        given["deterministic"] = deterministic
    if divergence is not None:
        if divergence not in ("stop", "ignore"):
            hint = 'Write "stop" or "ignore"; to go back to a checkpoint, use method=Rewind(...).'
            raise StudyError(f"divergence={divergence!r}", hint=hint)
        given["divergence"] = divergence
    return given


def open_study(
    name: str = "study",
    store: Any = None,
    *,
    space: Any = None,
    minimize: str | Goal | Sequence[str | Goal] = (),
    maximize: str | Goal | Sequence[str | Goal] = (),
    at_most: Mapping[str, float] | None = None,
    method: Any = None,
    steps: int | Steps | None = None,
    limits: Limits | None = None,
    seed: int | None = None,
    deterministic: int | None = None,
    divergence: str | None = None,
    data: Split | None = None,
    earlier: Study | Sequence[Study] = (),
) -> LiveStudy:
    """The study `name` of `store`: opened if it exists, made if not (then `space` and a goal are needed).

    Settings given for a study that exists must be those of its log; to change them, call `change` or `extend`. The test
    rows of `data` are sealed: see `LiveStudy.read_vault`. The study learns from `earlier` ones of related tasks: see
    `LiveStudy.add_from`.
    Raises StudyError, SpaceError or StoreError.
    """
    from tunewell.stores.address import open_store

    study = LiveStudy(open_store(store), name, space.functions if isinstance(space, Space) else None)
    study.remember(method)
    study.refresh()
    goals = goals_of(minimize, maximize, at_most or {})
    given = settings_json(
        space=space,
        goals=goals,
        method=method,
        steps=steps,
        limits=limits,
        deterministic=deterministic,
        divergence=divergence,
    )
    if not len(study):
        _create(study, given, seed)
    else:
        _compare(study, given, seed)
    study.files = study.store.files(name)
    if data is not None:
        study.seal(data)
    for other in (earlier,) if isinstance(earlier, Study) else earlier:
        study.add_from(other)
    return study


def goals_of(
    minimize: str | Goal | Sequence[str | Goal],
    maximize: str | Goal | Sequence[str | Goal],
    at_most: Mapping[str, float],
) -> list[Goal]:
    """The goals that `minimize="loss", maximize=["accuracy"], at_most={"latency": 20}` name."""
    wanted = [(goal, False) for goal in _listed(minimize)] + [(goal, True) for goal in _listed(maximize)]
    goals = [
        Goal(goal, maximize=up) if isinstance(goal, str) else msgspec.structs.replace(goal, maximize=up)
        for goal, up in wanted
    ]
    goals += [Goal(metric, at_most=bound) for metric, bound in at_most.items()]
    names = [goal.metric for goal in goals]
    for metric in names:
        if names.count(metric) > 1:
            raise StudyError(f"the metric {metric!r} is named by two goals", hint="Keep one of them.")
    return goals


def _listed(goals: str | Goal | Sequence[str | Goal]) -> Sequence[str | Goal]:
    return (goals,) if isinstance(goals, str | Goal) else goals


def _create(study: LiveStudy, given: dict[str, Any], seed: int | None) -> None:
    if "space" not in given:
        raise StudyError(
            f"there is no study {study.name!r} in the store", hint="To make it, give its space and a goal."
        )
    if "goals" not in given or all(Goal(**goal).is_constraint for goal in given["goals"]):
        raise StudyError("a study needs a goal", hint='Write minimize="loss" or maximize="accuracy".')
    space = Space.from_json(given["space"], study._functions)
    goals = [Goal(**goal) for goal in given["goals"]]
    bounded(space, goals).sample(np.random.default_rng(0))  # raises where nothing satisfies the constraints
    data = {"seed": secrets.randbits(32) if seed is None else seed, "method": to_json(from_json("Auto")), **given}
    try:
        study.write(Act("open", data, by=study.owner))
    except Conflict:  # another process opened it first: then it must be the same
        study.refresh()
        _compare(study, given, seed)


def _compare(study: LiveStudy, given: Mapping[str, Any], seed: int | None) -> None:
    """Raise StudyError where what is given is not what the log says; while nothing has run, change it instead."""
    if seed is not None and seed != study.seed:
        raise StudyError(f"the study {study.name!r} exists with the seed {study.seed}", hint="The seed never changes.")
    now = study.settings
    wanted = now.changed(given, study._functions)
    differing = [name for name in Settings.__struct_fields__ if getattr(wanted, name) != getattr(now, name)]
    if not differing:
        return
    if not study.jobs:
        return study.write(Act("change", {name: given[name] for name in differing}, by=study.owner))
    old, new = getattr(now, differing[0]), getattr(wanted, differing[0])
    raise StudyError(
        f"the study {study.name!r} exists with another {differing[0]}: {_differences(old, new)}",
        hint=f"Open it without {differing[0]}, call its change(...), or give the new study another name.",
    )


def _differences(old: Any, new: Any) -> str:
    """What `old` says and `new` does not: of records, the fields that differ."""
    if not isinstance(old, msgspec.Struct):
        return f"{old!r}, not {new!r}"
    fields = [name for name in old.__struct_fields__ if getattr(old, name) != getattr(new, name)]
    return ", ".join(f"{name}={getattr(old, name)!r}, not {getattr(new, name)!r}" for name in fields)
