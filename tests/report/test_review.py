"""The review says what the log says, and what it does not."""

import math
from itertools import combinations

import numpy as np
import pytest

from tests.report.studies import BEGAN, filled, opened, say_done
from tunewell.report.review import drawn_blindly, expected_best, review
from tunewell.study import Act, Job, Result


def said(study, title):
    (section,) = [section for section in review(study).sections if section.title == title]
    return " ".join(section.sentences)


def test_an_empty_study_has_a_review():
    text = str(review(opened()))
    assert "None: no trial reached the last step" in text
    assert "Cannot tell" in text


def test_what_was_spent_is_that_of_the_log():
    study = filled(20, failures=0.2)
    failed = sum(trial.status == "failed" for trial in study.trials)
    assert f"{failed} failed" in said(study, "What it cost")
    assert f"{failed} of 20 trials" in said(study, "What was not established")


def test_how_often_the_method_was_changed_is_told():
    study = opened()
    study.commit(Act("change", {"method": "Random()"}))
    assert ", changed 1 time." in said(study, "What was searched")
    study.commit(Act("change", {"method": "Random()"}))
    assert ", changed 2 times." in said(study, "What was searched")


def test_a_result_measured_once_is_not_called_an_estimate():
    study = opened()
    say_done(study, study.space.default(), 1.0)
    assert "cannot be told" in said(study, "The winner")
    assert "nothing was repeated" in said(study, "What was not established")


def test_the_default_config_stands_beside_the_winner():
    study = opened()
    say_done(study, study.space.default(), 2.0)
    config = {**study.space.default(), "layers": 4}
    say_done(study, config, 0.5)
    text = said(study, "Beside the default config")
    assert "reached 2 over 1 seed" in text
    assert "better by 1.5" in text
    assert "default config: it did not run" not in said(study, "What was not established")


def test_a_default_that_wins_is_called_the_winner():
    study = opened()
    say_done(study, study.space.default(), 0.5)
    assert "found nothing better" in said(study, "Beside the default config")


@pytest.mark.parametrize("maximize", [False, True])
def test_the_winner_may_not_be_the_luckiest(maximize):
    study = filled(30, maximize=maximize)
    values = [trial.value for trial in study.trials if trial.status == "done"]
    luckiest = max(values) if maximize else min(values)
    assert study.best.value == luckiest or "best single result" in said(study, "The winner")


def test_the_expected_best_is_the_mean_over_all_subsets():
    losses = [3.0, 1.0, 4.0, 1.5, 9.0, 2.6]
    for count in range(1, 7):
        mean = np.mean([min(some) for some in combinations(losses, count)])
        assert expected_best(losses, count)[0] == pytest.approx(mean)


def test_the_interval_of_the_expected_best_holds_it():
    """Of ten uniform losses the least is expected at 1 / 11."""
    held = 0
    for seed in range(40):
        _, low, high = expected_best(np.random.default_rng(seed).random(40), 10)
        held += low <= 1 / 11 <= high
    assert held >= 30


@pytest.mark.parametrize(
    ("method", "blind"),
    [
        ({"method": "Random"}, 12),
        ({"method": "Take", "n": 20, "of": {"method": "Sobol"}}, 12),
        ({"method": "TPE"}, 0),
        ({"method": "Then", "first": {"method": "Take", "n": 5, "of": {"method": "Random"}}, "second": "TPE"}, 5),
    ],
)
def test_only_what_no_result_had_a_say_in_is_blind(method, blind):
    study = opened(method=method)
    rng = np.random.default_rng(0)
    for number in range(12):
        tag = (0 if number < 5 else 1,) if method["method"] == "Then" else ()
        job = study.start(Job(study.space.sample(rng), 1, tag=tag))
        study.say(job, BEGAN)
        study.say(Result(job.id, "done", {"loss": float(number)}, step=1), BEGAN)
    assert len(drawn_blindly(study)) == blind


def test_every_read_of_the_test_set_is_told_with_its_gap():
    study = opened()
    say_done(study, study.space.default(), 0.5)
    assert "Not sealed" in said(study, "On the test set")
    study.say(Act("seal", {"test": "x"}))
    assert "never read" in said(study, "On the test set")
    for number in (1, 2):
        study.say(Act("vault", {"read": number, "trial": 0, "config": {}, "validation": 0.5}))
        study.say(Act("vault", {"read": number, "score": 0.75}))
    text = said(study, "On the test set")
    assert "from validation to test 0.25" in text
    assert text.count("not the first look") == 1


def test_rows_that_leaked_into_the_test_set_are_told():
    study = opened()
    say_done(study, study.space.default(), 0.5)
    study.say(Act("seal", {"test": "x", "shared": 17, "rows": [80, 20], "validating": 20}))
    assert "17 test rows stand among the others" in said(study, "On the test set")


def test_what_is_exact_has_no_interval():
    study = opened()
    for seed in (0, 1):
        say_done(study, study.space.default(), 0.5, seed=seed)
    text = said(study, "The winner")
    assert "1 run with further seeds: 2 done" in said(study, "What it cost")
    assert "0.5, the same each time" in text
    assert "interval" not in text


def test_versions_and_seeds_are_told():
    study = opened()
    made = {"source": "abc", "commit": "f00", "python": "3.12", "versions": {"numpy": "2.1"}, "hash": "1"}
    study.say(Act("enter", {"made": made, "alone": True}))
    study.say(Act("enter", {"made": {**made, "commit": "f01", "hash": "2"}, "alone": True}))
    text = said(study, "What made it")
    assert "commit f00" in text
    assert "numpy 2.1" in text
    assert "2 different ones" in text


def test_a_winner_at_the_end_of_a_range_is_told():
    study = opened()
    say_done(study, {**study.space.default(), "lr": 1e-5}, 0.5)
    assert "values of lr lie beyond" in said(study, "What was not established")


def test_several_seeds_make_the_interval_that_is_told():
    study = opened()
    rng = np.random.default_rng(0)
    for _ in range(8):
        config = study.space.sample(rng)
        base = abs(math.log10(config["lr"]) + 3)
        for seed in range(3):
            job = study.start(Job(config, 1, seed=seed))
            study.say(job, BEGAN)
            study.say(Result(job.id, "done", {"loss": base + 0.1 * float(rng.normal())}, step=1), BEGAN)
    text = said(study, "The winner")
    assert "90 % interval" in text
    assert "several seeds" in text
