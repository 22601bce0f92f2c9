"""The Weisfeiler-Lehman features of small graphs."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.methods.cube import cube_of
from tunewell.space import Blocks, Cell, Float, Space
from tunewell.surrogates.graphs import WIDTH, subtree_features

CELL = Cell(5, ["none", "skip", "conv"])
SPACE = Space({"cell": CELL})


def numbers(config):
    return [CELL.operations.index(value) if value != "none" else -1 for value in config.values()]


def features(*configs):
    return subtree_features(np.array([numbers(config) for config in configs]), CELL.edges)


@given(st.integers(0, 2**32 - 1))
def test_isomorphic_graphs_are_at_distance_zero_and_others_where_their_subtrees_differ(seed):
    rng = np.random.default_rng(seed)
    first, second = SPACE.sample(rng), SPACE.sample(rng)
    alike = {name: CELL.alike("cell", first)[name] for name in first}
    found = features(first, alike, second)
    assert found[0] == pytest.approx(found[1])
    if CELL.subtrees("cell", first) != CELL.subtrees("cell", second):
        assert np.abs(found[0] - found[2]).max() > 1e-9


def test_length_is_that_of_an_option_and_nothing_for_no_graph():
    rng = np.random.default_rng(0)
    configs = [SPACE.sample(rng) for _ in range(50)]
    lengths = (features(*configs) ** 2).sum(1)
    empty = np.array([not CELL.graph("cell", config) for config in configs])
    assert lengths[~empty] == pytest.approx(0.5)
    assert not lengths[empty].any()


def test_cosine_is_near_that_of_the_counts():
    rng = np.random.default_rng(1)
    configs = [SPACE.sample(rng) for _ in range(60)]
    found, counts = features(*configs), [CELL.subtrees("cell", config) for config in configs]
    exact = np.array([[sum(c * b.get(name, 0) for name, c in a.items()) for b in counts] for a in counts], dtype=float)
    lengths = np.sqrt(np.diag(exact))
    known = lengths > 0
    cosine = (exact / np.outer(lengths + ~known, lengths + ~known))[np.ix_(known, known)]
    # different labels share a column now and then
    assert np.abs(2 * found @ found.T)[np.ix_(known, known)] == pytest.approx(cosine, abs=0.35)
    assert np.corrcoef((2 * found @ found.T)[np.ix_(known, known)].ravel(), cosine.ravel())[0, 1] > 0.9


def test_a_cube_has_columns_for_each_cell_beside_the_others():
    space = Space({"rate": Float(0, 1), "blocks": Blocks({"cell": Cell(3, ["none", "conv"])}, 1, 2)})
    cube = cube_of(space)
    rng = np.random.default_rng(0)
    points = cube.points([space.sample(rng) for _ in range(20)])
    z = cube.embed(points)
    assert z.shape == (20, len(cube.groups)) == (20, len(cube.numbers))
    assert cube.count == len(space.paths) + 2
    one = points[:, space.paths.index("blocks")] < 0.5
    assert not z[one, -WIDTH:].any()
