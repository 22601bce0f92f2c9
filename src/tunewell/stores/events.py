"""Events as JSON text and back: the only place that knows how a log is written."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from tunewell.errors import StoreError
from tunewell.events import Act, Event, Job, Report, Result

FORMAT = 1
"""The version of the JSON forms; it rises when an older tunewell could not read what a newer one writes."""


class Row(NamedTuple):
    """An event as a store keeps it. `job` is the job that it is about; None for an Act."""

    kind: str
    job: int | None
    body: str


_encode = msgspec.json.Encoder().encode

# Not strict where only numbers can be meant: that is what turns "nan" and "inf" back. Text stays text in any case.
_DECODE: dict[str, Callable[[str], Event]] = {
    "act": msgspec.json.Decoder(Act).decode,
    "job": msgspec.json.Decoder(Job).decode,
    "report": msgspec.json.Decoder(Report, strict=False).decode,
    "result": msgspec.json.Decoder(Result, strict=False).decode,
}


def encode(event: Event) -> Row:
    """The row of `event`. Raises StoreError where JSON has no form for something in it."""
    try:
        body = _encode(event)
        if body.count(b"null") > _nones(event) and not _is_finite(event):
            body = _encode(_spelled(msgspec.to_builtins(event)))
        text = body.decode()
    except (TypeError, ValueError, RecursionError) as error:
        raise StoreError(
            f"this {type(event).__name__} cannot be kept as JSON: {error}",
            hint="Configs, metrics and notes are plain numbers, text, true or false, None, lists and mappings: "
            "write float(x) for a number of another library.",
        ) from error
    kind = type(event).__name__.lower()
    return Row(kind, None if isinstance(event, Act) else event.id if isinstance(event, Job) else event.job, text)


def decode(kind: str, body: str) -> Event:
    """The event of a row."""
    return _DECODE[kind](body)


def _nones(event: Event) -> int:
    """How many fields of an event are None: further nulls in its text may stand for numbers that are not finite."""
    if isinstance(event, Job):
        return event.parent is None
    if isinstance(event, Report):
        return event.saved is None
    return (event.error is None) + (event.saved is None) + (event.gradient is None) if isinstance(event, Result) else 0


def _is_finite(event: Event) -> bool:
    if isinstance(event, Job):
        return _all_finite(event.config)
    if isinstance(event, Report):
        return _all_finite(event.values)
    if isinstance(event, Result):
        return _all_finite((event.metrics, event.seconds, event.std, event.gradient))
    return _all_finite(event.data)


def _all_finite(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    if isinstance(value, dict):
        return all(map(_all_finite, value.values()))
    return not isinstance(value, list | tuple) or all(map(_all_finite, value))


def _spelled(value: Any) -> Any:
    """`value` with "nan", "inf" and "-inf" for the floats that JSON lacks (msgspec would write null)."""
    if isinstance(value, float):
        return value if math.isfinite(value) else str(float(value))
    if isinstance(value, dict):
        return {key: _spelled(item) for key, item in value.items()}
    return [_spelled(item) for item in value] if isinstance(value, list | tuple) else value
