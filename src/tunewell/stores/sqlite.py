"""SQLite: one file, in WAL mode, for the processes of one machine."""

from __future__ import annotations

import shutil
import sqlite3
import time
from functools import partial
from pathlib import Path
from typing import Literal

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tunewell.errors import NotAStudy, StoreError
from tunewell.stores import database
from tunewell.stores.database import Database
from tunewell.stores.network import network_of

Durability = Literal["kill", "full"]

BUSY = 0.005
"""Seconds for which SQLite itself waits; longer waits are ours, see `Database._patiently`."""

POSTGRESQL = 'Several machines need PostgreSQL: store="postgresql://user@host/database".'

# By the name of SQLite's result code: https://www.sqlite.org/rescode.html
_REASONS: list[tuple[str, type[StoreError], str, str]] = [
    ("SQLITE_NOTADB", NotAStudy, "is not a database", "Choose a path where there is no file yet."),
    ("SQLITE_FULL", StoreError, "cannot grow: the disk is full", "Make space and start again: no commit is lost."),
    ("SQLITE_READONLY", StoreError, "can only be read", "Get the right to write to the file and to its folder."),
    ("SQLITE_CANTOPEN", StoreError, "cannot be opened", "Look at the rights of the file and of its folder."),
    ("SQLITE_PERM", StoreError, "cannot be opened", "Look at the rights of the file and of its folder."),
    ("SQLITE_CORRUPT", StoreError, "is damaged", "Copy the file, then save what can be read: sqlite3 COPY .recover"),
]


class Sqlite(Database):
    """The database in one file. `durability`: what a commit survives, a kill of the process or a loss of power too."""

    begin = "BEGIN IMMEDIATE"  # one that reads before it writes could fail at once, whatever the time-out

    def __init__(self, path: Path, durability: Durability) -> None:
        self.path = path.expanduser().absolute()
        self._synchronous = {"kill": "NORMAL", "full": "FULL"}[durability]
        super().__init__(str(path), sa.URL.create("sqlite"), creator=partial(_connect, self.path))

    def greet(self, connection: sa.Connection) -> None:
        """Set what SQLite keeps for a connection and not in the file."""
        connection.exec_driver_sql(f"PRAGMA synchronous={self._synchronous}")
        if self._synchronous == "FULL":
            connection.exec_driver_sql("PRAGMA fullfsync=1")  # macOS, where fsync leaves it in the disk's cache
        file = connection.connection.driver_connection
        assert isinstance(file, sqlite3.Connection)
        file.create_function("tunewell_clock", 0, time.time)

    def open(self, *, create: bool) -> None:
        """Make sure that this is a file of ours, or make it."""
        self._check_path(create)
        super().open(create=create)

    def upgrade(self) -> None:
        """Bring a file of an older tunewell to this version."""
        self._check_path(create=False)
        super().upgrade()

    def _check_path(self, create: bool) -> None:
        if self.path.is_dir():
            raise NotAStudy(f"{self.shown} is a folder", hint=f"Name a file in it: {Path(self.shown) / 'tune.db'}")
        if not self.path.parent.is_dir():
            raise StoreError(f"there is no folder {self.path.parent}", hint="Make it, or correct the path.")
        if not create and not self.path.exists():
            raise StoreError(f"there is no file {self.shown}", hint="Correct the path, or start a study there.")
        if kind := network_of(self.path.resolve()):
            what = f"{self.shown} lies on a network file system ({kind}), whose locks SQLite cannot trust"
            raise StoreError(what, hint=POSTGRESQL)

    def check_free(self, names: set[str]) -> None:
        """Raise NotAStudy where the file holds anything: a file is ours alone."""
        if names:
            raise NotAStudy(
                f"{self.shown} is a database of something else (tables {', '.join(sorted(names)[:5])})",
                hint="Choose a path where there is no file yet.",
            )

    def prepare(self) -> None:
        """Put the file in WAL mode, which stays with it: readers then never wait for the writer."""
        self._patiently(self._set_wal)

    def _set_wal(self) -> None:
        with self.connected() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")

    def is_passing(self, error: DBAPIError) -> bool:
        """Whether another process has the file just now."""
        return _name(error).startswith(("SQLITE_BUSY", "SQLITE_LOCKED"))

    def error(self, error: DBAPIError) -> StoreError:
        """What a person should read, by SQLite's error code."""
        name = _name(error)
        if self.is_passing(error):
            what = f"{self.shown} was locked by another process for {database.PATIENCE:.0f} s"
            return StoreError(what, hint="A program may have it open in a transaction, or be stopped: end that one.")
        if name.startswith("SQLITE_IOERR") and self._is_full():
            name = "SQLITE_FULL"
        for prefix, kind, what, hint in _REASONS:
            if name.startswith(prefix):
                return kind(f"{self.shown} {what} ({error.orig})", hint=hint)
        return StoreError(f"{self.shown}: {error.orig}", hint="Look at the disk that holds it.")

    def _is_full(self) -> bool:
        return shutil.disk_usage(self.path.parent).free < 1 << 20


def _connect(path: Path) -> sqlite3.Connection:
    # No thread check: a connection goes to one thread at a time, which `connected` sees to.
    return sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)


def _name(error: DBAPIError) -> str:
    """SQLite's name for what happened, as SQLITE_BUSY_SNAPSHOT; empty where the driver itself complains."""
    return getattr(error.orig, "sqlite_errorname", "")
