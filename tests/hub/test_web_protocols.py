"""How long the server waits for clients, and how much it keeps for them. Time is moved by hand."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from flask_chatix_comments.hub import web_protocols
from flask_chatix_comments.hub.transports.server_extensions import SHUTDOWN_EXTENSION
from flask_chatix_comments.hub.web_log import Seldom
from flask_chatix_comments.hub.web_protocols import ANSWER_S, REQUEST_S, HttpProtocol, WebSocketProtocol
from tests.hub.web_doubles import UPGRADE, Loop, Transport

pytestmark = pytest.mark.anyio

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: hub.example\r\nContent-Length: 1000000\r\n\r\n"
WHOLE = b"GET /v1/x HTTP/1.1\r\nHost: hub.example\r\n\r\n"


class Server:
    """A server whose application reads bodies to their end, unless it answers at once."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.reads_bodies = True
        self.state = ServerState()
        self.config = uvicorn.Config(
            self._app, interface="asgi3", ws=WebSocketProtocol, log_config=None, http=HttpProtocol
        )
        self.config.load()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.accept"})
            while (await receive())["type"] != "websocket.disconnect":
                pass
            return
        while self.reads_bodies and (await receive()).get("more_body"):
            pass
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    def connect(self) -> tuple[HttpProtocol, Transport]:
        protocol = HttpProtocol(self.config, self.state, {}, _loop=self.loop)  # type: ignore[arg-type]  # the part used
        transport = Transport()
        protocol.connection_made(transport)
        return protocol, transport

    async def work(self) -> None:
        """Let the application do what it can."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def stop(self) -> None:
        for protocol in list(self.state.connections):
            protocol.connection_lost(None)
        await self.work()


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.mark.parametrize("sent", [b"", b"GET /v1/x HTTP/1.1\r\nHo", HEAD, HEAD + b"x"])
async def test_a_request_that_does_not_come_to_its_end(server: Server, sent: bytes) -> None:
    protocol, transport = server.connect()
    protocol.data_received(sent) if sent else None
    await server.work()
    server.loop.advance(REQUEST_S - 1)
    assert transport.how_it_ended() is None
    server.loop.advance(2)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


@pytest.mark.parametrize("pieces", [(UPGRADE,), (UPGRADE[:20], UPGRADE[20:]), (UPGRADE[:-1], UPGRADE[-1:])])
async def test_a_websocket_is_no_request_that_is_late(server: Server, pieces: tuple[bytes, ...]) -> None:
    protocol, transport = server.connect()
    for piece in pieces:
        protocol.data_received(piece)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    # No further than to its first ping.
    server.loop.advance(REQUEST_S + 2)
    assert transport.how_it_ended() is None
    assert isinstance(transport.protocol, WebSocketProtocol)
    transport.protocol.connection_lost(None)
    await server.work()


class ForeignTransport:
    """A transport by its methods, as uvloop's is, and not by its class."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def __getattr__(self, name: str) -> Any:
        return getattr(self._transport, name)


async def test_a_websocket_on_another_event_loop(server: Server) -> None:
    transport = Transport()
    protocol = WebSocketProtocol(server.config, server.state, {}, _loop=server.loop)  # type: ignore[arg-type]  # the part used
    protocol.connection_made(ForeignTransport(transport))  # type: ignore[arg-type]  # that is the question
    protocol.data_received(UPGRADE)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    protocol.connection_lost(None)
    await server.work()


async def test_a_head_that_drips(server: Server) -> None:
    protocol, transport = server.connect()
    for _ in range(int(REQUEST_S) + 1):
        protocol.data_received(b"G")
        server.loop.advance(1)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_a_head_that_drips_on_a_connection_that_was_used(server: Server) -> None:
    protocol, transport = server.connect()
    server.loop.advance(REQUEST_S - 1)
    protocol.data_received(WHOLE)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    # The time begins anew.
    server.loop.advance(4)
    for _ in range(int(REQUEST_S) - 1):
        protocol.data_received(b"G")
        server.loop.advance(1)
    assert transport.how_it_ended() is None
    protocol.data_received(b"G")
    server.loop.advance(1)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_a_body_that_comes_slowly_but_steadily_may_take_its_time(server: Server) -> None:
    protocol, transport = server.connect()
    protocol.data_received(HEAD)
    for _ in range(100):
        protocol.data_received(b"x" * 10_000)
        await server.work()
        server.loop.advance(2)
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    assert transport.how_it_ended() in (None, "closed")
    await server.stop()


async def test_a_body_that_drips(server: Server) -> None:
    protocol, transport = server.connect()
    protocol.data_received(HEAD)
    for _ in range(int(REQUEST_S) + 3):
        protocol.data_received(b"x")
        await server.work()
        server.loop.advance(1)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_a_body_that_nobody_waits_for(server: Server) -> None:
    server.reads_bodies = False
    protocol, transport = server.connect()
    protocol.data_received(HEAD)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    for _ in range(int(REQUEST_S) + 1):
        protocol.data_received(b"x" * 20_000)
        server.loop.advance(1)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_the_hub_does_not_hold_its_own_slowness_against_a_client(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await go_on.wait()
        await server._app(scope, receive, send)

    server.config.loaded_app = slow
    protocol, transport = server.connect()
    protocol.data_received(HEAD + b"x" * 70_000)
    await server.work()
    server.loop.advance(10 * REQUEST_S)
    assert transport.how_it_ended() is None
    go_on.set()
    await server.work()
    server.loop.advance(10 * REQUEST_S)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_an_answer_that_is_not_taken(server: Server) -> None:
    protocol, transport = server.connect()
    protocol.data_received(WHOLE)
    protocol.pause_writing()
    server.loop.advance(ANSWER_S - 1)
    protocol.resume_writing()
    protocol.pause_writing()
    server.loop.advance(ANSWER_S - 1)
    assert transport.how_it_ended() != "aborted"
    protocol.pause_writing()
    server.loop.advance(ANSWER_S)
    assert transport.how_it_ended() == "aborted"
    await server.stop()


async def test_no_timer_is_left_of_a_connection(server: Server) -> None:
    for sent in (b"", b"G", WHOLE, HEAD):
        protocol, _ = server.connect()
        if sent:
            protocol.data_received(sent)
        protocol.pause_writing()
    await server.stop()
    assert server.loop.timers == []
    assert server.state.connections == set()


async def test_an_answer_that_goes_on_is_told_that_the_server_ends(server: Server) -> None:
    told: list[str] = []
    end = asyncio.Event()

    async def stream(scope: Any, receive: Any, send: Any) -> None:
        scope["extensions"][SHUTDOWN_EXTENSION]["call"](lambda: told.append(scope["path"]))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        if scope["path"] == "/stream":
            await end.wait()
        await send({"type": "http.response.body"})

    server.config.loaded_app = stream
    protocol, transport = server.connect()
    idle, idle_transport = server.connect()
    for path in ("/once", "/stream"):
        protocol.data_received(f"GET {path} HTTP/1.1\r\nHost: hub.example\r\n\r\n".encode())
        await server.work()
    protocol.shutdown()
    idle.shutdown()
    assert told == ["/stream"]
    assert (transport.how_it_ended(), idle_transport.how_it_ended()) == (None, "closed")
    end.set()
    await server.work()
    assert transport.how_it_ended() == "closed"
    await server.stop()


async def test_more_connections_than_the_hub_may_have(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_protocols, "max_connections", lambda: 2)
    monkeypatch.setattr(web_protocols, "seldom", Seldom())
    kept = [server.connect() for _ in range(2)]
    for protocol, _ in kept:
        protocol.data_received(HEAD)
    await server.work()
    for _ in range(1000):
        protocol, refused = server.connect()
        assert refused.written.startswith(b"HTTP/1.1 503 ")
        assert refused.how_it_ended() == "closed"
        protocol.connection_lost(None)
    assert len([record for record in caplog.records if "ulimit" in record.getMessage()]) == 1
    protocol, transport = kept[0]
    protocol.data_received(b"x" * 1_000_000)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    kept[1][0].connection_lost(None)
    assert server.connect()[1].written == b""
    await server.stop()


async def test_who_asks_for_nothing_makes_room_for_who_comes(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_protocols, "max_connections", lambda: 4)
    monkeypatch.setattr(web_protocols, "seldom", Seldom())
    busy, answered, silent, slow = [server.connect() for _ in range(4)]
    busy[0].data_received(HEAD)
    slow[0].data_received(WHOLE[:10])
    answered[0].data_received(WHOLE)
    await server.work()
    assert answered[1].written.startswith(b"HTTP/1.1 200 ")
    for gone in (silent, slow, answered):
        assert gone[1].how_it_ended() is None
        protocol, transport = server.connect()
        assert (gone[1].how_it_ended(), transport.written) == ("aborted", b"")
        gone[0].connection_lost(None)
        protocol.data_received(HEAD)
        await server.work()
    assert busy[1].how_it_ended() is None
    # Now all are busy.
    assert server.connect()[1].written.startswith(b"HTTP/1.1 503 ")
    assert len([record for record in caplog.records if "ulimit" in record.getMessage()]) == 2
    await server.stop()


async def test_a_request_that_ends_in_two_ways(server: Server) -> None:
    protocol, transport = server.connect()
    head = HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\n")
    protocol.data_received(head + b"0\r\n\r\n" + WHOLE)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 400 ")
    assert transport.written.count(b"HTTP/1.1 ") == 1
    assert transport.how_it_ended() == "closed"
    await server.stop()
