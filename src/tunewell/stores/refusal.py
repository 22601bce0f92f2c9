"""What a store refuses, and in which words: the rules that every store shares."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence

from tunewell.errors import Conflict, Stale, StoreError, StudyError
from tunewell.events import Act, Event, Job, Report, Result

LONGEST_NAME = 200


def check_name(study: str) -> None:
    """Raise StudyError unless `study` can be the name of a study: it is data, never a path."""
    if not 1 <= len(study) <= LONGEST_NAME:
        raise StudyError(
            f"the name of a study has 1 to {LONGEST_NAME} characters, not {len(study)}",
            hint="Give it a shorter name." if study else "Give it a name.",
        )
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in study):
        raise StudyError(f"the name {study!r} holds a control character", hint="Use visible characters and spaces.")


def is_opening(event: Event) -> bool:
    """Whether `event` is the first one of a log."""
    return isinstance(event, Act) and event.what == "open"


def count_jobs(study: str, events: Sequence[Event], jobs: int) -> int:
    """How many jobs the study has after `events`, `jobs` before. Raises where an id does not fit."""
    for event in events:
        if isinstance(event, Job):
            if event.id != jobs:
                raise Conflict(
                    f"study {study!r}: job {event.id} is not the next one, which is {jobs}",
                    hint="Read the log again and decide anew.",
                )
            jobs += 1
        elif not isinstance(event, Act) and not 0 <= event.job < jobs:
            raise StoreError(
                f"study {study!r} has no job {event.job}", hint="A job is appended before what it says and how it ends."
            )
    return jobs


def attempts_of(events: Sequence[Event]) -> dict[int, int]:
    """The lowest attempt that speaks for each job in `events`."""
    lowest: dict[int, int] = {}
    for event in events:
        if isinstance(event, Report | Result):
            lowest[event.job] = min(event.attempt, lowest.get(event.job, event.attempt))
    return lowest


def check_attempts(study: str, spoken: Mapping[int, int], newest: Mapping[int, int]) -> None:
    """Raise Stale where an attempt in `spoken` is older than the newest one claimed."""
    for job, attempt in spoken.items():
        if attempt < newest.get(job, 0):
            raise Stale(
                f"study {study!r}: attempt {attempt} of job {job} is over, attempt {newest[job]} has it",
                hint="What the older attempt says is of no use any more: let it end.",
            )


def check_opening(study: str, events: Sequence[Event]) -> None:
    """Raise Conflict where a log would be opened a second time by its own events."""
    if any(map(is_opening, events[1:])):
        raise taken(study)


def taken(study: str) -> Conflict:
    """The error for a name that another study has."""
    return Conflict(f"there is a study {study!r} already", hint="Continue that one, or choose another name.")


def missing(study: str) -> StoreError:
    """The error for a study that does not exist."""
    return StoreError(
        f"there is no study {study!r}", hint="Look for a typing error; a log starts with its opening Act."
    )


def has_result(study: str, jobs: Sequence[int]) -> Conflict:
    """The error for a second Result; `jobs` are those that were to get one."""
    which = f"job {jobs[0]} has its" if len(jobs) == 1 else f"one of the jobs {', '.join(map(str, jobs))} has its"
    return Conflict(f"study {study!r}: {which} Result already", hint="Read the log again: a job ends once.")
