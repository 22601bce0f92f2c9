"""SMAC3: the facade for hyperparameter optimization (a random forest), told of its budget; asked and told.

`deterministic=True`, as the tasks are: otherwise it runs a config with several seeds. An ordered choice is an
OrdinalHyperparameter; a config that cannot run is told a bad loss: a crashed trial of infinite cost stops its forest.
"""

import tempfile
import warnings

from ConfigSpace import Categorical, ConfigurationSpace, Float, InCondition, Integer
from quality_peer import plain, serve
from smac import HyperparameterOptimizationFacade, Scenario
from smac.runhistory import TrialValue


def hyperparameter(parameter):
    """One entry; options by their index, since some are no strings."""
    if "choices" in parameter:
        options = list(range(len(parameter["choices"])))
        return Categorical(parameter["name"], options, ordered=parameter["kind"] == "ord")
    kind = Integer if parameter["kind"] == "int" else Float
    return kind(parameter["name"], (parameter["low"], parameter["high"]), log=parameter["log"])


def space(parameters, seed):
    """The whole space, with its conditions."""
    found = ConfigurationSpace(seed=seed)
    entries = {parameter["name"]: hyperparameter(parameter) for parameter in parameters}
    found.add(list(entries.values()))
    options = {each["name"]: each.get("choices") for each in parameters}
    for each in parameters:
        for parent, values in each["when"]:
            indices = [options[parent].index(value) for value in values]
            found.add(InCondition(entries[each["name"]], entries[parent], indices))
    return found


def config_of(parameters, asked):
    """The config of what SMAC asks for."""
    config = {}
    for each in parameters:
        if each["name"] in asked:
            value = plain(asked[each["name"]])
            config[each["name"]] = each["choices"][int(value)] if "choices" in each else value
    return config


def never(config, seed=0):
    """SMAC wants a function even where it is asked and told."""
    raise RuntimeError("asked and told, not called")


def run(parameters, seed, trials, ask):
    """One facade."""
    with tempfile.TemporaryDirectory() as folder:
        whole = space(parameters, seed)
        scenario = Scenario(whole, n_trials=trials, deterministic=True, seed=seed, output_directory=folder)
        smac = HyperparameterOptimizationFacade(scenario, never, overwrite=True, logging_level=False)
        for _ in range(trials):
            trial = smac.ask()
            smac.tell(trial, TrialValue(cost=ask.finite(config_of(parameters, dict(trial.config)))))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
