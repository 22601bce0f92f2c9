"""Memory: what process groups take, and whether the system killed somebody for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Set
from pathlib import Path

NEAR = 0.9
"""A process that was killed at this share of its memory limit was killed for memory."""


def memory_of(groups: Set[int]) -> dict[int, int]:
    """The resident memory of each process group, in bytes, summed over its processes."""
    found = dict.fromkeys(groups, 0)
    for group, size in _linux() if sys.platform == "linux" else _unix():
        if group in found:
            found[group] += size
    return found


def _linux() -> Iterator[tuple[int, int]]:
    page = os.sysconf("SC_PAGE_SIZE")
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                fields = Path(entry.path, "stat").read_bytes().rpartition(b")")[2].split()
            except OSError:
                continue  # it has ended
            yield int(fields[2]), int(fields[21]) * page


def _unix() -> Iterator[tuple[int, int]]:
    listed = subprocess.run(["ps", "-axo", "pgid=,rss="], capture_output=True, check=False)
    for line in listed.stdout.splitlines():
        group, size = line.split()
        yield int(group), int(size) * 1024


class Kills:
    """The system's count of processes that it killed for memory: of our control group, else of the machine."""

    def __init__(self) -> None:
        self._files = _counters()
        self._seen = self._count()

    def rose(self) -> bool:
        """Whether there was a kill that no earlier call has claimed."""
        if self._count() <= self._seen:
            return False
        self._seen += 1
        return True

    def _count(self) -> int:
        for file in self._files:
            try:
                lines = file.read_text().splitlines()
            except OSError:
                continue
            for line in lines:
                if line.startswith("oom_kill "):
                    return int(line.split()[1])
        return 0


def _counters() -> list[Path]:
    """The files that may hold the count, the most specific first."""
    files = []
    try:
        groups = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    for line in groups:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            files += [Path(f"/sys/fs/cgroup{path}/memory.events"), Path("/sys/fs/cgroup/memory.events")]
        elif "memory" in controllers.split(","):
            files += [Path(f"/sys/fs/cgroup/memory{path}/memory.oom_control")]
            files += [Path("/sys/fs/cgroup/memory/memory.oom_control")]
    return [file for file in files if file.is_file()] or [Path("/proc/vmstat")]
