"""Optuna on SQLite: seconds for one trial of 10 parameters and 10 reports, everything as it comes by default.

Usage: optuna_storage.py PATH [TRIALS]. PATH is a file that does not exist yet. Prints {"wall": ..., "cpu": ...}.
"""

import json
import sys

import optuna
from timing import Clock


def main() -> None:
    """Measure and print."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    path, trials = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 9
    clock = Clock()

    def objective(trial: optuna.Trial) -> float:
        clock.tick()
        total = sum(trial.suggest_float(f"x{i}", 0.0, 1.0) for i in range(10))
        for step in range(1, 11):
            trial.report(total / step, step)
        return total

    study = optuna.create_study(storage=f"sqlite:///{path}", sampler=optuna.samplers.RandomSampler(seed=0))
    study.optimize(objective, n_trials=trials + 1)
    print(json.dumps(clock.per_trial(block=1, last=trials)))


main()
