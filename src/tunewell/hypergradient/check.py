"""A gradient beside central differences: along one direction, so that it costs two solutions for any number of values.

The direction takes a random sign for each value, and its size: values that differ by orders of magnitude all count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tunewell.hypergradient.layout import Layout
from tunewell.hypergradient.result import Hypergradient

_STEPS = (1e-3, 1e-2, 1e-4, 1e-5)
"""Relative changes of the values; the one that agrees best counts: long ones see the curvature, short ones rounding."""

_CLOSE = 1e-4
"""What differs by no more need not be looked at again."""

_ROUNDING = 30.0
"""Differences of the loss below so many units of its last digit are nothing."""

_APART = 0.05
"""What differs by a larger share is doubted."""


def compared(
    found: Hypergradient,
    layout: Layout,
    values: Mapping[str, Any],
    loss: Callable[[Mapping[str, Any]], float],
    *,
    seed: int = 0,
) -> Hypergradient:
    """What was found, with `checked`: the relative difference from central differences of `loss`; doubted above 5 %."""
    centre = layout.flat({name: _plain(values[name]) for name in layout.shapes})
    signs = np.random.default_rng(seed).choice([-1.0, 1.0], len(centre))
    direction = signs * np.where(centre == 0, 1.0, np.abs(centre))
    expected = float(layout.flat(found.gradient) @ direction)
    digit = _precision(found.weights) * abs(found.loss)
    apart = np.inf
    for step in _STEPS:
        apart = min(apart, _difference(loss, layout, centre, direction, step, expected, digit))
        if apart <= _CLOSE:
            break
    found = replace(found, checked=apart)
    if apart <= _APART:
        return found
    return found.doubted(
        f"central differences disagree by {apart:.0%}: the loss may depend on chance, training may stop too early, or "
        "a term may be missing from the gradient"
    )


def _difference(
    loss: Callable[[Mapping[str, Any]], float],
    layout: Layout,
    centre: Any,
    direction: Any,
    step: float,
    expected: float,
    digit: float,
) -> float:
    up, down = (loss(layout.whole(centre + sign * step * direction)) for sign in (1, -1))
    measured = (up - down) / (2 * step)
    rounding = _ROUNDING * digit / (2 * step)
    return max(abs(measured - expected) - rounding, 0.0) / max(abs(measured), abs(expected), 1e-300)


def _precision(weights: Any) -> float:
    """The relative size of a last digit of the numbers that training computes with."""
    single = "float32" in str(getattr(weights, "dtype", ""))
    return float(np.finfo(np.float32 if single else np.float64).eps)


def _plain(value: Any) -> Any:
    return value.detach().cpu().numpy() if hasattr(value, "detach") else value
