"""The table of hub methods, as any SignalR client meets it."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_chatix_comments.hub import broadcast
from flask_chatix_comments.hub.signalr.json_protocol import serialize_message
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.wire import HubMethod
from tests.hub.support import World

pytestmark = pytest.mark.anyio


async def test_every_hub_method_of_the_sdk_is_there(world: World) -> None:
    ada = await world.connect("ada")
    for method in HubMethod:
        completion = await world.dispatcher.invoke(
            ada.caller, Invocation(target=method.value, arguments=[], invocation_id="1")
        )
        assert completion is not None
        assert completion.error != "The hub has no such method."


async def test_targets_are_compared_without_regard_to_case(world: World) -> None:
    ada = await world.connect("ada")
    assert await ada.call("getManagers") == []
    assert await ada.call("GETMANAGERS") == []


async def test_unknown_methods(world: World) -> None:
    ada = await world.connect("ada")
    for target in ("NoSuchMethod", "", "connect", "_call"):
        assert await ada.refusal(target) == "The hub has no such method."


@pytest.mark.parametrize(
    ("target", "arguments"),
    [
        ("SavePageInfo", ["https://blog.example/?secret", "Title"]),
        ("VisitorType", ["what I am typing"]),
        ("AllowScreenCast", [True]),
        ("InterruptScreenCast", []),
        ("PostScreenData", ["x", {}]),
        ("PostScreenEvent", [{}, None, None]),
    ],
)
async def test_what_a_comment_section_has_no_use_for_is_answered_with_void(
    world: World, target: str, arguments: list[Any]
) -> None:
    ada = await world.connect("ada")
    assert await ada.call(target, *arguments) is ...


async def test_there_are_no_private_conversations(world: World) -> None:
    ada = await world.connect("ada")
    assert await ada.call("GetHistory", None, None, 30) == {"items": []}
    assert "no private conversations" in await ada.refusal("SaveMessage", {"type": 0, "content": "x"}, None)
    assert await ada.call("GetWebChatInfo") == {"id": "local"}


async def test_a_call_without_an_invocation_id_has_no_answer(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    join = Invocation(target="ConnectToChatroom", arguments=[room])
    assert await world.dispatcher.invoke(ada.caller, join) is None
    assert await world.members(room) == ["ada"]
    assert await world.dispatcher.invoke(ada.caller, Invocation(target="Nonsense", arguments=[])) is None


async def test_the_number_of_arguments(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    assert await ada.refusal("ConnectToChatroom") == "The chatroom's id is not an id."
    assert await ada.refusal("ConnectToChatroom", room, 1) == "This method takes 1 arguments, not 2."
    # A client that leaves out what is null means null.
    assert (await ada.call("GetVisitorInfo"))["uuid"] == ada.caller.ticket_text


@pytest.mark.parametrize("room", [None, 7, "", "x" * 101, ["x"], {"id": "x"}, True])
async def test_ids_that_are_none(world: World, room: Any) -> None:
    ada = await world.connect("ada")
    for target, arguments in [
        ("GetChatroom", [room]),
        ("ConnectToChatroom", [room]),
        ("DisconnectFromChatroom", [room]),
        ("GetChatroomHistory", [room, None, 1]),
        ("SaveChatroomMessage", [{"type": 0, "content": "x"}, room]),
    ]:
        assert await ada.refusal(target, *arguments) == "The chatroom's id is not an id."


async def test_what_goes_wrong_inside_is_logged_and_not_told(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    ada = await world.connect("ada")

    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("a secret")

    monkeypatch.setattr(world.store, "list_managers", fail)
    with caplog.at_level(logging.ERROR):
        assert await ada.refusal("GetWebChatManagers") == "The hub could not do this. Please try again."
    assert "RuntimeError: a secret" in caplog.text


async def test_events_go_to_other_connections_than_the_senders(world: World) -> None:
    room = await world.room()
    ada, tab, bob = await world.connect("ada", name="Ada"), await world.connect("ada"), await world.connect("bob")
    for visit in (ada, tab, bob):
        await visit.join(room)
    message = await ada.post(room, uuid="key")
    assert ada.heard() == []
    assert tab.heard() == [["ApplyChatroomMessage", message, room]]
    without_key = {key: value for key, value in message.items() if key != "client_key"}
    assert bob.heard() == [["ApplyChatroomMessage", without_key, room]]
    await ada.call("UpdateChatroomMessage", message["uuid"], "Better", room)
    await ada.call("DeleteChatroomMessage", message["uuid"], room)
    for visit in (ada, tab, bob):
        update, deletion = visit.heard("OnUpdateChatroomMessage", "OnDeleteChatroomMessage")
        assert (update[1]["content"], update[2]) == ("Better", room)
        assert deletion == ["OnDeleteChatroomMessage", message["uuid"], room]
        assert ("client_key" in update[1]) is (visit is not bob)


async def test_a_connection_that_is_gone_hears_nothing(world: World) -> None:
    room = await world.room()
    ada, bob = await world.connect("ada"), await world.connect("bob")
    await ada.join(room)
    await bob.join(room)
    bob.drop()
    bob.drop()
    await ada.post(room)
    assert bob.heard() == []


async def test_one_event_for_many_is_serialised_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await world.room()
    readers = [await world.connect(f"reader-{number}") for number in range(20)]
    for reader in readers:
        await reader.join(room)
    serialised = []

    def serialize(message: Any) -> str:
        serialised.append(message)
        return serialize_message(message)

    monkeypatch.setattr(broadcast, "serialize_message", serialize)
    await world.post_by_api(room)
    assert len(serialised) == 1
    assert all(len(reader.heard()) == 1 for reader in readers)


async def test_connections_that_are_not_of_this_process_are_skipped(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada")
    await ada.join(room)
    world.membership.connect("ada", "elsewhere")
    await world.post_by_api(room)
    assert len(ada.heard()) == 1
