"""compare: is one config, or one study, really better than another."""

from __future__ import annotations

import click

from tunewell.cli import words
from tunewell.cli.opening import opened, store_option


@click.command()
@click.argument("first")
@click.argument("second")
@store_option
@words.as_json
def compare(first: str, second: str, store: str, as_json: bool) -> int:
    """Say whether FIRST is better than SECOND: on the seeds that both ran with, however often one asks.

    Each is a trial of the only study (12), a study (its best config), or a trial of a study (name:12). Exit code 1
    where it is undecided.
    """
    from tunewell.honest.compare import compare as compared

    found = compared(_losses(store, first), _losses(store, second))
    if as_json:
        from msgspec import to_builtins  # here, because `tunewell --help` is quick without it

        words.print_json(to_builtins(found))
    else:
        words.say(f"{first} against {second}: {found}")
    return 1 if found.verdict == "undecided" else 0


def _losses(store: str, what: str) -> dict[int, float]:
    """The loss by seed of `12`, `name` or `name:12`."""
    name, _, trial = what.rpartition(":") if ":" in what else ("", "", what) if what.isdecimal() else (what, "", "")
    with opened(store, name or None) as study:
        return study.replicates(int(trial) if trial.isdecimal() else None)
