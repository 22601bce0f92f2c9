"""What people look at where a study has several goals: the trade-offs that nothing dominates, and one of them to take.

A view of a Study, computed when asked for. Each objective is shrunken on its own, as `tunewell.honest.shrinkage` does
for one, and all configs near the front are the crowd that a lucky one stands out from. That takes out a part of the
luck by which a front is chosen: where the noise is as large as the gaps between configs, its points stay too good.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from tunewell.errors import StudyError
from tunewell.events import Goal, Metrics
from tunewell.space import Config
from tunewell.trials import Best, Standing, compared, contenders, first_of_lineage

if TYPE_CHECKING:
    import numpy as np

    from tunewell.study import Study

_NEAR = 500
"""So many configs nearest to the front are compared; where there are more, those far from it say nothing of it."""


class Tradeoff(msgspec.Struct, frozen=True):
    """A config of the front. Each mapping goes from the metric of an objective to a number.

    `values` are what was measured (means over `seeds` results), `estimates` the values that luck has been taken out of,
    `intervals` the 90 % intervals around these, None where nothing tells how noisy the metric is. `metrics` are all
    those of its first result; `checkpoint` is the folder of its weights, where it saved any.
    """

    config: Config
    trial: int
    values: dict[str, float]
    estimates: dict[str, float]
    intervals: dict[str, tuple[float, float] | None]
    seeds: int
    metrics: Metrics
    checkpoint: Path | None = None

    def __str__(self) -> str:
        entries = "".join(f"\n  {name} = {value!r}" for name, value in self.config.items())
        return f"trial {self.trial}: {', '.join(map(self._shown, self.values))}{entries}"

    def by(self, metric: str) -> Best:
        """What it is by one objective alone; where the width of its interval comes from is not said."""
        return Best(
            config=self.config,
            trial=self.trial,
            metric=metric,
            value=self.values[metric],
            estimate=self.estimates[metric],
            interval=self.intervals[metric],
            noise="",
            seeds=self.seeds,
            metrics=self.metrics,
            checkpoint=self.checkpoint,
        )

    def _shown(self, metric: str) -> str:
        interval = self.intervals[metric]
        around = "" if interval is None else f" [{interval[0]:.6g}, {interval[1]:.6g}]"
        return f"{metric} = {self.estimates[metric]:.6g}{around}"


def place_of(goals: Sequence[Goal], metric: str | None) -> int:
    """The place of an objective among several, by its metric; of the first one where that is left out."""
    names = [goal.metric for goal in goals]
    if metric is not None and metric not in names:
        raise StudyError(f"{metric!r} is no objective of the study", hint=f"They are: {', '.join(names)}.")
    return 0 if metric is None else names.index(metric)


class Front(msgspec.Struct, frozen=True):
    """The configs that no other one dominates by the estimates, in the order of the first objective, best first."""

    goals: tuple[Goal, ...]
    points: tuple[Tradeoff, ...]

    def __len__(self) -> int:
        return len(self.points)

    def __iter__(self) -> Iterator[Tradeoff]:
        return iter(self.points)

    def __getitem__(self, place: int) -> Tradeoff:
        return self.points[place]

    def __str__(self) -> str:
        lines = "\n".join(str(point).partition("\n")[0] for point in self.points)
        return f"{len(self)} trade-offs, none of them dominated:\n{lines}"

    @property
    def knee(self) -> Tradeoff:
        """The point where a little less of one goal costs much of another, each counted as a share of its range over
        the front; on a front that bulges the other way, its middle. Raises StudyError where the front is empty.
        """
        from tunewell.surrogates.pareto import knee

        return self.points[knee(self._losses())]

    def best(self, metric: str) -> Tradeoff:
        """The point that is best by one objective alone. Raises StudyError for a metric that is none."""
        return self.points[int(self._losses()[:, self._place(metric)].argmin())]

    def weighted(self, weights: Mapping[str, float]) -> Tradeoff:
        """The point whose largest weighted distance from the best of each objective is least (weighted Chebyshev).

        Distances are shares of a goal's range over the front; a goal that is not named has weight 1, one of weight 2
        may lose half as much. Raises StudyError for a metric that is no objective, and a weight below 0.
        """
        import numpy as np

        from tunewell.surrogates.pareto import chebyshev

        numbers = np.ones(len(self.goals))
        for metric, weight in weights.items():
            if not 0 <= weight < math.inf:
                raise StudyError(f"the weight of {metric!r} is {weight}", hint="A number from 0 on.")
            numbers[self._place(metric)] = weight
        return self.points[int(chebyshev(self._losses(), numbers).argmin())]

    def _place(self, metric: str) -> int:
        return place_of(self.goals, metric)

    def _losses(self) -> np.ndarray[Any, np.dtype[np.float64]]:
        """The estimates (n, k), turned so that smaller is better."""
        import numpy as np

        if not self.points:
            raise StudyError(
                "the front is empty", hint="No trial has reached the last step and kept every constraint yet."
            )
        return np.array([[goal.loss(point.estimates[goal.metric]) for goal in self.goals] for point in self.points])


def pareto(study: Study) -> Front:
    """The front of a study, of the configs that reached the largest `until` and keep every constraint."""
    import numpy as np

    from tunewell.surrogates.pareto import fronts, non_dominated

    groups = contenders(study)
    means = np.array([[np.mean(losses) for losses in _columns(study, group)] for group in groups])
    if not len(means):
        return Front(study.objectives, ())
    near = sorted(np.concatenate(fronts(means, _NEAR)).tolist())
    found = [compared(study, [groups[place] for place in near], goal) for goal in range(len(study.objectives))]
    estimates = np.array([standing.estimates() for standing in found]).T
    chosen = np.flatnonzero(non_dominated(estimates))
    order = chosen[np.lexsort(estimates[chosen].T[::-1])]
    points = (_tradeoff(study, groups[near[place]], found, place) for place in order.tolist())
    return Front(study.objectives, tuple(points))


def _columns(study: Study, group: Sequence[int]) -> Iterator[list[float]]:
    """The losses of some jobs by each objective."""
    for goal in range(len(study.objectives)):
        yield [study.loss(job, goal) for job in group]


def _tradeoff(study: Study, group: Sequence[int], found: Sequence[Standing], place: int) -> Tradeoff:
    result, goals = study.results[group[0]], study.objectives
    signs = [-1.0 if goal.maximize else 1.0 for goal in goals]
    columns = zip(goals, signs, _columns(study, group), strict=True)
    return Tradeoff(
        config=study.jobs[group[0]].config,
        trial=first_of_lineage(study, group[0]),
        values={goal.metric: sign * sum(losses) / len(losses) for goal, sign, losses in columns},
        estimates={
            goal.metric: sign * one.estimates()[place] for goal, sign, one in zip(goals, signs, found, strict=True)
        },
        intervals={
            goal.metric: _turned(sign, one.interval(place)) for goal, sign, one in zip(goals, signs, found, strict=True)
        },
        seeds=len(group),
        metrics=result.metrics,
        checkpoint=study.path(result.saved),
    )


def _turned(sign: float, interval: tuple[float, float] | None) -> tuple[float, float] | None:
    if interval is None:
        return None
    low, high = sorted(sign * end for end in interval)
    return low, high
