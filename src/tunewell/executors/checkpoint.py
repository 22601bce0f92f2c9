"""Checkpoints: a folder of the user's files that is whole or not there.

A checkpoint is written into a draft beside its place, sealed with `manifest.json` (sizes and hashes of all files, the
step and the attempt), and renamed; where it is worth the wait for the disk, synced before. So a name that exists is
complete, unless somebody altered it, or power was lost before it was synced: `verify` tells.
"""

from __future__ import annotations

import json
import os
import stat

from tunewell.errors import CheckpointError, ObjectiveError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import Any

MANIFEST = "manifest.json"
DRAFT = ".draft-"


def name_of(step: int, attempt: int) -> str:
    """The name of a checkpoint in its job's folder, unique by the attempt.

    >>> name_of(27, 1)
    'step-000027-attempt-1'
    """
    return f"step-{step:06d}-attempt-{attempt}"


def locate(folder: str | Path, name: str) -> Path:
    """The path of `name` below `folder`. Raises CheckpointError where the name leads out of it."""
    from pathlib import Path, PurePosixPath

    parts = PurePosixPath(name)
    if parts.is_absolute() or ".." in parts.parts or not parts.parts:
        raise CheckpointError(f"{name!r} is no name of a checkpoint", hint="Names lie below a folder.")
    return Path(folder, *parts.parts)


def write(folder: str | Path, name: str, save: Callable[[Path], object], *, sync: bool = True, **facts: float) -> Path:
    """Let `save(path)` write files into an empty folder and make that the checkpoint `name`. Whole on return, or not
    there, whoever is killed; after a loss of power too, where it was told to `sync` and wait for the disk. Without,
    `verify` sees what is missing.

    `facts` (job, step, attempt, seconds of training) go into the manifest. Raises CheckpointError when the name is
    taken or a file is no plain file, ObjectiveError when `save` wrote nothing; what `save` raises passes.
    """
    target = locate(folder, name)
    draft = target.parent / f"{DRAFT}{target.name}-{os.getpid()}"
    draft.mkdir(parents=True)
    try:
        save(draft)
        _seal(draft, facts)
        if sync:
            _sync(*sorted(draft.rglob("*"), reverse=True), draft)  # what a folder holds before the folder
        _rename(draft, target)
    except BaseException:
        _erase(draft)
        raise
    if sync:
        _sync(target.parent, target.parent.parent)
    return target


def verify(path: str | Path, *, hashes: bool = True) -> dict[str, Any]:
    """The manifest of the checkpoint at `path`, after its files were compared with it: sizes, and `hashes` unless
    refused.

    Raises CheckpointError for a checkpoint that is missing, cut short or altered.
    """
    from pathlib import Path

    folder = Path(path)
    manifest = _manifest(folder)
    for name, (size, digest) in manifest["files"].items():
        file = locate(folder, name)
        found = _size(file, folder)
        if found != size:
            raise _wrong(folder, f"{name} has {found} bytes instead of {size}")
        if hashes and _digest(file) != digest:
            raise _wrong(folder, f"{name} was altered")
    return manifest


def remove(folder: str | Path, name: str) -> None:
    """Delete a checkpoint; nothing happens where there is none. Half deleted, it has no manifest and counts for
    nothing.
    """
    target = locate(folder, name)
    (target / MANIFEST).unlink(missing_ok=True)
    _erase(target)


def sweep(folder: str | Path) -> None:
    """Delete the drafts that killed attempts left in a job's folder. For a job that runs nowhere."""
    from pathlib import Path

    for draft in Path(folder).glob(f"{DRAFT}*"):
        _erase(draft)


def _seal(draft: Path, facts: dict[str, float]) -> None:
    if (draft / MANIFEST).exists():
        raise ObjectiveError(f"save() wrote {MANIFEST}, a name that is taken", hint="Give that file another name.")
    listed = {name: [(draft / name).stat().st_size, _digest(draft / name)] for name in _files(draft)}
    if not listed:
        raise ObjectiveError(
            "save() wrote no file", hint="It gets the path of an empty folder, and writes files there."
        )
    (draft / MANIFEST).write_text(json.dumps({"format": 1, **facts, "files": listed}), encoding="utf-8")


def _files(draft: Path) -> Iterator[str]:
    """The plain files below `draft`, as relative names."""
    for entry in sorted(draft.rglob("*")):
        mode = entry.lstat().st_mode
        name = entry.relative_to(draft).as_posix()
        if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
            raise CheckpointError(f"save() wrote {name}, which is no plain file", hint="Copy what a link points to.")
        if stat.S_ISREG(mode):
            yield name


def _rename(draft: Path, target: Path) -> None:
    if target.exists():
        raise CheckpointError(
            f"{target} exists already", hint="A step is reported once; each attempt has its own number."
        )
    os.rename(draft, target)


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = json.loads((folder / MANIFEST).read_bytes())
    except OSError:
        raise CheckpointError(
            f"there is no checkpoint at {folder}", hint="It was deleted, or never finished."
        ) from None
    except ValueError:
        raise _wrong(folder, f"{MANIFEST} was altered") from None
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), dict):
        raise _wrong(folder, f"{MANIFEST} was altered")
    return manifest


def _size(file: Path, folder: Path) -> int:
    try:
        found = file.lstat()
    except OSError:
        raise _wrong(folder, f"{file.name} is missing") from None
    if not stat.S_ISREG(found.st_mode):
        raise _wrong(folder, f"{file.name} is no plain file")
    return found.st_size


def _wrong(folder: Path, what: str) -> CheckpointError:
    return CheckpointError(
        f"the checkpoint {folder} is damaged: {what}", hint="The job can start again from an older one."
    )


def _digest(file: Path) -> str:
    import hashlib

    with file.open("rb") as stream:
        return hashlib.file_digest(stream, lambda: hashlib.blake2b(digest_size=20)).hexdigest()


def _sync(*paths: Path) -> None:
    for path in paths:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _erase(folder: Path) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
