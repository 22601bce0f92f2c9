"""extend, confirm, add-from, enqueue, cancel, rename, delete, gc, upgrade: the commands that change what is kept."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tunewell.cli import words
from tunewell.cli.opening import DEFAULT, chosen, name_argument, opened, opened_store, store_option
from tunewell.errors import StoreError, StudyError

if TYPE_CHECKING:
    from tunewell.live import LiveStudy
    from tunewell.protocols import Store

UNITS = {"trials": int, "steps": int, "seconds": float, "compute_seconds": float, "cost": float}


@click.command()
@name_argument
@click.option("--until", type=int, help="How far a trial may train now: the best of those that are there go on.")
@click.option("--trials", type=int, help="More trials.")
@click.option("--steps", type=int, help="More steps, over all trials.")
@click.option("--seconds", type=float, help="More seconds of wall clock.")
@click.option("--compute-seconds", type=float, help="More seconds of training, summed over all trials.")
@click.option("--cost", type=float, help="More of the metric cost, summed over all trials.")
@store_option
def extend(name: str | None, store: str, until: int | None, **more: float | None) -> None:
    """Give a study more budget: raise its limits by these amounts, or the steps of a trial."""
    given = {key: value for key, value in more.items() if value is not None}
    if not given and until is None:
        raise click.UsageError("say how much more: --trials 50, for example")
    with opened(store, name) as study:
        study.extend(until=until, **given)
        if until is not None:
            words.say(f"the trials of {study.name!r} train now until {until} {study.steps.unit}")
        if given:
            limits = ", ".join(f"{key} {getattr(study.limits, key):g}" for key in given)
            words.say(f"the limits of {study.name!r} are now: {limits}")


@click.command()
@name_argument
@click.option("--share", type=float, default=0.2, show_default=True, help="How much of what was spent to spend on it.")
@store_option
def confirm(name: str | None, share: float, store: str) -> None:
    """Run the finalists, and the default config, with fresh seeds when the study runs next."""
    with opened(store, name, lenient=False) as study:
        study.confirm(share)
        words.say(f"{study.name!r} confirms its finalists next: tunewell resume")


@click.command("add-from")
@click.argument("name")
@click.argument("earlier")
@click.option("--from", "source", metavar="FILE|URL", help="Where the earlier study is kept, if elsewhere.")
@click.option("--same", is_flag=True, help="It tuned the very same objective: its results count as those of NAME.")
@store_option
def add_from(name: str, earlier: str, source: str | None, same: bool, store: str) -> None:
    """Learn from the results of an EARLIER study, of a related task."""
    with opened(source or store, earlier) as other, opened(store, name, lenient=False) as study:
        words.say(f"{study.name!r}: {study.add_from(other, same=same)}")


@click.command()
@name_argument
@click.option("--config", required=True, metavar="JSON", help='The entries: {"lr": 0.01, "layers": 2}.')
@store_option
def enqueue(name: str | None, config: str, store: str) -> None:
    """Try this config before the method is asked again."""
    with opened(store, name, lenient=False) as study:
        study.enqueue(_parsed(config))
        words.say(f"{study.name!r} tries it next")


def _parsed(config: str) -> dict[str, Any]:
    hint = "Write --config '{\"lr\": 0.01}'"
    try:
        data = json.loads(config)
    except ValueError as error:
        raise StudyError(f"--config is no JSON: {error}", hint=hint) from None
    if not isinstance(data, dict):
        raise StudyError(f"--config is no mapping: {config}", hint=hint)
    return data


@click.command()
@click.argument("name", metavar="[NAME]")
@click.argument("trial", type=int, required=False, metavar="TRIAL")
@store_option
def cancel(name: str, trial: int | None, store: str) -> None:
    """Stop a trial for good."""
    if trial is None:
        if not name.isdecimal():
            raise click.UsageError("say which trial: cancel [NAME] TRIAL")
        given, number = None, int(name)
    else:
        given, number = name, trial
    with opened(store, given) as study:
        study.cancel(number)
        words.say(f"trial {number} of {study.name!r} is cancelled")


@click.command()
@click.argument("old")
@click.argument("new")
@store_option
def rename(old: str, new: str, store: str) -> None:
    """Give a study another name. Its files stay where they are."""
    with opened_store(store) as kept:
        kept.rename(chosen(kept, store, old), new)
    words.say(f"{old!r} is now {new!r}")


@click.command()
@click.argument("name")
@store_option
@words.yes
def delete(name: str, store: str, yes: bool) -> int:
    """Delete a study: its log, its checkpoints and its logs of trials, for good."""
    with opened_store(store) as kept:
        chosen(kept, store, name)
        _check_idle(kept, name)
        files = kept.files(name)
        if not yes and not words.confirm(
            f"Delete {name!r} and its {words.size(words.size_of(files))} of files?",
            StudyError(f"delete {name!r}? There is no terminal to ask", hint="Add --yes"),
        ):
            words.note("nothing was deleted")
            return 1
        kept.delete(name)
    if files is not None:
        shutil.rmtree(files, ignore_errors=True)
    words.say(f"{name!r} is deleted")
    return 0


def _check_idle(store: Store, name: str) -> None:
    owners = set(store.leases.owners(name).values())
    if owners:
        processes = sorted(" process ".join(owner.split(":")[:2]) for owner in owners)
        raise StudyError(f"{name!r} is being worked on, by {', '.join(processes)}", hint="Stop that first")


@click.command()
@name_argument
@click.option("--dry-run", is_flag=True, help="Say what could go, and delete nothing.")
@store_option
@words.as_json
def gc(name: str | None, dry_run: bool, store: str, as_json: bool) -> None:
    """Delete the checkpoints that a study no longer needs. What runs just now is left alone."""
    with opened(store, name) as study:
        folders = _unneeded(study)
        freed = sum(map(words.size_of, folders))
        if not dry_run:
            for folder in folders:
                shutil.rmtree(folder, ignore_errors=True)
    if as_json:
        words.print_json({"study": study.name, "folders": folders, "bytes": freed, "deleted": not dry_run})
    else:
        what = "could be freed" if dry_run else "freed"
        words.say(f"{words.size(freed)} {what}: {len(folders)} checkpoints that {study.name!r} does not need")


def _unneeded(study: LiveStudy) -> list[Path]:
    """The garbage of a study, without what belongs to jobs that run: they may be writing it.

    A checkpoint appears before the log names it. So the log is read again after the leases: whoever wrote a folder that
    was seen before has a lease still, or its Result is in the log.
    """
    from tunewell.checkpoints import garbage

    before = garbage(study)
    running = {f"job-{job:06d}" for job in study.store.leases.owners(study.name)}
    study.refresh()
    still = set(garbage(study, worked_on=bool(running)))
    return [folder for folder in before if folder in still and folder.parent.name not in running]


@click.command()
@click.argument("store", default=DEFAULT, envvar="TUNEWELL_STORE")
def upgrade(store: str) -> None:
    """Bring a store that an older tunewell wrote to the tables of this one."""
    from tunewell.stores.sql import SqlStore

    if "://" not in store and not Path(store).exists():
        raise StoreError(f"there is no file {store}", hint="Nothing was changed")
    SqlStore.upgrade(store)
    words.say(f"{store} is of this version")
