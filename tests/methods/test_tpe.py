"""The tree-structured Parzen estimator."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, Player, bowl, cut, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.methods.tpe import TPE, tree_of
from tunewell.study import Failure, Job, Result
from tunewell.surrogates.parzen import mixture


class TestTPE(MethodContract):
    method = TPE()


class TestFewGood(MethodContract):
    method = TPE(3, candidates=5, share=0.25, most=3, history=4, narrowest=0.1, clip=False, weights="uniform")


LINE = tw.Space({"x": tw.Float(0, 1), "y": tw.Float(0, 1)})
TREE = tw.Space(
    {
        "model": tw.Choice(
            {
                "linear": {"decay": tw.Float(1e-6, 1, log=True)},
                "network": {
                    "width": tw.Int(8, 512, log=True),
                    "optimizer": tw.Choice({"adam": {"rate": tw.Float(0, 1)}, "sgd": {"rate": tw.Float(0, 1)}}),
                },
            }
        )
    }
)


def play(space, loss, trials, method=None, seed=1, **settings):
    method = method or TPE()
    return Player(method, lambda config, step: loss(config), **settings).play(
        new_study(space, seed=seed, trials=trials)
    )


def losses(study):
    return [study.loss(job) for job in study.jobs]


def configs(study):
    return [job.config for job in study.jobs.values()]


def told(study, config, loss, until=1, error=None, **settings):
    """Adds a trial that has ended, with the standard error of its loss where it tells one."""
    job = study.start(Job(config, until, **settings))
    study.commit(job)
    if isinstance(loss, float):
        study.commit(Result(job.id, "done", {"loss": loss}, step=until, std={} if error is None else {"loss": error}))
    elif loss == "cancelled":
        study.commit(Result(job.id, "cancelled"))
    elif loss is not None:
        study.commit(Result(job.id, "failed", error=Failure(loss)))
    return study


def known_of(study, method=None):
    """What the method knows, and the rows that it takes for good and for bad."""
    propose(method or TPE(), study)
    known = study.fold(("tpe", study.space, study.goals), None, None)
    return known, *known.split(method or TPE())


# --- finding ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_finds_the_optimum_of_a_quadratic(seed):
    study = play(LINE, lambda c: (c["x"] - 0.7) ** 2 + (c["y"] - 0.2) ** 2, 100, seed=seed)
    assert min(losses(study)) < 1e-3
    late = np.array([[config["x"], config["y"]] for config in configs(study)[-30:]])
    assert np.abs(np.median(late, axis=0) - (0.7, 0.2)).max() < 0.1


def test_finds_a_branch_and_what_is_below_it():
    def loss(config):
        if config["model"] == "linear":
            return 1.0 + config["decay"]
        return (config["optimizer"] != "sgd") + (config["rate"] - 0.3) ** 2 + (config["width"] - 64) ** 2 / 1e5

    study = play(TREE, loss, 100)
    late = configs(study)[-40:]
    assert min(losses(study)) < 0.01
    assert sum(config.get("optimizer") == "sgd" for config in late) >= 25
    rates = [config["rate"] for config in late if config.get("optimizer") == "sgd"]
    assert abs(np.median(rates) - 0.3) < 0.1  # and no entry of the branch is drawn on its own


def test_entries_that_belong_together_are_drawn_together():
    """A good x needs an equal y, wherever it lies: densities of each by itself could not tell."""
    study = play(LINE, lambda c: abs(c["x"] - c["y"]), 120)
    late = np.array([[config["x"], config["y"]] for config in configs(study)[-60:]])
    assert np.mean(np.abs(late[:, 0] - late[:, 1]) < 0.15) > 0.6


def test_learns_with_noise():
    rng = np.random.default_rng(0)
    study = play(LINE, lambda c: (c["x"] - 0.7) ** 2 + 0.1 * rng.standard_normal(), 150, TPE(narrowest=0.05))
    late = [config["x"] for config in configs(study)[-60:]]
    assert abs(np.median(late) - 0.7) < 0.15


def test_fails_seldom_where_it_has_failed():
    study = play(LINE, lambda c: np.inf if c["x"] > 0.5 else (c["x"] - 0.2) ** 2, 80)
    late = configs(study)[-40:]
    assert sum(config["x"] > 0.5 for config in late) <= 4
    assert min(losses(study)) < 1e-3


def test_goes_on_when_everything_fails():
    study = play(LINE, lambda c: np.inf, 30)
    assert len({config["x"] for config in configs(study)}) == 30


# --- the plan --------------------------------------------------------------------------------------------------------


def test_the_default_config_comes_first():
    study = new_study(tw.Space({"x": tw.Float(0, 1, default=0.9), "n": tw.Int(1, 9)}))
    job = propose(TPE(), study)
    assert job is not None
    assert job.config == {"x": 0.9, "n": 5}


def test_a_default_that_violates_a_constraint_is_left_out():
    job = propose(TPE(), new_study(tw.Space({"x": tw.Float(0, 1)}, {"high": "x > 0.6"})))
    assert job is not None
    assert job.config["x"] > 0.6


def test_the_design_is_even_and_follows_the_priors():
    space = tw.Space(
        {"x": tw.Float(0, 1), "y": tw.Float(0, 1, prior=tw.Normal(0.2, 0.02)), "c": tw.Choice(["a", "b"], prior=[1, 0])}
    )
    study = play(space, lambda c: 0.0, 20, TPE(start=20))
    points = space.encode_many(configs(study)[1:])
    assert np.histogram(points[:, 0], 5, (0, 1))[0].min() >= 3
    assert abs(points[:, 1].mean() - 0.2) < 0.02
    assert {config["c"] for config in configs(study)} == {"a"}


def test_the_prior_is_part_of_the_model():
    space = tw.Space({"x": tw.Float(0, 1, prior=tw.Normal(0.8, 0.05))})
    tree = tree_of(space)
    grid = np.linspace(0, 1, 101)[:, None]
    density = np.exp(mixture(tree, np.zeros((0, 1))).log_density(grid))
    expected = np.exp(-0.5 * ((grid[:, 0] - 0.8) / 0.05) ** 2) / (0.05 * np.sqrt(2 * np.pi))
    near = np.abs(grid[:, 0] - 0.8) < 0.1
    assert density[near] == pytest.approx(expected[near], rel=0.1)


@pytest.mark.parametrize(
    "entry",
    [
        tw.Int(1, 6, prior=tw.Normal(2, 1)),
        tw.Int(1, 1000, log=True, prior=tw.LogNormal(10, 0.5)),
        tw.Int(0, 10**6, prior=tw.Normal(5e5, 1e5)),
        tw.Float(0, 1, step=0.1, prior=tw.Quantiles([0, 0.2, 0.2, 1])),
        tw.Float(1e-4, 1, log=True, prior=tw.LogNormal(1e-2, 1)),
        tw.Choice(["a", "b", "c"], prior=[5, 0, 1]),
        tw.Ordinal(["a", "b", "c"], prior=[5, 2, 1]),
    ],
)
def test_priors_of_every_kind_are_those_of_the_space(entry):
    space, rng = tw.Space({"x": entry}), np.random.default_rng(0)
    ours = mixture(tree_of(space), np.zeros((0, 1))).sample(rng, 4000)[:, 0]
    theirs = space.encode_many(space.sample(rng) for _ in range(4000))[:, 0]
    levels = np.linspace(0, 1, 23)[1:-1] + 0.003
    below = [[np.mean(units < level) for level in levels] for units in (ours, theirs)]
    assert np.abs(np.subtract(*below)).max() < 0.04


def test_pending_trials_are_not_asked_for_again():
    study = new_study(SPACES["continuous"], seed=5)
    for _ in range(12):
        job = propose(TPE(), study)
        told(study, job.config, float(np.sum((SPACES["continuous"].encode(job.config) - 0.3) ** 2)))
    points = []
    for _ in range(8):
        job = propose(TPE(), study)
        study.commit(study.start(job))
        points.append(SPACES["continuous"].encode(job.config))
    apart = [np.linalg.norm(a - b) for place, a in enumerate(points) for b in points[:place]]
    assert min(apart) > 0.02


def test_a_small_space_is_asked_for_once_each():
    space = tw.Space({"a": tw.Choice(["x", "y", "z"]), "n": tw.Int(1, 40, log=True)})
    study = play(space, lambda c: c["n"], 120, workers=3)
    assert len({str(config) for config in configs(study)}) == 120
    assert len(configs(play(space, lambda c: c["n"], 125))) == 125  # and goes on after the last one


def test_constraints_are_kept():
    space = tw.Space({"a": tw.Float(0, 1), "b": tw.Float(0, 1)}, {"order": "a < b"})
    study = play(space, lambda c: c["b"] - c["a"], 60)
    assert all(config["a"] < config["b"] for config in configs(study))


def test_a_space_without_dimensions():
    assert configs(play(tw.Space({}), lambda c: 1.0, 15)) == [{}] * 15


def test_a_study_of_another_method_is_learned_from():
    study = tw.tune(
        lambda run: (run.config["x"] - 0.8) ** 2,
        {"x": tw.Float(0, 1)},
        minimize="loss",
        method=tw.Then(tw.Take(20, tw.Sobol()), tw.TPE()),
        trials=40,
        seed=0,
        progress=False,
    )
    assert np.median([abs(trial.config["x"] - 0.8) for trial in study.trials[20:]]) < 0.05
    assert tw.verify(study).holds


# --- what counts -----------------------------------------------------------------------------------------------------


def test_the_best_share_is_good_and_the_rest_is_bad():
    study = new_study(LINE)
    for number in range(40):
        told(study, {"x": number / 40, "y": 0.5}, float(abs(number - 20)))
    known, good, bad = known_of(study, TPE(start=1))
    assert sorted(known.units[good][:, 0]) == pytest.approx([19 / 40, 20 / 40, 21 / 40, 22 / 40], abs=0.026)
    assert len(good) == 4
    assert len(bad) == 36
    assert len(known.split(TPE(most=2))[0]) == 2
    assert known.split(TPE(history=5))[1] == [35, 36, 37, 38, 39]


def test_a_good_trial_counts_by_its_improvement():
    study = new_study(LINE)
    for number, loss in enumerate([1.0, 2.0, 5.0, 7.0]):
        told(study, {"x": number / 10, "y": 0.5}, loss)
    level = known_of(study, TPE(start=1))[0].levels[1]
    assert level.improvements(2) == pytest.approx(np.array([4, 3]) / 3.5)
    assert level.improvements(4) == pytest.approx([24 / 13, 20 / 13, 8 / 13, 1e-3])
    told(study, {"x": 0.9, "y": 0.5}, 1.0)
    assert level.improvements(1) == pytest.approx([1.0])  # as good as the next one


def test_huge_losses_do_not_overflow():
    study = new_study(LINE)
    for number, loss in enumerate([-1.7e308, -1.0, 1.7e308]):
        told(study, {"x": number / 10, "y": 0.5}, loss)
    level = known_of(study, TPE(start=1))[0].levels[1]
    assert level.improvements(2) == pytest.approx([4 / 3, 2 / 3])


def test_failed_and_pending_are_bad_and_lost_and_cancelled_say_nothing():
    study = new_study(LINE)
    for number, ending in enumerate([1.0, 2.0, "crashed", "oom", float("nan"), "lost", "cancelled", None]):
        told(study, {"x": number / 10, "y": 0.5}, ending)
    known, good, bad = known_of(study, TPE(start=1))
    assert known.told == 5
    assert good == [0]
    assert sorted(bad) == [1, 2, 3, 4, 7]


def test_replicates_are_one_trial_with_their_mean():
    study = new_study(LINE)
    for number, loss in enumerate([1.0, 2.0, 3.0, 4.0]):
        told(study, {"x": number / 10, "y": 0.5}, loss)
    told(study, {"x": 0.0, "y": 0.5}, 9.0, seed=1)
    known, good, bad = known_of(study, TPE(start=1))
    assert known.levels[1].ranked == [(0.0, 2.0, 1), (0.0, 3.0, 2), (0.0, 4.0, 3), (0.0, 5.0, 0)]
    assert good == [1]
    assert sorted(bad) == [0, 2, 3]


def test_luck_is_taken_out_of_results_that_tell_their_standard_error():
    study = new_study(LINE)
    errors = {1.0: 5.0, 1.5: 0.01}  # the lowest loss is the least certain one; the last tells nothing
    for number, loss in enumerate([1.0, 1.5, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]):
        told(study, {"x": number / 10, "y": 0.5}, loss, error=errors.get(loss, None if loss == 9.0 else 0.1))
    known, good, _ = known_of(study, TPE(start=1))
    assert known.levels[1].ranked[0] == (0.0, 1.0, 0)
    assert good == [1]
    assert known.levels[1].best_first()[0][1] == pytest.approx(1.5, abs=0.01)
    told(study, {"x": 0.9, "y": 0.5}, 0.5, error=0.1)
    assert known_of(study, TPE(start=1))[1] == [8]


def test_equal_standard_errors_change_no_rank():
    study = new_study(LINE)
    for number, loss in enumerate(np.random.default_rng(0).normal(size=20).tolist()):
        told(study, {"x": number / 20, "y": 0.5}, loss, error=0.5)
    level = known_of(study, TPE(start=1))[0].levels[1]
    assert [row for *_, row in level.best_first()] == [row for *_, row in level.ranked]


def test_the_bad_ones_stay_bad_where_the_better_half_is_level():
    study = new_study(LINE)
    for number in range(20):
        told(study, {"x": number / 20, "y": 0.5}, 1.0 if number < 8 else 0.0, error=0.1)
    level = known_of(study, TPE(start=1))[0].levels[1]
    assert [row for *_, row in level.best_first()] == [*range(8, 20), *range(8)]


def test_a_replicate_that_tells_no_standard_error_has_that_of_the_others():
    study = new_study(LINE)
    for seed, error in enumerate([0.3, None, None]):
        told(study, {"x": 0.1, "y": 0.5}, 1.0, error=error, seed=seed)
    told(study, {"x": 0.2, "y": 0.5}, 2.0, error=0.3)
    level = known_of(study, TPE(start=1))[0].levels[1]
    assert level._errors_of([0, 1]) == pytest.approx([0.3 / 3**0.5, 0.3])


def test_losses_without_bounds_and_their_standard_errors_are_borne():
    study = new_study(LINE)
    for number, loss in enumerate([-1.7e308, -1.0, 2.0, 1.7e308]):
        told(study, {"x": number / 10, "y": 0.5}, loss, error=1.0)
    assert known_of(study, TPE(start=1))[1] == [0]


def test_the_largest_until_with_enough_results_counts():
    study = new_study(LINE, steps=9)
    for number in range(6):
        told(study, {"x": number / 10, "y": 0.5}, float(number), until=1)
    for number in range(3):
        told(study, {"x": number / 10, "y": 0.5}, 3.0 - number, until=9, parent=number)
    _, good, bad = known_of(study, TPE(start=3))
    assert good == [2]
    assert sorted(bad) == [0, 1, 3, 4, 5]  # those that were left behind as the worse half, too
    assert known_of(study, TPE(start=4))[1] == [0]


def test_results_that_violate_a_constraint_rank_last():
    study = tw.Study()
    data = {"space": LINE.to_json(), "goals": [{"metric": "loss"}, {"metric": "memory", "at_most": 10.0}]}
    study.commit(tw.Act("open", {"seed": 0, **data}))
    for number, memory in enumerate([20.0, 5.0, 12.0]):
        study.commit(study.start(Job({"x": number / 10, "y": 0.5}, 1)))
        study.commit(Result(number, "done", {"loss": float(number), "memory": memory}, step=1))
    known, good, _ = known_of(study, TPE(start=1))
    assert good == [1]
    assert [row for *_, row in known.levels[1].ranked] == [1, 2, 0]


# --- settings --------------------------------------------------------------------------------------------------------


def test_several_goals_are_refused():
    study = tw.Study()
    goals = [{"metric": "loss"}, {"metric": "size"}]
    study.commit(tw.Act("open", {"seed": 0, "space": LINE.to_json(), "goals": goals}))
    with pytest.raises(Unsupported, match="one objective"):
        propose(TPE(), study)


@pytest.mark.parametrize(
    "settings",
    [
        {"start": 0},
        {"candidates": 0},
        {"share": 0},
        {"share": 1},
        {"most": 0},
        {"history": 0},
        {"prior_weight": 0},
        {"narrowest": 0},
        {"weights": "equal"},
    ],
)
def test_settings_that_mean_nothing_are_refused(settings):
    with pytest.raises(StudyError):
        TPE(**settings)


def test_decides_alike_from_the_same_log():
    space = SPACES["mixed"]
    study = Player(TPE(), bowl(space), workers=4).play(new_study(space, seed=2, trials=40))
    again = Player(TPE(), bowl(space), workers=4).play(new_study(space, seed=2, trials=40))
    assert configs(study) == configs(again)
    last = study.jobs[39]
    assert propose(TPE(), cut(study, last.seen)).config == last.config
