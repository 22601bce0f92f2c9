"""The store in an SQLite file: what can be wrong with a file, a disk, and the other processes."""

import itertools
import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa

from tunewell.contract.stores import DONE, OPEN, StoreContract, job, log
from tunewell.errors import MissingExtra, NotAStudy, StoreError, TooNew
from tunewell.events import Act, Job, Result
from tunewell.stores import database, tables
from tunewell.stores.network import network_of
from tunewell.stores.sql import SqlStore

PROCESSES = Path(__file__).with_name("processes.py")


class TestSqlStore(StoreContract):
    @pytest.fixture
    def store(self, tmp_path):
        with closing(SqlStore(tmp_path / "tune.db")) as store:
            yield store


@pytest.fixture
def path(tmp_path):
    return tmp_path / "tune.db"


@pytest.fixture
def opened(path):
    with closing(SqlStore(path)) as store:
        store.append("s", OPEN, job(0), job(1), Result(0, "done", DONE))
        yield store


@contextmanager
def raw(path):
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def processes(command, where):
    done = subprocess.run(
        [sys.executable, "-W", "error", PROCESSES, command, where], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


# --- what stands at the path ----------------------------------------------------------------------------------------


def test_a_folder(tmp_path):
    with pytest.raises(NotAStudy, match="is a folder") as error:
        SqlStore(tmp_path)
    assert "tune.db" in error.value.hint


def test_no_folder(tmp_path):
    with pytest.raises(StoreError, match="there is no folder") as error:
        SqlStore(tmp_path / "missing" / "tune.db")
    assert error.value.hint


@pytest.mark.parametrize("size", [2, 15, 100, 511, 512, 5000])
def test_not_a_database(path, size):
    content = random.Random(size).randbytes(size)
    path.write_bytes(content)
    with pytest.raises(NotAStudy, match="not a database") as error:
        SqlStore(path)
    assert error.value.hint
    assert path.read_bytes() == content
    assert os.listdir(path.parent) == ["tune.db"]


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("table", ["trials", "study"])
def test_a_database_of_somebody_else(path, mode, table):
    with raw(path) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute(f"CREATE TABLE {table} (id)")
    content = path.read_bytes()
    with pytest.raises(NotAStudy, match=f"something else.*{table}") as error:
        SqlStore(path)
    assert error.value.hint
    assert path.read_bytes() == content


def test_an_empty_file_is_a_new_store(path):
    path.touch()
    with closing(SqlStore(path)) as store:
        assert store.append("s", OPEN)[0].number == 1


def test_a_path_that_holds_nothing_is_not_made_unless_asked(path):
    with pytest.raises(StoreError, match="there is no file"):
        SqlStore(path, create=False)
    assert not path.exists()
    path.touch()
    with pytest.raises(StoreError, match="no studies yet"):
        SqlStore(path, create=False)
    assert path.read_bytes() == b""
    SqlStore(path).close()
    SqlStore(path, create=False).close()


def test_a_damaged_file(opened, path):
    opened.append("s", *(Act("note", {"text": "x" * 3000}) for _ in range(20)))
    opened.close()
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * 4096 * 12)
    with pytest.raises(StoreError) as error, closing(SqlStore(path)) as store:
        list(store.read("s"))
    assert "damaged" in str(error.value)
    assert error.value.hint


def test_a_newer_file(opened, path):
    opened.close()
    with raw(path) as connection:
        connection.execute("UPDATE tunewell_version SET version_num = '9999'")
    for action in (SqlStore, SqlStore.upgrade):
        with pytest.raises(TooNew, match="newer tunewell") as error:
            action(path)
        assert "pip install" in error.value.hint


def test_a_newer_log(opened, path):
    with raw(path) as connection:
        connection.execute("UPDATE study SET version = 9")
    for action in (lambda: list(opened.read("s")), lambda: opened.append("s", Act("note"))):
        with pytest.raises(TooNew, match="newer tunewell"):
            action()


def test_an_older_file_is_upgraded_on_request_only(path):
    with raw(path) as connection:
        connection.execute("CREATE TABLE tunewell_version (version_num VARCHAR(32) NOT NULL)")
    with pytest.raises(StoreError, match="older tunewell") as error:
        SqlStore(path)
    assert f"tunewell upgrade {path}" in error.value.hint
    SqlStore.upgrade(path)
    with closing(SqlStore(path)) as store:
        assert store.append("s", OPEN, job(0))[-1].number == 2
    SqlStore.upgrade(path)
    with closing(SqlStore(path)) as store:
        assert len(log(store)) == 2


def test_there_is_nothing_to_upgrade(path):
    with pytest.raises(StoreError, match="there is no file"):
        SqlStore.upgrade(path)
    path.touch()
    with pytest.raises(StoreError, match="no studies yet"):
        SqlStore.upgrade(path)
    assert path.read_bytes() == b""


def test_an_upgrade_that_fails_changes_nothing(path):
    with raw(path) as connection:
        connection.execute("CREATE TABLE tunewell_version (version_num VARCHAR(32) NOT NULL)")
        connection.execute("CREATE TABLE lease (id)")
        before = connection.execute("SELECT * FROM sqlite_master").fetchall()
    with pytest.raises(StoreError):
        SqlStore.upgrade(path)
    with raw(path) as connection:
        assert connection.execute("SELECT * FROM sqlite_master").fetchall() == before


def test_migrations_make_the_same_tables(tmp_path):
    SqlStore(tmp_path / "a.db").close()
    with raw(tmp_path / "b.db") as connection:
        connection.execute(str(sa.schema.CreateTable(tables.version)))
    SqlStore.upgrade(tmp_path / "b.db")
    made, migrated = (described(tmp_path / name) for name in ("a.db", "b.db"))
    assert made == migrated
    assert set(made) == set(tables.metadata.tables)


def described(path):
    engine = sa.create_engine(f"sqlite:///{path}")
    try:
        return description(engine)
    finally:
        engine.dispose()


def description(engine):
    """What a database says about its tables."""
    look = sa.inspect(engine)
    parts = (look.get_pk_constraint, look.get_unique_constraints, look.get_indexes, look.get_foreign_keys)

    def columns(name):
        return [{**column, "type": str(column["type"])} for column in look.get_columns(name)]

    def plain(value):
        return json.loads(json.dumps(value, default=str, sort_keys=True))

    return {name: plain([columns(name), *(part(name) for part in parts)]) for name in look.get_table_names()}


# --- what a person may write ----------------------------------------------------------------------------------------


def test_addresses_of_one_file(path, monkeypatch):
    monkeypatch.chdir(path.parent)
    SqlStore("tune.db").append("s", OPEN)
    files = {
        SqlStore(where).files("s") for where in ("tune.db", path, str(path), f"sqlite:///{path}", "sqlite:///tune.db")
    }
    assert len(files) == 1
    assert files.pop().parent == path.parent / "tune.files"


def test_odd_paths(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("a b?mode=ro#x.db", "100%.db", "file:x", "雪.db", "~/srv.db"):
        path = tmp_path / name if not name.startswith("~") else name
        with closing(SqlStore(path)) as store:
            store.append("s", OPEN)
    assert {"a b?mode=ro#x.db", "100%.db", "file:x", "雪.db", "srv.db"} <= set(os.listdir(tmp_path))


@pytest.mark.parametrize("where", ["", ":memory:", "sqlite://", "mysql://anna:secret@host/x", "sqlite://host/x"])
def test_addresses_that_mean_nothing(where):
    with pytest.raises(StoreError) as error:
        SqlStore(where)
    assert error.value.hint
    assert "secret" not in str(error.value)


def test_a_durability_that_is_none(path):
    with pytest.raises(StoreError, match="durability"):
        SqlStore(path, durability="strong")


def test_durability(path):
    for durability, level in (("kill", 1), ("full", 2)):
        with closing(SqlStore(path, durability=durability)) as store, store._database.connected() as connection:
            assert connection.exec_driver_sql("PRAGMA synchronous").scalar() == level
            assert connection.exec_driver_sql("PRAGMA journal_mode").scalar() == "wal"


def test_postgresql_without_its_driver(monkeypatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtra) as error:
        SqlStore("postgresql://anna:secret@127.0.0.1:1/x")
    assert 'pip install "tunewell[postgres]"' in error.value.hint


# --- the disk -------------------------------------------------------------------------------------------------------


def test_a_network_file_system(path, monkeypatch):
    monkeypatch.setattr("tunewell.stores.sqlite.network_of", lambda _: "nfs4")
    with pytest.raises(StoreError, match=r"network file system \(nfs4\)") as error:
        SqlStore(path)
    assert "postgresql://" in error.value.hint
    assert not path.exists()


def test_the_file_system_of_a_path():
    mounts = """\
22 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw
30 22 0:40 / /srv rw,relatime - nfs4 server:/srv rw,vers=4.2
31 30 254:1 / /srv/local rw - ext4 /dev/vdb rw
32 22 0:41 / /my\\040disk rw shared:2 master:1 - fuse.sshfs anna@host: rw
33 22 0:42 / /projects rw - 9p host rw
34 22 0:43 / /twice rw - ext4 /dev/vdc rw
35 22 0:44 / /twice rw - cifs //server/share rw
"""
    kinds = {
        "/srv/anna/tune.db": "nfs4",
        "/srv/local/tune.db": "",
        "/srvs/tune.db": "",
        "/my disk/a/tune.db": "fuse.sshfs",
        "/projects/tune.db": "",
        "/twice/tune.db": "cifs",
        "/tune.db": "",
    }
    assert {path: network_of(Path(path), mounts) for path in kinds} == kinds
    assert network_of(Path("/x"), "") == ""
    assert network_of(Path(__file__)) == ""


def test_a_full_disk(opened, path):
    pages = path.stat().st_size // 4096
    with opened._database.connected() as connection:
        connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count={pages + 3}")
    big = [Act("note", {"text": "x" * 10**5}), job(2)]
    before = list(opened.read("s"))
    with pytest.raises(StoreError, match="disk is full") as error:
        opened.append("s", *big)
    assert error.value.hint
    assert list(opened.read("s")) == before
    opened.append("s", Act("small"))
    with opened._database.connected() as connection:
        connection.exec_driver_sql("PRAGMA max_page_count=1000000")
    assert [entry.number for entry in opened.append("s", *big)] == [6, 7]
    opened.append("s", job(3))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="mounting a small disk needs root")
@pytest.mark.parametrize("option", ["size=256k", "ro"])
def test_a_small_disk_and_one_that_can_only_be_read(tmp_path, option):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], check=False, capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        with closing(SqlStore(disk / "tune.db")) as store:
            store.append("s", OPEN)
            store.close()
            subprocess.run(["mount", "-o", f"remount,{option}", disk], check=True)
            said = {"size=256k": "disk is full", "ro": "can only be read|cannot be opened"}[option]
            with pytest.raises(StoreError, match=said):
                append_for_ever(store)
            store.close()
            subprocess.run(["mount", "-o", "remount,rw,size=32m", disk], check=True)
            jobs = len(log(store)) - 1
            assert log(store) == [OPEN, *map(job, range(jobs))]
            assert store.append("s", job(jobs))[0].number == jobs + 2
    finally:
        subprocess.run(["umount", disk], check=True)


def append_for_ever(store):
    for number in itertools.count():
        store.append("s", job(number))


# --- other threads and processes ------------------------------------------------------------------------------------


def test_waiting_for_another_writer(opened, path):
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = threading.Thread(target=lambda: opened.append("s", Act("note")))
        waiting.start()
        waiting.join(0.15)
        assert waiting.is_alive()
        assert len(log(opened)) == 4  # readers do not wait
        other.execute("ROLLBACK")
        waiting.join()
    assert log(opened)[-1] == Act("note")


def test_giving_up_on_another_writer(opened, path, monkeypatch):
    monkeypatch.setattr(database, "PATIENCE", 0.1)
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match="locked by another process") as error:
            opened.append("s", Act("note"))
        assert error.value.hint
        other.execute("ROLLBACK")
    assert opened.append("s", Act("note"))[0].number == 5


def test_the_clock_is_read_when_it_is_our_turn(opened, path):
    with raw(path) as other:
        other.execute("BEGIN IMMEDIATE")
        entries = []
        waiting = threading.Thread(target=lambda: entries.extend(opened.append("s", Act("note"))))
        waiting.start()
        time.sleep(0.1)
        turn = time.time()
        other.execute("ROLLBACK")
        waiting.join()
    assert entries[0].time >= turn


def test_an_interrupted_append_leaves_nothing_behind(opened, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("tunewell.stores.sql.check_attempts", interrupt)
        with pytest.raises(KeyboardInterrupt):
            opened.append("s", job(2), Result(2, "done"))
    assert opened.append("s", job(2))[0].number == 5


def test_a_store_that_is_closed_opens_again(opened):
    opened.close()
    assert len(log(opened)) == 4


def test_nothing_is_left_open(path):
    store = SqlStore(path)
    store.append("s", OPEN)
    assert path.with_name("tune.db-wal").exists()
    del store
    assert not path.with_name("tune.db-wal").exists()


def test_polling_holds_no_transaction(opened, path):
    reader = opened.read("s")
    next(reader)
    with raw(path) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        assert other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone() == (0, 0, 0)
    assert len(list(reader)) == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_race(path):
    losses = processes("race", path)
    assert len(losses) == 4
    assert_whole_log(SqlStore(path), 4 * 50)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_processes_make_the_tables_at_once(path):
    assert processes("make", path) == [0, 0, 0, 0]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_killed_writers_lose_nothing(path):
    lasts = processes("kill", path)
    assert len(lasts) == 10
    assert max(lasts) > 1
    with raw(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_whole_log(store, jobs):
    """Numbers without a gap, every id once, every job with its report and result, and nobody's share is nothing."""
    with closing(store):
        entries = list(store.read("s"))
        assert [entry.number for entry in entries] == list(range(1, len(entries) + 1))
        assert [entry.time for entry in entries] == sorted(entry.time for entry in entries)
        found = [entry.event for entry in entries if isinstance(entry.event, Job)]
        assert [each.id for each in found] == list(range(jobs))
        assert len({each.config["by"] for each in found}) == 4
        assert sorted(entry.event.job for entry in entries if isinstance(entry.event, Result)) == list(range(jobs))
