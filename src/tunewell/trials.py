"""What people look at: trials, and the best of them. Views of a Study, computed when asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunewell.events import Act, Event, Failure, Job, Metrics, Result, Steps
from tunewell.space import Config

if TYPE_CHECKING:
    from tunewell.study import Study


# ------------------------------------------------------------------------------------------------


class Trial(msgspec.Struct, frozen=True):
    """A lineage of jobs with one config and seed, as people see it. `id` is the id of its first job.

    `status` is "running", "waiting" (stopped where it may go on), "done", "failed" or "cancelled"; `value` is the first
    objective as the user reports it; `came_from` is the trial whose state it took over (PBT), if any.
    """

    id: int
    config: Config
    seed: int
    tag: tuple[str | int, ...]
    jobs: tuple[int, ...]
    status: str
    step: int
    value: float
    metrics: Metrics
    seconds: float
    error: Failure | None
    came_from: int | None


def trials(study: Study) -> list[Trial]:
    """The trials of `study`, in order of their first job."""
    chains: dict[int, list[Job]] = {}
    head: dict[int, int] = {}
    for job in study.jobs.values():
        parent = study.jobs.get(job.parent) if job.parent is not None else None
        same = parent is not None and parent.config == job.config and parent.seed == job.seed
        head[job.id] = head[parent.id] if same and parent is not None else job.id
        chains.setdefault(head[job.id], []).append(job)
    return [_trial(study, chain, head) for chain in chains.values()]


def _trial(study: Study, chain: Sequence[Job], head: Mapping[int, int]) -> Trial:
    first, ended = chain[0], [study.results[job.id] for job in chain if job.id in study.results]
    last = ended[-1] if ended else Result(first.id, "done")
    return Trial(
        id=first.id,
        config=first.config,
        seed=first.seed,
        tag=first.tag,
        jobs=tuple(job.id for job in chain),
        status=_status(study, chain, ended),
        step=last.step,
        value=study.value(last.job, study.objectives[0]) if ended and study.objectives else math.nan,
        metrics=last.metrics,
        seconds=sum(result.seconds for result in ended),
        error=last.error,
        came_from=head.get(first.parent) if first.parent is not None else None,
    )


def _status(study: Study, chain: Sequence[Job], ended: Sequence[Result]) -> str:
    if len(ended) < len(chain):
        return "running"
    is_added = chain[-1].tag[:1] == ("added",)  # it cannot go on here
    if ended[-1].status == "done" and chain[-1].until < study.steps.maximum and not is_added:
        return "waiting"
    return ended[-1].status


class Best(msgspec.Struct, frozen=True):
    """The best config, with an estimate of its first objective.

    `value` is what was measured (the mean over `seeds` results), `estimate` the value that luck has been taken out of,
    and `interval` the 95 % interval around it; None where nothing in the study tells how noisy the metric is. `noise`
    says where its width comes from: "seeds" (configs run with several), "curve" (the jitter from step to step: other
    seeds may differ more), or "". `checkpoint` is the folder of the winner's weights, where it saved any.
    """

    config: Config
    trial: int
    metric: str
    value: float
    estimate: float
    interval: tuple[float, float] | None
    noise: str
    seeds: int
    metrics: Metrics
    checkpoint: Path | None = None

    def __str__(self) -> str:
        entries = "".join(f"\n  {name} = {value!r}" for name, value in self.config.items())
        return f"trial {self.trial}: {self.metric} = {self._shown()}{entries}"

    def _shown(self) -> str:
        if self.interval is None:
            return f"{self.value:.6g}, measured once per config: its noise is unknown"
        low, high = self.interval
        how = f"over {self.seeds} seed{'s' * (self.seeds > 1)}"
        how = how if self.noise == "seeds" else "with one seed; others may differ more"
        return f"{self.estimate:.6g} [{low:.6g}, {high:.6g}], measured {self.value:.6g} {how}"


class _Finals(msgspec.Struct):
    """Fold state: the feasible results at the largest `until` so far, as (job, loss), grouped by config."""

    until: int = 0
    groups: dict[str, list[tuple[int, float]]] = {}


def best(study: Study) -> Best | None:
    """The config with the best estimate, plus its standard error, among those that reached the largest `until`."""
    from tunewell.honest.pairing import paired
    from tunewell.honest.shrinkage import shrink

    if not study.objectives:
        return None
    finals = list(study.fold(("finals", study.goals), _Finals, _add_final).groups.values())
    if not finals:
        return None
    groups = [[job for job, _ in group] for group in finals]
    losses, freedom = paired([[(study.jobs[job].seed, loss) for job, loss in group] for group in finals])
    means = [sum(row) / len(row) for row in losses]
    noise, source = _noise(study, groups, losses, freedom)
    estimates, errors = shrink(means, [len(row) for row in losses], noise)
    # What was measured on fewer seeds or folds has to promise more: of equals, the better known one wins.
    bounds = estimates if errors is None else estimates + errors
    winner = min(range(len(groups)), key=lambda i: (bounds[i], i))
    error = None if errors is None else float(errors[winner])
    measured = sum(loss for _, loss in finals[winner]) / len(groups[winner])
    return _describe(study, groups[winner], measured, float(estimates[winner]), error, source)


def incumbents(study: Study) -> list[Best]:
    """The configs that were the best measured ones in their time, in order, of those with as many replicates as `best`.

    Their `estimate` is what was measured, less what is common to all configs on their replicates.
    """
    from tunewell.honest.pairing import paired

    found = best(study)
    groups = list(study.fold(("finals", study.goals), _Finals, _add_final).groups.values())
    losses, _ = paired([[(study.jobs[job].seed, loss) for job, loss in group] for group in groups])
    least, chosen = math.inf, []
    for group, row in zip(groups, losses, strict=True):
        mean = sum(row) / len(row)
        if found is not None and len(row) >= found.seeds and mean < least:
            least = mean
            measured = sum(loss for _, loss in group) / len(group)
            chosen.append(_describe(study, [job for job, _ in group], measured, mean, None, ""))
    return chosen


def _noise(
    study: Study, groups: Sequence[Sequence[int]], losses: Sequence[Sequence[float]], freedom: float
) -> tuple[float | None, str]:
    """The standard deviation of one measurement, and what tells it: repeated configs, or the curves of the best 20."""
    from tunewell.honest.shrinkage import noise_of_curves, noise_of_replicates

    repeated = noise_of_replicates(losses, freedom)
    if repeated is not None:
        return repeated, "seeds"
    leading = sorted(range(len(groups)), key=lambda i: losses[i][0])[:20]
    metric = study.objectives[0].metric
    jitter = noise_of_curves([study.curve(groups[i][0]).values.get(metric, []) for i in leading])
    if jitter is None or jitter <= 1e-6 * abs(losses[leading[0]][0]):
        return None, ""  # curves without jitter say nothing about other seeds
    return jitter, "curve"


def _describe(
    study: Study, group: Sequence[int], loss: float, estimate: float, error: float | None, noise: str
) -> Best:
    goal, result = study.objectives[0], study.results[group[0]]
    sign = -1.0 if goal.maximize else 1.0
    centre = sign * estimate
    return Best(
        config=study.jobs[group[0]].config,
        trial=_first_of_lineage(study, group[0]),
        metric=goal.metric,
        value=sign * loss,
        estimate=centre,
        interval=None if error is None else (centre - 1.96 * error, centre + 1.96 * error),
        noise=noise,
        seeds=len(group),
        metrics=result.metrics,
        checkpoint=study.path(result.saved),
    )


def _first_of_lineage(study: Study, job: int) -> int:
    first = study.jobs[job]
    for ancestor in reversed(study.lineage(job)):
        if ancestor.config != first.config or ancestor.seed != first.seed:
            break
        first = ancestor
    return first.id


def _add_final(state: _Finals, event: Event, study: Study) -> _Finals:
    if not isinstance(event, Result) or event.status != "done":
        return state
    job = study.jobs[event.job]
    if job.until < state.until:
        return state
    loss = study.loss(event.job)
    if not math.isfinite(loss) or not study.feasible(event.job):
        return state
    if job.until > state.until:
        state = _Finals(job.until, {})
    state.groups.setdefault(canonical(job.config), []).append((event.job, loss))
    return state


def canonical(config: Config) -> str:
    """The text that two equal configs share, whatever the order of their entries."""
    return msgspec.json.encode(config, order="sorted").decode()


# --- who would go on ------------------------------------------------------------------------------------------------


_SHARE = 3
"""One in so many trials goes on to more steps, as with successive halving."""


def leaders(study: Study) -> list[int]:
    """The last jobs of the best third of the trials that ended at the last step, the best first; where there are
    several objectives, of those that no other one dominates. None where the method decides on the way, and so goes on
    with its trials itself.
    """
    last, results = study.steps.maximum, study.results
    ended = [job.id for job in study.jobs.values() if job.until == last and job.tag[:1] != ("added",)]
    done = [job for job in ended if job in results and results[job].status == "done" and study.feasible(job)]
    if not done or _decides_on_the_way(study):
        return []
    losses = {job: tuple(study.loss(job, goal) for goal in range(len(study.objectives))) for job in done}
    if len(study.objectives) == 1:
        return sorted(done, key=lambda job: (losses[job], job))[: -(-len(done) // _SHARE)]
    return [job for job in done if not any(_dominates(other, losses[job]) for other in losses.values())]


def _dominates(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _decides_on_the_way(study: Study) -> bool:
    """Whether the method in force has asked for a job that ends before the last step of its time."""
    maximum = 1
    for event in study.plan.events:
        if isinstance(event, Act) and "steps" in event.data and event.what in ("open", "change"):
            maximum = msgspec.convert(event.data["steps"], Steps).maximum
        elif isinstance(event, Job) and event.until < maximum:
            return True
    return False
