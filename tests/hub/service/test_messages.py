"""The rules of posting, editing, deleting and reading, as they hold at every door."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import (
    ChatroomNotFoundError,
    InvalidArgumentError,
    NotAllowedError,
    NotFoundError,
    StoreError,
)
from flask_chatix_comments.hub.backplane.base import MessagePosted
from flask_chatix_comments.hub.service.drafts import Draft
from flask_chatix_comments.hub.service.messages import format_cursor, parse_cursor
from flask_chatix_comments.hub.service.uploads import NOT_YOURS
from flask_chatix_comments.hub.service.visitors import ProfileUpdate
from flask_chatix_comments.hub.store.base import Cursor
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import MessageType, SenderFlag
from tests.hub.support import START, Visit, World

pytestmark = pytest.mark.anyio

NOT_FOUND = "There is no such chatroom."
KINDS = "type is 0 for text, 4 for an image, 5 for a file."
FORGED = {"sender_id": "boss", "sender_flag": 1, "sender_name": "Boss", "sent_at": 1, "seq": 99, "edited_at": 7}


async def joined(world: World, visitor_id: str, room: str, **ticket: Any) -> Visit:
    visit = await world.connect(visitor_id, **ticket)
    await visit.join(room)
    return visit


async def test_a_message_is_the_hubs_word_not_the_clients(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room, name="Ada")
    message = await ada.post(room, "Hello", uuid="my-key", **FORGED)
    assert message == {
        "uuid": message["uuid"],
        "type": 0,
        "content": "Hello",
        "thumb_100_url": None,
        "thumb_300_url": None,
        "original_url": None,
        "file_url": None,
        "sender_flag": 0,
        "sender_id": "ada",
        "sent_at": START,
        "sender_name": "Ada",
        "edited_at": None,
        "seq": 1,
        "file_name": None,
        "file_size": None,
        "width": None,
        "height": None,
        "client_key": "my-key",
    }
    assert message["uuid"] != "my-key"


async def test_a_repeated_send_is_one_comment(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    first = await ada.post(room, "Hello", uuid="key")
    # The page came back under another id: the key still tells that it is the same comment.
    reader = await joined(world, "ada-again", room)
    again = await reader.post(room, "Hello", uuid="key")
    assert again["uuid"] == first["uuid"]
    assert again["client_key"] == "key"
    assert len(bob.heard("ApplyChatroomMessage")) == 1
    assert (await world.get_room(room)).number_of_visitors == 3
    history = await bob.call("GetChatroomHistory", room, None, 10)
    assert len(history["items"]) == 1
    assert "client_key" not in history["items"][0]


async def test_a_repeated_send_of_what_was_removed_is_refused(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    message = await ada.post(room, "Hello", uuid="key")
    await world.service.messages.delete_by_api(room, message["uuid"])
    refusal = await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "Hello", "uuid": "key"}, room)
    assert refusal == "This message was stored, and has been removed since."


@pytest.mark.parametrize(
    ("draft", "reason"),
    [
        ({"type": 0, "content": ""}, "A message needs some text."),
        ({"type": 0, "content": " \n "}, "A message needs some text."),
        ({"type": 0}, "The text of a message is missing."),
        ({"type": 0, "content": {"a": 1}}, "The text of a message is missing."),
        ({"type": 0, "content": "x" * 10_001}, "A message has at most 10000 characters, this one has 10001."),
        ({"content": "x"}, KINDS),
        ({"type": False, "content": "x"}, KINDS),
        ({"type": "0", "content": "x"}, KINDS),
        ({"type": 6, "content": "x"}, KINDS),
        ({"type": 4}, "The URL of the file is missing."),
        ({"type": 5, "original_url": "https://x/y"}, "The URL of the file is missing."),
        ({"type": 4, "original_url": "https://x/y"}, NOT_YOURS),
        ({"type": 5, "file_url": "https://x/y"}, NOT_YOURS),
        ({"type": 0, "content": "x", "uuid": 7}, "The message's uuid is not an id."),
        ({"type": 0, "content": "x", "uuid": "k" * 101}, "The message's uuid is not an id."),
    ],
)
async def test_what_is_no_message(world: World, draft: dict[str, Any], reason: str) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    assert await ada.refusal("SaveChatroomMessage", draft, room) == reason
    assert (await ada.call("GetChatroomHistory", room, None, 10))["items"] == []


async def test_only_members_write_and_read(world: World) -> None:
    room = await world.room()
    author, ada = await joined(world, "author", room), await world.connect("ada")
    message = await author.post(room)
    draft = {"type": 0, "content": "x"}
    calls: list[tuple[Any, ...]] = [
        ("SaveChatroomMessage", draft, room),
        ("GetChatroomHistory", room, None, 10),
        ("GetChatroomChanges", room, None, 10),
        ("GetChatroomVisitors", room, 10, 1),
        ("UpdateChatroomMessage", message["uuid"], "x", room),
        ("DeleteChatroomMessage", message["uuid"], room),
        ("ChatroomTyping", room),
    ]
    for target, *arguments in calls:
        assert await ada.refusal(target, *arguments) == "Join the chatroom first.", target


async def test_unknown_deleted_and_private_chatrooms_read_the_same(world: World) -> None:
    private, deleted = await world.room(is_private=True), await world.room()
    ada = await joined(world, "ada", deleted)
    await world.service.chatrooms.delete(deleted)
    for room in (private, deleted, "nowhere"):
        refusals = {
            await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room),
            await ada.refusal("GetChatroomHistory", room, None, 10),
            await ada.refusal("GetChatroomChanges", room, None, 10),
            await ada.refusal("GetChatroomVisitors", room, 10, 1),
            await ada.refusal("GetChatroom", room),
            await ada.refusal("UpdateChatroomMessage", "m", "x", room),
            await ada.refusal("DeleteChatroomMessage", "m", room),
            await ada.refusal("ChatroomTyping", room),
        }
        assert refusals == {NOT_FOUND}
        joining = await ada.call("ConnectToChatroom", room)
        assert joining == {"is_success": False, "description": NOT_FOUND}
        assert await ada.call("DisconnectFromChatroom", room) == {"is_success": True}


async def test_a_closed_chatroom_is_read_only(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    message = await ada.post(room, uuid="key")
    await world.service.chatrooms.update(room, {"is_closed": True})
    closed = "This chatroom is closed: it can be read, but not written."
    assert await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room) == closed
    assert await ada.refusal("UpdateChatroomMessage", message["uuid"], "x", room) == closed
    assert await ada.refusal("DeleteChatroomMessage", message["uuid"], room) == closed
    with pytest.raises(NotAllowedError):
        await world.post_by_api(room)
    # What was stored before is acknowledged again, and everything can be read.
    assert (await ada.post(room, uuid="key"))["uuid"] == message["uuid"]
    assert len((await ada.call("GetChatroomHistory", room, None, 10))["items"]) == 1
    boss = await joined(world, "boss", room, is_manager=True)
    await boss.call("UpdateChatroomMessage", message["uuid"], "moderated", room)
    await world.service.chatrooms.update(room, {"is_closed": False})
    assert (await ada.post(room))["seq"] == 2


async def test_own_messages_may_be_changed_for_a_while(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    message = await ada.post(room)
    world.clock.advance(world.config.edit_window_s)
    edited = await ada.call("UpdateChatroomMessage", message["uuid"], "Better", room)
    assert (edited["content"], edited["edited_at"]) == ("Better", START + 900)
    foreign = "This is somebody else's message."
    assert await bob.refusal("UpdateChatroomMessage", message["uuid"], "x", room) == foreign
    assert await bob.refusal("DeleteChatroomMessage", message["uuid"], room) == foreign
    world.clock.advance(1)
    late = "This message is too old to be changed."
    assert await ada.refusal("UpdateChatroomMessage", message["uuid"], "x", room) == late
    assert await ada.refusal("DeleteChatroomMessage", message["uuid"], room) == late


async def test_the_hubs_time_comes_with_history_and_changes(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    await ada.post(room)
    world.clock.advance(60.25)
    assert (await ada.call("GetChatroomHistory", room, None, 10))["now"] == START + 60.25
    assert (await ada.call("GetChatroomChanges", room, None, 10))["now"] == START + 60.25


async def test_without_a_window_nobody_changes_anything(make_world: Callable[..., World]) -> None:
    world = make_world(edit_window_s=0)
    room = await world.room()
    ada, boss = await joined(world, "ada", room), await joined(world, "boss", room, is_manager=True)
    message = await ada.post(room)
    # The room's time may be ahead of the clock, which has been set back.
    for seconds in (0, -60):
        world.clock.advance(seconds)
        never = "Messages cannot be changed here."
        assert await ada.refusal("UpdateChatroomMessage", message["uuid"], "x", room) == never
        assert await ada.refusal("DeleteChatroomMessage", message["uuid"], room) == never
    await boss.call("UpdateChatroomMessage", message["uuid"], "moderated", room)


async def test_managers_may_change_any_message(world: World) -> None:
    room = await world.room()
    ada, boss = await joined(world, "ada", room), await joined(world, "boss", room, name="Boss", is_manager=True)
    message = await ada.post(room)
    world.clock.advance(1e6)
    await boss.call("UpdateChatroomMessage", message["uuid"], "moderated", room)
    assert await boss.call("DeleteChatroomMessage", message["uuid"], room) == {"is_success": True}
    own = await boss.post(room)
    assert (own["sender_flag"], own["sender_name"]) == (1, "Boss")


async def test_an_edit_that_changes_nothing_is_no_edit(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    message = await ada.post(room, "Same")
    assert await ada.call("UpdateChatroomMessage", message["uuid"], "Same", room) == message
    assert ada.heard("OnUpdateChatroomMessage") == []


async def test_edits_are_checked_like_posts(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    message = await ada.post(room)
    for content, reason in [(None, "missing"), ("", "needs some text"), ("x" * 10_001, "at most")]:
        assert reason in await ada.refusal("UpdateChatroomMessage", message["uuid"], content, room)
    file = await world.service.messages.post_by_api(
        room, Draft(type=5, file_url="https://x/y"), sender_id="ada", sender_flag=0
    )
    assert await ada.refusal("UpdateChatroomMessage", file.message_id, "x", room) == "Only text can be edited."


async def test_messages_that_are_not_there(world: World) -> None:
    room, other = await world.room(), await world.room()
    ada = await joined(world, "ada", room)
    await ada.join(other)
    message = await ada.post(room)
    missing = "There is no such message."
    for message_id, in_room in [("nothing", room), (message["uuid"], other)]:
        assert await ada.refusal("UpdateChatroomMessage", message_id, "x", in_room) == missing
        assert await ada.refusal("DeleteChatroomMessage", message_id, in_room) == missing
        assert await ada.refusal("GetChatroomHistory", in_room, message_id, 10) == missing
    await ada.call("DeleteChatroomMessage", message["uuid"], room)
    assert await ada.refusal("DeleteChatroomMessage", message["uuid"], room) == missing
    assert await ada.refusal("UpdateChatroomMessage", message["uuid"], "x", room) == missing


async def test_changes_since_a_cursor(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    one, two = await ada.post(room, "one", uuid="key"), await ada.post(room, "two")
    page = await bob.call("GetChatroomHistory", room, None, 10)
    assert [item["content"] for item in page["items"]] == ["one", "two"]
    assert (page["has_more"], page["is_closed"]) == (False, False)
    await ada.call("UpdateChatroomMessage", two["uuid"], "two!", room)
    await ada.call("DeleteChatroomMessage", one["uuid"], room)
    three = await ada.post(room, "three")
    changes = await bob.call("GetChatroomChanges", room, page["cursor"], 10)
    assert [item.get("content", item.get("is_deleted")) for item in changes["items"]] == ["two!", True, "three"]
    assert changes["items"][1] == {"uuid": one["uuid"], "is_deleted": True}
    assert changes["items"][2] == three
    assert changes["has_more"] is False
    nothing = await bob.call("GetChatroomChanges", room, changes["cursor"], 10)
    assert nothing == {
        "items": [],
        "cursor": changes["cursor"],
        "has_more": False,
        "is_closed": False,
        "total": 2,
        "now": START,
    }
    paged = await bob.call("GetChatroomChanges", room, None, 2)
    assert paged["has_more"] is True
    assert len(paged["items"]) == 2


async def test_client_keys_are_for_their_sender(world: World) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    await ada.post(room, uuid="key")
    for target, arguments in [("GetChatroomHistory", (room, None, 10)), ("GetChatroomChanges", (room, None, 10))]:
        assert (await ada.call(target, *arguments))["items"][0]["client_key"] == "key"
        assert "client_key" not in (await bob.call(target, *arguments))["items"][0]
    assert "client_key" not in bob.heard("ApplyChatroomMessage")[0][1]


@pytest.mark.parametrize("cursor", [7, "", "x", "-1", "1.2.3", "9" * 16, {}, "\u0661"])
async def test_cursors_of_nobody(world: World, cursor: Any) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    assert await ada.refusal("GetChatroomChanges", room, cursor, 10) == "This is no cursor of this hub."


@pytest.mark.parametrize("cursor", [Cursor(), Cursor(5), Cursor(0, 3), Cursor(7, 9)])
async def test_cursors_come_back(cursor: Cursor) -> None:
    assert parse_cursor(format_cursor(cursor)) == cursor


@pytest.mark.parametrize("count", [0, 101, -1, 1.5, "10", None, True])
async def test_page_sizes_out_of_range(world: World, count: Any) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    for target in ("GetChatroomHistory", "GetChatroomChanges"):
        assert await ada.refusal(target, room, None, count) == "count is a number from 1 to 100."


# Whispers


async def test_whispers_reach_managers_only(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    boss, second = [await joined(world, name, room, is_manager=True) for name in ("boss", "second")]
    first = await ada.post(room)
    whisper = await world.whisper(room)
    assert (await ada.post(room))["seq"] == first["seq"] + 1

    assert [event[1]["content"] for event in second.heard("ApplyChatroomMessage")] == ["Hello", "Psst", "Hello"]
    # The boss wrote it by the API, so its connection has not seen it yet.
    assert [event[1]["content"] for event in boss.heard("ApplyChatroomMessage")] == ["Hello", "Psst", "Hello"]
    assert ada.heard("ApplyChatroomMessage") == []

    for_boss = await boss.call("GetChatroomHistory", room, None, 10)
    assert [item["content"] for item in for_boss["items"]] == ["Hello", "Psst", "Hello"]
    for_ada = await ada.call("GetChatroomHistory", room, None, 10)
    assert [item["content"] for item in for_ada["items"]] == ["Hello", "Hello"]
    assert for_ada["cursor"] == "2"
    assert for_boss["cursor"] == "2.1"
    assert (await ada.call("GetChatroomChanges", room, "0", 10))["cursor"] == "2"
    assert (await world.service.chatrooms.count_messages([room])) == {room: 2}
    api_history = await world.service.messages.history_for_api(room, before_id=None, limit=10)
    assert [message.content for message in api_history.messages] == ["Hello", "Hello"]

    missing = "There is no such message."
    whisper_id = whisper.message_id
    assert await ada.refusal("GetChatroomHistory", room, whisper_id, 10) == missing
    assert await ada.refusal("UpdateChatroomMessage", whisper_id, "x", room) == missing
    assert await ada.refusal("DeleteChatroomMessage", whisper_id, room) == missing
    assert len((await boss.call("GetChatroomHistory", room, whisper_id, 10))["items"]) == 1

    for visit in (ada, boss):
        visit.forget_events()
    await boss.call("UpdateChatroomMessage", whisper_id, "Psst!", room)
    await boss.call("DeleteChatroomMessage", whisper_id, room)
    assert ada.heard() == []
    assert [event[0] for event in boss.heard()] == ["OnUpdateChatroomMessage", "OnDeleteChatroomMessage"]


async def test_a_visitor_who_is_no_manager_any_more_hears_no_whisper(world: World) -> None:
    room = await world.room()
    boss = await joined(world, "boss", room, is_manager=True, is_persistent=True)
    await world.service.visitors.update("boss", ProfileUpdate(is_manager=False))
    await world.whisper(room)
    assert boss.heard("ApplyChatroomMessage") == []
    assert (await boss.call("GetChatroomHistory", room, None, 10))["items"] == []


async def test_a_whispers_client_key_is_no_way_to_it(world: World, store: SqlStore) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    whisper = await world.whisper(room)
    with store._writing.begin() as connection:
        connection.exec_driver_sql("UPDATE messages SET client_key = 'key' WHERE id = ?", (whisper.message_id,))
    refusal = await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x", "uuid": "key"}, room)
    assert "removed" in refusal


# The API


async def test_the_api_posts_in_anybodys_name(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room, name="Ada", is_persistent=True)
    by_name = await world.post_by_api(room, sender_id="x", sender_name="Xaver", sender_flag=1)
    assert (by_name.sender_name, by_name.sender_flag) == ("Xaver", SenderFlag.MANAGER)
    assert (await world.post_by_api(room, sender_id="ada")).sender_name == "Ada"
    assert (await world.post_by_api(room, sender_id="nobody")).sender_name is None
    # Ada's own connections hear of it too: none of them sent it.
    assert [event[1]["sender_id"] for event in ada.heard("ApplyChatroomMessage")] == ["x", "ada", "nobody"]


async def test_the_api_posts_files_and_images(world: World) -> None:
    room = await world.room()
    image = Draft(type=4, original_url="https://x/1", thumb_100_url="https://x/2", thumb_300_url="https://x/3")
    message = await world.service.messages.post_by_api(room, image, sender_id="x", sender_flag=0)
    assert (message.type, message.original_url, message.thumb_300_url) == (
        MessageType.IMAGE,
        "https://x/1",
        "https://x/3",
    )
    bad = [
        Draft(type=4),
        Draft(type=5),
        Draft(type=5, file_url="javascript:alert(1)"),
        Draft(type=1, content="x"),
        Draft(type=True, content="x"),
        Draft(type=[], content="x"),
        Draft(type=0.0, content="x"),
        Draft(type=5.0, file_url="https://x/y"),
        Draft(type=5, file_url="https://user:secret@x/y"),
    ]
    for draft in bad:
        with pytest.raises(InvalidArgumentError):
            await world.service.messages.post_by_api(room, draft, sender_id="x", sender_flag=0)


@pytest.mark.parametrize("flag", [2, -1, None, True, "0", [], 0.0, 1.0])
async def test_sender_flags_that_are_none(world: World, flag: Any) -> None:
    room = await world.room()
    with pytest.raises(InvalidArgumentError, match="sender_flag"):
        await world.post_by_api(room, sender_flag=flag)


async def test_the_api_edits_and_deletes_in_deleted_chatrooms_too(world: World) -> None:
    room = await world.room()
    message = await world.post_by_api(room)
    await world.service.chatrooms.delete(room)
    with pytest.raises(ChatroomNotFoundError):
        await world.post_by_api(room)
    with pytest.raises(ChatroomNotFoundError):
        await world.post_by_api("nowhere")
    edited = await world.service.messages.edit_by_api(room, message.message_id, "edited")
    assert edited.content == "edited"
    await world.service.messages.delete_by_api(room, message.message_id)
    await world.service.messages.delete_by_api(room, message.message_id)
    with pytest.raises(NotFoundError):
        await world.service.messages.delete_by_api(room, "nothing")
    changes = await world.service.messages.changes_for_api(room, cursor=None, limit=10)
    assert [one.is_deleted for one in changes.messages] == [True]


async def test_a_message_that_vanishes_between_look_and_change(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.room()
    message = await world.post_by_api(room)
    find = world.store.find_message

    async def find_then_lose(chatroom_id: str, message_id: str) -> Any:
        found = await find(chatroom_id, message_id)
        await world.store.delete_message(chatroom_id, message_id)
        return found

    monkeypatch.setattr(world.store, "find_message", find_then_lose)
    with pytest.raises(NotFoundError):
        await world.service.messages.edit_by_api(room, message.message_id, "edited")
    world.events.clear()
    monkeypatch.setattr(world.store, "delete_message", _nothing)
    await world.service.messages._delete(message)
    assert world.events == []


async def _nothing(*_: Any) -> None:
    return None


async def test_what_cannot_be_stored_is_neither_acknowledged_nor_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)

    async def fail(*_: Any, **__: Any) -> None:
        raise StoreError("disk full: secret detail")

    monkeypatch.setattr(world.store, "append_message", fail)
    refusal = await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room)
    assert refusal == "The hub could not store or read this. Please try again later."
    assert bob.heard() == []


async def test_a_message_is_stored_before_it_is_told(make_world: Callable[..., World], store: SqlStore) -> None:
    world = make_world()
    room = await world.room()
    stored: list[bool] = []

    def check(event: object) -> None:
        if isinstance(event, MessagePosted):
            with store._reading.connect() as connection:
                count = connection.exec_driver_sql("SELECT COUNT(*) FROM messages").scalar()
            stored.append(count == 1)

    world.backplane.listen(check)
    ada = await joined(world, "ada", room)
    await ada.post(room)
    assert stored == [True]


# Typing


async def test_typing_is_told_without_a_name_and_not_too_often(world: World) -> None:
    room = await world.room()
    ada, tab, bob = await joined(world, "ada", room), await joined(world, "ada", room), await joined(world, "bob", room)
    for seconds in (0, 0.5, 0.6):
        world.clock.advance(seconds)
        assert await ada.call("ChatroomTyping", room) is ...
    assert bob.heard("OnChatroomTyping") == [["OnChatroomTyping", room]] * 2
    assert ada.heard("OnChatroomTyping") == tab.heard("OnChatroomTyping") == []


async def test_typing_is_not_told_where_presence_is_off(make_world: Callable[..., World]) -> None:
    world = make_world(presence="off")
    room = await world.room()
    ada, bob = await joined(world, "ada", room), await joined(world, "bob", room)
    await ada.call("ChatroomTyping", room)
    assert bob.heard() == []
