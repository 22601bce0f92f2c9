"""What must survive `kill -9`: a study that is killed again and again, and eight processes that tune one together.

    with Launcher() as launcher:
        report = campaign(launcher, "tune.db", folder, victim="main", moments=10, seed=1)
    assert not report.faults, report

A campaign kills the main process, a worker of it, or both, at random moments, and starts the main process anew. The
training function writes down, in synced files that the store knows nothing of, where it started and what was
acknowledged to it; the main process writes down each event that the store took. At the end all of that is compared with
the log. A main process is a fork of one that has imported everything, so that a moment costs tens of milliseconds and
not a second.

    together(launcher, "tune.db", folder, seed=1)

lets eight processes tune one study, kills one of them, and compares in the same way. Used by tests/test_killed.py and
tests/test_together.py with few moments, by the benchmark `core` with many.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
NAMES = {"main": "the main process", "worker": "a worker", "both": "both"}
VICTIMS = tuple(NAMES)
STEPS = 6
STEP = 0.004
"""Seconds of training in a step."""
LONGEST = 0.5
"""Seconds after the start of a process, or after the last kill, within which the next one comes."""
ENOUGH = 10
"""Faults after which a campaign ends."""
LOST = 3
"""Attempts after which a job whose workers were lost may fail, see `tunewell.loop`."""


# --- what runs in the processes --------------------------------------------------------------------------------------


def note(folder: str, kind: str, **facts: Any) -> None:
    """Add a line to this process's file, and sync it."""
    line = json.dumps({"kind": kind, "time": time.time(), **facts}) + "\n"
    file = os.open(os.path.join(folder, f"{kind}-{os.getpid()}.jsonl"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, line.encode())
    os.fsync(file)
    os.close(file)


def loss_after(x: float, step: int) -> float:
    """The loss that a trial has after a step, if it lost nothing on the way."""
    loss = 1.0
    for number in range(1, step + 1):
        loss = trained(loss, x, number)
    return loss


def trained(loss: float, x: float, step: int) -> float:
    """One step of training."""
    return 0.9 * loss + 0.1 * x / step


def objective(folder: str) -> Callable[[Any], None]:
    """A training function with a checkpoint at each step, which notes what happens to it."""

    def train(run: Any) -> None:
        x, loss, found = run.config["x"], 1.0, 0
        if run.checkpoint is not None:
            found, loss = json.loads((run.checkpoint / "state").read_text())
        note(folder, "start", x=x, start=run.start, found=found)
        for step in run.steps():
            time.sleep(STEP)
            loss = trained(loss, x, step)
            state = json.dumps([step, loss])
            run.report(step, loss=loss, save=lambda path: (path / "state").write_text(state), flush=True)  # noqa: B023
            note(folder, "acknowledged", x=x, step=step, loss=loss)

    return train


def tune(store: str, folder: str, settings: dict[str, Any]) -> None:
    """The main process: work on the study until it ends."""
    import tunewell as tw

    class Noting(tw.SqlStore):
        """A store that notes what it took."""

        def append(self, study: str, *events: Any) -> Any:
            entries = super().append(study, *events)
            for entry in entries:
                job = getattr(entry.event, "job", None)
                note(folder, "committed", number=entry.number, event=type(entry.event).__name__, job=job)
            return entries

    trials = settings["trials"]
    workers = settings["workers"]
    tw.tune(
        objective(folder),
        {"x": tw.Float(0.0, 1.0)},
        minimize="loss",
        method=tw.Random(),
        steps=STEPS,
        limits=tw.Limits(trials=trials, steps=trials * STEPS),
        executor=tw.Processes(workers, reuse=settings["reuse"]) if workers else tw.Inline(),
        name=settings["name"],
        store=Noting(store, files=os.path.join(folder, "files")),
        seed=settings["seed"],
        save_every=0.0,
        progress=False,
    )


def serve() -> None:
    """Fork a main process for each line that is read, and tell its process id."""
    import psycopg  # noqa: F401
    import scipy.stats  # noqa: F401

    import tunewell as tw
    from tunewell.stores.sql import SqlStore  # noqa: F401

    _ = tw.tune, tw.Random, tw.Processes, tw.Inline, tw.Float, tw.Limits, tw.verify
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that what has ended is gone
    print("ready", flush=True)
    for line in sys.stdin:
        store, folder, settings = json.loads(line)
        child = os.fork()
        if not child:
            _be_main(store, folder, settings)
        print(child, flush=True)


def _be_main(store: str, folder: str, settings: dict[str, Any]) -> None:
    """End as a main process does."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    tempfile.tempdir = folder  # what a killed process leaves there
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    log = os.open(os.path.join(folder, "main.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 2)
    code = 1
    try:
        tune(store, folder, settings)
        code = 0
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        note(folder, "exit", code=code)
        os._exit(code)


# --- killing ---------------------------------------------------------------------------------------------------------


class Launcher:
    """Starts main processes, by asking a process that has imported everything to fork."""

    def __enter__(self) -> Launcher:
        command = [sys.executable, "-m", "benchmarks.killing"]
        self._server = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        try:
            self._answer()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._server.kill()
        self._server.communicate()

    def start(self, store: str, folder: Path, settings: dict[str, Any]) -> int:
        """Start a main process; its process id."""
        assert self._server.stdin is not None
        print(json.dumps([store, str(folder), settings]), file=self._server.stdin, flush=True)
        return int(self._answer())

    def _answer(self) -> str:
        assert self._server.stdout is not None
        line = self._server.stdout.readline()
        if not line:
            raise RuntimeError("the process that forks main processes has ended")
        return line


@dataclass
class Report:
    """What a campaign did, and what did not hold afterwards."""

    seed: int
    moments: int = 0
    studies: int = 0
    acknowledged: int = 0
    restored: int = 0
    faults: list[str] = field(default_factory=list)


def joined(reports: Iterable[Report]) -> Report:
    """Several reports as one."""
    first, *others = reports
    for other in others:
        for name in ("moments", "studies", "acknowledged", "restored", "faults"):
            setattr(first, name, getattr(first, name) + getattr(other, name))
    return first


def campaign(launcher: Launcher, store: str, folder: Path, *, victim: str, moments: int, seed: int) -> Report:
    """Kill `victim` at random moments, in as many studies as that takes, and compare what was acknowledged with the
    logs.
    """
    report, rng = Report(seed), random.Random(seed)
    while report.moments < moments and len(report.faults) < ENOUGH:
        report.studies += 1
        home = folder / f"{victim}-{seed}-{report.studies}"
        home.mkdir(parents=True)
        _kill_one_study(launcher, store, home, victim, moments, report, rng)
    return report


def _kill_one_study(
    launcher: Launcher, store: str, home: Path, victim: str, moments: int, report: Report, rng: random.Random
) -> None:
    chosen = {"seed": rng.randrange(2**31), "reuse": rng.random() < 0.5}
    settings = {"name": home.name, "trials": 12, "workers": 2, **chosen}
    main = launcher.start(store, home, settings)
    while report.moments < moments and _sleep_while(main, rng.uniform(0.0, LONGEST)):
        report.moments += _kill(main, victim, rng)
        if victim != "worker":
            main = launcher.start(store, home, settings)
    _await_end([main], report, home)
    _compare(store, home, settings, report)


def _sleep_while(pid: int, seconds: float) -> bool:
    """Sleep, unless the process ends meanwhile; whether it still runs."""
    end = time.monotonic() + seconds
    while _lives(pid) and time.monotonic() < end:
        time.sleep(min(0.005, max(0.0, end - time.monotonic())))
    return _lives(pid)


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _kill(main: int, victim: str, rng: random.Random) -> bool:
    """Kill a main process, a worker of it, or both in either order; whether there was anything to kill."""
    victims = [main] if victim != "worker" else []
    if victim != "main":
        victims += rng.sample(found, 1) if (found := _workers(main)) else []
    rng.shuffle(victims)
    for pid in victims:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return bool(victims)


def _workers(main: int) -> list[int]:
    """The worker processes of a main process, oldest first."""
    import psutil

    try:
        children = psutil.Process(main).children()
        return [child.pid for child in children if any("executors.worker" in word for word in child.cmdline())]
    except psutil.Error:
        return []


def _await_end(mains: list[int], report: Report, home: Path, seconds: float = 60.0) -> None:
    end = time.monotonic() + seconds
    while any(map(_lives, mains)):
        if time.monotonic() > end:
            report.faults.append(f"a main process did not end within {seconds:.0f} s: {_tail(home)}")
            for pid in filter(_lives, mains):
                os.kill(pid, signal.SIGKILL)
            return
        time.sleep(0.01)


def _tail(home: Path) -> str:
    return " | ".join((home / "main.log").read_text(errors="replace").splitlines()[-8:])


def together(
    launcher: Launcher, store: str, folder: Path, *, seed: int, processes: int = 8, trials: int = 40
) -> Report:
    """Let `processes` processes tune one study, kill one of them at a random moment, and compare."""
    report, rng = Report(seed, moments=1, studies=1), random.Random(seed)
    home = folder / f"together-{seed}"
    home.mkdir(parents=True)
    settings = {"name": home.name, "trials": trials, "workers": 0, "seed": rng.randrange(2**31)}
    mains = [launcher.start(store, home, settings) for _ in range(processes)]
    time.sleep(rng.uniform(0.1, 0.6))
    _kill(rng.choice(mains), "main", rng)
    _await_end(mains, report, home)
    _compare(store, home, settings, report)
    return report


# --- comparing -------------------------------------------------------------------------------------------------------


def _compare(place: str, home: Path, settings: dict[str, Any], report: Report) -> None:
    """Add to the report what does not hold of a study that has ended."""
    import tunewell as tw

    notes = _notes(home)
    with tw.open_study(settings["name"], tw.SqlStore(place, files=home / "files", create=False)) as study:
        entries = list(study.store.read(study.name))
        found = [
            *_mains_ended(notes, home),
            *_log_is_whole(entries, settings["trials"]),
            *_results_are_right(study),
            *_acknowledged_is_there(study, entries, notes),
            *_went_on_from_the_last_checkpoint(study, notes),
        ]
        verification = tw.verify(study)
    found += [] if verification.holds else [str(verification)]
    report.acknowledged += sum(line["kind"] in ("acknowledged", "committed") for line in notes)
    report.restored += sum(line["kind"] == "start" and line["start"] > 0 for line in notes)
    report.faults += [f"{home.name}: {fault}" for fault in found]


def _notes(home: Path) -> list[dict[str, Any]]:
    """What the processes have noted, in order of time; a line that a kill cut short was not noted."""
    lines = (line for file in home.glob("*.jsonl") for line in file.read_text().splitlines(keepends=True))
    return sorted((json.loads(line) for line in lines if line.endswith("\n")), key=lambda line: line["time"])


def _mains_ended(notes: Iterable[dict[str, Any]], home: Path) -> Iterator[str]:
    codes = [line["code"] for line in notes if line["kind"] == "exit"]
    if not codes or any(codes):
        yield f"the main processes ended with the exit codes {codes}: {_tail(home)}"


def _log_is_whole(entries: list[Any], trials: int) -> Iterator[str]:
    from tunewell.events import Job, Result

    if [entry.number for entry in entries] != list(range(1, len(entries) + 1)):
        yield "the numbers of the events have gaps"
    jobs = [entry.event.id for entry in entries if isinstance(entry.event, Job)]
    if jobs != list(range(trials)):
        yield f"a budget of {trials} trials gave the jobs {jobs}"
    results = Counter(entry.event.job for entry in entries if isinstance(entry.event, Result))
    if results != Counter(range(trials)):
        yield f"results by job: {dict(results)}"


def _results_are_right(study: Any) -> Iterator[str]:
    from tunewell.budget import spent

    used, trials = spent(study), len(study.jobs)
    if (used.trials, used.steps) != (trials, trials * STEPS):
        yield f"the budget says {used.trials} trials and {used.steps} steps"
    for result in study.results.values():
        if result.status != "done":
            lost = result.error is not None and result.error.kind == "lost" and result.attempt >= LOST
            if not lost:
                yield f"job {result.job}: {result}"
        elif result.metrics["loss"] != loss_after(study.jobs[result.job].config["x"], STEPS):
            yield f"job {result.job} ended with another loss than training gives: {result}"


def _acknowledged_is_there(study: Any, entries: list[Any], notes: Iterable[dict[str, Any]]) -> Iterator[str]:
    jobs = _by_config(study)
    points = {
        (report.job, step, value)
        for job in study.jobs
        for report in study.reports(job)
        for step, value in zip(report.steps, report.values["loss"])
    }
    for line in notes:
        if line["kind"] == "acknowledged" and (jobs.get(line["x"]), line["step"], line["loss"]) not in points:
            yield f"an acknowledged report is lost: {line}"
        if line["kind"] == "committed":
            event = entries[line["number"] - 1].event if line["number"] <= len(entries) else None
            if (type(event).__name__, getattr(event, "job", None)) != (line["event"], line["job"]):
                yield f"a committed event is lost: {line}, not {event}"


def _went_on_from_the_last_checkpoint(study: Any, notes: Iterable[dict[str, Any]]) -> Iterator[str]:
    safe: Counter[float] = Counter()  # by config: the last step that was acknowledged, with its checkpoint
    for line in notes:
        if line["kind"] == "acknowledged":
            safe[line["x"]] = max(safe[line["x"]], line["step"])
        if line["kind"] == "start" and not (line["start"] == line["found"] >= safe[line["x"]]):
            yield f"a trial went on from another step than the last safe one, {safe[line['x']]}: {line}"
    for job in study.jobs:
        saved, attempt = 0, 0
        for report in study.reports(job):
            if report.attempt > attempt and report.steps[0] != saved + 1:
                yield f"job {job}, attempt {report.attempt} began with step {report.steps[0]}, saved was {saved}"
            attempt, saved = report.attempt, report.steps[-1] if report.saved else saved


def _by_config(study: Any) -> dict[float, int]:
    return {job.config["x"]: job.id for job in study.jobs.values()}


if __name__ == "__main__":
    serve()
