"""Which part of a space the evidence leaves."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.spaces import seeds, spaces
from tunewell.errors import SpaceError
from tunewell.methods.narrowing import Evidence, Narrowing, cut, whole
from tunewell.space import Choice, Float, Int, Ordinal, Space

CUBE = Space({"x": Float(0, 1), "y": Float(0, 1), "z": Float(0, 1)})
RULE = Narrowing()


def narrowed(space, points, losses, region=None, rule=RULE):
    return rule.narrowed(space, region or whole(space), np.array(points), np.array(losses))


def scatter(n=40, dimensions=3, seed=0):
    return np.random.default_rng(seed).random((n, dimensions))


def test_a_range_shrinks_about_the_optimum():
    points = scatter()
    (low, high), *_ = narrowed(CUBE, points, (points[:, 0] - 0.3) ** 2)
    assert low <= 0.3 <= high
    assert high - low < 0.4


def test_entries_that_do_not_matter_keep_their_ranges():
    """Over many cases: one that matters is narrowed, the others hardly ever."""
    widths = np.array(
        [
            [high - low for low, high in narrowed(CUBE, points, (points[:, 0] - 0.3) ** 2 + 0.05 * noise)]
            for points, noise in ((scatter(seed=seed), np.random.default_rng(seed).random(40)) for seed in range(30))
        ]
    )
    assert widths[:, 0].mean() < 0.4
    assert np.median(widths[:, 1:]) > 0.8


def test_pure_noise_leaves_nearly_everything():
    widths = [
        high - low
        for seed in range(30)
        for low, high in narrowed(CUBE, scatter(seed=seed), np.random.default_rng(seed).random(40))
    ]
    assert np.mean(widths) > 0.8


def test_a_range_moves_beyond_its_edge():
    region = ((0.2, 0.5), (0.0, 1.0), (0.0, 1.0))
    points = scatter(30)
    points[:, 0] = 0.2 + 0.3 * points[:, 0]
    (low, high), *_ = narrowed(CUBE, points, (points[:, 0] - 0.62) ** 2, region)
    assert low > 0.35
    assert high > 0.6


def test_a_range_is_never_narrower_than_the_floor():
    points = scatter(60)
    for floor in (0.1, 0.3):
        region = narrowed(CUBE, points, np.sum((points - 0.02) ** 2, axis=1), rule=Narrowing(0.5, floor))
        assert all(0 <= low <= high <= 1 and high - low >= floor - 1e-9 for low, high in region)


def test_the_search_moves_to_a_better_trial_elsewhere():
    region = ((0.0, 0.2), (0.0, 0.2), (0.0, 0.2))
    points = np.vstack([scatter(20) * 0.2, [[0.8, 0.8, 0.8]]])
    after = narrowed(CUBE, points, [*np.sum(points[:-1], axis=1) + 1, 0.0], region)
    assert all(low <= 0.8 <= high for low, high in after)


def test_options_are_dropped_only_by_evidence():
    space = Space({"kind": Choice(["a", "b", "c"]), "x": Float(0, 1)})
    points = np.array([[(number % 3 + 0.5) / 3, number / 30] for number in range(30)])
    kept, _ = narrowed(space, points, (points[:, 0] > 0.6) + 0.1 * points[:, 1])
    assert kept == (0, 1)
    kept, _ = narrowed(space, points, points[:, 1])
    assert kept == (0, 1, 2)


def test_equal_losses_say_nothing():
    assert narrowed(CUBE, scatter(), np.zeros(40)) == pytest.approx(np.array(whole(CUBE)), abs=0.05)


def test_failures_are_no_numbers_and_few_trials_no_evidence():
    points = scatter()
    losses = np.where(points[:, 0] < 0.4, np.inf, points[:, 0])
    (low, _), *_ = narrowed(CUBE, points, losses)
    assert low > 0.1
    assert narrowed(CUBE, points, np.full(40, np.inf)) == whole(CUBE)
    assert narrowed(CUBE, points[:3], losses[:3]) == whole(CUBE)
    assert narrowed(CUBE, np.empty((0, 3)), []) == whole(CUBE)


def test_a_region_becomes_a_space_of_every_kind_of_entry():
    space = Space(
        {
            "lr": Float(1e-4, 1, log=True),
            "n": Int(1, 10),
            "size": Ordinal(["s", "m", "l", "xl"]),
            "kind": Choice({"a": {"m": Float(0, 1)}, "b": {}}),
        }
    )
    part = cut(space, ((0.25, 0.75), (0.0, 0.5), (0.3, 0.6), (0,), (0.5, 1.0)))
    assert (part.entries["lr"].low, part.entries["lr"].high) == pytest.approx((1e-3, 1e-1))
    assert part.entries["n"] == Int(1, 6)
    assert part.entries["size"] == Ordinal(["m", "l"])
    assert part.entries["kind"] == Choice({"a": {"m": Float(0.5, 1)}})
    assert cut(space, whole(space)) is space


@settings(max_examples=60, deadline=None)
@given(spaces(), seeds, st.floats(0.1, 0.99))
def test_what_is_left_of_any_space_lies_in_it(space, seed, level):
    rng = np.random.default_rng(seed)
    try:
        configs = [space.sample(rng) for _ in range(12)]
    except SpaceError:
        return
    seen, region = Evidence(space, configs), whole(space)
    for _ in range(3):
        seen.losses = np.where(rng.random(12) < 0.2, np.inf, rng.random(12)).tolist()
        region = seen.narrowed(Narrowing(level), region)
        part = cut(space, region)
        for _ in range(5):
            assert space.contains(part.decode(rng.random(len(part.paths))))
