"""The axis of one entry: the unit interval on one side, the values of the entry on the other.

Every axis has `at(unit) -> value` (clipped into [0, 1]), `unit(value) -> float`, `slope(value) -> float`, and
`levels(count) -> values`. What
`at` returns lies on the axis's grid, and `at(unit(value)) == value` for each value of the grid. `wide` is the range
that a continuous prior has to cover before its values are rounded to the grid.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

from tunewell.space.values import copied, key

TOP = 2**40
"""A continuous axis has `TOP + 1` points: few enough for exact round trips, too many for anyone to notice."""

CELLS = 2**50
"""Up to so many values, each has a cell of the unit interval; beyond, doubles are too coarse for cells."""


class Axis(Protocol):
    """What the tree needs to know of an entry's scale."""

    @property
    def size(self) -> int | None:
        """Number of values; None for a continuous axis."""

    @property
    def wide(self) -> tuple[float, float]:
        """The range which a continuous prior is truncated to."""

    def at(self, unit: float) -> Any:
        """The value at a point of the unit interval."""

    def unit(self, value: Any) -> float:
        """The point of the unit interval where a value, or the one nearest to it, lies."""

    def cell(self, value: Any) -> tuple[float, float]:
        """The ends of the part of the unit interval that is this value; one point of a continuous axis."""

    def slope(self, value: Any) -> float:
        """The derivative of the value along the unit interval, at a value; NaN where values jump."""

    def levels(self, count: int) -> list[Any]:
        """At most `count` different values, evenly spaced on the scale, both ends included."""


@dataclass(frozen=True)
class Line:
    """Floats from `low` to `high`, evenly spaced."""

    low: float
    high: float
    span: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", self.high - self.low)

    @property
    def size(self) -> int | None:
        return 1 if self.span == 0 else None

    @property
    def wide(self) -> tuple[float, float]:
        return self.low, self.high

    def at(self, unit: float) -> float:
        index = round(unit * TOP)
        if index <= 0:
            return self.low
        if index >= TOP:
            return self.high
        return min(self.low + self.span * (index / TOP), self.high)

    def unit(self, value: float) -> float:
        if self.span == 0:
            return 0.5
        return round(_clip((value - self.low) / self.span) * TOP) / TOP

    def cell(self, value: float) -> tuple[float, float]:
        return self.unit(value), self.unit(value)

    def slope(self, value: float) -> float:
        return self.span

    def levels(self, count: int) -> list[Any]:
        return _distinct([self.at(unit) for unit in _even(count)])


@dataclass(frozen=True)
class LogLine:
    """Positive floats from `low` to `high`, evenly spaced in their logarithm.

    Written with `expm1` and `log1p` of the distance from `low`, so that very narrow ranges keep their exact round trip.
    """

    low: float
    high: float
    span: float = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "span", math.log1p((self.high - self.low) / self.low))

    @property
    def size(self) -> int | None:
        return 1 if self.span == 0 else None

    @property
    def wide(self) -> tuple[float, float]:
        return self.low, self.high

    def at(self, unit: float) -> float:
        index = round(unit * TOP)
        if index <= 0:
            return self.low
        if index >= TOP:
            return self.high
        return min(self.low + self.low * math.expm1(self.span * (index / TOP)), self.high)

    def unit(self, value: float) -> float:
        if self.span == 0:
            return 0.5
        if value <= self.low:
            return 0.0
        return round(_clip(math.log1p((value - self.low) / self.low) / self.span) * TOP) / TOP

    def cell(self, value: float) -> tuple[float, float]:
        return self.unit(value), self.unit(value)

    def slope(self, value: float) -> float:
        return self.span * value

    def levels(self, count: int) -> list[Any]:
        return _distinct([self.at(unit) for unit in _even(count)])


@dataclass(frozen=True)
class LogIntegers:
    """Integers from `low` to `high`, both at least 1, whose share of the unit interval falls as 1 / value.

    An integer's cell is that of the reals which round to it, from `low - 0.5` to `high + 0.5`. Above about 2**35 the
    grid of the underlying line is coarser than the integers, and `at` reaches a subset of them, always with both
    ends.
    """

    low: int
    high: int
    line: LogLine = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "line", LogLine(self.low - 0.5, self.high + 0.5))

    @property
    def size(self) -> int | None:
        return self.high - self.low + 1

    @property
    def wide(self) -> tuple[float, float]:
        return self.line.low, self.line.high

    def at(self, unit: float) -> int:
        return min(max(round(self.line.at(unit)), self.low), self.high)

    def unit(self, value: float) -> float:
        return self.line.unit(value)

    def cell(self, value: float) -> tuple[float, float]:
        return self.line.unit(value - 0.5), self.line.unit(value + 0.5)

    def slope(self, value: Any) -> float:
        return math.nan

    def levels(self, count: int) -> list[Any]:
        ends = LogLine(float(self.low), float(self.high))
        return _distinct([self.at(self.unit(round(ends.at(unit)))) for unit in _even(count)])


@dataclass(frozen=True)
class Steps:
    """The numbers `(first + index * step) / scale` for `index` in `range(count)`: exact decimal steps, no strays.

    `first`, `step` and `scale` are integers; `whole` says that the values are integers too (then `scale` is 1).
    """

    first: int
    step: int
    scale: int
    count: int
    whole: bool

    @classmethod
    def between(cls, low: float, high: float, step: float, whole: bool) -> Steps | None:
        """The steps from `low` to `high`, or None when `step` does not divide the range."""
        first, last, width = exact(low), exact(high), exact(step)
        number = (last - first) / width
        if number.denominator != 1:
            return None
        scale = math.lcm(first.denominator, width.denominator)
        return cls(int(first * scale), int(width * scale), scale, int(number) + 1, whole)

    @property
    def size(self) -> int | None:
        return self.count

    @property
    def wide(self) -> tuple[float, float]:
        last = self.first + (self.count - 1) * self.step
        return (2 * self.first - self.step) / (2 * self.scale), (2 * last + self.step) / (2 * self.scale)

    def value(self, index: int) -> float:
        """The value number `index`; division of integers rounds once, so 3 steps of 0.1 are 0.3."""
        number = self.first + index * self.step
        return number if self.whole else number / self.scale

    def index(self, value: float) -> int:
        """The number of the nearest value."""
        number, below = value.as_integer_ratio()
        index = _nearest(number * self.scale - self.first * below, self.step * below)
        return min(max(index, 0), self.count - 1)

    def at(self, unit: float) -> float:
        if self.count <= CELLS:
            index = int(unit * self.count)
        else:
            number, below = unit.as_integer_ratio()
            index = _nearest(number * (self.count - 1), below)
        return self.value(min(max(index, 0), self.count - 1))

    def unit(self, value: float) -> float:
        index = self.index(value)
        return (index + 0.5) / self.count if self.count <= CELLS else index / (self.count - 1)

    def cell(self, value: float) -> tuple[float, float]:
        index = self.index(value)
        return (index / self.count, (index + 1) / self.count) if self.count <= CELLS else (self.unit(value),) * 2

    def slope(self, value: Any) -> float:
        return math.nan

    def levels(self, count: int) -> list[Any]:
        if count >= self.count:
            return [self.value(index) for index in range(self.count)]
        if count == 1:
            return [self.value((self.count - 1) // 2)]
        return [self.value(_nearest(number * (self.count - 1), count - 1)) for number in range(count)]


@dataclass(frozen=True, eq=False)
class Options:
    """A list of JSON values, each with an equal cell of the unit interval."""

    values: tuple[Any, ...]
    numbers: dict[Any, int] = field(init=False)
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {key(value): index for index, value in enumerate(self.values)})
        object.__setattr__(self, "plain", not any(isinstance(value, list | dict) for value in self.values))

    @property
    def size(self) -> int | None:
        return len(self.values)

    @property
    def wide(self) -> tuple[float, float]:
        return -0.5, len(self.values) - 0.5

    def value(self, index: int) -> Any:
        """The option number `index`; a list is a fresh copy, so that nobody changes the space through a config."""
        return self.values[index] if self.plain else copied(self.values[index])

    def at(self, unit: float) -> Any:
        return self.value(min(max(int(unit * len(self.values)), 0), len(self.values) - 1))

    def number(self, value: Any) -> int:
        """The number of an option."""
        return self.numbers[key(value)]

    def unit(self, value: Any) -> float:
        return (self.number(value) + 0.5) / len(self.values)

    def cell(self, value: Any) -> tuple[float, float]:
        return self.number(value) / len(self.values), (self.number(value) + 1) / len(self.values)

    def slope(self, value: Any) -> float:
        return math.nan

    def levels(self, count: int) -> list[Any]:
        return [self.value(index) for index in range(len(self.values))]


def exact(number: float) -> Fraction:
    """The decimal that a person would read: 0.1 is one tenth, not the double next to it."""
    return Fraction(str(number))


def _nearest(number: int, below: int) -> int:
    """The integer nearest to `number / below`, halves upward, without rounding in between."""
    return (2 * number + below) // (2 * below)


def _clip(unit: float) -> float:
    return min(max(unit, 0.0), 1.0)


def _even(count: int) -> list[float]:
    return [index / (count - 1) for index in range(count)] if count > 1 else [0.5]


def _distinct(values: Sequence[Any]) -> list[Any]:
    return list(dict.fromkeys(values))
