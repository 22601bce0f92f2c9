"""What a reviewer asks of a study, answered in sentences from its log: what was searched, what came out, what is not
established.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from tunewell import budget
from tunewell.honest.vault import Reading, readings_of
from tunewell.importance import Explained, explained
from tunewell.report import text
from tunewell.report.axes import axes
from tunewell.report.sealed import warnings
from tunewell.study import Best, Study, canonical
from tunewell.trials import best as best_of

PLAIN = ("Random", "Sobol", "Halton", "LatinHypercube")
"""Methods whose trials do not depend on results."""
FEW = 10
"""So few random trials say little of what random search reaches."""
NAMED = 12
"""At most so many entries are named in a sentence."""


@dataclass(frozen=True)
class Section:
    """A few sentences under a heading."""

    title: str
    sentences: tuple[str, ...]


@dataclass(frozen=True)
class Review:
    """The answers of one study; `explained` is what the sentences on importance rest on."""

    name: str
    sections: tuple[Section, ...]
    explained: Explained

    def __str__(self) -> str:
        parts = ["\n  ".join([section.title, *section.sentences]) for section in self.sections]
        return "\n\n".join([f"Report on the study {self.name}", *parts])


def review(study: Study) -> Review:
    """The review of a study as it is now. Reads the log alone; takes seconds, most of them for the importance."""
    found, best = explained(study), best_of(study)
    sections = [
        Section("What was searched", tuple(_searched(study))),
        Section("What it cost", tuple(_cost(study))),
        Section("The winner", tuple(_winner(study, best))),
        Section("Beside the default config", tuple(_default(study, best))),
        Section("Beside random search", tuple(_random(study, best))),
        Section("On the test set", tuple(_test(study))),
        Section("What matters", tuple(_matters(study, found))),
        Section("What made it", tuple(_made(study))),
        Section("What was not established", tuple(_missing(study, best, found))),
    ]
    return Review(text.plain(study.name), tuple(sections), found)


# --- what was done ----------------------------------------------------------------------------------------------------


def _searched(study: Study) -> Iterator[str]:
    known = axes(study.space)
    named = [f"{text.plain(axis.path)} ({_range(axis)})" for axis in known[:NAMED]]
    more = f" and {len(known) - NAMED} more" if len(known) > NAMED else ""
    yield f"{text.count(len(known), 'entries' if len(known) != 1 else 'entry')}: {'; '.join(named)}{more}."
    rules = len(study.space.constraints)
    yield f"Goal: {text.goals(study.goals)}." + (f" {rules} constraints on configs." if rules else "")
    changes = [act for act in study.acts("change") if "method" in act.data]
    before = f", changed {text.count(len(changes), 'times')}" if changes else ""
    yield f"Method: {text.method_of(study)}{before}."


def _range(axis: Any) -> str:
    if axis.kind == "options":
        return f"{len(axis.options)} options"
    return f"{text.number(axis.low)} to {text.number(axis.high)}{', log scale' if axis.kind == 'log' else ''}"


def _cost(study: Study) -> Iterator[str]:
    used, limits, trials = budget.spent(study), study.limits, study.trials
    allowed = f" of {limits.trials:,} allowed" if limits.trials is not None else ", without a limit on their number"
    ended: dict[str, int] = {}
    for trial in trials:
        ended[trial.status] = ended.get(trial.status, 0) + 1
    counted = ", ".join(f"{number:,} {status}" for status, number in ended.items())
    again = sum(trial.seed > 0 for trial in trials)
    more = f", and {text.count(again, 'runs')} with further seeds" if again else ""
    yield f"{text.count(used.trials, 'trials')}{allowed}{more}: {counted}."
    if study.steps.maximum > 1:
        yield f"{used.steps:,} {text.plain(study.steps.unit)} of training, at most {study.steps.maximum:,} in a trial."
    yield from (f"{twice}." for twice in text.restarts(study))
    cost = f", cost {text.number(used.cost)}" if used.cost else ""
    yield f"{text.duration(used.compute_seconds)} of computing in {text.duration(used.seconds)} by the clock{cost}."


# --- what came out ----------------------------------------------------------------------------------------------------


_TELLS = {
    "seeds": "several seeds of a config",
    "std": "the standard errors that results carry",
    "curve": "the jitter of learning curves; seeds may differ more",
    "none": "repetitions, which gave the same number each time",
}


def _winner(study: Study, best: Best | None) -> Iterator[str]:
    if best is None:
        yield "None: no trial reached the last step and kept every constraint."
        return
    metric, measured = text.plain(best.metric), text.number(best.value, 5)
    yield f"Trial {best.trial}: {text.config(best.config)}."
    if best.earlier:
        changed = text.count(best.earlier, "times")
        yield f"Its config changed {changed} while it was trained; this is the last one of its schedule."
    if best.interval is None:
        yield f"{metric} = {measured}, as measured. How much of that is luck cannot be told: the noise is unknown."
    elif best.noise == "none":
        yield f"{metric} = {measured}, the same each time that it was measured."
    else:
        low, high = (text.number(end, 5) for end in best.interval)
        luck = text.number(max(_loss(study, best.estimate) - _loss(study, best.value), 0.0), 2)
        yield f"{metric} = {text.number(best.estimate, 5)} (90 % interval {low} to {high}), its luck taken out."
        yield f"Raw: {measured} over {text.count(best.seeds, 'seeds')}; {luck} of it is the expected luck of a winner."
        yield f"The noise is told by {_TELLS[best.noise]}."
    raw = _luckiest(study)
    if raw is not None and raw[0] != best.trial:
        yield f"The best single result, {text.number(raw[1], 5)} of trial {raw[0]}, is not the winner's."


def _luckiest(study: Study) -> tuple[int, float] | None:
    """The trial with the best single result at the last step that trials reached, and its value."""
    pairs = [(trial.id, trial.value) for trial in _finals(study)]
    return min(pairs, key=lambda pair: _loss(study, pair[1])) if pairs else None


def _finals(study: Study) -> list[Any]:
    """The trials that ended well, kept every constraint and reached the last step that any did, in order."""
    if not study.objectives:
        return []
    done = [t for t in study.trials if t.status in ("done", "waiting") and math.isfinite(t.value)]
    kept = [t for t in done if all(g.holds(t.metrics.get(g.metric, math.nan)) for g in study.goals if g.is_constraint)]
    last = max((trial.step for trial in kept), default=0)
    return [trial for trial in kept if trial.step == last]


def _loss(study: Study, value: float) -> float:
    return study.objectives[0].loss(value)


def _default(study: Study, best: Best | None) -> Iterator[str]:
    key = canonical(study.space.default())
    values = [trial.value for trial in _finals(study) if canonical(trial.config) == key]
    if not values or best is None:
        yield "Not compared: the default config of the space has no result at the last step. `enqueue` runs it."
        return
    mean, gain = statistics.fmean(values), _loss(study, statistics.fmean(values)) - _loss(study, best.estimate)
    over = f"over {text.count(len(values), 'seeds')}"
    yield f"The default config reached {text.number(mean, 5)} {over}: {text.config(study.space.default())}."
    if canonical(best.config) == key:
        yield "It is the winner: the search found nothing better."
    elif (paired := study.against_default()) is not None:
        yield f"The winner against it, on fresh seeds that both had: {paired}."
    elif best.interval is None:
        yield f"The winner is measured {_by(gain)}; with unknown noise that is no proof that it is."
    else:
        side = "inside" if best.interval[0] <= mean <= best.interval[1] else "outside"
        yield f"The winner is {_by(gain)} by its estimate; the default lies {side} its interval."


def _by(gain: float) -> str:
    return f"better by {text.number(gain, 3)}" if gain >= 0 else f"worse by {text.number(-gain, 3)}"


# --- beside random search ---------------------------------------------------------------------------------------------


def _random(study: Study, best: Best | None) -> Iterator[str]:
    drawn, total = drawn_blindly(study), len(_finals(study))
    if best is None or not total:
        yield "Not compared: there is no result."
    elif len(drawn) < FEW:
        yield f"Not established: {len(drawn)} of {total} configs with a result were drawn without regard to others."
    elif len(drawn) == total:
        half = expected_best([_loss(study, value) for value in drawn], total // 2)
        yield f"This was blind search, all {total} trials: its best is what blind search reaches with this budget."
        yield f"With half of it, {_expected(study, half)} would have been expected."
    else:
        count = min(len(drawn) // 2, total)
        found = expected_best([_loss(study, value) for value in drawn], count)
        seen = min(drawn, key=lambda value: _loss(study, value))
        yield f"{len(drawn)} configs were drawn blindly; the best of them reached {text.number(seen, 4)}."
        yield f"The best of {count} such is expected at {_expected(study, found)}; that of {total} is not known."
        yield f"The winner, after {total} results, was measured at {text.number(best.value, 4)}."


def _expected(study: Study, found: tuple[float, float, float]) -> str:
    sign = -1.0 if study.objectives[0].maximize else 1.0
    value, *ends = (sign * each for each in found)
    low, high = (text.number(end, 4) for end in sorted(ends))
    return f"{text.number(value, 4)} (90 % interval {low} to {high})"


def drawn_blindly(study: Study) -> list[float]:
    """The values of the final results whose configs no result had a say in: those of a method that draws at random, on
    its own or as the first part of another.
    """
    label = _blind(study.settings.method)
    if label is None:
        return []
    plan = study.plan.jobs
    return [t.value for t in _finals(study) if t.seed == 0 and t.id in plan and t.tag[: len(label)] == label]


def _blind(method: Any) -> tuple[int, ...] | None:
    """Where in the plan of a method, in its JSON form, the jobs of random search stand; None: nowhere for sure."""
    if not isinstance(method, dict):
        return None
    if method.get("method") in PLAIN:
        return ()
    if method.get("method") in ("Take", "Enough"):
        return _blind(method.get("of"))
    inner = _blind(method.get("first")) if method.get("method") == "Then" else None
    return None if inner is None else (0, *inner)


def expected_best(losses: Sequence[float], count: int) -> tuple[float, float, float]:
    """The expected least of `count` losses drawn like these `(n,)`, n >= count, and its 90 % interval.

    The mean over all subsets of that size: the i-th least is the least of a share C(n - i, count - 1) / C(n, count) of
    them. The interval is that of 400 bootstrap samples; it is too narrow where `count` comes close to n.
    """
    import numpy as np

    ordered, rng = np.sort(np.asarray(losses, dtype=float)), np.random.default_rng(0)
    n, count = len(ordered), max(1, min(count, len(losses)))
    weights = np.empty(n)
    chance = count / n  # that the least of all is among them
    for place in range(n):
        weights[place] = chance
        chance *= max(n - place - count, 0) / (n - place - 1) if place < n - 1 else 0.0
    again = np.sort(rng.choice(ordered, (400, n)), axis=1) @ weights
    low, high = np.quantile(again, [0.05, 0.95])
    return float(ordered @ weights), float(low), float(high)


# --- the test set, what matters, what made it -------------------------------------------------------------------------


def _test(study: Study) -> Iterator[str]:
    readings = readings_of(study)
    if not study.acts("seal"):
        yield "Not sealed: this study was given no test set to keep apart."
    elif all(reading.score is None for reading in readings):
        yield "Sealed, and never read: there is no test score."
    yield from map(_read, readings)
    yield from warnings(study)


def _read(reading: Reading) -> str:
    if reading.score is None:
        return f"Read {reading.number}: it began, and its score never came."
    what = f"test {text.plain(reading.metric)}" if reading.metric else "test score"
    spread = f" ± {text.number(1.96 * reading.error, 2)}" if reading.error else ""
    beside = "no trial reported it on validation"
    if reading.validation is not None and reading.gap is not None:
        gap = text.number(reading.gap, 3)
        beside = f"on validation {text.number(reading.validation, 5)}; from validation to test {gap}"
    late = "" if reading.number == 1 else " It was not the first look: this is no score on unseen data."
    return (
        f"Read {reading.number}, trial {reading.trial}: {what} {text.number(reading.score, 5)}{spread}; {beside}.{late}"
    )


def _matters(study: Study, found: Explained) -> Iterator[str]:
    if found.doubt:
        yield f"Cannot tell: {text.plain(found.doubt)}."
        return
    for one in found.entries[:5]:
        low, high = one.interval or (math.nan, math.nan)
        yield f"{text.plain(one.entry)}: {one.share:.0%} of the differences ({low:.0%} to {high:.0%})."
    skill = f"{found.skill:.0%}" if found.skill is not None else text.DASH
    yield f"Over the whole space, by a model that predicts {skill} of the variance of {found.configs} results unseen."


def _made(study: Study) -> Iterator[str]:
    seeds = sorted({job.seed for job in study.jobs.values()})
    yield f"Seed of the study: {study.seed}. Seeds of trials: {', '.join(map(str, seeds[:10])) or text.DASH}."
    made = [act.data["made"] for act in study.acts("enter") if act.data.get("made")]
    records = {record.get("hash", ""): record for record in made}
    for record in records.values():
        versions = record.get("versions", {})
        listed = ", ".join(f"{text.plain(name)} {text.plain(versions[name])}" for name in versions)
        commit = f"commit {text.plain(record['commit'])}, " if record.get("commit") else "no commit known, "
        source, python = (text.plain(record.get(name, "?")) for name in ("source", "python"))
        yield f"Objective {source}, {commit}Python {python}; {listed}."
    if len(records) > 1:
        yield f"The code or a version changed while the study ran: {len(records)} different ones made its results."


# --- what was not established -----------------------------------------------------------------------------------------


def _missing(study: Study, best: Best | None, found: Explained) -> Iterator[str]:
    yield from _unknown_noise(study, best)
    if not study.acts("seal"):
        yield "How the winner does on data that no trial saw: no test set was sealed."
    elif not any("score" in act.data for act in study.acts("vault")):
        yield "How the winner does on data that no trial saw: the sealed test set was never read."
    if len(drawn_blindly(study)) < max(FEW, len(_finals(study)) // 2):
        yield "Whether random search would have done as well with this budget: too few trials of it ran."
    if not any(canonical(t.config) == canonical(study.space.default()) for t in _finals(study)):
        yield "Whether the search beats the default config: it did not run to the last step."
    if found.doubt:
        yield "Which entries matter."
    if best is not None and best.earlier:
        yield "Whether the schedule helped, or selection alone: run it with fresh seeds, beside a constant config."
    yield from _lost(study)
    yield from _stopped_early(study)
    if len(study.objectives) > 1:
        first, count = text.plain(study.objectives[0].metric), len(study.pareto)
        yield f"Which compromise is best: the winner is that of {first} alone, and {count} configs are on the front."
    yield from _edges(study, best)


def _unknown_noise(study: Study, best: Best | None) -> Iterator[str]:
    if best is None:
        return
    if best.interval is None:
        yield "How noisy the metric is: nothing was repeated. The winner may be luck."
    elif best.noise == "curve":
        yield "How much other seeds differ: the interval knows the jitter from step to step only."
    if best.seeds == 1:
        yield "Whether the winner holds with another seed: it ran with one."


def _lost(study: Study) -> Iterator[str]:
    trials = study.trials
    failed = [trial for trial in trials if trial.status == "failed"]
    if failed:
        kinds = ", ".join(sorted({trial.error.kind for trial in failed if trial.error}))
        share = f"{len(failed)} of {len(trials)} trials ({len(failed) / len(trials):.0%})"
        yield f"What {share} would have reached: they failed ({text.plain(kinds)})."
    running = len(study.pending())
    if running:
        yield f"How {text.count(running, 'jobs')} end that still run."


def _stopped_early(study: Study) -> Iterator[str]:
    finals = len(_finals(study))
    short = [t for t in study.trials if t.status == "waiting" and t.step < study.steps.maximum]
    if short:
        yield f"How {text.count(len(short), 'trials')} end that were stopped early; {finals} reached the last step."
    notes = [act.data.get("text", "") for act in study.acts("note")]
    yield from (f"Noted: {text.plain(note)}" for note in notes if isinstance(note, str) and note)


def _edges(study: Study, best: Best | None) -> Iterator[str]:
    """The numbers of the winner that lie at an end of their range: better ones may lie beyond."""
    for axis in axes(study.space) if best is not None else ():
        value = best.config.get(axis.path.rpartition("/")[2]) if best is not None else None
        spot = None if axis.kind == "options" else axis.straight(value)
        if spot is None:
            continue
        low, high = axis.ends
        if min(spot - low, high - spot) < 0.02 * (high - low):
            yield f"Whether better values of {text.plain(axis.path)} lie beyond its range: the winner's is at its end."
