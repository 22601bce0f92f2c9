"""Parzen mixtures over the unit cube of a tree of coordinates: densities that are high where points lie.

Points are rows `(n, d)`: NaN where a coordinate is inactive. A mixture has a kernel for each point and one for the
prior. A kernel is a product over the coordinates that are active in its point: a normal distribution truncated to
[0, 1] for a continuous one; the mass that it has in a cell for an ordered discrete one; the option of the point,
smoothed by the prior, for a choice. Of a coordinate that is inactive in its point a kernel knows nothing, so it says
what the prior says. So a mixture is one joint density of the whole tree, in which no coordinate is on its own: over all
points of the tree, with the coordinates that each has, it sums to one.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl: Algorithms for hyper-parameter optimization. NeurIPS 2011.
S. Watanabe: Tree-structured Parzen estimator: understanding its algorithm components and their roles for better
empirical performance. arXiv:2304.11127, 2023.
S. Falkner, A. Klein, F. Hutter: BOHB: robust and efficient hyperparameter optimization at scale. ICML 2018.
D. W. Scott: Multivariate density estimation. Wiley, 1992.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
from scipy.special import ndtr, ndtri

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]
Truths: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]

_LEAST = 1e-300
"""Stands for a probability of 0, so that its logarithm is a number."""

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)

_ALONE = 2**18
"""OpenBLAS works with one thread on a product of so many multiplications."""

_UNIFORM = 12.0**-0.5
"""The standard deviation of a uniform distribution on [0, 1]."""


@dataclass(frozen=True, eq=False)
class Prior:
    """A density on [0, 1] that is constant between rising `edges` `(k + 1,)`, with `masses` `(k,)` that sum to one."""

    edges: Array = field(default_factory=lambda: np.array([0.0, 1.0]))
    masses: Array = field(default_factory=lambda: np.array([1.0]))

    @cached_property
    def is_flat(self) -> bool:
        """Whether it is the same everywhere."""
        return len(self.masses) == 1 and (self.edges[0], self.edges[-1]) == (0.0, 1.0)

    @cached_property
    def _sums(self) -> Array:
        sums: Array = np.append(0.0, np.cumsum(self.masses))
        sums /= sums[-1]
        return sums

    @cached_property
    def _log_densities(self) -> Array:
        """With one more for what lies outside of the edges."""
        densities: Array = np.append(np.diff(self._sums) / np.diff(self.edges), 0.0)
        return np.log(np.maximum(densities, _LEAST))

    def below(self, units: Array) -> Array:
        """The probability below each number."""
        return np.interp(units, self.edges, self._sums)

    def quantile(self, chances: Array) -> Array:
        """The inverse of `below`."""
        return chances if self.is_flat else np.interp(chances, self._sums, self.edges)

    def log_density(self, units: Array) -> Array:
        """The logarithm of the density at each number; that of almost nothing outside of the edges."""
        if self.is_flat:
            return np.zeros_like(units)
        place = np.searchsorted(self.edges, units, side="right") - 1
        place[units == self.edges[-1]] -= 1
        return self._log_densities[place]


@dataclass(frozen=True, eq=False)
class Coordinate:
    """What a mixture knows of one coordinate.

    `cells`: the edges `(k + 1,)` of the cells of a discrete coordinate, rising from 0 to 1; None for a continuous one.
    `values` `(k,)`: where a point of each cell lies, left out: in the middle. `ordered`: False for a choice. `parent`:
    the coordinate, a discrete one before this one, whose cell numbers `options` make this one active; -1 where it is
    always so.
    """

    cells: Array | None = None
    values: Array | None = None
    ordered: bool = True
    prior: Prior = field(default_factory=Prior)
    parent: int = -1
    options: tuple[int, ...] = ()

    @cached_property
    def units(self) -> Array:
        """Where a point of each cell lies, `(k,)`."""
        return (self.edges[1:] + self.edges[:-1]) / 2 if self.values is None else self.values

    @cached_property
    def masses(self) -> Array:
        """The prior probability of each cell, `(k,)`."""
        return np.maximum(np.diff(self.prior.below(self.edges)), _LEAST)

    @property
    def edges(self) -> Array:
        """Those of the cells of a discrete coordinate."""
        assert self.cells is not None
        return self.cells

    def cell(self, units: Array) -> Numbers:
        """The number of the cell in which each unit lies; -1 for NaN."""
        place = np.searchsorted(self.edges[1:-1], units, side="right")
        return np.where(np.isnan(units), -1, place)


class Tree:
    """The coordinates of a cube, parents before children."""

    def __init__(self, coordinates: Sequence[Coordinate]) -> None:
        self.coordinates = tuple(coordinates)
        kinds = ["continuous" if c.cells is None else "ordered" if c.ordered else "choice" for c in self.coordinates]
        self.continuous, self.ordered, self.choices = (
            np.array([place for place, kind in enumerate(kinds) if kind == name], dtype=np.intp)
            for name in ("continuous", "ordered", "choice")
        )

    def __len__(self) -> int:
        return len(self.coordinates)

    @cached_property
    def steps(self) -> Array:
        """The mean size of the cells of each discrete coordinate, `(d,)`; 0 for a continuous one."""
        return np.array([0.0 if c.cells is None else 1.0 / len(c.units) for c in self.coordinates])

    def drawn(self, chances: Array) -> Array:
        """The points `(n, d)` of the prior for numbers `(n, d)` that are uniform in [0, 1]."""
        return self.settled(self.raw(chances))

    def raw(self, chances: Array) -> Array:
        """The quantiles of the prior, each coordinate by itself, for numbers `(n, d)`."""
        columns = [c.prior.quantile(column) for c, column in zip(self.coordinates, chances.T, strict=True)]
        return np.array(columns).reshape(chances.shape[::-1]).T

    def settled(self, points: Array) -> Array:
        """The points with discrete coordinates at the values of their cells, and NaN where a coordinate is inactive."""
        found = points.copy()
        cells: dict[int, Numbers] = {}
        for place, coordinate in enumerate(self.coordinates):
            if coordinate.cells is not None:
                cells[place] = coordinate.cell(found[:, place])
                found[:, place] = coordinate.units[cells[place]]
            if coordinate.parent >= 0:
                inactive = ~np.isin(cells[coordinate.parent], coordinate.options)
                found[inactive, place] = np.nan
                if place in cells:
                    cells[place][inactive] = -1
        return found

    @cached_property
    def sizes(self) -> Numbers:
        """The number of options of each choice, `(c,)`."""
        return np.array([len(self.coordinates[place].units) for place in self.choices], dtype=np.intp)

    @cached_property
    def _option_masses(self) -> Array:
        """The prior probabilities of all options of all choices, in one row."""
        masses = [self.coordinates[place].masses for place in self.choices]
        return np.concatenate(masses) if masses else np.zeros(0)

    def options(self, points: Array) -> tuple[Numbers, Numbers, Numbers]:
        """Of the choices that are active in points `(n, d)`: the row, the number of the choice, the column of the
        option in one row of all options.
        """
        cells = [self.coordinates[place].cell(points[:, place]) for place in self.choices]
        table = np.array(cells, dtype=np.intp).reshape(len(self.choices), len(points)).T
        rows, numbers = np.nonzero(table >= 0)
        return rows, numbers, (np.cumsum(self.sizes) - self.sizes)[numbers] + table[rows, numbers]


@dataclass(frozen=True, eq=False)
class Mixture:
    """Kernels at `centres` `(n, d)` with standard deviations `widths` `(d,)`, and the prior.

    `weights` `(n + 1,)` sum to one, the last is the prior's. `smoothing` `(c,)`: for how many observations the prior
    counts in a kernel, for each of the c choices.
    """

    tree: Tree
    centres: Array
    widths: Array
    weights: Array
    smoothing: Array

    # --- sampling ----------------------------------------------------------------------------------------------------

    def sample(self, rng: np.random.Generator, count: int) -> Array:
        """Independent points `(count, d)`, discrete coordinates at the values of their cells."""
        chances = rng.random((count, len(self.tree) + 1))
        sums = np.cumsum(self.weights)
        kernels = np.searchsorted(sums, chances[:, -1] * sums[-1], side="right")
        found = self.tree.raw(chances[:, :-1])  # of the prior, and of what is inactive in a kernel's point
        drawn = np.flatnonzero(kernels < len(self.centres))
        if len(drawn):
            found[drawn] = self._from_kernels(kernels[drawn], chances[drawn, :-1], found[drawn])
        return self.tree.settled(found)

    def _from_kernels(self, kernels: Numbers, chances: Array, found: Array) -> Array:
        numbers = np.concatenate([self.tree.continuous, self.tree.ordered])
        if len(numbers):
            drawn = self._normal(kernels[:, None], numbers, chances[:, numbers])
            found[:, numbers] = np.where(np.isnan(drawn), found[:, numbers], drawn)
        for place, kept in zip(self.tree.choices, 1.0 / (1.0 + self.smoothing), strict=True):
            own, chance = self.centres[kernels, place], chances[:, place]
            prior = self.tree.coordinates[place].prior.quantile(np.maximum(chance - kept, 0.0) / (1.0 - kept))
            found[:, place] = np.where(np.isnan(own), found[:, place], np.where(chance < kept, own, prior))
        return found

    def _normal(self, kernels: Numbers, numbers: Numbers, chances: Array) -> Array:
        """Quantiles of the truncated normals; NaN where a coordinate is inactive in the kernel's point."""
        centre, width = self.centres[kernels, numbers], self.widths[numbers]
        low, high = ndtr(-centre / width), ndtr((1.0 - centre) / width)
        found: Array = np.clip(centre + width * ndtri(low + chances * (high - low)), 0.0, 1.0)
        return found

    # --- densities ---------------------------------------------------------------------------------------------------

    def log_density(self, points: Array) -> Array:
        """The logarithm of the density of each point, `(m, d) -> (m,)`."""
        return _log_sum_exp(self._log_kernels(points) + np.log(np.maximum(self.weights, _LEAST)))

    def _log_kernels(self, points: Array) -> Array:
        """The logarithm of the density of each point under each kernel, the last of them the prior, `(m, n + 1)`."""
        total = np.zeros((len(points), len(self.centres) + 1))
        used: Truths = np.any(~np.isnan(points), axis=0)  # a few points of a deep tree leave many aside
        if used[self.tree.continuous].any():
            total += self._log_normals(points, np.flatnonzero(used[self.tree.continuous]))
        if used[self.tree.choices].any():
            total += self._log_options(points)
        for place in self.tree.ordered[used[self.tree.ordered]]:
            total += self._log_cells(place, points[:, place])
        return total

    def _log_normals(self, points: Array, used: Numbers) -> Array:
        """What some of the continuous coordinates say, `(m, d) -> (m, n + 1)`: one product of matrices, in which an
        inactive coordinate is a row or a column of zeros.
        """
        places = self.tree.continuous[used]
        active = ~np.isnan(points[:, places])
        x = np.where(active, points[:, places], 0.0)
        priors = [self.tree.coordinates[place].prior.log_density(column) for place, column in zip(places, x.T)]
        terms = self._normal_terms[:, used].reshape(-1, len(self.centres) + 1)
        return _product(np.hstack([x * x, x, active, active * np.array(priors).T]), terms)

    @cached_property
    def _normal_terms(self) -> Array:
        """The coefficients `(4, c, n + 1)` of x², x, 1 and the prior's logarithm in the logarithm of each kernel."""
        centres, widths = self.centres[:, self.tree.continuous].T, self.widths[self.tree.continuous, None]
        inside = ndtr((1.0 - centres) / widths) - ndtr(-centres / widths)
        inactive = np.isnan(centres)
        half = np.where(inactive, 0.0, 0.5 / (widths * widths))
        slope = np.where(inactive, 0.0, 2.0 * half * centres)
        constant = -half * centres * centres - np.log(widths * inside) - _HALF_LOG_2PI
        of_points = np.array([-half, slope, np.where(inactive, 0.0, constant), inactive])
        of_prior = np.zeros((4, len(centres), 1))
        of_prior[3] = 1.0
        return np.concatenate([of_points, of_prior], axis=2)

    def _log_options(self, points: Array) -> Array:
        """What the choices say, `(m, d) -> (m, n + 1)`."""
        rows, _, columns = self.tree.options(points)
        chosen = np.zeros((len(points), len(self.tree._option_masses)))
        chosen[rows, columns] = 1.0
        return _product(chosen, self._option_terms)

    @cached_property
    def _option_terms(self) -> Array:
        """The logarithm of the probability of each option in each kernel, `(options, n + 1)`."""
        masses = self.tree._option_masses
        rows, numbers, columns = self.tree.options(self.centres)
        known = np.zeros((len(self.centres) + 1, len(self.tree.choices)), dtype=bool)
        known[rows, numbers] = True
        sizes, smoothing = self.tree.sizes, np.repeat(self.smoothing, self.tree.sizes)
        table = masses * (smoothing + ~np.repeat(known, sizes, axis=1))
        table[rows, columns] += 1.0
        found: Array = np.log(np.maximum(table / (1.0 + smoothing), _LEAST)).T
        return found

    def _log_cells(self, place: int, units: Array) -> Array:
        """What an ordered discrete coordinate says, `(m,) -> (m, n + 1)`. Few cells are in use: each is looked at once,
        and all kernels in a cell say the same.
        """
        coordinate = self.tree.coordinates[place]
        kinds, back = np.unique(coordinate.cell(units), return_inverse=True)
        own, where = np.unique(np.append(coordinate.cell(self.centres[:, place]), -1), return_inverse=True)
        table = self._cell_masses(coordinate, self.widths[place], kinds, own)
        table[kinds < 0] = 1.0
        return np.log(np.maximum(table, _LEAST))[back][:, where]

    @staticmethod
    def _cell_masses(coordinate: Coordinate, width: float, kinds: Numbers, own: Numbers) -> Array:
        """The masses `(k, o)` in cells of kernels in cells; -1 stands for the prior in `own`."""
        edges, centres = coordinate.edges, coordinate.units[own]
        inside = ndtr((1.0 - centres) / width) - ndtr(-centres / width)
        upper, lower = ((edges[kinds + shift, None] - centres) / width for shift in (1, 0))
        return np.where(own < 0, coordinate.masses[kinds, None], (ndtr(upper) - ndtr(lower)) / inside)


def _product(first: Array, second: Array) -> Array:
    """The product of two matrices, in blocks so small that BLAS starts no threads for them: these cost more than they
    bring, and the last bit would depend on their number.
    """
    rows = max(1, _ALONE // max(1, second.size))
    found: Array = np.vstack([first[start : start + rows] @ second for start in range(0, len(first), rows)])
    return found


def _log_sum_exp(terms: Array) -> Array:
    """log(sum(exp(terms))) of each row."""
    largest = terms.max(axis=1)
    found: Array = largest + np.log(np.exp(terms - largest[:, None]).sum(axis=1))
    return found


def mixture(
    tree: Tree,
    centres: Array,
    weights: Array | None = None,
    *,
    prior_weight: float = 1.0,
    narrowest: float = 0.01,
    clip: bool = True,
) -> Mixture:
    """The mixture of kernels at `centres` `(n, d)` with `weights` `(n,)`, and the prior with `prior_weight` > 0.

    Weights are relative to each other, left out: all 1. No kernel is narrower than `narrowest` (a share of the range
    within which noise hides what differs), and with `clip` none is narrower than 1 / (n + 2), for the n points that
    have the coordinate: few points say little. Watanabe, section 3.3.
    """
    shares = np.append(np.ones(len(centres)) if weights is None else weights, prior_weight)
    smoothing = (tree.sizes * (prior_weight / (len(centres) + 1))).astype(float)
    return Mixture(tree, centres, _widths(tree, centres, narrowest, clip), shares / shares.sum(), smoothing)


def _widths(tree: Tree, centres: Array, narrowest: float, clip: bool) -> Array:
    """The width `(d,)` of the kernels in each coordinate: that of Scott's rule, for as many dimensions as a point has
    on average. So the kernels become narrower where the points come closer together, but always reach the next cells.
    """
    active = ~np.isnan(centres)
    count = active.sum(axis=0)
    known, dimensions = np.maximum(count, 1), active.sum() / max(len(centres), 1)
    mean = np.where(active, centres, 0.0).sum(axis=0) / known
    spread = np.sqrt(np.where(active, (centres - mean) ** 2, 0.0).sum(axis=0) / known)
    found = np.where(count > 1, spread, _UNIFORM) * known ** (-1.0 / (4.0 + dimensions))
    least = np.maximum(np.maximum(narrowest, tree.steps), 1.0 / (count + 2.0) if clip else 0.0)
    widths: Array = np.clip(found, np.minimum(least, 1.0), 1.0)
    return widths
