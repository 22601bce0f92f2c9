"""Optuna: `quality_optuna.py tpe`, `cma` or `gp`; each sampler with its default settings, asked and told.

An ordered choice is an integer, the index; a config that cannot run is a failed trial.
"""

import sys
import warnings

import optuna
from quality_peer import serve


def sampler(kind, seed):
    """The sampler of that name."""
    if kind == "tpe":
        return optuna.samplers.TPESampler(seed=seed)
    if kind == "cma":
        return optuna.samplers.CmaEsSampler(seed=seed)
    return optuna.samplers.GPSampler(seed=seed)


def suggested(trial, parameters):
    """A config, entry by entry, as a user of Optuna writes it."""
    config = {}
    for parameter in parameters:
        if all(parent in config and config[parent] in options for parent, options in parameter["when"]):
            config[parameter["name"]] = value(trial, parameter)
    return config


def value(trial, parameter):
    """One entry."""
    name = parameter["name"]
    if parameter["kind"] == "cat":
        return trial.suggest_categorical(name, parameter["choices"])
    if parameter["kind"] == "ord":
        return parameter["choices"][trial.suggest_int(name, 0, len(parameter["choices"]) - 1)]
    suggest = trial.suggest_int if parameter["kind"] == "int" else trial.suggest_float
    return suggest(name, parameter["low"], parameter["high"], log=parameter["log"])


def run(parameters, seed, trials, ask):
    """One study."""
    study = optuna.create_study(sampler=sampler(sys.argv[1], seed))
    for _ in range(trials):
        trial = study.ask()
        loss = ask(suggested(trial, parameters))
        if loss is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, loss)


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if sys.argv[1] == "cma":
        import cmaes  # noqa: F401  (now, not in the first run)
    if sys.argv[1] == "gp":
        import scipy.optimize  # noqa: F401
        import torch

        torch.set_num_threads(1)
    serve(run)
