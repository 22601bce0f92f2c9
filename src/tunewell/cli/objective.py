"""What a study runs: found, shown, confirmed, and only then loaded.

A study file may come from a stranger, so nothing that it names runs before the person at the terminal has seen and
confirmed it, or has named it on the command line. A log names no code at all.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shlex
import shutil
import sys
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from tunewell.cli import words
from tunewell.errors import ObjectiveError


@dataclass(frozen=True)
class Target:
    """A function, as "file.py:name" or "package.module:name", or a command line; files are relative to `folder`.

    `passed`: the user named it on the command line, and need not confirm it.
    """

    folder: Path
    function: str = ""
    command: tuple[str, ...] = ()
    passed: bool = False

    def __str__(self) -> str:
        """What would run, with its path."""
        if self.command:
            return shlex.join(self.words)
        place, name = self._parts
        return f"{name} of {self._file() or place}"

    @property
    def _parts(self) -> tuple[str, str]:
        place, mark, name = self.function.rpartition(":")
        if not mark or not place or not name:
            raise ObjectiveError(
                f"{self.function!r} names no function", hint="Write file.py:function or package.module:function"
            )
        return place, name

    @property
    def words(self) -> list[str]:
        """The command line, with the full path of the program and of the files that stand in the folder."""
        first, *others = self.command
        program = self._beside(first) if os.sep in first else shutil.which(first) or self._beside(first)
        return [program, *map(self._beside, others)]

    def _beside(self, word: str) -> str:
        path = self.folder / word
        return str(path) if word and path.is_file() else word

    def _file(self) -> Path | None:
        """The file of the function, found without importing anything; None where only an import would tell."""
        place, _ = self._parts
        if place.endswith(".py"):
            return (self.folder / place).resolve()
        found: Any = None
        path: Sequence[str] | None = [str(self.folder), *sys.path]
        for end in range(1, place.count(".") + 2):
            found = PathFinder.find_spec(".".join(place.split(".")[:end]), path)
            if found is None:
                return None
            path = found.submodule_search_locations
        return Path(found.origin) if found.origin else None

    def confirm(self, source: str, yes: bool) -> bool:
        """Whether this may run: because the user passed it, said --yes, or confirms it now."""
        self.check()
        if yes or self.passed:
            return True
        otherwise = ObjectiveError(
            f"{source} runs {self}, and there is no terminal to ask whether it may",
            hint="Look at it, then add --yes, or name what to run by --objective or --command",
        )
        return words.confirm(f"{source} runs {self}\nRun it?", otherwise)

    def check(self) -> None:
        """Raise ObjectiveError where there is nothing to run."""
        if self.command:
            if not Path(self.words[0]).is_file():
                hint = f"Looked in {self.folder} and in PATH"
                raise ObjectiveError(f"there is no program {self.command[0]!r}", hint=hint)
            return
        file = self._file()
        if file is not None and not file.is_file():
            raise ObjectiveError(f"objective {self.function!r}: there is no file {file}", hint=_others(file))

    def load(self) -> Callable[[Any], Any] | Sequence[str]:
        """The function, or the words of the command. Runs the user's code; raises ObjectiveError where it cannot."""
        if self.command:
            return self.words
        place, name = self._parts
        found: Any = self._module(place)
        for part in name.split("."):
            if not hasattr(found, part):
                raise ObjectiveError(f"{place} has no function {name!r}", hint=_nearest(name, found))
            found = getattr(found, part)
        _check_callable(found)
        return found  # type: ignore[no-any-return]

    def _module(self, place: str) -> Any:
        file = (self.folder / place).resolve() if place.endswith(".py") else None
        folder = str(file.parent if file is not None else self.folder)
        if folder not in sys.path:
            sys.path.insert(0, folder)  # worker processes get the same
        looked = f"Looked in {folder} and in the {len(sys.path) - 1} other places of sys.path"
        try:
            return _import_file(file) if file is not None else importlib.import_module(place)
        except ModuleNotFoundError as error:
            raise ObjectiveError(f"objective {self.function!r}: {error}", hint=looked) from error
        except Exception as error:
            message = f"objective {self.function!r}: importing it raised {type(error).__name__}: {error}"
            raise ObjectiveError(message, hint=_where(error)) from error


def target_of(objective: str | None, command: str | None, *, file: Any = None, path: Path | None = None) -> Target:
    """What to run: as the command line says, else as the study file says. Raises ObjectiveError where neither does."""
    if objective and command:
        raise ObjectiveError("--objective and --command", hint="Give one of them")
    if command:
        return Target(Path.cwd(), command=tuple(shlex.split(command)), passed=True)
    if objective:
        return Target(Path.cwd(), function=objective, passed=True)
    if file is not None and (file.objective or file.command):
        return Target(file.path.resolve().parent, function=file.objective, command=file.command)
    raise ObjectiveError(
        f"{path} names nothing to run", hint='Write objective = "train.py:train" in it, or pass --objective'
    )


def _import_file(file: Path) -> Any:
    """The module of a file under its own name, which workers import too; where that is taken, sent to them by value."""
    spec = PathFinder.find_spec(file.stem)
    if spec is not None and spec.origin == str(file) and file.stem not in {*sys.stdlib_module_names, *sys.modules}:
        return importlib.import_module(file.stem)
    import cloudpickle

    spec = importlib.util.spec_from_file_location(f"tunewell_objective_{file.stem}", file)
    if spec is None or spec.loader is None:
        raise ObjectiveError(f"{file} cannot be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    cloudpickle.register_pickle_by_value(module)
    return module


def _check_callable(function: Any) -> None:
    from tunewell.executors.check import check
    from tunewell.protocols import Objective

    check(Objective(function=function))


def _where(error: BaseException) -> str:
    """The line of the user's code that failed."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}"
    last = traceback.extract_tb(error.__traceback__)[-1]
    return f"{last.filename}:{last.lineno}: {last.line}"


def _others(file: Path) -> str:
    """The file that was meant."""
    from tunewell.space.values import nearest_hint

    names = sorted(path.name for path in file.parent.glob("*.py"))
    return nearest_hint(file.name, names) if names else f"There is no Python file in {file.parent}"


def _nearest(name: str, module: Any) -> str:
    from tunewell.space.values import nearest_hint

    functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
    return nearest_hint(name, functions) if functions else "It defines no function"


def declined() -> int:
    """What to say, and the exit code, when the user does not want it to run."""
    words.note("nothing ran")
    return 1
