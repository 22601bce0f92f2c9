"""Input warps: columns squeezed where a function changes slowly, so that one length-scale serves the whole range.

J. Snoek, K. Swersky, R. S. Zemel, R. P. Adams: Input warping for Bayesian optimization of non-stationary functions.
ICML 2014. arXiv:1402.0929.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.optimize import minimize

from tunewell.surrogates.gp import BOUNDS, Data, Hyperparameters, Posterior, Prior, Solved
from tunewell.surrogates.kernels import Array

_VARIANCE = 0.75
"""Of the normal priors of log a and log b, about 0: no warp."""

_EDGE = 1e-6
"""Derivatives are taken this far inside of [0, 1], for at its ends they need not be finite."""


@dataclass(frozen=True)
class Squeeze:
    """The distribution function of Kumaraswamy, z -> 1 - (1 - z^a)^b, for each column (p,); `a` = `b` = 1 changes
    nothing.
    """

    a: Array
    b: Array

    def at(self, z: Array) -> Array:
        """Points (..., p) in [0, 1] as points in [0, 1]; rises along each column."""
        found: Array = 1.0 - (1.0 - np.clip(z, 0.0, 1.0) ** self.a) ** self.b
        return found

    def slope(self, z: Array) -> Array:
        """The derivative (..., p) by the points."""
        inside = np.clip(z, _EDGE, 1.0 - _EDGE)
        found: Array = self.a * self.b * inside ** (self.a - 1.0) * (1.0 - inside**self.a) ** (self.b - 1.0)
        return found

    def by_logs(self, z: Array) -> tuple[Array, Array]:
        """The derivatives (..., p) by the logarithms of `a` and of `b`."""
        inside = np.clip(z, _EDGE, 1.0 - _EDGE)
        power = inside**self.a
        rest = 1.0 - power
        return self.a * self.b * rest ** (self.b - 1.0) * power * np.log(inside), -self.b * rest**self.b * np.log(rest)

    def of_data(self, data: Data) -> Data:
        """Data without derivatives at the squeezed points."""
        return replace(data, z=self.at(data.z))


def evidence_of_squeeze(logs: Array, data: Data, prior: Prior | None = None) -> tuple[float, Array]:
    """The log posterior density, and its gradient, at the logarithms of the hyperparameters, then of `a` and of `b` of
    the k columns that are numbers (groups + 4 + 2 k,). The data are values alone.
    """
    shape, numbers = logs[data.columns.count + 4 :], data.columns.numbers
    squeeze = _of_logs(shape, data)
    plain = logs[: data.columns.count + 4]
    solved = Solved.of(squeeze.of_data(data), Hyperparameters.of_vector(plain))
    if solved is None:
        return -np.inf, np.zeros_like(logs)
    density, pull = (prior or Prior()).density(plain)
    by_points = solved.by_points()
    by_shape = [np.einsum("ij,ij->j", by_points, rate)[numbers] for rate in squeeze.by_logs(data.z)]
    value = solved.likelihood + density - 0.5 * float(shape @ shape) / _VARIANCE
    return value, np.concatenate([solved.by_logs() + pull, np.concatenate(by_shape) - shape / _VARIANCE])


def _of_logs(shape: Array, data: Data) -> Squeeze:
    """The squeeze whose logarithms (2 k,) belong to the columns that are numbers."""
    both = np.ones((2, len(data.columns.numbers)))
    both[:, data.columns.numbers] = np.exp(shape).reshape(2, -1)
    return Squeeze(*both)


def fit_squeeze(data: Data, start: Hyperparameters, *, steps: int = 60) -> tuple[Squeeze, Hyperparameters]:
    """The squeeze and the hyperparameters of the highest posterior density that L-BFGS-B finds from none and `start`,
    for data without derivatives.
    """
    count = data.columns.count + 4
    shape = np.zeros(2 * int(data.columns.numbers.sum()))
    bounds = [*[BOUNDS[0]] * data.columns.count, *BOUNDS[1:], *[(-3.0, 3.0)] * len(shape)]

    def negative(logs: Array) -> tuple[float, Array]:
        value, gradient = evidence_of_squeeze(logs, data)
        return (-value, -gradient) if np.isfinite(value) else (1e10, np.zeros_like(logs))

    options = {"maxiter": steps, "ftol": 1e-6, "gtol": 1e-2}
    first = np.concatenate([start.vector(), shape])
    found = minimize(negative, first, jac=True, method="L-BFGS-B", bounds=bounds, options=options).x
    return _of_logs(found[count:], data), Hyperparameters.of_vector(found[:count])


@dataclass(frozen=True)
class Squeezed:
    """A posterior at squeezed points, asked at points as they are."""

    posterior: Posterior
    squeeze: Squeeze

    def predict(self, z: Array) -> tuple[Array, Array]:
        """As `Posterior.predict`."""
        return self.posterior.predict(self.squeeze.at(z))

    def predict_with_gradient(self, point: Array) -> tuple[Array, float, Array, Array]:
        """As `Posterior.predict_with_gradient`, by the chain rule."""
        mean, variance, towards, bend = self.posterior.predict_with_gradient(self.squeeze.at(point))
        rate = self.squeeze.slope(point)
        return mean, variance, towards * rate, bend * rate

    def covariance(self, z: Array) -> Array:
        """As `Posterior.covariance`."""
        return self.posterior.covariance(self.squeeze.at(z))

    def extended(self, z: Array, y: Array) -> Squeezed:
        """As `Posterior.extended`."""
        return Squeezed(self.posterior.extended(self.squeeze.at(z), y), self.squeeze)

    @property
    def hyper(self) -> Hyperparameters:
        """Those of the posterior."""
        return self.posterior.hyper

    @property
    def data(self) -> Data:
        """Those of the posterior, at squeezed points."""
        return self.posterior.data


Model = Posterior | Squeezed
"""What can be asked at points as they are."""
