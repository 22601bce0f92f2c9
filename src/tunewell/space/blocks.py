"""A number of blocks, each with entries of its own or with some in common."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from tunewell.errors import SpaceError
from tunewell.space.entry import Derivation, Entry, Graph, Int, entries_of, entry_of
from tunewell.space.switch import Switch
from tunewell.space.values import name_of, nearest_hint, whole

_MOST = 1000


@dataclass(frozen=True, eq=False, repr=False)
class Blocks(Entry):
    """`low` to `high` blocks, such as the layers of a network; all numbers are equally likely.

    `each`: the entries of a block, or one entry. Below the name `blocks`, the config holds their number as `blocks`,
    the entries of the first as `blocks.0.units` (of one entry `blocks.0`), and so on; those that are `tied`, which have
    one value for all blocks, as `blocks.*.activation`. A block that comes or goes leaves the others as they are.
    `default`: the number to begin with. `tunewell.unflatten` reads the blocks as a list. Raises SpaceError for a number
    of blocks that is reversed, negative or above 1,000, and for a tied name that is not there.
    """

    each: Any
    low: int
    high: int
    tied: Sequence[str] = ()
    default: int | None = None

    kind: ClassVar[str] = "blocks"

    def __post_init__(self) -> None:
        for name in ("low", "high"):
            object.__setattr__(self, name, whole(getattr(self, name), name))
        if not 0 <= self.low <= self.high <= _MOST:
            raise SpaceError(f"Blocks: from {self.low} to {self.high} blocks", hint=f"0 <= low <= high <= {_MOST}.")
        each = self.each if isinstance(self.each, Entry) else _block(self.each)
        object.__setattr__(self, "each", each)
        tied = [self.tied] if isinstance(self.tied, str) else self.tied
        object.__setattr__(self, "tied", tuple(tied))
        for name in self.tied:
            if isinstance(each, Entry) or name not in each:
                known = [] if isinstance(each, Entry) else list(each)
                raise SpaceError(f"Blocks: {name!r} is tied and no entry of a block", hint=nearest_hint(name, known))
        _ = self._count

    @cached_property
    def _count(self) -> Int:
        return Int(self.low, self.high, default=self.default)

    def explicit(self) -> Any:
        return self._count.explicit()

    def parts(self, name: str) -> Mapping[str, Entry]:
        """One switch: the number of blocks, and below it what they are."""
        tied, blocks = self._tied(name), [self._block(f"{name}.{number}") for number in range(self.high)]
        active: dict[int, list[str]] = {}
        for count in range(self.low, self.high + 1):
            own = [inner for block in blocks[:count] for inner in block]
            active[count] = [*(tied if count else ()), *own]
        entries = {inner: entry for part in (tied, *blocks) for inner, entry in part.items()}
        return {name: Switch(self._count, entries, active)}

    def graphs(self, path: str) -> list[tuple[str, Graph]]:
        return [found for inner, entry in self._inner(path) for found in entry.graphs(inner)]

    def derivations(self, path: str) -> list[Derivation]:
        return [found for inner, entry in self._inner(path) for found in entry.derivations(inner)]

    def _inner(self, path: str) -> list[tuple[str, Entry]]:
        """The entries of all blocks, with their paths."""
        name = name_of(path)
        blocks = [self._tied(name), *(self._block(f"{name}.{number}") for number in range(self.high))]
        return [(f"{path}/{inner}", entry) for block in blocks for inner, entry in block.items()]

    def _tied(self, name: str) -> dict[str, Entry]:
        return {f"{name}.*.{inner}": self.each[inner] for inner in self.tied}

    def _block(self, name: str) -> dict[str, Entry]:
        """The entries of one block that are its own."""
        if isinstance(self.each, Entry):
            return {name: self.each}
        return {f"{name}.{inner}": entry for inner, entry in self.each.items() if inner not in self.tied}

    def to_json(self) -> dict[str, Any]:
        one = isinstance(self.each, Entry)
        each = self.each.to_json() if one else {name: entry.to_json() for name, entry in self.each.items()}
        data: dict[str, Any] = {"type": "blocks", "each": each, "low": self.low, "high": self.high}
        if self.tied:
            data["tied"] = list(self.tied)
        return data if self.default is None else {**data, "default": self.default}


def _block(data: Any) -> Entry | dict[str, Entry]:
    """The entries of a block, or the one entry, from JSON forms and shorthands."""
    inner = getattr(data, "entries", data)  # of a Space
    if isinstance(inner, Mapping) and not _is_one(inner):
        return entries_of(inner, "each")
    return entry_of(inner, "each")


def _is_one(data: Mapping[str, Any]) -> bool:
    """Whether a mapping is the JSON form of one entry: its settings are no entries, or it says its type."""
    return isinstance(data.get("type"), str) or {"low", "high"} <= set(data)
