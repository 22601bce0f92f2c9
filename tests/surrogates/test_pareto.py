"""Fronts, crowding, knees: brute force and hand values."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunewell.surrogates.pareto import chebyshev, crowding, fronts, knee, non_dominated, scaled


def clouds(most=40, least=0):
    """Points of 1 to 4 goals on a coarse grid, so that there are ties and copies."""
    return st.integers(1, 4).flatmap(
        lambda goals: arrays(
            float, st.tuples(st.integers(least, most), st.just(goals)), elements=st.integers(0, 6).map(lambda n: n / 5)
        )
    )


def dominates(one, other):
    return (one <= other).all() and (one < other).any()


@given(clouds())
def test_a_front_dominates_all_else_and_nothing_in_itself(points):
    kept = points[non_dominated(points)]
    assert all((kept <= point).all(1).any() for point in points)
    for first, second in itertools.permutations(kept, 2):
        assert (first < second).any()


@given(clouds())
def test_fronts_hold_each_point_once_and_dominate_what_follows(points):
    found = fronts(points)
    assert sorted(np.concatenate([np.zeros(0, int), *found])) == list(range(len(points)))
    for front in found:
        assert not any(dominates(points[a], points[b]) for a in front for b in front)
    for upper, lower in itertools.pairwise(found):
        assert all(any((points[a] <= points[b]).all() for a in upper) for b in lower)


@given(clouds(), st.integers(0, 20))
def test_no_more_fronts_than_are_needed(points, enough):
    found, whole = fronts(points, enough), fronts(points)
    assert [list(front) for front in found] == [list(front) for front in whole[: len(found)]]
    assert sum(map(len, found)) >= min(enough, len(points))
    assert sum(map(len, found[:-1])) < max(enough, 1)


def test_crowding_by_hand():
    front = np.array([[0.0, 4.0], [1.0, 3.0], [3.0, 1.0], [4.0, 0.0]])
    assert crowding(front).tolist() == [np.inf, 3 / 4 + 3 / 4, 3 / 4 + 3 / 4, np.inf]


def test_a_goal_that_is_the_same_everywhere_crowds_nobody():
    assert crowding(np.ones((5, 2))).tolist() == [0.0] * 5
    assert scaled(np.array([[1.0, 2.0], [1.0, 4.0]])).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_the_knee_is_where_both_goals_are_nearly_best():
    assert knee(np.array([[0.0, 100.0], [1.0, 10.0], [5.0, 9.0], [10.0, 0.0]])) == 1


def test_on_a_bulging_front_the_knee_is_the_middle():
    angles = np.linspace(0, np.pi / 2, 11)
    assert knee(np.stack([np.cos(angles), np.sin(angles)], axis=1)) == 5
    assert knee(np.array([[3.0, 4.0]])) == 0


@given(clouds(least=1), st.integers(0, 100))
def test_the_nearest_point_is_not_dominated_whatever_the_weights(points, seed):
    weights = np.random.default_rng(seed).uniform(0.1, 1, points.shape[1])
    chosen = points[chebyshev(points, weights).argmin()]
    assert not any(dominates(point, chosen) for point in points)


@pytest.mark.parametrize("place", range(9))
def test_weights_reach_every_point_even_of_a_bulging_front(place):
    angle = (place + 1) * np.pi / 20
    angles = np.arange(11) * np.pi / 20
    front = 1 - np.stack([np.cos(angles), np.sin(angles)], axis=1)
    target = 1 - np.array([np.cos(angle), np.sin(angle)])
    assert chebyshev(front, 1 / target).argmin() == place + 1
