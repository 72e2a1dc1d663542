"""A stand-in for a proxy that lets only some of the hub's transports through."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from starlette.types import ASGIApp, Message, Receive, Scope, Send


class TransportFilter:
    """Goes in front of a hub's application.

    Args:
        blocked: The transports that do not get through, as negotiate names them.
        held: Those whose answers are passed on when they are complete.

    Attributes:
        used: How many requests of each transport have got through.
    """

    def __init__(self, blocked: Iterable[str] = (), *, held: Iterable[str] = ()) -> None:
        self.used: Counter[str] = Counter()
        self._blocked = frozenset(blocked)
        self._held = frozenset(held)

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Return *app* behind the proxy."""

        async def filtered(scope: Scope, receive: Receive, send: Send) -> None:
            transport = _transport_of(scope)
            if transport in self._blocked:
                await _refuse(scope, receive, send)
                return
            if transport is not None:
                self.used[transport] += 1
            await app(scope, receive, _holding(send) if transport in self._held else send)

        return filtered


def _transport_of(scope: Scope) -> str | None:
    """Return the transport of a request that connects or receives."""
    if scope["type"] == "websocket":
        return "WebSockets"
    if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith("/v1/chat"):
        return None
    wants_events = any(name == b"accept" and b"text/event-stream" in value for name, value in scope["headers"])
    return "ServerSentEvents" if wants_events else "LongPolling"


def _holding(send: Send) -> Send:
    messages: list[Message] = []

    async def hold(message: Message) -> None:
        messages.append(message)
        if message["type"] == "http.response.body" and not message.get("more_body", False):
            for held in messages:
                await send(held)

    return hold


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close"})
        return
    await send({"type": "http.response.start", "status": 502, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body"})
