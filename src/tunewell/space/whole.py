"""Space: the whole of the entries and their known constraints, and everything that a method may ask of it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import product
from typing import Any

import msgspec
import numpy as np

from tunewell.errors import SpaceError
from tunewell.space import tree
from tunewell.space.constraint import Constraint, Number, Predicate, Rule
from tunewell.space.entry import UNSET, Derivation, Entry, Graph, entries_of, paths_of
from tunewell.space.grafting import Symbols
from tunewell.space.grid import Grid
from tunewell.space.scale import Axis
from tunewell.space.tree import Condition, Config, Dimension, Level, Node
from tunewell.space.values import name_of, nearest_hint
from tunewell.space.variation import crossed, mutated, perturbed
from tunewell.space.walk import walked

_TRIES = 10_000
"""How many configs are made before the constraints are called unsatisfiable."""

_LISTED = 20_000
"""So many values of a cell that was narrowed are listed, in some seconds, to count those that are different."""

_DRAWS, _WALKS = 1_000, 4
"""How many configs are drawn before a walk begins, and from how many of these."""


@dataclass(frozen=True, eq=False, repr=False)
class Space:
    """Named hyperparameters, conditions between them, priors, known constraints and known numbers.

    `entries`: name to entry, or to a shorthand (a list is a Choice, a scalar a Constant). `constraints`: name to an
    expression such as `"units * layers <= 2048"`, or to a function of a config that answers whether it is allowed.
    `known`: name to an expression, or to a function, that computes a number from a config, such as how many parameters
    a network has: the expressions of constraints may use it, and a goal with its name needs no report and no model.
    Spaces are values: equal when all of this is equal. Raises SpaceError where a name stands twice in what can be
    active together, or a constraint or a known number mentions what does not exist.
    """

    entries: Mapping[str, Entry]
    constraints: Mapping[str, Rule] = field(default_factory=dict)
    known: Mapping[str, Rule] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "entries", entries_of(self.entries))
        object.__setattr__(self, "constraints", dict(self.constraints))
        object.__setattr__(self, "known", dict(self.known))
        _ = self._level, self._numbers, self._rules  # what is wrong has to show now

    @classmethod
    def of(cls, space: Space | Mapping[str, Any]) -> Space:
        """A Space from itself, or from a mapping of entries, JSON forms and shorthands."""
        return space if isinstance(space, Space) else cls.from_json(space)

    # ---- what is in it

    @cached_property
    def paths(self) -> tuple[str, ...]:
        """The path of each coordinate of the unit cube; a Constant has none."""
        return tuple(dimension.path for dimension in self.dimensions)

    @cached_property
    def dimensions(self) -> tuple[Dimension, ...]:
        """What each coordinate is, in the order of `paths`."""
        return tuple(node.dimension for node in tree.walk(self._level) if node.position >= 0)

    @cached_property
    def axes(self) -> tuple[Axis, ...]:
        """The axis of each coordinate, in the order of `paths`: what a value is on the unit interval, and back."""
        return tuple(node.axis for node in tree.walk(self._level) if node.position >= 0)

    @cached_property
    def leaves(self) -> Mapping[str, Entry]:
        """The entry of each coordinate by its path, in the order of `paths`; a structure is many."""
        return {node.path: node.entry for node in tree.walk(self._level) if node.position >= 0}

    @cached_property
    def graphs(self) -> tuple[tuple[str, Graph], ...]:
        """The cells in it with their paths, those in blocks and branches included."""
        return tuple(pair for path, entry in self.entries.items() for pair in entry.graphs(path))

    @cached_property
    def derivations(self) -> tuple[Derivation, ...]:
        """The trees of productions in it: the places of each grammar, those in blocks and branches included."""
        return tuple(tree for path, entry in self.entries.items() for tree in entry.derivations(path))

    @cached_property
    def conditions(self) -> tuple[tuple[int, tuple[int, ...]] | None, ...]:
        """When each coordinate is active: the place of the one that decides, and the numbers of the values with which
        it is; None where nothing decides.
        """
        places = {path: place for place, path in enumerate(self.paths)}
        return tuple(
            None if (above := dimension.parent) is None else (places[above.path], self._places(above))
            for dimension in self.dimensions
        )

    def _places(self, above: Condition) -> tuple[int, ...]:
        axis = self.leaves[above.path].axis
        return tuple(int(axis.unit(value) * (axis.size or 1)) for value in above.options)

    @cached_property
    def _programs(self) -> Mapping[str, Symbols]:
        """The symbols of each tree of productions, by the path of its first place."""
        return {tree[0].path: {place.path: place.symbol for place in tree} for tree in self.derivations}

    @property
    def size(self) -> int | float:
        """The number of configs, before constraints; `math.inf` with a Float without step."""
        return _endless(tree.count(self._level))

    @cached_property
    def different(self) -> int | float | None:
        """The number of configs with different keys, before constraints: `size`, isomorphic cells counted once.

        `math.inf` as for `size`. None where nobody can tell: a cell has 8 nodes, or more than 20,000 configs in a
        narrowed space.
        """
        known: dict[str, int] = {}
        for path, graph in self.graphs:
            first, *others = paths_of(path, graph)
            found = self._different(path, graph)
            if found is None:
                return None
            known.update({first: found, **dict.fromkeys(others, 1)})
        return _endless(tree.count(self._level, known))

    def _different(self, path: str, graph: Graph) -> int | None:
        """How many values of a graph, or of what narrowing left of it, are different."""
        name = name_of(path)
        leaves: list[Any] = [self.leaves[part] for part in paths_of(path, graph)]
        left = [leaf.listed for leaf in leaves]
        if [len(options) for options in left] == [len(graph.options(edge)) for edge in graph.edges]:
            return graph.different
        if math.prod(map(len, left)) > _LISTED:
            return None
        values = (dict(zip(graph.parts(name), chosen, strict=True)) for chosen in product(*left))
        return len({tuple(graph.alike(name, value).values()) for value in values})

    def default(self) -> Config:
        """Each entry's default, else the middle of its scale or prior, or its first or likeliest option.

        Constraints are not applied: ask `satisfies`.
        """
        return tree.read(self._level, {}, tree.chosen)

    def grid(self, levels: int | Mapping[str, int] = 5) -> Grid:
        """A grid with so many levels for each number, in all or by path (5 where none is given); options in full."""
        if isinstance(levels, int):
            return Grid(self._level, dict.fromkeys(self.paths, levels))
        self._check_paths(levels)
        return Grid(self._level, dict(levels))

    # ---- new configs

    def sample(self, rng: np.random.Generator) -> Config:
        """A random config that follows the priors and satisfies the constraints.

        Where they allow so little that 1,000 draws violate them, a walk goes on from the best of these, into what is
        allowed and around there (`tunewell.space.walk`). Raises SpaceError where 10,000 steps find nothing.
        """
        if not self._rules:
            return self._drawn(rng.random(self._width))
        points = []
        for _ in range(_DRAWS):
            points.append(rng.random(self._width))
            config = self._drawn(points[-1])
            if self.satisfies(config) is None:
                return config
        for start in sorted(points, key=self._excess)[:_WALKS]:
            point = walked(start, self._excess, rng, _TRIES // _WALKS)
            if point is not None:
                return self._drawn(point)
        raise self._unsatisfied(map(self._drawn, points))

    def mutate(
        self, config: Mapping[str, Any], rng: np.random.Generator, strength: float = 0.1, others: float = 1.0
    ) -> Config:
        """A neighbour of `config`, never `config` itself where the space has another one.

        One random active entry changes, each other one with probability `others` / number of active entries.
        `strength` is the standard deviation of a numeric step as a share of the entry's scale, or that of one value
        where it is more; steps are reflected at the ends, and without drift, for integers too. A Choice takes another
        option and samples the entries below it. Raises SpaceError for an invalid config, and when 10,000 neighbours in
        a row violate a constraint.
        """
        whole = self._read(config)
        return self._satisfying(lambda: mutated(self._level, whole, rng, strength, others, self._width))

    def perturb(
        self, config: Mapping[str, Any], rng: np.random.Generator, strength: float = 0.1, resample: float = 0.1
    ) -> Config:
        """`config` with all its entries a little changed; it may come out as it was.

        Each active number or Ordinal makes a normal step of standard deviation `strength`, as a share of its scale,
        reflected at the ends; without drift, for integers too. Each active entry is drawn from its prior instead with
        probability `resample`: only so a Choice changes. Raises SpaceError for an invalid config, and when 10,000
        tries in a row violate a constraint.
        """
        whole = self._read(config)
        return self._satisfying(lambda: perturbed(self._level, whole, rng, strength, resample, self._width))

    def cross(self, a: Mapping[str, Any], b: Mapping[str, Any], rng: np.random.Generator) -> Config:
        """A child of two configs: each entry, with the branch below it, from either parent with equal chance.

        A program of a Grammar that would then be a copy of one of two different ones is the one with a subtree of the
        other, which begins with the same symbol and may stand anywhere. Raises SpaceError for an invalid parent, and
        when 10,000 children in a row violate a constraint.
        """
        first, second = self._read(a), self._read(b)
        return self._satisfying(lambda: crossed(self._level, first, second, rng, self._programs))

    # ---- the unit cube

    def encode(self, config: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The point `(d,)` of the unit cube for a config, NaN where an entry is inactive.

        Option i of n lies at (i + 0.5) / n. `decode` gives back each config that this space made.
        """
        return np.array(self._units(config))

    def encode_many(self, configs: Iterable[Mapping[str, Any]]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """`encode` for n configs, `(n, d)`."""
        rows = [self._units(config) for config in configs]
        return np.array(rows, dtype=float).reshape(len(rows), len(self.paths))

    def decode(self, units: np.ndarray[Any, Any] | Sequence[float]) -> Config:
        """The config at a point `(d,)`; coordinates are clipped into [0, 1], those of inactive entries ignored.

        Constraints are not applied. Raises SpaceError for another number of coordinates or a NaN where it matters.
        """
        numbers = units.tolist() if isinstance(units, np.ndarray) else units
        if len(numbers) != len(self.paths):
            raise SpaceError(f"{len(numbers)} coordinates for a space of {len(self.paths)}")
        config: Config = {}
        tree.grow(self._level, numbers, config)
        return config

    def spread(self, units: np.ndarray[Any, Any] | Sequence[float]) -> Config:
        """The config for a point `(d,)` of a sequence that covers the unit cube evenly: as `decode`, without priors,
        but for programs, of which each depth is equally likely, as for `sample`.
        """
        config: Config = {}
        tree.draw(self._level, np.asarray(units, dtype=float).tolist(), config, evenly=True)
        return config

    # ---- is it valid

    def validate(self, config: Mapping[str, Any]) -> Config:
        """A plain copy of a valid config: 3 becomes 3.0 for a Float, numpy scalars become Python's.

        Raises SpaceError which names the entry that is unknown, missing, inactive, of another type or out of range,
        or the constraint that is violated.
        """
        found = self._read(config)
        violated = self.satisfies(found)
        if violated is not None:
            raise SpaceError(f"constraint {violated!r} is violated", hint=self._shown(violated))
        return found

    def contains(self, config: Mapping[str, Any]) -> bool:
        """Whether `validate` would accept the config."""
        try:
            self.validate(config)
        except SpaceError:
            return False
        return True

    def __contains__(self, config: object) -> bool:
        return isinstance(config, Mapping) and self.contains(config)

    def satisfies(self, config: Mapping[str, Any]) -> str | None:
        """The name of the first constraint that a config violates, None when there is none."""
        seen = self._seen(config)
        return next((rule.name for rule in self._rules if not rule.holds(seen)), None)

    def _seen(self, config: Mapping[str, Any]) -> Mapping[str, Any]:
        """A config as constraints see it: with the known numbers that they mention, where these are known."""
        numbers = {name: self._numbers[name].of(config) for name in self._used}
        return {**config, **{name: number for name, number in numbers.items() if number is not None}}

    def number(self, name: str, config: Mapping[str, Any]) -> float:
        """The known number of that name, of a config. Raises SpaceError where it cannot be computed."""
        found = self._numbers[name].of(config)
        if found is None:
            raise SpaceError(
                f"known number {name!r} needs an entry that is not active in {dict(config)}",
                hint="Give a function of the config that says what the number is there.",
            )
        return found

    def key(self, config: Mapping[str, Any]) -> str:
        """The text that configs which mean the same share: equal configs, and those with isomorphic cells."""
        alike = dict(config)
        for name, first, graph in self._named_graphs:
            if self._stands(first, config):
                alike.update(graph.alike(name, config))
        return msgspec.json.encode(alike, order="sorted").decode()

    @cached_property
    def _named_graphs(self) -> tuple[tuple[str, str, Graph], ...]:
        """The name of each cell in a config, the path of its first entry, and itself."""
        return tuple((name_of(path), paths_of(path, graph)[0], graph) for path, graph in self.graphs)

    def _stands(self, path: str, config: Mapping[str, Any]) -> bool:
        """Whether the entry at a path is active in a config."""
        above = self._above[path]
        return above is None or (
            self._stands(above.path, config) and config.get(name_of(above.path), UNSET) in above.options
        )

    @cached_property
    def _above(self) -> Mapping[str, Condition | None]:
        """The condition of each coordinate by its path."""
        return {dimension.path: dimension.parent for dimension in self.dimensions}

    def adopt(self, config: Mapping[str, Any]) -> Config | None:
        """A config of an earlier version of this space, as one of this version.

        A new entry takes its explicit default. None where it has none, where a value is no longer in range, where a
        key is unknown or inactive now, and where a constraint is violated.
        """
        try:
            found = self._read(config, tree.given)
        except SpaceError:
            return None
        return found if self.satisfies(found) is None else None

    def overlap(self, config: Mapping[str, Any]) -> Config:
        """A config of another space, as one of this: what is unknown or inactive here is dropped.

        An entry that the other space lacks takes its explicit default. Raises SpaceError which names the entry that is
        missing and has none, or out of range, or the constraint that is violated.
        """
        found = tree.read(self._level, config, tree.given)
        violated = self.satisfies(found)
        if violated is not None:
            raise SpaceError(f"constraint {violated!r} is violated", hint=self._shown(violated))
        return found

    # ---- other spaces

    def narrow(self, ranges: Mapping[str, Sequence[Any]]) -> Space:
        """The part of this space in which the entries at the given paths have narrower ranges.

        A number takes (low, high), cut to its old range and, with a step, to its old steps; a Choice or an Ordinal
        takes a list of options. Defaults and priors stay where they are still valid. Raises SpaceError for an unknown
        path, an unknown option, or a range of which nothing is left.
        """
        self._check_paths(ranges)
        entries = tree.narrowed(self._level, ranges)
        names = frozenset(node.name for node in tree.walk(tree.plant(entries)))
        # A number of what can no longer be active is unknown for good, and a constraint on that is satisfied.
        numbers = {name: number for name, number in self._numbers.items() if number.needs <= names}
        kept = tuple(rule for rule in self._rules if rule.needs <= names | numbers.keys())
        part = Space(entries, {rule.name: rule.rule for rule in kept}, {name: self.known[name] for name in numbers})
        # functions may still ask for names that only the wider space has; and a part of a structure is still one
        paths = set(part.paths)
        graphs = tuple((path, graph) for path, graph in self.graphs if paths.issuperset(paths_of(path, graph)))
        derivations = tuple(tree for tree in self.derivations if tree[0].path in paths)
        part.__dict__.update(_rules=kept, _numbers=numbers, graphs=graphs, derivations=derivations)
        return part

    def to_json(self) -> dict[str, Any]:
        """Plain JSON data. Of a constraint or a known number that is a function, only the name is kept, with None."""
        entries = {name: entry.to_json() for name, entry in self.entries.items()}
        known = {"known": _written(self.known)} if self.known else {}
        return {"entries": entries, "constraints": _written(self.constraints), **known}

    @classmethod
    def from_json(cls, data: Mapping[str, Any], functions: Mapping[str, Rule] | None = None) -> Space:
        """The space that `to_json` wrote; or a bare mapping of entries and shorthands, as in a study file.

        `entries`, `constraints` and `known` are reserved names at the top of the mapping. `functions` gives those that
        JSON cannot hold, by name. Raises SpaceError which names the path of a mistake, or the function that is missing.
        """
        sections, given = _sections(data), functions or {}
        stored = {section: _stored(sections.get(section, {}), section) for section in _RULES}
        names = [name for rules in stored.values() for name in rules]
        for name in given:
            if name not in names:
                raise SpaceError(f"there is no constraint or known number {name!r}", hint=nearest_hint(name, names))
        rules = {section: _rules_of(some, given, _RULES[section]) for section, some in stored.items()}
        return cls(entries_of(sections["entries"]), **rules)

    @property
    def functions(self) -> Mapping[str, Predicate]:
        """The constraints and the known numbers that are functions, which JSON cannot hold, by name."""
        rules = {**self.constraints, **self.known}
        return {name: rule for name, rule in rules.items() if not isinstance(rule, str)}

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Space) and self._identity == other._identity

    def __hash__(self) -> int:
        return hash(self._identity)

    def __repr__(self) -> str:
        rules = f", constraints={dict(self.constraints)!r}" if self.constraints else ""
        numbers = f", known={dict(self.known)!r}" if self.known else ""
        return f"Space({dict(self.entries)!r}{rules}{numbers})"

    def __getstate__(self) -> dict[str, Any]:
        named = {"entries": self.entries, "constraints": self.constraints, "known": self.known}
        return named  # the compiled tree holds closures

    # ---- the compiled form

    @cached_property
    def _level(self) -> Level:
        level = tree.plant(self.entries)
        paths = Counter(node.path for node in tree.walk(level))
        double = next((path for path, times in paths.items() if times > 1), None)
        if double is not None:
            raise SpaceError(f"two entries have the path {double!r}", hint="Rename an option that contains '/' or '='.")
        return level

    @cached_property
    def names(self) -> frozenset[str]:
        """The names that may stand in a config, those of every branch included."""
        return frozenset(node.name for node in tree.walk(self._level))

    @cached_property
    def _numbers(self) -> Mapping[str, Number]:
        for name in self.known:
            if name in self.names or name in self.constraints:
                raise SpaceError(
                    f"the known number {name!r} has the name of an entry or of a constraint", hint="Rename it."
                )
        return {name: Number(name, rule, self.names) for name, rule in self.known.items()}

    @cached_property
    def _rules(self) -> tuple[Constraint, ...]:
        names = self.names | self.known.keys()
        return tuple(Constraint(name, rule, names) for name, rule in self.constraints.items())

    @cached_property
    def _used(self) -> frozenset[str]:
        """The known numbers that constraints mention."""
        return frozenset(name for rule in self._rules for name in rule.needs if name in self.known)

    @cached_property
    def _width(self) -> int:
        return len(self.paths)

    @cached_property
    def _identity(self) -> tuple[Any, ...]:
        structures = [path for path, _ in self.graphs] + [tree[0].path for tree in self.derivations]
        return json.dumps(self.to_json()), tuple(self.functions.values()), tuple(structures)

    def _drawn(self, point: np.ndarray[Any, np.dtype[np.float64]]) -> Config:
        """The config that uniform numbers `(d,)` stand for, by the priors."""
        config: Config = {}
        tree.draw(self._level, point.tolist(), config)
        return config

    def _excess(self, point: np.ndarray[Any, np.dtype[np.float64]]) -> float:
        """By how much the config drawn from a point `(d,)` violates the constraints; 0 where it satisfies them."""
        seen = self._seen(self._drawn(point))
        return sum(rule.excess(seen) for rule in self._rules)

    def _satisfying(self, make: Callable[[], Config]) -> Config:
        """The first config made that satisfies every constraint."""
        if not self._rules:
            return make()
        made = []
        for _ in range(_TRIES):
            made.append(make())
            if self.satisfies(made[-1]) is None:
                return made[-1]
        raise self._unsatisfied(made)

    def _unsatisfied(self, configs: Iterable[Config]) -> SpaceError:
        """The error that names the constraint which most of the configs violate."""
        violated = Counter(self.satisfies(config) or "" for config in configs)
        name, times = violated.most_common(1)[0]
        return SpaceError(
            f"no config found in {_TRIES} tries that satisfies the constraints; {name!r} was violated {times} times",
            hint=f"Widen the space or the constraint. {self._shown(name)}",
        )

    def _shown(self, name: str) -> str:
        rule = self.constraints[name]
        return f"It says: {rule}" if isinstance(rule, str) else ""

    def _read(self, config: Mapping[str, Any], missing: Callable[[Node], Any] = tree.required) -> Config:
        if not isinstance(config, Mapping):
            raise SpaceError(f"a config is a mapping from name to value, not {config!r}")
        for name in config:
            if name not in self.names:
                raise tree.stranger(self._level, name)
        found = tree.read(self._level, config, missing)
        for name in config:
            if name not in found:
                raise tree.stranger(self._level, name)
        return found

    def _units(self, config: Mapping[str, Any]) -> list[float]:
        units = [math.nan] * self._width
        try:
            tree.locate(self._level, config, units)
        except (KeyError, TypeError, ValueError, AttributeError):
            tree.locate(self._level, self._read(config), units)
        return units

    def _check_paths(self, paths: Iterable[str]) -> None:
        for path in paths:
            if path not in self.paths:
                raise SpaceError(f"there is no path {path!r}", hint=nearest_hint(path, self.paths))


def _endless(count: int | None) -> int | float:
    return math.inf if count is None else count


_RULES = {"constraints": "constraint", "known": "known number"}
"""The sections beside the entries, and what stands in them."""


def _sections(data: Any) -> Mapping[str, Any]:
    """The sections of either JSON form."""
    if not isinstance(data, Mapping):
        return {"entries": data}
    if "entries" not in data:
        entries = {name: value for name, value in data.items() if name not in _RULES}
        return {**data, "entries": entries}
    for name in data:
        if name not in ("entries", *_RULES):
            raise SpaceError(f"{name!r} beside 'entries'", hint="Move it into 'entries'.")
    return data


def _written(rules: Mapping[str, Rule]) -> dict[str, str | None]:
    """The rules as JSON, with None for functions."""
    return {name: rule if isinstance(rule, str) else None for name, rule in rules.items()}


def _stored(rules: Any, section: str) -> Mapping[str, Rule | None]:
    if not isinstance(rules, Mapping):
        raise SpaceError(f"{section} is a mapping from name to expression, not {rules!r}")
    return rules


def _rules_of(stored: Mapping[str, Rule | None], functions: Mapping[str, Rule], kind: str) -> dict[str, Rule]:
    """The rules of a kind, with the functions in the places that JSON left empty."""
    for name, rule in stored.items():
        if rule is None and name not in functions:
            raise SpaceError(
                f"{kind} {name!r} is a function, which JSON cannot hold",
                hint=f"Give it again: Space.from_json(data, {{{name!r}: ...}}).",
            )
    return {name: functions[name] if rule is None else rule for name, rule in stored.items()}
