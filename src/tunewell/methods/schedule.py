"""Schedules: a config that changes at given steps, run as it is; and that of a lineage which a study has found."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import msgspec
import numpy as np

from tunewell.errors import StudyError, Unsupported
from tunewell.space import Config
from tunewell.study import Event, Job, Result, Study
from tunewell.trials import best as best_of

Segments = Iterable[tuple[int, Mapping[str, Any] | str]]


@dataclass(frozen=True)
class Schedule:
    """Trains with a config for each segment of the steps, `runs` times with fresh seeds: 1, 2, ...

    `segments` are pairs (step, config), the first from step 0: the config holds from that step to the next one's, or to
    the last. With one segment it is a constant: `Schedule([(0, config)])`. As a setting a config is kept as the text
    that JSON writes for it; `configs` gives the pairs back.

    Raises StudyError for steps that do not ascend from 0, Unsupported where a config is not one of the study's space.
    The objective has to save checkpoints, where there are several segments.
    """

    segments: Any
    runs: int = 1

    reference: ClassVar[str] = ""

    def __post_init__(self) -> None:
        pairs = tuple((int(step), _text(config)) for step, config in self.segments)
        steps = [step for step, _ in pairs]
        if not pairs or steps[0] != 0 or steps != sorted(set(steps)):
            raise StudyError(f"Schedule: segments from the steps {steps}", hint="Ascending, the first one 0.")
        if self.runs < 1:
            raise StudyError(f"Schedule: runs={self.runs}", hint="At least 1.")
        object.__setattr__(self, "segments", pairs)

    @property
    def configs(self) -> list[tuple[int, Config]]:
        """The pairs (first step, config)."""
        return [(step, json.loads(text)) for step, text in self.segments]

    def propose(self, study: Study, rng: np.random.Generator) -> Job | None:
        """The next segment of the first run that can go on."""
        newest = study.fold("runs", dict[int, tuple[int, bool]], _follow)
        for number in range(self.runs):
            job, able = newest.get(number, (None, True))
            until = 0 if job is None else study.jobs[job].until
            if able and until < study.steps.maximum:
                return self._segment(study, number, job, until)
        return None

    def _segment(self, study: Study, number: int, parent: int | None, start: int) -> Job:
        config = next(config for step, config in reversed(self.configs) if step <= start)
        if config not in study.space:
            told = f"the schedule's config from step {start} is not one of this space: {config}"
            raise Unsupported(told, hint="Give the study the space that the schedule was found in.")
        ends = [step for step, _ in self.segments if start < step < study.steps.maximum]
        return Job(config, min([*ends, study.steps.maximum]), parent, (number,), number + 1)


def _text(config: Mapping[str, Any] | str) -> str:
    return config if isinstance(config, str) else msgspec.json.encode(config, order="sorted").decode()


def _follow(newest: dict[int, tuple[int, bool]], event: Event, study: Study) -> dict[int, tuple[int, bool]]:
    """Fold: the newest job of each run, and whether it is done."""
    if isinstance(event, Job):
        assert isinstance(event.tag[0], int)
        newest[event.tag[0]] = event.id, False
    elif isinstance(event, Result):
        number = study.jobs[event.job].tag[0]
        assert isinstance(number, int)
        newest[number] = event.job, event.status == "done"
    return newest


def schedule_of(study: Study, job: int | None = None, runs: int = 1) -> Schedule:
    """The schedule that a job's lineage trained with, as a method that runs it again; by default that of the best.

    Raises StudyError where nothing has finished yet, or there is no such job.
    """
    found = best_of(study) if job is None else None
    if found is not None:
        job = _last(study, found.trial)
    if job is None or job not in study.jobs:
        told = "nothing has finished yet" if job is None else f"there is no job {job}"
        raise StudyError(told, hint="A schedule is that of a job of the study.")
    segments: list[tuple[int, Config]] = []
    start = 0
    for part in study.lineage(job):
        if not segments or segments[-1][1] != part.config:
            segments.append((start, part.config))
        start = part.until
    return Schedule(segments, runs)


def _last(study: Study, trial: int) -> int:
    """The newest job of a trial that was done."""
    found = next(each for each in study.trials if each.id == trial)
    return max(job for job in found.jobs if job in study.results and study.results[job].status == "done")
