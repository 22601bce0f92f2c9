"""Which scores of untrained networks are worth using."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.architecture import standings

SPACE = {"width": tw.Int(1, 1000), "kind": tw.Int(0, 1000)}


def studied(loss, trials=40, **settings):
    """A study of random configs, whose loss is a function of the config."""
    goal = settings or {"minimize": "loss"}
    return tw.tune(lambda run: loss(run.config), SPACE, method=tw.Random(), trials=trials, progress=False, **goal)


def width(config):
    return config["width"]


def both(config):
    return config["width"] + config["kind"]


def test_what_ranks_better_than_the_number_of_parameters_helps():
    found = {one.name: one for one in standings(studied(lambda c: -both(c)), {"parameters": width, "synflow": both})}
    assert found["synflow"].correlation == pytest.approx(1)
    assert found["synflow"].helps
    assert found["parameters"].helps
    low, high = found["parameters"].interval
    assert 0 < low < found["parameters"].correlation < high < 1
    assert found["parameters"].gain == (0, 0)


def test_what_only_repeats_the_number_of_parameters_is_left_out():
    found = standings(studied(lambda c: -both(c)), {"parameters": width, "operations": lambda c: 3 * width(c)})
    assert [one.helps for one in found if one.name == "operations"] == [False]
    assert [one.helps for one in found if one.name == "parameters"] == [True]


def test_noise_is_left_out():
    study, rng = studied(lambda c: -both(c), 20), np.random.default_rng(0)
    for _ in range(5):
        noise = rng.random(1001)
        found = standings(study, {"parameters": width, "noise": lambda c, of=noise: of[c["kind"]]})
        assert [one.helps for one in found if one.name == "noise"] == [False]


def test_larger_is_better_where_the_goal_is_to_be_maximized():
    found = standings(studied(width, maximize="accuracy"), {"parameters": width})
    assert found[0].correlation == pytest.approx(1)


def test_failed_trials_do_not_count():
    def fails(config):
        if config["kind"] < 300:
            raise ValueError
        return -width(config)

    assert standings(studied(fails), {"parameters": width})[0].correlation == pytest.approx(1)


def test_a_proxy_that_is_nan_is_refused_by_name_and_config():
    def broken(config):
        return float("nan") if config["kind"] > 500 else 1.0

    with pytest.raises(tw.StudyError, match=r"'synflow' is NaN at .*'kind': [5-9]\d\d"):
        standings(studied(lambda c: -both(c)), {"parameters": width, "synflow": broken})


def test_a_proxy_may_be_infinite():
    found = standings(studied(lambda c: -width(c)), {"parameters": lambda c: -np.inf if width(c) < 300 else width(c)})
    assert found[0].correlation > 0.9


def reached(proxy, trials=120):
    """Of which trials the network was trained, where the proxy of the first step decides on it."""

    def train(run):
        for step in run.steps():
            run.report(step, loss=-proxy(run.config) if step == 1 else -both(run.config))

    method = tw.ASHA(tw.Random(), minimum=1)
    study = tw.tune(train, SPACE, minimize="loss", steps=3, method=method, trials=trials, progress=False)
    return np.array([trial.step == 3 for trial in study.trials])


def test_as_the_first_rung_a_proxy_that_ranks_well_spares_trainings():
    assert 0.2 < reached(both).mean() < 0.4


def test_as_the_first_rung_a_proxy_that_misleads_is_switched_off():
    assert reached(lambda config: -both(config)).mean() > 0.9


def test_is_a_sentence():
    found = standings(studied(lambda c: -both(c)), {"parameters": width, "synflow": both})
    assert [str(one).partition(":")[0] for one in found] == ["synflow", "parameters"]
    assert str(found[0]).endswith("more than the number of parameters: worth using")
    assert "leave it out" in str(standings(studied(both), {"parameters": width})[0])


def test_says_what_is_wrong():
    with pytest.raises(tw.StudyError, match="have to beat"):
        standings(studied(width), {"synflow": width})
    with pytest.raises(tw.StudyError, match="5 finished trials"):
        standings(studied(width, 5), {"parameters": width})
