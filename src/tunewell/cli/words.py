"""How the commands talk: JSON, sizes, questions."""

from __future__ import annotations

import json
import logging
import math
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from tunewell.errors import TunewellError

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON on stdout, and nothing else.")
yes = click.option("-y", "--yes", is_flag=True, help="Do not ask.")


def be_verbose(context: click.Context, option: click.Parameter, value: bool) -> None:
    """Let the log of tunewell appear on stderr."""
    if value:
        logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")
        logging.getLogger("tunewell").setLevel(logging.INFO)


verbose = click.option(
    "-v", "--verbose", is_flag=True, expose_value=False, callback=be_verbose, help="Say on stderr what happens inside."
)


def print_json(value: Any) -> None:
    """Print plain JSON; NaN and infinity are the strings "nan", "inf" and "-inf", as in the log."""
    import msgspec

    data = msgspec.to_builtins(value, enc_hook=str, str_keys=True)
    click.echo(json.dumps(_finite(data), indent=2, allow_nan=False))


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {name: _finite(item) for name, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list | tuple) else value


def size(number: float) -> str:
    """Bytes as people say them: 812 B, 4.2 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 999.5:
            return f"{number:.3g} {unit}"
        number /= 1000
    return f"{number:.3g} TB"


def size_of(folder: Path | None) -> int:
    """The bytes of all files below a folder."""
    if folder is None:
        return 0
    return sum(path.lstat().st_size for path in folder.rglob("*") if path.is_file())


def safe(text: str) -> str:
    """Text without control characters: what a file or a log of a stranger says must not move a terminal's cursor."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text)


def say(text: str) -> None:
    """Print an answer on stdout."""
    click.echo(safe(text))


def note(text: str) -> None:
    """Tell something beside the answer, on stderr."""
    click.echo(safe(text), err=True)


def confirm(question: str, otherwise: TunewellError) -> bool:
    """The answer of the person at the terminal; raises `otherwise` where there is nobody to ask."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise otherwise
    return click.confirm(safe(question), err=True)
