"""What each entry of a study contributes to the differences between its results: a view of a Study."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tunewell.trials import canonical

if TYPE_CHECKING:
    from tunewell.honest.importance import Coordinates
    from tunewell.study import Study


class Importance(msgspec.Struct, frozen=True):
    """What the entry at the path `entry` contributes to the variance of the first objective over the space.

    `share` is its share together with all that it interacts with (a total Sobol index: the shares may add up to more
    than 1), `alone` that without interactions, `interval` about nine tenths of what `share` may be. All three are None
    where the results cannot tell.
    """

    entry: str
    share: float | None = None
    alone: float | None = None
    interval: tuple[float, float] | None = None


class Explained(msgspec.Struct, frozen=True):
    """The importance of each entry, the most important first, and what it rests on: how many `configs` that were
    measured at step `until`, and the `skill` of the model: the share of the variance of results that it had not seen.

    `doubt` says in a sentence why nothing can be told; empty where something can.
    """

    entries: tuple[Importance, ...]
    configs: int
    until: int
    skill: float | None = None
    doubt: str = ""


def explained(study: Study) -> Explained:
    """The importance of each entry of a study, by a Gaussian process of the results at the step where most configs
    were measured. Failed jobs and those that people brought with other configs than the space has now do not count.
    """
    from tunewell.honest.importance import LEAST, shares

    until, means, counts, configs = _results(study)
    paths = study.space.paths
    least = max(LEAST, 2 * len(paths))
    if len(means) < least or len(set(means)) < 4:
        doubt = f"{len(means)} configs with a result are too few: at least {least} that differ are needed"
        return Explained(tuple(map(Importance, paths)), len(means), until, None, doubt)
    import numpy as np

    points = study.space.encode_many(configs)
    found = shares(points, np.array(means), np.array(counts), _coordinates(study.space), seed=study.seed)
    if not found.tells:
        doubt = f"a model of the {len(means)} results predicts those it has not seen no better than their mean does"
        return Explained(tuple(map(Importance, paths)), len(means), until, found.skill, doubt)
    rows = zip(paths, found.total.tolist(), found.alone.tolist(), found.total_interval.T.tolist(), strict=True)
    entries = [Importance(path, total, alone, (ends[0], ends[1])) for path, total, alone, ends in rows]
    return Explained(tuple(sorted(entries, key=_share, reverse=True)), len(means), until, found.skill)


def _share(one: Importance) -> float:
    return one.share or 0.0


def _results(study: Study) -> tuple[int, list[float], list[int], Sequence[Any]]:
    """The step where most configs were measured, the later of two such; of each its mean loss and how often."""
    by_step: dict[int, dict[str, list[int]]] = {}
    root = study.root
    for job in root.results if study.objectives else ():
        config = root.jobs[job].config
        if math.isfinite(root.loss(job)) and study.space.adopt(config) == config:
            by_step.setdefault(root.jobs[job].until, {}).setdefault(canonical(config), []).append(job)
    until = max(by_step, key=lambda step: (len(by_step[step]), step), default=study.steps.maximum)
    groups = list(by_step.get(until, {}).values())
    losses = [sum(root.loss(job) for job in group) / len(group) for group in groups]
    return until, _bounded(losses), [len(group) for group in groups], [root.jobs[group[0]].config for group in groups]


def _bounded(losses: list[float]) -> list[float]:
    """The losses, the worst tenth no further from the others than half as far as these reach: one config that fails
    by orders of magnitude would be all that is explained.
    """
    if not losses:
        return losses
    ordered = sorted(losses)
    most = ordered[int(0.9 * (len(ordered) - 1))]
    return [min(loss, most + 0.5 * (most - ordered[0])) for loss in losses]


def _coordinates(space: Any) -> Coordinates:
    from tunewell.honest.importance import Coordinates

    return Coordinates(
        tuple(_size(dimension) for dimension in space.dimensions),
        tuple(dimension.kind == "choice" for dimension in space.dimensions),
        space.conditions,
    )


def _size(dimension: Any) -> int:
    """How many evenly spaced values there are; 0 for a continuous scale, or one whose values are not even."""
    return 0 if dimension.size is None or dimension.log or dimension.size > 1000 else dimension.size
