"""The whole procedure on outer folds."""

import numpy as np
import pytest

import tunewell as tw

SPACE = {"penalty": tw.Float(1e-3, 1e3, log=True)}


def data(rows=120):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 4))
    return x, x @ [1.0, 2, 0, 0] + rng.normal(size=rows)


def ridge(rows, penalty):
    return np.linalg.solve(rows.x.T @ rows.x + penalty * np.eye(4), rows.x.T @ rows.y)


def error(weights, rows):
    return float(np.mean((rows.x @ weights - rows.y) ** 2))


def fit(run):
    return error(ridge(run.data.train, run.config["penalty"]), run.data.validation)


def score(best, sealed):
    return error(ridge(sealed.rest, best.config["penalty"]), sealed.test)


def evaluated(**more):
    settings = {"minimize": "mse", "trials": 8, "method": tw.Random(), "seed": 1, "progress": False, **more}
    return tw.nested(fit, SPACE, data=tw.Split(*data()), test=score, **settings)


def test_each_outer_fold_is_a_study_whose_test_rows_are_that_fold(tmp_path):
    store = str(tmp_path / "n.db")
    found = evaluated(store=store, outer=4)
    assert [each.rows for each in found.outer] == [(90, 30)] * 4
    seen = []
    for each in found.outer:
        with tw.open_study(each.study, store) as study:
            assert [reading.score for reading in study.readings] == [each.score]
            with np.load(study.files / "vault" / "test.npz") as file:
                seen.append(file["x"])
    assert np.array_equal(np.unique(np.vstack(seen), axis=0), np.unique(data()[0], axis=0))
    low, high = found.interval
    assert found.mean == pytest.approx(np.mean(found.scores))
    assert low < found.mean < high
    assert found.gap == pytest.approx(np.mean([each.score - each.measured for each in found.outer]))
    assert "4 outer folds" in str(found)
    assert len(found.configs) == 4


def test_a_second_call_gives_the_same_answer_and_reads_nothing_again(tmp_path):
    store = str(tmp_path / "n.db")
    first = evaluated(store=store)
    assert evaluated(store=store) == first
    assert evaluated() == first  # in memory, by the same seed


def test_a_procedure_with_folds_inside():
    method = tw.CrossValidation(tw.Random(), folds=3)
    split = tw.Split(*data(), folds=3)
    limits = tw.Limits(steps=12)
    settings = {"minimize": "mse", "method": method, "limits": limits, "seed": 0, "progress": False}
    found = tw.nested(fit, SPACE, data=split, test=score, outer=3, **settings)
    assert len(found.scores) == 3


def test_outer_folds_keep_groups_apart_and_time_in_order():
    x, y = data(60)
    groups = np.arange(60) // 4
    for split in tw.Split(x, y, groups=groups).outer(3):
        rest, test = split.pair()
        assert not set(split.rows.groups[rest]) & set(split.rows.groups[test])
    for split in tw.Split(x, y, times=np.arange(60)).outer(3):
        rest, test = split.pair()
        assert split.rows.times[rest].max() < split.rows.times[test].min()


def test_one_fold_is_no_evaluation():
    with pytest.raises(tw.StudyError, match="outer=1"):
        evaluated(outer=1)
