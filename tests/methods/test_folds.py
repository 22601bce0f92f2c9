"""Cross-validation fold by fold: the laws, who stops, what the source is told, and what the best is."""

from dataclasses import dataclass
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import MethodContract, cut, new_study
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.folds import CrossValidation, as_configs, standing_of

SPACE = {"x": tw.Float(0.0, 1.0)}
EFFECTS = (0.5, -0.3, 0.1, 0.0, -0.3)
"""Folds are not equally hard."""


class TestOfSobol(MethodContract):
    method = CrossValidation(tw.Sobol(), folds=3)


class TestOfTPE(MethodContract):
    method = CrossValidation(tw.TPE(start=4), folds=3, stop="worst", least=2)
    trials = 10


def loss_of(x, fold, noise=0.02):
    luck = np.random.default_rng([fold, int(x * 1e9)]).normal()
    return (x - 0.3) ** 2 + EFFECTS[fold] + noise * luck


def objective(run):
    return loss_of(run.config["x"], run.replicate)


def tuned(method, *, fits=100, seed=0, **more):
    limits = tw.Limits(steps=fits)
    return tw.tune(objective, SPACE, minimize="loss", method=method, limits=limits, seed=seed, progress=False, **more)


def by_config(study):
    """The losses by fold of each config, in the order in which they began."""
    found = {}
    for job in study.jobs.values():
        if job.id in study.results:
            found.setdefault(job.config["x"], []).append(study.loss(job.id))
    return found


BARS = {
    "paired": lambda losses, best: fmean(best[: len(losses)]),
    "mean": lambda losses, best: fmean(best),
    "worst": lambda losses, best: max(best),
}


@pytest.mark.parametrize("stop", BARS)
@pytest.mark.parametrize("least", [1, 2])
def test_a_config_goes_on_exactly_as_long_as_the_rule_allows(stop, least):
    study = tuned(CrossValidation(tw.Random(), 5, stop, least))
    best, whole = None, 0
    configs = list(by_config(study).values())
    for losses in configs[:-1]:  # the budget may have cut the last one
        bars = [whole >= 3 and k >= least and fmean(losses[:k]) > BARS[stop](losses[:k], best) for k in range(1, 6)]
        expected = bars.index(True) + 1 if any(bars[:4]) else 5
        assert len(losses) == expected
        whole += len(losses) == 5
        if len(losses) == 5 and (best is None or fmean(losses) < fmean(best)):
            best = losses
    assert len(configs) > 100 / 5


def test_never_measures_all_on_every_fold():
    assert {len(losses) for losses in by_config(tuned(CrossValidation(stop="never"))).values()} == {5}


def test_the_best_config_is_whole_and_its_folds_are_compared_in_pairs():
    for seed in range(5):
        study = tuned(CrossValidation(tw.Random()), seed=seed)
        means = {x: fmean(losses) for x, losses in by_config(study).items() if len(losses) == 5}
        best = study.best
        assert best.seeds == 5
        assert means[best.config["x"]] - min(means.values()) < 0.02
        assert best.interval[1] - best.interval[0] < 0.1  # the folds differ by 0.8, the configs' noise is 0.02


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6))
def test_the_source_sees_one_job_and_one_result_a_config(seed):
    method = CrossValidation(tw.Random())
    study = tuned(method, seed=seed, fits=40)
    inner = as_configs(method, study.plan)
    assert [job.id for job in inner.jobs.values()] == [job.id for job in study.jobs.values() if job.seed == 0]
    assert all(job.tag[:1] != (0,) for job in inner.root.jobs.values())
    seen = {inner.jobs[job].config["x"]: inner.loss(job) for job in inner.results}
    losses = by_config(study)
    for x, loss in seen.items():
        if len(losses[x]) == 5:
            assert loss == pytest.approx(fmean(losses[x]))
    spent = sum(result.seconds for result in study.results.values())
    assert sum(result.seconds for result in inner.results.values()) <= spent + 1e-9


def test_what_stopped_is_told_as_its_difference_to_the_incumbent():
    method = CrossValidation(tw.Random())
    study = tuned(method)
    inner = as_configs(method, study.plan)
    for job in inner.results:
        x = inner.jobs[job].config["x"]
        if len(by_config(study)[x]) < 5:
            assert inner.loss(job) == pytest.approx((x - 0.3) ** 2, abs=0.12)  # the effects sum to 0
    errors = [result.std["loss"] for result in inner.results.values() if result.std]
    assert np.median(errors[5:]) < 0.05


def test_an_enqueued_config_is_measured_on_every_fold():
    study = tuned(CrossValidation(tw.Random(), stop="never"), fits=20)
    study.enqueue({"x": 0.3})
    study.change(limits=tw.Limits(steps=25))
    tw.run(study, objective, progress=False)
    assert len(by_config(study)[0.3]) == 5
    assert tw.verify(study).holds


def test_a_killed_study_goes_on_with_the_same_folds():
    study = tuned(CrossValidation(tw.TPE(start=4)))
    for length in (5, 20, 77):
        method = study.method
        assert standing_of(method, cut(study, length).plan).best == standing_of(method, cut(study, length).plan).best
    assert tw.verify(study).holds


def test_what_fails_on_one_fold_is_measured_on_no_other():
    def fragile(run):
        if run.config["x"] > 0.5:
            raise ValueError("no")
        return objective(run)

    settings = {"minimize": "loss", "limits": tw.Limits(steps=60), "seed": 1, "progress": False}
    study = tw.tune(fragile, SPACE, method=CrossValidation(tw.Sobol()), **settings)
    assert all(job.seed == 0 for job in study.jobs.values() if job.config["x"] > 0.5)


def test_a_fold_gets_the_rows_of_its_fold():
    seen = {}

    def rows(run):
        seen.setdefault(run.replicate, run.data.validation.x)
        assert np.array_equal(seen[run.replicate], run.data.validation.x)
        return run.config["x"]

    split = tw.Split(np.arange(50), np.arange(50) % 2, folds=5, stratify=True)
    tw.tune(rows, SPACE, minimize="loss", method=CrossValidation(stop="never"), trials=4, data=split, progress=False)
    assert len(np.unique(np.concatenate(list(seen.values())))) == 40


@pytest.mark.parametrize("wrong", [{"folds": 1}, {"stop": "soon"}, {"least": 0}])
def test_settings_that_mean_nothing_are_refused(wrong):
    with pytest.raises(StudyError):
        CrossValidation(**wrong)


def test_what_it_cannot_serve_is_said_at_once():
    rng = np.random.default_rng(0)
    study = new_study(tw.Space.of(SPACE), steps=9)
    with pytest.raises(Unsupported, match="goes on with its jobs"):
        CrossValidation(Continues()).propose(study, rng)
    two = tw.open_study(space=SPACE, minimize=["a", "b"])
    with pytest.raises(Unsupported, match="one objective"):
        CrossValidation().propose(two, rng)


@dataclass(frozen=True)
class Continues:
    """Proposes to go on with a job."""

    def propose(self, study, rng):
        return tw.Job({"x": 0.5}, 9, parent=0)
