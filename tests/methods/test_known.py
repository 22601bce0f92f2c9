"""A goal that the space knows: computed, with the gradient of differences, and better than a model of it."""

import numpy as np
import pytest

from tunewell import Bayes
from tunewell.contract.methods import new_study, propose
from tunewell.methods.cube import cube_of
from tunewell.methods.known import Known, known_goals
from tunewell.space import Cell, Choice, Float, Int, Space
from tunewell.study import Act, Goal, Result
from tunewell.surrogates.hypervolume import hypervolume

ENTRIES = {"x": Float(0, 1), "y": Float(1e-3, 1, log=True), "net": Choice({"a": {"n": Int(1, 9)}, "b": {}, "c": {}})}
SIZES = {"a": 2.0, "b": 5.0, "c": 7.0}


def size(config):
    return SIZES[config["net"]] + config.get("n", 0) + config["x"] ** 2


def test_it_predicts_what_the_function_says_on_the_scale_of_the_results():
    space, rng = Space(ENTRIES, known={"size": size}), np.random.default_rng(0)
    configs = [space.sample(rng) for _ in range(50)]
    cube, losses = cube_of(space), -np.array([size(config) for config in configs])
    known = Known.of(cube, Goal("size", maximize=True), losses)
    steps = np.ones((50, 1))  # a column behind those of the cube
    values, variances = known.predict(np.hstack([cube.embed(cube.points(configs)), steps]))
    np.testing.assert_allclose(values, (losses - losses.mean()) / losses.std(), rtol=1e-9)
    assert variances.max() < 1e-9


def test_its_gradient_is_that_of_the_function_in_the_continuous_coordinates():
    space = Space(ENTRIES, known={"size": size})
    cube, config = cube_of(space), {"x": 0.3, "y": 0.1, "net": "b"}
    known = Known(cube, Goal("size"), middle=1.0, size=2.0)
    value, _, gradient, bend = known.predict_with_gradient(cube.embed(cube.points([config]))[0])
    assert value == pytest.approx([(5.09 - 1.0) / 2.0])
    assert gradient[0] == pytest.approx([0.3] + [0.0] * (gradient.size - 1), abs=1e-6)
    assert not bend.any()


def test_operations_that_nothing_comes_through_count_where_the_space_says_so():
    def edges(config):
        return float(sum(value != "none" for value in config.values()))

    space, rng = Space({"cell": Cell(5, ["none", "a", "b"])}, known={"edges": edges}), np.random.default_rng(0)
    configs = [space.sample(rng) for _ in range(50)]
    cube = cube_of(space)
    values, _ = Known(cube, Goal("edges"), middle=0.0, size=1.0).predict(cube.embed(cube.points(configs)))
    assert values.tolist() == [edges(config) for config in configs]


def test_its_gradient_beside_a_structure_is_that_of_the_option_that_stands_there():
    def number(config):
        return config["x"] if config["cell.0-1"] == "b" else 0.0

    space = Space({"x": Float(0, 1), "cell": Cell(2, ["a", "b"])}, known={"n": number})
    cube = cube_of(space)
    point = cube.embed(cube.points([{"x": 0.5, "cell.0-1": "b"}]))[0]
    _, _, gradient, _ = Known(cube, Goal("n"), middle=0.0, size=1.0).predict_with_gradient(point)
    assert gradient[0, 0] == pytest.approx(1.0)


def test_one_objective_alone_is_modelled():
    cube = cube_of(Space(ENTRIES, known={"size": size}))
    losses = np.arange(6.0).reshape(3, 2)
    assert known_goals(cube, [Goal("size"), Goal("loss", at_most=1.0)], losses[:, :1]) == {}
    assert list(known_goals(cube, [Goal("loss"), Goal("size")], losses)) == [1]


def covered(known, seed, trials=30):
    """The hypervolume after some trials of a loss that falls as a jagged size grows."""
    entries = {f"n{i}": Int(0, 9) for i in range(6)}
    jagged = lambda config: float(sum((7 * value) % 10 for value in config.values()))  # noqa: E731
    study = new_study(Space(entries, known={"size": jagged} if known else {}), seed=seed, trials=trials)
    study.commit(Act("change", {"goals": [{"metric": "loss"}, {"metric": "size"}]}))
    found = []
    for _ in range(trials):
        job = study.start(propose(Bayes(), study))
        study.commit(job)
        loss = sum((value - 4) ** 2 for value in job.config.values()) / 10.0
        found.append((loss, jagged(job.config)))
        study.commit(Result(job.id, "done", {"loss": loss, "size": jagged(job.config)}, step=1))
    return hypervolume(np.array(found), np.array([15.0, 54.0]))


def test_a_search_that_knows_a_goal_covers_more_than_one_that_models_it():
    gains = [covered(True, seed) - covered(False, seed) for seed in range(3)]
    assert np.mean(gains) > 0
