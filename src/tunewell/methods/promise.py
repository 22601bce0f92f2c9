"""What the models of `Bayes` promise at any point of a space.

The acquisition is the log expected improvement, of the hypervolume where there are several goals, plus, for everything
that can go wrong, the log probability that it does not: failures, and measured constraints (see
`tunewell.methods.terms` and `tunewell.methods.front`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tunewell.methods.cube import Array, Cube, Flags
from tunewell.methods.front import HypervolumeImprovement, best_first, fits_boxes, mixed
from tunewell.methods.history import History, Outcome
from tunewell.methods.terms import Factor, Improvement, Term
from tunewell.study import Goal
from tunewell.surrogates.gp import Columns, Data, Groups, Hyperparameters, Posterior, fit
from tunewell.surrogates.hypervolume import non_dominated
from tunewell.surrogates.kernels import squared_distances
from tunewell.surrogates.parzen import Mixture
from tunewell.surrogates.warping import WARPS, standardized

_BELIEF = 10.0
"""For how many results the priors of the space count in full (β of πBO)."""

_FITTED = 250
"""How many values the hyperparameters of a model are fitted to, at most."""

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
    """How results become models: the warp of the losses, the rule for what has to be improved on, and the number of
    results that a model holds at most.
    """

    output: str = "half-rank"
    incumbent: str = "observed"
    limit: int = 500

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
        bounds = [goal for goal in goals if goal.is_constraint]
        losses = _losses(outcomes, len(goals) - len(bounds))
        warped = self._warped(outcomes, losses)
        if not fits_boxes(warped):
            losses = mixed(warped, rng)
            warped = self._warped(outcomes, losses)
        kept = self._kept(cube, outcomes, warped)
        outcomes, losses, warped = [outcomes[place] for place in kept], losses[kept], warped[kept]
        points = np.array([outcome.point for outcome in outcomes])
        z, stage = _staged(cube.embed(points), np.array([float(outcome.until) for outcome in outcomes]))
        columns = _columns(cube, stage)
        allowed = np.array([_is_allowed(outcome, bounds) for outcome in outcomes])
        failed = np.array([*history.failed.values()]).reshape(-1, points.shape[1])
        lost = _at_stage(cube.embed(failed[-self.limit // 2 :]), stage)
        data = _data(z, warped, columns, outcomes, losses)
        models = [_model(_with_failures(each, lost)) for each in data]
        waiting = _at_stage(cube.embed(pending), stage)
        terms = self._improvement(models, warped, allowed & _is_longest(outcomes), waiting, rng)
        terms += [*_bounded(z, columns, outcomes, bounds), *_successful(z, columns, lost)]
        order = best_first(warped, allowed)
        tried = np.vstack([[outcome.point for outcome in history.done.values()], failed, pending])
        belief = None if density is None else Belief(density, _BELIEF / len(tried))
        taken = frozenset(cube.keys(tried))
        return Promise(cube, tuple(terms), stage, taken, belief), points[order[: max(8, _front(warped[allowed]))]]

    def _warped(self, outcomes: Sequence[Outcome], losses: Array) -> Array:
        """The losses (n, k) as values; those of each goal and number of steps among themselves."""
        untils, found = np.array([outcome.until for outcome in outcomes]), np.empty_like(losses)
        for until in np.unique(untils):
            for goal, column in enumerate(losses.T):
                found[untils == until, goal] = WARPS[self.output](column[untils == until])
        return found

    def _improvement(
        self, models: Sequence[Posterior], values: Array, eligible: Flags, pending: Array, rng: np.random.Generator
    ) -> list[Term]:
        """The improvement on the eligible ones of the values (n, k); where there are none, none: until something keeps
        to the constraints, only these count.
        """
        if not eligible.any():
            return []
        if self.incumbent == "mean":
            values = np.stack([model.predict(model.data.z[: len(values)])[0] for model in models], axis=1)
        if len(models) > 1:
            return [HypervolumeImprovement.on(models, values[eligible], pending)]
        model, best = models[0], values[eligible].min(0)
        if len(pending):
            model, best = _imagined(model, best, pending, rng)
        return [Improvement(model, best)]

    def _kept(self, cube: Cube, outcomes: Sequence[Outcome], warped: Array) -> Groups:
        """Which outcomes enter the models: all, or a third each of the best, of those nearest to the best one or to the
        front, and of the others, evenly over time.
        """
        if len(outcomes) <= self.limit:
            return np.arange(len(outcomes))
        third = self.limit // 3
        order = best_first(warped, np.ones(len(warped), dtype=bool))
        z = cube.embed(np.array([outcome.point for outcome in outcomes]))
        near = np.argsort(squared_distances(z, z[order[: _front(warped)]]).min(1), kind="stable")
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


def _front(values: Array) -> int:
    """How many of the values (n, k) no other one dominates: of one goal, 1."""
    return int(non_dominated(values).sum())


def _losses(outcomes: Sequence[Outcome], goals: int) -> Array:
    """The mean losses (n, k) of the objectives."""
    return np.array([[total / outcome.count for total in outcome.totals[:goals]] for outcome in outcomes])


def _data(z: Array, warped: Array, columns: Columns, outcomes: Sequence[Outcome], losses: Array) -> list[Data]:
    """One for each goal, with known variances where the results say them, on the scale of the warped values."""
    counts = np.array([float(outcome.count) for outcome in outcomes])
    errors = np.sqrt([outcome.variances for outcome in outcomes]) / counts[:, None]
    if errors.shape != losses.shape:
        errors = np.full_like(losses, np.nan)  # of a mixture of goals, nothing is known
    return [
        Data(z, values, columns, _variances(error, loss), counts)
        for values, error, loss in zip(warped.T, errors.T, losses.T, strict=True)
    ]


def _variances(errors: Array, losses: Array) -> Array:
    """The squares (n,) of standard errors, as shares of the variance of the losses; 0 where they are unknown."""
    spread = 0.0 if np.isnan(errors).all() else float(np.std(losses))
    return (np.nan_to_num(errors) / spread) ** 2 if spread > 0 else np.zeros(len(losses))


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


def _model(data: Data) -> Posterior:
    """The posterior of all of the data; its hyperparameters are fitted to no more than 250 values, for the time of a
    step grows as their cube: to the best third and evenly over the others.
    """
    order = np.argsort(data.y, kind="stable")
    best, others = order[: _FITTED // 3], order[_FITTED // 3 :]
    if len(order) > _FITTED:
        others = np.sort(others)[np.linspace(0, len(others) - 1, _FITTED - len(best)).astype(int)]
    return Posterior.of(data, fit(data.part(np.sort([*best, *others])), Hyperparameters.start(data.columns.count)))


def _imagined(model: Posterior, best: Array, z: Array, rng: np.random.Generator) -> tuple[Posterior, Array]:
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
