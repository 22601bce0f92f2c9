"""The linear system of an implicit gradient, by products with a symmetric matrix only; arrays and tensors alike.

J. Nocedal, S. J. Wright: Numerical optimization. Springer, 2006, algorithm 5.2 (conjugate gradients).
C. Paige, M. Saunders: Solution of sparse indefinite systems of linear equations. SIAM J. Numer. Anal. 12, 1975: the
coefficients of conjugate gradients are those of Lanczos' tridiagonal matrix, whose eigenvalues are Ritz values.
J. Lorraine, P. Vicol, D. Duvenaud: Optimizing millions of hyperparameters by implicit differentiation. AISTATS 2020,
algorithm 3 (the Neumann series).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Product = Callable[[Any], Any]
"""A vector (p,) to the product of a symmetric matrix (p, p) with it."""


@dataclass(frozen=True)
class Solution:
    """What solves A x = b, nearly: `x` (p,), and what is left, `rest` = b - A x (p,), of the A without damping.

    `least` and `largest`: the ends of the spectrum of A as far as it was met. `curved`: whether A was positive along
    every direction that was tried. `products`: how many products it took.
    """

    x: Any
    rest: Any
    least: float
    largest: float
    curved: bool
    products: int

    def residual(self, b: Any) -> float:
        """The norm of what is left, relative to that of b."""
        return norm(self.rest) / max(norm(b), 1e-300)


def norm(vector: Any) -> float:
    """The Euclidean norm."""
    return math.sqrt(max(float(vector @ vector), 0.0))


def conjugate(
    a: Product, b: Any, *, tolerance: float = 1e-10, most: int | None = None, damping: float = 0.0, start: Any = None
) -> Solution:
    """Conjugate gradients on (A + damping I) x = b, until the residual is a share `tolerance` of b, or `most` products.

    The residual that counts, and that is returned, is that without damping: what damping does to the answer shows in
    it. Stops at a direction along which A + damping I is not positive.
    """
    x = start if start is not None else b * 0.0
    rest = b - a(x) - damping * x if start is not None else b * 1.0
    direction, square = rest, float(rest @ rest)
    enough = (tolerance * norm(b)) ** 2
    steps: list[float] = []
    ratios: list[float] = []
    curved = True
    while square > enough and len(steps) < (10 * len(b) if most is None else most):
        product = a(direction) + damping * direction if damping else a(direction)
        bend = float(direction @ product)
        if not bend > 0:
            curved = False
            break
        step = square / bend
        x, rest = x + step * direction, rest - step * product
        ratio = float(rest @ rest) / square
        direction, square = rest + ratio * direction, ratio * square
        steps.append(step)
        ratios.append(ratio)
    least, largest = _ritz(steps, ratios)
    count = len(steps) + (not curved) + (start is not None)
    return Solution(x, rest + damping * x, least - damping, largest - damping, curved, count)


def _ritz(steps: list[float], ratios: list[float]) -> tuple[float, float]:
    """The ends of the spectrum of Lanczos' tridiagonal matrix; NaN where no step was made."""
    if not steps:
        return math.nan, math.nan
    inverse = 1 / np.array(steps)
    before = np.array(ratios[:-1])
    diagonal = inverse + np.concatenate([[0.0], before * inverse[:-1]])
    beside = np.sqrt(before) * inverse[:-1]
    values = np.linalg.eigvalsh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
    return float(values[0]), float(values[-1])


def neumann(a: Product, b: Any, *, terms: int = 50, scale: float | None = None) -> Solution:
    """The sum of (I - A / scale)^k b / scale, k = 0 ... `terms`; its error falls as (1 - least / scale)^(terms + 1).

    `scale` has to be at least the largest eigenvalue; left out: an estimate from ten products, and a tenth more.
    """
    spare = 0
    if scale is None:
        met = conjugate(a, b, tolerance=0.0, most=10)
        scale, spare = 1.1 * met.largest, met.products
    term = b / scale
    x = term
    for _ in range(terms):
        term = term - a(term) / scale
        x = x + term
    rest = b - a(x)
    shrunk = (norm(term) * scale / max(norm(b), 1e-300)) ** (1 / max(terms, 1))
    return Solution(x, rest, scale * (1 - shrunk), scale, shrunk < 1, spare + terms + 1)
