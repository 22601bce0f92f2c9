"""Local search: what a neighbour is, where a walk goes, and when it starts anew."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, Player, bowl, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.events import Failure
from tunewell.methods.localsearch import LocalSearch
from tunewell.study import Job, Result, canonical


class TestLocalSearch(MethodContract):
    method = LocalSearch()


class TestOfOneStrength(MethodContract):
    method = LocalSearch(strengths=(0.1,))


class TestAlone(MethodContract):
    method = LocalSearch(alone=True)


CELLS = tw.Space({name: tw.Choice(["none", "skip", "conv"]) for name in "abcd"})
TREE = SPACES["conditional"]


def play(space, loss, trials=60, seed=1, **rest):
    return Player(LocalSearch(), lambda config, step: loss(config), **rest).play(
        new_study(space, seed=seed, trials=trials)
    )


def started(study):
    job = study.start(propose(LocalSearch(), study))
    study.commit(job)
    return job


def ended(study, job, loss):
    done = {"metrics": {"loss": loss}, "step": 1} if loss is not None else {"error": Failure("crashed", "no")}
    study.commit(Result(job.id, "done" if loss is not None else "failed", **done))


def told(study, loss=None):
    job = started(study)
    ended(study, job, loss)
    return job


def differences(first, second):
    return [name for name in first if first[name] != second.get(name)]


# --- settings --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("wrong", [(), (0.0,), (0.1, 2.0)], ids=str)
def test_wrong_strengths_are_refused(wrong):
    with pytest.raises(StudyError, match="LocalSearch: strengths"):
        LocalSearch(wrong)


def test_several_goals_are_refused():
    study = new_study(CELLS)
    study.commit(tw.Act("change", {"goals": [{"metric": "a"}, {"metric": "b"}]}))
    with pytest.raises(Unsupported, match="one objective"):
        propose(LocalSearch(), study)


# --- neighbours ------------------------------------------------------------------------------------------------------


def test_the_first_is_the_default_and_its_neighbours_differ_in_one_entry():
    study = new_study(CELLS)
    first = told(study, 0.0)
    others = [told(study, 1.0) for _ in range(8)]
    assert first.config == CELLS.default()
    assert all(len(differences(first.config, other.config)) == 1 for other in others)
    assert len({canonical(other.config) for other in others}) == 8


def test_numbers_and_ordinals_step_to_the_next_value():
    space = tw.Space({"n": tw.Int(1, 100, default=50), "size": tw.Ordinal([1, 2, 4, 8, 16], default=4)})
    study = new_study(space)
    told(study, 0.0)
    asked = [told(study, 1.0).config for _ in range(8)]
    assert {config["n"] for config in asked if config["size"] == 4} == {49, 51, 45, 55, 30, 70}
    assert {config["size"] for config in asked if config["n"] == 50} == {2, 8}


@given(st.sampled_from(sorted(SPACES)), st.integers(0, 2**32))
@settings(max_examples=40, deadline=None)
def test_a_neighbour_changes_one_entry_and_what_hangs_on_it(name, seed):
    space, rng = SPACES[name], np.random.default_rng(seed)
    study = new_study(space, seed=seed)
    job = study.start(Job(space.sample(rng), 1))
    study.commit(job)
    ended(study, job, 0.0)
    config = told(study, 1.0).config
    space.validate(config)
    shared = [key for key in config if key in job.config]
    assert sum(config[key] != job.config[key] for key in shared) == 1 or "model" in differences(job.config, config)


# --- walks -----------------------------------------------------------------------------------------------------------


def test_the_walk_moves_as_soon_as_a_neighbour_is_better():
    study = new_study(CELLS)
    told(study, 1.0)
    better = told(study, 0.5)
    assert len(differences(better.config, told(study, 2.0).config)) == 1


def test_a_neighbour_that_is_only_as_good_is_no_place_to_go():
    study = new_study(CELLS)
    first = told(study, 1.0)
    told(study, 1.0)
    assert len(differences(first.config, told(study, 2.0).config)) == 1


def test_a_new_walk_starts_when_a_neighbourhood_is_used_up():
    study = new_study(CELLS)
    for _ in range(9):
        told(study, float(len(study.jobs)))
    start = told(study, 20.0)
    assert start.tag[1:] == (1, -1, 0)
    assert told(study, 30.0).tag[:3] == ("walk", 1, start.id)


def test_nobody_waits_and_a_walk_goes_on_when_a_late_neighbour_is_better():
    study = new_study(CELLS)
    first = told(study, 1.0)
    late = [started(study) for _ in range(8)]
    start = told(study, 5.0)  # all neighbours are running
    assert start.tag[1] == 1
    ended(study, late[3], 0.5)
    again = started(study)
    assert again.tag[:3] == ("walk", 0, late[3].id)
    assert len(differences(late[3].config, again.config)) == 1
    assert first.config != again.config


def test_many_workers_begin_with_different_configs():
    study = new_study(CELLS)
    assert len({canonical(started(study).config) for _ in range(10)}) == 10


def test_a_failure_costs_its_slot_alone():
    study = new_study(CELLS)
    told(study)
    told(study, 1.0)
    failed = told(study)
    assert len(differences(study.jobs[1].config, told(study, 2.0).config)) == 1
    assert failed.config != study.jobs[1].config


def test_it_goes_on_from_the_best_that_is_known():
    method = tw.Then(tw.Take(5, tw.Random()), LocalSearch())
    study = Player(method, bowl(CELLS)).play(new_study(CELLS, trials=6))
    best = min(list(study.jobs)[:5], key=study.loss)
    assert len(differences(study.jobs[best].config, study.jobs[5].config)) == 1


def test_alone_it_starts_anew_whatever_others_found():
    method = tw.Then(tw.Take(5, tw.Random()), LocalSearch(alone=True))
    study = Player(method, bowl(CELLS)).play(new_study(CELLS, trials=8))
    start = study.jobs[5]
    assert start.tag[-3:] == (0, -1, 0)
    assert len(differences(start.config, study.jobs[6].config)) == 1


def test_no_config_twice_until_all_were_asked_for():
    study = play(CELLS, lambda config: sum(value == "none" for value in config.values()), trials=81)
    assert len({canonical(job.config) for job in study.jobs.values()}) == len(study.jobs) > 75


@pytest.mark.parametrize("workers", [1, 8])
def test_it_finds_the_only_optimum_of_choices(workers):
    space = tw.Space({f"edge{place}": tw.Choice(list("abcde")) for place in range(6)})
    target = space.sample(np.random.default_rng(5))
    study = play(space, lambda config: float(len(differences(target, config))), 120, workers=workers)
    assert min(map(study.loss, study.jobs)) == 0.0


def test_steps_of_a_float_become_small():
    space = tw.Space({"x": tw.Float(0, 1), "y": tw.Float(1e-4, 1, log=True)})
    study = play(space, lambda config: float(np.sum((space.encode(config) - 0.31) ** 2)), 60)
    assert min(map(study.loss, study.jobs)) < 1e-3


def test_it_runs_below_a_bracket():
    study = Player(tw.ASHA(LocalSearch()), bowl(TREE), workers=3).play(new_study(TREE, steps=9, trials=40))
    assert len(study.jobs) > 40


def test_why_tells_the_walk():
    assert LocalSearch().why(play(CELLS, lambda config: 1.0, 5)).startswith("walk 1,")
