"""How much of the differences between results each entry explains, and how sure that is.

I. M. Sobol: Global sensitivity indices for nonlinear mathematical models. Mathematics and Computers in Simulation 55,
2001.
A. Saltelli et al.: Variance based sensitivity analysis of model output. Computer Physics Communications 181, 2010.
Table 2: (b), the share of an entry alone; (f), by Jansen, its share with all that it interacts with.
J. T. Wilson et al.: Efficiently sampling functions from Gaussian process posteriors. ICML 2020. arXiv:2002.09309.

The shares are those of functions drawn from a Gaussian process of the results: where these say little, the functions
differ, and so do the shares. Its hyperparameters are drawn as well, for length-scales are what few results tell least.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray

from tunewell.surrogates.gp import BOUNDS, Columns, Data, Hyperparameters, Posterior, evidence, fit
from tunewell.surrogates.gp import Prior as Belief
from tunewell.surrogates.kernels import correlation, squared_distances

Array = NDArray[np.float64]

LEAST = 8
"""Fewer results tell nothing."""
_POINTS = 256
"""Pairs of points that the shares of one function are computed from."""
_FUNCTIONS = 3
"""Functions drawn for each draw of the hyperparameters, of which there are so many:"""
_HYPERS = 8
_WAVES = 512
"""Random Fourier features of a function of the prior."""
_FITTED = 120
"""At most so many results enter the model: the time of a fit grows as the cube of their number."""
_FOLDS = 5
"""Parts of the results, each of which is predicted from the others."""
_WIDE = 1.5
"""No logarithm of a hyperparameter is less certain than this standard deviation, where proposals are drawn."""


@dataclass(frozen=True)
class Coordinates:
    """What the d coordinates of points `(n, d)` in the unit cube are; NaN in a point: not active there.

    `sizes (d,)` is how many values there are, evenly spaced, 0 where they are continuous; `choices (d,)` which have no
    order; `parents (d,)` the coordinate of a choice and the numbers of its options that make this one active, or None.
    """

    sizes: tuple[int, ...]
    choices: tuple[bool, ...]
    parents: tuple[tuple[int, tuple[int, ...]] | None, ...]

    def settled(self, points: Array) -> Array:
        """The points as the nearest values have them, NaN where they are not active. Changes nothing."""
        found = points.copy()
        for index, (size, parent) in enumerate(zip(self.sizes, self.parents, strict=True)):
            if size:
                found[:, index] = (np.minimum(np.floor(found[:, index] * size), size - 1) + 0.5) / size
            if parent is not None:
                option = np.floor(np.nan_to_num(found[:, parent[0]], nan=-1.0) * self.sizes[parent[0]])
                found[~np.isin(option, parent[1]), index] = np.nan
        return found

    @property
    def widths(self) -> list[int]:
        """How many columns each coordinate takes in `embed`: one for each option of a choice, else one."""
        return [size if choice else 1 for size, choice in zip(self.sizes, self.choices, strict=True)]

    @property
    def columns(self) -> Columns:
        """What the columns of `embed` are."""
        groups = np.repeat(np.arange(len(self.sizes)), self.widths)
        return Columns.of(groups, ~np.array(self.choices, dtype=bool)[groups])

    def embed(self, points: Array) -> Array:
        """Columns `(n, p)` for the kernel: different options at distance 1; what is not active in the middle, or 0."""
        blocks = []
        for index, width in enumerate(self.widths):
            column = points[:, index]
            if self.choices[index]:
                options = np.floor(np.nan_to_num(column, nan=-1.0) * width)
                blocks.append((options[:, None] == np.arange(width)) * 0.5**0.5)
            else:
                blocks.append(np.nan_to_num(column, nan=0.5)[:, None])
        return np.hstack(blocks)


class Shares(msgspec.Struct, frozen=True, eq=False):
    """Shares of the variance over the unit cube, `(d,)` each, and their intervals `(2, d)`: `alone` without
    interactions, `total` with them.

    `skill` is the share of the variance of the results that the model predicts of those that it has not seen; `tells`
    whether that is more than their mean does, at odds of about 20 to 1. Where it does not, the shares are NaN.
    """

    alone: Array
    alone_interval: Array
    total: Array
    total_interval: Array
    skill: float
    tells: bool


def shares(points: Array, losses: Array, counts: Array, coordinates: Coordinates, seed: int = 0) -> Shares:
    """The shares of results: `losses (n,)` at `points (n, d)`, each the mean of `counts (n,)` measurements.

    At least `LEAST` results that differ are needed. Uniform in the unit cube, where an inactive coordinate makes no
    difference.
    """
    rng = np.random.default_rng(seed)
    kept = _thinned(losses, rng)
    values = (losses[kept] - losses[kept].mean()) / losses[kept].std()
    columns = coordinates.columns
    data = Data(coordinates.embed(points[kept]), values, columns, np.zeros(len(kept)), counts[kept].astype(float))
    start = Hyperparameters.start(columns.count)
    skill, tells = _skill(data, start, rng)
    if not tells:
        unknown = np.full((2, columns.count), np.nan)
        return Shares(unknown[0], unknown, unknown[0], unknown, skill, False)
    best = fit(data, start)
    stacked = coordinates.embed(coordinates.settled(_frozen(*_pairs(len(coordinates.sizes), rng))))
    drawn = [_functions(data, hyper, stacked, rng) for hyper in _drawn(data, best, rng)]
    found = np.array([[_shares_of(values) for values in each] for each in drawn])  # (h, f + 1, 2, d), the mean last
    return Shares(*_told(found[..., 0, :]), *_told(found[..., 1, :]), skill, tells)


def _thinned(losses: Array, rng: np.random.Generator) -> NDArray[np.intp]:
    """The places of no more than `_FITTED` results, at random: which are left out must not depend on their losses."""
    order = rng.permutation(len(losses))[:_FITTED]
    return np.sort(order)


def _skill(data: Data, start: Hyperparameters, rng: np.random.Generator) -> tuple[float, bool]:
    """What models that were fitted without a value predict of it, against what the mean of the others does: the share
    of the variance, and whether that is no accident.
    """
    n = len(data.y)
    fold = rng.permutation(n) % min(_FOLDS, n)
    gain = np.empty(n)
    plain = np.empty(n)
    for number in range(min(_FOLDS, n)):
        inside, outside = np.flatnonzero(fold != number), np.flatnonzero(fold == number)
        part = data.part(inside)
        predicted = Posterior.of(part, fit(part, start, steps=30)).predict(data.z[outside])[0]
        plain[outside] = (data.y[outside] - part.y.mean()) ** 2
        gain[outside] = plain[outside] - (data.y[outside] - predicted) ** 2
    error = float(gain.std(ddof=1)) / math.sqrt(n)
    return float(gain.sum() / plain.sum()), bool(gain.mean() > 1.65 * error)


# --- draws of the model -----------------------------------------------------------------------------------------------


def _drawn(data: Data, best: Hyperparameters, rng: np.random.Generator) -> list[Hyperparameters]:
    """Hyperparameters from their posterior: a normal distribution about the best, weighted by the density."""
    middle = best.vector()
    root = _spread(data, middle)
    low, high = _bounds(len(middle))
    steps = rng.standard_normal((6 * _HYPERS, len(middle) - 1))
    proposals = np.repeat(middle[None], len(steps), axis=0)
    proposals[:, :-1] = np.clip(middle[:-1] + steps @ root.T, low[:-1], high[:-1])
    logs = np.array([evidence(each, data, Belief())[0] for each in proposals])
    logs += 0.5 * np.einsum("ij,ij->i", steps, steps)  # less the density that they were proposed with
    weights = np.exp(logs - logs.max())
    chosen = rng.choice(len(steps), size=_HYPERS, p=weights / weights.sum())
    return [Hyperparameters.of_vector(proposals[place]) for place in chosen]


def _spread(data: Data, middle: Array) -> Array:
    """A root of the covariance of the logarithms (all but the last, which nothing here depends on) by Laplace."""
    count, step = len(middle) - 1, 1e-2
    curvature = np.empty((count, count))
    for place in range(count):
        ends = [middle + sign * step * np.eye(len(middle))[place] for sign in (1.0, -1.0)]
        upper, lower = (evidence(end, data, Belief())[1][:count] for end in ends)
        curvature[place] = (lower - upper) / (2 * step)
    values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
    found: Array = vectors / np.sqrt(np.maximum(values, _WIDE**-2))
    return found


def _bounds(count: int) -> tuple[Array, Array]:
    ends = np.array([*[BOUNDS[0]] * (count - 4), *BOUNDS[1:]])
    return ends[:, 0], ends[:, 1]


def _functions(data: Data, hyper: Hyperparameters, z: Array, rng: np.random.Generator) -> Array:
    """Values `(f + 1, m)` of functions of the posterior at points `(m, p)`, and of their mean: functions of the prior,
    and what the results correct of them (Wilson et al., equation 13).
    """
    widths = np.sqrt(np.array(hyper.inverse))[data.columns.groups]
    prior = _prior(data.columns, hyper, widths, rng)
    posterior = Posterior.of(data, hyper)
    known, asked = prior(data.z), prior(z)
    noise = rng.standard_normal(known.shape) * np.sqrt(data.noises(hyper))
    weights = (data.y - known - noise) @ posterior.root.T @ posterior.root
    shared = hyper.scale * correlation(squared_distances(z * widths, data.z * widths))
    shared += hyper.trend * (data.columns.features(z) @ posterior.features.T)
    found: Array = np.vstack([asked + weights @ shared.T, posterior.weights[None] @ shared.T])
    return found


def _prior(
    columns: Columns, hyper: Hyperparameters, widths: Array, rng: np.random.Generator
) -> Callable[[Array], Array]:
    """Functions of the prior: waves whose frequencies follow the spectrum of the Matérn-5/2 kernel, and the trend."""
    frequencies = rng.standard_normal((len(widths), _WAVES)) * np.sqrt(5.0 / rng.chisquare(5.0, _WAVES))
    phases = rng.uniform(0, 2 * np.pi, _WAVES)
    heights = math.sqrt(2.0 * hyper.scale / _WAVES) * rng.standard_normal((_FUNCTIONS, _WAVES))
    bends = math.sqrt(hyper.trend) * rng.standard_normal((_FUNCTIONS, len(widths) + int(columns.numbers.sum())))
    return lambda z: heights @ np.cos(z * widths @ frequencies + phases).T + bends @ columns.features(z).T


# --- the shares of a function -----------------------------------------------------------------------------------------


def _pairs(d: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Two sets of points `(m, d)` that fill the cube evenly together."""
    from scipy.stats.qmc import Sobol

    both = Sobol(2 * d, rng=rng).random(_POINTS)
    return both[:, :d], both[:, d:]


def _frozen(a: Array, b: Array) -> Array:
    """Points a, points b, and for each coordinate a with that of b, `(m (d + 2), d)`."""
    mixed = np.repeat(a[None], a.shape[1], axis=0)
    for index in range(a.shape[1]):
        mixed[index, :, index] = b[:, index]
    return np.vstack([a, b, *mixed])


def _shares_of(values: Array) -> tuple[Array, Array]:
    """The share alone and in total of each coordinate, `(d,)` each, of the values at the points of `_frozen`."""
    a, b, *rest = values.reshape(-1, _POINTS)
    mixed = np.array(rest)
    variance = max(float(np.concatenate([a, b]).var()), 1e-12)
    alone = ((b - values.mean()) * (mixed - a)).mean(1) / variance
    total = 0.5 * ((a - mixed) ** 2).mean(1) / variance
    return np.clip(alone, 0.0, 1.0), np.clip(total, 0.0, 1.0)


def _told(found: Array) -> tuple[Array, Array]:
    """The share `(d,)` and its interval `(2, d)` of shares `(h, f + 1, d)`, the last of each row that of the mean.

    Functions are rougher than their mean, so that entries without influence would seem to have some; the mean is
    smoother than the truth. The interval holds nine tenths of the functions, and all of the means.
    """
    means, functions = found[:, -1], found[:, :-1].reshape(-1, found.shape[-1])
    low, high = np.quantile(functions, [0.05, 0.95], axis=0)
    return np.median(means, axis=0), np.array([np.minimum(low, means.min(0)), np.maximum(high, means.max(0))])
