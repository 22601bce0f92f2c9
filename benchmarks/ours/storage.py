"""A study on SQLite: seconds for one trial of 10 parameters and 10 reports; the same as `peers/optuna_storage.py`.

Usage: python -m benchmarks.ours.storage PATH TRIALS DURABILITY. PATH is a file that does not exist yet, DURABILITY is
"kill" or "full". Prints {"wall": ..., "cpu": ...}.
"""

import json
import sys

import tunewell as tw
from benchmarks.peers.timing import Clock


def main() -> None:
    """Measure and print."""
    path, trials, durability = sys.argv[1:4]
    clock = Clock()

    def objective(run: tw.Run) -> float:
        clock.tick()
        total = sum(run.config[f"x{i}"] for i in range(10))
        for step in range(1, 11):
            run.report(step, loss=total / step)
        return float(total)

    tw.tune(
        objective,
        {f"x{i}": tw.Float(0.0, 1.0) for i in range(10)},
        minimize="loss",
        method=tw.Random(),
        trials=int(trials) + 1,
        steps=10,
        seed=0,
        store=tw.SqlStore(path, durability="full" if durability == "full" else "kill"),
        progress=False,
    )
    print(json.dumps(clock.per_trial(block=1, last=int(trials))))


if __name__ == "__main__":
    main()
