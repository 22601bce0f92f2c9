"""The compiled tree of a space: what its entries mean for one config, one point of the unit cube, one path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from tunewell.errors import SpaceError
from tunewell.space.entry import UNSET, Choice, Constant, Entry
from tunewell.space.scale import Axis
from tunewell.space.switch import Switch
from tunewell.space.values import nearest_hint

Config: TypeAlias = dict[str, Any]
"""A flat JSON mapping of the active entries."""

Level: TypeAlias = "tuple[Node, ...]"


@dataclass(frozen=True)
class Condition:
    """An entry is active where the one at `path` has one of the values `options` (and is itself active)."""

    path: str
    options: tuple[Any, ...]


@dataclass(frozen=True)
class Dimension:
    """One coordinate of the unit cube.

    `kind` is "float", "int", "choice" or "ordinal"; `size` the number of values, None for a float without step; `log`
    says that the coordinate is the logarithm; `parent` is the innermost condition, None at the top level.
    """

    path: str
    name: str
    kind: str
    size: int | None
    log: bool
    parent: Condition | None


@dataclass(frozen=True, eq=False)
class Node:
    """One entry at its place. `position` is its coordinate, -1 for a Constant; `branches` are the levels below, by the
    value of the entry. Those of a `switch` share nodes; `below` holds each of them once.
    """

    name: str
    path: str
    entry: Entry
    position: int
    parent: Condition | None
    axis: Axis
    at: Callable[[float], Any]
    draw: Callable[[float], Any]
    branches: Mapping[Any, Level]
    below: Level
    switch: Switch | None

    @property
    def dimension(self) -> Dimension:
        """What a model needs to know of the coordinate."""
        log = bool(getattr(self.entry, "log", False))
        return Dimension(self.path, self.name, self.entry.kind, self.axis.size, log, self.parent)


def plant(entries: Mapping[str, Entry], prefix: str = "", parent: Condition | None = None, first: int = 0) -> Level:
    """Compile entries; coordinates are numbered from `first`, depth first, in the order in which they were written."""
    nodes: list[Node] = []
    for whole, structure in entries.items():
        _check_name(whole)
        for name, entry in structure.parts(whole).items():
            node = _node(name, prefix + name, entry, parent, first)
            first += sum(found.position >= 0 for found in walk((node,)))
            nodes.append(node)
    _check_twice(nodes)
    return tuple(nodes)


def _node(name: str, path: str, entry: Entry, parent: Condition | None, first: int) -> Node:
    switch = entry if isinstance(entry, Switch) else None
    own = switch.of if switch else entry
    position = -1 if isinstance(own, Constant) else first
    branches = _shared(path, switch, first + 1) if switch else _branches(path, own, first + 1)
    below = tuple({node.path: node for branch in branches.values() for node in branch}.values())
    return Node(name, path, own, position, parent, own.axis, own.axis.at, own.draw, branches, below, switch)


def _branches(path: str, entry: Entry, first: int) -> dict[Any, Level]:
    """The levels below each option of a Choice, each with entries of its own."""
    branches: dict[Any, Level] = {}
    for option, inner in entry.branches.items() if isinstance(entry, Choice) else ():
        branches[option] = plant(inner, f"{path}={option}/", Condition(path, (option,)), first)
        first += sum(found.position >= 0 for found in walk(branches[option]))
    return branches


def _shared(path: str, switch: Switch, first: int) -> dict[Any, Level]:
    """The levels below each value of a switch, which share their entries."""
    planted: dict[str, Level] = {}
    for name, entry in switch.entries.items():
        options = tuple(value for value, names in switch.active.items() if name in names)
        planted[name] = plant({name: entry}, f"{path}/", Condition(path, options), first)
        first += sum(found.position >= 0 for found in walk(planted[name]))
    levels = {value: tuple(node for name in names for node in planted[name]) for value, names in switch.active.items()}
    for level in levels.values():
        _check_twice(level)
    return levels


def walk(level: Sequence[Node]) -> Iterator[Node]:
    """Each node of the tree, parents before children."""
    for node in level:
        yield node
        yield from walk(node.below)


def active(level: Level, config: Mapping[str, Any]) -> Iterator[Node]:
    """Each node that is active in a valid config."""
    for node in level:
        yield node
        if node.branches:
            yield from active(node.branches[config[node.name]], config)


def grow(level: Level, units: Sequence[float], config: Config) -> None:
    """Fill `config` from a point of the unit cube; SpaceError where an active entry has no finite coordinate."""
    for node in level:
        try:
            value = config[node.name] = node.at(units[node.position] if node.position >= 0 else 0.0)
        except (ValueError, OverflowError):
            raise SpaceError(f"the coordinate of {node.path} is {units[node.position]}") from None
        if node.branches:
            grow(node.branches[value], units, config)


def draw(level: Level, chances: Sequence[float], config: Config, evenly: bool = False) -> None:
    """Fill `config` from uniform random numbers, following the priors, or `evenly`, as `grow` does."""
    for node in level:
        if node.switch is not None and node.switch.derived:
            below = {found.name: chances[found.position] for found in walk((node,)) if found.position >= 0}
            config.update(node.switch.programs.draw(node.name, below))
            continue
        chance = chances[node.position] if node.position >= 0 else 0.0
        value = config[node.name] = node.at(chance) if evenly else node.draw(chance)
        if node.branches:
            draw(node.branches[value], chances, config, evenly)


def locate(level: Level, config: Mapping[str, Any], units: list[float]) -> None:
    """Fill the coordinates of the active entries of a valid config."""
    for node in level:
        if node.position >= 0:
            units[node.position] = node.axis.unit(config[node.name])
        if node.branches:
            locate(node.branches[config[node.name]], config, units)


def read(level: Level, config: Mapping[str, Any], missing: Callable[[Node], Any]) -> Config:
    """The active entries of `config` as plain values; `missing` answers for those that are not there, or raises."""
    found: Config = {}
    for node in level:
        if node.name not in config:
            value = missing(node)
        else:
            try:
                value = node.entry.read(config[node.name])
            except SpaceError as error:
                raise SpaceError(f"{node.path}: {error.message}", hint=error.hint) from None
        found[node.name] = value
        if node.branches:
            found.update(read(node.branches[value], config, missing))
    return found


def required(node: Node) -> Any:
    """For `read`: nothing may be missing."""
    raise SpaceError(f"{node.path} is missing")


def given(node: Node) -> Any:
    """For `read`: what is missing takes its explicit default."""
    value = node.entry.explicit()
    return required(node) if value is UNSET else value


def chosen(node: Node) -> Any:
    """For `read`: what is missing takes its default, or the middle of its scale."""
    value = node.entry.explicit()
    return node.entry.middle() if value is UNSET else value


def count(level: Level, known: Mapping[str, int] | None = None) -> int | None:
    """The number of configs, None where there is no end of them; that of what is `known`, by path, as given."""
    return _count(level, dict(known or {}))


def _count(level: Level, counted: dict[str, int | None]) -> int | None:
    """`count`, with what is known of the nodes by path: a switch has the same ones below several values."""
    total = 1
    for node in level:
        if node.path not in counted:
            sizes = [_count(branch, counted) for branch in node.branches.values()] or [node.axis.size]
            known = [size for size in sizes if size is not None]
            counted[node.path] = sum(known) if len(known) == len(sizes) else None
        size = counted[node.path]
        if size is None:
            return None
        total *= size
    return total


def stranger(level: Level, name: Any) -> SpaceError:
    """The error for a key of a config that is not active, or that nobody knows."""
    homes = [node for node in walk(level) if node.name == name]
    if not homes:
        known = dict.fromkeys(node.name for node in walk(level))
        return SpaceError(f"{name!r} is unknown", hint=nearest_hint(name, known))
    needs = [f"{home.parent.path} = {_shown(home.parent.options)}" for home in homes if home.parent]
    return SpaceError(f"{name!r} is not active", hint=f"It needs {' or '.join(needs)}.")


def _shown(options: tuple[Any, ...]) -> str:
    first = ", ".join(map(repr, options[:5]))
    return first if len(options) <= 5 else f"{first}, ..."


def narrowed(level: Level, ranges: Mapping[str, Sequence[Any]]) -> dict[str, Entry]:
    """The entries of a level with their ranges narrowed by path."""
    return {node.name: _narrowed(node, ranges) for node in level}


def _narrowed(node: Node, ranges: Mapping[str, Sequence[Any]]) -> Entry:
    entry: Any = node.entry
    if node.branches and node.switch is None:
        branches = {option: narrowed(branch, ranges) for option, branch in node.branches.items()}
        entry = Choice(branches, entry.default, entry.prior)
    if node.path in ranges:
        try:
            entry = entry.narrowed(ranges[node.path])
        except SpaceError as error:
            raise SpaceError(f"{node.path}: {error.message}", hint=error.hint) from None
    found: Entry = entry if node.switch is None else node.switch.with_part(entry, narrowed(node.below, ranges))
    return found


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not name:
        raise SpaceError(f"the name of an entry is a string, not {name!r}")
    if "/" in name or "=" in name:
        raise SpaceError(f"the name {name!r} contains '/' or '='", hint="These separate the parts of a path.")


def _check_twice(nodes: Sequence[Node]) -> None:
    """A config is flat, so a name may return in another branch of the same choice, and nowhere else."""
    seen: dict[str, str] = {}
    for node in nodes:
        below = [(found.name, found.path) for branch in node.branches.values() for found in walk(branch)]
        for name, path in [(node.name, node.path), *below]:
            if name in seen:
                raise SpaceError(f"a name twice: {name!r} stands at {seen[name]} and at {path}, and both can be active")
            if path == node.path:
                seen[name] = path
        seen.update(below)
