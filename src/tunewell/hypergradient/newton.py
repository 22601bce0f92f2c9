"""A minimum of a smooth function, by Newton's method with conjugate gradients: arrays and tensors alike.

J. Nocedal, S. J. Wright: Numerical optimization. Springer, 2006, algorithm 7.1 (line-search Newton-CG).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tunewell.hypergradient.linear import Product, conjugate, norm

Smooth = Callable[[Any], tuple[float, Any]]
"""A point (p,) to the value and the gradient (p,) there."""

_LEAST = 1e-4
"""The share of the promised decrease that a step has to bring (Armijo)."""


def minimize(smooth: Smooth, curvature: Callable[[Any], Product], w: Any, *, tolerance: float, most: int = 100) -> Any:
    """A point (p,) near `w` at which the norm of the gradient is at most `tolerance`, or no step improves any more."""
    value, slope = smooth(w)
    for _ in range(most):
        size = norm(slope)
        if not size > tolerance:
            break
        # Eisenstat and Walker: solved as well as the gradient is small, so that convergence is quadratic at the end.
        forcing = max(min(0.1, size**0.5), 0.1 * tolerance / size)
        found = conjugate(curvature(w), -slope, tolerance=forcing, most=max(20, min(len(w), 200)))
        direction = found.x if float(found.x @ slope) < 0 else -slope
        w, value, slope, moved = _step(smooth, w, value, slope, direction)
        if not moved:
            break
    return w


def _step(smooth: Smooth, w: Any, value: float, slope: Any, direction: Any) -> tuple[Any, float, Any, bool]:
    """The first point of w + direction, w + direction / 2, ... that improves; in the last digits, by its gradient."""
    promised = float(slope @ direction)
    length, flat = 1.0, 1e-13 * abs(value)
    for _ in range(40):
        there = w + length * direction
        new, towards = smooth(there)
        decreases = new <= value + _LEAST * length * promised
        if decreases or (abs(new - value) <= flat and norm(towards) < norm(slope)):
            return there, new, towards, True
        length /= 2
    return w, value, slope, False
