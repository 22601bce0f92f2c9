"""`kill -9` at random moments, of the main process, of a worker, of both: nothing acknowledged is lost.

The benchmark `core` does the same with ten times as many moments.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.killing import VICTIMS, Launcher, Report, campaign
from tests.postgres import postgres_server, postgres_url  # noqa: F401

MOMENTS = 10

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.slow,
    pytest.mark.xdist_group("killing"),
]


@pytest.fixture(scope="module")
def launcher() -> Iterator[Launcher]:
    with Launcher() as launcher:
        yield launcher


@pytest.mark.parametrize("victim", VICTIMS)
def test_on_sqlite(victim: str, launcher: Launcher, tmp_path: Path, seed: int) -> None:
    report = campaign(launcher, str(tmp_path / "tune.db"), tmp_path, victim=victim, moments=MOMENTS, seed=seed)
    check(report)


@pytest.mark.postgres
@pytest.mark.parametrize("victim", VICTIMS)
def test_on_postgresql(
    victim: str,
    launcher: Launcher,
    postgres_url: str,  # noqa: F811
    tmp_path: Path,
    seed: int,
) -> None:
    report = campaign(launcher, postgres_url, tmp_path, victim=victim, moments=MOMENTS, seed=seed)
    check(report)


def check(report: Report) -> None:
    print(report)
    assert not report.faults, report
    assert report.moments == MOMENTS
    assert report.acknowledged > 0
