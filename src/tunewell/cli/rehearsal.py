"""run --dry-run: one trial of the default config, kept nowhere, and what the whole plan would take by that measure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from tunewell.cli import words
from tunewell.live import open_study
from tunewell.loop import run as work_on
from tunewell.report import text
from tunewell.space import Config, Space
from tunewell.study import Limits, Metrics, Result, Steps

if TYPE_CHECKING:
    from tunewell.live import LiveStudy
    from tunewell.protocols import Executor
    from tunewell.studyfile import StudyFile


class Trial(msgspec.Struct, frozen=True):
    """What the one trial took: `steps` in `seconds`, and a checkpoint of `bytes` (0: it saved none)."""

    config: Config
    steps: int
    seconds: float
    metrics: Metrics
    bytes: int


class Estimate(msgspec.Struct, frozen=True):
    """What the plan would take, at most: methods that stop trials early take less. None: nothing tells."""

    workers: int
    trials: int | None
    steps: int | None
    seconds: float | None
    cost: float | None
    bytes: int | None


def rehearse(spec: StudyFile, objective: Any, executor: Executor, steps: int | None, where: str, as_json: bool) -> int:
    """Run the trial, then print the estimate and the plan; returns the exit code."""
    trial = _trial(spec, objective, executor, steps)
    if isinstance(trial, Result):
        why = f": {trial.error.kind}: {trial.error.message}" if trial.error is not None else ""
        words.note(f"the default trial {trial.status}{why}")
        return 1
    estimate = estimated(spec, trial, getattr(executor, "workers", 1))
    if as_json:
        words.print_json({"trial": trial, "estimate": estimate, "plan": _plan(spec, where)})
    else:
        _show(spec, trial, estimate, where)
    return 0


def _trial(spec: StudyFile, objective: Any, executor: Executor, steps: int | None) -> Trial | Result:
    """The trial, or its Result where it did not succeed."""
    until = min(steps or _longest(spec), _longest(spec))
    with open_study(
        spec.name,
        space=spec.space,
        minimize=spec.minimize,
        maximize=spec.maximize,
        at_most=spec.at_most,
        method="Random",
        steps=until,
        limits=Limits(trials=1),
        seed=spec.seed,
    ) as study:
        study.enqueue(_first(spec.space))
        work_on(study, objective, executor=executor, save_every=spec.save_every, progress=False)
        result = study.results[0]
        if result.status != "done":
            return result
        size = _size_of(study, result)
        return Trial(study.jobs[0].config, max(result.step, 1), result.seconds, result.metrics, size)


def _longest(spec: StudyFile) -> int:
    return spec.steps.maximum if isinstance(spec.steps, Steps) else spec.steps


def _first(space: Space) -> Config:
    """The default config, or a random one where the constraints forbid that."""
    import numpy as np

    config = space.default()
    return config if space.satisfies(config) is None else space.sample(np.random.default_rng(0))


def _size_of(study: LiveStudy, result: Result) -> int:
    if study.files is None or result.saved is None:
        return 0
    return words.size_of(study.files / result.saved)


def estimated(spec: StudyFile, trial: Trial, workers: int = 1) -> Estimate:
    """What the plan of `spec` would take if every trial were like `trial`."""
    limits, longest = spec.limits, _longest(spec)
    bounds = [limits.trials * longest if limits.trials is not None else None, limits.steps]
    known = [bound for bound in bounds if bound is not None]
    if not known:
        return Estimate(workers, None, None, limits.seconds, limits.cost, None)
    steps = min(known)
    trials = math.ceil(steps / longest)
    seconds = steps / trial.steps * trial.seconds / min(workers, max(trials, 1))
    cost = steps / trial.steps * trial.metrics["cost"] if "cost" in trial.metrics else None
    return Estimate(
        workers, trials, steps, _capped(seconds, limits.seconds), _capped(cost, limits.cost), trials * trial.bytes
    )


def _capped(value: float | None, limit: float | None) -> float | None:
    return value if value is None or limit is None else min(value, limit)


def _plan(spec: StudyFile, where: str) -> dict[str, Any]:
    return {
        "study": spec.name,
        "store": where,
        "method": spec.method or "Auto",
        "steps": spec.steps,
        "limits": {name: value for name, value in msgspec.structs.asdict(spec.limits).items() if value is not None},
        "dimensions": len(spec.space.paths),
        "configs": spec.space.size,
        "different": spec.space.different,
    }


def _show(spec: StudyFile, trial: Trial, estimate: Estimate, where: str) -> None:
    unit = spec.steps.unit if isinstance(spec.steps, Steps) else "steps"
    metrics = ", ".join(f"{name} = {value:.6g}" for name, value in trial.metrics.items())
    took = f"{text.count(trial.steps, unit)} in {text.duration(trial.seconds)}: {metrics}"
    rows = [("one trial", f"{took}, kept nowhere"), ("its config", text.config(trial.config)), ("the plan", "")]
    rows += [(f"  {name}", value) for name, value in _lines(spec, trial, estimate, where, unit)]
    for name, value in rows:
        words.say(f"{name:<12} {value}".rstrip())


def _lines(spec: StudyFile, trial: Trial, estimate: Estimate, where: str, unit: str) -> Sequence[tuple[str, str]]:
    limits = {name: value for name, value in msgspec.structs.asdict(spec.limits).items() if value is not None}
    plan = _plan(spec, where)
    method = plan["method"] if isinstance(plan["method"], str) else text.method(plan["method"])
    lines = [
        ("study", f"{spec.name!r} in {where}"),
        ("space", f"{text.count(plan['dimensions'], 'dimensions')}, {_size(**plan)}"),
        ("method", method),
        ("limits", ", ".join(f"{name} {value:g}" for name, value in limits.items()) or "none"),
        ("time", _time(estimate, unit)),
    ]
    if estimate.cost is not None:
        lines.append(("cost", f"at most about {estimate.cost:.4g}"))
    return [*lines, ("disk", _disk(trial, estimate))]


def _size(configs: float, different: float | None, **_: Any) -> str:
    """How many configs there are, and how many of these are different cells."""
    if math.isinf(configs):
        return "no end of configs"
    return f"{configs:,} configs" + (f", {different:,} of them different" if different not in (None, configs) else "")


def _time(estimate: Estimate, unit: str) -> str:
    if estimate.seconds is None:
        return "until somebody stops it: no limit of trials, steps or seconds"
    if estimate.steps is None:
        return f"{text.duration(estimate.seconds)}, the limit"
    what = f"{text.count(estimate.steps, unit)} on {text.count(estimate.workers, 'workers')}"
    return f"at most about {text.duration(estimate.seconds)} for {what}"


def _disk(trial: Trial, estimate: Estimate) -> str:
    if not trial.bytes:
        return "no checkpoints"
    each = f"{words.size(trial.bytes)} for each trial's last checkpoint"
    return each if estimate.bytes is None else f"at most about {words.size(estimate.bytes)}, {each}"
