"""Your own loop: tunewell says what to try, you run it wherever you like and say what came of it.
Shows ask and tell, a result from elsewhere (add), a config of your own (enqueue), a failed trial, and verify.
25 trials, about a second: python own_loop.py [TRIALS]
"""

import sys

import numpy as np

import tunewell as tw


def settle(damping, stiffness):
    """How long a mass on a spring swings after a push, in seconds: until it stays within 2 % of its first swing."""
    times = np.linspace(0, 60, 6001)
    ratio = damping / (2 * np.sqrt(stiffness))
    if ratio >= 1:
        raise ArithmeticError("it does not swing: no time to measure")
    swing = np.exp(-damping * times / 2) * np.abs(np.cos(np.sqrt(stiffness * (1 - ratio**2)) * times))
    return float(times[swing > 0.02][-1])


def main(trials=25):
    study = tw.open_study(
        "spring",
        space={"damping": tw.Float(0.01, 20, log=True), "stiffness": tw.Float(0.1, 100, log=True)},
        minimize="seconds",
        method=tw.Halton(),
        limits=tw.Limits(trials=trials),
        seed=0,
    )
    study.add({"damping": 0.1, "stiffness": 1.0}, {"seconds": settle(0.1, 1.0)})  # known from before
    study.enqueue({"damping": 1.0, "stiffness": 10.0})  # to be tried first

    while (job := study.ask()) is not None:
        try:
            study.tell(job, settle(**job.config))
        except ArithmeticError:
            study.tell(job, failed="invalid")

    print(study.best)
    print(f"{sum(trial.status == 'failed' for trial in study.trials)} of {len(study.trials)} configs do not swing")
    print(tw.verify(study))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
