"""The laws of a method. A new one is tested by a subclass of three lines:

class TestMyMethod(MethodContract):
    method = MyMethod(power=2)
    trials = 60
"""

from __future__ import annotations

import dataclasses
import heapq
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from typing import Any, ClassVar

import msgspec
import numpy as np
import pytest

from tunewell import budget
from tunewell.errors import Unsupported
from tunewell.method import Method, from_json, to_json
from tunewell.space import Blocks, Cell, Choice, Config, Float, Grammar, Int, Ordinal, Space
from tunewell.study import Act, Failure, Goal, Job, Limits, Report, Result, Steps, Study

Objective = Callable[[Config, int], float]
"""The loss of a config after so many steps; a loss that is not finite is a trial that failed."""

SPACES: Mapping[str, Space] = {
    "continuous": Space({"x": Float(0, 1), "y": Float(1e-4, 1, log=True), "z": Float(-2, 3)}),
    "mixed": Space(
        {
            "lr": Float(1e-5, 1e-1, log=True),
            "units": Int(4, 512, log=True),
            "depth": Int(1, 4),
            "size": Ordinal(["small", "medium", "large"]),
            "norm": Choice([None, "batch", "layer"]),
        }
    ),
    "conditional": Space(
        {
            "lr": Float(1e-4, 1, log=True),
            "model": Choice(
                {
                    "linear": {},
                    "forest": {"trees": Int(1, 100)},
                    "network": {
                        "depth": Int(1, 3),
                        "optimizer": Choice({"adam": {"beta": Float(0.8, 1)}, "sgd": {"momentum": Float(0, 1)}}),
                    },
                }
            ),
        }
    ),
    "tiny": Space({"a": Choice(["x", "y"]), "b": Int(1, 3)}),
    "constrained": Space(
        {"units": Int(1, 64), "layers": Int(1, 8), "rate": Float(0, 1)},
        {"memory": "units * layers <= 128", "shape": "layers <= units"},
    ),
    "structures": Space(
        {
            "lr": Float(1e-4, 1, log=True),
            "blocks": Blocks({"units": Int(4, 64, log=True), "kind": Choice(["relu", "tanh"])}, 1, 3, tied=["kind"]),
            "cell": Cell(3, ["none", "skip", "conv"], on_nodes=["relu", "gelu"]),
            "net": Grammar({"block": ["conv", "pool", "seq(block, block)"]}, "block", 3),
        }
    ),
}
"""Spaces of every kind that a method may meet."""


def new_study(space: Space, *, seed: int = 0, steps: int = 1, trials: int | None = None) -> Study:
    """A study in memory that has just been opened, of one goal: the least "loss"."""
    study = Study(functions=space.functions)
    settings = {
        "space": space.to_json(),
        "goals": [Goal("loss")],
        "steps": Steps(1, steps),
        "limits": Limits(trials=trials),
    }
    study.commit(Act("open", {"seed": seed, **msgspec.to_builtins(settings)}))
    return study


def bowl(space: Space) -> Objective:
    """A smooth objective on a space, which falls with the steps. Its best config lies off the middle of each range."""

    def loss(config: Config, step: int) -> float:
        distance = np.nan_to_num(space.encode(config) - 0.3, nan=0.2)
        return float(np.sum(distance**2)) + 1.0 / (1 + step)

    return loss


class Player:
    """Runs a method on a study in memory, with simulated workers that finish in random order.

    A share `failures` of the jobs fails. What happens to a job depends on `luck` and its id alone, so that a study
    which is cut and played again meets the same. `told` is called after each event.
    """

    def __init__(
        self,
        method: Method,
        objective: Objective,
        *,
        workers: int = 1,
        failures: float = 0.0,
        luck: int = 0,
        told: Callable[[Study], None] = lambda study: None,
    ) -> None:
        self.method = method
        self.objective = objective
        self.workers = workers
        self.failures = failures
        self.luck = luck
        self.told = told

    def play(self, study: Study) -> Study:
        """Go on with a study until its method or its budget ends it; returns the study."""
        running = [(self._seconds(job), job.id) for job in study.pending()]
        while True:
            job = self._next(study) if len(running) < self.workers else None
            if job is not None:
                began = running[0][0] if running else 0.0
                self._commit(study, job)
                if not self._answered(study, job):
                    heapq.heappush(running, (began + self._seconds(job), job.id))
            elif running:
                self._run(study, study.jobs[heapq.heappop(running)[1]])
            else:
                return study

    def _next(self, study: Study) -> Job | None:
        job = propose(self.method, study)
        return study.start(job) if job is not None and budget.affords(study, job) else None

    def _commit(self, study: Study, event: Job | Report | Result) -> None:
        study.commit(event)
        self.told(study)

    def _answered(self, study: Study, job: Job) -> bool:
        """A job that asks for no step beyond its parent has its parent's Result, at once."""
        if job.parent is None or study.reserved(job):
            return False
        self._commit(study, msgspec.structs.replace(study.results[job.parent], job=job.id))
        return True

    def _run(self, study: Study, job: Job) -> None:
        first = study.jobs[job.parent].until if job.parent is not None else 0
        steps = range(first + 1, job.until + 1)
        losses = [self.objective(job.config, step) for step in steps]
        self._commit(study, Report(job.id, tuple(steps), {"loss": tuple(losses)}))
        if self._draw(job, 1) < self.failures:
            self._commit(study, Result(job.id, "failed", step=first, error=Failure("crashed")))
        elif not math.isfinite(losses[-1]):
            self._commit(study, Result(job.id, "failed", step=first, error=Failure("diverged")))
        else:
            self._commit(study, Result(job.id, "done", {"loss": losses[-1]}, step=job.until, saved=f"{job.id}"))

    def _seconds(self, job: Job) -> float:
        return self._draw(job, 0)

    def _draw(self, job: Job, what: int) -> float:
        return float(np.random.default_rng([self.luck, job.id, what]).random())


def propose(method: Method, study: Study, extra: int | None = None) -> Job | None:
    """What a method proposes now, as the loop asks it; with `extra`, under another random generator."""
    seed = [study.seed, len(study.jobs)] + ([] if extra is None else [extra])
    return method.propose(study.plan, np.random.default_rng(seed))


def cut(study: Study, length: int) -> Study:
    """A new study that holds the first `length` events: what a reader finds who comes after a crash."""
    part = Study(study.name, functions=study._functions)
    for event in study.events[:length]:
        part.commit(event)
    return part


class MethodContract:
    """The laws. `trials` is the budget of trials, for methods that never end; a space that the method refuses with
    Unsupported at its first proposal is left out.
    """

    method: ClassVar[Any]
    trials: ClassVar[int] = 24
    steps: ClassVar[int] = 9
    most: ClassVar[int] = 2000
    """More jobs than this are taken for a method that runs away."""

    @pytest.fixture(params=SPACES)
    def space(self, request: pytest.FixtureRequest) -> Space:
        """A space of each kind."""
        space = SPACES[request.param]
        try:
            propose(self.method, self.new_study(space))
        except Unsupported as refusal:
            pytest.skip(f"refused: {refusal.message}")
        return space

    def new_study(self, space: Space) -> Study:
        """An opened study on the space."""
        return new_study(space, seed=11, steps=self.steps, trials=self.trials)

    def player(
        self,
        space: Space,
        workers: int = 1,
        failures: float = 0.0,
        told: Callable[[Study], None] | None = None,
    ) -> Player:
        """A player of the method under test."""
        return Player(self.method, bowl(space), workers=workers, failures=failures, told=told or self.check_length)

    def check_length(self, study: Study) -> None:
        """A method that continues its jobs for ever would never end."""
        assert len(study.jobs) <= self.most

    def test_is_a_method_with_frozen_settings(self) -> None:
        assert isinstance(self.method, Method)
        assert dataclasses.is_dataclass(self.method)
        assert hash(self.method) == hash(self.method)
        for field in dataclasses.fields(self.method):
            with pytest.raises(dataclasses.FrozenInstanceError):
                setattr(self.method, field.name, None)

    def test_survives_json(self) -> None:
        text = msgspec.json.encode(to_json(self.method))
        assert from_json(msgspec.json.decode(text)) == self.method

    @pytest.mark.parametrize("workers", [1, 8])
    def test_proposes_only_what_can_run(self, space: Space, workers: int) -> None:
        study = self.player(space, workers).play(self.new_study(space))
        assert study.jobs
        for job in study.jobs.values():
            space.validate(job.config)
            assert 1 <= job.until <= self.steps
            assert job.parent is None or self._goes_on(study, job)

    def _goes_on(self, study: Study, job: Job) -> bool:
        """Whether the parent of a job was done when the job was decided, and the job goes on from there: further, or
        with another config or seed, which may be judged by the parent's weights without more steps.
        """
        assert job.parent is not None
        before, parent = cut(study, job.seen), study.jobs[job.parent]
        least = parent.until + ((job.config, job.seed) == (parent.config, parent.seed))
        return before.results[parent.id].status == "done" and least <= job.until

    @pytest.mark.parametrize("workers", [1, 8])
    def test_replays(self, space: Space, workers: int) -> None:
        study = self.player(space, workers, failures=0.15).play(self.new_study(space))
        replay = cut(study, 0)
        for job in study.jobs.values():
            for event in study.events[len(replay) : job.seen]:
                replay.commit(event)
            assert self.same(propose(self.method, replay), job)

    def test_decides_alike_when_it_starts_late(self, space: Space) -> None:
        """What it remembers of the log is a cache: without it, it decides the same."""
        study = self.player(space, 8, failures=0.15).play(self.new_study(space))
        for job in list(study.jobs.values())[:: max(1, len(study.jobs) // 10)]:
            assert self.same(propose(self.method, cut(study, job.seen)), job)

    @staticmethod
    def same(proposed: Job | None, job: Job) -> bool:
        """Whether the proposal is the one that became the job."""
        return proposed is not None and msgspec.structs.replace(proposed, id=job.id, seen=job.seen) == job

    def test_changes_nothing(self, space: Space) -> None:
        """The second of two equal calls finds all that it remembers up to date, and has to leave it so."""

        def check(study: Study) -> None:
            first = propose(self.method, study)
            before = remembered(study)
            assert propose(self.method, study) == first
            assert remembered(study) == before

        self.player(space, 3, told=check).play(self.new_study(space))

    def test_stays_ended(self, space: Space) -> None:
        study = self.player(space, 8).play(self.new_study(space))
        for extra in range(10):
            job = propose(self.method, study, extra)
            assert job is None or not budget.affords(study, job)

    def test_ends_when_jobs_fail(self, space: Space) -> None:
        study = self.player(space, 8, failures=0.15).play(self.new_study(space))
        assert not study.pending()

    def test_ends_when_all_jobs_fail(self, space: Space) -> None:
        study = self.player(space, 8, failures=1.0).play(self.new_study(space))
        assert not study.pending()

    def test_goes_on_after_a_crash_at_any_event(self, space: Space) -> None:
        study = self.player(space, 3, failures=0.15).play(self.new_study(space))
        for length in range(1, len(study), max(1, len(study) // 12)):
            rest = self.player(space, 3, failures=0.15).play(cut(study, length))
            assert not rest.pending()
            assert list(rest.events[:length]) == list(study.events[:length])


def remembered(study: Study) -> list[bytes]:
    """What the folds of a study and of its views hold, and the length of each log."""
    return [
        pickle.dumps((len(view), [(done, state) for done, state in view._folds.values()])) for view in _views(study)
    ]


def _views(study: Study) -> Iterator[Study]:
    yield study
    for view in list(study._views.values()):
        yield from _views(view)
