"""The Weisfeiler-Lehman features of small graphs and of derivation trees."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.methods.cube import cube_of
from tunewell.space import Blocks, Cell, Float, Grammar, Space
from tunewell.surrogates.gp import Columns, Data, Hyperparameters, Posterior, fit
from tunewell.surrogates.graphs import WIDTH, subtree_features

CELL = Cell(5, ["none", "skip", "conv"])
SPACE = Space({"cell": CELL})
ON_NODES = Cell(5, on_nodes=["conv", "pool"])


def numbers(config, cell=CELL):
    values = zip(cell.edges, config.values(), strict=True)
    words = [*cell.operations, *cell.on_nodes]
    return [words.index(value) if value != "none" else -1 for edge, value in values]


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


# --- derivations -----------------------------------------------------------------------------------------------------

GRAMMAR = Grammar({"net": ["seq(net, net)", "res(net)", "conv", "pool", "id"]}, "net", 5)
PROGRAMS = Space({"net": GRAMMAR})


def program_features(configs):
    points = cube_of(PROGRAMS).points(configs)
    return cube_of(PROGRAMS).embed(points)[:, -WIDTH:]


def counted(config):
    """The trees of productions to depths 0, 1 and 2 at each place, counted: the labels of Weisfeiler and Lehman."""

    def tree(name, depth):
        below = [key for key in config if key.rpartition(".")[0] == name] if depth else []
        return config[name], tuple((key.rpartition(".")[2], tree(key, depth - 1)) for key in sorted(below))

    return Counter((depth, tree(name, depth)) for name in config for depth in range(3))


def test_the_kernel_of_programs_counts_their_common_subtrees():
    rng = np.random.default_rng(0)
    configs = [PROGRAMS.sample(rng) for _ in range(60)]
    found, counts = program_features(configs), [counted(config) for config in configs]
    exact = np.array([[sum(a[label] * b[label] for label in a) for b in counts] for a in counts], dtype=float)
    lengths = np.sqrt(np.diag(exact))
    cosine = exact / np.outer(lengths, lengths)
    assert np.corrcoef((2 * found @ found.T).ravel(), cosine.ravel())[0, 1] > 0.9
    assert np.linalg.eigvalsh(found @ found.T).min() > -1e-12
    np.testing.assert_allclose(np.linalg.norm(found, axis=1) ** 2, 0.5)


def test_a_part_that_moves_elsewhere_stays_near_and_the_order_of_two_parts_counts():
    conv, pool = {"net.net0.net0": "conv"}, {"net.net0.net0": "pool"}
    deep = {"net": "res(net)", "net.net0": "res(net)"}
    moved = {"net": "seq(net, net)", "net.net0": "id", "net.net1": "res(net)", "net.net1.net0": "conv"}
    ab = {"net": "seq(net, net)", "net.net0": "conv", "net.net1": "pool"}
    ba = {"net": "seq(net, net)", "net.net0": "pool", "net.net1": "conv"}
    first, other, elsewhere, one, two = program_features([deep | conv, deep | pool, moved, ab, ba])
    assert first @ elsewhere > first @ one
    assert 2 * one @ two < 0.95
    assert 2 * first @ other < 0.95


@pytest.mark.parametrize("seed", range(3))
def test_a_model_learns_from_parts_wherever_they_stand(seed):
    """With the features, and from the choices at each place alone: how many residual blocks hold nothing but a conv."""
    rng = np.random.default_rng(seed)
    cube = cube_of(PROGRAMS)
    configs = [PROGRAMS.sample(rng) for _ in range(200)]
    values = np.array([worth(config) for config in configs])
    z = cube.embed(cube.points(configs))
    alone = cube.groups < cube.groups.max()
    with_parts, without = (
        mistake(z[:, columns], values, Columns.of(cube.groups[columns], cube.numbers[columns]))
        for columns in (np.ones_like(alone), alone)
    )
    assert with_parts < 0.9 * without


def worth(config):
    blocks = [config[name] == "res(net)" and config[f"{name}.net0"] == "conv" for name in config]
    return sum(blocks) - 0.5 * list(config.values()).count("pool")


def mistake(z, values, columns):
    data = Data.of(z[:80], values[:80], columns)
    model = Posterior.of(data, fit(data, Hyperparameters.start(columns.count)))
    return np.mean((model.predict(z[80:])[0] - values[80:]) ** 2)


def test_a_narrowed_grammar_keeps_its_features():
    part = PROGRAMS.narrow({"net": ["seq(net, net)"], "net/net.net0": ["conv", "pool"]})
    rng = np.random.default_rng(0)
    configs = [part.sample(rng) for _ in range(20)]
    narrow = cube_of(part).embed(cube_of(part).points(configs))[:, -WIDTH:]
    np.testing.assert_array_equal(narrow, program_features(configs))
