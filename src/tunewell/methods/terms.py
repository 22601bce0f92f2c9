"""What an acquisition is made of: terms whose logarithms add up.

S. Ament et al.: Unexpected improvements to expected improvement for Bayesian optimization. NeurIPS 2023.
arXiv:2310.20708.
D. Huang, T. T. Allen, W. I. Notz, N. Zeng: Global optimization of stochastic black-box systems via sequential kriging
meta-models. Journal of Global Optimization 34, 2006.
M. A. Gelbart, J. Snoek, R. P. Adams: Bayesian optimization with unknown constraints. UAI 2014. arXiv:1403.5607.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.special import logsumexp

from tunewell.methods.cube import Array, Flags
from tunewell.surrogates.acquisition import log_below, log_expected_improvement, slope_of_log_below, slopes
from tunewell.surrogates.gp import Posterior
from tunewell.surrogates.squeezing import Model

_LEAST = 1e-12
"""The least share of a result that is not noise: rounding must not make it 0, for its logarithm counts."""


class Term(Protocol):
    """The logarithm of something that makes a point worth its trial."""

    def at(self, z: Array) -> Array:
        """Its values at columns (m, p): (m,)."""

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its value and gradient (p,) at one point (p,)."""


@dataclass(frozen=True)
class Improvement:
    """The expected improvement on `best` (s,), one for each set of imagined results of `model`; their mean.

    Without `noise` it is that of the model's function. With its variance, it is that of the result which a trial would
    have, times the share of the result's deviation that noise does not make up (Huang et al., 2006): noise and what the
    model cannot resolve look the same, and where little but that is unknown, a trial teaches nothing of other places.
    """

    model: Model
    best: Array
    noise: float = 0.0

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        mean, variance = self.model.predict(z)
        deviation = np.sqrt(variance + self.noise)
        logs = log_expected_improvement(np.atleast_2d(mean), deviation, self.best[:, None])
        found: Array = logsumexp(logs, axis=0) - np.log(len(logs)) + np.log(self._learned(deviation))
        return found

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        mean, variance, towards, bend = self.model.predict_with_gradient(z)
        deviation = (variance + self.noise) ** 0.5
        wider = bend / (2 * deviation)
        gap = (self.best - mean) / deviation
        logs = log_expected_improvement(mean, np.array(deviation), self.best)
        total = logsumexp(logs)
        rises = slopes(gap)[:, None] * -(towards + gap[:, None] * wider) / deviation + wider / deviation
        learned = self._learned(np.array(deviation))
        more = (1 - learned) / learned * wider / deviation
        return float(total - np.log(len(logs)) + np.log(learned)), np.exp(logs - total) @ rises + more

    def _learned(self, deviation: Array) -> Array:
        """The share of the deviations (m,) of results that noise does not make up."""
        found: Array = np.maximum(1 - self.noise**0.5 / deviation, _LEAST)
        return found


@dataclass(frozen=True)
class Factor:
    """The probability that a quantity, modelled by `posterior`, is at most `bound`."""

    posterior: Posterior
    bound: float

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        mean, variance = self.posterior.predict(z)
        return log_below(mean, np.sqrt(variance + self.posterior.hyper.noise), self.bound)

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        mean, variance, towards, bend = self.posterior.predict_with_gradient(z)
        deviation = (variance + self.posterior.hyper.noise) ** 0.5
        gap = (self.bound - float(mean[0])) / deviation
        rise = -(towards[0] + gap * bend / (2 * deviation)) / deviation
        return float(log_below(mean[0], np.array(deviation), self.bound)), slope_of_log_below(gap) * rise


@dataclass(frozen=True)
class Line:
    """The probability of a logistic regression, σ(weights · z + bias)."""

    weights: Array
    bias: float

    @classmethod
    def of(cls, z: Array, held: Flags) -> Line:
        """The one of columns (n, p) where something held (n,) or did not, with a normal prior of its weights: iterated
        reweighted least squares, in which the smaller class counts as much as the larger one.
        """
        x = np.hstack([z - 0.5, np.ones((len(z), 1))])
        counts = np.where(held, 0.5 / max(held.mean(), 1e-9), 0.5 / max(1 - held.mean(), 1e-9))
        prior, found = np.diag([*[0.02] * z.shape[1], 1e-6]), np.zeros(x.shape[1])
        for _ in range(25):
            chance = 1 / (1 + np.exp(-np.clip(x @ found, -30, 30)))
            bend = (x * (counts * chance * (1 - chance))[:, None]).T @ x + prior
            step = np.linalg.solve(bend, x.T @ (counts * (held - chance)) - prior @ found)
            found = found + step * min(1.0, 4.0 / max(float(np.linalg.norm(step)), 1e-12))
        return cls(found[:-1], float(found[-1] - found[:-1].sum() / 2))

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        found: Array = -np.logaddexp(0.0, -(z @ self.weights + self.bias))
        return found

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        log = float(self.at(z[None])[0])
        return log, -np.expm1(log) * self.weights


@dataclass(frozen=True)
class Pool:
    """What several models of the same thing say together: the geometric mean of their probabilities, or the `least` of
    these, where each of them is known to be right in its way and too sure in another; to some `power`.
    """

    terms: tuple[Term, ...]
    power: float = 1.0
    least: bool = False

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        logs = np.array([term.at(z) for term in self.terms])
        found: Array = self.power * (logs.min(0) if self.least else logs.mean(0))
        return found

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        values, gradients = zip(*[term.slope(z) for term in self.terms], strict=True)
        if self.least:
            return self.power * min(values), self.power * gradients[int(np.argmin(values))]
        return self.power * float(np.mean(values)), self.power * np.mean(gradients, axis=0)


@dataclass(frozen=True)
class Thrift:
    """What a trial costs: `posterior` models its logarithm, in units of its standard deviation over the results;
    `weight` is that, times the share of the budget that is left.

    E. H. Lee, V. Perrone, C. Archambeau, M. Seeger: Cost-aware Bayesian optimization. arXiv:2003.10870, 2020. The
    improvement a unit of cost at first, and the improvement alone in the end ("cost cooling"): or the search would
    never afford an optimum that is expensive.
    """

    posterior: Posterior
    weight: float

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        return -self.weight * self.posterior.predict(z)[0]

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        mean, _, towards, _ = self.posterior.predict_with_gradient(z)
        return -self.weight * float(mean[0]), -self.weight * towards[0]
