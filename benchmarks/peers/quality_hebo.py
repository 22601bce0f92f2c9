"""HEBO with its default settings, one suggestion at a time.

An ordered choice is an integer, the index; an entry with a condition is always there and not heeded where inactive. A
config that cannot run is told a bad loss.
"""

import warnings

import numpy as np
import torch
from hebo.design_space.design_space import DesignSpace
from hebo.optimizers.hebo import HEBO
from quality_peer import active, plain, serve


def entry(parameter):
    """One entry."""
    name = parameter["name"]
    if parameter["kind"] == "cat":
        return {"name": name, "type": "cat", "categories": [f"{at}" for at in range(len(parameter["choices"]))]}
    if parameter["kind"] == "ord":
        return {"name": name, "type": "int", "lb": 0, "ub": len(parameter["choices"]) - 1}
    kinds = {("int", False): "int", ("int", True): "pow_int", ("float", False): "num", ("float", True): "pow"}
    kind = kinds[parameter["kind"], parameter["log"]]
    base = {"base": 10} if kind == "pow" else {}
    return {"name": name, "type": kind, "lb": parameter["low"], "ub": parameter["high"], **base}


def value(parameter, asked):
    """The value of an entry."""
    if "choices" in parameter:
        return parameter["choices"][int(asked)]
    return int(asked) if parameter["kind"] == "int" else plain(asked)


def run(parameters, seed, trials, ask):
    """One optimizer."""
    np.random.seed(seed)  # noqa: NPY002  (HEBO draws from it)
    torch.manual_seed(seed)
    optimizer = HEBO(DesignSpace().parse([entry(parameter) for parameter in parameters]), scramble_seed=seed)
    for _ in range(trials):
        suggestion = optimizer.suggest(1)
        asked = suggestion.iloc[0].to_dict()
        values = {each["name"]: value(each, asked[each["name"]]) for each in parameters}
        loss = ask.finite(active(parameters, values))
        optimizer.observe(suggestion, np.array([[loss]]))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    serve(run)
