"""Studies made by hand: committed events, no store and no loop."""

import math
from dataclasses import dataclass
from functools import cache, partial

import msgspec
import numpy as np

from tunewell.loop import tune
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
LOSS = (Goal("loss"),)


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


def opened(name="study", *, space=SPACE, goals=LOSS, steps=None, limits=None, method=None) -> Watched:
    """A study without jobs."""
    study = Watched(name)
    data = {
        "seed": 1,
        "space": space.to_json(),
        "goals": msgspec.to_builtins(tuple(goals)),
        "method": method or {"method": "Random"},
        "steps": msgspec.to_builtins(steps or Steps()),
        "limits": msgspec.to_builtins(limits or Limits()),
    }
    study.commit(Act("open", data), BEGAN)
    return study


def score(config) -> float:
    """What a config is worth: a bowl around lr = 3e-3 that prefers wide and deep."""
    return 0.05 + 0.2 * (math.log10(config["lr"]) + 2.5) ** 2 + 0.05 * (4 - config["layers"]) + 4 / config["width"]


def filled(trials=30, *, failures=0.1, maximize=False, last=9, workers=2, seed=0, **settings) -> Watched:
    """A study of random search with `trials` trials of `last` steps in `SPACE`, some of which fail."""
    goal = Goal("accuracy" if maximize else "loss", maximize=maximize)
    study = opened(**{"goals": (goal,), "steps": Steps(1, last, "epochs"), **settings})
    rng = np.random.default_rng(seed)
    free = [BEGAN + 1] * workers  # when each worker is free
    for _ in range(trials):
        worker = int(np.argmin(free))
        job = study.start(Job(study.space.sample(rng), last))
        span = Span(free[worker], float(rng.uniform(2, 6)))
        study.say(job, span.began)
        say_trial(study, job, span, rng, broken=rng.random() < failures)
        free[worker] += span.seconds
    return study


@cache
def big() -> Watched:
    """Ten thousand trials. Nobody may change it."""
    return filled(10_000)


@dataclass(frozen=True)
class Span:
    """When a job ran."""

    began: float = BEGAN
    seconds: float = 1.0

    @property
    def ended(self) -> float:
        """When its Result came."""
        return self.began + self.seconds


def say_trial(study, job, span, rng, *, broken=False):
    """The reports and the result of one job."""
    goal = study.objectives[0]
    loss = score(job.config) + float(rng.normal(0, 0.02))
    final, start = (1 - loss, 0.1) if goal.maximize else (loss, 3.0)
    reached = job.until // 2 if broken else job.until
    steps = tuple(range(1, reached + 1))
    curve = tuple(final + (start - final) * (math.exp(-5 * step / job.until) - math.exp(-5)) for step in steps)
    if steps:
        study.say(Report(job.id, steps, {goal.metric: curve}), span.ended - 0.1 * span.seconds)
    ended = Result(job.id, "done", {goal.metric: final, "size": 12.0}, step=reached, seconds=span.seconds)
    if broken:
        error = Failure("diverged", f"{goal.metric} = nan")
        ended = msgspec.structs.replace(ended, status="failed", metrics={goal.metric: math.nan}, error=error)
    study.say(ended, span.ended)


def say_done(study, config, value, *, until=1, parent=None, seed=0, **metrics):
    """One job that ends well with `value` as its first goal; returns its id."""
    job = study.start(Job(config, until, parent=parent, seed=seed))
    study.say(job, BEGAN + len(study))
    result = Result(job.id, "done", {study.objectives[0].metric: value, **metrics}, step=until, seconds=1.0)
    study.say(result, BEGAN + len(study))
    return job.id


def step_saved(step, path):
    (path / "step").write_text(str(step))


def on_the_way(method, steps=9, trials=None, saves=True):
    """A real study, in memory, of a method that decides on the way; its objective saves checkpoints, or not."""

    def train(run):
        for step in run.steps():
            loss = abs(run.config["x"] - 0.3) + 1 / step
            run.report(step, loss=loss, save=partial(step_saved, step) if saves else None)

    space = {"x": Float(0, 1), "lr": Float(1e-4, 1, log=True)}
    settings = {"minimize": "loss", "steps": Steps(1, steps, unit="epochs"), "trials": trials, "seed": 1}
    return tune(train, space, method=method, progress=False, **settings)
