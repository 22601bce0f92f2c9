"""A neural network and boosted trees, each tuned by four methods at the same budget, on the same seeds.
Shows a comparison on paired seeds, and a run that goes on where it stopped when it is started again.
Two models, 5 seeds of 60 trials, about 400 seconds on 2 cores: python network_and_trees.py [TRIALS] [SEEDS]
"""

import multiprocessing
import os
import sys
import time
import warnings
from functools import cache

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss
from sklearn.model_selection import StratifiedKFold, cross_val_score, train_test_split
from sklearn.neural_network import MLPClassifier

import tunewell as tw
from tunewell.honest.compare import compare

METHODS = {"Bayes()": tw.Bayes(), "TPE()": tw.TPE(), "Random()": tw.Random(), "Zoom()": tw.Zoom()}
EPOCHS = 10

NETWORK = {
    "lr": tw.Float(1e-5, 1, log=True),
    "alpha": tw.Float(1e-6, 10, log=True),
    "layers": tw.Int(1, 3),
    "units": tw.Int(8, 128, log=True),
    "batch": tw.Int(16, 256, log=True),
    "activation": tw.Choice(["relu", "tanh", "logistic"]),
    "solver": tw.Choice({"adam": {}, "sgd": {"momentum": tw.Float(0, 0.99)}}),
}
TREES = {
    "learning_rate": tw.Float(1e-3, 1, log=True),
    "max_iter": tw.Int(10, 200, log=True),
    "max_leaf_nodes": tw.Int(2, 32, log=True),
    "min_samples_leaf": tw.Int(1, 100, log=True),
    "l2_regularization": tw.Float(1e-6, 1e3, log=True),
    "max_features": tw.Float(0.1, 1),
    "interaction_cst": tw.Choice([None, "pairwise", "no_interactions"]),
}


@cache
def digits():
    """Images for training and validation, then their labels; always the same ones."""
    images, labels = load_digits(return_X_y=True)
    return train_test_split(images / 16, labels, test_size=0.4, stratify=labels, random_state=0)


def network(run):
    """The validation loss of a network on images of digits. It has one seed, so a config has one loss."""
    x, held_x, y, held_y = digits()
    config = run.config
    model = MLPClassifier(
        [config["units"]] * config["layers"],
        solver=config["solver"],
        activation=config["activation"],
        learning_rate_init=config["lr"],
        alpha=config["alpha"],
        batch_size=config["batch"],
        momentum=config.get("momentum", 0.9),
        random_state=0,
    )
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a network that diverges ends in a ValueError: the trial fails
        for epoch in run.steps():
            model.partial_fit(x, y, classes=np.arange(10))
            run.report(epoch, loss=log_loss(held_y, model.predict_proba(held_x)))


def trees(run):
    """The loss of boosted trees on the breast cancer data: the mean of three folds, always the same ones."""
    x, y = load_breast_cancer(return_X_y=True)
    model = HistGradientBoostingClassifier(early_stopping=False, random_state=0, **run.config)
    folds = StratifiedKFold(3, shuffle=True, random_state=0)
    return -cross_val_score(model, x, y, cv=folds, scoring="neg_log_loss", error_score="raise").mean()


MODELS = {"network": (network, NETWORK, EPOCHS), "trees": (trees, TREES, 1)}


def study(model, method, seed, trials):
    """One study of one method: its best loss, how many trials failed, its seconds, and its best config in words."""
    began = time.perf_counter()
    train, space, steps = MODELS[model]
    done = tw.tune(
        train,
        space,
        minimize="loss",
        method=METHODS[method],
        steps=steps,
        trials=trials,
        seed=seed,
        store="network_and_trees.db",
        name=f"{model}, {method}, seed {seed}, {trials} trials",
        progress=False,
    )
    failed = sum(trial.status == "failed" for trial in done.trials)
    best, words = min(trial.value for trial in done.trials if trial.status == "done"), str(done.best)
    done.close()
    print(f"{done.name}: {best:.4f}, {failed} failed, {time.perf_counter() - began:.0f} s", flush=True)
    return best, words


def main(trials=60, seeds=5):
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")  # for the two processes, which start with this environment
    plan = [(model, name, seed) for seed in range(seeds) for model in MODELS for name in METHODS]
    with multiprocessing.get_context("spawn").Pool(2) as workers:
        answers = workers.starmap(study, [(*key, trials) for key in plan], chunksize=1)
    found = dict(zip(plan, answers, strict=True))
    for model in MODELS:
        losses = {name: [found[model, name, seed][0] for seed in range(seeds)] for name in METHODS}
        print(f"\n{model}: best validation loss of {trials} trials, mean of {seeds} seeds; less Bayes's, with 95 %")
        for name, row in losses.items():
            against = compare(row, losses["Bayes()"])
            low, high = against.interval
            effect = "" if name == "Bayes()" else f"  {against.effect:+.4f} [{low:+.4f}, {high:+.4f}]"
            print(f"  {name:<10} {np.mean(row):.4f}  {min(row):.4f} to {max(row):.4f}{effect}")
        print(f"  the best: {min(found[model, name, s] for name in METHODS for s in range(seeds))[1]}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
