"""A space as arrays: what `settled`, `embed` and `near` promise for every kind of space."""

import numpy as np
import pytest

from tunewell.contract.methods import SPACES
from tunewell.methods.cube import cube_of
from tunewell.space import Choice, Float, Int, Space

WIDE = Space({"a": Int(1, 10**9, log=True), "b": Choice(["x"]), "c": Int(-5, 5), "d": Int(2, 700, log=True)})
ALL = {**SPACES, "wide": WIDE}


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
    np.testing.assert_array_equal(cube.points_at(cube.embed(points)), points)


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
