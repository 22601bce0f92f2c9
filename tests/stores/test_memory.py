"""The store in memory."""

import gc
from contextlib import closing

import pytest

from tunewell.contract.stores import OPEN, StoreContract
from tunewell.stores.memory import MemoryStore


class TestMemoryStore(StoreContract):
    expires = False

    @pytest.fixture
    def store(self):
        with closing(MemoryStore()) as store:
            yield store


def test_the_folder_is_made_when_asked_for_and_removed_in_the_end():
    store = MemoryStore()
    store.append("s", OPEN)
    folder = store.files("s").parent
    assert folder.is_dir()
    (folder / "checkpoint").write_text("weights")
    store.close()
    assert not folder.exists()
    again = store.files("s").parent
    assert again.is_dir()
    assert again != folder
    del store
    gc.collect()
    assert not again.exists()
