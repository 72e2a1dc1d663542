"""The hub's database: how it is opened, how it is read and written, and how it is.

SQLite keeps a write-ahead log and flushes it at every commit, so that what has been acknowledged
survives the loss of power. The event loop never waits for the disk: see ``writer``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ...errors import ConfigError, StoreError
from .base import Batch, Disk
from .migrations import prepare, touch
from .writer import DatabaseThreads, database_reason

T = TypeVar("T")

BUSY_TIMEOUT_S = 10
READER_THREADS = 2
#: So many writes that wait share one commit.
MAX_BATCH = 200

#: The log grows while somebody reads for long, such as a backup, and is cut to this size afterwards.
MAX_LOG_BYTES = 64 * 1024 * 1024
#: Not every SQLite overwrites what is deleted unless it is told to.
PRAGMAS = (
    *("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "secure_delete=ON"),
    f"journal_size_limit={MAX_LOG_BYTES}",
)
#: So long may those who read keep the write-ahead log from being emptied; meanwhile nobody writes.
SCRUB_S = 0.2

logger = logging.getLogger(__name__)

#: By this SQLAlchemy's log tells our engines from those of the site.
LOGGING_NAME = "chatix-hub"


class SqlDatabase:
    """Reads and writes by functions that are given a connection, each in a transaction of its own.

    Args:
        database_url: An SQLAlchemy URL.

    Raises:
        ConfigError: It is no such URL, or names a database in memory, which no second connection sees.
    """

    def __init__(self, database_url: str) -> None:
        try:
            url = sa.make_url(database_url)
            is_file = url.get_backend_name() == "sqlite"
            if is_file and (not url.database or ":memory:" in url.database):
                raise ConfigError("database_url", "the hub needs a file; an SQLite database in memory loses all.")
            self._reading = _create_engine(url, begin="BEGIN")
            self._writing = _create_engine(url, begin="BEGIN IMMEDIATE")
        except (ArgumentError, NoSuchModuleError, ModuleNotFoundError) as exc:
            raise ConfigError("database_url", f"not a database URL that can be used: {exc}") from exc
        is_path = is_file and url.database and not url.database.startswith("file:")
        self._file = Path(str(url.database)) if is_path else None
        self._lock = threading.Lock()
        self._readers: DatabaseThreads | None = None
        self._writer: DatabaseThreads | None = None
        self._watchers: list[Callable[[Batch], None]] = []

    def open(self) -> None:
        """Make the tables where they are missing, bring older ones up to date, and start the threads.

        Raises:
            StoreError: The database cannot be used; the message names it and says why.
        """
        with self._lock:
            if self._writer is not None:
                return
            try:
                if self._file is not None:
                    _create_private(self._file)
                with self._writing.begin() as connection:
                    prepare(connection)
            except StoreError:
                self._writing.dispose()
                raise
            except (SQLAlchemyError, OSError) as exc:
                self._writing.dispose()
                place = self._file or self._writing.url.render_as_string(hide_password=True)
                raise StoreError(f"The hub's database {place} cannot be used: {database_reason(exc)}") from exc
            self._writer = DatabaseThreads(
                self._writing, name="chatix-hub-writer", count=1, max_batch=MAX_BATCH, watch=self._report
            )
            self._readers = DatabaseThreads(self._reading, name="chatix-hub-reader", count=READER_THREADS, max_batch=1)

    async def close(self) -> None:
        """Finish what was begun, then let go of the database."""
        writer, readers = self._writer, self._readers
        self._writer = self._readers = None
        if writer and readers:
            await writer.close()
            await readers.close()
        self._reading.dispose()
        self._writing.dispose()

    async def _read(self, statement: Callable[..., T], *args: Any) -> T:
        if self._readers is None:
            raise StoreError("The hub's database is not open.")
        return await self._readers.submit(lambda connection: statement(connection, *args))

    async def _write(self, statement: Callable[..., T], *args: Any) -> T:
        if self._writer is None:
            raise StoreError("The hub's database is not open.")
        return await self._writer.submit(lambda connection: statement(connection, *args))

    # How it is

    def watch(self, watcher: Callable[[Batch], None]) -> None:
        """See ``MessageStore``."""
        self._watchers.append(watcher)

    def _report(self, batch: Batch) -> None:
        for watcher in self._watchers:
            watcher(batch)

    async def try_to_write(self) -> None:
        """See ``MessageStore``."""
        await self._write(touch)

    async def scrub(self) -> bool:
        """See ``MessageStore``."""
        return self._file is None or await asyncio.to_thread(_empty_log, self._file)

    def disk(self) -> Disk | None:
        """See ``MessageStore``."""
        if self._file is None:
            return None
        files = (self._file, *(Path(f"{self._file}{suffix}") for suffix in ("-wal", "-shm")))
        return Disk(sum(map(_size_bytes, files)), shutil.disk_usage(self._file.parent).free)


def _empty_log(file: Path) -> bool:
    """Copy all of the write-ahead log to where it belongs, and leave nothing in it; return whether that could be."""
    try:
        with contextlib.closing(sqlite3.connect(file, timeout=SCRUB_S)) as connection:
            is_busy, _, _ = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as exc:
        logger.warning("The log of the hub's database could not be emptied: %s", exc)
        return False
    return not is_busy


def _size_bytes(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        # SQLite removes the files beside the database when the last one closes it.
        return 0


@contextlib.contextmanager
def open_database(url: sa.URL, *, begin: str) -> Iterator[sa.Engine]:
    """Open a database beside a hub that may have it.

    Args:
        begin: How a transaction begins: ``BEGIN`` is for those who only read.
    """
    engine = _create_engine(url, begin=begin)
    try:
        yield engine
    finally:
        engine.dispose()


def _create_private(file: Path) -> None:
    """Make the file, if it is missing, for its owner only; SQLite's files beside it get the same mode.

    It holds e-mail addresses and whispers. Who has made it with other rights, has done so on purpose.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError):
        os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))


def _is_about_no_row(record: logging.LogRecord) -> bool:
    """Whether a line of SQLAlchemy's log may be written: below the level INFO it holds what a query has found."""
    return record.levelno >= logging.INFO


def _create_engine(url: sa.URL, *, begin: str) -> sa.Engine:
    # Parameters and rows are what people write, and belong in no log and no error.
    discreet: dict[str, Any] = {"hide_parameters": True, "logging_name": LOGGING_NAME}
    logging.getLogger(f"sqlalchemy.engine.Engine.{LOGGING_NAME}").addFilter(_is_about_no_row)
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(url, pool_pre_ping=True, **discreet)
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_TIMEOUT_S}, **discreet)

    # The driver would begin transactions at moments of its own choosing, and break savepoints.
    @sa.event.listens_for(engine, "connect")
    def _configure(dbapi_connection: Any, _record: object) -> None:
        dbapi_connection.isolation_level = None
        for pragma in PRAGMAS:
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
