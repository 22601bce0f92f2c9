"""Bayesian optimization with a Gaussian process.

J. Snoek, H. Larochelle, R. P. Adams: Practical Bayesian optimization of machine learning algorithms. NeurIPS 2012.
arXiv:1206.2944.
S. Ament et al.: Unexpected improvements to expected improvement for Bayesian optimization. NeurIPS 2023.
arXiv:2310.20708.
D. Huang, T. T. Allen, W. I. Notz, N. Zeng: Global optimization of stochastic black-box systems via sequential kriging
meta-models. Journal of Global Optimization 34, 2006.
S. Daulton, M. Balandat, E. Bakshy: Differentiable expected hypervolume improvement for parallel multi-objective
Bayesian optimization. NeurIPS 2020. arXiv:2006.05078.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from tunewell import budget
from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.avoid import Avoid
from tunewell.methods.cube import cube_of
from tunewell.methods.history import LEADS, History, history_of, leads
from tunewell.methods.localsearch import LocalSearch
from tunewell.methods.plan import asked_for
from tunewell.methods.quasirandom import Sobol
from tunewell.methods.random import Random
from tunewell.methods.tpe import TPE, tree_of
from tunewell.space import Config, Space
from tunewell.study import Job, Study

if TYPE_CHECKING:
    from tunewell.surrogates.parzen import Mixture

_PROVEN, _PROVEN_OF_CHOICES = 64, 32
"""From so many results on, the share of other proposals grows; and where all entries are choices."""

_LOOKED_AT = 200
"""So many points say whether constraints leave less than about one in a hundred."""

_CHOICES = {
    "output": ("none", "half-rank", "normal", "yeo-johnson"),
    "incumbent": ("observed", "result", "mean"),
    "input": ("none", "kumaraswamy"),
}


@dataclass(frozen=True)
class Bayes:
    """Proposes where a Gaussian process of the results expects the largest improvement. Never ends.

    The first `start` trials (left out: one more than entries, 4 to 9) are the default config and Sobol's points;
    results from elsewhere count among them. `output` is the warp of the losses (`tunewell.surrogates.warping`),
    `incumbent` what has to improve on what: of one objective, the "result" of a config on the best loss, with the noise
    that the model infers and less where that is most of it; the model's function on the best loss "observed", as with
    "result" where there are several objectives, gradients or numbers of steps; or that on the best "mean" of the model
    at what was tried. The priors of the entries count for the first trials and fade. Pending jobs enter as imagined
    results; failures and measured constraints as probabilities; results of several numbers of steps are modelled
    together. The gradients of results (`Result.gradient`) are observations as well, unless they contradict the values.
    `input` is the warp of the numbers ("kumaraswamy": Snoek et al., arXiv:1402.0929), for losses that change at one end
    of a range. A share `share` of the proposals are those of `TPE`, so that no single model can fail, or of a
    `LocalSearch` of its own where all entries are choices; with one objective, the more results beyond 64 (32), the
    larger it is, up to a half. At most `limit` results enter a model. Where the budget counts cost or seconds, cheaper
    trials count for more, the more of it is left (Lee et al., arXiv:2003.10870).

    Of several objectives each has a model, and the acquisition is the expected improvement of the hypervolume that the
    front covers, among the warped losses; from three objectives on, where the front becomes too long for that, it is
    the improvement of a random mixture of the objectives. An objective that the space knows (`Space.known`) is computed
    instead of modelled, unless it is mixed. Pending jobs then enter by their expected results, and the share is
    Sobol's, or random where constraints leave hardly anything.

    Raises Unsupported where there is no objective. Reference: Snoek, Larochelle and Adams, NeurIPS 2012; Daulton,
    Balandat and Bakshy, NeurIPS 2020, for several objectives.
    """

    start: int | None = None
    output: Literal["none", "half-rank", "normal", "yeo-johnson"] = "half-rank"
    incumbent: Literal["observed", "result", "mean"] = "result"
    share: float = 0.1
    limit: int = 500
    input: Literal["none", "kumaraswamy"] = "none"

    reference: ClassVar[str] = """
@inproceedings{snoek2012practical,
  title={Practical {Bayesian} optimization of machine learning algorithms},
  author={Snoek, Jasper and Larochelle, Hugo and Adams, Ryan P.},
  booktitle={Advances in Neural Information Processing Systems},
  volume={25},
  year={2012}
}

@inproceedings{daulton2020differentiable,
  title={Differentiable expected hypervolume improvement for parallel multi-objective {Bayesian} optimization},
  author={Daulton, Samuel and Balandat, Maximilian and Bakshy, Eytan},
  booktitle={Advances in Neural Information Processing Systems},
  volume={33},
  year={2020}
}"""

    def __post_init__(self) -> None:
        for name, choices in _CHOICES.items():
            if getattr(self, name) not in choices:
                raise StudyError(
                    f"Bayes: {name}={getattr(self, name)!r}", hint=f"One of {', '.join(map(repr, choices))}."
                )
        if not 0 <= self.share <= 1:
            raise StudyError(f"Bayes: share={self.share}", hint="A share, from 0 to 1.")
        if self.limit < 10 or (self.start is not None and self.start < 0):
            raise StudyError(f"Bayes: start={self.start}, limit={self.limit}", hint="start >= 0 and limit >= 10.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The default config, Sobol's first points, then the config of the largest expected improvement."""
        if not study.objectives:
            raise Unsupported("Bayes improves an objective, and the study has none", hint="Random() serves any study.")
        history = history_of(study.root)
        if self._is_starting(study, history):
            return self._first(study, rng)
        if rng.random() < self._share(study, history):
            job = Avoid(_other(study)).propose(study, rng)
            if job is not None:
                return job
        config = self._promising(study, history, rng)
        return _even(study.space).propose(study, rng) if config is None else Job(config, study.steps.maximum)

    def _share(self, study: Study, history: History) -> float:
        """The share of other proposals. The longer a study of one objective, the more of its results lie near one
        optimum of several, and the model goes on from there; a front draws the model everywhere.
        """
        if len(study.objectives) > 1:
            return self.share
        proven = _PROVEN_OF_CHOICES if _is_of_choices(study.space) else _PROVEN
        return min(self.share * max(1.0, len(history.done) / proven), max(self.share, 0.5))

    def _is_starting(self, study: Study, history: History) -> bool:
        wanted = max(4, min(len(study.space.paths) + 1, 9)) if self.start is None else self.start
        wanted = min(wanted, 2 * LEADS) if history.related else wanted
        return len(history.done) < 2 or max(len(study.jobs), len(history.done)) < wanted

    def _first(self, study: Study, rng: np.random.Generator) -> Job | None:
        found, count = leads(study), len(study.jobs)
        if found and count % 2 == 0:
            return Job(found[0], study.steps.maximum)
        config, asked = study.space.default(), asked_for(study.root)
        if count <= bool(found) and study.space.satisfies(config) is None and study.root.space.key(config) not in asked:
            return Job(config, study.steps.maximum)
        return Avoid(Random() if _has_priors(study.space) else Sobol()).propose(study, rng)

    def _promising(self, study: Study, history: History, rng: np.random.Generator) -> Config | None:
        """The new and allowed config of the largest acquisition; None where the search found none."""
        from tunewell.methods.promise import Modelling, Spending  # here: scipy takes longer to load than tunewell
        from tunewell.methods.search import Search

        cube, asked = cube_of(study.space), asked_for(study.root)
        with _one_thread():
            pending = cube.points([job.config for job in study.root.pending()])
            modelling = Modelling(self.output, self.incumbent, self.limit, self.input)
            density, spending = _density_of_priors(study.space), spent_on(study)
            promise, centres = modelling.promise(
                cube, history, study.goals, pending, rng, density, spending and Spending(*spending)
            )
            search = Search(local=2048, tops=24) if _is_wide(study) else Search()
            for point in search.best_first(cube, promise.at, promise.slope, centres, rng):
                config = study.space.decode(point)
                if study.space.satisfies(config) is None and study.root.space.key(config) not in asked:
                    return config
        return None


def _is_wide(study: Study) -> bool:
    """Whether to look in many places, for a front has many. Known goals are computed config by config, which takes
    time, and the front is clearer with them.
    """
    return len(study.objectives) > 1 and not any(goal.metric in study.space.known for goal in study.objectives)


def _other(study: Study) -> Method:
    """The method of the share.

    Among choices alone it walks by itself from random configs: at a Hamming distance of all entries a model knows
    nothing, so that its results gather in the basin of the first good one, and what they say of the others gets worse.
    """
    if len(study.objectives) > 1:
        return _even(study.space)
    return LocalSearch(alone=True) if _is_of_choices(study.space) else TPE()


@lru_cache(maxsize=32)
def _even(space: Space) -> Method:
    """Sobol's points; random configs where constraints leave so little that a sequence would hardly ever meet it."""
    rng = np.random.default_rng(0)
    drawn = (space.spread(rng.random(len(space.paths))) for _ in range(_LOOKED_AT))
    return Sobol() if any(space.satisfies(config) is None for config in drawn) else Random()


def _is_of_choices(space: Space) -> bool:
    return all(dimension.kind == "choice" for dimension in space.dimensions)


def spent_on(study: Study) -> tuple[str, float] | None:
    """What the budget counts beside trials, "seconds" or "cost", and the share of it that is left; None where it counts
    neither.
    """
    limits, used = study.limits, budget.spent(study)
    spent = {
        "cost": (limits.cost, used.cost),
        "seconds": (limits.compute_seconds, used.compute_seconds),
        "clock": (limits.seconds, used.seconds),
    }
    shares = {what: max(1 - have / limit, 0.0) for what, (limit, have) in spent.items() if limit}
    if not shares:
        return None
    least = min(shares, key=shares.__getitem__)
    return "cost" if least == "cost" else "seconds", shares[least]


@lru_cache(maxsize=32)
def _density_of_priors(space: Space) -> Mixture | None:
    """The density of the priors of a space; None where it has none."""
    from tunewell.surrogates.parzen import mixture

    return mixture(tree_of(space), np.zeros((0, len(space.paths)))) if _has_priors(space) else None


@lru_cache(maxsize=32)
def _has_priors(space: Space) -> bool:
    return not all(coordinate.prior.is_flat for coordinate in tree_of(space).coordinates)


@cache
def _pools() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _one_thread() -> AbstractContextManager[Any]:
    """BLAS on one thread: the matrices are small, and the cores belong to training."""
    limit: AbstractContextManager[Any] = _pools().limit(limits=1, user_api="blas")
    return limit
