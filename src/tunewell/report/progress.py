"""What the loop shows while it runs: a few lines on a terminal, a plain line now and then in a log file.

The watcher that the study calls only counts; a thread of its own draws what was counted. It reads neither the store nor
the study's tables, so that it never waits for the loop nor the loop for it.
"""

from __future__ import annotations

import logging
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, TextIO

from tunewell import budget
from tunewell.report import text
from tunewell.study import Act, Event, Goal, Job, Report, Result, Study

if TYPE_CHECKING:
    from tunewell.live import LiveStudy

log = logging.getLogger("tunewell")

DELAY = 1.0
"""Seconds before anything is shown: a quick run needs no display."""
REFRESH = 0.25
"""Least seconds between two pictures on a terminal."""
LINES = 10.0
"""Seconds between two plain lines."""
SHARE = 0.01
"""The share of the time that drawing may take."""

_terminal = threading.Lock()  # held by the one display that draws on the terminal; others print lines


@contextmanager
def watching(study: LiveStudy, progress: bool | None = None) -> Iterator[None]:
    """Show how `study` gets on, on stderr, while the block runs.

    None: lines that renew themselves on a terminal, a plain line every ten seconds elsewhere, nothing in a run shorter
    than a second. True: from the first moment. False: nothing. A study that is watched already is not watched twice.
    """
    if progress is False or sys.stderr is None or any(isinstance(watcher, Counter) for watcher in study.watchers):
        yield
        return
    counter = Counter(study)
    study.watchers.append(counter)
    shower = _Shower(counter, sys.stderr, delay=0.0 if progress else DELAY)
    shower.start()
    try:
        yield
        shower.ended = "finished"
    finally:
        study.watchers.remove(counter)
        shower.stop()


class Counter:
    """Counts events as they are committed. Called by the loop's thread, read by another; each field is one number."""

    def __init__(self, study: Study) -> None:
        self.study = study
        self.began = time.monotonic()
        self.jobs = self.ended = self.finished = self.failed = self.steps = self.restarts = 0
        self.compute_seconds = self.cost = 0.0
        self.seconds = budget.spent(study).seconds if len(study) else 0.0
        self.best, self.best_job, self._until = math.inf, -1, 0
        self._running: dict[int, Job] = {}
        self._partial: dict[int, int] = {}  # steps that running jobs have reported
        self._goal = study.objectives[0] if study.objectives else Goal("loss")
        self._is_plain = self._goal.over == "last" and not any(goal.is_constraint for goal in study.goals)
        past: tuple[Event, ...] = (*study.jobs.values(), *study.results.values(), *study.acts("restart"))
        for event in past:
            self(study, event)
        self.first_fraction = self.fraction()

    def __call__(self, study: Study, event: Event) -> None:
        """Count one event. The quickest loops run ten thousand trials a second: this takes about a microsecond each."""
        kind = type(event)
        if kind is Report:
            self._add_report(event)  # type: ignore[arg-type]
        elif kind is Result:
            self._add_result(study, event)  # type: ignore[arg-type]
        elif kind is Job:
            self.jobs += 1
            self._running[event.id] = event  # type: ignore[union-attr, assignment]
        elif kind is Act and event.what == "restart":  # type: ignore[union-attr]
            self.restarts += 1

    def _add_report(self, report: Report) -> None:
        self.steps += len(report.steps)
        self._partial[report.job] = self._partial.get(report.job, 0) + len(report.steps)

    def _add_result(self, study: Study, result: Result) -> None:
        job = self._running.pop(result.job)
        self.ended += 1
        self.compute_seconds += result.seconds
        self.cost += result.metrics.get("cost", 0.0)
        if job.parent is None:
            self.finished += budget.counts_as_trial(job)
            self.steps += job.until
        else:
            self.steps += study.reserved(job)
        if self._partial:
            self.steps -= self._partial.pop(job.id, 0)
        if result.status == "done":
            self._add_value(study, job, result)
        elif result.status == "failed":
            self.failed += 1

    def _add_value(self, study: Study, job: Job, result: Result) -> None:
        """As in `Study.best`, only what reached the largest `until` is ranked."""
        if job.until < self._until or not (self._is_plain or study.feasible(job.id)):
            return
        if self._is_plain:
            value = result.metrics.get(self._goal.metric, math.nan)
            loss = -value if self._goal.maximize else value
        else:
            loss = study.loss(job.id)
        if job.until > self._until or loss < self.best:
            self._until, self.best, self.best_job = job.until, loss, job.id

    # --- what follows from the counts; for the thread that draws ------------------------------------------------------

    @property
    def running(self) -> int:
        """Jobs that have begun and have not ended."""
        return self.jobs - self.ended

    @property
    def elapsed(self) -> float:
        """Seconds since this process began."""
        return time.monotonic() - self.began

    @property
    def value(self) -> float:
        """The best value so far as the user measures it; NaN before the first."""
        if not math.isfinite(self.best):
            return math.nan
        return -self.best if self._goal.maximize else self.best

    @property
    def best_trial(self) -> int:
        """The trial that the best job belongs to: the first job of its lineage with the same config and seed."""
        jobs = self.study.jobs
        job = jobs[self.best_job]
        while job.parent is not None and (jobs[job.parent].config, jobs[job.parent].seed) == (job.config, job.seed):
            job = jobs[job.parent]
        return job.id

    @property
    def metric(self) -> str:
        """The name of the metric that ranks."""
        return text.plain(self._goal.metric)

    def spent(self) -> dict[str, float]:
        """What was used of each limit."""
        return {
            "trials": self.finished,
            "steps": self.steps,
            "seconds": self.seconds + self.elapsed,
            "compute_seconds": self.compute_seconds,
            "cost": self.cost,
        }

    def fraction(self) -> float | None:
        """How much of the tightest limit is used; None without a limit."""
        limits = self.study.settings.limits
        shares = [used / limit for name, used in self.spent().items() if (limit := getattr(limits, name))]
        return min(max(shares), 1.0) if shares else None

    def left(self) -> float | None:
        """An estimate of the seconds left, from the pace of this session; None where nothing tells."""
        now, first = self.fraction(), self.first_fraction or 0.0
        if now is None or now <= first:
            return None
        return self.elapsed * (1 - now) / (now - first)


# --- in words ---------------------------------------------------------------------------------------------------------


def counts(counter: Counter) -> list[str]:
    """`23 of 50 trials`, `2 running`, `1 failed`, `412 steps`, what is used of other limits."""
    limits, unit = counter.study.settings.limits, counter.study.settings.steps
    words = [_of(counter.finished, limits.trials, "trials")]
    if counter.running:
        words.append(f"{counter.running} running")
    words += _setbacks(counter)
    if unit.maximum > 1 or limits.steps:
        words.append(_of(counter.steps, limits.steps, text.plain(unit.unit)))
    if limits.compute_seconds:
        words.append(f"{text.duration(counter.compute_seconds)} of {text.duration(limits.compute_seconds)} computing")
    if limits.cost:
        words.append(f"cost {counter.cost:.4g} of {limits.cost:.4g}")
    return words


def _setbacks(counter: Counter) -> list[str]:
    failed = [f"{counter.failed} failed"] if counter.failed else []
    return failed + ([f"{text.count(counter.restarts, 'restarts')} from step 0"] if counter.restarts else [])


def _of(used: int, limit: int | None, noun: str) -> str:
    return f"{used:,} of {limit:,} {noun}" if limit else text.count(used, noun)


def best(counter: Counter) -> str:
    """`best loss 0.0423 (trial 31)`."""
    if math.isnan(counter.value):
        return f"no {counter.metric} yet"
    return f"best {counter.metric} {text.number(counter.value, 5)} (trial {counter.best_trial})"


def clock(counter: Counter) -> str:
    """`42 s, about 31 s left`."""
    limit, left = counter.study.settings.limits.seconds, counter.left()
    spent = text.duration(round(counter.elapsed)) + (f" (limit {text.duration(limit)})" if limit else "")
    return spent + (f", about {text.duration(round(left))} left" if left is not None and left >= 1 else "")


def line(counter: Counter) -> str:
    """All of it on one plain line."""
    return f"{text.plain(counter.study.name)}: {', '.join([*counts(counter), best(counter), clock(counter)])}"


def summary(counter: Counter, ended: str) -> str:
    """The last line."""
    words = [text.count(counter.finished, "trials"), *_setbacks(counter), text.duration(counter.elapsed)]
    return f"{text.plain(counter.study.name)}: {ended}: {', '.join(words)}; {best(counter)}"


# --- on the screen ----------------------------------------------------------------------------------------------------


class _Shower:
    """The thread that draws, and what it draws on."""

    def __init__(self, counter: Counter, stream: TextIO, delay: float) -> None:
        self.counter = counter
        self.stream = stream
        self.delay = delay
        self.ended = "stopped"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="tunewell-progress", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; it says the last word itself, so that two threads never write at once."""
        self._stopping.set()
        self._thread.join(timeout=5.0)

    def _run(self) -> None:
        if self._stopping.wait(self.delay) and self.delay:
            return
        try:
            self._show()
            print(summary(self.counter, self.ended), file=self.stream, flush=True)
        except Exception:  # a closed terminal, a full disk: what is shown must never end the run
            log.debug("the progress display stopped", exc_info=True)

    def _show(self) -> None:
        if not _is_terminal(self.stream) or not _terminal.acquire(blocking=False):
            return self._lines()
        try:
            self._live()
        finally:
            _terminal.release()

    def _lines(self) -> None:
        """A line at once and then every ten seconds, while there is something new to say."""
        said = None
        while not self._stopping.is_set():
            if (news := (self.counter.steps, self.counter.jobs, self.counter.ended)) != said:
                print(line(self.counter), file=self.stream, flush=True)
            said = news
            self._stopping.wait(LINES)

    def _live(self) -> None:
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self.stream)
        # What the user prints on a terminal goes above the display; what goes to a file stays there.
        to_screen = _is_terminal(sys.stdout)
        live = Live(console=console, auto_refresh=False, transient=True, redirect_stdout=to_screen)
        with live, _handlers_follow(self.stream):
            while not self._stopping.wait(self._draw(live.update)):
                pass

    def _draw(self, update: Callable[..., None]) -> float:
        """Draw once; returns the seconds to wait, so that drawing takes at most its share of the time.

        Never more than a second: the first picture costs the import of what draws it.
        """
        began = time.thread_time()
        update(picture(self.counter), refresh=True)
        return min(max(REFRESH, (time.thread_time() - began) / SHARE), 1.0)


def _is_terminal(stream: Any) -> bool:
    with suppress(AttributeError, ValueError):  # a closed stream, or something that only looks like one
        return bool(stream.isatty()) and os.environ.get("TERM") != "dumb"
    return False


@contextmanager
def _handlers_follow(stream: TextIO) -> Iterator[None]:
    """Log handlers that hold `stream` write through its stand-in, so that their lines are not drawn over."""
    handlers = [
        handler
        for logger in (logging.getLogger(), log)
        for handler in logger.handlers
        if isinstance(handler, logging.StreamHandler) and handler.stream is stream
    ]
    for handler in handlers:
        handler.setStream(sys.stderr)
    try:
        yield
    finally:
        for handler in handlers:
            handler.setStream(stream)


def picture(counter: Counter) -> Any:
    """The lines of the live display, as something that rich draws."""
    from rich.console import Group
    from rich.progress_bar import ProgressBar
    from rich.table import Table
    from rich.text import Text

    def words(*parts: tuple[str, str]) -> Text:
        return Text.assemble(*parts, no_wrap=True, overflow="ellipsis")

    settings = counter.study.settings
    title = words(
        (text.plain(counter.study.name), "bold"),
        (f"  {text.method_of(counter.study)}, {text.goals(settings.goals)}", "dim"),
    )
    fraction = counter.fraction()
    bar = Table.grid(padding=(0, 1))
    bar.add_row(
        ProgressBar(total=1.0, completed=fraction or 0.0, width=24, pulse=fraction is None),
        words((f"{100 * fraction:3.0f} %  " if fraction is not None else "", ""), (clock(counter), "")),
    )
    return Group(title, bar, words((best(counter), "bold green"), ("  " + " · ".join(counts(counter)), "")))
