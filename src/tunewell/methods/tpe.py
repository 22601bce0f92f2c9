"""Tree-structured Parzen estimator: where the good trials lie more densely than the others.

The trials are split into the best ones and the rest; a density is put on each, and the next config is that one of some
samples of the density of the good, l(x), for which l(x) / g(x) is highest: in it the expected improvement rises. Both
are mixtures over the whole tree of entries at once (`tunewell.surrogates.parzen`), so that entries which belong
together are drawn together, and no entry of a branch is drawn on its own.

J. Bergstra, R. Bardenet, Y. Bengio, B. Kégl: Algorithms for hyper-parameter optimization. NeurIPS 2011.
S. Watanabe: Tree-structured Parzen estimator: understanding its algorithm components and their roles for better
empirical performance. arXiv:2304.11127, 2023.
S. Falkner, A. Klein, F. Hutter: BOHB: robust and efficient hyperparameter optimization at scale. ICML 2018.
"""

from __future__ import annotations

import math
from bisect import bisect_left, insort
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import leads, violation
from tunewell.space import Config, Entry, Space, Weights
from tunewell.space.scale import LogIntegers, Options, Steps
from tunewell.study import Event, Job, Result, Study, canonical

if TYPE_CHECKING:
    from tunewell.surrogates.parzen import Coordinate, Mixture, Prior, Tree

Array = np.ndarray[Any, np.dtype[Any]]

_FINE = 0.01
"""A number whose values all lie closer than that counts as continuous."""

_MANY = 4096
"""A number with more values counts as continuous, too; a space with no more configs is looked through."""

_TABLE = 256
"""A prior of a number is tabulated in so many equally likely pieces."""

_LIGHTEST = 1e-3
"""The least weight of a good trial, relative to their mean."""

_FAR = 3.0
"""Losses that are so many times worse than the median, as far as the best is better, count as no worse than that."""

_TRIES = 20
"""So many rounds of candidates without a new one that is allowed are enough."""


@dataclass(frozen=True)
class TPE:
    """Samples of the density of the good trials, as far as possible from the others. Never ends.

    The space's default config comes first, then an even design that follows the priors, until `start` results are
    known. From then on the best share `share` of the trials, at most `most`, are the good ones; of the others, and of
    the failed ones, the last `history` count, and the pending ones. The best of `candidates` samples is asked for.
    `prior_weight`: for how many trials the prior counts. `narrowest`: the least width of a kernel, as a share of the
    range; with noise, what is closer than that cannot be told apart. `clip`: few trials give no narrow kernels.
    `weights`: a good trial counts by its improvement on the best that is not good, or each counts the same ("uniform").

    Learns from all results of the study at the largest `until` of which `start` are known. Where these tell their
    standard errors, as the mean of some folds does, the good ones are the best with luck taken out.
    Raises Unsupported for more than one objective.

    Reference: Bergstra et al., NeurIPS 2011, with the settings of Watanabe, arXiv:2304.11127.
    """

    start: int = 10
    candidates: int = 48
    share: float = 0.1
    most: int = 25
    history: int = 250
    prior_weight: float = 1.0
    narrowest: float = 0.01
    clip: bool = True
    weights: Literal["improvement", "uniform"] = "improvement"

    reference: ClassVar[str] = """
@inproceedings{bergstra2011algorithms,
  title={Algorithms for hyper-parameter optimization},
  author={Bergstra, James and Bardenet, R{\\'e}mi and Bengio, Yoshua and K{\\'e}gl, Bal{\\'a}zs},
  booktitle={Advances in Neural Information Processing Systems},
  volume={24},
  year={2011}
}

@article{watanabe2023tree,
  title={Tree-structured {Parzen} estimator: understanding its algorithm components and their roles for better
    empirical performance},
  author={Watanabe, Shuhei},
  journal={arXiv preprint arXiv:2304.11127},
  year={2023}
}

@inproceedings{falkner2018bohb,
  title={{BOHB}: robust and efficient hyperparameter optimization at scale},
  author={Falkner, Stefan and Klein, Aaron and Hutter, Frank},
  booktitle={International Conference on Machine Learning},
  pages={1437--1446},
  year={2018}
}"""

    def __post_init__(self) -> None:
        for name in ("start", "candidates", "most", "history"):
            if getattr(self, name) < 1:
                raise StudyError(f"TPE: {name}={getattr(self, name)}", hint="At least 1.")
        if not 0 < self.share < 1:
            raise StudyError(f"TPE: share={self.share}", hint="A share, between 0 and 1.")
        for name in ("prior_weight", "narrowest"):
            if not getattr(self, name) > 0:
                raise StudyError(f"TPE: {name}={getattr(self, name)}", hint="Above 0.")
        if self.weights not in ("improvement", "uniform"):
            raise StudyError(f"TPE: weights={self.weights!r}", hint='"improvement" or "uniform".')

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The default config, then the design, then what the densities say; trained to the end."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"TPE ranks by one objective, the study has {len(study.objectives)}",
                hint="Random() serves several; or make the others constraints with at_most.",
            )
        space = study.space
        known = study.root.fold(("tpe", space, study.goals), lambda: Known(space), _learn)
        if known.told < self.start:
            config = self._designed(study, known, rng)
        else:
            config = self._modelled(space, known, rng)
        return Job(config, study.steps.maximum)

    # --- before there is a model -------------------------------------------------------------------------------------

    def _designed(self, study: Study, known: Known, rng: np.random.Generator) -> Config:
        """The default config; then points of a Latin hypercube of `start` points; then random ones. New ones first."""
        space, place = study.space, len(study.jobs)
        options = [*leads(study), *([] if known.rows else [space.default()])]
        if place < self.start:
            chances = _hypercube(self.start, len(space.paths), study.seed)[place]
            options.append(space.decode(tree_of(space).drawn(chances[None])[0]))
        for config in options:
            if known.is_new(config) and space.satisfies(config) is None:
                return config
        return next((config for config in _samples(space, rng) if known.is_new(config)), None) or space.sample(rng)

    # --- the model ---------------------------------------------------------------------------------------------------

    def _modelled(self, space: Space, known: Known, rng: np.random.Generator) -> Config:
        """The best new one of the candidates that the constraints allow."""
        good, bad = self._mixtures(space, known)
        for _ in range(1 if space.size <= _MANY else _TRIES):
            points = good.sample(rng, self.candidates)
            for place in _ratio(good, bad, points).argsort(kind="stable")[::-1]:
                config = space.decode(points[place])
                if known.is_new(config) and space.satisfies(config) is None:
                    return config
        return self._other(space, known, good, bad, rng)

    def _mixtures(self, space: Space, known: Known) -> tuple[Mixture, Mixture]:
        """l(x) and g(x): Bergstra et al., equation (2)."""
        from tunewell.surrogates.parzen import mixture

        tree, (good, bad) = tree_of(space), known.split(self)
        fit = partial(mixture, prior_weight=self.prior_weight, narrowest=self.narrowest, clip=self.clip)
        weights = known.level(self.start).improvements(len(good)) if self.weights == "improvement" else None
        return fit(tree, known.units[good], weights), fit(tree, known.units[bad])

    def _other(self, space: Space, known: Known, good: Mixture, bad: Mixture, rng: np.random.Generator) -> Config:
        """The best of what is new in a small space; else a random config, a new one where that is easily found."""
        if len(known.rows) >= space.size:
            options = []
        elif space.size <= _MANY:
            options = [c for c in space.grid(8 * int(space.size)) if known.is_new(c) and space.satisfies(c) is None]
        else:
            options = [config for config in _samples(space, rng) if known.is_new(config)]
        if not options:
            return space.sample(rng)
        return options[int(_ratio(good, bad, space.encode_many(options)).argmax())]


def _ratio(good: Mixture, bad: Mixture, points: Array) -> Array:
    """log l(x) - log g(x) for points `(m, d)`: the expected improvement rises in it. Bergstra et al., section 4.1."""
    return good.log_density(points) - bad.log_density(points)


def _samples(space: Space, rng: np.random.Generator) -> Iterator[Config]:
    """Some random configs."""
    return (space.sample(rng) for _ in range(_TRIES))


@lru_cache(maxsize=16)
def _hypercube(size: int, dimensions: int, seed: int) -> Array:
    """A Latin hypercube `(size, dimensions)`: each of `size` equal slices of each dimension holds one point."""
    rng = np.random.default_rng([seed, size, dimensions])
    cells = rng.permuted(np.tile(np.arange(size)[:, None], dimensions), axis=0)
    points: Array = (cells + rng.random(cells.shape)) / size
    points.setflags(write=False)
    return points


# --- what is known ---------------------------------------------------------------------------------------------------


class Level(msgspec.Struct):
    """The results at one `until`: the `losses` of each row, one a replicate, as (violation, loss); the squared standard
    `errors` of those that tell theirs; the rows `ranked` by their means, and so once more with luck taken `out`, None
    where that is to be worked out; and in `order` of arrival.
    """

    losses: dict[int, list[tuple[float, float]]] = {}
    errors: dict[int, list[float]] = {}
    ranked: list[tuple[float, float, int]] = []
    out: list[tuple[float, float, int]] | None = None
    order: list[int] = []

    def add(self, row: int, violation: float, loss: float, error: float) -> None:
        """One result more; replicates of a config are one trial with their mean."""
        self.out = None
        if error > 0:
            self.errors.setdefault(row, []).append(error**2)
        told = self.losses.setdefault(row, [])
        if told:
            del self.ranked[bisect_left(self.ranked, (*_mean(told), row))]
        else:
            self.order.append(row)
        told.append((violation, loss))
        insort(self.ranked, (*_mean(told), row))

    def drop(self, row: int) -> None:
        """As if the row had told nothing."""
        told = self.losses.pop(row, None)
        if told:
            self.out = None
            self.errors.pop(row, None)
            del self.ranked[bisect_left(self.ranked, (*_mean(told), row))]
            self.order.remove(row)

    def best_first(self) -> list[tuple[float, float, int]]:
        """The rows by their means. Where results tell standard errors, luck is taken out of the means: one that is low
        and uncertain may well stand behind one that is known to be nearly as low.
        """
        if not self.errors:
            return self.ranked
        if self.out is None:
            self.out = self._without_luck()
        return self.out

    def _without_luck(self) -> list[tuple[float, float, int]]:
        from tunewell.honest.shrinkage import Belief, Measured

        rows = [row for *_, row in self.ranked]
        means = np.array([mean for _, mean, _ in self.ranked])
        best, middle = float(means.min()), float(np.median(means))
        if not best < middle:  # the better half is level, and has no width to tell how bad the others are
            return self.ranked
        near = np.minimum(means, middle + _FAR * (middle - best))  # how bad the bad ones are says nothing of the good
        with np.errstate(all="ignore"):
            found, _ = Belief(Measured(near[:, None].tolist(), self._errors_of(rows))).moments()
        if not np.isfinite(found).all():
            return self.ranked
        return sorted((over, mean, row) for (over, _, row), mean in zip(self.ranked, found.tolist(), strict=True))

    def _errors_of(self, rows: list[int]) -> Array:
        """The standard errors of the means `(n,)`; the typical one where a result did not tell its own."""
        counts = np.array([len(self.losses[row]) for row in rows])
        told = [self.errors.get(row, [math.nan]) for row in rows]
        errors: Array = np.sqrt([math.fsum(squares) / len(squares) for squares in told] / counts)
        return np.where(np.isnan(errors), np.nanmedian(errors), errors)

    def improvements(self, count: int) -> Array:
        """By how much each of the `count` best results improves on the one after them, as weights `(count,)` of mean
        about 1. Watanabe, section 3.2. All 1 where one of them violates a constraint.
        """
        best = np.array(self.best_first()[: count + 1]).reshape(-1, 3)
        gains: Array = best[-1:, 1] / 2 - best[:count, 1] / 2  # halves, so that huge losses do not overflow
        if best[:, 0].any() or not gains.any():
            return np.ones(len(gains))
        gains /= gains.max()
        weights: Array = np.maximum(gains / gains.mean(), _LIGHTEST)
        return weights


def _mean(told: list[tuple[float, float]]) -> tuple[float, float]:
    return tuple(math.fsum(column) / len(told) for column in zip(*told, strict=True))  # type: ignore[return-value]


class Known(msgspec.Struct):
    """Fold state: the configs of all jobs as points `units` of the unit cube, one row for each config, and what became
    of them. `rows` is the row of a config by its text, `told` counts the results that say something.
    """

    space: Space
    units: Array = np.zeros((0, 0))
    rows: dict[str, int] = {}
    levels: dict[int, Level] = {}
    failed: list[int] = []
    pending: dict[int, int] = {}
    told: int = 0

    def is_new(self, config: Config) -> bool:
        """Whether no job has had the config."""
        return canonical(config) not in self.rows

    def row(self, config: Config) -> int:
        """The row of a config, which a new one gets."""
        row = self.rows.setdefault(canonical(config), len(self.rows))
        if row >= len(self.units):  # twice the room, so that a row costs the same however many there are
            room = np.zeros((max(64, 2 * len(self.units)), len(self.space.paths)))
            room[: len(self.units)] = self.units.reshape(len(self.units), len(self.space.paths))
            self.units = room
        if row == len(self.rows) - 1:
            self.units[row] = self.space.encode(config)
        return row

    def fail(self, row: int, until: int) -> None:
        """The config of a row failed on its way to `until`: what it told before counts no more."""
        self.failed.append(row)
        for earlier, level in self.levels.items():
            if earlier < until:
                level.drop(row)

    def split(self, settings: TPE) -> tuple[list[int], list[int]]:
        """The rows of the good trials and of the bad ones, each in order of arrival."""
        level = self.level(settings.start)
        count = min(math.ceil(settings.share * (len(level.ranked) + len(self.failed))), settings.most)
        good = [row for *_, row in level.best_first()[:count]]
        rest = set(good)
        recent = level.order[-settings.history - count :]
        bad = [row for row in recent if row not in rest]
        bad = (self._left_behind(settings) + bad)[-settings.history :]
        return good, bad + self.failed[-settings.history :] + list(self.pending.values())

    def _left_behind(self, settings: TPE) -> list[int]:
        """The rows in the worse half of each level below that have no result at the level that counts. Who goes on is
        chosen among the better ones, so that its results alone would say that what is near to the best is bad.
        """
        until = self.until(settings.start)
        reached = self.level(settings.start).losses
        worse: dict[int, None] = {}
        for lower, level in self.levels.items():
            if lower < until:
                half = max(len(level.ranked) // 2, len(level.ranked) - settings.history)
                worse.update(dict.fromkeys(row for *_, row in level.ranked[half:]))
        return [row for row in worse if row not in reached]

    def until(self, enough: int) -> int:
        """The largest `until` of which enough results are known; else that of most; 0 where none are."""
        filled = [until for until, level in self.levels.items() if len(level.order) >= enough]
        if filled:
            return max(filled)
        return max(self.levels, key=lambda until: len(self.levels[until].order), default=0)

    def level(self, enough: int) -> Level:
        """The results at that `until`."""
        return self.levels.get(self.until(enough), Level())


def _learn(known: Known, event: Event, study: Study) -> Known:
    """Fold: one event more."""
    if isinstance(event, Job):
        known.pending[event.id] = known.row(event.config)
    elif isinstance(event, Result):
        row = known.pending.pop(event.job)
        if not event.tells:
            return known
        loss = study.loss(event.job)
        if event.status == "failed" or (event.status == "done" and not math.isfinite(loss)):
            known.fail(row, study.jobs[event.job].until)
            known.told += 1
        elif event.status == "done":
            level = known.levels.setdefault(study.jobs[event.job].until, Level())
            error = event.std.get(study.objectives[0].metric, math.nan)
            level.add(row, violation(study, event.job), loss, error)
            known.told += 1
    return known


# --- the space as a tree of coordinates ------------------------------------------------------------------------------


@lru_cache(maxsize=32)
def tree_of(space: Space) -> Tree:
    """The coordinates of a space, as the densities need them."""
    from tunewell.surrogates.parzen import Tree

    return Tree([_coordinate(space, place) for place in range(len(space.paths))])


def _coordinate(space: Space, place: int) -> Coordinate:
    from tunewell.surrogates.parzen import Coordinate

    dimension = space.dimensions[place]
    entry, above = space.leaves[dimension.path], space.conditions[place]
    cells, values = _cells(entry)
    return Coordinate(
        cells,
        values,
        ordered=dimension.kind != "choice",
        prior=_prior(entry, cells),
        parent=-1 if above is None else above[0],
        options=() if above is None else above[1],
    )


def _cells(entry: Entry) -> tuple[Array | None, Array | None]:
    """The edges of the cells of a discrete entry, and the values in them where these are not in the middle."""
    axis: Any = entry.axis
    if isinstance(axis, LogIntegers) and axis.size is not None and axis.size <= _MANY:
        numbers = range(axis.low, axis.high + 1)
        edges = np.array([axis.unit(axis.low - 0.5), *(axis.unit(number + 0.5) for number in numbers)])
        values = np.array([axis.unit(number) for number in numbers])
        return (edges, values) if np.diff(edges).max() > _FINE else (None, None)
    if isinstance(axis, Options) or (axis.size is not None and axis.size * _FINE < 1):
        return np.arange(axis.size + 1) / axis.size, None
    return None, None


def _prior(entry: Entry, cells: Array | None) -> Prior:
    """The prior of an entry on the unit interval."""
    from tunewell.surrogates.parzen import Prior

    given = getattr(entry, "prior", None)
    if given is None:
        return Prior()
    if isinstance(given, Weights):
        assert cells is not None
        return Prior(cells, np.array(given.values) / sum(given.values))
    quantile = given.within(*entry.axis.wide)
    edges = np.array([_unit(entry.axis, quantile(number / _TABLE)) for number in range(_TABLE + 1)])
    # Equal edges are a probability on one point: they are moved apart by a hair.
    edges = np.maximum.accumulate(edges) * (1 - 1e-6) + np.linspace(0, 1e-6, len(edges))
    return Prior(edges, np.full(_TABLE, 1 / _TABLE))


def _unit(axis: Any, value: float) -> float:
    """Where a number, which need not be a value of the entry, lies on the unit interval."""
    if not isinstance(axis, Steps):
        return float(axis.unit(value))
    low, high = axis.wide
    return min(max((value - low) / (high - low), 0.0), 1.0)
