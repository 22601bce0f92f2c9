"""What people look at: trials, and the best of them. Views of a Study, computed when asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from tunewell.errors import StudyError
from tunewell.events import Act, Event, Failure, Job, Metrics, Result, Steps
from tunewell.space import Config

if TYPE_CHECKING:
    from tunewell.honest.compare import Comparison
    from tunewell.honest.shrinkage import Belief, Measured
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
    and `interval` the 90 % interval around it; None where nothing in the study tells how noisy the metric is. `noise`
    says where its width comes from: "seeds" (configs run with several), "std" (the results say it), "curve" (the jitter
    from step to step: other seeds may differ more), "none" (repeated configs gave the same number), or "" (unknown).
    `checkpoint` is the folder of the winner's weights, where it saved any. `earlier` counts the changes of config that
    these weights were trained with before: where there are any, `config` is the end of a schedule (`schedule_of`).
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
    earlier: int = 0

    @property
    def luck(self) -> float:
        """How far the measured value is expected to be from the true one, on the good side."""
        return abs(self.estimate - self.value)

    def __str__(self) -> str:
        entries = "".join(f"\n  {name} = {value!r}" for name, value in self.config.items())
        return f"trial {self.trial}: {self.metric} = {self._shown()}{entries}{self._before()}"

    def _before(self) -> str:
        if not self.earlier:
            return ""
        times = f"{self.earlier} time{'s' * (self.earlier > 1)}"
        return f"\n(its config changed {times} while it was trained, this is the last one; schedule_of(study) has all)"

    def _shown(self) -> str:
        if self.interval is None:
            return f"{self.value:.6g}, measured once per config: its noise is unknown"
        if self.noise == "none":
            return f"{self.value:.6g}, the same each time that it was measured"
        low, high = self.interval
        how = f"over {self.seeds} seed{'s' * (self.seeds > 1)}"
        how = "with one seed; others may differ more" if self.noise == "curve" else how
        return f"{self.estimate:.6g} [{low:.6g}, {high:.6g}], measured {self.value:.6g} {how}"


class Finals(msgspec.Struct):
    """Fold state: the feasible results at the largest `until` so far, as (job, loss), grouped by config."""

    until: int = 0
    groups: dict[str, list[tuple[int, float]]] = {}


def finals(study: Study) -> Finals:
    """The feasible results at the largest number of steps that any has reached. Not to be changed."""
    return study.fold(("finals", study.goals), Finals, _add_final)


class Standing(msgspec.Struct, frozen=True):
    """What the finals say: the jobs of each config, their `measured` losses, the `belief` about the true ones (None
    where nothing tells the noise, or where there is none), and what tells the noise.
    """

    jobs: tuple[tuple[int, ...], ...]
    measured: Measured
    belief: Belief | None
    noise: str

    def estimates(self) -> Sequence[float]:
        """The loss of each config that luck has been taken out of, as far as the noise is known."""
        means = self.measured.means if self.belief is None else self.belief.moments()[0]
        return [float(mean) for mean in means]

    def interval(self, place: int) -> tuple[float, float] | None:
        """The 90 % interval of the true loss of the config at a place; None where the noise is unknown."""
        if self.belief is not None:
            return self.belief.interval(place)
        mean = float(self.measured.means[place])
        return (mean, mean) if self.noise == "none" else None


def standing(study: Study) -> Standing | None:
    """How the configs that trained longest compare; None before the first result."""
    groups = list(finals(study).groups.values())
    return _standing(study, groups) if groups else None


def contenders(study: Study) -> list[tuple[int, ...]]:
    """The jobs of each config that reached the largest `until`, as far as all their objectives are finite; of those
    measured by folds, the ones that had most of them.
    """
    goals, folded = range(len(study.objectives)), _is_folded(study)
    groups = [tuple(job for job, _ in group) for group in finals(study).groups.values()] if goals else []
    told = [tuple(job for job in group if all(math.isfinite(study.loss(job, g)) for g in goals)) for group in groups]
    most = max(map(len, told), default=0)
    return [group for group in told if len(group) == most or (group and not folded)]


def compared(study: Study, groups: Sequence[Sequence[int]], goal: int) -> Standing:
    """How configs compare by one objective of several, each by its jobs."""
    return _standing(study, [[(job, study.loss(job, goal)) for job in group] for group in groups], goal, True)


def _standing(
    study: Study, groups: Sequence[Sequence[tuple[int, float]]], goal: int = 0, whole: bool = False
) -> Standing:
    from tunewell.honest.shrinkage import Belief, Measured

    jobs = tuple(tuple(job for job, _ in group) for group in groups)
    losses, taken = _paired(study, groups)
    metric = study.objectives[goal].metric
    measured = Measured(losses, taken=taken)
    if measured.is_exact:
        return Standing(jobs, measured, None, "none")
    known = _errors(study, jobs, metric)
    if known is not None:
        measured = Measured(losses, known, taken=taken)
        teller = "std" if measured.freedom < _ENOUGH else "seeds"
        return Standing(jobs, measured, Belief(measured, whole=whole), teller)
    if measured.freedom:
        return Standing(jobs, measured, Belief(measured, whole=whole), "seeds")
    jitter = _jitter(study, jobs, losses, metric)
    belief = Belief(measured, jitter, whole) if jitter else None
    return Standing(jobs, measured, belief, "curve" if jitter else "")


def _paired(study: Study, groups: Sequence[Sequence[tuple[int, float]]]) -> tuple[list[list[float]], float]:
    """The losses of each config, less what is common to all configs on a fold, and the freedom that this took.

    Only where folds are what is repeated: where finalists run again, their first numbers were lucky, and no seed is at
    fault.
    """
    from tunewell.honest.pairing import paired

    if not _is_folded(study):
        return [[loss for _, loss in group] for group in groups], 0.0
    return paired([[(study.jobs[job].seed, loss) for job, loss in group] for group in groups])


def _is_folded(study: Study) -> bool:
    """Whether replicates are folds, by the method in force."""
    return "CrossValidation" in str(study.settings.method)


def _whole(study: Study, found: Standing) -> list[int]:
    """The places of the configs that can be the best: of those measured by folds, the ones that had most of them."""
    most = max(map(len, found.jobs))
    return [i for i, group in enumerate(found.jobs) if len(group) == most or not _is_folded(study)]


_ENOUGH = 4
"""From so many repetitions on, these are named as what tells the noise, and not the errors that results carry."""


def _errors(study: Study, jobs: Sequence[Sequence[int]], metric: str) -> list[float] | None:
    """The standard error of the mean of each config, where every result carries its own."""
    errors = []
    for group in jobs:
        stds = [study.results[job].std.get(metric, math.nan) for job in group]
        if not all(math.isfinite(std) and std > 0 for std in stds):
            return None
        errors.append(math.sqrt(sum(std**2 for std in stds)) / len(stds))
    return errors


def _jitter(
    study: Study, jobs: Sequence[Sequence[int]], losses: Sequence[Sequence[float]], metric: str
) -> float | None:
    """The noise from step to step in the curves of the best 20; None where it says nothing about other seeds."""
    from tunewell.honest.shrinkage import noise_of_curves

    leading = sorted(range(len(jobs)), key=lambda i: losses[i][0])[:20]
    jitter = noise_of_curves([study.curve(jobs[i][0]).values.get(metric, []) for i in leading])
    return None if jitter is None or jitter <= 1e-6 * abs(losses[leading[0]][0]) else jitter


def best(study: Study) -> Best | None:
    """The config with the best estimate of the first objective among those that reached the largest `until`."""
    found = standing(study) if study.objectives else None
    if found is None:
        return None
    estimates = found.estimates()
    winner = min(_whole(study, found), key=lambda i: (estimates[i], i))
    group = found.jobs[winner]
    value = sum(study.loss(job) for job in group) / len(group)
    return _describe(study, group, found.noise, value, estimates[winner], found.interval(winner))


_SURE = 0.8
"""The probability of being better that a new best needs."""

_AGAIN, _SURE_AGAIN = 3, 0.75
"""By results after the first alone: so many of them, and this probability. One or two are asked of many configs, and
some of these are lucky twice; of more than that, less is needed than where the choice was among all.
"""


def incumbents(study: Study) -> list[tuple[int, int]]:
    """Which trial was held for the best from which event on: (number of the event, trial), in order."""
    groups: dict[str, list[tuple[int, float]]] = {}
    taken: list[tuple[int, str]] = []
    last = finals(study)
    losses = {job: loss for group in last.groups.values() for job, loss in group}
    for number, event in enumerate(study.events, 1):
        if isinstance(event, Result) and event.job in losses:
            name = canonical(study.jobs[event.job].config)
            groups.setdefault(name, []).append((event.job, losses[event.job]))
            best = _taking_over(study, groups, taken[-1][1]) if taken else name
            if best is not None:
                taken.append((number, best))
    return [(number, first_of_lineage(study, groups[name][0][0])) for number, name in taken]


def _taking_over(study: Study, groups: Mapping[str, list[tuple[int, float]]], held: str) -> str | None:
    """The config that is better than the one that is held, surely enough; None where there is none.

    Asked are two: the best by estimate, and the best of those that ran again, since a lucky number keeps the first
    place from what was measured well.
    """
    names, again = list(groups), {name: [loss for _, loss in group[1:]] for name, group in groups.items()}
    means = {name: sum(loss for _, loss in group) / len(group) for name, group in groups.items()}
    rival, repeated = min(names, key=means.__getitem__), [name for name in names if again[name] and name != held]
    if rival == held and not repeated:
        return None
    found = _standing(study, list(groups.values()))
    if found.belief is None:
        return None if rival == held else rival
    estimates = dict(zip(names, found.estimates(), strict=True))
    rivals = {min(some, key=estimates.__getitem__) for some in (names, repeated) if some} - {held}
    places = {name: place for place, name in enumerate(names)}
    sure = [name for name in rivals if _is_surely(found.belief, again[name], places[name], places[held])]
    return min(sure, key=estimates.__getitem__, default=None)


def _is_surely(belief: Belief, again: Sequence[float], new: int, old: int) -> bool:
    """Whether a config is better than another, by all results or by those after its first alone."""
    alone = belief.better_by(again, new, old) if len(again) >= _AGAIN else 0.0
    return belief.better(new, old) >= _SURE or alone >= _SURE_AGAIN


def replicates(study: Study, trial: int | None = None) -> dict[int, float]:
    """The loss by seed of a trial's config at the largest number of steps; of the best config, left out."""
    found = best(study) if trial is None else None
    number = trial if found is None else found.trial
    if number is None or number not in study.jobs:
        what = "no trial has a result that counts" if trial is None else f"there is no trial {trial}"
        raise StudyError(what, hint="study.trials shows those that there are.")
    group = finals(study).groups.get(canonical(study.jobs[number].config), [])
    return {study.jobs[job].seed: loss for job, loss in group}


def against_default(study: Study) -> Comparison | None:
    """The best config against the default one, on the seeds that both had; None where there are fewer than two.

    Left out is the seed of the result that made it a candidate, on which it was lucky.
    """
    from tunewell.honest.compare import compare

    found = best(study)
    default = finals(study).groups.get(canonical(study.space.default()), [])
    if found is None or canonical(found.config) == canonical(study.space.default()):
        return None
    first = study.jobs[found.trial].seed
    again = {seed: loss for seed, loss in replicates(study, found.trial).items() if seed != first}
    others = {study.jobs[job].seed: loss for job, loss in default}
    return compare(again, others) if len(again.keys() & others.keys()) >= 2 else None


def winners(study: Study, found: Best, goal: int = 0) -> list[Best]:
    """The configs that were the best measured ones by a goal in their time, in order, of those with as many replicates
    as `found` has.

    Their `estimate` is what was measured, less what is common to all configs on their replicates.
    """
    from tunewell.honest.pairing import paired

    told = ([(job, study.loss(job, goal)) for job, _ in group] for group in finals(study).groups.values())
    groups = [finite for group in told if (finite := [pair for pair in group if math.isfinite(pair[1])])]
    losses, _ = paired([[(study.jobs[job].seed, loss) for job, loss in group] for group in groups])
    least, chosen = math.inf, []
    for group, row in zip(groups, losses, strict=True):
        mean = sum(row) / len(row)
        if len(row) >= found.seeds and mean < least:
            least = mean
            measured = sum(loss for _, loss in group) / len(group)
            chosen.append(_describe(study, tuple(job for job, _ in group), "", measured, mean, None, goal))
    return chosen


def _describe(
    study: Study,
    group: Sequence[int],
    noise: str,
    loss: float,
    estimate: float,
    interval: tuple[float, float] | None,
    place: int = 0,
) -> Best:
    goal = study.objectives[place]
    sign = -1.0 if goal.maximize else 1.0
    low, high = sorted(sign * end for end in interval) if interval else (math.nan, math.nan)
    result = study.results[group[0]]
    return Best(
        config=study.jobs[group[0]].config,
        trial=first_of_lineage(study, group[0]),
        metric=goal.metric,
        value=sign * loss,
        estimate=sign * estimate,
        interval=None if interval is None else (low, high),
        noise=noise,
        seeds=len(group),
        metrics=result.metrics,
        checkpoint=study.path(result.saved),
        earlier=sum(before.config != job.config for before, job in pairwise(study.lineage(group[0]))),
    )


def first_of_lineage(study: Study, job: int) -> int:
    """The id of the trial that a job belongs to: of the first job with its config and seed."""
    first = study.jobs[job]
    for ancestor in reversed(study.lineage(job)):
        if ancestor.config != first.config or ancestor.seed != first.seed:
            break
        first = ancestor
    return first.id


def _add_final(state: Finals, event: Event, study: Study) -> Finals:
    if not isinstance(event, Result) or event.status != "done":
        return state
    job = study.jobs[event.job]
    if job.until < state.until:
        return state
    loss = study.loss(event.job)
    if not math.isfinite(loss) or not study.feasible(event.job):
        return state
    if job.until > state.until:
        state = Finals(job.until, {})
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
