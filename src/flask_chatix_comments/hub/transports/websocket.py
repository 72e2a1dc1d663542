"""WebSockets: text frames, each of one or more whole records (TransportProtocols.md, "WebSockets")."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ...errors import RequestRefusedError
from ..dispatcher import HUB_FAILED, Dispatcher
from ..service import Caller
from .channel import Channel, Channels

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

NORMAL_CLOSURE = 1000


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
        writer = asyncio.create_task(_write(channel, send))
        try:
            await self._serve(channel, receive)
        finally:
            channel.lost()
            writer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await writer

    async def _serve(self, channel: Channel, receive: Receive) -> None:
        """Answer the client's invocations, one after the other, until it is gone."""
        caller: Caller | None = None
        try:
            while (event := await receive())["type"] == "websocket.receive":
                invocations = channel.receive_text(_text_of(event))
                if caller is None:
                    if not invocations and not channel.is_open:
                        continue
                    caller = await self._dispatcher.connect(
                        channel.connection_id, channel.ticket, channel.ticket_text, channel.send_record
                    )
                for invocation in invocations:
                    completion = await self._dispatcher.invoke(caller, invocation)
                    if completion is not None:
                        channel.send(completion)
        except Exception:
            logger.exception("A connection failed.")
            channel.close(error=HUB_FAILED, allow_reconnect=True)
            await _wait_for_end(receive)
        finally:
            if caller is not None:
                self._dispatcher.disconnect(caller)


def _text_of(event: Message) -> str:
    """Return the text of a frame. Binary frames are for MessagePack: the JSON parser will say what it thinks."""
    text = event.get("text")
    return text if isinstance(text, str) else bytes(event.get("bytes") or b"").decode(errors="replace")


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _write(channel: Channel, send: Send) -> None:
    """Send what the channel has, all that waits in one frame, and close when it has ended."""
    # An OSError says that the client is gone, uvicorn's RuntimeError that the server closed by itself after
    # a ping without an answer. The reader learns the same.
    with contextlib.suppress(OSError, RuntimeError):
        while (text := await channel.next_text()) is not None:
            await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": NORMAL_CLOSURE})


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
