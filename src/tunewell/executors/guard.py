"""The process that ends the workers when the one that started them is killed.

`python guard.py` reads lines from its standard input: `+ID` and `-ID`, a process group that lives now, or no more. When
the input ends, or the parent is another one than at the start, it kills the groups that are left. It sees what a signal
at the parent's death would not: processes that the workers have started, and parents that die in another thread.
"""

import os
import select
import signal
import sys

POLL = 0.5
"""Seconds between two looks at the parent: its pipe stays open where a fork of it lives on."""


def watch(parent: int) -> set[int]:
    """The groups that are left when the parent has gone."""
    groups: set[int] = set()
    heard = b""
    while os.getppid() == parent:
        if not select.select([0], [], [], POLL)[0]:
            continue
        data = os.read(0, 4096)
        if not data:
            break
        *lines, heard = (heard + data).split(b"\n")
        for line in lines:
            (groups.add if line[:1] == b"+" else groups.discard)(int(line[1:]))
    return groups


def main() -> None:
    """Watch until the parent is gone, then kill."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    for group in watch(int(sys.argv[1])):
        try:
            os.killpg(group, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            continue


if __name__ == "__main__":
    main()
