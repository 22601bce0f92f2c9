"""The space and the loss on which the seconds of a suggestion are taken: 10 mixed entries. Needs no package."""

import math
import random
from typing import Any

Config = dict[str, Any]


def number(name: str, kind: str, low: float, high: float, log: bool = False) -> dict[str, Any]:
    """A numeric entry."""
    return {"name": name, "kind": kind, "low": low, "high": high, "log": log, "when": []}


PARAMETERS: list[dict[str, Any]] = [
    number("f0", "float", 0.0, 1.0),
    number("f1", "float", -5.0, 5.0),
    number("f2", "float", 1e-5, 1e-1, log=True),
    number("f3", "float", 1e-3, 1e3, log=True),
    number("i0", "int", 1, 10),
    number("i1", "int", 0, 100),
    number("i2", "int", 16, 512, log=True),
    {"name": "c0", "kind": "cat", "choices": list("abc"), "when": []},
    {"name": "c1", "kind": "cat", "choices": list("abcd"), "when": []},
    {"name": "c2", "kind": "cat", "choices": list("abcde"), "when": []},
]


def drawn(rng: random.Random) -> Config:
    """A random config, of a `random.Random`."""
    return {each["name"]: value(each, rng) for each in PARAMETERS}


def value(parameter: dict[str, Any], rng: random.Random) -> Any:
    """A random value."""
    if "choices" in parameter:
        return rng.choice(parameter["choices"])
    low, high = parameter["low"], parameter["high"]
    found = math.exp(rng.uniform(math.log(low), math.log(high))) if parameter["log"] else rng.uniform(low, high)
    return min(max(round(found), low), high) if parameter["kind"] == "int" else min(max(found, low), high)


def loss(config: Config) -> float:
    """A bowl, its lowest point a third of each range from the left, with the first of each list of options."""
    total = 0.0
    for parameter in PARAMETERS:
        given = config[parameter["name"]]
        if "choices" in parameter:
            total += 0.3 * parameter["choices"].index(given)
        else:
            scale: Any = math.log if parameter["log"] else float
            low, high = scale(parameter["low"]), scale(parameter["high"])
            total += ((scale(given) - low) / (high - low) - 1 / 3) ** 2
    return total
