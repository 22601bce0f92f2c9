"""CMA-ES: samples of a normal distribution that learns its mean, its step size and its covariance from their ranks.

N. Hansen: The CMA evolution strategy: a tutorial. arXiv:1604.00772. Equation numbers without a name are those of its
version 2 (2023).
R. Hamano, S. Saito, M. Nomura, S. Shirakawa: CMA-ES with margin: lower-bounding marginal probability for mixed-integer
black-box optimization. GECCO 2022. arXiv:2205.13482.
R. Hamano, S. Saito, M. Nomura, K. Uchida, S. Shirakawa: CatCMA: stochastic optimization for mixed-category problems.
GECCO 2024. arXiv:2405.09962.
N. Hansen: Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed. GECCO 2009 (workshop).
N. Hansen: Injecting external solutions into CMA-ES. arXiv:1110.4181, 2011.
R. Ros, N. Hansen: A simple modification in CMA-ES achieving linear time and space complexity. PPSN 2008.
M. Nomura, Y. Akimoto, I. Ono: CMA-ES with learning rate adaptation. ACM TELO 2024. arXiv:2401.15876.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist
from typing import Any, ClassVar, Literal, NamedTuple

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import violation
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study

Array = np.ndarray[Any, np.dtype[np.float64]]
Rank = tuple[float, float]
"""By how much the constraints are violated, and then the loss; smaller is better."""

_WIDE = 100
"""With more numbers than that the covariance is a diagonal, which learns faster and costs less."""
_OUTSIDE = 10
"""So many samples are drawn anew that lie outside of the space; the next ones are put on its border."""
_TRIES = 100
"""So many samples are drawn that violate a constraint."""
_NARROW = 1e-12
"""A distribution that is narrower in each entry, as a share of its range, has nothing to find: floats have a grid."""
_FLAT = 1e-12
"""Losses that differ by less, relative to their size where it is above 1, are the same."""
_CONDITION = 1e14
"""No covariance is stretched more, as the ratio of its variances."""
_EPSILON = 1e-8


@dataclass(frozen=True)
class CMAES:
    """Samples of a normal distribution over the numbers of a space, which adapts to the best of them. Never ends.

    The distribution begins at the default config, with a standard deviation of `sigma`, a share of each range. A
    generation are `population` results (left out: 4 + 3 ln(d), rounded down), and no fewer than jobs are pending.
    Integers and ordered options are cells of the same distribution, which keeps a margin beyond the cell of its mean,
    so that none is fixed for ever. A Choice has a probability for each option, which adapts and has a margin as well.
    Entries that are inactive take part without effect.

    Where it has converged it begins again, at a random config: with twice the population ("ipop"), or by turns with
    that and with smaller populations and steps ("bipop"). With restarts="none" it ends there.

    `learning="adapted"` lowers the learning rates where the ranks are noisy or the landscape is rugged; it takes
    thousands of evaluations to pay. With `separable` the covariance is a diagonal; left out, above 100 numbers.

    Nobody waits: a generation is complete when as many results have come, of whichever jobs. A late one of the
    generations before is taken in, no farther from the mean than one of its own would be; one from before a restart is
    dropped. What fails is not ranked. Only results at the same number of steps are ranked together. It never looks
    whether a config comes twice, as it will where all entries are discrete: see `Unique`.

    Raises Unsupported for more than one objective.
    Reference: Hansen, arXiv:1604.00772, with the margin of Hamano et al., GECCO 2022 and 2024.
    """

    sigma: float = 0.2
    population: int | None = None
    restarts: Literal["bipop", "ipop", "none"] = "bipop"
    learning: Literal["fixed", "adapted"] = "fixed"
    separable: bool | None = None

    reference: ClassVar[str] = """
@article{hansen2016cma,
  title={The {CMA} evolution strategy: a tutorial},
  author={Hansen, Nikolaus},
  journal={arXiv preprint arXiv:1604.00772},
  year={2016}
}

@inproceedings{hamano2022cma,
  title={{CMA-ES} with margin: lower-bounding marginal probability for mixed-integer black-box optimization},
  author={Hamano, Ryoki and Saito, Shota and Nomura, Masahiro and Shirakawa, Shinichi},
  booktitle={Genetic and Evolutionary Computation Conference},
  pages={639--647},
  year={2022}
}

@inproceedings{hamano2024catcma,
  title={{CatCMA}: stochastic optimization for mixed-category problems},
  author={Hamano, Ryoki and Saito, Shota and Nomura, Masahiro and Uchida, Kento and Shirakawa, Shinichi},
  booktitle={Genetic and Evolutionary Computation Conference},
  pages={656--664},
  year={2024}
}"""

    def __post_init__(self) -> None:
        if not 0 < self.sigma <= 1:
            raise StudyError(f"CMAES: sigma={self.sigma}", hint="A share of a range, such as 0.2.")
        if self.population is not None and self.population < _FEWEST:
            raise StudyError(f"CMAES: population={self.population}", hint=f"At least {_FEWEST}, or leave it out.")
        if self.restarts not in ("bipop", "ipop", "none"):
            raise StudyError(f"CMAES: restarts={self.restarts!r}", hint='"bipop", "ipop" or "none".')
        if self.learning not in ("fixed", "adapted"):
            raise StudyError(f"CMAES: learning={self.learning!r}", hint='"fixed" or "adapted".')

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next sample of the distribution as it is now; trained to the end."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"CMAES ranks by one objective, the study has {len(study.objectives)}",
                hint="Random() and Bayes() serve several; or make the others constraints with at_most.",
            )
        search = self._search(study)
        if search.run is None:
            return None
        number = search.run.asked
        sample = search.run.sample(number)
        config = study.space.sample(rng) if sample is None else sample.config
        return Job(config, study.steps.maximum, tag=(search.run.number, search.run.generation, number))

    def why(self, study: Study) -> str:
        """Where the distribution is, in one line."""
        run = self._search(study.plan).run
        if run is None:
            return "it has converged"
        told = f"run {run.number + 1}, generation {run.generation + 1} of {run.size} configs"
        return f"{told}, steps of {run.normal.sigma:.3g}"

    def _search(self, study: Study) -> Search:
        key, seed = ("cmaes", self, study.space, study.goals), study.seed
        return study.fold(key, lambda: Search(self, study.space, seed).begun(self.sigma), Search.follow)


_FEWEST = 4
"""Of fewer, there are no two best ones to learn a direction from."""


# --- the space as a distribution sees it -----------------------------------------------------------------------------


class Layout:
    """Which coordinates of a space are `numbers` `(n,)`, which of these are `discrete`, and which are `choices`."""

    def __init__(self, space: Space) -> None:
        kinds = [(dimension.kind == "choice", dimension.size) for dimension in space.dimensions]
        places = range(len(kinds))
        self.space = space
        self.numbers = [place for place in places if not kinds[place][0] and kinds[place][1] != 1]
        self.choices = [place for place in places if kinds[place][0] and kinds[place][1] != 1]
        self.sizes = [kinds[place][1] or 0 for place in self.choices]
        self.discrete = [index for index, place in enumerate(self.numbers) if kinds[place][1] is not None]
        self.smooth = np.array([kinds[place][1] is None for place in self.numbers], dtype=bool)
        self.count = len(self.numbers) + len(self.choices)

    def borders(self, index: int, mean: float) -> tuple[float | None, float | None]:
        """Where the cell about `mean` of a discrete number ends; None where there is no other cell beyond."""
        axis = self.space.axes[self.numbers[index]]
        low, high = axis.cell(axis.at(min(max(mean, 0.0), 1.0)))
        return (low if low > _EPSILON else None), (high if high < 1 - _EPSILON else None)

    def start(self, config: Config) -> Array:
        """Where the mean begins: at a config, but in the middle of the cube where its cell reaches there, so that a
        middle that was only rounded to one side favours none.
        """
        mean, _ = self.read(config, np.full(len(self.numbers), 0.5))
        for index in self.discrete:
            axis = self.space.axes[self.numbers[index]]
            low, high = axis.cell(axis.at(float(mean[index])))
            mean[index] = 0.5 if low <= 0.5 <= high else mean[index]
        return mean

    def config(self, numbers: Array, options: Sequence[int]) -> Config:
        """The config at a point `(n,)` with an option for each Choice."""
        point = np.full(len(self.space.paths), 0.5)
        point[self.numbers] = numbers
        point[self.choices] = [(option + 0.5) / size for option, size in zip(options, self.sizes, strict=True)]
        return self.space.decode(point)

    def read(self, config: Config, mean: Array) -> tuple[Array, list[int | None]]:
        """A config as such a point, at the mean where it is inactive, and options."""
        point = self.space.encode(config)
        numbers = np.where(np.isnan(point[self.numbers]), mean, point[self.numbers])
        pairs = zip(point[self.choices].tolist(), self.sizes, strict=True)
        return numbers, [None if math.isnan(unit) else int(unit * size) for unit, size in pairs]


@lru_cache(maxsize=32)
def layout_of(space: Space) -> Layout:
    """The layout of a space, compiled once."""
    return Layout(space)


# --- constants -------------------------------------------------------------------------------------------------------


class Constants(NamedTuple):
    """The weights `(size,)`, of which the first `mu` are positive, and the learning rates: Hansen, table 1."""

    weights: Array
    mu: int
    mass: float
    c_1: float
    c_mu: float
    c_sigma: float
    d_sigma: float
    c_c: float
    length: float


@lru_cache(maxsize=64)
def constants(n: int, size: int, separable: bool) -> Constants:
    """For n numbers and generations of `size`."""
    raw = math.log((size + 1) / 2) - np.log(np.arange(1, size + 1))  # (49)
    mu = int((raw > 0).sum())
    mass = float(raw[:mu].sum() ** 2 / (raw[:mu] ** 2).sum())
    negative = float(raw[mu:].sum() ** 2 / (raw[mu:] ** 2).sum())
    faster = (n + 2) / 3 if separable else 1.0  # Ros and Hansen, section 3
    c_1 = min(0.5, faster * 2 / ((n + 1.3) ** 2 + mass))  # (57)
    c_mu = min(1 - c_1 - _EPSILON, faster * 2 * (mass - 2 + 1 / mass) / ((n + 2) ** 2 + mass))  # (58)
    c_mu = max(c_mu, _EPSILON)
    least = min(1 + c_1 / c_mu, 1 + 2 * negative / (mass + 2), (1 - c_1 - c_mu) / (n * c_mu))  # (50) to (52)
    weights = np.where(raw >= 0, raw / raw[:mu].sum(), least * raw / -raw[mu:].sum())  # (53)
    c_sigma = (mass + 2) / (n + mass + 5)  # (55)
    d_sigma = 1 + 2 * max(0.0, math.sqrt((mass - 1) / (n + 1)) - 1) + c_sigma
    c_c = (4 + mass / n) / (n + 4 + 2 * mass / n)  # (56)
    length = math.sqrt(n) * (1 - 1 / (4 * n) + 1 / (21 * n**2))
    return Constants(weights, mu, mass, c_1, c_mu, c_sigma, d_sigma, c_c, length)


# --- the distributions -----------------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """A config as it was drawn: `x` `(n,)` before the margin, the options, and when: the run and the generation."""

    config: Config
    x: Array
    options: Sequence[int | None]
    run: int
    generation: int


class Normal(msgspec.Struct):
    """N(mean, sigma² C), of which the margin stretches the coordinates by `stretch` when it is sampled.

    C is `axes` · diag(`lengths`²) · `axes`ᵀ, and a diagonal where `axes` is None. `to_sigma` and `to_c` are the
    evolution paths.
    """

    mean: Array
    sigma: float
    covariance: Array
    axes: Array | None
    lengths: Array
    to_sigma: Array
    to_c: Array
    stretch: Array
    rates: Rates | None = None

    @classmethod
    def round(cls, mean: Array, sigma: float, separable: bool, adapted: bool) -> Normal:
        """Equally wide in all directions."""
        n = len(mean)
        covariance, axes = (np.ones(n), None) if separable else (np.eye(n), np.eye(n))
        rates = Rates(np.zeros(n), np.zeros_like(covariance)) if adapted else None
        return cls(mean, sigma, covariance, axes, np.ones(n), np.zeros(n), np.zeros(n), np.ones(n), rates)

    @property
    def widths(self) -> Array:
        """The standard deviation of each coordinate `(n,)`, without the margin."""
        variances = self.covariance if self.axes is None else np.diag(self.covariance)
        return self.sigma * np.sqrt(variances)

    def coloured(self, z: Array) -> Array:
        """C^(1/2) z of white noise: (38), (39)."""
        return self.lengths * z if self.axes is None else self.axes @ (self.lengths * z)

    def whitened(self, y: Array) -> Array:
        """C^(-1/2) y of points `(..., n)`."""
        return y / self.lengths if self.axes is None else ((y @ self.axes) / self.lengths) @ self.axes.T

    def learn(self, x: Array, late: Any, generation: int, k: Constants) -> None:
        """Points `(size, n)`, the best first; `late` `(size,)` are those that were drawn from an earlier one."""
        before = (self.mean, self.sigma, self.covariance, self.whitened(np.eye(len(self.mean))))
        y = (x - self.mean) / self.sigma
        lengths = np.linalg.norm(self.whitened(y), axis=1)
        n = len(self.mean)
        longest = math.sqrt(n) + 2 * n / (n + 2)  # Hansen 2011, equation (4) and table 1
        y[late] *= np.minimum(1.0, longest / (lengths[late] + _EPSILON))[:, None]
        step = k.weights[: k.mu] @ y[: k.mu]  # (41)
        self.mean = self.mean + self.sigma * step  # (42)
        c, gain = k.c_sigma, math.sqrt(k.c_sigma * (2 - k.c_sigma) * k.mass)
        self.to_sigma = (1 - c) * self.to_sigma + gain * self.whitened(step)  # (43)
        size = float(np.linalg.norm(self.to_sigma))
        self.sigma *= math.exp(min(1.0, c / k.d_sigma * (size / k.length - 1)))  # (44); the bound: Hansen 2011
        calm = size / math.sqrt(1 - (1 - c) ** (2 * (generation + 2))) < (1.4 + 2 / (n + 1)) * k.length
        self.to_c = (1 - k.c_c) * self.to_c + calm * math.sqrt(k.c_c * (2 - k.c_c) * k.mass) * step  # (45)
        weights = k.weights * np.where(k.weights >= 0, 1.0, n / (lengths**2 + _EPSILON))  # (46)
        kept = 1 + (not calm) * k.c_1 * k.c_c * (2 - k.c_c) - k.c_1 - k.c_mu * k.weights.sum()
        self.covariance = kept * self.covariance + k.c_1 * self._outer(self.to_c[None], np.ones(1))  # (47)
        self.covariance = self.covariance + k.c_mu * self._outer(y, weights)
        if self.rates is not None:
            self.rates.damp(self, *before)
        self._decompose()

    def _outer(self, y: Array, weights: Array) -> Array:
        """The weighted sum of y yᵀ, or of its diagonal, over the rows of `y`."""
        return weights @ y**2 if self.axes is None else (y.T * weights) @ y

    def _decompose(self) -> None:
        if self.axes is None:
            self.covariance = np.maximum(self.covariance, 1e-30)
            self.lengths = np.sqrt(self.covariance)
            return
        self.covariance = (self.covariance + self.covariance.T) / 2
        variances, self.axes = np.linalg.eigh(self.covariance)
        self.lengths = np.sqrt(np.maximum(variances, 1e-30))

    def keep_margin(self, layout: Layout, least: float) -> None:
        """Each discrete coordinate leaves the cell of the mean with probability `least` or more: Hamano et al. 2022."""
        widths = self.widths * self.stretch
        for index in layout.discrete:
            low, high = layout.borders(index, float(self.mean[index]))
            width, mean = max(float(widths[index]), 1e-300), float(self.mean[index])
            if low is None or high is None:
                border = high if low is None else low
                if border is not None:
                    self.mean[index] = _beside(border, mean, width, least)  # equation (15)
            else:
                self.mean[index], width = _between(low, high, mean, width, least)
                self.stretch[index] *= width / max(float(widths[index]), 1e-300)

    def is_spent(self, layout: Layout) -> bool:
        """Whether no further step can be seen: narrower than the grid, or stretched beyond the precision of numbers."""
        narrow = bool(layout.smooth.any() and (self.widths[layout.smooth] < _NARROW).all())
        return narrow or float(self.lengths.max() ** 2) > _CONDITION * float(self.lengths.min() ** 2)


def _beside(border: float, mean: float, width: float, least: float) -> float:
    """The mean of an outermost cell, no farther from its border than `least` beyond the border allows."""
    farthest = -width * NormalDist().inv_cdf(least)
    return border + math.copysign(min(abs(mean - border), farthest), mean - border)


def _between(low: float, high: float, mean: float, width: float, least: float) -> tuple[float, float]:
    """Mean and width of a coordinate in an inner cell, of which each side keeps half the margin: equations (18) to
    (25).
    """
    normal = NormalDist(mean, width)
    below, above = normal.cdf(low), 1 - normal.cdf(high)
    inside = 1 - below - above
    low_part, high_part = max(below, least / 2), max(above, least / 2)
    surplus = (1 - low_part - high_part - inside) / (low_part + high_part + inside - 1.5 * least)
    low_part += surplus * (low_part - least / 2)
    high_part += surplus * (high_part - least / 2)
    to_low, to_high = (-NormalDist().inv_cdf(min(max(part, 1e-10), 0.5 - 1e-10)) for part in (low_part, high_part))
    return (low * to_high + high * to_low) / (to_low + to_high), (high - low) / (to_low + to_high)


class Rates(msgspec.Struct):
    """Learning rates that keep the signal above the noise: Nomura et al., algorithm 1. Running means of the steps of
    the mean and of the covariance, in coordinates where the distribution is round, and of their squared lengths.
    """

    mean: Array
    covariance: Array
    mean_square: float = 0.0
    covariance_square: float = 0.0
    for_mean: float = 1.0
    for_covariance: float = 1.0

    def damp(self, normal: Normal, mean: Array, sigma: float, covariance: Array, white: Array) -> None:
        """Shorten the step that the distribution has made from `mean`, `sigma`² `covariance`; `white` is C^(-1/2)."""
        moved, wide = normal.mean - mean, sigma**2 * covariance
        grown, diagonal = normal.sigma**2 * normal.covariance - wide, normal.axes is None
        step = moved / np.sqrt(covariance) / sigma if diagonal else white @ moved / sigma
        spread = (grown / covariance if diagonal else white @ grown @ white) / (sigma**2 * math.sqrt(2))
        before = self.for_mean
        self.mean, self.mean_square, self.for_mean = _adapted(self.mean, self.mean_square, step, before, 0.1)
        self.covariance, self.covariance_square, self.for_covariance = _adapted(
            self.covariance, self.covariance_square, spread, self.for_covariance, 0.03
        )
        normal.mean = mean + self.for_mean * moved
        whole = wide + self.for_covariance * grown
        variances = whole if diagonal else np.linalg.eigvalsh(whole)
        normal.sigma = math.exp(float(np.log(np.maximum(variances, 1e-300)).mean()) / 2)
        normal.covariance = whole / normal.sigma**2
        normal.sigma *= before / self.for_mean


def _adapted(running: Array, square: float, step: Array, rate: float, beta: float) -> tuple[Array, float, float]:
    """The running mean of steps, that of their squares, and the rate at which signal to noise is 1.4 times it."""
    running = (1 - beta) * running + beta * step
    square = (1 - beta) * square + beta * float((step**2).sum())
    signal = float((running**2).sum())
    ratio = (signal - beta / (2 - beta) * square) / max(square - signal, 1e-300)
    change = min(max(ratio / (1.4 * rate) - 1, -1.0), 1.0)
    return running, square, min(1.0, rate * math.exp(min(0.1 * rate, beta) * change))


class Options(msgspec.Struct):
    """The probabilities of the options of each Choice, and the state of their learning rate: Hamano et al. 2024,
    section 4; Akimoto et al., Adaptive stochastic natural gradient method for one-shot NAS, ICML 2019.
    """

    chances: list[Array]
    path: Array
    gamma: float = 0.0
    slowness: float = 1.0

    @classmethod
    def even(cls, sizes: Sequence[int]) -> Options:
        """All options equally likely."""
        return cls([np.full(size, 1 / size) for size in sizes], np.zeros(sum(size - 1 for size in sizes)))

    def drawn(self, rng: np.random.Generator) -> list[int]:
        """An option for each Choice."""
        return [
            min(int(np.searchsorted(np.cumsum(chances), rng.random(), side="right")), len(chances) - 1)
            for chances in self.chances
        ]

    def learn(self, rows: Sequence[Sequence[int | None]], weights: Array) -> None:
        """The options of the best, one row each, and their weights."""
        steps = [_pull(q, [row[place] for row in rows], weights) for place, q in enumerate(self.chances)]
        flat = np.concatenate([_whitened(step, q) for step, q in zip(steps, self.chances, strict=True)])
        length = float(np.linalg.norm(flat))
        if not length:
            return
        rate = 1.0 / self.slowness
        self.chances = [q + rate / length * step for q, step in zip(self.chances, steps, strict=True)]
        beta = rate / math.sqrt(len(flat))
        self.path = (1 - beta) * self.path + math.sqrt(beta * (2 - beta)) * flat / length
        self.gamma = (1 - beta) ** 2 * self.gamma + beta * (2 - beta)
        self.slowness *= math.exp(beta * (self.gamma - float(self.path @ self.path) / 1.5))
        self.slowness = max(self.slowness, beta)

    def keep_margin(self, count: int) -> None:
        """No option is less likely than the margin of `count` discrete entries: Hamano et al. 2024, equation (17)."""
        for place, q in enumerate(self.chances):
            least = (1 - 0.73 ** (1 / count)) / (len(q) - 1)
            raised = np.maximum(q, least)
            surplus = raised.sum() - 1
            self.chances[place] = raised - surplus * (raised - least) / (raised - least).sum()


def _pull(q: Array, chosen: Sequence[int | None], weights: Array) -> Array:
    """The weighted mean of what leads from `q` to each option that was chosen: the natural gradient."""
    step = np.zeros(len(q))
    for option, weight in zip(chosen, weights.tolist(), strict=True):
        if option is not None:
            step -= weight * q
            step[option] += weight
    return step


def _whitened(step: Array, q: Array) -> Array:
    """The step in coordinates where Fisher's information is the identity: Akimoto et al. 2019, appendix B."""
    roots, last = np.sqrt(q[:-1]), float(q[-1])
    whitened: Array = step[:-1] / roots + roots * step[:-1].sum() / (last + math.sqrt(last))
    return whitened


# --- the fold --------------------------------------------------------------------------------------------------------


class Run(msgspec.Struct):
    """A distribution from its beginning to where it has converged: the `number` of the run, its `generation`, of
    `size` results; how many were `asked` in it; the results `told`, by number of steps; all its `results`, and no more
    than `most`; the best and worst rank of each recent generation.
    """

    layout: Layout
    seed: int
    number: int
    population: int
    normal: Normal
    options: Options
    most: float = math.inf
    size: int = 0
    generation: int = 0
    asked: int = 0
    results: int = 0
    told: dict[int, list[tuple[Rank, Sample]]] = {}
    recent: list[Rank] = []

    def sample(self, number: int) -> Sample | None:
        """The sample of that number in the generation: the log says it again; None where all violate a constraint."""
        rng = np.random.default_rng([self.seed, self.number, self.generation, number])
        layout, normal = self.layout, self.normal
        for attempt in range(_TRIES):
            y = normal.sigma * normal.coloured(rng.standard_normal(len(normal.mean)))
            point = normal.mean + normal.stretch * y
            inside = np.where(layout.smooth, np.clip(point, 0.0, 1.0), point)
            options = self.options.drawn(rng)
            if attempt < _OUTSIDE and not np.array_equal(inside, point):
                continue
            config = layout.config(inside, options)
            if layout.space.satisfies(config) is None:
                x = normal.mean + (inside - normal.mean) / normal.stretch
                return Sample(config, x, options, self.number, self.generation)
        return None

    def sample_of(self, job: Job) -> Sample:
        """What a job asked for; where others changed it, or it was decided before the last result, by its config."""
        if job.tag[:2] == (self.number, self.generation) and len(job.tag) == 3:
            sample = self.sample(int(job.tag[2]))
            if sample is not None and sample.config == job.config:
                return sample
        numbers, options = self.layout.read(job.config, self.normal.mean)
        x = self.normal.mean + (numbers - self.normal.mean) / self.normal.stretch
        return Sample(job.config, x, options, self.number, -1)

    def tell(self, until: int, rank: Rank, sample: Sample, pending: int) -> bool:
        """One result more; whether the run has converged."""
        self.results += 1
        level = self.told.setdefault(until, [])
        level.append((rank, sample))
        if len(level) < self.size:
            return False
        self._learn(sorted(level, key=lambda pair: pair[0]))
        self.told[until] = []
        self.generation += 1
        self.asked, self.size = 0, max(self.population, pending)
        return self._has_converged()

    def _learn(self, ranked: list[tuple[Rank, Sample]]) -> None:
        n, layout = len(self.normal.mean), self.layout
        k = constants(max(n, 1), len(ranked), self.normal.axes is None)
        if n:
            late = np.array([sample.generation != self.generation for _, sample in ranked])
            self.normal.learn(np.array([sample.x for _, sample in ranked]), late, self.generation, k)
            self.normal.keep_margin(layout, 1 / (layout.count * self.population))  # Hamano et al. 2022, section 4.2
        if layout.choices:
            self.options.learn([sample.options for _, sample in ranked[: k.mu]], k.weights[: k.mu])
            self.options.keep_margin(len(layout.discrete) + len(layout.choices))
        kept = 10 + math.ceil(30 * layout.count / len(ranked))  # Hansen, appendix B.3
        self.recent = [*self.recent[2 - 2 * kept :], ranked[0][0], ranked[-1][0]]

    def _has_converged(self) -> bool:
        if self.results >= self.most:
            return True
        if len(self.recent) >= 2 * (10 + math.ceil(30 * self.layout.count / self.population)):
            (excess, low), (most, high) = min(self.recent), max(self.recent)
            if excess == most and high - low <= _FLAT * max(1.0, abs(low)):
                return True
        return bool(len(self.normal.mean)) and self.normal.is_spent(self.layout)


class Search(msgspec.Struct):
    """Fold state: the `run` that goes on, None after the last; who is `pending`; and what restarts know: by regime,
    how many results were spent, and how often the population has been doubled.
    """

    method: CMAES
    space: Space
    seed: int
    run: Run | None = None
    pending: dict[int, Sample | None] = {}
    runs: int = 0
    doubled: int = 0
    is_small: bool = False
    large: int = 0
    small: int = 0

    def begun(self, sigma: float, population: int | None = None, most: float = math.inf) -> Search:
        """With a run more: at the default config, or else at a random one."""
        layout, count = layout_of(self.space), self.runs
        config = self.space.sample(np.random.default_rng([self.seed, count])) if count else self.space.default()
        mean = layout.start(config)
        separable = len(layout.numbers) > _WIDE if self.method.separable is None else self.method.separable
        normal = Normal.round(mean, sigma, separable, self.method.learning == "adapted")
        size = population or self.population
        self.run = Run(layout, self.seed, count, size, normal, Options.even(layout.sizes), most, size)
        self.runs += 1
        return self

    @property
    def population(self) -> int:
        """The results of a generation of the first run: (48)."""
        return self.method.population or 4 + math.floor(3 * math.log(max(1, layout_of(self.space).count)))

    def follow(self, event: Event, study: Study) -> Search:
        """One event more."""
        if isinstance(event, Job) and event.parent is None and self.run is not None:
            self.pending[event.id] = self.run.sample_of(event)
            self.run.asked += 1
        elif isinstance(event, Result) and event.job in self.pending:
            self._end(event, study)
        return self

    def _end(self, event: Result, study: Study) -> None:
        sample, loss = self.pending.pop(event.job), study.loss(event.job)
        run = self.run
        if run is None or sample is None or not event.tells or not math.isfinite(loss) or sample.run != run.number:
            return
        rank = (violation(study, event.job), loss)
        if run.tell(study.jobs[event.job].until, rank, sample, len(self.pending)):
            self._restart(run)

    def _restart(self, run: Run) -> None:
        """Hansen 2009, section 2: with twice the population; and by turns with less of everything."""
        if self.is_small:
            self.small += run.results
        else:
            self.large += run.results
        method, size = self.method, self.population
        self.is_small = method.restarts == "bipop" and self.runs > 1 and self.small < self.large
        if method.restarts == "none":
            self.run = None
        elif self.is_small:
            chance, other = np.random.default_rng([self.seed, self.runs, 1]).random(2).tolist()
            smaller = max(_FEWEST, math.floor(size * (2**self.doubled / 2) ** (chance**2)))
            self.begun(method.sigma * 10 ** (-2 * other), smaller, max(self.large / 2, 1.0))
        else:
            self.doubled += 1
            self.begun(method.sigma, size * 2**self.doubled)
