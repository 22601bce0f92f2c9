"""The implicit way: the gradient at a solution F(w, h) = 0, whatever found it.

By the implicit function theorem dw/dh = -(dF/dw)^-1 dF/dh, so that for a validation loss E(w, h)

    dE/dh = dE/dh|w - (dF/dh)' (dF/dw)^-1 dE/dw,

one linear system for any number of values. It needs a solution: what training leaves of F enters the error, which is
estimated as in HOAG. It cannot see what decides on the way to the solution only, such as a learning rate.

J. Lorraine, P. Vicol, D. Duvenaud: Optimizing millions of hyperparameters by implicit differentiation. AISTATS 2020.
F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016 (HOAG).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import numpy as np

from tunewell.hypergradient.check import compared
from tunewell.hypergradient.inner import Inner
from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.linear import Product, Solution, conjugate, neumann, norm
from tunewell.hypergradient.result import Array, Hypergradient, judged

Solve = Callable[..., Solution]


def implicit(
    inner: Inner,
    values: Mapping[str, Any],
    *,
    start: Any = None,
    weights: Any = None,
    path: Any = None,
    solver: Literal["conjugate", "neumann"] = "conjugate",
    tolerance: float = 1e-10,
    most: int | None = None,
    damping: float = 0.0,
    shift: float = 0.0,
    trust: float | None = 0.1,
    check: bool = False,
    bound: bool = True,
) -> Hypergradient:
    """The gradient of the validation loss by `values`, at the weights that solve F = 0.

    `start`: weights to begin solving from; `weights`: solved already, nothing is solved. The system is solved to a
    relative residual `tolerance` or with `most` products: by conjugate gradients, with `damping`, a share of the
    largest curvature, and `shift`, a curvature, added to all of them; or by Neumann's series of `most` terms (50). A
    shift of 1 / (lr steps) does for the answer what stopping after so many steps does for training; dF/dh is then
    better taken on the way, at `path`, the mean of the weights. `check` compares it with central differences along one
    direction, which solves twice more.

    With `bound=False` the error is not estimated, which saves half of the products or more, and refuses nothing.

    Raises GradientError where the curvature is not positive, F has no derivative, a number is not finite, or the error
    may be more than a share `trust` of the gradient. With `trust=None` these are the `doubts` of the result.
    """
    layout = Layout(values)
    if weights is None:
        weights = inner.solve(values, start)
    solve = _solver(solver, tolerance, most, damping, shift)
    place = _Place(inner, layout, values, weights, solve, path)
    sentence = inner.doubt(weights, values)
    found = Hypergradient(
        place.loss,
        layout.plain(place.gradient),
        "implicit",
        biased="; ".join(filter(None, [_told(damping, shift, path), getattr(inner, "bias", "")])),
        held=tuple(layout.held),
        stationarity=norm(place.residual),
        residual=place.solution.residual(place.slope),
        bound=place.bound() if bound else math.nan,
        products=place.solution.products,
        doubts=(*place.doubts(), *([sentence] if sentence else [])),
        weights=weights,
    )
    if check:
        found = compared(found, layout, values, lambda near: inner.loss(inner.solve(near, weights), near)[0])
    return judged(found, trust, float(np.linalg.norm(layout.flat(_arrays(layout, values)))))


def _told(damping: float, shift: float, path: Any) -> str:
    parts = [f"{damping:g} of the largest curvature"] * bool(damping) + [f"{shift:g}"] * bool(shift)
    told = [f"damped by {' and '.join(parts)}"] * bool(parts) + ["dF/dh at the mean of the way"] * (path is not None)
    return "; ".join(told)


def _solver(solver: str, tolerance: float, most: int | None, damping: float, shift: float) -> Solve:
    if solver == "neumann":
        return lambda a, b, start=None: neumann(a, b, terms=50 if most is None else most)

    def solve(a: Product, b: Any, start: Any = None) -> Solution:
        share = damping * conjugate(a, b, tolerance=0.0, most=5).largest if damping else 0.0
        total = shift + (share if math.isfinite(share) else 0.0)
        return conjugate(a, b, tolerance=tolerance, most=most, damping=total, start=start)

    return solve


def _arrays(layout: Layout, values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: as_array(values[name]) for name in layout.shapes}


def as_array(value: Any) -> Array:
    """A number, an array or a tensor as an array."""
    moved = value.detach().cpu().numpy() if hasattr(value, "detach") else value
    return np.asarray(moved, dtype=float)


class Parts(NamedTuple):
    """The loss, its gradients by the weights (p,) and, by name, by the values, and the solution of the system."""

    loss: float
    slope: Any
    direct: Mapping[str, Any]
    solution: Solution


class _Place:
    """The gradient at some weights, and the parts that its error is estimated from."""

    def __init__(
        self, inner: Inner, layout: Layout, values: Mapping[str, Any], weights: Any, solve: Solve, path: Any
    ) -> None:
        self.inner, self.layout, self.values, self.weights, self.solve = inner, layout, values, weights, solve
        self.path = weights if path is None else path
        self.curvature = inner.curvature(weights, values)
        self.residual = inner.residual(weights, values)
        parts = self._parts(weights, self.curvature)
        self.loss, self.slope, self.solution = parts.loss, parts.slope, parts.solution
        self.gradient = self._gradient(self.path, parts)

    def _parts(self, weights: Any, curvature: Product, start: Any = None) -> Parts:
        loss, slope, direct = self.inner.loss(weights, self.values)
        return Parts(loss, slope, direct, self.solve(curvature, slope, start=start))

    def _gradient(self, weights: Any, parts: Parts) -> Array:
        direct, through = parts.direct, self.inner.mixed(weights, self.values, parts.solution.x)
        total = {name: as_array(direct.get(name, 0.0)) - as_array(through[name]) for name in self.layout.shapes}
        shapes = self.layout.shapes.items()
        return self.layout.flat({name: np.broadcast_to(total[name], shape) for name, shape in shapes})

    def doubts(self) -> list[str]:
        """What the solution says against itself."""
        if self.solution.curved and not self.solution.least <= 0:
            return []
        return [
            "the curvature of the training loss is not positive here, so that these weights are no minimum: train "
            "longer, add weight decay, or pass damping=1e-3"
        ]

    def bound(self) -> float:
        """An estimate of the norm of the error: of what is left of the system, and of what training left of F.

        The first is |dF/dh| |rest| / least curvature. The second is by how much the gradient changes when Newton's next
        step is made, which would remove F to first order.
        """
        solution = self.solution
        if not solution.curved or solution.least <= 0:
            return math.inf
        slack = norm(solution.rest) * self._stretch() / solution.least if norm(solution.rest) else 0.0
        return slack + self._drift()

    def _stretch(self) -> float:
        """How much longer dF/dh makes a vector, of the two at hand."""
        pairs = [(vector, norm(vector)) for vector in (self.solution.x, self.solution.rest)]
        through = [(self.inner.mixed(self.weights, self.values, vector), size) for vector, size in pairs if size]
        sums = [(sum(float(np.sum(as_array(part) ** 2)) for part in parts.values()), size) for parts, size in through]
        return max((math.sqrt(total) / size for total, size in sums), default=0.0)

    def _drift(self) -> float:
        if not norm(self.residual):
            return 0.0
        newton = conjugate(self.curvature, self.residual, tolerance=0.1, most=50)
        size = norm(self.weights)
        if norm(newton.x) <= 1e-13 * size:  # the last digits
            return 0.0
        there = self.weights - newton.x
        parts = self._parts(there, self.inner.curvature(there, self.values), start=self.solution.x)
        return float(np.linalg.norm(self._gradient(self.path - newton.x, parts) - self.gradient))
