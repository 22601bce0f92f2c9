"""Who holds a lease or a temporary folder: a name that tells others on the machine whether this process still lives."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import stat
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path


@cache
def _host() -> str:
    return f"{socket.gethostname()}.{_boot()}"


def _boot() -> str:
    """What tells two machines, or two containers, of one name apart; empty where the system does not say."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
        return f"{boot}.{os.stat('/proc/self/ns/pid').st_ino}"
    except OSError:
        return ""


def _born(pid: int) -> str:
    """When a process started, so that a reused process id is not taken for it; empty where the system does not say."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "dead" if fields[0] in "ZX" else fields[19]


def new_owner() -> str:
    """A name for one coordinator in this process: host, process id, start time and a random word."""
    return f"{_host()}:{os.getpid()}:{_born(os.getpid())}:{secrets.token_hex(4)}"


def is_gone(owner: str) -> bool:
    """Whether `owner` is certainly dead: a process of this machine that no longer runs. Other machines: never
    certain.
    """
    host, _, rest = owner.partition(":")
    pid, _, rest = rest.partition(":")
    if host != _host() or not pid.isdigit():
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass
    return _born(int(pid)) != rest.partition(":")[0]


# --- temporary folders -----------------------------------------------------------------------------------------------


_PREFIX, _OWNER = "tunewell-", ".owner"


def new_folder() -> Path:
    """A temporary folder, which says whose it is. First those are removed that killed processes of this user left."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        if _is_left(folder):
            shutil.rmtree(folder, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=_PREFIX))
    (made / _OWNER).write_text(new_owner(), encoding="utf-8")
    return made


def _is_left(folder: Path) -> bool:
    """Whether a process of this user made a folder and is certainly dead."""
    with suppress(OSError, ValueError, AttributeError):  # Windows has no os.getuid: there everything stays
        about = folder.lstat()
        is_ours = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
        return is_ours and is_gone((folder / _OWNER).read_text(encoding="utf-8"))
    return False
