"""Crossover and mutation: in the space, and without drift."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunewell as tw
from tests.spaces import spaces
from tunewell.contract.methods import SPACES
from tunewell.methods.genes import Genes, genes_of

INTEGERS = tw.Space({"n": tw.Int(0, 19), "k": tw.Int(1, 3), "big": tw.Int(1, 300, log=True)})


def children(space, one, other, count, spread=15.0):
    genes, rng = genes_of(space), np.random.default_rng(0)
    first, second = genes.cells(one), genes.cells(other)
    return [space.decode(genes.child(first, second, rng, spread)) for _ in range(count)]


@given(spaces(), st.integers(0, 1000))
def test_children_and_mutants_are_valid_by_construction(space, seed):
    rng, genes = np.random.default_rng(seed), Genes(space)
    first, second = (genes.cells(space.sample(rng)) for _ in range(2))
    for point in (genes.child(first, second, rng, 2.0), genes.alone(first, rng)):
        space.decode(point)
        config = space.decode(genes.mutated(point, rng, 0.5, 2.0))
        assert space._read(config) == config


def test_crossover_of_integers_keeps_their_mean():
    found = children(INTEGERS, {"n": 7, "k": 2, "big": 9}, {"n": 12, "k": 2, "big": 40}, 40_000)
    numbers = np.array([config["n"] for config in found])
    assert numbers.mean() == pytest.approx(7 + (12 - 7) / 4, abs=0.05)  # a quarter: half of them are crossed
    assert {config["k"] for config in found} == {2}


@pytest.mark.parametrize("chance", [0.2, 1.0])
def test_mutation_alone_leaves_each_integer_as_likely_as_the_scale_says(chance):
    genes, rng = Genes(INTEGERS), np.random.default_rng(1)
    counts = {name: {} for name in INTEGERS.entries}
    for _ in range(20_000):
        config = INTEGERS.decode(genes.mutated(rng.random(3), rng, chance, 20.0))
        again = INTEGERS.decode(genes.mutated(genes.alone(genes.cells(config), rng), rng, chance, 20.0))
        for name, value in again.items():
            counts[name][value] = counts[name].get(value, 0) + 1
    assert all(abs(number - 1000) < 150 for number in counts["n"].values())
    assert all(abs(number - 20_000 / 3) < 300 for number in counts["k"].values())
    low, high = INTEGERS.axes[2].cell(1)
    assert counts["big"][1] / 20_000 == pytest.approx(high - low, abs=0.015)


def test_a_small_integer_leaves_its_cell():
    genes, rng = Genes(INTEGERS), np.random.default_rng(2)
    cells = genes.cells({"n": 10, "k": 2, "big": 9})
    found = [INTEGERS.decode(genes.mutated(genes.alone(cells, rng), rng, 1.0, 20.0)) for _ in range(2000)]
    assert np.mean([config["k"] != 2 for config in found]) > 0.3
    assert np.mean([config["n"] != 10 for config in found]) > 0.3


def test_mutation_takes_every_other_option():
    space = tw.Space({"c": tw.Choice(["a", "b", "c", "d"])})
    genes, rng = genes_of(space), np.random.default_rng(3)
    cells = genes.cells({"c": "b"})
    found = [space.decode(genes.mutated(genes.alone(cells, rng), rng, 1.0, 20.0))["c"] for _ in range(3000)]
    assert "b" not in found
    assert all(abs(found.count(name) - 1000) < 100 for name in "acd")


def test_options_come_from_either_parent_and_what_one_has_alone_is_kept():
    space = SPACES["conditional"]
    forest = {"lr": 0.1, "model": "forest", "trees": 17}
    found = children(space, forest, {"lr": 0.1, "model": "linear"}, 200)
    assert {config["model"] for config in found} == {"forest", "linear"}
    assert {config.get("trees") for config in found} == {17, None}
