"""What a study uses that names no method."""

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, bowl, new_study, propose
from tunewell.methods.auto import Auto
from tunewell.methods.rungs import cost
from tunewell.space import Float, Int, Space
from tunewell.study import Act, Job, Result

LINE = Space({"x": Float(0, 1)})
PARTS = {3: "rungs", 4: "bold rungs"}
"""The part of a study in which Hyperband has that `eta`."""


class TestAuto(MethodContract):
    method = Auto()
    trials = 9


def test_the_default_config_comes_first():
    study = new_study(Space({"x": Float(0, 1), "n": Int(1, 9, default=2)}))
    job = propose(Auto(), study)
    assert job is not None
    assert job.config == {"x": 0.5, "n": 2}


def test_a_default_that_violates_a_constraint_is_left_out():
    study = new_study(Space({"x": Float(0, 1)}, {"high": "x > 0.6"}))
    job = propose(Auto(), study)
    assert job is not None
    assert job.config["x"] > 0.6


def told(study, results=0, pending=0):
    for number in range(results + pending):
        job = study.start(Job({"x": number / 1000}, 1))
        study.commit(job)
        if number < results:
            study.commit(Result(job.id, "done", {"loss": number % 7}))
    return study


@pytest.mark.parametrize(
    ("study", "choice"),
    [
        (told(new_study(LINE), results=20), "Bayes, since the study has one objective"),
        (told(new_study(LINE), results=501), "TPE, since there are more than 500 results"),
        (told(new_study(LINE), results=9, pending=40), "TPE, since more than 32 jobs are pending"),
        (new_study(Space({f"x{i}": Float(0, 1) for i in range(61)})), "TPE, since the space has 61 coordinates"),
    ],
    ids=["short", "long", "crowded", "wide"],
)
def test_it_chooses_by_what_the_log_says(study, choice):
    assert Auto().why(study).startswith(choice)
    assert propose(Auto(), study) is not None


def test_several_objectives_get_a_model_of_each():
    study = new_study(LINE)
    study.commit(Act("change", {"goals": [{"metric": "loss"}, {"metric": "size"}]}))
    assert Auto().why(study) == "Bayes, since the study has several objectives"
    assert propose(Auto(), study) is not None


def test_it_is_the_default_and_better_than_random_search():
    def train(run):
        return (run.config["x"] - 0.7) ** 2 + (run.config["y"] - 0.2) ** 2

    def best(method=None):
        space = {"x": Float(0, 1), "y": Float(0, 1)}
        study = tw.tune(train, space, minimize="loss", trials=25, seed=3, method=method, progress=False)
        return min(trial.value for trial in study.trials)

    assert best() < best(tw.Random()) / 10


def paid(most, **limits):
    study = new_study(LINE, steps=most)
    study.commit(Act("change", {"limits": limits}))
    return study


@pytest.mark.parametrize("limits", [{"steps": 100}, {"seconds": 60.0}, {"compute_seconds": 60.0}, {"cost": 3.0}])
def test_where_steps_are_paid_trials_begin_with_few(limits):
    study = paid(27, **limits)
    job = propose(Auto(), study)
    assert (job.until, job.tag[0]) == (2, "bold rungs")
    assert Auto().why(study).startswith("Hyperband of Bayes, since trials of few steps cost less")


@pytest.mark.parametrize(
    ("least", "most", "eta", "first"), [(1, 52, 4, 3), (1, 27, 4, 2), (1, 26, 3, 3), (3, 100, 3, 3)]
)
def test_the_rungs_are_those_whose_first_bracket_takes_fewer_steps(least, most, eta, first):
    study = paid(most, steps=5 * most)
    study.commit(Act("change", {"steps": {"minimum": least, "maximum": most}}))
    job = propose(Auto(), study)
    assert (job.until, job.tag[0]) == (first, PARTS[eta])
    taken = {each: cost(tw.Hyperband(eta=each).plan(study.steps)[0]) for each in PARTS}
    assert min(taken, key=taken.get) == eta


@pytest.mark.parametrize(("most", "more", "eta"), [(26, 52, 3), (27, 70, 4)])
def test_trials_that_become_longer_keep_their_rungs(most, more, eta):
    study = paid(most, steps=3 * most)
    Player(Auto(confirm=0), bowl(LINE)).play(study)
    before = {job.until for job in study.jobs.values()}
    study.commit(Act("change", {"steps": {"minimum": 1, "maximum": more}, "limits": {"steps": 20 * more}}))
    Player(Auto(confirm=0), bowl(LINE)).play(study)
    assert {job.tag[0] for job in study.jobs.values()} == {PARTS[eta]}
    assert any(job.until == more and job.parent is not None for job in study.jobs.values())
    assert {job.until for job in study.jobs.values()} >= before


@pytest.mark.parametrize(
    "study",
    [paid(8, steps=100), paid(27, trials=20), paid(27, trials=20, steps=100), paid(27)],
    ids=["no rungs", "trials", "both", "no limit"],
)
def test_elsewhere_trials_are_whole(study):
    assert propose(Auto(), study).until == study.steps.maximum


def test_a_study_whose_limits_change_goes_over_to_rungs_and_back():
    study = paid(27, trials=12)
    Player(Auto(), bowl(LINE)).play(study)
    study.commit(Act("change", {"limits": {"steps": 12 * 27 + 200}}))
    Player(Auto(), bowl(LINE)).play(study)
    assert {job.until for job in study.jobs.values()} == {2, 7, 27}
    study.commit(Act("change", {"limits": {"trials": 200}}))
    assert propose(Auto(), study).until == 27
