"""What a study has spent."""

import pytest

from tests.test_study import opened, ran
from tunewell.budget import affords, over, spent
from tunewell.events import Act, Goal, Job


def test_continuations_and_replicates_are_no_trials_but_take_steps():
    study = opened(Goal("loss"), steps=9)
    first = ran(study, 0.1, 1.0, until=3)
    ran(study, 0.1, 1.0, until=9, parent=first)
    ran(study, 0.1, 1.0, until=9, seed=1)
    ran(study, 0.1, 1.0, until=9, tag=("added",))
    assert (spent(study).trials, spent(study).steps) == (1, 18)


def test_the_exact_budgets_refuse_what_would_exceed_them():
    study = opened(Goal("loss"), steps=9, limits={"trials": 1, "steps": 12})
    first = ran(study, 0.1, 1.0, until=3)
    assert affords(study, Job({"x": 0.1}, 9, parent=first))
    assert not affords(study, Job({"x": 0.2}, 9))
    ran(study, 0.1, 1.0, until=9, parent=first)
    assert not affords(study, Job({"x": 0.1}, 9, seed=1))


def test_wall_seconds_count_only_while_somebody_works():
    study = opened(Goal("loss"), limits={"seconds": 10})
    for act, alone, time in (
        ("enter", True, 100.0),
        ("enter", False, 102.0),
        ("leave", False, 103.0),
        ("leave", False, 104.0),
        ("vault", False, 900.0),
        ("enter", True, 5000.0),
    ):
        study.commit(Act(act, {"alone": alone}), time)
    assert spent(study).seconds == 4.0
    study.commit(study.start(Job({"x": 0.5}, 1)), 5003.0)
    study.commit(Act("enter", {"alone": True}), 9000.0)  # the one before was killed
    study.commit(Act("leave"), 9001.0)
    assert spent(study).seconds == 8.0
    assert over(study, now=99999.0) == ""


@pytest.mark.parametrize(
    ("limits", "name"),
    [
        ({"compute_seconds": 5}, "compute_seconds"),
        ({"cost": 2}, "cost"),
        ({"target": 1.5}, "target"),
        ({"seconds": 3}, "seconds"),
        ({"target": 0.5, "cost": 3, "compute_seconds": 7, "seconds": 100}, ""),
    ],
)
def test_a_limit_that_is_reached_is_named(limits, name):
    study = opened(Goal("loss"), limits=limits)
    ran(study, 0.1, 1.0, seconds=6.0)
    study.commit(study.start(Job({"x": 0.5}, 1)))
    from tunewell.events import Result

    study.commit(Result(1, "done", {"loss": 2.0, "cost": 2.0}))
    assert over(study, now=4.0) == name
