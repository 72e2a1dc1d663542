"""Statements that go to the driver as they are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.exc import DBAPIError

from flask_chatix_comments.hub.store.prepared import Prepared
from flask_chatix_comments.hub.store.writer import database_reason

table = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.String(10), primary_key=True),
    sa.Column("number", sa.Integer),
    sa.Column("is_good", sa.Boolean),
)
INSERT = Prepared(table.insert())
FIND = Prepared(sa.select(table.c.number, table.c.is_good).where(table.c.id == sa.bindparam("key")).with_for_update())
COUNT_ON = Prepared(
    table.update().where(table.c.id == sa.bindparam("key")).values(number=table.c.number + sa.bindparam("more"))
)


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[sa.Connection]:
    """Within a transaction."""
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'things.sqlite3'}", hide_parameters=True)
    with engine.begin() as connection:
        table.create(connection)
        INSERT.run(connection, {"id": "a", "number": 1, "is_good": True})
    with engine.connect() as connection:
        connection.begin()
        yield connection
    engine.dispose()


def test_rows_are_put_in_found_and_changed(connection: sa.Connection) -> None:
    assert FIND.first(connection, {"key": "a"}) == (1, True)
    assert FIND.first(connection, {"key": "b"}) is None
    assert COUNT_ON.run(connection, {"key": "a", "more": 2}) == 1
    assert COUNT_ON.run(connection, {"key": "b", "more": 2}) == 0
    assert FIND.first(connection, {"key": "a"}) == (3, True)


def test_what_is_part_of_the_statement_need_not_be_given(connection: sa.Connection) -> None:
    for number in range(2, 5):
        INSERT.run(connection, {"id": f"b{number}", "number": number, "is_good": False})
    statement = sa.select(table.c.id).where(table.c.number > 1).order_by(table.c.id).limit(sa.bindparam("count"))
    assert Prepared(statement).all(connection, {"count": 2}) == [("b2",), ("b3",)]


def test_they_are_part_of_the_transaction(connection: sa.Connection) -> None:
    COUNT_ON.run(connection, {"key": "a", "more": 2})
    connection.rollback()
    connection.begin()
    assert FIND.first(connection, {"key": "a"}) == (1, True)


def test_errors_are_sqlalchemys_and_tell_no_values(connection: sa.Connection) -> None:
    with pytest.raises(DBAPIError) as caught:
        INSERT.run(connection, {"id": "a", "number": "what somebody wrote", "is_good": True})
    assert "what somebody wrote" not in str(caught.value)
    assert database_reason(caught.value) == "UNIQUE constraint failed: things.id"


def test_a_value_that_is_missing_is_an_error(connection: sa.Connection) -> None:
    with pytest.raises(KeyError, match="number"):
        INSERT.run(connection, {"id": "b", "is_good": True})


def test_each_kind_of_database_gets_its_own_text() -> None:
    def text(dialect: sa.Dialect) -> str:
        return FIND._compile(dialect).text.replace("\n", "").partition("WHERE ")[2]

    texts = [text(dialect) for dialect in (sqlite.dialect(), postgresql.dialect(), mysql.dialect())]  # type: ignore[no-untyped-call]  # SQLAlchemy's dialects have no types
    assert texts == ["things.id = ?", "things.id = %(key)s::VARCHAR FOR UPDATE", "things.id = %s FOR UPDATE"]
