"""What several goals make of an acquisition: a hypervolume to enlarge, or a random mixture of the goals.

S. Daulton, M. Balandat, E. Bakshy: Differentiable expected hypervolume improvement for parallel multi-objective
Bayesian optimization. NeurIPS 2020. arXiv:2006.05078.
H. Ishibuchi, R. Imada, Y. Setoguchi, Y. Nojima: How to specify a reference point in hypervolume calculation for fair
performance comparison. Evolutionary Computation 26, 2018.
J. Knowles: ParEGO: a hybrid algorithm with on-line landscape approximation for expensive multiobjective optimization
problems. IEEE Transactions on Evolutionary Computation 10, 2006.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.methods.cube import Array, Flags
from tunewell.methods.known import Known
from tunewell.surrogates.hypervolume import Boxes, log_expected_gain, with_slopes
from tunewell.surrogates.kernels import Groups
from tunewell.surrogates.pareto import non_dominated
from tunewell.surrogates.squeezing import Model

_MOST = 10_000
"""Beyond about so many boxes, a hypervolume takes longer than it is worth."""


@dataclass(frozen=True)
class HypervolumeImprovement:
    """The expected hypervolume improvement on what leaves `boxes` uncovered; one of the `models` for each goal, itself
    where it is known.
    """

    models: tuple[Model | Known, ...]
    boxes: Boxes

    @classmethod
    def on(cls, models: Sequence[Model | Known], known: Array, pending: Array) -> HypervolumeImprovement:
        """The improvement on known values (n, k) of the goals, and on the means that the models expect of pending jobs
        at columns (m, p), as if these were known.
        """
        reference = reference_of(known)
        if len(pending):
            believed = [model.predict(pending)[0] for model in models]
            models = [model.extended(pending, mean) for model, mean in zip(models, believed, strict=True)]
            known = np.vstack([known, np.stack(believed, axis=1)])
        return cls(tuple(models), Boxes.of(known, reference))

    def at(self, z: Array) -> Array:
        """Its logarithm at columns (m, p): (m,)."""
        means, variances = zip(*(model.predict(z) for model in self.models), strict=True)
        mean = np.stack([np.reshape(each, -1) for each in means], axis=1)
        return log_expected_gain(self.boxes, mean, np.sqrt(np.stack(variances, axis=1)))

    def slope(self, z: Array) -> tuple[float, Array]:
        """Its logarithm and the gradient (p,) at one point (p,)."""
        found = [model.predict_with_gradient(z) for model in self.models]
        deviation = np.sqrt([variance for _, variance, _, _ in found])
        mean = np.array([float(mean[0]) for mean, _, _, _ in found])
        value, by_mean, by_deviation = with_slopes(self.boxes, mean, deviation)
        towards, bends = (np.array(rows) for rows in zip(*((t[0], bend) for _, _, t, bend in found), strict=True))
        return value, by_mean @ towards + (by_deviation / (2 * deviation)) @ bends


def reference_of(values: Array) -> Array:
    """The reference point (k,) for values (n, k): the worst of the front and a tenth of its range beyond, as Ishibuchi
    et al. have it for two goals. At least the middle of the range of all, and for a short front close to the worst of
    all, so that it may grow at its ends: the median would not do, for it follows where a search has come to rest.
    """
    extent = np.ptp(values[non_dominated(values)], axis=0)
    worst, front = values.max(0), values[non_dominated(values)].max(0)
    reference: Array = np.max([front + 0.1 * extent, worst - extent, (values.min(0) + worst) / 2], axis=0)
    return reference + 1e-6


def best_first(values: Array, allowed: Flags) -> Groups:
    """The places of values (n, k), best first: what is allowed before the rest, the front before what it dominates, and
    then by the worst goal.
    """
    front = np.zeros(len(values), dtype=bool)
    front[allowed] = non_dominated(values[allowed])
    return np.lexsort((values.max(1), ~front, ~allowed))


def fits_boxes(values: Array) -> bool:
    """Whether the front of values (n, k) leaves few enough boxes: of one goal and of two always."""
    front = int(non_dominated(values).sum())
    boxes: int = front ** max(values.shape[1] - 2, 0)
    return boxes <= _MOST


def mixed(values: Array, rng: np.random.Generator) -> Array:
    """One value (n, 1) for the goals of values (n, k): the augmented Chebyshev norm with random weights, of goals from
    0 to 1. Knowles, equation (2), with weights that are uniform on the simplex.
    """
    weights = rng.dirichlet(np.ones(values.shape[1]))
    parts = weights * (values - values.min(0)) / np.maximum(np.ptp(values, axis=0), 1e-12)
    found: Array = parts.max(1, keepdims=True) + 0.05 * parts.sum(1, keepdims=True)
    return found
