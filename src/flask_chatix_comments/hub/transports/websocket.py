"""WebSockets: text frames, each of one or more whole records (TransportProtocols.md, "WebSockets").

Each connection has three tasks: one takes frames, one answers the calls in them, one sends. So the end of
a client is noticed while the hub is still at work for it. Whoever does not take the answers gets no more of them:
neither frames nor answers pile up.
"""

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
from ..signalr.messages import Invocation
from .channel import Channel
from .channels import Channels

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
#: The calls of each frame; ``None`` is the end.
Frames = asyncio.Queue[list[Invocation] | None]

NORMAL_CLOSURE = 1000
#: Whoever sends faster than the hub works has to wait, and the hub need not keep it all in memory.
MAX_WAITING_FRAMES = 8
#: A page that says what it has to say (leave, post) and closes at once is meant to be heard; a flood is not.
MAX_LATE_CALLS = 10
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
        frames: Frames = asyncio.Queue(MAX_WAITING_FRAMES)
        reader = asyncio.create_task(_read(channel, receive, frames))
        tasks = [reader, asyncio.create_task(_write(channel, send, reader, frames))]
        try:
            await self._serve(channel, frames)
        finally:
            channel.lost()
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _serve(self, channel: Channel, frames: Frames) -> None:
        """Answer the client's invocations, one after the other, until it is gone."""
        caller: Caller | None = None
        late_calls_left = MAX_LATE_CALLS
        try:
            while (invocations := await frames.get()) is not None:
                if caller is None:
                    if not invocations and not channel.is_open:
                        continue
                    caller = await self._dispatcher.connect(
                        channel.connection_id,
                        channel.ticket,
                        channel.ticket_text,
                        channel.base_url,
                        channel.send_record,
                    )
                late_calls_left = await self._answer(channel, caller, invocations, late_calls_left)
                # It may have been renewed.
                channel.ticket = caller.ticket
        except Exception:
            _give_up(channel)
            await _drain(frames)
        finally:
            if caller is not None:
                self._dispatcher.disconnect(caller)

    async def _answer(
        self, channel: Channel, caller: Caller, invocations: list[Invocation], late_calls_left: int
    ) -> int:
        """Answer the calls of one frame; return how many more may be done though nobody waits for the answers."""
        for invocation in invocations:
            await channel.drain()
            if not channel.is_open:
                if not late_calls_left:
                    break
                late_calls_left -= 1
            # Never cancelled half way: what has been stored must be noted in memory, too.
            completion = await self._dispatcher.invoke(caller, invocation)
            if completion is not None:
                channel.send(completion)
            # Calls that wait for nothing would keep everybody else waiting, even the news that this client is gone.
            await asyncio.sleep(0)
        return late_calls_left


async def _read(channel: Channel, receive: Receive, frames: Frames) -> None:
    """Take the client's frames, ahead of their turn, until it is gone."""
    try:
        while (event := await receive())["type"] == "websocket.receive":
            await frames.put(channel.receive_text(_text_of(event)))
    except Exception:
        _give_up(channel)
        await _wait_for_end(receive)
    channel.lost()
    await frames.put(None)


def _text_of(event: Message) -> str:
    """Return the text of a frame. Binary frames are for MessagePack: the JSON parser will say what it thinks."""
    text = event.get("text")
    return text if isinstance(text, str) else bytes(event.get("bytes") or b"").decode(errors="replace")


def _give_up(channel: Channel) -> None:
    """In an exception's handler: log it, and send the client away to come again."""
    logger.exception("A connection failed.")
    channel.close(error=HUB_FAILED, allow_reconnect=True)


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


async def _drain(frames: Frames) -> None:
    while await frames.get() is not None:
        pass


async def _write(channel: Channel, send: Send, reader: asyncio.Task[None], frames: Frames) -> None:
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
        await frames.put(None)


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
