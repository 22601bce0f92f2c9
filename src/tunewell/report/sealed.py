"""What a report says of the test set, in sentences: the score, its gap to validation, every read, and luck."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tunewell.honest.luck import luck_of
from tunewell.honest.vault import Reading, readings_of, sealed_of
from tunewell.report import text
from tunewell.study import Goal, Study


def sentences(study: Study) -> list[str]:
    """The sentences about the test set of a study, the score first; of a study without one, that there is none."""
    record = sealed_of(study)
    if record is None:
        return ["No test set was sealed: the number is from the data that chose the config."]
    return [*_scores(study, record), *warnings(study)]


def _scores(study: Study, record: dict[str, Any]) -> Iterator[str]:
    readings, rows = readings_of(study), text.count(record["rows"][1], "test rows")
    if not readings:
        yield f"{rows} are sealed and have not been read."
    for reading in readings[:1]:
        yield f"Test: {_score(reading, study.objectives[0])} on {rows} (trial {reading.trial})."
    if len(readings) > 1:
        which = ", ".join(f"trial {reading.trial}" for reading in readings)
        yield (
            f"THE TEST SET WAS READ {len(readings)} TIMES ({which}): only the first score is that of unseen data, "
            "and only if nothing was chosen by a later one."
        )


def _score(reading: Reading, goal: Goal) -> str:
    metric = text.plain(reading.metric or goal.metric)
    if reading.score is None:
        return f"the read of {metric} did not end"
    spread = f" ± {text.number(1.96 * reading.error, 2)}" if reading.error else ""
    return f"{metric} {text.number(reading.score, 5)}{spread}{_beside(reading, goal)}"


def _beside(reading: Reading, goal: Goal) -> str:
    """The score beside what validation had said, where it said anything of the metric."""
    if reading.gap is None or reading.validation is None:
        return ""
    before = text.number(reading.validation, 5)
    if reading.metric is not None:
        return f", where validation had {before},"
    worse = (reading.gap > 0) != goal.maximize
    how = f"{text.number(abs(reading.gap), 3)} {'worse' if worse else 'better'} than" if reading.gap else "the same as"
    return f", {how} validation had it ({before}),"


def warnings(study: Study) -> Iterator[str]:
    """What makes the scores of a study with sealed rows too good: rows that leaked, and luck in the choice."""
    record = sealed_of(study)
    if record is not None and record.get("shared"):
        yield f"{text.count(record['shared'], 'test rows')} stand among the others, too: the test score is too good."
    luck = luck_of(study)
    if luck is not None:
        told = str(luck)
        yield told[0].upper() + told[1:] + "." + luck.is_too_much * " The validation set is too small for these trials."
