"""The store in an SQL database, a file of SQLite in practice.

SQLite keeps a write-ahead log and flushes it at every commit, so that what has been acknowledged
survives the loss of power. The event loop never waits for the disk: see ``writer``.
"""

from __future__ import annotations

import contextlib
import logging
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from ...errors import ConfigError, StoreError
from ...models import Chatroom, Message, Profile
from . import chatrooms, forgetting, messages, people, uploads
from .base import Appended, Batch, Changes, Cursor, Disk, History, Hold, Place, Upload, UploadTotals
from .migrations import prepare, touch
from .writer import DatabaseThreads, database_reason

T = TypeVar("T")

BUSY_TIMEOUT_S = 10
READER_THREADS = 2
#: So many writes that wait share one commit.
MAX_BATCH = 200
CACHED_CHATROOMS = 10_000

#: By this SQLAlchemy's log tells our engines from those of the site.
LOGGING_NAME = "chatix-hub"


class SqlStore:
    """A ``MessageStore``. One process has one: it keeps chatrooms in memory.

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
        self._cache: OrderedDict[str, Chatroom] = OrderedDict()
        self._cache_age = 0
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

    def disk(self) -> Disk | None:
        """See ``MessageStore``."""
        if self._file is None:
            return None
        files = (self._file, *(Path(f"{self._file}{suffix}") for suffix in ("-wal", "-shm")))
        return Disk(sum(map(_size_bytes, files)), shutil.disk_usage(self._file.parent).free)

    # Chatrooms

    async def create_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom:
        """See ``MessageStore``."""
        return await self._write(chatrooms.create, chatroom, now)

    async def find_chatroom(self, chatroom_id: str) -> Chatroom | None:
        """See ``MessageStore``. Asked at every call of a hub method, so it is answered from memory if it can be.

        It never is for one that is not open to all: who is told that there is none could tell it by the time.
        """
        cached = self._cache.get(chatroom_id)
        if cached is not None:
            self._cache.move_to_end(chatroom_id)
            return cached
        age = self._cache_age
        found = await self._read(chatrooms.find, chatroom_id)
        is_open = found is not None and not found.is_private and not found.is_deleted
        if found is not None and is_open and age == self._cache_age:
            self._cache[chatroom_id] = found
            if len(self._cache) > CACHED_CHATROOMS:
                self._cache.popitem(last=False)
        return found

    async def find_chatroom_by_external_id(self, external_id: str) -> Chatroom | None:
        """See ``MessageStore``."""
        return await self._read(chatrooms.find_by_external_id, external_id)

    async def update_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom | None:
        """See ``MessageStore``."""
        try:
            return await self._write(chatrooms.update, chatroom, now)
        finally:
            self._drop_cached(chatroom.chatroom_id)

    async def purge_chatrooms(self, *, deleted_before: datetime, now: datetime) -> list[str]:
        """See ``MessageStore``."""
        purged = await self._write(chatrooms.purge, deleted_before, now)
        self._drop_cached(*purged)
        return purged

    def _drop_cached(self, *chatroom_ids: str) -> None:
        # A reader that is under way may have seen the old row: it must not put that back.
        self._cache_age += 1
        for chatroom_id in chatroom_ids:
            self._cache.pop(chatroom_id, None)

    async def name_chatroom(self, chatroom_id: str, external_id: str | None) -> None:
        """See ``MessageStore``."""
        try:
            await self._write(chatrooms.name, chatroom_id, external_id)
        finally:
            # Who has lost the name is not known here; this is done by hand, and rarely.
            self._cache_age += 1
            self._cache.clear()

    async def list_chatrooms(
        self, *, page: int, items_per_page: int, include_deleted: bool
    ) -> tuple[list[Chatroom], int]:
        """See ``MessageStore``."""
        return await self._read(chatrooms.list_all, page, items_per_page, include_deleted)

    async def list_chatrooms_for(
        self, visitor_id: str, *, page: int, items_per_page: int, mine_only: bool, with_private: bool
    ) -> list[Chatroom]:
        """See ``MessageStore``."""
        return await self._read(chatrooms.list_for, visitor_id, page, items_per_page, mine_only, with_private)

    # Messages

    async def append_message(self, draft: Message, *, now: datetime, upload_id: str | None = None) -> Appended | None:
        """See ``MessageStore``."""
        return await self._write(messages.append, draft, now, upload_id)

    async def find_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._read(messages.find, chatroom_id, message_id)

    async def find_message_anywhere(self, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._read(messages.find_anywhere, message_id)

    async def edit_message(self, chatroom_id: str, message_id: str, content: str, *, now: datetime) -> Message | None:
        """See ``MessageStore``."""
        return await self._write(messages.edit, chatroom_id, message_id, content, now)

    async def delete_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._write(messages.delete, chatroom_id, message_id)

    async def page_before(
        self, chatroom_id: str, before: Message | None, *, limit: int, with_whispers: bool
    ) -> History:
        """See ``MessageStore``."""
        return await self._read(messages.page_before, chatroom_id, before, limit, with_whispers)

    async def changes_since(self, chatroom_id: str, cursor: Cursor, *, limit: int, with_whispers: bool) -> Changes:
        """See ``MessageStore``."""
        return await self._read(messages.changes_since, chatroom_id, cursor, limit, with_whispers)

    async def count_messages(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """See ``MessageStore``."""
        return await self._read(messages.count, chatroom_ids)

    async def forget_client_keys(self, *, before: datetime) -> int:
        """See ``MessageStore``."""
        return await self._write(messages.forget_client_keys, before)

    # Uploads

    async def add_upload(self, upload: Upload) -> None:
        """See ``MessageStore``."""
        await self._write(uploads.add, upload)

    async def find_upload(self, upload_id: str) -> Upload | None:
        """See ``MessageStore``."""
        return await self._read(uploads.find, upload_id)

    async def upload_totals(self, visitor_id: str, *, since: datetime) -> UploadTotals:
        """See ``MessageStore``."""
        return await self._read(uploads.totals, visitor_id, since)

    async def condemn_uploads(self, *, unposted_before: datetime) -> int:
        """See ``MessageStore``."""
        return await self._write(uploads.condemn_unposted, unposted_before)

    async def condemned_uploads(self) -> list[str]:
        """See ``MessageStore``."""
        return await self._read(uploads.condemned)

    async def uploads_removed(self, upload_ids: Collection[str]) -> None:
        """See ``MessageStore``."""
        await self._write(uploads.removed, upload_ids)

    async def forget_uploads(self, *, before: datetime) -> int:
        """See ``MessageStore``."""
        return await self._write(uploads.forget, before)

    # Members

    async def put_member(
        self, chatroom_id: str, visitor_id: str, hold: Hold, *, is_manager: bool, now: datetime | None = None
    ) -> None:
        """See ``MessageStore``."""
        await self._write(people.put_member, chatroom_id, visitor_id, hold, is_manager, now or datetime.now(UTC))

    async def remove_member(self, chatroom_id: str, visitor_id: str) -> bool:
        """See ``MessageStore``."""
        return await self._write(people.remove_member, chatroom_id, visitor_id)

    async def memberships(self, visitor_id: str) -> dict[str, Hold]:
        """See ``MessageStore``."""
        return await self._read(people.memberships, visitor_id)

    async def members_on_grace(self) -> list[tuple[str, str]]:
        """See ``MessageStore``."""
        return await self._read(people.members_on_grace)

    async def count_members(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """See ``MessageStore``."""
        return await self._read(people.count_members, chatroom_ids)

    async def list_members(
        self, chatroom_id: str, *, page: int, items_per_page: int, posted_only: bool
    ) -> list[Profile]:
        """See ``MessageStore``."""
        return await self._read(people.list_members, chatroom_id, page, items_per_page, posted_only)

    async def managers_in(self, chatroom_ids: Collection[str], *, posted_only: bool) -> dict[str, list[Profile]]:
        """See ``MessageStore``."""
        return await self._read(people.managers_in, chatroom_ids, posted_only)

    async def chatrooms_posted_in(self, visitor_id: str, chatroom_ids: Collection[str]) -> set[str]:
        """See ``MessageStore``."""
        return await self._read(people.chatrooms_posted_in, visitor_id, chatroom_ids)

    # Visitors

    async def find_visitor(self, visitor_id: str) -> tuple[Profile, datetime] | None:
        """See ``MessageStore``."""
        return await self._read(people.find, visitor_id)

    async def save_visitor(
        self,
        profile: Profile,
        *,
        said_at: datetime | None,
        protect: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """See ``MessageStore``."""
        await self._write(people.save, profile, said_at, protect, now or datetime.now(UTC))

    async def bearers_of(self, name_keys: Collection[str]) -> set[str]:
        """See ``MessageStore``."""
        return await self._read(people.bearers_of, name_keys)

    async def list_managers(self) -> list[Profile]:
        """See ``MessageStore``."""
        return await self._read(people.list_managers)

    async def note_visit(self, visitor_id: str, *, now: datetime) -> None:
        """See ``MessageStore``."""
        await self._write(forgetting.note_visit, visitor_id, now)

    # Forgetting

    async def messages_of(self, visitor_id: str, *, limit: int) -> list[Place]:
        """See ``MessageStore``."""
        return await self._read(forgetting.messages_of, visitor_id, limit)

    async def messages_before(self, moment: datetime, *, files_only: bool, after: datetime, limit: int) -> list[Place]:
        """See ``MessageStore``."""
        return await self._read(forgetting.messages_before, moment, files_only, after, limit)

    async def quiet_chatrooms(self, *, before: datetime, limit: int) -> list[str]:
        """See ``MessageStore``."""
        return await self._read(forgetting.quiet_chatrooms, before, limit)

    async def stale_memberships(self, *, before: datetime, limit: int) -> list[tuple[str, str]]:
        """See ``MessageStore``."""
        return await self._read(forgetting.stale_memberships, before, limit)

    async def condemn_uploads_of(self, visitor_id: str) -> int:
        """See ``MessageStore``."""
        return await self._write(forgetting.condemn_uploads_of, visitor_id)

    async def forget_visitor(self, visitor_id: str) -> bool:
        """See ``MessageStore``."""
        return await self._write(forgetting.forget_visitor, visitor_id)

    async def forget_visitors(self, *, before: datetime, with_names: bool, limit: int) -> int:
        """See ``MessageStore``."""
        return await self._write(forgetting.forget_visitors, before, with_names, limit)


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
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON"):
            dbapi_connection.execute(f"PRAGMA {pragma}")

    @sa.event.listens_for(engine, "begin")
    def _begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)

    return engine
