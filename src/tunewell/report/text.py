"""Numbers, durations, names and settings as short text for people."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tunewell.errors import TunewellError
from tunewell.method import from_json
from tunewell.study import Goal, Study

DASH = "–"
BARS = "▁▂▃▄▅▆▇█"


def number(value: float, digits: int = 4) -> str:
    """`value` with so many significant digits; a dash where there is none."""
    return DASH if math.isnan(value) else f"{value:.{digits}g}".replace("e-0", "e-").replace("e+0", "e+")


def duration(seconds: float) -> str:
    """Seconds as people say them: 0.42 s, 42 s, 3 min 05 s, 2 h 10 min, 3 d 4 h."""
    if not math.isfinite(seconds):
        return DASH
    if seconds < 9.95:
        return f"{seconds:.2g} s" if seconds >= 0.0005 else "0 s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    if whole < 48 * 3600:
        return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    return f"{whole // 86400} d {whole % 86400 // 3600} h"


def count(number_of: int, noun: str) -> str:
    """`1 trial`, `1,200 trials`."""
    return f"{number_of:,} {noun}" if number_of != 1 else f"1 {noun.removesuffix('s')}"


def plain(value: Any) -> str:
    """Text on one line without control characters: a study's names must not move a terminal's cursor."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in str(value))


def entry(value: Any) -> str:
    """The value of a config's entry."""
    if isinstance(value, float):
        return number(value)
    return plain(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def config(values: Mapping[str, Any]) -> str:
    """A config on one line."""
    return ", ".join(f"{plain(name)}={entry(value)}" for name, value in values.items())


def shortened(words: str, width: int) -> str:
    """At most `width` characters of `words`."""
    return words if len(words) <= width else words[: width - 1] + "…"


def goal(wanted: Goal) -> str:
    """`minimize loss`, `size ≤ 5`."""
    bounds = [f"≥ {wanted.at_least:g}"] if wanted.at_least is not None else []
    bounds += [f"≤ {wanted.at_most:g}"] if wanted.at_most is not None else []
    if bounds:
        return f"{plain(wanted.metric)} {' and '.join(bounds)}"
    over = (
        ""
        if wanted.over == "last"
        else " (best of the curve)"
        if wanted.over == "best"
        else f" (mean of {wanted.over})"
    )
    return f"{'maximize' if wanted.maximize else 'minimize'} {plain(wanted.metric)}{over}"


def goals(wanted: Sequence[Goal]) -> str:
    """All goals in one line."""
    return ", ".join(goal(each) for each in wanted) or "no goal"


def method(settings: Any) -> str:
    """`Hyperband(Bayes)` of the JSON form of a method."""
    if not isinstance(settings, Mapping):
        return plain(settings) if settings is not None else DASH
    inner = ", ".join(method(each) for each in _methods(list(settings.values())))
    return plain(settings.get("method", "?")) + (f"({inner})" if inner else "")


def method_of(study: Study) -> str:
    """The method of a study, and what it chose and why where it says so: `Auto: Bayes, since ...`."""
    settings = study.settings.method
    try:
        why = getattr(from_json(settings), "why", None)
    except TunewellError:  # a method that is not installed here
        return method(settings)
    return method(settings) + (f": {plain(why(study))}" if why is not None else "")


def learned(study: Study) -> list[str]:
    """The studies whose results were taken over (`LiveStudy.add_from`): `40 results of 'a', a related task`."""
    related: Counter[str] = Counter()
    for act in study.acts("related"):
        related[act.data["study"]] += len(act.data["results"])
    same = Counter(str(job.tag[1]) for job in study.jobs.values() if job.tag[:1] == ("added",) and len(job.tag) == 4)
    told = [(related, "a related task"), (same, "the same task")]
    return [f"{count(n, 'results')} of {plain(name)}, {kind}" for names, kind in told for name, n in names.items()]


def restarts(study: Study) -> list[str]:
    """What was trained twice for want of checkpoints, in a sentence; none where nothing was."""
    begun = [study.jobs[act.data["job"]] for act in study.acts("restart")]
    again = sum(study.jobs[job.parent].until for job in begun if job.parent is not None)
    times, unit = count(len(begun), "times"), plain(study.steps.unit)
    told = f"{times} a trial that went on had no checkpoint and began again from step 0: {again:,} {unit} trained twice"
    return [told] if begun else []


def _methods(values: Sequence[Any]) -> Iterator[Mapping[str, Any]]:
    for value in values:
        if isinstance(value, Mapping) and "method" in value:
            yield value
        elif isinstance(value, list | tuple):
            yield from _methods(value)


def sparkline(values: Sequence[float], width: int = 60) -> str:
    """A curve as a line of bars, lowest to highest; a space where a value is not finite."""
    picked = [values[i * len(values) // width] for i in range(width)] if len(values) > width else list(values)
    finite = [value for value in picked if math.isfinite(value)]
    if not finite:
        return ""
    low, span = min(finite), max(finite) - min(finite)
    return "".join(_bar((value - low) / span if span else 0.5) for value in picked)


def _bar(share: float) -> str:
    return BARS[min(int(share * len(BARS)), len(BARS) - 1)] if math.isfinite(share) else " "
