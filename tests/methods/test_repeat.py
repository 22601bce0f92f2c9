"""Several seeds for each config."""

import math

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError, Unsupported

SPACE = {"x": tw.Float(0, 1), "y": tw.Float(0, 1)}


class TestRepeat(MethodContract):
    method = tw.Repeat(tw.Random(), times=2)


class TestRepeatHalving(MethodContract):
    method = tw.Repeat(tw.ASHA(), times=2)


class TestRace(MethodContract):
    method = tw.Race(tw.Random(), times=3)


class TestRaceOfAModel(MethodContract):
    method = tw.Race(tw.TPE(), times=3)


def noise_of(seed):
    return float(np.random.default_rng(seed).normal())


def tune(method, *, noise=0.1, **settings):
    seen = []

    def train(run):
        seen.append((run.config, run.seed))
        truth = (run.config["x"] - 0.3) ** 2 + (run.config["y"] - 0.7) ** 2
        own = np.random.default_rng([run.seed, int(1e6 * run.config["x"])]).normal()
        run.report(run.until, loss=truth + noise * own)

    given = {"minimize": "loss", "seed": 1, "progress": False, "limits": tw.Limits(trials=12), **settings}
    return tw.tune(train, SPACE, method=method, **given), seen


def test_each_config_runs_with_the_same_seeds():
    study, seen = tune(tw.Repeat(tw.Random(), times=3))
    assert len(seen) == 36
    seeds = {}
    for config, seed in seen:
        seeds.setdefault(config["x"], []).append(seed)
    assert len(seeds) == 12
    assert len({tuple(row) for row in seeds.values()}) == 1
    assert sorted(job.seed for job in study.jobs.values()) == [0] * 12 + [1] * 12 + [2] * 12
    assert tw.verify(study).holds


def test_the_method_sees_the_mean_and_its_standard_error():
    shown = []

    class Watch:
        def propose(self, study, rng):
            shown.extend(study.results.values())
            return tw.Random().propose(study, rng) if not study.jobs else None

    study, _ = tune(tw.Repeat(Watch(), times=4))
    values = [result.metrics["loss"] for result in study.results.values()]
    (mean,) = {result.metrics["loss"] for result in shown}
    assert len(values) == 4
    assert mean == pytest.approx(np.mean(values))
    assert shown[-1].std["loss"] == pytest.approx(np.std(values, ddof=1) / 2)


def test_what_goes_on_continues_each_of_its_replicates():
    study, _ = tune(tw.Repeat(tw.ASHA(minimum=1), times=2), steps=9, limits=tw.Limits(trials=9))
    continued = [job for job in study.jobs.values() if job.parent is not None]
    assert continued
    for job in continued:
        assert study.jobs[job.parent].seed == job.seed
        assert study.jobs[job.parent].config == job.config
    assert {job.seed for job in continued} == {0, 1}


def test_a_replicate_that_fails_ends_its_config():
    def train(run):
        if run.config["x"] > 0.5:
            raise ValueError("too large")
        return {"loss": run.config["x"]}

    study = tw.tune(
        train,
        SPACE,
        minimize="loss",
        method=tw.Repeat(tw.Random(), times=3),
        limits=tw.Limits(trials=12),
        seed=1,
        progress=False,
    )
    failed = [trial for trial in study.trials if trial.status == "failed"]
    assert failed
    assert all(trial.seed == 0 for trial in failed)


def test_a_race_spends_its_seeds_on_what_may_be_the_best():
    study, seen = tune(tw.Race(tw.Random(), times=6), limits=tw.Limits(trials=30))
    seeds, truth = {}, {}
    for config, _ in seen:
        seeds[config["x"]] = seeds.get(config["x"], 0) + 1
        truth[config["x"]] = (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2
    late = list(seeds)[2:]  # after the warm-up
    good, bad = sorted(late, key=truth.get)[:5], sorted(late, key=truth.get)[-10:]
    assert np.mean([seeds[x] for x in good]) > 2 * np.mean([seeds[x] for x in bad])
    assert len(seen) < 0.7 * 6 * 30
    assert tw.verify(study).holds


def test_a_race_without_noise_asks_once_after_the_warm_up():
    _, seen = tune(tw.Race(tw.Grid(4), times=5), noise=0.0, limits=tw.Limits())
    counts = {}
    for config, _ in seen:
        counts[config["x"], config["y"]] = counts.get((config["x"], config["y"]), 0) + 1
    beaten = [count for count in list(counts.values())[2:] if count == 1]
    assert len(beaten) >= 8


def test_curves_that_count_more_than_their_end_are_refused():
    with pytest.raises(Unsupported, match="curves"):
        tune(tw.Repeat(tw.Random()), minimize=tw.Goal("loss", over="best"))


def test_a_race_with_several_objectives_is_refused():
    with pytest.raises(Unsupported, match="one objective"):
        tune(tw.Race(tw.Random()), minimize=["loss", "time"])


@pytest.mark.parametrize("bad", [{"times": 1}, {"chance": 0.7}, {"warmup": 0}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(StudyError, match="Race"):
        tw.Race(tw.Random(), **bad)


def test_a_mean_is_finite_where_its_parts_are():
    study, _ = tune(tw.Repeat(tw.Bayes(), times=2), limits=tw.Limits(trials=8))
    assert all(math.isfinite(result.metrics["loss"]) for result in study.results.values())
    assert study.best.seeds == 2
