"""Small changes of one config, and mixtures of two: what evolution does with a space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tunewell.space.entry import Choice
from tunewell.space.grafting import Symbols, grafted
from tunewell.space.scale import Axis
from tunewell.space.tree import Config, Level, Node, active, draw
from tunewell.space.values import copied

_TRIES = 20
"""So often a mutation is drawn that may leave a config as it is; then one that may not."""


def mutated(
    level: Level, config: Mapping[str, Any], rng: np.random.Generator, strength: float, others: float, width: int
) -> Config:
    """`config` with one active entry changed, and each other one with probability `others` / number of active entries.

    A number or an Ordinal makes a normal step of `strength` times its scale, or of a value's share of it if that is
    more; a Choice takes another option, whose entries are sampled. `width` is the number of coordinates of the whole
    space.
    """
    movable = [node for node in active(level, config) if node.axis.size != 1]
    if not movable:
        return {name: copied(value) for name, value in config.items()}
    for force in (*[False] * _TRIES, True):
        chances = rng.random(len(movable)).tolist()
        chances[int(rng.integers(len(movable)))] = -1.0
        moved = {node.path for node, chance in zip(movable, chances, strict=True) if chance * len(movable) < others}
        child = _Mutation(moved, rng, strength, width, force).child(level, config)
        if child != config:
            break
    return child


class _Mutation:
    """One mutation on its way down the tree."""

    def __init__(
        self, moved: set[str], rng: np.random.Generator, strength: float, width: int, force: bool = False
    ) -> None:
        self.moved = moved
        self.rng = rng
        self.strength = strength
        self.width = width
        self.force = force

    def child(self, level: Level, config: Mapping[str, Any]) -> Config:
        child: Config = {}
        for node in level:
            old = config[node.name]
            new = child[node.name] = self.move(node, old) if node.path in self.moved else copied(old)
            if node.branches and new == old:
                child.update(self.child(node.branches[new], config))
            elif node.branches:
                child.update(self.switched(node, old, new, config))
        return child

    def switched(self, node: Node, old: Any, new: Any, config: Mapping[str, Any]) -> Config:
        """What is active below a new value: what was so before stays, the rest is drawn."""
        before = {inner.path for inner in node.branches[old]}
        kept = tuple(inner for inner in node.branches[new] if inner.path in before)
        below = self.child(kept, config)
        fresh = tuple(inner for inner in node.branches[new] if inner.path not in before)
        draw(fresh, self.rng.random(self.width).tolist(), below)
        return below

    def move(self, node: Node, old: Any) -> Any:
        if isinstance(node.entry, Choice):
            return _another(node.entry, old, float(self.rng.random()))
        if self.force:
            return _step(node.axis, old, self.strength * float(self.rng.standard_normal()))
        # What is the same from every value keeps the walk reversible; a narrower step would leave most values alone.
        return self.walked(node.axis, old, max(self.strength, 1 / node.axis.size if node.axis.size else 0.0))

    def walked(self, axis: Axis, old: Any, strength: float) -> Any:
        """The value a normal step away, reflected at the ends; it may be the same.

        An integer stands for its whole cell: from a random point of it the walk is reversible with respect to the
        uniform distribution on the scale, so that it drifts nowhere. From the middle it would.
        """
        low, high = axis.cell(old)
        start = low + (high - low) * float(self.rng.random())
        return axis.at(_reflected(start + strength * float(self.rng.standard_normal())))


def perturbed(
    level: Level, config: Mapping[str, Any], rng: np.random.Generator, strength: float, resample: float, width: int
) -> Config:
    """`config` with each active number and Ordinal moved, and each active entry drawn anew with chance `resample`.

    A move is a normal step of `strength` times the scale, reflected at the ends. A Choice changes only where it is
    drawn, and the entries of its new option are drawn with it.
    """
    movable = {node.path for node in active(level, config) if node.axis.size != 1}
    return _Perturbation(movable, rng, strength, width, resample).child(level, config)


class _Perturbation(_Mutation):
    """One perturbation on its way down the tree."""

    def __init__(self, moved: set[str], rng: np.random.Generator, strength: float, width: int, resample: float) -> None:
        super().__init__(moved, rng, strength, width)
        self.resample = resample

    def move(self, node: Node, old: Any) -> Any:
        if self.rng.random() < self.resample:
            return node.draw(float(self.rng.random()))
        if isinstance(node.entry, Choice):
            return copied(old)
        return self.walked(node.axis, old, self.strength)


def _another(entry: Choice, old: Any, chance: float) -> Any:
    """One of the other options, all equally likely."""
    options = entry.axis
    number = options.number(old)
    index = int(chance * (len(options.values) - 1))
    return options.value(index + (index >= number))


def _step(axis: Axis, old: Any, distance: float) -> Any:
    """The value at `distance` along the axis, reflected at the ends; the distance doubles until the value differs."""
    start = axis.unit(old)
    distance = distance or 2.0**-41
    for _ in range(60):
        new = axis.at(_reflected(start + distance))
        if new != old:
            return new
        distance *= 2
    return axis.at(0.0) if axis.at(0.0) != old else axis.at(1.0)


def _reflected(unit: float) -> float:
    unit = abs(unit) % 2
    return 2 - unit if unit > 1 else unit


def crossed(
    level: Level,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    rng: np.random.Generator,
    programs: Mapping[str, Symbols],
) -> Config:
    """A child that takes each entry from either parent with equal chance, and the entries of a branch with it.

    Where both parents chose the same option, their entries below are mixed as well. One of the `programs`, by the path
    of its first place, that would be a copy of a parent's gets a subtree of the other's instead, wherever that stands
    there. Only two configs of the space go in.
    """
    return _Crossing(rng, programs).child(level, first, second)


class _Crossing:
    """One crossing on its way down the tree."""

    def __init__(self, rng: np.random.Generator, programs: Mapping[str, Symbols]) -> None:
        self.rng = rng
        self.programs = programs

    def child(self, level: Level, first: Mapping[str, Any], second: Mapping[str, Any]) -> Config:
        child: Config = {}
        for node in level:
            giver, other = (first, second) if self.rng.random() < 0.5 else (second, first)
            value = giver[node.name]
            part = {node.name: copied(value)}
            if node.branches and other[node.name] == value:
                part.update(self.child(node.branches[value], first, second))
            elif node.branches:
                part.update(self.given(node, value, giver, other))
            if node.path in self.programs:
                part = grafted(node, self.programs[node.path], part, giver, other, self.rng)
            child.update(part)
        return child

    def given(self, node: Node, value: Any, giver: Mapping[str, Any], other: Mapping[str, Any]) -> Config:
        """What is below a value that only the giver has: what both parents have is mixed, the rest is the giver's."""
        known = {inner.path for inner in node.branches[other[node.name]]}
        shared = tuple(inner for inner in node.branches[value] if inner.path in known)
        below = self.child(shared, giver, other)
        own = tuple(inner for inner in node.branches[value] if inner.path not in known)
        below.update((inner.name, copied(giver[inner.name])) for inner in active(own, giver))
        return below
