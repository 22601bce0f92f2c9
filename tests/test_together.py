"""Eight processes tune one study in one store; one of them is killed, and the others finish its jobs."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.killing import Launcher, together
from tests.postgres import postgres_server, postgres_url  # noqa: F401

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.xdist_group("killing"),
]


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


def test_eight_processes_on_sqlite(launcher: Launcher, tmp_path: Path, seed: int) -> None:
    report = together(launcher, str(tmp_path / "tune.db"), tmp_path, seed=seed)
    assert not report.faults, report


@pytest.mark.postgres
def test_eight_processes_on_postgresql(
    launcher: Launcher,
    postgres_url: str,  # noqa: F811
    tmp_path: Path,
    seed: int,
) -> None:
    report = together(launcher, postgres_url, tmp_path, seed=seed)
    assert not report.faults, report
