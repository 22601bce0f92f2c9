"""A config with the dotted names of its structures as lists, mappings and programs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

_NAME = re.compile(r"[^\s(),]+")


def unflatten(config: Mapping[str, Any]) -> dict[str, Any]:
    """A config as a person would write it.

    The blocks of a `Blocks` are a list, with what is tied in each; the edges of a `Cell` a mapping; what a `Grammar`
    derives the text of a program. All else is as it was; so no blocks are the number 0, which a config does not tell
    from any other: `unflatten(config)["blocks"] or []` where there may be none.

    >>> unflatten({"lr": 0.1, "blocks": 2, "blocks.*.kind": "relu", "blocks.0.units": 8, "blocks.1.units": 4})
    {'lr': 0.1, 'blocks': [{'kind': 'relu', 'units': 8}, {'kind': 'relu', 'units': 4}]}
    """
    return {name: _read(name, config) for name in _firsts(config, "")}


def _firsts(config: Mapping[str, Any], prefix: str) -> list[str]:
    """The different next words of the names below a prefix, in order."""
    names = (name[len(prefix) :] for name in config if name.startswith(prefix))
    return list(dict.fromkeys(name.split(".", 1)[0] for name in names))


def _read(name: str, config: Mapping[str, Any]) -> Any:
    """What stands below a name, the name itself included."""
    value, below = config.get(name), _firsts(config, f"{name}.")
    if not below:
        return value
    if isinstance(value, str):
        return _program(name, value, config)
    if isinstance(value, int):
        return [_block(name, str(number), config) for number in range(value)]
    return {inner: _read(f"{name}.{inner}", config) for inner in below}


def _block(name: str, number: str, config: Mapping[str, Any]) -> Any:
    own = f"{name}.{number}"
    if own in config:
        return _read(own, config)
    tied = {inner: _read(f"{name}.*.{inner}", config) for inner in _firsts(config, f"{name}.*.")}
    return tied | {inner: _read(f"{own}.{inner}", config) for inner in _firsts(config, f"{own}.")}


def _program(name: str, production: str, config: Mapping[str, Any]) -> str:
    """A production in which what is derived below stands for each of its symbols."""
    seen: dict[str, int] = {}

    def put(match: re.Match[str]) -> str:
        symbol = match[0]
        place = f"{name}.{symbol}{seen.get(symbol, 0)}"
        if place not in config:
            return symbol
        seen[symbol] = seen.get(symbol, 0) + 1
        return str(_read(place, config))

    return _NAME.sub(put, production)
