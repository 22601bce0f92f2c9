"""Syne Tune: `fidelity_syne_tune.py asha|mobster LOWEST`, its schedulers asked and told as its Tuner does.

Both stop: a trial reports each epoch and goes on until the scheduler stops it, so that there is nothing to resume.
MOBSTER, a Gaussian process over all rungs, and the scheduler that it shares with ASHA were last part of version 0.14.
"""

import logging
import sys
import warnings
from datetime import datetime

from fidelity_peer import rungs, serve
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer.legacy_baselines import ASHA, MOBSTER
from syne_tune.optimizer.scheduler import SchedulerDecision

METRIC, EPOCH = "loss", "epoch"


def domain(parameter):
    """One entry."""
    kinds = {"float": (config_space.uniform, config_space.loguniform)}
    plain, log = kinds.get(parameter["kind"], (config_space.randint, config_space.lograndint))
    return (log if parameter["log"] else plain)(parameter["low"], parameter["high"])


def scheduler(kind, space, seed, epochs, lowest):
    """The scheduler of that name, all else at its defaults."""
    names = {"metric": METRIC, "mode": "min", "resource_attr": EPOCH, "max_t": epochs, "grace_period": lowest}
    make = ASHA if kind == "asha" else MOBSTER
    return make(space, **names, random_seed=seed, search_options={"debug_log": False})


def run(parameters, seed, epochs, jobs, train):
    """One scheduler."""
    space = {parameter["name"]: domain(parameter) for parameter in parameters}
    tuned = scheduler(sys.argv[1], space, seed, epochs, int(sys.argv[2]))
    number = 0
    while True:
        suggestion = tuned.suggest(number)
        trial = Trial(number, suggestion.config, datetime.now())
        tuned.on_trial_add(trial)
        follow(tuned, trial, epochs, train)
        number += 1


def follow(tuned, trial, epochs, train):
    """Train until the scheduler stops the trial, or to its end."""
    for epoch, loss in train.epochs(trial.config, rungs(int(sys.argv[2]), epochs)):
        result = {METRIC: loss, EPOCH: epoch}
        if tuned.on_trial_result(trial, result) != SchedulerDecision.CONTINUE:
            return tuned.on_trial_remove(trial)
    return tuned.on_trial_complete(trial, result)


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    warnings.simplefilter("ignore")
    serve(run)
