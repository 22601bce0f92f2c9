"""Freeze-thaw: every curve is extrapolated to the last step, and the next steps go to the one most worth them.

K. Swersky, J. Snoek, R. P. Adams: Freeze-thaw Bayesian optimization. arXiv:1406.3896, 2014.
H. Rakotoarison, S. Adriaensen, N. Mallik, S. Garibov, E. Bergman, F. Hutter: In-context freeze-thaw Bayesian
optimization for hyperparameter optimization. ICML 2024. arXiv:2404.16795.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.bayes import Bayes
from tunewell.methods.compose import begin
from tunewell.methods.rungs import rungs, steps_set
from tunewell.study import Event, Goal, Job, Result, Steps, Study

if TYPE_CHECKING:
    from tunewell.surrogates.curves import Calibration, Forecast

BAYES = Bayes()

_SMALLEST = 25
"""Where nobody says it, the first stop is no earlier than after this part of all steps."""
_FIRST, _LATEST = 3.0, 4.5
"""Full runs' worth of steps after which a first result at the last step is due, and the latest with what other workers
do meanwhile.
"""
_RECENT = 100
"""No more forecasts than these that came true tell how far to trust the next ones."""
_QUARTILES = (0.25, 0.75)
_SLACK = 0.25
"""So much later may the first one arrive than the curve for which it became due."""
_HOPE = 0.1
"""When all trials have begun, curves go on that become the best of all with at least this probability."""
_START, _NEWEST = 4, 8
"""So many configs begin before any curve goes on, and so many stand for a new one."""
_IMPROVEMENT = (-3.0, -0.5)
"""The powers of ten of the improvement that is drawn, in units of the spread of the losses."""


@dataclass(frozen=True)
class FreezeThaw:
    """Trains many configs for a few steps, extrapolates each curve with an interval, and gives the next steps to the
    curve that is most worth them, or to a new config.

    Curves pause at `minimum` steps, at `eta` times as many, and so on up to the last. `minimum` left out: that of the
    study, or a twenty-fifth of all steps. At each decision a number of steps ahead is drawn, and a loss a little
    better than the best one so far; whoever gets there with the largest probability goes on until its next pause. A
    new config stands for the eight that began last, with what was forecast for them when they first paused. It comes
    from `of`, which sees the jobs that began with its configs, and in `root` every result at every pause. How far
    forecasts were off until now, at the next pause, moves and stretches those to come: see
    `tunewell.surrogates.curves`. When nothing is known of the last step after three full runs' worth of steps, or
    earlier with several workers, the curve of the best forecast goes on to the end. When all trials of the study's
    limit have begun, a curve goes on that becomes the best of all with a probability of a tenth.

    The more values a job reports on its way, the better are its forecasts: report each epoch. Never ends unless `of`
    does, and then when every curve has arrived.

    Raises Unsupported for several objectives, where a trial ends with its first pause, and for an `of` that goes on
    with its jobs itself.
    Reference: Swersky, Snoek and Adams, arXiv:1406.3896; Rakotoarison et al., ICML 2024, for the drawn number of steps
    and improvement.
    """

    of: Method = BAYES
    minimum: int | None = None
    eta: int = 2

    reference: ClassVar[str] = """
@misc{swersky2014freeze,
  title={Freeze-Thaw {Bayesian} Optimization},
  author={Swersky, Kevin and Snoek, Jasper and Adams, Ryan P.},
  year={2014},
  eprint={1406.3896},
  archivePrefix={arXiv}
}

@inproceedings{rakotoarison2024context,
  title={In-Context Freeze-Thaw {Bayesian} Optimization for Hyperparameter Optimization},
  author={Rakotoarison, Herilalaina and Adriaensen, Steven and Mallik, Neeratyoy and Garibov, Samir and
    Bergman, Edward and Hutter, Frank},
  booktitle={International Conference on Machine Learning},
  year={2024}
}"""

    def __post_init__(self) -> None:
        if self.eta < 2:
            raise StudyError(f"FreezeThaw: eta={self.eta}", hint="At least 2: a pause when the steps have doubled.")
        if self.minimum is not None and self.minimum < 1:
            raise StudyError(f"FreezeThaw: minimum={self.minimum}", hint="At least 1, or leave it out.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next steps of the curve that is most worth them, or a new config of the source."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"FreezeThaw extrapolates one objective, the study has {len(study.objectives)}",
                hint="Random() serves several; or make the others constraints with at_most.",
            )
        standing = self._standing(study)
        if self._is_full(study, standing):
            best = standing.last_hope()
            return None if best is None else _next(study.jobs[best], standing)
        best = standing.most_worth(rng)
        job = begin(self, self.of, study, 1, rng) if best is None else None
        if job is not None:
            return msgspec.structs.replace(job, until=standing.stops[0], tag=(0, *job.tag))
        best = standing.promising() if best is None else best
        return None if best is None else _next(study.jobs[best], standing)

    def _is_full(self, study: Study, standing: Standing) -> bool:
        """Whether the study has begun all its trials."""
        return study.limits.trials is not None and standing.begun >= study.limits.trials

    def stops(self, steps: Steps) -> tuple[int, ...]:
        """The numbers of steps at which curves pause, ascending, the last one the maximum."""
        lowest = self.minimum or (steps.minimum if steps.minimum > 1 else max(1, round(steps.maximum / _SMALLEST)))
        return rungs(steps.maximum, self.eta, lowest) if lowest < steps.maximum else (steps.maximum,)

    def _standing(self, study: Study) -> Standing:
        if len(self.stops(study.steps)) == 1:
            raise Unsupported(
                f"a trial of {study.steps.maximum} {study.steps.unit} ends with its first pause",
                hint="Write steps=27, for example, and report after each; or take Bayes().",
            )
        return study.fold(("freeze-thaw", self, study.goals), lambda: Standing(self), Standing.follow)

    def why(self, study: Study) -> str:
        """How many curves wait, and what the forecasts were worth, in one line."""
        standing = self._standing(study.plan)
        told = f"{len(standing.paused)} curves wait, {standing.whole} are whole"
        if not standing.ranks:
            return told
        held = sum(0.1 < rank < 0.9 for rank in standing.ranks) / len(standing.ranks)
        return f"{told}; {held:.0%} of {len(standing.ranks)} forecasts came true within their 80 % interval"


def _next(before: Job, standing: Standing) -> Job:
    assert isinstance(before.tag[0], int)
    tag = (before.tag[0] + 1, *before.tag[1:])
    return msgspec.structs.replace(
        before, until=standing.stop_after(before.until), parent=before.id, tag=tag, id=-1, seen=-1
    )


def curve_of(study: Study, job: int) -> tuple[np.ndarray, np.ndarray]:
    """The steps (n,) and losses (n,) of the lineage of a job that was done, the last ones its own: what counts of them
    at each step, by the goal.
    """
    goal, curve = study.objectives[0], study.curve(job)
    steps, values = list(curve.steps), list(curve.values.get(goal.metric, ()))
    losses = _counting(goal, np.array(values, dtype=float) * (-1.0 if goal.maximize else 1.0))
    until = study.jobs[job].until
    before = sum(step < until for step in steps)
    found = [*losses[:before].tolist(), study.loss(job)] if len(losses) else [study.loss(job)]
    return np.array([*steps[: len(found) - 1], until], dtype=float), np.array(found)


def _counting(goal: Goal, losses: np.ndarray) -> np.ndarray:
    """What counts of losses (n,) after each step: the last one, the best, or the mean of the last k."""
    if goal.over == "best":
        return np.fmin.accumulate(losses) if len(losses) else losses
    if goal.over == "last" or not len(losses):
        return losses
    return np.array([losses[max(0, end - goal.over) : end].mean() for end in range(1, len(losses) + 1)])


# --- the fold --------------------------------------------------------------------------------------------------------


class Paused(msgspec.Struct, frozen=True):
    """A curve that waits after `until` steps with a `loss`: its forecast at each of the `ahead` stops."""

    until: int
    loss: float
    ahead: tuple[int, ...]
    forecast: Forecast

    def chance(self, loss: float, stop: int, calibration: Calibration) -> float:
        """The probability that the loss at a stop is below this one."""
        if stop <= self.until:
            return float(self.loss < loss)
        values = np.full(len(self.ahead), loss)
        return calibration.chance(float(self.forecast.rank(values)[self.ahead.index(stop)]))


class Standing(msgspec.Struct):
    """Fold state: the curves that are `paused`, by their last job, and the `middles` of their forecasts at the last
    step; the `running` jobs, each with the curve that it goes on with; the curves that began last, the `newest`, and
    how many have `begun`; the `spent` steps; the losses at the first stop in order, and the `least` of all; how many
    are `whole`, and the `best` of these; the job that brings the first of these, the `leader`; and the `ranks` of
    losses among their forecasts.
    """

    method: FreezeThaw
    stops: tuple[int, ...] = (1,)
    paused: dict[int, Paused] = {}
    middles: dict[int, float] = {}
    arrived: set[int] = set()
    running: dict[int, Paused | None] = {}
    newest: list[Paused] = []
    begun: int = 0
    spent: int = 0
    first: list[float] = []
    least: float = math.inf
    best: float = math.inf
    whole: int = 0
    leader: int = -1
    ranks: list[float] = []

    def follow(self, event: Event, study: Study) -> Standing:
        """One event more."""
        steps = steps_set(event)
        if steps is not None:
            self._reach(steps, study)
        elif isinstance(event, Job):
            self._ask(event, study)
        elif isinstance(event, Result):
            self._end(event, study)
        return self

    def stop_after(self, step: int) -> int:
        """The stop that follows a step."""
        return next((stop for stop in self.stops if stop > step), self.stops[-1])

    # --- decisions ---------------------------------------------------------------------------------------------------

    def _is_due(self) -> bool:
        """Whether a curve has to go on for a first result at the last step; with `full` it is the only way to one."""
        if self.whole or not self.paused or self.leader in self.running:
            return False
        first = self.spent + self._left(min(self.paused, key=self.middles.__getitem__)) >= _FIRST * self.stops[-1]
        return first or self._arrival(min(self.paused, key=self.middles.__getitem__)) >= _LATEST

    def _left(self, job: int) -> int:
        """The steps that a paused curve has left."""
        return self.stops[-1] - self.paused[job].until

    def _arrival(self, job: int) -> float:
        """The full runs' worth of steps that all workers will have taken when this curve arrives."""
        return (self.spent + (1 + len(self.running)) * self._left(job)) / self.stops[-1]

    def promising(self) -> int | None:
        """The paused curve of the least last value, by the middle of its forecast. For a first result at the last step:
        the one that is on its way there, or else the best that still arrives in time.
        """
        if self.leader in self.paused and not self.whole:
            return self.leader
        soon = [job for job in self.paused if self.whole or self._arrival(job) <= _LATEST + _SLACK]
        if not soon and self.paused:
            return max(self.paused, key=lambda job: self.paused[job].until)
        return min(soon, key=self.middles.__getitem__, default=None)

    def most_worth(self, rng: np.random.Generator) -> int | None:
        """The paused curve that goes on; None: it is the turn of a new config.

        Rakotoarison et al. 2024, section 4.2: the largest probability to improve, of a number of steps ahead and of an
        improvement that are drawn from log-uniform distributions (MFPI-random).
        """
        if self._is_due():
            return self.promising()
        if self.begun < _START or not self.paused:
            return None
        from tunewell.surrogates.curves import Calibration

        steps = math.exp(rng.uniform(math.log(self.stops[0]), math.log(self.stops[-1])))
        loss = self.least - 10 ** rng.uniform(*_IMPROVEMENT) * self._spread()
        calibration = Calibration.of(np.array(self.ranks))
        chances = {
            job: curve.chance(loss, self._stop_at(curve.until + steps), calibration)
            for job, curve in self.paused.items()
        }
        best = max(chances, key=chances.__getitem__)
        others = [curve.chance(loss, self._stop_at(steps), calibration) for curve in self.newest]
        new = (sum(others) + 0.5 / self.begun) / (len(others) + 1)
        return None if new > chances[best] else best

    def last_hope(self) -> int | None:
        """When all trials have begun: the paused curve that most likely becomes the best of all, unless that is too
        unlikely. No draw decides, so that an ended study stays ended.
        """
        if not self.whole or not self.paused:
            return self.promising()
        from tunewell.surrogates.curves import Calibration

        calibration, last = Calibration.of(np.array(self.ranks)), self.stops[-1]
        chances = {job: curve.chance(self.best, last, calibration) for job, curve in self.paused.items()}
        best = max(chances, key=chances.__getitem__)
        return best if chances[best] >= _HOPE else None

    def _stop_at(self, step: float) -> int:
        """The first stop that is no earlier than a step, or the last one."""
        return next((stop for stop in self.stops if stop >= step), self.stops[-1])

    # --- events ------------------------------------------------------------------------------------------------------

    def _reach(self, steps: Steps, study: Study) -> None:
        """Other steps of a trial: forecasts for the new ones; what had arrived may go on."""
        self.stops, self.newest = self.method.stops(steps), []
        self.best, self.whole = math.inf, 0
        waiting = sorted({*self.paused, *self.arrived})
        self.paused, self.middles, self.arrived = {}, {}, set()
        for job in waiting:
            self._wait(study.jobs[job], study)

    def _ask(self, job: Job, study: Study) -> None:
        if job.parent is not None and self._is_due():
            self.leader = job.id
        self.spent += study.reserved(job)
        self.begun += job.parent is None
        self.running[job.id] = None if job.parent is None else self.paused.pop(job.parent, None)
        self.middles.pop(-1 if job.parent is None else job.parent, None)

    def _end(self, result: Result, study: Study) -> None:
        job, before = study.jobs[result.job], self.running.pop(result.job, None)
        loss = study.loss(job.id)
        if result.status != "done" or not math.isfinite(loss):
            return
        if before is not None and self.stop_after(before.until) == job.until:
            self.ranks = [*self.ranks[1 - _RECENT :], float(before.forecast.rank(np.full(len(before.ahead), loss))[0])]
        if job.parent is None:
            insort(self.first, loss)
        if study.feasible(job.id):
            self.least = min(self.least, loss)
            self._wait(job, study)

    def _wait(self, job: Job, study: Study) -> None:
        """A curve pauses; what is whole counts as a result."""
        if job.until >= self.stops[-1]:
            self.arrived.add(job.id)
            if job.until == self.stops[-1]:
                self.best, self.whole = min(self.best, study.loss(job.id)), self.whole + 1
            return
        from tunewell.surrogates.curves import Calibration, extrapolate

        ahead = tuple(stop for stop in self.stops if stop > job.until)
        forecast = extrapolate(*curve_of(study, job.id), np.array(ahead, dtype=float), self._spread())
        if forecast is None:
            return
        self.paused[job.id] = Paused(job.until, study.loss(job.id), ahead, forecast)
        self.middles[job.id] = float(forecast.quantile(Calibration.of(np.array(self.ranks)).rank(0.5))[-1])
        if job.parent is None:
            self.newest = [*self.newest[1 - _NEWEST :], self.paused[job.id]]

    def _spread(self) -> float:
        """The distance of the quartiles of the losses at the first stop."""
        low, high = np.quantile(self.first, _QUARTILES) if self.first else (0.0, 0.0)
        return float(high - low)
