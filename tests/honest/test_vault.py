"""The sealed test set."""

import logging

import numpy as np
import pytest

import tunewell as tw
from tunewell.honest.vault import Score, Split, fold, score_of, standard_error, unseal
from tunewell.report.sealed import sentences


def data(rows: int = 100) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(size=(rows, 3)), np.arange(rows) % 4


def test_test_rows_are_kept_from_the_others_and_every_class_is_in_both(tmp_path):
    x, y = data()
    sealed = unseal(tmp_path, Split(x, y, stratify=True).seal(tmp_path))
    assert (len(sealed.test.y), len(sealed.rest.y)) == (20, 80)
    assert not {row.tobytes() for row in sealed.test.x} & {row.tobytes() for row in sealed.rest.x}
    assert np.bincount(sealed.test.y).tolist() == [5, 5, 5, 5]


def test_the_validation_rows_depend_on_the_replicate_alone(tmp_path):
    x, y = data()
    split = Split(x, y)
    rest = unseal(tmp_path, split.seal(tmp_path)).rest
    first, same, other = (fold(rest, split.plan, replicate, {"x": n}) for n, replicate in enumerate((1, 1, 2)))
    assert np.array_equal(first.validation.x, same.validation.x)
    assert not np.array_equal(first.validation.x, other.validation.x)
    assert len(first.train.y) + len(first.validation.y) == 80


def test_altered_test_rows_are_found(tmp_path):
    x, y = data()
    record = Split(x, y).seal(tmp_path)
    np.savez(tmp_path / "test.npz", x=x[:20], y=y[:20])
    with pytest.raises(tw.StudyError, match="altered"):
        unseal(tmp_path, record)


def test_rows_on_both_sides_are_counted(tmp_path):
    x, y = data()
    assert Split(np.vstack([x, x]), np.append(y, y)).seal(tmp_path)["shared"] > 0


@pytest.mark.parametrize(
    "make",
    [
        lambda x, y: Split(x, y[:-1]),
        lambda x, y: Split(x, y, test=0),
        lambda x, y: Split(x, y, validation=1.0),
        lambda x, y: Split(x.astype(object), y),
    ],
)
def test_a_split_that_means_nothing_is_refused(make):
    with pytest.raises(tw.StudyError):
        make(*data())


def train(run: tw.Run) -> float:
    assert not hasattr(run.data, "test")
    return float(abs(run.data.train.x.mean() - run.config["x"]))


def test_the_winner_is_scored_once_and_every_read_is_in_the_log(caplog):
    settings = {"minimize": "loss", "trials": 5, "seed": 1, "progress": False, "method": tw.Random()}
    score = lambda best, sealed: float(len(sealed.test.y))  # noqa: E731
    study = tw.tune(train, {"x": tw.Float(-1.0, 1.0)}, data=Split(*data()), test=score, **settings)
    (reading,) = study.readings
    assert (reading.score, reading.trial, reading.number) == (20.0, study.best.trial, 1)
    with caplog.at_level(logging.WARNING, "tunewell"):
        study.read_vault(score)
    assert "2. time" in caplog.text
    assert [reading.number for reading in study.readings] == [1, 2]
    assert tw.verify(study).holds


def test_of_several_goals_the_knee_meets_the_test_set_or_the_point_that_is_named():
    goals = ["loss", "size"]
    study = tw.open_study(space={"x": tw.Float(0.0, 1.0)}, minimize=goals, data=Split(*data()))
    for x, loss, size in ((0.1, 0.0, 9.0), (0.5, 1.0, 1.0), (0.9, 8.0, 0.0)):
        study.add({"x": x}, {"loss": loss, "size": size})
    assert study.read_vault(lambda best, sealed: best.config["x"]).score == 0.5
    least = study.pareto.best("size")
    reading = study.read_vault(lambda best, sealed: best.value, of=least)
    assert (reading.config, reading.trial, reading.score) == (least.config, least.trial, 8.0)


def test_a_read_that_failed_is_still_in_the_log():
    study = tw.open_study(space={"x": tw.Float(0.0, 1.0)}, minimize="loss", data=Split(*data()))
    study.add({"x": 0.5}, 1.0)
    with pytest.raises(ZeroDivisionError):
        study.read_vault(lambda best, sealed: 1 / 0)
    assert study.readings[0].score is None


def test_other_data_for_a_study_that_has_sealed_some_is_refused():
    store = tw.MemoryStore()
    x, y = data()
    tw.open_study("s", store, space={"x": tw.Float(0.0, 1.0)}, minimize="loss", data=Split(x, y))
    tw.open_study("s", store, data=Split(x, y))
    with pytest.raises(tw.StudyError, match="other"):
        tw.open_study("s", store, data=Split(x + 1, y))


def test_nothing_is_read_where_nothing_is_sealed():
    study = tw.open_study(space={"x": tw.Float(0.0, 1.0)}, minimize="loss")
    with pytest.raises(tw.StudyError, match="no sealed test set"):
        study.read_vault(lambda best, sealed: 1.0)


@pytest.mark.parametrize(
    ("told", "score"),
    [
        (0.9, Score(0.9, pytest.approx(0.03))),
        (3.0, Score(3.0)),
        (np.array([1.0, 2.0, 3.0]), Score(2.0, pytest.approx(3**-0.5))),
        (np.array([2.0]), Score(2.0)),
        ({"f1": 3.0}, Score(3.0, None, "f1")),
    ],
)
def test_a_score_is_a_number_or_one_for_each_row_under_its_metric(told, score):
    assert score_of(told, 100) == score


@pytest.mark.parametrize("told", [None, "good", {}, {"f1": 0.5, "recall": 0.5}, np.ones((2, 2)), []])
def test_what_is_no_score_is_refused(told):
    with pytest.raises(tw.StudyError, match="the test function returned"):
        score_of(told, 100)


def test_another_metric_is_compared_with_what_the_trial_reported_of_it():
    def train(run):
        run.report(1, loss=run.config["x"], accuracy=0.75)

    settings = {"minimize": "loss", "trials": 3, "progress": False, "method": tw.Random()}
    study = tw.tune(
        train, {"x": tw.Float(0.0, 1.0)}, data=Split(*data()), test=lambda *_: {"accuracy": 0.5}, **settings
    )
    (reading,) = study.readings
    assert (reading.metric, reading.score, reading.validation, reading.gap) == ("accuracy", 0.5, 0.75, -0.25)
    assert sentences(study)[0].startswith("Test: accuracy 0.5 ± 0.22, where validation had 0.75, on 20 test rows")
    with pytest.raises(tw.StudyError, match="'loss' is what was tuned for"):
        study.overtuning(lambda *_: {"accuracy": 0.5})


def test_the_error_of_a_share_of_rows():
    assert standard_error(0.9, 100) == pytest.approx(0.03)
    assert standard_error(3.0, 100) is None


def test_a_test_set_of_ones_own_is_sealed_by_its_row_numbers(tmp_path):
    x, y = data()
    sealed = unseal(tmp_path, Split(x, y, test=[3, 5, 8]).seal(tmp_path))
    assert np.array_equal(sealed.test.x, x[[3, 5, 8]])
    assert len(sealed.rest.y) == 97


def test_groups_and_times_travel_with_the_rows(tmp_path):
    x, y = data()
    groups = np.arange(100) // 5
    split = Split(x, y, groups=groups)
    rest = unseal(tmp_path / "g", split.seal(tmp_path / "g")).rest
    part = fold(rest, split.plan, 0)
    assert not set(part.train.groups) & set(part.validation.groups)
    split = Split(x, y, times=np.arange(100), folds=4)
    sealed = unseal(tmp_path / "t", split.seal(tmp_path / "t"))
    parts = [fold(sealed.rest, split.plan, replicate) for replicate in range(4)]
    assert all(part.train.times.max() < part.validation.times.min() for part in parts)
    assert sealed.rest.times.max() < sealed.test.times.min()


@pytest.mark.parametrize(
    "wrong",
    [
        {"test": [0, 100]},
        {"test": []},
        {"test": [0.5]},
        {"folds": 1},
        {"folds": 200},
        {"reshuffle": "often"},
        {"groups": np.zeros(99)},
        {"groups": np.zeros(100)},
        {"groups": np.arange(100) // 2, "test": [0]},
        {"times": np.arange(100), "stratify": True},
        {"times": np.arange(100), "groups": np.arange(100)},
        {"times": np.arange(100), "test": [0, 1]},
        {"times": np.zeros(100)},
    ],
)
def test_settings_that_cannot_be_kept_are_refused(wrong):
    with pytest.raises(tw.StudyError):
        Split(*data(), **wrong)
