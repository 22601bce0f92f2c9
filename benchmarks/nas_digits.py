"""A real architecture search: the cell of a convolutional network on images of digits, examples/architecture_digits.py,
beside random search and beside a network that a person would draw, at equal epochs.
"""

import functools
import importlib
import logging
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from tunewell.space import Config

FRESH = 10
"""A winner is trained once more with so many seeds, on all rows that are not sealed: its accuracy is their mean. A seed
is worth 0.5 %, more than two good networks differ by, so that each study has seeds of its own.
"""
RESIDUAL = dict.fromkeys(["cell.0-2", "cell.1-2", "cell.2-3"], "none") | {"cell.0-1": "conv3", "cell.1-3": "conv3"}
"""What a person would draw: the residual block of ResNet, two convolutions and a way around them."""
RATES = (3e-3, 1e-2, 3e-2)


class Winner(NamedTuple):
    """The best config of a study, its test accuracy in percent, and how many parameters it has."""

    config: Config
    accuracy: float
    parameters: int


@functools.cache
def example() -> Any:
    """The example as a module."""
    folder_of_examples()
    return importlib.import_module("architecture_digits")


@functools.cache
def folder_of_examples() -> None:
    """Examples can be imported from now on."""
    sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "examples"))


def fitted_again(best: tw.Best, sealed: tw.Sealed, epochs: int, study: int) -> float:
    """The accuracy on the sealed rows of a config that is trained from nothing on all others, the mean of some seeds of
    the study of that number.
    """
    import torch

    ours, found = example(), []
    (x, y), test = ours.images(sealed.rest), ours.images(sealed.test)
    for seed in range(FRESH * study, FRESH * (study + 1)):
        torch.manual_seed(seed)
        parts, generator = ours.training(best.config, epochs), torch.Generator()
        for number in range(epochs):
            ours.epoch(*parts.values(), x, y, generator.manual_seed(1000 * seed + number))
        found.append(ours.score(parts["model"], *test)[1])
    return float(np.mean(found))


def winner(runs: int, epochs: int, method: tw.Method | None, seed: int, **settings: Any) -> Winner:
    """Of one study; the seed gives the same sealed rows to each of them."""
    logging.getLogger("tunewell").setLevel(logging.ERROR)  # the score is an accuracy, the goal a loss
    test = functools.partial(fitted_again, epochs=epochs, study=seed)
    with tempfile.TemporaryDirectory() as folder:
        store = f"sqlite:///{folder}/study.db"
        study = example().search(runs, epochs, method, seed, test=test, store=store, progress=False, **settings)
        score = study.readings[0].score
        assert study.best is not None
        assert score is not None
        config = dict(study.best.config)
    return Winner(config, 100 * score, example().parameters(config))


def by_hand(parameters: int, epochs: int, seed: int) -> Winner:
    """The residual network of about as many parameters, with the best of three learning rates."""
    sizes = {width: example().parameters({**RESIDUAL, "cell.0-3": "skip", "width": width}) for width in range(4, 33)}
    allowed = [width for width, size in sizes.items() if size <= example().LIMIT]
    width = min(allowed, key=lambda each: abs(sizes[each] - parameters))
    space = tw.Space.of({**RESIDUAL, "cell.0-3": "skip", "width": width, "lr": list(RATES)})
    return winner(len(RATES), epochs, tw.Grid(), seed, space=space)


@figure("digits, real search of a cell: test accuracy of the winner", target=">= 1 x peer", unit="%")
def search(quick: bool) -> Iterator[Row]:
    """ASHA around Bayes, confirmed; the peer of the first row is random search with whole runs, of the second the
    residual network with as many parameters. Parameters in the rows below: a search may as well end as good with half
    of them.
    """
    runs, epochs, seeds = (2, 4, range(1)) if quick else (20, 9, range(5))
    found = [winner(runs, epochs, None, seed) for seed in seeds]
    random = [winner(runs, epochs, tw.Random(), seed) for seed in seeds]
    hand = [by_hand(one.parameters, epochs, seed) for one, seed in zip(found, seeds, strict=True)]
    means = {name: np.mean([one.accuracy for one in some]) for name, some in (("a", found), ("r", random), ("h", hand))}
    told = f"digits, cell by Confirm(ASHA(Bayes(), minimum=3)), {runs} full runs of {epochs} epochs, {len(seeds)} seeds"
    yield Row(float(means["a"]), float(means["r"]), f"{told}: test accuracy beside Random()")
    yield Row(float(means["a"]), float(means["h"]), f"{told}: test accuracy beside a residual network of its size")
    sizes = [float(np.mean([one.parameters for one in some])) for some in (found, random)]
    yield Row(sizes[0], sizes[1], f"{told}: parameters beside those of Random()'s", "", unit="")
    for other, some in (("Random()", random), ("the residual network", hand)):
        gaps = [one.accuracy - beside.accuracy for one, beside in zip(found, some, strict=True)]
        error = float(np.std(gaps) / max(len(gaps) - 1, 1) ** 0.5)
        yield Row(error, None, f"{told}: standard error of the difference from {other}", "")
