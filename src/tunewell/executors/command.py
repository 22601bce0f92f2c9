"""A program in any language as a training function.

The program finds its config in its arguments (`{name}`) or in the JSON file that TUNEWELL_CONFIG names, and writes JSON
lines to the file that TUNEWELL_REPORTS names: {"step": 3, "loss": 0.5} for a step, a line without "step" for the final
metrics. TUNEWELL_CHECKPOINT is the folder to restore from, if there is one; what lies in the folder TUNEWELL_SAVE when
the program ends is its checkpoint. Further variables: TUNEWELL_START, TUNEWELL_UNTIL, TUNEWELL_LAST, TUNEWELL_SEED,
TUNEWELL_REPLICATE.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import re
import select
import shutil
import subprocess
import sys
from pathlib import Path

from tunewell.errors import ObjectiveError
from tunewell.owner import new_folder

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any, BinaryIO

    from tunewell.executors.run import Run

OURS = ("start", "until", "last", "seed", "replicate", "checkpoint", "save", "config")
"""Placeholders that are not entries of the space; an entry of the same name goes first."""

POLL = 0.02
"""Seconds between two looks at the file of reports."""

PLACEHOLDER = re.compile(r"\{\{|\}\}|\{([^{}\s\"':,]+)\}")
WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}


class CommandFailed(Exception):
    """The program ended with an exit code that is not zero; the text is the end of what it wrote to stderr."""


def check_command(command: Sequence[str], names: Iterable[str]) -> None:
    """Raise ObjectiveError for a placeholder that is none of the space's `names` and none of ours."""
    known = {*names, *OURS}
    for word in command:
        for found in PLACEHOLDER.finditer(word):
            if found[1] is not None and found[1] not in known:
                raise ObjectiveError(
                    f"the command has {{{found[1]}}}, and the space has no such entry{_near(found[1], known)}"
                )


def _near(name: str, known: set[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"\nDid you mean {{{close[0]}}}?" if close else f"\nKnown: {', '.join(sorted(known))}."


def fill(command: Sequence[str], values: Mapping[str, Any]) -> list[str]:
    """The command with its placeholders replaced; `{{` and `}}` are braces.

    An entry that is not active in this config has no value: the word that asks for it is left out, and so is the option
    before it.

    >>> fill(["train", "--lr={lr}", "--momentum", "{momentum}"], {"lr": 0.1})
    ['train', '--lr=0.1']
    """
    words: list[str] = []
    for word in command:
        asked = [found[1] for found in PLACEHOLDER.finditer(word) if found[1] is not None]
        if all(name in values for name in asked):
            words.append(PLACEHOLDER.sub(lambda found: _text(values[found[1]]) if found[1] else found[0][0], word))
        elif word == f"{{{asked[0]}}}" and words and re.fullmatch(r"--?[^=]+", words[-1]):
            words.pop()
    return words


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


class Command:
    """Calls a program for each run. It makes the steps from `run.start` to `run.until`, then ends: it is never held."""

    def __init__(self, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        self.command = tuple(command)
        self.environment = dict(environment or {})

    def __call__(self, run: Run) -> Mapping[str, float] | None:
        """Run the program; the final metrics, if it gave any."""
        folder = new_folder()
        try:
            return _Call(self, run, folder).run()
        finally:
            shutil.rmtree(folder, ignore_errors=True)


class _Call:
    """One call of the program."""

    def __init__(self, command: Command, run: Run, folder: Path) -> None:
        self._run = run
        self._reports = folder / "reports.jsonl"
        self._save = folder / "save"
        self._config = folder / "config.json"
        self._pending = b""
        self._line = 0
        self._final: dict[str, float] = {}
        self._stderr = b""
        values = {**self._ours(), **run.config}
        self._words = fill(command.command, values)
        self._environment = {**os.environ, **command.environment, **self._variables()}

    def _ours(self) -> dict[str, Any]:
        run = self._run
        checkpoint = str(run.checkpoint) if run.checkpoint is not None else ""
        numbers = {name: getattr(run, name) for name in ("start", "until", "last", "seed", "replicate")}
        return {**numbers, "checkpoint": checkpoint, "save": str(self._save), "config": str(self._config)}

    def _variables(self) -> dict[str, str]:
        ours = {f"TUNEWELL_{name.upper()}": str(value) for name, value in self._ours().items() if value != ""}
        return {**ours, "TUNEWELL_REPORTS": str(self._reports)}

    def run(self) -> Mapping[str, float] | None:
        self._save.mkdir()
        self._reports.touch()
        self._config.write_text(json.dumps(dict(self._run.config)), encoding="utf-8")
        with self._start() as process, self._reports.open("rb") as reports:
            try:
                self._follow(process, reports)
            except BaseException:
                _stop(process)
                raise
        if process.returncode != 0:
            raise CommandFailed(f"{_how(process.returncode)}: {' '.join(self._words)}\n{self._tail()}")
        if any(self._save.iterdir()):
            self._run._save_now(self._move)
        return self._final or None

    def _start(self) -> subprocess.Popen[bytes]:
        try:
            return subprocess.Popen(
                self._words, env=self._environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, bufsize=0
            )
        except OSError as error:
            raise ObjectiveError(f"cannot run {self._words[0]!r}: {error}", hint="Give its full path.") from None

    def _follow(self, process: subprocess.Popen[bytes], reports: BinaryIO) -> None:
        """Read what the program says until it has ended."""
        assert process.stderr is not None
        open_ended = True
        while process.poll() is None:
            if open_ended and select.select([process.stderr], [], [], POLL)[0]:
                open_ended = self._hear(process.stderr)
            elif not open_ended:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(POLL)
            self._read(reports)
        while open_ended and select.select([process.stderr], [], [], 0)[0]:
            open_ended = self._hear(process.stderr)
        self._read(reports, final=True)

    def _hear(self, stderr: Any) -> bool:
        """Pass on what the program wrote to stderr, and keep the end of it; False at its end."""
        said = stderr.read(65536)
        self._stderr = (self._stderr + said)[-4000:]
        sys.stderr.write(said.decode(errors="replace"))
        return bool(said)

    def _tail(self) -> str:
        return "\n".join(self._stderr.decode(errors="replace").splitlines()[-20:])

    def _read(self, reports: BinaryIO, final: bool = False) -> None:
        """Report the lines that the program has finished."""
        self._pending += reports.read()
        *lines, self._pending = self._pending.split(b"\n")
        if final and self._pending.strip():
            lines.append(self._pending)
        for line in lines:
            self._line += 1
            if line.strip():
                self._say(self._parse(line))

    def _parse(self, line: bytes) -> dict[str, Any]:
        try:
            said = json.loads(line)
        except ValueError:
            said = None
        if not isinstance(said, dict):
            raise ObjectiveError(
                f"line {self._line} of TUNEWELL_REPORTS is no JSON mapping: {line.decode(errors='replace'):.80}",
                hint='Write lines like {"step": 3, "loss": 0.5}.',
            )
        return {name: WORDS.get(value, value) if isinstance(value, str) else value for name, value in said.items()}

    def _say(self, said: dict[str, Any]) -> None:
        step = said.pop("step", None)
        if step is None:
            self._final.update(said)
        elif not isinstance(step, int) or step <= self._run.until or self._run.until >= self._run.last:
            self._run._tell(step, said)

    def _move(self, path: Path) -> None:
        """Make the program's files the checkpoint."""
        import shutil

        for file in self._save.iterdir():
            shutil.move(file, path)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(2.0)
    except subprocess.TimeoutExpired:
        process.kill()


def _how(code: int) -> str:
    return f"the command ended with exit code {code}" if code > 0 else f"the command was ended by signal {-code}"
