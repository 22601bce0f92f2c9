"""scikit-optimize: `Optimizer` with the defaults of `gp_minimize` (gp_hedge, 10 random points), asked and told.

An ordered choice is an integer, the index; an entry with a condition is always there and not heeded where inactive. A
config that cannot run is told a bad loss.
"""

import warnings

from quality_peer import active, plain, serve
from skopt import Optimizer
from skopt.space import Categorical, Integer, Real


def dimension(parameter):
    """One entry."""
    if parameter["kind"] == "cat":
        return Categorical([f"{place}" for place in range(len(parameter["choices"]))])
    if parameter["kind"] == "ord":
        return Integer(0, len(parameter["choices"]) - 1)
    kind = Integer if parameter["kind"] == "int" else Real
    return kind(parameter["low"], parameter["high"], prior="log-uniform" if parameter["log"] else "uniform")


def value(parameter, asked):
    """The value of an entry."""
    return parameter["choices"][int(asked)] if "choices" in parameter else plain(asked)


def run(parameters, seed, trials, ask):
    """One optimizer."""
    optimizer = Optimizer([dimension(parameter) for parameter in parameters], random_state=seed)
    for _ in range(trials):
        point = optimizer.ask()
        values = {each["name"]: value(each, asked) for each, asked in zip(parameters, point)}
        optimizer.tell(point, ask.finite(active(parameters, values)))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
