"""Syne Tune: its ASHA on two workers of the LocalBackend, which starts a process for each trial.

Usage: sleeping_syne_tune.py - STEP SECONDS. Prints the share of the workers' time that was slept.
"""

import argparse
import json
import logging
import os
import sys
import tempfile

from sleeping import share, steps


def train():
    """The program of a trial."""
    from syne_tune import Reporter

    line = argparse.ArgumentParser()
    for name, kind in (("x", float), ("step", float), ("marks", str), ("st_checkpoint_dir", str)):
        line.add_argument(f"--{name}", type=kind)
    options, _ = line.parse_known_args()
    report = Reporter()
    for number in steps(options.marks, options.step):
        report(epoch=number, loss=options.x + 1.0 / number)


def main():
    """Measure and print."""
    from syne_tune import StoppingCriterion, Tuner
    from syne_tune.backend import LocalBackend
    from syne_tune.config_space import uniform
    from syne_tune.optimizer.legacy_baselines import ASHA

    step, seconds = float(sys.argv[2]), float(sys.argv[3])
    with tempfile.TemporaryDirectory() as place:
        os.environ["SYNETUNE_FOLDER"] = place
        marks = os.path.join(place, "marks")
        os.mkdir(marks)
        space = {"x": uniform(0.0, 1.0), "step": step, "marks": marks}
        Tuner(
            trial_backend=LocalBackend(entry_point=os.path.abspath(__file__)),
            scheduler=ASHA(space, metric="loss", mode="min", resource_attr="epoch", max_t=81),
            stop_criterion=StoppingCriterion(max_wallclock_time=seconds),
            n_workers=2,
            sleep_time=0.1,
            print_update_interval=1e9,
        ).run()
        print(json.dumps(share(marks, step)))


if __name__ == "__main__":
    logging.disable(logging.WARNING)
    if any(word.startswith("--x") for word in sys.argv):
        train()
    else:
        main()
