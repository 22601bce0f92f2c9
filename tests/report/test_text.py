"""Numbers, durations, names and settings as people read them."""

import math

import pytest

import tunewell as tw
from tests.report.studies import on_the_way
from tunewell.report import text
from tunewell.report.progress import Counter, line, summary
from tunewell.report.review import review
from tunewell.study import Goal


@pytest.mark.parametrize(
    ("value", "words"),
    [(0.000012345, "1.234e-5"), (3.0, "3"), (123456.0, "1.235e+5"), (math.nan, "–"), (-math.inf, "-inf")],
)
def test_numbers(value, words):
    assert text.number(value) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.0, "0 s"),
        (0.123, "0.12 s"),
        (9.96, "10 s"),
        (59.6, "1 min 00 s"),
        (3599.4, "59 min 59 s"),
        (3600, "1 h 00 min"),
        (200_000, "2 d 7 h"),
        (math.inf, "–"),
    ],
)
def test_durations(seconds, words):
    assert text.duration(seconds) == words


def test_counts():
    assert [text.count(n, "trials") for n in (0, 1, 1200)] == ["0 trials", "1 trial", "1,200 trials"]


def test_control_characters_are_replaced():
    assert text.plain("a\x1b[2J\nb\u202e é") == "a�[2J�b� é"


def test_goals():
    goals = [Goal("loss"), Goal("f1", maximize=True, over="best"), Goal("ms", at_most=20), Goal("acc", over=3)]
    assert text.goals(goals) == "minimize loss, maximize f1 (best of the curve), ms ≤ 20, minimize acc (mean of 3)"


def test_methods():
    inner = {"method": "Take", "n": 20, "of": {"method": "Random"}}
    assert text.method({"method": "Then", "first": inner, "second": {"method": "Bayes"}}) == "Then(Take(Random), Bayes)"
    assert text.method({"method": "Race", "methods": [{"method": "A"}, {"method": "B"}]}) == "Race(A, B)"
    assert text.method(None) == "–"


def test_sparklines():
    assert text.sparkline([0, 1, 2, 3, 4, 5, 6, 7]) == "▁▂▃▄▅▆▇█"
    assert text.sparkline([1.0, math.nan, 2.0]) == "▁ █"
    assert text.sparkline([5.0, 5.0]) == "▅▅"
    assert text.sparkline([math.nan]) == ""
    assert len(text.sparkline(range(1000), width=40)) == 40


def test_configs():
    assert (
        text.config({"lr": 0.00123456, "kind": "a", "shape": [1, 2], "on": True})
        == "lr=0.001235, kind=a, shape=[1, 2], on=true"
    )


def test_what_was_trained_twice_is_said_wherever_a_study_is_shown():
    study = on_the_way(tw.Halving(width=9), saves=False)
    (told,) = text.restarts(study)
    again = [study.jobs[study.jobs[act.data["job"]].parent].until for act in study.acts("restart")]
    assert again
    assert told.startswith(f"{text.count(len(again), 'times')} a trial that went on had no checkpoint")
    assert told.endswith(f"began again from step 0: {sum(again)} epochs trained twice")
    assert told in str(review(study))
    counter = Counter(study)
    assert f"{text.count(len(again), 'restarts')} from step 0" in line(counter)
    assert f"{text.count(len(again), 'restarts')} from step 0" in summary(counter, "finished")


def test_with_checkpoints_nothing_is_trained_twice():
    study = on_the_way(tw.Halving(width=9))
    assert text.restarts(study) == []
    assert "restart" not in summary(Counter(study), "finished")
