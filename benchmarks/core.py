"""The figures of the core: what tunewell costs beside the training it drives."""

import sys
from pathlib import Path
from typing import Any

from benchmarks.figures import Row, alternate, ask_peer, cpu_seconds, figure, import_seconds


@figure("import tunewell, beside import numpy", target="<= 1.3 x peer", unit="s")
def import_time(quick: bool) -> Row:
    """Fresh processes in turns; the interpreter's own start is not counted."""
    ours, numpy = alternate(3 if quick else 11, lambda: import_seconds("tunewell"), lambda: import_seconds("numpy"))
    return Row(ours, peer=numpy)


@figure("tunewell --help, CPU", target="<= 250", unit="ms")
def help_time(quick: bool) -> Row:
    """The whole process, from the start of the interpreter to its end."""
    command = [str(Path(sys.executable).parent / "tunewell"), "--help"]
    (seconds,) = alternate(3 if quick else 11, lambda: cpu_seconds(command))
    return Row(seconds * 1e3)


def optuna_random(quick: bool) -> Any:
    """Optuna's random search: `[trials]["wall" or "cpu"]`, seconds per trial at "100" and "10000" trials."""
    return ask_peer("optuna", "optuna_random.py", "--quick" if quick else "--full")


def optuna_storage(path: Path, quick: bool) -> Any:
    """Optuna on SQLite, in the new file `path`: `["wall" or "cpu"]`, seconds for 10 parameters and 10 reports."""
    return ask_peer("optuna", "optuna_storage.py", str(path), "3" if quick else "9")
