"""Syne Tune with several goals: `quality_syne_tune_goals.py gp` (MORandomScalarizationBayesOpt) or `ea` (MOREA).

As `quality_optuna_goals` has it. Its spaces know no conditions: every entry has a value in each suggestion, and what is
not active is left out of the config that is measured. A trial that fails is told as a bad one.
"""

import logging
import sys
import time
import warnings
from datetime import datetime

from quality_peer import Link
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.legacy_baselines import MOREA, MORandomScalarizationBayesOpt


def domain(parameter):
    """One entry."""
    if parameter["kind"] == "ord":
        return config_space.ordinal(parameter["choices"], kind="equal")
    if parameter["kind"] == "cat":
        return config_space.choice(parameter["choices"])
    integers = config_space.randint, config_space.lograndint
    plain, log = integers if parameter["kind"] == "int" else (config_space.uniform, config_space.loguniform)
    return (log if parameter["log"] else plain)(parameter["low"], parameter["high"])


def active(config, parameters):
    """The entries that count."""
    found = {}
    for parameter in parameters:
        if all(parent in found and found[parent] in options for parent, options in parameter["when"]):
            found[parameter["name"]] = config[parameter["name"]]
    return found


def run(order, link):
    """One study."""
    goals, worst = [f"goal{number}" for number in range(order["goals"])], [0.0] * order["goals"]
    space = {parameter["name"]: domain(parameter) for parameter in order["parameters"]}
    make = MORandomScalarizationBayesOpt if sys.argv[1] == "gp" else MOREA
    mode = ["min"] * len(goals)
    tuned = make(space, goals, mode=mode, random_seed=order["seed"], search_options={"debug_log": False})
    for number in range(order["trials"]):
        wall, cpu = time.perf_counter(), time.process_time()
        suggestion = tuned.suggest(number)
        trial = Trial(number, suggestion.config, datetime.now())
        tuned.on_trial_add(trial)
        config = active(trial.config, order["parameters"])
        link.say({"config": config, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall})
        losses = link.hear()["losses"] or worst
        worst = [max(pair) for pair in zip(losses, worst)]
        tuned.on_trial_complete(trial, dict(zip(goals, losses)))
    link.say({"end": True})


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    link = Link()
    while True:
        run(link.hear(), link)
