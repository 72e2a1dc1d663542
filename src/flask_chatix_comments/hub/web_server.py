"""uvicorn as the hub needs it: discreet in its log, and done with clients that are gone."""

from __future__ import annotations

import asyncio
import logging
import re
import socket
import threading
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from .config import HubConfig
from .startup import BACKLOG

SHUTDOWN_S = 3
#: So long may a client take for what is left when its connection closes.
CLOSING_S = 5.0
_QUERY = re.compile(r"\?[^\s\"]*")


class WebServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, when_started: threading.Event | None) -> None:
        super().__init__(config)
        self._when_started = when_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets=sockets)
        if self._when_started is not None and self.started:
            self._when_started.set()


def make_server(app: ASGIApp, config: HubConfig, *, when_started: threading.Event | None = None) -> WebServer:
    """Return a server of *app* that has not started yet."""
    for name in ("uvicorn.error", "uvicorn.asgi"):
        server_log = logging.getLogger(name)
        if not any(isinstance(one, _DiscretionFilter) for one in server_log.filters):
            server_log.addFilter(_DiscretionFilter())
    settings = uvicorn.Config(
        app,
        loop="asyncio",
        http="h11",
        ws=_WebSocketProtocol,
        ws_max_size=config.max_record_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=config.ping_interval_s,
        ws_ping_timeout=config.ping_timeout_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return WebServer(settings, when_started)


class _WebSocketProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets, for clients that never read, too.

    Everything that uvicorn does to end a connection ends in ``transport.close()``, which first waits until
    all has been sent: for ever, when nobody takes it. Nor would the application hear of the end before.
    """

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Give every way to close a time limit."""
        assert isinstance(transport, asyncio.Transport)
        limit_s = CLOSING_S if self.ping_timeout is None else min(CLOSING_S, self.ping_timeout)
        self._closing = _ClosingInTime(transport, self.loop, limit_s)
        super().connection_made(self._closing)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that the connection has ended, in time or not."""
        super().connection_lost(exc)
        self._closing.closed()


class _ClosingInTime(asyncio.Transport):
    """A transport that, once it is told to close, waits for its client for *limit_s* at most."""

    def __init__(self, transport: asyncio.Transport, loop: asyncio.AbstractEventLoop, limit_s: float) -> None:
        super().__init__()
        self._transport = transport
        self._loop = loop
        self._limit_s = limit_s
        self._timer: asyncio.TimerHandle | None = None

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

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self._transport.write(data)

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()


class _DiscretionFilter(logging.Filter):
    """Keep tickets, which stand in query strings, and what people write out of the server's log."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let a line pass without its query strings; below the level INFO it would hold whole frames and scopes."""
        if record.levelno < logging.INFO or _is_about_bad_text(record):
            return False
        record.msg, record.args = _QUERY.sub("?...", record.getMessage()), None
        return True


def _is_about_bad_text(record: logging.LogRecord) -> bool:
    """Whether a client has sent a frame that is not UTF-8: anybody can, and each time costs a traceback."""
    return record.exc_info is not None and isinstance(record.exc_info[1], UnicodeDecodeError)
