"""The entries of a space, and their JSON form (which is also what a study file holds).

An entry does not know its name: the errors raised here say what is wrong, and the space says where. `entry_of` reads
the JSON form and its shorthands: a list is a Choice, a scalar a Constant, `{low, high, ...}` a Float or an Int.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, replace
from functools import cached_property
from typing import Any, ClassVar, Protocol, TypeAlias

from tunewell.errors import SpaceError
from tunewell.space import prior as priors
from tunewell.space.scale import Axis, Line, LogIntegers, LogLine, Options, Steps, exact
from tunewell.space.values import check_json, copied, finite, key, name_of, nearest_hint, plain, plain_key, whole

LARGEST = 2**53
"""Integers beyond are not exact in JSON readers that know only doubles."""


_FORMS: dict[str, type[Any]] = {}
"""The kinds of entries by the word that stands for them in JSON."""


class _Unset:
    """The default of an option entry that has none (None may be an option)."""

    def __repr__(self) -> str:
        return "UNSET"

    def __reduce__(self) -> str:
        return "UNSET"


UNSET = _Unset()


@dataclass(frozen=True)
class Place:
    """A place of a derivation tree: the path of the entry whose value is its production, the `symbol` that this
    replaces, the number of the place `above`, -1 for none, and which of the places below that one it is.
    """

    path: str
    symbol: str
    above: int
    order: int


Derivation: TypeAlias = tuple[Place, ...]
"""All places that a tree of productions may have, each behind the one above it."""


class Graph(Protocol):
    """A part of a config that is a directed graph, which other values may stand for as well: see `Cell`."""

    @property
    def none(self) -> str | None:
        """The operation that is no edge at all."""

    @property
    def edges(self) -> tuple[tuple[int, int], ...]:
        """All edges (source, target) that there may be, in the order of its entries."""

    @property
    def different(self) -> int | None:
        """How many values there are of which no two mean the same; None where nobody can tell."""

    def options(self, edge: tuple[int, int]) -> Sequence[str]:
        """The operations that may stand on an edge."""

    def parts(self, name: str) -> Mapping[str, Entry]:
        """Its entries, by their names in a config."""

    def alike(self, name: str, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """Of all values that mean the same as those of a config, the first."""


def paths_of(path: str, graph: Graph) -> list[str]:
    """The paths of the entries of a graph at `path`."""
    name = name_of(path)
    return [f"{path.removesuffix(name)}{part}" for part in graph.parts(name)]


class Entry:
    """What every entry can do. Entries are values: equal when their JSON form is, and never changed."""

    kind: ClassVar[str]

    def __init_subclass__(cls) -> None:
        if "kind" in cls.__dict__:
            _FORMS[cls.kind] = cls

    def parts(self, name: str) -> Mapping[str, Entry]:
        """What the entry consists of, by name: itself, unless it is a structure of several."""
        return {name: self}

    def graphs(self, path: str) -> list[tuple[str, Graph]]:
        """The graphs in this entry at `path`, with their own paths: of their values, several may mean the same."""
        return []

    def derivations(self, path: str) -> list[Derivation]:
        """The trees of productions in this entry at `path`, those of a Grammar."""
        return []

    @property
    def axis(self) -> Axis:
        """The scale of the entry."""
        raise NotImplementedError

    @property
    def draw(self) -> Callable[[float], Any]:
        """From a number in [0, 1) to a value that follows the prior."""
        raise NotImplementedError

    def read(self, value: Any) -> Any:
        """`value` as a plain value of this entry; SpaceError when it is none."""
        raise NotImplementedError

    def explicit(self) -> Any:
        """The default that was given, or UNSET."""
        raise NotImplementedError

    def middle(self) -> Any:
        """The default where none was given."""
        return self.draw(0.5)

    def narrowed(self, values: Sequence[Any]) -> Entry:
        """The entry with a part of its values; SpaceError when nothing is left."""
        raise NotImplementedError

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data, without what is left at its default."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Entry) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        words: list[str] = []
        for item in fields(self):  # type: ignore[arg-type]
            value = getattr(self, item.name)
            if item.default is MISSING:
                words.append(repr(value))
            elif value != item.default:
                words.append(f"{item.name}={value!r}")
        return f"{type(self).__name__}({', '.join(words)})"

    def __getstate__(self) -> dict[str, Any]:
        return {item.name: getattr(self, item.name) for item in fields(self)}  # type: ignore[arg-type]  # no closures

    @cached_property
    def _text(self) -> str:
        return json.dumps(self.to_json())


class _Number(Entry):
    """What Float and Int share."""

    low: float
    high: float
    log: bool
    step: float | None
    default: float | None
    prior: Any

    @cached_property
    def draw(self) -> Callable[[float], Any]:
        axis = self.axis
        if self.prior is None:
            return axis.at
        quantile = self.prior.within(*axis.wide)
        return lambda chance: axis.at(axis.unit(quantile(chance)))

    def explicit(self) -> Any:
        return UNSET if self.default is None else self.default

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"type": self.kind, "low": self.low, "high": self.high}
        if self.log:
            data["log"] = True
        if self.step not in (None, 1) or (self.step == 1 and self.kind == "float"):
            data["step"] = self.step
        if self.default is not None:
            data["default"] = self.default
        if self.prior is not None:
            data["prior"] = self.prior.to_json()
        return data

    def _settle(self) -> None:
        """Check what needs the axis: the prior has to reach it, the default has to lie on it."""
        if self.prior is not None:
            object.__setattr__(self, "prior", priors.numeric(self.prior, *self.axis.wide))
        if self.default is not None:
            object.__setattr__(self, "default", self._read_default())

    def _read_default(self) -> Any:
        try:
            return self.read(self.default)
        except SpaceError as error:
            raise SpaceError(f"the default: {error.message}", hint=error.hint) from None

    def _check_inside(self, value: float) -> None:
        if not self.low <= value <= self.high:
            raise SpaceError(f"{value!r} is outside of [{self.low!r}, {self.high!r}]")

    def _narrowed_to(self, low: float, high: float) -> Any:
        """A copy with other ends; the default and the prior stay where they still make sense."""
        ends: Any = replace(self, low=low, high=high, default=None, prior=None)  # type: ignore[type-var]
        for name in ("default", "prior"):
            try:
                ends = replace(ends, **{name: getattr(self, name)})
            except SpaceError:
                continue
        return ends

    def narrowed(self, values: Sequence[Any]) -> Entry:
        if isinstance(values, str | Mapping) or len(values) != 2:
            raise SpaceError(f"a narrower range is a pair (low, high), not {values!r}")
        low, high = (finite(value, "a bound") for value in values)
        low, high = max(low, self.low), min(high, self.high)
        if low > high:
            raise SpaceError(f"nothing of [{self.low!r}, {self.high!r}] lies in {tuple(values)!r}")
        axis = self.axis
        if isinstance(axis, Steps):
            low, high = _inward(axis, low, high)
        elif isinstance(axis, LogIntegers):
            low, high = _integers(low, high)
        return self._narrowed_to(low, high)  # type: ignore[no-any-return]


@dataclass(frozen=True, eq=False, repr=False)
class Float(_Number):
    """A real number from `low` to `high`, both included.

    `log`: spread evenly in the logarithm (then 0 < low). `step`: only low, low + step, ..., high (not together with
    `log`); without it, a grid of 2**40 + 1 points for what tunewell draws, while any number in the range is valid.
    `default`: what to try first, and what earlier trials are taken to have had. `prior`: Normal, LogNormal,
    Quantiles, or any object with `ppf(q)`. Raises SpaceError for a range that is reversed, not finite, or does not
    suit `log` or `step`.
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None
    default: float | None = None
    prior: Any = None

    kind: ClassVar[str] = "float"

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, finite(getattr(self, name), name) + 0.0)  # -0.0 is 0.0
        _check_range(self.low, self.high, self.log)
        if self.step is not None:
            object.__setattr__(self, "step", finite(self.step, "step"))
            _check_step(self.step, self.low, self.high, self.log, whole=False)
        self._settle()

    @cached_property
    def axis(self) -> Axis:
        if self.step is not None:
            return _steps(self.low, self.high, self.step, whole=False)
        return LogLine(self.low, self.high) if self.log else Line(self.low, self.high)

    def read(self, value: Any) -> float:
        number = finite(value, "the value")
        if not isinstance(self.axis, Steps) or self.step is None:
            self._check_inside(number)
            return number
        # A person's 3 * 0.1 counts as 0.3: what is a hair off the grid is put on it.
        near = self.axis.value(self.axis.index(number))
        if abs(number - near) <= 1e-9 * self.step:
            return near
        self._check_inside(number)
        raise SpaceError(f"{number!r} is no step of {self.step!r} from {self.low!r}", hint=f"The nearest is {near!r}.")


@dataclass(frozen=True, eq=False, repr=False)
class Int(_Number):
    """An integer from `low` to `high`, both included, of at most 2**53 in size.

    `log`: spread evenly in the logarithm (then 1 <= low). `step`: only low, low + step, ..., high (not together with
    `log`). `default` and `prior`: as for Float. Raises SpaceError like Float.
    """

    low: int
    high: int
    log: bool = False
    step: int = 1
    default: int | None = None
    prior: Any = None

    kind: ClassVar[str] = "int"

    def __post_init__(self) -> None:
        for name in ("low", "high", "step"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        if max(abs(self.low), abs(self.high), self.high - self.low) > LARGEST:
            raise SpaceError("the bounds and the range of an Int go up to 2**53")
        _check_range(self.low, self.high, self.log)
        _check_step(self.step, self.low, self.high, self.log and self.step != 1, whole=True)
        self._settle()

    @cached_property
    def axis(self) -> Axis:
        return LogIntegers(self.low, self.high) if self.log else _steps(self.low, self.high, self.step, whole=True)

    def read(self, value: Any) -> int:
        number = whole(value, "the value")
        self._check_inside(number)
        if (number - self.low) % self.step:
            raise SpaceError(f"{number} is no step of {self.step} from {self.low}")
        return number


class _Listed(Entry):
    """What Choice and Ordinal share."""

    default: Any
    prior: Any

    @property
    def listed(self) -> tuple[Any, ...]:
        """The options, in order."""
        raise NotImplementedError

    @cached_property
    def axis(self) -> Options:
        return Options(self.listed)

    @cached_property
    def draw(self) -> Callable[[float], Any]:
        axis = self.axis
        if self.prior is None:
            return axis.at
        choose = self.prior.chooser
        return lambda chance: axis.value(choose(chance))

    def read(self, value: Any) -> Any:
        number = self.axis.numbers.get(plain_key(value))
        if number is None:
            raise SpaceError(f"{value!r} is no option", hint=nearest_hint(value, self.listed))
        return self.axis.value(number)

    def explicit(self) -> Any:
        return self.default

    def _settle(self) -> None:
        for value in self.listed:
            check_json(value)
        if not self.listed:
            raise SpaceError(f"{type(self).__name__}: there is no option")
        if len(self.axis.numbers) < len(self.listed):
            raise SpaceError(f"{type(self).__name__}: an option is listed twice: {list(self.listed)!r}")
        if self.prior is not None:
            object.__setattr__(self, "prior", priors.weights(self.prior, self.listed))
        if self.default is None and None not in self.axis.numbers:
            object.__setattr__(self, "default", UNSET)
        if self.default is not UNSET:
            object.__setattr__(self, "default", self._read_default())

    def _read_default(self) -> Any:
        try:
            return self.read(self.default)
        except SpaceError as error:
            raise SpaceError(f"the default: {error.message}", hint=error.hint) from None

    def _kept(self, values: Sequence[Any]) -> tuple[list[int], dict[str, Any]]:
        """The numbers of the options that stay, and what stays of default and prior."""
        if isinstance(values, str | Mapping):
            raise SpaceError(f"a part of the options is a list of them, not {values!r}")
        wanted = {key(self.read(value)) for value in values}
        kept = [number for number, value in enumerate(self.listed) if key(value) in wanted]
        left = [self.prior.values[number] for number in kept] if self.prior is not None else []
        stays = self.default is not UNSET and key(self.default) in wanted
        return kept, {"default": self.default if stays else UNSET, "prior": left if any(left) else None}

    def _extra(self) -> dict[str, Any]:
        data = {} if self.default is UNSET else {"default": self.default}
        return data if self.prior is None else {**data, "prior": self.prior.to_json()}


@dataclass(frozen=True, eq=False, repr=False)
class Choice(_Listed):
    """One of several options without an order.

    `options`: a list of JSON values, or a mapping from the name of each option to the entries that are active only
    where it is chosen: a mapping, a Space without constraints, or `{}` or None for no entries. `default`: one of the
    options. `prior`: Weights, a list of weights, or a mapping from option to weight. Raises SpaceError where there is
    no option, one is listed twice, or the default or the weights do not fit.
    """

    options: Any
    default: Any = UNSET
    prior: Any = None

    kind: ClassVar[str] = "choice"

    def __post_init__(self) -> None:
        if isinstance(self.options, Mapping):
            branches = {_branch_name(name): _branch(name, inner) for name, inner in self.options.items()}
            object.__setattr__(self, "options", branches)
        else:
            object.__setattr__(self, "options", _values(self.options))
        self._settle()

    @property
    def listed(self) -> tuple[Any, ...]:
        return tuple(self.options)

    @property
    def branches(self) -> Mapping[str, Mapping[str, Entry]]:
        """The entries below each option; empty where the options are a plain list."""
        return self.options if isinstance(self.options, dict) else {}

    def graphs(self, path: str) -> list[tuple[str, Graph]]:
        return [found for below, entry in self._inner(path) for found in entry.graphs(below)]

    def derivations(self, path: str) -> list[Derivation]:
        return [found for below, entry in self._inner(path) for found in entry.derivations(below)]

    def _inner(self, path: str) -> list[tuple[str, Entry]]:
        """The entries of all branches, with their paths."""
        return [
            (f"{path}={option}/{name}", entry)
            for option, branch in self.branches.items()
            for name, entry in branch.items()
        ]

    def middle(self) -> Any:
        return self.axis.value(0 if self.prior is None else self.prior.heaviest)

    def narrowed(self, values: Sequence[Any]) -> Choice:
        kept, rest = self._kept(values)
        names = [self.listed[number] for number in kept]
        return replace(self, options={name: self.branches[name] for name in names} if self.branches else names, **rest)

    def to_json(self) -> dict[str, Any]:
        if not isinstance(self.options, dict):
            return {"type": "choice", "options": list(self.options), **self._extra()}
        branches = {
            name: {inner: entry.to_json() for inner, entry in branch.items()} for name, branch in self.branches.items()
        }
        return {"type": "choice", "branches": branches, **self._extra()}


@dataclass(frozen=True, eq=False, repr=False)
class Ordinal(_Listed):
    """One of several JSON values in an order that means something; otherwise as a Choice without branches."""

    values: Sequence[Any]
    default: Any = UNSET
    prior: Any = None

    kind: ClassVar[str] = "ordinal"

    def __post_init__(self) -> None:
        object.__setattr__(self, "values", _values(self.values))
        self._settle()

    @property
    def listed(self) -> tuple[Any, ...]:
        return tuple(self.values)

    def narrowed(self, values: Sequence[Any]) -> Ordinal:
        kept, rest = self._kept(values)
        return replace(self, values=[self.listed[number] for number in kept], **rest)

    def to_json(self) -> dict[str, Any]:
        return {"type": "ordinal", "values": list(self.values), **self._extra()}


@dataclass(frozen=True, eq=False, repr=False)
class Constant(Entry):
    """A JSON value that is part of each config and is not searched: it has no coordinate."""

    value: Any

    kind: ClassVar[str] = "constant"

    def __post_init__(self) -> None:
        object.__setattr__(self, "value", plain(self.value))
        check_json(self.value)

    @cached_property
    def axis(self) -> Options:
        return Options((self.value,))

    @cached_property
    def draw(self) -> Callable[[float], Any]:
        return self.axis.at

    def read(self, value: Any) -> Any:
        if plain_key(value) != key(self.value):
            raise SpaceError(f"{value!r} is not the constant {self.value!r}")
        return self.axis.value(0)

    def explicit(self) -> Any:
        return self.axis.value(0)

    def to_json(self) -> dict[str, Any]:
        return {"type": "constant", "value": copied(self.value)}


_TELLING = {"options": "choice", "branches": "choice", "values": "ordinal", "value": "constant"}


def entries_of(data: Any, where: str = "") -> dict[str, Entry]:
    """A mapping of names to entries, their JSON forms or shorthands; errors name the path below `where`."""
    if not isinstance(data, Mapping):
        raise SpaceError(f"{where or 'the space'}: a mapping from name to entry is needed, not {data!r}")
    return {name: entry_of(item, f"{where}/{name}" if where else str(name)) for name, item in data.items()}


def entry_of(data: Any, where: str) -> Entry:
    """One entry from itself, its JSON form or a shorthand; errors begin with the path `where`."""
    if isinstance(data, Entry):
        return data
    try:
        if isinstance(data, Mapping):
            return _from_mapping(data, where)
        return Choice(list(data)) if isinstance(data, list | tuple) else Constant(data)
    except SpaceError as error:
        message = error.message if error.message.startswith(where) else f"{where}: {error.message}"
        raise SpaceError(message, hint=error.hint) from None


def _from_mapping(data: Mapping[str, Any], where: str) -> Entry:
    kind = _kind(data)
    form = _FORMS[kind]
    known = [field.name for field in fields(form)] + (["branches"] if kind == "choice" else [])
    for name in data:
        if name != "type" and name not in known:
            raise SpaceError(f"{name!r} is no setting of type {kind!r}", hint=nearest_hint(name, known))
    settings = {name: value for name, value in data.items() if name != "type"}
    if "branches" in settings:
        settings["options"] = _branched(settings.pop("branches"), settings.get("options"), where)
    missing = [field.name for field in fields(form) if field.default is MISSING and field.name not in settings]
    if missing:
        raise SpaceError(f"type {kind!r} needs {missing[0]!r}")
    entry: Entry = form(**settings)
    return entry


def _kind(data: Mapping[str, Any]) -> str:
    kind = data.get("type")
    if kind is None and {"low", "high"} & set(data):
        numbers = [data[name] for name in ("low", "high", "step", "default") if name in data]
        return "float" if any(isinstance(number, float) for number in numbers) else "int"
    if kind is None:
        kind = next((_TELLING[name] for name in data if name in _TELLING), None)
    if kind is None:
        raise SpaceError(f"there is no type in {dict(data)!r}", hint=f"type is one of {', '.join(_FORMS)}")
    if kind not in _FORMS:
        raise SpaceError(f"unknown type {kind!r}", hint=nearest_hint(kind, _FORMS))
    return str(kind)


def _branched(branches: Any, options: Any, where: str) -> dict[str, Any]:
    """Branches by name, in the order of `options` where both are given."""
    if not isinstance(branches, Mapping):
        raise SpaceError(f"branches is a mapping from option to entries, not {branches!r}")
    for name in branches:
        if options is not None and name not in options:
            raise SpaceError(f"branch {name!r} is none of the options", hint=nearest_hint(name, options))
    names = branches if options is None else options
    return {name: entries_of(branches.get(name) or {}, f"{where}={name}") for name in names}


def _branch_name(name: Any) -> str:
    if not isinstance(name, str):
        raise SpaceError(f"the name of a branch is a string, not {name!r}")
    return name


def _branch(name: str, inner: Any) -> dict[str, Entry]:
    """The entries of one branch: of a mapping, of a Space, or none."""
    if getattr(inner, "constraints", None):
        raise SpaceError(f"branch {name!r} is a Space with constraints", hint="Give them to the outermost Space.")
    return entries_of(getattr(inner, "entries", inner) or {}, f"={name}")


def _values(options: Any) -> tuple[Any, ...]:
    if isinstance(options, str | Mapping) or not isinstance(options, Iterable):
        raise SpaceError(f"the options are a list of values, not {options!r}")
    return tuple(plain(value) for value in options)


def _check_range(low: float, high: float, log: bool) -> None:
    if low > high:
        raise SpaceError(f"low {low!r} is above high {high!r}")
    if log and low <= 0:
        raise SpaceError(f"low {low!r} has no logarithm", hint="Use a low above 0, or leave log=True out.")
    if not math.isfinite(high - low) or (log and not math.isfinite(high / low)):
        raise SpaceError(f"the range from {low!r} to {high!r} is too wide")


def _check_step(step: float, low: float, high: float, log: bool, whole: bool) -> None:
    if log:
        raise SpaceError("log and step do not go together", hint="Use an Ordinal with the values that you want.")
    if step <= 0:
        raise SpaceError(f"step {step!r} is not above 0")
    # Neighbouring floats have to differ.
    if (high - low) / step > LARGEST or (not whole and step < math.ulp(max(abs(low), abs(high)))):
        raise SpaceError(f"step {step!r} is too small for a range from {low!r} to {high!r}")
    _steps(low, high, step, whole)


def _steps(low: float, high: float, step: float, whole: bool) -> Steps:
    axis = Steps.between(low, high, step, whole)
    if axis is None:
        number = (exact(high) - exact(low)) // exact(step)
        last = exact(low) + number * exact(step)
        shown = int(last) if whole else float(last)
        message = f"step {step!r} does not divide the range from {low!r} to {high!r}"
        raise SpaceError(message, hint=f"Use high={shown!r}.")
    return axis


def _integers(low: float, high: float) -> tuple[int, int]:
    """The outermost integers within [low, high], or twice the one nearest to it where there is none within."""
    first, last = math.ceil(low), math.floor(high)
    return (first, last) if first <= last else (round((low + high) / 2),) * 2


def _inward(axis: Steps, low: float, high: float) -> tuple[float, float]:
    """The outermost steps within [low, high], or twice the step nearest to it where there is none within."""
    first, last = axis.index(low), axis.index(high)
    first += axis.value(first) < low
    last -= axis.value(last) > high
    if first > last:
        first = last = axis.index((low + high) / 2)
    return axis.value(first), axis.value(last)
