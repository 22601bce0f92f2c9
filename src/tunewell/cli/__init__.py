"""The command line: `tunewell run study.toml`, `tunewell show`, ...

    words.py       JSON, sizes and questions: how the commands talk
    opening.py     which store, and which study in it
    objective.py   what a study runs: found, shown, confirmed, then loaded
    rehearsal.py   run --dry-run
    running.py     run, resume, demo
    showing.py     show, best, importance, report, verify, export, plot
    comparing.py   compare
    keeping.py     extend, confirm, enqueue, cancel, rename, delete, gc, upgrade

At their head these files import click and little else; the rest is imported where it is used, so that every --help is
there at once.
"""

from __future__ import annotations

import difflib
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

import click

from tunewell import __version__
from tunewell.cli import words
from tunewell.errors import TunewellError

SECTIONS = {
    "running": ("Work", ("run", "resume", "demo")),
    "showing": ("Look", ("show", "best", "importance", "report", "verify", "export", "plot")),
    "comparing": ("Compare", ("compare",)),
    "keeping": ("Keep", ("extend", "confirm", "add-from", "enqueue", "cancel", "rename", "delete", "gc", "upgrade")),
}
"""The commands by the file that defines them, under the heading that --help shows."""
_HOMES = {name: module for module, (_, names) in SECTIONS.items() for name in names}

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


class Commands(click.Group):
    """Imports a command when it is asked for."""

    def list_commands(self, context: click.Context) -> list[str]:
        """All names, in the order of --help."""
        return list(_HOMES)

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        """The command `name`."""
        if name not in _HOMES:
            return None
        home = importlib.import_module(f"tunewell.cli.{_HOMES[name]}")
        found: click.Command = getattr(home, name.replace("-", "_"))
        return found

    def resolve_command(self, context: click.Context, words: list[str]) -> Any:
        """The command that `words` begin with; a UsageError names the nearest."""
        if words and not words[0].startswith("-") and words[0] not in _HOMES:
            near = difflib.get_close_matches(words[0], _HOMES, n=1)
            hint = f", did you mean {near[0]!r}?" if near else ""
            raise click.UsageError(f"no command is called {words[0]!r}{hint}", context)
        return super().resolve_command(context, words)

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands with a heading for each file."""
        for heading, names in SECTIONS.values():
            with formatter.section(heading):
                formatter.write_dl([(name, _help(context, name)) for name in names])


def _help(context: click.Context, name: str) -> str:
    command = commands.get_command(context, name)
    return command.get_short_help_str(limit=200) if command is not None else ""


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, message="%(prog)s %(version)s")
@words.verbose
def commands() -> None:
    """Tune hyperparameters: every way to tune, one log, and nothing forgotten.

    A study is kept in a store: the file tune.db here, unless --store or TUNEWELL_STORE names another one.
    """


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command line (that of the process where none is given); returns the exit code.

    0: done. 1: done, and the answer is no (nothing was found, decisions differ). 2: an error, told on stderr.
    """
    try:
        code = commands.main(arguments, prog_name="tunewell", standalone_mode=False)
        sys.stdout.flush()
        return int(code or 0)
    except TunewellError as error:
        return _failed(error, error.message, error.hint)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        return _failed(error, error.format_message(), f"{context.command_path} --help" if context is not None else "")
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output has enough, as in `tunewell show | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return _failed(error, f"{error.filename}: {error.strerror}" if error.filename else str(error), "")


def _failed(error: Exception, message: str, hint: str) -> int:
    """Tell an error in two lines; the traceback only on request."""
    if os.environ.get("TUNEWELL_DEBUG", "0") not in ("", "0"):
        raise error
    for label, text in (("error", message), ("hint", hint)):
        if text:
            click.echo(
                f"{click.style(label, fg='red' if label == 'error' else 'cyan', bold=True)}: {words.safe(text)}",
                err=True,
            )
    return 2
