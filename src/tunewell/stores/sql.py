"""Logs in a database: an SQLite file by default, PostgreSQL where several machines work on one study."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy import bindparam
from sqlalchemy.exc import IntegrityError

from tunewell.errors import StoreError, TooNew
from tunewell.events import Entry, Event, Job, Result
from tunewell.protocols import Leases
from tunewell.stores import tables as t
from tunewell.stores.events import FORMAT, Row, decode, encode
from tunewell.stores.postgresql import DRIVERS, Postgresql
from tunewell.stores.refusal import (
    attempts_of,
    check_attempts,
    check_name,
    check_opening,
    count_jobs,
    has_result,
    is_opening,
    missing,
    taken,
)
from tunewell.stores.sql_leases import SqlLeases, locked
from tunewell.stores.sqlite import Durability, Sqlite
from tunewell.stores.statement import Statement

CHUNK = 2000
"""How many events a reader fetches at once."""

# The row of the study comes first in every writing transaction: whoever has counted it up holds it until the commit,
# so that numbers are contiguous and in commit order.
_COUNTED = (t.study.c.id, t.study.c.last, t.study.c.jobs, t.study.c.version, t.Clock().label("now"))
_COUNT = Statement(
    sa.update(t.study)
    .where(t.study.c.name == bindparam("study"))
    .values(last=t.study.c.last + bindparam("events"), jobs=t.study.c.jobs + bindparam("started"))
    .returning(*_COUNTED)
)
_OPEN = sa.insert(t.study).values(created=t.Clock()).returning(*_COUNTED)
_ADD = Statement(sa.insert(t.event))
_PLACES = [f"job{place}" for place in range(8)]
_ATTEMPTS = Statement(
    sa.select(t.lease.c.job, t.lease.c.attempt).where(
        t.lease.c.study_id == bindparam("id"), t.lease.c.job.in_([bindparam(place) for place in _PLACES])
    )
)
_LOCK_ID = sa.select(t.study.c.id).where(t.study.c.id == bindparam("id")).with_for_update()

_EVENT = (t.event.c.number, t.event.c.time, t.event.c.kind, t.event.c.body)
_READ_FIRST = Statement(
    sa.select(*_EVENT, t.study.c.id, t.study.c.version)
    .join_from(t.study, t.event, t.event.c.study_id == t.study.c.id)
    .where(t.study.c.name == bindparam("study"), t.event.c.number > bindparam("after"))
    .order_by(t.event.c.number)
    .limit(bindparam("chunk"))
)
_READ_ON = Statement(
    sa.select(*_EVENT)
    .where(t.event.c.study_id == bindparam("id"), t.event.c.number > bindparam("after"))
    .order_by(t.event.c.number)
    .limit(bindparam("chunk"))
)

_TOKEN = Statement(sa.select(t.study.c.token).where(t.study.c.name == bindparam("study")))
_NAMES = Statement(sa.select(t.study.c.name).order_by(t.study.c.id))
_RENAME = sa.update(t.study).where(t.study.c.id == bindparam("study_id")).values(name=bindparam("new"))
_FORGET = [sa.delete(table).where(table.c.study_id == bindparam("id")) for table in (t.event, t.lease)]
_FORGET.append(sa.delete(t.study).where(t.study.c.id == bindparam("id")))


class _Counted(NamedTuple):
    """The row of a study, counted up by an append, and the time of that."""

    id: int
    last: int
    jobs: int
    version: int
    now: float


@dataclass
class _Batch:
    """What one `append` is to commit; `rows` are the parameters of its insert once the numbers are known."""

    study: str
    events: Sequence[Event]
    encoded: Sequence[Row]
    rows: list[dict[str, Any]] = field(default_factory=list)

    @property
    def started(self) -> int:
        return sum(isinstance(event, Job) for event in self.events)

    def number(self, study: int, last: int, now: float) -> None:
        first = last - len(self.encoded) + 1
        self.rows = [
            {"study_id": study, "number": first + i, "time": now, "kind": row.kind, "job": row.job, "body": row.body}
            for i, row in enumerate(self.encoded)
        ]

    def entries(self) -> list[Entry]:
        """What readers will get: decoded, so that the caller's Study holds exactly what theirs will."""
        return [_entry(row["number"], row["time"], row["kind"], row["body"]) for row in self.rows]


class SqlStore:
    """A Store in an SQLite file or in PostgreSQL.

        store = SqlStore("tune.db")
        store = SqlStore("postgresql://anna@db.example.org/tuning", files="/shared/tuning")

    `where` is a path, with or without `sqlite:///`, or the address of a PostgreSQL database. A commit survives the kill
    of every process here; with `durability="full"` an SQLite file survives a loss of power too, at some milliseconds a
    commit. `files` is the folder for checkpoints: by default beside the file; for PostgreSQL what TUNEWELL_FILES says,
    or `./tunewell.files`. With `create=False` a place that holds no studies is an error. Threads may share a store,
    and so may forks.
    """

    def __init__(
        self,
        where: str | os.PathLike[str],
        *,
        durability: Durability = "kill",
        files: str | os.PathLike[str] | None = None,
        create: bool = True,
    ) -> None:
        self._database = _database(where, durability)
        self._files = _files(self._database) if files is None else Path(files).expanduser().absolute()
        try:
            self._database.open(create=create)
        except BaseException:
            self._database.close()
            raise
        self.leases: Leases = SqlLeases(self._database)

    @classmethod
    def upgrade(cls, where: str | os.PathLike[str]) -> None:
        """Bring a database that an older tunewell wrote to this version's tables, all or nothing; the logs stay."""
        database = _database(where, "full")
        try:
            database.upgrade()
        finally:
            database.close()

    def __repr__(self) -> str:
        return f"SqlStore({self._database.shown!r})"

    # --- the log -----------------------------------------------------------------------------------------------------

    def append(self, study: str, *events: Event) -> Sequence[Entry]:
        """Commit `events` together, or none; returns them numbered."""
        if not events:
            return []
        if is_opening(events[0]):
            check_name(study)
        check_opening(study, events)
        batch = _Batch(study, events, [encode(event) for event in events])
        return self._database.transact(partial(self._commit, batch), settled=partial(self._find, batch))

    def _commit(self, batch: _Batch, connection: sa.Connection) -> list[Entry]:
        counted = (self._open if is_opening(batch.events[0]) else self._count)(batch, connection)
        _check_format(batch.study, counted.version)
        count_jobs(batch.study, batch.events, counted.jobs - batch.started)
        if spoken := attempts_of(batch.events):
            check_attempts(batch.study, spoken, _newest(connection, counted.id, list(spoken)))
        batch.number(counted.id, counted.last, counted.now)
        try:
            _ADD.run_many(connection, batch.rows)
        except IntegrityError as error:  # the indexes let each job, and the Result of a job, in once
            ending = [event.job for event in batch.events if isinstance(event, Result)]
            raise has_result(batch.study, ending) from error
        return batch.entries()

    def _open(self, batch: _Batch, connection: sa.Connection) -> _Counted:
        values = {
            "name": batch.study,
            "last": len(batch.events),
            "jobs": batch.started,
            "token": secrets.token_hex(8),
            "version": FORMAT,
        }
        try:
            return _Counted(*connection.execute(_OPEN, values).one())
        except IntegrityError as error:
            raise taken(batch.study) from error

    def _count(self, batch: _Batch, connection: sa.Connection) -> _Counted:
        values = {"study": batch.study, "events": len(batch.events), "started": batch.started}
        counted = _COUNT.run(connection, values).fetchone()
        if counted is None:
            raise missing(batch.study)
        return _Counted(*counted)

    def _find(self, batch: _Batch, connection: sa.Connection) -> list[Entry] | None:
        """The entries of a batch whose commit was not confirmed, if it was done."""
        first, last = batch.rows[0], batch.rows[-1]
        connection.execute(_LOCK_ID, {"id": first["study_id"]})  # waits until the server has ended the lost transaction
        values = {"id": first["study_id"], "after": first["number"] - 1, "chunk": last["number"] - first["number"] + 1}
        found = [tuple(row) for row in _READ_ON.run(connection, values)]
        wanted = [(row["number"], row["time"], row["kind"], row["body"]) for row in batch.rows]
        return batch.entries() if found == wanted else None

    def read(self, study: str, after: int = 0) -> Iterator[Entry]:
        """The committed events with a number above `after`, in order; nothing for a study that does not exist."""
        rows = self._database.fetch(_READ_FIRST, {"study": study, "after": after, "chunk": CHUNK})
        if not rows:
            return
        *_, key, version = rows[0]
        _check_format(study, version)
        while rows:
            for number, time, kind, body, *_ in rows:
                yield _entry(number, time, kind, body)
            # By number and not by an open cursor: nothing is held while the caller works.
            more = len(rows) == CHUNK
            rows = self._database.fetch(_READ_ON, {"id": key, "after": number, "chunk": CHUNK}) if more else []

    # --- studies -----------------------------------------------------------------------------------------------------

    def files(self, study: str) -> Path | None:
        """The folder for the checkpoints and logs of a study, made by who writes there; None where there is none."""
        found = self._database.fetch(_TOKEN, {"study": study})
        return self._files / found[0][0] if found else None

    def studies(self) -> Sequence[str]:
        """The names of all studies, oldest first."""
        return [name for (name,) in self._database.fetch(_NAMES, {})]

    def rename(self, study: str, name: str) -> None:
        """Give a study another name. Raises Conflict when that is taken."""
        check_name(name)
        self._database.transact(
            lambda connection: self._rename(study, name, connection),
            settled=lambda connection: _exists(connection, name),
        )

    def _rename(self, study: str, name: str, connection: sa.Connection) -> bool:
        key = locked(connection, study)
        try:
            connection.execute(_RENAME, {"study_id": key, "new": name})
        except IntegrityError as error:
            raise taken(name) from error
        return True

    def delete(self, study: str) -> None:
        """Forget a study; its files are the caller's to delete."""
        self._database.transact(
            lambda connection: self._delete(study, connection),
            settled=lambda connection: None if _exists(connection, study) else True,
        )

    def _delete(self, study: str, connection: sa.Connection) -> bool:
        key = locked(connection, study)
        for statement in _FORGET:
            connection.execute(statement, {"id": key})
        return True

    def close(self) -> None:
        """Close the connections; a later use opens them anew."""
        self._database.close()


def _entry(number: int, time: float, kind: str, body: str) -> Entry:
    return Entry(number, time, decode(kind, body))


def _newest(connection: sa.Connection, study: int, jobs: Sequence[int]) -> dict[int, int]:
    """The newest attempt claimed of each job, asked in portions, for the statement has so many places."""
    newest: dict[int, int] = {}
    for start in range(0, len(jobs), len(_PLACES)):
        part = jobs[start : start + len(_PLACES)]
        values: dict[str, int] = {"id": study}
        values.update(zip(_PLACES, [*part, *[part[0]] * len(_PLACES)]))
        newest.update(_ATTEMPTS.run(connection, values).fetchall())
    return newest


def _exists(connection: sa.Connection, study: str) -> bool | None:
    return _TOKEN.run(connection, {"study": study}).fetchone() is not None or None


def _check_format(study: str, version: int) -> None:
    if version > FORMAT:
        raise TooNew(
            f"study {study!r} was written by a newer tunewell (format {version}, this one knows {FORMAT})",
            hint="Upgrade tunewell: pip install --upgrade tunewell",
        )


def _database(where: str | os.PathLike[str], durability: Durability) -> Sqlite | Postgresql:
    text = os.fspath(where)
    if durability not in ("kill", "full"):
        raise StoreError(f"durability={durability!r} is none", hint='Write "kill" or "full".')
    if text in ("", ":memory:", "sqlite://", "sqlite:///:memory:"):
        raise StoreError("SQLite needs a file", hint='A study that nobody needs to keep: store="memory".')
    if "://" not in text:
        return Sqlite(Path(text), durability)
    scheme = text.partition("://")[0]
    if scheme == "sqlite" and text.startswith("sqlite:///"):
        return Sqlite(Path(text.removeprefix("sqlite:///")), durability)
    if scheme in DRIVERS:
        return Postgresql(_url(text))
    raise StoreError(
        f"a store of kind {scheme!r} is unknown",
        hint="Write a path, sqlite:///PATH or postgresql://USER:PASSWORD@HOST/DATABASE.",
    )


def _url(text: str) -> sa.URL:
    try:
        return sa.make_url(text)
    except (sa.exc.ArgumentError, ValueError):
        # Not chained, and without the text: it may hold a password.
        raise StoreError(
            "the address of the PostgreSQL database cannot be read",
            hint="Write postgresql://USER:PASSWORD@HOST:PORT/DATABASE, and in the password %40 for @.",
        ) from None


def _files(database: Sqlite | Postgresql) -> Path:
    if isinstance(database, Sqlite):
        return database.path.with_suffix(".files")
    return Path(os.environ.get("TUNEWELL_FILES") or "tunewell.files").expanduser().absolute()
