"""Trials that took over the state of others, as in population-based training: who went on from whom; the schedule."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

from tunewell.report import figures, text
from tunewell.report.axes import Axis, axes, escaped, places
from tunewell.report.figures import BEST, CURVES, GOOD, QUIET, Scene
from tunewell.report.tables import plain_table
from tunewell.space import Config
from tunewell.study import Job, Study
from tunewell.trials import best as best_of

SEGMENTS = 3000
"""At most so many jobs are drawn, the newest ones."""
SHADES = 12
"""Lines have so many colours."""
SHADE: list[list[Any]] = [[0.0, "#3b4cc0"], [0.5, "#b08fb0"], [1.0, "#d1491b"]]
"""From the lowest value of an entry to the highest."""

_LOOK = "A dotted line leads there from where it had stood; the way of the best is green."

Line = list[float | None]


def has_copies(study: Study) -> bool:
    """Whether a job went on from the state of another trial."""
    return bool(study.objectives) and any(_is_copy(study, job) for job in study.jobs.values())


def _is_copy(study: Study, job: Job) -> bool:
    if job.parent is None:
        return False
    parent = study.jobs[job.parent]
    return job.tag != parent.tag and (job.config, job.seed) != (parent.config, parent.seed)


def copies(study: Study) -> int:
    """How many jobs went on from the state of another place in the plan: another member of the population."""
    return sum(_is_copy(study, job) for job in study.jobs.values())


def schedule(study: Study) -> list[tuple[int, Config]]:
    """The configs that the best trial's state was trained with, each with the step that it began after."""
    found: list[tuple[int, Config]] = []
    start = 0
    for job in _best(study):
        if not found or found[-1][1] != job.config:
            found.append((start, job.config))
        start = job.until
    return found


def _best(study: Study) -> list[Job]:
    """The lineage of the best trial's newest finished job."""
    best = best_of(study)
    trial = next((trial for trial in study.trials if best is not None and trial.id == best.trial), None)
    done = [job for job in trial.jobs if job in study.results] if trial is not None else []
    return study.lineage(done[-1]) if done else []


def note(study: Study) -> str:
    """How often it happened, in a sentence."""
    return f"{copies(study):,} times a member went on from the state of another one."


def table(study: Study) -> Any:
    """The schedule of the best as a rich table; None where nobody went on from another's state."""
    if not has_copies(study):
        return None
    found = schedule(study)
    names = list(dict.fromkeys(name for _, config in found for name in config))
    lines = [[f"{step:,}", *(text.entry(config.get(name, "")) for name in names)] for step, config in found]
    return plain_table([f"best, from {study.steps.unit}", *names], lines)


# --- figures ----------------------------------------------------------------------------------------------------------


def figure(study: Study, path: str | None = None) -> Any:
    """The value of each job over the steps, on from where its parent stood, coloured by the entry `path`: by default
    the first that is a number. Dotted: a member leaves its own state for that of another one.
    """
    scene = Scene.of(study)
    title = "Lineage"
    ended = [job for job in study.jobs.values() if job.id in study.results and math.isfinite(study.loss(job.id))]
    if not has_copies(study) or not ended:
        return figures.empty(title, "No trial went on from the state of another one.")
    shown = ended[-SEGMENTS:]
    best = [job for job in _best(study) if job.id in study.results]
    traces = [_lines(scene, best, BEST, 7, 0.5), _jumps(scene, shown), *_coloured(scene, shown, _axis(study, path))]
    layout = {
        "xaxis": {"title": escaped(study.steps.unit)},
        "yaxis": {"title": scene.metric, "type": figures.axis_type(scene.goal.loss(study.loss(j.id)) for j in shown)},
        "showlegend": False,
    }
    return figures.framed(title, f"{note(study)} {_LOOK}", traces, layout)


def _axis(study: Study, path: str | None) -> Axis | None:
    """The axis of the entry that colours the lines; None where none is a number."""
    numbers = [axis for axis in axes(study.space) if axis.kind != "options" and path in (None, axis.path)]
    return numbers[0] if numbers else None


def schedules(study: Study) -> list[Any]:
    """A figure for each entry that is a number: its value over the steps, in the best trial's lineage and in others."""
    scene = Scene.of(study)
    leaves = {job.id for job in study.jobs.values() if job.id in study.results} - {
        job.parent for job in study.jobs.values() if job.parent is not None
    }
    ranked = sorted(leaves, key=lambda job: (-study.jobs[job].until, study.loss(job)))[:CURVES]
    others = [study.lineage(job) for job in ranked]
    return [_schedule(scene, axis, others) for axis in axes(study.space) if axis.kind != "options"]


def _schedule(scene: Scene, axis: Axis, others: Sequence[list[Job]]) -> Any:
    grey: tuple[Line, Line] = ([], [])
    for lineage in others:
        for side, ends in zip(grey, _stairs(scene.study, lineage, axis), strict=True):
            side += [*ends, None]
    own = _stairs(scene.study, _best(scene.study), axis)
    traces = [_stair(*grey, QUIET, 1, 0.35), _stair(*own, BEST, 3, 1.0)]
    layout = {
        "xaxis": {"title": escaped(scene.study.steps.unit)},
        "yaxis": {"title": axis.label, "type": axis.kind, **figures.decades(axis)},
        "showlegend": False,
        "height": 280,
    }
    words = "The best's in green, in grey those of other members."
    return figures.framed("Schedules", words, traces, layout)


def _stairs(study: Study, lineage: Sequence[Job], axis: Axis) -> tuple[Line, Line]:
    x: Line = []
    y: Line = []
    start = 0
    for job, value in zip(lineage, _values(study, lineage, axis), strict=True):
        x, y, start = [*x, start, job.until], [*y, value, value], job.until
    return x, y


def _values(study: Study, jobs: Sequence[Job], axis: Axis) -> list[float | None]:
    """Where the configs of jobs stand on an axis."""
    return [axis.position(row.get(axis.path)) for row in places(study.space, [job.config for job in jobs])]


def _stair(x: Line, y: Line, colour: str, width: float, opacity: float) -> Any:
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": {"color": colour, "width": width},
        "opacity": opacity,
        "hoverinfo": "x+y",
    }


# --- traces -----------------------------------------------------------------------------------------------------------


def _point(scene: Scene, job: int) -> tuple[float, float]:
    """Where a job ended: its step, and its value."""
    sign = -1 if scene.goal.maximize else 1
    return scene.study.jobs[job].until, sign * scene.study.loss(job)


def _lines(scene: Scene, jobs: Sequence[Job], colour: str, width: float, opacity: float) -> Any:
    """From the end of each job's parent to its own; a point for those without."""
    ends = [[job.id] if job.parent is None else [job.parent, job.id] for job in jobs]
    return _joined(scene, ends, {"color": colour, "width": width}, opacity)


def _jumps(scene: Scene, jobs: Sequence[Job]) -> Any:
    """From where a member stood to the state that it took over."""
    newest: dict[tuple[str | int, ...], int] = {}
    ends = []
    for job in jobs:
        if job.parent is not None and job.tag in newest and _is_copy(scene.study, job):
            ends.append([newest[job.tag], job.parent])
        newest[job.tag] = job.id
    return _joined(scene, ends, {"color": QUIET, "width": 1.2, "dash": "dot"}, 0.8)


def _coloured(scene: Scene, jobs: Sequence[Job], axis: Axis | None) -> Iterator[Any]:
    """Lines in as many colours as there are shades; and the scale."""
    if axis is None:
        yield _lines(scene, jobs, GOOD, 1.6, 0.9)
        return
    low, high = axis.ends
    shades: dict[int, list[Job]] = {}
    for job, row in zip(jobs, places(scene.study.space, [job.config for job in jobs]), strict=True):
        at = axis.straight(row.get(axis.path))
        share = 0.0 if at is None else min(max((at - low) / (high - low), 0.0), 1.0)
        shades.setdefault(round(share * SHADES), []).append(job)
    for shade, group in sorted(shades.items()):
        yield _lines(scene, group, figures.between(SHADE, shade / SHADES), 1.6, 0.95)
    ticks = axis.ticks()
    bar = {"title": {"text": axis.label}, "thickness": 10, "outlinewidth": 0}
    bar |= {"tickvals": [at for at, _ in ticks], "ticktext": [words for _, words in ticks]}
    marker = {"color": [low], "colorscale": SHADE, "cmin": low, "cmax": high, "showscale": True, "colorbar": bar}
    yield {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "hoverinfo": "skip", "marker": marker}


def _joined(scene: Scene, ends: Sequence[Sequence[int]], line: dict[str, Any], opacity: float) -> Any:
    """Lines through the ends of jobs, as one trace."""
    points = [point for jobs in ends for point in (*(_point(scene, job) for job in jobs), (None, None))]
    return {
        "type": "scatter",
        "mode": "lines" if "dash" in line or line["width"] > 2 else "lines+markers",
        "x": [x for x, _ in points],
        "y": [y for _, y in points],
        "hovertext": [_hover(scene, job) for jobs in ends for job in (*jobs, None)],
        "hoverinfo": "text",
        "line": line,
        "marker": {"size": 3.5, "color": line["color"]},
        "opacity": opacity,
    }


def _hover(scene: Scene, number: int | None) -> str:
    if number is None:
        return ""
    job = scene.study.jobs[number]
    value = text.number(_point(scene, number)[1], 5)
    head = f"<b>job {number}</b>, {escaped(scene.study.steps.unit)} {job.until}, {scene.metric} {value}"
    entries = [f"{escaped(name)} = {escaped(text.shortened(text.entry(v), 60))}" for name, v in job.config.items()]
    return "<br>".join([head, *entries[:25]])
