"""Run: what a training function receives, and how its answer becomes the ending of a job.

Every worker process loads this file, so it imports nothing heavy. A Run talks through a `Link`: to the thread of the
loop (`inline`) or through a pipe (`worker`).
"""

from __future__ import annotations

import errno
import math
import operator
import os
import time
from collections.abc import Mapping

from tunewell.errors import CheckpointError, ObjectiveError, Released
from tunewell.honest.watch import Watch

SAFE = 1.0
"""Seconds of training that a loss of power may take back: from then on the checkpoints of a trial wait for the disk."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any, Protocol

    Metrics = dict[str, float]
    Ending = dict[str, Any]
    """The fields of a Result, without job and attempt; `error` is `[kind, message, type]`."""

    class Link(Protocol):
        """The way from a Run to its executor."""

        blocked: float
        """Seconds that the Run has waited for the executor so far."""
        busy: bool
        """Whether the Run is in the middle of something that a soft stop should let it finish."""

        def heed(self) -> None:
            """Raise Released when the job shall stop."""

        def point(self, step: int, metrics: Metrics, saved: str | None, last: bool = False) -> None:
            """Send one point of the curve, and the name of the checkpoint written after it; `last`: an `end` follows
            at once.
            """

        def settle(self) -> None:
            """Return when all that was sent is committed."""

        def end(self, ending: Ending, held: bool) -> None:
            """Send the ending of the job; `held`: a `decide` follows."""

        def decide(self) -> Order:
            """Wait for the next job of this lineage; raises Released when there is none."""


class Order:
    """One attempt at a job, as plain data that travels as JSON. The fields are those of a Task and its Job."""

    __slots__ = (
        "attempt",
        "checkpoint",
        "config",
        "first",
        "folder",
        "job",
        "last",
        "replicate",
        "seed",
        "start",
        "until",
    )

    def __init__(
        self,
        job: int,
        attempt: int,
        config: Mapping[str, Any],
        start: int,
        until: int,
        last: int,
        seed: int,
        checkpoint: str | None = None,
        folder: str | None = None,
        replicate: int = 0,
        first: float | None = None,
    ) -> None:
        self.job = job
        self.attempt = attempt
        self.config = config
        self.start = start
        self.until = until
        self.last = last
        self.seed = seed
        self.checkpoint = checkpoint
        self.folder = folder
        self.replicate = replicate
        self.first = first


class Run:
    """One run of a training function.

    `config` is the mapping of hyperparameters, `seed` the random seed, `replicate` which repetition or fold of the
    config this is, counted from 0, `data` what `setup()` returned, or the rows of a `Split`. Training goes on
    after step `start`, from the files in `checkpoint` where there are any, up to step `last`; the study decides at step
    `until` whether it does.

        def train(run):
            model = build(run.config)
            if run.checkpoint:
                model.load(run.checkpoint / "weights")
            for epoch in run.steps():
                run.report(epoch, loss=fit_one_epoch(model), save=model.save)
    """

    __slots__ = (
        "_attempt",
        "_before",
        "_began",
        "_checkpoint",
        "_earlier",
        "_folder",
        "_job",
        "_link",
        "_metric",
        "_metrics",
        "_offered",
        "_reported",
        "_save_every",
        "_saved",
        "_saved_at",
        "_saved_step",
        "_special",
        "_step",
        "_trouble",
        "_watch",
        "config",
        "data",
        "last",
        "replicate",
        "seed",
        "start",
        "until",
    )

    def __init__(
        self,
        order: Order,
        link: Link,
        data: Any = None,
        *,
        metric: str = "loss",
        save_every: float = 30.0,
        maximize: bool = False,
        watch: bool = False,
    ) -> None:
        self.config = order.config
        self.start = order.start
        self.last = order.last
        self.seed = order.seed
        self.replicate = order.replicate
        self.data = data
        self._link = link
        self._metric = metric
        self._save_every = save_every
        self._checkpoint = order.checkpoint
        self._step = order.start
        self._reported = False
        self._metrics: Metrics = {}
        self._special: dict[str, Metrics] = {}
        self._offered: Callable[[Path], object] | None = None
        self._saved_step = order.start
        self._earlier = 0.0
        first = math.nan if order.first is None else order.first
        self._watch = Watch(maximize, first) if watch else None
        self._trouble = ""
        self._take(order)

    def _take(self, order: Order) -> None:
        """Make `order` the job that runs now."""
        self.until = order.until
        self._job = order.job
        self._attempt = order.attempt
        self._folder = order.folder
        self._before = self._metrics
        self._metrics = {}
        self._special = {}
        self._saved: str | None = None
        self._saved_at = time.perf_counter()
        self._began = self._saved_at - self._link.blocked

    @property
    def checkpoint(self) -> Path | None:
        """The folder to restore from; None: start anew."""
        if self._checkpoint is None:
            return None
        from pathlib import Path

        return Path(self._checkpoint)

    def steps(self) -> Iterator[int]:
        """The steps to train: from the one after `start` to `last`. Report each; the study ends the loop where it
        decides.
        """
        return iter(range(self.start + 1, self.last + 1))

    def report(
        self, step: int, *, save: Callable[[Path], object] | None = None, flush: bool = False, **metrics: Any
    ) -> None:
        """Say how good the model is after `step`.

        `save(path)` writes what training needs to go on into the empty folder `path`; it is called at a decision, and
        otherwise at most every `save_every` seconds. Where the study decides at this step, report() waits for the
        decision: it returns when training goes on, and raises Released when not; so it does where training has
        diverged. `flush=True` waits until the report is safe in the store. A mapping `gradient=` or `std=` (by name of
        entry or metric) goes into the Result.
        """
        self._tell(step, metrics, save)
        if self._decides:
            self._hold()
        elif flush:
            self._link.settle()

    @property
    def _decides(self) -> bool:
        """Whether the study decides at the step that was reported last."""
        return self._step >= self.until < self.last

    def _tell(self, step: int, metrics: dict[str, Any], save: Callable[[Path], object] | None = None) -> None:
        """Send one point of the curve."""
        self._link.heed()
        self._heed_trouble()
        self._step = self._next(step)
        numbers = self._read(metrics)
        if not numbers:
            raise ObjectiveError(f"report({step}) without a metric", hint="Write run.report(step, loss=loss).")
        self._reported = True
        self._metrics.update(numbers)
        saved = None
        if save is not None or self._offered is not None:
            saved = self._offer(save)
        self._link.point(self._step, numbers, saved, self._decides)
        if self._watch is not None and self._metric in numbers and self._step < self.last:
            self._trouble = self._watch.see(numbers[self._metric])
            self._heed_trouble()

    def _heed_trouble(self) -> None:
        """Raise Released where training has diverged."""
        if self._trouble:
            raise Released

    def _save_now(self, save: Callable[[Path], object]) -> None:
        """Write the checkpoint of a function that has made its steps."""
        self._step = self._step if self._reported else self.until
        if self._folder is not None:
            self._write(save)

    def flush(self) -> None:
        """Return when all reports so far are safe in the store."""
        self._link.settle()

    def _restore(self) -> None:
        """Read how long the trial has trained. Raises CheckpointError when the files to go on from are damaged."""
        if self._checkpoint is not None:
            from tunewell.executors.checkpoint import verify

            self._earlier = verify(self._checkpoint).get("seconds", SAFE)

    def _next(self, step: int) -> int:
        try:
            number = operator.index(step)
        except TypeError:
            raise ObjectiveError(f"step {step!r} is no whole number", hint="Count epochs, batches or ticks.") from None
        if number <= self._step:
            raise ObjectiveError(
                f"step {number} was reported after step {self._step}: a step goes back",
                hint="Count on from run.start: `for step in run.steps()`.",
            )
        return number

    def _read(self, metrics: dict[str, Any]) -> Metrics:
        """`metrics` as numbers, in place; gradient and std are put aside."""
        for name, value in metrics.items():
            if type(value) is not float:
                if name in ("gradient", "std") and isinstance(value, Mapping):
                    return self._put_aside(name, metrics)
                metrics[name] = to_number(name, value)
        return metrics

    def _put_aside(self, name: str, metrics: dict[str, Any]) -> Metrics:
        self._special[name] = {str(key): to_number(f"{name}.{key}", value) for key, value in metrics.pop(name).items()}
        return self._read(metrics)

    def _offer(self, save: Callable[[Path], object] | None) -> str | None:
        """Write a checkpoint if one is due; its name."""
        if save is not None and not callable(save):
            raise ObjectiveError(
                f"save={save!r} cannot be called", hint="Give a function of one path: save=model.save."
            )
        self._offered = save
        if save is None or self._folder is None:
            return None
        decides = self._saved_step < self.until <= self._step
        if decides or time.perf_counter() - self._saved_at >= self._save_every:
            self._write(save)
            return self._saved
        return None

    def _write(self, save: Callable[[Path], object]) -> None:
        from tunewell.executors import checkpoint

        assert self._folder is not None
        name = checkpoint.name_of(self._step, self._attempt)
        facts = {"job": self._job, "step": self._step, "attempt": self._attempt}
        trained = self._earlier + self._elapsed()
        self._link.busy = True
        try:
            checkpoint.write(self._folder, name, save, sync=trained >= SAFE, **facts, seconds=trained)
        finally:
            self._link.busy = False
        self._saved = f"{os.path.basename(os.path.abspath(self._folder))}/{name}"
        self._saved_step = self._step
        self._saved_at = time.perf_counter()

    def _hold(self) -> None:
        """Send the Result and wait for the next job of this lineage; more than once where that job asks for no more
        steps.
        """
        while self._decides:
            self._link.end(self._ending("done"), True)
            order = self._link.decide()
            self._earlier += self._elapsed()
            self._take(order)

    def _elapsed(self) -> float:
        """The seconds that the job has trained."""
        return max(0.0, time.perf_counter() - self._began - self._link.blocked)

    def _ending(self, status: str, error: list[str] | None = None) -> Ending:
        ending: Ending = {
            "status": status,
            "metrics": self._metrics or self._before,
            "step": self._step if self._reported or error is not None else self.until,
            "seconds": self._elapsed(),
            "saved": self._saved,
        }
        if error is not None:
            ending["error"] = error
        if self._special:
            ending.update(self._special)
        return ending

    def _finish(self, answer: Any) -> Ending:
        """The ending of the job whose function returned `answer`."""
        if self._trouble:
            return self._given_up()  # the function swallowed what ends it
        if answer is not None:
            self._metrics = {**(self._metrics or self._before), **self._answered(answer)}
        if not self._metrics and not self._before:
            raise ObjectiveError(
                f"the training function returned {answer!r:.60} and reported no metric",
                hint=f"Return the {self._metric}, a mapping of metrics, or call run.report(step, {self._metric}=...).",
            )
        if self._offered is not None and self._folder is not None and self._saved_step < self._step:
            self._write(self._offered)
        return self._ending("done")

    def _given_up(self) -> Ending:
        """The ending of a job whose training has diverged."""
        return self._ending("failed", ["diverged", f"{self._metric}: {self._trouble}", ""])

    def _answered(self, answer: Any) -> Metrics:
        if type(answer) is float:
            return {self._metric: answer}
        if not isinstance(answer, Mapping):
            return {self._metric: to_number("", answer)}
        for name in answer:
            if not isinstance(name, str):
                raise ObjectiveError(f"metric {name!r} has no name", hint="The names of metrics are text.")
        return self._read(dict(answer))


def perform(function: Callable[[Run], Any], run: Run) -> None:
    """Call the training function and send its ending. Released passes, and so does KeyboardInterrupt: they are no
    endings.
    """
    try:
        run._restore()
        ending = run._finish(function(run))
    except Released:
        if not run._trouble:
            raise
        ending = run._given_up()
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        ending = run._ending("failed", failure(error))
    run._link.end(ending, False)


def failure(error: BaseException) -> list[str]:
    """Why a job failed, as `[kind, message, type]`; the message ends with the last lines of the traceback."""
    import traceback

    if isinstance(error, ObjectiveError):
        return ["invalid", _plain(str(error)), type(error).__name__]
    inside = error.__traceback__.tb_next if error.__traceback__ is not None else None
    headline = "".join(traceback.format_exception_only(error)).strip()
    lines = "".join(traceback.format_exception(type(error), error, inside)).splitlines()[-20:]
    return [kind_of(error), _plain("\n".join([headline, *lines])), type(error).__name__]


def kind_of(error: BaseException) -> str:
    """The class of failure that an exception of the user's code means."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return "oom"
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in ("out of memory", "RESOURCE_EXHAUSTED")):
        return "oom"
    if isinstance(error, FloatingPointError):
        return "diverged"
    if isinstance(error, CheckpointError):
        return "lost"
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
        return "lost"  # the machine's fault, not the config's
    return "crashed"


def to_number(name: str, value: Any) -> float:
    """`value` as a float: numbers, and scalars of any array library. Raises ObjectiveError that names the metric."""
    try:
        if isinstance(value, float | int):
            return float(value)
        item = getattr(value, "item", None)
        number = item() if callable(item) else value
        if not isinstance(number, str | bytes) and hasattr(type(number), "__float__"):
            return float(number)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        pass
    shown = f"{type(value).__name__} {value!r:.60}" if value is not None else "None"
    if not name:
        raise ObjectiveError(f"the training function returned {shown}", hint="Return a number or a mapping of metrics.")
    raise ObjectiveError(f"metric {name!r} is {shown}, not a number", hint="Metrics are numbers: loss=float(loss).")


def _plain(text: str) -> str:
    """`text` that every store takes: lone surrogates and null characters are replaced."""
    return text.encode("utf-8", "replace").decode().replace("\0", "?")
