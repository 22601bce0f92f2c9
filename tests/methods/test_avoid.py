"""Avoid: the laws; what failed is not proposed again in thirty variants; by kind, for any method."""

import math

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, new_study
from tunewell.errors import StudyError
from tunewell.study import Failure, Result

SPACE = tw.Space.of(
    {
        "batch": tw.Int(8, 1024, log=True),
        "width": tw.Int(32, 4096, log=True),
        "lr": tw.Float(1e-5, 1e-1, log=True),
        "dropout": tw.Float(0, 0.7),
    }
)


class TestAvoidRandom(MethodContract):
    method = tw.Avoid(tw.Random(), tries=4)
    trials = 25


class TestAvoidSobol(MethodContract):
    method = tw.Avoid(tw.Sobol(), tries=4)
    trials = 25


def failed(method, trials, kind_of, seed=0):
    """Which trials failed; `kind_of(config)` is how, empty where one did not."""
    study, found = new_study(SPACE, seed=seed, trials=trials), []
    for _ in range(trials):
        job = study.start(method.propose(study, np.random.default_rng([seed, len(study.jobs)])))
        kind, loss = kind_of(job.config), math.log10(job.config["lr"]) ** 2
        study.commit(job)
        end = Result(job.id, "failed", error=Failure(kind)) if kind else Result(job.id, "done", {"loss": loss}, step=1)
        study.commit(end)
        found.append(bool(kind))
    return found


def memory(config):
    return "oom" if config["batch"] * config["width"] > 60_000 else ""


def two_walls(config):
    return memory(config) or ("diverged" if config["lr"] > 2e-2 else "")


@pytest.mark.parametrize("source", [tw.Random(), tw.Sobol(), tw.TPE()])
def test_failures_are_few_around_any_method(source):
    plain = sum(failed(source, 60, memory)[20:])
    assert sum(failed(tw.Avoid(source), 60, memory)[20:]) <= 0.35 * plain + 2


def test_each_kind_of_failure_is_learned():
    plain = sum(failed(tw.Random(), 60, two_walls)[25:])
    assert sum(failed(tw.Avoid(tw.Random()), 60, two_walls)[25:]) <= 0.5 * plain


@pytest.mark.parametrize("method", [tw.Avoid(tw.Random()), tw.Bayes()])
def test_a_config_without_room_is_not_proposed_again_in_thirty_variants(method):
    """The same batch and width, whatever else differs, is one config to the memory."""
    asked = []

    def kind_of(config):
        asked.append(config)
        return memory(config)

    failed(method, 60, kind_of)
    lost = [(math.log(c["batch"]), math.log(c["width"])) for c in asked if memory(c)]
    near = [sum(math.dist(one, other) < 0.5 for other in lost) for one in lost]
    assert max(near, default=0) <= 5


def test_nothing_is_avoided_where_nothing_failed():
    study = new_study(SPACE)
    plain = tw.Random().propose(study, np.random.default_rng(3))
    assert tw.Avoid(tw.Random()).propose(study, np.random.default_rng(3)) == plain


def test_a_grid_ends():
    study = new_study(tw.Space.of({"x": tw.Int(1, 30)}), trials=100)
    method, count = tw.Avoid(tw.Grid(30)), 0
    while (job := method.propose(study, np.random.default_rng(count))) is not None:
        count += 1
        study.commit(study.start(job))
        bad = job.config["x"] > 10
        last = len(study.jobs) - 1
        study.commit(Result(last, "failed", error=Failure("oom")) if bad else Result(last, "done", {"loss": 1.0}))
    assert 10 <= count < 30


def test_settings_that_mean_nothing_are_refused():
    for wrong in ({"most": 1.0}, {"tries": 0}, {"least": 0}):
        with pytest.raises(StudyError):
            tw.Avoid(tw.Random(), **wrong)
