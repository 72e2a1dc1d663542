"""Bring the registry's tables up to date: the revisions in ``migrations/``, run by Alembic.

Alembic is needed for that alone and is imported here alone, inside functions: no page needs it.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import SQLAlchemyError

from .database import Database, begin_sqlite
from .errors import SchemaError

if TYPE_CHECKING:
    from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
VERSION_TABLE = "chatix_schema_version"
#: By what tables are recognised that the registry has made itself: a column of each revision that the one before
#: does not have. A revision is there when its own and those of all before it are.
LANDMARKS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "0001": (
        ("chatix_chatrooms", "post_id"),
        ("chatix_visitors", "visitor_key"),
        ("chatix_hosted_visitors", "service_id"),
    ),
}
_LOCK_NUMBER = 0x63686174
_LOCK_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class SchemaState:
    """How far the registry's tables are.

    Attributes:
        revision: Theirs; ``None``: there are none, or not all of the first revision.
        newest: The newest revision that this version of the package knows.
        is_stamped: Whether the database says so; else it has been recognised by what is there.
    """

    revision: str | None
    newest: str
    is_stamped: bool

    @property
    def is_newest(self) -> bool:
        """Whether nothing is to be done."""
        return self.revision == self.newest


def current(database: Database) -> SchemaState:
    """Return how far the tables are.

    Raises:
        SchemaError: Alembic is not installed, or the site's own migrations are in charge.
        RegistryError: The database cannot be read.
    """
    config = _config(database)
    with _connection(database) as connection:
        return _state(config, connection, database.schema)


def upgrade(database: Database) -> tuple[SchemaState, SchemaState]:
    """Bring the tables up to date, or make them; return how far they were and are.

    All of it is done or, where the database can do that, nothing. Two at once wait for each other.

    Raises:
        SchemaError: As for ``current``; or the tables are of a later version than this package.
        RegistryError: The database cannot be changed.
    """
    config = _config(database)
    from alembic import command

    with _connection(database, is_for_changes=True) as connection:
        before = _state(config, connection, database.schema)
        _attach(config, connection, database.schema)
        if before.revision is not None and not before.is_stamped:
            command.stamp(config, before.revision)
        command.upgrade(config, "head")
        return before, _state(config, connection, database.schema)


def stamp(database: Database, revision: str) -> SchemaState:
    """Note that the tables are of *revision*, and change nothing else; ``head`` is the newest one.

    Raises:
        SchemaError: There is no such revision, or as for ``current``.
        RegistryError: The database cannot be changed.
    """
    config = _config(database)
    from alembic import command
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError

    try:
        known = ScriptDirectory.from_config(config).get_revision(revision)
    except CommandError as exc:
        raise SchemaError(f"There is no revision {revision!r} of the registry's tables.") from exc
    with _connection(database, is_for_changes=True) as connection:
        _attach(config, connection, database.schema)
        command.stamp(config, known.revision, purge=True)
        return _state(config, connection, database.schema)


def _config(database: Database) -> Config:
    if database.is_shared and not database.creates_tables:
        raise SchemaError(
            "The site's migrations have the registry's tables, so that they are brought up to date by those: flask db"
            " migrate, then flask db upgrade. Only where CHATIX_CREATE_TABLES is true, or the registry has a database"
            " of its own (CHATIX_DATABASE_URL), this command does it."
        )
    try:
        from alembic.config import Config
    except ImportError as exc:
        raise SchemaError(
            "Alembic is not installed, which changes the registry's tables: pip install"
            " 'flask-chatix-comments[migrations]'."
        ) from exc
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    return config


def _attach(config: Config, connection: Connection, schema: str | None) -> None:
    config.attributes.update(connection=connection, schema=schema, version_table=VERSION_TABLE)


@contextlib.contextmanager
def _connection(database: Database, *, is_for_changes: bool = False) -> Iterator[Connection]:
    """Lend a connection, and commit in the end; changes go one after the other, whoever makes them."""
    try:
        with database.engine.connect() as connection, _lock(connection) if is_for_changes else contextlib.nullcontext():
            yield connection
            connection.commit()
    except SQLAlchemyError as exc:
        raise SchemaError(database.explain(exc)) from exc


@contextlib.contextmanager
def _lock(connection: Connection) -> Iterator[None]:
    match connection.dialect.name:
        case "sqlite":
            begin_sqlite(connection, "BEGIN IMMEDIATE")
            yield
        case "postgresql":
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK_NUMBER)))
            yield
        case _:
            # Each change of a table ends the transaction here, so that the lock is the connection's.
            connection.execute(sa.select(sa.func.get_lock(VERSION_TABLE, _LOCK_WAIT_S)))
            try:
                yield
            finally:
                connection.execute(sa.select(sa.func.release_lock(VERSION_TABLE)))


def _state(config: Config, connection: Connection, schema: str | None) -> SchemaState:
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory.from_config(config)
    newest = script.get_current_head()
    assert newest is not None
    options = {"version_table": VERSION_TABLE, "version_table_schema": schema}
    revision = MigrationContext.configure(connection, opts=options).get_current_revision()
    if revision is None:
        return SchemaState(_recognized(connection, schema), newest, is_stamped=False)
    if revision not in {known.revision for known in script.walk_revisions()}:
        raise SchemaError(
            f"The registry's tables are of revision {revision}, which this version of the package does not know: it is"
            " older than them. Install the newer one again."
        )
    return SchemaState(revision, newest, is_stamped=True)


def _recognized(connection: Connection, schema: str | None) -> str | None:
    """Return the revision of tables that the registry, or ``create_all``, has made."""
    inspector = sa.inspect(connection)
    found: str | None = None
    for revision, columns in LANDMARKS.items():
        for table, column in columns:
            if not inspector.has_table(table, schema):
                return found
            if column not in {known["name"] for known in inspector.get_columns(table, schema)}:
                return found
        found = revision
    return found
