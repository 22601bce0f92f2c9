"""A problem as an objective: vectors are gathered, the gradient is reported, a refusal fails its trial."""

import numpy as np
import pytest

import tunewell as tw
from tests.hypergradient.problems import regression
from tunewell.hypergradient import Equations, Objective, Ridge, vector

PENALTY = tw.Float(1e-3, 1e3, log=True, default=1.0)


def tuned(objective, space, method, trials=80):
    return tw.tune(objective, space, minimize="loss", trials=trials, seed=0, method=method, progress=False)


def test_a_penalty_for_each_feature_is_tuned():
    problem = Ridge(*regression())
    study = tuned(
        Objective(problem, vectors={"alpha": 20}),
        vector("alpha", 20, PENALTY),
        tw.HyperGradient(starts=1, most=80),
    )
    one = min(problem.loss(problem.solve({"alpha": size}), {})[0] for size in np.geomspace(1e-3, 1e3, 50))
    assert study.best.value < 0.9 * one
    assert {"bound", "stationarity", "residual"} <= set(study.results[0].metrics)
    assert study.results[0].metrics["checked"] < 1e-4
    assert "checked" not in study.results[1].metrics


def test_bayes_learns_from_the_same_gradients():
    study = tuned(Objective(Ridge(*regression())), {"alpha": PENALTY}, tw.Bayes(), trials=8)
    assert all(result.gradient for result in study.results.values())


def test_a_problem_may_depend_on_the_run():
    def made(run):
        x, y, x_held, y_held = regression()
        return Ridge(x[:, : run.config["width"]], y, x_held[:, : run.config["width"]], y_held)

    space = {"alpha": PENALTY, "width": tw.Int(5, 20)}
    study = tuned(Objective(made), space, tw.Then(tw.Take(5, tw.Random()), tw.HyperGradient(starts=1)), 30)
    assert set(study.results[0].gradient) == {"alpha"}
    assert len({job.config["width"] for job in study.jobs.values() if job.tag[0] == 1}) == 1


def test_a_refusal_fails_its_trial_with_the_sentence():
    saddle = Equations(
        lambda h: np.zeros(2), lambda w, h: np.array([w[0], -w[1]]) * h["a"], lambda w, h: float(w.sum())
    )
    study = tuned(Objective(saddle), {"a": tw.Float(0.1, 1)}, tw.Random(), 1)
    assert "curvature of the training loss is not positive" in study.results[0].error.message


def test_numbers_keep_their_names():
    objective = Objective(None, vectors={"alpha": 3})
    config = {"alpha_0": 1.0, "alpha_1": 2.0, "alpha_2": 3.0, "beta_1": 0.9}
    values = objective.values(config)
    assert values["alpha"] == pytest.approx([1, 2, 3])
    assert values["beta_1"] == 0.9
