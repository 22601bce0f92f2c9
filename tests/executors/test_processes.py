"""Processes: the laws of executors, fresh and reused; and all the ways in which a worker can end."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from tunewell.contract.executors import ExecutorContract, Said, drive, reports, results, squares, steps, task
from tunewell.errors import ObjectiveError, StudyError
from tunewell.events import Failure, Report
from tunewell.executors.processes import Processes
from tunewell.protocols import Executor, Objective

MIB = 2**20


class TestFresh(ExecutorContract):
    def make(self) -> Executor:
        return Processes(2, reuse=False)


class TestReused(ExecutorContract):
    def make(self) -> Executor:
        return Processes(2, reuse=True)


@contextmanager
def opened(function: Callable[[Any], Any] | None, workers: int = 1, **more: Any) -> Iterator[Processes]:
    """An executor that is open for a function."""
    objective = {name: more.pop(name) for name in ("setup", "command", "environment") if name in more}
    with closing(Processes(workers, **more)) as executor:
        executor.open(Objective(function, **objective))
        yield executor


def failed(said: Said) -> Failure:
    """Why the first job that ended has failed."""
    error = results(said)[0].error
    assert error is not None
    return error


def children() -> list[psutil.Process]:
    """The processes that this one has started."""
    return psutil.Process().children(recursive=True)


def has_ended(pid: int) -> bool:
    """Whether a process is gone, or is a zombie that only its parent's parent can reap."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


# --- how a worker can end --------------------------------------------------------------------------------------------


def dies(how: Callable[[], object]) -> Callable[[Any], Any]:
    """A function that dies for an even `x`, after a report, and returns 1 for an odd one."""

    def train(run: Any) -> float:
        if run.config["x"] % 2 == 0:
            run.report(1, loss=0.5)
            print("the last words", flush=True)
            how()
        return 1.0

    return train


@pytest.mark.parametrize("reuse", [False, True])
@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        (lambda: ctypes.string_at(0), "crashed", "SIGSEGV"),
        (lambda: os._exit(0), "crashed", "exit code 0"),
        (lambda: os._exit(3), "crashed", "exit code 3"),
        (os.abort, "crashed", "SIGABRT"),
        (lambda: os.kill(os.getpid(), signal.SIGKILL), "lost", "SIGKILL"),
        (lambda: (os.kill(os.getpid(), signal.SIGTERM), time.sleep(9)), "lost", "SIGTERM"),
    ],
)
def test_a_death_hurts_its_own_trial_only(how: Callable[[], object], kind: str, words: str, reuse: bool) -> None:
    with opened(dies(how), 2, reuse=reuse) as executor:
        said = drive(executor, *(task(number, config={"x": number}, last=9, until=9) for number in range(4)))
        endings = {event.job: event for event in results(said)}
        assert {job: event.status for job, event in endings.items()} == {0: "failed", 1: "done", 2: "failed", 3: "done"}
        error = endings[0].error
        assert error is not None
        assert (error.kind, words in error.message) == (kind, True), error.message
        assert endings[0].step == 1
        assert endings[0].metrics == {"loss": 0.5}
        assert steps(said, 0) == [1]
        if kind == "crashed":
            assert "the last words" in error.message


def test_deaths_are_seen_where_the_system_does_not_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pidfd_open", "waitid"):
        monkeypatch.delattr(os, name, raising=False)
    with opened(dies(lambda: os._exit(3)), 2) as executor:
        said = drive(executor, *(task(number, config={"x": number}, last=9, until=9) for number in range(4)))
        assert sorted(event.status for event in results(said)) == ["done", "done", "failed", "failed"]


def test_a_segmentation_fault_shows_where() -> None:
    def stumble() -> None:
        ctypes.string_at(0)

    with opened(dies(stumble)) as executor:
        assert "in stumble" in failed(drive(executor, task(config={"x": 0}, last=9, until=9))).message


def sleeps(how: str = "plain") -> Callable[[Any], Any]:
    """A function that hangs: it can be released, or it cannot."""

    def train(run: Any) -> None:
        while True:
            try:
                time.sleep(30)
            except BaseException:
                if how == "plain":
                    raise

    return train


@pytest.mark.parametrize("how", ["plain", "stubborn"])
@pytest.mark.parametrize("limit", ["wall_limit", "idle_limit"])
def test_a_hang_ends_at_a_limit(limit: str, how: str) -> None:
    with opened(sleeps(how), **{limit: 0.3}, grace=0.3) as executor:
        error = failed(drive(executor, task()))
        assert (error.kind, limit in error.message) == ("timeout", True)
        assert executor.free() == 1


def test_who_reports_is_not_idle() -> None:
    with opened(reports(pause=0.05), idle_limit=1.0) as executor:
        assert results(drive(executor, task(until=30, last=30)))[0].status == "done"


def test_a_job_that_takes_too_much_memory_is_stopped() -> None:
    def train(run: Any) -> None:
        data = []
        while True:
            data.append(bytearray(os.urandom(MIB)) * 8)
            time.sleep(0.01)

    with opened(train, memory_limit=200 * MIB) as executor:
        error = failed(drive(executor, task()))
        assert (error.kind, "memory_limit" in error.message) == ("oom", True)


def test_a_limit_of_the_address_space_is_a_memory_error() -> None:
    with opened(lambda run: len(bytearray(2**33)), address_limit=2**31) as executor:
        error = failed(drive(executor, task()))
        assert (error.kind, error.type) == ("oom", "MemoryError")


def test_a_kill_after_the_system_ran_out_of_memory_is_told_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    with opened(dies(lambda: os.kill(os.getpid(), signal.SIGKILL))) as executor:
        monkeypatch.setattr(executor._kills, "rose", lambda: True)
        assert failed(drive(executor, task(config={"x": 0}, until=9, last=9))).kind == "oom"


def test_a_cancelled_job_that_does_not_listen_is_killed() -> None:
    def train(run: Any) -> None:
        run.report(1, loss=1.0)
        while True:
            try:
                time.sleep(30)
            except BaseException:
                continue

    with opened(train, grace=0.2) as executor:
        drive(executor, task(until=9, last=9), until=lambda said: bool(steps(said, 0)))
        executor.cancel(0)
        [result] = results(drive(executor, until=lambda said: bool(results(said))))
        assert (result.status, result.step) == ("cancelled", 1)


def test_what_a_trial_started_ends_with_it(tmp_path: Path) -> None:
    def train(run: Any) -> float:
        import subprocess
        import sys

        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        (tmp_path / "child").write_text(str(child.pid))
        os._exit(0)

    with opened(train) as executor:
        drive(executor, task())
        ExecutorContract.eventually(lambda: has_ended(int((tmp_path / "child").read_text())))


@pytest.mark.parametrize("reuse", [False, True])
def test_workers_and_what_they_started_end_when_this_process_is_killed(tmp_path: Path, reuse: bool) -> None:
    script = f"""
import os, sys, subprocess, time
from pathlib import Path
from tunewell.contract.executors import drive, task
from tunewell.executors.processes import Processes
from tunewell.protocols import Objective

def train(run):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    Path({str(tmp_path)!r}, f"{{os.getpid()}}-{{child.pid}}").touch()
    sum(range(10**11))  # holds the interpreter: no handler and no thread of the worker gets a word in

executor = Processes(2, reuse={reuse})
executor.open(Objective(train))
drive(executor, task(0), task(1))
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ) as main:
        try:
            ExecutorContract.eventually(lambda: len(list(tmp_path.iterdir())) == 2)
            everybody = [process.pid for process in psutil.Process(main.pid).children(recursive=True)]
            assert len(everybody) >= 5
        finally:
            main.kill()
        killed = time.monotonic()
        ExecutorContract.eventually(lambda: all(map(has_ended, everybody)))
        assert time.monotonic() - killed < 2.0


def test_nothing_is_left_after_close() -> None:
    before, files = len(children()), len(os.listdir("/proc/self/fd")) if sys.platform == "linux" else 0
    with opened(sleeps(), 2, grace=1.0) as executor:
        executor.submit(task(0))
        executor.submit(task(1))
        executor.wait(0.3)
        assert len(children()) >= before + 3
    assert len(children()) == before
    if files:
        assert len(os.listdir("/proc/self/fd")) == files


def test_a_process_that_the_function_forks_has_no_say(tmp_path: Path) -> None:
    def train(run: Any) -> float:
        run.report(1, loss=1.0)
        if os.fork() == 0:
            (tmp_path / "child").write_text(str(os.getpid()))
            run.report(2, loss=-1.0)
            return -1.0
        os.wait()
        run.report(2, loss=2.0)
        return 3.0

    with opened(train, reuse=True) as executor:
        said = drive(executor, task(0, until=9, last=9), task(1, until=9, last=9))
        assert [event.metrics for event in results(said)] == [{"loss": 3.0}, {"loss": 3.0}]
        assert steps(said, 0) == steps(said, 1) == [1, 2]
        assert all(-1.0 not in event.values["loss"] for event in said if isinstance(event, Report))


# --- what reaches a worker -------------------------------------------------------------------------------------------


def test_closures_lambdas_and_functions_of_a_script_work(tmp_path: Path) -> None:
    offset = 10.0
    with opened(lambda run: run.config["x"] + offset) as executor:
        assert results(drive(executor, task()))[0].metrics == {"loss": 12.0}
    script = tmp_path / "script.py"
    script.write_text("""
from tunewell.contract.executors import drive, results, task
from tunewell.executors.processes import Processes
from tunewell.protocols import Objective

FACTOR = 3

def helper(x):
    return FACTOR * x

def train(run):
    return helper(run.config["x"])

executor = Processes(1)  # no `if __name__ == "__main__"`
executor.open(Objective(train))
print(results(drive(executor, task()))[0].metrics)
executor.close()
""")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, script], capture_output=True, text=True, env=environment, check=True)
    assert ran.stdout.strip() == "{'loss': 6.0}"


def test_what_cannot_be_pickled_is_named() -> None:
    lock = threading.Lock()
    with pytest.raises(ObjectiveError, match="lock"), opened(lambda run: float(lock.locked())):
        pass


@pytest.mark.parametrize("reuse", [False, True])
def test_an_objective_that_cannot_be_loaded_stops_everything(reuse: bool) -> None:
    def setup() -> None:
        raise ValueError("no such data")

    with opened(squares(), setup=setup, reuse=reuse) as executor, pytest.raises(ObjectiveError, match="no such data"):
        drive(executor, task())


def test_setup_is_called_once_in_a_worker_that_is_reused(tmp_path: Path) -> None:
    def setup() -> int:
        (tmp_path / f"setup-{os.getpid()}").touch()
        return os.getpid()

    with opened(lambda run: float(run.data == os.getpid()), setup=setup) as executor:
        said = drive(executor, *map(task, range(5)))
        assert {event.metrics["loss"] for event in results(said)} == {1.0}
        assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(("reuse", "count"), [(False, 4), (True, 1)])
def test_a_trial_has_a_fresh_process_unless_reused(reuse: bool, count: int) -> None:
    with opened(lambda run: float(os.getpid()), reuse=reuse) as executor:
        said = drive(executor, *map(task, range(4)))
        assert len({event.metrics["loss"] for event in results(said)}) == count


def test_each_slot_sees_its_device_and_threads_are_shared_out() -> None:
    def train(run: Any) -> dict[str, float]:
        time.sleep(0.3)
        devices = (os.environ["CUDA_VISIBLE_DEVICES"], os.environ["HIP_VISIBLE_DEVICES"])
        return {"cuda": float(devices[0]), "hip": float(devices[1]), "threads": float(os.environ["OMP_NUM_THREADS"])}

    with opened(train, None, gpus=[3, 5], per_gpu=2) as executor:  # type: ignore[arg-type]
        assert executor.free() == 4
        said = drive(executor, *map(task, range(8)))
        seen = sorted(event.metrics["cuda"] for event in results(said))
        assert seen == [3.0] * 4 + [5.0] * 4
        assert all(event.metrics["cuda"] == event.metrics["hip"] for event in results(said))
        if "OMP_NUM_THREADS" not in os.environ:
            assert results(said)[0].metrics["threads"] == max(1, (os.cpu_count() or 1) // 4)


def test_a_device_is_free_before_the_next_job_begins(tmp_path: Path) -> None:
    def train(run: Any) -> None:
        assert not list(tmp_path.iterdir())
        mark = tmp_path / str(os.getpid())
        mark.touch()
        try:
            run.report(1, loss=1.0)
        finally:
            time.sleep(0.1)
            mark.unlink()

    with opened(train, gpus=["GPU-1"]) as executor:
        said = drive(executor, *(task(number, config={"x": number}, until=1, last=2) for number in range(3)))
        assert [event.status for event in results(said)] == ["done"] * 3


@pytest.mark.parametrize("how", [lambda: os._exit(3), lambda: time.sleep(60)])
def test_a_job_survives_the_process_that_let_another_one_go(how: Callable[[], object]) -> None:
    def train(run: Any) -> None:
        try:
            run.report(run.until, loss=run.config["x"])
        finally:
            if run.config["x"] == 0:
                how()

    with opened(train, reuse=True, grace=0.2) as executor:
        said = drive(executor, *(task(number, config={"x": number}, last=2) for number in range(3)))
        assert [(event.job, event.status) for event in results(said)] == [(0, "done"), (1, "done"), (2, "done")]


def test_a_job_is_cancelled_while_its_process_lets_another_one_go() -> None:
    def train(run: Any) -> None:
        try:
            run.report(1, loss=1.0)
        finally:
            time.sleep(0.5)

    with opened(train, reuse=True) as executor:
        drive(executor, task(0, config={"x": 0}, last=2))
        executor.submit(task(1, config={"x": 1}, last=2))
        executor.cancel(1)
        said = drive(executor, until=lambda said: bool(results(said)))
        assert [(event.job, event.status) for event in results(said)] == [(1, "cancelled")]
        assert results(drive(executor, task(2, config={"x": 2}, last=2)))[0].status == "done"


@pytest.mark.parametrize("wrong", [{"workers": 0}, {"workers": 3, "gpus": [0]}, {"gpus": [0], "per_gpu": 0}])
def test_workers_that_cannot_be_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(StudyError):
        Processes(**wrong)


def test_what_a_trial_prints_is_in_its_log(tmp_path: Path) -> None:
    def train(run: Any) -> None:
        for step in run.steps():
            print(f"this is step {step}")
            os.system("echo and this a child")
            run.report(step, loss=1.0)

    with opened(train) as executor:
        drive(executor, task(0, until=1, last=2, folder=str(tmp_path / "job-000000")))
        drive(executor, task(1, until=2, last=2, parent=0, folder=str(tmp_path / "job-000001")))
    texts = [(tmp_path / f"job-00000{job}" / "attempt-1.log").read_text() for job in (0, 1)]
    assert texts == [f"this is step {step}\nand this a child\n" for step in (1, 2)]


def test_thousands_of_reports_arrive_whole() -> None:
    with opened(reports(), 2) as executor:
        said = drive(executor, *(task(job, until=5000, last=5000) for job in range(2)))
        for job in range(2):
            assert steps(said, job) == list(range(1, 5001))
            values = [
                v for event in said if isinstance(event, Report) and event.job == job for v in event.values["loss"]
            ]
            assert values == [1 / step for step in range(1, 5001)]


def test_a_worker_imports_nothing_heavy() -> None:
    code = (
        "import sys; before = set(sys.modules); import tunewell.executors.worker; "
        "print(*sorted({name.partition('.')[0] for name in set(sys.modules) - before}))"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert set(ran.stdout.split()) - sys.stdlib_module_names == {"tunewell"}
    assert not {"asyncio", "inspect", "multiprocessing", "subprocess"} & set(ran.stdout.split())
