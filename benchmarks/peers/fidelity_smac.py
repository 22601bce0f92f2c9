"""SMAC3: the multi-fidelity facade (a random forest within Hyperband): `fidelity_smac.py LOWEST`, asked and told.

Its budgets are the last epoch divided by powers of 3, down to LOWEST or just above; they are rounded here. It knows no
checkpoints, and trains a config anew for each budget.
"""

import sys
import tempfile
import warnings

from fidelity_peer import serve
from fidelity_space import lowest
from quality_smac import config_of, space
from smac import MultiFidelityFacade, Scenario
from smac.runhistory import TrialValue


def never(config, seed=0, budget=0):
    """SMAC wants a function even where it is asked and told."""
    raise RuntimeError("asked and told, not called")


def run(parameters, seed, epochs, jobs, train):
    """One facade; its initial random configs are a quarter of the number of trials that it is told of."""
    with tempfile.TemporaryDirectory() as folder:
        whole = space(parameters, seed)
        budgets = {"min_budget": lowest(float(sys.argv[1]), epochs), "max_budget": epochs}
        kept = {"output_directory": folder, "seed": seed}
        scenario = Scenario(whole, n_trials=jobs, deterministic=True, **budgets, **kept)
        smac = MultiFidelityFacade(scenario, never, overwrite=True, logging_level=False)
        while True:
            trial = smac.ask()
            loss = train(config_of(parameters, dict(trial.config)), round(trial.budget))
            smac.tell(trial, TrialValue(cost=loss), save=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
