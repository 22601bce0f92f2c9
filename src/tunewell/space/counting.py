"""How many cells are different, without listing them: isomorphic ones are counted once.

Each edge set between numbered nodes is looked at once, whatever operations stand on it. Of one with automorphisms, by
the lemma of Cauchy, Frobenius and Burnside, so many labelings differ as its automorphisms leave alike on average. The
same graph comes up once for each order of its nodes that its edges allow, each time with its own automorphisms.

F. Harary, E. Palmer: Graphical enumeration. Academic Press 1973. Section 2.3 (the lemma), 4.1 (graphs).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import permutations
from typing import Any, TypeAlias

import numpy as np

Edge: TypeAlias = tuple[int, int]
Sets: TypeAlias = np.ndarray[Any, np.dtype[np.uint32]]

_MOST = 5
"""So many nodes between the ends, at most: two million edge sets."""


def different(inner: int, on_edges: int, on_nodes: int) -> int | None:
    """How many graphs with up to `inner` nodes between input and output are different, that without edges included.

    An edge has one of `on_edges` operations, a node between the ends one of `on_nodes`, and each node lies on a way
    from the input to the output. None for more than 5 nodes between the ends.
    """
    if inner > _MOST:
        return None
    found = [
        Fraction(times * on_edges**edges * on_nodes**nodes, orders)
        for count in range(inner + 1)
        for (edges, nodes, orders), times in _alike(count).items()
    ]
    return 1 + int(sum(found))


@lru_cache(maxsize=_MOST + 1)
def _alike(inner: int) -> Counter[tuple[int, int, int]]:
    """Of all edge sets with exactly `inner` nodes, each automorphism: how many cycles of edges and of nodes it has, and
    how many orders of the nodes the edges allow; with the times that these come up.
    """
    places = [(source, target) for target in range(1, inner + 2) for source in range(target)]
    sets = _connected(places, inner)
    turns = [dict(enumerate((0, *order, inner + 1))) for order in permutations(range(1, inner + 1))]
    orders = np.zeros(len(sets), dtype=np.uint32)
    for turn in turns:
        orders += (sets & _bits((e for e in places if turn[e[0]] > turn[e[1]]), places)) == 0
    found: Counter[tuple[int, int, int]] = Counter()
    for turn in turns:
        nodes = len({_orbit(node, turn.__getitem__) for node in range(1, inner + 1)})
        for edges, allowed in _kept(sets, orders, places, turn):
            found[edges, nodes, allowed] += 1
    return found


def _connected(places: Sequence[Edge], inner: int) -> Sets:
    """The edge sets, as bits in the order of `places`, in which something enters and leaves each node."""
    sets = np.arange(1, 2 ** len(places), dtype=np.uint32)
    for node in range(1, inner + 1):
        for end in (0, 1):
            sets = sets[(sets & _bits((edge for edge in places if edge[end] == node), places)) > 0]
    return sets


def _kept(sets: Sets, orders: Sets, places: Sequence[Edge], turn: Mapping[int, int]) -> Iterator[tuple[int, int]]:
    """Of each edge set that stays the same when nodes change places: the cycles of its edges, and its orders."""
    cycles = np.zeros(len(sets), dtype=np.uint32)
    for orbit in {_orbit(edge, lambda edge: (turn[edge[0]], turn[edge[1]])) for edge in places}:
        bits = _bits(orbit & set(places), places)
        there = sets & bits
        whole = (there == bits) & orbit.issubset(places)  # else an edge of it would go backwards
        stay = (there == 0) | whole
        sets, orders, cycles = sets[stay], orders[stay], (cycles + whole)[stay]
    return zip(cycles.tolist(), orders.tolist(), strict=True)


def _orbit(item: Any, turned: Callable[[Any], Any]) -> frozenset[Any]:
    """Where an item comes to when it is turned again and again."""
    found = [item]
    while (after := turned(found[-1])) != item:
        found.append(after)
    return frozenset(found)


def _bits(edges: Iterable[Edge], places: Sequence[Edge]) -> np.uint32:
    return np.uint32(sum(1 << places.index(edge) for edge in edges))
