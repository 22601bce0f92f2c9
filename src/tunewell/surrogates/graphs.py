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
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Flags: TypeAlias = np.ndarray[Any, np.dtype[np.bool_]]
Labels: TypeAlias = np.ndarray[Any, np.dtype[np.uint64]]
Numbers: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

WIDTH = 64
"""How many columns the labels are hashed to."""
_ROUNDS = 2
_FIRST = np.uint64(4)
"""The label of the first operation of a node; below are those of the ends and of nodes without one."""


def subtree_features(operations: Numbers, edges: Sequence[tuple[int, int]]) -> Array:
    """The counts of the labels of the nodes after 0, 1 and 2 rounds, as columns (n, 64) of length 1/sqrt(2): graphs
    without a common label are at squared distance 1, isomorphic ones at 0.

    `operations` (n, e): the number of the operation on each edge, negative where there is no edge; `edges`: (source,
    target), the source before the target, or the same node twice for an operation of its own; the first node is the
    input, the last the output. Only what lies on a way from the input to the output counts.
    """
    nodes = max(target for _, target in edges) + 1
    used = _used(operations >= 0, edges, nodes)
    labels = np.tile(np.array([1, *[2] * (nodes - 2), 3], dtype=np.uint64), (len(operations), 1))
    alive = np.zeros(labels.shape, dtype=bool)
    for place, (source, target) in enumerate(edges):
        alive[:, source] |= used[:, place]
        alive[:, target] |= used[:, place]
        if source == target:
            labels[:, source] = _FIRST + operations[:, place].astype(np.uint64)
    found = np.zeros((len(operations), WIDTH))
    for number in range(_ROUNDS + 1):
        _count(found, labels + np.uint64(number), alive)
        labels = _round(labels, operations, used, edges)
    return _scaled(found)


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


def _used(there: Flags, edges: Sequence[tuple[int, int]], nodes: int) -> Flags:
    """Which edges (n, e) something comes through."""
    ahead = np.zeros((len(there), nodes), dtype=bool)
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


def _round(labels: Labels, operations: Numbers, used: Flags, edges: Sequence[tuple[int, int]]) -> Labels:
    """Each label together with the set of operations and labels that enter the node; a sum knows no order."""
    entering = np.zeros_like(labels)
    for place, (source, target) in enumerate(edges):
        if source == target:
            continue
        seen = _mixed(labels[:, source] * np.uint64(31) + (operations[:, place] + 1).astype(np.uint64))
        entering[:, target] += np.where(used[:, place], seen, np.uint64(0))
    return _mixed(labels * np.uint64(1_000_003) + entering)


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
