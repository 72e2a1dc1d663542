"""How long the server waits for clients, and how much it keeps for them. Time is moved by hand."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from flask_chatix_comments.hub import web_protocols
from flask_chatix_comments.hub.web_log import Seldom
from flask_chatix_comments.hub.web_protocols import ANSWER_S, REQUEST_S, HttpProtocol, WebSocketProtocol

pytestmark = pytest.mark.anyio

HEAD = b"POST /v1/x HTTP/1.1\r\nHost: hub.example\r\nContent-Length: 1000000\r\n\r\n"
WHOLE = b"GET /v1/x HTTP/1.1\r\nHost: hub.example\r\n\r\n"
UPGRADE = (
    b"GET /v1/chat HTTP/1.1\r\nHost: hub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)


class Loop:
    """An event loop's clock and timers; its tasks are those of the real one."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], object]]] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, action: Callable[..., object], *args: Any) -> Any:
        timer = (when, lambda: action(*args))
        self.timers.append(timer)
        return _Handle(self, timer)

    def call_later(self, delay: float, action: Callable[..., object], *args: Any) -> Any:
        return self.call_at(self.now + delay, action, *args)

    def create_task(self, work: Coroutine[Any, Any, Any], **_: Any) -> asyncio.Task[Any]:
        return asyncio.get_running_loop().create_task(work)

    def advance(self, seconds: float) -> None:
        end = self.now + seconds
        while due := sorted((one for one in self.timers if one[0] <= end), key=lambda one: one[0]):
            self.timers.remove(due[0])
            self.now = due[0][0]
            due[0][1]()
        self.now = end


class _Handle:
    def __init__(self, loop: Loop, timer: tuple[float, Callable[[], object]]) -> None:
        self._loop = loop
        self._timer = timer

    def cancel(self) -> None:
        if self._timer in self._loop.timers:
            self._loop.timers.remove(self._timer)


class Transport(asyncio.Transport):
    """A transport that keeps what is written, and says how it ended."""

    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self._end: str | None = None

    def how_it_ended(self) -> str | None:
        return self._end

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return default

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def is_closing(self) -> bool:
        return self._end is not None

    def close(self) -> None:
        self._end = self._end or "closed"

    def abort(self) -> None:
        self._end = self._end or "aborted"

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


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


UPGRADE = (
    b"GET /v1/chat HTTP/1.1\r\nHost: hub.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
# A ping of 100 bytes, under the mask that changes nothing (RFC 6455, 5.2 and 5.5.2).
PING = b"\x89\xe4" + bytes(4) + b"x" * 100
PONG = b"\x8a\x64" + b"x" * 100


async def accept(scope: Any, receive: Any, send: Any) -> None:
    assert (await receive())["type"] == "websocket.connect"
    await send({"type": "websocket.accept"})
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def test_pings_of_a_client_that_takes_nothing(server: Server) -> None:
    config = uvicorn.Config(accept, interface="asgi3", ws=WebSocketProtocol, log_config=None, ws_ping_interval=None)
    config.load()
    protocol = WebSocketProtocol(config, server.state, {}, _loop=server.loop)  # type: ignore[arg-type]  # the part used
    transport = Transport()
    protocol.connection_made(transport)
    protocol.data_received(UPGRADE)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 101 ")
    transport.written = b""
    protocol.data_received(PING)
    assert transport.written == PONG
    protocol.pause_writing()
    for _ in range(1000):
        protocol.data_received(PING * 10)
    assert transport.written == PONG
    protocol.resume_writing()
    protocol.data_received(PING)
    assert transport.written == 2 * PONG
    await server.stop()


async def test_more_connections_than_the_hub_may_have(
    server: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(web_protocols, "max_connections", lambda: 2)
    monkeypatch.setattr(web_protocols, "seldom", Seldom())
    kept = [server.connect() for _ in range(2)]
    for _ in range(1000):
        protocol, refused = server.connect()
        assert refused.written.startswith(b"HTTP/1.1 503 ")
        assert refused.how_it_ended() == "closed"
        protocol.connection_lost(None)
    assert len([record for record in caplog.records if "ulimit" in record.getMessage()]) == 1
    protocol, transport = kept[0]
    protocol.data_received(WHOLE)
    await server.work()
    assert transport.written.startswith(b"HTTP/1.1 200 ")
    kept[1][0].connection_lost(None)
    assert server.connect()[1].written == b""
    await server.stop()


@pytest.mark.parametrize(("files", "connections"), [(1024, 824), (300, 150), (65_536, 65_336)])
def test_the_system_says_how_many_connections(monkeypatch: pytest.MonkeyPatch, files: int, connections: int) -> None:
    resource = pytest.importorskip("resource")
    monkeypatch.setattr(resource, "getrlimit", lambda _: (files, files))
    assert web_protocols.max_connections() == connections
    monkeypatch.setattr(resource, "getrlimit", lambda _: (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    assert web_protocols.max_connections() > 1_000_000
