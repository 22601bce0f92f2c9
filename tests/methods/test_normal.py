"""A normal distribution that learns from ranks, and its margin."""

from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tunewell as tw
from tunewell.methods.layout import layout_of
from tunewell.methods.normal import Normal, _between, constants


@pytest.mark.parametrize(("n", "size"), [(2, 6), (10, 10), (40, 15), (10, 500)])
def test_weights_are_those_of_the_tutorial(n, size):
    k = constants(n, size, False)
    assert k.mu == size // 2
    assert np.isclose(k.weights[: k.mu].sum(), 1)
    assert np.isclose(k.mass, 1 / (k.weights[: k.mu] ** 2).sum())
    assert (np.diff(k.weights) < 0).all()
    assert k.c_1 + k.c_mu <= 1


@settings(max_examples=200, deadline=None)
@given(
    mean=st.floats(0.4, 0.6),
    width=st.floats(1e-9, 10),
    least=st.floats(1e-4, 0.1),
)
def test_the_margin_leaves_each_side_its_share(mean, width, least):
    moved, wide = _between(0.4, 0.6, mean, width, least)
    normal = NormalDist(moved, wide)
    assert normal.cdf(0.4) >= least / 2 - 1e-9
    assert 1 - normal.cdf(0.6) >= least / 2 - 1e-9


def test_separable_is_the_diagonal_of_the_whole():
    """One update on the same points."""
    rng = np.random.default_rng(0)
    x, k = rng.standard_normal((10, 4)), constants(4, 10, False)
    whole, diagonal = (Normal.round(np.zeros(4), 1.0, separable, False) for separable in (False, True))
    for normal in (whole, diagonal):
        normal.learn(x, np.zeros(10, dtype=bool), 0, k)
    assert np.allclose(whole.mean, diagonal.mean)
    assert np.isclose(whole.sigma, diagonal.sigma)
    assert np.allclose(np.diag(whole.covariance), diagonal.covariance)


def test_centring_sees_the_margin():
    """What the margin has stretched is centred as it was tried, and then shrunk again."""
    layout = layout_of(tw.Space({"n": tw.Int(0, 9)}))
    normal = Normal.round(np.array([0.35]), 0.01, False, False)
    normal.stretch = np.array([4.0])
    x = normal.unstretched(np.array([[0.43], [0.35]]))
    centred = normal.centred(x, layout)
    assert normal.mean + 4 * (centred - normal.mean) == pytest.approx(np.array([[0.45], [0.35]]))
