"""Around the whole application: each request is counted, whoever answers it."""

from __future__ import annotations

import time
from collections.abc import Collection

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .metrics import OTHER, REQUEST_TIME, REQUESTS, Metrics

#: Of an answer that nobody has had.
ABORTED = "aborted"


class MeteredRequests:
    """Counts HTTP requests and their answers. Of WebSockets each message would have to pass here, so they do not.

    Args:
        base_path: What is before the paths.
        paths: Those that are counted by name; of one that ends in a slash, all that is below. Others are ``OTHER``.
        lasting: Paths whose answers are connections: how long these take says nothing.
    """

    def __init__(
        self, app: ASGIApp, metrics: Metrics, *, base_path: str, paths: Collection[str], lasting: Collection[str]
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._operations = {base_path + path: path for path in paths}
        self._folders = tuple(path for path in self._operations if path.endswith("/"))
        self._lasting = frozenset(lasting)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
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
            self._note(operation, status, time.perf_counter() - started)

    def _operation_of(self, scope: Scope) -> str:
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if (operation := self._operations.get(path)) is not None:
            return operation
        return next((self._operations[folder] for folder in self._folders if path.startswith(folder)), OTHER)

    def _note(self, operation: str, status: str, duration_s: float) -> None:
        self._metrics.count(REQUESTS, operation, status)
        if operation not in self._lasting:
            self._metrics.observe(REQUEST_TIME, duration_s, operation)
