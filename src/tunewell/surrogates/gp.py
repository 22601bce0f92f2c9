"""A Gaussian process: its hyperparameters by maximum a posteriori, its predictions, and points added to it cheaply.

C. E. Rasmussen, C. K. I. Williams: Gaussian Processes for Machine Learning. MIT Press, 2006. Chapters 2 and 5.

The model of n results `y` at points `z` (n, p) is y = f(z) + noise, with a constant mean of 0 (give standardized
values), a Matérn-5/2 kernel, one inverse squared length-scale for each group of columns, an output scale, and noise
whose variance is inferred; a known variance of each value is added to it. Derivatives of f that were observed are rows
beside the values, with noise of their own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotri, dtrtri
from scipy.optimize import minimize

from tunewell.surrogates.derivatives import Joint, across, joint, toward
from tunewell.surrogates.kernels import Array, Groups, correlation, squared_distances

Flags = np.ndarray[Any, np.dtype[np.bool_]]

FLOOR = 1e-6
"""The least variance of the noise, as a share of the variance of standardized values."""


@dataclass(frozen=True)
class Columns:
    """What the p columns of points are: the group of each (numbers from 0, each used), whether it is a number in [0,
    1], and the `slope` and `shift` that turn the column into its linear feature.
    """

    groups: Groups
    numbers: Flags
    slope: Array
    shift: Array

    @classmethod
    def of(cls, groups: Groups, numbers: Flags) -> Columns:
        """A number is a Legendre polynomial; an option is an indicator, or -1 and 1 where one column holds both."""
        alone = np.bincount(groups)[groups] == 1
        slope = np.where(numbers, 2.0 * 3.0**0.5, np.where(alone, 2.0, 2.0**0.5))
        return cls(groups, numbers, slope, np.where(numbers, -(3.0**0.5), np.where(alone, -1.0, 0.0)))

    @property
    def count(self) -> int:
        """How many groups there are."""
        return int(self.groups.max()) + 1 if len(self.groups) else 0

    def features(self, z: Array) -> Array:
        """The trend of points (n, p): a line and a parabola of each number, a level of each option, (n, q), of squared
        length about 1.
        """
        bent = 2.0 * z[:, self.numbers] - 1.0
        parabolas = (5.0**0.5 / 2.0) * (3.0 * bent * bent - 1.0)
        found: Array = np.hstack([z * self.slope + self.shift, parabolas]) / self._length
        return found

    def derivatives(self, z: Array, along: Groups) -> Array:
        """The derivatives (n, q) of the features of points (n, p), of each along one column (n,)."""
        chosen = np.eye(len(self.groups))[along]
        lines, parabolas = self.slopes(z)
        return np.hstack([chosen * lines, chosen[:, self.numbers] * parabolas])

    def slopes(self, z: Array) -> tuple[Array, Array]:
        """The derivatives of the features at points (..., p): of the lines by their columns (p,), of the parabolas by
        the columns that are numbers.
        """
        return self.slope / self._length, (6.0 * 5.0**0.5) * (2.0 * z[..., self.numbers] - 1.0) / self._length

    @property
    def _length(self) -> float:
        return math.sqrt(max(self.count + int(self.numbers.sum()), 1))


@dataclass(frozen=True)
class Data:
    """Results as arrays: points `z` (n, p), values `y` (n,), what the columns are, known variances (n,) of the values,
    and how many results each value is the mean of (n,).

    `along` (n,) is the column that a row is the derivative along, -1 where it is a value; None: there are values alone.
    """

    z: Array
    y: Array
    columns: Columns
    variances: Array
    counts: Array
    along: Groups | None = None

    @classmethod
    def of(cls, z: Array, y: Array, columns: Columns | None = None) -> Data:
        """Data without replicates and without known variances; each column is a number unless told."""
        width = z.shape[1]
        own = columns or Columns.of(np.arange(width), np.ones(width, dtype=bool))
        return cls(z, y, own, np.zeros(len(y)), np.ones(len(y)))

    def part(self, places: Groups) -> Data:
        """The rows at some places."""
        taken = self.variances[places], self.counts[places], None if self.along is None else self.along[places]
        return Data(self.z[places], self.y[places], self.columns, *taken)

    def with_derivatives(self, places: Groups, along: Groups, slopes: Array) -> Data:
        """With r more rows: the derivative `slopes` (r,) of the value at each place (r,) along a column (r,)."""
        before = np.full(len(self.y), -1) if self.along is None else self.along
        return Data(
            np.vstack([self.z, self.z[places]]),
            np.concatenate([self.y, slopes]),
            self.columns,
            np.concatenate([self.variances, np.zeros(len(places))]),
            np.concatenate([self.counts, self.counts[places]]),
            np.concatenate([before, along]) if len(places) else self.along,
        )

    def values(self) -> Data:
        """The values alone."""
        return self if self.along is None else replace(self.part(np.flatnonzero(self.along < 0)), along=None)

    def features(self) -> Array:
        """The trend of each row (n, q)."""
        found = self.columns.features(self.z)
        if self.along is not None:
            rows = np.flatnonzero(self.along >= 0)
            found[rows] = self.columns.derivatives(self.z[rows], self.along[rows])
        return found

    def noises(self, hyper: Hyperparameters) -> Array:
        """The variance (n,) of the noise of each row."""
        own = hyper.noise if self.along is None else np.where(self.along < 0, hyper.noise, hyper.derivatives)
        found: Array = own / self.counts + self.variances + FLOOR
        return found


@dataclass(frozen=True)
class Hyperparameters:
    """Inverse squared length-scales (one for each group), and the variances of the trend, of what deviates from it,
    of the noise, and of the noise of derivatives.

    The last is in the units of the derivatives, the same for every column: values are standardized and columns are in
    [0, 1], and a derivative that is wrong is wrong by its own size, whatever the length-scale. Without derivatives it
    stays at the mode of its prior.
    """

    inverse: tuple[float, ...]
    trend: float
    scale: float
    noise: float
    derivatives: float = 1.0

    @classmethod
    def start(cls, groups: int) -> Hyperparameters:
        """Where a first fit begins: length-scales of 1 in the unit cube."""
        return cls((1.0,) * groups, 0.3, 1.0, 1e-2)

    def vector(self) -> Array:
        """The logarithms (groups + 4,): what the fit moves."""
        return np.log([*self.inverse, self.trend, self.scale, self.noise, self.derivatives])

    @classmethod
    def of_vector(cls, logs: Array) -> Hyperparameters:
        """The inverse of `vector`."""
        *inverse, trend, scale, noise, derivatives = np.exp(logs).tolist()
        return cls(tuple(inverse), trend, scale, noise, derivatives)


@dataclass(frozen=True)
class Prior:
    """What is believed of hyperparameters before any result; the log density with respect to the values themselves.

    Inverse squared length-scales s: -`length` (s + 1/s), which favours length-scales near 1 and allows short ones.
    Trend: Gamma(1.1, `1 / trend`). Output scale: Gamma(2, 1). Noise: Gamma(1.1, `1 / noise`): small unless the results
    say otherwise. These are the priors of Optuna's Gaussian process (version 5), which did best among those compared in
    `benchmarks/quality`, but for the noise, 30 there: with that, noise of half the spread was taken for structure in
    the first trials (a regret of 0.41 after 20, and 0.30 with 10). Noise of derivatives: Gamma(1.1, `1 / derivatives`),
    so wide that gradients of the wrong sign are believed to be noise.
    """

    length: float = 0.1
    trend: float = 1.0
    noise: float = 10.0
    derivatives: float = 0.1

    def density(self, logs: Array) -> tuple[float, Array]:
        """The log density (up to a constant), and its gradient with respect to the logarithms (groups + 4,)."""
        inverse = np.exp(logs[:-4])
        power = np.array([0.1, 1.0, 0.1, 0.1])
        rest = np.array([self.trend, 1.0, self.noise, self.derivatives]) * np.exp(logs[-4:])
        density = -self.length * float(np.sum(inverse + 1.0 / inverse)) + float(power @ logs[-4:] - rest.sum())
        return density, np.concatenate([-self.length * (inverse - 1.0 / inverse), power - rest])


def evidence(logs: Array, data: Data, prior: Prior | None = None) -> tuple[float, Array]:
    """The log marginal likelihood (equation 5.8) plus the log prior, and its gradient (equation 5.9), at logarithms of
    hyperparameters (groups + 4,). -inf where the matrix is not positive definite.
    """
    solved = Solved.of(data, Hyperparameters.of_vector(logs))
    if solved is None:
        return -np.inf, np.zeros_like(logs)
    if prior is None:
        return solved.likelihood, solved.by_logs()
    density, pull = prior.density(logs)
    return solved.likelihood + density, solved.by_logs() + pull


@dataclass(frozen=True)
class Solved:
    """The log marginal likelihood of data, and what its derivatives are made of.

    `gap` (n, n) is what stands beside the derivative of the covariance in equation 5.9: the outer product of the
    weights, less the inverse.
    """

    data: Data
    hyper: Hyperparameters
    likelihood: float
    gap: Array
    kernel: Joint
    features: Array

    @classmethod
    def of(cls, data: Data, hyper: Hyperparameters) -> Solved | None:
        """None where the covariance is not positive definite."""
        widths, features = _widths(data, hyper), data.features()
        kernel = joint(data.z * widths, data.along, widths)
        matrix = hyper.scale * kernel.value + hyper.trend * (features @ features.T)
        matrix.flat[:: len(data.y) + 1] += data.noises(hyper)
        factor, failed = dpotrf(matrix, lower=1)
        if failed:
            return None
        inverse, weights = _inverse_and_weights(factor, data.y)
        likelihood = -0.5 * float(data.y @ weights) - float(np.sum(np.log(np.diag(factor))))
        return cls(data, hyper, likelihood, np.outer(weights, weights) - inverse, kernel, features)

    def by_logs(self) -> Array:
        """The gradient by the logarithms of the hyperparameters (groups + 4,).

        It needs products of matrices only: sum_ij M_ij (z_ig - z_jg)² = 2 (M 1)ᵀ z_g² - 2 z_gᵀ M z_g.
        """
        data, hyper, gap = self.data, self.hyper, self.gap
        by_column = _by_column(gap * self.kernel.slope, data.z) * _widths(data, hyper) ** 2
        by_column += self.kernel.by_width(gap, len(by_column))
        gradient = np.empty(data.columns.count + 4)
        gradient[:-4] = hyper.scale * np.bincount(data.columns.groups, by_column, minlength=data.columns.count)
        gradient[-4] = 0.5 * hyper.trend * float(np.sum((gap @ self.features) * self.features))
        gradient[-3] = 0.5 * hyper.scale * float(np.sum(gap * self.kernel.value))
        gradient[-2:] = 0.5 * _by_noise(np.diag(gap) / data.counts, data, hyper)
        return gradient

    def by_points(self) -> Array:
        """The gradient by the points (n, p) of data without derivatives."""
        z, columns, pull = self.data.z, self.data.columns, self.gap * self.kernel.slope
        found: Array = pull.sum(1)[:, None] * z - pull @ z
        found *= 2.0 * self.hyper.scale * _widths(self.data, self.hyper) ** 2
        trend, (lines, parabolas) = self.hyper.trend * (self.gap @ self.features), columns.slopes(z)
        found += trend[:, : z.shape[1]] * lines
        found[:, columns.numbers] += trend[:, z.shape[1] :] * parabolas
        return found


def _by_noise(shares: Array, data: Data, hyper: Hyperparameters) -> Array:
    """The sums of `shares` (n,) over the values and over the derivatives, times the variances of their noises."""
    derived = 0.0 if data.along is None else float(shares[data.along >= 0].sum())
    return np.array([hyper.noise * (float(shares.sum()) - derived), hyper.derivatives * derived])


def _inverse_and_weights(factor: Array, y: Array) -> tuple[Array, Array]:
    """The inverse (n, n) of the matrix with this Cholesky factor, and the inverse times y (n,)."""
    lower, _ = dpotri(factor, lower=1)
    solved = np.tril(lower)
    solved += np.tril(solved, -1).T
    return solved, solved @ y


def _by_column(matrix: Array, z: Array) -> Array:
    """½ sum_ij M_ij (z_ig - z_jg)² for each column g, (p,), of a symmetric matrix (n, n)."""
    found: Array = matrix.sum(1) @ z**2 - np.einsum("ij,ij->j", z, matrix @ z)
    return found


BOUNDS = ((-8.0, 10.0), (-12.0, 6.0), (-8.0, 6.0), (np.log(1e-7), 3.0), (np.log(1e-7), 8.0))
"""Of the logarithms: inverse squared length-scales, trend, output scale, noise, noise of derivatives."""


def fit(data: Data, start: Hyperparameters, *, prior: Prior | None = None, steps: int = 60) -> Hyperparameters:
    """The hyperparameters of the highest posterior density that L-BFGS-B finds from `start`."""
    belief, bounds = prior or Prior(), [BOUNDS[0]] * len(start.inverse) + [*BOUNDS[1:]]

    def negative(logs: Array) -> tuple[float, Array]:
        value, gradient = evidence(logs, data, belief)
        return (-value, -gradient) if np.isfinite(value) else (1e10, np.zeros_like(logs))

    options = {"maxiter": steps, "ftol": 1e-6, "gtol": 1e-2}
    found = minimize(negative, start.vector(), jac=True, method="L-BFGS-B", bounds=bounds, options=options)
    return Hyperparameters.of_vector(found.x)


_DOUBT = math.log(20.0)
"""How much likelier the values have to be without the derivatives for these to be dropped: strong evidence."""


def fit_believed(data: Data, start: Hyperparameters) -> tuple[Data, Hyperparameters]:
    """The data that a model should hold, and its hyperparameters: without the derivatives where these are wrong.

    Derivatives outnumber values, so that the evidence of both would rather call the values noise than the derivatives.
    Values are what counts: derivatives stay if p(values | derivatives) is no less than p(values) / 20.
    """
    values = data.values()
    alone = fit(values, start)
    if data.along is None:
        return data, alone
    hyper = fit(data, alone)
    derivatives = data.part(np.flatnonzero(data.along >= 0))
    given = evidence(hyper.vector(), data)[0] - evidence(hyper.vector(), derivatives)[0]
    if given < evidence(alone.vector(), values)[0] - _DOUBT:
        return values, alone
    return data, hyper


@dataclass(frozen=True)
class Posterior:
    """What a Gaussian process says after its data: `mean` and `variance` of the function at new points.

    `root` is the inverse of the Cholesky factor (n, n), `weights` the inverse of the covariance times y: (n,), or (s,
    n) where `y` holds s alternatives for the same points.
    """

    data: Data
    hyper: Hyperparameters
    scaled: Array
    features: Array
    root: Array
    weights: Array

    @classmethod
    def of(cls, data: Data, hyper: Hyperparameters) -> Posterior:
        """The posterior; jitter is raised until the matrix is positive definite."""
        widths, features = _widths(data, hyper), data.features()
        scaled = data.z * widths
        covariance = hyper.scale * joint(scaled, data.along, widths).value + hyper.trend * (features @ features.T)
        root = _inverse_factor(covariance, data.noises(hyper))
        return cls(data, hyper, scaled, features, root, (root.T @ (root @ data.y.T)).T)

    def predict(self, z: Array) -> tuple[Array, Array]:
        """Mean (m,), or (s, m), and variance (m,) of the function at points (m, p). Equations 2.25 and 2.26."""
        shared, alone = self._shared(z)
        halves = shared @ self.root.T
        variance = alone - np.einsum("ij,ij->i", halves, halves)
        return (shared @ self.weights.T).T, np.maximum(variance, 1e-12)

    def _shared(self, z: Array) -> tuple[Array, Array]:
        """The prior covariance (m, n) of new points (m, p) with the data, and their variance (m,)."""
        features, widths = self.data.columns.features(z), _widths(self.data, self.hyper)
        near = across(z * widths, self.scaled, self.data.along, widths)
        alone = self.hyper.scale + self.hyper.trend * np.einsum("ij,ij->i", features, features)
        return self.hyper.scale * near + self.hyper.trend * (features @ self.features.T), alone

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """Mean (s,), variance, and their gradients (s, p) and (p,) at one point (p,)."""
        columns, hyper = self.data.columns, self.hyper
        widths = _widths(self.data, hyper)
        value, towards = toward(point * widths - self.scaled, self.data.along, widths)
        lines, parabolas = columns.slopes(point)
        feature = columns.features(point[None])[0]
        towards *= hyper.scale
        towards += hyper.trend * self.features[:, : len(point)] * lines
        towards[:, columns.numbers] += hyper.trend * self.features[:, len(point) :] * parabolas
        own = 2.0 * hyper.trend * feature[: len(point)] * lines
        own[columns.numbers] += 2.0 * hyper.trend * feature[len(point) :] * parabolas
        shared = hyper.scale * value + hyper.trend * (self.features @ feature)
        halves, weights = self.root @ shared, np.atleast_2d(self.weights)
        variance = max(hyper.scale + hyper.trend * float(feature @ feature) - float(halves @ halves), 1e-12)
        return weights @ shared, variance, weights @ towards, own - 2.0 * ((self.root.T @ halves) @ towards)

    def covariance(self, z: Array) -> Array:
        """The joint covariance (m, m) of the function at points (m, p)."""
        halves = self._shared(z)[0] @ self.root.T
        return self._prior(z) - halves @ halves.T

    def _prior(self, z: Array) -> Array:
        scaled, features = z * _widths(self.data, self.hyper), self.data.columns.features(z)
        found: Array = self.hyper.scale * correlation(squared_distances(scaled, scaled))
        found += self.hyper.trend * (features @ features.T)
        return found

    def extended(self, z: Array, y: Array) -> Posterior:
        """The posterior after m more values without noise at points (m, p): `y` (s, m) holds s alternatives, or one.

        The factor grows by m rows; nothing is fitted or factorized again.
        """
        across = self._shared(z)[0] @ self.root.T
        below = _inverse_factor(self._prior(z) - across @ across.T, np.full(len(z), 1e-4))
        n, m = len(self.scaled), len(z)
        root = np.zeros((n + m, n + m))
        root[:n, :n] = self.root
        root[n:, :n] = -below @ across @ self.root
        root[n:, n:] = below
        data = _with_alternatives(self.data, z, np.atleast_2d(y))
        weights = (root.T @ (root @ data.y.T)).T
        scaled = np.vstack([self.scaled, z * _widths(self.data, self.hyper)])
        features = np.vstack([self.features, self.data.columns.features(z)])
        return Posterior(data, self.hyper, scaled, features, root, weights)


def _with_alternatives(data: Data, z: Array, y: Array) -> Data:
    """The data and m more values, which have s alternatives, `y` (s, m)."""
    known = np.broadcast_to(np.atleast_2d(data.y), (len(y), len(data.z)))
    return replace(
        data,
        z=np.vstack([data.z, z]),
        y=np.hstack([known, y]),
        variances=np.concatenate([data.variances, np.zeros(len(z))]),
        counts=np.concatenate([data.counts, np.ones(len(z))]),
        along=None if data.along is None else np.concatenate([data.along, np.full(len(z), -1)]),
    )


def _widths(data: Data, hyper: Hyperparameters) -> Array:
    """What each column (p,) is multiplied by."""
    found: Array = np.sqrt(np.array(hyper.inverse))[data.columns.groups]
    return found


def _inverse_factor(matrix: Array, extra: Array) -> Array:
    """The inverse of the lower Cholesky factor of `matrix` (n, n) with `extra` (n,) on its diagonal; with more of it
    where that is not enough.
    """
    for power in range(8):
        raised = matrix.copy()
        raised.flat[:: len(raised) + 1] += extra + (10.0 ** (power - 8) * matrix[0, 0] if power else 0.0)
        factor, failed = dpotrf(raised, lower=1)
        if not failed:
            inverse, _ = dtrtri(factor, lower=1)
            found: Array = np.tril(inverse)
            return found
    raise np.linalg.LinAlgError("a covariance matrix is not positive definite")
