"""A differentiable relaxation of a cell: at each place a mixture of all operations, whose weights follow a gradient.

For those who want it: its known failure is that skip connections win, since they help the other operations to train
while all are mixed. `Relaxed.collapse` and `is_steepening` detect it; shared weights (`Supernet`) are the safer way.

H. Liu, K. Simonyan, Y. Yang: DARTS: differentiable architecture search. ICLR 2019. arXiv:1806.09055. Equations in the
comments are those of section 2; steps of first order only.
A. Zela, T. Elsken, T. Saikia, Y. Marrakchi, T. Brox, F. Hutter: Understanding and robustifying differentiable
architecture search. ICLR 2020. arXiv:1909.09656. The curvature of the validation loss, and when to stop.
H. Liang et al.: DARTS+: improved differentiable architecture search with early stopping. 2019. arXiv:1909.06035. The
number of skip connections as the sign of the failure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from tunewell.architecture.building import Make, made
from tunewell.errors import SpaceError
from tunewell.space import Cell, Config
from tunewell.space.cell import Edge
from tunewell.space.values import nearest_hint


class Relaxed(nn.Module):  # type: ignore[misc]
    """The weights of all operations at all places of a cell: what the search trains, and a config is derived from.

    `module` makes a cell for a network; all that it made have these weights in common, which are no parameters of
    theirs: so the network has one optimizer and the architecture another. `skip` names the operation that lets all
    through. Raises SpaceError where it is none of the cell's.
    """

    def __init__(self, cell: Cell, skip: str = "skip") -> None:
        super().__init__()
        names = dict.fromkeys((*cell.operations, *cell.on_nodes))
        if skip not in names:
            raise SpaceError(f"Relaxed: skip={skip!r} is no operation of the cell", hint=nearest_hint(skip, names))
        self.cell, self.skip = cell, skip
        self.weights = nn.ParameterDict(
            {_name(edge): 1e-3 * torch.randn(len(cell.options(edge))) for edge in cell.edges}
        )

    def module(self, operations: Mapping[str, Make]) -> RelaxedCell:
        """A cell of mixtures, the output in the shape of the input; `operations` as for `CellNetwork`."""
        return RelaxedCell(self, operations)

    def shares(self, edge: Edge) -> Tensor:
        """The share of each operation on an edge, or at a node as (node, node)."""
        return torch.softmax(self.weights[_name(edge)], 0)

    def config(self, name: str, entering: int | None = None) -> Config:
        """The strongest operation at each place, as the entries of a config of the cell `name`.

        With `entering`, as in DARTS, where it is 2: only so many edges enter a node, those whose strongest operation
        has the most weight, `none` apart; without it, `none` is an operation like any other.
        """
        free, kept = entering is None, self._kept(entering)
        places = zip(self.cell.parts(name), self.cell.edges, strict=True)
        return {entry: self._strongest(edge, free)[0] if edge in kept else self.cell.none for entry, edge in places}

    def _kept(self, entering: int | None) -> set[Edge]:
        """The places that stay where so many edges enter a node; all nodes do."""
        if entering is None:
            return set(self.cell.edges)
        if self.cell.none not in self.cell.operations:
            raise SpaceError("Relaxed: edges cannot go", hint='Give the cell an operation "none".')
        kept = {edge for edge in self.cell.edges if edge[0] == edge[1]}
        for node in range(1, self.cell.nodes):
            edges = [(source, node) for source in range(node)]
            kept.update(sorted(edges, key=lambda edge: -self._strongest(edge, False)[1])[:entering])
        return kept

    def _strongest(self, edge: Edge, free: bool) -> tuple[str, float]:
        """The operation of the largest share at a place, and that share; `free` to be none."""
        shares = zip(self.cell.options(edge), self.shares(edge).tolist(), strict=True)
        return max((each for each in shares if free or each[0] != self.cell.none), key=lambda each: each[1])

    def collapse(self, entering: int | None = None) -> str | None:
        """What went wrong with the cell that would be derived now, and what to do; None where nothing did.

        Of the places where another operation was possible, all became skip connections, or so many as random choices
        would leave in less than one of twenty cells; or nothing comes through.
        """
        graph = self.cell.graph("cell", self.config("cell", entering))
        if not graph:
            return f"The relaxation collapsed: nothing comes through the cell. {_NOTHING}"
        others = {edge: {*self.cell.options(edge)} - {self.skip, self.cell.none} for edge in graph}
        free = [edge for edge in graph if others[edge] and self.skip in self.cell.options(edge)]
        skips = sum(graph[edge] == self.skip for edge in free)
        chance = sum(1 / (1 + len(others[edge])) for edge in free) / max(len(free), 1)
        if not free or (skips < len(free) and _tail(skips, len(free), chance) >= _RARE):
            return None
        return f"The relaxation collapsed: {skips} of {len(free)} places became {self.skip!r}. {_SKIPS}"


_RARE = 0.05
_SKIPS = (
    "While operations are mixed, a skip connection gets weight for helping the others to train, not for what it is "
    "worth in the cell. Stop earlier, when the curvature begins to rise (is_steepening), or search with shared weights "
    "(Supernet, WeightSharing); in any case train the cell alone beside a random one."
)
_NOTHING = "Derive it with entering=2, leave `none` out of the cell, or give the search more rows or fewer epochs."


def _tail(count: int, of: int, chance: float) -> float:
    """How likely so many or more are, each with that chance."""
    return sum(math.comb(of, k) * chance**k * (1 - chance) ** (of - k) for k in range(count, of + 1))


class RelaxedCell(nn.Module):  # type: ignore[misc]
    """A cell in which a mixture of all operations stands at each place; made by `Relaxed.module`."""

    def __init__(self, relaxed: Relaxed, operations: Mapping[str, Make]) -> None:
        super().__init__()
        self.__dict__["relaxed"] = relaxed  # not as a module: its weights are not this one's parameters
        self.mixed = nn.ModuleDict(
            {_name(edge): nn.ModuleDict(self._made(edge, operations)) for edge in relaxed.cell.edges}
        )

    def _made(self, edge: Edge, operations: Mapping[str, Make]) -> dict[str, nn.Module]:
        cell = self.relaxed.cell
        return {name: made(operations, name) for name in cell.options(edge) if name != cell.none}

    def forward(self, x: Tensor) -> Tensor:
        """The output node for an input (batch, ...)."""
        values = {0: x}
        for source, target in self.relaxed.cell.edges:
            found = self._mixture((source, target), values[source])
            before = values.get(target) if source < target else None
            values[target] = found if before is None else before + found
        return values[self.relaxed.cell.nodes - 1]

    def _mixture(self, edge: Edge, x: Tensor) -> Tensor:
        """The sum of all operations by their shares (equation 2); `none` adds nothing."""
        shares = dict(zip(self.relaxed.cell.options(edge), self.relaxed.shares(edge), strict=True))
        found = [shares[name] * operation(x) for name, operation in self.mixed[_name(edge)].items()]
        return torch.stack(found).sum(0)


def _name(edge: Edge) -> str:
    return f"{edge[0]}-{edge[1]}"


def alternate(
    network: Optimizer, loss: Callable[[], Tensor], architecture: Optimizer, held: Callable[[], Tensor]
) -> tuple[float, float]:
    """One step of the architecture down the loss on held-out rows, then one of the network down that on its own rows.

    Algorithm 1 with xi = 0, the first-order approximation. Returns the two losses, that of the network first.

        relaxed = Relaxed(cell)
        network = nn.Sequential(stem, relaxed.module(operations), head)
        weights = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9)
        shape = torch.optim.Adam(relaxed.parameters(), 3e-4, betas=(0.5, 0.999), weight_decay=1e-3)
        alternate(weights, lambda: cross_entropy(network(x), y), shape, lambda: cross_entropy(network(u), v))
    """
    found = [_step(optimizer, of) for optimizer, of in ((architecture, held), (network, loss))]
    return found[1], found[0]


def _step(optimizer: Optimizer, of: Callable[[], Tensor]) -> float:
    optimizer.zero_grad()
    value = of()
    value.backward()
    optimizer.step()
    return float(value.detach())


def curvature(loss: Tensor, relaxed: Relaxed, steps: int = 12) -> float:
    """The dominant eigenvalue of the second derivative of a validation loss by the weights of the architecture, by
    `steps` of power iteration (Zela et al., section 4). Once an epoch, on one batch, is enough.
    """
    weights = list(relaxed.parameters())
    slopes = torch.autograd.grad(loss, weights, create_graph=True)
    slope = torch.cat([each.flatten() for each in slopes])
    generator = torch.Generator().manual_seed(0)
    direction, value = torch.randn(len(slope), generator=generator).to(slope), 0.0
    for _ in range(steps):
        direction = direction / direction.norm().clamp_min(1e-30)
        curved = torch.autograd.grad(slope @ direction, weights, retain_graph=True)
        turned = torch.cat([each.flatten() for each in curved])
        value, direction = float(direction @ turned), turned
    return value


def is_steepening(curvatures: Sequence[float], window: int = 5, ratio: float = 0.75) -> bool:
    """Whether to stop the search, by its curvature after each epoch, and to take what was derived `window` epochs ago.

    So it is where the mean of the `window` epochs before the last ones is below `ratio` times the mean of these (Zela
    et al., section 5.1). A rise in the first epochs counts like any other: leave these out.
    """
    if len(curvatures) < 2 * window:
        return False
    now, before = (sum(map(abs, some)) for some in (curvatures[-window:], curvatures[-2 * window : -window]))
    return before < ratio * now
