"""DEHB: differential evolution within Hyperband, at its defaults: `fidelity_dehb.py LOWEST`, asked and told.

Its fidelities are the last epoch divided by powers of 3, down to LOWEST; they are rounded here. It knows no
checkpoints: what it promotes, it trains anew, and most of what it trains in later brackets is new.
"""

import sys
import tempfile
import warnings

from dehb import DEHB
from fidelity_peer import serve
from fidelity_space import lowest, space
from quality_peer import plain


def run(parameters, seed, epochs, jobs, train):
    """One optimizer."""
    with tempfile.TemporaryDirectory() as folder:
        quiet = {"output_path": folder, "log_level": "ERROR", "save_freq": "end"}
        fidelities = {"min_fidelity": lowest(float(sys.argv[1]), epochs), "max_fidelity": epochs}
        dehb = DEHB(cs=space(parameters, seed), f=None, **fidelities, n_workers=1, seed=seed, **quiet)
        while True:
            job = dehb.ask()
            until = round(job["fidelity"])
            config = {name: plain(value) for name, value in dict(job["config"]).items()}
            dehb.tell(job, {"fitness": train(config, until), "cost": until})


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(run)
