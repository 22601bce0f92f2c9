"""A study as a TOML or JSON file.

    name = "digits"                  # left out: the name of the file
    objective = "train.py:train"     # or "package.module:function"; or command = ["python", "train.py", "--lr", "{lr}"]
    minimize = "loss"                # or maximize; several in a list; or {metric = "loss", over = "best"}
    at_most = {latency = 20}         # constraints on metrics
    store = "tune.db"                # relative to the file, or the URL of a database
    steps = 27                       # or {minimum = 1, maximum = 27, unit = "epochs"}
    method = "Random"                # or {method = "Then", first = {...}, second = {...}}
    workers = 2                      # also: seed, deterministic, retry = {ConnectionError = 3}, save_every

    [limits]                         # trials, steps, seconds, compute_seconds, cost, target
    trials = 50

    [space.lr]                       # and [space.constraints], [space.known]
    type = "float"
    low = 1e-5
    high = 1e-1
    log = true

    [executor]                       # settings of the worker processes
    wall_limit = 600

Reading a file checks all of it and runs nothing: a `FileError` names the file, the line and the nearest right word.
"""

from __future__ import annotations

import inspect
import json
import re
import tomllib
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import msgspec
import numpy as np

from tunewell.errors import FileError, ObjectiveError, SpaceError, TunewellError
from tunewell.executors import command as commands
from tunewell.lines import Keys, lines_of
from tunewell.live import goals_of
from tunewell.method import Method, from_json, load, setting_names
from tunewell.space import Space
from tunewell.space.values import nearest_hint
from tunewell.study import Goal, Limits, Steps

Positive: TypeAlias = Annotated[int, msgspec.Meta(ge=1)]
Natural: TypeAlias = Annotated[int, msgspec.Meta(ge=0)]
Goals: TypeAlias = str | Goal | tuple[str | Goal, ...]


class StudyFile(msgspec.Struct, frozen=True, kw_only=True):
    """What a study file says: its keys, as `tunewell.tune` takes them; `path` is the file itself."""

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
    method: str | dict[str, Any] | None = None
    limits: Limits = Limits()
    workers: Positive | None = None
    seed: Natural | None = None
    deterministic: Positive | None = None
    retry: dict[str, Positive] = {}
    save_every: float = 30.0
    executor: dict[str, Any] = {}


_KINDS: dict[str, Any] = {
    **{name: kind for name, kind in typing.get_type_hints(StudyFile, include_extras=True).items() if name != "path"},
    "space": dict[str, Any],
}
_TABLES: dict[str, Sequence[str]] = {
    "steps": Steps.__struct_fields__,
    "limits": Limits.__struct_fields__,
    "minimize": ("metric", "over"),
    "maximize": ("metric", "over"),
}
_WORDS = {"int": "an integer", "float": "a number", "str": "text", "object": "a table", "array": "a list"}
_WORDS |= {"bool": "true or false", "null": "nothing"}


def read(path: str | Path) -> StudyFile:
    """The study file at `path` (`.toml` or `.json`), checked in full. Raises FileError."""
    source = Source(Path(path))
    source.check_keys(source.data, list(_KINDS), ())
    given = {key: source.convert(value, _KINDS[key], (key,)) for key, value in source.data.items()}
    _check_goals(source, given)
    _check_objective(source, given)
    given["space"] = _space(source)
    _check_command(source, given)
    if "method" in given:
        _check_method(source, given["method"], ("method",))
    _check_executor(source, given.get("workers"), given.get("executor", {}))
    return StudyFile(**{"name": source.path.stem, **given, "path": source.path})


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
            keys, line = twice[0]
            raise FileError(f"{path}:{line}: the key {dotted(keys)!r} stands here for the second time")

    def _text(self) -> str:
        if self.path.suffix not in (".toml", ".json"):
            raise FileError(f"{self.path} is no study file", hint="The name of a study file ends in .toml or .json.")
        try:
            return self.path.read_bytes().decode("utf-8-sig").replace("\r\n", "\n")
        except UnicodeDecodeError:
            raise FileError(f"{self.path} is not text in UTF-8") from None
        except OSError as error:
            raise FileError(f"{self.path}: {error.strerror}") from None

    def _parse(self, text: str) -> dict[str, Any]:
        try:
            data = tomllib.loads(text) if self.path.suffix == ".toml" else json.loads(text)
        except json.JSONDecodeError as error:
            raise FileError(f"{self.path}:{error.lineno}: {error.msg}") from None
        except tomllib.TOMLDecodeError as error:
            message, _, place = str(error).partition(" (at ")
            line = re.match(r"line (\d+)", place)
            number = int(line[1]) if line else text.rstrip().count("\n") + 1
            raise FileError(f"{self.path}:{number}: {message}") from None
        except ValueError as error:  # a number of more than 4300 digits
            raise FileError(f"{self.path}: {error}") from None
        if not isinstance(data, dict):
            raise FileError(f"{self.path}:1: a study is a mapping, not a {type(data).__name__}")
        return data

    def line(self, keys: Keys) -> int:
        """The line of a key, or of the innermost table around it."""
        return next((self.lines[keys[:end]] for end in range(len(keys), 0, -1) if keys[:end] in self.lines), 1)

    def error(self, keys: Keys, message: str, hint: str = "") -> FileError:
        """An error that stands at a place."""
        return FileError(f"{self.path}:{self.line(keys)}: {message}", hint=hint)

    def check_keys(self, table: Mapping[str, Any], names: Sequence[str], at: Keys) -> None:
        """Raise FileError for the first key that is none of `names`."""
        for key in table:
            if key not in names:
                misplaced = not at and key in Limits.__struct_fields__
                hint = f"Write it under [limits]: {key} = ..." if misplaced else nearest_hint(key, names)
                raise self.error((*at, key), f"unknown key {key!r}" + (f" in {dotted(at)!r}" if at else ""), hint)

    def convert(self, value: Any, kind: Any, at: Keys) -> Any:
        """`value` as a `kind`; FileError where it is something else, or a key in it is unknown."""
        if typing.get_origin(kind) is dict and isinstance(value, dict):
            inner = typing.get_args(kind)[1]
            return {key: self.convert(item, inner, (*at, key)) for key, item in value.items()}
        if len(at) == 1 and at[0] in _TABLES:
            for keys, table in _tables(value, at):
                self.check_keys(table, _TABLES[str(at[0])], keys)
        try:
            return msgspec.convert(value, kind)
        except msgspec.ValidationError as error:
            raise self._wrong(error, value, at) from None

    def _wrong(self, error: msgspec.ValidationError, value: Any, at: Keys) -> FileError:
        """What msgspec found, in our words; or what a check of ours said."""
        if isinstance(error.__cause__, TunewellError):
            return self.error(at, error.__cause__.message, error.__cause__.hint)
        what, _, place = str(error).partition(" - at `$")
        for name, index in re.findall(r"\.(\w+)|\[(\d+)\]", place):
            key = name or int(index)
            at, value = (*at, key), value[key]
        expected = re.match(r"Expected `(.+?)`( >= \d+)?", what)
        if expected is None:
            return self.error(at, f"{dotted(at)} = {value!r}: {what.lower()}")
        words = " or ".join(_WORDS.get(word, word) for word in expected[1].split(" | ") if word != "null")
        return self.error(at, f"{dotted(at)} = {value!r}: {words}{expected[2] or ''} is expected")


def _tables(value: Any, at: Keys) -> Iterator[tuple[Keys, dict[str, Any]]]:
    """`value` itself or its items, where they are tables, and their places."""
    items = [((*at, index), item) for index, item in enumerate(value)] if isinstance(value, list) else [(at, value)]
    return ((keys, item) for keys, item in items if isinstance(item, dict))


def dotted(keys: Keys) -> str:
    """A place as people write it: `method.first.n`, `minimize[1]`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in keys).removeprefix(".")


# --- the parts of a file --------------------------------------------------------------------------------------------


def _check_goals(source: Source, given: Mapping[str, Any]) -> None:
    goals = {key: given[key] for key in ("minimize", "maximize", "at_most") if given.get(key)}
    if not {"minimize", "maximize"} & goals.keys():
        raise source.error((), "the study has no goal", 'Write minimize = "loss" or maximize = "accuracy".')
    try:
        goals_of(goals.get("minimize", ()), goals.get("maximize", ()), goals.get("at_most", {}))
    except TunewellError as error:
        raise source.error(_last_of(source, goals), error.message, error.hint) from None


def _check_objective(source: Source, given: Mapping[str, Any]) -> None:
    """One of `objective` and `command`, or none: then the command line gives it."""
    if "objective" in given and "command" in given:
        raise source.error(_last_of(source, ("objective", "command")), "objective and command", "Write one of them.")
    if "objective" in given and not re.fullmatch(r".+:[^\W\d]\w*(\.[^\W\d]\w*)*", given["objective"]):
        hint = 'Write "file.py:function" or "package.module:function".'
        raise source.error(("objective",), f"objective = {given['objective']!r} names no function", hint)
    if given.get("command") == ():
        raise source.error(("command",), "the command is empty", 'Write command = ["python", "train.py", "{lr}"].')


def _check_command(source: Source, given: Mapping[str, Any]) -> None:
    try:
        check_command(given.get("command", ()), given["space"])
    except ObjectiveError as error:
        raise source.error(("command",), error.message, error.hint) from None


def check_command(command: Sequence[str], space: Space) -> None:
    """Raise ObjectiveError where a command has a placeholder that is no entry of the space."""
    try:
        commands.check_command(command, space.names)
    except ObjectiveError as error:
        message, _, hint = error.message.partition("\n")
        raise ObjectiveError(message, hint=error.hint or hint) from None


def _last_of(source: Source, keys: Iterable[str]) -> Keys:
    """The one of `keys` that stands last in the file: the one that is too many."""
    return max(((key,) for key in keys), key=source.line)


def _space(source: Source) -> Space:
    data = source.data.get("space")
    if not data:
        hint = 'Write [space.lr] and, below it, type = "float", low = 1e-5, high = 1e-1, for example.'
        raise source.error(("space",), "the study has no space", hint)
    entries = ("space", "entries") if "entries" in data else ("space",)
    try:
        _check_flags(source, data, ("space",))
        space = Space.from_json(data)
        space.sample(np.random.default_rng(0))  # raises where nothing satisfies the constraints
        return space
    except SpaceError as error:
        raise source.error(_mentioned(data, entries, error.message), error.message, error.hint) from None


def _check_flags(source: Source, table: Mapping[str, Any], at: Keys) -> None:
    """A `log` that is no truth value would count as true."""
    for key, value in table.items():
        if isinstance(value, dict):
            _check_flags(source, value, (*at, key))
        elif key == "log" and "low" in table and not isinstance(value, bool):
            raise source.error((*at, key), f"{dotted((*at, key))} = {value!r}: true or false is expected")


def _mentioned(data: Mapping[str, Any], entries: Keys, message: str) -> Keys:
    """The place that an error of the space speaks of."""
    rule = re.search(r"constraint '(.+?)'|; '(.+?)' was violated", message)
    if rule is not None:
        return "space", "constraints", rule[1] or rule[2]
    number = re.search(r"known number '(.+?)'", message)
    if number is not None:
        return "space", "known", number[1]
    found = re.search(r" and at ([^,]+)", message)
    path = found[1] if found else message.partition(": ")[0]
    table, keys = data if len(entries) == 1 else data["entries"], entries
    for name, option in re.findall(r"([^/=]+)(?:=([^/]+))?", path):
        if name not in table:
            return keys
        table, keys = table[name], (*keys, name)
        if option and isinstance(table, dict):
            below = "branches" if "branches" in table else "options"
            table, keys = table.get(below, {}).get(option, {}), (*keys, below, option)
    return _setting(table, keys, message)


def _setting(table: Any, keys: Keys, message: str) -> Keys:
    """The key of the entry that the message is about, where it names one; else the entry."""
    words = re.findall(r"\w+", message.partition(": ")[2]) if isinstance(table, dict) else []
    return next(((*keys, word) for word in words if word in table), keys)


def _check_method(source: Source, data: str | dict[str, Any], at: Keys) -> None:
    """Raise FileError where `data` is no method; the inner ones first, so that the line is that of the mistake."""
    try:
        if isinstance(data, str) or "method" not in data:
            from_json(data)
            return
        kind = load("tunewell.methods", source.convert(data["method"], str, (*at, "method")))
        settings = {key: value for key, value in data.items() if key != "method"}
        _check_settings(source, kind, settings, at)
        from_json(data)
    except FileError:
        raise
    except (TunewellError, TypeError, ValueError) as error:
        raise source.error((*at, "method"), *_told(error)) from None


def _check_settings(source: Source, kind: Any, settings: Mapping[str, Any], at: Keys) -> None:
    """The names and types of a method's settings, which a dataclass takes on trust."""
    source.check_keys(settings, setting_names(kind), at)
    hints = typing.get_type_hints(kind)
    for key, value in settings.items():
        if isinstance(value, str) and hints[key] is Method:
            _check_method(source, value, (*at, key))  # a bare name stands for its defaults
            continue
        _check_inner(source, value, (*at, key))
        _check_type(source, _settled(value), hints[key], (*at, key))


def _check_inner(source: Source, value: Any, at: Keys) -> None:
    """The methods in a setting."""
    if isinstance(value, dict) and "method" in value:
        _check_method(source, value, at)
    for index, item in enumerate(value if isinstance(value, list) else ()):
        _check_inner(source, item, (*at, index))


def _settled(value: Any) -> Any:
    """A setting as the method will get it."""
    if isinstance(value, dict) and "method" in value:
        return from_json(value)
    return tuple(map(_settled, value)) if isinstance(value, list) else value


def _told(error: Exception) -> tuple[str, str]:
    """The message and the hint of an error of ours, or of anybody's."""
    return (error.message, error.hint) if isinstance(error, TunewellError) else (str(error), "")


def _check_type(source: Source, value: Any, hint: Any, at: Keys) -> None:
    try:
        source.convert(value, hint, at)
    except TypeError:  # a type that msgspec does not know; the method itself has to look
        return


def _check_executor(source: Source, workers: int | None, settings: Mapping[str, Any]) -> None:
    """Whether worker processes have these settings; `workers` stands at the top of the file."""
    if not settings:
        return
    kind = load("tunewell.executors", "processes")
    hints = typing.get_type_hints(kind.__init__)
    names = [name for name in inspect.signature(kind).parameters if name != "workers"]
    source.check_keys(settings, names, ("executor",))
    for key, value in settings.items():
        _check_type(source, value, hints.get(key, Any), ("executor", key))
    try:
        kind(workers, **settings)
    except (TunewellError, TypeError, ValueError) as error:
        raise source.error(("executor",), *_told(error)) from None
