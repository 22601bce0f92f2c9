"""The differentiable relaxation on images of digits: the cell that it derives, trained alone, beside random cells; and
whether its known failure, a cell of skip connections, is noticed.
"""

from collections.abc import Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.nas_digits import example
from tunewell.demo import digits
from tunewell.space import Config

WIDTH, BATCH = 12, 64
SEEDS = 3
EPOCHS = 6
"""Of a cell that is trained alone."""


class Relaxation(NamedTuple):
    """What a search came to: the entries of the cell, what is said of it, and the curvature after each epoch."""

    config: Config
    said: str | None
    curvatures: list[float]


@cache
def alone(count: int, epochs: int) -> tw.Study:
    """Random cells of one width on digits, each trained alone."""
    space = {"cell": example().SPACE["cell"], "width": WIDTH, "lr": 1e-2}
    return tw.tune(
        example().train,
        space,
        minimize="loss",
        method=tw.Unique(tw.Random()),
        steps=epochs,
        trials=count,
        data=digits(),
        progress=False,
    )


def relaxed(epochs: int, seed: int, rows: int | None = None, rate: float = 3e-3) -> Relaxation:
    """A search with half of the rows for the weights, or so many, and the other half for the architecture."""
    import torch
    from torch.nn.functional import cross_entropy

    from tunewell.architecture import Relaxed, alternate, curvature

    torch.manual_seed(seed)
    shape = Relaxed(example().SPACE["cell"])
    network = mixed(shape)
    x, y = open_rows()
    order = torch.randperm(len(x))
    ours, held = order[: rows or len(x) // 2], order[len(x) // 2 :]
    weights = torch.optim.SGD(network.parameters(), 0.025, momentum=0.9, weight_decay=3e-4)
    other, found = torch.optim.Adam(shape.parameters(), rate, betas=(0.5, 0.999), weight_decay=1e-3), []

    def loss(some: Any) -> Any:
        return cross_entropy(network(x[some]), y[some])

    for _ in range(epochs):
        for batch in ours[torch.randperm(len(ours))].split(BATCH):
            look = held[torch.randint(len(held), (BATCH,))]
            alternate(weights, partial(loss, batch), other, partial(loss, look))
        found.append(curvature(loss(held[: 2 * BATCH]), shape))
    return Relaxation(shape.config("cell"), shape.collapse(), found)


def mixed(shape: Any) -> Any:
    """The network of the example with mixtures in its two cells."""
    from torch import nn

    makers = {name: partial(make, WIDTH) for name, make in example().OPERATIONS.items() if make}
    stem = nn.Sequential(nn.Conv2d(1, WIDTH, 3, padding=1), nn.BatchNorm2d(WIDTH))
    head = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(4 * WIDTH, 10))
    return nn.Sequential(stem, shape.module(makers), nn.MaxPool2d(2), shape.module(makers), head)


@cache
def open_rows() -> tuple[Any, Any]:
    """The images and labels that are not sealed."""
    data = digits()
    return example().images(data.rows.take(data.pair()[0]))  # type: ignore[no-any-return]


def loss_alone(config: Config, epochs: int) -> float:
    """The validation loss of a derived cell that is trained alone, as the random ones were."""
    space = {**config, "width": WIDTH, "lr": 1e-2}
    study = tw.tune(
        example().train,
        space,
        minimize="loss",
        steps=epochs,
        trials=1,
        data=digits(),
        progress=False,
        method=tw.Random(),
    )
    return study.trials[0].value


@figure("digits, relaxation of a cell: loss of the derived cell beside the median random one", target="<= 1 x peer")
def derived(quick: bool) -> Iterator[Row]:
    """Trained alone. The same search on few rows and for long, so that it overfits: how many edges become skips."""
    import torch

    torch.set_num_threads(1)
    count, epochs, search = (3, 1, 1) if quick else (30, EPOCHS, 15)
    losses = np.array([trial.value for trial in alone(count, epochs).trials])
    for seed in range(1 if quick else SEEDS):
        found = relaxed(search, seed)
        loss = loss_alone(found.config, epochs)
        better = 100 * float((losses < loss).mean())
        told = f"digits, relaxation, seed {seed}, {search} epochs, collapsed: {'yes' if found.said else 'no'}"
        yield Row(loss, float(np.median(losses)), f"{told}; {better:.0f} % of {count} random cells are better")
