"""The median rule and patience: the laws, who stops and who never does, and what it saves."""

import math
import re
from statistics import median

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, cut, new_study
from tunewell.errors import StudyError, Unsupported
from tunewell.method import from_json, to_json

LINE = {"x": tw.Float(0.0, 1.0)}


class TestMedianStop(MethodContract):
    method = tw.MedianStop(tw.Sobol(), period=2, least=3)


class TestPatienceOfTPE(MethodContract):
    method = tw.Patience(tw.TPE(start=4), 1, period=3)
    trials = 10


def play(method, loss, *, steps=20, trials=40, workers=1, failures=0.0, seed=0):
    """A study of `loss(config, step)`."""
    study = new_study(tw.Space.of(LINE), seed=seed, steps=steps, trials=trials)
    return Player(method, loss, workers=workers, failures=failures, luck=seed).play(study)


def curve(config, step):
    """A power law to a floor that the config decides, with ranks that settle on the way."""
    floor = (config["x"] - 0.3) ** 2
    return floor + (0.3 + 0.5 * math.sin(500 * config["x"]) ** 2) / step


def measured(study, job):
    """The losses of a lineage at the ends of its segments up to `job`."""
    return [study.loss(each.id) for each in study.lineage(job)]


def last_jobs(study):
    """The last job of each lineage."""
    gone = {job.parent for job in study.jobs.values()}
    return [job for job in study.jobs.values() if job.id not in gone]


def others(study, job):
    """The running averages of all others that had ended at the step of a job before it did."""
    order = list(study.results)
    before = [study.jobs[done] for done in order[: order.index(job.id)]]
    same = [each for each in before if each.until == job.until and study.results[each.id].status == "done"]
    return [float(np.mean(measured(study, each.id))) for each in same]


players = given(st.integers(0, 10**6), st.sampled_from([1, 3, 8]), st.sampled_from([0.0, 0.3]))


@settings(max_examples=10, deadline=None)
@players
def test_who_stops_was_worse_than_the_median_and_all_others_go_on(seed, workers, failures):
    study = play(tw.MedianStop(period=4, least=3), curve, workers=workers, failures=failures, seed=seed)
    for job in last_jobs(study):
        if study.results[job.id].status != "done":
            continue
        averages = others(study, job)
        is_worse = len(averages) >= 3 and min(measured(study, job.id)) > median(averages) + 1e-12
        assert is_worse or job.until == 20


@settings(max_examples=10, deadline=None)
@players
def test_the_best_at_a_step_is_never_stopped(seed, workers, failures):
    loss = lambda config, step: math.sin(1e4 * config["x"] * step)  # noqa: E731  # ranks that never settle
    study = play(tw.MedianStop(period=4, least=1), loss, workers=workers, failures=failures, seed=seed)
    gone = {job.parent for job in study.jobs.values()}
    for step in (4, 8, 12, 16):
        done = [j for j in study.jobs.values() if j.until == step and study.results[j.id].status == "done"]
        if done:
            assert min(done, key=lambda job: min(measured(study, job.id))).id in gone


@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("seed", range(3))
def test_the_median_rule_saves_a_third_of_the_steps_and_keeps_the_best(workers, seed):
    study = play(tw.MedianStop(tw.Sobol(), period=2), curve, workers=workers, trials=60, seed=seed)
    starts = [job for job in study.jobs.values() if job.parent is None]
    assert sum(study.reserved(job) for job in study.jobs.values()) <= 0.7 * 20 * len(starts)
    assert study.best is not None
    assert study.best.value == min(curve(job.config, 20) for job in starts)


def test_patience_stops_what_no_longer_improves():
    turns = lambda config, step: abs(step - 20 * config["x"])  # noqa: E731  # each trial has its best step
    study = play(tw.Patience(segments=3, period=1), turns)
    for job in last_jobs(study):
        losses = measured(study, job.id)
        assert job.until == 20 or len(losses) - 1 - int(np.argmin(losses)) == 3


def test_both_rules_together_stop_more():
    steps = lambda method: sum(map(len_of, [play(method, turning)]))  # noqa: E731
    turning = lambda config, step: abs(step - 20 * config["x"])  # noqa: E731
    len_of = lambda study: max(job.id for job in study.jobs.values())  # noqa: E731
    both = tw.Stopped(period=1, least=5, patience=3)
    assert steps(both) < min(steps(tw.MedianStop(period=1)), steps(tw.Patience(period=1)))


def test_it_tells_how_many_each_rule_has_stopped():
    both = tw.Stopped(period=1, least=5, patience=3)
    study = play(both, lambda config, step: abs(step - 20 * config["x"]))
    stopped = [job for job in last_jobs(study) if job.until < 20]
    worse, stale = map(int, re.findall(r"(\d+) (?:worse|without)", both.why(study)))
    assert worse + stale == len(stopped)
    assert min(worse, stale) > 0
    assert "worse" not in tw.Patience().why(play(tw.Patience(), curve))


def test_segments_end_where_they_are_said_to():
    study = play(tw.MedianStop(tw.Sobol(), period=4, warmup=6, least=1), curve, trials=5)
    assert {job.until for job in study.jobs.values()} == {6, 10, 14, 18, 20}
    for job in study.jobs.values():
        parent = study.jobs.get(job.parent)
        assert job.tag == ((0, job.tag[1]) if parent is None else (parent.tag[0] + 1, parent.tag[1]))
    assert [job.tag[1] for job in study.jobs.values() if job.parent is None] == list(range(5))


def test_failed_trials_never_go_on():
    study = play(tw.MedianStop(least=1000), curve, failures=0.3)
    parents = {job.parent for job in study.jobs.values()} - {None}
    failed = {job for job, result in study.results.items() if result.status == "failed"}
    assert failed
    assert not parents & failed
    assert all(job.until == 20 for job in last_jobs(study) if job.id not in failed)


def test_what_violates_a_constraint_is_worse_than_all_else():
    def train(run):
        run.report(run.until, loss=run.config["x"], size=run.config["x"])

    study = tw.tune(
        train, LINE, minimize="loss", at_most={"size": 0.5}, steps=4, trials=20, seed=1, progress=False,
        method=tw.MedianStop(tw.Sobol(), period=1, least=3),
    )  # fmt: skip
    whole = [job.config["x"] for job in study.jobs.values() if job.until == 4]
    late = whole[3:]
    assert late
    assert max(late) <= 0.5


def test_more_steps_go_on_with_what_was_not_stopped():
    study = play(tw.MedianStop(tw.Sobol(), period=4, least=3), curve, trials=20)
    before, whole = len(study.jobs), {job.id for job in study.jobs.values() if job.until == 20}
    study.commit(tw.Act("change", {"steps": msgspec.to_builtins(tw.Steps(1, 40))}))
    Player(tw.MedianStop(tw.Sobol(), period=4, least=3), curve).play(study)
    later = list(study.jobs.values())[before:]
    assert later
    assert {job.parent for job in later if job.until == 24} <= whole
    assert all(job.parent is not None for job in later)
    assert max(job.until for job in later) == 40
    assert len(cut(study, len(study)).jobs) == len(study.jobs)


# --- what cannot be --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 3])
def test_a_trial_of_one_segment_is_refused(steps):
    with pytest.raises(Unsupported, match="first segment"):
        play(tw.MedianStop(period=3), curve, steps=steps)


def test_a_source_that_goes_on_itself_is_refused():
    with pytest.raises(Unsupported, match="begin configs"):
        play(tw.MedianStop(tw.ASHA()), curve)


def test_several_objectives_are_refused():
    study = tw.open_study(space=LINE, minimize=["loss", "size"], method=tw.MedianStop(), steps=9, seed=0)
    with study, pytest.raises(Unsupported, match="one objective"):
        study.ask()


@pytest.mark.parametrize("given", [{"period": 0}, {"warmup": -1}, {"least": 0}, {"patience": 0}, {"least": None}])
def test_settings_that_mean_nothing(given):
    with pytest.raises(StudyError, match="Stopped"):
        tw.Stopped(**given)


def test_short_names_are_settings_of_the_one_class():
    assert from_json({"method": "MedianStop", "of": "TPE"}) == tw.MedianStop(tw.TPE())
    assert from_json({"method": "Patience", "segments": 2}) == tw.Stopped(least=None, patience=2)
    assert to_json(tw.Patience())["method"] == "Stopped"
