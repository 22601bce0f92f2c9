"""Run: what a training function may say, and what becomes of it."""

import math
import os
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tunewell.contract.executors import drive, results, task
from tunewell.errors import ObjectiveError, Released
from tunewell.executors.inline import Inline
from tunewell.executors.run import Run, failure, kind_of, to_number
from tunewell.protocols import Objective, Task


def ending(function: Callable[[Any], Any], one: Task | None = None, **more: Any) -> Any:
    """The Result of a function that runs in this process."""
    executor = Inline()
    executor.open(Objective(function, **more))
    try:
        return results(drive(executor, one or task(until=9, last=9)))[0]
    finally:
        executor.close()


@pytest.mark.parametrize("value", [1, 1.0, True, np.float32(1), np.int64(1), np.array(1.0), np.array([1.0])])
def test_numbers_of_any_library_are_metrics(value: Any) -> None:
    assert to_number("loss", value) == 1.0
    assert type(to_number("loss", value)) is float


@pytest.mark.parametrize("value", ["1", b"1", None, [1.0], np.zeros(2), 1j, object()])
def test_what_is_no_number_is_refused_with_its_name(value: Any) -> None:
    with pytest.raises(ObjectiveError, match="'loss'"):
        to_number("loss", value)


def test_the_last_values_of_all_metrics_are_the_result() -> None:
    def train(run: Run) -> dict[str, float]:
        run.report(1, loss=3.0, accuracy=0.1)
        run.report(np.int64(2), loss=2.0)
        return {"size": 5.0}

    assert ending(train).metrics == {"loss": 2.0, "accuracy": 0.1, "size": 5.0}
    assert ending(train).step == 2


def test_a_function_that_never_reports_reaches_until() -> None:
    assert ending(lambda run: 1.0, task(until=5, last=9)).step == 5


def test_steps_go_on_after_the_start() -> None:
    seen: list[int] = []

    def train(run: Run) -> float:
        seen.extend(run.steps())
        return 1.0

    ending(train, task(until=9, last=9, start=6))
    assert seen == [7, 8, 9]


def test_a_report_beyond_until_is_a_decision_too() -> None:
    def train(run: Run) -> None:
        for step in (5, 10):
            run.report(step, loss=float(step))

    executor = Inline()
    executor.open(Objective(train))
    assert results(drive(executor, task(0, until=3, last=10)))[0].step == 5
    [second] = results(drive(executor, task(1, until=4, last=10, parent=0)))
    assert (second.step, second.metrics) == (5, {"loss": 5.0})
    assert results(drive(executor, task(2, until=10, last=10, parent=1)))[0].step == 10
    executor.close()


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda run: run.report(1), "without a metric"),
        (lambda run: run.report("one", loss=1.0), "no whole number"),
        (lambda run: run.report(1, loss=1.0, save="here"), "cannot be called"),
        (lambda run: {1: 1.0}, "no name"),
        (lambda run: {"gradient": {"x": 1.0}}, "no metric"),
        (lambda run: {"loss": 1.0, "gradient": {"x": "up"}}, "gradient.x"),
    ],
)
def test_nonsense_is_invalid(call: Callable[[Run], Any], says: str) -> None:
    error = ending(call).error
    assert error.kind == "invalid"
    assert says in error.message


def test_a_gradient_can_be_reported() -> None:
    result = ending(lambda run: run.report(1, loss=1.0, gradient={"x": 0.5}, std={"loss": np.float64(0.1)}))
    assert (result.gradient, result.std, result.metrics) == ({"x": 0.5}, {"loss": 0.1}, {"loss": 1.0})


def note(path: Path) -> None:
    (path / "note").touch()


def test_checkpoints_are_written_where_it_is_decided_and_every_so_often(tmp_path: Path) -> None:
    def train(run: Run) -> None:
        for step in run.steps():
            run.report(step, loss=1.0, save=note)

    def names(save_every: float) -> list[str]:
        folder = tmp_path / str(save_every)
        ending(train, task(until=3, last=3, folder=str(folder)), save_every=save_every)
        return sorted(path.name for path in folder.iterdir())

    assert names(1000.0) == ["step-000003-attempt-1"]
    assert names(0.0) == [f"step-00000{step}-attempt-1" for step in (1, 2, 3)]


def test_a_checkpoint_waits_for_the_disk_once_a_loss_of_power_would_cost_a_second(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)

    def train(run: Run) -> None:
        time.sleep(0.6)
        run.report(run.until, loss=1.0, save=note)

    folder = str(tmp_path / "job")
    first = ending(train, task(until=3, last=3, folder=folder))
    assert not synced
    before = str(tmp_path / first.saved)
    ending(train, task(until=9, last=9, start=3, folder=folder, checkpoint=before))
    assert synced


def test_a_trial_that_is_held_goes_on_counting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)

    def train(run: Run) -> None:
        for step in run.steps():
            time.sleep(0.35)
            run.report(step, loss=1.0, save=note)

    with closing(Inline()) as executor:
        executor.open(Objective(train))
        for number in range(3):
            assert not synced
            parent = number - 1 if number else None
            job = task(number, number + 1, 3, parent=parent, start=number, folder=str(tmp_path / f"job-{number}"))
            drive(executor, job)
    assert synced


def test_a_function_that_stops_early_leaves_its_last_state(tmp_path: Path) -> None:
    result = ending(lambda run: run.report(2, loss=1.0, save=note), task(until=9, last=9, folder=str(tmp_path / "job")))
    assert (result.status, result.step, result.saved) == ("done", 2, "job/step-000002-attempt-1")


def test_without_a_folder_nothing_is_saved() -> None:
    assert ending(lambda run: run.report(9, loss=1.0, save=note)).saved is None


def test_a_checkpoint_that_cannot_be_written_is_not_the_configs_fault(tmp_path: Path) -> None:
    def full(path: Path) -> None:
        raise OSError(28, "No space left on device")

    result = ending(lambda run: run.report(9, loss=1.0, save=full), task(until=9, last=9, folder=str(tmp_path / "job")))
    assert result.error.kind == "lost"


def test_a_released_function_cannot_go_on() -> None:
    caught: list[int] = []

    def train(run: Run) -> float:
        for step in run.steps():
            try:
                run.report(step, loss=1.0)
            except Released:
                caught.append(step)
        return 1.0

    executor = Inline()
    executor.open(Objective(train))
    drive(executor, task(until=2, last=4))
    executor.close()
    assert caught == [2, 3, 4]


class OutOfMemoryError(RuntimeError):
    """As torch calls it."""


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (MemoryError(), "oom"),
        (OutOfMemoryError(), "oom"),
        (RuntimeError("CUDA error: out of memory"), "oom"),
        (ZeroDivisionError(), "crashed"),
        (FloatingPointError(), "diverged"),
        (OSError(28, "No space left on device"), "lost"),
        (FileNotFoundError(2, "no data"), "crashed"),
    ],
)
def test_exceptions_are_classed(error: Exception, kind: str) -> None:
    assert kind_of(error) == kind


def test_the_message_of_a_failure_ends_with_the_last_lines_of_the_traceback() -> None:
    def deep(n: int) -> float:
        return deep(n - 1) if n else 1 / math.floor(0.5)

    try:
        deep(50)
    except ZeroDivisionError as error:
        kind, message, name = failure(error)
    assert (kind, name) == ("crashed", "ZeroDivisionError")
    assert message.startswith("ZeroDivisionError: ")
    assert message.endswith("ZeroDivisionError: float division by zero") or "division" in message.splitlines()[-1]
    assert len(message.splitlines()) <= 21


def test_a_message_is_text_that_every_store_takes() -> None:
    message = failure(ValueError("\udc80 and \0"))[1]
    message.encode()
    assert "\0" not in message
