"""A study ends when further trials promise too little, and says why."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.enough import promised

SPACE = tw.Space({"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0)})


class TestEnough(MethodContract):
    method = tw.Enough(tw.Random(), share=0.5, least=10)


class TestEnoughOfHalving(MethodContract):
    method = tw.Enough(tw.ASHA(tw.Random()), share=0.3, least=10)


class TestEnoughWithin(MethodContract):
    method = tw.Then(tw.Enough(tw.Random(), gain=1.0, least=10), tw.Sobol())


def tune(method, objective, trials=300, **settings):
    return tw.tune(objective, SPACE, minimize="loss", seed=1, progress=False, method=method, trials=trials, **settings)


def bowl(run):
    return (run.config["x"] - 0.5) ** 2 + (run.config["y"] - 0.5) ** 2


def test_it_ends_and_says_why():
    study = tune(tw.Enough(tw.Random()), bowl)
    assert 30 <= len(study.trials) < 300
    assert "25 more" in study.method.why(study)
    assert study.method.why(study).endswith("it is enough")
    assert tw.verify(study).holds


def test_it_goes_on_while_a_small_gain_is_wanted():
    assert len(tune(tw.Enough(tw.Random(), gain=0.0), bowl, trials=120).trials) == 120
    study = tune(tw.Enough(tw.Random(), gain=0.5), bowl)
    assert len(study.trials) == 30


def test_a_search_that_still_improves_goes_on():
    losses = iter(range(1000, 0, -1))
    study = tune(tw.Enough(tw.Random(), share=0.05), lambda run: float(next(losses)), trials=150)
    assert len(study.trials) == 150
    assert study.method.why(study).startswith("after 150 configs")


def test_noise_that_is_told_ends_it():
    """A gain below the noise could not be seen."""
    noisy = tune(tw.Enough(tw.Random(), gain=0.0, noise=10.0), bowl)
    assert len(noisy.trials) == 30
    assert "the noise" in noisy.method.why(noisy)


def test_before_the_least_there_is_no_decision():
    study = tune(tw.Enough(tw.Random(), gain=100.0, least=40), bowl, trials=20)
    assert len(study.trials) == 20
    assert "no decision before 40" in study.method.why(study)


def test_the_promise_is_near_the_expected_gain():
    """Of losses with the distribution function exp(x), x <= 0, drawn anew."""
    rng, promises, gains = np.random.default_rng(0), [], []
    for _ in range(400):
        losses = -rng.exponential(size=100)
        promises.append(promised(losses, 20))
        gains.append(max(losses.min() - (-rng.exponential(size=20)).min(), 0.0))
    assert np.mean(gains) <= np.mean(promises) <= 4 * np.mean(gains)


def test_what_has_an_end_is_promised_too_much_rather_than_too_little():
    rng, promises, gains = np.random.default_rng(0), [], []
    for _ in range(400):
        losses = rng.random(100)
        promises.append(promised(losses, 20))
        gains.append(max(losses.min() - rng.random(20).min(), 0.0))
    assert np.mean(promises) >= np.mean(gains)


def test_equal_losses_promise_nothing():
    assert promised(np.ones(40), 10) == 0.0


def test_several_objectives_and_wrong_settings_are_refused():
    with pytest.raises(StudyError, match="ahead=0"):
        tw.Enough(tw.Random(), ahead=0)
    with pytest.raises(StudyError, match="gain=-1"):
        tw.Enough(tw.Random(), gain=-1)
    study = new_study(SPACE)
    study._adopt(study.settings.changed({"goals": [{"metric": "a"}, {"metric": "b"}]}, {}))
    with pytest.raises(Unsupported, match="one objective"):
        propose(tw.Enough(tw.Random()), study)
