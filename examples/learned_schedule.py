"""A learning rate for each step of a real network, learned by forward mode and written as a schedule.
Shows Training, a gradient by 40 learning rates at once, and tunewell.Schedule that trains with them again.
Needs PyTorch; 15 steps along the gradient, about 30 seconds: python learned_schedule.py [DESCENTS] [STEPS]
"""

import sys

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch.func import functional_call
from torch.nn.functional import cross_entropy

import tunewell as tw
from tunewell.hypergradient import SGD, Training, differentiate


def problem(steps):
    """A network on digits, and its losses as functions of its parameters."""
    torch.manual_seed(0)
    x, y = load_digits(return_X_y=True)
    x, y = torch.tensor(x / 16), torch.tensor(y)
    net = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.Tanh(), torch.nn.Linear(32, 10)).double()

    def train_loss(params, hparams, batch):
        return cross_entropy(functional_call(net, params, batch[0]), batch[1])

    def val_loss(params, batch):
        return cross_entropy(functional_call(net, params, batch[0]), batch[1])

    return Training(net, train_loss, val_loss, (x[:800], y[:800]), (x[800:1300], y[800:1300]),
                    optimizer=SGD("lr", momentum=0.8), steps=steps, batch=100)  # fmt: skip


def learned(training, rates, descents):
    """The rates after some steps of Adam on their logarithms."""
    logs, mean, square = np.log(rates), 0.0, 0.0
    for number in range(1, descents + 1):
        found = differentiate(training, {"lr": np.exp(logs)}, way="forward")
        slope = found.gradient["lr"] * np.exp(logs)
        mean, square = 0.8 * mean + 0.2 * slope, 0.95 * square + 0.05 * slope**2
        fair = mean / (1 - 0.8**number) / np.sqrt(square / (1 - 0.95**number) + 1e-16)
        print(f"descent {number}: validation loss {found.loss:.4f}, rates from {np.exp(logs[0]):.3f} "
              f"to {np.exp(logs[-1]):.3f}")  # fmt: skip
        logs = np.clip(logs - 0.2 * fair, np.log(1e-3), np.log(2.0))
    return np.exp(logs)


def main(descents=15, steps=40):
    training = problem(steps)
    rates = learned(training, np.full(steps, 0.1), descents)
    schedule = tw.Schedule([(step, {"lr": float(rate)}) for step, rate in enumerate(rates)])

    def train(run):
        """The same network, a step at a time, with whatever rate the study says."""
        state = training.optimizer.begin(training.begin)
        if run.checkpoint:
            state = tuple(torch.load(run.checkpoint / "state.pt", weights_only=True))
        for step in run.steps():
            values = training.values({"lr": run.config["lr"]})
            with torch.no_grad():
                state = training.step(state, values, step - 1)
            save = lambda folder, now=state: torch.save(list(now), folder / "state.pt")  # noqa: E731
            run.report(step, loss=training.val_loss(state[0]).item(), save=save)

    space = {"lr": tw.Float(1e-3, 2.0, log=True)}
    settings = {"minimize": "loss", "steps": steps, "progress": False}
    again = tw.tune(train, space, trials=1, method=schedule, **settings)
    fixed = tw.tune(train, space, trials=15, method=tw.Grid(levels=15), **settings)
    last = max(again.results)
    print(f"trial of the learned schedule: {again.results[last].metrics['loss']:.4f}, the best of 15 constant rates: "
          f"{fixed.best.value:.4f}")  # fmt: skip


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
