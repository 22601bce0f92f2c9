"""What Alembic runs before the scripts: it is given an open transaction, and leaves the commit to who began it."""

from alembic import context

from tunewell.stores.tables import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
    render_as_batch=True,
)
context.run_migrations()
