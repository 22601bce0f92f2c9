"""Evolution: mutation, crossover, differences, and who survives."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, Player, bowl, cut, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.events import Failure
from tunewell.method import from_json, to_json
from tunewell.methods.evolution import Evolution, differed
from tunewell.study import Job, Result


class TestRegularized(MethodContract):
    method = Evolution.regularized(population=8, tournament=4)


class TestGenetic(MethodContract):
    method = Evolution.genetic(population=8, tournament=3)


class TestPlus(MethodContract):
    method = Evolution.plus(3, 6)


class TestOnePlusOne(MethodContract):
    method = Evolution.one_plus_one()


class TestDifferential(MethodContract):
    method = Evolution.differential(population=6)


class TestReplicating(MethodContract):
    method = Evolution(population=6, tournament=3, duplicates="replicate")


class TestAllowing(MethodContract):
    method = Evolution(population=6, tournament=3, duplicates="allow")


SETTINGS = {
    "regularized": Evolution.regularized(10, 5),
    "genetic": Evolution.genetic(10, 5),
    "plus": Evolution.plus(5, 10),
    "one_plus_one": Evolution.one_plus_one(),
    "differential": Evolution.differential(10),
}
EACH = pytest.mark.parametrize("method", SETTINGS.values(), ids=SETTINGS)
CUBE = tw.Space({name: tw.Float(-5, 5) for name in "abcd"})
TREE = SPACES["conditional"]


def play(method, space, loss=None, trials=60, seed=1, **rest):
    objective = (lambda config, step: loss(config)) if loss else bowl(space)
    return Player(method, objective, **rest).play(new_study(space, seed=seed, trials=trials))


def losses(study):
    return [study.loss(job) for job in study.jobs]


def members(method, study):
    past = method._past(study.plan)
    return past.level(1).members


def told(study, config, loss, tag=(), until=1, **rest):
    job = study.start(Job(config, until, tag=tag, **rest))
    study.commit(job)
    study.commit(Result(job.id, "done", {"loss": loss}, step=until))
    return job.id


# --- settings --------------------------------------------------------------------------------------------------------


@EACH
def test_named_settings_are_settings(method):
    assert from_json(to_json(method)) == method


def test_named_settings_take_more():
    assert Evolution.plus(4, 8, adapt=False, tournament=2) == Evolution(
        4, 2, 8, survival="best", others=1.0, adapt=False
    )
    assert Evolution.genetic(duplicates="allow").crossover == 0.5


@pytest.mark.parametrize(
    "wrong",
    [
        {"population": 0},
        {"tournament": 0},
        {"offspring": 0},
        {"crossover": 1.5},
        {"strength": 0},
        {"others": -1},
        {"survival": "luck"},
        {"variation": "difference", "population": 3},
    ],
    ids=str,
)
def test_wrong_settings_are_refused(wrong):
    with pytest.raises(StudyError, match="Evolution"):
        Evolution(**wrong)


def test_several_goals_are_refused():
    study = new_study(CUBE)
    study.commit(tw.Act("change", {"goals": [{"metric": "a"}, {"metric": "b"}]}))
    with pytest.raises(Unsupported, match="one objective"):
        propose(Evolution(), study)


# --- children --------------------------------------------------------------------------------------------------------


@EACH
@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
@settings(max_examples=3, deadline=None)
@given(seed=st.integers(0, 2**31))
def test_a_child_is_valid_by_construction(method, space, seed):
    study = play(method, space, trials=40, seed=seed, workers=3, failures=0.1)
    for job in study.jobs.values():
        space.validate(job.config)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 2**31), scale=st.floats(0.01, 2))
def test_a_difference_is_valid_by_construction(seed, scale):
    rng = np.random.default_rng(seed)
    for space in (TREE, SPACES["mixed"]):
        point = differed(space, *(space.sample(rng) for _ in range(3)), scale, rng)
        assert ((point >= 0) & (point <= 1)).all()
        space.validate(space.decode(point))


def test_differences_of_integers_are_unbiased():
    """Half a step is on the border of two cells: rounding it up each time would be a drift."""
    space = tw.Space({"x": tw.Int(0, 9), "y": tw.Ordinal(list("abcdefghij"))})
    rng = np.random.default_rng(0)
    for first, second in ((4, 5), (5, 4)):
        a, b, c = ({"x": number, "y": "abcdefghij"[number]} for number in (4, first, second))
        found = space.encode_many([space.decode(differed(space, a, b, c, 0.5, rng)) for _ in range(4000)])
        expected = 0.45 + 0.05 * (first - second)
        assert np.allclose(found.mean(0), expected, atol=0.006)


def test_differences_keep_what_all_agree_on():
    space = tw.Space({"c": tw.Choice(list("abc")), "x": tw.Float(0, 1)})
    rng = np.random.default_rng(0)
    alike = {"c": "b", "x": 0.25}
    assert all(space.decode(differed(space, alike, alike, alike, 0.5, rng)) == alike for _ in range(20))


def test_a_crossed_child_has_its_branches_from_its_parents():
    study = play(Evolution.genetic(8, 4, crossover=1.0), TREE, trials=80)
    parents = {job.id: job.config for job in study.jobs.values()}
    crossed = [job for job in study.jobs.values() if job.id >= 8 and not job.tag]
    assert crossed
    for job in crossed:
        assert all(any(name in p and p[name] == value for p in parents.values()) for name, value in job.config.items())


def test_neutral_evolution_drifts_nowhere():
    """With a loss that says nothing, what is asked for is spread as the space is."""
    space = tw.Space({"x": tw.Int(1, 9), "y": tw.Int(1, 64, log=True), "z": tw.Float(0, 1)})
    method = Evolution(10, 1, adapt=False, strength=0.3, duplicates="allow")
    found = [job.config for job in play(method, space, lambda config: 0.0, trials=4000).jobs.values()]
    uniform = [space.sample(np.random.default_rng(seed)) for seed in range(4000)]
    assert np.allclose(space.encode_many(found).mean(0), space.encode_many(uniform).mean(0), atol=0.08)


# --- survival --------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-1e6, 1e6), min_size=30, max_size=60), lam=st.integers(1, 7))
def test_survival_of_the_best_keeps_the_best(values, lam):
    method = Evolution.plus(5, lam)
    study = new_study(CUBE)
    for place, value in enumerate(values):
        told(study, {"a": place / 100, "b": 0.0, "c": 0.0, "d": 0.0}, value)
    kept = sorted(member.rank[1] for member in members(method, study))
    judged = values[: len(values) - (len(values) - 5) % lam]
    assert kept == sorted(judged)[:5]


def test_the_oldest_dies():
    method, study = Evolution(5, 2), new_study(CUBE)
    for place in range(12):
        told(study, {"a": place / 100, "b": 0.0, "c": 0.0, "d": 0.0}, float(place))
    assert [member.rank[1] for member in members(method, study)] == [7, 8, 9, 10, 11]


def test_a_pair_keeps_the_better():
    method, study = Evolution.differential(4), new_study(CUBE)
    for place in range(4):
        told(study, {"a": place / 100, "b": 0.0, "c": 0.0, "d": 0.0}, float(place))
    told(study, {"a": 0.5, "b": 0.0, "c": 0.0, "d": 0.0}, 9.0, ("slot", 0))
    told(study, {"a": 0.6, "b": 0.0, "c": 0.0, "d": 0.0}, 2.5, ("slot", 3))
    told(study, {"a": 0.7, "b": 0.0, "c": 0.0, "d": 0.0}, 2.1)  # from elsewhere: against the worst
    assert [member.rank[1] for member in members(method, study)] == [0, 1, 2, 2.1]


def test_a_converged_population_is_mutated_where_rounding_loses_its_differences():
    method, study = Evolution.differential(4, strength=0.4, duplicates="allow"), new_study(CUBE)
    for place in range(4):
        told(study, {**dict.fromkeys("abcd", 0.0), "abcd"[place]: 10 * 2.0**-40}, float(place))
    for _ in range(10):
        job = propose(method, study)
        assert max(map(abs, job.config.values())) > 1e-6
        told(study, job.config, 9.0)


def test_what_violates_a_constraint_ranks_behind():
    study = new_study(CUBE)
    study.commit(tw.Act("change", {"goals": [{"metric": "loss"}, {"metric": "cost", "at_most": 1.0}]}))
    for place, cost in enumerate((5.0, 2.0, 0.5)):
        job = study.start(Job({"a": place / 10, "b": 0.0, "c": 0.0, "d": 0.0}, 1))
        study.commit(job)
        study.commit(Result(job.id, "done", {"loss": float(place), "cost": cost}, step=1))
    ranked = sorted(members(Evolution.plus(3, 1), study), key=lambda member: member.rank)
    assert [member.config["a"] for member in ranked] == [0.2, 0.1, 0.0]


def test_replicates_are_one_member_with_their_mean():
    method, study = Evolution.plus(3, 1), new_study(CUBE)
    config = CUBE.default()
    for seed, loss in enumerate((1.0, 2.0, 6.0)):
        told(study, config, loss, seed=seed)
    (only,) = members(method, study)
    assert (only.rank, only.count) == ((0.0, 3.0), 3)


def test_failures_have_no_place():
    method = Evolution(6, 3)
    study = play(method, CUBE, trials=40, failures=0.4)
    failed = {job for job, result in study.results.items() if result.status == "failed"}
    assert failed
    assert all(member.job not in failed for member in members(method, study))


def test_what_fails_later_is_no_good_earlier():
    method, study = Evolution.plus(2, 1), new_study(CUBE, steps=9)
    first = told(study, CUBE.default(), 1.0)
    told(study, {"a": 1.0, "b": 0.0, "c": 0.0, "d": 0.0}, 2.0)
    later = study.start(Job(CUBE.default(), 9, parent=first))
    study.commit(later)
    study.commit(Result(later.id, "failed", error=Failure("diverged")))
    assert min(members(method, study), key=lambda member: member.rank).config["a"] == 1.0


# --- asynchronous ----------------------------------------------------------------------------------------------------


@EACH
def test_a_slow_trial_holds_nothing_up(method):
    """Two of the first never end; all others go on for generations."""
    study = new_study(CUBE, trials=200)
    loss = bowl(CUBE)
    for number in range(200):
        job = study.start(propose(method, study))
        study.commit(job)
        if number not in (1, 3):
            study.commit(Result(job.id, "done", {"loss": loss(job.config, 1)}, step=1))
    assert [job.id for job in study.pending()] == [1, 3]
    rest = [study.loss(job) for job in range(100, 200)]
    assert np.median(rest) < np.median([study.loss(job) for job in (0, 2, *range(4, 20))])


def test_a_thousand_workers_are_kept_busy():
    study = new_study(CUBE)
    for _ in range(1000):
        job = propose(Evolution(), study)
        study.commit(study.start(job))
    assert len({str(job.config) for job in study.pending()}) == 1000


@EACH
def test_no_config_comes_twice(method):
    study = play(method, SPACES["tiny"], trials=50, workers=2)
    configs = [str(job.config) for job in study.jobs.values()]
    assert len(configs) == len(set(configs)) == 6


# --- strength --------------------------------------------------------------------------------------------------------


def test_strength_grows_with_success_and_shrinks_without():
    method = Evolution.one_plus_one()
    for sign, better in ((-1, True), (1, False)):
        study = new_study(CUBE)
        told(study, CUBE.default(), 0.0)
        for place in range(1, 15):
            parent = place - 1 if better else 0
            told(study, {"a": place / 100, "b": 0.0, "c": 0.0, "d": 0.0}, float(sign * place), ("child", parent))
        strength = method._past(study).strength
        assert strength > 0.3 if better else strength < 0.05


def test_adapted_strength_finds_the_bottom():
    rough = min(losses(play(Evolution.one_plus_one(adapt=False), CUBE, trials=600)))
    fine = min(losses(play(Evolution.one_plus_one(), CUBE, trials=600)))
    assert fine - 0.5 < 1e-6 < rough - 0.5


# --- what it is for --------------------------------------------------------------------------------------------------


@EACH
def test_beats_random_search(method):
    for space in (CUBE, TREE):
        ours, random = (
            np.mean([min(losses(play(each, space, trials=150, seed=seed))) for seed in range(4)])
            for each in (method, tw.Random())
        )
        assert ours < random


@pytest.mark.parametrize("outer", [tw.Hyperband, tw.ASHA])
@EACH
def test_begins_the_configs_of_hyperband(outer, method):
    study = Player(outer(method), bowl(CUBE), workers=4).play(new_study(CUBE, steps=27, trials=150))
    began = [job for job in study.jobs.values() if job.parent is None]
    first, last = (np.mean([bowl(CUBE)(job.config, 27) for job in some]) for some in (began[:40], began[-40:]))
    assert last < first


def test_goes_on_from_what_another_method_found():
    method = tw.Then(tw.Take(30, tw.Sobol()), Evolution())
    study = play(method, CUBE, trials=40)
    assert all(job.tag[1:2] == ("child",) for job in list(study.jobs.values())[30:])


def test_a_study_of_5000_evaluations_replays():
    study = play(Evolution(), CUBE, trials=5000, workers=4, failures=0.05)
    assert len(study.jobs) == 5000
    for job in list(study.jobs.values())[::500]:
        again = propose(Evolution(), cut(study, job.seen))
        assert (again.config, again.tag) == (job.config, job.tag)


def test_says_where_it_stands():
    study = play(Evolution(10, 5), CUBE, trials=30)
    assert Evolution(10, 5).why(study).startswith("10 members of 10, strength ")
