"""The median stopping rule, and patience: trials are trained in segments, and only what is worth it goes on.

D. Golovin, B. Solnik, S. Moitra, G. Kochanski, J. Karro, D. Sculley: Google Vizier: a service for black-box
optimization. KDD 2017, section 3.2.2.
L. Prechelt: Early stopping - but when? In: Neural networks: tricks of the trade. Springer, 1998.
"""

from __future__ import annotations

import math
from bisect import insort
from dataclasses import dataclass
from statistics import median
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.compose import begin
from tunewell.methods.random import Random
from tunewell.methods.rungs import steps_set
from tunewell.study import Event, Job, Result, Steps, Study

RANDOM = Random()

_SEGMENTS = 10
"""Where nobody says how long a segment is, so many make a whole trial."""


@dataclass(frozen=True)
class Stopped:
    """Trains what `of` proposes in segments, and after each goes on only with trials that no rule stops.

    The first segment ends at step `warmup`, or at `period` where that is later; each other one `period` steps later,
    the last one at the last step. `period` left out: a tenth of all steps, or the study's minimum where that is more.
    What is measured at the end of each segment counts, turned so that smaller is better; what violates a constraint is
    infinitely bad. A trial whose job fails never goes on.

    `least`: the median rule. A trial stops whose best measurement until now is worse than the median of the running
    averages of all others that were measured at this step, as soon as there are so many others; None: no such rule.
    Who has the best measurement of all at a step is never stopped by it.

    `patience`: a trial stops whose last so many segments brought nothing better than what it had before; None: no such
    rule.

    Decisions are final. `of` sees the jobs that began, and in `root` every measurement. After
    `study.extend(until=...)` the finished trials that no rule stopped go on. Never ends unless `of` does.

    Raises Unsupported for several objectives, where a trial ends with its first segment, and for an `of` that goes on
    with its jobs itself.
    Reference: Golovin et al., KDD 2017; Prechelt, 1998.
    """

    of: Method = RANDOM
    period: int | None = None
    warmup: int = 0
    least: int | None = 5
    patience: int | None = None

    reference: ClassVar[str] = """
@inproceedings{golovin2017google,
  title={Google Vizier: a service for black-box optimization},
  author={Golovin, Daniel and Solnik, Benjamin and Moitra, Subhodeep and Kochanski, Greg and Karro, John and
    Sculley, D.},
  booktitle={ACM SIGKDD International Conference on Knowledge Discovery and Data Mining},
  pages={1487--1495},
  year={2017}
}

@incollection{prechelt1998early,
  title={Early stopping - but when?},
  author={Prechelt, Lutz},
  booktitle={Neural Networks: Tricks of the Trade},
  pages={55--69},
  publisher={Springer},
  year={1998}
}"""

    def __post_init__(self) -> None:
        for name, low in {"period": 1, "warmup": 0, "least": 1, "patience": 1}.items():
            value = getattr(self, name)
            if value is not None and value < low:
                raise StudyError(f"Stopped: {name}={value}", hint=f"At least {low}.")
        if self.least is None and self.patience is None:
            raise StudyError("Stopped: no rule", hint="Give least=5 (the median rule), patience=3, or both.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next segment of the trial that waits longest, or else a new one of the source."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Stopped compares by one objective, the study has {len(study.objectives)}",
                hint="Random() serves several; or make the others constraints with at_most.",
            )
        standing = self._standing(study)
        waiting = next(iter(standing.ready), None)
        if waiting is not None:
            return _next(study.jobs[waiting], standing)
        first = standing.stop_after(0)
        if first >= study.steps.maximum:
            raise Unsupported(
                f"a trial of {study.steps.maximum} {study.steps.unit} ends with its first segment",
                hint="Write steps=27, for example, and report after each; or a smaller period or warmup.",
            )
        job = begin(self, self.of, study, 1, rng)
        return job and msgspec.structs.replace(job, until=first, tag=(0, *job.tag))

    def _standing(self, study: Study) -> Standing:
        return study.fold(("stopped", self, study.goals), lambda: Standing(self), Standing.follow)

    def why(self, study: Study) -> str:
        """How many trials each rule has stopped, in one line."""
        standing = self._standing(study.plan)
        worse = [f"{standing.worse} worse than the median"] if self.least is not None else []
        stale = [f"{standing.stale} without improvement"] if self.patience is not None else []
        return f"a look each {standing.period} {study.steps.unit}; stopped: {', '.join(worse + stale)}"


def MedianStop(of: Method = RANDOM, *, period: int | None = None, warmup: int = 0, least: int = 5) -> Stopped:
    """The median stopping rule: what is worse than the median of the others' averages stops. See `Stopped`.

    Reference: Golovin et al., KDD 2017.
    """
    return Stopped(of, period, warmup, least)


def Patience(of: Method = RANDOM, segments: int = 3, *, period: int | None = None, warmup: int = 0) -> Stopped:
    """A trial stops when so many segments in a row brought it nothing better. See `Stopped`.

    Reference: Prechelt, 1998.
    """
    return Stopped(of, period, warmup, least=None, patience=segments)


def _next(before: Job, standing: Standing) -> Job:
    assert isinstance(before.tag[0], int)
    until, tag = standing.stop_after(before.until), (before.tag[0] + 1, *before.tag[1:])
    return msgspec.structs.replace(before, until=until, parent=before.id, tag=tag, id=-1, seen=-1)


# --- the fold --------------------------------------------------------------------------------------------------------


class Path(msgspec.Struct, frozen=True):
    """What a trial has measured: how often, the sum, the best, and how many segments ago that was."""

    count: int = 0
    total: float = 0.0
    best: float = math.inf
    stale: int = 0

    @property
    def mean(self) -> float:
        """The running average."""
        return self.total / self.count

    def measured(self, loss: float) -> Path:
        """After one segment more."""
        stale = 0 if loss < self.best else self.stale + 1
        return Path(self.count + 1, self.total + loss, min(self.best, loss), stale)


class Standing(msgspec.Struct):
    """Fold state: the running averages at each step, in order of size; and the trials that go on, by their last job:
    `ready` for another segment, `running`, or at the last step (`whole`). `worse` and `stale` count the others by the
    rule that stopped them.
    """

    method: Stopped
    steps: Steps = Steps()
    period: int = 1
    begun: bool = False
    means: dict[int, list[float]] = {}
    ready: dict[int, Path] = {}
    running: dict[int, Path] = {}
    whole: dict[int, Path] = {}
    worse: int = 0
    stale: int = 0

    def follow(self, event: Event, study: Study) -> Standing:
        """One event more."""
        steps = steps_set(event)
        if steps is not None:
            self._reach(steps, study)
        elif isinstance(event, Job):
            self._ask(event)
        elif isinstance(event, Result):
            self._end(event, study)
        return self

    def stop_after(self, step: int) -> int:
        """The step at which a trial that is at `step` is looked at next."""
        first = max(self.method.warmup, self.period)
        passed = 0 if step < first else (step - first) // self.period + 1
        return min(first + passed * self.period, self.steps.maximum)

    def _reach(self, steps: Steps, study: Study) -> None:
        """Other steps of a trial. The places at which trials compare stay where they are, once there are any."""
        self.steps = steps
        if not self.begun:
            self.period = self.method.period or max(steps.minimum, math.ceil(steps.maximum / _SEGMENTS))
        waiting = sorted({**self.ready, **self.whole}.items())
        self.ready, self.whole = {}, {}
        for job, path in waiting:
            self._wait(study.jobs[job], path)

    def _wait(self, job: Job, path: Path) -> None:
        (self.ready if job.until < self.steps.maximum else self.whole)[job.id] = path

    def _ask(self, job: Job) -> None:
        self.begun = True
        self.running[job.id] = Path() if job.parent is None else self.ready.pop(job.parent, Path())

    def _end(self, result: Result, study: Study) -> None:
        job, path = study.jobs[result.job], self.running.pop(result.job)
        if result.status != "done" or not math.isfinite(study.loss(job.id)):
            return
        path = path.measured(study.loss(job.id) if study.feasible(job.id) else math.inf)
        others = self.means.setdefault(job.until, [])
        least, patience = self.method.least, self.method.patience
        if least is not None and len(others) >= least and path.best > median(others):
            self.worse += job.until < self.steps.maximum
        elif patience is not None and path.stale >= patience:
            self.stale += job.until < self.steps.maximum
        else:
            self._wait(job, path)
        insort(others, path.mean)
