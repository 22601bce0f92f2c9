"""The laws of an executor. A new one is tested by a subclass that makes it:

class TestMine(ExecutorContract):
    def make(self):
        return MyExecutor()
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from tunewell.errors import ObjectiveError
from tunewell.events import Job, Report, Result
from tunewell.protocols import Executor, Objective, Task

PATIENCE = 30.0
"""Seconds that a test waits for what must come."""

Said = list[Report | Result]


def task(
    job: int = 0,
    until: int = 1,
    last: int = 1,
    *,
    parent: int | None = None,
    config: dict[str, Any] | None = None,
    start: int = 0,
    **more: Any,
) -> Task:
    """A task for an executor under test."""
    number = Job({"x": 2.0} if config is None else config, until, parent, id=job)
    return Task(number, attempt=1, start=start, last=last, seed=7, **more)


def results(said: Iterable[Report | Result]) -> list[Result]:
    """The Results among what was said."""
    return [event for event in said if isinstance(event, Result)]


def steps(said: Iterable[Report | Result], job: int) -> list[int]:
    """The steps that a job reported, in the order in which they came."""
    return [step for event in said if isinstance(event, Report) and event.job == job for step in event.steps]


def drive(executor: Executor, *tasks: Task, until: Callable[[Said], bool] | None = None) -> Said:
    """Run the tasks as slots become free; all that was said until each has its Result, or until `until(said)`."""
    said: Said = []
    waiting = list(tasks)
    end = time.monotonic() + PATIENCE
    while not (until(said) if until is not None else len(results(said)) >= len(tasks)):
        assert time.monotonic() < end, f"still waiting after {PATIENCE} s; so far: {said}"
        while waiting and executor.free():
            executor.submit(waiting.pop(0))
        said += executor.wait(0.5)
    return said


# The training functions. They are made by functions, so that cloudpickle sends them by value.


def squares() -> Callable[[Any], Any]:
    """A function that returns a number."""
    return lambda run: run.config["x"] ** 2


def returns(value: float) -> Callable[[Any], Any]:
    """A function that returns that number."""
    return lambda run: value


def reports(pause: float = 0.0, flush: bool = False) -> Callable[[Any], Any]:
    """A function that reports each step."""

    def train(run: Any) -> None:
        for step in run.steps():
            time.sleep(pause)
            run.report(step, loss=1.0 / step, process=os.getpid(), thread=threading.get_ident() % 10**6, flush=flush)

    return train


def counts(folder: str) -> Callable[[Any], Any]:
    """A function that leaves a file for each time it is called, and a file when it is released."""

    def train(run: Any) -> None:
        Path(folder, f"called-{time.time_ns()}").touch()
        try:
            for step in run.steps():
                run.report(step, loss=1.0 / step)
        finally:
            Path(folder, f"left-{time.time_ns()}").touch()

    return train


def saves() -> Callable[[Any], Any]:
    """A function that counts up from what its checkpoint holds, and saves the count."""

    def train(run: Any) -> None:
        count = int((run.checkpoint / "count").read_text()) if run.checkpoint else 0
        for step in run.steps():
            count += 1
            run.report(
                step, count=count, loss=0.0, save=lambda path, count=count: (path / "count").write_text(str(count))
            )

    return train


class ExecutorContract:
    """The laws."""

    def make(self) -> Executor:
        """A new executor, not opened."""
        raise NotImplementedError("a contract is tested by a subclass with a method `make`")

    @contextmanager
    def opened(self, function: Callable[[Any], Any], **more: Any) -> Iterator[Executor]:
        """A new executor, open for an objective."""
        with closing(self.make()) as executor:
            executor.open(Objective(function, **more))
            yield executor

    # --- plain jobs --------------------------------------------------------------------------------------------------

    def test_a_plain_job_ends_in_one_result(self) -> None:
        with self.opened(squares()) as executor:
            free = executor.free()
            assert free >= 1
            said = drive(executor, task(3))
            assert [(event.job, event.status) for event in results(said)] == [(3, "done")]
            assert results(said)[0].metrics == {"loss": 4.0}
            assert results(said)[0].step == 1
            assert results(said)[0].seconds >= 0
            assert executor.free() == free

    def test_many_jobs_end_once_each(self) -> None:
        with self.opened(squares()) as executor:
            said = drive(executor, *(task(number, config={"x": float(number)}) for number in range(12)))
            assert sorted(event.job for event in results(said)) == list(range(12))
            assert {event.job: event.metrics["loss"] for event in results(said)} == {n: n * n for n in range(12)}

    def test_the_metric_of_a_bare_number_has_the_name_of_the_goal(self) -> None:
        with self.opened(squares(), metric="error") as executor:
            assert results(drive(executor, task()))[0].metrics == {"error": 4.0}

    def test_metrics_that_are_not_finite_pass(self) -> None:
        with self.opened(lambda run: {"loss": float("nan"), "bound": float("inf"), "low": float("-inf")}) as executor:
            metrics = results(drive(executor, task()))[0].metrics
            assert str(metrics) == "{'loss': nan, 'bound': inf, 'low': -inf}"

    def test_a_gradient_and_a_standard_error_go_into_the_result(self) -> None:
        answer = {"loss": 1.0, "gradient": {"x": 0.5}, "std": {"loss": 0.1}}
        with self.opened(lambda run: answer) as executor:
            [result] = results(drive(executor, task()))
            assert (result.metrics, result.gradient, result.std) == ({"loss": 1.0}, {"x": 0.5}, {"loss": 0.1})

    def test_setup_is_called_before_the_function(self) -> None:
        with self.opened(lambda run: run.data[run.config["x"]], setup=lambda: {2.0: 5.0}) as executor:
            assert results(drive(executor, task()))[0].metrics == {"loss": 5.0}

    # --- reports -----------------------------------------------------------------------------------------------------

    def test_reports_come_in_order_and_before_the_result(self) -> None:
        with self.opened(reports()) as executor:
            said = drive(executor, task(5, until=250, last=250))
            assert steps(said, 5) == list(range(1, 251))
            assert isinstance(said[-1], Result)
            assert said[-1].step == 250
            assert said[-1].metrics["loss"] == 1 / 250
            for report in said[:-1]:
                assert isinstance(report, Report)
                assert len(report.values["loss"]) == len(report.steps)

    def test_a_report_comes_while_the_job_runs(self) -> None:
        with self.opened(reports(pause=0.2)) as executor:
            said = drive(executor, task(until=100, last=100), until=lambda said: len(steps(said, 0)) >= 2)
            assert not results(said)

    def test_wait_returns_when_the_time_is_over(self) -> None:
        with self.opened(reports(pause=1.0)) as executor:
            executor.submit(task(until=9, last=9))
            began = time.monotonic()
            assert list(executor.wait(0.1)) == []
            assert time.monotonic() - began < 0.8

    def test_a_flush_is_acknowledged_by_the_next_call_only(self, tmp_path: Path) -> None:
        folder = str(tmp_path)

        def train(run: Any) -> None:
            run.report(1, loss=1.0)
            run.flush()
            Path(folder, "acknowledged").touch()
            run.report(2, loss=0.5)

        with self.opened(train) as executor:
            said = drive(executor, task(until=2, last=2), until=lambda said: bool(steps(said, 0)))
            time.sleep(0.2)
            assert steps(said, 0) == [1]
            assert not (tmp_path / "acknowledged").exists()
            drive(executor, until=lambda more: bool(results(more)))
            assert (tmp_path / "acknowledged").exists()

    # --- lineages ----------------------------------------------------------------------------------------------------

    def test_a_held_lineage_goes_on_without_reload(self, tmp_path: Path) -> None:
        with self.opened(counts(str(tmp_path))) as executor:
            free = executor.free()
            first = drive(executor, task(0, until=2, last=9))
            assert list(executor.held()) == [0]
            assert executor.free() == free
            second = drive(executor, task(1, until=5, last=9, parent=0, start=2))
            assert list(executor.held()) == [1]
            third = drive(executor, task(2, until=9, last=9, parent=1, start=5))
            assert list(executor.held()) == []
            assert [steps(said, job) for job, said in enumerate([first, second, third])] == [
                [1, 2],
                [3, 4, 5],
                [6, 7, 8, 9],
            ]
            assert [results(said)[0].step for said in (first, second, third)] == [2, 5, 9]
            assert len(list(tmp_path.glob("called-*"))) == 1

    def test_a_held_lineage_is_let_go_for_another_config(self, tmp_path: Path) -> None:
        with self.opened(counts(str(tmp_path))) as executor:
            places = executor.free()
            drive(executor, *(task(job, until=2, last=9) for job in range(places)))
            assert sorted(executor.held()) == list(range(places))
            longest = executor.held()[0]
            said = drive(executor, task(places, until=2, last=9, config={"x": 3.0}, parent=0))
            assert results(said)[0].status == "done"
            assert longest not in executor.held()
            assert places in executor.held()
            self.eventually(lambda: len(list(tmp_path.glob("left-*"))) == 1)
            assert len(list(tmp_path.glob("called-*"))) == places + 1

    def test_another_seed_is_another_lineage(self, tmp_path: Path) -> None:
        with self.opened(counts(str(tmp_path))) as executor:
            drive(executor, task(0, until=2, last=9))
            child = Task(Job({"x": 2.0}, 4, 0, seed=1, id=1), attempt=1, start=0, last=9, seed=8)
            assert steps(drive(executor, child), 1) == [1, 2, 3, 4]

    def test_a_decision_writes_a_checkpoint_and_a_child_goes_on_from_it(self, tmp_path: Path) -> None:
        with self.opened(saves()) as executor:
            [parent] = results(drive(executor, task(0, until=3, last=9, folder=str(tmp_path / "job-000000"))))
            assert parent.saved is not None
            checkpoint = tmp_path / parent.saved
            assert (checkpoint / "count").read_text() == "3"
            child = task(
                1,
                until=9,
                last=9,
                config={"x": 5.0},
                parent=0,
                start=3,
                checkpoint=str(checkpoint),
                folder=str(tmp_path / "job-000001"),
            )
            said = drive(executor, child)
            assert steps(said, 1) == [4, 5, 6, 7, 8, 9]
            assert results(said)[0].metrics["count"] == 9

    def test_checkpoints_on_the_way_are_told_at_once(self, tmp_path: Path) -> None:
        with self.opened(saves(), save_every=0) as executor:
            said = drive(executor, task(0, until=4, last=4, folder=str(tmp_path / "job-000000")))
            saved = [event.saved for event in said if isinstance(event, Report)]
            assert len(set(saved)) == 4
            assert all(name is not None and (tmp_path / name / "manifest.json").is_file() for name in saved)
            assert results(said)[0].saved == saved[-1]

    # --- failures ----------------------------------------------------------------------------------------------------

    @pytest.mark.parametrize(
        ("error", "kind"),
        [(ValueError, "crashed"), (MemoryError, "oom"), (FloatingPointError, "diverged"), (SystemExit, "crashed")],
    )
    def test_an_exception_is_classed_and_told(self, error: type[BaseException], kind: str) -> None:
        def train(run: Any) -> None:
            raise error("the reason")

        with self.opened(train) as executor:
            [result] = results(drive(executor, task()))
            assert result.status == "failed"
            assert result.error is not None
            assert (result.error.kind, result.error.type) == (kind, error.__name__)
            assert "the reason" in result.error.message
            assert "in train" in result.error.message
            assert results(drive(executor, task(1)))[0].job == 1

    @pytest.mark.parametrize("answer", ["text", None, [1.0], {"loss": "low"}, {"loss": None}, {}])
    def test_an_answer_that_is_no_metric_is_invalid(self, answer: Any) -> None:
        with self.opened(lambda run: answer) as executor:
            [result] = results(drive(executor, task()))
            assert result.error is not None
            assert result.error.kind == "invalid"

    @pytest.mark.parametrize("order", [(1, 1), (2, 1), (0,), (1, 1.5)])
    def test_a_step_that_goes_back_is_invalid(self, order: tuple[int, ...]) -> None:
        def train(run: Any) -> None:
            for step in order:
                run.report(step, loss=1.0)

        with self.opened(train) as executor:
            [result] = results(drive(executor, task(until=9, last=9)))
            assert result.error is not None
            assert result.error.kind == "invalid"
            assert "step" in result.error.message

    def test_a_damaged_checkpoint_is_no_fault_of_the_config(self, tmp_path: Path) -> None:
        with self.opened(squares()) as executor:
            [result] = results(drive(executor, task(start=3, until=9, last=9, checkpoint=str(tmp_path / "nothing"))))
            assert result.error is not None
            assert (result.error.kind, result.error.type) == ("lost", "CheckpointError")

    @pytest.mark.parametrize("function", [None, "train.py", lambda: 1, lambda run, data: 1])
    def test_what_cannot_be_called_is_refused_before_anything_runs(self, function: Any) -> None:
        with closing(self.make()) as executor, pytest.raises(ObjectiveError):
            executor.open(Objective(function))

    # --- stopping ----------------------------------------------------------------------------------------------------

    def test_a_cancelled_job_answers_cancelled(self) -> None:
        with self.opened(reports(pause=0.02)) as executor:
            free = executor.free()
            said = drive(executor, task(4, until=10**6, last=10**6), until=lambda said: bool(steps(said, 4)))
            executor.cancel(4)
            said = drive(executor, until=lambda said: bool(results(said)))
            assert [(event.job, event.status) for event in results(said)] == [(4, "cancelled")]
            executor.cancel(4)
            assert executor.free() == free
            assert results(drive(executor, task(5, until=2, last=2)))[0].status == "done"

    def test_close_stops_what_runs_without_a_result(self, tmp_path: Path) -> None:
        threads = threading.active_count()
        with self.opened(counts(str(tmp_path))) as executor:
            drive(executor, task(0, until=2, last=9))
        self.eventually(lambda: len(list(tmp_path.glob("left-*"))) == 1)
        assert threading.active_count() == threads
        executor.close()

    def test_an_executor_opens_again(self) -> None:
        with closing(self.make()) as executor:
            for value in (1.0, 2.0):
                executor.open(Objective(returns(value)))
                assert results(drive(executor, task()))[0].metrics == {"loss": value}
                executor.close()

    @staticmethod
    def eventually(holds: Callable[[], bool]) -> None:
        """Wait until `holds()`."""
        end = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.01)
