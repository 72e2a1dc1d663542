"""uvicorn as the hub needs it: discreet in its log, and done with clients that are gone."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable

import uvicorn
from starlette.types import ASGIApp

from . import web_log
from .config import HubConfig
from .startup import BACKLOG
from .web_protocols import HttpProtocol, WebSocketProtocol, seldom

SHUTDOWN_S = 3
#: So many connections are accepted in one go: each holds a file before it can be refused.
ACCEPTED_AT_ONCE = 100


class WebServer(uvicorn.Server):
    """A server that says when it listens."""

    def __init__(self, config: uvicorn.Config, when_started: Callable[[], None] | None) -> None:
        super().__init__(config)
        self._when_started = when_started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        asyncio.get_running_loop().set_exception_handler(web_log.handle_loop_errors(seldom))
        await super().startup(sockets=sockets)
        for listener in sockets or ():
            # uvicorn has set it to the other number.
            listener.listen(BACKLOG)
        if self._when_started is not None and self.started:
            self._when_started()


def make_server(app: ASGIApp, config: HubConfig, *, when_started: Callable[[], None] | None = None) -> WebServer:
    """Return a server of *app* that has not started yet."""
    web_log.install()
    settings = uvicorn.Config(
        app,
        loop="asyncio",
        http=HttpProtocol,
        ws=WebSocketProtocol,
        ws_max_size=config.max_record_bytes,
        ws_per_message_deflate=False,
        ws_ping_interval=config.ping_interval_s,
        ws_ping_timeout=config.ping_timeout_s,
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=ACCEPTED_AT_ONCE,
        timeout_graceful_shutdown=SHUTDOWN_S,
    )
    return WebServer(settings, when_started)
