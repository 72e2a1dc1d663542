"""Calls of the REST API to a hub in this process: no socket, no port to guess.

The site's requests run in threads, the hub on the server's event loop. A call is handed to that loop, and
the thread waits; the loop never waits for a thread.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Protocol

import httpx

_Scope = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Scope]]
_Send = Callable[[_Scope], Awaitable[None]]

logger = logging.getLogger(__name__)


class AppOnLoop(Protocol):
    """An ASGI application, and the event loop that it runs on; ``None`` while it does not run."""

    loop: asyncio.AbstractEventLoop | None

    async def __call__(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        """Serve one request."""


class InProcessTransport(httpx.BaseTransport):
    """Carries requests to an application of this process, from any thread but the one of its loop."""

    def __init__(self, app: AppOnLoop) -> None:
        self._app = app
        # It answers whole responses, which is what the REST API has.
        self._asgi = httpx.ASGITransport(self._serve, raise_app_exceptions=False)

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and wait for the answer, as long as the request's own time for reading.

        Raises:
            httpx.ConnectError: The application does not run, or this is the thread of its loop.
            httpx.ReadTimeout: It takes longer; what it does is not broken off.
        """
        loop = self._app.loop
        if loop is None:
            raise httpx.ConnectError("the hub in this process does not run", request=request)
        if _is_running_here(loop):
            message = "it was called on the event loop of the hub, which cannot wait for itself; call it in a thread"
            raise httpx.ConnectError(message, request=request)
        try:
            future = asyncio.run_coroutine_threadsafe(self._answer(request), loop)
            return future.result(request.extensions["timeout"]["read"])
        except concurrent.futures.TimeoutError as exc:
            raise httpx.ReadTimeout("the hub in this process is slow", request=request) from exc
        except concurrent.futures.CancelledError as exc:
            raise httpx.ReadError("the hub in this process has stopped", request=request) from exc

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        response = await self._asgi.handle_async_request(request)
        return httpx.Response(response.status_code, headers=response.headers, content=await response.aread())

    async def _serve(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        try:
            await self._app(scope, receive, send)
        except Exception:
            # A server would log it; here, nobody else does.
            logger.exception("The hub failed at a call of the site.")
            raise


def _is_running_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
