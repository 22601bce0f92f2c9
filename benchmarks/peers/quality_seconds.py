"""Seconds of CPU that a suggestion of Optuna takes after so many results: `quality_seconds.py tpe|gp N TIMES`.

The first suggestion is not counted; the median of the next ones is printed as JSON.
"""

import json
import random
import statistics
import sys
import time
import warnings

import optuna
from quality_optuna import sampler, suggested
from quality_space import PARAMETERS, drawn, loss


def distribution(parameter):
    """The distribution of an entry."""
    if "choices" in parameter:
        return optuna.distributions.CategoricalDistribution(parameter["choices"])
    integer = parameter["kind"] == "int"
    kind = optuna.distributions.IntDistribution if integer else optuna.distributions.FloatDistribution
    return kind(parameter["low"], parameter["high"], log=parameter["log"])


def main(kind, results, times):
    """The median of the seconds."""
    study, rng = optuna.create_study(sampler=sampler(kind, 0)), random.Random(0)
    distributions = {each["name"]: distribution(each) for each in PARAMETERS}
    configs = [drawn(rng) for _ in range(results)]
    make = optuna.trial.create_trial
    study.add_trials([make(params=each, distributions=distributions, value=loss(each)) for each in configs])
    taken = []
    for _ in range(times + 1):
        start = time.process_time()
        trial = study.ask()
        config = suggested(trial, PARAMETERS)
        taken.append(time.process_time() - start)
        study.tell(trial, loss(config))
    return statistics.median(taken[1:])


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if sys.argv[1] == "gp":
        import torch

        torch.set_num_threads(1)
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))))
