"""Divergence, spikes, plateaus and censored losses, on curves whose answer is known."""

import math

import numpy as np
import pytest

from tunewell.honest.divergence import censored, diverged, is_plateau, spikes
from tunewell.honest.watch import Watch

FALLING = [2.0 * 0.98**step for step in range(300)]


def test_a_healthy_curve_and_one_with_a_short_spike_have_not_diverged():
    assert diverged(FALLING) is None
    assert diverged([*FALLING[:100], 50.0, 40.0, 30.0, *FALLING[100:]]) is None


def test_a_jump_far_above_the_start_has():
    place, why = diverged([*FALLING[:100], *[100.0] * 50])
    assert place < 120
    assert "far worse" in why


def test_what_stays_a_little_above_its_start_and_never_learns_has():
    place, _ = diverged([1.0] + [2.4, 1.1, 2.8, 2.0] * 25)
    assert place < 60


def test_a_run_that_has_learned_is_waited_for_while_it_comes_back():
    back = [float(np.exp(5.0 * 0.85**step)) for step in range(60)]
    assert diverged([*FALLING[:50], *back, *FALLING[50:]]) is None
    assert diverged([1.0, *back, *FALLING[50:]]) is not None
    assert diverged([*FALLING[:50], *[50.0] * 10]) is not None


def test_a_slow_rise_has_not():
    assert diverged([0.3 * 1.015**epoch for epoch in range(150)]) is None


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_three_times_in_a_row_has(bad):
    assert diverged([1.0, bad, bad, 1.0, bad, bad, bad])[0] == 6


def test_an_accuracy_never_explodes():
    assert diverged([0.9] + [0.1] * 100, maximize=True) is None


def test_a_run_that_goes_on_is_compared_with_its_first_value():
    assert not any(Watch(first=2.0).see(value) for value in [0.001] + [0.5] * 60)


def test_spikes_are_found_and_nothing_else():
    rng = np.random.default_rng(0)
    losses = 1.0 + 0.01 * rng.standard_normal(200)
    losses[120] = 2.0
    assert spikes(losses).tolist() == [120]


def test_a_plateau_is_flat_for_two_windows():
    assert is_plateau([1.0] * 60)
    assert not is_plateau([1.0] * 59)
    assert not is_plateau(FALLING[:60])


def test_a_loss_of_a_run_that_blew_up_is_capped_and_the_better_half_stays():
    losses = np.array([1.0, 1.1, 1.2, 1.3, 1e30])
    assert censored(losses)[:3].tolist() == losses[:3].tolist()
    assert censored(losses)[4] == pytest.approx(3.2)
