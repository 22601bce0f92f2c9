"""Features of many small directed graphs or derivation trees at once, whose product is the Weisfeiler-Lehman kernel.

B. Ru, X. Wan, X. Dong, M. Osborne: Interpretable neural architecture search via Bayesian optimisation with
Weisfeiler-Lehman kernels. ICLR 2021. arXiv:2006.07556. Section 3.
N. Shervashidze, P. Schweitzer, E. J. van Leeuwen, K. Mehlhorn, K. M. Borgwardt: Weisfeiler-Lehman graph kernels. JMLR
12, 2011. Algorithm 1, with labels that are hashed to columns.
S. Schrodi, D. Stoll, B. Ru, R. Sukthanker, T. Brox, F. Hutter: Construction of hierarchical neural architecture search
spaces based on context-free grammars. NeurIPS 2023. arXiv:2211.01842. Section 5: the kernel on what a grammar derives.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]
Place: TypeAlias = tuple[int, int]
"""An edge (source, target), or a node, twice."""

WIDTH = 64
"""How many columns the labels are hashed to."""
_ROUNDS = 2
_ROUNDS_OF_CELLS = 1
"""With a second round the searches of `benchmarks.nas` on other seeds were no better."""
_FIRST = np.uint64(4)
"""The label of the first operation or production; any other would do as well, with other features."""


def subtree_features(operations: Numbers, edges: Sequence[Place]) -> Array:
    """The counts of the operations, and of each with those directly before it, as columns (n, 64) of length 1/sqrt(2):
    isomorphic graphs are at squared distance 0, others at most at 1, the farther apart the less they have in common,
    but for labels that happen to share a column.

    `operations` (n, e): the number of the operation on each edge, negative where there is no edge; `edges`: (source,
    target), the source before the target, or the same node twice for an operation of its own; the first node is the
    input, the last the output. Only what lies on a way from the input to the output counts.
    """
    used, before = used_places(operations, edges), _before(tuple(edges))
    own = _mixed(_FIRST + np.where(used, operations, 0).astype(np.uint64))
    labels, found = own, np.zeros((len(operations), WIDTH))
    for number in range(_ROUNDS_OF_CELLS + 1):
        _count(found, labels + np.uint64(number), used)
        entering = np.where(used, _mixed(labels), np.uint64(0)) @ before  # a sum knows no order
        labels = _mixed(own * np.uint64(1_000_003) + entering)
    found[used.any(1), 0] += 1.0  # the output: without it, a graph and one of twice its labels would be one
    return _scaled(found)


@lru_cache(maxsize=32)
def _before(edges: tuple[Place, ...]) -> Labels:
    """Which places (e,) are directly before which others: (e, e), 1 where the one in the row is before that in the
    column. Before an edge is the operation of its source, where it has one, and else the edges that enter it.
    """
    return np.array([[_is_before(first, second, edges) for second in edges] for first in edges], dtype=np.uint64)


def _is_before(first: Place, second: Place, edges: Sequence[Place]) -> bool:
    node = second[0]
    if first == second or first[1] != node:
        return False
    has_own = (node, node) in edges and second != (node, node)
    return first == (node, node) if has_own else first[0] < node


def derivation_features(productions: Numbers, above: Sequence[int], orders: Sequence[int]) -> Array:
    """The same of trees: a label is a production, after 1 and 2 rounds with the productions below it, in their order.

    `productions` (n, q): the number of the production at each place, negative where the tree has none; `above`: the
    number of the place over each, negative for the first; `orders`: which of those below that place it is.
    """
    alive = productions >= 0
    labels = _FIRST + np.where(alive, productions, 0).astype(np.uint64)
    found = np.zeros((len(productions), WIDTH))
    for number in range(_ROUNDS + 1):
        _count(found, labels + np.uint64(number), alive)
        labels = _grown(labels, alive, above, orders)
    return _scaled(found)


def _grown(labels: Labels, alive: Flags, above: Sequence[int], orders: Sequence[int]) -> Labels:
    """Each label together with those at the places below it."""
    below = np.zeros_like(labels)
    for place, (upper, order) in enumerate(zip(above, orders, strict=True)):
        if upper >= 0:
            seen = _mixed(labels[:, place] * np.uint64(31) + np.uint64(order + 1))
            below[:, upper] += np.where(alive[:, place], seen, np.uint64(0))
    return _mixed(labels * np.uint64(1_000_003) + below)


def _scaled(counts: Array) -> Array:
    """The counts (n, 64) with length 1/sqrt(2); 0 where there are none."""
    lengths = np.linalg.norm(counts, axis=1, keepdims=True)
    scaled: Array = np.divide(counts, lengths, out=counts, where=lengths > 0) * 0.5**0.5
    return scaled


def used_places(operations: Numbers, edges: Sequence[Place]) -> Flags:
    """Which of the operations (n, e) on edges and nodes lie on a way from the input to the output."""
    there = operations >= 0
    ahead = np.zeros((len(there), max(target for _, target in edges) + 1), dtype=bool)
    behind = ahead.copy()
    ahead[:, 0] = behind[:, -1] = True
    order = sorted(range(len(edges)), key=lambda place: edges[place][1])
    for place in order:
        source, target = edges[place]
        ahead[:, target] |= ahead[:, source] & there[:, place]
    for place in sorted(order, key=lambda place: -edges[place][0]):
        source, target = edges[place]
        behind[:, source] |= behind[:, target] & there[:, place]
    ends = np.array(edges)
    used: Flags = there & ahead[:, ends[:, 0]] & behind[:, ends[:, 1]]
    return used


def _mixed(numbers: Labels) -> Labels:
    """Bits in disorder: splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014)."""
    z = numbers + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: Labels = z ^ (z >> np.uint64(31))
    return mixed


def _count(found: Array, labels: Labels, alive: Flags) -> None:
    """Add 1 at the column of each label."""
    columns = (_mixed(labels) % np.uint64(WIDTH)).astype(np.intp)
    rows, nodes = np.nonzero(alive)
    np.add.at(found, (rows, columns[rows, nodes]), 1.0)
