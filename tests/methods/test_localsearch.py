"""Local search: neighbours of the best, then another walk."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.events import Failure
from tunewell.methods.localsearch import LocalSearch
from tunewell.study import Result

LETTERS = tw.Space({name: tw.Choice(list("abcd"), default="d") for name in "uvwx"})


class TestLocalSearch(MethodContract):
    method = LocalSearch()


class TestWithinHyperband(MethodContract):
    method = tw.Hyperband(LocalSearch())
    steps = 9


def loss(config, step):
    """The sum of the places of the letters: one valley."""
    return float(sum("abcd".index(value) for value in config.values()))


def test_neighbours_differ_in_one_entry_until_one_is_better():
    study = new_study(LETTERS, trials=30)
    Player(LocalSearch(), loss).play(study)
    best = study.jobs[0].config
    for number, job in study.jobs.items():
        if job.tag != ("walk", 0):
            break
        assert number == 0 or sum(job.config[name] != best[name] for name in best) == 1
        if loss(job.config, 1) < loss(best, 1):
            best = job.config


def test_finds_the_bottom_of_a_valley_and_starts_anew():
    study = new_study(LETTERS, trials=120)
    Player(LocalSearch(), loss).play(study)
    losses = [loss(job.config, 1) for job in study.jobs.values()]
    assert min(losses) == 0
    assert {job.tag[1] for job in study.jobs.values()} >= {0, 1}


def test_asks_for_no_config_twice_and_ends_after_the_last():
    space = tw.Space({"cell": tw.Cell(3, ["none", "skip", "conv"]), "on": [True, False]})
    study = new_study(space, trials=500)
    Player(LocalSearch(), lambda config, step: float(len(set(config.values())))).play(study)
    keys = {space.key(config) for config in space.grid()}
    assert sorted(space.key(job.config) for job in study.jobs.values()) == sorted(keys)


def test_numbers_move_by_one_value_and_by_steps():
    space = tw.Space({"n": tw.Int(0, 100, default=50), "x": tw.Float(0, 1, default=0.5)})
    study = new_study(space, trials=13)
    Player(LocalSearch(), lambda config, step: float(config["n"] != 50 or config["x"] != 0.5)).play(study)
    near = [job.config for job in study.jobs.values() if job.tag == ("walk", 0)]
    assert sorted({config["n"] for config in near}) == [30, 45, 49, 50, 51, 55, 70]
    assert sorted({round(config["x"], 4) for config in near}) == [0.3, 0.45, 0.4875, 0.5, 0.5125, 0.55, 0.7]


def test_a_better_neighbour_that_comes_late_is_followed():
    study = new_study(LETTERS)
    method = LocalSearch()
    first = study.start(propose(method, study))
    study.commit(first)
    study.commit(Result(first.id, "done", {"loss": loss(first.config, 1)}, step=1))
    jobs = []
    for _ in range(12):
        jobs.append(study.start(propose(method, study)))
        study.commit(jobs[-1])
    assert all(job.tag == ("walk", 0) for job in jobs)
    assert propose(method, study).tag == ("walk", 1)  # nobody waits
    study.commit(Result(jobs[3].id, "done", {"loss": loss(jobs[3].config, 1)}, step=1))
    near = propose(method, study)
    assert near.tag == ("walk", 0)
    assert sum(near.config[name] != jobs[3].config[name] for name in near.config) == 1


def test_a_failure_costs_its_place_alone():
    study = new_study(LETTERS)
    method = LocalSearch()
    for number in range(8):
        job = study.start(propose(method, study))
        study.commit(job)
        outcome = {"error": Failure("error", "no")} if number == 1 else {"metrics": {"loss": loss(job.config, 1)}}
        study.commit(Result(job.id, "failed" if number == 1 else "done", step=1, **outcome))
    assert all(job.tag == ("walk", 0) for job in study.jobs.values())


def test_what_becomes_active_varies_among_neighbours():
    space = tw.Space({"blocks": tw.Blocks({"units": tw.Int(1, 1000)}, 1, 4)})
    study = new_study(space, trials=60)
    Player(LocalSearch(), lambda config, step: -float(config["blocks"])).play(study)
    units = {job.config["blocks.3.units"] for job in study.jobs.values() if job.config["blocks"] == 4}
    assert len(units) > 5


def test_says_what_is_wrong():
    with pytest.raises(StudyError, match="steps"):
        LocalSearch(steps=(0.0,))
    with pytest.raises(Unsupported, match="one objective"):
        tw.tune(lambda run: {"a": 1.0, "b": 1.0}, {"x": [1, 2]}, minimize=["a", "b"], method=LocalSearch(), trials=2,
                progress=False)  # fmt: skip


def test_neighbours_are_the_same_each_time():
    space = tw.Space({"blocks": tw.Blocks({"units": tw.Int(1, 1000)}, 1, 4)})
    config = space.sample(np.random.default_rng(0))
    from tunewell.methods import localsearch
    from tunewell.study import canonical

    first = localsearch._neighbours(space, canonical(config), (0.1,))
    localsearch._neighbours.cache_clear()
    assert localsearch._neighbours(space, canonical(config), (0.1,)) == first
