"""The WebSocket transport, driven by its own ``receive`` and ``send``."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub.dispatcher import Dispatcher
from flask_chatix_comments.hub.service import Caller
from flask_chatix_comments.hub.signalr.messages import Completion, Invocation
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.hub.transports import outlet, websocket
from flask_chatix_comments.hub.transports.calls import MAX_LATE_CALLS, MAX_WAITING_FRAMES
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.channels import Channels
from flask_chatix_comments.hub.transports.shutdown import SHUTDOWN_EXTENSION
from flask_chatix_comments.hub.transports.websocket import SERVICE_RESTART
from tests.hub.support import DEADLINE_S, Hub, records_of, sign_ticket, until

pytestmark = pytest.mark.anyio

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
CALL = '{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e'


class Socket:
    """The server's side of a WebSocket, by hand."""

    def __init__(self, hub: Hub, query: str, headers: list[tuple[bytes, bytes]]) -> None:
        self._hub = hub
        self.query = query
        self._to_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._from_app: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.failure: type[Exception] | None = None
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.scope: dict[str, Any] = {
            "type": "websocket",
            "path": "/v1/chat",
            "raw_path": b"/v1/chat",
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        self.task: asyncio.Task[None] | None = None

    async def _send(self, message: dict[str, Any]) -> None:
        await self.may_send.wait()
        if self.failure is not None:
            raise self.failure
        await self._from_app.put(message)

    def start(self) -> None:
        self.task = asyncio.create_task(self._hub.app(self.scope, self._to_app.get, self._send))
        self._to_app.put_nowait({"type": "websocket.connect"})

    async def sent(self) -> dict[str, Any]:
        return await asyncio.wait_for(self._from_app.get(), DEADLINE_S)

    async def records(self) -> list[dict[str, Any]]:
        message = await self.sent()
        assert message["type"] == "websocket.send", message
        return records_of(message["text"])

    def receive(self, text: str | None = None, **message: Any) -> None:
        data = {"text": text} if text is not None else {}
        self._to_app.put_nowait({"type": "websocket.receive", **data, **message})

    async def heard(self, target: str) -> dict[str, Any]:
        """Return the next event of a kind; others may come in between, such as who is there now."""
        while True:
            for record in await self.records():
                if record.get("target") == target:
                    return record

    async def call(self, target: str, *arguments: Any) -> Any:
        call = {"type": 1, "invocationId": "1", "target": target, "arguments": arguments}
        self.receive(json.dumps(call) + "\x1e")
        while True:
            for record in await self.records():
                if record.get("invocationId") == "1":
                    return record.get("result", record)

    @property
    def unread(self) -> int:
        """How many messages the application has not taken."""
        return self._to_app.qsize()

    def say_disconnected(self) -> None:
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": 1001})

    async def disconnect(self) -> None:
        self.say_disconnected()
        await self.end()

    async def end(self) -> None:
        assert self.task is not None
        await asyncio.wait_for(self.task, DEADLINE_S)


async def negotiated(hub: Hub, ticket: str) -> str:
    response = await hub.client.post(
        "/chat/negotiate", params={"websiteId": "local", "visitorId": ticket, "negotiateVersion": 1}
    )
    return str(response.json()["connectionToken"])


def query_of(ticket: str, token: str) -> str:
    return f"visitorId={ticket}&websiteId=local&id={token}"


class Calls:
    """Counts the calls of hub methods, and holds them up while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        invoke = Dispatcher.invoke

        async def counted(dispatcher: Dispatcher, caller: Caller, invocation: Invocation) -> Completion | None:
            self.count += 1
            await self.may_go_on.wait()
            return await invoke(dispatcher, caller, invocation)

        monkeypatch.setattr(Dispatcher, "invoke", counted)


@asynccontextmanager
async def connected(
    hub: Hub, visitor_id: str, *, host: str | None = None, extensions: dict[str, Any] | None = None
) -> AsyncIterator[Socket]:
    ticket = sign_ticket(hub.clock, visitor_id)
    headers = [] if host is None else [(b"host", host.encode())]
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), headers)
    socket.scope["extensions"] |= extensions or {}
    socket.start()
    assert (await socket.sent())["type"] == "websocket.accept"
    socket.receive(HANDSHAKE)
    assert await socket.records() == [{}]
    yield socket
    if socket.task is not None and not socket.task.done():
        await socket.disconnect()


async def new_room(hub: Hub) -> str:
    return str((await hub.post("/chatroom/create", {"title": "A post"})).json()["id"])


async def count_members(hub: Hub, room: str) -> int:
    return int((await hub.get("/chatroom/get", chatroomId=room)).json()["number_of_visitors"])


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


async def test_a_talk(hub: Hub) -> None:
    room = await new_room(hub)
    async with connected(hub, "ada") as ada, connected(hub, "bob") as bob:
        for socket in (ada, bob):
            assert await socket.call("ConnectToChatroom", room) == {"is_success": True}
        message = await ada.call("SaveChatroomMessage", {"type": 0, "content": "Hi"}, room)
        event = await bob.heard("ApplyChatroomMessage")
        assert event == {"type": 1, "target": "ApplyChatroomMessage", "arguments": [message, room]}
    assert await count_members(hub, room) == 2


async def test_several_records_in_a_frame_are_answered_in_order(hub: Hub) -> None:
    room = await new_room(hub)
    async with connected(hub, "ada") as ada:
        calls: list[tuple[str, str, list[Any]]] = [("0", "ConnectToChatroom", [room])]
        calls += [(str(n), "SaveChatroomMessage", [{"type": 0, "content": f"{n}"}, room]) for n in range(1, 20)]
        calls += [("20", "GetChatroomHistory", [room, None, 100])]
        text = "".join(
            json.dumps({"type": 1, "invocationId": number, "target": target, "arguments": arguments}) + "\x1e"
            for number, target, arguments in calls
        )
        ada.receive(text[:100])
        ada.receive(text[100:])
        answers: list[dict[str, Any]] = []
        while len(answers) < 21:
            answers += [record for record in await ada.records() if record["type"] == 3]
        assert [answer["invocationId"] for answer in answers] == [number for number, _, _ in calls]
        assert [item["content"] for item in answers[-1]["result"]["items"]] == [str(n) for n in range(1, 20)]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("visitorId={ticket}&websiteId=local", 400),
        ("visitorId={ticket}&websiteId=local&id=", 400),
        ("visitorId={ticket}&websiteId=local&id=unknown", 404),
        ("visitorId={other}&websiteId=local&id={token}", 404),
        ("websiteId=local&id={token}", 404),
        ("visitorId={ticket}&websiteId=other&id={token}", 404),
        ("visitorId={ticket}&id={token}", 404),
        ("x=1&" * 60, 400),
    ],
)
async def test_refused_upgrades(hub: Hub, query: str, status: int) -> None:
    ticket, other = sign_ticket(hub.clock, "ada"), sign_ticket(hub.clock, "bob")
    token = await negotiated(hub, ticket)
    socket = Socket(hub, query.format(ticket=ticket, other=other, token=token), [])
    socket.start()
    start, body = await socket.sent(), await socket.sent()
    assert (start["type"], start["status"]) == ("websocket.http.response.start", status)
    assert json.loads(body["body"])["error"]
    await socket.end()


async def test_a_page_of_another_site_is_refused(hub: Hub) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    token = await negotiated(hub, ticket)
    headers = [(b"host", b"hub.example:5001"), (b"origin", b"https://evil.example")]
    socket = Socket(hub, query_of(ticket, token), headers)
    socket.start()
    assert (await socket.sent())["status"] == 403
    await socket.end()


async def test_a_second_socket_on_one_connection_is_refused(hub: Hub) -> None:
    async with connected(hub, "ada") as ada:
        second = Socket(hub, ada.query, [])
        second.start()
        assert (await second.sent())["status"] == 409
        await second.end()
        assert await ada.call("GetManagers") == []


async def test_a_client_that_leaves_before_the_upgrade(hub: Hub) -> None:
    socket = Socket(hub, "", [])
    socket.task = asyncio.create_task(hub.app(socket.scope, socket._to_app.get, socket._send))
    await socket.disconnect()


@pytest.mark.parametrize("text", ["nonsense\x1e", '{"protocol":"messagepack","version":1}\x1e'])
async def test_a_refused_handshake(hub: Hub, text: str) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), [])
    socket.start()
    await socket.sent()
    socket.receive(text)
    assert "error" in (await socket.records())[0]
    assert await socket.sent() == {"type": "websocket.close", "code": 1000}
    await socket.disconnect()


async def test_a_broken_protocol_closes_with_a_reason(hub: Hub) -> None:
    async with connected(hub, "ada") as ada:
        ada.receive('{"type":1}\x1e')
        (record,) = await ada.records()
        assert record["type"] == 7
        assert "malformed" in record["error"]
        assert (await ada.sent())["type"] == "websocket.close"


@pytest.mark.parametrize("kind", ["site", "get-id"])
async def test_a_connection_ends_when_its_ticket_does(hub: Hub, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """But for a client that holds a renewed one: ``GetVisitorInfo`` answers it."""
    lifetime_s = 43_200
    ticket = sign_ticket(hub.clock, "ada", lifetime_s=lifetime_s, kind=kind)
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), [])
    socket.start()
    await socket.sent()
    socket.receive(HANDSHAKE)
    assert await socket.records() == [{}]
    hub.clock.advance(lifetime_s - 1)
    info = await socket.call("GetVisitorInfo", None)
    assert (info["uuid"] != ticket) is (kind == "get-id")
    hub.clock.advance(2)
    if kind == "site":
        assert (await socket.records())[-1]["error"] == "The ticket has expired."
        assert (await socket.sent())["type"] == "websocket.close"
    else:
        ticks = 0
        tick = Channels.tick

        def counted(channels: Channels) -> None:
            nonlocal ticks
            tick(channels)
            ticks += 1

        monkeypatch.setattr(Channels, "tick", counted)
        await until(lambda: ticks, "time to be noticed")
        assert await socket.call("GetManagers") == []
    await socket.disconnect()


async def test_binary_frames_are_read_as_text(hub: Hub) -> None:
    async with connected(hub, "ada") as ada:
        ada.receive(bytes=b'{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e')
        assert (await ada.records())[0]["result"] == []
        ada.receive(bytes=b"\xff\x1e")
        assert (await ada.records())[0]["type"] == 7


async def test_a_call_without_an_invocation_id_is_not_answered(hub: Hub) -> None:
    room = await new_room(hub)
    async with connected(hub, "ada") as ada:
        ada.receive(json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e")
        assert await ada.call("GetManagers") == []
    assert await count_members(hub, room) == 1


async def test_all_in_one_frame_from_handshake_to_goodbye(hub: Hub) -> None:
    room, ticket = await new_room(hub), sign_ticket(hub.clock, "ada")
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), [])
    socket.start()
    await socket.sent()
    join = json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e"
    socket.receive(HANDSHAKE + join + '{"type":7}\x1e')
    assert await socket.records() == [{}]
    assert await socket.sent() == {"type": "websocket.close", "code": 1000}
    await socket.disconnect()
    assert await count_members(hub, room) == 1


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


async def test_a_store_that_fails_at_connecting(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise StoreError("no")

    monkeypatch.setattr(SqlStore, "find_visitor", fail)
    ticket = sign_ticket(hub.clock, "ada")
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), [])
    socket.start()
    await socket.sent()
    socket.receive(HANDSHAKE)
    records: list[dict[str, Any]] = []
    while not any(record.get("type") == 7 for record in records):
        records += await socket.records()
    assert records[-1]["allowReconnect"] is True
    assert records[-1]["error"] != "no"
    assert (await socket.sent())["type"] == "websocket.close"
    socket.receive("ignored")
    await socket.disconnect()


async def test_what_a_page_says_and_closes_at_once_counts(hub: Hub) -> None:
    room = await new_room(hub)
    async with connected(hub, "ada") as ada:
        ada.receive(json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e")
        ada.receive(CALL + '{"type":7}\x1e')
        await ada.disconnect()
    assert await count_members(hub, room) == 1


async def test_when_the_server_ends_what_was_called_is_answered_before_the_goodbye(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever calls later is not: it hears that it was sent away."""
    farewells: list[Callable[[], None]] = []
    extensions = {SHUTDOWN_EXTENSION: {"call": farewells.append}}
    room = await new_room(hub)
    async with connected(hub, "ada", extensions=extensions) as ada:
        await ada.call("ConnectToChatroom", room)
        calls = Calls(monkeypatch)
        calls.may_go_on.clear()
        for number in range(3):
            post = {"type": 1, "target": "SaveChatroomMessage", "arguments": [{"type": 0, "content": "Hi"}, room]}
            ada.receive(json.dumps(post | {"invocationId": f"post {number}"}) + "\x1e")
        await until(lambda: calls.count == 1 and ada.unread == 0, "the calls to be taken")
        (farewell,) = farewells
        farewell()
        ada.receive(CALL)
        calls.may_go_on.set()
        records: list[dict[str, Any]] = []
        while not records or records[-1]["type"] != 7:
            records += await ada.records()
        assert [one["invocationId"] for one in records if one["type"] == 3] == ["post 0", "post 1", "post 2"]
        assert records[-2]["target"] == "OnComeAgain"
        assert (records[-1]["error"], records[-1]["allowReconnect"]) == ("The hub restarts.", True)
        assert await ada.sent() == {"type": "websocket.close", "code": SERVICE_RESTART}
        await ada.disconnect()
    changes = await hub.get("/chatroom/changes", chatroomId=room)
    assert [item["content"] for item in changes.json()["items"]] == ["Hi"] * 3


async def test_nobody_works_for_a_client_that_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        for _ in range(3):
            ada.receive(CALL * 100)
        await ada.disconnect()
    assert calls.count <= MAX_LATE_CALLS + 1


async def test_nobody_works_for_a_client_that_was_sent_away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        ada.receive(CALL * 100 + "nonsense\x1e")
        assert (await ada.records())[-1]["type"] == 7
        await ada.disconnect()
    assert calls.count <= MAX_LATE_CALLS + 1


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


async def test_who_sends_faster_than_the_hub_works_has_to_wait(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    frames = MAX_WAITING_FRAMES + 20
    async with connected(hub, "ada") as ada:
        calls = Calls(monkeypatch)
        calls.may_go_on.clear()
        for _ in range(frames):
            ada.receive(CALL)
        # One is being answered, one is held for the next free place.
        taken = MAX_WAITING_FRAMES + 2
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
