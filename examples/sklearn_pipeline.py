"""A scikit-learn pipeline: which scaler, which model, and the entries that only that model has.
Shows a conditional space, cross-validation inside the objective, and a test set that is read once, after the search.
30 trials on 2 workers, about 20 seconds: python sklearn_pipeline.py [TRIALS] [WORKERS]
"""

import sys

import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import RobustScaler, StandardScaler
from sklearn.svm import SVC

import tunewell as tw

SPACE = {
    "scaler": tw.Choice(["standard", "robust"]),
    "model": tw.Choice(
        {
            "svm": {"C": tw.Float(1e-2, 1e3, log=True), "gamma": tw.Float(1e-5, 1e-1, log=True)},
            "logistic": {"C": tw.Float(1e-4, 1e2, log=True)},
            "forest": {"depth": tw.Int(2, 12), "features": tw.Float(0.1, 1.0)},
        }
    ),
}
SCALERS = {"standard": StandardScaler, "robust": RobustScaler}


def build(config, seed):
    """The pipeline of a config: `C` is that of the chosen model, which is why the space may name it twice."""
    if config["model"] == "svm":
        model = SVC(C=config["C"], gamma=config["gamma"])
    elif config["model"] == "logistic":
        model = LogisticRegression(C=config["C"], max_iter=5000)
    else:
        model = RandomForestClassifier(
            50, max_depth=config["depth"], max_features=config["features"], random_state=seed
        )
    return make_pipeline(SCALERS[config["scaler"]](), model)


def train(run):
    """Five-fold cross-validation over all rows that are not sealed."""
    rows = run.data
    x = np.concatenate([rows.train.x, rows.validation.x])
    y = np.concatenate([rows.train.y, rows.validation.y])
    scores = cross_val_score(build(run.config, run.seed % 2**32), x, y, cv=5)
    return {"error": 1 - scores.mean(), "worst fold": 1 - scores.min()}


def test_error(best, sealed):
    """Called once: the winner, fitted to all open rows, on the sealed ones."""
    model = build(best.config, 0).fit(sealed.rest.x, sealed.rest.y)
    return 1 - model.score(sealed.test.x, sealed.test.y)


def main(trials=30, workers=2):
    x, y = load_breast_cancer(return_X_y=True)
    study = tw.tune(
        train,
        SPACE,
        minimize="error",
        trials=trials,
        executor=tw.Processes(workers, reuse=True),  # one import of scikit-learn a worker, not one a trial
        seed=0,
        data=tw.Split(x, y, stratify=True),
        test=test_error,
    )
    print(study.best)
    print(f"error on the sealed test rows, read once: {study.readings[0].score:.4f}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
