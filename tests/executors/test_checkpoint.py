"""Checkpoints are whole or not there, and damage is seen."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tunewell.errors import CheckpointError, ObjectiveError
from tunewell.executors import checkpoint


def save(path: Path) -> None:
    """Write two files, one in a folder of its own."""
    (path / "weights").write_bytes(bytes(range(256)) * 100)
    (path / "states").mkdir()
    (path / "states" / "optimizer").write_text("momentum")


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A checkpoint."""
    return checkpoint.write(tmp_path / "job-000003", checkpoint.name_of(7, 2), save, job=3, step=7, attempt=2)


def test_a_checkpoint_holds_its_files_and_a_manifest(written: Path) -> None:
    assert written.name == "step-000007-attempt-2"
    assert (written / "states" / "optimizer").read_text() == "momentum"
    manifest = checkpoint.verify(written)
    assert {key: manifest[key] for key in ("format", "job", "step", "attempt")} == {
        "format": 1,
        "job": 3,
        "step": 7,
        "attempt": 2,
    }
    assert sorted(manifest["files"]) == ["states/optimizer", "weights"]
    assert [path.name for path in written.parent.iterdir()] == [written.name]


@pytest.mark.parametrize("sync", [True, False])
def test_it_waits_for_the_disk_when_told_so(tmp_path: Path, sync: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[str] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(os.readlink(f"/proc/self/fd/{handle}")))
    written = checkpoint.write(tmp_path / "job", "step", save, sync=sync)
    assert checkpoint.verify(written)
    draft = str(written.parent / f".draft-step-{os.getpid()}")
    inside = [f"{draft}/{name}" for name in ("weights", "states/optimizer", "states", "manifest.json")]
    assert synced == [*inside, draft, str(written.parent), str(tmp_path)] if sync else not synced


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (lambda at: flip(at / "weights"), "altered"),
        (lambda at: (at / "weights").write_bytes(b"short"), "5 bytes instead of 25600"),
        (lambda at: (at / "states" / "optimizer").unlink(), "missing"),
        (lambda at: (at / "manifest.json").unlink(), "no checkpoint"),
        (lambda at: (at / "manifest.json").write_text("{"), "altered"),
        (lambda at: (at / "manifest.json").write_text("[]"), "altered"),
        (lambda at: ((at / "weights").rename(at / "w"), (at / "weights").symlink_to(at / "w")), "no plain file"),
    ],
)
def test_damage_is_seen(written: Path, damage: Callable[[Path], object], says: str) -> None:
    damage(written)
    with pytest.raises(CheckpointError, match=says):
        checkpoint.verify(written)


def test_a_manifest_cannot_lead_out_of_its_folder(written: Path) -> None:
    (written / "manifest.json").write_text(json.dumps({"format": 1, "files": {"../../secret": [3, ""]}}))
    with pytest.raises(CheckpointError, match="no name"):
        checkpoint.verify(written)


def test_a_checkpoint_that_fails_leaves_nothing(tmp_path: Path) -> None:
    def fail(path: Path) -> None:
        save(path)
        raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        checkpoint.write(tmp_path / "job", "step", fail)
    assert list((tmp_path / "job").iterdir()) == []


@pytest.mark.parametrize(
    ("wrong", "error"),
    [
        (lambda path: None, ObjectiveError),
        (lambda path: (path / "manifest.json").touch(), ObjectiveError),
        (lambda path: (path / "link").symlink_to("/etc/passwd"), CheckpointError),
    ],
)
def test_what_is_no_checkpoint_is_refused(
    tmp_path: Path, wrong: Callable[[Path], object], error: type[Exception]
) -> None:
    with pytest.raises(error):
        checkpoint.write(tmp_path / "job", "step", wrong)
    assert list((tmp_path / "job").iterdir()) == []


def test_a_name_is_used_once(written: Path) -> None:
    with pytest.raises(CheckpointError, match="exists already"):
        checkpoint.write(written.parent, written.name, save)
    checkpoint.verify(written)


@pytest.mark.parametrize("name", ["", "..", "../other", "/etc", "a/../../b"])
def test_a_name_cannot_lead_out_of_its_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(CheckpointError, match="no name"):
        checkpoint.locate(tmp_path, name)


def test_removing_and_sweeping(written: Path) -> None:
    (written.parent / ".draft-of-a-killed-process").mkdir()
    checkpoint.sweep(written.parent)
    assert [path.name for path in written.parent.iterdir()] == [written.name]
    checkpoint.remove(written.parent, written.name)
    checkpoint.remove(written.parent, written.name)
    assert list(written.parent.iterdir()) == []
