"""One study as one HTML file: readable anywhere, without network, with plotly's own script inside."""

from __future__ import annotations

import base64
import hashlib
import html
import itertools
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tunewell import budget
from tunewell.report import figures, lineage, rungs, text
from tunewell.report.axes import axes
from tunewell.report.figures import Scene
from tunewell.report.review import Review, Section, review
from tunewell.report.sealed import sentences
from tunewell.report.whole import whole
from tunewell.study import Best, Limits, Study, Tradeoff, Trial
from tunewell.trials import best as best_of

HERE = Path(__file__).parent
ROWS = 500
"""At most so many trials in the table."""
SLICES = 40
"""At most so many entries get a slice of their own."""


def write_page(study: Study, path: str | Path) -> Path:
    """Write the page of `study` to `path`, whole or not at all; returns `path`. Needs plotly."""
    figures.plotly()
    with whole(path) as draft:
        draft.write_text(page(study), encoding="utf-8")
    return Path(path)


def page(study: Study) -> str:
    """The whole page as text."""
    scene = Scene.of(study)
    told = review(study)
    parts = [Part.of([figures.importance_of(told.explained)]), *_parts(scene)]
    head = [_header(study, scene), _best(study), _review(told)]
    body = "\n".join([*head, *_sections(parts), _trials(scene), _footer(study)])
    return _document(study.name, body, [figure for part in parts for figure in part.figures if _is_drawn(figure)])


# --- the document -----------------------------------------------------------------------------------------------------


def _document(name: str, body: str, drawn: Sequence[Any]) -> str:
    scripts = [_plotly_script(), (HERE / "page.js").read_text(encoding="utf-8")]
    # Only these two scripts run, whatever else got into the page; and nothing is fetched. plotly compiles its shaders.
    allowed = " ".join(f"'sha256-{_digest(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {allowed} 'unsafe-eval'; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<meta name="generator" content="tunewell">
<title>{_escape(name)} – tunewell</title>
<link rel="icon" href="data:,">
<style>
{(HERE / "page.css").read_text(encoding="utf-8")}</style>
</head>
<body>
<main>
{body}
</main>
<script type="application/json" id="figures">{_json(drawn)}</script>
<script>{scripts[0]}</script>
<script>{scripts[1]}</script>
</body>
</html>
"""


def _plotly_script() -> str:
    """plotly.min.js, which the Python package carries."""
    from plotly.offline import get_plotlyjs

    script: str = get_plotlyjs()
    return script.replace("\r\n", "\n")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _json(drawn: Sequence[Any]) -> str:
    """The figures as JSON that cannot end the script element it stands in."""
    plain = [json.loads(figure.to_json()) for figure in drawn]
    for figure in plain:
        # The page writes title and note itself, and its script brings the colours of the reader's theme.
        for key in ("title", "template"):
            figure["layout"].pop(key, None)
    return json.dumps(plain, separators=(",", ":")).replace("<", "\\u003c").replace("\u2028", "").replace("\u2029", "")


def _escape(words: Any) -> str:
    return html.escape(text.plain(words))


def _tag(name: str, inner: str, **attributes: str) -> str:
    extra = "".join(f' {key.rstrip("_")}="{html.escape(value)}"' for key, value in attributes.items())
    return f"<{name}{extra}>{inner}</{name}>"


# --- header -----------------------------------------------------------------------------------------------------------


def _header(study: Study, scene: Scene) -> str:
    settings = study.settings
    facts = [("goal", text.goals(settings.goals)), ("method", text.method(settings.method)), *_used(study, scene)]
    facts += [("learned from", each) for each in text.learned(study)]
    facts += [("trained twice", each) for each in text.restarts(study)]
    tiles = "".join(_tag("div", _tag("dt", _escape(name)) + _tag("dd", _escape(value))) for name, value in facts)
    return _tag("header", _tag("h1", _escape(study.name)) + _tag("dl", tiles, class_="facts"))


def _used(study: Study, scene: Scene) -> Iterator[tuple[str, str]]:
    """What the study has used, and of which limits."""
    used, limits = budget.spent(study), study.limits
    yield "trials", _trial_counts(scene, limits)
    if study.steps.maximum > 1 or limits.steps:
        yield study.steps.unit, f"{used.steps:,}" + (f" of {limits.steps:,}" if limits.steps else "")
    for name in ("seconds", "compute_seconds"):
        limit = getattr(limits, name)
        words = "wall clock" if name == "seconds" else "computing"
        yield words, text.duration(getattr(used, name)) + (f" of {text.duration(limit)}" if limit else "")
    if used.cost or limits.cost:
        yield "cost", text.number(used.cost) + (f" of {text.number(limits.cost)}" if limits.cost else "")


def _trial_counts(scene: Scene, limits: Limits) -> str:
    total, failed = len(scene.trials), len(scene.failed)
    running = sum(trial.status == "running" for trial in scene.trials)
    of = f" of {limits.trials:,}" if limits.trials else ""
    more = [f"{failed:,} failed"] * bool(failed) + [f"{running:,} running"] * bool(running)
    return ", ".join([f"{total:,}{of}", *more])


# --- the best config --------------------------------------------------------------------------------------------------


def _best(study: Study) -> str:
    best = best_of(study)
    if best is None:
        return _section(
            "Best config", "", _tag("p", "None yet: no trial has reached the last step and kept every constraint.")
        )
    config = "".join(
        _tag("tr", _tag("th", _escape(name), scope="row") + _tag("td", _escape(_exact(value))))
        for name, value in best.config.items()
    )
    head = _tag(
        "div",
        _tag("strong", _escape(text.number(best.estimate, 5))) + _tag("span", _escape(best.metric)),
        class_="value",
    )
    found = head + "".join(_tag("p", _escape(words)) for words in (_how(best), *sentences(study)))
    return _section(
        "Best config", "", _tag("div", _tag("div", found) + _tag("table", config, class_="config"), class_="best")
    )


def _exact(value: Any) -> str:
    return text.number(value, 6) if isinstance(value, float) else text.entry(value)


def _how(best: Best) -> str:
    """What the number above means, in a sentence."""
    measured = f"Measured in trial {best.trial}: {text.number(best.value, 5)}"
    if best.interval is None:
        return f"{measured}, once. Nothing in the study tells how noisy the metric is, so luck is not taken out."
    if best.noise == "none":
        return f"{measured}. Configs that were measured again gave the same number: there is no luck to take out."
    low, high = (text.number(end, 5) for end in best.interval)
    times = f", the mean of {best.seeds} seeds" if best.seeds > 1 else ""
    return f"90 % interval {low} to {high}: an estimate with the luck of the winner taken out. {measured}{times}."


# --- the review -------------------------------------------------------------------------------------------------------


def _review(told: Review) -> str:
    """What a reviewer asks, in words; what was not established stands last."""
    inner = "".join(_answer(section) for section in told.sections)
    return _section("In words", "", _tag("div", inner, class_="review"))


def _answer(section: Section) -> str:
    lines = "".join(_tag("li", _escape(sentence)) for sentence in section.sentences)
    return _tag("div", _tag("h3", _escape(section.title)) + _tag("ul", lines)) if lines else ""


# --- figures ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Part:
    """A section of the page that holds figures."""

    title: str
    note: str
    figures: list[Any]
    table: str = ""

    @classmethod
    def of(cls, drawn: list[Any], note: str = "", table: str = "") -> Part:
        """Title and note are those of the first figure."""
        title = drawn[0].layout.title
        return cls(html.unescape(title.text), note + html.unescape(title.subtitle.text or ""), drawn, table)


def _parts(scene: Scene) -> list[Part]:
    goals = _fronts(scene) if len(scene.study.objectives) > 1 else []
    drawn = [draw(scene.study) for draw in (figures.history, figures.curves, figures.parallel, figures.timeline)]
    *first, last = [Part.of([figure]) for figure in drawn]
    return [*goals, *first[:2], *_on_the_way(scene.study), *first[2:], _slices(scene), last]


def _fronts(scene: Scene) -> list[Part]:
    """A figure for each pair of objectives, and the trade-offs as a table."""
    found = scene.study.pareto
    names = [goal.metric for goal in found.goals]
    drawn = [figures.front_of(scene, found, x, y) for x, y in itertools.combinations(names, 2)]
    knee = found.knee.trial if found else None
    lines = [_tradeoff(point, names, point.trial == knee) for point in found.points[:ROWS]]
    return [Part.of(drawn[:SLICES], table=_table(["trial", *names, "config", ""], lines) if lines else "")]


def _tradeoff(point: Tradeoff, names: Sequence[str], is_knee: bool) -> list[str]:
    values = [text.number(point.estimates[name], 5) for name in names]
    return [str(point.trial), *values, text.config(point.config), "knee" if is_knee else ""]


def _on_the_way(study: Study) -> Iterator[Part]:
    """Of a study whose trials stop on their way, or copy others: the rungs, the lineage and the schedule."""
    if found := rungs.rungs(study):
        yield Part.of([rungs.figure(study)], table=_table([study.steps.unit, *rungs.HEAD], rungs.cells(found)))
    if lineage.has_copies(study):
        yield Part.of([lineage.figure(study)])
        if drawn := lineage.schedules(study):
            yield Part.of(drawn[:SLICES])


def _table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    heads = "".join(_tag("th", _escape(name), scope="col") for name in head)
    rows = "".join(_tag("tr", "".join(_tag("td", _escape(cell)) for cell in line)) for line in lines)
    inner = _tag("thead", _tag("tr", heads)) + _tag("tbody", rows)
    return _tag("div", _tag("table", inner, class_="rungs"), class_="scroll")


def _slices(scene: Scene) -> Part:
    """A figure for each entry, so that a narrow screen can put them below each other."""
    paths = [axis.path for axis in axes(scene.study.space)]
    if not paths or not (scene.scored or scene.failed):
        return Part.of([figures.slices_of(scene, None, 1)])
    note = f"The first {SLICES} of {len(paths)} entries. " if len(paths) > SLICES else ""
    return Part.of([figures.slices_of(scene, [path], 1) for path in paths[:SLICES]], note)


def _is_drawn(figure: Any) -> bool:
    """Whether a figure is more than a sentence that says why it is empty."""
    return not figure.layout.annotations


def _sections(parts: Iterable[Part]) -> Iterator[str]:
    numbers = itertools.count()
    for part in parts:
        boxes = [_box(next(numbers), figure) if _is_drawn(figure) else _sentence(figure) for figure in part.figures]
        inner = "".join(boxes)
        yield _section(
            part.title, part.note, part.table + (inner if len(boxes) == 1 else _tag("div", inner, class_="small"))
        )


def _sentence(figure: Any) -> str:
    return _tag("p", _escape(figure.layout.annotations[0].text), class_="note")


def _box(number: int, figure: Any) -> str:
    """Where the script draws a figure: as high as it asks, wide enough for its axes, scrolled on a narrow screen."""
    height = figure.layout.height or 420
    cords = max((len(trace.dimensions) for trace in figure.data if trace.type == "parcoords"), default=0)
    style = f"height:{height:.0f}px;min-width:{cords * 90}px" if cords else f"height:{height:.0f}px"
    return _tag("div", _tag("div", "", class_="figure", style=style, id=f"figure-{number}"), class_="scroll")


def _section(title: str, note: str, inner: str) -> str:
    said = _tag("p", _escape(note), class_="note") if note else ""
    return _tag("section", _tag("h2", _escape(title)) + said + inner)


# --- trials -----------------------------------------------------------------------------------------------------------


def _trials(scene: Scene) -> str:
    if not scene.trials:
        return _section("Trials", "", _tag("p", "None yet.", class_="note"))
    scored = {trial.id for trial in scene.scored}
    ranked = sorted(scene.scored, key=lambda trial: scene.goal.loss(trial.value))
    shown = [*ranked, *(trial for trial in scene.trials if trial.id not in scored)][:ROWS]
    note = (
        f"The best {len(shown):,} of {len(scene.trials):,} trials; `tunewell export` writes all."
        if len(shown) < len(scene.trials)
        else ""
    )
    names = list(dict.fromkeys(name for trial in shown for name in trial.config))
    unit = scene.study.steps.unit
    head = "".join(
        _tag("th", _escape(name), scope="col")
        for name in ("trial", "status", scene.goal.metric, unit, "time", *names, "error")
    )
    rows = "".join(_row(trial, names) for trial in shown)
    table = _tag("table", _tag("thead", _tag("tr", head)) + _tag("tbody", rows), class_="trials")
    return _section("Trials", note, _tag("div", table, class_="scroll table", tabindex="0"))


def _row(trial: Trial, names: Sequence[str]) -> str:
    config = [text.shortened(text.entry(trial.config[name]), 40) if name in trial.config else "" for name in names]
    error = f"{trial.error.kind}: {text.shortened(trial.error.message, 100)}" if trial.error else ""
    cells = [str(trial.id), trial.status, text.number(trial.value, 5), str(trial.step), text.duration(trial.seconds)]
    return _tag("tr", "".join(_tag("td", _escape(cell)) for cell in [*cells, *config, error]))


def _footer(study: Study) -> str:
    from tunewell import __version__

    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    last = f"Event {len(study):,} of the log. " if len(study) else ""
    return _tag("footer", _tag("p", f"{last}Written {now} by tunewell {_escape(__version__)}."))
