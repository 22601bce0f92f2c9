"""Derivatives of a Gaussian process as observations: they are jointly normal with its values.

C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press, 2006. Section 9.4.
E. Solak, R. Murray-Smith, W. E. Leithead, D. J. Leith, C. E. Rasmussen: Derivative observations in Gaussian process
models of dynamic systems. NeurIPS 2002.
J. Wu, M. Poloczek, A. G. Wilson, P. I. Frazier: Bayesian optimization with gradients. NeurIPS 2017. arXiv:1703.04389.

With the squared distance s of scaled points u = widths z and k(s), for derivatives along the columns a and b:

    cov(f(u), f_a(u')) = -2 k'(s) w_a (u_a - u'_a)
    cov(f_a(u), f_b(u')) = -(4 k''(s) (u_a - u'_a) (u_b - u'_b) + 2 k'(s) [a = b]) w_a w_b

`along` (n,) is the column that each row is the derivative along, -1 where it is a value; None: there are values alone,
and then nothing here costs anything.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tunewell.surrogates.kernels import Array, Groups, bends, correlation, squared_distances, with_slope


@dataclass(frozen=True)
class Joint:
    """The correlations `value` (n, n) of rows with each other, and how they move: `slope` (n, n) is the derivative with
    respect to the squared distances, as if the differences before it were fixed; `own` (r, n) is what the width of its
    own column adds for each derivative, the row `rows` (r,) along the column `along` (r,).
    """

    value: Array
    slope: Array
    own: Array
    rows: Groups
    along: Groups

    def by_width(self, weights: Array, count: int) -> Array:
        """What `own` adds to 1/2 sum_ij weights_ij value_ij, by the logarithm of the squared width of each column."""
        by_row = np.einsum("ij,ij->i", weights[self.rows], self.own)
        found: Array = np.bincount(self.along, by_row, minlength=count).astype(float)
        return found


def joint(scaled: Array, along: Groups | None, widths: Array) -> Joint:
    """The correlations of rows at scaled points (n, p) with each other."""
    distances = squared_distances(scaled, scaled)
    value, slope = with_slope(distances)
    if along is None:
        none = np.zeros(0, dtype=np.intp)
        return Joint(value, slope, value[:0], none, none)
    rows = np.flatnonzero(along >= 0)
    columns, both, (second, third) = along[rows], np.ix_(rows, rows), bends(distances)
    own_widths, away = widths[columns], _away(scaled, scaled, rows, columns)
    products = -away[rows].T * away[rows] * np.outer(own_widths, own_widths)
    same = (columns[:, None] == columns) * own_widths**2
    beside = -2.0 * away * own_widths
    beside, slope_beside, first = slope[:, rows] * beside, second[:, rows] * beside, slope[both]
    among = -4.0 * second[both] * products - 2.0 * first * same
    _put(value, rows, beside, among)
    _put(slope, rows, slope_beside, -4.0 * third[both] * products - 2.0 * second[both] * same)
    own = value[rows]
    own[:, rows] += first * same
    return Joint(value, slope, own, rows, columns)


def _away(new: Array, scaled: Array, rows: Groups, columns: Groups) -> Array:
    """How far points (m, p) are from those of the derivatives, each along its own column (m, r)."""
    found: Array = new[:, columns] - scaled[rows, columns]
    return found


def _put(matrix: Array, rows: Groups, beside: Array, among: Array) -> None:
    """Fill a symmetric matrix (n, n) in the rows of derivatives: (n, r) with values, (r, r) with each other."""
    matrix[:, rows] = beside
    matrix[rows] = beside.T
    matrix[np.ix_(rows, rows)] = among


def across(new: Array, scaled: Array, along: Groups | None, widths: Array) -> Array:
    """The correlations (m, n) of values at scaled points (m, p) with rows at scaled points (n, p)."""
    distances = squared_distances(new, scaled)
    if along is None:
        return correlation(distances)
    rows = np.flatnonzero(along >= 0)
    value, slope = with_slope(distances)
    value[:, rows] = -2.0 * slope[:, rows] * _away(new, scaled, rows, along[rows]) * widths[along[rows]]
    return value


def toward(away: Array, along: Groups | None, widths: Array) -> tuple[Array, Array]:
    """The correlations (n,) of the value at a point with rows that it is `away` (n, p) from, scaled; and their
    derivatives (n, p) by the point, not scaled.
    """
    distances = np.einsum("ij,ij->i", away, away)
    value, slope = with_slope(distances)
    if along is None:
        return value, 2.0 * slope[:, None] * away * widths
    rows = np.flatnonzero(along >= 0)
    columns, first = along[rows], slope[rows]
    factor = -2.0 * away[rows, columns] * widths[columns]
    value[rows] = first * factor
    slope[rows] = bends(distances[rows])[0] * factor
    towards = 2.0 * slope[:, None] * away * widths
    towards[rows, columns] -= 2.0 * first * widths[columns] ** 2
    return value, towards
