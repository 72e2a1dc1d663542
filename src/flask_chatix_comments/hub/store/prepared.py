"""Statements that every posted message needs, handed to the driver as they are.

SQLAlchemy takes several times as long to execute one of these as SQLite does to carry it out. So they are
compiled once for each kind of database, and only their values are new each time. For columns of plain types:
what comes back is what the driver makes of it, and SQLite has numbers for booleans.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError


class _Compiled(NamedTuple):
    """A statement for one kind of database.

    Attributes:
        names: Those of its values in order, where the driver takes them by that.
        constants: Values that are part of the statement.
    """

    text: str
    names: list[str] | None
    constants: dict[str, Any]


class Prepared:
    """A statement with ``bindparam``s; execute it within a transaction."""

    def __init__(self, statement: sa.ClauseElement) -> None:
        self._statement = statement
        self._compiled: dict[str, _Compiled] = {}

    def first(self, connection: sa.Connection, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the first row, if there is one."""
        cursor = self._execute(connection, values)
        try:
            row: tuple[Any, ...] | None = cursor.fetchone()
        finally:
            cursor.close()
        return row

    def all(self, connection: sa.Connection, values: Mapping[str, Any]) -> list[tuple[Any, ...]]:
        """Return all rows."""
        cursor = self._execute(connection, values)
        try:
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        finally:
            cursor.close()
        return rows

    def run(self, connection: sa.Connection, values: Mapping[str, Any]) -> int:
        """Execute a statement without rows; return how many it has changed."""
        cursor = self._execute(connection, values)
        try:
            count: int = cursor.rowcount
        finally:
            cursor.close()
        return count

    def _execute(self, connection: sa.Connection, values: Mapping[str, Any]) -> Any:
        text, names, constants = self._compile(connection.dialect)
        if constants:
            values = {**constants, **values}
        cursor = connection.connection.cursor()
        try:
            cursor.execute(text, values if names is None else [values[name] for name in names])
        except connection.dialect.loaded_dbapi.Error as exc:
            cursor.close()
            # As SQLAlchemy would, and without the values: they are what people write.
            raise DBAPIError(text, None, exc, hide_parameters=True) from exc
        return cursor

    def _compile(self, dialect: sa.Dialect) -> _Compiled:
        found = self._compiled.get(dialect.name)
        if found is None:
            compiled: Any = self._statement.compile(dialect=dialect)
            names = list(compiled.positiontup) if compiled.positional else None
            constants = {name: value for name, value in compiled.params.items() if value is not None}
            found = self._compiled[dialect.name] = _Compiled(str(compiled), names, constants)
        return found
