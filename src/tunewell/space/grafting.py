"""Programs crossed by subtree: at a place of one, a subtree of the other that begins with the same symbol.

J. R. Koza: Genetic programming. MIT Press 1992. Chapter 6, crossover.
P. A. Whigham: Grammatically-based genetic programming. Workshop on genetic programming: from theory to real-world
applications, 1995. Only what the same symbol derives changes places.
S. Schrodi, D. Stoll, B. Ru, R. Sukthanker, T. Brox, F. Hutter: Construction of hierarchical neural architecture search
spaces based on context-free grammars. NeurIPS 2023. arXiv:2211.01842. Architectures, evolved so.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from tunewell.space.tree import Config, Node, active

Symbols: TypeAlias = Mapping[str, str]
"""The symbol of each place of a program, by its path."""

_TRIES = 20
"""So many pairs of a place and a subtree are drawn, until one fits and makes something new."""


def grafted(
    root: Node,
    symbols: Symbols,
    child: Config,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    rng: np.random.Generator,
) -> Config:
    """The program `child`, below a node; where that is a copy of one of two different parents, the program of `first`
    with a subtree of `second`.

    The place and the subtree, which may stand anywhere, are random. Only what fits is taken, at each place one of the
    productions that the space has there, so that no program is too deep; and no copy of either, where others are found.
    """
    parents = (_program(root, first), _program(root, second))
    if child not in parents or parents[0] == parents[1]:
        return child
    places, subtrees = list(active((root,), first)), defaultdict(list)
    for node in active((root,), second):
        subtrees[symbols[node.path]].append(node)
    for _ in range(_TRIES):
        place = places[int(rng.integers(len(places)))]
        program = _program(root, {**first, **_graft(place, subtrees[symbols[place.path]], second, rng)})
        if program not in parents:
            return program
    return child


def _graft(place: Node, subtrees: Sequence[Node], config: Mapping[str, Any], rng: np.random.Generator) -> Config:
    """One of the subtrees of a config by the names that it has at another place; empty where it does not fit there."""
    found: Config = {}
    fits = bool(subtrees) and _moved(place, subtrees[int(rng.integers(len(subtrees)))], config, found)
    return found if fits else {}


def _moved(place: Node, subtree: Node, config: Mapping[str, Any], found: Config) -> bool:
    """Fill `found` with a subtree as it is named at another place, until something does not fit there."""
    value = found[place.name] = config[subtree.name]
    return value in place.branches and all(
        _moved(inner, below, config, found)
        for inner, below in zip(place.branches[value], subtree.branches[value], strict=True)
    )


def _program(root: Node, config: Mapping[str, Any]) -> Config:
    """What a config holds at a node and below it."""
    return {node.name: config[node.name] for node in active((root,), config)}
