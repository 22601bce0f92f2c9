"""NSGA-II: what survives, who is asked for, and that it finds a front."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.nsga2 import NSGA2, Parent, survivors
from tunewell.study import Act, Failure, Result
from tunewell.surrogates.hypervolume import hypervolume
from tunewell.surrogates.pareto import non_dominated

LINE = tw.Space({f"x{number}": tw.Float(0, 1) for number in range(6)})


class TestNSGA2(MethodContract):
    method = NSGA2(population=6)
    trials = 40


class TestDirections(MethodContract):
    method = NSGA2(population=6, spread="directions", crossover=0.5, mutation=0.5)
    trials = 40


def opened(space, goals, *, seed=0, trials=None, steps=1):
    study = new_study(space, seed=seed, trials=trials, steps=steps)
    study.commit(Act("change", {"goals": [goal if isinstance(goal, dict) else {"metric": goal} for goal in goals]}))
    return study


def asked(study, method):
    job = study.start(propose(method, study))
    study.commit(job)
    return job


def told(study, job, metrics):
    study.commit(Result(job.id, "done", metrics, step=job.until))


def play(study, method, losses, count):
    """One trial after the other; `losses` gives the metrics of a config, or None where it fails."""
    for _ in range(count):
        job = asked(study, method)
        metrics = losses(job.config)
        if metrics is None:
            study.commit(Result(job.id, "failed", error=Failure("crashed")))
        else:
            told(study, job, metrics)
    return study


def zdt2(config):
    first, *rest = config.values()
    far = 1 + 9 * np.mean(np.abs(np.array(rest) - 0.4))
    return {"a": first, "b": far * (1 - (first / far) ** 2)}


def values(study, names):
    return np.array([[study.results[job].metrics[name] for name in names] for job in study.results])


def parents(losses, violations=None):
    violations = np.zeros((len(losses), 0)) if violations is None else violations
    return [Parent(np.zeros((2, 1)), *pair) for pair in zip(np.asarray(losses, float), violations, strict=True)]


clouds = st.integers(0, 10_000).map(
    lambda seed: np.random.default_rng(seed).integers(0, 9, (24, 2 + seed % 3)).astype(float)
)


@pytest.mark.parametrize("niches", [False, True])
@given(losses=clouds)
def test_survival_keeps_what_nothing_dominates(niches, losses):
    kept = survivors(parents(losses), 12, niches, np.random.default_rng(0))
    assert len(kept) == 12
    assert len({id(one.losses) for one in kept}) == 12
    found = np.array([one.losses for one in kept])
    front = losses[non_dominated(losses)]
    if len(front) <= 12:
        assert {tuple(point) for point in front} <= {tuple(point) for point in found}
    else:
        assert {tuple(point) for point in found} <= {tuple(point) for point in front}
    worst = max(one.place[0] for one in kept)
    assert [one.place[0] for one in kept] == sorted(one.place[0] for one in kept)
    assert not worst or any(one.place[0] == 0 for one in kept)


@pytest.mark.parametrize("niches", [False, True])
@given(losses=clouds)
def test_of_a_front_too_long_the_ends_survive(niches, losses):
    front = np.unique(losses[non_dominated(losses)], axis=0)
    kept = survivors(parents(front), min(len(front), 2 * front.shape[1]), niches, np.random.default_rng(0))
    if not niches:
        assert {column.min() for column in front.T} <= {value for one in kept for value in one.losses.tolist()}


@given(losses=clouds, seed=st.integers(0, 99))
def test_what_keeps_to_the_constraints_comes_first_and_then_what_violates_them_least(losses, seed):
    rng = np.random.default_rng(seed)
    violations = np.maximum(rng.normal(size=(24, 2)), 0) * [1.0, 1e6]
    kept = survivors(parents(losses, violations), 12, False, rng)
    shares = (violations / violations.max(0)).sum(1)
    left = sorted(shares)[:12]
    assert sorted((one.violations / violations.max(0)).sum() for one in kept) == pytest.approx(left)


def test_finds_the_front_of_two_goals():
    study = play(opened(LINE, ["a", "b"]), NSGA2(population=40), zdt2, 2400)
    ours = hypervolume(values(study, "ab"), np.array([1.1, 1.1]))
    blind = play(opened(LINE, ["a", "b"]), tw.Random(), zdt2, 2400)
    assert ours > 0.52  # of 0.544
    assert hypervolume(values(blind, "ab"), np.array([1.1, 1.1])) < 0.3


def test_directions_help_with_four_goals():
    def dtlz2(config):
        *angles, rest = np.array([*config.values()][:4]) * np.pi / 2
        size, found = 1 + 4 * (rest / np.pi * 2 - 0.5) ** 2, []
        for angle in angles:
            found.append(size * np.sin(angle))
            size *= np.cos(angle)
        return dict(zip("abcd", [*found, size], strict=True))

    space = tw.Space({f"x{number}": tw.Float(0, 1) for number in range(4)})
    volumes = {}
    for spread in ("directions", "crowding"):
        study = play(opened(space, "abcd"), NSGA2(population=56, spread=spread), dtlz2, 1500)
        last = values(study, "abcd")[-56:]
        volumes[spread] = hypervolume(last, np.full(4, 1.1))
    assert volumes["directions"] > volumes["crowding"]
    assert propose(NSGA2(population=56), study) == propose(NSGA2(population=56, spread="directions"), study)


def test_constraints_are_kept():
    goals = ["a", "b", {"metric": "size", "at_most": 0.2}]
    study = play(opened(LINE, goals), NSGA2(population=20), lambda c: {**zdt2(c), "size": c["x5"]}, 600)
    assert np.mean(values(study, ["size"])[-200:] <= 0.2) > 0.8


def test_a_slow_trial_holds_nobody_up():
    study, method = opened(LINE, ["a", "b"]), NSGA2(population=10)
    slow = asked(study, method)
    play(study, method, zdt2, 50)
    assert study.jobs[50].tag == (4,)  # of 49 results
    told(study, slow, zdt2(slow.config))
    assert propose(method, study) is not None


def test_a_failure_costs_its_slot_alone():
    study, method = opened(LINE, ["a", "b"]), NSGA2(population=10)
    play(study, method, lambda config: None if config["x0"] > 0.5 else zdt2(config), 400)
    late = [job for job in study.jobs.values() if job.id >= 200]
    assert np.mean([study.results[job.id].status == "done" for job in late]) > 0.6
    nothing = play(opened(LINE, ["a", "b"]), method, lambda config: None, 40)
    assert {job.tag for job in nothing.jobs.values()} == {(0,)}


def test_what_is_pending_is_not_asked_for_again():
    study, method = opened(SPACES["tiny"], ["a", "b"]), NSGA2(population=2)
    configs = [asked(study, method).config for _ in range(6)]
    assert len({str(sorted(config.items())) for config in configs}) == 6
    assert propose(method, study) is not None  # it never ends


def test_begins_with_the_default_and_with_what_people_brought():
    space = tw.Space({"x": tw.Float(0, 1, default=0.3)})
    study = opened(space, ["a", "b"])
    assert asked(study, NSGA2()).config == {"x": 0.3}
    assert asked(study, NSGA2()).config != {"x": 0.3}


def test_the_population_is_a_tenth_of_the_budget():
    for trials, size in ((30, 8), (500, 50), (9000, 100), (None, 100)):
        assert NSGA2()._known(opened(LINE, ["a"], trials=trials)).size == size


def test_learns_at_the_largest_step_with_a_whole_population():
    study = opened(LINE, ["a", "b"], steps=9)
    method = NSGA2(population=4)
    for number in range(12):
        job = study.start(tw.Job(LINE.sample(np.random.default_rng(number)), 1 if number < 8 else 9))
        study.commit(job)
        told(study, job, {"a": number, "b": -number})
    assert [one.losses[0] for one in method._known(study).parents()] == [8, 9, 10, 11]
    assert propose(method, study).until == 9


def test_one_goal_will_do_and_none_will_not():
    study = play(opened(LINE, ["a"]), NSGA2(population=10), lambda config: {"a": sum(config.values())}, 600)
    assert values(study, "a").min() < 0.3
    with pytest.raises(Unsupported, match="none"):
        propose(NSGA2(), opened(LINE, []))


@pytest.mark.parametrize(
    "settings", [{"population": 1}, {"spread": "wide"}, {"crossover": 2}, {"mutation": -1}, {"mutation_index": -1}]
)
def test_settings_that_make_no_sense(settings):
    with pytest.raises(StudyError, match="NSGA2"):
        NSGA2(**settings)
