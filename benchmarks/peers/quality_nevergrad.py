"""Nevergrad: NGOpt, which its documentation recommends, told of its budget; asked and told one by one.

An ordered choice is a TransitionChoice; an entry with a condition stands below its parent's option. An integer is a
number that is rounded: told of integers, NGOpt takes a local search that stays near the middle of the ranges and ended
above random search. A config that cannot run is told a bad loss: NGOpt knows no failed trial.
"""

import warnings

import nevergrad as ng
import numpy as np
from quality_peer import active, below, plain, serve, top


def entry(parameter):
    """One entry."""
    if "choices" in parameter:
        kind = ng.p.Choice if parameter["kind"] == "cat" else ng.p.TransitionChoice
        return kind(list(range(len(parameter["choices"]))))
    kind = ng.p.Log if parameter["log"] else ng.p.Scalar
    return kind(lower=parameter["low"], upper=parameter["high"])


def branch(parameters, parent, index, option):
    """What stands below one option."""
    inner = {each["name"]: entry(each) for each in below(parameters, parent, option)}
    return ng.p.Dict(**{parent: index, **inner})


def space(parameters):
    """The whole space: a mapping of entries, a parent being a choice among mappings."""
    found = {}
    for parameter in top(parameters):
        name = parameter["name"]
        if any(each["when"] and each["when"][0][0] == name for each in parameters):
            options = [branch(parameters, name, *pair) for pair in enumerate(parameter["choices"])]
            found[name] = ng.p.Choice(options)
        else:
            found[name] = entry(parameter)
    return ng.p.Dict(**found)


def config_of(parameters, asked):
    """The config of what Nevergrad asks for."""
    flat = {}
    for name, value in asked.items():
        flat.update(value if isinstance(value, dict) else {name: value})
    config = {}
    for parameter in parameters:
        if parameter["name"] in flat:
            config[parameter["name"]] = value_of(parameter, plain(flat[parameter["name"]]))
    return active(parameters, config)


def value_of(parameter, value):
    """The value of an entry."""
    if "choices" in parameter:
        return parameter["choices"][int(value)]
    return round(value) if parameter["kind"] == "int" else value


def run(parameters, seed, trials, ask):
    """One run of NGOpt."""
    parametrization = space(parameters)
    parametrization.random_state = np.random.RandomState(seed)
    optimizer = ng.optimizers.NGOpt(parametrization, budget=trials, num_workers=1)
    for _ in range(trials):
        candidate = optimizer.ask()
        optimizer.tell(candidate, ask.finite(config_of(parameters, candidate.value)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
