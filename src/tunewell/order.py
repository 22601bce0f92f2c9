"""Deterministic in parallel: job k sees as finished exactly the jobs up to k - W, in the order of their ids.

The order is a view of the log, so it needs no other record: a Result is shown when the jobs that may see it begin,
whatever worker was quicker. Times are hidden. A "barrier" Act, which the loop writes when a method waits for what is
still running, shows all Results so far.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tunewell.study import Act, Event, Job, Report, Result, Study


def ordered(study: Study, width: int | None) -> Study:
    """`study` as methods see it: without the reads of the test set; in a deterministic study, in its order."""
    if width is None:
        return study.derive("unsealed", lambda: _unsealed, base=True) if study.acts("vault") else study.log
    return study.derive(("ordered", width), lambda: _in_order(width), base=True)


def _unsealed(event: Event) -> Iterator[Event]:
    if not (isinstance(event, Act) and event.what == "vault"):
        yield event


def waits_for(study: Study, width: int | None) -> bool:
    """Whether the next job must wait for an older one's Result."""
    return width is not None and any(job.id <= len(study.jobs) - width for job in study.pending())


def _in_order(width: int) -> Callable[[Event], Iterator[Event]]:
    said: dict[int, list[Event]] = {}
    shown = started = 0

    def rewrite(event: Event) -> Iterator[Event]:
        nonlocal shown, started
        until = shown
        if isinstance(event, Job):
            yield event
            started = event.id + 1
        elif isinstance(event, Report | Result):
            said.setdefault(event.job, []).append(_timeless(event))
        else:
            yield from _unsealed(event)
            until = started if event.what == "barrier" else until
        until = max(until, started + 1 - width)
        while shown < until and _ended(said.get(shown)):
            yield from said.pop(shown)
            shown += 1

    return rewrite


def _ended(events: list[Event] | None) -> bool:
    return events is not None and isinstance(events[-1], Result)


def _timeless(event: Report | Result) -> Event:
    if isinstance(event, Result):
        return msgspec.structs.replace(event, seconds=0.0, attempt=1, made="")
    return msgspec.structs.replace(event, attempt=1)


def barrier() -> Act:
    """The Act that shows all Results so far."""
    return Act("barrier")
