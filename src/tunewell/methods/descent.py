"""Descent in the unit cube by values and gradients, one point at a time: it asks, and is told what is there.

C. Zhu, R. H. Byrd, P. Lu, J. Nocedal: Algorithm 778: L-BFGS-B. ACM Trans. Math. Softw. 23, 1997.
J. Nocedal, S. J. Wright: Numerical optimization. Springer, 2006: algorithm 7.4 (two loops), section 16.7 (projection).
D. P. Kingma, J. Ba: Adam: a method for stochastic optimization. ICLR 2015, algorithm 1.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import msgspec
import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]
Flags = np.ndarray[Any, np.dtype[np.bool_]]

_PAIRS = 10
"""So many pairs of moves and changes of the gradient are remembered."""

_LEAST = 1e-4
"""The share of the promised decrease that a step has to bring (Armijo)."""

_TRIES = 8
"""So many shorter steps are tried; then once more along the gradient, and then it is over."""

_LONGEST = 0.5
"""No step is longer, in any coordinate."""

_SHORTEST = 1e-8
"""A step that is shorter in every coordinate is none."""

_APART = 0.5
"""Values and gradients that differ by a larger share along a short step contradict each other."""

_FEW = 3
"""So many steps in a row that bring next to nothing are the end."""


class Descent(msgspec.Struct):
    """Fold state of one descent on coordinates (d,): `x` is the best point so far, `value` and `slope` what is there.

    `rule`: "quasi-newton" with a line search, or "adam", which takes steps of length `rate` whatever the values say.
    `radius`: how long a step may be now. `over` says why it has ended; empty: it goes on. `agreed`: by what share the
    first step's change of the value differs from what the gradients at its ends promise.
    """

    rule: Literal["quasi-newton", "adam"]
    rate: float
    tolerance: float
    most: int
    x: list[float] = []
    value: float = math.inf
    slope: list[float] = []
    begun: float = math.inf
    steps: int = 0
    radius: float = 0.0
    length: float = 1.0
    tries: int = 0
    idle: int = 0
    moves: list[list[float]] = []
    bends: list[list[float]] = []
    mean: list[float] = []
    square: list[float] = []
    agreed: float = math.nan
    over: str = ""

    @property
    def is_contradicted(self) -> bool:
        """Whether no step improved, for its gradient contradicts the values."""
        return self.over == CONTRADICTION and self.value == self.begun

    def ask(self) -> Array | None:
        """The next point (d,); None where it is over, or has not been told its first point."""
        if self.over or not self.slope:
            return None
        x, move = np.array(self.x), self._move()
        return np.clip(x + move, 0.0, 1.0)

    def tell(self, point: Array, value: float, slope: Array | None) -> None:
        """What is at a point (d,): an infinite value where it failed; its slope (d,), None where it has none."""
        self.steps += 1
        known = slope is not None and bool(np.all(np.isfinite(slope)))
        usable = math.isfinite(value) and known
        if not self.slope:
            self._begin(point, value, slope, usable)
        elif self.rule == "adam":
            self._follow(point, value, slope, usable)
        else:
            self._search(point, value, slope, usable)
        if not self.over and self.steps >= self.most:
            self.over = f"{self.most} steps were made"

    def _begin(self, point: Array, value: float, slope: Array | None, usable: bool) -> None:
        if not usable:
            self.over = "the start failed" if not math.isfinite(value) else "the start has no gradient"
            return
        assert slope is not None
        self.begun, self.radius = value, self.rate
        self._accept(point, value, slope)

    def _accept(self, point: Array, value: float, slope: Array) -> None:
        self.x, self.value, self.slope = point.tolist(), value, slope.tolist()
        self.length, self.tries = 1.0, 0
        held = _held(np.array(self.x), slope)
        steepest = float(np.abs(np.where(held, 0.0, slope)).max(initial=0.0))
        if self.rule == "quasi-newton" and steepest <= self.tolerance * max(abs(value), 1e-12):
            self.over = "the gradient is 0"

    # --- a projected quasi-Newton method -----------------------------------------------------------------------------

    def _move(self) -> Array:
        """The next step before it is cut to the cube."""
        if self.rule == "adam":
            return self._adam()
        x, slope = np.array(self.x), np.array(self.slope)
        free = ~_held(x, slope)
        direction = self._newton(np.where(free, slope, 0.0), free)
        size = float(np.abs(direction).max(initial=0.0))
        scale = self.radius / size if size > self.radius or not self.moves else 1.0
        return self.length * scale * direction

    def _newton(self, slope: Array, free: Flags) -> Array:
        """-H slope by the two loops of algorithm 7.4, on the coordinates that are free to move."""
        pairs = (np.array(kept).reshape(-1, len(slope)) for kept in (self.moves, self.bends))
        moves, bends = (np.where(free, kept, 0.0) for kept in pairs)
        rest, shares = slope, []
        products = np.einsum("ij,ij->i", moves, bends)
        for move, bend, product in zip(moves[::-1], bends[::-1], products[::-1]):
            share = float(move @ rest) / product if product > 0 else 0.0
            shares.append(share)
            rest = rest - share * bend
        if len(moves) and products[-1] > 0:
            rest = rest * products[-1] / float(bends[-1] @ bends[-1])
        for move, bend, product, share in zip(moves, bends, products, shares[::-1]):
            rest = rest + move * (share - float(bend @ rest) / product if product > 0 else 0.0)
        return -rest if float(rest @ slope) > 0 else -slope

    def _search(self, point: Array, value: float, slope: Array | None, usable: bool) -> None:
        """Goes on from the point where it improves enough; else asks for a shorter step."""
        x, before = np.array(self.x), np.array(self.slope)
        move = point - x
        promised = float(before @ move)
        apart = math.inf if not usable or slope is None else _disagreement(value - self.value, before, slope, move)
        if math.isnan(self.agreed):
            self.agreed = apart
        if usable and slope is not None and value <= self.value + _LEAST * promised and promised < 0:
            self._remember(move, slope - before)
            self._count(self.value - value)
            self.radius = min(2 * self.radius, _LONGEST) if not self.tries else max(float(np.abs(move).max()), 1e-4)
            self._accept(point, value, slope)
        else:
            self._shorten(value, promised, float(np.abs(move).max(initial=0.0)), apart)

    def _shorten(self, value: float, promised: float, size: float, apart: float) -> None:
        gap = value - self.value - promised
        best = -promised / (2 * gap) if math.isfinite(gap) and gap > 0 else 0.25  # where a parabola has its minimum
        self.length *= min(max(best, 0.1), 0.5)
        self.tries += 1
        if self.tries < _TRIES and size * self.length > _SHORTEST:
            return
        if self.moves:
            self.moves, self.bends, self.length, self.tries = [], [], 1.0, 0
            self.radius = max(min(self.radius, 0.01), 10 * _SHORTEST)
        elif _APART < apart < math.inf:
            self.over = CONTRADICTION
        else:
            self.over = "no shorter step improves"

    def _remember(self, move: Array, bend: Array) -> None:
        if float(move @ bend) > 1e-10 * float(np.linalg.norm(move) * np.linalg.norm(bend)):
            self.moves = [*self.moves, move.tolist()][-_PAIRS:]
            self.bends = [*self.bends, bend.tolist()][-_PAIRS:]

    def _count(self, gained: float) -> None:
        """Ends where steps bring next to nothing."""
        seen = self.tolerance * max(abs(self.value), abs(self.begun - self.value))
        self.idle = self.idle + 1 if gained <= seen else 0
        if self.idle >= _FEW:
            self.over = "the last steps brought next to nothing"

    # --- Adam --------------------------------------------------------------------------------------------------------

    def _adam(self) -> Array:
        """Algorithm 1 of Kingma and Ba; `mean` and `square` hold the moments, of the gradient told last as well."""
        mean, square = np.array(self.mean or self.slope), np.array(self.square or np.square(self.slope))
        return -self.rate * mean / np.sqrt(square + 1e-30)

    def _follow(self, point: Array, value: float, slope: Array | None, usable: bool) -> None:
        if not usable or slope is None:
            self.over = "a step failed, or brought no gradient"
            return
        # Started at the first gradient and not at 0, the moments need no correction of their bias.
        self.mean = (0.9 * np.array(self.mean or self.slope) + 0.1 * slope).tolist()
        self.square = (0.99 * np.array(self.square or np.square(self.slope)) + 0.01 * slope**2).tolist()
        self._accept(point, value, slope)


CONTRADICTION = "values and gradients contradict each other"


def _held(x: Array, slope: Array) -> Flags:
    """The coordinates (d,) at an end of their range that descent would leave it by."""
    found: Flags = ((x <= 0.0) & (slope > 0)) | ((x >= 1.0) & (slope < 0))
    return found


def _disagreement(change: float, before: Array, after: Array, move: Array) -> float:
    """By what share a change of the value differs from the trapezoidal rule on the gradients at both ends."""
    promised = 0.5 * float((before + after) @ move)
    return abs(change - promised) / max(abs(change), abs(promised), 1e-300)
