"""A study as a TOML or JSON file.

    name = "digits"                    # left out: the name of the file
    objective = "train.py:train"       # or "package.module:function"; or command = ["python", "train.py", "--lr", "{lr}"]
    minimize = "loss"                  # or maximize; a list for several; {metric = "loss", over = "best"}
    store = "tune.db"                  # relative to the file, or a database URL
    steps = 27                         # or {minimum = 1, maximum = 27, unit = "epochs"}
    method = "Random"                  # or {method = "Then", first = {...}, second = {...}}
    workers = 2

    [limits]                           # trials, steps, seconds, compute_seconds, cost, target
    trials = 50

    [space.lr]
    type = "float"
    low = 1e-5
    high = 1e-1
    log = true

    [executor]                         # settings of worker processes: wall_limit, memory_limit, gpus, ...
    wall_limit = 600

Reading a file checks all of it and runs nothing: `FileError` names the file, the line and the nearest right word. Only
`load_objective` imports code of the user's, and the command line asks before it calls that.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import inspect
import json
import re
import sys
import tomllib
import traceback
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from tunewell.errors import FileError, ObjectiveError, SpaceError, TunewellError
from tunewell.method import Method, from_json, load
from tunewell.space import Space
from tunewell.space.entry import nearest_hint
from tunewell.study import Goal, Limits, Steps

Keys: TypeAlias = "tuple[str | int, ...]"
"""A place in a file: the keys and indices that lead to it."""

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Goals: TypeAlias = str | Goal | tuple[str | Goal, ...]


class StudyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a study file says. `path` is the file; the rest are its keys, as `tunewell.tune` takes them."""

    path: Path
    name: str
    space: Space
    objective: str = ""
    command: tuple[str, ...] = ()
    minimize: Goals = ()
    maximize: Goals = ()
    at_most: dict[str, float] = {}
    store: str | None = None
    steps: Positive | Steps = 1
    method: str | dict[str, Any] | Method | None = None
    limits: Limits = Limits()
    workers: Positive = 1
    seed: Natural | None = None
    deterministic: Positive | None = None
    retry: dict[str, Positive] = {}
    save_every: float = 30.0
    executor: dict[str, Any] = {}

    @property
    def folder(self) -> Path:
        """The folder of the file: what stands in it is relative to that."""
        return self.path.parent


_KINDS: dict[str, Any] = {
    name: kind for name, kind in typing.get_type_hints(StudyFile, include_extras=True).items() if name != "path"
} | {"space": dict[str, Any], "executor": dict[str, Any]}
_NESTED: dict[str, tuple[str, ...]] = {
    "steps": Steps.__struct_fields__,
    "limits": Limits.__struct_fields__,
    "minimize": ("metric", "over"),
    "maximize": ("metric", "over"),
}


def read(path: str | Path) -> StudyFile:
    """The study file at `path` (`.toml` or `.json`), checked in full. Raises FileError."""
    source = Source(Path(path))
    source.known(source.data, tuple(_KINDS), ())
    given = {key: source.convert(value, _KINDS[key], (key,)) for key, value in source.data.items()}
    _check_goals(source)
    _check_what_runs(source, given)
    given["space"] = _space(source)
    if "method" in given:
        given["method"] = _method(source, given["method"], ("method",))
    _check_executor(source, given.get("executor", {}))
    return StudyFile(**{"name": source.path.stem, **given, "path": source.path})


# --- where things stand in the text -------------------------------------------------------------------------------------


class Source:
    """The data of a file, and the line of everything in it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        text = self._text()
        try:
            self.data = self._parse(text)
            self.lines, twice = lines_of(text, toml=path.suffix == ".toml")
        except RecursionError:
            raise FileError(f"{path}: nested too deeply") from None
        if twice:
            raise self.error(twice[0], f"the key {twice[0][-1]!r} stands here twice")

    def _text(self) -> str:
        if self.path.suffix not in (".toml", ".json"):
            raise FileError(f"{self.path} is no study file", hint="A study file ends in .toml or .json.")
        try:
            return self.path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise FileError(f"{self.path} is not text in UTF-8") from None
        except OSError as error:
            raise FileError(f"{self.path} cannot be read: {error.strerror}") from None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            data = tomllib.loads(text) if self.path.suffix == ".toml" else json.loads(text)
        except json.JSONDecodeError as error:
            raise FileError(f"{self.path}:{error.lineno}: {error.msg}") from None
        except tomllib.TOMLDecodeError as error:
            message, _, place = str(error).partition(" (at ")
            line = re.match(r"line (\d+)", place)
            number = line[1] if line else text.rstrip().count("\n") + 1
            raise FileError(f"{self.path}:{number}: {message}") from None
        if not isinstance(data, dict):
            raise FileError(f"{self.path}:1: a study is a mapping, not {data!r}")
        return data

    def line(self, keys: Keys) -> int:
        """The line of a key, or of what it would stand in."""
        return next((self.lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in self.lines), 1)

    def error(self, keys: Keys, message: str, hint: str = "") -> FileError:
        """An error at a place."""
        return FileError(f"{self.path}:{self.line(keys)}: {message}", hint=hint)

    def known(self, data: Mapping[str, Any], names: Sequence[str], at: Keys) -> None:
        """Raise FileError for the first key that is none of `names`."""
        for key in data:
            if key not in names:
                belongs = not at and key in Limits.__struct_fields__
                hint = f"It belongs under [limits]." if belongs else nearest_hint(key, names)
                raise self.error((*at, key), f"unknown key {key!r}{_under(at)}", hint)

    def convert(self, value: Any, kind: Any, at: Keys) -> Any:
        """`value` as `kind`; FileError where it is something else, or its keys are unknown."""
        if typing.get_origin(kind) is dict and isinstance(value, dict):
            inner = typing.get_args(kind)[1]
            return {key: self.convert(item, inner, (*at, key)) for key, item in value.items()}
        for keys, table in _tables(value, at):
            if at[0] in _NESTED:
                self.known(table, _NESTED[str(at[0])], keys)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise self._wrong(error, value, at) from None

    def _wrong(self, error: msgspec.ValidationError, value: Any, at: Keys) -> FileError:
        """What msgspec found, in words; or what a check of ours said."""
        if isinstance(error.__cause__, TunewellError):
            return self.error(at, error.__cause__.message, error.__cause__.hint)
        what, _, place = str(error).partition(" - at `$")
        for step in re.findall(r"\.(\w+)|\[(\d+)\]", place):
            key = step[0] or int(step[1])
            at, value = (*at, key), value[key] if isinstance(key, int) or key in value else value
        expected = re.match(r"Expected `(.+?)`( >= \d+)?", what)
        if expected is None:
            return self.error(at, f"{_dotted(at)}: {what}")
        words = " or ".join(_WORDS.get(word, word) for word in expected[1].split(" | ") if word != "null")
        return self.error(at, f"{_dotted(at)}: expected {words}{expected[2] or ''}, not {value!r}")


_WORDS = {"int": "an integer", "float": "a number", "str": "text", "bool": "true or false", "object": "a table", "array": "a list"}


def _tables(value: Any, at: Keys) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """`value` and its items, where they are tables."""
    for keys, item in [(at, value), *(((*at, i), item) for i, item in enumerate(value if isinstance(value, list) else ()))]:
        if isinstance(item, dict):
            yield keys, item


def _dotted(keys: Keys) -> str:
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


def _under(at: Keys) -> str:
    return f" under {_dotted(at)!r}" if at else ""


_TOKEN = re.compile(
    r'(?P<text>"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\')'
    r"|(?P<comment>\#[^\n]*)|(?P<mark>[\[\]{}=:,.\n])|(?P<word>[^\s\[\]{}=:,.#\"']+)",
    re.DOTALL,
)


def lines_of(text: str, *, toml: bool) -> tuple[dict[Keys, int], list[Keys]]:
    """The line of each key and item of a valid TOML or JSON text, and the keys that stand there twice (JSON allows it)."""
    scanner = _Scanner(text)
    if toml:
        scanner.statements()
    else:
        scanner.skip_lines()
        scanner.value(())
    return scanner.lines, [] if toml else scanner.twice


class _Scanner:
    """Walks over the tokens of a text that a real parser has accepted, so that it need not be strict."""

    def __init__(self, text: str) -> None:
        self.tokens: list[tuple[str, int]] = []
        number, last = 1, 0
        for found in _TOKEN.finditer(text):
            number, last = number + text.count("\n", last, found.start()), found.start()
            if found.lastgroup != "comment":
                self.tokens.append((found[0], number))
        self.tokens.append(("", number))
        self.at = 0
        self.lines: dict[Keys, int] = {}
        self.twice: list[Keys] = []

    @property
    def token(self) -> str:
        return self.tokens[self.at][0]

    def take(self) -> str:
        self.at += 1
        return self.tokens[self.at - 1][0]

    def skip_lines(self) -> None:
        while self.token == "\n":
            self.take()

    def mark(self, keys: Keys) -> None:
        """The place `keys` is at the present token; of several mentions the first counts."""
        if keys in self.lines:
            self.twice.append(keys)
        self.lines.setdefault(keys, self.tokens[self.at][1])

    def statements(self) -> None:
        """TOML: headers and assignments."""
        table: Keys = ()
        counts: dict[Keys, int] = {}
        while self.token:
            if self.token == "\n":
                self.take()
            elif self.token == "[":
                table = self.header(counts)
            else:
                self.assignment(table)

    def header(self, counts: dict[Keys, int]) -> Keys:
        self.take()
        is_array = self.token == "["
        if is_array:
            self.take()
        keys: Keys = ()
        for key in self.key():
            keys = self.inside((*keys, key), counts)
        if is_array:
            keys = keys[:-1] if isinstance(keys[-1], int) else keys
            counts[keys] = counts.get(keys, -1) + 1
            keys = (*keys, counts[keys])
        self.mark(keys)
        self.at += 1 + is_array
        return keys

    def inside(self, keys: Keys, counts: dict[Keys, int]) -> Keys:
        """`keys`, and the number of the newest item where they name an array of tables."""
        self.mark(keys)
        return (*keys, counts[keys]) if keys in counts else keys

    def assignment(self, table: Keys) -> None:
        """`a.b = value` of TOML or `"a": value` of JSON."""
        start = self.at
        keys = self.key()
        after, self.at = self.at, start
        for end in range(1, len(keys) + 1):
            self.mark((*table, *keys[:end]))
        self.at = after + 1
        self.skip_lines()
        self.value((*table, *keys))

    def key(self) -> list[str]:
        """The parts of a key with dots."""
        parts = [_unquoted(self.take())]
        while self.token == ".":
            self.take()
            parts.append(_unquoted(self.take()))
        return parts

    def value(self, at: Keys) -> None:
        if self.token == "{":
            self.items("}", lambda number: self.assignment(at))
        elif self.token == "[":
            self.items("]", lambda number: self.item((*at, number)))
        else:
            while self.token not in (",", "]", "}", "\n", ""):
                self.take()

    def items(self, end: str, read_one: Callable[[int], None]) -> None:
        self.take()
        number = 0
        while self.token not in (end, ""):
            if self.token in (",", "\n"):
                self.take()
            else:
                read_one(number)
                number += 1
        self.take()

    def item(self, at: Keys) -> None:
        self.mark(at)
        self.value(at)


def _unquoted(token: str) -> str:
    try:
        return str(json.loads(token)) if token.startswith('"') else token.strip("'")
    except ValueError:  # an escape that only TOML knows
        return token.strip('"')


# --- the parts ----------------------------------------------------------------------------------------------------------


def _check_goals(source: Source) -> None:
    from tunewell.live import goals_of

    data = {key: source.convert(source.data[key], _KINDS[key], (key,)) for key in _GOALS if key in source.data}
    if not {"minimize", "maximize"} & data.keys():
        raise source.error((), "the study has no goal", 'Write minimize = "loss" or maximize = "accuracy".')
    try:
        goals_of(data.get("minimize", ()), data.get("maximize", ()), data.get("at_most", {}))
    except TunewellError as error:
        raise source.error((next(key for key in reversed(source.data) if key in _GOALS),), error.message, error.hint) from None


_GOALS = ("minimize", "maximize", "at_most")
