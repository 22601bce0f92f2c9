"""Fresh seeds for the finalists."""

import numpy as np
import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract
from tunewell.errors import StudyError, Unsupported
from tunewell.study import canonical

SPACE = {"x": tw.Float(0, 1), "y": tw.Float(0, 1)}


class TestConfirm(MethodContract):
    method = tw.Confirm(tw.Random())


class TestConfirmHalving(MethodContract):
    method = tw.Confirm(tw.ASHA())


def truth(config):
    return (config["x"] - 0.3) ** 2 + (config["y"] - 0.7) ** 2


def tune(method, noise=0.2, space=SPACE, **settings):
    def train(run):
        own = np.random.default_rng([run.seed, int(1e6 * run.config["x"])]).normal()
        run.report(run.until, loss=truth(run.config) + noise * own)

    given = {"minimize": "loss", "seed": 1, "progress": False, "limits": tw.Limits(trials=50), **settings}
    return tw.tune(train, space, method=method, **given)


def counts(study):
    found = {}
    for job in study.jobs.values():
        if job.parent is None:
            found[canonical(job.config)] = found.get(canonical(job.config), 0) + 1
    return found


def test_the_last_fifth_of_the_trials_goes_to_fresh_seeds_of_the_best():
    study = tune(tw.Confirm(tw.Random()))
    assert len(study.jobs) == 50
    again = [job for job in study.jobs.values() if job.seed > 0]
    assert len(again) == 10
    first = sorted(study.loss(job.id) for job in study.jobs.values() if job.seed == 0)
    assert (
        max(
            study.loss(job.id)
            for job in study.jobs.values()
            if canonical(job.config) in {canonical(each.config) for each in again} and job.seed == 0
        )
        <= first[9]
    )
    assert tw.verify(study).holds


def test_the_seeds_are_fresh_and_shared():
    study = tune(tw.Confirm(tw.Random()))
    seeds = {}
    for job in study.jobs.values():
        seeds.setdefault(canonical(job.config), []).append(job.seed)
    assert all(row == list(range(len(row))) for row in seeds.values())


def test_without_noise_the_search_goes_on():
    study = tune(tw.Confirm(tw.Random()), noise=0.0)
    assert sum(job.seed > 0 for job in study.jobs.values()) == 1
    assert sum(job.seed == 0 for job in study.jobs.values()) == 50
    assert study.best.noise == "none"


def test_little_noise_leaves_most_of_the_share_to_the_search():
    study = tune(tw.Confirm(tw.Random()), noise=1e-5)
    assert sum(job.seed > 0 for job in study.jobs.values()) <= 5


def test_a_default_that_the_user_gave_is_measured_too():
    space = {"x": tw.Float(0, 1, default=0.9), "y": tw.Float(0, 1)}
    study = tune(tw.Confirm(tw.Random()), space=space)
    default = canonical(study.space.default())
    assert counts(study)[default] >= 1


def test_a_source_that_ends_is_confirmed_without_limits():
    study = tune(tw.Confirm(tw.Take(20, tw.Random()), share=0.2), limits=tw.Limits())
    assert len(study.jobs) == 25


def test_steps_are_kept_to():
    study = tune(tw.Confirm(tw.ASHA(minimum=1), share=0.3), steps=9, limits=tw.Limits(steps=200))
    assert sum(study.reserved(job) for job in study.jobs.values()) <= 200
    again = [job for job in study.jobs.values() if job.seed > 0]
    assert again
    assert all(job.until == 9 and job.parent is None for job in again)


def test_it_chooses_better_than_the_lucky_number():
    lucky, confirmed = [], []
    for seed in range(12):
        plain, study = (tune(method, seed=seed, noise=0.3) for method in (tw.Random(), tw.Confirm(tw.Random())))
        lucky.append(truth(plain.best.config))
        confirmed.append(truth(study.best.config))
    assert np.mean(confirmed) < np.mean(lucky)


def test_several_objectives_are_refused():
    with pytest.raises(Unsupported, match="one objective"):
        tune(tw.Confirm(tw.Random()), minimize=["loss", "time"])


@pytest.mark.parametrize("bad", [{"share": 1.0}, {"share": -0.1}, {"finalists": 1}])
def test_bad_settings_are_refused(bad):
    with pytest.raises(StudyError, match="Confirm"):
        tw.Confirm(tw.Random(), **bad)


def test_a_default_is_measured_until_it_is_known_whether_the_best_beats_it():
    space = {"x": tw.Float(0, 1, default=0.9), "y": tw.Float(0, 1)}
    study = tune(tw.Confirm(tw.Random(), share=0.4), noise=0.05, space=space, limits=tw.Limits(trials=80))
    found = study.against_default()
    assert found is not None
    assert found.verdict == "better"
    assert all(seed > 0 for seed in study.replicates(default_trial(study)))


def default_trial(study: tw.LiveStudy) -> int:
    return next(trial.id for trial in study.trials if trial.config == study.space.default())


def test_the_search_gave_the_default_no_fresh_seed():
    """Bayes begins with the default config: its seed is the one on which the winner was lucky, and tells no pair."""
    space = {"x": tw.Float(0, 1, default=0.9), "y": tw.Float(0, 1)}
    study = tune(tw.Confirm(tw.Bayes(start=40)), noise=0.3, space=space)
    groups = {}
    for job in study.jobs.values():
        groups.setdefault(canonical(job.config), set()).add(job.seed)
    default = groups.pop(canonical(study.space.default()))
    assert 0 in default
    assert len(default - {0}) >= min(6, max(len(seeds - {0}) for seeds in groups.values()))
