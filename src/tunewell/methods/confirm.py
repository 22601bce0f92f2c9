"""The last share of the budget goes to fresh seeds for the finalists, and for the user's default config.

P. Frazier, W. Powell: Paradoxes in learning and the marginal value of information. Decision Analysis 7, 2010.
J. Branke, S. Chick, C. Schmidt: Selecting a selection procedure. Management Science 53, 2007: why the finalist whose
measurement is worth most, and not each as often.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import ClassVar

import msgspec
import numpy as np

from tunewell import budget
from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.compose import under
from tunewell.space import Config
from tunewell.space.entry import UNSET
from tunewell.study import Event, Job, Study, canonical
from tunewell.trials import Standing, standing

_SEARCH, _REPEAT = 0, 1

_PROBES = 4
"""So many fresh seeds tell how noisy the metric is, before anything is concluded from it."""

_PAIRS = 6
"""The default config has as many fresh seeds as the leader up to so many, and half as many beyond."""

_IN_DOUBT = 0.05
"""Beyond this probability that some other finalist is better, the choice is in doubt."""


@dataclass(frozen=True)
class Confirm:
    """Searches by `of`, and spends the last `share` of the budget on knowing which of the best is best, and how good.

    A trial among the `finalists` best by estimate runs again with the next seed, from step 0 to the last step: the one
    for which that promises most. All configs share the seeds (1, 2, ...), so that differences are paired. The space's
    default config is measured beside the leader where it is more than the middle of each scale: then the study can say
    whether the tuning helped (`study.against_default`).

    The budget is that of `study.limits`, whichever is used up most; a replicate counts as a trial here. Where there is
    none, `of` has to end by itself, and share / (1 - share) as many replicates follow. Where the first replicates give
    the same number as before, or leave no doubt which config is best, the search goes on instead.

    Raises Unsupported for several objectives.
    Reference: Frazier and Powell, 2010.
    """

    of: Method
    share: float = 0.2
    finalists: int = 5

    reference: ClassVar[str] = """
@article{frazier2010paradoxes,
  title={Paradoxes in learning and the marginal value of information},
  author={Frazier, Peter I. and Powell, Warren B.},
  journal={Decision Analysis},
  volume={7},
  number={4},
  pages={378--403},
  year={2010}
}"""

    def __post_init__(self) -> None:
        if not 0 <= self.share < 1:
            raise StudyError(f"Confirm: share={self.share}", hint="A share of the budget such as 0.2, below 1.")
        if self.finalists < 2:
            raise StudyError(f"Confirm: finalists={self.finalists}", hint="At least 2.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """What the search proposes, or in the last share of the budget a finalist again."""
        if len(study.objectives) != 1:
            raise Unsupported(
                f"Confirm chooses by one objective, the study has {len(study.objectives)}",
                hint="Use the method alone; or make the others constraints with at_most.",
            )
        if _used(study) < 1 - self.share:
            job = self._search(study, rng)
            if job is not None or study.part(_SEARCH).pending():
                return job
        job = self.replicate(study)
        if job is not None:
            return under(_REPEAT, job)
        return None if self.is_over(study) else self._search(study, rng)

    def replicate(self, study: Study) -> Job | None:
        """A finalist with its next seed; None where the budget is used up, or nothing is to be learned from that."""
        found = standing(study.root)
        if found is None or found.noise == "none" or len(found.jobs) < 2 or not self._has_room(study):
            return None
        return self._again(study, found)

    def is_over(self, study: Study) -> bool:
        """Whether the budget is used up. A search without noise may go on: its replicates told that at little cost."""
        if self._has_room(study):
            return False
        found = standing(study.root)
        return found is None or found.noise != "none"

    def is_due(self, study: Study) -> bool:
        """Whether what is left of the limits is the share that is for replicates."""
        return _is_limited(study) and _used(study) >= 1 - self.share

    def _search(self, study: Study, rng: np.random.Generator) -> Job | None:
        job = self.of.propose(study.part(_SEARCH), rng)
        return None if job is None else under(_SEARCH, job)

    def _has_room(self, study: Study) -> bool:
        """Whether one more job fits in what the limits, or the share, allow."""
        if _is_limited(study):
            return _used(study) < 1
        begun = study.root.fold("evaluations", lambda: 0, _count)
        again = study.part(_REPEAT).fold("evaluations", lambda: 0, _count)
        return again < round(self.share / (1 - self.share) * (begun - again))

    def _again(self, study: Study, found: Standing) -> Job | None:
        """A finalist with its next seed; None where nothing is to be learned from that."""
        root = study.root
        seeds = root.fold("seeds", dict[str, list[int]], _see_seed)
        candidates = self._candidates(found)
        configs = [root.jobs[found.jobs[place][0]].config for place in candidates]
        repeated = sum(len(group) - 1 for group in found.jobs)
        pending = np.array([_running(root, config) for config in configs], dtype=float)
        default = _default_due(root, configs[0], seeds)
        if default is not None:
            return _next_seed(root, default, seeds)
        if found.noise == "std" or repeated + pending.sum() >= _PROBES:
            is_told = found.noise == "std" or repeated >= 1
            choice = _most_worth(found, candidates, pending, self._left(study)) if is_told else None
        else:
            choice = int((repeated + pending.sum()) % len(candidates))
        return _beside_default(root, configs[0], seeds) if choice is None else _next_seed(root, configs[choice], seeds)

    def _candidates(self, found: Standing) -> list[int]:
        """The places of the finalists, the best by estimate first."""
        estimates = found.estimates()
        return sorted(range(len(estimates)), key=lambda place: (estimates[place], place))[: self.finalists]

    def _left(self, study: Study) -> int:
        """About how many replicates are still to come."""
        limit = study.limits.trials or 100
        return max(1, round((1 - _used(study)) * limit)) if _is_limited(study) else 8


def _most_worth(found: Standing, candidates: list[int], pending: np.ndarray, left: int) -> int | None:
    from tunewell.honest.worth import worth

    belief = found.belief
    if belief is None:
        return None
    doubt = max(belief.better(place, candidates[0]) for place in candidates[1:])
    if doubt <= _IN_DOUBT and len(found.jobs[candidates[0]]) > 1:
        return None
    means, deviations = (column[candidates] for column in belief.moments())
    measured = found.measured
    one = 1.0 if measured.errors is None else float(np.median(measured.errors * np.sqrt(measured.counts)))
    return int(worth(means, deviations, pending, belief.noise * one, left).argmax())


# --- seeds ------------------------------------------------------------------------------------------------------------


def _see_seed(seeds: dict[str, list[int]], event: Event, study: Study) -> dict[str, list[int]]:
    """Fold: the seeds that each config began with."""
    if isinstance(event, Job) and event.parent is None:
        seeds.setdefault(canonical(event.config), []).append(event.seed)
    return seeds


def _next_seed(study: Study, config: Config, seeds: Mapping[str, list[int]]) -> Job:
    """The config from step 0 to the last, with the first seed from 1 on that it has not had: the same for all configs.

    Searches take seed 0, and luck with it is what made a finalist.
    """
    fresh = next(seed for seed in count(1) if seed not in seeds.get(canonical(config), ()))
    return Job(config, study.steps.maximum, seed=fresh)


def _running(study: Study, config: Config) -> int:
    return sum(job.config == config for job in study.pending())


def _default_due(study: Study, leader: Config, seeds: Mapping[str, list[int]]) -> Config | None:
    """The default config, where the user gave one and it was measured too seldom beside the leader."""
    if not _has_default(study):
        return None
    default, others = study.space.default(), len(_fresh(leader, seeds))
    wanted = max(min(others, _PAIRS), others // 2)
    is_due = canonical(default) not in seeds or len(_fresh(default, seeds)) < wanted
    return default if is_due and study.space.satisfies(default) is None else None


def _beside_default(study: Study, leader: Config, seeds: Mapping[str, list[int]]) -> Job | None:
    """The default config or the leader, whichever has fewer fresh seeds, until one of them is known to be better."""
    default = study.space.default()
    if not _has_default(study) or default == leader or study.space.satisfies(default) is not None:
        return None
    found = study.against_default()
    if found is not None and (found.verdict != "undecided" or found.needed is None):
        return None
    return _next_seed(study, min(default, leader, key=lambda one: len(_fresh(one, seeds))), seeds)


def _fresh(config: Config, seeds: Mapping[str, list[int]]) -> list[int]:
    return [seed for seed in seeds.get(canonical(config), ()) if seed > 0]


def _has_default(study: Study) -> bool:
    return any(entry.explicit() is not UNSET for entry in study.space.entries.values())


# --- the budget -------------------------------------------------------------------------------------------------------


def _is_limited(study: Study) -> bool:
    limits = msgspec.structs.asdict(study.limits)
    return any(value is not None for name, value in limits.items() if name != "target")


def _used(study: Study) -> float:
    """The share of the budget that is used: of the limit that is nearest. A replicate counts as a trial."""
    limits, root = study.limits, study.root
    spent = budget.spent(root)
    evaluations = root.fold("evaluations", lambda: 0, _count)
    pairs = (
        (evaluations, limits.trials),
        (spent.steps, limits.steps),
        (spent.seconds, limits.seconds),
        (spent.compute_seconds, limits.compute_seconds),
        (spent.cost, limits.cost),
    )
    return max((used / limit for used, limit in pairs if limit), default=0.0)


def _count(evaluations: int, event: Event, study: Study) -> int:
    """Fold: the jobs that began from nothing, whatever their seed; those from elsewhere cost nothing."""
    return evaluations + (isinstance(event, Job) and event.parent is None and event.tag[:1] != ("added",))
