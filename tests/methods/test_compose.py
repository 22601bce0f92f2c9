"""Methods made of methods."""

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError

SPACE = {"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0)}


class TestTake(MethodContract):
    method = tw.Take(7, tw.Random())


class TestThen(MethodContract):
    method = tw.Then(tw.Take(5, tw.Random()), tw.Sobol())


class TestThenNarrowed(MethodContract):
    method = tw.Then(tw.Grid(levels=3), tw.Sobol(), narrow=0.9)


class TestNested(MethodContract):
    method = tw.Then(tw.Take(3, tw.Random()), tw.Then(tw.Take(4, tw.Sobol()), tw.Take(5, tw.Halton())))


def tune(method, objective=lambda run: (run.config["x"] - 0.8) ** 2, **settings):
    return tw.tune(
        objective, SPACE, minimize="loss", seed=1, progress=False, method=method, **{"trials": 30, **settings}
    )


def test_take_ends_after_its_trials():
    assert len(tune(tw.Take(7, tw.Random())).trials) == 7
    assert len(tune(tw.Take(0, tw.Random())).trials) == 0


def test_then_runs_the_first_to_its_end_and_then_the_second():
    study = tune(tw.Then(tw.Grid(levels=2), tw.Take(5, tw.Sobol())))
    assert [job.tag[0] for job in study.jobs.values()] == [0] * 4 + [1] * 5


def test_the_second_method_works_where_the_first_found_it_good():
    study = tune(tw.Then(tw.Grid(levels=7), tw.Sobol(), narrow=0.9), trials=80)
    second = [job.config for job in study.jobs.values() if job.tag[0] == 1]
    assert second
    assert min(config["x"] for config in second) > 0.5
    assert max(config["y"] for config in second) - min(config["y"] for config in second) > 0.8
    assert tw.verify(study).holds


def test_an_empty_first_part_is_no_obstacle():
    assert len(tune(tw.Then(tw.Take(0, tw.Random()), tw.Sobol(), narrow=0.9), trials=4).trials) == 4


def test_failed_trials_do_not_keep_the_second_from_narrowing():
    def train(run):
        if run.config["x"] < 0.4:
            raise ValueError("no")
        return (run.config["x"] - 0.8) ** 2

    study = tune(tw.Then(tw.Grid(levels=7, order="spread"), tw.Sobol(), narrow=0.9), train, trials=70)
    assert len(study.trials) == 70
    assert min(job.config["x"] for job in study.jobs.values() if job.tag[0] == 1) > 0.4


@pytest.mark.parametrize(
    "make", [lambda: tw.Take(-1, tw.Random()), lambda: tw.Then(tw.Random(), tw.Random(), narrow=2)]
)
def test_settings_that_mean_nothing_are_refused(make):
    with pytest.raises(StudyError):
        make()
