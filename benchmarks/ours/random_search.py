"""Random search in memory, 10 mixed parameters: seconds per trial around trials number 100 and 10,000.

The same space, the same clock and the same blocks as `peers/optuna_random.py`.
Usage: python -m benchmarks.ours.random_search [--quick | --full].
Prints {"100": {"wall": ..., "cpu": ...}, "10000": ...}.
"""

import json
import statistics
import sys

import tunewell as tw
from benchmarks.peers.timing import Clock

SPACE = {
    "f0": tw.Float(0.0, 1.0),
    "f1": tw.Float(-5.0, 5.0),
    "f2": tw.Float(1e-5, 1e-1, log=True),
    "f3": tw.Float(1e-3, 1e3, log=True),
    "i0": tw.Int(1, 10),
    "i1": tw.Int(0, 100),
    "i2": tw.Int(16, 512),
    "c0": tw.Choice(list("abc")),
    "c1": tw.Choice(list("abcd")),
    "c2": tw.Choice(list("abcde")),
}


def timed(trials: int) -> Clock:
    """The clock of one study of `trials` trials."""
    clock = Clock()

    def objective(run: tw.Run) -> float:
        clock.tick()
        return float(run.config["f0"])

    tw.tune(objective, SPACE, minimize="loss", method=tw.Random(), trials=trials, seed=0, progress=False)
    return clock


def main() -> None:
    """Measure and print."""
    quick = "--quick" in sys.argv
    timed(50)
    small = [timed(101).per_trial(block=10, last=50) for _ in range(2 if quick else 7)]
    large = timed(1_001 if quick else 10_001).per_trial(block=50, last=500 if quick else 2_000)
    print(json.dumps({"100": {key: statistics.median(s[key] for s in small) for key in large}, "10000": large}))


if __name__ == "__main__":
    main()
