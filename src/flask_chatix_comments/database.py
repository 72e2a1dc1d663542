"""The registry's tables, how its values are stored, and the engine: what ``registry`` stands on.

SQLite, PostgreSQL, MariaDB and MySQL keep the same bytes, sort them alike and answer what time it is.
"""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import re
import weakref
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite
from sqlalchemy.engine import URL, Connection, Dialect, Engine, ExceptionContext, make_url
from sqlalchemy.engine.interfaces import DBAPIModule
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeDecorator, TypeEngine

from .errors import RegistryError

BUSY_TIMEOUT_S = 10
MAX_KEY_CHARS = 255
MAX_BROWSER_CHARS = 64
# Our hub, standing in for the service, answers a whole ticket.
MAX_SERVICE_ID_CHARS = 2000
_MYSQL = frozenset({"mysql", "mariadb"})
DIALECTS = _MYSQL | {"sqlite", "postgresql"}
# Deadlocks, locks that were not to be had in time, and what could not be put in order beside other transactions:
# PostgreSQL's SQLSTATE, MariaDB's numbers.
_ASKED_AGAIN = frozenset({"40001", "40P01", "55P03", 1020, 1205, 1213})
# Nothing may be written here: it is a replica, or was made one.
_READ_ONLY = frozenset({"25006", 1290, 1792, 1836})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class ExactText(TypeDecorator[str]):
    """Text that is compared byte for byte: no folding of case, accents or trailing blanks.

    MySQL and MariaDB share no collation that leaves trailing blanks alone, so they get bytes. The
    order, too, is the same everywhere: that of code points.
    """

    impl = sa.String
    cache_ok = True

    def __init__(self, length: int) -> None:
        super().__init__(length)
        self.length = length

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Choose the column's type."""
        return dialect.type_descriptor(self._kept_as(dialect.name))

    def plain(self) -> TypeEngine[Any]:
        """Return the column's type in SQLAlchemy's own words, which a migration script can repeat."""
        plain: TypeEngine[Any] = sa.String(self.length)
        for name in sorted(DIALECTS):
            plain = plain.with_variant(self._kept_as(name), name)
        return plain

    def _kept_as(self, dialect_name: str) -> TypeEngine[Any]:
        if dialect_name in _MYSQL:
            return sa.VARBINARY(4 * self.length)
        return sa.String(self.length, collation="C" if dialect_name == "postgresql" else "BINARY")

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Python to database."""
        return value.encode() if value is not None and dialect.name in _MYSQL else value

    def process_result_value(self, value: Any | None, dialect: Dialect) -> str | None:
        """Database to Python."""
        return bytes(value).decode() if value is not None and dialect.name in _MYSQL else value


class Moment(TypeDecorator[datetime]):
    """A point in time as microseconds since 1970: the one form in which all databases add a lease alike."""

    impl = sa.BigInteger
    cache_ok = True

    def plain(self) -> TypeEngine[Any]:
        """Return the column's type in SQLAlchemy's own words."""
        return sa.BigInteger()

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:
        """Database to Python; nothing goes the other way, since only the database's clock is asked."""
        return None if value is None else _EPOCH + value * _MICROSECOND


class DatabaseNow(FunctionElement[int]):
    """The database's clock, in microseconds since 1970; it goes on during a transaction."""

    type = sa.BigInteger()
    inherit_cache = True
    name = "database_now"


@compiles(DatabaseNow, "sqlite")
def _sqlite_now(element: DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    # unixepoch('subsec') would need SQLite 3.42; julianday goes by milliseconds.
    return "CAST((julianday('now') - 2440587.5) * 86400000000.0 AS INTEGER)"


@compiles(DatabaseNow, "postgresql")
def _postgresql_now(element: DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


@compiles(DatabaseNow, "mysql", "mariadb")
def _mysql_now(element: DatabaseNow, compiler: SQLCompiler, **kw: Any) -> str:
    return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))"


metadata = sa.MetaData(naming_convention={"pk": "pk_%(table_name)s", "uq": "uq_%(table_name)s_%(column_0_name)s"})
_TABLE_OPTIONS: dict[str, Any] = {
    f"{dialect}_{key}": value for dialect in _MYSQL for key, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}

chatrooms = sa.Table(
    "chatix_chatrooms",
    metadata,
    sa.Column("post_id", ExactText(MAX_KEY_CHARS), primary_key=True),
    sa.Column("chatroom_id", ExactText(MAX_KEY_CHARS)),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("is_private", sa.Boolean, nullable=False),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("claim_token", sa.String(64)),
    sa.Column("claim_owner", sa.String(255)),
    sa.Column("claim_number", sa.Integer, nullable=False),
    sa.Column("claim_expires_at", Moment),
    sa.Column("created_at", Moment, nullable=False),
    sa.Column("updated_at", Moment, nullable=False),
    # Two posts must never share a thread, whatever a service answers.
    sa.UniqueConstraint("chatroom_id"),
    **_TABLE_OPTIONS,
)

visitors = sa.Table(
    "chatix_visitors",
    metadata,
    sa.Column("visitor_key", ExactText(MAX_KEY_CHARS), primary_key=True),
    sa.Column("visitor_id", ExactText(MAX_KEY_CHARS), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    sa.UniqueConstraint("visitor_id"),
    **_TABLE_OPTIONS,
)

# Visitors of the hosted service, whose ids are secrets of theirs: for each user one in each browser.
hosted_visitors = sa.Table(
    "chatix_hosted_visitors",
    metadata,
    sa.Column("visitor_key", ExactText(MAX_KEY_CHARS), primary_key=True),
    sa.Column("browser_id", ExactText(MAX_BROWSER_CHARS), primary_key=True),
    sa.Column("service_id", ExactText(MAX_SERVICE_ID_CHARS), nullable=False),
    sa.Column("created_at", Moment, nullable=False),
    **_TABLE_OPTIONS,
)


def insert_unless_there(dialect: Dialect) -> sa.Insert:
    """Return the statement that inserts a chatroom's row, and does nothing where the post has one."""
    if dialect.name in _MYSQL:
        # Not INSERT IGNORE, which would take anything else that is wrong for all right.
        return mysql.insert(chatrooms).on_duplicate_key_update(post_id=chatrooms.c.post_id)
    insert = postgresql.insert if dialect.name == "postgresql" else sqlite.insert
    return insert(chatrooms).on_conflict_do_nothing(index_elements=["post_id"])


def begin_sqlite(connection: Connection, statement: str) -> None:
    """Begin a transaction by *statement* on a connection to SQLite that has done nothing yet.

    The driver begins one when it thinks fit, which may be too late. An engine of the site's may have rules of its own,
    and have begun one that is of another kind.
    """
    connection.exec_driver_sql("SELECT 1")
    driver_connection: Any = connection.connection.driver_connection
    if driver_connection.in_transaction:
        connection.exec_driver_sql("ROLLBACK")
    connection.exec_driver_sql(statement)


def add_tables(site: sa.MetaData) -> None:
    """Add our tables to the site's metadata, so that its migrations know them; any that it has stay as they are.

    They come to be the same whoever makes them: names of constraints are ours, whatever convention the site
    has, and types need no import of ours in a migration script.
    """
    for table in metadata.sorted_tables:
        copy = table.to_metadata(site) if table.name not in _names(site) else None
        for column in copy.columns if copy is not None else ():
            if isinstance(column.type, (ExactText, Moment)):
                column.type = column.type.plain()


def _names(site: sa.MetaData) -> set[str]:
    return {table.name for table in site.tables.values() if table.schema == site.schema}


@dataclass(frozen=True)
class Database:
    """What the registry works on.

    Attributes:
        is_shared: Whether the engine is the site's own: it is used as it is, and never closed here. A process that
            is forked off gets connections of its own all the same.
        creates_tables: Whether tables that are missing are made on first use.
        schema: Where the tables are, if not in the connection's own schema.

    Raises:
        RegistryError: The registry cannot be kept in a database of this kind.
    """

    engine: Engine
    is_shared: bool = False
    creates_tables: bool = True
    schema: str | None = None

    def __post_init__(self) -> None:
        name = self.engine.dialect.name
        if name not in DIALECTS:
            raise RegistryError(
                f"Chatrooms can be registered in SQLite, PostgreSQL, MariaDB and MySQL, not in {name}. "
                "Set CHATIX_DATABASE_URL to one of them."
            )
        if self.is_shared:
            # Our looks may well be what opened the connections that a process has when it forks.
            _guard_ends()
            _shared_engines.add(self.engine)

    @functools.cached_property
    def committing_engine(self) -> Engine:
        """The engine, for single statements that the database commits by itself."""
        # SQLite's locks are files', which end with their process. An engine for it may have rules of its own for
        # when a transaction begins, which are left alone.
        is_sqlite = self.engine.dialect.name == "sqlite"
        return self.engine if is_sqlite else self.engine.execution_options(isolation_level="AUTOCOMMIT")

    @property
    def place(self) -> str:
        """Where it is, without user name or password."""
        url = self.engine.url
        if self.engine.dialect.name == "sqlite":
            return url.database or ":memory:"
        return f"{url.host or 'local'}/{url.database}"

    def is_passing(self, exc: BaseException | None) -> bool:
        """Tell whether a statement that failed may well succeed when it is sent again."""
        if isinstance(exc, self.driver_error):
            return self.engine.dialect.is_disconnect(exc, None, None)
        return isinstance(exc, DBAPIError) and (exc.connection_invalidated or _has_code(exc, _ASKED_AGAIN))

    @property
    def driver_error(self) -> type[DBAPIModule.Error]:
        """What the driver raises where SQLAlchemy lets it through: when a connection breaks as it is given back."""
        return self.engine.dialect.loaded_dbapi.Error

    def renew_pool(self) -> None:
        """Give connections a new pool: one that has broken in this way keeps its place in the old one for ever."""
        if self.engine.dialect.name != "sqlite":
            self.engine.dispose()

    def explain(self, exc: Exception) -> str:
        """Say what is wrong and what to do, without user name or password."""
        reason = str(exc.orig) if isinstance(exc, DBAPIError) else str(exc)
        first_line = (reason.splitlines() or [type(exc).__name__])[0]
        is_read_only = isinstance(exc, DBAPIError) and _has_code(exc, _READ_ONLY)
        remedy = self._primary_remedy() if is_read_only else self._remedy(first_line)
        return f"The room registry in {self.place} failed: {first_line}. {remedy}"

    def explain_missing(self, names: Iterable[str]) -> str:
        """Say which tables are not there, and how to get them."""
        *first, last = names
        listed = f"{', '.join(first)} and {last}" if first else last
        lacking = f"The room registry in {self.place} lacks {listed}."
        if not self.is_shared:
            return f"{lacking} Run flask chatix db upgrade; or let the site make them: CHATIX_CREATE_TABLES=true."
        return (
            f"{lacking} Migrations make its tables, so run flask db migrate, if no migration has them yet, and flask db"
            " upgrade; or let the site make them: CHATIX_CREATE_TABLES=true."
        )

    def _primary_remedy(self) -> str:
        setting = "CHATIX_DATABASE_BIND names the bind" if self.is_shared else "CHATIX_DATABASE_URL names the server"
        return f"Chatrooms are claimed on the primary: see that {setting} that takes writes, not a read replica."

    def _remedy(self, reason: str) -> str:
        if re.search("no such column|no column named|column .* does not exist|Unknown column", reason):
            is_migrated = self.is_shared and not self.creates_tables
            command = "flask db migrate and flask db upgrade" if is_migrated else "flask chatix db upgrade"
            return f"Its tables are of an earlier version: {command}."
        if "locked" in reason and self.is_shared:
            return (
                "Something else holds a transaction on this file for longer than SQLite waits. Commit the site's "
                "session before comments are asked for in the same request, or give the registry a file of its own: "
                "CHATIX_DATABASE_URL=sqlite:///chatix_comments.sqlite3."
            )
        setting = "what Flask-SQLAlchemy was given" if self.is_shared else "CHATIX_DATABASE_URL"
        if self.engine.dialect.name != "sqlite":
            return f"Check that the database runs and that {setting} names it and a user who may write."
        return "Check that this file and its folder can be written, or set CHATIX_DATABASE_URL to another."


def _has_code(exc: DBAPIError, codes: Container[object]) -> bool:
    """Tell whether the database calls an error one of *codes*: PostgreSQL's SQLSTATE, MariaDB's number.

    Drivers of MariaDB may have a SQLSTATE beside the number, which tells less.
    """
    orig: Any = exc.orig
    first = orig.args[0] if getattr(orig, "args", ()) else None
    return any(code in codes for code in (first, getattr(orig, "sqlstate", None), getattr(orig, "pgcode", None)))


def create_registry_engine(database_url: str) -> Engine:
    """Return an engine for *database_url*, safe for threads and for processes that fork.

    The folder of an SQLite file is created. An SQLite database in memory lives as long as the engine.

    Raises:
        RegistryError: The URL is none, its driver is not installed or the folder cannot be created.
    """
    try:
        url = make_url(database_url)
    except (SQLAlchemyError, ValueError):
        # Without the cause: it may quote a piece of the password.
        raise _unusable("it is no SQLAlchemy URL") from None
    is_sqlite = url.get_backend_name() == "sqlite"
    try:
        if is_sqlite and _is_file(url):
            Path(str(url.database)).parent.mkdir(parents=True, exist_ok=True)
        engine = sa.create_engine(url, **(_sqlite_options(url) if is_sqlite else _SERVER_OPTIONS))
    except (NoSuchModuleError, ImportError, OSError) as exc:
        raise _unusable(str(exc)) from exc
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        if _is_file(url):
            sa.event.listen(engine, "do_connect", functools.partial(_create_private, str(url.database)))
    else:
        sa.event.listen(engine, "handle_error", _leave_replica)
    _guard_ends()
    _engines.add(engine)
    return engine


def _unusable(reason: str) -> RegistryError:
    return RegistryError(
        f"The database that CHATIX_DATABASE_URL names cannot be used: {reason}. It is a URL such as "
        "sqlite:////srv/blog/chatix.sqlite, its folder must be writable and its driver installed."
    )


def _is_file(url: URL) -> bool:
    return bool(url.database) and url.database != ":memory:" and not str(url.database).startswith("file:")


def _sqlite_options(url: URL) -> dict[str, Any]:
    options: dict[str, Any] = {"poolclass": sa.QueuePool, "connect_args": {"check_same_thread": False}}
    # One connection, lent to one thread at a time, is what keeps a database in memory alive and whole.
    return options if _is_file(url) else options | {"pool_size": 1, "max_overflow": 0}


_SERVER_OPTIONS: dict[str, Any] = {"pool_pre_ping": True, "isolation_level": "READ COMMITTED"}


def _leave_replica(context: ExceptionContext) -> None:
    """After a failover, connect anew: the server that we are connected to has become a replica."""
    if isinstance(context.sqlalchemy_exception, DBAPIError) and _has_code(context.sqlalchemy_exception, _READ_ONLY):
        context.is_disconnect = True


def _create_private(file: str, *_: object) -> None:
    """Before SQLite does, make the file for its owner only; those beside it get the same mode.

    It says who of the site's users is who. One that exists keeps its mode; where it cannot be made, SQLite
    says so better.
    """
    with contextlib.suppress(OSError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _prepare_sqlite(connection: Any, record: object) -> None:
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_S * 1000}")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.execute("PRAGMA synchronous = FULL")
    # The change to WAL does not wait for a lock. Whoever holds one is changing to it as well, or the
    # next connection will; a database that cannot be written says so when it is.
    with contextlib.suppress(connection.OperationalError):
        cursor.execute("PRAGMA journal_mode = WAL")
    cursor.close()


_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_shared_engines: weakref.WeakSet[Engine] = weakref.WeakSet()
_inherited: list[object] = []


@functools.cache
def _guard_ends() -> None:
    atexit.register(_close_connections)
    if hasattr(os, "register_at_fork"):  # pragma: no branch - only Windows has none, and it never forks
        os.register_at_fork(after_in_child=_abandon_connections)


def _close_connections() -> None:
    """At the end of the process, whatever threads are still about: SQLite then folds its log into its file."""
    for engine in list(_engines):
        engine.dispose()


def _abandon_connections() -> None:
    """In a forked child: never use, nor close, the parent's connections."""
    for engine in [*_engines, *_shared_engines]:
        # Kept for ever: to close a connection here would end it, or drop its locks, in the parent.
        _inherited.append(engine.pool)
        engine.dispose(close=False)
