"""The store in PostgreSQL, on a real server: what can be wrong with an address, a server and a connection."""

import json
import os
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.stores.proxy import Proxy
from tests.stores.test_sqlite import assert_whole_log, description, processes
from tunewell.contract.stores import OPEN, StoreContract, job, log
from tunewell.errors import Conflict, NotAStudy, StoreError, TooNew
from tunewell.events import Act, Job, Result
from tunewell.stores import tables
from tunewell.stores.sql import SqlStore

pytestmark = pytest.mark.postgres


class TestSqlStore(StoreContract):
    @pytest.fixture
    def store(self, postgres_url):
        with closing(SqlStore(postgres_url)) as store:
            yield store


@pytest.fixture
def store(postgres_url):
    with closing(SqlStore(postgres_url)) as store:
        yield store


@pytest.fixture
def run(postgres_url):
    """Run SQL as somebody else, in the schema of the test."""
    import psycopg

    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection.execute


@pytest.fixture
def proxy(postgres_url):
    query = parse_qs(urlsplit(postgres_url).query)
    proxy = Proxy(f"{query['host'][0]}/.s.PGSQL.5432")
    proxy.url = f"postgresql://postgres@127.0.0.1:{proxy.port}/postgres?sslmode=disable&options={query['options'][0]}"
    yield proxy
    proxy.close()


# --- addresses ------------------------------------------------------------------------------------------------------


def test_files(postgres_url, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with closing(SqlStore(postgres_url)) as store:
        store.append("s", OPEN)
        token = store.files("s").name
        assert store.files("s") == tmp_path / "tunewell.files" / token
    monkeypatch.setenv("TUNEWELL_FILES", "/shared/tuning")
    with closing(SqlStore(postgres_url)) as store:
        assert store.files("s") == Path("/shared/tuning", token)
    with closing(SqlStore(postgres_url, files=tmp_path / "here")) as store:
        assert store.files("s") == tmp_path / "here" / token


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://anna:secret@127.0.0.1:1/x",
        "postgres://anna@127.0.0.1:1/x?password=secret",
        "postgresql+psycopg://anna:secret@127.0.0.1:1/x?connect_timeout=1",
        "postgresql://anna:secret@127.0.0.1:secret/x",
        "postgresql://anna:secret@127.0.0.1:1/x?nonsense=secret",
        "postgresql+psycopg2://anna:secret@127.0.0.1/x",
    ],
)
def test_addresses_that_lead_nowhere(url):
    with pytest.raises(StoreError) as error:
        SqlStore(url)
    assert error.value.hint
    assert "secret" not in str(error.value)


def test_no_password_is_shown(postgres_url):
    with closing(SqlStore(postgres_url.replace("postgres:@", "postgres:secret@"))) as store:
        assert repr(store) == "SqlStore('postgresql://postgres@/postgres')"


def test_a_database_that_is_missing(postgres_url):
    with pytest.raises(StoreError) as error:
        SqlStore(postgres_url.replace("/postgres?", "/missing?"))
    assert error.value.hint


# --- tables ---------------------------------------------------------------------------------------------------------


def test_tables_of_somebody_else(postgres_url, run):
    run("CREATE TABLE trials (id int)")
    SqlStore(postgres_url).close()
    run("DROP TABLE tunewell_version")
    with pytest.raises(NotAStudy, match="event, lease, study") as error:
        SqlStore(postgres_url)
    assert "schema" in error.value.hint


def test_nothing_is_made_unless_asked(postgres_url, run):
    with pytest.raises(StoreError, match="no studies yet"):
        SqlStore(postgres_url, create=False)
    assert run("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()").fetchall() == []


def test_newer_and_older_tables(postgres_url, run):
    SqlStore(postgres_url).close()
    run("UPDATE tunewell_version SET version_num = '9999'")
    with pytest.raises(TooNew):
        SqlStore(postgres_url)
    run("DROP TABLE study, event, lease")
    run("DELETE FROM tunewell_version")
    with pytest.raises(StoreError, match="older tunewell") as error:
        SqlStore(postgres_url)
    assert "tunewell upgrade postgresql://" in error.value.hint
    SqlStore.upgrade(postgres_url)
    with closing(SqlStore(postgres_url)) as store:
        assert store.append("s", OPEN, job(0))[-1].number == 2


def test_migrations_make_the_same_tables(postgres_url, run, store):
    engine = store._database._engine
    made = description(engine)
    run("DROP TABLE study, event, lease")
    run("DELETE FROM tunewell_version")
    SqlStore.upgrade(postgres_url)
    assert description(engine) == made
    assert set(made) == set(tables.metadata.tables)


def test_a_server_that_only_lets_us_read(store, run):
    store.append("s", OPEN)
    run("REVOKE ALL ON SCHEMA public FROM public")
    run("CREATE RULE no AS ON INSERT TO event DO INSTEAD SELECT 1/0")
    with pytest.raises(StoreError, match="division by zero") as error:
        store.append("s", job(0))
    assert error.value.hint
    assert len(log(store)) == 1


# --- connections ----------------------------------------------------------------------------------------------------


def test_a_connection_lost_between_two_uses(store, run):
    store.append("s", OPEN)
    hang_up_on_all(run)
    assert len(log(store)) == 1
    hang_up_on_all(run)
    assert store.append("s", job(0))[0].number == 2
    hang_up_on_all(run)
    assert store.leases.claim("s", 0, "a", 60) == 1


def hang_up_on_all(run):
    run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'tunewell'")


@pytest.mark.parametrize("cut", ["before", "after"])
def test_a_connection_lost_at_the_commit(proxy, cut):
    """Whether the commit reached the server or not: the events are there once."""
    with closing(SqlStore(proxy.url)) as store:
        proxy.cut = cut
        store.append("s", OPEN)
        proxy.cut = cut
        assert [entry.number for entry in store.append("s", job(0), job(1))] == [2, 3]
        proxy.cut = cut
        assert store.leases.claim("s", 0, "a", 60) in (1, 2)
        proxy.cut = cut
        store.append("s", Result(1, "done"))
        assert log(store) == [OPEN, job(0), job(1), Result(1, "done")]
        proxy.cut = cut
        store.rename("s", "t")
        proxy.cut = cut
        store.delete("t")
        assert store.studies() == []
        assert proxy.cuts == 6


def test_a_lost_commit_and_a_lost_race(proxy, postgres_url, monkeypatch):
    """While this one connects again, another one appends: the job that was not committed is a conflict."""
    with closing(SqlStore(proxy.url)) as store, closing(SqlStore(postgres_url)) as other:
        store.append("s", OPEN)
        connect = store._database._connect

        def late():
            if not log(other, after=1):
                other.append("s", Job({"by": "other"}, 1, id=0))
            return connect()

        monkeypatch.setattr(store._database, "_connect", late)
        proxy.cut = "before"
        with pytest.raises(Conflict):
            store.append("s", job(0))
        assert log(other) == [OPEN, Job({"by": "other"}, 1, id=0)]


def test_a_server_that_is_gone(proxy):
    store = SqlStore(proxy.url)
    store.append("s", OPEN)
    proxy.close()
    store.close()
    with pytest.raises(StoreError, match="no connection") as error:
        list(store.read("s"))
    assert error.value.hint


def test_appends_wait_for_each_other(store, postgres_url, run):
    """Numbers are in commit order: who has not committed yet keeps the others waiting, readers see no gap."""
    import psycopg

    store.append("s", OPEN)
    with psycopg.connect(postgres_url) as slow:
        slow.execute("UPDATE study SET last = last + 1")
        run("SET lock_timeout = 100")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            run("UPDATE study SET last = last + 1")
        assert len(log(store)) == 1
        slow.rollback()
    assert store.append("s", Act("note"))[0].number == 2


def test_a_server_with_another_default_isolation(store, run):
    run("ALTER ROLE postgres SET default_transaction_isolation = 'serializable'")
    try:
        store.close()
        store.append("s", OPEN)
        assert store.append("s", job(0))[0].number == 2
    finally:
        run("ALTER ROLE postgres RESET default_transaction_isolation")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_race(postgres_url):
    assert len(processes("race", postgres_url)) == 4
    assert_whole_log(SqlStore(postgres_url), 4 * 50)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_make_the_tables_at_once(postgres_url):
    assert processes("make", postgres_url) == [0, 0, 0, 0]


def test_the_log_is_json_that_people_can_ask(store, run):
    store.append("s", OPEN, job(0))
    rows = run("SELECT number, kind, job, body::json->>'until' FROM event ORDER BY number").fetchall()
    assert rows == [(1, "act", None, None), (2, "job", 0, "3")]
    assert json.loads(run("SELECT body FROM event WHERE number = 2").fetchone()[0])["id"] == 0
