"""Inline: the laws of executors, and turns taken with a helper thread."""

import threading
import time
from contextlib import closing

import pytest

from tunewell.contract.executors import ExecutorContract, drive, results, task
from tunewell.executors.inline import Inline
from tunewell.executors.run import Run
from tunewell.protocols import Executor, Objective, Task


class TestInline(ExecutorContract):
    def make(self) -> Executor:
        return Inline()


def test_a_plain_job_is_cheap() -> None:
    """At most 15 µs a job beside the function itself; the fastest of some rounds, for busy machines."""
    with closing(Inline()) as executor:
        executor.open(Objective(lambda run: 1.0))
        tasks = [task(number) for number in range(1000)]
        assert min(_seconds(executor, tasks) for _ in range(10)) / len(tasks) < 15e-6


def _seconds(executor: Executor, tasks: list[Task]) -> float:
    began = time.perf_counter()
    for one in tasks:
        executor.submit(one)
        executor.wait(1.0)
    return time.perf_counter() - began


def test_a_plain_function_runs_on_the_thread_of_the_caller_and_a_reporting_one_does_not() -> None:
    def report(run: Run) -> None:
        run.report(1, loss=float(threading.current_thread() is threading.main_thread()))

    plain = Objective(lambda run: float(threading.current_thread() is threading.main_thread()))
    for objective, here in ((plain, 1.0), (Objective(report), 0.0)):
        with closing(Inline()) as executor:
            executor.open(objective)
            assert results(drive(executor, task()))[0].metrics == {"loss": here}


def test_a_function_that_is_not_seen_to_report_gets_a_thread_after_its_first_report() -> None:
    def tell(run: Run) -> None:
        getattr(run, "re" + "port")(1, loss=float(threading.current_thread() is threading.main_thread()))

    with closing(Inline()) as executor:
        executor.open(Objective(tell))
        assert [event.metrics["loss"] for event in results(drive(executor, task(0), task(1)))] == [1.0, 0.0]


@pytest.mark.parametrize("last", [1, 9])
def test_an_interrupt_reaches_the_caller(last: int) -> None:
    def train(run: Run) -> float:
        if run.last > 1:
            run.report(1, loss=1.0)
        raise KeyboardInterrupt

    with closing(Inline()) as executor:
        executor.open(Objective(train))
        with pytest.raises(KeyboardInterrupt):
            drive(executor, task(until=last, last=last))


def test_close_stops_a_function_that_does_not_report() -> None:
    left = threading.Event()

    def train(run: Run) -> float:
        run.report(1, loss=1.0)
        try:
            while True:
                time.sleep(0.01)
        finally:
            left.set()

    with closing(Inline()) as executor:
        executor.open(Objective(train))
        drive(executor, task(until=9, last=9), until=bool)
    assert left.wait(5.0)


def test_the_loop_and_the_function_take_turns() -> None:
    inside: list[bool] = []
    waiting = False

    def train(run: Run) -> None:
        for step in run.steps():
            inside.append(waiting)
            run.report(step, loss=1.0, flush=True)

    with closing(Inline()) as executor:
        executor.open(Objective(train))
        executor.submit(task(until=20, last=20))
        said: list[object] = []
        while not results(said):  # type: ignore[arg-type]
            waiting = True
            said += executor.wait(5.0)
            waiting = False
    assert inside == [True] * 20


def test_wait_returns_when_woken() -> None:
    wake = threading.Event()
    with closing(Inline()) as executor:
        executor.open(Objective(lambda run: 1.0), wake)
        threading.Timer(0.1, wake.set).start()
        began = time.monotonic()
        assert list(executor.wait(10.0)) == []
        assert time.monotonic() - began < 5.0
