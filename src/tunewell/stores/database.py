"""What SQLite and PostgreSQL share: connections, transactions, and trying again where that can help."""

from __future__ import annotations

import os
import random
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from tunewell.errors import NotAStudy, StoreError, TooNew, TunewellError
from tunewell.stores.statement import Statement, Values, send
from tunewell.stores.tables import VERSION, metadata, version

T = TypeVar("T")

PATIENCE = 60.0
"""Seconds for which a writer waits its turn before it gives up."""

_jitter = random.SystemRandom()  # not the global one, which belongs to the user's seeds
_inherited: list[Any] = []  # connections that a fork took over: closing them here would disturb the parent's


class CommitUnknown(Exception):
    """The connection was lost while a commit was under way: it may have been done, or not."""


class Database:
    """Connections to one database, kept for the next use; threads may share it, and a fork starts with none."""

    begin = "BEGIN"
    """How a writing transaction starts."""

    def __init__(self, shown: str, url: sa.URL, **options: Any) -> None:
        self.shown = shown
        # AUTOCOMMIT: a transaction starts where `begin` says so, and a lone statement needs none.
        self._engine = sa.create_engine(
            url, poolclass=NullPool, isolation_level="AUTOCOMMIT", hide_parameters=True, **options
        )
        self._idle: list[sa.Connection] = []
        self._pid = os.getpid()
        self._closing = weakref.finalize(self, _close, self._idle, self._pid)

    # --- what the two differ in --------------------------------------------------------------------------------------

    def is_passing(self, error: DBAPIError) -> bool:
        """Whether the same transaction may well succeed a moment later."""
        raise NotImplementedError

    def error(self, error: DBAPIError) -> StoreError:
        """What a person should read."""
        raise NotImplementedError

    def greet(self, connection: sa.Connection) -> None:
        """Prepare a new connection."""

    def prepare(self) -> None:
        """Do what a new database needs before its first transaction."""

    def lock_out(self, connection: sa.Connection) -> None:
        """Let no other process make the tables while this transaction does."""

    # --- connections -------------------------------------------------------------------------------------------------

    @contextmanager
    def connected(self) -> Iterator[sa.Connection]:
        """A connection for this thread alone; it is kept when it can still be used."""
        connection = self._take()
        try:
            yield connection
        except (TunewellError, DBAPIError) as error:
            if not _rolled_back(connection):
                _discard(connection)
                if isinstance(error, DBAPIError) and error.connection_invalidated:
                    self.close()  # the others are likely to be lost as well
                raise
            self._idle.append(connection)
            raise
        except BaseException:
            _discard(connection)
            raise
        self._idle.append(connection)

    def _take(self) -> sa.Connection:
        if os.getpid() != self._pid:
            self._forget()
        try:
            return self._idle.pop()
        except IndexError:
            return self._connect()

    def _connect(self) -> sa.Connection:
        connection = self._engine.connect()
        try:
            self.greet(connection)
        except BaseException:
            _discard(connection)
            raise
        return connection

    def _forget(self) -> None:
        _inherited.append(self._idle)
        self._closing.detach()
        self._idle, self._pid = [], os.getpid()
        self._closing = weakref.finalize(self, _close, self._idle, self._pid)

    def close(self) -> None:
        """Close what is idle; a later use connects anew."""
        _close(self._idle, self._pid)

    # --- transactions ------------------------------------------------------------------------------------------------

    def transact(
        self, work: Callable[[sa.Connection], T], settled: Callable[[sa.Connection], T | None] | None = None
    ) -> T:
        """What `work` returns, its statements committed together or not at all.

        Where the connection is lost during the commit, `settled` looks whether it was done: its answer counts, and on
        None the work is done again. Without `settled` the work is simply done again.
        """
        try:
            return self._patiently(lambda: self._once(work))
        except CommitUnknown:
            pass
        try:
            answer = None if settled is None else self._patiently(lambda: self._once(settled))
            return self._patiently(lambda: self._once(work)) if answer is None else answer
        except CommitUnknown as error:
            raise StoreError(
                f"{self.shown}: the connection was lost twice during a commit",
                hint="Look at the server and the network, then start again: the log tells what was committed.",
            ) from error

    def _once(self, work: Callable[[sa.Connection], T]) -> T:
        with self.connected() as connection:
            send(connection, "execute", self.begin)
            answer = work(connection)
            try:
                send(connection, "execute", "COMMIT")
            except DBAPIError as error:
                if error.connection_invalidated:
                    raise CommitUnknown from error
                raise
            return answer

    def fetch(self, statement: Statement, values: Values) -> Sequence[Any]:
        """All rows of a query, as tuples."""
        return self._patiently(lambda: self._rows(statement, values))

    def _rows(self, statement: Statement, values: Values) -> Sequence[Any]:
        with self.connected() as connection:
            rows: Sequence[Any] = statement.run(connection, values).fetchall()
            return rows

    def _patiently(self, action: Callable[[], T]) -> T:
        """Do it again while the reason against it passes, and once where the connection had been lost before it began.

        Nothing that was not committed remains, so that a second time cannot do it twice.
        """
        end, turn, reconnected = time.monotonic() + PATIENCE, 0, False
        while True:
            try:
                return action()
            except DBAPIError as error:
                lost = error.connection_invalidated and not reconnected
                if not lost and (not self.is_passing(error) or time.monotonic() > end):
                    raise self.error(error) from error
                reconnected = reconnected or lost
            # Our own waiting, with jitter: that of SQLite itself lets one of many writers starve.
            time.sleep(_jitter.uniform(0, min(0.02, 0.0005 * 2**turn)))
            turn = min(turn + 1, 10)

    # --- the tables --------------------------------------------------------------------------------------------------

    def open(self, *, create: bool) -> None:
        """Make sure that the tables are there and of this version; make them where there is nothing and `create`."""
        found = self._patiently(self._found)
        if found is None:
            if not create:
                raise self._empty()
            self.prepare()
            self.transact(self._make)
        elif found < VERSION:
            raise StoreError(
                f"{self.shown} was written by an older tunewell (tables {found or 'of no version'}, now {VERSION})",
                hint=f"Run `tunewell upgrade {self.shown}` while nobody works on it; its studies stay as they are.",
            )

    def _empty(self) -> StoreError:
        return StoreError(f"{self.shown} holds no studies yet", hint="Look whether the place is the right one.")

    def _found(self) -> str | None:
        with self.connected() as connection:
            return self._version(connection)

    def _version(self, connection: sa.Connection) -> str | None:
        """The version of the tables; None where there are none. Raises where they are not ours, or too new."""
        names = set(sa.inspect(connection).get_table_names())
        if version.name not in names:
            self.check_free(names)
            return None
        found: str = connection.execute(sa.select(version.c.version_num)).scalar() or ""
        if found > VERSION:
            raise TooNew(
                f"{self.shown} was written by a newer tunewell (tables {found}, this one knows {VERSION})",
                hint="Upgrade tunewell: pip install --upgrade tunewell",
            )
        return found

    def check_free(self, names: set[str]) -> None:
        """Raise NotAStudy where tables of somebody else stand in the way."""
        ours = sorted(names & set(metadata.tables))
        if ours:
            raise NotAStudy(
                f"{self.shown} has tables of somebody else that are called {', '.join(ours)}",
                hint="Give tunewell a database, or a schema, of its own.",
            )

    def _make(self, connection: sa.Connection) -> None:
        self.lock_out(connection)
        if self._version(connection) is None:
            metadata.create_all(connection, checkfirst=False)
            connection.execute(version.insert(), {"version_num": VERSION})

    def upgrade(self) -> None:
        """Bring the tables of an older tunewell to this version, in one transaction."""
        from tunewell.stores.migrations.run import upgrade  # Alembic takes half a second to import

        if self._patiently(self._found) is None:
            raise self._empty()
        self.transact(upgrade)


def _rolled_back(connection: sa.Connection) -> bool:
    """Roll back what may be open; whether the connection can be used again."""
    if connection.invalidated:
        return False
    try:
        connection.connection.rollback()
    except Exception:
        return False
    return True


def _discard(connection: sa.Connection) -> None:
    _rolled_back(connection)  # a cursor that is half read would hold SQLite's lock beyond the close
    with suppress(Exception):
        connection.close()


def _close(idle: list[sa.Connection], pid: int) -> None:
    while idle and os.getpid() == pid:
        _discard(idle.pop())
