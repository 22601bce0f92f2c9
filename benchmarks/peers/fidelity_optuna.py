"""Optuna: TPE with the Hyperband pruner, both at their defaults: `fidelity_optuna.py LOWEST`, the first rung in epochs.

A trial reports each epoch and goes on until it is pruned or has trained in full: there is nothing to resume. Which
bracket a trial is in depends on a hash of its number and of the study's name, which is the seed here.
"""

import sys
import warnings

import optuna
from fidelity_peer import rungs, serve
from quality_optuna import suggested


def run(parameters, seed, epochs, jobs, train):
    """One study."""
    study = optuna.create_study(
        study_name=str(seed),
        sampler=optuna.samplers.TPESampler(seed=seed),
        pruner=optuna.pruners.HyperbandPruner(min_resource=int(sys.argv[1]), max_resource=epochs),
    )
    while True:
        trial = study.ask()
        config = suggested(trial, parameters)
        loss, pruned = trained(trial, config, epochs, train)
        study.tell(trial, state=optuna.trial.TrialState.PRUNED) if pruned else study.tell(trial, loss)


def trained(trial, config, epochs, train):
    """The last loss of a trial, and whether it was pruned."""
    for epoch, loss in train.epochs(config, rungs(int(sys.argv[1]), epochs)):
        trial.report(loss, epoch)
        if epoch < epochs and trial.should_prune():
            return loss, True
    return loss, False


if __name__ == "__main__":
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.simplefilter("ignore")
    serve(run)
