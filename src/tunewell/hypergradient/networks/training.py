"""What is trained, on what, and how: the one object that every way to differentiate in PyTorch works on."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

import torch

from tunewell.errors import GradientError
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.linear import Product
from tunewell.hypergradient.networks import trouble
from tunewell.hypergradient.networks.optimizers import SGD, Optimizer, Setting, State, value_at
from tunewell.hypergradient.newton import minimize

Params = Mapping[str, torch.Tensor]
Loss = Callable[..., torch.Tensor]

Slope = Callable[[torch.Tensor, Mapping[str, Any], Any], torch.Tensor]
"""Weights (p,), values and a batch to the gradient of the training loss by the weights (p,)."""


class Training:
    """A module, `train_loss(params, hparams, batch)` and `val_loss(params, batch)`, as functions of `params` by name.

    `train` and `validation` are batches: tensors, or tuples or mappings of tensors with rows in front. With `batch`, a
    step sees so many rows of `train`, in an order that `seed` decides on; left out, all. `optimizer` makes `steps`
    steps from the module's own weights, which stay as they are. With `polish`, Newton's method then goes on to a
    gradient of that norm: what the implicit way wants. Everything stays on the device, and in the precision, of the
    module's parameters: double precision for figures to be compared, single for speed.

    `gauss_newton` are the three functions that the training loss is made of: `outputs(params, batch)`,
    `output_loss(outputs, batch)` and `penalty(params, hparams)`. The implicit way then leaves out the curvature of the
    outputs, which costs less, and makes the rest positive far from a minimum as well; `biased` of the result says so
    (J. Martens: New insights and perspectives on the natural gradient method. JMLR 21, 2020, section 8).

    The first use tries the losses, and raises GradientError with a sentence on what to change: for dropout, batch norm,
    a detached loss, operations in place, chance.
    """

    def __init__(
        self,
        module: torch.nn.Module,
        train_loss: Loss,
        val_loss: Loss,
        train: Any,
        validation: Any,
        *,
        optimizer: Optimizer | None = None,
        steps: int = 100,
        batch: int | None = None,
        seed: int = 0,
        polish: float | None = None,
        gauss_newton: tuple[Loss, Loss, Loss] | None = None,
    ) -> None:
        self.module, self.train, self.validation, self._parts = module, train, validation, gauss_newton
        self._train_loss, self._val_loss = train_loss, val_loss
        self.optimizer, self.steps, self.polish = optimizer or SGD(), steps, polish
        parameters = {name: part.detach() for name, part in module.named_parameters() if part.requires_grad}
        if not parameters:
            raise GradientError("the module has no parameters that are trained", hint="Let some require a gradient.")
        self._shapes = {name: part.shape for name, part in parameters.items()}
        self.begin = torch.cat([part.reshape(-1) for part in parameters.values()])
        self._rows = self._ordered(batch, seed)
        self._idle: dict[frozenset[str], tuple[str, ...]] = {}
        self._graph: Callable[[], _Graph | None] = lambda: None

    def _ordered(self, batch: int | None, seed: int) -> list[torch.Tensor] | None:
        """The rows of each step: a new random order for each pass over the data."""
        count = min((len(part) for part in trouble.tensors(self.train)), default=0)
        if batch is None or batch >= count:
            return None
        order, passes = torch.Generator().manual_seed(seed), -(-self.steps * batch // (count - count % batch))
        rows = [torch.randperm(count, generator=order)[: count - count % batch] for _ in range(passes)]
        return list(torch.cat(rows).to(self.begin.device).split(batch))

    # --- weights and batches -----------------------------------------------------------------------------------------

    def params(self, weights: torch.Tensor) -> dict[str, torch.Tensor]:
        """The parameters by name, of a vector (p,)."""
        parts = weights.split([shape.numel() for shape in self._shapes.values()])  # one cut is quicker than many slices
        return {
            name: part if len(shape) == 1 else part.view(shape)  # a view is a node, in the graph of each order
            for (name, shape), part in zip(self._shapes.items(), parts)
        }

    def batch(self, number: int) -> Any:
        """What step `number` sees."""
        return self.train if self._rows is None else _picked(self.train, self._rows[number])

    def tensor(self, vector: Any) -> torch.Tensor:
        """Numbers in the precision and on the device of the parameters."""
        return torch.as_tensor(vector, dtype=self.begin.dtype, device=self.begin.device)

    def values(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The values as the losses get them: floats as tensors, the others as they are."""
        layout = Layout(values)
        return {name: value if name in layout.held else self.tensor(value) for name, value in values.items()}

    # --- losses ------------------------------------------------------------------------------------------------------

    def train_loss(self, weights: torch.Tensor, values: Mapping[str, Any], batch: Any) -> torch.Tensor:
        """The training loss of weights (p,) on a batch."""
        loss = self._train_loss(self.params(weights), values, batch)
        return loss.reshape(()) if loss.ndim else loss

    def val_loss(self, weights: torch.Tensor) -> torch.Tensor:
        """The validation loss of weights (p,)."""
        return self._val_loss(self.params(weights), self.validation).reshape(())

    def look(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        """Try the losses once for these names; the names of floats on which training does not depend.

        Raises GradientError where a loss has no gradient, or no float is left.
        """
        key = frozenset(values)
        if key not in self._idle:
            self._idle[key] = self._tried(values)
        return self._idle[key]

    def _tried(self, values: Mapping[str, Any]) -> tuple[str, ...]:
        layout = Layout(values)
        for name in self.optimizer.names():
            if name not in values:
                raise GradientError(f"the optimizer names {name!r}, which is not among the values", hint="Add it.")
        trouble.look_at_module(self.module)
        weights, numbers = self.begin.clone().requires_grad_(), self.tensor(layout.flat(_plain(values)))
        numbers.requires_grad_()
        given = layout.named(numbers)
        parts = [given[name] for name in layout.shapes]
        arguments = self.params(weights), given, self.batch(0)
        loss = trouble.tried(self._train_loss, "train_loss", *arguments)
        trouble.look_for_chance(self._train_loss, "train_loss", loss, *arguments)
        slope, *found = trouble.slopes(loss, [weights, *parts], "train_loss")
        assert slope is not None
        trouble.look_for_nan(loss, self.params(slope), "train_loss")
        judged = trouble.tried(self._val_loss, "val_loss", self.params(weights), self.validation)
        trouble.look_for_chance(self._val_loss, "val_loss", judged, self.params(weights), self.validation)
        trouble.slopes(judged, [weights], "val_loss")
        mine, jumps = self.optimizer.names(), trouble.has_jumps(loss)
        pairs = [pair for pair in zip(layout.shapes, found) if pair[0] not in mine]
        idle = tuple(name for name, part in pairs if part is None or (jumps and not bool(part.any())))
        if len(idle) == len(layout.shapes):
            raise GradientError(
                f"training does not depend on {', '.join(idle)}, or not in a way that has a derivative",
                hint="Use hparams[name] as a tensor in train_loss, without int(), .item() or round().",
            )
        return idle

    # --- training ----------------------------------------------------------------------------------------------------

    def step(self, state: State, values: Mapping[str, Any], number: int, slope: Slope | None = None) -> State:
        """The state after step `number`; `slope` says how the gradient is taken."""
        towards = (slope or self.slope)(state[0], values, self.batch(number))

        def at(setting: Setting) -> Any:
            return value_at(values, setting, number, self.steps)

        return self.optimizer.step(state, towards, at, number)

    def slope(self, weights: torch.Tensor, values: Mapping[str, Any], batch: Any) -> torch.Tensor:
        """The gradient of the training loss (p,), without a graph."""
        with torch.enable_grad():
            weights = weights.detach().requires_grad_()
            return torch.autograd.grad(self.train_loss(weights, values, batch), weights)[0]

    def slope_in_graph(self, weights: torch.Tensor, values: Mapping[str, Any], batch: Any) -> torch.Tensor:
        """The gradient of the training loss (p,), as a part of the graph of weights and values."""
        return torch.autograd.grad(self.train_loss(weights, values, batch), weights, create_graph=True)[0]

    def trained(self, values: Mapping[str, Any]) -> State:
        """The state after all steps."""
        return self.went(self.optimizer.begin(self.begin), values, range(self.steps))

    def trained_with_mean(self, values: Mapping[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """The weights (p,) after all steps, and the mean of those before each: `weights` and `path` of `implicit`."""
        state, given = self.optimizer.begin(self.begin), self.values(values)
        total = torch.zeros_like(self.begin)
        with torch.no_grad():
            for number in range(self.steps):
                total += state[0]
                state = self.step(state, given, number)
        return state[0], total / self.steps

    def went(self, state: State, values: Mapping[str, Any], steps: range) -> State:
        """The state after some steps more, without a graph."""
        given = self.values(values)
        with torch.no_grad():
            for number in steps:
                state = self.step(state, given, number)
        return state

    # --- a fitted model, as the implicit way sees it -----------------------------------------------------------------

    def solve(self, values: Mapping[str, Any], start: Any = None) -> torch.Tensor:
        """The weights (p,) after training; from a `start`, and with `polish`, by Newton's method."""
        given = self.values(values)
        weights: torch.Tensor = self.trained(values)[0] if start is None else start
        if start is None and self.polish is None:
            return weights
        tolerance = self.polish or 1e-4 * float(torch.linalg.vector_norm(self.residual(weights, values)))

        def smooth(there: torch.Tensor) -> tuple[float, torch.Tensor]:
            there = there.detach().requires_grad_()
            loss = self.train_loss(there, given, self.train)
            return float(loss.detach()), torch.autograd.grad(loss, there)[0]

        found: torch.Tensor = minimize(smooth, lambda w: self.curvature(w, given), weights, tolerance=tolerance)
        return found

    def residual(self, weights: torch.Tensor, values: Mapping[str, Any]) -> torch.Tensor:
        """The gradient of the training loss on all rows (p,)."""
        graph = self._graph()
        if graph is not None and graph.at(weights, values):
            return graph.slope.detach()
        return self.slope(weights, self.values(values), self.train)

    def curvature(self, weights: torch.Tensor, values: Mapping[str, Any]) -> Product:
        """A vector (p,) to the Hessian of the training loss on all rows times it, back through a graph kept for it.

        While somebody keeps the product, `residual` and `mixed` at the same place take their answers from its graph.
        """
        if self._parts is not None:
            return self._gauss_newton(weights.detach().requires_grad_(), self.values(values), *self._parts[:2])
        graph = _Graph(self, weights, values)
        self._graph = weakref.ref(graph)
        return graph.product

    def _gauss_newton(
        self, weights: torch.Tensor, values: Mapping[str, Any], outputs: Loss, output_loss: Loss
    ) -> Product:
        """A vector v (p,) to J' L'' J v + P'' v, with the Jacobian J of the outputs, and the penalty P."""
        found = outputs(self.params(weights), self.train)
        fixed = found.detach().requires_grad_()
        by_output = torch.autograd.grad(output_loss(fixed, self.train), fixed, create_graph=True)[0]
        dual = torch.zeros_like(found, requires_grad=True)
        pulled = torch.autograd.grad(found, weights, dual, create_graph=True)[0]
        slope = self._slope_by_values(weights, values)

        def product(vector: torch.Tensor) -> torch.Tensor:
            pushed = torch.autograd.grad(pulled, dual, vector, retain_graph=True)[0]
            bent = torch.autograd.grad(by_output, fixed, pushed, retain_graph=True)[0]
            rest = torch.autograd.grad(slope, weights, vector, retain_graph=True)[0]
            return torch.autograd.grad(found, weights, bent, retain_graph=True)[0] + rest

        return product

    def mixed(self, weights: torch.Tensor, values: Mapping[str, Any], vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """v' d(slope)/dh, by name."""
        graph = self._graph()
        if graph is None or not graph.at(weights, values):
            graph = _Graph(self, weights, values)
        return graph.by_values(vector)

    def _slope_by_values(self, weights: torch.Tensor, values: Mapping[str, Any]) -> torch.Tensor:
        """What of the gradient of the training loss (p,) depends on the values: all, or that of the penalty."""
        if self._parts is None:
            return self.slope_in_graph(weights, values, self.train)
        penalty = self._parts[2](self.params(weights), values)
        return torch.autograd.grad(penalty, weights, create_graph=True)[0]

    def loss(
        self, weights: torch.Tensor, values: Mapping[str, Any]
    ) -> tuple[float, torch.Tensor, dict[str, torch.Tensor]]:
        """The validation loss and its gradient by the weights (p,)."""
        weights = weights.detach().requires_grad_()
        loss = self.val_loss(weights)
        return float(loss.detach()), torch.autograd.grad(loss, weights)[0], {}

    @property
    def bias(self) -> str:
        """What is wrong with the curvature on principle; empty where nothing is."""
        return "" if self._parts is None else "the curvature of Gauss and Newton in place of the Hessian"

    def doubt(self, weights: torch.Tensor, values: Mapping[str, Any]) -> str:
        """Why the implicit way cannot see some values."""
        mine = [name for name in self.optimizer.names() if isinstance(values[name], float | torch.Tensor)]
        if not mine:
            return ""
        return f"the implicit way cannot see {', '.join(mine)}, which only the way to the minimum depends on"


class _Graph:
    """The gradient of the training loss on all rows, or what of it depends on the values, as a graph of both."""

    def __init__(self, training: Training, weights: torch.Tensor, values: Mapping[str, Any]) -> None:
        self._place, self._layout = (weights, values), Layout(values)
        self._numbers = training.tensor(self._layout.flat(_plain(values))).requires_grad_()
        self._weights = weights.detach().requires_grad_()
        self.slope = training._slope_by_values(self._weights, self._layout.named(self._numbers))

    def at(self, weights: torch.Tensor, values: Mapping[str, Any]) -> bool:
        """Whether it was made of these very objects."""
        return self._place[0] is weights and self._place[1] is values

    def product(self, vector: torch.Tensor) -> torch.Tensor:
        """d(slope)/dw v (p,)."""
        return torch.autograd.grad(self.slope, self._weights, vector, retain_graph=True)[0]

    def by_values(self, vector: torch.Tensor) -> dict[str, torch.Tensor]:
        """v' d(slope)/dh, by name."""
        found = torch.autograd.grad(self.slope, self._numbers, vector, retain_graph=True, allow_unused=True)[0]
        named = self._layout.named(torch.zeros_like(self._numbers) if found is None else found)
        return {name: named[name] for name in self._layout.shapes}


def _picked(value: Any, rows: torch.Tensor) -> Any:
    """Some rows of a batch."""
    if isinstance(value, torch.Tensor):
        return value[rows]
    if isinstance(value, dict):
        return {name: _picked(part, rows) for name, part in value.items()}
    return type(value)(_picked(part, rows) for part in value)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value
        for name, value in values.items()
    }
