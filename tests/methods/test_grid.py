"""Grid search: what is in it, in which order, and that it is lazy."""

import time

import numpy as np
import pytest

from tunewell.contract.methods import MethodContract, Player, bowl, new_study, propose
from tunewell.errors import SpaceError, StudyError
from tunewell.method import from_json, to_json
from tunewell.methods import plan
from tunewell.methods.grid import Grid
from tunewell.space import Cell, Choice, Constant, Float, Int, Space
from tunewell.study import Job, Result

SPACE = Space({"lr": Float(1e-4, 1e-2, log=True), "n": Int(1, 2), "kind": Choice({"a": {"m": Float(0, 1)}, "b": {}})})


class TestListed(MethodContract):
    method = Grid(levels=3)


class TestSpread(MethodContract):
    method = Grid(levels={}, order="spread")


def asked(method, space, trials=None, **settings):
    study = Player(method, bowl(space), **settings).play(new_study(space, seed=3, trials=trials))
    return [job.config for job in study.jobs.values()]


def key(config):
    return tuple(sorted((name, str(value)) for name, value in config.items()))


def test_listed_order_is_that_of_the_space_and_conditions_hold():
    configs = asked(Grid({"lr": 3, "kind=a/m": 2}), SPACE)
    assert len(configs) == 3 * 2 * 3
    assert [config["lr"] for config in configs[::6]] == pytest.approx([1e-4, 1e-3, 1e-2])
    assert configs[:3] == [
        {"lr": 1e-4, "n": 1, "kind": "a", "m": 0.0},
        {"lr": 1e-4, "n": 1, "kind": "a", "m": 1.0},
        {"lr": 1e-4, "n": 1, "kind": "b"},
    ]


@pytest.mark.parametrize("workers", [1, 8])
def test_spread_order_has_the_same_points(workers):
    listed = asked(Grid(3), SPACE)
    spread = asked(Grid(3, order="spread"), SPACE, workers=workers)
    assert sorted(map(key, spread)) == sorted(map(key, listed))
    assert spread != listed


def test_a_spread_part_of_a_grid_covers_every_level():
    space = Space({f"x{number}": Float(0, 1) for number in range(8)})
    points = space.encode_many(asked(Grid(3, order="spread"), space, trials=24))
    for column in points.T:
        _, times = np.unique(column, return_counts=True)
        assert len(times) == 3
        assert times.min() >= 4


def test_what_violates_a_constraint_is_left_out():
    space = Space({"a": Int(1, 4), "b": Int(1, 4)}, {"order": "a < b"})
    assert len(asked(Grid(4), space)) == 6


def test_constraints_that_nothing_satisfies_are_an_error():
    space = Space({"a": Int(1, 400), "b": Int(1, 400)}, {"never": "a > 400"})
    with pytest.raises(SpaceError, match="violate"):
        asked(Grid(400), space)


def test_a_grid_of_cells_that_mean_the_same_ends_with_advice(monkeypatch):
    monkeypatch.setattr(plan, "_TRIES", 10)
    study = new_study(Space({"cell": Cell(6, ["none", "conv"])}))
    study.commit(study.start(propose(Grid(), study)))
    with pytest.raises(SpaceError, match=r"(?s)10 points in a row.*mean the same.*spread"):
        propose(Grid(), study)
    assert propose(Grid(order="spread"), study) is not None


def test_what_the_study_has_asked_for_is_left_out():
    study = new_study(SPACE, trials=100)
    study.commit(Job({"lr": 1e-4, "n": 1, "kind": "b"}, 1, tag=("added",), id=0, seen=1))
    study.commit(Result(0, "done", {"loss": 1.0}))
    Player(Grid(3), bowl(SPACE)).play(study)
    assert len(study.jobs) == 3 * 2 * 4


def test_a_huge_grid_costs_nothing():
    space = Space({f"x{number}": Float(0, 1) for number in range(30)})
    began = time.perf_counter()
    for order in ("listed", "spread"):
        assert len({key(config) for config in asked(Grid(10, order=order), space, trials=20)}) == 20
    assert time.perf_counter() - began < 5


def test_the_next_place_is_read_from_the_tags():
    study = new_study(SPACE)
    study.commit(Job({"lr": 1e-4, "n": 1, "kind": "b"}, 1, tag=(11,), id=0, seen=1))
    job = propose(Grid(3), study)
    assert job is not None
    assert job.tag == (12,)


def test_levels_by_path_survive_json_and_are_hashable():
    method = Grid(levels={"lr": 3, "n": 2})
    assert method.levels == (("lr", 3), ("n", 2))
    assert from_json(to_json(method)) == method == Grid(levels={"lr": 3, "n": 2})
    assert len({method, Grid(levels={"lr": 3, "n": 2})}) == 1


def test_a_finer_grid_holds_the_coarse_one():
    space = Space({"x": Float(0, 1), "y": Float(0, 1)})
    coarse, fine = (set(map(key, asked(method, space))) for method in (Grid(3), Grid(3).finer()))
    assert coarse < fine
    assert len(fine) == 25
    assert Grid({"x": 2}).finer() == Grid({"x": 3})


def test_mistakes_are_refused():
    with pytest.raises(StudyError, match="order"):
        Grid(order="random")  # type: ignore[arg-type]
    with pytest.raises(SpaceError, match="typo"):
        asked(Grid({"typo": 3}), SPACE)


@pytest.mark.parametrize("order", ["listed", "spread"])
def test_a_space_of_constants_has_one_point(order):
    assert asked(Grid(3, order=order), Space({"n": Constant(3)})) == [{"n": 3}]
