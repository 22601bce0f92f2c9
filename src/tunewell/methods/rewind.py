"""Going back where training diverged: to the last good checkpoint, with a lower learning rate.

By hand it is what the logbooks of large training runs tell: A. Chowdhery et al.: PaLM: scaling language modeling with
pathways. JMLR 24, 2023, section 5.1 (restart from a checkpoint before the spike); S. Zhang et al.: OPT: open
pre-trained transformer language models. arXiv:2205.01068, section 2.5 (lower the learning rate, and go on from an
earlier checkpoint).
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import SpaceError, StudyError, Unsupported
from tunewell.honest.divergence import diverged, is_plateau, spikes
from tunewell.method import Method
from tunewell.methods.compose import begin
from tunewell.methods.random import Random
from tunewell.methods.rungs import steps_set
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Steps, Study

RANDOM = Random()

_SEGMENTS = 10
"""Where nobody says how long a segment is, so many make a whole trial."""

_RATES = re.compile(r"(^|_)(lr|eta|alpha|learning_rate|learningrate|stepsize|step_size|max_lr|eta0)$", re.IGNORECASE)
"""Names of learning rates."""


@dataclass(frozen=True)
class Rewind:
    """Trains what `of` proposes in segments, and goes back to the start of a segment in which training went wrong.

    A segment takes `period` steps; left out: a tenth of all, or the study's minimum where that is more. Wrong is what
    failed as "diverged", and what `stop` names in the curve: "divergence" (see `tunewell.honest.watch`), "spike" (the
    last report lies far above those before it) or "plateau" (two windows of 30 reports without progress; the trial
    ends, for no lower rate is known to help). The trial then goes on from the checkpoint of the segment before, with
    the entry `entry` times `factor`, as a child job; at most `tries` times, and with `tries=0` it stops. Where there is
    no such checkpoint, it begins anew with the lower entry, which counts as a trial. Below the range of the entry
    nothing is tried. `entry` left out: the one whose name is that of a learning rate.

    `of` sees the jobs that it began, and in `root` all. Never ends unless `of` does.

    Raises Unsupported for several objectives, where no entry has the name of a learning rate, or several have, and for
    an `of` that goes on with its jobs itself.
    Reference: Chowdhery et al., JMLR 24, 2023.
    """

    of: Method = RANDOM
    entry: str | None = None
    factor: float = 0.3
    tries: int = 2
    period: int | None = None
    stop: tuple[Literal["divergence", "spike", "plateau"], ...] = ("divergence",)

    reference: ClassVar[str] = """
@article{chowdhery2023palm,
  title={{PaLM}: scaling language modeling with pathways},
  author={Chowdhery, Aakanksha and others},
  journal={Journal of Machine Learning Research},
  volume={24},
  number={240},
  pages={1--113},
  year={2023}
}"""

    def __post_init__(self) -> None:
        if not 0 < self.factor < 1:
            raise StudyError(f"Rewind: factor={self.factor}", hint="Between 0 and 1.")
        if self.tries < 0 or (self.period is not None and self.period < 1):
            raise StudyError(f"Rewind: tries={self.tries}, period={self.period}", hint="tries >= 0 and period >= 1.")
        unknown = set(self.stop) - {"divergence", "spike", "plateau"}
        if unknown:
            raise StudyError(f"Rewind: stop={self.stop!r}", hint='Of "divergence", "spike" and "plateau".')

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next segment of the trial that waits longest, the same one again with a lower rate, or a new trial."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Rewind looks at one objective, the study has {len(study.objectives)}",
                hint="Make the others constraints with at_most.",
            )
        entry = self.entry_of(study.space) if self.tries else ""
        path = study.fold(("rewind", self, study.goals), lambda: Path(self), Path.follow)
        for last, parent in path.ready.items():
            job = self._next(study, path, last, parent, entry)
            if job is not None:
                return job
        job = begin(self, self.of, study, 2, rng)
        return job and msgspec.structs.replace(job, until=path.stop_after(0), tag=(-1, 0, *job.tag))

    def entry_of(self, space: Space) -> str:
        """The entry that is lowered. Raises Unsupported where that is none, or where several could be meant."""
        found = [self.entry] if self.entry is not None else [name for name in space.names if _RATES.search(name)]
        if len(found) == 1 and found[0] in space.names:
            return found[0]
        what = f"there is no entry {self.entry!r}" if self.entry else f"{len(found)} entries have the name of a rate"
        raise Unsupported(f"Rewind does not know what to lower: {what}", hint='Name the entry: Rewind(entry="lr").')

    def _next(self, study: Study, path: Path, last: int, parent: int | None, entry: str) -> Job | None:
        """What follows job `last` of a trial: from itself, its `parent`, where that is another one, or from nothing."""
        job = study.jobs[last]
        rewound = int(job.tag[1])
        if parent == last:
            return _child(job, job.config, last, path.stop_after(job.until), rewound)
        config = self._lowered(study.space, job.config, entry)
        return None if config is None else _child(job, config, parent, job.until, rewound + 1)

    def _lowered(self, space: Space, config: Config, entry: str) -> Config | None:
        """The config with the entry lowered; None where it has no such number, or one outside of the space."""
        value = config.get(entry)
        if not isinstance(value, float):
            return None
        try:
            return space.validate({**config, entry: value * self.factor})
        except SpaceError:
            return None


def _child(job: Job, config: Config, parent: int | None, until: int, rewound: int) -> Job:
    """The job after `job`, whose tag says which one it follows, and how often the trial went back."""
    return Job(config, until, parent, (job.id, rewound, *job.tag[2:]), job.seed)


class Path(msgspec.Struct):
    """Fold state: `ready`, by their last jobs, the trials that go on, with the job from whose checkpoint: the last one
    itself, the one before, or None, from nothing.
    """

    method: Rewind
    steps: Steps = Steps()
    period: int = 1
    begun: bool = False
    ready: dict[int, int | None] = {}
    whole: set[int] = set()

    def follow(self, event: Event, study: Study) -> Path:
        """One event more."""
        steps = steps_set(event)
        if steps is not None:
            self._reach(steps)
        elif isinstance(event, Job):
            self.begun = True
            self.ready.pop(int(event.tag[0]), None)
        elif isinstance(event, Result):
            self._end(event, study)
        return self

    def stop_after(self, step: int) -> int:
        """The step at which the segment ends that begins after `step`."""
        return min((step // self.period + 1) * self.period, self.steps.maximum)

    def _reach(self, steps: Steps) -> None:
        """Other steps of a trial: those that were at the end go on."""
        self.steps = steps
        if not self.begun:
            self.period = self.method.period or max(steps.minimum, math.ceil(steps.maximum / _SEGMENTS))
        self.ready.update({job: job for job in sorted(self.whole)})
        self.whole = set()

    def _end(self, result: Result, study: Study) -> None:
        job = study.jobs[result.job]
        why = self._trouble(result, study)
        if why in ("diverged", "divergence", "spike"):
            if int(job.tag[1]) < self.method.tries:
                self.ready[job.id] = self._good(job, study)
        elif not why and job.until < self.steps.maximum:
            self.ready[job.id] = job.id
        elif not why:
            self.whole.add(job.id)

    def _good(self, job: Job, study: Study) -> int | None:
        """The job before, where it left a checkpoint."""
        return job.parent if job.parent is not None and study.results[job.parent].saved is not None else None

    def _trouble(self, result: Result, study: Study) -> str:
        """What went wrong in a segment; empty where nothing did."""
        if result.status != "done":
            return result.error.kind if result.error is not None else result.status
        if not math.isfinite(study.loss(result.job)):
            return "diverged"
        goal = study.objectives[0]
        curve = study.curve(result.job).values.get(goal.metric, [])
        losses = [-value if goal.maximize else value for value in curve]
        checks = {
            "divergence": lambda: diverged(curve, maximize=goal.maximize) is not None,
            "spike": lambda: len(losses) - 1 in spikes(losses[-51:]) + max(len(losses) - 51, 0),
            "plateau": lambda: is_plateau(losses),
        }
        return next((name for name in self.method.stop if checks[name]()), "")
