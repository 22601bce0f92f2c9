"""What a method is, how its settings become JSON and come back, and whom to cite.

A method is a frozen dataclass of settings with one function, `propose`. It holds no state, clock or I/O: all that it
knows is the log of the study, all its randomness is the `rng` that it is given.
"""

from __future__ import annotations

import dataclasses
import difflib
import inspect
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from typing import Any, Protocol, runtime_checkable

import numpy as np

from tunewell.errors import StudyError
from tunewell.study import Job, Study


@runtime_checkable
class Method(Protocol):
    """A pure function from the log of one study to the next job."""

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next job; None when there is none now: with jobs pending it means wait, without it means the end.

        Raises `Unsupported` at the first proposal when the method cannot serve the study's space or goals.
        """
        ...


@cache
def plugins(group: str) -> Mapping[str, Any]:
    """The entry points of a group ("tunewell.methods", "tunewell.executors", "tunewell.stores") by name."""
    return {point.name: point for point in entry_points(group=group)}


def load(group: str, name: str) -> Any:
    """The object that an installed package registered under `name`. Raises StudyError with the nearest name."""
    known = plugins(group)
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"Did you mean {near[0]!r}?" if near else f"Known: {', '.join(sorted(known))}."
        raise StudyError(f"no {group.rpartition('.')[2].rstrip('s')} is called {name!r}", hint=hint)
    return known[name].load()


def to_json(method: Method) -> dict[str, Any]:
    """The settings of a method as plain JSON: `{"method": "Take", "n": 20, "of": {"method": "Random"}}`."""
    if not dataclasses.is_dataclass(method):
        return {"method": type(method).__name__}
    settings = {field.name: _plain(getattr(method, field.name)) for field in dataclasses.fields(method)}
    return {"method": type(method).__name__, **settings}


def _plain(value: Any) -> Any:
    if isinstance(value, Method):
        return to_json(value)
    if isinstance(value, tuple | list):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return value


def from_json(data: Any) -> Method:
    """The method that `to_json` described, or a name, or a method itself. Names are those of the entry points.

    Raises StudyError for an unknown method or setting, with the nearest right word.
    """
    if isinstance(data, str):
        data = {"method": data}
    if not isinstance(data, Mapping):
        if isinstance(data, Method):
            return data
        raise StudyError(f"{data!r} is no method", hint='Write its name, or {"method": name, setting: value, ...}.')
    if "method" not in data:
        raise StudyError(f"a method without a name: {dict(data)!r}", hint='Add "method": "Random", for example.')
    kind = load("tunewell.methods", data["method"])
    settings = {key: _settled(value) for key, value in data.items() if key != "method"}
    _check_names(kind, settings)
    for name, parameter in inspect.signature(kind).parameters.items():
        if "Method" in str(parameter.annotation) and isinstance(settings.get(name), str):
            settings[name] = from_json(settings[name])  # a bare name stands for its defaults
    method: Method = kind(**settings)
    return method


def _settled(value: Any) -> Any:
    if isinstance(value, Mapping):
        return from_json(value) if "method" in value else {key: _settled(item) for key, item in value.items()}
    return tuple(_settled(item) for item in value) if isinstance(value, tuple | list) else value


def setting_names(kind: Any) -> list[str]:
    """The names of the settings of what stands under an entry point: a class, or a function that returns a method."""
    return list(inspect.signature(kind).parameters)


def _check_names(kind: Any, settings: Mapping[str, Any]) -> None:
    known = setting_names(kind)
    for name in settings:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"It has: {', '.join(known) or 'none'}."
            raise StudyError(f"method {kind.__name__} has no setting {name!r}", hint=hint)


def inner(method: Any) -> Iterator[Any]:
    """`method` and the methods that it is made of, outermost first."""
    yield method
    if dataclasses.is_dataclass(method):
        for field in dataclasses.fields(method):
            value = getattr(method, field.name)
            for item in value if isinstance(value, tuple) else (value,):
                if isinstance(item, Method):
                    yield from inner(item)


def cite(method: Method) -> str:
    """The BibTeX entries of the methods that `method` is made of, each once. Empty where there is nothing to cite."""
    entries = (getattr(part, "reference", "") for part in inner(method))
    return "\n\n".join(dict.fromkeys(entry.strip() for entry in entries if entry.strip()))
