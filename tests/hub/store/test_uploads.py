"""Uploads as any ``MessageStore`` keeps them, and chatrooms that go for good."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from flask_chatix_comments.hub.store.base import Hold, Upload, UploadTotals
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Chatroom, Message, MessageType, SenderFlag

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)
HOUR = timedelta(hours=1)


def upload(upload_id: str, **more: Any) -> Upload:
    made = Upload(
        upload_id=upload_id,
        chatroom_id="room",
        visitor_id="ada",
        is_image=False,
        media_type="application/pdf",
        file_name="a.pdf",
        file_bytes=1000,
        stored_bytes=1000,
        width_px=None,
        height_px=None,
        created_at=NOW,
    )
    return replace(made, **more)


def message(number: int, *, room: str = "room", **more: Any) -> Message:
    made = Message(
        message_id=f"m{number}",
        chatroom_id=room,
        type=MessageType.FILE,
        sender_flag=SenderFlag.VISITOR,
        sender_id="ada",
        sent_at=NOW,
        file_url=f"/file/u{number}/a.pdf",
        file_name="a.pdf",
        file_bytes=1000,
    )
    return replace(made, **more)


@pytest.fixture
async def room(store: SqlStore) -> str:
    await store.create_chatroom(Chatroom("room", "A post", external_id="post"), now=NOW)
    return "room"


async def post(store: SqlStore, number: int, **more: Any) -> Message:
    await store.add_upload(upload(f"u{number}", **more))
    appended = await store.append_message(
        message(number, room=more.get("chatroom_id", "room")), now=NOW, upload_id=f"u{number}"
    )
    assert appended is not None and appended.is_new
    return appended.message


async def test_an_upload_is_found_as_it_was_stored(store: SqlStore, room: str) -> None:
    picture = upload("u1", is_image=True, media_type="image/png", file_name="ü.png", width_px=40, height_px=30)
    await store.add_upload(picture)
    assert await store.find_upload("u1") == picture
    assert await store.find_upload("u2") is None


async def test_an_upload_has_one_message(store: SqlStore, room: str) -> None:
    stored = await post(store, 1)
    assert (stored.file_name, stored.file_bytes, stored.width_px) == ("a.pdf", 1000, None)
    assert await store.find_message("room", "m1") == stored
    again = await store.append_message(message(2), now=NOW, upload_id="u1")
    assert again is not None
    assert (again.message, again.is_new) == (stored, False)
    assert (await store.count_messages(["room"]))["room"] == 1


async def test_of_many_at_once_one_gets_the_upload(store: SqlStore, room: str) -> None:
    await store.add_upload(upload("u1"))
    outcomes = await asyncio.gather(
        *(store.append_message(message(number), now=NOW, upload_id="u1") for number in range(20))
    )
    assert [one.is_new for one in outcomes if one is not None].count(True) == 1
    assert len({one.message.message_id for one in outcomes if one is not None}) == 1
    assert (await store.count_messages(["room"]))["room"] == 1


async def test_an_upload_that_is_not_there_has_no_message(store: SqlStore, room: str) -> None:
    assert await store.append_message(message(1), now=NOW, upload_id="u1") is None
    await store.add_upload(upload("u1"))
    await store.condemn_uploads(unposted_before=NOW + HOUR)
    assert await store.append_message(message(1), now=NOW, upload_id="u1") is None
    assert (await store.count_messages(["room"]))["room"] == 0


async def test_a_known_key_counts_before_the_upload(store: SqlStore, room: str) -> None:
    await store.add_upload(upload("u1"))
    first = await store.append_message(message(1, client_key="key"), now=NOW, upload_id="u1")
    await store.add_upload(upload("u2"))
    second = await store.append_message(message(2, client_key="key"), now=NOW, upload_id="u2")
    assert first is not None and second is not None
    assert (second.message, second.is_new) == (first.message, False)


async def test_a_file_goes_with_its_message(store: SqlStore, room: str) -> None:
    await post(store, 1)
    await post(store, 2)
    deleted = await store.delete_message("room", "m1")
    assert deleted is not None
    assert (deleted.file_url, deleted.file_name, deleted.file_bytes) == (None, None, None)
    assert await store.find_upload("u1") is None
    assert await store.find_upload("u2") is not None
    assert await store.condemned_uploads() == ["u1"]
    await store.uploads_removed(["u1"])
    assert await store.condemned_uploads() == []
    # Deleted again, it is not removed again.
    assert await store.delete_message("room", "m1") is None
    assert await store.condemned_uploads() == []


async def test_what_is_never_posted_is_condemned(store: SqlStore, room: str) -> None:
    await post(store, 1)
    await store.add_upload(upload("u2"))
    await store.add_upload(upload("u3", created_at=NOW + HOUR))
    assert await store.condemn_uploads(unposted_before=NOW) == 0
    assert await store.condemn_uploads(unposted_before=NOW + HOUR) == 1
    assert await store.condemned_uploads() == ["u2"]
    assert await store.find_upload("u2") is None


async def test_what_a_visitor_has_uploaded_counts_whatever_became_of_it(store: SqlStore, room: str) -> None:
    assert await store.upload_totals("ada", since=NOW - HOUR) == UploadTotals(0, 0, None)
    await post(store, 1)
    await store.delete_message("room", "m1")
    await store.uploads_removed(await store.condemned_uploads())
    await store.add_upload(upload("u2", created_at=NOW + HOUR / 2, stored_bytes=2**40))
    await store.add_upload(upload("u3", visitor_id="bob"))
    assert await store.upload_totals("ada", since=NOW - HOUR) == UploadTotals(2, 2**40 + 1000, NOW)
    assert await store.upload_totals("ada", since=NOW) == UploadTotals(1, 2**40, NOW + HOUR / 2)
    assert await store.forget_uploads(before=NOW) == 0
    assert await store.forget_uploads(before=NOW + HOUR) == 1
    assert (await store.upload_totals("ada", since=NOW - HOUR)).count == 1


async def test_files_of_a_deleted_chatroom_are_out_of_reach_until_it_is_restored(store: SqlStore, room: str) -> None:
    await post(store, 1)
    for is_deleted in (True, False):
        await store.update_chatroom(Chatroom("room", "A post", is_deleted=is_deleted), now=NOW)
        assert (await store.find_upload("u1") is None) is is_deleted
    assert await store.condemned_uploads() == []


async def test_a_chatroom_goes_for_good_with_all_that_is_in_it(store: SqlStore, room: str) -> None:
    await store.create_chatroom(Chatroom("other", "Another post"), now=NOW)
    await store.put_member("room", "ada", Hold.LASTING, is_manager=False)
    await post(store, 1)
    await post(store, 2, chatroom_id="other")
    await store.add_upload(upload("u3"))
    assert await store.find_chatroom("room") is not None
    gone = Chatroom("room", "A post", is_deleted=True)
    await store.update_chatroom(gone, now=NOW)
    # Another change does not make it a younger one.
    await store.update_chatroom(replace(gone, title="Renamed"), now=NOW + HOUR)
    assert await store.purge_chatrooms(deleted_before=NOW, now=NOW + HOUR) == []
    assert await store.purge_chatrooms(deleted_before=NOW + HOUR / 2, now=NOW + HOUR) == ["room"]
    assert await store.find_chatroom("room") is None
    assert await store.find_chatroom_by_external_id("post") is None
    assert await store.find_message("room", "m1") is None
    assert await store.memberships("ada") == {}
    assert sorted(await store.condemned_uploads()) == ["u1", "u3"]
    assert await store.find_upload("u2") is not None
    assert await store.update_chatroom(Chatroom("room", "A post"), now=NOW) is None


async def test_a_restored_chatroom_is_a_young_one_when_it_is_deleted_again(store: SqlStore, room: str) -> None:
    for is_deleted, hours in ((True, 0), (False, 1), (True, 2)):
        await store.update_chatroom(Chatroom("room", "A post", is_deleted=is_deleted), now=NOW + hours * HOUR)
    assert await store.purge_chatrooms(deleted_before=NOW + 2 * HOUR, now=NOW + 3 * HOUR) == []
    assert await store.purge_chatrooms(deleted_before=NOW + 3 * HOUR, now=NOW + 3 * HOUR) == ["room"]
