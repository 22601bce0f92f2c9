"""What made a result: the objective's source, the git commit, the versions of the packages it may have used."""

from __future__ import annotations

import hashlib
import inspect
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import msgspec

from tunewell.protocols import Objective


def fingerprint(objective: Objective) -> dict[str, Any]:
    """A JSON record of the objective's `source` hash, git `commit`, `python` and package `versions`, and its own
    `hash`.
    """
    record: dict[str, Any] = {
        "source": _source(objective),
        "commit": _commit(),
        "python": platform.python_version(),
        "versions": _versions(),
    }
    return {**record, "hash": _digest(msgspec.json.encode(record, order="sorted"))}


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What changed between two fingerprints, a phrase each."""
    phrases = ["the objective's source"] if before.get("source") != after.get("source") else []
    names = [name for name in ("commit", "python") if before.get(name) != after.get(name)]
    phrases += [f"{name} {before.get(name)} -> {after.get(name)}" for name in names]
    old, new = before.get("versions", {}), after.get("versions", {})
    return phrases + [f"{name} {old[name]} -> {new[name]}" for name in old if name in new and old[name] != new[name]]


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=8).hexdigest()


def _source(objective: Objective) -> str:
    if objective.function is None:
        return _digest("\0".join([*objective.command, *_scripts(objective.command)]).encode())
    return _digest(_text(objective.function).encode())


def _text(function: Callable[..., Any]) -> str:
    """The source of a function, or its bytecode where there is no source (a prompt, a generated function)."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        return repr(type(function)) if code is None else f"{code.co_code!r}{code.co_consts!r}{code.co_names!r}"


def _scripts(command: Sequence[str]) -> list[str]:
    """The contents of the source files that a command line names."""
    return [Path(word).read_text(errors="replace") for word in command if word.endswith(".py") and Path(word).is_file()]


def _commit() -> str | None:
    if not any((folder / ".git").exists() for folder in (Path.cwd(), *Path.cwd().parents)):
        return None
    try:
        command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
        run = subprocess.run(command, capture_output=True, timeout=5, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return run.stdout.decode().strip() or None


def _versions() -> dict[str, str]:
    """The versions of the packages imported in this process, where their name is that of their distribution."""
    found = {}
    for name in sorted({module.partition(".")[0] for module in list(sys.modules)} - sys.stdlib_module_names):
        if not name.startswith("_"):
            try:
                found[name] = version(name)
            except (PackageNotFoundError, ValueError):
                continue
    return found
