"""Hubs on real sockets: in a thread, in a process of their own, killed and started again."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
import json
import logging
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from uvicorn.logging import TRACE_LOG_LEVEL
from websockets.exceptions import ConnectionClosed, InvalidStatus

from flask_chatix_comments.errors import HubLockedError, HubPortError, HubStartError
from flask_chatix_comments.hub import garbage
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.server import HubThread, run_hub
from flask_chatix_comments.tokens import VisitorTickets
from tests.hub.processes import RUN_HUB, SOURCES, HubProcess
from tests.hub.support import API_KEY, DEADLINE_S, TICKET_KEY, records_of, rest_client
from tests.ports import free_port


class Client:
    """An SDK-like client on a real WebSocket."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._count = 0

    async def connect(self, ticket: str | None = None, *, compression: str | None = None) -> None:
        async with httpx.AsyncClient(base_url=self._url) as client:
            if ticket is None:
                ticket = (await client.get("/visitor/get-id?websiteId=local")).json()
            self.ticket = ticket
            response = await client.post(f"/chat/negotiate?visitorId={ticket}&websiteId=local&negotiateVersion=1")
            negotiation = response.json()
        self.address = (
            f"{self._url.replace('http', 'ws', 1)}/chat?visitorId={ticket}&websiteId=local"
            f"&id={negotiation['connectionToken']}"
        )
        # Browsers take messages of any size.
        self.socket = await websockets.connect(self.address, compression=compression, max_size=None)
        await self.socket.send('{"protocol":"json","version":1}\x1e')
        assert await self.receive() == [{}]

    async def receive(self) -> list[dict[str, Any]]:
        text = await asyncio.wait_for(self.socket.recv(), DEADLINE_S)
        assert isinstance(text, str)
        return records_of(text)

    async def call(self, target: str, *arguments: Any) -> Any:
        self._count += 1
        number = str(self._count)
        call = {"type": 1, "invocationId": number, "target": target, "arguments": arguments}
        await self.socket.send(json.dumps(call) + "\x1e")
        while True:
            for record in await self.receive():
                if record.get("invocationId") == number:
                    return record.get("result", record)

    async def event(self, target: str) -> list[Any]:
        while True:
            for record in await self.receive():
                if record.get("target") == target:
                    arguments: list[Any] = record["arguments"]
                    return arguments


@asynccontextmanager
async def open_clients(url: str, count: int = 1) -> AsyncIterator[list[Client]]:
    """Connect so many strangers; close their sockets in the end."""
    clients = [Client(url) for _ in range(count)]
    async with AsyncExitStack() as stack:
        for client in clients:
            await client.connect()
            stack.push_async_callback(client.socket.close)
        yield clients


@pytest.fixture
def rest(hub_thread: HubThread) -> Iterator[httpx.Client]:
    with rest_client(hub_thread.url) as client:
        yield client


def new_room(rest: httpx.Client, title: str = "A post") -> str:
    return str(rest.post("/chatroom/create", json={"title": title}).json()["id"])


def test_two_clients_talk(hub_thread: HubThread, rest: httpx.Client) -> None:
    room = new_room(rest)

    async def talk() -> None:
        async with open_clients(hub_thread.url, 2) as (ada, bob):
            await talk_between(ada, bob)

    async def talk_between(ada: Client, bob: Client) -> None:
        for client in (ada, bob):
            assert await client.call("ConnectToChatroom", room) == {"is_success": True}
        message = await ada.call("SaveChatroomMessage", {"type": 0, "content": "Hi 😀", "uuid": "key"}, room)
        told, told_room = await bob.event("ApplyChatroomMessage")
        assert (told["content"], told["seq"], told_room) == ("Hi 😀", 1, room)
        assert told["uuid"] == message["uuid"]
        history = await bob.call("GetChatroomHistory", room, None, 50)
        assert history["items"] == [told]
        rest.post(
            "/chatroom/update-message", params={"chatroomId": room, "messageId": told["uuid"]}, json={"content": "B"}
        )
        for client in (ada, bob):
            assert (await client.event("OnUpdateChatroomMessage"))[0]["content"] == "B"
        rest.post("/chatroom/delete-message", params={"chatroomId": room, "messageId": told["uuid"]})
        for client in (ada, bob):
            assert await client.event("OnDeleteChatroomMessage") == [told["uuid"], room]
        assert await ada.call("DisconnectFromChatroom", room) == {"is_success": True}
        while await bob.event("OnChatroomPresence") != [room, 1]:
            pass

    asyncio.run(talk())
    assert rest.get("/chatroom/get", params={"chatroomId": room}).json()["number_of_visitors"] == 1


def test_readers_hear_every_comment_once_and_in_order(hub_thread: HubThread, rest: httpx.Client) -> None:
    room = new_room(rest)

    async def post(client: Client, number: int) -> None:
        for index in range(10):
            await client.call("SaveChatroomMessage", {"type": 0, "content": f"{number}.{index}"}, room)

    async def listen(client: Client) -> list[int]:
        seen: list[int] = []
        while len(seen) < 50:
            records = await client.receive()
            seen += [one["arguments"][0]["seq"] for one in records if one.get("target") == "ApplyChatroomMessage"]
        return seen

    async def talk() -> None:
        async with open_clients(hub_thread.url, 10) as clients:
            for client in clients:
                await client.call("ConnectToChatroom", room)
            results = await asyncio.gather(
                *(listen(client) for client in clients[5:]),
                *(post(client, number) for number, client in enumerate(clients[:5])),
            )
        assert results[:5] == [list(range(1, 51))] * 5

    asyncio.run(talk())


def test_a_hundred_of_the_longest_comments_are_read_in_pieces(hub_thread: HubThread, rest: httpx.Client) -> None:
    room = new_room(rest)
    # Each character takes two in JSON: together they take 2 MB.
    content = '"' * 10_000
    for _ in range(100):
        sent = rest.post(
            "/chatroom/send-message", params={"chatroomId": room}, json={"content": content, "sender_id": "x"}
        )
        assert sent.status_code == 200

    async def read() -> None:
        async with open_clients(hub_thread.url) as (client,):
            await client.call("ConnectToChatroom", room)
            read: list[int] = []
            before, has_more = None, True
            while has_more:
                history = await client.call("GetChatroomHistory", room, before, 100)
                assert sum(len(item["content"]) for item in history["items"]) <= 262_144
                read = [item["seq"] for item in history["items"]] + read
                before, has_more = history["items"][0]["uuid"], history["has_more"]
            assert read == list(range(1, 101))
            seen, cursor, has_more = [], None, True
            while has_more:
                changes = await client.call("GetChatroomChanges", room, cursor, 100)
                assert sum(len(item["content"]) for item in changes["items"]) <= 262_144
                seen += [(item["seq"], item["content"]) for item in changes["items"]]
                cursor, has_more = changes["cursor"], changes["has_more"]
            assert seen == [(number, content) for number in range(1, 101)]

    asyncio.run(read())


def test_frames_that_are_too_large_end_the_connection(hub_thread: HubThread) -> None:
    async def send() -> None:
        async with open_clients(hub_thread.url) as (client,):
            await client.socket.send("x" * 300_000)
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await client.receive()
        assert caught.value.rcvd is not None
        assert caught.value.rcvd.code == 1009

    asyncio.run(send())


def test_broken_framing_ends_the_connection(hub_thread: HubThread) -> None:
    async def send() -> int:
        async with open_clients(hub_thread.url) as (client,):
            # An opcode that there is not (RFC 6455, 5.2).
            client.socket.transport.write(b"\x83\x80\0\0\0\0")
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await client.receive()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    assert asyncio.run(send()) == 1002


def test_refused_upgrades_have_a_status(hub_thread: HubThread) -> None:
    async def connect(address: str) -> int:
        with pytest.raises(InvalidStatus) as caught:
            await websockets.connect(address)
        return caught.value.response.status_code

    async def refused() -> None:
        async with open_clients(hub_thread.url) as (client,):
            assert await connect(client.address) == 409
            assert await connect(f"{client.address}x") == 404
            assert await connect(client.address.split("&id=")[0]) == 400

    asyncio.run(refused())


def test_nothing_is_compressed(hub_thread: HubThread) -> None:
    async def extensions() -> str | None:
        client = Client(hub_thread.url)
        await client.connect(compression="deflate")
        response = client.socket.response
        await client.socket.close()
        assert response is not None
        return response.headers.get("Sec-WebSocket-Extensions")

    assert asyncio.run(extensions()) is None


@pytest.mark.parametrize("level", [logging.DEBUG, TRACE_LOG_LEVEL], ids=["DEBUG", "TRACE"])
def test_no_ticket_and_no_comment_in_the_log(
    make_hub_thread: Callable[..., HubThread], caplog: pytest.LogCaptureFixture, level: int
) -> None:
    caplog.set_level(level, logger="sqlalchemy")
    caplog.set_level(level)
    thread = make_hub_thread()
    thread.start()
    assert thread.wait_ready(DEADLINE_S)
    tickets = []

    async def talk(room: str) -> None:
        async with open_clients(thread.url) as (client,):
            tickets.append(client.ticket)
            await client.call("ConnectToChatroom", room)
            await client.call("SaveChatroomMessage", {"type": 0, "content": "a very private remark"}, room)
            await client.call("NoSuchMethod", "a very private remark")
            with pytest.raises(InvalidStatus):
                await websockets.connect(client.address)

    with rest_client(thread.url) as rest:
        asyncio.run(talk(new_room(rest)))
    thread.stop()
    ours = [one for one in caplog.records if one.name.startswith(("uvicorn", "flask_chatix_comments", "sqlalchemy"))]
    lines = [one.getMessage() for one in ours]
    assert any("WebSocket /v1/chat?..." in line for line in lines)
    for secret in (*tickets, "visitorId", "a very private remark", API_KEY):
        assert not [line for line in lines if secret in line]


def test_a_frame_that_is_no_text_ends_the_connection_and_fills_no_log(
    hub_thread: HubThread, caplog: pytest.LogCaptureFixture
) -> None:
    async def send() -> int:
        async with open_clients(hub_thread.url) as (client,):
            await client.socket.send(b"\xff\x1e", text=True)
            with pytest.raises(ConnectionClosed) as caught:
                while True:
                    await client.receive()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    # "Inconsistent data" (RFC 6455, 7.4.1)
    assert asyncio.run(send()) == 1007
    hub_thread.stop()
    assert not [record for record in caplog.records if record.exc_info]
    assert "UTF-8" not in caplog.text


BAD_REQUESTS = [
    (b"\x16\x03\x01\x02\x00\x01", b""),
    (b"GET / HTTP/1.1\r\n\r\n", b""),
    # A chunk that is none, before and after the answer.
    (b"POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b""),
    (b"POST /v1/x HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", b"ZZ\r\n"),
]


def test_bad_requests_fill_no_log(hub_thread: HubThread, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(5):
        for first, second in BAD_REQUESTS:
            with socket.create_connection(("127.0.0.1", hub_thread.port), DEADLINE_S) as raw:
                raw.sendall(first)
                assert raw.recv(4096).startswith(b"HTTP/1.1 40")
                if second:
                    raw.sendall(second)
                    read_to_end(raw)
    hub_thread.stop()
    assert not [record for record in caplog.records if record.exc_info]
    assert len([record for record in caplog.records if record.levelno >= logging.WARNING]) <= 1


# Clients that take nothing


def is_online(rest: httpx.Client, visitor_id: str) -> bool:
    return bool(rest.get("/visitor/get", params={"visitorId": visitor_id}).json().get("is_online"))


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited in vain for {what}"
        time.sleep(0.02)


def text_frame(text: str) -> bytes:
    """Return a client's frame (RFC 6455, 5.2) under the mask that changes nothing."""
    data = text.encode()
    assert 126 <= len(data) < 65_536
    return b"\x81\xfe" + struct.pack("!H", len(data)) + bytes(4) + data


def open_raw(hub: HubThread, ticket: str) -> socket.socket:
    """Upgrade a socket that takes little, and shake hands."""
    query = {"visitorId": ticket, "websiteId": "local", "negotiateVersion": "1"}
    token = httpx.post(f"{hub.url}/chat/negotiate", params=query).json()["connectionToken"]
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.settimeout(DEADLINE_S)
    raw.connect(("127.0.0.1", hub.port))
    raw.sendall(
        f"GET /v1/chat?visitorId={ticket}&websiteId=local&id={token} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
    )
    assert raw.recv(4096).startswith(b"HTTP/1.1 101 ")
    raw.sendall(text_frame('{"protocol":"json","version":1}'.ljust(200) + "\x1e"))
    return raw


def test_a_client_that_takes_nothing_is_dropped(
    make_hub_thread: Callable[..., HubThread], make_config: Callable[..., HubConfig]
) -> None:
    hub = make_hub_thread(config=make_config(ping_interval_s=1.0, ping_timeout_s=0.5))
    hub.start()
    assert hub.wait_ready(20), hub.error
    ticket = httpx.get(f"{hub.url}/visitor/get-id", params={"websiteId": "local"}).json()
    visitor_id = VisitorTickets((TICKET_KEY,), website_id="local").check(ticket, now=0).visitor_id
    with rest_client(hub.url) as rest:
        room = new_room(rest)
        rest.post("/visitor/update", params={"visitorId": visitor_id}, json={"name": "Slow", "is_persistent": True})
        for _ in range(30):
            body = {"content": '"' * 10_000, "sender_id": "x"}
            rest.post("/chatroom/send-message", params={"chatroomId": room}, json=body)
        with closing(open_raw(hub, ticket)) as slow:
            wait_until(lambda: is_online(rest, visitor_id), "the connection")
            calls = [{"type": 1, "target": "ConnectToChatroom", "arguments": [room]}]
            # 24 MB of answers: no buffer between here and there takes them all.
            calls += [
                {"type": 1, "invocationId": "1", "target": "GetChatroomHistory", "arguments": [room, None, 30]}
            ] * 40
            slow.sendall(b"".join(text_frame(json.dumps(call).ljust(200) + "\x1e") for call in calls))
            wait_until(lambda: not is_online(rest, visitor_id), "the hub to drop the client")


def test_a_client_that_answers_nothing_any_more_is_dropped(
    make_hub_thread: Callable[..., HubThread], make_config: Callable[..., HubConfig]
) -> None:
    """It takes what comes: so does the system for a program that hangs, and a proxy for a client that is gone."""
    hub = make_hub_thread(config=make_config(ping_interval_s=0.3, ping_timeout_s=0.3))
    hub.start()
    assert hub.wait_ready(20), hub.error
    ticket = httpx.get(f"{hub.url}/visitor/get-id", params={"websiteId": "local"}).json()
    visitor_id = VisitorTickets((TICKET_KEY,), website_id="local").check(ticket, now=0).visitor_id
    with rest_client(hub.url) as rest:
        rest.post("/visitor/update", params={"visitorId": visitor_id}, json={"name": "Dead", "is_persistent": True})
        with closing(open_raw(hub, ticket)) as dead:
            wait_until(lambda: is_online(rest, visitor_id), "the connection")
            taken = read_to_end(dead)
            wait_until(lambda: not is_online(rest, visitor_id), "the hub to drop the client")
    # A ping, and at last a close frame: "internal error", as uvicorn has it.
    assert b"\x89\x04" in taken
    assert struct.pack("!H", 1011) + b"keepalive ping timeout" in taken


@pytest.mark.parametrize("drip", [b"x", b""], ids=["a byte at a time", "and then nothing"])
def test_a_frame_that_does_not_come_to_its_end_ends_the_connection(
    make_hub_thread: Callable[..., HubThread], config: HubConfig, drip: bytes
) -> None:
    """Whoever is in the middle of a frame can answer no ping."""
    thread = make_hub_thread(config=dataclasses.replace(config, ping_interval_s=0.2, ping_timeout_s=0.2))
    thread.start()
    assert thread.wait_ready(DEADLINE_S)

    async def send() -> None:
        async with open_clients(thread.url) as (client,):
            # The head of a text of 100,000 bytes, masked with nothing (RFC 6455, 5.2).
            client.socket.transport.write(b"\x81\xff" + (100_000).to_bytes(8) + bytes(4))
            async with asyncio.timeout(DEADLINE_S):
                while not client.socket.transport.is_closing():
                    client.socket.transport.write(drip)
                    await asyncio.sleep(0.02)

    asyncio.run(send())


def test_start_and_stop_may_be_called_twice(make_hub_thread: Callable[..., HubThread]) -> None:
    thread = make_hub_thread()
    assert not thread.wait_ready(0)
    thread.start()
    thread.start()
    assert thread.wait_ready(DEADLINE_S)
    assert thread.error is None
    assert thread.port > 0
    assert thread.url == f"http://127.0.0.1:{thread.port}/v1"
    assert httpx.get(f"{thread.url}/health").json() == {"status": "ok", "website_id": "local"}
    thread.stop()
    thread.stop()
    assert not thread.wait_ready(0)
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{thread.url}/health")


def test_a_hub_stopped_before_it_started_does_not_stay(make_hub_thread: Callable[..., HubThread]) -> None:
    thread = make_hub_thread()
    thread.stop()
    thread.start()
    thread.stop()
    assert not thread.wait_ready(0)


def test_connections_end_with_the_hub(hub_thread: HubThread) -> None:
    async def stay() -> int:
        async with open_clients(hub_thread.url) as (client,):
            await asyncio.to_thread(hub_thread.stop)
            assert [record.get("target") or record["type"] for record in await client.receive()] == ["OnComeAgain", 7]
            with pytest.raises(ConnectionClosed) as caught:
                await client.receive()
        assert caught.value.rcvd is not None
        return caught.value.rcvd.code

    # "Service restart" (RFC 6455, registry of close codes): clients come again.
    assert asyncio.run(stay()) == 1012


def test_one_database_has_one_hub(
    hub_thread: HubThread, make_hub_thread: Callable[..., HubThread], tmp_path: Path
) -> None:
    second = make_hub_thread()
    second.start()
    assert not second.wait_ready(DEADLINE_S)
    assert isinstance(second.error, HubLockedError)
    assert second.error.is_locked
    assert str(tmp_path / "hub.lock") in str(second.error)
    hub_thread.stop()
    third = make_hub_thread()
    third.start()
    assert third.wait_ready(DEADLINE_S), third.error


def test_a_port_that_is_taken(make_hub_thread: Callable[..., HubThread]) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        port = taken.getsockname()[1]
        thread = make_hub_thread(port=port)
        thread.start()
        assert not thread.wait_ready(DEADLINE_S)
    error = thread.error
    assert isinstance(error, HubPortError)
    assert error.port == port
    assert not error.is_locked
    assert str(port) in str(error)
    # It did not keep the lock.
    again = make_hub_thread(port=port)
    again.start()
    assert again.wait_ready(DEADLINE_S), again.error


@pytest.mark.parametrize("host", ["host.invalid", "203.0.113.1"])
def test_a_host_that_is_not_ours(make_hub_thread: Callable[..., HubThread], host: str) -> None:
    thread = make_hub_thread(host=host)
    thread.start()
    assert not thread.wait_ready(DEADLINE_S)
    # No other port would help.
    assert isinstance(thread.error, HubStartError) and not isinstance(thread.error, HubPortError)
    assert f"cannot listen on {host}: " in str(thread.error)
    assert "Set CHATIX_HUB_HOST" in str(thread.error)


def test_a_database_that_cannot_be_used(
    make_hub_thread: Callable[..., HubThread], make_config: Callable[..., HubConfig], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "text").write_text("this is no database, " * 100)
    for url in (f"sqlite:///{tmp_path / 'file' / 'hub.sqlite3'}", f"sqlite:///{tmp_path / 'text'}", "sqlite://"):
        thread = make_hub_thread(config=make_config(database_url=url))
        thread.start()
        assert not thread.wait_ready(DEADLINE_S)
        assert isinstance(thread.error, HubStartError)
        assert "cannot start" in str(thread.error)
        assert str(thread.error).endswith(" The setting is CHATIX_HUB_DATABASE_URL.")


def test_a_lock_that_cannot_be_written(make_hub_thread: Callable[..., HubThread], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    thread = make_hub_thread(lock_path=tmp_path / "file" / "hub.lock")
    thread.start()
    assert not thread.wait_ready(DEADLINE_S)
    assert isinstance(thread.error, HubStartError)
    assert "lock" in str(thread.error)
    assert "set CHATIX_HUB_DATABASE_URL" in str(thread.error)


def test_a_hub_that_fails_for_another_reason(
    make_hub_thread: Callable[..., HubThread], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("something secret")

    monkeypatch.setattr("flask_chatix_comments.hub.server.create_hub", fail)
    thread = make_hub_thread()
    thread.start()
    assert not thread.wait_ready(DEADLINE_S)
    assert isinstance(thread.error, HubStartError)
    assert "secret" not in str(thread.error)
    assert "something secret" in caplog.text


def test_a_hub_on_ipv6(make_hub_thread: Callable[..., HubThread]) -> None:
    thread = make_hub_thread(host="::1")
    thread.start()
    if not thread.wait_ready(DEADLINE_S):
        pytest.skip("this machine has no IPv6")
    assert httpx.get(f"http://[::1]:{thread.port}/v1/health").status_code == 200
    assert thread.url == f"http://[::1]:{thread.port}/v1"


# A process of its own


FEW_FILES = """
import resource
from flask_chatix_comments.hub import web_protocols

resource.setrlimit(resource.RLIMIT_NOFILE, (300, 300))
web_protocols.REQUEST_S = 3.0
"""


def open_halves(port: int, beginnings: Iterable[bytes]) -> list[socket.socket]:
    """Begin as many requests, and never end them."""
    opened = []
    for beginning in beginnings:
        opened.append(socket.create_connection(("127.0.0.1", port), DEADLINE_S))
        with suppress(OSError):
            opened[-1].sendall(beginning)
    return opened


def read_to_end(raw: socket.socket) -> bytes:
    """Return all that comes until the other side ends the connection."""
    parts = []
    with suppress(ConnectionError):
        while part := raw.recv(4096):
            parts.append(part)
    return b"".join(parts)


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_strangers_who_open_sockets_and_say_little_stop_nobody(run_process: Callable[..., HubProcess]) -> None:
    creation = b"POST /v1/chatroom/create?websiteId=local HTTP/1.1\r\nHost: h\r\nX-Api-Key: %s\r\n"
    beginnings = [
        b"",
        b"GET /v1/health HTTP/1.1\r\nHo",
        b"POST /v1/chat/negotiate HTTP/1.1\r\nHost: h\r\nContent-Length: 1000\r\n\r\nx",
        creation % API_KEY.encode() + b"Content-Length: 1000\r\n\r\n{",
    ]

    async def talk(hub: HubProcess) -> None:
        await hub.ready()
        port = int(hub.url.split(":")[2].split("/")[0])
        with rest_client(hub.url) as rest:
            room = new_room(rest)
        async with open_clients(hub.url) as (ada,):
            await ada.call("ConnectToChatroom", room)
            halves = await asyncio.to_thread(open_halves, port, (beginnings[n % 4] for n in range(700)))
            # Who is there goes on.
            assert (await ada.call("SaveChatroomMessage", {"type": 0, "content": "Hi"}, room))["seq"] == 1
            # Others get in meanwhile, and all of them are sent away.
            async with open_clients(hub.url) as (bob,):
                await bob.call("ConnectToChatroom", room)
                assert len((await bob.call("GetChatroomHistory", room, None, 10))["items"]) == 1
            for half in halves:
                await asyncio.to_thread(read_to_end, half)
            for half in halves:
                half.close()

    hub = run_process(FEW_FILES)
    asyncio.run(talk(hub))
    _, errors = hub.end(signal.SIGINT)
    assert "Traceback" not in errors
    assert len(errors.splitlines()) <= 3, errors


@pytest.mark.skipif(sys.platform == "win32", reason="there is no such limit")
def test_a_process_that_has_no_file_left_says_so_once(run_process: Callable[..., HubProcess]) -> None:
    """The site in the same process may have used them up."""
    prelude = FEW_FILES + "web_protocols.max_connections = lambda: 10_000\n"

    async def fill(hub: HubProcess) -> None:
        await hub.ready()
        port = int(hub.url.split(":")[2].split("/")[0])
        halves = await asyncio.to_thread(open_halves, port, [b"GET"] * 500)
        for half in halves:
            await asyncio.to_thread(read_to_end, half)
            half.close()
        await hub.ready()

    hub = run_process(prelude)
    asyncio.run(fill(hub))
    _, errors = hub.end(signal.SIGINT)
    first, *others = errors.splitlines()
    assert first.endswith("Raise `ulimit -n`.")
    # The hub may have been about to tidy up its database just then.
    assert all("database could not be emptied" in line for line in others) and len(others) <= 1, errors


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
def test_what_was_acknowledged_survives_kill_9(run_process: Callable[[], HubProcess]) -> None:
    acknowledged: dict[str, int] = {}

    async def write(client: Client, room: str, number: int, enough: asyncio.Event) -> None:
        for index in range(10_000):
            key = f"{number}.{index}"
            message = await client.call("SaveChatroomMessage", {"type": 0, "content": key, "uuid": key}, room)
            acknowledged[key] = message["seq"]
            if len(acknowledged) >= 100:
                enough.set()

    async def write_until_killed() -> tuple[str, str]:
        hub, enough = await run_process().ready(), asyncio.Event()
        with rest_client(hub.url) as rest:
            room = new_room(rest)
        async with open_clients(hub.url, 4) as clients:
            for client in clients:
                await client.call("ConnectToChatroom", room)
            writers = [
                asyncio.create_task(write(client, room, number, enough)) for number, client in enumerate(clients)
            ]
            await asyncio.wait_for(enough.wait(), 3 * DEADLINE_S)
            hub.end(signal.SIGKILL)
            for outcome in await asyncio.gather(*writers, return_exceptions=True):
                assert isinstance(outcome, ConnectionClosed)
        return room, clients[0].ticket

    async def read_after_restart(room: str, ticket: str) -> None:
        hub = await run_process().ready()
        client = Client(hub.url)
        # The visitor comes back with its ticket, and is a member still.
        await client.connect(ticket)
        resent = await client.call("SaveChatroomMessage", {"type": 0, "content": "0.0", "uuid": "0.0"}, room)
        assert resent["seq"] == acknowledged["0.0"]
        items: list[dict[str, Any]] = []
        cursor, has_more = None, True
        while has_more:
            changes = await client.call("GetChatroomChanges", room, cursor, 100)
            items += changes["items"]
            cursor, has_more = changes["cursor"], changes["has_more"]
        await client.socket.close()
        assert acknowledged.items() <= {item["content"]: item["seq"] for item in items}.items()
        assert [item["seq"] for item in items] == list(range(1, len(items) + 1))
        assert len({item["content"] for item in items}) == len(items)
        with rest_client(hub.url) as rest:
            assert rest.get("/chatroom/get", params={"chatroomId": room}).json()["number_of_visitors"] == 4

    asyncio.run(read_after_restart(*asyncio.run(write_until_killed())))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM], ids=["SIGINT", "SIGTERM"])
def test_a_hub_in_the_foreground_ends_when_it_is_told(
    run_process: Callable[[], HubProcess], how: signal.Signals
) -> None:
    async def connect_and_end(hub: HubProcess) -> tuple[int, str]:
        await hub.ready()
        async with open_clients(hub.url):
            return await asyncio.to_thread(hub.end, how)

    status, errors = asyncio.run(connect_and_end(run_process()))
    assert (status, errors) == (0, "")


TELL_OF_GARBAGE = """
import atexit, gc, sys

atexit.register(lambda: print(gc.get_threshold()[0], gc.get_freeze_count() > 50_000, file=sys.stderr))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGTERM")
def test_a_process_of_its_own_has_its_own_way_with_garbage(run_process: Callable[..., HubProcess]) -> None:
    _, errors = run_process(TELL_OF_GARBAGE).wait().end(signal.SIGTERM)
    assert errors == f"{garbage.YOUNG_OBJECTS} True\n"


def test_a_hub_in_a_thread_leaves_the_garbage_to_others(make_hub_thread: Callable[..., HubThread]) -> None:
    before = gc.get_threshold(), gc.get_freeze_count()
    hub = make_hub_thread()
    hub.start()
    assert hub.wait_ready(20), hub.error
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_a_second_process_is_refused(hub_thread: HubThread, tmp_path: Path, config: HubConfig) -> None:
    with pytest.raises(HubLockedError):
        run_hub(config, host="127.0.0.1", port=0, lock_path=tmp_path / "hub.lock")
    process = HubProcess(tmp_path, free_port()).process
    _, errors = process.communicate(timeout=3 * DEADLINE_S)
    assert process.returncode == 1
    assert b"HubLockedError" in errors


@pytest.mark.skipif(sys.platform == "win32", reason="the test of exits is for POSIX")
def test_an_interpreter_that_ends_ends_its_hub_quickly(tmp_path: Path) -> None:
    program = RUN_HUB.replace("run_hub(config", "hub = HubThread(config").replace("import run_hub", "import HubThread")
    program += "hub.start()\nassert hub.wait_ready(20), hub.error\nprint('ready')\n"
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    command = [sys.executable, "-W", "error", "-c", program, str(tmp_path), "0", API_KEY]
    done = subprocess.run(command, env=environment, capture_output=True, timeout=3 * DEADLINE_S, check=True)
    assert done.stdout == b"ready\n"
    assert done.stderr == b""
