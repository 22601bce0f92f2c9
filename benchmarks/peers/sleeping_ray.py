"""Ray Tune: random configs under its AsyncHyperBandScheduler (ASHA), two workers, actors reused.

Usage: sleeping_ray.py - STEP SECONDS. Prints the share of the workers' time that was slept.
"""

import json
import os
import sys
import tempfile

os.environ |= {"RAY_DEDUP_LOGS": "0", "RAY_USAGE_STATS_ENABLED": "0", "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1"}

import ray
from ray import tune
from ray.tune.schedulers import ASHAScheduler


class Sleeper(tune.Trainable):
    """One step a call; a class, so that its actor can be used again. Needs no checkpoint: nothing is paused."""

    def setup(self, config):
        """A new trial."""
        self.reset_config(config)

    def reset_config(self, config):
        """Another trial in the same actor."""
        sys.path.insert(0, config["here"])
        from sleeping import steps

        self._x = config["x"]
        self._steps = steps(config["marks"], config["step"])
        return True

    def step(self):
        """Sleep once."""
        number = next(self._steps)
        return {"loss": self._x + 1.0 / number, "done": number == 81}

    def save_checkpoint(self, folder):
        """Nothing to keep."""

    def load_checkpoint(self, folder):
        """Nothing to bring back."""


def main():
    """Measure and print."""
    step, seconds = float(sys.argv[2]), float(sys.argv[3])
    here = os.path.dirname(os.path.abspath(__file__))
    with tempfile.TemporaryDirectory() as place:
        marks = os.path.join(place, "marks")
        os.mkdir(marks)
        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        scheduler = ASHAScheduler(max_t=81, grace_period=1, reduction_factor=3)
        space = {"x": tune.uniform(0.0, 1.0), "marks": marks, "step": step, "here": here}
        settings = tune.TuneConfig(
            metric="loss", mode="min", scheduler=scheduler, num_samples=-1, time_budget_s=seconds, reuse_actors=True,
            max_concurrent_trials=2,
        )  # fmt: skip
        tune.Tuner(
            Sleeper,
            param_space=space,
            tune_config=settings,
            run_config=tune.RunConfig(storage_path=os.path.join(place, "runs"), verbose=0),
        ).fit()
        ray.shutdown()
        sys.path.insert(0, here)
        from sleeping import share

        print(json.dumps(share(marks, step)))


if __name__ == "__main__":
    main()
