"""uvicorn's protocols with an end to everything: to waiting for a client, to what waits for one, to their number.

uvicorn waits for ever for a request that does not come to its end, and for a client that takes nothing.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterable
from typing import Any, cast
from weakref import WeakKeyDictionary

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from .open_files import max_connections
from .transports.server_extensions import SHUTDOWN_EXTENSION
from .web_frames import FramesProtocol
from .web_idlers import Idlers
from .web_log import Seldom

#: So long may a client take for the head of a request, or for a body that nobody waits for any more.
REQUEST_S = 10.0
#: A body may take longer, if it comes at this rate: that of the slowest line that can send a picture.
MIN_BODY_BYTES_PER_S = 4096
#: So long may a client take for what is left when its connection closes.
CLOSING_S = 5.0
#: More than the hub takes with any settings: the longest comment, every character of it escaped.
MAX_MESSAGE_BYTES = 1_048_576
PING_S = 20.0
#: So long may a client take none of an answer.
ANSWER_S = 30.0

_WAITING_FOR_CLIENT = (h11.IDLE, h11.SEND_BODY)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\n"
    b"Cache-Control: no-store\r\nConnection: close\r\n\r\n"
)

seldom = Seldom()
_idlers: Idlers[ServerState, HttpProtocol] = Idlers()


class HttpProtocol(H11Protocol):
    """uvicorn's HTTP, for clients that do not finish what they say, too."""

    _request_timer: asyncio.TimerHandle | None = None
    _answer_timer: asyncio.TimerHandle | None = None
    _is_handed_over = False
    _body_bytes = 0
    _since = 0.0
    _farewell: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in H11Protocol
        """Take a client, or send it away where there are too many of whom each has asked for something."""
        super().connection_made(transport)
        self.app = self._run
        if len(self.connections) > max_connections() and not self._make_room():
            transport.write(_BUSY)
            transport.close()
        else:
            _idlers.add(self.server_state, self)
            self._wait_for_request()

    def _make_room(self) -> bool:
        """End the connection that has been silent longest, if there is one; readers say at once what they want.

        So nobody locks others out by connections alone.
        """
        oldest = _idlers.take_oldest(self.server_state)
        if oldest is None:
            seldom.warn("The hub has as many connections as `ulimit -n` allows, and refuses more. Raise it.")
            return False
        seldom.warn("The hub has as many connections as `ulimit -n` allows, and ends those that say nothing. Raise it.")
        oldest.transport.abort()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the client is gone."""
        _idlers.remove(self.server_state, self)
        self._stop_waiting()
        self._unset_answer_timer()
        self._let_go()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take what came, and see whether the request is complete."""
        if self.conn.their_state is h11.SEND_BODY and not self._is_answered():
            self._body_bytes += len(data)
        super().data_received(data)
        # h11 waits for the body of a WebSocket's request, and will never learn that there is none.
        if self._is_handed_over or self.conn.their_state not in _WAITING_FOR_CLIENT:
            self._stop_waiting()
        elif self._request_timer is None and not self.transport.is_closing():
            self._wait_for_request()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Hand the connection over: from now on it is the WebSocket's to end."""
        self._is_handed_over = True
        _idlers.remove(self.server_state, self)
        self._stop_waiting()
        self._unset_answer_timer()
        self._let_go()
        super().handle_websocket_upgrade(event)

    async def _run(self, scope: Any, receive: Any, send: Any) -> None:
        """Run the application, which may ask to be told when the server shuts down."""
        self._farewell = None
        _idlers.remove(self.server_state, self)
        if _is_ambiguous(scope["headers"]):
            await _refuse(send)
            return
        extensions = scope.get("extensions") or {}
        offered = {**extensions, SHUTDOWN_EXTENSION: {"call": self._call_at_shutdown}}
        await self.config.loaded_app({**scope, "extensions": offered}, receive, send)

    def _call_at_shutdown(self, farewell: Callable[[], None]) -> None:
        self._farewell = farewell

    def _let_go(self) -> None:
        """Leave nothing that would keep this object in memory beside the connection."""
        self.app = self.config.loaded_app
        self._farewell = None

    def on_response_complete(self) -> None:
        """Begin to wait for the client to ask for something else."""
        if not self.transport.is_closing():
            _idlers.add(self.server_state, self)
        super().on_response_complete()

    def shutdown(self) -> None:
        """Let an answer that is under way, such as a stream of events, come to its end."""
        if self._farewell is not None:
            self._farewell()
        super().shutdown()

    def pause_writing(self) -> None:
        """Begin to wait for the client to take what it asked for."""
        super().pause_writing()
        self._unset_answer_timer()
        self._answer_timer = self.loop.call_later(ANSWER_S, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client has taken most of it."""
        self._unset_answer_timer()
        super().resume_writing()

    def _is_answered(self) -> bool:
        return self.conn.our_state in (h11.DONE, h11.MUST_CLOSE, h11.CLOSED)

    def _wait_for_request(self) -> None:
        self._since, self._body_bytes = self.loop.time(), 0
        self._request_timer = self.loop.call_later(REQUEST_S, self._check_request)

    def _check_request(self) -> None:
        """Give the client up, unless its body comes well, or nobody reads it now."""
        due = self._since + REQUEST_S + self._body_bytes / MIN_BODY_BYTES_PER_S
        if not self.flow.read_paused and due <= self.loop.time():
            self.transport.abort()
        else:
            self._request_timer = self.loop.call_at(max(due, self.loop.time() + 1), self._check_request)

    def _stop_waiting(self) -> None:
        if self._request_timer is not None:
            self._request_timer.cancel()
            self._request_timer = None

    def _unset_answer_timer(self) -> None:
        if self._answer_timer is not None:
            self._answer_timer.cancel()
            self._answer_timer = None


def _is_ambiguous(headers: Iterable[tuple[bytes, bytes]]) -> bool:
    """Whether a request says in two ways where it ends: a proxy in front may have taken the other one."""
    return {b"content-length", b"transfer-encoding"} <= {name for name, _ in headers}


async def _refuse(send: Any) -> None:
    """Answer such a request, and take nothing more from there (RFC 9112, section 6.1)."""
    headers = [(b"content-length", b"0"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 400, "headers": headers})
    await send({"type": "http.response.body"})


class WebSocketProtocol(FramesProtocol):
    """uvicorn's WebSockets, within the hub's bounds whatever the command line says, and for clients that never read.

    Everything that uvicorn does to end a connection ends in ``transport.close()``, which first waits until
    all has been sent: for ever, when nobody takes it. Nor would the application hear of the end before.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(_bounded_once(config), server_state, app_state, _loop)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give every way to close a time limit."""
        limit_s = CLOSING_S if self.ping_timeout is None else min(CLOSING_S, self.ping_timeout)
        # uvloop's is one by its methods, not by its class.
        self._closing = _ClosingInTime(cast("asyncio.Transport", transport), self.loop, limit_s)
        super().connection_made(self._closing)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended, in time or not."""
        super().connection_lost(exc)
        self._closing.closed()


_bounded_configs: WeakKeyDictionary[uvicorn.Config, uvicorn.Config] = WeakKeyDictionary()


def _bounded_once(config: uvicorn.Config) -> uvicorn.Config:
    """Return the same for all connections of a server: each would keep its copy."""
    bounded = _bounded_configs.get(config)
    if bounded is None:
        bounded = _bounded_configs[config] = _bounded(config)
    return bounded


def _bounded(config: uvicorn.Config) -> uvicorn.Config:
    """Return *config* without compression, which costs memory and lets small frames grow, and with limits."""
    bounded = copy.copy(config)
    bounded.ws_per_message_deflate = False
    bounded.ws_max_size = min(config.ws_max_size, MAX_MESSAGE_BYTES)
    bounded.ws_ping_interval = min(config.ws_ping_interval or PING_S, PING_S)
    bounded.ws_ping_timeout = min(config.ws_ping_timeout or PING_S, PING_S)
    return bounded


class _ClosingInTime(asyncio.Transport):
    """A transport that, once it is told to close, waits for its client for *limit_s* at most."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._limit_s = limit_s
        self._timer: asyncio.TimerHandle | None = None
        # It is done for each member and message.
        self.write = transport.write  # type: ignore[method-assign]  # the very method

    def close(self) -> None:
        if not self._transport.is_closing():
            self._timer = self._loop.call_later(self._limit_s, self._transport.abort)
        self._transport.close()

    def closed(self) -> None:
        """Note that the transport is closed: it must not be touched any more."""
        if self._timer is not None:
            self._timer.cancel()

    # As it is

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()
