"""The rungs of a study whose trials stop on their way: how many stood on each, went on, and how well its ranks tell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tunewell.errors import TunewellError
from tunewell.honest.ranks import rank_correlation
from tunewell.method import from_json
from tunewell.report import figures, text
from tunewell.report.axes import escaped
from tunewell.report.figures import BEST, GOOD, POINTS, QUIET, Scene
from tunewell.report.tables import plain_table
from tunewell.study import Study, Trial
from tunewell.trials import best as best_of

RUNGS = 12
"""A study whose trials stop at more steps than these has no rungs."""
PAIRS = 5
"""A rank correlation of fewer trials than these is not shown."""
HEAD = ("trials", "went on", "best", "rank correlation", "of trials")
"""What stands beside the steps of a rung."""


@dataclass(frozen=True)
class Rung:
    """The trials that have a result at `until` steps: the loss of each, how many of them went on to more, the `best`
    value; and the rank correlation of the `pairs` trials that have a result on the last rung, too.
    """

    until: int
    losses: dict[int, float]
    went_on: int
    best: float
    pairs: int
    correlation: float


def rungs(study: Study) -> list[Rung]:
    """The rungs, the lowest first; none where all trials run through, stop at any step, or copy others (PBT)."""
    if not study.objectives or any(trial.came_from is not None for trial in study.trials):
        return []
    found: dict[int, dict[int, float]] = {}
    for trial in study.trials:
        for job in trial.jobs if trial.tag[:1] != ("added",) else ():
            if job in study.results and math.isfinite(study.loss(job)):
                found.setdefault(study.jobs[job].until, {})[trial.id] = study.loss(job)
    steps = sorted(found)
    if not 2 <= len(steps) <= RUNGS:
        return []
    asked = {trial.id: study.jobs[trial.jobs[-1]].until for trial in study.trials}
    return [_rung(study, until, found, asked, steps[-1]) for until in steps]


def _rung(study: Study, until: int, found: dict[int, dict[int, float]], asked: dict[int, int], last: int) -> Rung:
    losses = found[until]
    pairs = [(loss, found[last][trial]) for trial, loss in losses.items() if trial in found[last]]
    known = until < last and len(pairs) >= PAIRS
    went_on = sum(asked[trial] > until for trial in losses)
    best = min(losses.values()) * (-1 if study.objectives[0].maximize else 1)
    return Rung(until, losses, went_on, best, len(pairs), rank_correlation(pairs) if known else math.nan)


def cells(found: Sequence[Rung]) -> list[list[str]]:
    """The lines of the table: the steps, then what `HEAD` says."""
    last = found[-1].until
    return [
        [
            f"{rung.until:,}",
            f"{len(rung.losses):,}",
            f"{rung.went_on:,}" if rung.until < last else "",
            text.number(rung.best, 5),
            text.number(rung.correlation, 2) if rung.until < last else "",
            f"{rung.pairs:,}" if rung.until < last else "",
        ]
        for rung in found
    ]


def verdict(study: Study) -> str:
    """What the method says of its rungs: how well each ranks those that went on whatever their rank, and whether it is
    trusted. Empty where it says nothing.
    """
    try:
        why = getattr(from_json(study.settings.method), "why", None)
        return text.plain(why(study)) if why is not None else ""
    except TunewellError:  # a method that is not installed here
        return ""


def note(study: Study) -> str:
    """How to read the table."""
    told = verdict(study)
    said = "The rank correlation is that with the last rung, of the trials that reached it: mostly the better ones."
    return f"{said} {told[0].upper()}{told[1:]}." if told else said


def table(study: Study) -> Any:
    """The rungs as a rich table; None where there are none."""
    found = rungs(study)
    return plain_table([study.steps.unit, *HEAD], cells(found)) if found else None


def figure(study: Study) -> Any:
    """The value of each trial on each rung: those that stopped there, and the way of those that went on."""
    found = rungs(study)
    title = "Rungs"
    if not found:
        return figures.empty(title, "The trials of this study have no rungs.")
    scene = Scene.of(study)
    shown = figures.thinned(scene.picked(scene.trials, POINTS), POINTS // len(found))
    places = {rung.until: place for place, rung in enumerate(found)}
    traces = [_ways(scene, shown, found), *_points(scene, shown, found)]
    layout = {
        "xaxis": {
            "title": escaped(study.steps.unit),
            "tickvals": list(places.values()),
            "ticktext": [f"{rung.until:,}" for rung in found],
            "range": [-0.5, len(found) - 0.5],
        },
        "yaxis": {"title": scene.metric, "type": figures.axis_type(y for trace in traces for y in trace["y"] if y)},
    }
    return figures.framed(title, note(study), [trace for trace in traces if trace["x"]], layout)


def _spot(place: int, trial: int) -> float:
    """Trials of one rung stand beside each other."""
    return place + 0.5 * figures.aside(trial)


def _way(scene: Scene, trial: Trial, found: Sequence[Rung]) -> list[tuple[float, float]]:
    sign = -1 if scene.goal.maximize else 1
    there = [(place, rung.losses[trial.id]) for place, rung in enumerate(found) if trial.id in rung.losses]
    return [(_spot(place, trial.id), sign * loss) for place, loss in there]


def _ways(scene: Scene, shown: Sequence[Trial], found: Sequence[Rung]) -> dict[str, Any]:
    """A thin line for each trial that went on."""
    x: list[float | None] = []
    y: list[float | None] = []
    for way in (_way(scene, trial, found) for trial in shown):
        if len(way) > 1:
            x += [at for at, _ in way] + [None]
            y += [value for _, value in way] + [None]
    line = {"color": GOOD, "width": 1}
    return {
        "type": "scatter",
        "mode": "lines",
        "x": x,
        "y": y,
        "line": line,
        "opacity": 0.3,
        "hoverinfo": "skip",
        "showlegend": False,
    }


def _points(scene: Scene, shown: Sequence[Trial], found: Sequence[Rung]) -> list[dict[str, Any]]:
    best = best_of(scene.study)
    groups: dict[str, list[tuple[Trial, float, float]]] = {"stopped here": [], "went on": [], "best": []}
    for trial in shown:
        way = _way(scene, trial, found)
        for number, (x, y) in enumerate(way, start=1):
            ends = number == len(way) and trial.step < found[-1].until
            kind = "best" if best is not None and trial.id == best.trial else "stopped here" if ends else "went on"
            groups[kind].append((trial, x, y))
    looks = {
        "stopped here": {"color": QUIET, "symbol": "circle-open", "size": 5},
        "went on": {"color": GOOD, "size": 6},
        "best": {"color": BEST, "size": 9},
    }
    names = {"went on": "went on, or reached the last rung", "best": "the best trial"}
    return [
        {
            "type": "scatter",
            "mode": "lines+markers" if kind == "best" else "markers",
            "name": names.get(kind, kind),
            "x": [x for _, x, _ in group],
            "y": [y for _, _, y in group],
            "hovertext": [figures.hover(trial, scene.goal) for trial, _, _ in group],
            "hoverinfo": "text",
            "marker": looks[kind],
            "line": {"color": BEST, "width": 2},
        }
        for kind, group in groups.items()
    ]
