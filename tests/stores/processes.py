"""Writers in processes of their own, for the tests: run as a script, forks what it needs, says what it saw as JSON.

python processes.py race WHERE     4 processes write 50 jobs each to one study: how often each of them lost a race
python processes.py make WHERE     4 processes open a store at once, where there is none yet
python processes.py kill PATH      10 rounds of a writer that is killed: what was acknowledged before
"""

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from tunewell.errors import Conflict
from tunewell.events import Act, Job, Report, Result
from tunewell.stores.sql import SqlStore


def write(store: SqlStore, jobs: int, acknowledge=lambda number: None) -> int:
    """Propose, claim, report and end `jobs` jobs; returns how often another process was quicker."""
    lost = read = known = done = 0
    owner = str(os.getpid())
    while done < jobs:
        for entry in store.read("s", read):
            read, known = entry.number, known + isinstance(entry.event, Job)
        try:
            acknowledge(store.append("s", Job({"by": owner}, 1, id=known, seen=read))[0].number)
        except Conflict:
            lost += 1
            continue
        attempt = store.leases.claim("s", known, owner, 60)
        entries = store.append("s", Report(known, (1,), {"x": (1.0,)}, attempt), Result(known, "done", attempt=attempt))
        acknowledge(entries[-1].number)
        done += 1
    return lost


def fork(work) -> tuple[int, int]:
    """Run `work(writing end of a pipe)` in a child: its process id, and the reading end."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, reading
    code = 1
    try:
        work(writing)
        code = 0
    finally:
        os._exit(code)


def race(where: str) -> list[int]:
    store = SqlStore(where)
    store.append("s", Act("open", {}))  # the children inherit a store with an open connection, and leave that alone
    children = [fork(lambda pipe: os.write(pipe, b"%d" % write(store, 50))) for _ in range(4)]
    losses = [int(os.read(pipe, 99)) for _, pipe in children]
    assert all(os.waitpid(pid, 0)[1] == 0 for pid, _ in children)
    assert store.append("s", Act("note"))[0].number == 2 + 4 * 50 * 3
    store.close()
    return losses


def make(where: str) -> list[int]:
    children = [fork(lambda _: SqlStore(where).close()) for _ in range(4)]
    return [os.waitpid(pid, 0)[1] for pid, _ in children]


def kill(where: str) -> list[int]:
    store = SqlStore(where)
    store.append("s", Act("open", {}))
    store.close()
    lasts = []
    for _ in range(10):
        pid, pipe = fork(lambda pipe: write(SqlStore(where), 10**6, lambda number: os.write(pipe, b"%09d" % number)))
        time.sleep(random.uniform(0.02, 0.2))
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        said = Path(f"/dev/fd/{pipe}").read_bytes()
        os.close(pipe)
        lasts.append(max((int(said[i : i + 9]) for i in range(0, len(said) // 9 * 9, 9)), default=0))
        with_it = SqlStore(where)
        numbers = [entry.number for entry in with_it.read("s")]
        with_it.close()
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) >= lasts[-1]
    return lasts


if __name__ == "__main__":
    print(json.dumps({"race": race, "make": make, "kill": kill}[sys.argv[1]](sys.argv[2])))
