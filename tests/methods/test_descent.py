"""Descent in the unit cube: it finds minima inside and at the edge, and knows when it is over."""

import numpy as np
import pytest

from tunewell.methods.descent import CONTRADICTION, Descent


def descend(function, start, rule="quasi-newton", most=200, rate=0.1):
    descent = Descent(rule, rate, 1e-10, most)
    point = np.array(start)
    while point is not None:
        descent.tell(point, *function(point))
        point = descent.ask()
    return descent


def quadratic(centre, scales):
    def function(x):
        return float(scales @ (x - centre) ** 2), 2 * scales * (x - centre)

    return function


def rosenbrock(z):
    x, y = 4 * z - 2
    slope = np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
    return (1 - x) ** 2 + 100 * (y - x * x) ** 2, 4 * slope


def test_a_minimum_inside_is_found():
    scales = 10.0 ** np.linspace(0, 3, 10)
    found = descend(quadratic(np.linspace(0.2, 0.8, 10), scales), np.full(10, 0.5))
    assert found.value < 1e-8
    assert found.steps < 80


def test_a_curved_valley_is_followed():
    found = descend(rosenbrock, [0.2, 0.75])
    assert found.value < 1e-8
    assert found.steps < 120


def test_a_minimum_at_the_edge_is_found():
    centre = np.array([1.4, 0.3, -0.2])
    found = descend(quadratic(centre, np.array([1.0, 5.0, 2.0])), np.full(3, 0.5))
    assert found.x == pytest.approx([1.0, 0.3, 0.0], abs=1e-6)
    assert found.over


def test_what_fails_is_stepped_back_from():
    bowl = quadratic(np.array([0.6, 0.6]), np.ones(2))

    def fails(x):
        return (np.inf, None) if x[0] > 0.58 else bowl(x)

    found = descend(fails, [0.1, 0.1])
    assert found.x[0] <= 0.58
    assert found.value < 0.1


def test_a_gradient_of_the_wrong_sign_is_a_contradiction():
    bowl = quadratic(np.array([0.6, 0.6]), np.ones(2))
    found = descend(lambda x: (bowl(x)[0], -bowl(x)[1]), [0.3, 0.2])
    assert found.over == CONTRADICTION


def test_the_first_step_says_how_well_values_and_gradients_agree():
    bowl = quadratic(np.array([0.6, 0.6]), np.ones(2))
    assert descend(bowl, [0.3, 0.2]).agreed < 1e-9
    assert descend(lambda x: (bowl(x)[0], 3 * bowl(x)[1]), [0.3, 0.2]).agreed > 0.3


def test_adam_finds_its_way_through_noise():
    rng = np.random.default_rng(0)
    bowl = quadratic(np.array([0.7, 0.4]), np.array([1.0, 3.0]))

    def noisy(x):
        value, slope = bowl(x)
        return value + 0.1 * rng.standard_normal(), slope + 0.1 * rng.standard_normal(2)

    found = descend(noisy, [0.1, 0.9], rule="adam", rate=0.02, most=150)
    assert found.x == pytest.approx([0.7, 0.4], abs=0.08)


@pytest.mark.parametrize("value", [np.inf, 1.0])
def test_a_start_without_value_or_gradient_is_the_end(value):
    descent = Descent("quasi-newton", 0.1, 1e-6, 10)
    descent.tell(np.array([0.5]), value, None)
    assert descent.over
    assert descent.ask() is None
