"""WebSockets: text frames, each of one or more whole records (TransportProtocols.md, "WebSockets").

Each connection has three tasks: one takes frames, one answers the calls in them, one sends. So the end of
a client is noticed while the hub is still at work for it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ...errors import RequestRefusedError
from ..dispatcher import Dispatcher
from .calls import CallQueue, give_up
from .channel import Channel
from .channels import Channels

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NORMAL_CLOSURE = 1000
#: So long may one frame take to be sent. A server whose pings stay unanswered drops its client, but may go on
#: waiting for what it has written to be taken, without a word to the application.
SEND_S = 60.0


class WebSocketTransport:
    """An ASGI application for the ``websocket`` scope.

    Args:
        admit: Returns the negotiated channel that a request connects, or raises ``RequestRefusedError``.
    """

    def __init__(self, dispatcher: Dispatcher, channels: Channels, *, admit: Callable[[Scope], Channel]) -> None:
        self._dispatcher = dispatcher
        self._channels = channels
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, from its upgrade to its end."""
        if (await receive())["type"] != "websocket.connect":
            return
        try:
            channel = self._admit(scope)
        except RequestRefusedError as exc:
            await _refuse(scope, send, exc)
            return
        try:
            await send({"type": "websocket.accept"})
            await self._carry(channel, receive, send)
        finally:
            self._channels.remove(channel)

    async def _carry(self, channel: Channel, receive: Receive, send: Send) -> None:
        calls = CallQueue(channel, self._dispatcher)
        reader = asyncio.create_task(_read(channel, receive, calls))
        await calls.serve(reader, asyncio.create_task(_write(channel, send, reader, calls)))


async def _read(channel: Channel, receive: Receive, calls: CallQueue) -> None:
    """Take the client's frames, ahead of their turn, until it is gone."""
    try:
        while (event := await receive())["type"] == "websocket.receive":
            await calls.take(_text_of(event))
    except Exception:
        give_up(channel)
        await _wait_for_end(receive)
    calls.hang_up()


def _text_of(event: Message) -> str:
    """Return the text of a frame. Binary frames are for MessagePack: the JSON parser will say what it thinks."""
    text = event.get("text")
    return text if isinstance(text, str) else bytes(event.get("bytes") or b"").decode(errors="replace")


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _write(channel: Channel, send: Send, reader: asyncio.Task[None], calls: CallQueue) -> None:
    """Send what the channel has, all that waits in one frame, and close when it has ended."""
    # An OSError says that the client is gone or takes nothing, uvicorn's RuntimeError that the server closed by
    # itself after a ping without an answer. The reader learns the same, but only behind all that the client had
    # sent; or never, from a server that waits for the client.
    try:
        while (text := await channel.next_text()) is not None:
            await _send_in_time(send, {"type": "websocket.send", "text": text})
        await _send_in_time(send, {"type": "websocket.close", "code": NORMAL_CLOSURE})
    except (OSError, RuntimeError):
        channel.lost()
    await asyncio.wait([reader], timeout=SEND_S)
    if not reader.done():
        reader.cancel()
        calls.hang_up()


async def _send_in_time(send: Send, message: Message) -> None:
    async with asyncio.timeout(SEND_S):
        await send(message)


async def _refuse(scope: Scope, send: Send, refusal: RequestRefusedError) -> None:
    """Answer the upgrade with an HTTP status; a server that cannot will make it 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    body = json.dumps({"error": str(refusal)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    status = refusal.status_code
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
