"""What `store=` may say."""

from importlib.metadata import EntryPoint

import pytest

from tunewell.errors import StoreError
from tunewell.stores import address
from tunewell.stores.address import open_store
from tunewell.stores.memory import MemoryStore
from tunewell.stores.sql import SqlStore


def test_stores_by_what_is_written(tmp_path):
    for where in (None, "memory"):
        assert isinstance(open_store(where), MemoryStore)
    for where in (tmp_path / "a.db", str(tmp_path / "b.db"), f"sqlite:///{tmp_path}/c.db"):
        assert isinstance(open_store(where), SqlStore)
    assert sorted(path.name for path in tmp_path.glob("*.db")) == ["a.db", "b.db", "c.db"]


def test_a_store_is_handed_back():
    store = MemoryStore()
    assert open_store(store) is store


def test_what_is_not_there(tmp_path):
    with pytest.raises(StoreError, match="no file"):
        open_store(tmp_path / "a.db", create=False)


def test_the_store_of_a_plugin(monkeypatch):
    plugin = EntryPoint("teststore", "tests.stores.test_address:PluginStore", "tunewell.stores")
    monkeypatch.setattr(address, "entry_points", lambda group, name: [plugin] if name == plugin.name else [])
    assert open_store("teststore://host/x").where == "teststore://host/x"
    with pytest.raises(StoreError, match="'nostore' is unknown") as error:
        open_store("nostore://anna:secret@host/x")
    assert "secret" not in str(error.value)


class PluginStore(MemoryStore):
    def __init__(self, where):
        super().__init__()
        self.where = where
