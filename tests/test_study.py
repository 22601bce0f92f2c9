"""The log and its views."""

import math

import msgspec
import pytest

from tunewell.errors import StudyError
from tunewell.events import Act, Goal, Job, Limits, Report, Result, Steps
from tunewell.order import ordered, waits_for
from tunewell.space import Choice, Float, Space
from tunewell.study import Study

SPACE = Space({"x": Float(0.0, 1.0)})
WIDER = Space({"x": Float(0.0, 2.0), "y": Float(0.0, 1.0, default=0.5)})


def opened(*goals: Goal, steps: int = 1, space: Space = SPACE, **data: object) -> Study:
    study = Study()
    given = {"space": space.to_json(), "goals": msgspec.to_builtins(goals), "method": {"method": "Random"}}
    study.commit(Act("open", {"seed": 7, "steps": {"maximum": steps}, **given, **data}))
    return study


def ran(study: Study, x: float, *losses: float, tag: tuple[str | int, ...] = (), **more: object) -> int:
    """Append a job, a Report for each loss, and its Result; returns its id."""
    until = more.pop("until", max(1, len(losses)))
    job = study.start(Job({"x": x}, until, tag=tag, parent=more.pop("parent", None), seed=more.pop("seed", 0)))
    study.commit(job)
    first = until - len(losses) + 1
    for i, loss in enumerate(losses):
        study.commit(Report(job.id, (first + i,), {"loss": (loss,)}))
    study.commit(Result(job.id, "done", {"loss": losses[-1]}, step=until, **more))
    return job.id


def test_numbers_are_positions_and_a_job_knows_what_it_has_seen():
    study = opened(Goal("loss"))
    assert len(study) == 1
    job = study.start(Job({"x": 0.5}, 1))
    assert (job.id, job.seen) == (0, 1)


def test_a_job_is_pending_until_its_result():
    study = opened(Goal("loss"))
    study.commit(study.start(Job({"x": 0.5}, 1)))
    assert [job.id for job in study.pending()] == [0]
    study.commit(Result(0, "done", {"loss": 1.0}))
    assert study.pending() == []


def test_loss_is_smaller_better_and_infinite_for_failures():
    study = opened(Goal("loss", maximize=True))
    assert study.loss(ran(study, 0.1, 3.0)) == -3.0
    study.commit(study.start(Job({"x": 0.5}, 1)))
    study.commit(Result(1, "failed", {"loss": 9.0}))
    assert study.loss(1) == math.inf


@pytest.mark.parametrize(("over", "expected"), [("last", 3.0), ("best", 1.0), (2, 2.5)])
def test_the_goal_says_which_point_of_the_curve_counts(over, expected):
    study = opened(Goal("loss", over=over), steps=3)
    job = ran(study, 0.1, 1.0, 2.0, 3.0)
    assert study.loss(job) == expected


def test_a_curve_joins_the_lineage_and_the_highest_attempt_counts():
    study = opened(Goal("loss"), steps=4)
    first = ran(study, 0.1, 4.0, 3.0)
    second = study.start(Job({"x": 0.1}, 4, parent=first))
    study.commit(second)
    study.commit(Report(second.id, (3,), {"loss": (9.0,)}, attempt=1))
    study.commit(Report(second.id, (3, 4), {"loss": (2.0, 1.0), "accuracy": (None, 0.5)}, attempt=2))
    study.commit(Report(second.id, (3,), {"loss": (8.0,)}, attempt=1))
    curve = study.curve(second.id)
    assert curve.steps == [1, 2, 3, 4]
    assert curve.values["loss"] == [4.0, 3.0, 2.0, 1.0]
    assert math.isnan(curve.values["accuracy"][2])


def test_a_part_has_its_own_jobs_without_the_label_and_root_has_all():
    study = opened(Goal("loss"))
    ran(study, 0.1, 1.0, tag=(0, "a"))
    ran(study, 0.2, 2.0, tag=(1,))
    part = study.part(0)
    assert {job.id: job.tag for job in part.jobs.values()} == {0: ("a",)}
    assert list(part.results) == [0]
    assert list(part.root.jobs) == [0, 1]
    ran(study, 0.3, 3.0, tag=(0,))
    assert list(part.jobs) == [0, 2]


def test_parts_nest():
    study = opened(Goal("loss"))
    ran(study, 0.1, 1.0, tag=(0, 1, "x"))
    assert study.part(0).part(1).jobs[0].tag == ("x",)
    assert len(study.part(0).part(2).jobs) == 0


def test_a_narrowed_part_sees_of_root_what_is_valid_there():
    study = opened(Goal("loss"))
    ran(study, 0.1, 1.0, tag=(0,))
    ran(study, 0.9, 2.0, tag=(0,))
    part = study.part(1, SPACE.narrow({"x": (0.5, 1.0)}))
    assert list(part.root.jobs) == [1]
    assert list(study.root.jobs) == [0, 1]


def test_a_changed_space_fills_new_entries_by_default_and_leaves_out_what_is_not_valid():
    study = opened(Goal("loss"))
    ran(study, 0.1, 1.0)
    study.commit(Act("change", {"space": WIDER.to_json()}))
    assert study.space == WIDER
    assert study.root.jobs[0].config == {"x": 0.1, "y": 0.5}
    study.commit(Act("change", {"space": Space({"x": Float(0.5, 1.0)}).to_json()}))
    assert list(study.root.jobs) == []
    assert list(study.jobs) == [0]


@pytest.mark.parametrize("seen", [lambda study: study, lambda study: study.log], ids=["study", "log"])
def test_plan_hides_what_no_method_planned(seen):
    study = opened(Goal("loss"))
    ran(study, 0.0, 1.0)
    assert list(seen(study).plan.jobs) == [0]
    ran(study, 0.1, 1.0, tag=("added",))
    ran(study, 0.2, 1.0, tag=("user", 0))
    ran(study, 0.3, 1.0)
    assert list(seen(study).plan.jobs) == [0, 3]
    assert list(seen(study).plan.root.jobs) == [0, 1, 2, 3]


def test_the_log_alone_shows_what_is_committed():
    study = opened(Goal("loss"))
    log = study.log
    ran(study, 0.1, 1.0)
    study.commit(Act("change", {"space": WIDER.to_json()}))
    assert (len(log), list(log.jobs), list(log.results), log.space) == (len(study), [0], [0], WIDER)
    assert [act.what for act in log.acts("change")] == ["change"]


def test_a_fold_sees_each_event_once_in_order():
    study = opened(Goal("loss"))
    calls = []

    def update(state, event, _):
        calls.append(event)
        return state + 1

    ran(study, 0.1, 1.0)
    assert study.fold("count", lambda: 0, update) == 3  # the opening Act, the Job, the Result
    assert study.fold("count", lambda: 0, update) == 3
    ran(study, 0.2, 1.0)
    assert study.fold("count", lambda: 0, update) == 5
    assert len(calls) == 5
    assert study.fold("with reports", lambda: 0, lambda n, *_: n + 1, reports=True) == 7


def test_a_forked_lineage_is_another_trial_that_knows_where_it_came_from():
    study = opened(Goal("loss"), steps=4)
    first = ran(study, 0.1, 4.0, 3.0)
    ran(study, 0.1, 2.0, until=3, parent=first)
    ran(study, 0.7, 1.0, until=3, parent=first)
    one, other = study.trials
    assert (one.jobs, one.status, one.step) == ((0, 1), "waiting", 3)
    assert (other.jobs, other.came_from) == ((2,), 0)


def test_best_ranks_only_what_reached_the_largest_step():
    study = opened(Goal("loss"), steps=4)
    ran(study, 0.1, 0.1, until=2)
    ran(study, 0.2, 5.0, until=4)
    ran(study, 0.3, 4.0, until=4)
    assert study.best.config == {"x": 0.3}


def test_best_pools_replicates_and_is_shrunk_towards_the_others():
    study = opened(Goal("loss"))
    for x, losses in ((0.1, (1.0, 1.2)), (0.2, (0.5, 1.7)), (0.3, (0.2,)), (0.4, (2.0,))):
        for seed, loss in enumerate(losses):
            ran(study, x, loss, seed=seed)
    best = study.best
    assert best.interval is not None
    assert best.estimate > best.value
    assert best.interval[0] < best.estimate < best.interval[1]


def test_best_without_any_sign_of_noise_has_no_interval():
    study = opened(Goal("loss"))
    ran(study, 0.1, 1.0)
    assert study.best.interval is None
    assert "noise is unknown" in str(study.best)


def test_best_keeps_to_measured_constraints():
    study = opened(Goal("loss"), Goal("latency", at_most=5.0))
    for x, loss, latency in ((0.1, 0.0, 9.0), (0.2, 1.0, 4.0)):
        job = study.start(Job({"x": x}, 1))
        study.commit(job)
        study.commit(Result(job.id, "done", {"loss": loss, "latency": latency}))
    assert study.best.config == {"x": 0.2}


def test_a_deterministic_order_does_not_depend_on_who_was_quicker():
    views = []
    for quicker in (0, 1):
        study = opened(Goal("loss"))
        for x in (0.1, 0.2):
            study.commit(study.start(Job({"x": x}, 1)))
        for job in (quicker, 1 - quicker):
            study.commit(Result(job, "done", {"loss": float(job)}, seconds=job + quicker))
        study.commit(study.start(Job({"x": 0.3}, 1)))
        views.append([event for event in ordered(study, 2).events if not isinstance(event, Job)])
    assert views[0] == views[1]
    assert [event.job for event in views[0] if isinstance(event, Result)] == [0, 1]


def test_a_deterministic_study_waits_for_the_job_w_before():
    study = opened(Goal("loss"))
    for x in (0.1, 0.2):
        study.commit(study.start(Job({"x": x}, 1)))
    assert waits_for(study, 2)
    study.commit(Result(1, "done", {"loss": 1.0}))
    assert waits_for(study, 2)
    study.commit(Result(0, "done", {"loss": 1.0}))
    assert not waits_for(study, 2)
    assert list(ordered(study, 2).results) == [0]


def test_conditional_configs_pass_through_views():
    space = Space({"kind": Choice({"a": {"u": Float(0.0, 1.0)}, "b": {}})})
    study = opened(Goal("loss"), space=space)
    study.commit(study.start(Job({"kind": "b"}, 1, tag=(0,))))
    assert study.part(0).jobs[0].config == {"kind": "b"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: Goal(""),
        lambda: Goal("loss", over=0),
        lambda: Steps(3, 2),
        lambda: Steps(0, 2),
        lambda: Limits(trials=-1),
        lambda: Limits(seconds=math.nan),
    ],
)
def test_settings_that_mean_nothing_are_refused(make):
    with pytest.raises(StudyError):
        make()
