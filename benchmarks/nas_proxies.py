"""Scores of untrained networks beside training, and beside the number of parameters: on the cells of NAS-Bench-201,
whose accuracies on CIFAR-10 are known, and on cells that are trained here, on images of digits.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.nas_digits import example
from benchmarks.nas_relaxed import EPOCHS, alone
from tunewell.contract.methods import new_study, propose
from tunewell.demo import digits
from tunewell.space import Config
from tunewell.study import Result

BATCH = 32
"""So many inputs a score looks at."""
NODES = 4


def proxies(network: Callable[[Config], Any], batch: Any) -> dict[str, Callable[[Config], float]]:
    """Each score as a function of a config; the weights are the same for the same config."""
    import torch

    from tunewell.architecture import jacobian_covariance, naswot, operations, parameters, synflow

    def fresh(score: Callable[[Any], float]) -> Callable[[Config], float]:
        def scored(config: Config) -> float:
            torch.manual_seed(0)
            return score(network(config))

        return scored

    return {
        "parameters": fresh(lambda net: float(parameters(net))),
        "operations": fresh(lambda net: float(operations(net, batch[:1]))),
        "synflow": fresh(lambda net: synflow(net, batch[:1])),
        "naswot": fresh(lambda net: naswot(net, batch)),
        "jacobian covariance": fresh(lambda net: jacobian_covariance(net, batch)),
    }


def rows(study: tw.Study, scores: Mapping[str, Callable[[Config], float]], told: str) -> Iterator[Row]:
    """The rank correlation of each score, beside that of the number of parameters; what it gains at least."""
    from tunewell.architecture import standings

    found = {standing.name: standing for standing in standings(study, scores)}
    rival = found["parameters"].correlation
    for name in scores:
        standing = found[name]
        low, high = standing.interval
        said = f"{told}, {name} [{low:.2f}, {high:.2f}]: rank correlation, beside the number of parameters'"
        yield Row(standing.correlation, rival, said)
        if name != "parameters":
            yield Row(standing.gain[0], None, f"{told}, {name}: what it gains by that at least (95 %)")


# --- NAS-Bench-201 ---------------------------------------------------------------------------------------------------


@figure("NAS-Bench-201, scores of untrained cells: rank correlation with the accuracy", target="")
def correlations(quick: bool) -> Iterator[Row]:
    """Random cells of the table, each in a small network of three cells that looks at noise; 40 s."""
    import torch

    torch.set_num_threads(1)
    study = looked_up(8 if quick else 300)
    batch = torch.randn(BATCH, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    yield from rows(study, proxies(cifar_network, batch), f"NAS-Bench-201, {len(study.trials)} cells, noise")


def looked_up(count: int) -> tw.Study:
    """Random cells with their accuracies."""
    from benchmarks.nas import architectures

    space, accuracy = architectures()

    def look(run: tw.Run) -> float:
        return float(accuracy[tuple((space.encode(run.config) * accuracy.shape).astype(int))])

    return tw.tune(look, space, maximize="accuracy", method=tw.Unique(tw.Random()), trials=count, progress=False)


def cifar_network(config: Config) -> Any:
    """The network of the table, smaller: three cells of 8, 16 and 32 channels, each at half the resolution."""
    from torch import nn

    widths, layers = (8, 16, 32), [nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)]
    for width, before in zip(widths, (8, *widths), strict=False):
        layers += [nn.Conv2d(before, width, 3, 1 if width == before else 2, 1, bias=False), nn.BatchNorm2d(width)]
        layers.append(cell(config, width))
    return nn.Sequential(
        *layers, nn.BatchNorm2d(32), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(32, 10)
    )


def cell(config: Config, width: int) -> Any:
    """One cell; the entries of the table are its edges in the order of `Cell`."""
    from torch import nn

    from tunewell.architecture import CellNetwork

    structure = tw.Cell(NODES, ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"])
    values = zip(structure.parts("cell"), config.values(), strict=True)
    makers = {
        "skip_connect": nn.Identity,
        "nor_conv_1x1": partial(convolution, width, 1),
        "nor_conv_3x3": partial(convolution, width, 3),
        "avg_pool_3x3": partial(nn.AvgPool2d, 3, 1, 1, count_include_pad=False),
    }
    return CellNetwork(structure.graph("cell", dict(values)), NODES, makers)


def convolution(width: int, size: int) -> Any:
    """The table's operation: what is negative is cut, then comes the convolution, then the normalization."""
    from torch import nn

    made = nn.Conv2d(width, width, size, padding=size // 2, bias=False)
    return nn.Sequential(nn.ReLU(), made, nn.BatchNorm2d(width))


# --- digits ----------------------------------------------------------------------------------------------------------


@figure("digits, scores of untrained cells: rank correlation with the loss of trainings", target="")
def trained(quick: bool) -> Iterator[Row]:
    """Cells of one width, trained alone; the scores look at images that training sees."""
    import torch

    torch.set_num_threads(1)
    count, epochs = (8, 1) if quick else (30, EPOCHS)
    study, data = alone(count, epochs), digits()
    images = torch.as_tensor(data.rows.x[data.pair()[0][:BATCH]]).view(-1, 1, 8, 8)
    told = f"digits, {count} cells, {epochs} epochs alone"
    yield from rows(study, proxies(example().network, images), told)


# --- as a first rung -------------------------------------------------------------------------------------------------

TRAININGS = 50
"""After so many trainings regret is compared."""


@figure("NAS-Bench-201, a score as the first of two rungs: mean regret after 50 trainings", target="", unit="points")
def first_rung(quick: bool) -> Iterator[Row]:
    """`ASHA` asks for the score of each cell and for the training of the best third; the peer trains each. The number
    of parameters, the same reversed, and chance: what misleads costs until the guard switches it off. Four minutes.
    """
    chance = np.random.default_rng(0).random(5**6)
    scores: dict[str, Callable[[Any], float]] = {
        "parameters": weight,
        "parameters reversed": lambda options: -weight(options),
        "chance": lambda options: float(chance[int(options @ 5 ** np.arange(6))]),
    }
    plans: list[tuple[tw.Method, str, int, list[str]]] = [
        (tw.Random(), "Random()", 2 if quick else 40, list(scores)),
        (tw.Bayes(), "Bayes()", 1 if quick else 20, ["parameters"]),
    ]
    for source, name, seeds, names in plans:
        plain = float(np.mean([trained_by(source, None, seed) for seed in range(seeds)]))
        for told in names:
            left = float(np.mean([trained_by(tw.ASHA(source), scores[told], seed) for seed in range(seeds)]))
            yield Row(left, plain, f"NAS-Bench-201, {seeds} seeds, ASHA({name}), first rung {told}, beside {name}")


def weight(options: Any) -> float:
    """The parameters of a cell, by the numbers of its operations: 9 for each convolution 3x3, 1 for each 1x1."""
    return float(9 * (options == 3).sum() + (options == 2).sum())


def trained_by(method: tw.Method, score: Callable[[Any], float] | None, seed: int) -> float:
    """What is left to the best accuracy after so many trainings; scores are jobs that end at step 1 of 3."""
    from benchmarks.nas import architectures

    space, accuracy = architectures()
    study, trainings, best = new_study(space, seed=seed, steps=1 if score is None else 3), 0, 0.0
    while trainings < TRAININGS:
        proposed = propose(method, study)
        assert proposed is not None
        job = study.start(proposed)
        study.commit(job)
        options = (space.encode(job.config) * accuracy.shape).astype(int)
        if score is not None and job.until == 1:
            loss = -score(options)
        else:
            trainings, loss = trainings + 1, -float(accuracy[tuple(options)])
            best = max(best, -loss)
        study.commit(Result(job.id, "done", {"loss": loss}, step=job.until))
    return float(accuracy.max() - best)
