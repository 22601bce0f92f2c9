"""The package cmaes on numbers and integers: `mixed_cmaes.py margin|catcma`, CMA-ES with margin or CatCMA with margin.

Both are told of the cube of the ranges, begin in its middle, and restart with twice the population where they have
converged; what is left out is at its default.
"""

import sys

import numpy as np
from cmaes import CatCMAwM, CMAwM
from quality_peer import serve

SIGMA = 0.2


def values(parameter):
    """The values of an integer."""
    return np.arange(parameter["low"], parameter["high"] + 1)


def margin(parameters, rng, population):
    """CMA-ES with margin, in the units of the cube; and how to ask it."""
    widths = np.array([each["high"] - each["low"] for each in parameters], dtype=float)
    steps = np.array([1 / width if each["kind"] == "int" else 0 for each, width in zip(parameters, widths)])
    mean = np.full(len(parameters), 0.5) if population is None else rng.random(len(parameters))
    bounds = np.tile([0.0, 1.0], (len(parameters), 1))
    optimizer = CMAwM(mean, SIGMA, bounds, steps, seed=int(rng.integers(2**31)), population_size=population)

    def ask():
        point, told = optimizer.ask()
        config = {each["name"]: each["low"] + width * u for each, width, u in zip(parameters, widths, point)}
        return {each["name"]: value(each, config[each["name"]]) for each in parameters}, told

    return optimizer, ask


def value(parameter, number):
    """A plain value."""
    return round(number) if parameter["kind"] == "int" else float(number)


def catcma(parameters, rng, population):
    """CatCMA with margin, as its documentation uses it; and how to ask it."""
    floats = [each for each in parameters if each["kind"] == "float"]
    integers = [each for each in parameters if each["kind"] == "int"]
    optimizer = CatCMAwM(
        x_space=[[each["low"], each["high"]] for each in floats] or None,
        z_space=[values(each) for each in integers] or None,
        population_size=population,
        seed=int(rng.integers(2**31)),
    )

    def ask():
        told = optimizer.ask()
        config = {each["name"]: float(number) for each, number in zip(floats, told.x)} if floats else {}
        config |= {each["name"]: round(float(number)) for each, number in zip(integers, told.z)} if integers else {}
        return config, told

    return optimizer, ask


def run(parameters, seed, trials, ask):
    """One run."""
    rng, population, left = np.random.default_rng(seed), None, trials
    make = margin if sys.argv[1] == "margin" else catcma
    while left > 0:
        optimizer, draw = make(parameters, rng, population)
        while left > 0 and not optimizer.should_stop():
            solutions = []
            for _ in range(min(optimizer.population_size, left)):
                config, told = draw()
                solutions.append((told, ask.finite(config)))
            left -= len(solutions)
            if len(solutions) == optimizer.population_size:
                optimizer.tell(solutions)
        population = 2 * optimizer.population_size


if __name__ == "__main__":
    serve(run)
