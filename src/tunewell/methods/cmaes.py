"""CMA-ES: samples of a normal distribution that learns its mean, its step size and its covariance from their ranks.

N. Hansen: The CMA evolution strategy: a tutorial. arXiv:1604.00772. Equation numbers without a name are those of its
version 2 (2023).
R. Hamano, S. Saito, M. Nomura, S. Shirakawa: CMA-ES with margin: lower-bounding marginal probability for mixed-integer
black-box optimization. GECCO 2022. arXiv:2205.13482.
R. Hamano, S. Saito, M. Nomura, K. Uchida, S. Shirakawa: CatCMA: stochastic optimization for mixed-category problems.
GECCO 2024. arXiv:2405.09962.
N. Hansen: Benchmarking a BI-population CMA-ES on the BBOB-2009 function testbed. GECCO 2009 (workshop).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal, NamedTuple

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.methods.history import violation
from tunewell.methods.layout import Layout, layout_of
from tunewell.methods.normal import Array, Normal, constants
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Study

Rank = tuple[float, float]
"""By how much the constraints are violated, and then the loss; smaller is better."""

_WIDE = 100
"""With more numbers than that the covariance is a diagonal, which learns faster and costs less."""
_OUTSIDE = 10
"""So many samples are drawn anew that lie outside of the space; the next ones are put on its border."""
_TRIES = 100
"""So many samples are drawn that violate a constraint."""
_FLAT = 1e-12
"""Losses that differ by less, relative to their size where it is above 1, are the same."""


@dataclass(frozen=True)
class CMAES:
    """Samples of a normal distribution over the numbers of a space, which adapts to the best of them. Never ends.

    The distribution begins at the default config, with a standard deviation of `sigma`, a share of each range. A
    generation are `population` results (left out: 4 + 3 ln(d), rounded down), and no fewer than jobs are pending.
    Integers and ordered options are cells of the same distribution, which keeps a margin beyond the cell of its mean,
    so that none is fixed for ever; and one of each generation is the best config so far with one of them changed to the
    next value, each such neighbour once. A Choice has a probability for each option, which adapts and has a margin as
    well. Entries that are inactive take part without effect.

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


# --- probabilities of options -----------------------------------------------------------------------------------------


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


# --- the fold ---------------------------------------------------------------------------------------------------------


class Sample(NamedTuple):
    """A config as it was drawn: `x` `(n,)` before the margin, the options, and when: the run and the generation."""

    config: Config
    x: Array
    options: Sequence[int | None]
    run: int
    generation: int


class Best(msgspec.Struct):
    """The best of a run: its rank, where more steps come first, its point and options, and which of its `moves` to a
    neighbour are left to try.
    """

    rank: tuple[int, Rank]
    point: Array
    options: Sequence[int | None]
    moves: list[tuple[int, float]]


class Run(msgspec.Struct):
    """A distribution from its beginning to where it has converged: the `number` of the run, its `generation`, of
    `size` results; how many were `asked` in it; the results `told`, by number of steps; all its `results`, and no more
    than `most`; the best and worst rank of each recent generation; the `best` config, and one `beside` it that the
    generation begins with, where there are integers.
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
    best: Best | None = None
    beside: Sample | None = None

    def sample(self, number: int) -> Sample | None:
        """The sample of that number in the generation: the log says it again; None where all violate a constraint."""
        rng = np.random.default_rng([self.seed, self.number, self.generation, number])
        if number == 0 and self.beside is not None:
            return self.beside
        layout, normal = self.layout, self.normal
        for attempt in range(_TRIES):
            y = normal.sigma * normal.coloured(rng.standard_normal(len(normal.mean)))
            point = normal.mean + normal.stretch * y
            inside = np.clip(point, 0.0, 1.0)
            options = self.options.drawn(rng)
            if attempt < _OUTSIDE and (inside != point)[layout.smooth].any():
                continue
            config = layout.config(inside, options)
            if layout.space.satisfies(config) is None:
                return Sample(config, normal.unstretched(inside), options, self.number, self.generation)
        return None

    def sample_of(self, job: Job) -> Sample:
        """What a job asked for; where others changed it, or it was decided before the last result, by its config."""
        if job.tag[:2] == (self.number, self.generation) and len(job.tag) == 3:
            sample = self.sample(int(job.tag[2]))
            if sample is not None and sample.config == job.config:
                return sample
        numbers, options = self.layout.read(job.config, self.normal.mean)
        return Sample(job.config, self.normal.unstretched(numbers), options, self.number, -1)

    def tell(self, until: int, rank: Rank, sample: Sample, pending: int) -> bool:
        """One result more; whether the run has converged."""
        self.results += 1
        level = self.told.setdefault(until, [])
        level.append((rank, sample))
        if len(level) < self.size:
            return False
        ranked = sorted(level, key=lambda pair: pair[0])
        self._learn(ranked)
        self.told[until] = []
        self.generation += 1
        if self.layout.discrete:
            self._look_beside((-until, ranked[0][0]), ranked[0][1].config)
        self.asked, self.size = 0, max(self.population, pending)
        return self._has_converged()

    def _learn(self, ranked: list[tuple[Rank, Sample]]) -> None:
        n, layout = len(self.normal.mean), self.layout
        k = constants(max(n, 1), len(ranked), self.normal.axes is None)
        if n:
            late = np.array([sample.generation != self.generation for _, sample in ranked])
            x = np.array([sample.x for _, sample in ranked])
            if layout.discrete:
                x[: k.mu] = self.normal.centred(x[: k.mu], layout)
            self.normal.learn(x, late, self.generation, k)
            self.normal.keep_margin(layout, 1 / (layout.count * self.population))  # Hamano et al. 2022, section 4.2
        if layout.choices:
            self.options.learn([sample.options for _, sample in ranked[: k.mu]], k.weights[: k.mu])
            self.options.keep_margin(len(layout.discrete) + len(layout.choices))
        kept = 10 + math.ceil(30 * layout.count / len(ranked))  # Hansen, appendix B.3
        self.recent = [*self.recent[2 - 2 * kept :], ranked[0][0], ranked[-1][0]]

    def _look_beside(self, rank: tuple[int, Rank], config: Config) -> None:
        """One sample of the next generation is a neighbour of the best config, each of them once, in random order."""
        if self.best is None or rank < self.best.rank:
            point, options = self.layout.read(config, self.normal.mean)
            moves = self.layout.moves(point)
            np.random.default_rng([self.seed, self.number, self.generation]).shuffle(moves)
            self.best = Best(rank, point, options, moves)
        self.beside = self._neighbour(self.best) if self.best.moves else None

    def _neighbour(self, best: Best) -> Sample | None:
        index, unit = best.moves.pop()
        point = best.point.copy()
        point[index] = unit
        config = self.layout.config(point, [option or 0 for option in best.options])
        if self.layout.space.satisfies(config) is not None:
            return None
        return Sample(config, self.normal.unstretched(point), best.options, self.number, -1)

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
