"""The front of several goals: brute force, luck taken out, and one config to take."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import new_study
from tunewell.errors import StudyError
from tunewell.study import Act, Failure, Job, Result

SPACE = tw.Space({"x": tw.Int(0, 10_000)})
GOALS = (tw.Goal("loss"), tw.Goal("speed", maximize=True))


def opened(goals=GOALS, steps=1):
    study = new_study(SPACE, steps=steps)
    study.commit(Act("change", {"goals": [msgspec.to_builtins(goal) for goal in goals]}))
    return study


def told(study, x, metrics, *, seed=0, until=1, std=None):
    job = study.start(Job({"x": x}, until, seed=seed))
    study.commit(job)
    if metrics is None:
        study.commit(Result(job.id, "failed", error=Failure("crashed")))
    else:
        study.commit(Result(job.id, "done", metrics, step=until, std=std or {}))


def filled(points, goals=GOALS):
    study = opened(goals)
    for x, point in enumerate(points):
        told(study, x, dict(zip(("loss", "speed", "size"), map(float, point), strict=False)))
    return study


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5)), max_size=30))
def test_the_front_is_that_of_brute_force(points):
    goals = (*GOALS, tw.Goal("size", at_most=3))
    front = filled(points, goals).pareto
    kept = {(loss, speed) for loss, speed, size in points if size <= 3}
    best = {
        (loss, speed)
        for loss, speed in kept
        if not any(a <= loss and b >= speed and (a, b) != (loss, speed) for a, b in kept)
    }
    assert {(point.values["loss"], point.values["speed"]) for point in front} == best
    assert len(front) == len(best)
    assert [point.estimates["loss"] for point in front] == sorted(point.estimates["loss"] for point in front)
    assert all(point.estimates == point.values for point in front)


def test_only_what_ran_to_the_last_step_counts_and_no_failure():
    study = opened(steps=9)
    told(study, 1, {"loss": 0.0, "speed": 9.0}, until=1)
    told(study, 2, {"loss": 1.0, "speed": 1.0}, until=9)
    told(study, 3, None, until=9)
    told(study, 4, {"loss": 0.5, "speed": float("nan")}, until=9)
    assert [point.config["x"] for point in study.pareto] == [2]


def test_luck_is_taken_out_of_each_goal():
    """Of 200 configs on an arc, each measured with noise in both goals and twice in all: the estimates of the front are
    nearer to the truth than what was measured, which is too good."""
    raw, shrunken, held = [], [], []
    for seed in range(8):
        rng = np.random.default_rng(seed)
        study, truth = opened((tw.Goal("loss"), tw.Goal("speed"))), {}
        for x in range(150):
            angle = rng.uniform(0, np.pi / 2)
            far = 1 + 0.3 * rng.exponential()
            truth[x] = 1 - np.array([np.cos(angle), np.sin(angle)]) / far
            for again in range(2):
                noisy = truth[x] + 0.1 * rng.standard_normal(2)
                told(study, x, {"loss": noisy[0], "speed": noisy[1]}, seed=again)
        for point in study.pareto:
            true = truth[point.config["x"]]
            for goal, metric in enumerate(("loss", "speed")):
                raw.append(point.values[metric] - true[goal])
                shrunken.append(point.estimates[metric] - true[goal])
                low, high = point.intervals[metric]
                held.append(low <= true[goal] <= high)
    assert np.mean(raw) < -0.02
    assert abs(np.mean(shrunken)) < 0.85 * abs(np.mean(raw))
    assert np.mean(np.square(shrunken)) < 0.8 * np.mean(np.square(raw))
    assert np.mean(held) > 0.8


def test_known_errors_give_intervals_of_their_own_goal():
    study = opened()
    for x in range(20):
        told(study, x, {"loss": float(x), "speed": float(x)}, std={"loss": 0.1})
    point = study.pareto[0]
    low, high = point.intervals["loss"]
    assert low < point.estimates["loss"] < high
    assert point.intervals["speed"] is None


def test_one_config_of_the_front():
    front = filled([(0, 0), (1, 90), (5, 95), (10, 100), (9, 1)]).pareto
    assert [point.config["x"] for point in front] == [0, 1, 2, 3]
    assert front.knee.config["x"] == 1
    assert front.best("speed").config["x"] == 3
    assert front.best("loss").config["x"] == 0
    assert front.weighted({}).config["x"] == 1
    assert front.weighted({"speed": 20}).config["x"] == 3
    assert front.weighted({"loss": 0}).config["x"] == 3
    assert "4 trade-offs" in str(front)
    assert "speed = 90" in str(front.knee)
    assert msgspec.json.decode(msgspec.json.encode(front))["points"][1]["values"] == {"loss": 1.0, "speed": 90.0}


def test_what_is_no_objective_is_named():
    front = filled([(0, 0)]).pareto
    with pytest.raises(StudyError, match="size"):
        front.best("size")
    with pytest.raises(StudyError, match="-1"):
        front.weighted({"loss": -1})


def test_before_the_first_result_the_front_is_empty():
    front = opened().pareto
    assert not front
    with pytest.raises(StudyError, match="empty"):
        _ = front.knee


def test_several_objectives_have_no_best_config():
    with pytest.raises(StudyError, match="several objectives") as caught:
        _ = filled([(0, 0)]).best
    assert "pareto" in (caught.value.hint or "")
    assert filled([(0, 0)], GOALS[:1]).pareto.knee.config == filled([(0, 0)], GOALS[:1]).best.config
