"""What the models of `Bayes` promise at any point of a space.

The acquisition is the log expected improvement plus, for everything that can go wrong, the log probability that it does
not: failures, and measured constraints (see `tunewell.methods.terms`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.methods.cube import Array, Cube, Flags
from tunewell.methods.history import History, Outcome
from tunewell.methods.terms import Factor, Improvement, Term
from tunewell.study import Goal
from tunewell.surrogates.gp import Columns, Data, Hyperparameters, Posterior, fit_believed
from tunewell.surrogates.kernels import Groups
from tunewell.surrogates.parzen import Mixture
from tunewell.surrogates.squeezing import Model, Squeezed, fit_squeeze
from tunewell.surrogates.warping import WARPS, standardized, steepness

_BELIEF = 10.0
"""For how many results the priors of the space count in full (β of πBO)."""

_FITTED = 250
"""How many values and derivatives the hyperparameters of a model are fitted to, at most."""

_FANTASIES = 16
"""How many sets of results are imagined for the pending jobs."""


@dataclass(frozen=True)
class Belief:
    """Where people expect the optimum: the log density of their priors, weighted less the more results there are.

    C. Hvarfner, D. Stoll, A. Souza, M. Lindauer, F. Hutter, L. Nardi: πBO: augmenting acquisition functions with user
    beliefs for Bayesian optimization. ICLR 2022. arXiv:2204.11051, equation (6).
    """

    density: Mixture
    weight: float

    def at(self, points: Array) -> Array:
        """The weighted log density at points (m, d): (m,)."""
        return self.weight * self.density.log_density(points)


@dataclass(frozen=True)
class Promise:
    """The acquisition: the sum of `terms`, and of what people believe.

    `stage` (q,) holds the columns that stand behind those of the cube: the number of steps, where results of several
    are modelled together. `taken` are the points that were tried or are running.
    """

    cube: Cube
    terms: tuple[Term, ...]
    stage: Array
    taken: frozenset[bytes]
    belief: Belief | None = None

    def at(self, points: Array) -> Array:
        """The log acquisition at points (m, d): (m,); -inf where nothing new would be learned."""
        z = _at_stage(self.cube.embed(points), self.stage)
        total = sum((term.at(z) for term in self.terms), np.zeros(len(z)))
        if self.belief is not None:
            total = total + self.belief.at(points)
        return np.where([key in self.taken for key in self.cube.keys(points)], -np.inf, total)

    def slope(self, columns: Array) -> tuple[float, Array]:
        """The log acquisition without what people believe, and its gradient (p,), at columns (p,) of the cube."""
        z = _at_stage(columns[None], self.stage)[0]
        value, gradient = 0.0, np.zeros(len(z))
        for term in self.terms:
            more, towards = term.slope(z)
            value, gradient = value + more, gradient + towards
        return value, gradient[: len(columns)]


@dataclass(frozen=True)
class Modelling:
    """How results become models: the warp of the losses, the rule for what has to be improved on, the number of results
    that a model holds at most, and the warp of the numbers.
    """

    output: str = "half-rank"
    incumbent: str = "observed"
    limit: int = 500
    input: str = "none"

    def promise(
        self,
        cube: Cube,
        history: History,
        goals: Sequence[Goal],
        pending: Array,
        rng: np.random.Generator,
        density: Mixture | None = None,
    ) -> tuple[Promise, Array]:
        """The acquisition after the outcomes of a study of `goals`, with pending jobs at points (k, d); and the points
        (m, d) of the best configs, best first. `density` is that of the priors of the space, where it has any.
        """
        outcomes = list(history.done.values())
        warped, steep = self._warped(outcomes)
        kept = self._kept(cube, outcomes, warped)
        outcomes, warped, steep = [outcomes[place] for place in kept], warped[kept], steep[kept]
        points = np.array([outcome.point for outcome in outcomes])
        z, stage = _staged(cube.embed(points), np.array([float(outcome.until) for outcome in outcomes]))
        columns = _columns(cube, stage)
        bounds = [goal for goal in goals if goal.is_constraint]
        allowed = np.array([_is_allowed(outcome, bounds) for outcome in outcomes])
        failed = np.array([*history.failed.values()]).reshape(-1, points.shape[1])
        lost = _at_stage(cube.embed(failed[-self.limit // 2 :]), stage)
        slopes = _slopes(cube, outcomes, steep, z.shape[1])
        model = self._model(_with_failures(_data(z, warped, columns, outcomes), lost), slopes)
        best = self._best(model, z, warped, allowed & _is_longest(outcomes))
        if len(pending) and best is not None:
            model, best = _imagined(model, best, _at_stage(cube.embed(pending), stage), rng)
        # where nothing keeps to the constraints yet, only these count
        terms: list[Term] = [] if best is None else [Improvement(model, best)]
        terms += [*_bounded(z, columns, outcomes, bounds), *_successful(z, columns, lost)]
        order = np.lexsort((warped, ~allowed))
        tried = np.vstack([[outcome.point for outcome in history.done.values()], failed, pending])
        belief = None if density is None else Belief(density, _BELIEF / len(tried))
        taken = frozenset(cube.keys(tried))
        return Promise(cube, tuple(terms), stage, taken, belief), points[order[:8]]

    def _warped(self, outcomes: Sequence[Outcome]) -> tuple[Array, Array]:
        """The losses as values, and how steep the warp is there; those of each number of steps among themselves."""
        losses = np.array([outcome.totals[0] / outcome.count for outcome in outcomes])
        untils, found, steep = np.array([outcome.until for outcome in outcomes]), *np.empty((2, len(losses)))
        for until in np.unique(untils):
            rows = untils == until
            found[rows] = WARPS[self.output](losses[rows])
            steep[rows] = steepness(self.output, losses[rows], found[rows])
        return found, steep

    def _model(self, data: Data, slopes: Array) -> Model:
        """That of the losses, with the warp of the numbers that its values ask for."""
        if self.input == "none":
            return _model(data, slopes)
        part = data.part(_fitted(data, _FITTED))
        squeeze, hyper = fit_squeeze(part, Hyperparameters.start(data.columns.count))
        inside = slopes / squeeze.slope(data.z[: len(slopes)])
        return Squeezed(_model(squeeze.of_data(data), inside, hyper), squeeze)

    def _best(self, model: Model, z: Array, warped: Array, allowed: Flags) -> Array | None:
        if not allowed.any():
            return None
        values = model.predict(z)[0] if self.incumbent == "mean" else warped
        return np.array([values[allowed].min()])

    def _kept(self, cube: Cube, outcomes: Sequence[Outcome], warped: Array) -> Groups:
        """Which outcomes enter the models: all, or a third each of the best, of those nearest to the best one, and of
        the others, evenly over time.
        """
        if len(outcomes) <= self.limit:
            return np.arange(len(outcomes))
        third = self.limit // 3
        order = np.argsort(warped, kind="stable")
        z = cube.embed(np.array([outcome.point for outcome in outcomes]))
        near = np.argsort(((z - z[order[0]]) ** 2).sum(1), kind="stable")
        chosen = dict.fromkeys([*order[:third].tolist()])
        chosen.update(dict.fromkeys([place for place in near.tolist() if place not in chosen][:third]))
        rest = np.array([place for place in range(len(outcomes)) if place not in chosen])
        evenly = rest[np.linspace(0, len(rest) - 1, self.limit - len(chosen)).astype(int)]
        return np.sort(np.array([*chosen, *evenly.tolist()]))


def _staged(z: Array, untils: Array) -> tuple[Array, Array]:
    """The columns with the logarithm of the steps behind them, and what stands there for the largest: nothing where
    all are equal.
    """
    logs = np.log(untils)
    if not np.ptp(logs):
        return z, np.zeros(0)
    return np.hstack([z, ((logs - logs.min()) / np.ptp(logs))[:, None]]), np.ones(1)


def _columns(cube: Cube, stage: Array) -> Columns:
    """What the columns are: those of the cube, then those of the stage."""
    groups = np.concatenate([cube.groups, len(cube.sizes) + np.arange(len(stage))]).astype(np.intp)
    return Columns.of(groups, np.concatenate([~cube.choices[cube.groups], np.ones(len(stage), dtype=bool)]))


def _at_stage(z: Array, stage: Array) -> Array:
    return np.hstack([z, np.broadcast_to(stage, (len(z), len(stage)))])


def _is_longest(outcomes: Sequence[Outcome]) -> Flags:
    untils = np.array([outcome.until for outcome in outcomes])
    longest: Flags = untils == untils.max()
    return longest


def _data(z: Array, warped: Array, columns: Columns, outcomes: Sequence[Outcome]) -> Data:
    """With known variances where the results say them, on the scale of the warped values."""
    counts = np.array([float(outcome.count) for outcome in outcomes])
    deviations = np.sqrt([outcome.variance for outcome in outcomes]) / counts
    if np.isnan(deviations).all():
        return Data(z, warped, columns, np.zeros(len(z)), counts)
    spread = float(np.std([outcome.totals[0] / outcome.count for outcome in outcomes]))
    scaled = (np.nan_to_num(deviations) / spread) ** 2 if spread > 0 else np.zeros(len(z))
    return Data(z, warped, columns, scaled, counts)


def _with_failures(data: Data, failed: Array) -> Data:
    """The data, with a loss like the mean of the worse half where jobs failed (m, p): a model that knew nothing of the
    loss there would promise the largest improvement exactly where nothing can be had.
    """
    worse = data.y[data.y > np.median(data.y)]
    assumed = float(worse.mean()) if len(worse) else 0.0
    return Data(
        np.vstack([data.z, failed]),
        np.concatenate([data.y, np.full(len(failed), assumed)]),
        data.columns,
        np.concatenate([data.variances, np.zeros(len(failed))]),
        np.concatenate([data.counts, np.ones(len(failed))]),
    )


def _slopes(cube: Cube, outcomes: Sequence[Outcome], steep: Array, width: int) -> Array:
    """The derivatives of the values along the columns (k, width) by the chain rule, NaN where one is unknown."""
    found = np.full((len(outcomes), width), np.nan)
    for row, outcome in enumerate(outcomes):
        if outcome.slopes:
            found[row, cube.firsts] = np.array(outcome.slopes) / outcome.count * steep[row]
    found[~np.isfinite(found)] = np.nan
    return found


def _model(data: Data, slopes: Array | None = None, start: Hyperparameters | None = None) -> Posterior:
    """The posterior of all of the data, and of the derivatives of its first values along the columns, `slopes` (k, p).

    Its hyperparameters are fitted to no more than 250 values and derivatives, for the time of a step grows as the cube
    of their number: to the best third and evenly over the others. A model holds as many derivatives at most.
    """
    known = np.full(data.z.shape, np.nan)
    if slopes is not None:
        known[: len(slopes)] = slopes
    part = _fitted(data, _FITTED if np.isnan(known).all() else _FITTED // 2)
    fitted = _with_slopes(data.part(part), known[part], _FITTED - len(part))
    believed, hyper = fit_believed(fitted, start or Hyperparameters.start(data.columns.count))
    return Posterior.of(data if believed.along is None else _with_slopes(data, known, _FITTED), hyper)


def _fitted(data: Data, count: int) -> Groups:
    """The places of no more than `count` values: all, or the best third and evenly over the others."""
    order = np.argsort(data.y, kind="stable")
    if len(order) <= count:
        return np.arange(len(order))
    best, others = order[: count // 3], np.sort(order[count // 3 :])
    return np.sort(np.concatenate([best, others[np.linspace(0, len(others) - 1, count - len(best)).astype(int)]]))


def _with_slopes(data: Data, slopes: Array, count: int) -> Data:
    """The data with no more than `count` of the derivatives (n, p) that are known, those of the best values."""
    order = np.argsort(data.y, kind="stable")
    rows, along = np.nonzero(np.isfinite(slopes[order]))
    places = order[rows[:count]]
    return data.with_derivatives(places, along[:count], slopes[places, along[:count]])


def _imagined(model: Model, best: Array, z: Array, rng: np.random.Generator) -> tuple[Model, Array]:
    """The model and what has to be improved on, for some sets of results that the pending jobs may have."""
    root = np.linalg.cholesky(model.covariance(z) + 1e-6 * model.hyper.scale * np.eye(len(z)))
    results = model.predict(z)[0] + rng.standard_normal((_FANTASIES, len(z))) @ root.T
    return model.extended(z, results), np.minimum(best, results.min(1))


def _is_allowed(outcome: Outcome, bounds: Sequence[Goal]) -> bool:
    values = outcome.totals[len(outcome.totals) - len(bounds) :]
    return all(goal.holds(total / outcome.count) for goal, total in zip(bounds, values, strict=True))


def _bounded(z: Array, columns: Columns, outcomes: Sequence[Outcome], bounds: Sequence[Goal]) -> list[Factor]:
    """A factor for each side of each measured constraint."""
    counts = np.array([float(outcome.count) for outcome in outcomes])
    found = []
    for place, goal in enumerate(reversed(bounds), start=1):
        values = np.array([outcome.totals[-place] for outcome in outcomes]) / counts
        sides = [(1.0, goal.at_most), (-1.0, None if goal.at_least is None else -goal.at_least)]
        for sign, bound in sides:
            if bound is not None:
                # standardized together with the bound, so that it lies on the scale of the values
                scaled = standardized(np.append(sign * values, bound))
                data = Data(z, scaled[:-1] - scaled[:-1].mean(), columns, np.zeros(len(z)), counts)
                found.append(Factor(_model(data), float(scaled[-1] - scaled[:-1].mean())))
    return found


def _successful(z: Array, columns: Columns, failed: Array) -> list[Factor]:
    """A model of whether a config fails, 1 or -1: the probability that it does not; nothing where nothing failed."""
    if not len(failed):
        return []
    labels = np.concatenate([-np.ones(len(z)), np.ones(len(failed))])
    return [Factor(_model(Data.of(np.vstack([z, failed]), labels, columns)), 0.0)]
