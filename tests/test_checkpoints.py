"""What is kept, where a job goes on from, what is swept."""

from functools import partial

import pytest

import tunewell as tw
from tests.test_study import opened, ran
from tunewell.checkpoints import garbage, keeps, origin, sweep, sweep_rest, unsaid_result
from tunewell.events import Goal, Job, Report, Result


def saved(study, job, step, attempt=1):
    """Make the folder of a checkpoint; its name in the log."""
    folder = study.files / f"job-{job:06d}" / f"step-{step:06d}-attempt-{attempt}"
    folder.mkdir(parents=True)
    (folder / "manifest.json").write_text('{"files": {}}')
    return folder.relative_to(study.files).as_posix()


@pytest.fixture
def study(tmp_path):
    study = opened(Goal("loss"), steps=9)
    study.files = tmp_path
    return study


def test_every_leaf_and_every_parent_of_a_pending_job_is_kept(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1))
    second = ran(study, 0.1, 1.0, until=3, parent=first, saved=saved(study, 1, 3))
    assert keeps(study) == {second}
    study.commit(study.start(Job({"x": 0.9}, 3, parent=first)))
    assert keeps(study) == {first, second}


def test_a_parent_stays_while_its_child_saved_nothing(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1))
    ran(study, 0.1, 1.0, until=3, parent=first)
    assert first in keeps(study)


def test_a_parent_stays_while_only_copies_went_on_from_it(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1), tag=("a",))
    copy = ran(study, 0.9, 1.0, until=3, parent=first, saved=saved(study, 1, 3), tag=("b",))
    assert keeps(study) == {first, copy}
    same = ran(study, 0.1, 1.0, until=3, parent=first, saved=saved(study, 2, 3), tag=("a",))
    assert keeps(study) == {copy, same}


def test_a_copy_replaces_what_stood_in_its_place(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1), tag=("a",))
    other = ran(study, 0.9, 1.0, until=1, saved=saved(study, 1, 1), tag=("b",))
    copy = ran(study, 0.5, 1.0, until=3, parent=other, saved=saved(study, 2, 3), tag=("a",))
    assert keeps(study) == {other, copy}
    sweep_rest(study)
    assert not study.path(study.results[first].saved).exists()
    assert study.path(study.results[other].saved).exists()


def test_what_a_late_decision_may_still_copy_stays(study):
    """Two processes: one ends a continuation, while the other one has decided to copy what that continues."""
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1), tag=("a",))
    here = study.path(study.results[first].saved)
    more = study.start(Job({"x": 0.1}, 3, parent=first, tag=("a",)))
    study.commit(more)
    late = study.start(Job({"x": 0.9}, 3, parent=first, tag=("b",)))
    study.commit(Result(more.id, "done", {"loss": 1.0}, 3, saved=saved(study, 1, 3)))
    sweep(study, study.events[-1])
    assert here.exists()
    study.commit(late)
    sweep(study, late)
    assert origin(study, late) == (1, here)
    study.commit(Result(late.id, "done", {"loss": 1.0}, 3, saved=saved(study, 2, 3)))
    sweep(study, study.events[-1])
    assert here.exists()
    assert (garbage(study), garbage(study, worked_on=True)) == ([here], [])
    new = study.start(Job({"x": 0.5}, 1))  # sees all of it: from now on nobody can ask for the first one
    study.commit(new)
    sweep(study, new)
    assert not here.exists()
    assert study.path(study.results[more.id].saved).exists()
    assert study.path(study.results[late.id].saved).exists()


def go_on(run):
    """Counts its steps in a checkpoint, and fails where it is not given the one that it left."""
    there = int((run.checkpoint / "weights").read_text()) if run.checkpoint else 0
    assert there == run.start
    for step in run.steps():
        run.report(step, loss=(run.config["x"] - 0.3) ** 2 + 1 / step, save=partial(write, step))


@pytest.mark.parametrize("executor", [tw.Inline, partial(tw.Simulated, 4, duration=lambda config, steps: steps)])
@pytest.mark.parametrize(
    ("method", "most"),
    [
        (tw.Hyperband(), 24),
        (tw.ASHA(), 24),
        (tw.FreezeThaw(tw.Random()), 24),
        (tw.MedianStop(period=3), 24),
        (tw.PBT(population=6, period=3), 6),
        (tw.PBT(population=8, period=3, periods=(1, 3)), 8),
    ],
)
def test_the_disk_holds_one_checkpoint_a_trial_and_none_is_missed(tmp_path, executor, method, most):
    """A folder for each trial, of a population for each member. Beside these, as long as the study runs: the last one
    of what each worker trains and those that were replaced since the last decision.
    """
    beside = 0

    def look(study, event):
        nonlocal beside
        if isinstance(event, Job):
            found = {path.parent.name for path in study.files.glob("job-*/step-*")}
            beside = max(beside, len(found) - len(keeps(study) & study.results.keys()))

    worker = executor()
    trials = None if isinstance(method, tw.PBT) else most
    settings = {"minimize": "loss", "steps": 27, "trials": trials, "seed": 1, "method": method, "callbacks": [look]}
    study = tw.tune(
        go_on, {"x": tw.Float(0, 1)}, store=tmp_path / "t.db", executor=worker, save_every=0, progress=False, **settings
    )
    assert {result.status for result in study.results.values()} == {"done"}
    assert not study.acts("restart")
    assert beside <= 2 * getattr(worker, "workers", 1)
    assert garbage(study) == []
    assert len(list(study.files.glob("job-*/step-*"))) == most
    study.close()


def test_without_a_tag_no_place_is_taken(study):
    first = ran(study, 0.1, 1.0, until=9, saved=saved(study, 0, 9))
    other = ran(study, 0.9, 1.0, until=1, saved=saved(study, 1, 1))
    copy = ran(study, 0.5, 1.0, until=3, parent=other, saved=saved(study, 2, 3))
    assert keeps(study) == {first, other, copy}


def test_a_job_goes_on_from_its_own_checkpoint_then_its_parents_then_nothing(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1))
    job = study.start(Job({"x": 0.1}, 9, parent=first))
    study.commit(job)
    assert origin(study, job) == (1, study.files / "job-000000/step-000001-attempt-1")
    study.commit(Report(job.id, (4,), {"loss": (1.0,)}, saved=saved(study, 1, 4)))
    assert origin(study, job)[0] == 4
    fresh = study.start(Job({"x": 0.5}, 9))
    assert origin(study, fresh) == (0, None)


def test_what_a_loss_of_power_left_of_a_checkpoint_is_not_gone_on_from(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1))
    job = study.start(Job({"x": 0.1}, 9, parent=first))
    study.commit(job)
    study.commit(Report(job.id, (4,), {"loss": (1.0,)}, saved=saved(study, 1, 4)))
    newest, before = origin(study, job)[1], study.path(study.results[first].saved)
    (newest / "weights").touch()
    (newest / "manifest.json").write_text('{"files": {"weights": [7, ""]}}')
    assert origin(study, job) == (1, before)
    (before / "manifest.json").write_text("")
    assert origin(study, job) == (0, None)


def test_a_name_that_leads_out_of_the_files_is_no_checkpoint(study, tmp_path):
    (tmp_path.parent / "manifest.json").write_text('{"files": {}}')
    first = ran(study, 0.1, 1.0, until=1, saved="..")
    assert origin(study, study.start(Job({"x": 0.1}, 9, parent=first))) == (0, None)


def test_garbage_is_what_nobody_needs(study):
    first = ran(study, 0.1, 1.0, until=1, saved=saved(study, 0, 1))
    second = ran(study, 0.1, 1.0, until=3, parent=first, saved=saved(study, 1, 3))
    orphan = study.files / saved(study, 2, 7)
    assert garbage(study) == [study.files / study.results[first].saved, orphan]
    assert study.files / study.results[second].saved not in garbage(study)


def write(step, path):
    (path / "weights").write_text(str(step))


def train(run):
    for step in run.steps():
        run.report(step, loss=run.config["x"], save=partial(write, step))


def test_a_study_keeps_one_checkpoint_a_trial(tmp_path):
    settings = {"minimize": "loss", "steps": 5, "trials": 3, "seed": 1, "method": tw.Random()}
    study = tw.tune(train, {"x": tw.Float(0, 1)}, store=tmp_path / "t.db", save_every=0, progress=False, **settings)
    assert len(list(study.files.glob("job-*/step-*"))) == 3
    assert garbage(study) == []
    assert (study.best.checkpoint / "weights").read_text() == "5"
    study.close()


def test_a_job_that_was_killed_before_its_result_is_done_when_its_checkpoint_is_at_its_end(study):
    job = study.start(Job({"x": 0.1}, 9))
    study.commit(job)
    study.commit(Report(job.id, (8,), {"loss": (2.0,)}, saved=saved(study, 0, 8)))
    assert unsaid_result(study, job, 2) is None
    study.commit(Report(job.id, (9,), {"loss": (1.0,)}, saved=saved(study, 0, 9)))
    assert origin(study, job) == (8, study.files / "job-000000/step-000008-attempt-1")
    result = unsaid_result(study, job, 2)
    assert (result.metrics, result.step, result.attempt) == ({"loss": 1.0}, 9, 2)
