"""What managers may do, and what nobody else ever gets to see of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from flask_chatix_comments.hub.service.visitors import ProfileUpdate
from tests.hub.support import Hub, Visit, World, sign_ticket

pytestmark = pytest.mark.anyio

ONLY_MANAGERS = "Only managers can whisper."
NO_MESSAGE = "There is no such message."
NO_ROOM = "There is no such chatroom."


async def joined(world: World, visitor_id: str, room: str, **ticket: Any) -> Visit:
    visit = await world.connect(visitor_id, **ticket)
    await visit.join(room)
    return visit


async def boss_in(world: World, room: str) -> Visit:
    return await joined(world, "boss", room, name="Boss", is_manager=True, is_persistent=True)


async def whisper(visit: Visit, room: str, content: Any = "Psst", key: Any = None) -> Any:
    return await visit.call("SendChatroomWhisper", content, room, key)


async def demote(world: World, visitor_id: str = "boss") -> None:
    await world.service.update_visitor(visitor_id, ProfileUpdate(is_manager=False))


def contents(page: Any) -> list[str]:
    return [item["content"] for item in page["items"]]


# Whispers


async def test_a_manager_whispers_to_managers(world: World) -> None:
    room = await world.room()
    boss, tab, second = await boss_in(world, room), await boss_in(world, room), await world.connect("second")
    await world.service.update_visitor("second", ProfileUpdate(is_manager=True))
    await second.join(room)
    message = await whisper(boss, room, "Do we know this one?", "key")
    assert message["content"] == "Do we know this one?"
    assert (message["is_whisper"], message["sender_flag"], message["sender_name"]) == (True, 1, "Boss")
    assert message["client_key"] == "key"
    # As with any message: the page that sent it has it, other pages hear of it, others without the key.
    assert boss.heard("ApplyChatroomMessage") == []
    assert tab.heard("ApplyChatroomMessage") == [["ApplyChatroomMessage", message, room]]
    without_key = {name: value for name, value in message.items() if name != "client_key"}
    assert second.heard("ApplyChatroomMessage") == [["ApplyChatroomMessage", without_key, room]]
    for target in ("GetChatroomHistory", "GetChatroomChanges"):
        assert (await second.call(target, room, None, 10))["items"] == [without_key]


async def test_a_repeated_whisper_is_one(world: World) -> None:
    room = await world.room()
    boss, second = await boss_in(world, room), await joined(world, "second", room, is_manager=True)
    assert await whisper(boss, room, "Psst", "key") == await whisper(boss, room, "Psst", "key")
    assert len(second.heard("ApplyChatroomMessage")) == 1


async def test_a_key_of_a_comment_makes_no_whisper_of_it_and_the_other_way_round(world: World) -> None:
    room = await world.room()
    boss = await boss_in(world, room)
    await boss.post(room, "For all", uuid="one")
    await whisper(boss, room, "For us", "two")
    assert "removed" in await boss.refusal("SendChatroomWhisper", "For all", room, "one")
    assert "removed" in await boss.refusal("SaveChatroomMessage", {"type": 0, "content": "For us", "uuid": "two"}, room)


@pytest.mark.parametrize(
    ("content", "key", "reason"),
    [
        (None, None, "The text of a message is missing."),
        (" ", None, "A message needs some text."),
        ("x" * 10_001, None, "A message has at most 10000 characters, this one has 10001."),
        ("Psst", 7, "The message's uuid is not an id."),
    ],
)
async def test_what_is_no_whisper(world: World, content: Any, key: Any, reason: str) -> None:
    room = await world.room()
    boss = await boss_in(world, room)
    assert await boss.refusal("SendChatroomWhisper", content, room, key) == reason


async def test_nobody_else_whispers(world: World) -> None:
    room, private = await world.room(), await world.room(is_private=True)
    ada, stranger = await joined(world, "ada", room), await world.connect_stranger()
    await stranger.join(room)
    boss = await boss_in(world, room)
    for visit in (ada, stranger):
        assert await visit.refusal("SendChatroomWhisper", "Psst", room, None) == ONLY_MANAGERS
        assert await visit.refusal("SendChatroomWhisper", "Psst", private, None) == NO_ROOM
        assert await visit.refusal("SendChatroomWhisper", "Psst", "nowhere", None) == NO_ROOM
    outsider = await world.connect("outsider")
    assert await outsider.refusal("SendChatroomWhisper", "Psst", room, None) == "Join the chatroom first."
    assert await boss.refusal("SendChatroomWhisper", "Psst", private, None) == "Join the chatroom first."
    assert (await boss.call("GetChatroomHistory", room, None, 10))["items"] == []
    # A client that says so itself posts for all to see.
    message = await ada.post(room, "Hello", is_whisper=True)
    assert "is_whisper" not in message
    assert [event[1]["content"] for event in boss.heard("ApplyChatroomMessage")] == ["Hello"]


async def test_visitors_see_nothing_of_whispers(world: World) -> None:
    room = await world.room()
    boss, ada, stranger = await boss_in(world, room), await joined(world, "ada", room), await world.connect_stranger()
    await stranger.join(room)
    visitors = (ada, stranger)
    await boss.post(room, "First")

    async def seen() -> str:
        """Return everything that the hub answers to visitors and to the site."""
        answers: list[Any] = []
        for visit in visitors:
            answers += [
                await visit.call("GetChatroomHistory", room, None, 100),
                await visit.call("GetChatroomChanges", room, None, 100),
                await visit.call("GetChatroomChanges", room, "1", 100),
                await visit.call("GetChatroomVisitors", room, 100, 1),
                await visit.call("GetChatroom", room),
                await visit.call("GetAllChatrooms", 10, 1, False),
                await visit.call("GetWebChatManagers"),
            ]
        service = world.service
        answers += [
            (await service.messages.history_for_api(room, before_id=None, limit=100)).messages,
            await service.messages.changes_for_api(room, cursor=None, limit=100),
            await service.chatrooms.count_messages([room]),
            await service.chatrooms.get(room),
        ]
        return json.dumps(answers, default=str)

    await world.service.tick()
    for visit in visitors:
        visit.forget_events()
    before = await seen()
    kept, gone = await whisper(boss, room, "Kept secret"), await whisper(boss, room, "Deleted secret")
    await boss.call("UpdateChatroomMessage", kept["uuid"], "Edited secret", room)
    await boss.call("DeleteChatroomMessage", gone["uuid"], room)
    await world.whisper(room, "Secret of the API")
    await world.service.tick()
    assert await seen() == before
    assert [visit.heard() for visit in visitors] == [[], []]
    # Not by their ids either, living or deleted, and no otherwise than ids of nobody.
    for visit in visitors:
        for message_id in (kept["uuid"], gone["uuid"], "nobody"):
            assert await visit.refusal("GetChatroomHistory", room, message_id, 10) == NO_MESSAGE
            assert await visit.refusal("UpdateChatroomMessage", message_id, "x", room) == NO_MESSAGE
            assert await visit.refusal("DeleteChatroomMessage", message_id, room) == NO_MESSAGE
        # Nor by a cursor that a manager has had.
        page = await visit.call("GetChatroomChanges", room, "1.1", 10)
        assert (page["items"], page["has_more"]) == ([], False)
    # The next comment is the second one.
    assert (await ada.post(room, "Second"))["seq"] == 2
    assert (await ada.call("GetChatroomHistory", room, None, 10))["cursor"] == "2"


async def test_the_site_cannot_page_from_a_whisper(hub: Hub) -> None:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    sent = await hub.post("/chatroom/send-whisper", {"content": "Psst", "sender_id": "boss"}, chatroomId=room)
    assert sent.json()["is_whisper"] is True
    for last in (sent.json()["uuid"], "nobody"):
        answer = await hub.get("/chatroom/messages", chatroomId=room, lastMessageId=last)
        assert (answer.status_code, answer.json()) == (404, {"error": NO_MESSAGE})
    for path in ("/chatroom/messages", "/chatroom/changes"):
        assert (await hub.get(path, chatroomId=room)).json()["items"] == []
    assert (await hub.post("/chatroom/counts", {"chatroom_ids": [room]})).json() == {"counts": {room: 0}}


# Rights


async def test_managers_join_private_rooms(world: World) -> None:
    private = await world.room(is_private=True)
    boss, ada = await boss_in(world, private), await world.connect("ada")
    assert await ada.call("ConnectToChatroom", private) == {"is_success": False, "description": NO_ROOM}
    assert (await boss.post(private, "Here I am"))["sender_flag"] == 1
    assert contents(await boss.call("GetChatroomHistory", private, None, 10)) == ["Here I am"]


async def test_answers_say_so_to_a_manager_only(world: World) -> None:
    room = await world.room()
    boss, ada = await boss_in(world, room), await joined(world, "ada", room)
    for target in ("GetChatroomHistory", "GetChatroomChanges"):
        assert (await boss.call(target, room, None, 10))["is_manager"] is True
        assert "is_manager" not in await ada.call(target, room, None, 10)


async def test_who_is_no_manager_any_more_is_told_and_sees_no_whisper(world: World) -> None:
    room = await world.room()
    boss, tab, ada = await boss_in(world, room), await boss_in(world, room), await joined(world, "ada", room)
    secret = await whisper(boss, room)
    comment = await ada.post(room)
    cursor = (await boss.call("GetChatroomHistory", room, None, 10))["cursor"]
    for visit in (boss, tab, ada):
        visit.forget_events()
    await demote(world)
    for visit in (boss, tab):
        assert visit.heard() == [["OnManagerRightsChanged", False]]
    assert ada.heard() == []
    await world.whisper(room, "Behind the back")
    assert contents(await boss.call("GetChatroomHistory", room, None, 10)) == ["Hello"]
    page = await boss.call("GetChatroomChanges", room, cursor, 10)
    assert (page["items"], "is_manager" in page) == ([], False)
    assert await boss.refusal("SendChatroomWhisper", "Psst", room, None) == ONLY_MANAGERS
    # Not even what it has whispered itself.
    assert await boss.refusal("UpdateChatroomMessage", secret["uuid"], "x", room) == NO_MESSAGE
    assert await boss.refusal("DeleteChatroomMessage", secret["uuid"], room) == NO_MESSAGE
    foreign = "This is somebody else's message."
    assert await boss.refusal("UpdateChatroomMessage", comment["uuid"], "x", room) == foreign
    assert (await boss.post(room, "As a reader"))["sender_flag"] == 0
    await world.service.update_visitor("boss", ProfileUpdate(is_manager=True))
    assert boss.heard("OnManagerRightsChanged")[-1] == ["OnManagerRightsChanged", True]
    assert "Behind the back" in contents(await boss.call("GetChatroomHistory", room, None, 10))


async def test_a_newer_ticket_takes_the_rights_from_all_pages(world: World) -> None:
    room = await world.room()
    boss = await boss_in(world, room)
    world.clock.advance(10)
    tab = await joined(world, "boss", room, name="Boss", is_persistent=True)
    assert boss.heard("OnManagerRightsChanged") == [["OnManagerRightsChanged", False]]
    await world.whisper(room)
    assert boss.heard("ApplyChatroomMessage") == tab.heard("ApplyChatroomMessage") == []


async def test_the_same_rights_again_are_no_news(world: World) -> None:
    room = await world.room()
    boss = await boss_in(world, room)
    await world.service.update_visitor("boss", ProfileUpdate(is_manager=True, name="The Boss"))
    await boss_in(world, room)
    assert boss.heard("OnManagerRightsChanged") == []


async def test_who_is_no_manager_any_more_is_in_private_rooms_no_more(world: World) -> None:
    room, private = await world.room(), await world.room(is_private=True)
    boss, ada = await boss_in(world, room), await world.connect("ada")
    await boss.join(private)
    await world.service.attendance.admit("ada", private)
    await demote(world)
    assert await world.members(private) == ["ada"]
    assert [event[0] for event in boss.heard()] == ["OnManagerRightsChanged", "OnDisconnectVisitorFromChatroom"]
    assert await boss.refusal("GetChatroomHistory", private, None, 10) == NO_ROOM
    await boss.call("GetChatroomHistory", room, None, 10)
    await ada.post(private)
    assert boss.heard("ApplyChatroomMessage") == []
    # The site may let it in again.
    await world.service.attendance.admit("boss", private)
    assert contents(await boss.call("GetChatroomHistory", private, None, 10)) == ["Hello"]


async def test_nor_when_that_comes_with_a_ticket_after_a_restart(make_world: Callable[..., World]) -> None:
    first = make_world()
    private = await first.room(is_private=True)
    await boss_in(first, private)
    second = make_world()
    await second.service.start()
    second.clock.advance(10)
    boss = await second.connect_with(sign_ticket(second.clock, "boss", name="Boss", is_persistent=True))
    assert await boss.refusal("GetChatroomHistory", private, None, 10) == NO_ROOM
    assert await second.members(private) == []


async def test_a_name_is_no_badge(world: World) -> None:
    room = await world.room()
    guest, boss = await joined(world, "g-1", room, name="Manager ✓"), await boss_in(world, room)
    forged: dict[str, Any] = {"sender_flag": 1, "sender_id": "boss", "is_manager": True}
    assert (await guest.post(room, **forged))["sender_flag"] == 0
    assert boss.heard("ApplyChatroomMessage")[0][1]["sender_flag"] == 0
