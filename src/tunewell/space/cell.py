"""A cell: a small directed graph with an operation on each edge, on each node, or on both.

X. Dong, Y. Yang: NAS-Bench-201: extending the scope of reproducible neural architecture search. ICLR 2020.
arXiv:2001.00326. The cell of section 2.1 is `Cell(4, ["none", "skip", "conv1", "conv3", "pool"])`.
C. Ying, A. Klein, E. Christiansen, E. Real, K. Murphy, F. Hutter: NAS-Bench-101: towards reproducible neural
architecture search. ICML 2019. arXiv:1902.09635. The cell of section 2.1, before its limit of nine edges, is
`Cell(7, on_nodes=["conv1", "conv3", "pool"])`.
C. White, W. Neiswanger, Y. Savani: BANANAS: Bayesian optimization with neural architectures for neural architecture
search. AAAI 2021. arXiv:1910.11858. The path encoding of section 4.
B. Ru, X. Wan, X. Dong, M. Osborne: Interpretable neural architecture search via Bayesian optimisation with
Weisfeiler-Lehman kernels. ICLR 2021. arXiv:2006.07556.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import combinations, pairwise, permutations
from typing import Any, ClassVar

import numpy as np

from tunewell.errors import SpaceError
from tunewell.space.counting import different
from tunewell.space.entry import UNSET, Choice, Entry, Graph
from tunewell.space.values import nearest_hint, whole

Edge = tuple[int, int]

_MOST = 8
"""So many nodes: the orders of those between the ends, 720 at most, are tried one by one."""


@dataclass(frozen=True, eq=False, repr=False)
class Cell(Entry):
    """A directed graph of `nodes` in an order, and one of `operations` on the edge from each node to each later one.

    Node 0 is the input, the last node the output; the operation `none`, if it is among them, is no edge at all. Each
    node between the ends has one of the operations `on_nodes`, where there are such. Below the name `cell`, the config
    holds the operation of each edge as `cell.0-1`, `cell.0-2` and so on, that of a node as `cell.1`; each is equally
    likely. Two cells are the same to every method where one is the other after nodes between the ends change places,
    or where they differ only in what nothing comes through: see `alike`. `default`: the cell to begin with, such as one
    that a person drew, `{"0-1": "conv", "1-3": "conv", "0-3": "skip"}`; what it does not name is `none`. Raises
    SpaceError for fewer than 2 nodes or more than 8, for operations that are no different strings, and for a default
    that is no such cell.
    """

    nodes: int
    operations: Sequence[str] = ("none", "skip")
    none: str | None = "none"
    on_nodes: Sequence[str] = ()
    default: Mapping[str, str] | None = None

    kind: ClassVar[str] = "cell"

    def __post_init__(self) -> None:
        object.__setattr__(self, "nodes", whole(self.nodes, "nodes"))
        if not 2 <= self.nodes <= _MOST:
            raise SpaceError(f"Cell: {self.nodes} nodes", hint=f"From 2 to {_MOST}.")
        for names in (self.operations, self.on_nodes):
            _check_names(names)
        object.__setattr__(self, "operations", self._choice.listed)
        object.__setattr__(self, "on_nodes", Choice(list(self.on_nodes)).listed if self.on_nodes else ())
        if self.none in self.on_nodes:
            raise SpaceError(f"Cell: {self.none!r} on a node", hint="A node goes where its edges do: name it on these.")
        if self.none is not None and self.none != "none" and self.none not in self.operations:
            raise SpaceError(f"Cell: none={self.none!r} is no operation", hint=nearest_hint(self.none, self.operations))
        if self.default is not None:
            object.__setattr__(self, "default", dict(self.default))
            self._check_default(self.default)

    def _check_default(self, default: Mapping[str, str]) -> None:
        places = {_place(edge): edge for edge in self.edges}
        for place, operation in default.items():
            if place not in places:
                raise SpaceError(f"Cell: there is no {place!r} for a default", hint=nearest_hint(place, list(places)))
            options = self.options(places[place])
            if operation not in options:
                raise SpaceError(
                    f"Cell: the default of {place!r} is {operation!r}", hint=nearest_hint(operation, options)
                )
        for place, edge in places.items():
            if place not in default and self._unused(edge) not in self.options(edge):
                raise SpaceError(
                    f"Cell: the default says nothing of {place!r}", hint="Without a `none`, name each edge."
                )

    @cached_property
    def _choice(self) -> Choice:
        return Choice(list(self.operations))

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges (source, target), by target; behind those that enter a node with operations the node itself, as
        (node, node).
        """
        every = ((source, target) for target in range(1, self.nodes) for source in range(target + 1))
        return tuple((source, target) for source, target in every if source < target or self._is_free(target))

    def _is_free(self, node: int) -> bool:
        """Whether the node has an operation of its own."""
        return bool(self.on_nodes) and 0 < node < self.nodes - 1

    def parts(self, name: str) -> Mapping[str, Entry]:
        """A choice of the operation for each edge and each node that has one."""
        return {_name(name, edge): Choice(list(self.options(edge)), default=self._first(edge)) for edge in self.edges}

    def _first(self, edge: Edge) -> Any:
        """The operation to begin with; where no default was given, the first that is one."""
        if self.default is not None:
            return self.default.get(_place(edge), self._unused(edge))
        return next((name for name in self.options(edge) if name != self.none), UNSET)

    def options(self, edge: Edge) -> Sequence[str]:
        """The operations that may stand on an edge, or at a node as (node, node)."""
        return self.operations if edge[0] < edge[1] else self.on_nodes

    @cached_property
    def different(self) -> int | None:
        """How many cells there are that are not the same, see `alike`; None for 8 nodes, which take too long."""
        inner, on_nodes = self.nodes - 2, len(self.on_nodes) or 1
        if self.none not in self.operations:  # all edges are there, so that no two nodes can change places
            edges = (inner + 1) * (inner + 2) // 2
            return int(len(self.operations) ** edges * on_nodes**inner)
        return different(inner, len(self.operations) - 1, on_nodes)

    def graphs(self, path: str) -> list[tuple[str, Graph]]:
        return [(path, self)]

    def explicit(self) -> Any:
        return UNSET if self.default is None else self.default

    def to_json(self) -> dict[str, Any]:
        data: dict[str, Any] = {"type": "cell", "nodes": self.nodes, "operations": list(self.operations)}
        if self.none != "none":
            data["none"] = self.none
        if self.on_nodes:
            data["on_nodes"] = list(self.on_nodes)
        return data if self.default is None else {**data, "default": dict(self.default)}

    # --- what a cell computes ----------------------------------------------------------------------------------------

    def graph(self, name: str, config: Mapping[str, Any]) -> dict[Edge, str]:
        """The edges of the cell `name` of a config that something comes through from the input to the output, and, as
        (node, node), the operations of the nodes between them.
        """
        given = {edge: str(config[_name(name, edge)]) for edge in self.edges}
        found = {edge: operation for edge, operation in given.items() if operation != self.none}
        from_input = _reached(0, found)
        to_output = _reached(self.nodes - 1, [(target, source) for source, target in found])
        return {edge: found[edge] for edge in found if edge[0] in from_input and edge[1] in to_output}

    def alike(self, name: str, config: Mapping[str, Any]) -> dict[str, Any]:
        """The entries of the first of all cells that are the same as that of a config: equal for isomorphic ones."""
        graph = self.graph(name, config)
        last = self.nodes - 1
        inner = sorted({node for edge in graph for node in edge} - {0, last})
        numbered = (_renamed(graph, {0: 0, last: last, **places}) for places in self._orders(inner))
        first = min((edges for edges in numbered if edges is not None), key=lambda edges: sorted(edges.items()))
        return {_name(name, edge): first.get(edge, self._unused(edge)) for edge in self.edges}

    def _unused(self, edge: Edge) -> str:
        """What stands where nothing comes through."""
        return self.on_nodes[0] if edge[0] == edge[1] else self.none or "none"

    def _orders(self, inner: Sequence[int]) -> Iterator[dict[int, int]]:
        """All ways to number the nodes between the ends from 1 on."""
        for order in permutations(range(1, len(inner) + 1)):
            yield dict(zip(inner, order, strict=True))

    # --- encodings ---------------------------------------------------------------------------------------------------

    def adjacency(self, name: str, config: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The operation on each of `edges` as one of k columns `(edges, k)`, all 0 where nothing comes through: those
        of `operations`, then those that stand on nodes alone.
        """
        graph, columns = self.graph(name, config), dict.fromkeys((*self.operations, *self.on_nodes))
        return np.array([[float(graph.get(edge) == operation) for operation in columns] for edge in self.edges])

    def paths(self, name: str, config: Mapping[str, Any]) -> frozenset[tuple[str, ...]]:
        """The operations on each way from the input to the output (White et al., section 4), those of its nodes too."""
        graph = self.graph(name, config)
        inner = range(1, self.nodes - 1)
        between = (chosen for count in range(self.nodes - 1) for chosen in combinations(inner, count))
        ways = [tuple(pairwise((0, *chosen, self.nodes - 1))) for chosen in between]
        found = [way for way in ways if all(edge in graph for edge in way)]
        return frozenset(tuple(_along(way, graph)) for way in found)

    def subtrees(self, name: str, config: Mapping[str, Any], depth: int = 1) -> dict[str, int]:
        """How often each label stands in the graph: of an operation after 0 to `depth` rounds, in each of which it
        takes in the labels of the operations directly before it (Weisfeiler-Lehman; Ru et al., section 3). The output
        is one label more.
        """
        graph = self.graph(name, config)
        labels, counts = dict(graph), {"0:output": 1} if graph else {}
        for round_ in range(depth + 1):
            for label in labels.values():
                counts[f"{round_}:{label}"] = counts.get(f"{round_}:{label}", 0) + 1
            labels = {edge: _gathered(edge, labels, graph) for edge in labels}
        return counts


def distance(first: Mapping[Any, int], second: Mapping[Any, int]) -> float:
    """How far two counts of features, such as those of `Cell.subtrees`, are apart: 0 for the same, at most 1.

    One less their cosine, halved for none in common: sqrt(1 - cosine).
    """
    product = sum(count * second.get(feature, 0) for feature, count in first.items())
    lengths = sum(c * c for c in first.values()) * sum(c * c for c in second.values())
    if not lengths:
        return float(bool(first) != bool(second))
    return float(max(1.0 - product / lengths**0.5, 0.0) ** 0.5)


def _check_names(names: Any) -> None:
    if isinstance(names, str) or not all(isinstance(name, str) and name for name in names):
        raise SpaceError(f"Cell: the operations are a list of names, not {names!r}")


def _name(cell: str, edge: Edge) -> str:
    """What an edge is called in a config, or a node, given as (node, node)."""
    return f"{cell}.{_place(edge)}"


def _place(edge: Edge) -> str:
    """What an edge is called within its cell, or a node, given as (node, node)."""
    source, target = edge
    return f"{source}-{target}" if source < target else f"{target}"


def _along(way: Sequence[Edge], graph: Mapping[Edge, str]) -> Iterator[str]:
    """The operations on a way, those of the nodes between its ends included."""
    for source, target in way:
        yield graph[source, target]
        if (target, target) in graph:
            yield graph[target, target]


def _reached(start: int, edges: Mapping[Edge, str] | Sequence[Edge]) -> set[int]:
    """The nodes that can be reached along the edges."""
    found, new = {start}, {start}
    while new:
        new = {target for source, target in edges if source in new} - found
        found |= new
    return found


def _renamed(graph: Mapping[Edge, str], places: Mapping[int, int]) -> dict[Edge, str] | None:
    """The graph with other numbers of its nodes; None where an edge would go backwards."""
    found = {(places[source], places[target]): operation for (source, target), operation in graph.items()}
    return found if all(source <= target for source, target in found) else None


def _gathered(edge: Edge, labels: Mapping[Edge, str], graph: Mapping[Edge, str]) -> str:
    """The operation with the labels before it: that of its source, or else those of the edges that enter this."""
    node = edge[0]
    own = {(node, node)} & labels.keys() - {edge}
    before = own or {other for other in labels if other[1] == node and other != edge}
    return f"{graph[edge]}({','.join(sorted(labels[other] for other in before))})"
