"""The first tables: studies, their events, and who runs which job."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "study",
        sa.Column("id", sa.Integer, nullable=False),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("jobs", sa.BigInteger, nullable=False),
        sa.Column("token", sa.Text, nullable=False),
        sa.Column("created", sa.Double, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id", name="study_pk"),
        sa.UniqueConstraint("name", name="study_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "event",
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("job", sa.BigInteger),
        sa.Column("body", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("study_id", "number", name="event_pk"),
    )
    for kind in ("job", "result"):
        where = sa.text(f"kind = '{kind}'")
        op.create_index(
            f"event_{kind}", "event", ["study_id", "job"], unique=True, sqlite_where=where, postgresql_where=where
        )
    op.create_table(
        "lease",
        sa.Column("study_id", sa.Integer, nullable=False),
        sa.Column("job", sa.BigInteger, nullable=False),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("attempt", sa.BigInteger, nullable=False),
        sa.Column("expires", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("study_id", "job", name="lease_pk"),
    )
    held = sa.text("owner != ''")
    op.create_index("lease_held", "lease", ["study_id", "job"], sqlite_where=held, postgresql_where=held)
