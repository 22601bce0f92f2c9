"""From what a person writes in `store=` to a Store."""

from __future__ import annotations

import os
from importlib.metadata import entry_points

from tunewell.errors import StoreError
from tunewell.protocols import Store
from tunewell.stores.memory import MemoryStore

SQL = ("sqlite", "postgres", "postgresql", "postgresql+psycopg")


def open_store(where: str | os.PathLike[str] | Store | None = None, *, create: bool = True) -> Store:
    """The store at `where`: a path or an address; None or "memory" for one in memory; a Store is handed back.

    The scheme of an address that is not ours names a plugin of the entry-point group `tunewell.stores`, which is
    called with the address. With `create=False` a place that holds no studies is an error.
    """
    if where is None or where == "memory":
        return MemoryStore()
    if not isinstance(where, str | os.PathLike):
        return where
    scheme, mark, _ = os.fspath(where).partition("://")
    if mark and scheme not in SQL:
        return _plugin(scheme, os.fspath(where))
    from tunewell.stores.sql import SqlStore  # SQLAlchemy takes half a second to import

    return SqlStore(where, create=create)


def _plugin(scheme: str, where: str) -> Store:
    for entry in entry_points(group="tunewell.stores", name=scheme):
        store: Store = entry.load()(where)
        return store
    raise StoreError(
        f"a store of kind {scheme!r} is unknown",
        hint="Write a path, postgresql://USER:PASSWORD@HOST/DATABASE, or install the plugin that brings it.",
    )
