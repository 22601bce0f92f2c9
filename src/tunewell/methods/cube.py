"""A space as a model and a search see it: many points of the unit cube at once, as arrays.

Rows are points `(n, d)` in the coordinates of `Space.encode`: NaN where an entry is inactive. A number is a column of
the kernel; a Choice of k options is k columns that hold 1/sqrt(2) at the option and 0 elsewhere, all of one group, so
that two different options are at squared distance 1. An inactive number lies at the middle of its range and an inactive
Choice at 0: beside the Choice that decides on it, which differs, it then says little of its own. This is an embedding,
so that every kernel of a distance stays positive definite; no conditional space is flattened or left out. Behind these
columns, each cell and each grammar of the space has some that hold the features of its graph or of its tree, one group
more: two cells are near where their graphs are alike, whatever edges that is due to, and two programs where they have
parts in common, wherever these stand.

All places of a program have one length-scale, and columns so scaled that two random programs are at squared distance 1
by their places. A length-scale for each of so many places would have to be short for each, before programs that differ
in many of them had anything in common: the error of the model was up to a fifth larger. The places of a cell are so
scaled as well, and keep a length-scale each; an operation that nothing comes through counts as none.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Self, TypeAlias
from zlib import crc32

import numpy as np

from tunewell.space import Config, Space
from tunewell.space.entry import Derivation, Graph, paths_of
from tunewell.space.scale import LogIntegers
from tunewell.surrogates.graphs import WIDTH, derivation_features, subtree_features, used_places

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Groups: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

_DRAWN = 64
"""From so many programs it is learned how far two of them are apart."""

_TABLE = 4096
"""Up to so many values of a log scale, points are put on the values; beyond, nobody can tell."""


class Cube:
    """The unit cube of a space. `groups` `(p,)` is the group of each column of `embed`, its length-scale."""

    def __init__(self, space: Space) -> None:
        self.space = space
        self.dimensions = space.dimensions
        self.choices = np.array([dimension.kind == "choice" for dimension in self.dimensions], dtype=bool)
        self.sizes = [dimension.size for dimension in self.dimensions]
        self.parents = space.conditions
        self._tables = [self._table(index) for index in range(len(self.dimensions))]
        blocks = [self._width(index) for index in range(len(self.dimensions))]
        self._structures = _structures_of(space)
        own = np.repeat(np.arange(len(blocks)), blocks)
        behind = np.repeat(len(blocks) + np.arange(len(self._structures)), WIDTH)
        self.numbers = np.concatenate([~self.choices[own], np.zeros(len(behind), dtype=bool)])
        self.firsts = np.cumsum([0, *blocks])[:-1] if blocks else np.zeros(0, dtype=int)
        self._scales = np.ones(len(own))
        groups = np.concatenate([own, behind])
        scales: dict[Hashable, float] = {}
        for structure in self._structures:
            columns = np.flatnonzero(np.isin(own, structure.places))
            if structure.together:
                groups[columns] = groups[columns[0]]
            if structure.kind not in scales:
                scales[structure.kind] = self._scale(structure, columns)
            self._scales[columns] = scales[structure.kind]
        self.groups = np.unique(groups, return_inverse=True)[1].astype(np.intp)
        self.count = int(self.groups.max(initial=-1)) + 1
        self.movable = np.array([size != 1 for size in self.sizes], dtype=bool)
        self._steps = np.array([1 / size if size is not None else 0.0 for size in self.sizes])
        self.smooth = np.array([size is None for size in self.sizes], dtype=bool)

    def _table(self, index: int) -> Array | None:
        """The coordinate of each value, where these are not evenly spaced."""
        axis = self.space.axes[index]
        if isinstance(axis, LogIntegers) and axis.size is not None and axis.size <= _TABLE:
            return np.array([axis.unit(value) for value in range(axis.low, axis.high + 1)])
        return None

    def _scale(self, structure: _Structure, columns: Groups) -> float:
        """What brings two random structures of a kind, by the columns of their places, to a squared distance of 1 on
        average.
        """
        units = np.random.default_rng(0).random((_DRAWN, len(self.sizes)))
        above = self.parents[structure.places[0]]
        while above is not None:  # the branch that has the program, or most of those drawn would have none
            place, options = above
            units[:, place] = (options[0] + 0.5) / (self.sizes[place] or 1)
            above = self.parents[place]
        drawn = [self.space.spread(point) for point in units]
        spread = 2.0 * self.embed(self.points(drawn))[:, columns].var(0).sum()
        return float(spread**-0.5) if spread > 0 else 1.0

    def _width(self, index: int) -> int:
        size = self.sizes[index] or 0
        return size if self.choices[index] and size > 2 else 1

    # --- points ------------------------------------------------------------------------------------------------------

    def points(self, configs: list[Config]) -> Array:
        """Configs as points (n, d)."""
        return self.space.encode_many(configs)

    def settled(self, points: Array) -> Array:
        """The points (n, d) that the values nearest to these have; NaN where an entry is inactive. Changes nothing."""
        found = np.clip(points, 0.0, 1.0)
        for index, (size, table) in enumerate(zip(self.sizes, self._tables, strict=True)):
            if table is not None:
                middles = (table[1:] + table[:-1]) / 2
                found[:, index] = table[np.searchsorted(middles, found[:, index])]
            elif size is not None and not isinstance(self.space.axes[index], LogIntegers):
                found[:, index] = (np.minimum(np.floor(found[:, index] * size), size - 1) + 0.5) / size
        for index, parent in enumerate(self.parents):
            if parent is not None:
                found[~self._is_chosen(found, *parent), index] = np.nan
        return found

    def _is_chosen(self, points: Array, place: int, options: tuple[int, ...]) -> Flags:
        column = points[:, place]
        found: Flags = np.isin(np.floor(np.nan_to_num(column, nan=-1.0) * (self.sizes[place] or 1)), options)
        return found

    def embed(self, points: Array) -> Array:
        """The columns (n, p) of the kernel."""
        found, points = np.zeros((len(points), len(self.numbers))), self._meant(points)
        for index, first in enumerate(self.firsts):
            column, size = points[:, index], self.sizes[index] or 0
            known = ~np.isnan(column)
            if self._width(index) > 1:
                option = np.minimum(np.floor(column[known] * size), size - 1).astype(int)
                found[np.flatnonzero(known), first + option] = 0.5**0.5
            elif self.choices[index]:
                found[:, first] = np.where(known, np.floor(np.nan_to_num(column) * size), 0.5)
            else:
                found[:, first] = np.where(known, column, 0.5)
        found[:, : len(self._scales)] *= self._scales
        for number, structure in enumerate(self._structures):
            first = found.shape[1] - WIDTH * (len(self._structures) - number)
            found[:, first : first + WIDTH] = structure.features(points)
        return found

    def _meant(self, points: Array) -> Array:
        """The points (n, d), with no operation where nothing comes through a cell."""
        found = points.copy()
        for structure in self._structures:
            found[:, structure.places] = structure.meant(points)
        return found

    def points_at(self, columns: Array) -> Array:
        """The points (n, d) that have these columns (n, p): the inverse of `embed`, but for operations of a cell that
        nothing comes through.
        """
        found, columns = np.empty((len(columns), len(self.firsts))), columns[:, : len(self._scales)] / self._scales
        for index, first in enumerate(self.firsts):
            size = self.sizes[index] or 0
            if self._width(index) > 1:
                found[:, index] = (columns[:, first : first + size].argmax(1) + 0.5) / size
            elif self.choices[index]:
                found[:, index] = (np.floor(columns[:, first]) + 0.5) / size
            else:
                found[:, index] = columns[:, first]
        return self.settled(found)

    def keys(self, points: Array) -> list[bytes]:
        """What tells points (n, d) apart: equal for equal configs."""
        rows = np.ascontiguousarray(np.nan_to_num(points, nan=-1.0))
        return [row.tobytes() for row in rows]

    # --- new points --------------------------------------------------------------------------------------------------

    def uniform(self, count: int, rng: np.random.Generator) -> Array:
        """Points (count, d), uniform in the cube."""
        return self.settled(rng.random((count, len(self.sizes))))

    def near(self, points: Array, strength: Array, rng: np.random.Generator, changes: float = 1.0) -> Array:
        """A neighbour of each point (n, d): a few coordinates, `changes` besides the first on average, make a normal
        step of `strength` (n,), or of one value where that is more, and a Choice among them takes any option. What
        becomes active is uniform.
        """
        count, width = points.shape
        active = ~np.isnan(points) & self.movable
        chance = np.minimum(changes / np.maximum(active.sum(1), 1), 1.0)
        moved = rng.random((count, width)) < chance[:, None]
        moved |= np.argmax(np.where(active, rng.random((count, width)), -1.0), axis=1)[:, None] == np.arange(width)
        moved &= active
        scale = np.maximum(strength[:, None], self._steps)
        steps = np.where(np.isnan(points), 0.0, points) + scale * rng.standard_normal((count, width))
        anew = rng.random((count, width))
        found = np.where(moved, np.where(self.choices, anew, _reflected(steps)), points)
        return self.settled(np.where(np.isnan(found), anew, found))


@dataclass(frozen=True)
class _Structure:
    """A structure among the coordinates: the `places` (e,) of its entries there, what each option of them stands for,
    `codes` (e, k), negative for nothing, and how contents (n, e) are `turned` into columns (n, WIDTH). Which of the
    contents are `used` (n, e); left out: all. `together`: its places have one length-scale.
    """

    places: Groups
    sizes: Groups
    codes: Groups
    turned: Callable[[Groups], Array]
    used: Callable[[Groups], Flags] | None = None
    together: bool = False

    @property
    def kind(self) -> Hashable:
        """What equal structures share, such as those of several blocks."""
        return self.codes.shape, self.codes.tobytes(), str(getattr(self.turned, "keywords", ""))

    @classmethod
    def of(
        cls,
        space: Space,
        contents: Mapping[int, Mapping[Any, int]],
        turned: Callable[[Groups], Array],
        used: Callable[[Groups], Flags] | None = None,
        together: bool = False,
    ) -> Self:
        """That of the entries at some places, with what each of their options stands for."""
        axes: list[Any] = [space.axes[place] for place in contents]
        sizes = np.array([axis.size for axis in axes])
        codes = np.full((len(axes), sizes.max()), -1)
        for row, axis, meant in zip(codes, axes, contents.values(), strict=True):
            row[: axis.size] = [meant.get(value, -1) for value in axis.values]
        return cls(np.array(list(contents)), sizes, codes, turned, used, together)

    def features(self, points: Array) -> Array:
        """Its columns (n, WIDTH) of points (n, d); all 0 where it is inactive."""
        return self.turned(self._contents(points))

    def meant(self, points: Array) -> Array:
        """Its coordinates (n, e) of points (n, d), with the option that stands for nothing where they are not used; NaN
        where none does.
        """
        columns = points[:, self.places]
        if self.used is None:
            return columns
        empty = (self.codes < 0) & (np.arange(self.codes.shape[1]) < self.sizes[:, None])
        nothing = np.where(empty.any(1), (empty.argmax(1) + 0.5) / self.sizes, np.nan)
        return np.where(self.used(self._contents(points)) | np.isnan(columns), columns, nothing)

    def _contents(self, points: Array) -> Groups:
        columns = points[:, self.places]
        options = np.minimum(np.floor(np.nan_to_num(columns) * self.sizes), self.sizes - 1).astype(np.intp)
        return np.where(np.isnan(columns), -1, self.codes[np.arange(len(self.places)), options])


def _structures_of(space: Space) -> list[_Structure]:
    """The cells whose edges are all among the coordinates, and the programs with more than one place, once each."""
    places = {path: place for place, path in enumerate(space.paths)}
    trees = [tree for tree in space.derivations if sum(place.path in places for place in tree) > 1]
    return [_cell(space, places, *pair) for pair in space.graphs] + [_program(space, places, tree) for tree in trees]


def _cell(space: Space, places: Mapping[str, int], path: str, cell: Graph) -> _Structure:
    """The graph of a cell: operations are numbered, and none is no edge. A number that the space knows may count what
    nothing comes through.
    """
    words = dict.fromkeys(word for edge in cell.edges for word in cell.options(edge) if word != cell.none)
    meant = {word: number for number, word in enumerate(words)}
    at = [places[inner] for inner in paths_of(path, cell)]
    turned, used = partial(subtree_features, edges=cell.edges), partial(used_places, edges=cell.edges)
    return _Structure.of(space, dict.fromkeys(at, meant), turned, None if space.known else used)


def _program(space: Space, places: Mapping[str, int], tree: Derivation) -> _Structure:
    """The tree of a grammar, or what is left of it in a part of the space: a production has one number wherever it
    stands below its symbol.
    """
    there = [place for place in tree if place.path in places]
    numbers = {place.path: number for number, place in enumerate(there)}
    above = [numbers[tree[place.above].path] if place.above >= 0 else -1 for place in there]
    meant = {}
    for place in there:
        axis: Any = space.axes[places[place.path]]
        meant[places[place.path]] = {text: crc32(f"{place.symbol} {text}".encode()) for text in axis.values}
    turned = partial(derivation_features, above=above, orders=[place.order for place in there])
    return _Structure.of(space, meant, turned, together=True)


def _reflected(points: Array) -> Array:
    turned = np.abs(points) % 2.0
    return np.where(turned > 1.0, 2.0 - turned, turned)


@lru_cache(maxsize=32)
def cube_of(space: Space) -> Cube:
    """The cube of a space, compiled once."""
    return Cube(space)
