"""The Matérn-5/2 kernel with one squared length-scale for each group of columns.

C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press, 2006. Equation (4.17).

Options are columns as well: a Choice of k options is k columns that hold 1/sqrt(2) or 0, all of one group, so that two
different options are at squared distance 1, as in the Hamming kernel.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, np.dtype[np.float64]]
Groups: TypeAlias = np.ndarray[Any, np.dtype[np.intp]]

_ROOT = 5.0**0.5


def squared_distances(first: Array, second: Array) -> Array:
    """The squared Euclidean distances `(n, m)` of the rows of `(n, p)` and `(m, p)`, never below 0.

    One product of matrices, so that the time goes into BLAS.
    """
    distances = first @ second.T
    distances *= -2.0
    distances += np.einsum("ij,ij->i", first, first)[:, None]
    distances += np.einsum("ij,ij->i", second, second)[None, :]
    return np.maximum(distances, 0.0, out=distances)


def correlation(distances: Array) -> Array:
    """Matérn-5/2 of squared distances, in [0, 1]: (1 + sqrt(5) r + 5/3 r²) exp(-sqrt(5) r)."""
    far = _ROOT * np.sqrt(distances)
    found: Array = (1.0 + far + (5.0 / 3.0) * distances) * np.exp(-far)
    return found


def with_slope(distances: Array) -> tuple[Array, Array]:
    """`correlation`, and its derivative with respect to the squared distance: -5/6 (1 + sqrt(5) r) exp(-sqrt(5) r).

    Unlike the derivative with respect to the distance, it is finite at 0.
    """
    far = _ROOT * np.sqrt(distances)
    falling = np.exp(-far)
    far += 1.0
    slope = far * falling
    value = slope + (5.0 / 3.0) * distances * falling
    slope *= -5.0 / 6.0
    return value, slope


def bends(distances: Array) -> tuple[Array, Array]:
    """The second and the third derivative of `correlation` with respect to the squared distance: 25/12 exp(-sqrt(5) r)
    and -125/24 exp(-sqrt(5) r) / (sqrt(5) r).

    The third is not finite at 0; it is 0 there, for it only ever stands before products that vanish faster.
    """
    far = _ROOT * np.sqrt(distances)
    second = (25.0 / 12.0) * np.exp(-far)
    return second, np.divide(-2.5 * second, far, out=np.zeros_like(far), where=far > 0.0)
