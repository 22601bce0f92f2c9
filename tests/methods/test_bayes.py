"""Bayesian optimization: the laws, what it finds, and what it refuses."""

import itertools
import math

import msgspec
import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, bowl, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.study import Act, Result, canonical
from tunewell.surrogates.hypervolume import hypervolume

PLANE = {"x": tw.Float(0.0, 1.0), "y": tw.Float(0.0, 1.0)}


class TestBayes(MethodContract):
    method = tw.Bayes()
    trials = 12


class Trade(Player):
    """Reports a second metric, "size", which is small where the loss is not."""

    def _commit(self, study, event):
        if isinstance(event, Result) and event.status == "done":
            units = np.nan_to_num(study.space.encode(study.jobs[event.job].config) - 0.9, nan=0.2)
            event = msgspec.structs.replace(event, metrics={**event.metrics, "size": float(np.sum(units**2))})
        super()._commit(study, event)


class TestBayesOfTwoGoals(MethodContract):
    method = tw.Bayes()
    trials = 11

    def new_study(self, space):
        study = super().new_study(space)
        study.commit(Act("change", {"goals": [{"metric": "loss"}, {"metric": "size"}]}))
        return study

    def player(self, space, workers=1, failures=0.0, told=None):
        told = told or self.check_length
        return Trade(self.method, bowl(space), workers=workers, failures=failures, told=told)


class TestBayesWithOtherSettings(MethodContract):
    method = tw.Bayes(start=3, output="none", incumbent="mean", share=0.0, limit=10, input="kumaraswamy")
    trials = 9


def play(objective, space, trials, *, seed=0, workers=1, method=None):
    """The losses of a study, in order, and the study."""
    losses = []

    def told(config, step):
        losses.append(float(objective(config)))
        return losses[-1]

    study = Player(method or tw.Bayes(), told, workers=workers).play(
        new_study(tw.Space.of(space), seed=seed, trials=trials)
    )
    return losses, study


def branin(config):
    x, y = 15 * config["x"] - 5, 15 * config["y"]
    bowl = (y - 5.1 / (4 * math.pi**2) * x**2 + 5 / math.pi * x - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * math.pi)) * math.cos(x) + 10 - 0.397887


def waves(config):
    """Ackley's function: waves that 60 trials cannot resolve, around one hole in the middle."""
    x = np.array(list(config.values()))
    return 20 - 20 * math.exp(-0.2 * math.sqrt(np.mean(x**2))) + math.e - math.exp(np.mean(np.cos(2 * math.pi * x)))


def test_what_the_model_takes_for_noise_does_not_drive_the_search_into_corners():
    space = {name: tw.Float(-32.0, 32.0) for name in "abcde"}
    method = tw.Then(tw.Take(10, tw.Random()), tw.Bayes())
    assert np.mean([min(play(waves, space, 60, seed=seed, method=method)[0]) for seed in range(5)]) < 6.5


@pytest.mark.parametrize("seed", range(3))
def test_branin(seed):
    losses, _ = play(branin, PLANE, 40, seed=seed)
    assert min(losses) < 0.01


def test_a_mixed_space():
    space = {
        "lr": tw.Float(1e-5, 1.0, log=True),
        "units": tw.Int(4, 512, log=True),
        "layers": tw.Int(1, 6),
        "kind": tw.Choice(["a", "b", "c", "d"]),
    }

    def loss(config):
        far = (math.log10(config["lr"]) + 2.5) ** 2 + (math.log2(config["units"]) - 7) ** 2 / 4
        return far + abs(config["layers"] - 3) + 2 * (config["kind"] != "c")

    found = [min(play(loss, space, 40, seed=seed)[0]) for seed in range(3)]
    assert np.median(found) < 0.1


def test_a_conditional_space_is_modelled_in_each_branch():
    space = {
        "model": tw.Choice(
            {"linear": {"l2": tw.Float(1e-6, 1, log=True)}, "tree": {"depth": tw.Int(1, 20), "leaf": tw.Float(0, 1)}}
        )
    }

    def loss(config):
        if config["model"] == "linear":
            return 0.5 + (math.log10(config["l2"]) + 3) ** 2 / 9
        return (config["depth"] - 14) ** 2 / 100 + (config["leaf"] - 0.7) ** 2

    found = [min(play(loss, space, 40, seed=seed)[0]) for seed in range(3)]
    assert max(found) < 0.02


@pytest.mark.parametrize("change", [lambda v: -v, lambda v: 1e200 * v, lambda v: v**9 * 1e9, lambda v: 1e-200 * v - 5])
def test_losses_of_any_size_and_sign(change):
    losses, _ = play(lambda c: change(branin(c)), PLANE, 20)
    assert len(losses) == 20


def test_constant_losses_spread_over_the_space():
    _, study = play(lambda c: 1.0, PLANE, 20)
    points = study.space.encode_many([job.config for job in study.jobs.values()])
    assert points.std(0).min() > 0.15


def test_half_of_the_space_fails():
    losses, _ = play(lambda c: math.inf if c["x"] > 0.5 else (c["x"] - 0.45) ** 2 + (c["y"] - 0.2) ** 2, PLANE, 40)
    assert sum(map(math.isinf, losses)) <= 15  # random search: 20
    assert min(losses) < 1e-3


def test_it_waits_for_a_first_success():
    losses, _ = play(lambda c: math.inf if c["x"] < 0.9 else 0.0, PLANE, 25)
    assert min(losses) == 0


def test_a_measured_constraint_is_kept():
    def train(run):
        x, y = run.config["x"], run.config["y"]
        return {"loss": (x - 0.8) ** 2 + (y - 0.5) ** 2, "memory": 10 * x}

    study = tw.tune(
        train, PLANE, minimize="loss", at_most={"memory": 6}, method=tw.Bayes(), trials=35, seed=1, progress=False
    )
    late = [trial for trial in study.trials[15:] if trial.metrics["memory"] <= 6.1]
    assert len(late) >= 12
    assert study.best.config["x"] == pytest.approx(0.6, abs=0.03)


def test_a_known_constraint_is_never_violated():
    space = tw.Space({"a": tw.Int(1, 40), "b": tw.Int(1, 40)}, {"room": "a * b <= 100"})
    _, study = play(lambda c: -c["a"] - 2 * c["b"], space, 25)
    assert all(job.config["a"] * job.config["b"] <= 100 for job in study.jobs.values())


def test_eight_workers_ask_for_no_config_twice():
    space = {"a": tw.Int(1, 9), "b": tw.Choice(list("pqrs")), "c": tw.Int(1, 3)}
    _, study = play(lambda c: abs(c["a"] - 4) + (c["b"] != "q") + c["c"], space, 60, workers=8)
    asked = [canonical(job.config) for job in study.jobs.values()]
    assert len(set(asked)) == len(asked)


def test_a_space_that_is_used_up_is_asked_again():
    losses, _ = play(lambda c: c["a"], {"a": tw.Int(1, 3)}, 8)
    assert set(losses) == {1, 2, 3}


def test_results_from_elsewhere_stand_for_first_trials():
    with tw.open_study(space=PLANE, minimize="loss", method=tw.Bayes(share=0.0), seed=0) as study:
        for x, y in itertools.product((0.1, 0.4, 0.7, 1.0), repeat=2):
            study.add({"x": x, "y": y}, (x - 0.4) ** 2 + (y - 0.7) ** 2)
        job = study.ask()
    assert job.config["x"] == pytest.approx(0.4, abs=0.15)
    assert job.config["y"] == pytest.approx(0.7, abs=0.15)


def test_more_results_than_a_model_holds():
    rng = np.random.default_rng(0)
    with tw.open_study(space=PLANE, minimize="loss", method=tw.Bayes(share=0.0), seed=0) as study:
        for x, y in rng.random((700, 2)):
            study.add({"x": x, "y": y}, (x - 0.4) ** 2 + (y - 0.7) ** 2)
        job = study.ask()
    assert job.config["x"] == pytest.approx(0.4, abs=0.1)
    assert job.config["y"] == pytest.approx(0.7, abs=0.1)


@pytest.mark.parametrize(("mean", "most"), [(0.8, 0.01), (0.2, 0.05)])
def test_priors_count_at_first_and_a_wrong_one_is_overcome(mean, most):
    space = {name: tw.Float(0.0, 1.0, prior=tw.Normal(mean, 0.1)) for name in "xyz"}
    found = []
    for seed in range(3):
        losses, study = play(lambda c: sum((value - 0.8) ** 2 for value in c.values()), space, 30, seed=seed)
        early = study.space.encode_many([job.config for job in study.jobs.values()][:6])
        assert abs(early.mean() - mean) < 0.1
        found.append(min(losses))
    assert np.median(found) < most


def test_noise_that_is_told_is_believed():
    rng = np.random.default_rng(0)
    with tw.open_study(space=PLANE, minimize="loss", method=tw.Bayes(share=0.0), seed=0) as study:
        for _ in range(20):
            job = study.ask()
            loss = (job.config["x"] - 0.3) ** 2 + 0.5 * rng.standard_normal()
            study.tell(job, loss, std={"loss": 0.5})
        assert study.ask() is not None


def spending(trials, limits=None):
    """The cost of each of some trials whose loss does not depend on their size, which costs."""
    space = {"x": tw.Float(0.0, 1.0), "size": tw.Float(1.0, 100.0, log=True)}
    costs = []
    with tw.open_study(space=space, minimize="loss", method=tw.Bayes(share=0.0), seed=0, limits=limits) as study:
        for _ in range(trials):
            job = study.ask()
            costs.append(job.config["size"])
            study.tell(job, {"loss": (job.config["x"] - 0.3) ** 2, "cost": job.config["size"]})
    return costs


def test_a_budget_of_cost_is_spent_on_more_trials():
    assert np.mean(spending(20, tw.Limits(cost=10_000))[5:]) < np.mean(spending(20)[5:]) / 2


def traded(method, space, losses, trials, **more):
    """A study of several goals; `losses` says what a config costs."""
    names = list(losses(dict.fromkeys(space, 0.5)))
    goals = [name for name in names if name not in more.get("at_most", {})]
    return tw.tune(
        lambda run: losses(run.config), space, minimize=goals, method=method, trials=trials, progress=False, **more
    )


def two_bowls(config):
    """The front is the line from (0.2, 0.5) to (0.8, 0.5)."""
    x, y = config["x"], config["y"]
    return {"left": (x - 0.2) ** 2 + (y - 0.5) ** 2, "right": (x - 0.8) ** 2 + (y - 0.5) ** 2}


def covered(study, reference=0.4):
    points = [[trial.metrics["left"], trial.metrics["right"]] for trial in study.trials]
    return hypervolume(np.array(points), np.full(2, reference))


def test_the_front_of_two_goals_is_found():
    x = np.linspace(0, 0.6, 500)
    whole = hypervolume(np.stack([x**2, (0.6 - x) ** 2], axis=1), np.full(2, 0.4))
    found = covered(traded(tw.Bayes(), PLANE, two_bowls, 40, seed=0))
    assert found > 0.95 * whole
    assert found > covered(traded(tw.Sobol(), PLANE, two_bowls, 40, seed=0))


def test_a_measured_constraint_is_kept_with_two_goals():
    def losses(config):
        return {**two_bowls(config), "memory": 10 * config["x"]}

    study = traded(tw.Bayes(), PLANE, losses, 40, seed=0, at_most={"memory": 5})
    late = [trial for trial in study.trials[15:] if trial.metrics["memory"] <= 5.1]
    assert len(late) >= 15
    kept = [trial.metrics["right"] for trial in study.trials if trial.metrics["memory"] <= 5]
    assert min(kept) < 0.3**2 + 0.01


@pytest.mark.parametrize("count", [3, 5])
def test_more_goals(count):
    def losses(config):
        return {f"goal{i}": (config["x"] - i / count) ** 2 + (config["y"] - (i % 2)) ** 2 for i in range(count)}

    study = traded(tw.Bayes(), PLANE, losses, 14, seed=0)
    assert len({canonical(trial.config) for trial in study.trials}) == 14


def test_a_goal_that_is_constant_and_one_that_is_huge():
    study = traded(tw.Bayes(), PLANE, lambda c: {"same": 1.0, "huge": 1e200 * (c["x"] - 0.3) ** 2}, 25, seed=0)
    assert min(abs(trial.config["x"] - 0.3) for trial in study.trials) < 0.02


def test_eight_workers_on_two_goals_ask_for_no_config_twice():
    space = {"a": tw.Int(1, 9), "b": tw.Choice(list("pqrs")), "c": tw.Int(1, 3)}
    study = new_study(tw.Space.of(space), trials=40)
    study.commit(Act("change", {"goals": [{"metric": "loss"}, {"metric": "size"}]}))
    Trade(tw.Bayes(), lambda config, step: float(config["a"]), workers=8).play(study)
    asked = [canonical(job.config) for job in study.jobs.values()]
    assert len(set(asked)) == len(asked) == 40


def test_a_study_without_an_objective_is_refused():
    study = new_study(tw.Space.of(PLANE))
    study.commit(Act("change", {"goals": [{"metric": "loss", "at_most": 1}]}))
    with pytest.raises(Unsupported, match="none"):
        propose(tw.Bayes(), study)


@pytest.mark.parametrize(
    "settings", [{"output": "log"}, {"incumbent": "best"}, {"limit": 3}, {"start": -1}, {"share": 2}]
)
def test_settings_that_mean_nothing(settings):
    with pytest.raises(StudyError, match="Bayes"):
        tw.Bayes(**settings)


MANY = tw.Space.of(
    {f"x{i}": tw.Float(-1.0, 2.0) for i in range(4)} | {f"l{i}": tw.Float(1e-4, 1.0, log=True) for i in range(3)}
)


def valley(config):
    """A smooth function of 7 entries, the least 0, and its gradient in their own units."""
    loss, gradient = 0.0, {}
    for i in range(4):
        away = config[f"x{i}"] - 0.3 * i
        loss += (1 + i) * away**2 + 0.5 * (1 - math.cos(3 * away))
        gradient[f"x{i}"] = 2 * (1 + i) * away + 1.5 * math.sin(3 * away)
    for i in range(3):
        away = math.log10(config[f"l{i}"]) + 1.5 + 0.5 * i
        loss += away**2
        gradient[f"l{i}"] = 2 * away / (config[f"l{i}"] * math.log(10))
    return loss, gradient


def bests(trials, told):
    """The least loss after each of some trials in the valley, for each of 3 seeds (3, trials)."""
    rows = []
    for seed in range(3):
        study, losses = new_study(MANY, seed=seed, trials=trials), []
        for number in range(trials):
            job = study.start(propose(tw.Bayes(), study))
            study.commit(job)
            loss, gradient = valley(job.config)
            losses.append(loss)
            told_now = told(gradient, np.random.default_rng([seed, number]))
            study.commit(Result(job.id, "done", {"loss": loss}, step=1, gradient=told_now))
        rows.append(np.minimum.accumulate(losses))
    return np.array(rows)


@pytest.fixture(scope="module")
def without():
    return bests(18, lambda gradient, rng: None)


def test_gradients_save_evaluations(without):
    found = bests(10, lambda gradient, rng: gradient)
    assert found[:, -1].mean() < 0.2 * without[:, -1].mean()


def test_noisy_gradients_still_help(without):
    def noisy(gradient, rng):
        return {name: slope * (1 + 0.5 * rng.standard_normal()) for name, slope in gradient.items()}

    assert bests(14, noisy)[:, -1].mean() < without[:, -1].mean()


@pytest.mark.parametrize("factor", [-1.0, 1000.0])
def test_wrong_gradients_do_not_ruin_it(without, factor):
    found = bests(18, lambda gradient, rng: {name: factor * slope for name, slope in gradient.items()})
    assert found[:, -1].mean() < 1.5 * without[:, -1].mean()


# --- choices alone ---------------------------------------------------------------------------------------------------


def test_among_choices_a_share_walks_from_config_to_config():
    space = tw.Space({name: tw.Choice(list("abc")) for name in "pqrst"})
    study = Player(tw.Bayes(share=0.5), bowl(space)).play(new_study(space, trials=30))
    walks = [job for job in study.jobs.values() if job.tag[:1] == ("walk",)]
    assert 3 < len(walks) < 25
    study = Player(tw.Bayes(share=0.0), bowl(space)).play(new_study(space, trials=30))
    assert not any(job.tag[:1] == ("walk",) for job in study.jobs.values())


def test_a_space_of_few_choices_ends_no_study_early():
    space = tw.Space({"a": tw.Choice(["x", "y"]), "b": tw.Choice(["x", "y"])})
    study = Player(tw.Bayes(share=1.0, start=2), bowl(space)).play(new_study(space, trials=9))
    assert len(study.jobs) == 9
    assert len({canonical(job.config) for job in study.jobs.values()}) == 4
