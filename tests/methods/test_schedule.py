"""Schedules: the laws, what a lineage trained with, and running it again."""

import json

import msgspec
import pytest

import tunewell as tw
from tunewell.contract.methods import SPACES, MethodContract, Player, new_study, propose
from tunewell.errors import StudyError, Unsupported
from tunewell.method import from_json, to_json
from tunewell.report import text
from tunewell.report.review import review
from tunewell.space import Space

LINE = Space({"x": tw.Float(0.0, 1.0)})


class TestSchedule(MethodContract):
    method = tw.Schedule(
        [(0, {"x": 0.5, "y": 0.1, "z": 0.0}), (3, {"x": 0.25, "y": 0.1, "z": 1.0}), (20, {"x": 0, "y": 1, "z": 0})],
        runs=3,
    )

    @pytest.fixture
    def space(self):
        return SPACES["continuous"]


class TestConstant(MethodContract):
    method = tw.Schedule([(0, {"a": "x", "b": 2})])

    @pytest.fixture
    def space(self):
        return SPACES["tiny"]


def population(seed=0):
    """A study of population-based training."""
    study = new_study(LINE, seed=seed, steps=20)
    return Player(tw.PBT(population=4), lambda config, step: config["x"] / step).play(study)


def test_the_schedule_of_a_job_is_what_its_lineage_trained_with():
    study = population()
    for job in study.jobs.values():
        schedule, start = tw.schedule_of(study, job.id), 0
        for part in study.lineage(job.id):
            assert [config for step, config in schedule.configs if step <= start][-1] == part.config
            start = part.until
    assert len(tw.schedule_of(study).configs) > 1


def test_the_best_schedule_ends_with_the_best_config():
    study = population()
    assert tw.schedule_of(study).configs[-1][1] == study.best.config


def test_the_best_says_that_its_config_is_the_end_of_a_schedule():
    study = population()
    assert study.best.earlier == len(tw.schedule_of(study).configs) - 1 > 0
    assert f"its config changed {study.best.earlier} time" in str(study.best)
    told = str(review(study))
    assert f"Its config changed {text.count(study.best.earlier, 'times')} while it was trained" in told
    assert "Whether the schedule helped" in told


def test_a_schedule_is_run_again_with_fresh_seeds():
    schedule = tw.schedule_of(population(), runs=3)
    again = Player(schedule, lambda config, step: config["x"], workers=2).play(new_study(LINE, steps=20))
    for run in range(3):
        jobs = [job for job in again.jobs.values() if job.tag == (run,)]
        starts = [0, *(job.until for job in jobs[:-1])]
        assert [(start, job.config) for start, job in zip(starts, jobs, strict=True)] == schedule.configs
        assert {job.seed for job in jobs} == {run + 1}


def test_a_schedule_is_json():
    schedule = tw.schedule_of(population())
    text = json.dumps(to_json(schedule))
    assert from_json(json.loads(text)) == schedule
    assert tw.Schedule(schedule.configs) == schedule
    assert from_json(msgspec.json.decode(msgspec.json.encode({"method": "Schedule", "segments": schedule.configs})))


@pytest.mark.parametrize("segments", [[], [(1, {"x": 0.5})], [(0, {"x": 0.5}), (0, {"x": 0.1})]])
def test_segments_ascend_from_zero(segments):
    with pytest.raises(StudyError):
        tw.Schedule(segments)


def test_a_config_of_another_space_is_refused():
    with pytest.raises(Unsupported, match="from step 0"):
        propose(tw.Schedule([(0, {"z": 1})]), new_study(LINE, steps=20))


def test_there_is_no_schedule_before_a_result():
    with pytest.raises(StudyError, match="nothing has finished"):
        tw.schedule_of(new_study(LINE, steps=20))
    with pytest.raises(StudyError, match="no job 7"):
        tw.schedule_of(new_study(LINE, steps=20), 7)
