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
ON_NODES = Cell(5, on_nodes=["conv", "pool"])


def numbers(config, cell=CELL):
    values = zip(cell.edges, config.values(), strict=True)
    return [cell.options(edge).index(value) if value != "none" else -1 for edge, value in values]


def features(*configs, cell=CELL):
    return subtree_features(np.array([numbers(config, cell) for config in configs]), cell.edges)


@pytest.mark.parametrize("cell", [CELL, ON_NODES], ids=["on edges", "on nodes"])
@given(seed=st.integers(0, 2**32 - 1))
def test_isomorphic_graphs_are_at_distance_zero_and_others_where_their_subtrees_differ(cell, seed):
    rng, space = np.random.default_rng(seed), Space({"cell": cell})
    first, second = space.sample(rng), space.sample(rng)
    alike = {name: cell.alike("cell", first)[name] for name in first}
    found = features(first, alike, second, cell=cell)
    assert found[0] == pytest.approx(found[1])
    if cell.subtrees("cell", first) != cell.subtrees("cell", second):
        assert np.abs(found[0] - found[2]).max() > 1e-9


def test_one_other_operation_on_a_node_is_another_graph():
    config = dict.fromkeys(Space({"cell": ON_NODES}).default(), "skip") | dict.fromkeys(
        ["cell.1", "cell.2", "cell.3"], "conv"
    )
    found = features(config, config | {"cell.2": "pool"}, cell=ON_NODES)
    assert 0 < ((found[0] - found[1]) ** 2).sum() < 1


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
