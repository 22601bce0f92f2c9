"""The acquisition: gradients, failures, constraints, pending jobs, and results of several numbers of steps."""

from dataclasses import replace

import numpy as np
import pytest

from tunewell.contract.methods import SPACES, new_study
from tunewell.methods.cube import cube_of
from tunewell.methods.history import history_of
from tunewell.methods.promise import Modelling, Spending
from tunewell.methods.terms import Improvement, Thrift
from tunewell.study import Act, Failure, Goal, Job, Result
from tunewell.surrogates.acquisition import log_expected_improvement

LINE, LOSS = SPACES["continuous"], (Goal("loss"),)


def told(space, outcomes, goals=LOSS, steps=9):
    """A study after `outcomes`: (config, until, metrics), where the metrics are None for a failure."""
    study = new_study(space, steps=steps)
    study.commit(Act("change", {"goals": [{"metric": goal.metric, "at_most": goal.at_most} for goal in goals]}))
    for config, until, metrics in outcomes:
        job = study.start(Job(config, until))
        study.commit(job)
        failed = metrics is None
        study.commit(
            Result(job.id, "failed", error=Failure("oom")) if failed else Result(job.id, "done", metrics, step=until)
        )
    return study


def promise_of(study, pending=(), spending=None, **settings):
    cube = cube_of(study.space)
    points = cube.points(list(pending))
    promise, centres = Modelling(**settings).promise(
        cube, history_of(study), study.goals, points, np.random.default_rng(0), spending=spending
    )
    return cube, promise, centres


def random_outcomes(space, count, until=lambda i: 9, failing=lambda config: False, rng=None):
    rng = rng or np.random.default_rng(1)
    for i in range(count):
        config = space.sample(rng)
        units = np.nan_to_num(space.encode(config), nan=0.4)
        loss = float(((units - 0.3) ** 2).sum())
        failed = failing(config)
        yield config, until(i), None if failed else {"loss": loss / until(i), "size": float(units[0])}


BOUND = (Goal("loss"), Goal("size", at_most=0.6))


@pytest.mark.parametrize("space", [SPACES["continuous"], SPACES["conditional"]], ids=["continuous", "conditional"])
@pytest.mark.parametrize("pending", [0, 3])
def test_the_gradient_is_that_of_differences(space, pending):
    outcomes = random_outcomes(space, 30, until=lambda i: 1 + 8 * (i % 2), failing=lambda c: space.encode(c)[0] > 0.9)
    study = told(space, list(outcomes), BOUND)
    rng = np.random.default_rng(5)
    cube, promise, _ = promise_of(study, [space.sample(rng) for _ in range(pending)])
    assert len(promise.terms) == 3
    columns = cube.embed(cube.uniform(1, rng))[0]
    value, gradient = promise.slope(columns)
    moves = np.eye(len(columns)) * 1e-5
    numeric = [(promise.slope(columns + move)[0] - promise.slope(columns - move)[0]) / 2e-5 for move in moves]
    assert np.linalg.norm(gradient - numeric) <= 1e-4 * np.linalg.norm(gradient)
    assert np.isfinite(value)


def test_value_and_slope_agree():
    study = told(LINE, list(random_outcomes(LINE, 20, failing=lambda c: c["x"] > 0.8)), BOUND)
    cube, promise, _ = promise_of(study, [LINE.sample(np.random.default_rng(7))])
    points = cube.uniform(5, np.random.default_rng(2))
    found = [promise.slope(columns)[0] for columns in cube.embed(points)]
    np.testing.assert_allclose(promise.at(points), found, rtol=1e-9)


def test_where_jobs_failed_less_is_promised():
    study = told(LINE, list(random_outcomes(LINE, 40, failing=lambda c: c["x"] > 0.5)))
    cube, promise, _ = promise_of(study)
    low, high = (cube.points([{"x": x, "y": 0.01, "z": 0.0}]) for x in (0.2, 0.9))
    chance = promise.terms[1].at
    assert np.exp(chance(cube.embed(low))) > 0.8 > 0.2 > np.exp(chance(cube.embed(high)))


def test_a_measured_constraint_counts_by_its_probability():
    study = told(LINE, list(random_outcomes(LINE, 40)), BOUND)
    cube, promise, centres = promise_of(study)
    chances = [
        np.exp(promise.terms[1].at(cube.embed(cube.points([{"x": x, "y": 0.01, "z": 0.0}])))) for x in (0.3, 0.9)
    ]
    assert chances[0] > 0.95 > 0.05 > chances[1]
    assert centres[0][0] <= 0.6


def test_where_nothing_keeps_to_the_constraints_only_they_count():
    study = told(LINE, list(random_outcomes(LINE, 20)), (Goal("loss"), Goal("size", at_most=-0.5)))
    cube, promise, _ = promise_of(study)
    assert not any(isinstance(term, Improvement) for term in promise.terms)
    assert np.isfinite(promise.at(cube.uniform(4, np.random.default_rng(0)))).all()


def test_a_pending_job_lowers_what_its_neighbourhood_promises():
    study = told(LINE, list(random_outcomes(LINE, 8)))
    cube, promise, _ = promise_of(study)
    points = cube.uniform(300, np.random.default_rng(0))
    top = points[np.argmax(promise.at(points))]
    beside = cube.near(top[None], np.array([1e-3]), np.random.default_rng(1))
    _, after, _ = promise_of(study, [LINE.decode(top)])
    assert after.at(beside)[0] < promise.at(beside)[0] - 1
    again = cube.points([LINE.decode(top)])
    assert after.at(again)[0] == -np.inf


def test_short_trainings_say_where_long_ones_are_good():
    rng = np.random.default_rng(0)
    short = [(c, 1, {"loss": m["loss"] * 9 + 5}) for c, _, m in random_outcomes(LINE, 40, rng=rng)]
    long = [(c, 9, {"loss": m["loss"] * 9}) for c, _, m in random_outcomes(LINE, 3, rng=rng)]
    cube, promise, _ = promise_of(told(LINE, [*short, *long]))
    test = [LINE.sample(rng) for _ in range(200)]
    truth = ((LINE.encode_many(test) - 0.3) ** 2).sum(1)
    z = cube.embed(cube.points(test))
    mean = promise.terms[0].model.predict(np.hstack([z, np.ones((200, 1))]))[0]
    assert np.corrcoef(mean, truth)[0, 1] > 0.9


def test_replicates_are_pooled_and_many_results_are_thinned():
    outcomes = list(random_outcomes(LINE, 60))
    study = told(LINE, [*outcomes, *outcomes[:5]])
    _, promise, _ = promise_of(study, limit=30)
    assert len(promise.terms[0].model.data.y) == 30
    assert set(promise.terms[0].model.data.counts) <= {1.0, 2.0}
    best = min(m["loss"] for _, _, m in outcomes)
    assert best in [o.totals[0] / o.count for o in history_of(study).done.values()]
    assert promise.terms[0].model.data.y.min() == promise.terms[0].best[0]


def with_gradients(count, known=lambda gradient: gradient):
    """A study of a bowl on the line, whose results carry gradients; `known` is what is told of them."""
    study, rng = told(LINE, []), np.random.default_rng(2)
    for _ in range(count):
        config = LINE.sample(rng)
        away = {"x": config["x"] - 0.4, "y": np.log10(config["y"]) + 2, "z": (config["z"] - 1) / 2}
        gradient = {"x": 2 * away["x"], "y": 2 * away["y"] / (config["y"] * np.log(10)), "z": away["z"]}
        job = study.start(Job(config, 9))
        study.commit(job)
        loss = sum(part**2 for part in away.values())
        study.commit(Result(job.id, "done", {"loss": loss}, step=9, gradient=known(gradient)))
    return study


def test_gradients_are_derivatives_of_the_values_of_the_better_half():
    _, promise, _ = promise_of(with_gradients(20))
    data = promise.terms[0].model.data
    rows, better = np.flatnonzero(data.along >= 0), np.argsort(data.y[:20])[:10]
    assert len(rows) == 3 * 10
    assert set(data.z[rows, 0]) == set(data.z[better, 0])
    away = (data.z - np.array([0.4, 0.5, 0.6])) * np.array([1.0, 4.0, 2.5])
    losses = (away[better] ** 2).sum(1)
    steep = np.ptp(data.y[better]) / np.ptp(losses)
    columns = data.along[rows]
    expected = 2 * steep * away[rows, columns] * np.array([1.0, 4.0, 2.5])[columns]
    np.testing.assert_allclose(data.y[rows], expected, rtol=1e-6, atol=1e-9)


def test_what_is_missing_or_not_finite_of_a_gradient_is_left_out():
    def known(gradient):
        return {"x": float("nan"), "y": gradient["y"], "stranger": 1.0}

    _, promise, _ = promise_of(with_gradients(20, known))
    assert set(promise.terms[0].model.data.along) == {-1, 1}
    _, promise, _ = promise_of(with_gradients(20, lambda gradient: {}))
    assert promise.terms[0].model.data.along is None


@pytest.mark.parametrize("input", ["none", "kumaraswamy"])
def test_the_gradient_of_the_acquisition_holds_with_gradients_and_pending_jobs(input):
    study = with_gradients(12)
    cube, promise, _ = promise_of(study, [LINE.sample(np.random.default_rng(7))], input=input, incumbent="mean")
    assert (promise.terms[0].model.data.along >= 0).any()
    columns = cube.embed(cube.uniform(1, np.random.default_rng(8)))[0]
    value, gradient = promise.slope(columns)
    moves = np.eye(len(columns)) * 1e-5
    numeric = [(promise.slope(columns + move)[0] - promise.slope(columns - move)[0]) / 2e-5 for move in moves]
    assert np.linalg.norm(gradient - numeric) <= 1e-4 * np.linalg.norm(gradient)
    assert promise.at(columns[None])[0] == pytest.approx(value)


def test_the_improvement_on_the_best_result_is_that_of_a_result_less_its_noise():
    rng = np.random.default_rng(3)
    outcomes = [
        (config, until, {"loss": metrics["loss"] + 0.05 * rng.standard_normal()})
        for config, until, metrics in random_outcomes(LINE, 40)
    ]
    cube, promise, centres = promise_of(told(LINE, outcomes), incumbent="result")
    improvement, z = promise.terms[0], cube.embed(cube.near(centres[:1], np.array([0.1]), rng))
    mean, variance = improvement.model.predict(z)
    assert improvement.noise == improvement.model.hyper.noise > 0.01
    deviation = np.sqrt(variance + improvement.noise)
    results = mean + deviation * rng.standard_normal(400_000)
    expected = np.maximum(improvement.best - results, 0).mean() * (1 - np.sqrt(improvement.noise) / deviation)
    assert np.exp(improvement.at(z)) == pytest.approx(expected, rel=0.03)
    value, gradient = improvement.slope(z[0])
    moves = np.eye(z.shape[1]) * 1e-5
    numeric = [(improvement.slope(z[0] + move)[0] - improvement.slope(z[0] - move)[0]) / 2e-5 for move in moves]
    assert np.linalg.norm(gradient - numeric) <= 1e-4 * np.linalg.norm(gradient)
    assert improvement.at(z)[0] == pytest.approx(value)


def test_where_only_noise_is_unknown_a_result_promises_next_to_nothing():
    _, promise, _ = promise_of(told(LINE, list(random_outcomes(LINE, 40))), incumbent="result")
    improvement = replace(promise.terms[0], noise=0.5)
    known = improvement.model.data.z[:1]
    mean, variance = improvement.model.predict(known)
    of_any_result = log_expected_improvement(mean, np.sqrt(variance + 0.5), improvement.best)
    assert improvement.at(known)[0] < of_any_result[0] - 5
    value, gradient = replace(improvement, noise=1e30).slope(known[0])
    assert np.isfinite([value, *gradient]).all()


@pytest.mark.parametrize("incumbent", ["observed", "mean"])
def test_the_improvement_of_the_function_leaves_the_noise_out(incumbent):
    _, promise, _ = promise_of(told(LINE, list(random_outcomes(LINE, 20))), incumbent=incumbent)
    assert promise.terms[0].noise == 0.0


def test_many_gradients_are_thinned():
    _, promise, _ = promise_of(with_gradients(300), limit=260)
    along = promise.terms[0].model.data.along
    assert ((along < 0).sum(), (along >= 0).sum()) == (260, 250)


def costly(space, count, cost):
    for config, until, metrics in random_outcomes(space, count):
        yield config, until, metrics | {"cost": cost(config)}


def test_what_costs_less_promises_more_until_the_budget_is_spent():
    study = told(LINE, list(costly(LINE, 30, lambda c: np.exp(4 * c["x"]))))
    ends = cube_of(LINE).points([{"x": x, "y": 0.01, "z": 0.0} for x in (0.1, 0.5)])
    preferences = []
    for left in (1.0, 0.5, 0.0):
        _, promise, _ = promise_of(study, spending=Spending("cost", left))
        cheap, dear = promise.at(ends)
        preferences.append(cheap - dear)
    assert preferences[0] - preferences[2] == pytest.approx(4 * 0.4, rel=0.1)
    assert preferences[1] == pytest.approx((preferences[0] + preferences[2]) / 2)


def test_the_gradient_of_cost_is_that_of_differences():
    study = told(LINE, list(costly(LINE, 30, lambda c: 1 + c["x"] ** 2)))
    cube, promise, _ = promise_of(study, spending=Spending("cost", 0.7))
    thrift = promise.terms[-1]
    assert isinstance(thrift, Thrift)
    for seed in range(5):
        columns = cube.embed(cube.uniform(1, np.random.default_rng(seed)))[0]
        gradient = thrift.slope(columns)[1]
        moves = np.eye(len(columns)) * 1e-5
        numeric = [(thrift.slope(columns + move)[0] - thrift.slope(columns - move)[0]) / 2e-5 for move in moves]
        np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)
        assert thrift.at(columns[None])[0] == pytest.approx(thrift.slope(columns)[0])


@pytest.mark.parametrize("cost", [lambda c: 3.0, lambda c: 0.0, lambda c: -1.0, lambda c: float("nan")])
def test_costs_that_do_not_differ_or_mean_nothing_are_left_out(cost):
    study = told(LINE, list(costly(LINE, 8, cost)))
    _, promise, _ = promise_of(study, spending=Spending("cost", 1.0))
    assert not any(isinstance(term, Thrift) for term in promise.terms)
