"""Conjugate gradients and Neumann's series: the solution, what is left, the spectrum."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tunewell.hypergradient.linear import conjugate, neumann, norm


def matrix(spectrum, seed=0):
    rng = np.random.default_rng(seed)
    q = np.linalg.qr(rng.standard_normal((len(spectrum), len(spectrum))))[0]
    return (q * spectrum) @ q.T, rng.standard_normal(len(spectrum))


@given(st.integers(1, 12), st.integers(0, 1000))
def test_conjugate_gradients_solve_a_positive_system(size, seed):
    a, b = matrix(np.linspace(1, 6, size), seed)
    found = conjugate(lambda v: a @ v, b, tolerance=1e-12)
    assert found.x == pytest.approx(np.linalg.solve(a, b), abs=1e-9)
    assert found.curved
    assert found.residual(b) <= 1e-11


def test_few_products_suffice_where_the_spectrum_is_narrow():
    a, b = matrix(np.linspace(1, 6, 20))
    exact = np.linalg.solve(a, b)
    errors = [
        norm(conjugate(lambda v: a @ v, b, tolerance=0.0, most=most).x - exact) / norm(exact) for most in (10, 15)
    ]
    assert errors[0] <= 1e-3
    assert errors[1] <= 1e-5


def test_the_ends_of_the_spectrum_are_met():
    a, b = matrix(np.linspace(0.5, 20, 30))
    found = conjugate(lambda v: a @ v, b, tolerance=1e-13)
    assert (found.least, found.largest) == (pytest.approx(0.5, rel=1e-3), pytest.approx(20, rel=1e-3))


def test_negative_curvature_is_noticed():
    a, b = matrix(np.array([-1.0, 1.0, 2.0, 3.0]))
    assert not conjugate(lambda v: a @ v, b).curved
    assert conjugate(lambda v: a @ v, b, damping=1.5).curved
    assert conjugate(lambda v: a @ v, b, damping=1.5).least < 0


def test_the_residual_is_that_of_the_system_without_damping():
    a, b = matrix(np.linspace(1, 6, 8))
    found = conjugate(lambda v: a @ v, b, damping=0.5)
    assert found.rest == pytest.approx(b - a @ found.x, abs=1e-9)
    assert found.residual(b) > 0.01


def test_a_start_saves_products():
    a, b = matrix(np.linspace(1, 6, 20))
    exact = np.linalg.solve(a, b)
    near = conjugate(lambda v: a @ v, b, start=exact + 1e-9)
    assert near.products < conjugate(lambda v: a @ v, b).products
    assert near.x == pytest.approx(exact, abs=1e-8)


@pytest.mark.parametrize("terms", [50, 100])
def test_the_error_of_neumanns_series_falls_as_it_should(terms):
    a, b = matrix(np.linspace(1, 6, 20))
    found = neumann(lambda v: a @ v, b, terms=terms, scale=6.0)
    exact = np.linalg.solve(a, b)
    assert norm(found.x - exact) <= (1 - 1 / 6) ** (terms + 1) * norm(exact)


def test_neumanns_series_finds_its_scale():
    a, b = matrix(np.linspace(1, 6, 20))
    found = neumann(lambda v: a @ v, b, terms=200)
    assert found.residual(b) < 1e-8
