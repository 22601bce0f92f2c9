"""Which store, and which study in it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from tunewell.errors import StudyError

if TYPE_CHECKING:
    from tunewell.live import LiveStudy
    from tunewell.protocols import Store

DEFAULT = "tune.db"

store_option = click.option(
    "--store",
    envvar="TUNEWELL_STORE",
    default=DEFAULT,
    show_default=True,
    show_envvar=True,
    metavar="FILE|URL",
    help="Where the studies are kept.",
)
name_argument = click.argument("name", required=False)


def default_store() -> str:
    """The store where nobody names one."""
    return os.environ.get("TUNEWELL_STORE") or DEFAULT


def store_words(where: str) -> list[str]:
    """The option that names a store, where it needs one."""
    return [] if where == default_store() else ["--store", where]


class Unchecked(dict[str, Callable[[Any], Any]]):
    """Stands for all constraints and known numbers that are functions: a log holds only their names, and who looks
    needs no more.
    """

    def __bool__(self) -> bool:
        return True

    def __contains__(self, name: object) -> bool:
        return True

    def __missing__(self, name: str) -> Callable[[Any], Any]:
        return _unknown


def _unknown(config: Any) -> Any:
    """As a rule says that asks for what is not active: a constraint is satisfied, a number is unknown."""
    from tunewell.space.constraint import Inactive

    raise Inactive


@contextmanager
def handed_on(store: Store) -> Iterator[Store]:
    """A store that a study is to keep open; it is closed where that fails."""
    try:
        yield store
    except BaseException:
        store.close()
        raise


@contextmanager
def opened_store(where: str) -> Iterator[Store]:
    """A store that exists. Raises StoreError where there is none."""
    from tunewell.stores.address import open_store

    store = open_store(where, create=False)
    try:
        yield store
    finally:
        store.close()


@contextmanager
def opened(where: str, name: str | None, *, lenient: bool = True) -> Iterator[LiveStudy]:
    """The study called `name`, or the only one of the store.

    With `lenient`, constraints that are functions are taken to hold: for who only looks.
    """
    from tunewell.live import LiveStudy

    with opened_store(where) as store:
        study = LiveStudy(store, chosen(store, where, name), Unchecked() if lenient else None)
        study.refresh()
        study.files = store.files(study.name)
        yield study


def chosen(store: Store, where: str, name: str | None) -> str:
    """`name` where the store has it, or the name of its only study. Raises StudyError."""
    from tunewell.space.values import nearest_hint

    names = store.studies()
    if not names:
        raise StudyError(f"there is no study in {where}", hint="To begin one: tunewell run study.toml")
    if name is None and len(names) > 1:
        shown = ", ".join(map(repr, names[:10])) + (", ..." if len(names) > 10 else "")
        raise StudyError(f"there are {len(names)} studies in {where}, name one", hint=f"They are: {shown}")
    if name is not None and name not in names:
        raise StudyError(f"there is no study {name!r} in {where}", hint=nearest_hint(name, names))
    return name if name is not None else names[0]
