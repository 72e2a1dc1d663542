"""A database of the time before files is opened, and nothing in it is lost."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from flask_chatix_comments.hub.store.base import Hold
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Chatroom, Message, MessageType, SenderFlag
from tests.hub.store.test_uploads import upload

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, tzinfo=UTC)
VERSION_1 = Path(__file__).with_name("version_1.sql")


@pytest.fixture
def old_database(tmp_path: Path) -> Path:
    path = tmp_path / "hub.sqlite3"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(VERSION_1.read_text())
    return path


async def opened(path: Path) -> SqlStore:
    store = SqlStore(f"sqlite:///{path}")
    store.open()
    return store


async def test_what_is_stored_of_earlier_files_is_their_size(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    store = await opened(path)
    await store.create_chatroom(Chatroom("room", "A post"), now=NOW)
    await store.add_upload(upload("u1", file_bytes=700, stored_bytes=900, created_at=NOW))
    await store.close()
    with closing(sqlite3.connect(path)) as connection:
        for column in ("uploads.stored_bytes", "members.seen_ms", "visitors.seen_ms"):
            table, name = column.split(".")
            connection.execute(f"ALTER TABLE {table} DROP COLUMN {name}")
        connection.executescript("UPDATE schema_info SET version = 3")
    store = await opened(path)
    found = await store.find_upload("u1")
    assert found is not None and (found.file_bytes, found.stored_bytes) == (700, 700)
    assert (await store.upload_totals("ada", since=NOW - timedelta(hours=1))).stored_bytes == 700
    await store.close()


async def test_an_old_database_keeps_its_comments(old_database: Path) -> None:
    store = await opened(old_database)
    page = await store.page_before("files", None, limit=10, with_whispers=True)
    assert page.messages == [
        Message(
            message_id="m3",
            chatroom_id="files",
            type=MessageType.TEXT,
            sender_flag=SenderFlag.VISITOR,
            sender_id="ada",
            sender_name="Ada",
            sent_at=datetime.fromtimestamp(1_700_000_001, UTC),
            edited_at=datetime.fromtimestamp(1_700_000_003, UTC),
            content="Hello, edited",
            seq=1,
            change=3,
            client_key="key-1",
        ),
        Message(
            message_id="m4",
            chatroom_id="files",
            type=MessageType.FILE,
            sender_flag=SenderFlag.MANAGER,
            sender_id="boss",
            sender_name="Boss",
            sent_at=datetime.fromtimestamp(1_700_000_002, UTC),
            file_url="https://elsewhere.example/a.pdf",
            seq=2,
            change=2,
        ),
    ]
    assert await store.find_chatroom("files") == Chatroom("files", "Another post", external_id="post-2")
    assert await store.memberships("ada") == {"files": Hold.LASTING}
    assert await store.find_visitor("ada") is not None
    await store.close()


async def test_an_old_database_takes_what_is_new(old_database: Path) -> None:
    store = await opened(old_database)
    await store.add_upload(upload("u1", chatroom_id="files"))
    draft = Message(
        message_id="m5",
        chatroom_id="files",
        type=MessageType.FILE,
        sender_flag=SenderFlag.VISITOR,
        sender_id="ada",
        sent_at=NOW,
        file_url="/file/u1/a.pdf",
        file_name="a.pdf",
        file_bytes=12,
        width_px=3,
        height_px=4,
    )
    appended = await store.append_message(draft, now=NOW, upload_id="u1")
    assert appended is not None
    assert (appended.message.seq, appended.message.change) == (3, 4)
    assert await store.find_message("files", "m5") == appended.message
    await store.close()


async def test_what_was_deleted_then_counts_from_now(old_database: Path) -> None:
    store = await opened(old_database)
    month = timedelta(days=30)
    assert await store.purge_chatrooms(deleted_before=NOW - month, now=NOW) == []
    assert await store.purge_chatrooms(deleted_before=NOW, now=NOW + month) == []
    assert await store.purge_chatrooms(deleted_before=NOW + timedelta(seconds=1), now=NOW + month) == ["gone"]
    await store.close()
