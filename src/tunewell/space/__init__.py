"""The search space: named hyperparameters, their ranges, priors, conditions and known constraints.

    from tunewell.space import Choice, Float, Int, Space

    space = Space({
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Int(1, 4),
        "optimizer": Choice({"adamw": {"decay": Float(1e-6, 1e-1, log=True)}, "sgd": {"momentum": Float(0, 0.99)}}),
    })
    space.sample(rng)          # {"lr": 0.0031, "layers": 2, "optimizer": "sgd", "momentum": 0.41}

A **config** is a flat JSON mapping of the active entries. The identity of an entry is its **path**: its name at the top
level, `optimizer=sgd/momentum` below a branch. Files, each importing only those above it:

    values.py       plain JSON values, and when two are the same
    scale.py        the axis of one entry: unit interval <-> values, exact at both ends
    prior.py        Normal, LogNormal, Quantiles, Weights
    entry.py        Float, Int, Choice, Ordinal, Constant, and their JSON form
    deriving.py     random programs, by their depth
    switch.py       Switch: an entry whose value says which others are active, for the structures below
    blocks.py       Blocks: a number of blocks, such as layers
    counting.py     how many cells are different
    cell.py         Cell: a graph with operations on its edges, its nodes, or both
    grammar.py      Grammar: programs derived from productions
    constraint.py   known constraints: a small interpreter of expressions, or a callable
    unflatten.py    a config of structures as a person would write it
    tree.py         the compiled tree of entries: decode, read, encode, count
    grafting.py     programs crossed by subtree
    variation.py    mutate and cross
    walk.py         configs that satisfy constraints which hardly any does
    grid.py         a lazily numbered grid of configs
    whole.py        Space
"""

from tunewell.space.blocks import Blocks
from tunewell.space.cell import Cell
from tunewell.space.entry import Choice, Constant, Entry, Float, Int, Ordinal
from tunewell.space.grammar import Grammar
from tunewell.space.grid import Grid
from tunewell.space.prior import LogNormal, Normal, Quantiles, Weights
from tunewell.space.switch import Switch
from tunewell.space.tree import Condition, Config, Dimension
from tunewell.space.unflatten import unflatten
from tunewell.space.whole import Space

__all__ = [
    "Blocks",
    "Cell",
    "Choice",
    "Condition",
    "Config",
    "Constant",
    "Dimension",
    "Entry",
    "Float",
    "Grammar",
    "Grid",
    "Int",
    "LogNormal",
    "Normal",
    "Ordinal",
    "Quantiles",
    "Space",
    "Switch",
    "Weights",
    "unflatten",
]
