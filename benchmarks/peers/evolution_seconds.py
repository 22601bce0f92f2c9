"""Seconds of CPU that a suggestion of Optuna's CMA-ES takes after so many trials: `evolution_seconds.py N N ...`.

Ten numbers; each trial is asked and told, as a user does it, and the mean of two hundred suggestions after each N is
printed as JSON.
"""

import json
import statistics
import sys
import time
import warnings

import optuna

MEASURED = 200


def main(marks):
    """The mean of the seconds at each mark."""
    study = optuna.create_study(sampler=optuna.samplers.CmaEsSampler(seed=0))
    found, taken = {}, []
    for number in range(max(marks) + MEASURED):
        start = time.process_time()
        trial = study.ask()
        x = [trial.suggest_float(f"x{place}", -5, 5) for place in range(10)]
        taken.append(time.process_time() - start)
        study.tell(trial, sum(value**2 for value in x))
        if number + 1 - MEASURED in marks:
            found[str(number + 1 - MEASURED)] = statistics.fmean(taken[-MEASURED:])
    return found


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    print(json.dumps(main([int(word) for word in sys.argv[1:]])))
