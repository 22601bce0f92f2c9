"""The set-up script, its locked requirements, and the harness of the benchmarks."""

import ast
import json
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import dev
from benchmarks.__main__ import main as bench
from benchmarks.figures import Row, benchmarks, figure, figures_of, meets
from benchmarks.peers.timing import Clock

ROOT = Path(__file__).resolve().parent.parent
LOCKS = [*sorted(ROOT.glob("requirements/*.txt")), *sorted(ROOT.glob("benchmarks/peers/*.txt"))]
HASHED = [file for file in LOCKS if file.name != "torch.txt"]
ALONE = "gradient-betty.txt"
"""A package that needs nothing but what stands in its environment before."""


def pins(file: Path) -> dict[str, set[str]]:
    """The versions that a requirements file names, by package."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([\w.-]+)==([^ ;\\\n]+)", file.read_text(), re.MULTILINE):
        found.setdefault(name, set()).add(version)
    return found


def run(*command: str, folder: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True)


# --- locked requirements -------------------------------------------------------------------------


@pytest.mark.parametrize("file", LOCKS, ids=lambda file: file.name)
def test_requirements_name_no_host_and_no_place(file: Path) -> None:
    text = file.read_text()
    assert not re.search(r"://|file:|--(extra-)?index|--find-links|--trusted-host|--no-index| @ ", text)
    assert not re.search(r"^-|(^|\s)/\w|\b\w+\.(org|com|net|io)\b", text, re.MULTILINE)


@pytest.mark.parametrize("file", HASHED, ids=lambda file: file.name)
def test_every_requirement_is_pinned_and_hashed(file: Path) -> None:
    entries = re.split(r"\n(?=\S)", file.read_text().strip())
    assert len(entries) > 5 or file.name == ALONE
    for entry in entries:
        assert re.match(r"[\w.-]+==\S+", entry), entry
        assert "--hash=sha256:" in entry, entry


def test_the_development_set_holds_the_run_set() -> None:
    whole = pins(dev.DEV)
    assert {name: whole.get(name) for name in pins(dev.RUN)} == pins(dev.RUN)


def test_the_run_set_covers_the_project() -> None:
    project = tomllib.loads(dev.PROJECT.read_text())["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["demo"]]
    names = {re.split(r"[<>=\[]", line)[0] for line in wanted}
    assert names <= pins(dev.RUN).keys()


def test_torch_is_locked_by_one_line() -> None:
    assert re.fullmatch(r"torch==\d+\.\d+\.\d+\n", dev.TORCH.read_text())


def test_the_wheel_and_the_source_archive_build(tmp_path: Path) -> None:
    done = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path), str(ROOT))
    assert done.returncode == 0, done.stdout + done.stderr
    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = set(wheel.namelist())
        metadata = wheel.read("tunewell-0.1.0.dist-info/METADATA").decode()
    assert {"tunewell/py.typed", "tunewell-0.1.0.dist-info/licenses/LICENSE"} <= names
    assert not [name for name in names if not name.startswith("tunewell")]
    assert "License-Expression: Apache-2.0" in metadata
    with tarfile.open(next(tmp_path.glob("*.tar.gz"))) as source:
        held = {name.partition("/")[2] for name in source.getnames()}
    assert {"dev.py", "LICENSE", "requirements/dev.txt", "src/tunewell/py.typed", "tests/test_dev.py"} <= held


# --- dev.py --------------------------------------------------------------------------------------


def test_help_needs_nothing_installed(tmp_path: Path) -> None:
    base = getattr(sys, "_base_executable", sys.executable)
    done = run(base, "-I", str(ROOT / "dev.py"), "--help", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert all(f"dev.py {command}" in done.stdout for command in ("demo", "test", "bench", "lock"))


def test_an_unknown_command_is_refused() -> None:
    done = run(sys.executable, "dev.py", "dmeo")
    assert done.returncode == 2
    assert "'dmeo'" in done.stderr
    assert "demo" in done.stderr


def test_an_old_python_reads_far_enough_to_say_so() -> None:
    ast.parse((ROOT / "dev.py").read_text(), feature_version=(3, 7))


def test_an_environment_remembers_what_it_holds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    commands: list[list[str]] = []
    monkeypatch.setattr(dev, "run_quietly", lambda command, *rest: commands.append([*command, *rest]))
    home = dev.Environment(tmp_path / "home")
    home.bin.mkdir(parents=True)
    home.python.touch()
    (home.folder / "pyvenv.cfg").write_text(f"version = {dev.PYTHON}.1\n")
    lock = tmp_path / "lock.txt"
    lock.write_text("one==1\n")

    home.install(lock)
    assert "--require-hashes" in commands[0]
    home.install(lock)
    assert len(commands) == 1

    lock.write_text("one==2\n")
    assert not home.holds(lock)
    home.install(lock)
    assert len(commands) == 2


def test_a_handmade_environment_of_another_python_is_left_alone(tmp_path: Path) -> None:
    home = dev.Environment(tmp_path / "home")
    home.bin.mkdir(parents=True)
    home.python.touch()
    (home.folder / "pyvenv.cfg").write_text("version = 3.4.1\n")
    with pytest.raises(dev.SetupError, match="delete it"):
        home.install(dev.RUN)
    assert home.python.exists()


def test_a_failed_step_is_told_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dev.SetupError, match=r"exit code 3(.|\n)*no such thing(.|\n)*Starting the same command again"):
        dev.run_quietly([sys.executable, "-c", "import sys; print('no such thing'); sys.exit(3)"])
    with pytest.raises(ZeroDivisionError), dev.step("dividing"):
        _ = 1 / 0
    assert capsys.readouterr().err == "dividing ... failed\n"


# --- the harness of the benchmarks ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "measured", "peer", "met"),
    [
        ("<= 250", 250.0, None, True),
        ("<= 250", 250.1, None, False),
        (">= 95", 95.0, 1.0, True),
        ("<= 0.3 x peer", 0.6, 2.0, True),
        ("<= 0.3 x peer", 0.61, 2.0, False),
        ("<= 1/40 x peer", 0.025, 1.0, True),
        ("<= 1/40 x peer", 0.026, 1.0, False),
        (">= 0.88 x peer", 0.9, 1.0, True),
        ("<= 1/40 x peer and <= 3", 4.0, 1000.0, False),
        ("<= 1/40 x peer and <= 3", 2.0, 1000.0, True),
        ("<= 250", float("nan"), None, False),
    ],
)
def test_a_target_is_read(target: str, measured: float, peer: float | None, met: bool) -> None:
    assert meets(target, measured, peer) is met
    assert Row(measured, peer, "it", target).met is met


@pytest.mark.parametrize("target", ["fast", "< 3", "<= 1/40 peer", "<= x peer", "<= 3, <= 4"])
def test_a_target_that_cannot_be_read_is_refused_at_once(target: str) -> None:
    with pytest.raises(ValueError, match="no target"):
        figure("it", target=target)


def test_a_row_without_target_is_neither_met_nor_missed() -> None:
    assert Row(1.0, target="").met is None


def answers(quick: bool) -> Iterator[Row]:
    yield Row(1.0, 4.0)
    yield Row(3.0 if quick else 1.0, name="the other", target=">= 2", unit="s")
    yield Row(1.0, name="without its peer")
    raise OSError("the disk is full")


def test_rows_are_filled_and_an_error_ends_only_its_figure() -> None:
    made = figure("it", target="<= 1/2 x peer", unit="ms")(answers)
    first, second, third, fourth = made.rows(quick=True)
    assert (first.name, first.target, first.unit, first.met) == ("it", "<= 1/2 x peer", "ms", True)
    assert (second.name, second.target, second.unit, second.met) == ("the other", ">= 2", "s", True)
    assert (third.met, "peer" in third.error) == (False, True)
    assert (fourth.met, fourth.error) == (False, "OSError: the disk is full")


@pytest.fixture
def two_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    def noisy(quick: bool) -> Row:
        print("noise")
        return Row(float("inf"))

    it, noise = figure("it", target="<= 1 x peer", unit="ms")(answers), figure("noise", target="<= 1")(noisy)
    monkeypatch.setattr("benchmarks.__main__.figures_of", lambda name: [it, noise])


@pytest.mark.usefixtures("two_figures")
def test_json_is_a_list_of_rows_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["core", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row["name"] for row in rows] == ["it", "the other", "without its peer", "it", "noise"]
    assert [row["met"] for row in rows] == [True, False, False, False, False]
    assert all(row.keys() == {"name", "measured", "peer", "target", "met", "unit", "error"} for row in rows)
    assert (rows[0]["measured"], rows[0]["peer"], rows[0]["target"]) == (1.0, 4.0, "<= 1 x peer")
    assert rows[4]["measured"] is None


@pytest.mark.usefixtures("two_figures")
def test_the_table_has_a_row_for_each(capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(["core", "--quick", "--only", "IT"]) == 0
    out = capsys.readouterr().out
    assert "the other" in out
    assert "error: OSError: the disk is full" in out
    assert "noise" not in out
    assert out.endswith("2 of 4 targets met\n")


@pytest.mark.parametrize("arguments", [["cor"], ["core", "--only", "nothing like it"]])
def test_what_is_not_there_is_said(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(arguments) == 2
    assert "core" in capsys.readouterr().err or arguments[0] == "core"


def test_every_benchmark_names_its_figures_once(capsys: pytest.CaptureFixture[str]) -> None:
    for name in benchmarks():
        names = [made.name for made in figures_of(name)]
        assert names
        assert len(set(names)) == len(names)
    assert bench(["--list"]) == 0
    assert "import tunewell" in capsys.readouterr().out


def test_a_clock_takes_the_median_of_blocks() -> None:
    clock = Clock()
    clock.ticks = [(float(t), t / 2) for t in [0, 0, 1, 2, 3, 13]]
    assert clock.per_trial(block=1, last=4) == {"wall": 1.0, "cpu": 0.5}
    assert clock.per_trial(block=2, last=4) == {"wall": 3.25, "cpu": 1.625}
