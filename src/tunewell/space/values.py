"""Plain JSON values: what they are, when two are the same, and the word that was meant."""

from __future__ import annotations

import copy
import difflib
import math
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tunewell.errors import SpaceError


def key(value: Any) -> Any:
    """A hashable stand-in for a JSON value that tells `True` from 1, and takes 1 and 1.0 for the same number."""
    if isinstance(value, bool):
        return (bool, value)
    if isinstance(value, list | tuple):
        return (list, *map(key, value))
    if isinstance(value, dict):
        return (dict, *((name, key(item)) for name, item in value.items()))
    return value


def plain(value: Any) -> Any:
    """Without numpy scalars and tuples, which JSON does not know; containers are copied."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, Mapping):
        return {name: plain(item) for name, item in value.items()}
    return value


def copied(value: Any) -> Any:
    """The value, as a copy where somebody could change it."""
    return copy.deepcopy(value) if isinstance(value, list | dict) else value


def plain_key(value: Any) -> Any:
    """The key of a value from outside; what JSON cannot hold gets a key that equals nothing."""
    if type(value) is str:
        return value
    try:
        found = key(plain(value))
        hash(found)
    except TypeError:
        return object()
    return found


def name_of(path: str) -> str:
    """The name that an entry has in a config, from its path."""
    return path.rpartition("/")[2]


def check_json(value: Any) -> None:
    """SpaceError for what JSON cannot hold."""
    if isinstance(value, list):
        for item in value:
            check_json(item)
    elif isinstance(value, dict):
        for name, item in value.items():
            if not isinstance(name, str):
                raise SpaceError(f"the name {name!r} is no string")
            check_json(item)
    elif not (value is None or isinstance(value, bool | int | float | str)):
        raise SpaceError(f"{value!r} is no JSON value", hint="Use None, bool, int, float, str, or lists of them.")
    elif isinstance(value, float) and not math.isfinite(value):
        raise SpaceError(f"{value!r} is no JSON number")


def finite(value: Any, what: str) -> float:
    """A finite float from a number of any kind; SpaceError which calls it `what`."""
    if type(value) is float and math.isfinite(value):  # the common case first: each job is checked
        return value
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise SpaceError(f"{what} {number!r} is not a number")
    if (isinstance(number, int) and abs(number) > 2**1000) or not math.isfinite(number):
        raise SpaceError(f"{what} {number!r} is not a finite number")
    return float(number)


def whole(value: Any, what: str) -> int:
    """An int from an integer of any kind; SpaceError which calls it `what`."""
    if type(value) is int:
        return value
    number = value.item() if isinstance(value, np.generic) else value
    if isinstance(number, bool) or not isinstance(number, int):
        raise SpaceError(f"{what} {number!r} is not an integer")
    return int(number)


def nearest_hint(word: Any, known: Iterable[Any]) -> str:
    """The known name closest to `word` as a question, or the list of them."""
    names = [str(name) for name in known]
    close = difflib.get_close_matches(str(word), names, n=1)
    return f"Did you mean {close[0]!r}?" if close else f"Known: {', '.join(names[:20])}"
