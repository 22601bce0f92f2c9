"""Statements that are sent straight to the driver: SQLAlchemy makes their text once, and its errors of the driver's.

Its own way to the driver takes several times as long as SQLite takes to execute them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

Values = Mapping[str, Any]


class Statement:
    """A statement of SQLAlchemy's whose text does not depend on its values.

    `columns`: for an insert, the columns whose values come with `run`.
    """

    def __init__(self, statement: sa.ClauseElement, columns: Sequence[str] | None = None) -> None:
        self._statement = statement
        self._columns = columns
        self._forms: dict[str, tuple[str, Values, Sequence[str] | None]] = {}

    def run(self, connection: sa.Connection, values: Values) -> Any:
        """Execute it; the driver's cursor. Raises SQLAlchemy's errors."""
        text, fixed, places = self._form(connection.dialect)
        return send(connection, "execute", text, _arranged(fixed, values, places))

    def run_many(self, connection: sa.Connection, rows: Sequence[Values]) -> None:
        """Execute it for each row."""
        text, fixed, places = self._form(connection.dialect)
        if len(rows) == 1:
            send(connection, "execute", text, _arranged(fixed, rows[0], places))
        else:
            send(connection, "executemany", text, [_arranged(fixed, row, places) for row in rows])

    def _form(self, dialect: sa.Dialect) -> tuple[str, Values, Sequence[str] | None]:
        """The text, the values that stand in it, and the order of values where the text numbers them."""
        if dialect.name not in self._forms:
            compiled: Any = self._statement.compile(dialect=dialect, column_keys=self._columns)
            fixed = {name: bind.value for name, bind in compiled.binds.items() if not bind.required}
            self._forms[dialect.name] = str(compiled), fixed, compiled.positiontup
        return self._forms[dialect.name]


def _arranged(fixed: Values, values: Values, places: Sequence[str] | None) -> Any:
    every = {**fixed, **values} if fixed else values
    return every if places is None else [every[name] for name in places]


def send(connection: sa.Connection, how: str, text: str, values: Any = ()) -> Any:
    """Let the driver's cursor execute a text; the cursor."""
    driver: Any = connection.connection.driver_connection
    kinds: Any = connection.dialect.dbapi
    try:
        cursor = driver.cursor()
        getattr(cursor, how)(text, values)
    except kinds.Error as error:
        raise _wrapped(connection, text, error, driver) from error
    return cursor


def _wrapped(connection: sa.Connection, text: str, error: Any, driver: Any) -> BaseException:
    """What SQLAlchemy would have raised; a lost connection is not used again."""
    dialect: Any = connection.dialect
    lost = dialect.is_disconnect(error, driver, None)
    if lost:
        connection.invalidate(error)
    kind: Any = dialect.dbapi.Error
    wrapped: BaseException = DBAPIError.instance(
        text, None, error, kind, hide_parameters=True, connection_invalidated=lost, dialect=dialect
    )
    return wrapped
