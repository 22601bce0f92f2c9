"""show, best, verify, export, plot: the commands that only look."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tunewell.cli import words
from tunewell.cli.opening import Unchecked, name_argument, opened, opened_store, store_option
from tunewell.errors import CheckpointError, StudyError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tunewell.live import LiveStudy
    from tunewell.protocols import Store
    from tunewell.study import Best, Front, Tradeoff

FORMATS = ("csv", "json", "parquet")


@click.command()
@click.argument("name", required=False)
@click.argument("trial", type=int, required=False)
@click.option("--all", "everything", is_flag=True, help="All trials, in order; without it, the best 20.")
@store_option
@words.as_json
def show(name: str | None, trial: int | None, everything: bool, store: str, as_json: bool) -> None:
    """Show the studies of a store, the trials of one, or one trial with its curve.

    NAME may be left out where the store holds one study.
    """
    with opened_store(store) as kept:
        names = kept.studies()
    if trial is None and name is not None and name not in names and name.isdecimal():
        trial = int(name)
        name = None
    if trial is None and name is None and len(names) != 1:
        return _show_studies(store, as_json)
    with opened(store, name) as study:
        if trial is not None:
            _show_trial(study, trial, as_json)
        else:
            _show_trials(study, everything, as_json)


def _show_studies(store: str, as_json: bool) -> None:
    from tunewell.report import tables

    with opened_store(store) as kept:
        if as_json:
            words.print_json([tables.study_row(study) for study in _all_of(kept)])
        elif kept.studies():
            tables.show(tables.studies_table(_all_of(kept)))
        else:
            words.say(f"there is no study in {store}")


def _all_of(store: Store) -> Iterator[LiveStudy]:
    """The studies of a store, one in memory at a time."""
    from tunewell.live import LiveStudy

    for name in store.studies():
        study = LiveStudy(store, name, Unchecked())
        study.refresh()
        yield study


def _show_trials(study: LiveStudy, everything: bool, as_json: bool) -> None:
    from tunewell.report import lineage, rungs, tables, text

    if as_json:
        words.print_json({**tables.study_row(study), "trials": tables.rows(study)})
        return
    tables.show(tables.studies_table([study]))
    for learned in text.learned(study):
        words.say(f"it learned from {learned}\n")
    for told in (rungs, lineage):
        table = told.table(study)
        if table is not None:
            tables.show(table)
            words.say(f"{told.note(study)}\n")
    tables.show(tables.trials_table(study, None if everything else 20))
    for twice in text.restarts(study):
        words.say(f"{twice}\n")
    _say_of_test(study)


def _say_of_test(study: LiveStudy) -> None:
    """What is to be said of the test set, where the study has data."""
    from tunewell.report.sealed import sentences

    if study.sealed is not None:
        words.say("\n".join(sentences(study)))


def _show_trial(study: LiveStudy, trial: int, as_json: bool) -> None:
    from tunewell.report import tables

    if as_json:
        words.print_json(tables.detail(study, trial))
    else:
        tables.show(tables.trial_detail(study, trial))


@click.command()
@name_argument
@click.option(
    "--checkpoint", type=click.Path(path_type=Path), metavar="DIR", help="Copy the winner's checkpoint to a new folder."
)
@click.option("--goal", metavar="METRIC", help="Of several goals: the config that is best by this one.")
@click.option("--knee", is_flag=True, help="Of several goals: where a little less of one costs much of another.")
@click.option(
    "--weight", "weights", multiple=True, metavar="METRIC=N", help="Of several goals: a compromise by weights."
)
@store_option
@words.as_json
def best(
    name: str | None,
    checkpoint: Path | None,
    goal: str | None,
    knee: bool,
    weights: tuple[str, ...],
    store: str,
    as_json: bool,
) -> int:
    """Show the best config: an estimate with its interval, not the luckiest number.

    Of several goals the front: the trade-offs that no config dominates; or one of them, by --goal, --knee or --weight.

    Exit code 1 where no trial has a result that counts.
    """
    if (goal is not None) + knee + bool(weights) > 1:
        raise click.UsageError("--goal, --knee and --weight exclude each other: each chooses one config.")
    with opened(store, name) as study:
        found = _chosen(study, goal, knee, weights)
        if found is None:
            words.note(f"no trial of {study.name!r} has a result that counts")
            return 1
        if checkpoint is not None:
            _hand_over(found, checkpoint)
        if as_json:
            words.print_json(found)
        else:
            words.say(str(found))
            _say_of_test(study)
            if checkpoint is not None:
                words.say(f"its checkpoint: {checkpoint}")
        return 0


def _chosen(study: LiveStudy, goal: str | None, knee: bool, weights: tuple[str, ...]) -> Best | Front | Tradeoff | None:
    """What the options ask for: the best of one goal, the front of several, or one of its configs."""
    is_one = goal is not None or knee or weights
    if not is_one and len(study.objectives) < 2:
        return study.best
    front = study.pareto
    if not is_one or not front:
        return front or None
    if goal is not None:
        return front.best(goal)
    return front.knee if knee else front.weighted(dict(map(_weight, weights)))


def _weight(text: str) -> tuple[str, float]:
    """`accuracy=2`."""
    metric, _, number = text.partition("=")
    try:
        return metric, float(number)
    except ValueError:
        raise StudyError(f"--weight {text} is no weight", hint="Write --weight accuracy=2") from None


def _hand_over(found: Best | Front | Tradeoff, folder: Path) -> None:
    """Copy the checkpoint of the best config; the copy is compared with its manifest and is whole, or not there."""
    from tunewell.executors import checkpoint
    from tunewell.study import Front

    if isinstance(found, Front):
        raise CheckpointError(f"there are {len(found)} trade-offs", hint="Choose one: --goal METRIC or --knee")
    if found.checkpoint is None:
        hint = "The objective saves one with run.report(step, save=...)"
        raise CheckpointError(f"trial {found.trial} saved no checkpoint", hint=hint)
    if folder.exists():
        raise CheckpointError(f"{folder} exists already", hint="Name a folder that does not")
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        checkpoint.verify(found.checkpoint, hashes=False)  # says what is wrong before anything is copied
        shutil.copytree(found.checkpoint, draft)
        checkpoint.verify(draft)
        draft.rename(folder)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


@click.command()
@name_argument
@store_option
@words.as_json
def importance(name: str | None, store: str, as_json: bool) -> int:
    """Show what each entry contributes to the differences between results, with an interval.

    Exit code 1 where the results cannot tell.
    """
    from tunewell.importance import explained
    from tunewell.report import tables

    with opened(store, name) as study:
        found = explained(study)
    if as_json:
        words.print_json({"study": study.name, **_fields(found)})
    elif found.doubt:
        words.note(f"cannot tell: {found.doubt}")
    else:
        tables.show(tables.importance_table(found))
    return 1 if found.doubt else 0


@click.command()
@name_argument
@store_option
@words.as_json
def report(name: str | None, store: str, as_json: bool) -> None:
    """Tell in words what a reviewer asks: cost, winner, default config, random search, what is not established."""
    from tunewell.report.review import review

    with opened(store, name) as study:
        told = review(study)
    if as_json:
        words.print_json({"study": study.name, "sections": {one.title: one.sentences for one in told.sections}})
    else:
        words.say(str(told))


@click.command()
@name_argument
@store_option
@words.as_json
def verify(name: str | None, store: str, as_json: bool) -> int:
    """Make every decision of a study again, from what it had seen, and compare.

    Exit code 1 where one differs. On another platform than the study's own, the last digit of a number may differ.
    """
    from tunewell.replay import verify as replay

    with opened(store, name, lenient=False) as study:
        found = replay(study)
    if as_json:
        words.print_json({"study": study.name, "holds": found.holds, **_fields(found)})
    else:
        words.say(str(found))
    return 0 if found.holds else 1


def _fields(found: object) -> dict[str, object]:
    import msgspec

    return msgspec.structs.asdict(found)  # type: ignore[arg-type]


@click.command()
@name_argument
@click.option("--format", type=click.Choice(FORMATS), help="What to write; else the name of the file says.")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; left out: CSV or JSON on stdout.")
@store_option
def export(name: str | None, format: str | None, output: Path | None, store: str) -> None:
    """Write the trials of a study as a table: CSV, JSON or Parquet."""
    from tunewell.report import tables

    with opened(store, name) as study:
        if output is not None:
            tables.export(study, output, format)
            words.note(f"{len(study.trials):,} trials in {output}")
        elif format == "parquet":
            raise StudyError("Parquet is no text for a terminal", hint="Name a file: -o trials.parquet")
        else:
            click.echo(_as_text(study, format or "csv"), nl=False)


def _as_text(study: LiveStudy, format: str) -> str:
    import tempfile

    from tunewell.report import tables

    with tempfile.TemporaryDirectory() as folder:
        return tables.export(study, Path(folder) / "trials", format).read_text(encoding="utf-8")


@click.command()
@name_argument
@click.option("-o", "--output", type=click.Path(path_type=Path), help="The file; left out: NAME.html here.")
@store_option
def plot(name: str | None, output: Path | None, store: str) -> None:
    """Write an HTML page that needs no network: history, curves, parallel coordinates, slices."""
    with opened(store, name) as study:
        path = output or Path(f"{_as_file(study.name)}.html")
        words.say(str(study.plot(path)))


def _as_file(name: str) -> str:
    """A study's name as the name of a file: a name is data, and never leads into another folder."""
    return "".join(c if c.isalnum() or c in " -_.," else "_" for c in name).strip(". ") or "study"
