"""Two goals of a classifier: its error, and how long it takes to answer, both measured.
Shows several goals, what dominates what, and three ways to take one config of the front.
80 trials on 1 worker, so that nothing disturbs the clock, about 60 seconds: python accuracy_and_latency.py [TRIALS]
"""

import statistics
import sys
import time

from sklearn.datasets import load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

import tunewell as tw

SPACE = {
    "model": tw.Choice(
        {
            "logistic": {"C": tw.Float(1e-4, 1e2, log=True)},
            "neighbours": {"k": tw.Int(1, 20)},
            "svm": {"C": tw.Float(1e-2, 1e3, log=True), "gamma": tw.Float(1e-6, 1e-1, log=True)},
            "forest": {"trees": tw.Int(1, 200, log=True), "depth": tw.Int(2, 16)},
        }
    )
}
X, X_LATER, Y, Y_LATER = train_test_split(*load_digits(return_X_y=True), test_size=0.4, random_state=0)


def build(config, seed):
    """The classifier of a config."""
    kind, rest = config["model"], {name: value for name, value in config.items() if name != "model"}
    if kind == "logistic":
        return LogisticRegression(max_iter=3000, **rest)
    if kind == "neighbours":
        return KNeighborsClassifier(rest["k"])
    if kind == "svm":
        return SVC(**rest)
    return RandomForestClassifier(rest["trees"], max_depth=rest["depth"], random_state=seed)


def train(run):
    """The error on rows that the model did not see, and the median time of ten answers to 100 rows, in ms."""
    model = build(run.config, run.seed % 2**32).fit(X, Y)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        model.predict(X_LATER[:100])
        seconds.append(time.perf_counter() - start)
    return {"error": 1 - model.score(X_LATER, Y_LATER), "latency": 1e3 * statistics.median(seconds)}


def main(trials=80):
    """Returns the study."""
    study = tw.tune(train, SPACE, minimize=["error", "latency"], trials=trials, seed=0)
    front = study.pareto
    print(front)
    print("the knee:", front.knee)
    print("if errors count five times as much:", front.weighted({"error": 5}))
    print("the fastest:", front.best("latency"))
    return study


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:]))
