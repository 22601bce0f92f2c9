"""The leases of a SqlStore: who runs which job, by the clock of the store."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy import bindparam

from tunewell.stores import tables as t
from tunewell.stores.database import Database
from tunewell.stores.lease import NONE, Lease
from tunewell.stores.refusal import missing
from tunewell.stores.statement import Statement

_LOCK = Statement(sa.select(t.study.c.id).where(t.study.c.name == bindparam("study")).with_for_update())
_LIVE_OWNER = sa.case((t.lease.c.expires > t.Clock(), t.lease.c.owner), else_="").label("owner")
_HELD = Statement(
    sa.select(t.lease.c.job, _LIVE_OWNER, t.lease.c.attempt).where(
        t.lease.c.study_id == bindparam("id"), t.lease.c.job.in_([bindparam("job"), bindparam("parent")])
    )
)
_ENDED = Statement(
    sa.select(t.event.c.number).where(
        t.event.c.study_id == bindparam("id"),
        t.event.c.kind == sa.literal_column("'result'"),  # literal, so that the partial index serves
        t.event.c.job == bindparam("job"),
    )
)
_EXPIRES = t.Clock() + bindparam("seconds", type_=sa.Double())
_FIRST_CLAIM = Statement(
    sa.insert(t.lease).values(expires=_EXPIRES), columns=("study_id", "job", "owner", "attempt", "expires")
)
_LATER_CLAIM = Statement(
    sa.update(t.lease)
    .where(t.lease.c.study_id == bindparam("of"), t.lease.c.job == bindparam("claimed"))
    .values(owner=bindparam("by"), attempt=bindparam("now"), expires=_EXPIRES)
)
_OF_STUDY = t.lease.c.study_id == sa.select(t.study.c.id).where(t.study.c.name == bindparam("study")).scalar_subquery()
_RENEW = (
    sa.update(t.lease)
    .where(_OF_STUDY, t.lease.c.owner == bindparam("by"), t.lease.c.job.in_(bindparam("claimed", expanding=True)))
    .values(expires=_EXPIRES)
    .returning(t.lease.c.job, t.lease.c.attempt)
)
_RELEASE = Statement(
    sa.update(t.lease)
    .where(_OF_STUDY, t.lease.c.job == bindparam("released"), t.lease.c.owner == bindparam("by"))
    .values(owner="")
)
_OWNERS = Statement(sa.select(t.lease.c.job, t.lease.c.owner).where(_OF_STUDY, t.held, t.lease.c.expires > t.Clock()))


class SqlLeases:
    """The leases of a SqlStore, by the clock of the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, study: str, job: int, owner: str, seconds: float, *, parent: int | None = None) -> int | None:
        """The attempt number, a fencing token (1, 2, …), or None when somebody else has the job, or it has ended."""
        return self._database.transact(lambda connection: _claim(connection, study, job, owner, seconds, parent))

    def renew(self, study: str, jobs: Mapping[int, int], owner: str, seconds: float) -> Sequence[int]:
        """Prolong the leases `{job: attempt}`; returns those that are lost."""
        if not jobs:
            return []
        values = {"study": study, "claimed": list(jobs), "by": owner, "seconds": seconds}
        rows = self._database.transact(lambda connection: connection.execute(_RENEW, values).all())
        kept = {row.job: row.attempt for row in rows}
        return [job for job, attempt in jobs.items() if kept.get(job) != attempt]

    def release(self, study: str, jobs: Collection[int], owner: str) -> None:
        """Give jobs up; their attempt numbers stay."""
        if jobs:
            rows = [{"study": study, "released": job, "by": owner} for job in jobs]
            self._database.transact(lambda connection: _RELEASE.run_many(connection, rows))

    def owners(self, study: str) -> Mapping[int, str]:
        """The owner of each job that is under a live lease."""
        rows = self._database.fetch(_OWNERS, {"study": study})
        return {job: owner for job, owner in rows if not Lease(owner, 0).is_free_for("")}


def _claim(
    connection: sa.Connection, study: str, job: int, owner: str, seconds: float, parent: int | None
) -> int | None:
    key = locked(connection, study)  # first, so that no append comes between what is read here and what is written
    asked = {"id": key, "job": job, "parent": job if parent is None else parent}
    held = {each: Lease(*rest) for each, *rest in _HELD.run(connection, asked)}
    if not all(lease.is_free_for(owner) for lease in held.values()):
        return None
    if _ENDED.run(connection, asked).fetchone():
        return None
    attempt = held.get(job, NONE).attempt + 1
    if attempt == 1:
        values = {"study_id": key, "job": job, "owner": owner, "attempt": 1, "seconds": seconds}
        _FIRST_CLAIM.run(connection, values)
    else:
        values = {"of": key, "claimed": job, "by": owner, "now": attempt, "seconds": seconds}
        _LATER_CLAIM.run(connection, values)
    return attempt


def locked(connection: sa.Connection, study: str) -> int:
    """The id of a study whose row this transaction holds from now on."""
    found = _LOCK.run(connection, {"study": study}).fetchone()
    if found is None:
        raise missing(study)
    key: int = found[0]
    return key
