"""The WebSocket transport, driven by its own ``receive`` and ``send``."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.hub.transports import outlet, websocket
from flask_chatix_comments.hub.transports.calls import BYTES_PER_PLACE, MAX_LATE_CALLS, MAX_WAITING_FRAMES
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.websocket import SERVICE_RESTART
from tests.hub.support import Hub, sign_ticket, until
from tests.hub.transports.support import CALL, Calls, Socket, connected, count_members, new_room

pytestmark = pytest.mark.anyio


async def test_files_are_told_on_the_host_by_which_each_came(hub: Hub) -> None:
    room = await new_room(hub)
    async with (
        connected(hub, "ada", host="blog.example:5001") as ada,
        connected(hub, "bob", host="[2001:db8::1]") as bob,
        connected(hub, "eve") as eve,
    ):
        for socket in (ada, bob, eve):
            assert await socket.call("ConnectToChatroom", room) == {"is_success": True}
        query = {"websiteId": "local", "visitorId": sign_ticket(hub.clock, "ada"), "chatroomId": room}
        uploaded = await hub.client.post("/file/save", params=query, files={"formFile": ("a.txt", b"x")})
        path = uploaded.json()["fileUrl"].partition("/v1/")[2]
        sent = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": uploaded.json()["fileUrl"]}, room)
        assert sent["file_url"] == f"http://blog.example:5001/v1/{path}"
        for socket, base_url in ((bob, "http://[2001:db8::1]/v1"), (eve, "http://localhost/v1")):
            event = await socket.heard("ApplyChatroomMessage")
            assert event["arguments"][0]["file_url"] == f"{base_url}/{path}"


async def test_a_client_that_leaves_before_the_upgrade(hub: Hub) -> None:
    socket = Socket(hub, "", [])
    socket.task = asyncio.create_task(hub.app(socket.scope, socket._to_app.get, socket._send))
    await socket.disconnect()


async def test_binary_frames_are_read_as_text(hub: Hub) -> None:
    async with connected(hub, "ada") as ada:
        ada.receive(bytes=b'{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e')
        assert (await ada.records())[0]["result"] == []
        ada.receive(bytes=b"\xff\x1e")
        assert (await ada.records())[0]["type"] == 7


@pytest.mark.parametrize("error", [ConnectionResetError, RuntimeError])
async def test_a_server_that_has_closed_already(hub: Hub, error: type[Exception]) -> None:
    async with connected(hub, "ada") as ada:
        ada.failure = error
        ada.receive('{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e')
        await ada.disconnect()


async def test_a_server_that_cannot_answer_an_upgrade_with_a_status(hub: Hub) -> None:
    socket = Socket(hub, "", [])
    socket.scope["extensions"] = {}
    socket.start()
    assert await socket.sent() == {"type": "websocket.close"}
    await socket.end()


async def test_a_client_that_vanishes_while_something_is_sent(hub: Hub) -> None:
    room = await new_room(hub)
    async with connected(hub, "ada") as ada:
        await ada.call("ConnectToChatroom", room)
        ada.failure = ConnectionResetError
        await hub.post("/chatroom/send-message", {"content": "x", "sender_id": "y"}, chatroomId=room)
        await ada.disconnect()
    assert await count_members(hub, room) == 1


async def test_the_end_of_the_server_is_said_in_the_code(hub: Hub) -> None:
    async with connected(hub, "ada") as ada:
        (farewell,) = ada.farewells
        farewell()
        assert [record.get("target") for record in await ada.records()] == ["OnComeAgain", None]
        assert await ada.sent() == {"type": "websocket.close", "code": SERVICE_RESTART}


async def test_the_end_of_a_client_is_noticed_during_a_call(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        calls.may_go_on.clear()
        ada.receive(CALL * 100)
        await until(lambda: calls.count, "the first call")
        ada.say_disconnected()
        # The channel has ended while the call has not.
        assert await ada.sent() == {"type": "websocket.close", "code": 1000}
        calls.may_go_on.set()
        await ada.end()
    assert calls.count == 1 + MAX_LATE_CALLS


#: As long as two places are.
LONG_CALL = CALL.replace("[]", f'["{"x" * BYTES_PER_PLACE}"]')


@pytest.mark.parametrize(
    ("call", "waiting"),
    [(CALL, MAX_WAITING_FRAMES), (LONG_CALL, MAX_WAITING_FRAMES // 2), (" " * 7 * BYTES_PER_PLACE + CALL, 1)],
    ids=["short", "long", "longest"],
)
async def test_who_sends_faster_than_the_hub_works_has_to_wait(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, call: str, waiting: int
) -> None:
    frames = waiting + 20
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        calls.may_go_on.clear()
        for _ in range(frames):
            ada.receive(call)
        # One is being answered, one is held until there is a place for it.
        taken = waiting + 2
        await until(lambda: ada.unread == frames - taken, "the hub to take what it may")
        assert (await hub.client.get("/health")).status_code == 200
        assert ada.unread == frames - taken
        calls.may_go_on.set()
        answers: list[dict[str, Any]] = []
        while len(answers) < frames:
            answers += await ada.records()
    assert (calls.count, len(answers)) == (frames, frames)


LONG = {"type": 1, "invocationId": "1", "target": "GetChatroomHistory"}
#: Nothing is begun while more than 262,144 characters wait; each of these answers has some more than 100,000.
MOST_LONG_ANSWERS = 5


async def ask_for_more_than_is_taken(hub: Hub, ada: Socket, calls: Calls) -> str:
    """Join a chatroom with 100 kB of messages; let the server take nothing, then ask a hundred times."""
    room = await new_room(hub)
    await ada.call("ConnectToChatroom", room)
    for _ in range(10):
        await hub.post("/chatroom/send-message", {"content": "x" * 10_000, "sender_id": "y"}, chatroomId=room)
    before = calls.count
    ada.may_send.clear()
    ada.receive(f"{json.dumps(LONG | {'arguments': [room, None, 10]})}\x1e" * 100)
    await until(lambda: calls.count > before + 2, "the first of the calls")
    for _ in range(20):
        # Each of these is answered, while nothing goes on for who takes nothing.
        assert (await hub.get("/chatroom/get", chatroomId=room)).status_code == 200
    assert calls.count - before <= MOST_LONG_ANSWERS
    return room


async def test_who_does_not_take_the_answers_gets_no_more_of_them(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hub, "ada") as ada, connected(hub, "bob") as bob:
        calls = Calls(monkeypatch)
        room = await ask_for_more_than_is_taken(hub, ada, calls)
        # Others do not wait.
        assert await bob.call("ConnectToChatroom", room) == {"is_success": True}
        ada.may_send.set()
        answers = 0
        while answers < 100:
            answers += len([record for record in await ada.records() if record["type"] == 3])


@pytest.mark.parametrize("way", ["gone", "goodbye", "sent away"])
async def test_the_end_of_who_does_not_take_the_answers(hub: Hub, monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        await ask_for_more_than_is_taken(hub, ada, calls)
        count = calls.count
        match way:
            case "gone":
                # As uvicorn does it: what is being sent fails, and the end comes behind all that was sent before.
                ada.failure = ConnectionResetError
                ada.may_send.set()
            case "goodbye":
                ada.receive('{"type":7}\x1e')
                await until(lambda: calls.count > count, "the late calls")
                ada.may_send.set()
            case "sent away":
                ada.receive("nonsense\x1e")
                await until(lambda: calls.count > count, "the late calls")
                ada.may_send.set()
        await ada.disconnect()
    assert calls.count <= count + MAX_LATE_CALLS + 1


async def test_a_client_that_took_nothing_more_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its goodbye may be behind much else that it sent."""
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        ada.failure = ConnectionResetError
        ada.receive(CALL * 500)
        await until(lambda: calls.count > MAX_LATE_CALLS, "the late calls")
        await ada.disconnect()
    # It is noticed with the first answer that cannot be sent, when the next call has begun.
    assert calls.count <= 2 + MAX_LATE_CALLS


@pytest.mark.parametrize("error", [None, RuntimeError])
async def test_a_client_that_takes_nothing_is_dropped_though_the_server_never_says_so(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, error: type[Exception] | None
) -> None:
    for module in (websocket, outlet):
        monkeypatch.setattr(module, "SEND_S", 0.05)
    async with connected(hub, "ada") as ada:
        await ada.call("GetVisitorInfo", None)
        assert (await hub.get("/visitor/get", visitorId="ada")).json()["is_online"]
        ada.failure = error
        if error is None:
            ada.may_send.clear()
        ada.receive(CALL)
        await ada.end()
    assert (await hub.get("/visitor/get", visitorId="ada")).status_code == 404


async def test_a_frame_at_which_the_hub_fails(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> list[Invocation]:
        raise ValueError("a bug of ours")

    async with connected(hub, "ada") as ada:
        monkeypatch.setattr(Channel, "receive_text", fail)
        ada.receive(CALL)
        (record,) = await ada.records()
        assert (record["type"], record["allowReconnect"]) == (7, True)
        assert "bug" not in record["error"]
        assert (await ada.sent())["type"] == "websocket.close"
        ada.receive("ignored")
        await ada.disconnect()
    assert "a bug of ours" in caplog.text
