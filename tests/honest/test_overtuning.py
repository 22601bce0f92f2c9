"""Overtuning: what the last incumbent lost on the test set."""

import math

import numpy as np
import pytest

import tunewell as tw
from tunewell.honest.overtuning import overtuning


@pytest.mark.parametrize(
    ("losses", "absolute", "relative"),
    [
        ([0.5, 0.3, 0.2], 0.0, 0.0),
        ([0.5, 0.3, 0.4], 0.1, 0.5),
        ([0.5, 0.3, 0.6], 0.3, 1.5),
        ([0.3, 0.4], 0.1, math.inf),
        ([0.3], 0.0, 0.0),
    ],
)
def test_by_hand(losses, absolute, relative):
    found = overtuning(losses)
    assert found.absolute == pytest.approx(absolute)
    assert found.relative == pytest.approx(relative)
    assert ("no overtuning" in str(found)) is (absolute == 0)


@pytest.mark.parametrize("losses", [[], [0.1, math.nan]])
def test_without_losses_it_means_nothing(losses):
    with pytest.raises(tw.StudyError):
        overtuning(losses)


def test_a_study_measures_it_in_one_more_read_that_is_flagged(caplog):
    """Validation rewards large x, the test set punishes it beyond 0.5."""
    data = tw.Split(np.arange(50), np.zeros(50))
    score = lambda best, sealed: -abs(best.config["x"] - 0.5)  # noqa: E731
    settings = {"maximize": "accuracy", "trials": 30, "seed": 2, "method": tw.Random(), "progress": False}
    study = tw.tune(lambda run: run.config["x"], {"x": tw.Float(0.0, 1.0)}, data=data, test=score, **settings)
    found = study.overtuning(score)
    assert found.last == pytest.approx(abs(study.best.config["x"] - 0.5))
    assert found.least < found.last
    reading = study.readings[1]
    assert reading.number == 2
    values = [study.jobs[trial].config["x"] for trial in reading.others]
    assert values == sorted(values)
    assert 0 in reading.others
    assert "2. time" in caplog.text
    assert tw.verify(study).holds


def test_of_several_goals_it_is_that_of_the_one_that_is_named():
    """Small x is good by one goal and bad by the other; on the test set both are best at a half."""
    settings = {"maximize": ["up", "down"], "trials": 30, "seed": 2, "method": tw.Random(), "progress": False}
    both = lambda run: {"up": run.config["x"], "down": 1 - run.config["x"]}  # noqa: E731
    data = tw.Split(np.arange(50), np.zeros(50))
    study = tw.tune(both, {"x": tw.Float(0.0, 1.0)}, data=data, **settings)
    score = lambda best, sealed: -abs(best.config["x"] - 0.5)  # noqa: E731
    tried = [job.config["x"] for job in study.jobs.values()]
    assert study.overtuning(score).last == pytest.approx(max(tried) - 0.5)
    assert study.overtuning(score, by="down").last == pytest.approx(0.5 - min(tried))
    values = [study.jobs[trial].config["x"] for trial in study.readings[1].others]
    assert values == sorted(values, reverse=True)
    assert study.readings[1].metric == "down"
    with pytest.raises(tw.StudyError, match="no objective"):
        study.overtuning(score, by="sideways")
