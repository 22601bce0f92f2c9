"""The axis of each entry in a figure: where a value stands on it, and the words beside its ticks."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import msgspec

from tunewell.report import text
from tunewell.space import Config, Space, tree
from tunewell.space.tree import Level, Node


@dataclass(frozen=True)
class Axis:
    """`kind` is "linear", "log" or "options"; of options, `low` and `high` are the first and last number."""

    path: str
    kind: str
    low: float
    high: float
    options: tuple[Any, ...] = ()
    whole: bool = False

    @cached_property
    def numbers(self) -> Mapping[bytes, int]:
        """The number of each option by its JSON."""
        return {_key(option): number for number, option in enumerate(self.options)}

    @property
    def label(self) -> str:
        """The path, for a figure."""
        return escaped(text.shortened(self.path, 60))

    def position(self, value: Any) -> float | None:
        """A number that plotly draws on an axis of this kind; None for a value that this axis does not have."""
        if self.kind == "options":
            return self.numbers.get(_key(value))
        if isinstance(value, bool) or not isinstance(value, int | float) or (self.kind == "log" and value <= 0):
            return None
        return float(value)

    def straight(self, value: Any) -> float | None:
        """`position` on an axis without a log scale of its own."""
        position = self.position(value)
        return math.log10(position) if position is not None and self.kind == "log" else position

    @property
    def ends(self) -> tuple[float, float]:
        """Both ends for `straight`, a little apart when there is only one value."""
        low, high = (math.log10(self.low), math.log10(self.high)) if self.kind == "log" else (self.low, self.high)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def ticks(self) -> list[tuple[float, str]]:
        """Where `straight` has its ticks, and what stands there."""
        if self.kind == "options":
            return [(number, escaped(text.shortened(text.entry(o), 24))) for number, o in enumerate(self.options)]
        values = _decades(self.low, self.high) if self.kind == "log" else _even(self.low, self.high, self.whole)
        return [(math.log10(v) if self.kind == "log" else v, text.number(v, 3)) for v in values]


def axes(space: Space) -> list[Axis]:
    """An axis for each entry that can vary, in the order of the space."""
    return [_axis(node) for node in tree.walk(tree.plant(space.entries)) if node.position >= 0]


def _axis(node: Node) -> Axis:
    entry: Any = node.entry
    if node.dimension.kind in ("choice", "ordinal"):
        return Axis(node.path, "options", 0, len(entry.listed) - 1, tuple(entry.listed))
    return Axis(node.path, "log" if entry.log else "linear", entry.low, entry.high, whole=entry.kind == "int")


def value_axis(label: str, values: Sequence[float]) -> Axis:
    """The axis of a metric; its scale is logarithmic where the values ask for one."""
    return Axis(label, "log" if is_log(values) else "linear", min(values), max(values))


def is_log(values: Sequence[float]) -> bool:
    """Whether values spread over orders of magnitude, a few strays apart."""
    ordered = sorted(value for value in values if math.isfinite(value))
    if len(ordered) < 3 or ordered[0] <= 0:
        return False
    return ordered[int(0.98 * (len(ordered) - 1))] / ordered[int(0.02 * len(ordered))] >= 20


def places(space: Space, configs: Sequence[Config]) -> list[dict[str, Any]]:
    """For each config, the values of its active entries by path; one from before a change of space may lack some."""
    level = tree.plant(space.entries)
    return [dict(_active(level, config)) for config in configs]


def _active(level: Level, config: Config) -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for node in level:
        if node.name in config:
            value = config[node.name]
            found.append((node.path, value))
            found += _active(node.branches.get(value, ()) if not isinstance(value, list | dict) else (), config)
    return found


def escaped(words: str) -> str:
    """Text from a study for plotly, which reads a few HTML tags: it shows `&lt;` as `<`."""
    return html.escape(text.plain(words), quote=False)


def _key(value: Any) -> bytes:
    return msgspec.json.encode(value, order="sorted")


def _even(low: float, high: float, whole: bool) -> list[float]:
    values = [low + (high - low) * share / 4 for share in range(5)]
    return list(dict.fromkeys(float(round(value)) for value in values)) if whole else list(dict.fromkeys(values))


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten with both ends; 1, 2, 5 where the range is short."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if last - first > 3 else (1, 2, 5)
    values = [step * 10.0**power for power in range(first, last + 1) for step in steps]
    inside = [value for value in values if low * 1.05 < value < high / 1.05]
    return [low, *inside, high] if high > low else [low]
