"""Priors: where a person expects the good values. Sampling follows them; encoding does not.

A numeric prior is truncated to the range of its entry through its inverse distribution function, so no probability
piles up at the bounds. A prior for a Choice or an Ordinal is a list of weights.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from statistics import NormalDist
from typing import Any

from tunewell.errors import SpaceError

Quantile = Callable[[float], float]
"""An inverse distribution function: probability in [0, 1] to value."""

_STANDARD = NormalDist()
_TABLE = 1024
_SMALL = 1e-12


@dataclass(frozen=True)
class Normal:
    """A bell curve around `mean` with standard deviation `std` > 0, in the units of the entry, also on a log scale."""

    mean: float
    std: float

    def __post_init__(self) -> None:
        _need(math.isfinite(self.mean), f"Normal: mean {self.mean!r} is not a finite number")
        _need(self.std > 0 and math.isfinite(self.std), f"Normal: std {self.std!r} is not a positive number")

    def within(self, low: float, high: float) -> Quantile:
        """The inverse distribution function truncated to [low, high]; SpaceError when nothing is left of it."""
        start, end = (low - self.mean) / self.std, (high - self.mean) / self.std
        # Far above the mean the distribution function is 1 to the last bit; its mirror image below is precise.
        sign = -1 if start > 0 else 1
        below, above = (_phi(-end), _phi(-start)) if start > 0 else (_phi(start), _phi(end))
        mass = above - below
        _need(mass > 0, f"{self!r} leaves no probability between {low!r} and {high!r}")
        if end - start < 1e-6:  # flat to six digits, where the difference of two probabilities has lost more
            return lambda chance: low + (high - low) * chance

        def quantile(chance: float) -> float:
            share = below + mass * (chance if sign > 0 else 1 - chance)
            return self.mean + sign * self.std * _STANDARD.inv_cdf(min(max(share, 1e-300), 1 - 2**-53))

        return quantile

    def to_json(self) -> Any:
        """Plain JSON data."""
        return {"type": "normal", "mean": self.mean, "std": self.std}


@dataclass(frozen=True)
class LogNormal:
    """A bell curve in the logarithm: `median` > 0, and `sigma` > 0 the standard deviation of the natural logarithm."""

    median: float
    sigma: float

    def __post_init__(self) -> None:
        _need(self.median > 0 and math.isfinite(self.median), f"LogNormal: median {self.median!r} is not positive")
        _need(self.sigma > 0 and math.isfinite(self.sigma), f"LogNormal: sigma {self.sigma!r} is not positive")

    def within(self, low: float, high: float) -> Quantile:
        """The inverse distribution function truncated to [low, high]; SpaceError when nothing is left of it."""
        _need(high > 0, f"{self!r} leaves no probability between {low!r} and {high!r}")
        start = math.log(low) if low > 0 else -math.inf
        normal = Normal(math.log(self.median), self.sigma).within(start, math.log(high))
        return lambda chance: math.exp(normal(chance))

    def to_json(self) -> Any:
        """Plain JSON data."""
        return {"type": "lognormal", "median": self.median, "sigma": self.sigma}


@dataclass(frozen=True)
class Quantiles:
    """Any distribution, as its values at equally spaced probabilities from 0 to 1, straight lines in between.

    `Quantiles([0, 1, 10])` says: half of the probability between 0 and 1, half between 1 and 10. The values may not
    fall; equal neighbours put probability on one point.
    """

    values: Sequence[float]

    def __post_init__(self) -> None:
        values = tuple(float(value) for value in self.values)
        _need(len(values) >= 2, "Quantiles: at least two values are needed, the least and the greatest")
        _need(all(map(math.isfinite, values)), "Quantiles: every value must be finite")
        _need(all(a <= b for a, b in pairwise(values)), "Quantiles: the values may not fall")
        object.__setattr__(self, "values", values)

    def __repr__(self) -> str:
        if len(self.values) <= 8:
            return f"Quantiles({list(self.values)!r})"
        return f"Quantiles(<{len(self.values)} values from {self.values[0]!r} to {self.values[-1]!r}>)"

    def within(self, low: float, high: float) -> Quantile:
        """The inverse distribution function truncated to [low, high]; SpaceError when nothing is left of it."""
        below = self._chance(bisect_left(self.values, low), low)
        mass = self._chance(bisect_right(self.values, high), high) - below
        _need(mass > 0, f"{self!r} leaves no probability between {low!r} and {high!r}")
        return lambda chance: self._at(below + mass * chance)

    def to_json(self) -> Any:
        """Plain JSON data."""
        return {"type": "quantiles", "values": list(self.values)}

    def _at(self, chance: float) -> float:
        place = chance * (len(self.values) - 1)
        index = min(int(place), len(self.values) - 2)
        left, right = self.values[index], self.values[index + 1]
        return left + (right - left) * (place - index)

    def _chance(self, after: int, value: float) -> float:
        """The probability up to `value`, which stands before the value number `after`."""
        if after == 0 or after == len(self.values):
            return float(after > 0)
        left, right = self.values[after - 1], self.values[after]
        return (after - 1 + (value - left) / (right - left)) / (len(self.values) - 1)


@dataclass(frozen=True)
class Weights:
    """How often each option is drawn, in the order of the options. Not negative, not all zero; need not sum to one."""

    values: Sequence[float]

    def __post_init__(self) -> None:
        values = tuple(float(value) for value in self.values)
        _need(all(0 <= value < math.inf for value in values), f"Weights: every weight must be 0 or more, not {values}")
        _need(sum(values) > 0, "Weights: all weights are zero")
        object.__setattr__(self, "values", values)

    @property
    def chooser(self) -> Callable[[float], int]:
        """A function from a number in [0, 1) to the number of an option."""
        sums = list(accumulate(self.values))
        last = max(index for index, weight in enumerate(self.values) if weight > 0)
        return lambda chance: min(bisect_right(sums, chance * sums[-1]), last)

    @property
    def heaviest(self) -> int:
        """The number of the first option with the greatest weight."""
        return self.values.index(max(self.values))

    def to_json(self) -> Any:
        """Plain JSON data."""
        return list(self.values)


Numeric = Normal | LogNormal | Quantiles
_FORMS: dict[str, type[Numeric]] = {"normal": Normal, "lognormal": LogNormal, "quantiles": Quantiles}


def numeric(prior: Any, low: float, high: float) -> Numeric:
    """`prior` itself, from its JSON form, or as a table of any object with `ppf(q)`; it must reach [low, high]."""
    if isinstance(prior, Mapping):
        prior = _from_json(prior)
    elif not isinstance(prior, Numeric):
        _need(callable(getattr(prior, "ppf", None)), f"{prior!r} is no prior of a number", _NUMERIC_HINT)
        prior = _tabulate(prior.ppf, low, high)
    prior.within(low, high)
    found: Numeric = prior
    return found


_NUMERIC_HINT = "Use Normal, LogNormal, Quantiles or an object with ppf(q), such as a frozen scipy distribution."


def weights(prior: Any, values: Sequence[Any]) -> Weights:
    """`prior` as Weights for `values`: a sequence in their order, or a mapping from each value to its weight."""
    if isinstance(prior, Mapping):
        strangers = [name for name in prior if name not in values]
        _need(not strangers, f"the prior weighs {strangers[:1]}, which is no option", f"Options: {list(values)}")
        prior = [prior.get(value, 0.0) for value in values]
    if not isinstance(prior, Weights):
        _need(isinstance(prior, Sequence) and not isinstance(prior, str), f"{prior!r} is no list of weights")
        prior = Weights(prior)
    _need(len(prior.values) == len(values), f"{len(prior.values)} weights for {len(values)} options")
    found: Weights = prior
    return found


def _from_json(data: Mapping[str, Any]) -> Numeric:
    form = _FORMS.get(data.get("type", ""))
    if form is None:
        raise SpaceError(f"unknown prior {dict(data)!r}", hint=f"type is one of {', '.join(_FORMS)}")
    try:
        return form(**{name: value for name, value in data.items() if name != "type"})
    except TypeError as error:
        raise SpaceError(f"prior {data['type']}: {error}", hint=f"Fields: {', '.join(form.__annotations__)}") from None


def _tabulate(ppf: Callable[[float], Any], low: float, high: float) -> Quantiles:
    """Quantiles of a foreign distribution, truncated to [low, high] first: the table is finest where it counts."""

    def quantile(chance: float) -> float:
        return float(ppf(min(max(chance, _SMALL), 1 - _SMALL)))

    below = _bisect(lambda chance: quantile(chance) >= low)
    above = _bisect(lambda chance: quantile(chance) > high)
    _need(above > below, f"the prior leaves no probability between {low!r} and {high!r}")
    chances = (below + (above - below) * index / _TABLE for index in range(_TABLE + 1))
    return Quantiles([min(max(quantile(chance), low), high) for chance in chances])


def _bisect(holds: Callable[[float], bool]) -> float:
    """Where in [0, 1] a condition begins to hold that holds ever after."""
    left, right = 0.0, 1.0
    for _ in range(50):
        middle = (left + right) / 2
        left, right = (left, middle) if holds(middle) else (middle, right)
    return right


def _phi(value: float) -> float:
    return 0.5 * math.erfc(-value / math.sqrt(2))


def _need(condition: bool, message: str, hint: str = "") -> None:
    if not condition:
        raise SpaceError(message, hint=hint)
