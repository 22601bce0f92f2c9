"""What stands in the log of a study: Acts, Jobs, Reports, Results; and the settings that an opening Act holds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from tunewell.errors import StudyError
from tunewell.space import Config

Metrics = dict[str, float]

FAILURES = ("invalid", "oom", "diverged", "timeout", "crashed", "lost")
"""Why a job failed: its config cannot run, memory, a metric that is not finite, a limit, the code, or the machine."""

FOREIGN = ("user", "added")
"""First words of the tags of jobs that no method planned: enqueued by a person, or run elsewhere."""


class Goal(msgspec.Struct, frozen=True):
    """A metric, its direction, and which point of its curve counts.

    `over` is "last", "best", or a number k: the mean of the last k reports. With `at_most` (or `at_least`) the goal is
    a constraint on the metric, not an objective.
    """

    metric: str
    maximize: bool = False
    over: Literal["last", "best"] | int = "last"
    at_most: float | None = None
    at_least: float | None = None

    def __post_init__(self) -> None:
        if not self.metric:
            raise StudyError("a goal needs the name of a metric", hint='Write Goal("loss").')
        if isinstance(self.over, int) and self.over < 1:
            raise StudyError(
                f"goal {self.metric!r}: the mean over {self.over} reports means nothing", hint="over >= 1."
            )

    @property
    def is_constraint(self) -> bool:
        """Whether this goal bounds its metric instead of ranking by it."""
        return self.at_most is not None or self.at_least is not None

    def value(self, last: float, curve: Sequence[float]) -> float:
        """The metric's value that counts, from its last value and its curve (may be empty)."""
        if self.over == "last" or not curve:
            return last
        if self.over == "best":
            finite = [v for v in curve if math.isfinite(v)] or [last]
            return max(finite) if self.maximize else min(finite)
        tail = curve[-self.over :]
        return sum(tail) / len(tail)

    def loss(self, value: float) -> float:
        """`value` turned so that smaller is better; infinite where it is not finite."""
        if not math.isfinite(value):
            return math.inf
        return -value if self.maximize else value

    def holds(self, value: float) -> bool:
        """Whether `value` satisfies the constraint (always true for an objective)."""
        below = self.at_most is None or value <= self.at_most
        return below and (self.at_least is None or value >= self.at_least)


class Steps(msgspec.Struct, frozen=True):
    """How long one trial may train: from `minimum` to `maximum` steps, in the user's `unit`."""

    minimum: int = 1
    maximum: int = 1
    unit: str = "steps"

    def __post_init__(self) -> None:
        if not 1 <= self.minimum <= self.maximum:
            raise StudyError(f"steps from {self.minimum} to {self.maximum}", hint="Write 1 <= minimum <= maximum.")


class Limits(msgspec.Struct, frozen=True):
    """What the whole study may spend, over all workers and sessions. None: no limit.

    `trials` (jobs without parent and with seed 0) and `steps` are met exactly. `seconds` of wall clock while somebody
    works on the study, `compute_seconds` (summed over jobs) and `cost` (summed metric "cost") stop the starting of
    jobs; the overshoot is what is in flight. `target` ends the study when the first goal reaches that value.
    """

    trials: int | None = None
    steps: int | None = None
    seconds: float | None = None
    compute_seconds: float | None = None
    cost: float | None = None
    target: float | None = None

    def __post_init__(self) -> None:
        for name in ("trials", "steps", "seconds", "compute_seconds", "cost"):
            value = getattr(self, name)
            if value is not None and not value >= 0:
                raise StudyError(f"limit {name}={value!r} is no budget", hint="Give a number >= 0, or leave it out.")


class Job(msgspec.Struct, frozen=True, gc=False):
    """Bring `config` to step `until` from the state that `parent` left.

    `parent` is a finished job: with the same config the lineage goes on, with another one it forks. `tag` says where in
    the method's own plan the job belongs. `seed` is the replicate: same number, same randomness for every config. `id`
    and `seen` (the number of the last event that the decision rests on) are filled by `Study.start`, never by a method.
    """

    config: Config
    until: int
    parent: int | None = None
    tag: tuple[str | int, ...] = ()
    seed: int = 0
    id: int = -1
    seen: int = -1


class Report(msgspec.Struct, frozen=True, gc=False):
    """What a job said on its way: one or more points of its curve, as they were flushed together.

    `values[metric][i]` belongs to `steps[i]`; None where that step did not report the metric. `saved` names the
    checkpoint written after the last of these steps.
    """

    job: int
    steps: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]
    attempt: int = 1
    saved: str | None = None


class Failure(msgspec.Struct, frozen=True, gc=False):
    """Why a job failed: one of `FAILURES`, what the user should read, and the name of the exception's type if there is
    one.
    """

    kind: str
    message: str = ""
    type: str = ""


class Result(msgspec.Struct, frozen=True, gc=False):
    """The one ending of a job. `metrics` are the last values; `step` is the last step reached; `seconds` is its own run
    time.

    `gradient` holds d(first goal)/d(entry) by entry name where the objective gives one; `std` the standard error of a
    metric where it is known; `saved` the checkpoint that a child can go on from, relative to the study's files; `made`
    the hash of what made it (code, commit, versions), which an "enter" Act spells out.
    """

    job: int
    status: Literal["done", "failed", "cancelled"]
    metrics: Metrics = {}
    step: int = 0
    seconds: float = 0.0
    attempt: int = 1
    error: Failure | None = None
    saved: str | None = None
    std: Metrics = {}
    gradient: Metrics | None = None
    made: str = ""

    @property
    def tells(self) -> bool:
        """Whether it says something of its config: what was cancelled, or lost with its machine, does not."""
        return self.status != "cancelled" and (self.error is None or self.error.kind != "lost")


class Act(msgspec.Struct, frozen=True):
    """What a person or the loop did.

    `what` is "open" (the first event: seed, space, goals, method, steps, limits), "change" (any of these but the seed),
    "enter" and "leave" (a process works on the study), "enqueue", "cancel", "restart" (a lineage without checkpoint
    starts again from step 0), "seal" and "vault" (the test set, and a read of it), "barrier" (see
    `tunewell.order`), "related" (results of an earlier study of another task: see `tunewell.earlier`) or "note".
    """

    what: str
    data: dict[str, Any] = {}
    by: str = ""


Event = Act | Job | Report | Result


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A committed event: its number in the log (1, 2, …) and the store's time in seconds since the epoch."""

    number: int
    time: float
    event: Event


class Curve(msgspec.Struct, frozen=True, gc=False):
    """What a lineage reported: `values[metric][i]` at `steps[i]`; NaN where a step did not report the metric."""

    steps: list[int]
    values: dict[str, list[float]]
