"""Which rows train and which validate."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tunewell.errors import StudyError
from tunewell.honest.splits import Plan, folds_of, forward, latest, share_of, strata_of

seeds = st.integers(0, 10**6)


def rng(seed=0):
    return np.random.default_rng(seed)


def plan(**settings):
    return Plan(
        **{"validation": 0.25, "folds": None, "stratify": False, "reshuffle": "replicate", "seed": 0, **settings}
    )


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 7), st.integers(7, 60), st.booleans())
def test_folds_hold_each_row_once_and_are_even(seed, folds, rows, stratify):
    y = rng(seed).integers(0, 3, rows)
    sizes = np.bincount(folds_of(y, None, folds, rng(seed), stratify), minlength=folds)
    assert sizes.sum() == rows
    assert np.ptp(sizes) <= 1


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 6), st.integers(20, 80))
def test_stratified_folds_have_even_classes(seed, folds, rows):
    y = rng(seed).integers(0, 3, rows)
    numbers = folds_of(y, None, folds, rng(seed), stratify=True)
    for value in np.unique(y):
        assert np.ptp(np.bincount(numbers[y == value], minlength=folds)) <= 1


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(2, 6), st.integers(6, 30), st.booleans())
def test_a_group_is_never_in_two_parts_and_no_part_is_empty(seed, folds, names, stratify):
    groups = np.append(np.arange(names), rng(seed).integers(0, names, 3 * names)).astype(str)
    y = rng(seed).integers(0, 2, len(groups))
    numbers = folds_of(y, groups, folds, rng(seed), stratify)
    assert len(np.unique(numbers)) == folds
    assert all(len(np.unique(numbers[groups == name])) == 1 for name in np.unique(groups))
    kept, held = share_of(y, groups, 0.3, rng(seed), stratify)
    assert not set(groups[kept]) & set(groups[held])
    assert len(kept)
    assert len(held)


def test_grouped_parts_are_about_as_large_as_they_were_asked_to_be():
    groups = rng().integers(0, 200, 2000)
    shares = [len(share_of(groups % 2, groups, 0.2, rng(seed), True)[1]) / 2000 for seed in range(20)]
    assert np.abs(np.array(shares) - 0.2).max() < 0.03


@settings(max_examples=50, deadline=None)
@given(seeds, st.integers(1, 6), st.integers(10, 60))
def test_in_time_what_trains_is_earlier_than_what_validates(seed, folds, rows):
    times = np.append(np.arange(8), rng(seed).integers(0, 8, rows))
    pairs = [latest(times, 0.2), *(forward(times, folds, fold) for fold in range(folds))]
    for kept, held in pairs:
        assert times[kept].max() < times[held].min()
    validated = np.concatenate([held for _, held in pairs[1:]])
    assert len(np.unique(validated)) == len(validated)
    assert all(len(a) < len(b) for (a, _), (b, _) in itertools.pairwise(pairs[1:]))


def test_numbers_as_targets_are_stratified_by_their_tenths():
    y = rng().normal(size=1000)
    assert np.bincount(strata_of(y)).tolist() == [100] * 10
    kept, held = share_of(y, None, 0.2, rng(), stratify=True)
    assert (len(kept), len(held)) == (800, 200)
    assert len(strata_of(np.ones(5))) == 5
    with pytest.raises(StudyError, match="no classes"):
        strata_of(np.ones((5, 2)))


def test_folds_of_a_plan_are_the_same_for_all_configs_and_new_after_the_last():
    y = np.arange(40)
    of = plan(folds=4, reshuffle="never").pair
    held = [of(y, None, None, replicate, {"x": replicate})[1] for replicate in range(8)]
    assert sorted(np.concatenate(held[:4])) == sorted(np.concatenate(held[4:])) == list(range(40))
    assert {tuple(rows) for rows in held[:4]}.isdisjoint(tuple(rows) for rows in held[4:])


@pytest.mark.parametrize(
    ("reshuffle", "by_config", "by_replicate"),
    [("never", False, False), ("replicate", False, True), ("config", True, True)],
)
def test_what_is_reshuffled_in_a_holdout(reshuffle, by_config, by_replicate):
    def rows(replicate, x):
        return tuple(plan(reshuffle=reshuffle).pair(np.arange(40), None, None, replicate, {"x": x})[1])

    assert rows(0, 1) == rows(0, 1)
    assert (rows(0, 1) != rows(0, 2)) is by_config
    assert (rows(0, 1) != rows(1, 1)) is by_replicate
    assert rows(1, 1) == rows(1, 2)


@pytest.mark.parametrize(
    "divide",
    [
        lambda: folds_of(np.arange(3), None, 4, rng()),
        lambda: folds_of(np.arange(6), np.array([1, 1, 1, 2, 2, 2]), 3, rng()),
        lambda: share_of(np.arange(1), None, 0.5, rng()),
        lambda: share_of(np.arange(9), None, 0.5, rng(), stratify=True),
        lambda: forward(np.array([1, 1, 2, 2]), 2, 0),
    ],
)
def test_what_cannot_be_divided_is_refused(divide):
    with pytest.raises(StudyError):
        divide()
