"""Studies made by hand: committed events, no store and no loop."""

import math

import msgspec
import numpy as np

from tunewell.space import Choice, Float, Int, Ordinal, Space
from tunewell.study import Act, Failure, Goal, Job, Limits, Report, Result, Steps, Study

SPACE = Space(
    {
        "lr": Float(1e-5, 1e-1, log=True),
        "layers": Int(1, 4),
        "width": Ordinal([16, 64, 256]),
        "optimizer": Choice(
            {
                "adamw": {"decay": Float(1e-6, 1e-1, log=True)},
                "sgd": {"momentum": Float(0, 0.99), "nesterov": Choice([True, False])},
            }
        ),
    }
)
BEGAN = 1_800_000_000.0


class Watched(Study):
    """A Study with watchers, as `LiveStudy` has them, and without a store."""

    def __init__(self, name="study"):
        super().__init__(name)
        self.watchers = []

    def say(self, event, time=0.0):
        """Commit an event and tell the watchers."""
        self.commit(event, time)
        for watcher in self.watchers:
            watcher(self, event)


def opened(name="study", *, space=SPACE, goals=(Goal("loss"),), steps=None, limits=None, method=None) -> Watched:
    """A study without jobs."""
    study = Watched(name)
    data = {
        "seed": 1,
        "space": space.to_json(),
        "goals": msgspec.to_builtins(tuple(goals)),
        "method": method or {"method": "Random"},
    }
    study.commit(
        Act(
            "open",
            {**data, "steps": msgspec.to_builtins(steps or Steps()), "limits": msgspec.to_builtins(limits or Limits())},
        ),
        BEGAN,
    )
    return study


def score(config) -> float:
    """What a config is worth: a bowl around lr = 3e-3 that prefers wide and deep."""
    return 0.05 + 0.2 * (math.log10(config["lr"]) + 2.5) ** 2 + 0.05 * (4 - config["layers"]) + 4 / config["width"]


def filled(trials=30, *, failures=0.1, maximize=False, last=9, workers=2, seed=0, **settings) -> Watched:
    """A study of random search with `trials` trials of `last` steps, some of which fail."""
    goal = Goal("accuracy" if maximize else "loss", maximize=maximize)
    study = opened(**{"goals": (goal,), "steps": Steps(1, last, "epochs"), **settings})
    rng = np.random.default_rng(seed)
    ends = [BEGAN + 1] * workers  # when each worker is free
    for number in range(trials):
        config = study.space.sample(rng)
        worker = int(np.argmin(ends))
        began, seconds = ends[worker], float(rng.uniform(2, 6))
        ends[worker] += seconds
        job = study.start(Job(config, last))
        study.say(job, began)
        value = score(config) + float(rng.normal(0, 0.02))
        broken = rng.random() < failures
        say_trial(study, job, value, began, seconds, broken, rng)
    return study


def say_trial(study, job, value, began, seconds, broken, rng):
    """The reports and the result of one job."""
    metric, up = study.goals[0].metric, study.goals[0].maximize
    reached = job.until // 2 if broken else job.until
    final = 1 - value if up else value
    start = 0.1 if up else 3.0
    steps = tuple(range(1, reached + 1))
    curve = [final + (start - final) * math.exp(-5 * step / job.until) + float(rng.normal(0, 0.01)) for step in steps]
    if curve and not broken:
        curve[-1] = final
    if curve:
        study.say(Report(job.id, steps, {metric: tuple(curve)}), began + seconds * 0.9)
    if broken:
        error = Failure("diverged", f"{metric} = nan")
        study.say(
            Result(job.id, "failed", {metric: math.nan}, step=reached, seconds=seconds, error=error), began + seconds
        )
    else:
        study.say(Result(job.id, "done", {metric: final, "size": 12.0}, step=reached, seconds=seconds), began + seconds)
