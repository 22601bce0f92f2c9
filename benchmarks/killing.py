"""What must survive `kill -9`: a study that is killed again and again, and eight processes that tune one study together.

    report = campaign("sqlite:///…/study.db", folder, victim="main", moments=10, seed=1)
    assert not report.faults, report

A campaign kills the main process, a worker of it, or both, at random moments, and starts the main process anew. The training
function writes down, in synced files that the store knows nothing of, where it started and what was acknowledged to it; the
main process writes down each event that the store took. At the end all of that is compared with the log. A main process is a
fork of one that has imported everything, so that a moment costs tens of milliseconds and not a second.

    together("sqlite:///…/study.db", folder, seed=1)

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
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VICTIMS = ("main", "worker", "both")
STEPS = 6
STEP = 0.004
"""Seconds of training in a step."""
LONGEST = 0.5
"""Seconds after the start of a process, or after the last kill, within which the next one comes."""
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
    from tunewell.events import Report, Result

    def watch(study: Any, event: Any) -> None:
        if isinstance(event, Report | Result):
            steps = event.steps[-1] if isinstance(event, Report) else event.step
            note(folder, "committed", number=len(study), event=type(event).__name__, job=event.job, step=steps)

    trials = settings["trials"]
    workers = settings["workers"]
    tw.tune(
        objective(folder),
        {"x": tw.Float(0.0, 1.0)},
        minimize="loss",
        method=tw.Random(),
        steps=STEPS,
        limits=tw.Limits(trials=trials, steps=trials * STEPS),
        executor=tw.Processes(workers, reuse=True) if workers else tw.Inline(),
        store=tw.SqlStore(store, files=os.path.join(folder, "files")),
        seed=settings["seed"],
        save_every=0.0,
        callbacks=[watch],
        progress=False,
    )


def serve() -> None:
    """Fork a main process for each line that is read, and tell its process id; an empty line: tell how the last ended."""
    import psycopg  # noqa: F401
    import scipy.stats  # noqa: F401

    import tunewell as tw
    from tunewell.stores.sql import SqlStore  # noqa: F401

    _ = tw.tune, tw.Random, tw.Processes, tw.Inline, tw.Float, tw.Limits, tw.verify
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
