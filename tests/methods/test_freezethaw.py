"""Freeze-thaw: the laws, who goes on, how soon a whole result exists, and what cannot be."""

import math

import msgspec
import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, cut, new_study, propose
from tunewell.errors import StudyError, Unsupported

LINE = {"x": tw.Float(0.0, 1.0)}


class TestFreezeThaw(MethodContract):
    method = tw.FreezeThaw(tw.Bayes(start=3))
    trials = 10


class TestFreezeThawOfSobol(MethodContract):
    method = tw.FreezeThaw(tw.Sobol(), eta=3)
    trials = 16


class TestFreezeThawOfTPE(MethodContract):
    method = tw.FreezeThaw(tw.TPE(start=4), minimum=2)
    trials = 12


def learning(config, step):
    """Falls to a level that x tells: 0.3 is best, and nobody crosses."""
    return (config["x"] - 0.3) ** 2 + 0.5 / step


def play(method, loss=learning, *, steps=27, trials=30, workers=1, failures=0.0, seed=0, told=lambda study: None):
    study = new_study(tw.Space.of(LINE), seed=seed, steps=steps, trials=trials)
    return Player(method, loss, workers=workers, failures=failures, luck=seed, told=told).play(study)


def test_curves_pause_at_the_same_steps_and_go_on_from_there():
    study = play(tw.FreezeThaw(tw.Sobol(), minimum=3))
    for job in study.jobs.values():
        parent = study.jobs.get(job.parent)
        if parent is None:
            assert (job.until, job.tag[0]) == (3, 0)
        else:
            assert (job.config, job.seed, job.tag[1:]) == (parent.config, parent.seed, parent.tag[1:])
            assert (parent.until, job.until) in {(3, 6), (6, 12), (12, 27)}
            assert job.tag[0] == parent.tag[0] + 1
    assert {job.until for job in study.jobs.values()} == {3, 6, 12, 27}


@pytest.mark.parametrize("workers", [1, 4])
def test_nobody_goes_on_twice(workers):
    study = play(tw.FreezeThaw(tw.Sobol()), workers=workers, failures=0.2)
    parents = [job.parent for job in study.jobs.values() if job.parent is not None]
    assert len(set(parents)) == len(parents)
    assert all(study.results[parent].status == "done" for parent in parents)


@pytest.mark.parametrize("seed", range(3))
def test_steps_go_to_the_good_curves(seed):
    """When the budget of 12 full runs is spent, the best curves are whole, and most of the others never were."""
    study = new_study(tw.Space.of(LINE), seed=seed, steps=64)
    study.commit(tw.Act("change", {"limits": msgspec.to_builtins(tw.Limits(steps=12 * 64))}))
    Player(tw.FreezeThaw(tw.Random()), learning).play(study)
    whole = [job for job in study.jobs.values() if job.until == 64]
    begun = [job for job in study.jobs.values() if job.parent is None]
    assert 1 <= len(whole) < len(begun)
    away = np.array([abs(job.config["x"] - 0.3) for job in begun])
    assert min(abs(job.config["x"] - 0.3) for job in whole) <= np.quantile(away, 0.2)


@pytest.mark.parametrize("workers", [1, 2, 4])
@pytest.mark.parametrize("steps", [27, 52])
@pytest.mark.parametrize("seed", range(3))
def test_a_result_at_the_last_step_exists_within_five_full_runs(workers, steps, seed):
    rng, reached, found = np.random.default_rng(seed), {}, []

    def train(run):
        reached.setdefault(run.config["x"], [0]).append(run.until)
        for step in run.steps():
            run.report(step, loss=rng.random())

    def stop(study, event):
        if isinstance(event, tw.Result) and study.jobs[event.job].until == steps and not found:
            found.append(executor.now * workers)
            study.change(limits=tw.Limits(trials=0, steps=0))

    seconds = lambda config, count: float(reached[config["x"]][-1] - reached[config["x"]][-2])  # noqa: E731
    executor = tw.Simulated(workers, duration=seconds)
    settings = {"minimize": "loss", "steps": steps, "trials": 1000, "seed": seed, "progress": False}
    tw.tune(train, LINE, method=tw.FreezeThaw(tw.Random()), executor=executor, callbacks=[stop], **settings)
    assert found[0] <= 5 * steps


def test_a_source_that_ends_lets_every_curve_arrive():
    study = play(tw.FreezeThaw(tw.Grid(levels=5)), trials=None)
    assert sum(job.until == 27 for job in study.jobs.values()) == 5
    assert not study.pending()


def test_a_curve_that_is_not_finite_or_spikes_on_its_way_is_no_obstacle():
    def loss(config, step):
        if config["x"] > 0.8:
            return math.inf
        return 1e19 if config["x"] > 0.7 and step % 5 == 2 else learning(config, step)

    study = play(tw.FreezeThaw(tw.Sobol()), loss, trials=20)
    assert not study.pending()
    assert study.best.config["x"] < 0.8


@pytest.mark.parametrize("maximize", [False, True])
@pytest.mark.parametrize("over", ["last", "best", 3])
def test_the_goal_says_what_counts(maximize, over):
    """The same study with the sign turned makes the same decisions."""

    def jobs(maximize):
        study = new_study(tw.Space.of(LINE), seed=1, steps=27, trials=20)
        goal = tw.Goal("loss", maximize=maximize, over=over)
        study.commit(tw.Act("change", {"goals": [msgspec.to_builtins(goal)]}))
        sign = -1 if maximize else 1
        Player(tw.FreezeThaw(tw.Sobol()), lambda config, step: sign * learning(config, step)).play(study)
        return list(study.jobs.values())

    assert jobs(maximize) == jobs(False)


@pytest.mark.parametrize("workers", [1, 3])
def test_more_steps_thaw_what_waits(workers):
    study = play(tw.FreezeThaw(tw.Sobol()), workers=workers)
    before = len(study.jobs)
    study.commit(tw.Act("change", {"steps": msgspec.to_builtins(tw.Steps(1, 81))}))
    Player(tw.FreezeThaw(tw.Sobol()), learning, workers=workers).play(study)
    later = list(study.jobs.values())[before:]
    assert max(job.until for job in later) == 81
    assert all(job.parent is not None for job in later)
    for job in later[::5]:
        assert MethodContract.same(propose(tw.FreezeThaw(tw.Sobol()), cut(study, job.seen)), job)


def test_it_tells_what_its_forecasts_were_worth():
    study = play(tw.FreezeThaw(tw.Sobol()))
    assert "forecasts came true within their 80 % interval" in tw.FreezeThaw(tw.Sobol()).why(study)


def test_one_step_and_several_objectives_are_refused():
    with pytest.raises(Unsupported, match="first pause"):
        play(tw.FreezeThaw(), steps=1)
    study = tw.open_study(space=LINE, minimize=["loss", "size"], method=tw.FreezeThaw(), steps=9, seed=0)
    with study, pytest.raises(Unsupported, match="one objective"):
        study.ask()


@pytest.mark.parametrize("given", [{"eta": 1}, {"minimum": 0}])
def test_settings_that_mean_nothing(given):
    with pytest.raises(StudyError, match="FreezeThaw"):
        tw.FreezeThaw(**given)
