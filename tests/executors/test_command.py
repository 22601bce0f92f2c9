"""A program in any language is an objective, in this process and in workers."""

import re
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tunewell.contract.executors import Said, drive, results, steps, task
from tunewell.errors import ObjectiveError
from tunewell.executors.command import check_command, fill
from tunewell.executors.inline import Inline
from tunewell.executors.processes import Processes
from tunewell.protocols import Executor, Objective

HEAD = """
import json, os, sys, time
reports = open(os.environ["TUNEWELL_REPORTS"], "a")
def report(**said):
    print(json.dumps(said), file=reports, flush=True)
"""


@pytest.fixture(params=["inline", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Each executor, not opened."""
    with closing(Inline() if request.param == "inline" else Processes(1)) as made:
        yield made


@pytest.fixture
def run(executor: Executor, tmp_path: Path) -> Any:
    """A function that writes a program, runs it as one task, and returns what was said."""

    def run(program: str, *words: str, environment: dict[str, str] | None = None, **more: Any) -> Said:
        script = tmp_path / "train.py"
        script.write_text(HEAD + program)
        command = (sys.executable, str(script), *words)
        executor.open(Objective(command=command, environment=environment or {}))
        return drive(executor, task(**more))

    return run


def test_a_program_reports_and_ends(run: Any) -> None:
    said = run(
        """
for step in range(int(sys.argv[1]) + 1, int(sys.argv[2]) + 1):
    report(step=step, loss=float(sys.argv[3]) / step)
report(accuracy=0.5)
""",
        "{start}",
        "{until}",
        "{x}",
        until=4,
        last=4,
    )
    assert steps(said, 0) == [1, 2, 3, 4]
    assert results(said)[0].metrics == {"loss": 0.5, "accuracy": 0.5}
    assert results(said)[0].step == 4


def test_reports_come_while_the_program_runs(run: Any) -> None:
    said = run("for step in (1, 2, 3):\n    report(step=step, loss=1)\n    time.sleep(0.2)", until=3, last=3)
    assert len(said) == 4


def test_a_program_is_not_held(run: Any, executor: Executor) -> None:
    said = run("for step in range(1, 10):\n    report(step=step, loss=step)", until=3, last=9)
    assert steps(said, 0) == [1, 2, 3]
    assert not executor.held()
    assert results(said)[0].metrics == {"loss": 3.0}


def test_a_program_finds_its_config_and_more(run: Any) -> None:
    said = run(
        """
config = json.load(open(os.environ["TUNEWELL_CONFIG"]))
assert config == {"x": 2.0, "name": "a b; rm *"}, config
assert sys.argv[1] == "a b; rm *", sys.argv
assert os.environ["TUNEWELL_SEED"] == "7" and os.environ["MINE"] == "yes"
assert "TUNEWELL_CHECKPOINT" not in os.environ
report(loss=config["x"])
""",
        "{name}",
        config={"x": 2.0, "name": "a b; rm *"},
        environment={"MINE": "yes"},
    )
    assert results(said)[0].metrics == {"loss": 2.0}


def test_what_a_program_saves_is_restored(run: Any, tmp_path: Path) -> None:
    program = """
count = 0
if "TUNEWELL_CHECKPOINT" in os.environ:
    count = int(open(os.environ["TUNEWELL_CHECKPOINT"] + "/count").read())
open(os.environ["TUNEWELL_SAVE"] + "/count", "w").write(str(count + 1))
report(loss=count)
"""
    [first] = results(run(program, until=2, last=9, folder=str(tmp_path / "job-000000")))
    assert first.saved is not None
    more = {"start": 2, "checkpoint": str(tmp_path / first.saved), "folder": str(tmp_path / "job-000001")}
    [second] = results(run(program, job=1, until=9, last=9, parent=0, **more))
    assert (first.metrics, second.metrics) == ({"loss": 0.0}, {"loss": 1.0})


@pytest.mark.parametrize(
    ("program", "kind", "says"),
    [
        ("sys.exit('the reason')", "crashed", "the reason"),
        ("sys.exit(3)", "crashed", "exit code 3"),
        ("os.abort()", "crashed", "signal 6"),
        ("report(step=1, loss=1)\nprint('loss: 3', file=reports)", "invalid", "line 2 .*loss: 3"),
        ("print('[1]', file=reports)", "invalid", "line 1 "),
        ("report(step=1, loss='low')", "invalid", "loss"),
        ("report(step=2, loss=1)\nreport(step=1, loss=1)", "invalid", "goes back"),
        ("pass", "invalid", "reported no metric"),
    ],
)
def test_what_goes_wrong_is_told(run: Any, program: str, kind: str, says: str) -> None:
    error = results(run(program, until=9, last=9))[0].error
    assert error is not None
    assert error.kind == kind
    assert re.search(says, error.message), error.message


def test_a_metric_that_is_not_finite_passes(run: Any) -> None:
    assert str(results(run("report(loss='nan', bound='-inf')"))[0].metrics) == "{'loss': nan, 'bound': -inf}"


def test_a_program_that_is_not_there_is_invalid(executor: Executor) -> None:
    executor.open(Objective(command=("/no/such/program",)))
    error = results(drive(executor, task()))[0].error
    assert error is not None
    assert error.kind == "invalid"


def test_a_cancelled_program_ends(executor: Executor, tmp_path: Path) -> None:
    script = tmp_path / "train.py"
    script.write_text(
        HEAD + "step = 0\nwhile True:\n    step += 1\n    report(step=step, loss=1)\n    time.sleep(0.02)"
    )
    executor.open(Objective(command=(sys.executable, str(script))))
    drive(executor, task(until=10**6, last=10**6), until=lambda said: bool(steps(said, 0)))
    executor.cancel(0)
    [result] = results(drive(executor, until=lambda said: bool(results(said))))
    assert result.status == "cancelled"


def test_unknown_placeholders_are_refused() -> None:
    check_command(("train", "--lr={lr}", "{seed}", "{{not_one}}", '{"json": 1}'), ["lr"])
    with pytest.raises(ObjectiveError, match=r"\{lrr\}.*\n.*\{lr\}"):
        check_command(("train", "--lr={lrr}"), ["lr", "units"])


def test_placeholders_of_inactive_entries_are_left_out() -> None:
    command = ("train", "--lr", "{lr}", "--momentum", "{momentum}", "--beta={beta}", "{{x}}", "--on")
    assert fill(command, {"lr": 0.1}) == ["train", "--lr", "0.1", "{x}", "--on"]
    assert fill(("{flag}", "{layers}"), {"flag": True, "layers": [1, 2]}) == ["true", "[1, 2]"]
