"""What a benchmark file is made of: figures, their rows, and how a target is read.

    @figure("random search, a trial", target="<= 0.3 x peer", unit="ms")
    def random_search(quick: bool) -> Row:
        peer = ask_peer("optuna", "optuna_random.py", "--quick" if quick else "--full")
        return Row(ours, peer=peer["10000"]["wall"] * 1e3)

A target is one or more conditions joined by "and", each `<=` or `>=`, a number or fraction, and `x peer` where it is a
share of the peer's value in the same run: "<= 1/40 x peer and <= 3". A figure may return several rows, each with a
name of its own, and a target of its own where it differs; `target=""` marks a number that only stands beside others.
`quick` asks for sizes that end in a second or two: a check that the figure runs, not a measurement.
"""

import importlib
import json
import math
import operator
import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from dev import ROOT, Environment

FOLDER = Path(__file__).resolve().parent
ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL", "NUMEXPR", "VECLIB_MAXIMUM")}


@dataclass(frozen=True)
class Row:
    """One printed line. What is None is taken from the figure."""

    measured: float | None
    peer: float | None = None
    name: str | None = None
    target: str | None = None
    unit: str | None = None
    error: str = ""

    @property
    def met(self) -> bool | None:
        """Whether the target is met; None where there is none. No row with an error meets its target."""
        if self.error or self.measured is None:
            return False
        return meets(self.target, self.measured, self.peer) if self.target else None

    def as_json(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        told = {"name": self.name, "measured": finite(self.measured), "peer": finite(self.peer), "target": self.target}
        return {**told, "met": self.met, "unit": self.unit, "error": self.error}


@dataclass(frozen=True)
class Figure:
    """A named measurement; made by `@figure`."""

    name: str
    target: str
    unit: str
    measure: Callable[[bool], Row | Iterable[Row]]

    def rows(self, quick: bool) -> Iterator[Row]:
        """Measure; whatever goes wrong is a row as well, so that the figures after this one are still taken."""
        try:
            result = self.measure(quick)
            for row in [result] if isinstance(result, Row) else result:
                yield self._filled(row)
        except Exception as error:
            yield self._filled(Row(None, error=f"{type(error).__name__}: {error}"))

    def _filled(self, row: Row) -> Row:
        name = self.name if row.name is None else row.name
        target = self.target if row.target is None else row.target
        filled = replace(row, name=name, target=target, unit=self.unit if row.unit is None else row.unit)
        try:
            _ = filled.met
        except ValueError as error:
            return replace(filled, error=str(error))
        return filled


def finite(value: float | None) -> float | None:
    """The value as JSON can say it: None for what is no number."""
    return float(value) if value is not None and math.isfinite(value) else None


def figure(name: str, *, target: str, unit: str = "") -> Callable[[Callable[[bool], Row | Iterable[Row]]], Figure]:
    """Make a figure of a function of `quick` that returns a row, or several."""
    for condition in conditions(target):
        read_condition(condition)
    return lambda measure: Figure(name, target, unit, measure)


def conditions(target: str) -> list[str]:
    """The conditions that a target joins by "and"."""
    return [condition.strip() for condition in target.split(" and ")] if target else []


def read_condition(condition: str) -> tuple[Callable[[float, float], bool], float, bool]:
    """A condition's comparison, its number, and whether that is a share of the peer's value."""
    match = re.fullmatch(r"([<>]=) *([\d.]+)(?: */ *([\d.]+))?( *x peer)?", condition)
    if not match:
        raise ValueError(f"no target: {condition!r}; write one like '<= 0.3 x peer', '<= 1/40 x peer' or '>= 95'")
    sign, number, divisor, share = match.groups()
    return operator.le if sign == "<=" else operator.ge, float(number) / float(divisor or 1), bool(share)


def meets(target: str, measured: float, peer: float | None) -> bool:
    """Whether `measured` meets every condition of `target`."""
    for compare, number, share in map(read_condition, conditions(target)):
        if share and peer is None:
            raise ValueError(f"the target {target!r} is a share of the peer's value, which is missing")
        if not compare(float(measured), number * float(peer or 0.0) if share else number):
            return False
    return True


def benchmarks() -> list[str]:
    """The names of the benchmark files: those that define a figure."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if re.search(r"^@figure\(", path.read_text(), re.MULTILINE))


def figures_of(name: str) -> list[Figure]:
    """The figures of `benchmarks/name.py`, in the order they stand there."""
    module = importlib.import_module(f"benchmarks.{name}")
    return [value for value in vars(module).values() if isinstance(value, Figure)]


def ask_peer(environment: str, script: str, *arguments: str) -> Any:
    """What `benchmarks/peers/script` prints as its last line, as JSON, in that peer's environment of its own."""
    home = Environment(ROOT / ".venvs" / environment)
    home.install(FOLDER / "peers" / f"{environment}.txt")
    return ask([str(home.python), str(FOLDER / "peers" / script), *arguments])


def ask(command: Sequence[str]) -> Any:
    """What a command prints as its last line, as JSON; it gets one thread for linear algebra."""
    done = subprocess.run(command, check=False, env=os.environ | ONE_THREAD, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} failed: {' '.join(done.stderr.splitlines()[-3:])}")
    return json.loads(done.stdout.splitlines()[-1])


def import_seconds(module: str) -> float:
    """Wall seconds of importing a module in a fresh process, without the start of the interpreter."""
    code = f"import time; start = time.perf_counter(); import {module}; print(time.perf_counter() - start)"
    return float(ask([sys.executable, "-c", code]))


def cpu_seconds(command: Sequence[str]) -> float:
    """CPU seconds, user and system, that a command takes from its start to its end."""
    import resource  # not on Windows

    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, env=os.environ | ONE_THREAD, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall_seconds(action: Callable[[], object]) -> float:
    """Wall seconds of calling `action`."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def medians(rounds: int, *actions: Callable[[], dict[str, float]]) -> list[dict[str, float]]:
    """The medians of the numbers that each action measures, in turns."""
    taken = [[action() for action in actions] for _ in range(rounds)]
    return [{key: statistics.median(each[key] for each in column) for key in column[0]} for column in zip(*taken)]


def alternate(rounds: int, *actions: Callable[[], float]) -> list[float]:
    """The median of what each action measures, in turns, so that a change of load falls on all of them."""
    taken = [[action() for action in actions] for _ in range(rounds)]
    return [statistics.median(column) for column in zip(*taken, strict=True)]
