"""The figures show what the study holds, for every kind of study."""

import math
import re
import sys

import pytest

from tests.report.studies import SPACE, Watched, big, filled, opened, say_done
from tunewell.errors import MissingExtra
from tunewell.report import figures
from tunewell.space import Choice, Constant, Float, Space
from tunewell.study import Act, Failure, Goal, Job, Result, Steps

plotly = pytest.importorskip("plotly")

FIGURES = [figures.history, figures.front, figures.curves, figures.parallel, figures.slices, figures.timeline]


def traces(figure) -> dict:
    """The traces of a figure by name."""
    return {trace.name: trace for trace in figure.data}


def subtitle(figure) -> str:
    return figure.layout.title.subtitle.text or ""


# --- what is drawn is what the study holds ----------------------------------------------------------------------------


def test_the_history_holds_the_value_of_each_trial_and_the_best_so_far():
    study = filled(40)
    drawn = traces(figures.history(study))
    done = [trial for trial in study.trials if trial.status == "done"]
    assert list(drawn["finished"].x) == [trial.id for trial in done]
    assert list(drawn["finished"].y) == [trial.value for trial in done]
    assert list(drawn["failed"].x) == [trial.id for trial in study.trials if trial.status == "failed"]
    stairs = list(drawn["best so far"].y)
    assert stairs == sorted(stairs, reverse=True)
    assert stairs[-1] == min(trial.value for trial in done)


def test_the_history_of_a_study_that_maximizes_rises():
    study = filled(40, maximize=True)
    stairs = list(traces(figures.history(study))["best so far"].y)
    assert stairs == sorted(stairs)
    assert stairs[-1] == max(trial.value for trial in study.trials if trial.status == "done")


def test_the_history_over_seconds_says_when_each_trial_ended():
    study = filled(12, failures=0)
    x = traces(figures.history(study, over="seconds"))["finished"].x
    ends = [at - study.times[0] for event, at in zip(study.events, study.times, strict=True) if type(event) is Result]
    assert list(x) == pytest.approx(ends)


def test_trials_that_stopped_early_or_break_a_constraint_are_never_the_best_so_far():
    study = opened(goals=(Goal("loss"), Goal("size", at_most=10)), steps=Steps(1, 9))
    config = SPACE.default()
    say_done(study, config, 0.1, until=3, size=1.0)
    say_done(study, {**config, "layers": 1}, 0.2, until=9, size=99.0)
    say_done(study, {**config, "layers": 2}, 0.3, until=9, size=1.0)
    drawn = traces(figures.history(study))
    assert list(drawn["stopped early"].customdata) == [0]
    assert list(drawn["breaks a constraint"].customdata) == [1]
    assert list(drawn["best so far"].y) == [0.3]


def test_a_curve_is_what_the_trial_reported():
    study = filled(8, failures=0)
    drawn = traces(figures.curves(study))
    for trial in study.trials:
        curve = study.curve(trial.jobs[-1])
        assert list(drawn[f"trial {trial.id}"].x) == curve.steps
        assert list(drawn[f"trial {trial.id}"].y) == curve.values["loss"]


def test_the_best_curve_has_the_good_end_of_the_colours_and_the_worst_the_other():
    for maximize in (False, True):
        study = filled(30, failures=0, maximize=maximize)
        ranked = sorted(study.trials, key=lambda trial: trial.value, reverse=maximize)
        drawn = traces(figures.curves(study))
        assert drawn[f"trial {ranked[0].id}"].line.color == figures.GOOD
        assert drawn[f"trial {ranked[-1].id}"].line.color == figures.BAD


def test_parallel_coordinates_put_log_entries_on_their_exponent_and_inactive_ones_on_the_dash():
    study = filled(20, failures=0)
    (trace,) = figures.parallel(study).data
    by_label = {dimension.label: dimension for dimension in trace.dimensions}
    assert list(by_label) == [*SPACE.paths, "loss"]
    configs = {trial.value: trial.config for trial in study.trials}
    drawn = [configs[value] for value in by_label["loss"]["values"]]
    assert list(by_label["lr"]["values"]) == [math.log10(config["lr"]) for config in drawn]
    dash = by_label["optimizer=sgd/momentum"].tickvals[0]
    assert by_label["optimizer=sgd/momentum"].ticktext[0] == "–"
    for config, position in zip(drawn, by_label["optimizer=sgd/momentum"]["values"], strict=True):
        assert position == config.get("momentum", pytest.approx(dash, abs=0.03))
    words = dict(zip(by_label["optimizer"].tickvals, by_label["optimizer"].ticktext, strict=True))
    assert [words[round(at)] for at in by_label["optimizer"]["values"]] == [config["optimizer"] for config in drawn]


def test_a_slice_shows_each_trial_in_which_its_entry_is_active():
    study = filled(30)
    figure = figures.slices(study)
    at = {path: number for number, path in enumerate(SPACE.paths, start=1)}
    assert figure.layout[f"xaxis{at['lr']}"].type == "log"
    assert figure.layout.xaxis.title.text == "lr"
    points = {trace.xaxis: trace for trace in figure.data if trace.name != "failed"}
    active = [trial for trial in study.trials if trial.status == "done" and "momentum" in trial.config]
    drawn = points[f"x{at['optimizer=sgd/momentum']}"]
    assert list(drawn.x) == [trial.config["momentum"] for trial in active]
    assert list(drawn.y) == [trial.value for trial in active]
    widths = points[f"x{at['width']}"]
    assert [round(x) for x in widths.x] == [
        [16, 64, 256].index(study.trials[t].config["width"]) for t in widths.customdata
    ]


def test_slices_of_some_entries():
    figure = figures.slices(filled(10), ["lr"])
    assert {trace.xaxis for trace in figure.data} <= {"x", "x1"}


def test_the_timeline_has_a_row_for_each_worker():
    for workers in (1, 3):
        study = filled(30, workers=workers)
        bars = figures.timeline(study).data
        assert {lane for trace in bars for lane in trace.y} == set(range(workers))
        assert sum(sum(trace.x) for trace in bars) == pytest.approx(
            sum(trial.seconds for trial in study.trials), rel=1e-4
        )


# --- all kinds of studies ---------------------------------------------------------------------------------------------


def all_failed() -> Watched:
    return filled(6, failures=1.0)


def still_running() -> Watched:
    study = opened()
    study.say(study.start(Job(SPACE.default(), 1)))
    return study


def without_goal() -> Watched:
    study = Watched()
    study.commit(Act("open", {"seed": 0, "space": SPACE.to_json()}))
    return study


def without_entries() -> Watched:
    study = opened(space=Space({"depth": Constant(3)}))
    say_done(study, {"depth": 3}, 0.5)
    return study


def with_another_space_before() -> Watched:
    study = filled(6, failures=0)
    space = Space(
        {"lr": Float(1e-3, 1e-1, log=True), "new": Choice([[1, 2], None, "x"]), "optimizer": Choice({"lion": {}})}
    )
    study.commit(Act("change", {"space": space.to_json()}))
    say_done(study, {"lr": 0.01, "new": [1, 2], "optimizer": "lion"}, 0.5, until=9)
    return study


def several_goals() -> Watched:
    study = opened(goals=(Goal("loss"), Goal("speed", maximize=True)))
    say_done(study, SPACE.default(), 0.5, speed=3.0)
    return study


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize(
    "make",
    [
        Watched,
        opened,
        lambda: filled(1),
        lambda: filled(2, last=1, maximize=True),
        all_failed,
        still_running,
        without_goal,
        without_entries,
        with_another_space_before,
        several_goals,
    ],
)
def test_every_figure_of_every_study_is_drawn(draw, make):
    figure = draw(make())
    assert figure.layout.title.text
    assert figure.to_json()


@pytest.mark.parametrize("draw", FIGURES)
def test_an_empty_study_gives_a_sentence(draw):
    figure = draw(opened())
    assert not figure.data
    assert figure.layout.annotations[0].text.endswith(".")


@pytest.mark.parametrize("draw", [draw for draw in FIGURES if draw is not figures.front])
def test_a_big_study_is_thinned_and_says_so(draw):
    figure = draw(big())
    assert re.search(r" of (10,000|8,961) (trials|jobs) are shown", subtitle(figure))  # 8,961 have a value
    assert len(figure.to_json()) < 1_600_000


def test_thinning_keeps_the_running_best():
    drawn = traces(figures.history(big()))
    best = min(trial.value for trial in big().trials if trial.status == "done")
    assert best in drawn["finished"].y
    assert drawn["best so far"].y[-1] == best


def test_values_over_orders_of_magnitude_get_a_log_axis():
    study, flat = opened(), opened()
    for power in range(8):
        say_done(study, {**SPACE.default(), "lr": 10.0 ** (-1 - power / 2)}, 10.0**power)
        say_done(flat, {**SPACE.default(), "lr": 10.0 ** (-1 - power / 2)}, 1.0 + power)
    assert figures.history(study).layout.yaxis.type == "log"
    assert figures.history(flat).layout.yaxis.type == "linear"


def test_names_are_escaped_for_plotly():
    study = opened(goals=(Goal("<b>loss"),), space=Space({"<i>x": Choice(["<a href='http://x'>", "b"])}))
    say_done(study, {"<i>x": "b"}, 1.0)
    job = study.start(Job({"<i>x": "b"}, 1))
    study.say(job)
    study.say(Result(job.id, "failed", error=Failure("crashed", "<script>")))
    for draw in FIGURES:
        assert "<i>" not in draw(study).to_json()
        assert "<a href" not in draw(study).to_json()
        assert "<script" not in draw(study).to_json()


def test_without_plotly_the_error_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "plotly.graph_objects", None)
    with pytest.raises(MissingExtra, match=r"tunewell\[plot\]"):
        figures.history(filled(2))


def test_the_front_shows_what_nothing_dominates_and_its_knee():
    study = opened(goals=(Goal("loss"), Goal("speed", maximize=True), Goal("size", at_most=5)))
    for loss, speed, size in [(0, 0, 1), (1, 9, 1), (5, 9.5, 1), (9, 10, 1), (8, 1, 1), (0, 20, 9)]:
        say_done(study, {**SPACE.default(), "lr": 0.001 + loss / 1000 + speed / 1e5}, loss, speed=speed, size=size)
    found = traces(figures.front(study))
    assert found["front"].x == (0, 1, 5, 9)
    assert found["front"].y == (0, 9, 9.5, 10)
    assert found["knee"].x == (1,)
    assert found["breaks a constraint"].y == (20,)
    assert len(found["dominated"].x) == 5
    assert traces(figures.front(study, "speed", "loss"))["front"].y == (0, 1, 5, 9)


def test_the_front_has_bars_where_the_noise_is_known():
    study = opened(goals=(Goal("loss"), Goal("speed", maximize=True)))
    for number in range(12):
        for wobble in (-0.1, 0.1):
            say_done(study, {**SPACE.default(), "lr": 0.001 * (number + 1)}, number + wobble, speed=float(number))
    front = traces(figures.front(study))["front"]
    assert front.error_x.visible is not False
    assert len(front.error_x.array) == len(front.x)
    assert front.error_y.array is None
