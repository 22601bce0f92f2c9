"""Directions, normalisation and niches: counts from the paper, and what has to hold."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.surrogates.niching import associated, directions, niched, normalized


@pytest.mark.parametrize(("goals", "most", "count"), [(3, 91, 91), (3, 100, 91), (5, 210, 210), (2, 10, 10)])
def test_as_many_directions_as_in_the_paper(goals, most, count):
    assert len(directions(goals, most)) == count


@pytest.mark.parametrize(("goals", "most", "count"), [(8, 156, 156), (10, 275, 275)])
def test_a_second_layer_stands_inside_where_the_first_is_all_edge(goals, most, count):
    found = directions(goals, most)
    assert len(found) == count
    assert (found > 0).all(1).any()


@given(st.integers(1, 8), st.integers(1, 200))
def test_directions_sum_to_one_and_differ(goals, most):
    found = directions(goals, most)
    assert goals <= len(found) <= max(most, goals)
    assert np.allclose(found.sum(1), 1)
    assert found.min() >= 0
    assert len(np.unique(found.round(9), axis=0)) == len(found)


def test_a_plane_is_normalized_to_its_cuts():
    corners = np.diag([2.0, 4.0, 8.0]) + 5
    found = normalized(np.vstack([corners, corners.mean(0)]))
    assert np.allclose(found, np.vstack([np.eye(3), np.full(3, 1 / 3)]), atol=1e-4)


def test_points_that_span_no_plane_are_normalized_by_their_worst():
    found = normalized(np.array([[1.0, 1.0], [3.0, 1.0]]))
    assert found.tolist() == [[0.0, 0.0], [1.0, 0.0]]


def test_points_belong_to_the_nearest_line():
    towards = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    nearest, distances = associated(np.array([[2.0, 0.1], [3.0, 3.0], [0.0, 0.0]]), towards)
    assert nearest.tolist()[:2] == [0, 1]
    assert np.allclose(distances, [0.1, 0.0, 0.0], atol=1e-7)


def test_each_direction_keeps_its_nearest_before_any_has_two():
    angles = np.repeat(np.linspace(0, np.pi / 2, 5), 6)
    points = np.stack([np.cos(angles), np.sin(angles)], axis=1) * 1.0
    points += np.random.default_rng(0).uniform(0, 0.02, points.shape)
    chosen = niched(points, 0, 5, np.random.default_rng(1))
    assert len(set((chosen // 6).tolist())) == 5


@given(st.integers(0, 1000), st.integers(1, 5), st.integers(0, 10), st.integers(1, 20))
def test_what_is_chosen_differs_and_is_none_of_the_sure(seed, goals, sure, count):
    points = np.random.default_rng(seed).random((sure + 20, goals))
    chosen = niched(points, sure, count, np.random.default_rng(seed))
    assert len(set(chosen.tolist())) == count
    assert chosen.min() >= sure
