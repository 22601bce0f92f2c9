"""No config twice."""

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError
from tunewell.study import canonical

TINY = {"a": tw.Choice(["x", "y"]), "b": tw.Int(1, 3)}


class TestForbid(MethodContract):
    method = tw.Unique(tw.Random())


class TestReplicate(MethodContract):
    method = tw.Unique(tw.Random(), duplicates="replicate")


class TestReuse(MethodContract):
    method = tw.Unique(tw.Random(), duplicates="reuse")


def tune(method, **settings):
    calls = []

    def train(run):
        calls.append(run.config)
        return {"loss": float(run.config["b"]) + (run.config["a"] == "y")}

    given = {"minimize": "loss", "seed": 3, "progress": False, "method": method, **settings}
    return tw.tune(train, given.pop("space", TINY), **given), calls


def test_forbidding_visits_each_config_of_a_small_space_once_and_ends():
    study, calls = tune(tw.Unique(tw.Random()))
    assert len(calls) == 6
    assert len({canonical(config) for config in calls}) == 6
    assert tw.verify(study).holds


def test_forbidding_helps_a_method_that_asks_for_the_same_again_and_again():
    _, calls = tune(tw.Unique(tw.Then(tw.Grid(levels=3), tw.Grid(levels=3))), trials=6)
    assert len({canonical(config) for config in calls}) == len(calls)


def test_what_others_ran_counts():
    store = tw.MemoryStore()
    study = tw.open_study("s", store, space=TINY, minimize="loss", method=tw.Unique(tw.Random()), seed=3)
    study.add({"a": "x", "b": 1}, 1.0)
    tw.run(study, lambda run: 1.0, progress=False)
    assert len(study.trials) == 6


def test_replicates_get_the_next_seed():
    study, calls = tune(tw.Unique(tw.Random(), duplicates="replicate"), limits=tw.Limits(steps=30))
    assert len(calls) == 30
    assert len({canonical(config) for config in calls}) == 6
    seeds = {}
    for job in study.jobs.values():
        seeds.setdefault(canonical(job.config), []).append(job.seed)
    assert all(found == list(range(len(found))) for found in seeds.values())
    assert tw.verify(study).holds


def test_reuse_tells_the_method_the_known_result_without_running_again():
    study, calls = tune(tw.Unique(tw.Random(), duplicates="reuse"))
    assert len({canonical(config) for config in calls}) == len(calls)
    assert len(calls) == 6
    assert any(job.tag[:1] == ("reused",) for job in study.jobs.values())
    assert tw.verify(study).holds


def test_a_reused_trial_counts_for_the_method_inside():
    _, calls = tune(tw.Unique(tw.Take(10, tw.Random()), duplicates="reuse"))
    assert len(calls) < 10


@pytest.mark.parametrize("settings", [{"duplicates": "allow"}, {"tries": 0}])
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(StudyError):
        tw.Unique(tw.Random(), **settings)
