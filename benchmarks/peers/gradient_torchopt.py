"""TorchOpt's gradient of a validation loss by the penalty of each layer, through 50 steps of SGD in one graph.

Usage: gradient_torchopt.py ROUNDS. Prints one line of JSON: {"gradient": [...], "seconds": median}, CPU seconds. The
problem is drawn by NumPy, so that whoever compares has the same.
"""

import itertools
import json
import statistics
import sys
import time
from typing import Any

import numpy as np

SIZES = [64, 64, 64, 10]
STEPS = 50
LR = 0.1
MOMENTUM = 0.9
DECAY = [1e-3, 1e-3, 1e-3]


def batches() -> list[tuple[Any, Any]]:
    """Training and validation rows: inputs (500, 64) and labels (500,)."""
    rng = np.random.default_rng(0)
    truth = rng.standard_normal((64, 10))
    inputs = [rng.standard_normal((500, 64)) for _ in range(2)]
    return [(x, (x @ truth + 3 * rng.standard_normal((500, 10))).argmax(1)) for x in inputs]


def network(torch: Any, seed: int = 0) -> Any:
    """The network of benchmarks.gradient_problems."""
    rng = np.random.default_rng(seed)
    layers: list[Any] = []
    for into, out in itertools.pairwise(SIZES):
        layer = torch.nn.Linear(into, out).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(rng.standard_normal((out, into)) / np.sqrt(into)))
            layer.bias.zero_()
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def gradient(torch: Any, torchopt: Any) -> tuple[Any, float]:
    """One gradient."""
    from torch.nn.functional import cross_entropy

    module, decay = network(torch), torch.tensor(DECAY, dtype=torch.float64, requires_grad=True)
    (x, y), (x_held, y_held) = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in batches()]
    optimizer = torchopt.MetaSGD(module, lr=LR, momentum=MOMENTUM)
    start = time.process_time()
    for _ in range(STEPS):
        parts = [part for layer in module for part in layer._parameters.values()]
        penalty = sum(decay[place // 2] * part.square().sum() for place, part in enumerate(parts))
        optimizer.step(cross_entropy(module(x), y) + penalty)
    found = torch.autograd.grad(cross_entropy(module(x_held), y_held), decay)[0]
    return found, time.process_time() - start


def main() -> None:
    """Measure and print."""
    import torch
    import torchopt

    torch.set_num_threads(1)
    taken = [gradient(torch, torchopt) for _ in range(int(sys.argv[1]))]
    seconds = statistics.median(seconds for _, seconds in taken)
    print(json.dumps({"gradient": taken[0][0].tolist(), "seconds": seconds}))


if __name__ == "__main__":
    main()
