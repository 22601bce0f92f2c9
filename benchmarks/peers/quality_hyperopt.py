"""hyperopt: `tpe.suggest` through `fmin`, with its default settings.

An ordered choice is an integer, the index; an entry with a condition stands below its parent's option; a config that
cannot run is a failed trial.
"""

import hyperopt
import numpy as np
from hyperopt import hp
from hyperopt.pyll import scope
from quality_peer import active, below, logs, plain, serve, top


def expression(parameter, label):
    """One entry."""
    if parameter["kind"] == "cat":
        return hp.choice(label, list(range(len(parameter["choices"]))))
    if parameter["kind"] == "ord":
        return hp.uniformint(label, 0, len(parameter["choices"]) - 1)
    if parameter["kind"] == "int" and parameter["log"]:
        return scope.int(hp.qloguniform(label, *logs(parameter), 1))
    if parameter["kind"] == "int":
        return hp.uniformint(label, parameter["low"], parameter["high"])
    return hp.loguniform(label, *logs(parameter)) if parameter["log"] else hp.uniform(label, *ends(parameter))


def ends(parameter):
    """The ends of a range."""
    return parameter["low"], parameter["high"]


def space(parameters):
    """The whole space: a mapping of entries, a parent being a choice among mappings."""
    found = {}
    for parameter in top(parameters):
        name = parameter["name"]
        if any(each["when"] and each["when"][0][0] == name for each in parameters):
            found[name] = hp.choice(name, [branch(parameters, name, *pair) for pair in enumerate(parameter["choices"])])
        else:
            found[name] = expression(parameter, name)
    return found


def branch(parameters, parent, index, option):
    """What stands below one option."""
    inner = {each["name"]: expression(each, f"{each['name']} @ {index}") for each in below(parameters, parent, option)}
    return {parent: index, **inner}


def config_of(parameters, drawn):
    """The config of what hyperopt has drawn."""
    flat = {}
    for name, drawn_value in drawn.items():
        flat.update(drawn_value if isinstance(drawn_value, dict) else {name: drawn_value})
    config = {}
    for parameter in parameters:
        if parameter["name"] in flat:
            config[parameter["name"]] = value(parameter, plain(flat[parameter["name"]]))
    return active(parameters, config)


def value(parameter, drawn):
    """The value of an entry: an option for its index, and numbers within their range in spite of rounding."""
    if "choices" in parameter:
        return parameter["choices"][int(drawn)]
    kind = int if parameter["kind"] == "int" else float
    return kind(min(max(drawn, parameter["low"]), parameter["high"]))


def run(parameters, seed, trials, ask):
    """One call of fmin."""

    def objective(drawn):
        loss = ask(config_of(parameters, drawn))
        if loss is None:
            return {"status": hyperopt.STATUS_FAIL}
        return {"status": hyperopt.STATUS_OK, "loss": loss}

    settings = {"show_progressbar": False, "verbose": False, "return_argmin": False}
    rng = np.random.default_rng(seed)
    hyperopt.fmin(objective, space(parameters), hyperopt.tpe.suggest, max_evals=trials, rstate=rng, **settings)


if __name__ == "__main__":
    serve(run)
