"""A space as arrays: what `settled`, `embed` and `near` promise for every kind of space."""

import numpy as np
import pytest

from tunewell.contract.methods import SPACES
from tunewell.methods.cube import Cube, cube_of
from tunewell.space import Blocks, Cell, Choice, Float, Grammar, Int, Space
from tunewell.space.entry import paths_of
from tunewell.surrogates.gp import Columns, Data, Hyperparameters, Posterior, fit
from tunewell.surrogates.graphs import WIDTH
from tunewell.surrogates.warping import standardized

WIDE = Space({"a": Int(1, 10**9, log=True), "b": Choice(["x"]), "c": Int(-5, 5), "d": Int(2, 700, log=True)})
CHAIN = Space({"net": Grammar({"a": ["f(a)", "x"]}, "a", 5), "lr": Float(0, 1)})
ALL = {**SPACES, "wide": WIDE, "chain": CHAIN}


@pytest.mark.parametrize("space", ALL.values(), ids=ALL)
def test_configs_are_settled_and_settled_points_are_configs(space):
    cube, rng = cube_of(space), np.random.default_rng(0)
    points = cube.points([space.sample(rng) for _ in range(50)])
    np.testing.assert_allclose(cube.settled(points), points)
    for point in cube.settled(rng.random((50, len(space.paths)))):
        np.testing.assert_allclose(space.encode(space.decode(point)), point, atol=0.05)


@pytest.mark.parametrize("space", ALL.values(), ids=ALL)
def test_columns_say_which_point_they_are_of(space):
    cube, rng = cube_of(space), np.random.default_rng(0)
    points = cube.uniform(100, rng)
    found = cube.points_at(cube.embed(points))
    np.testing.assert_array_equal(cube.embed(found), cube.embed(points))
    cells = [space.paths.index(path) for name, cell in space.graphs for path in paths_of(name, cell)]
    np.testing.assert_array_equal(np.delete(found, cells, 1), np.delete(points, cells, 1))


@pytest.mark.parametrize("space", ALL.values(), ids=ALL)
def test_neighbours_are_other_configs_of_the_space(space):
    cube, rng = cube_of(space), np.random.default_rng(0)
    points = cube.points([space.sample(rng) for _ in range(200)])
    near = cube.near(points, np.full(200, 0.2), rng)
    np.testing.assert_allclose(cube.settled(near), near)
    moved = [first != second for first, second in zip(cube.keys(points), cube.keys(near), strict=True)]
    assert np.mean(moved) > 0.5


def test_options_are_at_distance_one_and_inactive_entries_are_alike():
    space = Space(
        {
            "three": Choice(["a", "b", "c"]),
            "two": Choice([True, False]),
            "net": Choice({"none": {}, "deep": {"depth": Int(1, 9), "kind": Choice(["p", "q", "r"])}}),
        }
    )
    cube = cube_of(space)

    def distance(first, second):
        z = cube.embed(cube.points([first, second]))
        return float(((z[0] - z[1]) ** 2).sum())

    plain = {"three": "a", "two": True, "net": "none"}
    assert distance(plain, {**plain, "three": "c"}) == pytest.approx(1)
    assert distance(plain, {**plain, "two": False}) == pytest.approx(1)
    deep = {**plain, "net": "deep", "depth": 5, "kind": "p"}
    assert distance(plain, deep) == pytest.approx(1.5)
    assert distance(deep, {**deep, "kind": "r"}) == pytest.approx(1)


def test_a_small_step_moves_few_coordinates_a_little():
    space = Space({f"x{i}": Float(0, 1) for i in range(20)})
    cube, rng = cube_of(space), np.random.default_rng(0)
    points = np.full((500, 20), 0.5)
    changed = np.abs(cube.near(points, np.full(500, 0.01), rng) - points)
    assert 1.5 < (changed > 0).sum(1).mean() < 2.5
    assert changed.max() < 0.06


CELLS = {
    "edges": Cell(4, ["none", "skip", "conv", "pool"]),
    "nodes": Cell(4, on_nodes=["conv", "pool", "id"]),
    "no_none": Cell(3, ["skip", "conv", "pool"]),
}


@pytest.mark.parametrize("cell", CELLS.values(), ids=CELLS)
@pytest.mark.parametrize("within", [False, True])
def test_a_narrowed_cell_has_the_features_of_its_graph(cell, within):
    space = Space(
        {"net": Choice({"cell": {"cell": cell}, "plain": {}}), "lr": Float(0, 1)} if within else {"cell": cell}
    )
    rng = np.random.default_rng(0)
    edges = [path for path, entry in space.leaves.items() if "cell." in path]
    part = space.narrow({path: space.leaves[path].listed[1:] for path in edges[:2]})
    part = part.narrow({edges[0]: part.leaves[edges[0]].listed[:1]})
    configs = [part.sample(rng) for _ in range(50)]
    narrow, wide = (cube_of(each).embed(cube_of(each).points(configs))[:, -WIDTH:] for each in (part, space))
    np.testing.assert_array_equal(narrow, wide)
    assert len(np.unique(narrow, axis=0)) > 5


PROGRAMS = {
    "wide": Grammar({"a": ["x", "y", "f(a, a)"]}, "a", 3),
    "deep": Grammar({"a": ["f(a)", "z"]}, "a", 4),
}


@pytest.mark.parametrize("depth", [2, 4, 6])
def test_random_programs_are_at_distance_one_by_their_places_however_many_these_are(depth):
    rules = {"block": ["conv", "pool", "seq(block, block)", "residual(block)"]}
    space = Space({"net": Grammar(rules, "block", depth), "kind": Choice(["a", "b", "c"])})
    cube, rng = cube_of(space), np.random.default_rng(1)
    program = cube.groups[0]
    columns = np.flatnonzero(cube.groups == program)
    assert len(columns) == len(cube.groups) - WIDTH - 3
    z = cube.embed(cube.points([space.sample(rng) for _ in range(400)]))[:, columns]
    assert ((z[::2] - z[1::2]) ** 2).sum(1).mean() == pytest.approx(1, rel=0.25)


@pytest.mark.parametrize("branches", [3, 20, 200])
def test_random_programs_are_at_distance_one_however_rare_the_branch_is_that_has_them(branches):
    programs = {"net": Grammar({"a": ["f(a, a)", "g(a)", "x"]}, "a", 3)}
    empty = {f"none{number}": {} for number in range(branches - 1)}
    cube, rng = cube_of(Space({"kind": Choice({**empty, "program": programs})})), np.random.default_rng(1)
    drawn = [cube.space.spread([1.0, *rng.random(len(cube.sizes) - 1)]) for _ in range(400)]
    assert all(config["kind"] == "program" for config in drawn)
    columns = np.flatnonzero(cube.groups == cube.groups[cube.firsts[1]])
    assert 2 * cube.embed(cube.points(drawn))[:, columns].var(0).sum() == pytest.approx(1.0, rel=0.15)


def test_the_scale_of_equal_structures_is_found_once(monkeypatch):
    """Each takes a draw of the whole space."""
    found, scale = [], Cube._scale
    monkeypatch.setattr(Cube, "_scale", lambda *given: found.append(scale(*given)) or found[-1])
    Cube(Space({"blocks": Blocks({"cell": Cell(3, ["none", "a"]), "net": Cell(3, ["a", "b"])}, 1, 6)}))
    assert len(found) == 2


def test_a_model_learns_programs_of_many_places_from_few_results():
    """A worth for each operation that occurs. With a length-scale for each place the error was 0.89 of the spread."""
    rules = {"net": ["row(c, c, c)"], "c": ["edge(o)", "edge(o, o)", "deep(c, o)"], "o": ["x", "y", "z", "w"]}
    space, errors = Space({"net": Grammar(rules, "net", 5)}), []
    cube, worth = cube_of(space), {"x": -2.0, "y": -0.5, "z": 0.5, "w": 2.0}
    for seed in range(5):
        rng = np.random.default_rng(seed)
        configs = [space.sample(rng) for _ in range(125)]
        y = standardized(np.array([sum(worth.get(part, 0.0) for part in each.values()) for each in configs]))
        z, columns = cube.embed(cube.points(configs)), Columns.of(cube.groups, cube.numbers)
        data = Data.of(z[:25], y[:25], columns)
        mean, _ = Posterior.of(data, fit(data, Hyperparameters.start(columns.count))).predict(z[25:])
        errors.append(float(np.sqrt(np.mean((mean - y[25:]) ** 2))))
    assert np.mean(errors) < 0.6


@pytest.mark.parametrize(
    ("first", "second"), [(CELLS["edges"], CELLS["no_none"]), (PROGRAMS["wide"], PROGRAMS["deep"])]
)
@pytest.mark.parametrize("turned", [False, True])
def test_structures_of_one_name_in_two_branches_have_features_of_their_own(first, second, turned):
    """Each as if it were alone: what stands at a place of the one says nothing of the same name in the other."""
    branches = {"a": {"net": first}, "b": {"net": second}}
    space = Space({"which": Choice(dict(reversed(branches.items())) if turned else branches)})
    rng = np.random.default_rng(0)
    for number, (option, entries) in enumerate(branches.items()):
        alone = Space(entries)
        configs = [alone.sample(rng) for _ in range(30)]
        found = cube_of(space).embed(cube_of(space).points([{"which": option, **each} for each in configs]))
        expected = cube_of(alone).embed(cube_of(alone).points(configs))[:, -WIDTH:]
        own = 1 - number if turned else number
        columns = found[:, -2 * WIDTH :].reshape(30, 2, WIDTH)
        np.testing.assert_array_equal(columns[:, own], expected)
        assert not columns[:, 1 - own].any()


def test_a_space_that_is_narrowed_to_no_cell_has_no_features():
    space = Space({"net": Choice({"cell": {"cell": CELLS["edges"]}, "plain": {"units": Int(1, 9)}})})
    part = space.narrow({"net": ["plain"]})
    assert part.graphs == ()
    assert cube_of(part).embed(cube_of(part).points([{"net": "plain", "units": 3}])).shape[1] < WIDTH
