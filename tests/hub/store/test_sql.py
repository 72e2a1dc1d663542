"""What any ``MessageStore`` promises, on SQLite files."""

from __future__ import annotations

import asyncio
import os
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments.errors import ConfigError, StoreError
from flask_chatix_comments.hub.store import messages
from flask_chatix_comments.hub.store import sql as sql_module
from flask_chatix_comments.hub.store.base import Batch, Cursor, Hold
from flask_chatix_comments.hub.store.database import MAX_LOG_BYTES
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Chatroom, Message, MessageType, Profile, SenderFlag

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 1, 2, 3, 4, 5, 678_000, tzinfo=UTC)


def draft(number: int, *, room: str = "room", **more: Any) -> Message:
    message = Message(
        message_id=f"m{number}",
        chatroom_id=room,
        type=MessageType.TEXT,
        sender_flag=SenderFlag.VISITOR,
        sender_id="ada",
        sender_name="Ada",
        sent_at=NOW,
        content=f"number {number}",
    )
    return replace(message, **more)


@pytest.fixture
async def room(store: SqlStore) -> str:
    await store.create_chatroom(Chatroom("room", "A post"), now=NOW)
    return "room"


async def append(store: SqlStore, *numbers: int, **more: Any) -> list[Message]:
    stored = []
    for number in numbers:
        appended = await store.append_message(draft(number, **more), now=NOW)
        assert appended is not None and appended.is_new
        stored.append(appended.message)
    return stored


# Chatrooms


async def test_chatrooms_are_found_changed_and_listed(store: SqlStore) -> None:
    one = Chatroom("c1", "Beta", is_private=True, external_id="post-1")
    two = Chatroom("c2", "alpha")
    assert await store.create_chatroom(one, now=NOW) == one
    assert await store.create_chatroom(two, now=NOW) == two
    assert await store.find_chatroom("c1") == one
    assert await store.find_chatroom("c3") is None
    assert await store.find_chatroom_by_external_id("post-1") == one
    assert await store.find_chatroom_by_external_id("post-2") is None
    changed = replace(one, title="Gamma", is_private=False, is_closed=True, is_deleted=True)
    assert await store.update_chatroom(changed, now=NOW) == changed
    assert await store.find_chatroom("c1") == changed
    assert await store.update_chatroom(Chatroom("c3", "?"), now=NOW) is None
    assert await store.list_chatrooms(page=1, items_per_page=10, include_deleted=True) == ([changed, two], 2)
    assert await store.list_chatrooms(page=1, items_per_page=10, include_deleted=False) == ([two], 1)
    assert await store.list_chatrooms(page=2, items_per_page=1, include_deleted=True) == ([two], 2)
    assert await store.list_chatrooms(page=3, items_per_page=1, include_deleted=True) == ([], 2)


async def test_an_external_id_moves_to_the_chatroom_that_is_given_it(store: SqlStore) -> None:
    for chatroom in (Chatroom("c1", "One", external_id="post-1"), Chatroom("c2", "Two", external_id="post-2")):
        await store.create_chatroom(chatroom, now=NOW)
        # In memory from now on, with the name that it has.
        assert await store.find_chatroom(chatroom.chatroom_id) == chatroom
    await store.name_chatroom("c2", "post-1")
    assert await store.find_chatroom("c1") == Chatroom("c1", "One")
    assert await store.find_chatroom_by_external_id("post-1") == Chatroom("c2", "Two", external_id="post-1")
    assert await store.find_chatroom_by_external_id("post-2") is None
    await store.name_chatroom("c2", None)
    await store.name_chatroom("c1", None)
    assert await store.find_chatroom("c2") == Chatroom("c2", "Two")
    await store.name_chatroom("nowhere", "post-1")
    assert await store.find_chatroom_by_external_id("post-1") is None


async def test_an_external_id_has_one_chatroom_however_many_ask(store: SqlStore) -> None:
    rooms = await asyncio.gather(
        *(store.create_chatroom(Chatroom(f"c{n}", "A post", external_id="post"), now=NOW) for n in range(20))
    )
    assert {room.chatroom_id for room in rooms} == {"c0"}
    assert (await store.list_chatrooms(page=1, items_per_page=10, include_deleted=True))[1] == 1


async def test_external_ids_are_compared_byte_for_byte(store: SqlStore) -> None:
    names = ["post", "Post", "post ", "pöst", "po\u0308st"]
    rooms = [
        await store.create_chatroom(Chatroom(f"c{number}", "", external_id=name), now=NOW)
        for number, name in enumerate(names)
    ]
    assert len({room.chatroom_id for room in rooms}) == len(names)


async def test_a_visitors_list_of_chatrooms(store: SqlStore) -> None:
    for number, (title, is_private, is_deleted) in enumerate(
        [("C", False, False), ("A", True, False), ("B", True, False), ("D", False, True), ("A", False, False)]
    ):
        await store.create_chatroom(
            Chatroom(f"c{number}", title, is_private=is_private, is_deleted=is_deleted), now=NOW
        )
    for room in ("c1", "c0", "c3"):
        await store.put_member(room, "ada", Hold.GRACE, is_manager=False)

    async def listed(visitor_id: str, *, mine_only: bool, with_private: bool = False, page: int = 1) -> list[str]:
        rooms = await store.list_chatrooms_for(
            visitor_id, page=page, items_per_page=3, mine_only=mine_only, with_private=with_private
        )
        return [room.chatroom_id for room in rooms]

    assert await listed("ada", mine_only=True) == ["c1", "c0"]
    assert await listed("ada", mine_only=False) == ["c1", "c4", "c0"]
    assert await listed("bob", mine_only=False) == ["c4", "c0"]
    assert await listed("bob", mine_only=True) == []
    assert await listed("boss", mine_only=False, with_private=True) == ["c1", "c4", "c2"]
    assert await listed("boss", mine_only=False, with_private=True, page=2) == ["c0"]
    assert await listed("boss", mine_only=False, with_private=True, page=3) == []


async def test_the_memory_of_chatrooms_is_bounded_and_never_stale(
    store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_chatix_comments.hub.store.sql.CACHED_CHATROOMS", 2)
    for number in range(4):
        await store.create_chatroom(Chatroom(f"c{number}", "old"), now=NOW)
    for number in range(4):
        assert await store.find_chatroom(f"c{number}") == Chatroom(f"c{number}", "old")
    # A reader that began before the change must not put the old row back.
    found, _ = await asyncio.gather(store.find_chatroom("c0"), store.update_chatroom(Chatroom("c0", "new"), now=NOW))
    assert found is not None
    assert await store.find_chatroom("c0") == Chatroom("c0", "new")
    assert await store.find_chatroom("c0") == Chatroom("c0", "new")


# Messages


async def test_messages_are_numbered_and_kept_as_they_are(store: SqlStore, room: str) -> None:
    appended = await store.append_message(draft(1, content="<b>\r\n😀", client_key="key"), now=NOW)
    assert appended is not None
    assert appended.is_new
    assert appended.message == draft(1, content="<b>\r\n😀", client_key="key", seq=1, change=1)
    assert await store.find_message(room, "m1") == appended.message
    assert await store.find_message("other", "m1") is None
    assert await store.find_message_anywhere("m1") == appended.message
    assert await store.find_message_anywhere("m9") is None
    file = draft(2, type=MessageType.FILE, content="", file_url="https://x/y", sender_flag=SenderFlag.MANAGER)
    (stored,) = [await store.append_message(file, now=NOW + timedelta(seconds=1))]
    assert stored is not None
    assert stored.message == replace(file, seq=2, change=2, sent_at=NOW + timedelta(seconds=1))
    assert await store.count_messages([room, "other"]) == {room: 2}


async def test_time_never_runs_backwards_in_a_chatroom(store: SqlStore, room: str) -> None:
    await append(store, 1)
    late = await store.append_message(draft(2), now=NOW - timedelta(hours=1))
    assert late is not None
    assert late.message.sent_at == NOW


async def test_a_client_key_makes_a_repeated_send_one_message(store: SqlStore, room: str) -> None:
    await store.create_chatroom(Chatroom("other", ""), now=NOW)
    first = await store.append_message(draft(1, client_key="key"), now=NOW)
    again = await store.append_message(draft(2, client_key="key", sender_id="bob"), now=NOW)
    assert first is not None and again is not None
    assert not again.is_new
    assert again.message == first.message
    elsewhere = await store.append_message(draft(3, room="other", client_key="key"), now=NOW)
    assert elsewhere is not None and elsewhere.is_new
    assert await store.count_messages([room, "other"]) == {room: 1, "other": 1}


async def test_client_keys_are_forgotten_in_time(store: SqlStore, room: str) -> None:
    await store.append_message(draft(1, client_key="key"), now=NOW)
    assert await store.forget_client_keys(before=NOW) == 0
    assert await store.forget_client_keys(before=NOW + timedelta(seconds=1)) == 1
    again = await store.append_message(draft(2, client_key="key"), now=NOW)
    assert again is not None and again.is_new


async def test_old_client_keys_keep_the_writer_a_moment_only(
    store: SqlStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Looking for them takes a second for each million messages: that is done beside it."""
    monkeypatch.setattr(sql_module, "KEYS_AT_ONCE", 2)
    batches: list[Batch] = []
    store.watch(batches.append)
    for number in range(7):
        # Some at one moment, more than are forgotten at once.
        now = NOW + timedelta(seconds=number // 4)
        await store.append_message(draft(number, client_key=f"key {number}" if number != 2 else None), now=now)
    written = len(batches)
    assert await store.forget_client_keys(before=NOW + timedelta(seconds=1)) == 3
    assert len(batches) - written == 2
    assert await store.forget_client_keys(before=NOW + timedelta(seconds=2)) == 3
    written = len(batches)
    assert await store.forget_client_keys(before=NOW + timedelta(seconds=2)) == 0
    assert len(batches) == written


async def test_no_message_enters_a_chatroom_that_is_gone_or_closed(store: SqlStore, room: str) -> None:
    assert await store.append_message(draft(1, room="nowhere"), now=NOW) is None
    await store.append_message(draft(1, client_key="key"), now=NOW)
    await store.update_chatroom(Chatroom(room, "A post", is_closed=True), now=NOW)
    assert await store.append_message(draft(2), now=NOW) is None
    known = await store.append_message(draft(3, client_key="key"), now=NOW)
    assert known is not None and not known.is_new
    await store.update_chatroom(Chatroom(room, "A post", is_deleted=True), now=NOW)
    assert await store.append_message(draft(4), now=NOW) is None
    assert await store.count_messages([room]) == {}


async def test_messages_of_many_at_once_have_numbers_without_gaps(store: SqlStore, room: str) -> None:
    appended = await asyncio.gather(*(store.append_message(draft(n), now=NOW) for n in range(50)))
    assert [one.message.seq for one in appended if one] == list(range(1, 51))


async def test_edit_and_delete(store: SqlStore, room: str) -> None:
    await append(store, 1, 2)
    later = NOW + timedelta(minutes=1)
    edited = await store.edit_message(room, "m1", "edited", now=later)
    assert edited == draft(1, content="edited", edited_at=later, seq=1, change=3)
    deleted = await store.delete_message(room, "m1")
    assert deleted is not None
    assert deleted.is_deleted and deleted.content == "" and deleted.sender_name is None and deleted.change == 4
    assert await store.find_message(room, "m1") == deleted
    assert await store.edit_message(room, "m1", "again", now=later) is None
    assert await store.delete_message(room, "m1") is None
    assert await store.edit_message(room, "m9", "x", now=later) is None
    assert await store.delete_message("nowhere", "m1") is None
    assert await store.count_messages([room]) == {room: 1}


async def test_history_pages_backwards_to_the_beginning(store: SqlStore, room: str) -> None:
    await append(store, *range(1, 80))
    before, pages = None, []
    while True:
        history = await store.page_before(room, before, limit=30, with_whispers=False)
        assert history.cursor == Cursor(79)
        assert history.has_more is (before is None or before.seq > 21)
        pages.append([message.seq for message in history.messages])
        if not history.messages:
            break
        before = history.messages[0]
    assert pages == [list(range(50, 80)), list(range(20, 50)), list(range(1, 20)), []]


async def test_history_leaves_out_the_deleted_and_pages_from_where_they_were(store: SqlStore, room: str) -> None:
    await append(store, 1, 2, 3)
    deleted = await store.delete_message(room, "m2")
    history = await store.page_before(room, None, limit=10, with_whispers=False)
    assert [message.message_id for message in history.messages] == ["m1", "m3"]
    before_it = await store.page_before(room, deleted, limit=10, with_whispers=False)
    assert [message.message_id for message in before_it.messages] == ["m1"]


async def test_history_of_nothing(store: SqlStore) -> None:
    history = await store.page_before("nowhere", None, limit=10, with_whispers=True)
    assert (list(history.messages), history.cursor, history.has_more) == ([], Cursor(), False)


async def test_whispers_leave_no_trace_for_visitors(store: SqlStore, room: str) -> None:
    await append(store, 1)
    whisper, second = await append(store, 2, 3, is_whisper=True)
    (visible,) = await append(store, 4)
    assert (whisper.seq, second.seq, visible.seq, visible.change) == (1, 1, 2, 2)
    assert await store.count_messages([room]) == {room: 2}

    for_all = await store.page_before(room, None, limit=10, with_whispers=False)
    assert [message.message_id for message in for_all.messages] == ["m1", "m4"]
    assert for_all.cursor == Cursor(2, 0)
    for_managers = await store.page_before(room, None, limit=10, with_whispers=True)
    assert [message.message_id for message in for_managers.messages] == ["m1", "m2", "m3", "m4"]
    assert for_managers.cursor == Cursor(2, 2)
    earlier = await store.page_before(room, second, limit=10, with_whispers=True)
    assert [message.message_id for message in earlier.messages] == ["m1", "m2"]
    before_visible = await store.page_before(room, visible, limit=2, with_whispers=True)
    assert [message.message_id for message in before_visible.messages] == ["m2", "m3"]

    await store.edit_message(room, "m2", "edited", now=NOW)
    await store.delete_message(room, "m3")
    changes = await store.changes_since(room, Cursor(2), limit=10, with_whispers=False)
    assert (list(changes.messages), changes.cursor, changes.has_more) == ([], Cursor(2), False)
    assert await store.count_messages([room]) == {room: 2}
    changes = await store.changes_since(room, Cursor(2, 2), limit=10, with_whispers=True)
    assert [(message.message_id, message.is_deleted) for message in changes.messages] == [("m2", False), ("m3", True)]
    assert changes.cursor == Cursor(2, 4)


async def test_changes_come_once_each_in_order(store: SqlStore, room: str) -> None:
    await append(store, 1, 2, 3)
    await store.edit_message(room, "m1", "edited", now=NOW)
    await store.delete_message(room, "m2")
    seen, cursor = [], Cursor()
    while True:
        changes = await store.changes_since(room, cursor, limit=2, with_whispers=False)
        seen += [(message.message_id, message.is_deleted) for message in changes.messages]
        cursor = changes.cursor
        if not changes.has_more:
            break
    assert seen == [("m3", False), ("m1", False), ("m2", True)]
    assert cursor == Cursor(5)
    assert (await store.changes_since(room, cursor, limit=2, with_whispers=False)).messages == []


async def test_who_knows_more_than_there_is_begins_again(store: SqlStore, room: str) -> None:
    """The database was put back to an earlier state by other means than ours."""
    await append(store, 1)
    whisper = await store.append_message(draft(2, is_whisper=True), now=NOW)
    assert whisper is not None
    for ahead, with_whispers, found in (
        (Cursor(2), False, ["m1"]),
        (Cursor(1, 2), True, ["m2"]),
        (Cursor(2, 2), True, ["m1", "m2"]),
        # A visitor that was a manager once is ahead of nothing.
        (Cursor(1, 2), False, []),
    ):
        changes = await store.changes_since(room, ahead, limit=5, with_whispers=with_whispers)
        assert [message.message_id for message in changes.messages] == found
        again = await store.changes_since(room, changes.cursor, limit=5, with_whispers=with_whispers)
        assert again.messages == []


async def test_an_edit_is_later_than_the_one_before_whatever_the_clock_says(store: SqlStore, room: str) -> None:
    """Readers keep the version with the later time."""
    await append(store, 1)
    first = await store.edit_message(room, "m1", "first", now=NOW)
    second = await store.edit_message(room, "m1", "second", now=NOW - timedelta(hours=1))
    assert first is not None and first.edited_at == NOW
    assert second is not None and second.edited_at == NOW + timedelta(milliseconds=1)


async def test_a_managers_changes_are_paged_whispers_last(store: SqlStore, room: str) -> None:
    await append(store, 1, 2)
    await append(store, 3, 4, 5, is_whisper=True)
    seen, cursor, pages = [], Cursor(), 0
    while True:
        changes = await store.changes_since(room, cursor, limit=2, with_whispers=True)
        seen += [message.message_id for message in changes.messages]
        cursor, pages = changes.cursor, pages + 1
        if not changes.has_more:
            break
    assert seen == ["m1", "m2", "m3", "m4", "m5"]
    assert cursor == Cursor(2, 3)
    assert pages == 3


async def catch_up(store: SqlStore, room: str, *, with_whispers: bool) -> list[list[str]]:
    """Read all changes; return the ids of each page."""
    pages: list[list[str]] = []
    cursor, has_more = Cursor(), True
    while has_more:
        changes = await store.changes_since(room, cursor, limit=10, with_whispers=with_whispers)
        pages.append([message.message_id for message in changes.messages])
        cursor, has_more = changes.cursor, changes.has_more
    last = await store.changes_since(room, cursor, limit=10, with_whispers=with_whispers)
    assert (list(last.messages), last.cursor, last.has_more) == ([], cursor, False)
    return pages


async def test_a_page_of_changes_is_no_larger_than_it_must_be(
    store: SqlStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_PAGE_BYTES", 100)
    # 60, 40, 100, 102 and 2 bytes.
    for number, content in enumerate(["ö" * 30, "x" * 40, "x" * 100, "ö" * 51, "xx"], start=1):
        await append(store, number, content=content)
    assert await catch_up(store, room, with_whispers=False) == [["m1", "m2"], ["m3"], ["m4"], ["m5"]]


async def test_a_page_of_history_is_no_larger_than_it_must_be(
    store: SqlStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_PAGE_BYTES", 100)
    for number, content in enumerate(["xx", "ö" * 51, "x" * 100, "x" * 40, "ö" * 30], start=1):
        await append(store, number, content=content)
    await append(store, 6, type=MessageType.FILE, content="", file_url="https://f.example/" + "x" * 90)
    pages, before, has_more = [], None, True
    while has_more:
        history = await store.page_before(room, before, limit=10, with_whispers=False)
        pages.append([message.message_id for message in history.messages])
        before, has_more = history.messages[0], history.has_more
    assert pages == [["m6"], ["m4", "m5"], ["m3"], ["m2"], ["m1"]]
    one = await store.page_before(room, before, limit=10, with_whispers=False)
    assert (list(one.messages), one.has_more) == ([], False)


@pytest.mark.parametrize("is_closed", [True, False])
async def test_what_is_read_says_whether_the_room_is_closed(store: SqlStore, room: str, is_closed: bool) -> None:
    chatroom = await store.find_chatroom(room)
    assert chatroom is not None
    await store.update_chatroom(replace(chatroom, is_closed=is_closed), now=NOW)
    assert (await store.page_before(room, None, limit=1, with_whispers=False)).is_closed is is_closed
    assert (await store.changes_since(room, Cursor(), limit=1, with_whispers=False)).is_closed is is_closed


async def test_what_is_read_says_how_many_messages_there_are(store: SqlStore, room: str) -> None:
    for number in range(1, 4):
        await append(store, number)
    await append(store, 4, is_whisper=True)
    await store.delete_message(room, "m1")
    for with_whispers in (True, False):
        assert (await store.page_before(room, None, limit=1, with_whispers=with_whispers)).total == 2
        assert (await store.changes_since(room, Cursor(), limit=1, with_whispers=with_whispers)).total == 2


async def test_a_page_of_changes_may_end_before_the_whispers_or_among_them(
    store: SqlStore, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(messages, "MAX_PAGE_BYTES", 100)
    await append(store, 1, content="x" * 90)
    await append(store, 2, 3, 4, content="x" * 45, is_whisper=True)
    assert await catch_up(store, room, with_whispers=True) == [["m1"], ["m2", "m3"], ["m4"]]
    assert await catch_up(store, room, with_whispers=False) == [["m1"]]


# Members and visitors


async def test_members(store: SqlStore, room: str) -> None:
    await store.create_chatroom(Chatroom("other", ""), now=NOW)
    await store.put_member(room, "ada", Hold.API, is_manager=False)
    await store.put_member(room, "ada", Hold.GRACE, is_manager=False)
    await store.put_member("other", "ada", Hold.LASTING, is_manager=False)
    await store.put_member(room, "boss", Hold.LASTING, is_manager=True)
    assert await store.memberships("ada") == {room: Hold.GRACE, "other": Hold.LASTING}
    assert await store.members_on_grace() == [("ada", room)]
    assert await store.count_members([room, "other", "nowhere"]) == {room: 1, "other": 1}
    assert await store.remove_member(room, "ada") is True
    assert await store.remove_member(room, "ada") is False
    assert await store.count_members([room]) == {}


async def test_members_with_their_profiles(store: SqlStore, room: str) -> None:
    profile = Profile("ada", name="Ada", email="a@b.example", fields={"x": 1, "y": "z"}, is_persistent=True)
    await store.save_visitor(profile, said_at=NOW)
    for visitor_id in ("ada", "bob"):
        await store.put_member(room, visitor_id, Hold.GRACE, is_manager=False)
    listed = await store.list_members(room, page=1, items_per_page=10, posted_only=False)
    assert listed == [profile, Profile("bob")]
    assert await store.list_members(room, page=2, items_per_page=1, posted_only=False) == [Profile("bob")]
    assert await store.list_members(room, page=1, items_per_page=10, posted_only=True) == []
    await append(store, 1)
    assert await store.list_members(room, page=1, items_per_page=10, posted_only=True) == [profile]
    await store.delete_message(room, "m1")
    await append(store, 2, is_whisper=True)
    assert await store.list_members(room, page=1, items_per_page=10, posted_only=True) == []


async def test_where_a_visitor_has_posted(store: SqlStore, room: str) -> None:
    await store.create_chatroom(Chatroom("other", ""), now=NOW)
    await append(store, 1, 2)
    await append(store, 3, room="other", is_whisper=True)
    assert await store.chatrooms_posted_in("ada", [room, "other"]) == {room}
    assert await store.chatrooms_posted_in("ada", []) == set()
    assert await store.chatrooms_posted_in("bob", [room]) == set()


async def test_managers(store: SqlStore, room: str) -> None:
    boss = Profile("boss", name="Boss", is_manager=True)
    await store.put_member(room, "boss", Hold.GRACE, is_manager=False)
    await store.save_visitor(boss, said_at=NOW)
    await store.save_visitor(Profile("ada", name="Ada"), said_at=NOW)
    assert await store.list_managers() == [boss]
    # The memberships follow what the site says of the person.
    assert await store.count_members([room]) == {}
    assert await store.managers_in([room, "other"], posted_only=False) == {room: [boss]}
    assert await store.managers_in([room], posted_only=True) == {}
    await append(store, 1, sender_id="boss")
    assert await store.managers_in([room], posted_only=True) == {room: [boss]}


async def test_visitors(store: SqlStore) -> None:
    assert await store.find_visitor("ada") is None
    await store.save_visitor(Profile("ada"), said_at=NOW)
    assert await store.find_visitor("ada") == (Profile("ada"), NOW)
    profile = Profile("ada", name="Ada", fields={"flag": True, "n": 1.5}, is_manager=True, is_persistent=True)
    await store.save_visitor(profile, said_at=NOW + timedelta(seconds=1))
    assert await store.find_visitor("ada") == (profile, NOW + timedelta(seconds=1))
    # A visitor's own news do not make the site's word newer.
    await store.save_visitor(Profile("ada", name="Ada"), said_at=None)
    assert await store.find_visitor("ada") == (Profile("ada", name="Ada"), NOW + timedelta(seconds=1))
    await store.save_visitor(Profile("bob"), said_at=None)
    assert await store.find_visitor("bob") == (Profile("bob"), datetime(1970, 1, 1, tzinfo=UTC))


# The database itself


async def test_what_was_stored_is_there_after_closing(database_url: str) -> None:
    for number in (1, 2):
        store = SqlStore(database_url)
        store.open()
        store.open()
        if number == 1:
            await store.create_chatroom(Chatroom("room", "A post"), now=NOW)
            await append(store, 1)
        else:
            found = await store.find_message("room", "m1")
            assert found is not None and found.content == "number 1"
        await store.close()
        await store.close()
    with pytest.raises(StoreError, match="not open"):
        await store.find_message("room", "m1")
    with pytest.raises(StoreError, match="not open"):
        await store.append_message(draft(3), now=NOW)


def pragmas(connection: sa.Connection) -> list[object]:
    names = ("journal_mode", "synchronous", "foreign_keys", "journal_size_limit")
    return [connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in names]


async def test_commits_are_flushed_to_the_disk(store: SqlStore) -> None:
    """Asked on the very connections that the hub writes and reads with."""
    expected = ["wal", 2, 1, MAX_LOG_BYTES]
    assert await store._write(pragmas) == expected
    assert await store._read(pragmas) == expected


async def test_the_log_that_grew_while_somebody_read_is_small_again(
    store: SqlStore, room: str, database_url: str
) -> None:
    """A backup reads for long: meanwhile nothing of the log can be taken over into the database."""
    log = Path(f"{database_url.removeprefix('sqlite:///')}-wal")
    limit = 100_000
    await store._write(lambda connection: connection.exec_driver_sql(f"PRAGMA journal_size_limit = {limit}"))
    with closing(sqlite3.connect(database_url.removeprefix("sqlite:///"), isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM chatrooms").fetchall()
        number = 0
        # More than SQLite's 1,000 pages, after which it takes over what it can.
        while log.stat().st_size < 6_000_000:
            number += 1
            await append(store, number, content="x" * 100_000)
        reader.execute("COMMIT")
    await append(store, number + 1)
    await append(store, number + 2)
    assert log.stat().st_size <= limit


@pytest.mark.parametrize(
    "url", ["nonsense", "sqlite://", "sqlite:///:memory:", "sqlite:///file::memory:?uri=true", "nodb://x/y"]
)
async def test_urls_that_cannot_be_used(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        SqlStore(url)
    assert caught.value.key == "database_url"


async def test_a_folder_that_is_missing_is_made(tmp_path: Path) -> None:
    store = SqlStore(f"sqlite:///{tmp_path / 'a' / 'b' / 'hub.sqlite3'}")
    store.open()
    await store.close()


@pytest.mark.skipif(os.name != "posix", reason="the rights of files are those of POSIX")
async def test_the_files_are_their_owners_only(tmp_path: Path) -> None:
    file = tmp_path / "hub.sqlite3"
    store = SqlStore(f"sqlite:///{file}")
    store.open()
    modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
    await store.close()
    assert modes == {"hub.sqlite3": 0o600, "hub.sqlite3-wal": 0o600, "hub.sqlite3-shm": 0o600}


@pytest.mark.skipif(os.name != "posix", reason="the rights of files are those of POSIX")
async def test_a_file_that_exists_keeps_its_rights(tmp_path: Path) -> None:
    file = tmp_path / "hub.sqlite3"
    file.touch()
    file.chmod(0o640)
    store = SqlStore(f"sqlite:///{file}")
    store.open()
    await store.close()
    assert file.stat().st_mode & 0o777 == 0o640


async def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite3"
    path.write_text("not a database " * 100)
    with pytest.raises(StoreError, match="hub.sqlite3"):
        SqlStore(f"sqlite:///{path}").open()


async def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be used"):
        SqlStore(f"sqlite:///{tmp_path / 'file' / 'hub.sqlite3'}").open()


async def test_a_database_of_a_newer_version_is_left_alone(database_url: str, tmp_path: Path) -> None:
    store = SqlStore(database_url)
    store.open()
    await store.close()
    with sqlite3.connect(tmp_path / "hub.sqlite3") as connection:
        connection.execute("UPDATE schema_info SET version = 99")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        SqlStore(database_url).open()
