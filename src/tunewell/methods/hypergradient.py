"""Descent along the gradients that results carry, from several starts; what has no derivative is held.

F. Pedregosa: Hyperparameter optimization with approximate gradient. ICML 2016.
J. Lorraine, P. Vicol, D. Duvenaud: Optimizing millions of hyperparameters by implicit differentiation. AISTATS 2020.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.descent import Array, Descent
from tunewell.methods.history import slopes_of
from tunewell.methods.quasirandom import Sobol
from tunewell.space import Config, Space
from tunewell.study import Event, Job, Result, Rewrite, Study

SOBOL = Sobol()

_HALVINGS = 30
"""A step into what the constraints of the space forbid is halved so often."""


@dataclass(frozen=True)
class HyperGradient:
    """Descends from up to `starts` configs, each for up to `most` jobs, by `Result.gradient`. Ends after them.

    It steps in the coordinates of the space, where a range with log=True is a logarithm, and stays inside. The first
    start is the best config so far, of any method, as after `Then(Random(20), HyperGradient())`; the default config
    where there is none. The others are what `of` proposes: Sobol's points, `Random()` for the priors, `Bayes()` for
    Bayesian optimization outside and gradients inside. Entries without a derivative (a Choice, an Int, what a gradient
    leaves out) keep their start's value.

    `rule`: "quasi-newton", projected L-BFGS with a line search, for losses that depend on no chance; "adam" for noisy
    ones, in steps of `rate`, which is the length of the first step for both: a share of a range. A descent ends where
    the loss improves by no more than a share `tolerance`, the gradient is 0, or no step improves; then the next start
    is taken. Several workers descend from several starts.

    Each step trains anew. With `period`, it goes on with the weights of the step before for so many steps, with
    "adam": the config then changes while training.

    Raises Unsupported for several objectives, a space without a continuous Float, results without a gradient, and
    where from no start a step improves, since gradients contradict the values along ever shorter ones.
    Reference: Pedregosa, ICML 2016.
    """

    of: Method = SOBOL
    starts: int = 3
    most: int = 50
    rule: Literal["quasi-newton", "adam"] = "quasi-newton"
    rate: float = 0.1
    tolerance: float = 1e-6
    period: int | None = None

    reference: ClassVar[str] = """
@inproceedings{pedregosa2016hyperparameter,
  title={Hyperparameter optimization with approximate gradient},
  author={Pedregosa, Fabian},
  booktitle={International Conference on Machine Learning},
  pages={737--746},
  year={2016}
}"""

    def __post_init__(self) -> None:
        for name in ("starts", "most"):
            if getattr(self, name) < 1:
                raise StudyError(f"HyperGradient: {name}={getattr(self, name)}", hint="At least 1.")
        if self.rule not in ("quasi-newton", "adam"):
            raise StudyError(f"HyperGradient: rule={self.rule!r}", hint='"quasi-newton" or "adam".')
        if not (0 < self.rate <= 1 and self.tolerance >= 0):
            told = f"HyperGradient: rate={self.rate}, tolerance={self.tolerance}"
            raise StudyError(told, hint="A rate is a share of a range, above 0; a tolerance is at least 0.")
        if self.period is not None and (self.period < 1 or self.rule != "adam"):
            told = f"HyperGradient: period={self.period} with rule={self.rule!r}"
            raise StudyError(told, hint='At least 1 step, with rule="adam": a line search compares whole trainings.')

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next step of the first descent that waits for one; else another start."""
        climb = self._climb(study)
        _refuse(study, climb)
        for number, chain in climb.chains.items():
            job = None if chain.runs else self._step(study, number, chain)
            if job is not None:
                return job
        return self._start(study, len(climb.chains), rng) if len(climb.chains) < self.starts else None

    def why(self, study: Study) -> str:
        """Where each descent began, how far it came, why it ended, and what it held; one line each."""
        study = study.plan
        chains = self._climb(study).chains.items()
        return "\n".join(f"start {number}: {chain.told(study.space)}" for number, chain in chains)

    def _climb(self, study: Study) -> Climb:
        return study.fold(("hypergradient", self, study.space, study.goals), lambda: Climb(self), Climb.follow)

    # --- a start -----------------------------------------------------------------------------------------------------

    def _start(self, study: Study, number: int, rng: np.random.Generator) -> Job | None:
        if number == 0:
            return Job(_leader(study), self._until(study, None), tag=(0, 0, "best"))
        begun = study.derive("begun by the source", _begun)
        job = self.of.propose(begun, rng)
        if job is not None and (job.parent is not None or job.seed):
            raise Unsupported(
                f"{type(self.of).__name__} goes on with its jobs itself, so that HyperGradient cannot",
                hint="Its source has to begin configs only: Sobol(), Random(), TPE(), Bayes(), ...",
            )
        return job and msgspec.structs.replace(job, until=self._until(study, None), tag=(number, 0, "of", *job.tag))

    def _until(self, study: Study, parent: Job | None) -> int:
        start = 0 if parent is None else parent.until
        return min(start + (self.period or study.steps.maximum), study.steps.maximum)

    # --- a step ------------------------------------------------------------------------------------------------------

    def _step(self, study: Study, number: int, chain: Chain) -> Job | None:
        """The next job of a descent; None where it is over."""
        config, last = self._next(study.space, chain), study.jobs[chain.newest]
        if config is None:
            return None
        tag = (number, chain.descent.steps)
        if self.period is None:
            return Job(config, study.steps.maximum, tag=tag)
        until = self._until(study, last)
        return Job(config, until, last.id, tag) if until > last.until else None

    def _next(self, space: Space, chain: Chain) -> Config | None:
        """The config at the next point, or on the way there, where the constraints allow none further."""
        asked = chain.descent.ask()
        if asked is None:
            return None
        x = np.array(chain.descent.x)
        for halving in range(_HALVINGS):
            point = np.array(chain.point)
            point[chain.free] = x + (asked - x) / 2**halving
            config = space.decode(point)
            if space.satisfies(config) is None:
                return config
        return None


def _refuse(study: Study, climb: Climb) -> None:
    """Raise Unsupported where there is nothing to descend along."""
    if len(study.objectives) != 1:
        raise Unsupported(
            f"HyperGradient descends along one objective, the study has {len(study.objectives)}",
            hint="Make the others constraints with at_most; or Bayes(), which uses gradients and serves several.",
        )
    if all(dimension.size is not None for dimension in study.space.dimensions):
        raise Unsupported(
            "no entry of the space has a derivative: HyperGradient needs a Float without steps",
            hint="Random(), Bayes() and TPE() serve such a space.",
        )
    if climb.bare is not None:
        raise Unsupported(
            f"job {climb.bare} ended without a gradient of any entry that could be moved",
            hint="Report one: run.report(step, loss=..., gradient={'lr': ...}), see tunewell.hypergradient.",
        )
    chains = climb.chains.values()
    if len(chains) == climb.method.starts and all(chain.descent.is_contradicted for chain in chains):
        raise Unsupported(
            "the gradients that the objective reports contradict its losses along ever shorter steps, from every start",
            hint='Look at differentiate(..., check=True); for a noisy loss HyperGradient(rule="adam").',
        )


def _leader(study: Study) -> Config:
    """The best config so far, of any method; the default where nothing has ended, or a random one the space allows."""
    root = study.root
    done = [(root.loss(job), job) for job, result in root.results.items() if result.tells and root.feasible(job)]
    best = min((pair for pair in done if math.isfinite(pair[0])), default=None)
    config = study.space.default() if best is None else root.jobs[best[1]].config
    return config if study.space.satisfies(config) is None else study.space.sample(np.random.default_rng(study.seed))


def _begun() -> Rewrite:
    """What the source of the starts sees as its own: its jobs, under its own tags."""
    own: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            if event.tag[2:3] == ("of",):
                own.add(event.id)
                yield msgspec.structs.replace(event, tag=event.tag[3:])
        elif not isinstance(event, Result) or event.job in own:
            yield event

    return rewrite


# --- the fold --------------------------------------------------------------------------------------------------------


class Chain(msgspec.Struct):
    """One descent: its `newest` job, whether it `runs`, the `point` (d,) of its start and its `free` coordinates."""

    newest: int
    descent: Descent
    runs: bool = True
    point: list[float] = []
    free: list[int] = []

    def end(self, point: Array, value: float, slopes: list[float]) -> None:
        """Its job has ended: at a point (d,) of the space, with slopes (d,), or none."""
        self.runs = False
        known = np.array(slopes) if slopes else np.full(len(point), np.nan)
        if not self.point:
            self.point = point.tolist()
            self.free = np.flatnonzero(np.isfinite(known)).tolist()
        slope = known[self.free] if self.free else None
        self.descent.tell(point[self.free], value, slope)

    def told(self, space: Space) -> str:
        """Where it is."""
        descent = self.descent
        named = [dimension.name for place, dimension in enumerate(space.dimensions) if place not in self.free]
        held = f"; held: {', '.join(named)}" if self.free and named else ""
        agreed = "" if math.isnan(descent.agreed) else f"; first step: off by {descent.agreed:.2g}"
        state = descent.over or ("runs" if self.runs else "goes on")
        return f"{descent.steps} jobs, from {descent.begun:.6g} to {descent.value:.6g}, {state}{agreed}{held}"


class Climb(msgspec.Struct):
    """Fold state: the descents by number, and a job that ended without a gradient, where there is one."""

    method: HyperGradient
    chains: dict[int, Chain] = {}
    bare: int | None = None

    def follow(self, event: Event, study: Study) -> Climb:
        """One event more."""
        if isinstance(event, Job):
            number, method = int(event.tag[0]), self.method
            fresh = Chain(event.id, Descent(method.rule, method.rate, method.tolerance, method.most))
            chain = self.chains.setdefault(number, fresh)
            chain.newest, chain.runs = event.id, True
        elif isinstance(event, Result):
            self._end(event, study)
        return self

    def _end(self, result: Result, study: Study) -> None:
        job = study.jobs[result.job]
        chain, value = self.chains[int(job.tag[0])], study.loss(job.id)
        point = study.space.encode(job.config)
        chain.end(point, value, slopes_of(result, job.config, study))
        sizes = [dimension.size for dimension in study.space.dimensions]
        movable = any(size is None and not math.isnan(unit) for size, unit in zip(sizes, point, strict=True))
        if math.isfinite(value) and movable and not chain.free:
            self.bare = job.id
