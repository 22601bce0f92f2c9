"""Optuna: random configs under its SuccessiveHalvingPruner, two threads in memory or two processes on a journal.

Usage: sleeping_optuna.py threads|processes STEP SECONDS. Prints the share of the workers' time that was slept.
"""

import json
import multiprocessing
import os
import sys
import tempfile
import warnings

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from sleeping import share, steps


def opened(storage):
    """The study."""
    pruner = optuna.pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
    sampler = optuna.samplers.RandomSampler()
    return optuna.create_study(
        study_name="sleeping", storage=storage, sampler=sampler, pruner=pruner, load_if_exists=True
    )


def optimized(storage, folder, step, seconds, threads):
    """Tune for so many seconds."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial):
        x = trial.suggest_float("x", 0.0, 1.0)
        for number in steps(folder, step):
            loss = x + 1.0 / number
            trial.report(loss, number)
            if trial.should_prune():
                raise optuna.TrialPruned
        return loss

    opened(storage).optimize(objective, timeout=seconds, n_jobs=threads)


def journal(path):
    """A journal in a file."""
    return JournalStorage(JournalFileBackend(path))


def worker(path, *words):
    """One of the processes."""
    optimized(journal(path), *words, 1)


def main():
    """Measure and print."""
    how, step, seconds = sys.argv[1], float(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory() as place:
        marks, path = os.path.join(place, "marks"), os.path.join(place, "journal")
        os.mkdir(marks)
        if how == "threads":
            optimized(None, marks, step, seconds, 2)
        else:
            opened(journal(path))
            processes = [multiprocessing.Process(target=worker, args=(path, marks, step, seconds)) for _ in range(2)]
            for process in processes:
                process.start()
            for process in processes:
                process.join()
        print(json.dumps(share(marks, step)))


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    main()
