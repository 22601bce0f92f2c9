"""Random programs: each possible depth equally often, and each of the programs of a depth equally often.

Drawn place by place, nearly all programs would be trivial; drawn among all, nearly all would be as deep as can be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property, lru_cache
from math import prod
from typing import Any


class Programs:
    """The programs at a place: how many there are, and random ones.

    `ways`: what may stand there, each with the programs at the places below it, by name.
    """

    def __init__(self, ways: Mapping[Any, Mapping[str, Programs]]) -> None:
        self.ways = ways
        self._most: Callable[[int], int] = lru_cache(maxsize=None)(self._count)

    @cached_property
    def depths(self) -> list[int]:
        """The depths that there are programs of."""
        below = (place.depths[-1] for places in self.ways.values() for place in places.values())
        return [depth for depth in range(1, max(below, default=0) + 2) if self.exactly(depth)]

    def most(self, depth: int) -> int:
        """The programs of at most a depth."""
        return self._most(depth) if depth > 0 else 0

    def exactly(self, depth: int) -> int:
        """The programs of exactly a depth."""
        return self.most(depth) - self.most(depth - 1)

    def _count(self, depth: int) -> int:
        return sum(_of(places.values(), depth) for places in self.ways.values())

    def draw(self, name: str, chances: Mapping[str, float]) -> dict[str, Any]:
        """What stands at each place of a random program; `chances` has a number in [0, 1) for each place, by name."""
        left, found = dict(chances), dict[str, Any]()
        number, left[name] = _picked([1] * len(self.depths), chances[name])
        self._fill(name, self.depths[number], True, left, found)
        return found

    def _fill(self, name: str, depth: int, exact: bool, chances: dict[str, float], found: dict[str, Any]) -> None:
        """One of the programs of exactly a depth, or of at most it, all equally likely."""
        ways = list(self.ways.items())
        weights = [_of(places.values(), depth) - exact * _of(places.values(), depth - 1) for _, places in ways]
        number, _ = _picked(weights, chances[name])
        found[name], places = ways[number]
        names = list(places)
        for at, below in enumerate(names):
            inner, deepest = places[below], exact
            if exact:
                rest = [places[other] for other in names[at + 1 :]]
                which, chances[below] = _picked(_deep(inner, rest, depth - 1), chances[below])
                deepest = which == 0
            inner._fill(below, depth - 1 if deepest or not exact else depth - 2, deepest, chances, found)
            exact = exact and not deepest


def _of(places: Iterable[Programs], depth: int) -> int:
    """The programs of at most a depth that have some places below the first."""
    return prod(place.most(depth - 1) for place in places) if depth > 0 else 0


def _deep(place: Programs, rest: Iterable[Programs], depth: int) -> list[int]:
    """Of the programs at a place and at the rest, the deepest of exactly a depth: those where the place has it, and
    those where only one of the rest does.
    """
    any_depth = prod(other.most(depth) for other in rest)
    shallow = prod(other.most(depth - 1) for other in rest)
    return [place.exactly(depth) * any_depth, place.most(depth - 1) * (any_depth - shallow)]


def _picked(weights: list[int], chance: float) -> tuple[int, float]:
    """A number with probability in proportion to its weight, and what is left of the chance, in [0, 1)."""
    total, below = sum(weights), 0
    for number, weight in enumerate(weights):
        share, start = weight / total, below / total
        if weight and (chance < start + share or below + weight == total):
            return number, min(max((chance - start) / share, 0.0), 1.0 - 2.0**-53)
        below += weight
    raise AssertionError("some weight is positive")
