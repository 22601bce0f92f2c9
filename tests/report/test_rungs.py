"""The rungs of a study, in a table and a figure."""

import math

import pytest

import tunewell as tw
from tests.report.studies import filled, on_the_way
from tunewell.report import rungs, text
from tunewell.report.page import page

pytest.importorskip("plotly")


def test_the_table_counts_who_stood_on_each_rung_and_who_went_on():
    study = on_the_way(tw.Hyperband(rounds=1))
    found = rungs.rungs(study)
    assert [(rung.until, len(rung.losses), rung.went_on) for rung in found] == [(1, 9, 3), (3, 8, 2), (9, 5, 0)]
    assert [rung.best for rung in found] == [min(rung.losses.values()) for rung in found]
    assert [rung.pairs for rung in found[:2]] == [1, 2]
    assert all(math.isnan(rung.correlation) for rung in found)


def test_the_correlation_with_the_last_rung_is_that_of_who_reached_it():
    study = on_the_way(tw.ASHA(minimum=1), trials=120)
    lowest = rungs.rungs(study)[0]
    assert lowest.pairs >= rungs.PAIRS
    assert lowest.correlation == pytest.approx(1)  # by this objective ranks never change
    assert "rank correlation with the next rung 1.00" in rungs.note(study)


def test_the_best_value_is_the_largest_where_the_goal_is_to_maximize():
    def train(run):
        for step in run.steps():
            run.report(step, accuracy=run.config["x"] * step)

    study = tw.tune(
        train, {"x": tw.Float(0, 1)}, maximize="accuracy", steps=9, method=tw.Hyperband(rounds=1), progress=False
    )
    found = rungs.rungs(study)
    assert [rung.best for rung in found] == [-min(rung.losses.values()) for rung in found]
    assert found[-1].best == study.best.value


def test_trials_that_run_through_or_copy_others_have_no_rungs():
    assert rungs.rungs(filled(20)) == []
    assert rungs.rungs(on_the_way(tw.PBT(population=4, period=3))) == []
    assert rungs.table(filled(20)) is None


def test_every_trial_of_a_rung_is_a_point_of_its_figure():
    study = on_the_way(tw.Hyperband(rounds=1))
    drawn = rungs.figure(study)
    points = [trace for trace in drawn.data if "markers" in trace.mode]
    assert sum(len(trace.x) for trace in points) == sum(len(rung.losses) for rung in rungs.rungs(study))
    (best,) = [trace for trace in points if trace.name == "the best trial"]
    assert min(best.y) == study.best.value


def test_the_page_holds_the_rungs_and_what_was_learned_from():
    old = on_the_way(tw.Random(), trials=5)
    study = on_the_way(tw.Hyperband(rounds=1))
    assert "learned from" not in page(study)
    study.add_from(old)
    assert text.learned(study) == ["5 results of study, a related task"]
    html = page(study)
    assert "<h2>Rungs</h2>" in html
    assert "5 results of study, a related task" in html
    assert "<h2>Lineage</h2>" not in html
