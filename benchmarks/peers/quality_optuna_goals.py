"""Optuna with several goals: `quality_optuna_goals.py nsga2` (what it does if nothing is said), `tpe` or `gp`.

As `quality_peer` describes it, but the order says how many "goals" there are, and what is read are "losses".
"""

import sys
import time
import warnings

import optuna
from quality_optuna import suggested
from quality_peer import Link


def run(order, link):
    """One study."""
    samplers = {
        "nsga2": optuna.samplers.NSGAIISampler,
        "tpe": optuna.samplers.TPESampler,
        "gp": optuna.samplers.GPSampler,
    }
    study = optuna.create_study(
        directions=["minimize"] * order["goals"], sampler=samplers[sys.argv[1]](seed=order["seed"])
    )
    for _ in range(order["trials"]):
        wall, cpu = time.perf_counter(), time.process_time()
        trial = study.ask()
        config = suggested(trial, order["parameters"])
        link.say({"config": config, "cpu": time.process_time() - cpu, "wall": time.perf_counter() - wall})
        losses = link.hear()["losses"]
        if losses is None:
            study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            study.tell(trial, losses)
    link.say({"end": True})


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    if sys.argv[1] == "gp":
        import torch

        torch.set_num_threads(1)
    link = Link()
    while True:
        run(link.hear(), link)
