"""The problems of `benchmarks/gradient.py`: ridge regression, digits, flipped labels; networks only where asked for."""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, np.dtype[np.float64]]


def regression(rows: int = 80, features: int = 20, held: int = 40, seed: int = 0) -> tuple[Any, ...]:
    """Training, validation and test rows of a linear model, of which every other feature carries nothing."""
    rng = np.random.default_rng(seed)
    truth = rng.standard_normal(features) * (np.arange(features) % 2)

    def draw(count: int) -> tuple[Array, Array]:
        x = rng.standard_normal((count, features))
        return x, x @ truth + 0.5 * np.sqrt(features / 2) * rng.standard_normal(count)

    return draw(rows), draw(held), draw(1000)


def digits(train: int, held: int, seed: int) -> tuple[Any, ...]:
    """Images (n, 64) of digits in [0, 1] and their labels: for training, for validation, and the rest as a test."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    order = np.random.default_rng(seed).permutation(len(x))
    parts = np.split(order, [train, train + held])
    return tuple((x[part] / 16.0, y[part]) for part in parts)


@dataclass(frozen=True)
class Flipped:
    """Digits of which a tenth of the training labels is wrong: where (n,), and the rows."""

    where: np.ndarray[Any, np.dtype[np.bool_]]
    train: tuple[Array, Any]
    held: tuple[Array, Any]


def flipped(seed: int) -> Flipped:
    """1000 training rows, 100 of them with another label; 400 validation rows with their own."""
    (x, y), held, _ = digits(1000, 400, seed)
    rng = np.random.default_rng([seed, 1])
    where = np.zeros(len(y), dtype=bool)
    where[rng.choice(len(y), len(y) // 10, replace=False)] = True
    wrong = np.where(where, (y + rng.integers(1, 10, len(y))) % 10, y)
    return Flipped(where, (x, wrong), held)


def area(score: Array, positive: np.ndarray[Any, np.dtype[np.bool_]]) -> float:
    """The area under the ROC curve of a score (n,) that is high where `positive`."""
    order = score.argsort(kind="stable").argsort(kind="stable") + 1.0
    count = int(positive.sum())
    return float((order[positive].sum() - count * (count + 1) / 2) / (count * (len(score) - count)))


def network(sizes: list[int], seed: int = 0) -> Any:
    """A perceptron of tanh in double precision, whose weights NumPy draws, the same wherever it runs."""
    import torch

    rng = np.random.default_rng(seed)
    layers: list[Any] = []
    for into, out in itertools.pairwise(sizes):
        layer = torch.nn.Linear(into, out).double()
        with torch.no_grad():
            layer.weight.copy_(torch.from_numpy(rng.standard_normal((out, into)) / np.sqrt(into)))
            layer.bias.zero_()
        layers += [layer, torch.nn.Tanh()]
    return torch.nn.Sequential(*layers[:-1])


def trained(sizes: list[int], train: Any, held: Any, *, seed: int = 0, **settings: Any) -> Any:
    """A `Training` of such a network, with a penalty on the squared weights of each layer."""
    import torch
    from torch.func import functional_call
    from torch.nn.functional import cross_entropy

    from tunewell.hypergradient import Training

    module = network(sizes, seed)

    def val_loss(params: Any, batch: Any) -> Any:
        return cross_entropy(functional_call(module, params, batch[0], tie_weights=False), batch[1])

    def train_loss(params: Any, hparams: Any, batch: Any) -> Any:
        decay = sum(hparams["decay"][place // 2] * part.square().sum() for place, part in enumerate(params.values()))
        return val_loss(params, batch) + decay

    batches = [(torch.from_numpy(x), torch.from_numpy(y)) for x, y in (train, held)]
    return Training(module, train_loss, val_loss, *batches, seed=seed, **settings)
