"""The largest value of a function on a space, against brute force."""

import itertools

import numpy as np
import pytest

from tunewell.methods.cube import cube_of
from tunewell.methods.search import Search
from tunewell.space import Choice, Float, Int, Ordinal, Space

GRID = Space(
    {"a": Int(1, 12), "b": Choice(["p", "q", "r", "s"]), "c": Ordinal([1, 2, 4, 8]), "d": Int(1, 60, log=True)}
)
MIXED = Space({"x": Float(0, 1), "y": Float(1e-4, 1, log=True), "b": Choice(["p", "q", "r"]), "n": Int(1, 8)})


def rough(cube, seed):
    """A function with many local optima, and its gradient by differences."""
    rng = np.random.default_rng(seed)
    centres, heights = rng.random((40, len(cube.groups))), rng.random(40)

    def of_columns(z):
        return (heights * np.exp(-8 * ((z[:, None] - centres) ** 2).sum(-1))).max(1)

    def slope(z):
        moves = np.eye(len(z)) * 1e-6
        return float(of_columns(z[None])[0]), (of_columns(z + moves) - of_columns(z - moves)) / 2e-6

    return lambda points: of_columns(cube.embed(points)), slope


@pytest.mark.parametrize("seed", range(8))
def test_it_finds_the_best_of_all_configs(seed):
    cube, rng = cube_of(GRID), np.random.default_rng(seed)
    value, slope = rough(cube, seed)
    everything = cube.points(
        [
            {"a": a, "b": b, "c": c, "d": d}
            for a, b, c, d in itertools.product(range(1, 13), "pqrs", (1, 2, 4, 8), range(1, 61))
        ]
    )
    found = next(iter(Search().best_first(cube, value, slope, cube.uniform(3, rng), rng)))
    assert value(found[None])[0] == pytest.approx(value(everything).max(), abs=1e-9)


@pytest.mark.parametrize("seed", range(8))
def test_it_beats_a_hundred_thousand_random_points(seed):
    cube, rng = cube_of(MIXED), np.random.default_rng(seed)
    value, slope = rough(cube, seed)
    best = max(value(cube.uniform(20_000, rng)).max() for _ in range(5))
    found = next(iter(Search().best_first(cube, value, slope, cube.uniform(3, rng), rng)))
    assert value(found[None])[0] >= best - 1e-3


def test_later_points_are_other_ones():
    cube, rng = cube_of(GRID), np.random.default_rng(0)
    points = list(Search(spread=64, local=64).best_first(cube, *rough(cube, 0), cube.uniform(3, rng), rng))
    assert len(points) >= 128
    assert len(set(cube.keys(np.array(points)))) > 64
