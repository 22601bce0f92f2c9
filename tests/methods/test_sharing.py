"""WeightSharing: the laws; shared weights, then scores by them, then the best alone."""

import pytest

import tunewell as tw
from tunewell.contract.methods import MethodContract, Player, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.events import Act, Result
from tunewell.space import Space

LINE = Space({"x": tw.Float(0.0, 1.0, default=0.9)})


class TestWeightSharing(MethodContract):
    method = tw.WeightSharing(4, scores=12, finalists=3)


class TestAroundEvolution(MethodContract):
    method = tw.WeightSharing(8, tw.Evolution(population=4), scores=16, finalists=0)


def played(method, workers=1, failures=0.0, steps=9):
    """A study of the distance from 0.3."""
    player = Player(method, lambda config, step: abs(config["x"] - 0.3), workers=workers, failures=failures)
    return player.play(new_study(LINE, seed=1, steps=steps))


@pytest.mark.parametrize("workers", [1, 4])
def test_all_networks_go_on_from_the_first_job(workers):
    study = played(tw.WeightSharing(5, scores=10, finalists=2), workers)
    first, *others = study.jobs.values()
    assert (first.config, first.until, first.parent) == ({"x": 0.9}, 5, None)
    assert {job.parent for job in others} == {first.id}
    assert [job.until for job in others] == [6] * 10 + [9] * 2


def test_the_best_train_alone():
    study = played(tw.WeightSharing(5, scores=10, finalists=2), 4)
    judged = sorted((job for job in study.jobs.values() if job.tag[0] == "judged"), key=lambda job: study.loss(job.id))
    assert [job.config for job in study.jobs.values() if job.tag[0] == "alone"] == [job.config for job in judged[:2]]
    assert study.best.config == judged[0].config


def test_the_source_learns_from_the_scores():
    study = played(tw.WeightSharing(1, tw.Evolution(population=5), scores=60, finalists=0), steps=2)
    losses = [study.loss(job.id) for job in study.jobs.values()][1:]
    assert sum(losses[-20:]) < 0.5 * sum(losses[:20])


def test_of_several_goals_the_finalists_spread_over_the_front():
    study = new_study(LINE, steps=3)
    study.commit(Act("change", {"goals": [{"metric": "loss"}, {"metric": "size"}]}))
    method = tw.WeightSharing(1, scores=40, finalists=3)
    while (job := propose(method, study)) is not None:
        job = study.start(job)
        study.commit(job)
        metrics = {"loss": (1 - job.config["x"]) ** 2, "size": job.config["x"] ** 2}
        study.commit(Result(job.id, "done", metrics, step=job.until, saved=str(job.id)))
    judged = [job.config["x"] for job in study.jobs.values() if job.tag[0] == "judged"]
    alone = sorted(job.config["x"] for job in study.jobs.values() if job.tag[0] == "alone")
    assert [alone[0], alone[-1]] == [min(judged), max(judged)]
    assert len(alone) == 3


def test_shared_weights_that_fail_are_begun_again_and_given_up():
    study = played(tw.WeightSharing(2, scores=4), failures=1.0)
    assert [(job.tag, job.seed) for job in study.jobs.values()] == [(("net",), seed) for seed in range(3)]


def test_too_few_steps_are_refused():
    with pytest.raises(Unsupported, match="shares the first 8 steps, and a trial has 9"):
        propose(tw.WeightSharing(8), new_study(LINE, steps=9))


def test_a_source_that_goes_on_by_itself_is_refused():
    with pytest.raises(Unsupported, match="goes on with its jobs itself"):
        played(tw.WeightSharing(2, tw.PBT(population=2), scores=20))


@pytest.mark.parametrize("settings", [{"shared": 0}, {"shared": 1, "scores": 0}, {"shared": 1, "finalists": -1}])
def test_bad_settings_are_refused(settings):
    with pytest.raises(StudyError, match="WeightSharing"):
        tw.WeightSharing(**settings)
