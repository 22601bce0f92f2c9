"""The luck in the best of many."""

import logging

import numpy as np
import pytest

import tunewell as tw
from tunewell.honest.luck import expected_best, expected_luck


@pytest.mark.parametrize(("n", "known"), [(1, 0.0), (2, 1 / np.sqrt(np.pi)), (10, 1.538753), (100, 2.507594)])
def test_the_expected_maximum_is_that_of_the_tables(n, known):
    assert expected_best(n) == pytest.approx(known, abs=1e-5)


@pytest.mark.parametrize("noise", [0.3, 1.0])
def test_the_expected_luck_is_that_of_a_simulation(noise):
    """The winner's curse of 100 configs: 0.22 of their spread at noise 0.3, 1.77 at noise 1."""
    rng = np.random.default_rng(0)
    truth, luck = rng.normal(size=(4000, 100)), noise * rng.normal(size=(4000, 100))
    score = truth + luck
    best = score.argmax(1)
    rows = np.arange(len(best))
    told = [expected_luck(noise, 100, lead) for lead in score[rows, best] - np.median(score, 1)]
    assert np.mean(told) == pytest.approx(luck[rows, best].mean(), rel=0.06)


def test_noise_that_gives_the_whole_lead_is_all_of_it():
    assert expected_luck(1.0, 100, 2.0) == 2.0


def tuned(rows, spread, trials):
    """A study whose configs are right on about 70 % of the validation rows, more or less by `spread`."""

    def share(run):
        chance = np.random.default_rng(int(run.config["x"] * 1e9))
        return float(chance.binomial(len(run.data.validation.y), 0.7 + spread * (run.config["x"] - 0.5)) / size)

    size = round(0.25 * round(0.8 * rows))
    split = tw.Split(np.arange(rows), np.zeros(rows))
    settings = {"maximize": "accuracy", "method": tw.Random(), "seed": 3, "progress": False, "trials": trials}
    return tw.tune(share, {"x": tw.Float(0.0, 1.0)}, data=split, **settings)


def test_too_few_validation_rows_for_the_trials_are_told(caplog):
    with caplog.at_level(logging.WARNING, "tunewell"):
        study = tuned(rows=100, spread=0.0, trials=60)
    assert study.luck is not None
    assert study.luck.is_too_much
    assert (study.luck.configs, study.luck.rows) == (60, 20)
    assert "too small" in caplog.text
    caplog.clear()
    with caplog.at_level(logging.WARNING, "tunewell"):
        study = tuned(rows=20_000, spread=0.5, trials=20)
    assert study.luck is not None
    assert not study.luck.is_too_much
    assert "too small" not in caplog.text


def test_a_metric_that_is_no_share_tells_nothing():
    study = tw.tune(
        lambda run: 7.0 + run.config["x"],
        {"x": tw.Float(0.0, 1.0)},
        minimize="loss",
        trials=5,
        seed=0,
        data=tw.Split(np.arange(50), np.zeros(50)),
        progress=False,
    )
    assert study.luck is None
    assert tw.open_study(space={"x": tw.Float(0.0, 1.0)}, minimize="loss").luck is None
