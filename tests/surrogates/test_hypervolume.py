"""Fronts, volumes, boxes, and expected improvements: hand values, other ways to the same number, and differences."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tunewell.surrogates.hypervolume import (
    Boxes,
    hypervolume,
    log_expected_gain,
    log_expected_length,
    with_slopes,
)

GOALS = [2, 3, 4]


def clouds(most=9):
    """Points of 1 to 4 goals on a coarse grid, so that there are ties and copies."""
    return st.integers(1, 4).flatmap(
        lambda goals: arrays(
            float, st.tuples(st.integers(0, most), st.just(goals)), elements=st.integers(0, 6).map(lambda n: n / 5)
        )
    )


def sphere(count, goals, seed=0):
    points = np.abs(np.random.default_rng(seed).standard_normal((count, goals)))
    return points / np.linalg.norm(points, axis=1)[:, None]


def inclusion_exclusion(points, reference):
    total = 0.0
    for size in range(1, len(points) + 1):
        for some in itertools.combinations(points, size):
            total -= (-1) ** size * np.prod(np.maximum(reference - np.max(some, axis=0), 0))
    return total


@pytest.mark.parametrize(
    ("points", "volume"),
    [
        ([[0.0, 0.0]], 1.0),
        ([[0.2, 0.6], [0.5, 0.1], [0.6, 0.3]], 0.8 * 0.4 + 0.5 * 0.5),
        ([[0.0, 1.5], [1.0, 0.0]], 0.0),
        (np.zeros((0, 2)), 0.0),
        ([[0.0, 0.5, 0.5], [0.5, 0.0, 0.5], [0.5, 0.5, 0.0]], 0.5),
        ([[0.5, 0.5, 0.5, 0.5], [0.0, 0.5, 0.5, 0.5]], 0.125),
    ],
)
def test_volumes_by_hand(points, volume):
    points = np.array(points)
    assert hypervolume(points, np.ones(points.shape[1])) == pytest.approx(volume, abs=1e-15)


@given(clouds())
def test_the_volume_is_that_of_inclusion_and_exclusion(points):
    reference = np.ones(points.shape[1])
    assert hypervolume(points, reference) == pytest.approx(inclusion_exclusion(points, reference), abs=1e-9)


@pytest.mark.parametrize("goals", GOALS)
def test_the_volume_of_a_large_front_is_that_of_a_simulation(goals):
    points = sphere(150, goals)
    draws = 1.1 * np.random.default_rng(1).random((40_000, goals))
    covered = np.mean([(points <= draw).all(1).any() for draw in draws])
    assert hypervolume(points, np.full(goals, 1.1)) == pytest.approx(1.1**goals * covered, abs=0.02)


@given(clouds(), st.integers(0, 1000))
def test_boxes_are_disjoint_and_fill_what_nothing_covers(points, seed):
    goals = points.shape[1]
    boxes = Boxes.of(points, np.ones(goals))
    for place in np.random.default_rng(seed).uniform(-0.5, 1.5, (30, goals)):
        inside = ((boxes.low < place) & (place < boxes.high)).all(1).sum()
        assert inside == ((place < 1).all() and not (points < place).all(1).any())


@given(clouds(), st.integers(0, 1000))
def test_a_gain_is_a_difference_of_volumes(points, seed):
    reference = np.ones(points.shape[1])
    more = np.random.default_rng(seed).uniform(-0.5, 1.2, len(reference))
    gain = Boxes.of(points, reference).gains(more[None])[0]
    difference = hypervolume(np.vstack([points, more]), reference) - hypervolume(points, reference)
    assert gain == pytest.approx(difference, abs=1e-9)


@pytest.mark.parametrize("goals", GOALS)
def test_the_expected_gain_is_that_of_a_simulation(goals):
    boxes = Boxes.of(sphere(8, goals), np.full(goals, 1.1))
    mean, deviation = np.linspace(0.4, 0.6, goals), np.linspace(0.3, 0.1, goals)
    draws = mean + deviation * np.random.default_rng(2).standard_normal((200_000, goals))
    found = log_expected_gain(boxes, mean[None], deviation[None])[0]
    assert found == pytest.approx(np.log(boxes.gains(draws).mean()), abs=0.01)


def test_without_deviation_the_expected_gain_is_the_gain():
    boxes = Boxes.of(sphere(12, 3), np.full(3, 1.1))
    mean = np.array([0.3, 0.4, 0.5])
    found = log_expected_gain(boxes, mean[None], np.full((1, 3), 1e-9))[0]
    assert np.exp(found) == pytest.approx(boxes.gains(mean[None])[0], rel=1e-6)


@pytest.mark.parametrize("goals", GOALS)
@pytest.mark.parametrize("distance", [-3.0, 0.0, 0.5, 3.0, 100.0])
@pytest.mark.parametrize("size", [1e-2, 0.3, 3.0])
def test_slopes_are_those_of_differences(goals, distance, size):
    boxes = Boxes.of(sphere(20, goals), np.full(goals, 1.1))
    mean, deviation = distance + np.linspace(0.4, 0.6, goals), size * np.linspace(0.7, 1.2, goals)
    value, by_mean, by_deviation = with_slopes(boxes, mean, deviation)
    assert value == pytest.approx(log_expected_gain(boxes, mean[None], deviation[None])[0], rel=1e-12)
    moves = np.eye(2 * goals) * size * 1e-4
    numbers = np.concatenate([mean, deviation])

    def at(moved):
        return log_expected_gain(boxes, moved[None, :goals], moved[None, goals:])[0]

    def slope(move):  # to the fourth order
        near, far = (at(numbers + step * move) - at(numbers - step * move) for step in (1, 2))
        return (8 * near - far) / (12 * move.max())

    numeric = np.array([slope(move) for move in moves])
    found = np.concatenate([by_mean, by_deviation])
    assert np.linalg.norm(found - numeric) <= 1e-6 * max(np.linalg.norm(numeric), 1e-2 / size)


def test_far_from_the_front_there_is_a_number_and_a_way_back():
    boxes = Boxes.of(sphere(20, 2), np.full(2, 1.1))
    value, by_mean, by_deviation = with_slopes(boxes, np.array([1e4, 2e4]), np.full(2, 1.0))
    assert np.isfinite(value)
    assert value < -1e7
    assert np.all(by_mean < -1e3)
    assert np.all(by_deviation > 0)


@pytest.mark.parametrize("where", [-60.0, -24.0, -5.0, -1.0, 0.0, 3.0, 50.0])
def test_lengths_of_neighbours_add_up(where):
    """Wide and narrow intervals are of one piece."""
    ends = where + np.concatenate([[0.0], np.cumsum(np.geomspace(1e-6, 0.3, 30))])
    parts = log_expected_length(np.stack([ends[:-1], ends[1:]], axis=1), np.array(0.0), np.array(1.0))
    whole = log_expected_length(np.array([[ends[0], ends[-1]]]), np.array(0.0), np.array(1.0))[0]
    assert np.logaddexp.reduce(parts) == pytest.approx(whole, abs=1e-7)
