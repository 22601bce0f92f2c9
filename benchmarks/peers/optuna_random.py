"""Optuna's RandomSampler in memory, 10 mixed parameters: seconds per trial around trials number 100 and 10,000.

Usage: optuna_random.py [--quick | --full]. Prints one line of JSON: {"100": {"wall": ..., "cpu": ...}, "10000": ...}.
"""

import json
import statistics
import sys

import optuna
from timing import Clock


def space(trial: optuna.Trial) -> float:
    """Four floats, two of them log; three integers; three choices of 3, 4 and 5. Returns a number."""
    total = trial.suggest_float("f0", 0.0, 1.0) + trial.suggest_float("f1", -5.0, 5.0)
    total += trial.suggest_float("f2", 1e-5, 1e-1, log=True) + trial.suggest_float("f3", 1e-3, 1e3, log=True)
    total += trial.suggest_int("i0", 1, 10) + trial.suggest_int("i1", 0, 100) + trial.suggest_int("i2", 16, 512)
    for number, options in enumerate(("abc", "abcd", "abcde")):
        total += options.index(trial.suggest_categorical(f"c{number}", list(options)))
    return total


def timed(trials: int) -> Clock:
    """The clock of one study of `trials` trials."""
    clock = Clock()

    def objective(trial: optuna.Trial) -> float:
        clock.tick()
        return space(trial)

    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials)
    return clock


def main() -> None:
    """Measure and print."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    quick = "--quick" in sys.argv
    timed(50)
    small = [timed(101).per_trial(block=10, last=50) for _ in range(2 if quick else 7)]
    large = timed(1_001 if quick else 10_001).per_trial(block=50, last=500 if quick else 2_000)
    print(json.dumps({"100": {key: statistics.median(s[key] for s in small) for key in large}, "10000": large}))


main()
