"""Find mislabelled images: a weight for each training row, learned from the gradient of the validation loss.
Shows tunewell.hypergradient with a thousand hyperparameters inside one objective, and what the cleaning is worth.
100 of 1000 labels are wrong, 10 trials, about 15 seconds: python flipped_labels.py [TRIALS] [ROWS]
"""

import sys

import numpy as np
from sklearn.datasets import load_digits

import tunewell as tw
from tunewell.hypergradient import Logistic, implicit


def flipped(rows, rng):
    """Training rows of which a tenth has another label, and where; validation rows with their own."""
    x, y = load_digits(return_X_y=True)
    x, order = x / 16, rng.permutation(len(x))
    train, held = order[:rows], order[rows : rows + 400]
    wrong = rng.permutation(rows) < rows // 10
    labels = np.where(wrong, (y[train] + rng.integers(1, 10, rows)) % 10, y[train])
    return wrong, (x[train], labels, x[held], y[held])


def cleaned(model, alpha, steps=4):
    """Row weights that have descended along their gradients, and the model they lead to."""
    weights, found = np.ones(len(model.x)), None
    for _ in range(steps + 1):
        start = None if found is None else found.weights
        found = implicit(model, {"alpha": alpha, "weights": weights}, start=start, tolerance=1e-4, trust=None)
        slope = found.gradient["weights"]  # above 0: the validation loss would fall with less of this row
        weights = np.clip(weights - 0.3 * slope / np.quantile(np.abs(slope), 0.9), 0, 1)
    return weights, found


def main(trials=10, rows=1000):
    wrong, data = flipped(rows, np.random.default_rng(0))
    model = Logistic(*data, tolerance=1e-7)
    held = model.x_held

    def train(run):
        """One penalty: the thousand weights are learned inside."""
        _, found = cleaned(model, run.config["alpha"])
        scores = (held @ found.weights.reshape(held.shape[1], -1)).argmax(1)
        run.report(1, loss=found.loss, accuracy=float(np.mean(model.classes[scores] == data[3])))

    study = tw.tune(train, {"alpha": tw.Float(0.1, 30, log=True, default=1.0)}, minimize="loss", trials=trials, seed=0)
    print(study.best)
    _, found = cleaned(model, study.best.config["alpha"])
    suspects = model.training_losses(found.weights).argsort()[::-1][: wrong.sum()]
    print(f"of the {wrong.sum()} most suspect images {wrong[suspects].sum()} were mislabelled")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
