"""The tables of a database, the same in SQLite and PostgreSQL, and the clock that both are asked for.

`study` has one row for each log: its row is what orders the writers, for an append counts up `last` and `jobs` before
it inserts. `event` holds the log. `lease` stands beside it: who runs which job now, by which attempt.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

VERSION = "0001"
"""The newest revision in `migrations/`, which makes the tables below out of those of any older tunewell."""

metadata = sa.MetaData()

version = sa.Table(
    "tunewell_version",  # Alembic keeps it; a name of our own, as others in a database may use Alembic too
    metadata,
    sa.Column("version_num", sa.String(32), nullable=False),
    sa.PrimaryKeyConstraint("version_num", name="tunewell_version_pkc"),
)

study = sa.Table(
    "study",
    metadata,
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("last", sa.BigInteger, nullable=False),  # the number of the last event
    sa.Column("jobs", sa.BigInteger, nullable=False),  # how many jobs there are: the id of the next one
    sa.Column("token", sa.Text, nullable=False),  # names the folder of the study's files
    sa.Column("created", sa.Double, nullable=False),
    sa.Column("version", sa.Integer, nullable=False),  # of the JSON forms, see events.FORMAT
    sa.PrimaryKeyConstraint("id", name="study_pk"),
    sa.UniqueConstraint("name", name="study_name"),
    sqlite_autoincrement=True,  # an id is never used again, so that a reader cannot slip from one log into another
)

event = sa.Table(
    "event",
    metadata,
    sa.Column("study_id", sa.Integer, nullable=False),
    sa.Column("number", sa.BigInteger, nullable=False),
    sa.Column("time", sa.Double, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("job", sa.BigInteger),
    sa.Column("body", sa.Text, nullable=False),
    sa.PrimaryKeyConstraint("study_id", "number", name="event_pk"),
)


def _one_per_job(kind: str) -> sa.Index:
    where = event.c.kind == sa.literal_column(f"'{kind}'")
    return sa.Index(
        f"event_{kind}", event.c.study_id, event.c.job, unique=True, sqlite_where=where, postgresql_where=where
    )


one_job, one_result = _one_per_job("job"), _one_per_job("result")

lease = sa.Table(
    "lease",
    metadata,
    sa.Column("study_id", sa.Integer, nullable=False),
    sa.Column("job", sa.BigInteger, nullable=False),
    sa.Column("owner", sa.Text, nullable=False),  # empty once released
    sa.Column("attempt", sa.BigInteger, nullable=False),  # counts the claims; older ones are stale
    sa.Column("expires", sa.Double, nullable=False),
    sa.PrimaryKeyConstraint("study_id", "job", name="lease_pk"),
)

held = lease.c.owner != sa.literal_column("''")
lease_held = sa.Index("lease_held", lease.c.study_id, lease.c.job, sqlite_where=held, postgresql_where=held)


class Clock(FunctionElement[float]):
    """The store's clock when the expression is computed, in seconds since the epoch."""

    type = sa.Double()
    inherit_cache = True


@compiles(Clock)
def _sqlite_clock(element: Clock, compiler: Any, **options: Any) -> str:
    return "tunewell_clock()"  # a function that each connection is given


@compiles(Clock, "postgresql")
def _postgresql_clock(element: Clock, compiler: Any, **options: Any) -> str:
    return "CAST(EXTRACT(epoch FROM clock_timestamp()) AS double precision)"
