"""From a config to a `torch.nn.Module`: cells, and programs of a grammar.

Blocks need no builder: `nn.Sequential(*(Block(**block) for block in unflatten(config)["blocks"]))`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from tunewell.architecture.program import Program
from tunewell.errors import SpaceError
from tunewell.space.values import nearest_hint

Make = Callable[..., nn.Module]


class CellNetwork(nn.Module):  # type: ignore[misc]
    """The module of a cell: each node is the sum of the operations on the edges that enter it, given to the operation
    of the node where it has one.

    `graph`: the edges (source, target), the nodes (node, node), and their operations, as `Cell.graph` gives them: node
    0 is the input, the largest of `nodes` the output. `operations`: a function for each name that makes a module, which
    keeps the shape. A cell without a way from the input to the output answers zeros. Raises SpaceError for an operation
    without a function.
    """

    def __init__(self, graph: Mapping[tuple[int, int], str], nodes: int, operations: Mapping[str, Make]) -> None:
        super().__init__()
        self.last = nodes - 1
        self.edges = sorted(graph, key=lambda edge: edge[::-1])  # what enters a node before the node itself
        self.names = [graph[edge] for edge in self.edges]
        self.made = nn.ModuleList(made(operations, name) for name in self.names)

    def forward(self, x: Tensor) -> Tensor:
        """The output node for an input (batch, ...)."""
        values = {0: x}
        for (source, target), operation in zip(self.edges, self.made, strict=True):
            found = operation(values[source])
            before = values.get(target) if source < target else None
            values[target] = found if before is None else before + found
        return values.get(self.last, torch.zeros_like(x) * x)

    def extra_repr(self) -> str:
        """Where each operation stands, in the order of the modules."""
        places = (f"{source}-{target}" if source < target else f"{target}" for source, target in self.edges)
        return ", ".join(f"{place} {name}" for place, name in zip(places, self.names, strict=True))


def build(program: str | Program, operations: Mapping[str, Make]) -> nn.Module:
    """The module of a program such as "seq(conv, residual(pool))", the text that `unflatten` gives for a Grammar.

    `operations`: for each name a function from the modules of its arguments to a module: `nn.Sequential` for "seq",
    and one without arguments for "conv". Raises SpaceError for text that is no program and for a name without a
    function.
    """
    tree = Program.read(program) if isinstance(program, str) else program
    return made(operations, tree.name, *(build(each, operations) for each in tree.arguments))


def made(operations: Mapping[str, Make], name: str, *parts: nn.Module) -> nn.Module:
    """The module of one operation; SpaceError where there is no function for it."""
    if name not in operations:
        raise SpaceError(f"there is no function that makes {name!r}", hint=nearest_hint(name, operations))
    module: Any = operations[name](*parts)
    if not isinstance(module, nn.Module):
        raise SpaceError(f"the function for {name!r} made {type(module).__name__}", hint="It returns a torch module.")
    return module
