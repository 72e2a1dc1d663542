"""Private chatrooms at every door of the hub: who is not in one cannot tell it from one that does not exist."""

from __future__ import annotations

from typing import Any

import pytest

from flask_chatix_comments.errors import ChatroomNotFoundError
from flask_chatix_comments.hub import arguments
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import Visit, World

pytestmark = pytest.mark.anyio

NOT_FOUND = "There is no such chatroom."
#: How each hub method is called that names a chatroom.
CALLS: dict[str, Any] = {
    "GetChatroom": lambda room: [room],
    "ConnectToChatroom": lambda room: [room],
    "DisconnectFromChatroom": lambda room: [room],
    "SaveChatroomMessage": lambda room: [{"type": 0, "content": "Hello"}, room],
    "GetChatroomHistory": lambda room: [room, None, 50],
    "GetChatroomVisitors": lambda room: [room, 50, 1],
    "GetChatroomChanges": lambda room: [room, None, 50],
    "UpdateChatroomMessage": lambda room: ["message", "Hello", room],
    "DeleteChatroomMessage": lambda room: ["message", room],
    "SendChatroomWhisper": lambda room: ["Psst", room, None],
    "ChatroomTyping": lambda room: [room],
}
each_call = pytest.mark.parametrize("target", CALLS)


async def answer(visit: Visit, target: str, room: str) -> Any:
    """Return what a hub method answers, result or error, without the number of the call."""
    completion = await visit._complete(target, CALLS[target](room))
    del completion["invocationId"]
    return completion


async def test_no_method_is_forgotten(world: World) -> None:
    name_a_room = {arguments.chatroom_id, arguments.chatroom_id_or_none}
    methods = {name for name, method in world.dispatcher._methods.items() if name_a_room & set(method.parameters)}
    assert methods == {target.lower() for target in CALLS}


@pytest.fixture
async def rooms(world: World) -> dict[str, str]:
    """A private chatroom with a comment, one that is deleted, both, and none."""
    rooms = {
        "private": await world.room("Private", is_private=True),
        "deleted": await world.room("Deleted"),
        "both": await world.room("Both", is_private=True),
        "unknown": "0" * 32,
    }
    for kind in ("private", "deleted", "both"):
        await world.post_by_api(rooms[kind])
    for kind in ("deleted", "both"):
        await world.service.chatrooms.delete(rooms[kind])
    return rooms


@each_call
@pytest.mark.parametrize("is_stranger", [True, False], ids=["get-id ticket", "site ticket"])
async def test_all_answer_alike(
    world: World, rooms: dict[str, str], target: str, is_stranger: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    visit = await world.connect_stranger() if is_stranger else await world.connect("ada")
    questions: list[str] = []
    read = SqlStore._read

    async def counted(self: SqlStore, work: Any, *parameters: Any) -> Any:
        questions.append(work.__name__)
        return await read(self, work, *parameters)

    monkeypatch.setattr(SqlStore, "_read", counted)
    outcomes = {}
    for kind, room in rooms.items():
        questions.clear()
        # With the questions to the database: what takes the same steps takes about the same time.
        outcomes[kind] = (await answer(visit, target, room), tuple(questions))
    assert len({repr(outcome) for outcome in outcomes.values()}) == 1, outcomes
    ((completion, _), *_) = outcomes.values()
    if target == "ConnectToChatroom":
        assert completion["result"] == {"is_success": False, "description": NOT_FOUND}
    elif target == "DisconnectFromChatroom":
        assert completion["result"] == {"is_success": True}
    else:
        assert completion["error"] == NOT_FOUND
    assert visit.heard() == []


@pytest.mark.parametrize("is_here", [True, False], ids=["connected", "not connected"])
async def test_uploads_are_refused_alike(
    world: World, rooms: dict[str, str], is_here: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_here:
        await world.connect("ada")
    questions: list[str] = []
    read = SqlStore._read

    async def counted(self: SqlStore, work: Any, *parameters: Any) -> Any:
        questions.append(work.__name__)
        return await read(self, work, *parameters)

    monkeypatch.setattr(SqlStore, "_read", counted)
    steps = set()
    for room in rooms.values():
        questions.clear()
        with pytest.raises(ChatroomNotFoundError, match=NOT_FOUND):
            await world.upload("ada", room)
        steps.add(tuple(questions))
    assert len(steps) == 1


async def test_nothing_that_happens_is_heard_outside(world: World) -> None:
    """Whatever is done in and to a private chatroom, from its making to its end."""
    stranger, reader = await world.connect_stranger(), await world.connect("reader")
    await reader.join(await world.room("Another post"))
    await world.service.tick()
    for visit in (stranger, reader):
        visit.forget_events()
    room = await world.room("Private", is_private=True)
    await world.service.attendance.admit("member", room)
    member = await world.connect("member", name="Ada", is_persistent=True)
    await member.join(room)
    await member.post(room)
    await member.call("ChatroomTyping", room)
    await world.post_by_api(room)
    await world.service.chatrooms.update(room, {"title": "Another title", "is_closed": True})
    await world.service.chatrooms.delete(room)
    await world.service.chatrooms.restore(room)
    await member.leave(room)
    await world.pass_time(5)
    assert stranger.heard() == reader.heard() == []
    for visit in (stranger, reader):
        for target in ("GetAllChatrooms", "GetMyChatrooms"):
            titles = [item["title"] for item in (await visit.call(target, 100, 1, False))["items"]]
            assert "Another title" not in titles


async def test_who_is_taken_out_hears_no_more_on_any_connection(world: World) -> None:
    room = await world.room(is_private=True)
    for visitor_id in ("ada", "ben"):
        await world.service.attendance.admit(visitor_id, room)
    ada = [await world.connect("ada"), await world.connect("ada")]
    ben = await world.connect("ben")
    for visit in (*ada, ben):
        await visit.join(room)
    await world.service.attendance.expel("ada", room)
    for visit in ada:
        ((target, who, where),) = visit.heard("OnDisconnectVisitorFromChatroom")
        assert (target, who["uuid"], where) == ("OnDisconnectVisitorFromChatroom", "ada", room)
        visit.forget_events()
    await ben.post(room, "Among us")
    await ben.call("ChatroomTyping", room)
    await world.pass_time(5)
    for visit in ada:
        assert visit.heard() == []
        for target in CALLS:
            if target != "DisconnectFromChatroom":
                assert NOT_FOUND in repr(await answer(visit, target, room))


async def test_one_page_may_go_while_the_next_one_comes(world: World) -> None:
    """The site has let the visitor in for the next page, which has not joined yet when the first one leaves."""
    room = await world.room(is_private=True)
    await world.service.attendance.admit("ada", room)
    first = await world.connect("ada")
    await first.join(room)
    await world.service.attendance.admit("ada", room)
    await first.leave(room)
    first.drop()
    second = await world.connect("ada")
    await second.join(room)
    await second.leave(room)
    # Each yes is for one page.
    assert (await second.call("ConnectToChatroom", room))["is_success"] is False


async def test_another_client_that_leaves_has_left(world: World) -> None:
    """It has no site that would let it in for another page: a leave gives the permission up as well."""
    room = await world.room(is_private=True)
    stranger = await world.connect_stranger()
    await world.service.attendance.admit(stranger.visitor_id, room)
    await stranger.leave(room)
    assert await world.members(room) == []
