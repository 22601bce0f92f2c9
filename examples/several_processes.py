"""Four processes tune one study in one SQLite file, without a server; one of them is killed half-way.
Shows that the budget is met exactly, that nothing is lost or run twice, and that every decision can be made again.
40 trials, about 15 seconds: python several_processes.py [TRIALS]
"""

import multiprocessing
import sys
import time

import numpy as np

import tunewell as tw

SPACE = {"ridge": tw.Float(1e-4, 1e4, log=True), "degree": tw.Int(1, 12)}
STORE = "several.db"


def train(run):
    """Fit a polynomial to noisy points, five steps of some milliseconds each."""
    rng = np.random.default_rng(run.seed)
    x = rng.uniform(-1, 1, 60)
    y = np.sin(3 * x) + 0.2 * rng.normal(size=60)
    powers = x[:, None] ** np.arange(run.config["degree"] + 1)
    errors = []
    for fold in run.steps():
        held = np.arange(60) % 5 == fold - 1
        a, b = powers[~held], y[~held]
        weights = np.linalg.solve(a.T @ a + run.config["ridge"] * np.eye(a.shape[1]), a.T @ b)
        errors.append(np.mean((powers[held] @ weights - y[held]) ** 2))
        time.sleep(0.02)  # stands for training that takes longer
        run.report(fold, error=np.mean(errors))


def work(trials):
    """What each process does: the same call."""
    tw.tune(
        train, SPACE, minimize="error", trials=trials, steps=5, method=tw.Random(), store=STORE, seed=0, progress=False
    )


def main(trials=40):
    processes = [multiprocessing.get_context("spawn").Process(target=work, args=(trials,)) for _ in range(4)]
    for process in processes:
        process.start()

    store = tw.open_store(STORE)
    while sum(isinstance(entry.event, tw.Result) for entry in store.read("study")) < trials // 3:
        time.sleep(0.05)
    processes[0].kill()
    print("killed one of four processes")
    for process in processes:
        process.join()

    study = tw.open_study(store=store)
    sessions = [event for event in study.events if isinstance(event, tw.Act) and event.what == "enter"]
    again = sum(result.attempt > 1 for result in study.results.values())
    print(f"{len(sessions)} processes, {len(study.jobs)} jobs, {len(study.results)} results, {again} run a second time")
    assert len(study.jobs) == len(study.results) == trials
    print(tw.verify(study))
    print(study.best)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
