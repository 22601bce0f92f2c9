"""A grammar: programs that are derived from productions, no deeper than a limit.

S. Schrodi, D. Stoll, B. Ru, R. Sukthanker, T. Brox, F. Hutter: Construction of hierarchical neural architecture search
spaces based on context-free grammars. NeurIPS 2023. arXiv:2211.01842.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

from tunewell.errors import SpaceError
from tunewell.space.entry import UNSET, Choice, Derivation, Entry, Place
from tunewell.space.switch import Switch
from tunewell.space.values import name_of, nearest_hint, whole

_WORD = re.compile(r"[^\s(),.=/]+")
_MOST = 2000


@dataclass(frozen=True)
class Production:
    """One way to go on: its text, such as "seq(block, block)", and the symbols in it that are derived further."""

    text: str
    symbols: tuple[str, ...]


@dataclass(frozen=True, eq=False, repr=False)
class Grammar(Entry):
    """A program derived from the symbol `start`: each symbol is replaced by one of the productions in its `rules`.

    `rules`: symbol to a list of texts, `"conv"` or `"seq(block, block)"`, whose words are symbols of the rules or
    names of operations. `depth`: how many replacements lie within each other at most; 1 for "conv" alone. Below the
    name `net`, the config holds the first production as `net`, that of the first `block` in it as `net.block0`, of the
    second as `net.block1`, and so on. `tunewell.unflatten` gives the program as one text.

    A random program has each possible depth equally often, and is each of the programs of its depth equally often: so
    that samples are neither mostly trivial nor mostly as deep as can be. Raises SpaceError for a rule that cannot be
    read, for a symbol that has no program within the depth, and for more than 2,000 places in a program.
    """

    rules: Mapping[str, Sequence[str]]
    start: str
    depth: int

    kind: ClassVar[str] = "grammar"

    def __post_init__(self) -> None:
        if not isinstance(self.rules, Mapping):
            raise SpaceError(f"Grammar: the rules are a mapping from symbol to productions, not {self.rules!r}")
        rules = {
            _symbol(name): tuple(texts) if not isinstance(texts, str) else (texts,)
            for name, texts in self.rules.items()
        }
        object.__setattr__(self, "rules", rules)
        object.__setattr__(self, "depth", whole(self.depth, "depth"))
        if self.start not in rules:
            raise SpaceError(f"Grammar: start={self.start!r} is no symbol", hint=nearest_hint(self.start, rules))
        if not self._least.get(self.start, math.inf) <= self.depth:
            raise SpaceError(
                f"Grammar: no program of {self.start!r} is done within depth={self.depth}",
                hint="A larger depth, or a production without symbols.",
            )
        if self._places(self.start, self.depth, _MOST) > _MOST:
            raise SpaceError(f"Grammar: a program may have more than {_MOST} places", hint="A smaller depth.")

    @cached_property
    def _productions(self) -> dict[str, tuple[Production, ...]]:
        return {symbol: tuple(self._read(symbol, text) for text in texts) for symbol, texts in self.rules.items()}

    def _read(self, symbol: str, text: Any) -> Production:
        if not isinstance(text, str) or not _WORD.search(text) or text.count("(") != text.count(")"):
            raise SpaceError(f"Grammar: {text!r}, of {symbol!r}, is no production", hint='Such as "seq(block, block)".')
        words = [(match[0], text[match.end() :].lstrip()[:1] == "(") for match in _WORD.finditer(text)]
        for word, called in words:
            if called and word in self.rules:
                raise SpaceError(f"Grammar: {text!r} calls the symbol {word!r}", hint="Another name for the operation.")
        return Production(text, tuple(word for word, _ in words if word in self.rules))

    def _places(self, symbol: str, depth: int, limit: int) -> int:
        """How many places a program may have, as long as they are few."""
        below = self._slots(symbol, depth)
        total = 1
        for inner in below.values():
            if total > limit:
                break
            total += self._places(inner, depth - 1, limit - total)
        return total

    def _possible(self, symbol: str, depth: float) -> tuple[Production, ...]:
        """The productions that are done within a depth."""
        return tuple(way for way in self._productions[symbol] if self._depth(way) <= depth)

    def _depth(self, way: Production) -> float:
        """The depth of the shallowest program that begins with a production."""
        return 1 + max((self._least[symbol] for symbol in way.symbols), default=0)

    @cached_property
    def _least(self) -> dict[str, float]:
        """The depth of the shallowest program of each symbol; infinite where there is none."""
        found = dict.fromkeys(self.rules, math.inf)
        for _ in self.rules:  # a shallowest program goes through no symbol twice
            for symbol, ways in self._productions.items():
                depths = [1 + max((found[inner] for inner in way.symbols), default=0) for way in ways]
                found[symbol] = min(depths, default=math.inf)
        return found

    def _slots(self, symbol: str, depth: float) -> dict[str, str]:
        """The places below one, by name: "block0" is a block."""
        ways = self._possible(symbol, depth)
        return {name: inner for way in ways for name, inner in zip(_names(way), way.symbols, strict=True)}

    # --- as entries --------------------------------------------------------------------------------------------------

    def parts(self, name: str) -> Mapping[str, Entry]:
        """A switch between productions, and in it one for each symbol that they have."""
        return {name: self._place(name, self.start, self.depth)}

    def _place(self, name: str, symbol: str, depth: int) -> Switch:
        ways = self._possible(symbol, depth)
        shallow = min(ways, key=self._depth)
        entries = {
            f"{name}.{slot}": self._place(f"{name}.{slot}", inner, depth - 1)
            for slot, inner in self._slots(symbol, depth).items()
        }
        active = {way.text: [f"{name}.{slot}" for slot in _names(way)] for way in ways}
        choice = Choice([way.text for way in ways], default=shallow.text)
        return Switch(choice, entries, active, derived=True)

    def derivations(self, path: str) -> list[Derivation]:
        found = [Place(path, self.start, -1, 0)]
        self._list(0, self.depth, found)
        return [tuple(found)]

    def _list(self, above: int, depth: int, found: list[Place]) -> None:
        """Add all places below one."""
        upper = found[above]
        orders = list(self._slots(upper.symbol, math.inf))
        for slot, inner in self._slots(upper.symbol, depth).items():
            found.append(Place(f"{upper.path}/{name_of(upper.path)}.{slot}", inner, above, orders.index(slot)))
            self._list(len(found) - 1, depth - 1, found)

    def explicit(self) -> Any:
        return UNSET

    def to_json(self) -> dict[str, Any]:
        rules = {symbol: list(texts) for symbol, texts in self.rules.items()}
        return {"type": "grammar", "rules": rules, "start": self.start, "depth": self.depth}


def _names(way: Production) -> list[str]:
    """The names of the places of the symbols of a production: "block0", "block1"."""
    seen: dict[str, int] = {}
    names = []
    for symbol in way.symbols:
        names.append(f"{symbol}{seen.get(symbol, 0)}")
        seen[symbol] = seen.get(symbol, 0) + 1
    return names


def _symbol(name: Any) -> str:
    if not isinstance(name, str) or not _WORD.fullmatch(name):
        raise SpaceError(f"Grammar: the symbol {name!r}", hint="A word without spaces and ( ) , . = /")
    return name
