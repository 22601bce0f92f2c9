"""Several goals in the acquisition: gradients, pending jobs, constraints, the reference point, mixtures of goals."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.contract.methods import SPACES, new_study
from tunewell.methods.cube import cube_of
from tunewell.methods.front import HypervolumeImprovement, best_first, fits_boxes, mixed, reference_of
from tunewell.methods.history import history_of
from tunewell.methods.promise import Modelling
from tunewell.methods.terms import Improvement
from tunewell.study import Act, Failure, Goal, Job, Result
from tunewell.surrogates.pareto import non_dominated

LINE = SPACES["continuous"]


def told(space, count, goals, failing=lambda units: False):
    """A study of `count` random configs; goal i is best where all coordinates are i / 4."""
    study, rng = new_study(space), np.random.default_rng(1)
    study.commit(Act("change", {"goals": [{"metric": goal.metric, "at_most": goal.at_most} for goal in goals]}))
    for _ in range(count):
        job = study.start(Job(space.sample(rng), 1))
        study.commit(job)
        units = np.nan_to_num(space.encode(job.config), nan=0.4)
        metrics = {goal.metric: float(((units - i / 4) ** 2).sum()) for i, goal in enumerate(goals)}
        failed = Result(job.id, "failed", error=Failure("oom"))
        study.commit(failed if failing(units) else Result(job.id, "done", metrics, step=1))
    return study


def objectives(count):
    return [Goal(f"goal{i}") for i in range(count)]


def promise_of(study, pending=(), **settings):
    cube = cube_of(study.space)
    promise, centres = Modelling(**settings).promise(
        cube, history_of(study), study.goals, cube.points(list(pending)), np.random.default_rng(0)
    )
    return cube, promise, centres


@pytest.mark.parametrize("space", [LINE, SPACES["conditional"]], ids=["continuous", "conditional"])
@pytest.mark.parametrize("goals", [2, 3])
@pytest.mark.parametrize("pending", [0, 3])
def test_the_gradient_is_that_of_differences(space, goals, pending):
    rng = np.random.default_rng(5)
    study = told(space, 25, objectives(goals), failing=lambda units: units[0] > 0.9)
    cube, promise, _ = promise_of(study, [space.sample(rng) for _ in range(pending)])
    points = cube.uniform(3, rng)
    for point, columns, value in zip(points, cube.embed(points), promise.at(points), strict=True):
        assert not np.isnan(point).all()
        found, gradient = promise.slope(columns)
        assert found == pytest.approx(value, rel=1e-9)
        moves = np.eye(len(columns)) * 1e-5
        numeric = [(promise.slope(columns + move)[0] - promise.slope(columns - move)[0]) / 2e-5 for move in moves]
        assert np.linalg.norm(gradient - numeric) <= 1e-4 * np.linalg.norm(gradient)


def test_each_goal_has_a_model_and_the_centres_are_the_front():
    study = told(LINE, 30, objectives(2))
    _, promise, centres = promise_of(study)
    (improvement,) = promise.terms
    assert isinstance(improvement, HypervolumeImprovement)
    assert len(improvement.models) == 2
    losses = np.array([outcome.totals for outcome in history_of(study).done.values()])
    points = np.array([outcome.point for outcome in history_of(study).done.values()])
    assert {point.tobytes() for point in points[non_dominated(losses)]} <= {centre.tobytes() for centre in centres}


def test_a_pending_job_lowers_what_its_neighbourhood_promises():
    study = told(LINE, 8, objectives(2))
    cube, promise, _ = promise_of(study)
    points = cube.uniform(300, np.random.default_rng(0))
    top = points[np.argmax(promise.at(points))]
    beside = cube.near(top[None], np.array([1e-3]), np.random.default_rng(1))
    _, after, _ = promise_of(study, [LINE.decode(top)])
    assert after.at(beside)[0] < promise.at(beside)[0] - 1


def test_where_nothing_keeps_to_the_constraints_only_they_count():
    study = told(LINE, 15, [*objectives(2), Goal("size", at_most=-1.0)])
    cube, promise, _ = promise_of(study)
    assert len(promise.terms) == 1
    assert not isinstance(promise.terms[0], HypervolumeImprovement)
    assert np.isfinite(promise.at(cube.uniform(4, np.random.default_rng(0)))).all()


def test_what_the_constraints_forbid_is_no_front():
    study = told(LINE, 40, [*objectives(2), Goal("size", at_most=0.3)])
    _, promise, centres = promise_of(study)
    outcomes = history_of(study).done.values()
    forbidden = {np.array(outcome.point).tobytes() for outcome in outcomes if outcome.totals[2] > 0.3}
    front = len(promise.terms[0].boxes.low) - 1
    allowed = np.array([outcome.totals[:2] for outcome in outcomes if outcome.totals[2] <= 0.3])
    assert front == non_dominated(allowed).sum()
    assert centres[0].tobytes() not in forbidden


def test_a_long_front_of_many_goals_is_a_mixture():
    _, promise, _ = promise_of(told(LINE, 60, objectives(8)))
    assert isinstance(promise.terms[0], Improvement)


def test_more_results_than_a_model_holds():
    _, promise, _ = promise_of(told(LINE, 60, objectives(2)), limit=30, incumbent="mean")
    assert [len(model.data.y) for model in promise.terms[0].models] == [30, 30]


def test_the_reference_point_lies_a_tenth_of_the_range_of_a_long_front_beyond_it():
    values = np.array([[0.0, 2.0], [1.0, 1.0], [2.0, 0.0], [2.1, 2.1]])
    np.testing.assert_allclose(reference_of(values), [2.2, 2.2], rtol=1e-5)


def test_the_reference_point_of_a_front_of_one_is_the_worst_of_all_however_many_lie_near_it():
    values = np.array([[0.0, 1.0], *[[0.0, 1.1]] * 20, [4.0, 3.0]])
    np.testing.assert_allclose(reference_of(values), [4.0, 3.0], rtol=1e-5)


def test_the_best_are_allowed_and_on_the_front():
    values = np.array([[0.0, 0.0], [3.0, 1.0], [1.0, 3.5], [3.2, 2.0], [2.0, 2.0]])
    assert best_first(values, np.array([False, True, True, True, True])).tolist() == [4, 1, 2, 3, 0]


def test_boxes_fit_for_two_goals_always():
    line = np.linspace(0, 1, 3000)
    assert fits_boxes(np.stack([line, -line], axis=1))
    assert not fits_boxes(np.random.default_rng(0).random((200, 6)))


@given(st.integers(0, 100), st.integers(2, 6))
def test_a_mixture_keeps_what_dominates_ahead(seed, goals):
    rng = np.random.default_rng(seed)
    values = rng.random((20, goals))
    values[1] = values[0] + 0.01
    found = mixed(values, rng)
    assert found.shape == (20, 1)
    assert found[0, 0] < found[1, 0]
