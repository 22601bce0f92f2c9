"""PostgreSQL: a server, for any number of machines."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from tunewell.errors import MissingExtra, StoreError
from tunewell.stores.database import Database

DRIVERS = ("postgres", "postgresql", "postgresql+psycopg")

# By SQLSTATE, longest first: https://www.postgresql.org/docs/current/errcodes-appendix.html
_HINTS = {
    "53100": ("the disk of the server is full", "Make space and start again: what was committed is kept."),
    "53300": ("the server has no connection left", "Raise max_connections, or run fewer processes."),
    "25006": ("the server only lets us read", "It may be a replica, or be recovering: name the primary server."),
    "42501": ("the server does not allow it", "Give the role the right to create and change tables in its schema."),
    "28": ("the server does not let us in", "Look at the user and the password, and at pg_hba.conf of the server."),
    "3D000": ("there is no such database", "Make it: createdb NAME"),
    "40": ("another transaction was always in the way", "Run fewer processes, or look for a transaction that hangs."),
}


class Postgresql(Database):
    """The database of a server. Commits are as safe as the server's `synchronous_commit` makes them."""

    begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE"  # each statement sees what was committed before it

    def __init__(self, url: sa.URL) -> None:
        try:
            super().__init__(
                _shown(url),
                url.set(drivername="postgresql+psycopg"),
                connect_args={"fallback_application_name": "tunewell"},
            )
        except ImportError as error:
            raise MissingExtra(
                "PostgreSQL needs psycopg, which is not installed", hint='pip install "tunewell[postgres]"'
            ) from error

    def lock_out(self, connection: sa.Connection) -> None:
        """Let one process at a time make the tables; the number is any that nobody else takes."""
        connection.exec_driver_sql("SELECT pg_advisory_xact_lock(8246739155026183)")

    def is_passing(self, error: DBAPIError) -> bool:
        """Whether the transaction was in a deadlock or could not be put in order with another."""
        return _state(error) in ("40001", "40P01")

    def error(self, error: DBAPIError) -> StoreError:
        """What a person should read, by SQLSTATE."""
        state, said = _state(error), str(error.orig).strip().splitlines() or ["no reason given"]
        for prefix, (what, hint) in _HINTS.items():
            if state.startswith(prefix):
                return StoreError(f"{self.shown}: {what} ({said[0]})", hint=hint)
        if isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError):
            hint = "Does the server run? Are the address, the user and the password right?"
            return StoreError(f"{self.shown}: no connection ({said[0]})", hint=hint)
        return StoreError(f"{self.shown}: {said[0]}", hint="The server's log may say more.")


def _shown(url: sa.URL) -> str:
    """The address without the password, which may stand in the query, too."""
    return sa.URL.create("postgresql", url.username, None, url.host, url.port, url.database).render_as_string()


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""
