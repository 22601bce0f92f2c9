"""Cross-validation whose folds stop early: a config is measured fold by fold, as long as it may still win.

E. Bergman, L. Purucker, F. Hutter: Don't waste your time: early stopping cross-validation. AutoML 2024,
arXiv:2405.03389.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.random import Random
from tunewell.study import FOREIGN, Act, Event, Job, Metrics, Result, Rewrite, Study

RANDOM = Random()

Losses = Sequence[float]

RULES: dict[str, Callable[[Losses, Losses], float]] = {
    "paired": lambda losses, best: fmean(best[: len(losses)]),
    "mean": lambda losses, best: fmean(best),  # eq. 1 of the paper, "aggressive"
    "worst": lambda losses, best: max(best),  # eq. 2, "forgiving"
    "never": lambda losses, best: math.inf,
}
"""What the mean of a config's losses so far must not exceed, from these and those of the incumbent on all folds."""

_WHOLE = 3
"""So many configs are measured on all folds before any stops: the effects of the folds are estimated from them."""


@dataclass(frozen=True)
class CrossValidation:
    """Measures each config that `of` proposes on `folds` folds, one after the other, and stops where it cannot win.

    Fold j is replicate j of the config: `run.replicate` is j, and with `data=Split(x, y, folds=5)` the rows in
    `run.data` are those of this fold. Each fold is a job and has a Result of its own; configs run beside each other.

    The incumbent is the config with the best mean over all folds. After each fold from the `least`-th on, a config
    stops that has a worse mean than the rule allows; not before three configs have been measured on all folds, for only
    these tell how hard each fold is:

    - "paired": the mean of the incumbent on the same folds, so that an easy fold helps neither;
    - "mean": the mean of the incumbent on all folds ("aggressive" in the paper);
    - "worst": its worst fold ("forgiving" in the paper);
    - "never": every config is measured on every fold.

    What fails or violates a constraint on one fold is measured on no other. Decisions are final. An enqueued config is
    measured on all folds like any other.

    `of` sees one job for each config, and one Result for it as soon as it is decided, never revised: the mean over its
    folds and, as `std`, the standard error of its difference to the incumbent. Where it stopped, the incumbent's mean
    and the mean difference to it on the same folds, since folds are not equally hard. Never ends unless `of` does.

    Raises Unsupported for several objectives, and for an `of` that goes on with its jobs or repeats them itself.
    Reference: Bergman et al., AutoML 2024.
    """

    of: Method = RANDOM
    folds: int = 5
    stop: str = "paired"
    least: int = 1

    reference: ClassVar[str] = """
@inproceedings{bergman2024dont,
  title={Don't Waste Your Time: Early Stopping Cross-Validation},
  author={Bergman, Edward and Purucker, Lennart and Hutter, Frank},
  booktitle={Proceedings of the Third International Conference on Automated Machine Learning},
  series={Proceedings of Machine Learning Research},
  volume={256},
  pages={9/1--31},
  year={2024}
}"""

    def __post_init__(self) -> None:
        if self.folds < 2:
            raise StudyError(f"CrossValidation: folds={self.folds}", hint="At least 2.")
        if self.stop not in RULES:
            raise StudyError(f"CrossValidation: stop={self.stop!r}", hint=f"One of {', '.join(RULES)}.")
        if self.least < 1:
            raise StudyError(f"CrossValidation: least={self.least}", hint="At least 1.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next fold of the config that waits longest, or else the first fold of a new one."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"CrossValidation compares by one objective, the study has {len(study.objectives)}",
                hint="Make the others constraints with at_most.",
            )
        first, done = next(iter(standing_of(self, study).waiting.items()), (-1, ()))
        if done:
            job = study.root.jobs[first]
            return Job(job.config, job.until, tag=(len(done), first), seed=len(done))
        proposed = self.of.propose(as_configs(self, study), rng)
        if proposed is not None and (proposed.parent is not None or proposed.seed):
            raise Unsupported(
                f"{type(self.of).__name__} goes on with its jobs or repeats them itself, so that folds have no place",
                hint="The source has to begin configs only: Random(), Sobol(), TPE(), Bayes(), ...",
            )
        return proposed and msgspec.structs.replace(proposed, tag=(0, *proposed.tag))


# --- the fold --------------------------------------------------------------------------------------------------------


class Ending(msgspec.Struct, frozen=True):
    """A config that is decided: its jobs by fold, its loss as its source is told, and the standard error of that."""

    jobs: tuple[int, ...]
    loss: float
    error: float


class Standing(msgspec.Struct):
    """Fold state: the jobs by fold of the configs that `waiting` for their next fold or `running` have, by their first
    job; the incumbent's losses by fold, and how many configs are `whole`, measured on every fold; the `endings` of the
    configs, by the last job of each.

    `squares` and `freedom` pool the variance of differences to the incumbent, fold by fold, of all other configs.
    """

    method: CrossValidation
    waiting: dict[int, tuple[int, ...]] = {}
    running: dict[int, tuple[int, ...]] = {}
    best: tuple[float, ...] = ()
    whole: int = 0
    squares: float = 0.0
    freedom: int = 0
    endings: dict[int, Ending] = {}

    def follow(self, event: Event, study: Study, own: Study) -> Standing:
        """One event more of the whole `study`, of which only those of measured configs count."""
        if isinstance(event, Job) and measures(event, own):
            first = first_of(event, own)
            self.running[first] = self.waiting.pop(first, ())
        elif isinstance(event, Result):
            first = first_of(study.jobs[event.job], own)
            if first in self.running:
                self._end(event, first, study)
        return self

    def _end(self, result: Result, first: int, study: Study) -> None:
        jobs = (*self.running.pop(first), result.job)
        losses = [study.loss(job) for job in jobs]
        if not math.isfinite(losses[-1]):
            self.endings[result.job] = Ending(jobs, math.inf, math.nan)
        elif len(jobs) == self.method.folds or self._stops(losses) or not study.feasible(result.job):
            self.endings[result.job] = self._ending(jobs, losses)
            self._rank(losses, study.feasible(result.job))
        else:
            self.waiting[first] = jobs

    def _stops(self, losses: Losses) -> bool:
        if self.whole < _WHOLE or len(losses) < self.method.least:
            return False
        return fmean(losses) > RULES[self.method.stop](losses, self.best)

    def _ending(self, jobs: tuple[int, ...], losses: Losses) -> Ending:
        """What is told of a config: on all folds its mean, on some of them what the incumbent makes of it."""
        if not self.best:
            return Ending(jobs, fmean(losses), math.nan)
        differences = [loss - other for loss, other in zip(losses, self.best, strict=False)]
        centre = fmean(differences)
        self.squares += sum((difference - centre) ** 2 for difference in differences)
        self.freedom += len(losses) - 1
        spread = math.sqrt(self.squares / self.freedom) if self.freedom else math.nan
        return Ending(jobs, fmean(self.best) + centre, spread / math.sqrt(len(losses)))

    def _rank(self, losses: Losses, is_feasible: bool) -> None:
        if len(losses) < self.method.folds or not is_feasible:
            return
        self.whole += 1
        if not self.best or fmean(losses) < fmean(self.best):
            self.best = tuple(losses)


def measures(job: Job, own: Study) -> bool:
    """Whether a job measures a config on a fold: one of its `own`, or one that a person has enqueued."""
    return job.id in own.jobs or (job.tag[:1] == FOREIGN[:1] and job.parent is None)


def first_of(job: Job, own: Study) -> int:
    """The job of the first fold of the config that a job measures."""
    return int(own.jobs[job.id].tag[1]) if job.seed and job.id in own.jobs else job.id


def standing_of(method: CrossValidation, study: Study) -> Standing:
    """How the configs stand of what `method` has planned in `study`."""

    def follow(standing: Standing, event: Event, whole: Study) -> Standing:
        return standing.follow(event, whole, study)

    # A view lives as long as the study that it is a view of, so that its id stands for it.
    return study.root.fold(("folds", method, id(study), study.goals), lambda: Standing(method), follow)


# --- what the source sees --------------------------------------------------------------------------------------------


def as_configs(method: CrossValidation, study: Study) -> Study:
    """`study` with one job for each config; so is its `root`, where other people's jobs stand as they are."""
    key = ("configs", method, id(study), study.goals)
    whole = study.root.derive(key, lambda: _one_job_a_config(method, study), base=True)
    return whole.derive("own", lambda: _own(study))


def _one_job_a_config(method: CrossValidation, study: Study) -> Rewrite:
    measured: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            own = study.jobs.get(event.id)
            if measures(event, study):
                measured.add(event.id)
            if own is None or own.seed == 0:
                yield event if own is None else msgspec.structs.replace(event, tag=own.tag[1:])
        elif isinstance(event, Act) or event.job not in measured:
            yield event
        elif isinstance(event, Result) and (ending := standing_of(method, study).endings.get(event.job)) is not None:
            yield _as_result(ending, event, study.root)

    return rewrite


def _as_result(ending: Ending, last: Result, study: Study) -> Result:
    """The one Result of a config, that of its first job; `last` is the one of its last job."""
    results, goal = [study.results[job] for job in ending.jobs], study.objectives[0]
    whole = msgspec.structs.replace(last, job=ending.jobs[0], seconds=sum(result.seconds for result in results))
    if not math.isfinite(ending.loss):
        return whole
    value = -ending.loss if goal.maximize else ending.loss
    metrics = {**_means(results), **_constraints(ending, study), goal.metric: value}
    std = {} if math.isnan(ending.error) else {goal.metric: ending.error}
    return msgspec.structs.replace(whole, metrics=metrics, std=std, gradient=_mean_gradient(results), saved=None)


def _means(results: Sequence[Result]) -> Metrics:
    """The means of the metrics that all have; of the cost the sum."""
    names = set.intersection(*(set(result.metrics) for result in results))
    columns = {name: [result.metrics[name] for result in results] for name in sorted(names)}
    return {name: sum(column) if name == "cost" else fmean(column) for name, column in columns.items()}


def _constraints(ending: Ending, study: Study) -> Metrics:
    """The values of the constraints: the means over the folds, or those of the fold that violated one."""
    jobs = ending.jobs if study.feasible(ending.jobs[-1]) else ending.jobs[-1:]
    bounds = [goal for goal in study.goals if goal.is_constraint]
    return {goal.metric: fmean(study.value(job, goal) for job in jobs) for goal in bounds}


def _mean_gradient(results: Sequence[Result]) -> Metrics | None:
    gradients = [result.gradient for result in results if result.gradient is not None]
    if len(gradients) < len(results):
        return None
    names = set.intersection(*map(set, gradients))
    return {name: fmean(gradient[name] for gradient in gradients) for name in sorted(names)}


def _own(study: Study) -> Rewrite:
    """Keep what is of jobs of `study`."""

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Act) or (event.id if isinstance(event, Job) else event.job) in study.jobs:
            yield event

    return rewrite
