"""pycma on numbers and integers: told of the integers, of the ranges and of their widths, with restarts (IPOP)."""

import warnings

import cma
import numpy as np
from quality_peer import serve

SIGMA = 0.2


def ends(parameter):
    """The ends of a range; an integer's reach half a step farther, so that each has its cell."""
    more = 0.5 if parameter["kind"] == "int" else 0.0
    return parameter["low"] - more, parameter["high"] + more


def value(parameter, number):
    """A plain value."""
    if parameter["kind"] == "int":
        return int(min(max(round(number), parameter["low"]), parameter["high"]))
    return float(number)


def run(parameters, seed, trials, ask):
    """One run."""
    rng, left, population = np.random.default_rng(seed), trials, None
    low, high = (np.array(side, dtype=float) for side in zip(*map(ends, parameters)))
    while left > 0:
        options = {
            "bounds": [low.tolist(), high.tolist()],
            "CMA_stds": (high - low).tolist(),
            "integer_variables": [place for place, each in enumerate(parameters) if each["kind"] == "int"],
            "seed": int(rng.integers(1, 2**31)),
            "verbose": -9,
        }
        start = (low + high) / 2 if population is None else low + (high - low) * rng.random(len(low))
        strategy = cma.CMAEvolutionStrategy(start, SIGMA, options | ({"popsize": population} if population else {}))
        while left > 0 and not strategy.stop():
            points = strategy.ask()
            configs = [{each["name"]: value(each, x) for each, x in zip(parameters, point)} for point in points[:left]]
            losses = [ask.finite(config) for config in configs]
            left -= len(losses)
            if len(losses) == len(points):
                strategy.tell(points, losses)
        population = 2 * strategy.popsize


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
