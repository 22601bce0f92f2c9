"""Whether a path lies on a network file system, where SQLite's locks and shared memory cannot be trusted."""

from __future__ import annotations

import re
from pathlib import Path

# 9p and virtiofs are left out: they are how containers and virtual machines see a folder of their own host.
_KERNEL = "afs beegfs ceph cifs fhgfs glusterfs gpfs lustre nfs nfs4 orangefs panfs pvfs2 smb smb2 smb3 smbfs wekafs"
_FUSE = "ceph ceph-fuse gcsfuse glusterfs juicefs rclone s3fs sshfs"
NETWORK = {*_KERNEL.split(), *(f"fuse.{name}" for name in _FUSE.split())}


def network_of(path: Path, mounts: str | None = None) -> str:
    """The type of the network file system under `path`, or "". `mounts`: the text of /proc/self/mountinfo."""
    text = _mounts() if mounts is None else mounts
    parts, kind = -1, ""
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        point = Path(_unescape(left.split(" ")[4]))
        # A later line may cover an earlier one with the same mount point.
        if path.is_relative_to(point) and len(point.parts) >= parts:
            parts, kind = len(point.parts), right.split(" ")[0]
    return kind if kind in NETWORK else ""


def _mounts() -> str:
    try:
        return Path("/proc/self/mountinfo").read_text(errors="replace")
    except OSError:
        return ""


def _unescape(text: str) -> str:
    """Undo the kernel's way of writing spaces and the like, as in `/my\\040disk`."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
