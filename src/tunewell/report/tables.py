"""Studies and trials as rows of plain values, as tables on a terminal, and as CSV, JSON and Parquet files."""

from __future__ import annotations

import csv
import json
import math
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from tunewell import budget
from tunewell.errors import MissingExtra, StudyError
from tunewell.honest.vault import readings_of
from tunewell.importance import Explained, Importance
from tunewell.report import text
from tunewell.report.whole import whole
from tunewell.study import Curve, Job, Study, Trial
from tunewell.trials import best as best_of

Row = dict[str, Any]

FORMATS = ("csv", "json", "parquet")
GAP = 3
"""Columns of a terminal between two columns of a table."""
ROOM = 50
"""Columns of a terminal that the table of trials needs beside the configs."""
STATUS = {"done": "green", "failed": "red", "running": "cyan", "waiting": "yellow", "cancelled": "dim"}


# --- rows -------------------------------------------------------------------------------------------------------------


def rows(study: Study) -> list[Row]:
    """One row a trial: trial, status, step, value, seconds, started (UTC), `config.*`, `metric.*` and the error's kind.

    Only the entries that are active in a trial have a key. `value` is None where there is none.
    """
    began = started(study)
    return [_row(trial, began.get(trial.id, 0.0)) for trial in study.trials]


def _row(trial: Trial, began: float) -> Row:
    return {
        "trial": trial.id,
        "status": trial.status,
        "step": trial.step,
        "value": None if math.isnan(trial.value) else trial.value,
        "seconds": trial.seconds,
        "started": _utc(began),
        **{f"config.{name}": value for name, value in trial.config.items()},
        **{f"metric.{name}": value for name, value in trial.metrics.items()},
        "error": trial.error.kind if trial.error is not None else None,
    }


def started(study: Study) -> dict[int, float]:
    """When each job was committed, in seconds since the epoch."""
    return {event.id: time for event, time in zip(study.events, study.times, strict=True) if isinstance(event, Job)}


def _utc(time: float) -> str | None:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds") if time else None


def study_row(study: Study) -> Row:
    """One study in plain values: name, goal, method, what it has used, its best, when it was last heard of."""
    best, trials, readings = best_of(study), study.trials, readings_of(study)
    count = {status: sum(trial.status == status for trial in trials) for status in STATUS}
    used = budget.spent(study)
    return {
        "name": study.name,
        "goal": text.goals(study.goals),
        "method": text.method(study.settings.method),
        "trials": len(trials),
        **count,
        "steps": used.steps,
        "seconds": used.seconds,
        "best": best.estimate if best is not None else None,
        "best_trial": best.trial if best is not None else None,
        "test": readings[0].score if readings else None,
        "vault_reads": len(readings),
        "last": _utc(study.times[-1]) if len(study) else None,
    }


def detail(study: Study, trial: int) -> Row:
    """One trial in plain values: its row, its curve, the jobs of its lineage, the whole error, its log files.

    `trial` may be the id of any of its jobs. Raises StudyError where there is none.
    """
    found = find(study, trial)
    curve = study.curve(found.jobs[-1])
    return {
        **_row(found, started(study)[found.id]),
        "seed": found.seed,
        "came_from": found.came_from,
        "curve": {"step": curve.steps, **curve.values},
        "jobs": [_job(study, job) for job in found.jobs],
        "error": _error(found),
        "logs": [str(path) for path in logs(study, found)],
    }


def find(study: Study, trial: int) -> Trial:
    """The trial with this id, or that this job belongs to. Raises StudyError where there is none."""
    for found in study.trials:
        if trial in found.jobs:
            return found
    hint = f"The study has {text.count(len(study.trials), 'trials')}; `tunewell show` lists them."
    raise StudyError(f"there is no trial {trial} in {study.name!r}", hint=hint)


def _error(trial: Trial) -> Row | None:
    error = trial.error
    return None if error is None else {"kind": error.kind, "type": error.type, "message": error.message}


def _job(study: Study, number: int) -> Row:
    job, result = study.jobs[number], study.results.get(number)
    ended = {} if result is None else {"seconds": result.seconds, "attempt": result.attempt, "saved": result.saved}
    status = "running" if result is None else result.status
    return {"job": job.id, "until": job.until, "parent": job.parent, "tag": list(job.tag), "status": status, **ended}


def logs(study: Study, trial: Trial) -> list[Path]:
    """The log files that the trial's jobs left."""
    if study.files is None:
        return []
    folders = [study.files / f"job-{job:06d}" for job in trial.jobs]
    return [path for folder in folders for path in sorted(folder.glob("*.log"))]


# --- tables -----------------------------------------------------------------------------------------------------------


def studies_table(studies: Iterable[Study]) -> Any:
    """A rich table with a line for each study."""
    table = _table(["study", "goal", "method", "trials", "failed", "best", "time"], ["trials", "failed", "time"])
    for study in studies:
        row = study_row(study)
        best = "" if row["best"] is None else f"{text.number(row['best'], 5)} (trial {row['best_trial']})"
        cells = [row["name"], row["goal"], row["method"], f"{row['trials']:,}", row["failed"] or "", best]
        table.add_row(*_cells(*cells, text.duration(row["seconds"])))
    return table


def importance_table(found: Explained) -> Any:
    """A rich table with a line for each entry."""
    table = _table(["entry", "share", "90 % interval", "alone"], ["share", "90 % interval", "alone"])
    for one in found.entries:
        table.add_row(*_cells(one.entry, *_percents(one)))
    return table


def _percents(one: Importance) -> list[str]:
    if one.share is None or one.alone is None or one.interval is None:
        return [text.DASH] * 3
    low, high = one.interval
    return [f"{one.share:.0%}", f"{low:.0%} to {high:.0%}", f"{one.alone:.0%}"]


def trials_table(study: Study, limit: int | None = None, width: int | None = None) -> Any:
    """A rich table with a line for each trial, in order; with more than `limit`, of the best ones, best first.

    Entries have columns of their own where these fit into `width` (None: the terminal's), else they share one.
    """
    trials = study.trials
    shown = trials if limit is None or len(trials) <= limit else _ranked(study, trials)[:limit]
    metric = study.objectives[0].metric if study.objectives else "value"
    others = [goal.metric for goal in study.objectives[1:]]
    numbers = ["trial", metric, *others, study.steps.unit, "time"]
    configs = _configs(shown, (width or _width()) - ROOM)
    errors = {"error": [_short(trial) for trial in shown]} if any(trial.error for trial in shown) else {}
    table = _table([*numbers, "status", *configs, *errors], numbers)
    for trial, *cells in zip(shown, *configs.values(), *errors.values(), strict=True):
        table.add_row(*_line(trial, others), *_cells(*cells))
    if len(shown) < len(trials):
        table.caption = f"the best {len(shown):,} of {len(trials):,} trials"
    return table


def _width() -> int:
    """The width of the terminal; without end where stdout is none."""
    return shutil.get_terminal_size().columns if sys.stdout is not None and sys.stdout.isatty() else 10_000


def _configs(trials: Sequence[Trial], width: int) -> dict[str, list[str]]:
    """The cells of each entry, or of one column for all of them where they do not fit."""
    names = dict.fromkeys(name for trial in trials for name in trial.config)
    cells = {n: [text.entry(trial.config[n]) if n in trial.config else "" for trial in trials] for n in names}
    needs = sum(max(len(cell) for cell in [name, *column]) + GAP for name, column in cells.items())
    return cells if needs <= width else {"config": [text.config(trial.config) for trial in trials]}


def _ranked(study: Study, trials: Sequence[Trial]) -> list[Trial]:
    goal = study.objectives[0] if study.objectives else None
    losses = {t.id: goal.loss(t.value) if goal and t.status != "failed" else math.inf for t in trials}
    return sorted(trials, key=lambda trial: losses[trial.id])


def _line(trial: Trial, others: Sequence[str]) -> list[Any]:
    from rich.text import Text

    values = [text.number(value, 5) for value in (trial.value, *(trial.metrics.get(m, math.nan) for m in others))]
    seconds = text.duration(trial.seconds)
    status = Text(trial.status, style=STATUS.get(trial.status, ""))
    return [*_cells(trial.id, *values, trial.step, seconds), status]


def _short(trial: Trial) -> str:
    if trial.error is None:
        return ""
    last = (trial.error.message.strip().splitlines() or [""])[-1]
    return text.shortened(f"{trial.error.kind}: {last}" if last else trial.error.kind, 60)


def trial_detail(study: Study, trial: int) -> Any:
    """All about one trial, as something that rich prints. Raises StudyError where there is none."""
    from rich.console import Group

    found = find(study, trial)
    return Group(*[part for part in _parts(study, found) if part is not None])


def _parts(study: Study, trial: Trial) -> list[Any]:
    from rich.text import Text

    seconds, unit = text.duration(trial.seconds), text.plain(study.steps.unit)
    head = Text.assemble((f"trial {trial.id}", "bold"), "  ", (trial.status, STATUS.get(trial.status, "")))
    head.append(f"  {unit} {trial.step} of {study.steps.maximum}, {seconds}")
    head.append(f", seed {trial.seed}" if trial.seed else "")
    came = f"went on from the state of trial {trial.came_from}" if trial.came_from is not None else None
    return [
        head,
        Text(came, style="dim") if came else None,
        _pairs("config", {name: text.entry(value) for name, value in trial.config.items()}),
        _pairs("metrics", {name: text.number(value, 6) for name, value in trial.metrics.items()}),
        _curves(study.curve(trial.jobs[-1]), unit),
        _lineage(study, trial) if len(trial.jobs) > 1 else None,
        _failure(trial),
        *[Text(f"log: {path}") for path in logs(study, trial)],
    ]


def _pairs(title: str, pairs: Mapping[str, str]) -> Any:
    if not pairs:
        return None
    table = _table([title, ""])
    for name, value in pairs.items():
        table.add_row(*_cells(name, value))
    return table


def _curves(curve: Curve, unit: str) -> Any:
    """Each metric's curve as a sparkline between its first and its last value."""
    if not curve.steps:
        return None
    table = _table(["curve", "first", "", "last", "lowest", "highest"])
    for name, values in curve.values.items():
        finite = [value for value in values if math.isfinite(value)]
        ends = (
            [text.number(value) for value in (finite[0], finite[-1], min(finite), max(finite))] if finite else [""] * 4
        )
        table.add_row(*_cells(name, ends[0], text.sparkline(values, 40), *ends[1:]))
    table.caption = f"{unit} {curve.steps[0]} to {curve.steps[-1]}"
    return table


def _lineage(study: Study, trial: Trial) -> Any:
    table = _table(["job", "until", "time", "status", "tag"], ["job", "until", "time"])
    for job in (_job(study, number) for number in trial.jobs):
        seconds = text.duration(job.get("seconds", math.nan))
        table.add_row(*_cells(job["job"], job["until"], seconds, job["status"], text.entry(job["tag"])))
    return table


def _failure(trial: Trial) -> Any:
    from rich.text import Text

    if trial.error is None:
        return None
    lines = [text.plain(line) for line in trial.error.message.splitlines()]
    kind = f"{trial.error.kind} ({trial.error.type})" if trial.error.type else trial.error.kind
    return Text("\n".join([f"failed: {kind}", *(f"  {line}" for line in lines)]), style="red")


def plain_table(head: Sequence[str], lines: Iterable[Sequence[str]]) -> Any:
    """A rich table of such cells; all columns but the first hold numbers."""
    table = _table(head, head[1:])
    for line in lines:
        table.add_row(*_cells(*line))
    return table


def _table(names: Sequence[str], right: Sequence[str] = ()) -> Any:
    """An empty rich table; the columns named by `right` hold numbers."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, caption_justify="left")
    for name in names:
        is_number = name in right
        table.add_column(_plain(name), justify="right" if is_number else "left", no_wrap=is_number, overflow="fold")
    return table


def _cells(*values: Any) -> list[Any]:
    return [_plain(str(value)) for value in values]


def _plain(words: str) -> Any:
    """Text that is nobody's markup and moves no cursor."""
    from rich.text import Text

    return Text(text.plain(words))


def show(what: Any, file: TextIO | None = None) -> None:
    """Print to stdout or `file`: as wide as a terminal is; elsewhere as wide as needed, so that nothing is cut."""
    from rich.console import Console

    console = Console(file=file, highlight=False)
    if not console.is_terminal:
        needs = console.measure(what, options=console.options.update(width=10_000)).maximum
        console = Console(file=file, highlight=False, width=max(80, needs))
    console.print(what)


# --- files ------------------------------------------------------------------------------------------------------------


def export(study: Study, path: str | Path, format: str | None = None) -> Path:
    """Write `rows(study)` as "csv", "json" or "parquet" (None: what the name ends with), whole or not at all.

    In CSV and Parquet a list or a mapping is its JSON text. Parquet needs pyarrow: `pip install "tunewell[parquet]"`.
    """
    path = Path(path)
    format = format or path.suffix.removeprefix(".").lower()
    if format not in FORMATS:
        raise StudyError(f"{format!r} is no format to export to", hint=f"Use one of {', '.join(FORMATS)}.")
    with whole(path) as draft:
        {"csv": write_csv, "json": write_json, "parquet": write_parquet}[format](rows(study), draft)
    return path


def columns(table: Sequence[Row]) -> list[str]:
    """The keys of all rows: those of every trial first, then the entries, the metrics, the error."""
    names = dict.fromkeys(name for row in table for name in row)
    groups = {"config": 1, "metric": 2, "error": 3}
    return sorted(names, key=lambda name: groups.get(name.partition(".")[0], 0))


def write_csv(table: Sequence[Row], path: Path) -> None:
    """Write rows as CSV; an empty cell where a row has no value."""
    names = columns(table)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        writer.writerows([_csv_cell(row[name]) if name in row else "" for name in names] for row in table)


def _csv_cell(value: Any) -> str:
    if value is None or isinstance(value, str):
        return value or ""
    return repr(value) if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def write_json(table: Sequence[Row], path: Path) -> None:
    """Write rows as a JSON list; NaN and infinity are the strings "nan", "inf" and "-inf", as in the log."""
    plain = [{name: _json_cell(value) for name, value in row.items()} for row in table]
    path.write_text(json.dumps(plain, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _json_cell(value: Any) -> Any:
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def write_parquet(table: Sequence[Row], path: Path) -> None:
    """Write rows as Parquet. Raises MissingExtra without pyarrow."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise MissingExtra("Parquet needs pyarrow", hint='pip install "tunewell[parquet]"') from None
    made = {name: _typed([row.get(name) for row in table]) for name in columns(table)}
    parquet.write_table(pyarrow.table(made), path)


def _typed(values: Sequence[Any]) -> list[Any]:
    """A column of one type: all numbers, all flags or all text; a mixture becomes its JSON text."""
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int, float}:
        return [float(value) if float in kinds and value is not None else value for value in values]
    if kinds <= {bool} or kinds <= {str}:
        return list(values)
    return [value if value is None else json.dumps(value, ensure_ascii=False) for value in values]
