"""Small networks trained for real, in NumPy: what the divergence detector is developed on and judged by.

The data are those that come with scikit-learn. A network is a list of arrays and a function of them, differentiated by
a tape; `train` gives the loss of each minibatch, as a training loop reports it, and the loss of all rows before and
after, by which it is decided whether the run diverged: the detector never sees that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Any

import numpy as np

Array = Any

# --- a tape ----------------------------------------------------------------------------------------------------------


class Node:
    """An array, and how its gradient reaches those that it was made of."""

    def __init__(self, value: Array, back: Sequence[tuple[Node, Callable[[Array], Array]]] = ()) -> None:
        self.value = value
        self.back = back
        self.gradient: Array = 0.0

    def __add__(self, other: Node) -> Node:
        pairs = [(each, lambda g, shape=each.value.shape: _summed(g, shape)) for each in (self, other)]
        return Node(self.value + other.value, pairs)

    def __matmul__(self, other: Node) -> Node:
        left = (self, lambda g: g @ other.value.T)
        right = (other, lambda g: _flat(self.value).T @ _flat(g))
        return Node(self.value @ other.value, [left, right])

    def map(self, value: Array, slope: Array) -> Node:
        """A function of each element, by its values and its slopes."""
        return Node(value, [(self, lambda g: g * slope)])

    def reshape(self, *shape: int) -> Node:
        """The same elements."""
        return Node(self.value.reshape(shape), [(self, lambda g: g.reshape(self.value.shape))])


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """A gradient summed over the axes that were broadcast."""
    if gradient.shape == shape:
        return gradient
    return gradient.sum(tuple(range(gradient.ndim - len(shape)))).reshape(shape)


def _flat(value: Array) -> Array:
    return value.reshape(-1, value.shape[-1])


def backward(loss: Node) -> None:
    """The gradient of a loss, in every node that it was made of."""
    order: list[Node] = []
    seen: set[int] = set()

    def visit(node: Node) -> None:
        if id(node) not in seen:
            seen.add(id(node))
            for parent, _ in node.back:
                visit(parent)
            order.append(node)

    visit(loss)
    loss.gradient = 1.0
    for node in reversed(order):
        for parent, pull in node.back:
            parent.gradient = parent.gradient + pull(node.gradient)


def relu(x: Node) -> Node:
    """max(x, 0)."""
    return x.map(np.maximum(x.value, 0.0), x.value > 0)


def tanh(x: Node) -> Node:
    """The hyperbolic tangent."""
    value = np.tanh(x.value)
    return x.map(value, 1 - value**2)


def swish(x: Node) -> Node:
    """x times its sigmoid."""
    gate = 0.5 * (1 + np.tanh(0.5 * x.value))
    return x.map(x.value * gate, gate * (1 + x.value * (1 - gate)))


def cross_entropy(scores: Node, labels: Array) -> Node:
    """The mean negative log likelihood of the labels (n,)."""
    shifted = scores.value - scores.value.max(1, keepdims=True)
    logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    rows = np.arange(len(labels))
    towards = np.exp(logs)
    towards[rows, labels] -= 1.0
    return Node(-logs[rows, labels].mean(), [(scores, lambda g: g * towards / len(labels))])


def squared(found: Node, wanted: Array) -> Node:
    """The mean squared error."""
    gap = found.value - wanted.reshape(found.value.shape)
    return Node((gap**2).mean(), [(found, lambda g: g * 2 * gap / gap.size)])


# --- networks --------------------------------------------------------------------------------------------------------

Weights = list[Array]
Forward = Callable[[list[Node], Array], Node]


def dense(rng: np.random.Generator, *widths: int) -> Weights:
    """The matrices and biases of layers of these widths."""
    found: Weights = []
    for before, after in pairwise(widths):
        found += [rng.standard_normal((before, after)) * (1.5 / before) ** 0.5, np.zeros(after)]
    return found


def perceptron(bend: Callable[[Node], Node]) -> Forward:
    """Dense layers with `bend` between them."""

    def forward(weights: list[Node], x: Array) -> Node:
        found = Node(x)
        for place in range(0, len(weights), 2):
            found = found @ weights[place] + weights[place + 1]
            found = bend(found) if place + 2 < len(weights) else found
        return found

    return forward


def residual(weights: list[Node], x: Array) -> Node:
    """Blocks that add to what they get."""
    found = Node(x) @ weights[0] + weights[1]
    for place in range(2, len(weights) - 2, 2):
        found = found + swish(found @ weights[place] + weights[place + 1])
    return found @ weights[-2] + weights[-1]


def recurrent(weights: list[Node], x: Array) -> Node:
    """The rows of a picture, one after the other."""
    state = Node(np.zeros((len(x), weights[1].value.shape[0])))
    for row in np.moveaxis(x.reshape(len(x), 8, 8), 1, 0):
        state = tanh(Node(row) @ weights[0] + (state @ weights[2] + weights[1]))
    return state @ weights[4] + weights[5]


_PATCHES = np.array([[8 * (r + i) + c + j for i in range(3) for j in range(3)] for r in range(6) for c in range(6)])


def convolutional(weights: list[Node], x: Array) -> Node:
    """One layer of 3 x 3 filters, and a dense one."""
    found = relu(Node(x[:, _PATCHES]) @ weights[0] + weights[1])
    return found.reshape(len(x), -1) @ weights[2] + weights[3]


@dataclass(frozen=True)
class Task:
    """A network on data, trained by an optimizer."""

    network: str
    data: str
    optimizer: str
    width: int = 32
    depth: int = 2
    batch: int = 32


@cache
def rows_of(name: str) -> tuple[Array, Array, int]:
    """Inputs (n, d) of unit variance, the targets, and the number of classes; 0 for a regression."""
    from sklearn import datasets

    x, y = getattr(datasets, f"load_{name}")(return_X_y=True)
    if name == "linnerud":
        y = y[:, 0]
    spread = x.std(0)
    x = (x - x.mean(0)) / np.where(spread > 0, spread, 1.0)
    classes = 0 if name in ("diabetes", "linnerud") else int(y.max()) + 1
    return x, y if classes else (y - y.mean()) / y.std(), classes


def built(task: Task, rng: np.random.Generator) -> tuple[Weights, Forward]:
    """The network of a task, as it starts."""
    x, _, classes = rows_of(task.data)
    inside, outside = x.shape[1], classes or 1
    hidden = [task.width] * task.depth
    if task.network == "linear":
        return dense(rng, inside, outside), perceptron(relu)
    if task.network == "autoencoder":
        return dense(rng, inside, task.width, 8, task.width, inside), perceptron(tanh)
    if task.network == "residual":
        return dense(rng, inside, *hidden, task.width, outside), residual
    if task.network == "recurrent":
        return dense(rng, 8, task.width, task.width)[:4] + dense(rng, task.width, outside), recurrent
    if task.network == "convolutional":
        return dense(rng, 9, 8) + dense(rng, 36 * 8, outside), convolutional
    return dense(rng, inside, *hidden, outside), perceptron({"relu": relu, "tanh": tanh, "swish": swish}[task.network])


def loss_of(task: Task, forward: Forward, weights: list[Node], x: Array, y: Array) -> Node:
    """The loss of a network on rows."""
    found = forward(weights, x)
    if task.network == "autoencoder":
        return squared(found, x)
    return cross_entropy(found, y) if rows_of(task.data)[2] else squared(found, y)


# --- optimizers ------------------------------------------------------------------------------------------------------


def updated(kind: str, weight: Array, gradient: Array, state: dict[str, Array], rate: float, step: int) -> Array:
    """A weight after one step; `state` is the optimizer's own."""
    if kind in ("adam", "adamw", "rmsprop"):
        first = 0.0 if kind == "rmsprop" else 0.9
        state["m"] = first * state.get("m", 0.0) + (1 - first) * gradient
        state["v"] = 0.99 * state.get("v", 0.0) + 0.01 * gradient**2
        towards = state["m"] / (1 - first**step) / (np.sqrt(state["v"] / (1 - 0.99**step)) + 1e-8)
        return weight - rate * (towards + (0.01 * weight if kind == "adamw" else 0.0))
    if kind == "adagrad":
        state["v"] = state.get("v", 0.0) + gradient**2
        return weight - rate * gradient / (np.sqrt(state["v"]) + 1e-8)
    if kind in ("momentum", "nesterov"):
        state["m"] = 0.9 * state.get("m", 0.0) + gradient
        return weight - rate * (state["m"] if kind == "momentum" else gradient + 0.9 * state["m"])
    return weight - rate * gradient


EVERY = 10
"""Steps between two looks at the loss of all rows."""


@dataclass(frozen=True)
class Trained:
    """The loss of each minibatch, in order; and that of all rows, at the start and every tenth step."""

    curve: list[float]
    before: float
    looks: list[float]

    @property
    def diverged(self) -> bool:
        """Whether all rows say that the network is worse than it began, for the whole later half of the training."""
        return not any(look <= self.before for look in self._later())

    @property
    def onset(self) -> int:
        """The last look, as a step, at which it was not worse; 0 where it always was."""
        return EVERY * max((place for place, look in enumerate(self.looks, 1) if look <= self.before), default=0)

    @property
    def healthy(self) -> bool:
        """Whether a tenth of the loss of all rows is gone in the end, at least, and for most of the later half."""
        return self.looks[-1] <= 0.9 * self.before and float(np.median(self._later())) <= 0.9 * self.before

    @property
    def stable(self) -> bool:
        """Whether it is healthy and was never worse than at the start."""
        return self.healthy and all(look <= self.before for look in self.looks)

    def _later(self) -> list[float]:
        return self.looks[len(self.looks) // 2 :]


def train(
    task: Task, rate: Callable[[int], float], steps: int, seed: int, shocks: Sequence[tuple[int, str, float]] = ()
) -> Trained:
    """Train; `rate(step)` is the learning rate, `shocks` are bad batches: (step, "scale" or "labels", how much)."""
    rng = np.random.default_rng([seed, 77])
    x, y, _ = rows_of(task.data)
    weights, forward = built(task, rng)
    states: list[dict[str, Array]] = [{} for _ in weights]
    bad = {step: (what, size) for step, what, size in shocks}
    with np.errstate(all="ignore"):
        before, curve, looks = whole(task, forward, weights), [], []
        for step in range(1, steps + 1):
            rows = rng.integers(len(x), size=task.batch)
            inputs, targets = _shocked(x[rows], y[rows], bad.get(step), rng)
            nodes = [Node(weight) for weight in weights]
            loss = loss_of(task, forward, nodes, inputs, targets)
            curve.append(float(loss.value))
            backward(loss)
            for place, node in enumerate(nodes):
                gradient = np.broadcast_to(node.gradient, node.value.shape)
                weights[place] = updated(task.optimizer, node.value, gradient, states[place], rate(step), step)
            if step % EVERY == 0:
                looks.append(whole(task, forward, weights))
        return Trained(curve, before, looks)


def _shocked(x: Array, y: Array, shock: tuple[str, float] | None, rng: np.random.Generator) -> tuple[Array, Array]:
    if shock is None:
        return x, y
    what, size = shock
    return (x * size, y) if what == "scale" else (x, rng.permutation(y))


def whole(task: Task, forward: Forward, weights: Weights) -> float:
    """The loss of all rows."""
    x, y, _ = rows_of(task.data)
    with np.errstate(all="ignore"):
        return float(loss_of(task, forward, [Node(weight) for weight in weights], x, y).value)


# --- what is stable --------------------------------------------------------------------------------------------------


def constant(rate: float) -> Callable[[int], float]:
    """The same rate at every step."""
    return lambda step: rate


@cache
def stable_rate(task: Task, steps: int = 200) -> float:
    """The largest learning rate, in steps of a factor of two, with which three seeds train without ever getting worse
    than they began.
    """
    found, rate = 0.0, 1e-4
    while rate < 100 and not (found and rate > 2 * found):
        if all(train(task, constant(rate), steps, seed).stable for seed in (1001, 1002, 1003)):
            found = rate
        rate *= 2
    return found
