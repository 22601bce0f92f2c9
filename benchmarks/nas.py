"""The figures of architecture search on a table: the cells of NAS-Bench-201 and graph networks of NAS-Bench-Graph."""

import json
import time
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

import tunewell as tw
from benchmarks.figures import Row, figure
from benchmarks.tasks import data_folder
from tunewell.contract.methods import Player, new_study, propose
from tunewell.space import Config
from tunewell.study import Result

Array = np.ndarray[Any, np.dtype[np.float64]]


@cache
def architectures() -> tuple[tw.Space, Array]:
    """The cells of NAS-Bench-201 and their mean validation accuracy on CIFAR-10, in percent."""
    table = np.load(data_folder() / "tables" / "nas201" / "cifar10.npz")
    entries = {each["name"]: tw.Choice(each["choices"]) for each in json.loads(str(table["meta"]))["params"]}
    return tw.Space(entries), np.nanmean(table["Y_val_acc"], axis=-1)


def accuracy_left(method: tw.Method, seed: int, queries: int = 500) -> Array:
    """What is left to the best accuracy, in points, after each query `(queries,)`."""
    space, accuracy = architectures()
    options = list(next(iter(space.entries.values())).to_json()["options"])
    found: list[float] = []

    def loss(config: Config, step: int) -> float:
        found.append(float(accuracy[tuple(options.index(value) for value in config.values())]))
        return -found[-1]

    Player(method, loss).play(new_study(space, seed=seed, trials=queries))
    left: Array = np.nanmax(accuracy) - np.maximum.accumulate(found)
    return left
