"""What the models of `Bayes` promise at any point of a space.

The acquisition is the log expected improvement, of the hypervolume where there are several goals, plus, for everything
that can go wrong, the log probability that it does not: failures, and measured constraints; less what it costs, where
cost is what the budget counts (`tunewell.methods.terms`, `tunewell.methods.front`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from tunewell.methods.cube import Array, Cube
from tunewell.methods.front import HypervolumeImprovement
from tunewell.methods.history import History
from tunewell.methods.known import Known
from tunewell.methods.readings import Reader, Readings, at_stage
from tunewell.methods.terms import Factor, Improvement, Line, Pool, Term, Thrift
from tunewell.study import Goal
from tunewell.surrogates.gp import Columns, Data, Hyperparameters, Posterior, evidence, fit_believed
from tunewell.surrogates.kernels import Groups
from tunewell.surrogates.parzen import Mixture
from tunewell.surrogates.squeezing import Model, Squeezed, fit_squeeze
from tunewell.surrogates.warping import standardized

_BELIEF = 10.0
"""For how many results the priors of the space count in full (β of πBO)."""

_FITTED = 250
"""How many values and derivatives the hyperparameters of a model are fitted to, at most."""

_FANTASIES = 16
"""How many sets of results are imagined for the pending jobs."""

_LATER = {"oom": 1, "diverged": 2, "timeout": 2}
"""When kinds of failures happen: who fails at one number has got past all smaller ones. What is not here says nothing
of the others.
"""

_CAUTION = 8.0
"""The power of the probability of success. With 1, the expected improvement of one trial, a search goes along the edge
where trials fail: of 100 trials in spaces a third of which fails it wastes 14 to 19, with 8 from 8 to 11, and ends with
the same loss.
"""

_LIKE = 0.1
"""Costs that differ by less, as logarithms, are taken as equal."""


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
        z = at_stage(self.cube.embed(points), self.stage)
        total = sum((term.at(z) for term in self.terms), np.zeros(len(z)))
        if self.belief is not None:
            total = total + self.belief.at(points)
        return np.where([key in self.taken for key in self.cube.keys(points)], -np.inf, total)

    def slope(self, columns: Array) -> tuple[float, Array]:
        """The log acquisition without what people believe, and its gradient (p,), at columns (p,) of the cube."""
        z = at_stage(columns[None], self.stage)[0]
        value, gradient = 0.0, np.zeros(len(z))
        for term in self.terms:
            more, towards = term.slope(z)
            value, gradient = value + more, gradient + towards
        return value, gradient[: len(columns)]


@dataclass(frozen=True)
class Spending:
    """What the budget of a study counts beside trials: `seconds` or "cost", and the share that is `left` of it."""

    what: str
    left: float


@dataclass(frozen=True)
class Modelling:
    """How results become models: the warp of the losses, the rule for what has to be improved on, the number of results
    that a model holds at most, and the warp of the numbers.
    """

    output: str = "half-rank"
    incumbent: str = "result"
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
        spending: Spending | None = None,
    ) -> tuple[Promise, Array]:
        """The acquisition after the outcomes of a study of `goals`, with pending jobs at points (k, d); and the points
        (m, d) of the best configs, best first. `density` is that of the priors of the space, where it has any.
        """
        readings = Reader(self.output, self.limit).read(cube, history, goals, rng)
        models = self._models(readings) if readings.eligible.any() else []
        terms = self._improvement(readings, models, readings.embed(pending), rng)
        terms += [*_bounded(readings, goals), *_successful(readings), *_thrifty(readings, spending)]
        outcomes = [outcome.point for outcome in history.done.values()]
        tried = np.vstack([outcomes, *history.failed.values(), *pending])
        belief = None if density is None else Belief(density, _BELIEF / len(tried))
        promise = Promise(cube, tuple(terms), readings.stage, frozenset(cube.keys(tried)), belief)
        return promise, readings.best()

    def _improvement(
        self, readings: Readings, models: Sequence[Model | Known], pending: Array, rng: np.random.Generator
    ) -> list[Term]:
        """The improvement on what can be best; where nothing can, none: until something keeps to the constraints, only
        these count.
        """
        if not models:
            return []
        values = readings.values
        if self.incumbent == "mean":
            values = np.stack([model.predict(readings.z)[0] for model in models], axis=1)
        if len(models) > 1:
            return [HypervolumeImprovement.on(models, values[readings.eligible], pending)]
        model, best = models[0], values[readings.eligible].min(0)
        assert not isinstance(model, Known)  # one objective alone is modelled
        if len(pending):
            model, best = _imagined(model, best, pending, rng)
        return [Improvement(model, best, self._noise(model, readings))]

    def _noise(self, model: Model, readings: Readings) -> float:
        """The variance of what a result adds to the function, where the acquisition counts it: not where derivatives or
        results of other numbers of steps tell of a place more than its own result would.
        """
        counts = self.incumbent == "result" and not len(readings.stage) and model.data.along is None
        return model.hyper.noise if counts else 0.0

    def _models(self, readings: Readings) -> list[Model | Known]:
        """One for each goal, itself where it is known: without the results of related tasks where the own ones are
        likelier alone than after these, as the evidence has it.
        """
        models = self._each(readings)
        if readings.own == len(readings.z):
            return models
        pairs = zip(models, self._each(readings.alone()), strict=True)
        return [max(pair, key=lambda model: _likelihood(model, readings.tasks)) for pair in pairs]

    def _each(self, readings: Readings) -> list[Model | Known]:
        """One for each goal; the derivatives are those of the first."""
        unknown = np.full_like(readings.slopes, np.nan)
        slopes = [readings.slopes, *[unknown] * (readings.values.shape[1] - 1)]
        data = [
            Data(readings.z, values, readings.columns, variances, readings.counts)
            for values, variances in zip(readings.values.T, readings.variances.T, strict=True)
        ]
        return [
            readings.known.get(goal) or self._model(_with_failures(each, readings.lost), towards)
            for goal, (each, towards) in enumerate(zip(data, slopes, strict=True))
        ]

    def _model(self, data: Data, slopes: Array) -> Model:
        """That of the losses, with the warp of the numbers that its values ask for."""
        if self.input == "none":
            return _model(data, slopes)
        part = data.part(_fitted(data, _FITTED))
        squeeze, hyper = fit_squeeze(part, Hyperparameters.start(data.columns.count))
        inside = slopes / squeeze.slope(data.z[: len(slopes)])
        return Squeezed(_model(squeeze.of_data(data), inside, hyper), squeeze)


def _likelihood(model: Model | Known, tasks: int) -> float:
    """The log likelihood of the values of this study, given those of related tasks; 0 of what is known."""
    if isinstance(model, Known):
        return 0.0
    data, logs = model.data.values(), model.hyper.vector()
    others = np.flatnonzero((data.z[:, data.z.shape[1] - tasks :] > 0.5).any(1))
    return evidence(logs, data)[0] - (evidence(logs, data.part(others))[0] if len(others) else 0.0)


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


def _bounded(readings: Readings, goals: Sequence[Goal]) -> list[Factor]:
    """A factor for each side of each measured constraint."""
    found = []
    for place, goal in enumerate(reversed([goal for goal in goals if goal.is_constraint]), start=1):
        values = np.array([outcome.totals[-place] for outcome in readings.outcomes[: readings.own]])
        values = values / readings.counts[: readings.own]
        sides = [(1.0, goal.at_most), (-1.0, None if goal.at_least is None else -goal.at_least)]
        found += [_factor(readings, sign * values, bound) for sign, bound in sides if bound is not None]
    return found


def _factor(readings: Readings, values: Array, bound: float) -> Factor:
    """The probability that values like these (n,) are at most `bound`."""
    # standardized together with the bound, so that it lies on the scale of the values
    scaled = standardized(np.append(values, bound))
    middle = scaled[:-1].mean()
    return Factor(_model(_plain(readings, scaled[:-1] - middle)), float(scaled[-1] - middle))


def _plain(readings: Readings, values: Array) -> Data:
    """Other values (m,) of the outcomes of this study, of unknown variance: those of related tasks are on scales of
    their own.
    """
    own = readings.own
    return Data(readings.z[:own], values, readings.columns, np.zeros(own), readings.counts[:own])


def _successful(readings: Readings) -> list[Pool]:
    """The probability that a config does not fail, cautiously; nothing where nothing failed."""
    found = successes(readings.z, readings.lost, readings.kinds, readings.columns)
    return [replace(pool, power=_CAUTION) for pool in found]


def successes(worked: Array, lost: Array, kinds: Sequence[str], columns: Columns) -> list[Pool]:
    """For each kind of failure that happened, a model of whether a config fails so, 1 or -1: the probability that it
    does not. Columns (n, p) of what worked and (m, p) of what was lost, of these `kinds` (m,).

    Each kind has its own reasons and so its own model, in which all that got past it counts as a success: what
    diverged had room in memory. A Gaussian process, which takes any shape, and a logistic regression, which knows what
    lies beyond what was tried: memory is a product of entries, so that where it ends is a plane among their logarithms.
    Of memory the more doubtful of the two counts, since the process is too sure where a search has gathered. Other
    failures may be of any shape, of which a plane may know nothing.
    """
    found = []
    for kind in dict.fromkeys(kinds):
        here = np.array([each == kind for each in kinds])
        passed = np.array([kind in _LATER and _LATER[kind] < _LATER.get(each, 0) for each in kinds])
        z = np.vstack([worked, lost[passed], lost[here]])
        labels = np.concatenate([-np.ones(len(z) - here.sum()), np.ones(here.sum())])
        process = Factor(_model(Data.of(z, labels, columns)), 0.0)
        found.append(Pool((process, Line.of(z, labels < 0)), least=kind == "oom"))
    return found


def _thrifty(readings: Readings, spending: Spending | None) -> list[Thrift]:
    """A model of the logarithm of what a trial costs, where the budget counts it and it differs."""
    if spending is None:
        return []
    own = readings.own
    costs = [getattr(outcome, spending.what) for outcome in readings.outcomes[:own]] / readings.counts[:own]
    if not costs.min() > 0 or np.ptp(np.log(costs)) < _LIKE:  # also where one is unknown, NaN
        return []
    logs = np.log(costs)
    return [Thrift(_model(_plain(readings, standardized(logs))), spending.left * float(logs.std()))]
