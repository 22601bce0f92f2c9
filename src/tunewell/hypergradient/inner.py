"""What the implicit way needs to know of a fitted model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

from tunewell.hypergradient.linear import Product


class Inner(Protocol):
    """A model whose weights w (p,) solve F(w, h) = 0 for values h, by name.

    Weights and cotangents are arrays for the NumPy face, tensors for PyTorch's. F is the gradient of a training loss by
    the weights, or a symmetric system such as (K + alpha I) w - y: dF/dw is symmetric. A loss is that on validation
    data; cotangents by name have the shapes of the values.
    """

    def solve(self, values: Mapping[str, Any], start: Any = None) -> Any:
        """The weights (p,) at which F is 0; `start` is where to begin."""

    def residual(self, weights: Any, values: Mapping[str, Any]) -> Any:
        """F (p,)."""

    def curvature(self, weights: Any, values: Mapping[str, Any]) -> Product:
        """A vector (p,) to dF/dw times it."""

    def mixed(self, weights: Any, values: Mapping[str, Any], vector: Any) -> Mapping[str, Any]:
        """A vector v (p,) to v' dF/dh, by name."""

    def loss(self, weights: Any, values: Mapping[str, Any]) -> tuple[float, Any, Mapping[str, Any]]:
        """The validation loss, its gradient by the weights (p,), and that by the values, by name, where it has one."""

    def doubt(self, weights: Any, values: Mapping[str, Any]) -> str:
        """A sentence on why F has no derivative here; empty where it has one."""
