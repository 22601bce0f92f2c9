"""What reports say of the test set."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.report.page import page
from tunewell.report.sealed import sentences
from tunewell.report.tables import study_row

SPACE = {"x": tw.Float(0.0, 1.0)}


def tuned(goal, **more):
    settings = {goal: "accuracy", "trials": 20, "seed": 1, "method": tw.Random(), "progress": False, **more}
    return tw.tune(lambda run: run.config["x"], SPACE, **settings)


def data(rows=100):
    return tw.Split(np.arange(rows), np.zeros(rows))


def test_a_study_without_a_test_set_says_so():
    assert sentences(tuned("minimize")) == [
        "No test set was sealed: the number is from the data that chose the config."
    ]


def test_sealed_rows_that_nobody_has_read_are_named():
    assert "20 test rows are sealed and have not been read." in sentences(tuned("minimize", data=data()))


@pytest.mark.parametrize(
    ("goal", "score", "word"), [("maximize", 0.5, "worse"), ("minimize", 0.5, "worse"), ("minimize", 0.0, "better")]
)
def test_the_score_stands_beside_its_gap_to_validation(goal, score, word):
    study = tuned(goal, data=data(), test=lambda best, sealed: score)
    first = sentences(study)[0]
    gap = abs(score - study.best.estimate)
    assert first.startswith(f"Test: accuracy {score:.5g}")
    assert f"{gap:.3g} {word} than validation had it" in first
    assert "on 20 test rows" in first
    assert study_row(study)["test"] == score


def test_another_metric_than_the_goal_stands_beside_what_the_trial_reported_of_it():
    study = tuned("minimize", data=data(), test=lambda best, sealed: {"f1": np.array([0.0, 1.0, 1.0, 1.0])})
    first = sentences(study)[0]
    assert first.startswith("Test: f1 0.75 ± 0.49 on 20 test rows")
    (reading,) = study.readings
    assert (reading.metric, reading.validation, reading.gap) == ("f1", None, None)
    assert "test f1 0.75" in study.report()
    assert "no trial reported it" in study.report()


def test_a_second_read_is_flagged_in_every_report():
    study = tuned("maximize", data=data(), test=lambda best, sealed: 0.5)
    assert "READ" not in " ".join(sentences(study))
    study.read_vault(lambda best, sealed: 0.9)
    words = "THE TEST SET WAS READ 2 TIMES"
    assert any(words in each for each in sentences(study))
    assert "Test: accuracy 0.5 " in sentences(study)[0]  # the first score stays the score
    assert study_row(study)["vault_reads"] == 2
    pytest.importorskip("plotly")
    assert words in page(study)


def test_a_read_that_did_not_end_is_told():
    study = tuned("maximize", data=data())
    with pytest.raises(ZeroDivisionError):
        study.read_vault(lambda best, sealed: 1 / 0)
    assert "did not end" in sentences(study)[0]


def test_rows_on_both_sides_are_told():
    split = tw.Split(np.arange(100) % 50, np.zeros(100))
    assert any("stand among the others" in each for each in sentences(tuned("maximize", data=split)))


def test_the_end_of_tune_prints_it(capsys):
    tuned("maximize", data=data(), test=lambda best, sealed: 0.5, progress=None)
    assert "study: Test: accuracy 0.5" in capsys.readouterr().err
