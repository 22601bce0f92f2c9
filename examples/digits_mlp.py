"""A neural network on images of handwritten digits: epochs as steps, checkpoints, and two worker processes.
Shows run.steps(), report(save=...), a study that goes on when you start the program again, and the winner's weights.
16 trials of 12 epochs, about 15 seconds: python digits_mlp.py [TRIALS] [EPOCHS]
"""

import sys

import numpy as np

import tunewell as tw
from tunewell.demo import Perceptron, digits

SPACE = {
    "lr": tw.Float(1e-4, 1e-1, log=True, default=1e-3),
    "layers": tw.Int(1, 3),
    "units": tw.Int(16, 128, log=True),
    "batch": tw.Ordinal([32, 64, 128, 256]),
    "weight_decay": tw.Float(1e-6, 1e-1, log=True),
}


def train(run):
    """One network. After an interruption it goes on from its last checkpoint."""
    rows, held, config = run.data.train, run.data.validation, run.config
    if run.checkpoint:
        network = Perceptron.load(run.checkpoint)
    else:
        network = Perceptron([64, *[config["units"]] * config["layers"], 10], run.seed)
    for epoch in run.steps():
        network.epoch(rows.x, rows.y, config, np.random.default_rng([run.seed, epoch]))
        loss, accuracy = network.score(held.x, held.y)
        run.report(epoch, loss=loss, accuracy=accuracy, save=network.save)


def test_accuracy(best, sealed):
    """The winner's own weights on the sealed images."""
    _, accuracy = Perceptron.load(best.checkpoint).score(sealed.test.x, sealed.test.y)
    return {"accuracy": accuracy}  # by name, for the goal is the loss


def main(trials=16, epochs=12):
    study = tw.tune(
        train,
        SPACE,
        minimize=tw.Goal("loss", over="best"),
        method=tw.Then(tw.Take(8, tw.Sobol()), tw.Random()),
        steps=tw.Steps(1, epochs, unit="epochs"),
        trials=trials,
        executor=tw.Processes(2, reuse=True),
        store="digits.db",
        seed=0,
        data=digits(),
        test=test_accuracy,
        save_every=1.0,
    )
    print(study.best)
    print(f"accuracy on the sealed images, read once: {study.readings[0].score:.4f}")
    print(f"its weights: {study.best.checkpoint}")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
