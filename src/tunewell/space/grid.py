"""A grid of configs, numbered and never written out: its size may be 10**30."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

from tunewell.errors import SpaceError
from tunewell.space.tree import Config, Level, Node
from tunewell.space.values import copied

_MOST = 1_000_000


@dataclass(frozen=True, eq=False)
class Grid:
    """The configs that `Space.grid(levels)` numbers from 0 to `size - 1`; the entry written last changes fastest.

    Known constraints are not applied: ask `space.satisfies(config)`.
    """

    level: Level = field(repr=False)
    levels: Mapping[str, int]

    @cached_property
    def size(self) -> int:
        """The exact number of points."""
        return prod(leaf.size for leaf in self._leaves)

    def point(self, index: int) -> Config:
        """The config number `index`; IndexError outside of 0 ... size - 1."""
        if not 0 <= index < self.size:
            raise IndexError(f"point {index} of a grid of {self.size}")
        config: Config = {}
        rest = self.size
        for leaf in self._leaves:
            rest //= leaf.size
            number, index = divmod(index, rest)
            leaf.fill(number, config)
        return config

    def __iter__(self) -> Iterator[Config]:
        index = 0
        while index < self.size:
            yield self.point(index)
            index += 1

    @cached_property
    def _leaves(self) -> list[_Leaf]:
        return [_Leaf(node, self.levels) for node in self.level]


class _Leaf:
    """One entry in the grid: its values, each with the grid below it."""

    def __init__(self, node: Node, levels: Mapping[str, int]) -> None:
        self.node = node
        self.values: list[Any] = node.axis.levels(_checked(node, levels.get(node.path, 5)))
        self.below = [Grid(node.branches[value], levels) for value in self.values] if node.branches else []
        self.size = sum(grid.size for grid in self.below) if self.below else len(self.values)

    def fill(self, number: int, config: Config) -> None:
        if not self.below:
            config[self.node.name] = copied(self.values[number])
            return
        for value, grid in zip(self.values, self.below, strict=True):
            if number < grid.size:
                config[self.node.name] = value
                config.update(grid.point(number))
                return
            number -= grid.size


def _checked(node: Node, levels: int) -> int:
    if not 1 <= levels <= _MOST:
        raise SpaceError(f"{node.path}: {levels} levels in a grid", hint=f"Use 1 to {_MOST} levels.")
    return levels
