"""The space for DEHB, numeric entries without conditions, as LCBench has; the lowest rung for DEHB and SMAC3."""

from ConfigSpace import ConfigurationSpace, Float, Integer


def space(parameters, seed):
    """The whole space."""
    found = ConfigurationSpace(seed=seed)
    kinds = {"int": Integer, "float": Float}
    found.add([kinds[each["kind"]](each["name"], (each["low"], each["high"]), log=each["log"]) for each in parameters])
    return found


def lowest(wanted, epochs):
    """The last epoch divided by 3 as often as no fewer than `wanted` are left, rounded; a little less, so that the
    logarithms of the peers lose no rung.
    """
    budget = float(epochs)
    while round(budget / 3) >= wanted:
        budget /= 3
    return budget * 0.999
