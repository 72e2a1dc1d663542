"""Around the whole application: each request has an id, is counted and, where that is wanted, logged.

Of a request no more is told than what was asked, in words of ours, and what came of it: no query, no address, nothing
from a path that has no name here.
"""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable, Collection
from contextvars import ContextVar

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import OTHER, REQUEST_TIME, REQUESTS, Metrics

logger = logging.getLogger(__name__)

#: Of an answer that nobody has had.
ABORTED = "aborted"
#: The request, or the connection, on whose behalf something is done.
request_id: ContextVar[str | None] = ContextVar("chatix_hub_request_id", default=None)

#: What proxies make for requests. Nothing that a reader has written fits, and no ticket.
_WELL_FORMED = re.compile(rb"[0-9A-Fa-f-]{8,64}")
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def new_request_id() -> str:
    """Return an id that is hardly given twice."""
    return secrets.token_hex(8)


class WatchedRequests:
    """Watches HTTP requests to their answers, and WebSockets to their end.

    Of WebSockets each message would have to pass here, so they are not counted.

    Args:
        base_path: What is before the paths.
        paths: Those that are told by name; of one that ends in a slash, all that is below. Others are ``OTHER``.
        lasting: Paths whose answers are connections: how long these take says nothing.
        logs: Whether each of them is logged.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        *,
        base_path: str,
        paths: Collection[str],
        lasting: Collection[str],
        logs: bool,
        new_id: Callable[[], str] = new_request_id,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._operations = {base_path + path: path for path in paths}
        self._folders = tuple(path for path in self._operations if path.endswith("/"))
        self._lasting = frozenset(lasting)
        self._logs = logs
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        token = request_id.set(_given_id(scope) or self._new_id())
        try:
            await (self._serve_request if scope["type"] == "http" else self._serve_socket)(scope, receive, send)
        finally:
            request_id.reset(token)

    async def _serve_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Now: the framework changes the scope on its way.
        operation, status = self._operation_of(scope), ABORTED

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        started = time.perf_counter()
        try:
            await self._app(scope, receive, send_and_note)
        finally:
            duration_s = time.perf_counter() - started
            self._metrics.count(REQUESTS, operation, status)
            if operation not in self._lasting:
                self._metrics.observe(REQUEST_TIME, duration_s, operation)
            method = scope["method"] if scope["method"] in _METHODS else OTHER
            self._log(operation, duration_s, method=method, status=status)

    async def _serve_socket(self, scope: Scope, receive: Receive, send: Send) -> None:
        operation, started = self._operation_of(scope), time.perf_counter()
        try:
            await self._app(scope, receive, send)
        finally:
            self._log(operation, time.perf_counter() - started, method="WebSocket", status="ended")

    def _operation_of(self, scope: Scope) -> str:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if (operation := self._operations.get(path)) is not None:
            return operation
        return next((self._operations[folder] for folder in self._folders if path.startswith(folder)), OTHER)

    def _log(self, operation: str, duration_s: float, *, method: str, status: str) -> None:
        if self._logs:
            fields = {"method": method, "operation": operation, "status": status, "duration_s": round(duration_s, 6)}
            line = "%s %s %s after %.3f s", method, operation, status, duration_s
            logger.info(*line, extra={"chatix_fields": fields})


def _given_id(scope: Scope) -> str | None:
    """Return the id that a proxy has given the request, if it is one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _WELL_FORMED.fullmatch(value):
            return str(value, "ascii")
    return None
