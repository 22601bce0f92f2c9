"""An entry whose value says which others are active: what the structures of a space are made of.

The branches of a Choice have entries of their own; the values of a Switch share theirs. Of three blocks and four, three
are the same entries, so that a config which gets a fourth block keeps what is known of the first three.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from tunewell.errors import SpaceError
from tunewell.space.deriving import Programs
from tunewell.space.entry import Choice, Entry, Int, Ordinal, entries_of, entry_of
from tunewell.space.values import nearest_hint, plain

_MOST = 10_000


@dataclass(frozen=True, eq=False, repr=False)
class Switch(Entry):
    """An entry `of` several values, and the `entries` that are active with each: `active` says their names by value.

    `of`: an Int, an Ordinal, or a Choice without branches. `derived`: the values are productions, those below as well,
    and a program is drawn as one (`tunewell.space.deriving`). Raises SpaceError where `active` lacks a value or names
    what is not there, and where something below a derived one is not.
    """

    of: Any
    entries: Mapping[str, Any]
    active: Any
    derived: bool = False

    kind: ClassVar[str] = "switch"

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", entry_of(self.of, "of"))
        parts = {name: entry.parts(name) for name, entry in entries_of(self.entries).items()}
        object.__setattr__(self, "entries", {name: part for each in parts.values() for name, part in each.items()})
        values = _values_of(self.of)
        pairs = self.active.items() if isinstance(self.active, Mapping) else _pairs(self.active)
        object.__setattr__(self, "active", {self.of.read(value): _names(names, parts) for value, names in pairs})
        for value in values:
            if value not in self.active:
                raise SpaceError(f"Switch: what is active with {value!r} is not said", hint="A list of names, or [].")
        if not isinstance(self.derived, bool):
            raise SpaceError(f"Switch: derived={self.derived!r}", hint="True or False.")
        if self.derived and not all(isinstance(below, Switch) and below.derived for below in self.entries.values()):
            raise SpaceError("Switch: it is derived, and what is below is not", hint="Leave out derived.")
        if self.derived and getattr(self.of, "prior", None) is not None:
            raise SpaceError("Switch: what is derived follows no prior", hint="Leave out the prior, or derived.")

    def narrowed(self, values: Sequence[Any]) -> Switch:
        return self.with_part(self.of.narrowed(values), self.entries)

    def with_part(self, of: Entry, entries: Mapping[str, Entry]) -> Switch:
        """The switch with a part of its values and narrower entries; what can no longer be active is gone."""
        active = {value: self.active[value] for value in _values_of(of)}
        used = {name for names in active.values() for name in names}
        kept = {name: entry for name, entry in entries.items() if name in used}
        return replace(self, of=of, entries=kept, active=active)

    @cached_property
    def programs(self) -> Programs:
        """The programs that are derived from this place."""
        below = {name: entry.programs for name, entry in self.entries.items()}
        return Programs({value: {name: below[name] for name in self.active[value]} for value in _values_of(self.of)})

    def explicit(self) -> Any:
        return self.of.explicit()

    def to_json(self) -> dict[str, Any]:
        entries = {name: entry.to_json() for name, entry in self.entries.items()}
        active = [[value, list(names)] for value, names in self.active.items()]
        derived = {"derived": True} if self.derived else {}
        return {"type": "switch", "of": self.of.to_json(), "entries": entries, "active": active, **derived}


def _values_of(entry: Any) -> list[Any]:
    """All values of the entry that decides."""
    if isinstance(entry, Int) and not entry.log and (entry.high - entry.low) // entry.step < _MOST:
        return list(range(entry.low, entry.high + 1, entry.step))
    if isinstance(entry, Ordinal) or (isinstance(entry, Choice) and not entry.branches):
        if any(isinstance(value, list | dict) for value in entry.listed):
            raise SpaceError("Switch: the values are lists or mappings", hint="Use numbers or strings.")
        return list(entry.listed)
    raise SpaceError(
        f"Switch: what decides is {entry!r}", hint=f"An Int of at most {_MOST} values, an Ordinal, or a plain Choice."
    )


def _pairs(active: Any) -> Iterable[tuple[Any, Any]]:
    """The JSON form: a list of [value, names]."""
    if not isinstance(active, Iterable) or isinstance(active, str):
        raise SpaceError(f"Switch: active is a list of [value, names], not {active!r}")
    pairs = [tuple(pair) if isinstance(pair, list | tuple) else (pair,) for pair in active]
    for pair in pairs:
        if len(pair) != 2 or isinstance(pair[0], list | dict):
            raise SpaceError(f"Switch: active is a list of [value, names], and {list(pair)!r} is none")
    return [(plain(pair[0]), pair[1]) for pair in pairs]


def _names(names: Any, parts: Mapping[str, Mapping[str, Entry]]) -> tuple[str, ...]:
    """The names of what is active, of a structure those of its parts."""
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise SpaceError(f"Switch: the names of entries are a list of strings, not {names!r}")
    found: list[str] = []
    for name in names:
        if name not in parts and not any(name in each for each in parts.values()):
            raise SpaceError(f"Switch: there is no entry {name!r}", hint=nearest_hint(name, parts))
        found += parts.get(name, [name])
    return tuple(found)
