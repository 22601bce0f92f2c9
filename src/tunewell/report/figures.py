"""plotly figures of a study: its history, front, learning curves, parallel coordinates, slices, importance,
timeline.

Each takes a Study and returns a `plotly.graph_objects.Figure`. With several objectives all but the front show one.
Big studies are thinned, and the subtitle says so. Needs plotly: `pip install "tunewell[plot]"`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from tunewell.errors import MissingExtra
from tunewell.importance import Explained, Importance, explained
from tunewell.report import text
from tunewell.report.axes import Axis, axes, escaped, is_log, places, value_axis
from tunewell.study import Front, Goal, Job, Result, Study, Tradeoff, Trial

T = TypeVar("T")
Span = tuple[float, float, str, int]
Trace = dict[str, Any]
Layout = dict[str, Any]

POINTS = 3000
"""At most so many trials in one scatter."""
CURVES = 100
"""At most so many learning curves, of at most `CURVE_POINTS` points each."""
CURVE_POINTS = 200
CORDS = 500
"""At most so many trials in parallel coordinates."""
BARS = 2000
"""At most so many jobs in the timeline."""

# Blue for good, amber for bad: both stand out on white and on black, and for the colour-blind.
GOOD, MIDDLE, BAD = "#2f6fed", "#a394ad", "#f0a030"
BEST = "#12a06e"
QUIET = "#8a8f98"
FAILED = "#d64550"
SCALE: list[list[Any]] = [[0.0, GOOD], [0.5, MIDDLE], [1.0, BAD]]
AGES = [[0.0, "#b9c3d3"], [1.0, GOOD]]


# --- the figures ------------------------------------------------------------------------------------------------------


def history(study: Study, over: Literal["trial", "seconds"] = "trial") -> Any:
    """The value of each trial and the best so far, over the trials' numbers or seconds; failed trials on the edge."""
    scene = Scene.of(study)
    title = f"History: {scene.metric} of each trial"
    if not scene.trials:
        return empty(title, "No trial has ended yet.")
    at = _seconds(study, scene.trials) if over == "seconds" else {trial.id: trial.id for trial in scene.trials}
    final, early, broken = scene.kinds()
    best = _running_best(scene.goal, sorted(final, key=lambda trial: at[trial.id]))
    traces = [
        _points("finished", thinned(final, POINTS, best), at, scene, {"color": GOOD, "opacity": 0.65}),
        _points("stopped early", thinned(early, POINTS), at, scene, {"color": QUIET, "symbol": "circle-open"}),
        _points("breaks a constraint", thinned(broken, POINTS), at, scene, {"color": BAD, "symbol": "diamond-open"}),
        _failed(thinned(scene.failed, POINTS), at),
        _staircase(best, at, at[scene.trials[-1].id]),
    ]
    shown = sum(len(trace["x"]) for trace in traces[:4])
    layout = {
        "xaxis": {"title": "trial" if over == "trial" else "seconds since the study began"},
        "yaxis": {"title": scene.metric, "type": axis_type(trial.value for trial in scene.scored)},
        "yaxis2": EDGE,
    }
    return framed(title, _note(shown, len(scene.trials) - scene.waiting), [t for t in traces if t["x"]], layout)


def front(study: Study, x: str | None = None, y: str | None = None) -> Any:
    """Two objectives of a study with several: each trial, and the trade-offs that nothing dominates, with intervals
    where the noise is known. `x` and `y` are metrics; left out, the first two objectives.
    """
    return front_of(Scene.of(study), study.pareto, x, y)


def front_of(scene: Scene, found: Front, x: str | None = None, y: str | None = None) -> Any:
    """`front` of what was computed already."""
    names = [goal.metric for goal in found.goals]
    if len(names) < 2:
        return empty("Front", "The study has no two objectives.")
    across, up = x or names[0], y or names[1]
    title = f"Front: {_named(up)} against {_named(across)}"
    if not found:
        return empty(title, "No trial has reached the last step and kept every constraint.")
    final, early, broken = scene.kinds()
    traces = [
        _cloud("dominated", thinned(final, POINTS), (across, up), scene, {"color": GOOD, "opacity": 0.4}),
        _cloud("stopped early", thinned(early, POINTS), (across, up), scene, {"color": QUIET, "symbol": "circle-open"}),
        _cloud("breaks a constraint", thinned(broken, POINTS), (across, up), scene, {"symbol": "diamond-open"}),
        _tradeoffs(found, (across, up), scene),
        _knee(found, (across, up)),
    ]
    layout = {
        "xaxis": {"title": _named(across), "type": axis_type(x for trace in traces for x in trace["x"])},
        "yaxis": {"title": _named(up), "type": axis_type(y for trace in traces for y in trace["y"])},
    }
    others = [name for name in names if name not in (across, up)]
    note = _note(sum(len(trace["x"]) for trace in traces[:3]), len(scene.scored))
    note = f"Trade-offs may be best in {', '.join(map(_named, others))}. {note}" if others else note
    return framed(title, note, [trace for trace in traces if trace["x"]], layout)


def _named(metric: str) -> str:
    return escaped(text.shortened(metric, 40))


def curves(study: Study) -> Any:
    """The learning curves of the trials, coloured by value: the best ones, and others evenly spread over the ranks."""
    scene = Scene.of(study)
    title = f"Learning curves: {scene.metric}"
    trials = [trial for trial in scene.trials if study.reports(trial.jobs[0])]
    picked = scene.picked(trials)
    drawn = {trial.id: _curve(study, trial, scene.goal.metric) for trial in picked}
    drawn = {trial: points for trial, points in drawn.items() if points[0]}
    if not drawn:
        return empty(title, "No trial has reported a curve yet.")
    low, high = scene.range
    traces = [_line(trial, drawn[trial.id], scene) for trial in reversed(picked) if trial.id in drawn]
    if high > low:
        traces.append(_colour_bar(scene))
    values = [value for _, column in drawn.values() for value in column]
    layout = {
        "xaxis": {"title": escaped(study.steps.unit)},
        "yaxis": {"title": scene.metric, "type": axis_type(values)},
        "showlegend": False,
        "hovermode": "closest",
    }
    return framed(title, _note(len(drawn), len(trials), "the best, and others evenly by rank"), traces, layout)


def parallel(study: Study) -> Any:
    """One line for each trial through all its entries, coloured by value. Drag along an axis to select.

    Entries that are not active in a trial stand at a dash below the axis.
    """
    scene = Scene.of(study)
    title = "Parallel coordinates"
    if not scene.scored:
        return empty(title, "No trial has a value yet.")
    picked = scene.picked(scene.scored, CORDS)[::-1]  # the best are drawn last, on top
    rows = dict(
        zip((trial.id for trial in picked), places(study.space, [trial.config for trial in picked]), strict=True)
    )
    dimensions = [
        _dimension(axis, {trial: row.get(axis.path) for trial, row in rows.items()}) for axis in axes(study.space)
    ]
    values = [trial.value for trial in picked]
    dimensions.append(_dimension(value_axis(scene.goal.metric, values), dict(zip(rows, values, strict=True))))
    low, high = scene.range
    line = {"color": values, "colorscale": scene.scale, "cmin": low, "cmax": high if high > low else low + 1.0}
    trace = {"type": "parcoords", "line": line, "dimensions": dimensions, "labelangle": -20, "labelside": "top"}
    note = _note(len(picked), len(scene.scored), "the best, and others evenly by rank")
    return framed(title, note, [trace], {"margin": {"l": 60, "r": 60, "t": 100, "b": 20}})


def slices(study: Study, paths: Sequence[str] | None = None, columns: int = 3) -> Any:
    """The value over each entry, one small scatter for each; newer trials are darker, failed ones stand on the edge.

    `paths` picks entries; None: all.
    """
    return slices_of(Scene.of(study), paths, columns)


def timeline(study: Study) -> Any:
    """When each job ran, one row for each that ran at the same time."""
    scene = Scene.of(study)
    title = "Timeline of jobs"
    spans = sorted(_spans(study))
    if not spans or spans[-1][1] <= spans[0][0]:
        return empty(title, "No job has ended yet, or the study keeps no times.")
    kept = spans[-BARS:]
    lanes = _lanes(kept)
    statuses = dict.fromkeys(status for _, _, status, _ in kept)
    traces = [_bars(status, kept, lanes, spans[0][0]) for status in statuses]
    layout = {
        "xaxis": {"title": "seconds since the first job"},
        "yaxis": {"visible": False, "range": [-0.7, max(lanes) + 0.7]},
        "bargap": 0.1,
        "barmode": "overlay",
        "height": 140 + 22 * min(max(lanes) + 1, 30),
    }
    return framed(title, _note(len(kept), len(scene.study.results), "the latest", "jobs"), traces, layout)


def importance(study: Study) -> Any:
    """A bar for the share of each entry in the differences between the results, with its interval."""
    return importance_of(explained(study))


def importance_of(found: Explained, limit: int = 20) -> Any:
    """`importance` of what was computed already; of at most `limit` entries."""
    title = "Importance of each entry"
    if found.doubt:
        return empty(title, f"Cannot tell: {escaped(found.doubt)}.")
    shown = [one for one in found.entries[:limit] if one.share is not None and one.interval is not None][::-1]
    middles = [100 * (one.share or 0.0) for one in shown]
    ends = [(100 * low, 100 * high) for low, high in (one.interval or (0.0, 1.0) for one in shown)]
    trace = {
        "type": "bar",
        "orientation": "h",
        "x": middles,
        "y": list(range(len(shown))),
        "marker": {"color": GOOD, "opacity": 0.75},
        "error_x": {
            "type": "data",
            "symmetric": False,
            "array": [high - x for (_, high), x in zip(ends, middles, strict=True)],
            "arrayminus": [x - low for (low, _), x in zip(ends, middles, strict=True)],
            "color": BAD,
            "thickness": 2,
            "width": 5,
        },
        "hovertext": [_explained(one) for one in shown],
        "hoverinfo": "text",
    }
    labels = [escaped(text.shortened(one.entry, 40)) for one in shown]
    layout = {
        "xaxis": {"title": "share of the variance over the space, with interactions, in %", "range": [0, 104]},
        "yaxis": {"tickvals": list(range(len(shown))), "ticktext": labels},
        "showlegend": False,
        "height": 110 + 26 * len(shown),
    }
    note = "Lines hold about nine tenths of what a bar may be. What entries do together counts for each of them."
    return framed(title, note + _shown(len(shown), len(found.entries)), [trace], layout)


def _shown(shown: int, total: int) -> str:
    return f" The first {shown} of {total} entries." if shown < total else ""


def _explained(one: Importance) -> str:
    low, high = one.interval or (math.nan, math.nan)
    share = f"{one.share:.0%} ({low:.0%} to {high:.0%}), {one.alone:.0%} without interactions"
    return f"<b>{escaped(one.entry)}</b><br>{share}"


# --- what the figures of one study share ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Scene:
    """The trials of a study, looked at once: `scored` have a value, in order of their number; `failed` failed."""

    study: Study
    goal: Goal
    trials: list[Trial]
    scored: list[Trial]
    failed: list[Trial]

    @classmethod
    def of(cls, study: Study) -> Scene:
        """The scene of a study as it is now."""
        goal = study.objectives[0] if study.objectives else Goal("value")
        trials = study.trials if study.objectives else []
        scored = [trial for trial in trials if trial.status != "failed" and math.isfinite(trial.value)]
        return cls(study, goal, trials, scored, [trial for trial in trials if trial.status == "failed"])

    @property
    def metric(self) -> str:
        """The name of the metric, for a figure."""
        return escaped(text.shortened(self.goal.metric, 40))

    @property
    def waiting(self) -> int:
        """How many trials have neither a value nor a failure."""
        return len(self.trials) - len(self.scored) - len(self.failed)

    def kinds(self) -> tuple[list[Trial], list[Trial], list[Trial]]:
        """The scored trials that reached the largest step, those that did not, and those that break a constraint."""
        good = [trial for trial in self.scored if self.feasible(trial)]
        last = max((trial.step for trial in good), default=0)
        final = [trial for trial in good if trial.step == last]
        return final, [t for t in good if t.step != last], [t for t in self.scored if not self.feasible(t)]

    def feasible(self, trial: Trial) -> bool:
        """Whether the trial's last result satisfies every constraint."""
        return all(g.holds(trial.metrics.get(g.metric, math.nan)) for g in self.study.goals if g.is_constraint)

    def picked(self, trials: Sequence[Trial], limit: int = CURVES) -> list[Trial]:
        """Best first: at most `limit` trials, a fifth of them the best and the others evenly spread over the ranks."""
        ranked = sorted(trials, key=lambda trial: self.goal.loss(trial.value))
        return thinned(ranked, limit, ranked[: limit // 5])

    @property
    def range(self) -> tuple[float, float]:
        """The values at the two ends of the colours: the best tenth is not drowned by a few disasters."""
        ordered = sorted(trial.value for trial in self.scored) or [0.0]
        cut = int(0.1 * (len(ordered) - 1))
        return (ordered[cut], ordered[-1]) if self.goal.maximize else (ordered[0], ordered[len(ordered) - 1 - cut])

    @property
    def scale(self) -> list[list[Any]]:
        """The colours from the lowest to the highest value."""
        return [[1 - at, colour] for at, colour in reversed(SCALE)] if self.goal.maximize else SCALE

    def colour(self, value: float) -> str:
        """The colour of one value."""
        low, high = self.range
        share = min(max((value - low) / (high - low), 0.0), 1.0) if high > low else 0.0
        return between(self.scale, share)


def thinned(items: Sequence[T], limit: int, keep: Iterable[T] = ()) -> list[T]:
    """At most `limit` items in their order, evenly spread, those to keep among them."""
    if len(items) <= limit:
        return list(items)
    kept = {id(item) for item in keep}
    room = max(limit - len(kept), 1)
    kept |= {id(items[index * len(items) // room]) for index in range(room)}
    return [item for item in items if id(item) in kept]


def between(scale: Sequence[Sequence[Any]], share: float) -> str:
    """The colour at a share of a scale."""
    upper = next(i for i, (at, _) in enumerate(scale) if share <= at) or 1
    (left, first), (right, second) = scale[upper - 1], scale[upper]
    part = (share - left) / (right - left)
    mixed = [round(a + part * (b - a)) for a, b in zip(_rgb(first), _rgb(second), strict=True)]
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def _rgb(colour: str) -> list[int]:
    return [int(colour[i : i + 2], 16) for i in (1, 3, 5)]


def axis_type(values: Iterable[float]) -> str:
    """ "log" for values over orders of magnitude, else "linear"."""
    return "log" if is_log(list(values)) else "linear"


def _seconds(study: Study, trials: Sequence[Trial]) -> dict[int, float]:
    """When each trial ended, or was last heard of."""
    began = study.times[0]
    heard = {event.job: at for event, at in zip(study.events, study.times, strict=True) if isinstance(event, Result)}
    return {
        trial.id: max((heard[job] for job in trial.jobs if job in heard), default=began) - began for trial in trials
    }


def hover(trial: Trial, goal: Goal) -> str:
    """What stands beside a trial under the pointer."""
    head = f"<b>trial {trial.id}</b>  {escaped(goal.metric)} {text.number(trial.value, 5)}"
    lines = [
        f"{escaped(name)} = {escaped(text.shortened(text.entry(value), 60))}" for name, value in trial.config.items()
    ]
    return "<br>".join([head, *lines[:25], f"{trial.status}, step {trial.step}, {text.duration(trial.seconds)}"])


# --- traces -----------------------------------------------------------------------------------------------------------

EDGE: Layout = {"overlaying": "y", "range": [0, 1], "visible": False, "fixedrange": True}
"""The axis of what has no value: its points stand at the lower edge, whatever the scale."""


def _points(name: str, trials: Sequence[Trial], at: Mapping[int, float], scene: Scene, marker: Layout) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": name,
        "x": [at[trial.id] for trial in trials],
        "y": [trial.value for trial in trials],
        "customdata": [trial.id for trial in trials],
        "hovertext": [hover(trial, scene.goal) for trial in trials],
        "hoverinfo": "text",
        "marker": {"size": 6, **marker},
    }


def _cloud(name: str, trials: Sequence[Trial], at: tuple[str, str], scene: Scene, marker: Layout) -> Trace:
    """Trials at two of their metrics."""
    across, up = at
    trials = [t for t in trials if all(math.isfinite(t.metrics.get(metric, math.nan)) for metric in at)]
    trace = _points(name, trials, {trial.id: trial.metrics[across] for trial in trials}, scene, {"color": BAD} | marker)
    return {**trace, "y": [trial.metrics[up] for trial in trials]}


def _tradeoffs(found: Front, at: tuple[str, str], scene: Scene) -> Trace:
    """The front; a line where two objectives make it one: no better than that is known in between."""
    across, up = at
    points = sorted(found, key=lambda point: point.estimates[across])
    goal = next(goal for goal in found.goals if goal.metric == across)
    trace = {
        "type": "scatter",
        "mode": "lines+markers" if len(found.goals) == 2 else "markers",
        "name": "front",
        "x": [point.estimates[across] for point in points],
        "y": [point.estimates[up] for point in points],
        "customdata": [point.trial for point in points],
        "hovertext": [_hover_of(point) for point in points],
        "hoverinfo": "text",
        "line": {"shape": "vh" if goal.maximize else "hv", "color": BEST, "width": 1.5},
        "marker": {"color": BEST, "size": 8},
    }
    errors = {f"error_{axis}": _errors(points, metric) for axis, metric in zip("xy", at, strict=True)}
    return trace | {name: bars for name, bars in errors.items() if bars is not None}


def _errors(points: Sequence[Tradeoff], metric: str) -> Layout | None:
    """The 90 % intervals as bars; None where there are none."""
    ends = [point.intervals[metric] for point in points]
    if None in ends or all(low == high for low, high in filter(None, ends)):
        return None
    middles = [point.estimates[metric] for point in points]
    pairs = [(pair, x) for pair, x in zip(ends, middles, strict=True) if pair is not None]
    over, under = [high - x for (_, high), x in pairs], [x - low for (low, _), x in pairs]
    return {"type": "data", "symmetric": False, "array": over, "arrayminus": under, "thickness": 1, "width": 3}


def _knee(found: Front, at: tuple[str, str]) -> Trace:
    """The knee, where the front has more than its ends."""
    points = [found.knee] if len(found) > 2 else []
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "knee",
        "x": [point.estimates[at[0]] for point in points],
        "y": [point.estimates[at[1]] for point in points],
        "hovertext": [_hover_of(point) for point in points],
        "hoverinfo": "text",
        "marker": {"color": BAD, "size": 13, "symbol": "star"},
    }


def _hover_of(point: Tradeoff) -> str:
    """What stands beside a trade-off under the pointer."""
    values = ", ".join(f"{_named(name)} {text.number(value, 5)}" for name, value in point.estimates.items())
    lines = [f"{escaped(n)} = {escaped(text.shortened(text.entry(v), 60))}" for n, v in point.config.items()]
    return "<br>".join([f"<b>trial {point.trial}</b>  {values}", *lines[:25]])


def _failed(trials: Sequence[Trial], at: Mapping[int, float]) -> Trace:
    return {
        "type": "scatter",
        "mode": "markers",
        "name": "failed",
        "x": [at[trial.id] for trial in trials],
        "y": [0.015] * len(trials),
        "yaxis": "y2",
        "customdata": [trial.id for trial in trials],
        "hovertext": [_failure(trial) for trial in trials],
        "hoverinfo": "text",
        "marker": {"size": 7, "symbol": "x", "color": FAILED},
    }


def _failure(trial: Trial) -> str:
    why = f"{trial.error.kind}: {text.shortened(text.plain(trial.error.message), 80)}" if trial.error else "failed"
    entries = "<br>".join(escaped(f"{name} = {text.entry(value)}") for name, value in list(trial.config.items())[:25])
    return f"<b>trial {trial.id}</b>  {escaped(why)}<br>{entries}"


def _running_best(goal: Goal, trials: Sequence[Trial]) -> list[Trial]:
    """The trials that were better than all before them."""
    best: list[Trial] = []
    for trial in trials:
        if not best or goal.loss(trial.value) < goal.loss(best[-1].value):
            best.append(trial)
    return best


def _staircase(best: Sequence[Trial], at: Mapping[int, float], end: float) -> Trace:
    x = [at[trial.id] for trial in best]
    y = [trial.value for trial in best]
    if x and end > x[-1]:
        x, y = [*x, end], [*y, y[-1]]
    return {
        "type": "scatter",
        "mode": "lines",
        "name": "best so far",
        "x": x,
        "y": y,
        "hoverinfo": "skip",
        "line": {"shape": "hv", "color": BEST, "width": 2},
    }


def _curve(study: Study, trial: Trial, metric: str) -> tuple[list[int], list[float]]:
    """The steps and finite values of a trial's curve, thinned."""
    curve = study.curve(trial.jobs[-1])
    points = [(s, v) for s, v in zip(curve.steps, curve.values.get(metric, ()), strict=False) if math.isfinite(v)]
    points = thinned(points, CURVE_POINTS, points[-1:])
    return [step for step, _ in points], [value for _, value in points]


def _line(trial: Trial, points: tuple[list[int], list[float]], scene: Scene) -> Trace:
    is_scored = trial.status != "failed" and math.isfinite(trial.value)
    dash = "dot" if trial.status == "failed" else "dash" if trial.status == "running" else "solid"
    steps, values = points
    return {
        "type": "scatter",
        "mode": "lines" if len(steps) > 1 else "markers",
        "name": f"trial {trial.id}",
        "x": steps,
        "y": values,
        "hovertext": hover(trial, scene.goal) if is_scored else _failure(trial),
        "hoverinfo": "text",
        "line": {"color": scene.colour(trial.value) if is_scored else QUIET, "width": 1.5, "dash": dash},
        "opacity": 0.85,
    }


def _colour_bar(scene: Scene) -> Trace:
    """Nothing but the scale of the colours."""
    low, high = scene.range
    bar = {"title": {"text": scene.metric}, "thickness": 10, "outlinewidth": 0}
    marker = {"color": [low], "colorscale": scene.scale, "cmin": low, "cmax": high, "showscale": True, "colorbar": bar}
    return {"type": "scatter", "mode": "markers", "x": [None], "y": [None], "hoverinfo": "skip", "marker": marker}


def _dimension(axis: Axis, values: Mapping[int, Any]) -> Layout:
    """One axis of the parallel coordinates, with the value of each trial by its number."""
    low, high = axis.ends
    gone, width = low - 0.12 * (high - low), 0.04 * (high - low)
    at = {trial: axis.straight(value) for trial, value in values.items()}
    ticks = axis.ticks()
    if None in at.values():
        ticks, low = [(gone, text.DASH), *ticks], gone - width
    if axis.kind == "options":
        low, high = low - 0.15, high + 0.15
    return {
        "label": axis.label,
        "values": [gone + width * aside(t) if x is None else _beside(axis, t, x, 0.25) for t, x in at.items()],
        "range": [low, high],
        "tickvals": [at for at, _ in ticks],
        "ticktext": [words for _, words in ticks],
    }


def slices_of(scene: Scene, paths: Sequence[str] | None, columns: int) -> Any:
    """`slices` of a scene that is already there."""
    known = axes(scene.study.space)
    chosen = [axis for axis in known if paths is None or axis.path in paths]
    title = f"Slices: {scene.metric} over each entry"
    if not chosen or not (scene.scored or scene.failed):
        return empty(title, "No trial has ended yet." if chosen else "The space has no entries that vary.")
    limit = max(POINTS // len(known), 300)
    scored, failed = thinned(scene.scored, limit, scene.picked(scene.scored, 20)), thinned(scene.failed, limit)
    columns = min(columns, len(chosen))
    rows = -(-len(chosen) // columns)
    traces: list[Trace] = []
    layout: Layout = {"showlegend": False, "height": 60 + 260 * rows, "grid": {"rows": rows, "columns": columns}}
    log = axis_type(trial.value for trial in scene.scored)
    for number, axis in enumerate(chosen, start=1):
        spot = _spot(number, columns, rows)
        traces += [trace for trace in _slice(scene, axis, number, scored, failed) if trace["x"]]
        layout |= _slice_axes(axis, number, spot, scene.metric, log)
    note = _note(len(scored) + len(failed), len(scene.scored) + len(scene.failed))
    return framed(title, note, traces, layout)


def _slice(scene: Scene, axis: Axis, number: int, scored: Sequence[Trial], failed: Sequence[Trial]) -> list[Trace]:
    def at(trials: Sequence[Trial]) -> dict[int, float]:
        found = places(scene.study.space, [trial.config for trial in trials])
        spots = {trial.id: axis.position(row[axis.path]) for trial, row in zip(trials, found) if axis.path in row}
        return {trial: _beside(axis, trial, spot) for trial, spot in spots.items() if spot is not None}

    where, lost = at(scored), at(failed)
    ages = {"color": list(where), "colorscale": AGES, "opacity": 0.8, "size": 5}
    points = _points(axis.label, [trial for trial in scored if trial.id in where], where, scene, ages)
    crosses = _failed([trial for trial in failed if trial.id in lost], lost)
    main, edge = 2 * number - 1, 2 * number
    return [
        {**points, "xaxis": f"x{number}", "yaxis": f"y{main}"},
        {**crosses, "xaxis": f"x{number}", "yaxis": f"y{edge}"},
    ]


def _beside(axis: Axis, trial: int, spot: float, width: float = 0.5) -> float:
    """Trials of one option are spread, so that they do not hide each other."""
    return spot + width * aside(trial) if axis.kind == "options" else spot


def aside(trial: int) -> float:
    """From -0.5 to 0.5, evenly filled by successive trials and always the same for one: the golden section."""
    return (trial * 0.618034) % 1.0 - 0.5


def _spot(number: int, columns: int, rows: int) -> tuple[list[float], list[float]]:
    """The domain of the number-th small scatter: across, and up."""
    row, column = divmod(number - 1, columns)
    gap, rise = 0.22 / columns, 0.3 / rows if rows > 1 else 0.0
    top = 1 - row / rows
    return [column / columns + (gap if column else 0.0), (column + 1) / columns], [top - 1 / rows + rise, top]


def _slice_axes(axis: Axis, number: int, spot: tuple[list[float], list[float]], metric: str, log: str) -> Layout:
    across, up = spot
    main, edge = 2 * number - 1, 2 * number
    x: Layout = {"title": axis.label, "domain": across, "anchor": f"y{main}"}
    if axis.kind == "options":
        ticks = axis.ticks()
        x |= {
            "tickvals": [at for at, _ in ticks],
            "ticktext": [words for _, words in ticks],
            "range": [-0.6, axis.high + 0.6],
        }
    else:
        low, high = axis.ends
        edge_room = 0.04 * (high - low)
        x |= {"type": axis.kind, "range": [low - edge_room, high + edge_room]}
        x |= decades(axis)
    y = {"domain": up, "anchor": f"x{number}", "type": log, "title": metric if across[0] == 0 else None}
    over = {**EDGE, "overlaying": f"y{main}", "anchor": f"x{number}"}
    return {f"xaxis{number}": x, f"yaxis{main}": y, f"yaxis{edge}": over}


def decades(axis: Axis) -> Layout:
    """The ticks of a log scale, as powers."""
    low, high = axis.ends
    return {"dtick": max(1, round((high - low) / 5)), "exponentformat": "power"} if axis.kind == "log" else {}


def _spans(study: Study) -> list[Span]:
    """Begin, end, status and id of each job that has ended."""
    began: dict[int, float] = {}
    spans: list[Span] = []
    for event, at in zip(study.events, study.times, strict=True):
        if isinstance(event, Job):
            began[event.id] = at
        elif isinstance(event, Result) and study.jobs[event.job].tag[:1] != ("added",):
            spans.append(
                (
                    max(began[event.job], at - event.seconds) if event.seconds else began[event.job],
                    at,
                    event.status,
                    event.job,
                )
            )
    return spans


def _lanes(spans: Sequence[Span]) -> list[int]:
    """For each span, in order of their begins, the first row that is free."""
    free: list[float] = []
    lanes = []
    for begin, end, *_ in spans:
        lane = next((number for number, until in enumerate(free) if until <= begin + 1e-3), len(free))
        free[lane : lane + 1] = [end]
        lanes.append(lane)
    return lanes


def _bars(status: str, spans: Sequence[Span], lanes: Sequence[int], zero: float) -> Trace:
    mine = [(span, lane) for span, lane in zip(spans, lanes, strict=True) if span[2] == status]
    colours = {"done": GOOD, "failed": FAILED}
    return {
        "type": "bar",
        "orientation": "h",
        "name": status,
        "base": [begin - zero for (begin, *_), _ in mine],
        "x": [end - begin for (begin, end, *_), _ in mine],
        "y": [lane for _, lane in mine],
        "customdata": [job for (*_, job), _ in mine],
        "hovertext": [f"job {job}, {status}, {text.duration(end - begin)}" for (begin, end, _, job), _ in mine],
        "hoverinfo": "text",
        "marker": {"color": colours.get(status, QUIET), "line": {"width": 0}, "opacity": 0.8},
    }


# --- the frame --------------------------------------------------------------------------------------------------------


def framed(title: str, note: str, traces: Sequence[Trace], layout: Layout) -> Any:
    """A figure with a title, a subtitle, and what is the same in all."""
    head = {"text": title, **({"subtitle": {"text": note}} if note else {})}
    legend = {"orientation": "h", "y": 1.0, "yanchor": "bottom", "x": 0}
    margin = {"l": 70, "r": 20, "t": 90, "b": 50}
    return plotly().Figure(
        list(traces), {"title": head, "legend": legend, "margin": margin, "hovermode": "closest", **layout}
    )


def empty(title: str, sentence: str) -> Any:
    """A sentence that says why there is no figure."""
    words = {"text": sentence, "showarrow": False, "xref": "paper", "yref": "paper", "x": 0.5, "y": 0.5}
    hidden = {"visible": False}
    return framed(title, "", [], {"annotations": [words], "xaxis": hidden, "yaxis": hidden, "height": 200})


def _note(shown: int, total: int, which: str = "evenly picked", noun: str = "trials") -> str:
    return f"{shown:,} of {total:,} {noun} are shown: {which}" if shown < total else ""


def plotly() -> Any:
    """`plotly.graph_objects`. Raises MissingExtra where plotly is not installed."""
    try:
        import plotly.graph_objects as graph_objects
    except ImportError:
        raise MissingExtra("figures need plotly", hint='pip install "tunewell[plot]"') from None
    return graph_objects
