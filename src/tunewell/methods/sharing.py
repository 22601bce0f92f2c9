"""Weight sharing: one job trains the weights of all networks, others are judged by them, the best go on alone.

H. Pham, M. Guan, B. Zoph, Q. Le, J. Dean: Efficient neural architecture search via parameter sharing. ICML 2018.
arXiv:1802.03268.
G. Bender, P.-J. Kindermans, B. Zoph, V. Vasudevan, Q. Le: Understanding and simplifying one-shot architecture search.
ICML 2018. The three stages, without what a controller learns in the first.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.method import Method
from tunewell.methods.random import Random
from tunewell.space import Config
from tunewell.study import Event, Job, Result, Rewrite, Study
from tunewell.surrogates.pareto import crowding, fronts

RANDOM = Random()

_NETS = 3
"""So often the training of the shared weights is begun, where it fails."""


@dataclass(frozen=True)
class WeightSharing:
    """Three stages of one study, which the objective tells apart by the step that it stands at.

    Up to step `shared`, a single job trains the shared weights, for networks at random, and saves them; it has the
    default config, or another where that is not allowed. Then `scores` configs of the method `of` each take its
    checkpoint and one step: in it the objective judges the sub-network of the config, and trains nothing. At last the
    best `finalists` of these (of several goals, spread over the front) take the checkpoint once more, and train their
    sub-network alone from step `shared + 1` to the maximum of the study. `of` sees the scores, of any number of
    workers; the finalists begin when all are known.

    Only the first job counts as a trial of the budget, since the others go on from it: `scores` and `finalists` say how
    many these are, and the method ends.

    Raises Unsupported where the steps of a trial leave none for the finalists, and for an `of` that goes on with its
    jobs itself. The objective has to save checkpoints. Reference: Bender et al., ICML 2018.
    """

    shared: int
    of: Method = RANDOM
    scores: int = 100
    finalists: int = 3

    reference: ClassVar[str] = """
@inproceedings{bender2018understanding,
  title={Understanding and simplifying one-shot architecture search},
  author={Bender, Gabriel and Kindermans, Pieter-Jan and Zoph, Barret and Vasudevan, Vijay and Le, Quoc},
  booktitle={International Conference on Machine Learning},
  year={2018}
}"""

    def __post_init__(self) -> None:
        if self.shared < 1 or self.scores < 1 or self.finalists < 0:
            told = f"WeightSharing: shared={self.shared}, scores={self.scores}, finalists={self.finalists}"
            raise StudyError(told, hint="shared and scores at least 1, finalists none or more.")

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The shared weights, then the next config to be judged by them, then the best ones."""
        least = self.shared + 1 + bool(self.finalists)
        if study.steps.maximum < least:
            told = f"WeightSharing shares the first {self.shared} steps, and a trial has {study.steps.maximum}"
            raise Unsupported(told, hint=f"Give the study steps={least} or more, or share fewer.")
        stages = study.fold("stages", Stages, _follow)
        if stages.net is None:
            return None if stages.is_waiting else Job(_first(study, rng), self.shared, tag=("net",), seed=stages.nets)
        job = self._judged(study, stages.net, rng) if stages.asked < self.scores and not stages.alone else None
        return self._alone(study, stages) if job is None and stages.scored == stages.asked else job

    def _judged(self, study: Study, net: int, rng: np.random.Generator) -> Job | None:
        """The next config of the source, at the shared weights."""
        job = self.of.propose(study.derive("judged", _as_own, base=True), rng)
        if job is not None and job.parent is not None:
            raise Unsupported(
                f"{type(self.of).__name__} goes on with its jobs itself, so that WeightSharing cannot",
                hint="Its source has to begin configs only: Random(), Evolution(), NSGA2(), Bayes(), ...",
            )
        return job and _at(net, job, self.shared + 1, "judged")

    def _alone(self, study: Study, stages: Stages) -> Job | None:
        """The next finalist."""
        chosen = _best(study, stages.done, self.finalists)
        if stages.alone >= len(chosen) or stages.net is None:
            return None
        job = study.jobs[chosen[stages.alone]]
        return _at(stages.net, Job(job.config, 0), study.steps.maximum, "alone")


def _at(net: int, job: Job, until: int, stage: str) -> Job:
    """The job as one that goes on from the shared weights."""
    return msgspec.structs.replace(job, parent=net, until=until, tag=(stage, *job.tag))


class Stages(msgspec.Struct):
    """Fold state: how many jobs train the shared weights, how many of them failed, and which was done; how many configs
    were to be judged, how many of these ended, and which were done; how many train alone.
    """

    nets: int = 0
    failed: int = 0
    net: int | None = None
    asked: int = 0
    scored: int = 0
    done: list[int] = []
    alone: int = 0

    @property
    def is_waiting(self) -> bool:
        """Whether the training of the shared weights is not to be begun, now or ever again."""
        return self.nets > self.failed or self.nets >= _NETS


def _first(study: Study, rng: np.random.Generator) -> Config:
    """The default config; one at random where that breaks a constraint."""
    config = study.space.default()
    return config if study.space.satisfies(config) is None else study.space.sample(rng)


def _follow(stages: Stages, event: Event, study: Study) -> Stages:
    if isinstance(event, Job):
        stages.nets += event.tag[0] == "net"
        stages.asked += event.tag[0] == "judged"
        stages.alone += event.tag[0] == "alone"
    elif isinstance(event, Result):
        _end(stages, event, str(study.jobs[event.job].tag[0]))
    return stages


def _end(stages: Stages, result: Result, stage: str) -> None:
    is_done = result.status == "done"
    if stage == "net":
        stages.failed += not is_done
        stages.net = result.job if is_done else stages.net
    elif stage == "judged":
        stages.scored += 1
        stages.done += [result.job] * is_done


def _as_own() -> Rewrite:
    """What the source sees: the configs that are judged, as jobs that began by themselves. Nothing else compares."""
    own: set[int] = set()

    def rewrite(event: Event) -> Iterator[Event]:
        if isinstance(event, Job):
            if event.tag[0] == "judged":
                own.add(event.id)
                yield msgspec.structs.replace(event, parent=None, tag=event.tag[1:])
        elif not isinstance(event, Result) or event.job in own:
            yield event

    return rewrite


def _best(study: Study, jobs: Sequence[int], count: int) -> list[int]:
    """The `count` best jobs with different configs; of several goals the ends of the front first, and then what lies
    farthest from its neighbours.
    """
    first = {study.space.key(study.jobs[job].config): job for job in reversed(jobs)}
    losses = {job: [study.loss(job, goal) for goal in range(len(study.objectives))] for job in sorted(first.values())}
    told = [job for job, of in losses.items() if all(map(math.isfinite, of))]
    values, chosen = np.array([losses[job] for job in told]).reshape(len(told), -1), list[int]()
    for front in fronts(values, count) if told else []:
        order = np.argsort(-crowding(values[front]), kind="stable")
        chosen += [told[front[place]] for place in order.tolist()]
    return chosen[:count]
