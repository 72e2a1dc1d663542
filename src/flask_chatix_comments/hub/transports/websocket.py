"""WebSockets: text frames, each of one or more whole records (TransportProtocols.md, "WebSockets").

Each connection has two tasks: one takes frames, one answers the calls in them. So the end of a client is noticed
while the hub is still at work for it. A third one sends, but only while a client is slow (see ``outlet``).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial

from ...errors import RequestRefusedError
from ..dispatcher import Dispatcher
from .calls import CallQueue
from .channel import Channel
from .channels import Channels
from .http_messages import Receive, Scope
from .outlet import SEND_S, Message, Outlet, Send
from .server_extensions import call_at_shutdown, find_send_now

NORMAL_CLOSURE = 1000
#: "Service restart", in the registry of close codes: whoever is told so comes again.
SERVICE_RESTART = 1012


class WebSocketTransport:
    """An ASGI application for the ``websocket`` scope.

    Args:
        admit: Returns the negotiated channel that a request connects, or raises ``RequestRefusedError``.
        say_goodbye: Sends a client away because the hub ends.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        channels: Channels,
        *,
        admit: Callable[[Scope], Channel],
        say_goodbye: Callable[[Channel], None],
    ) -> None:
        self._dispatcher = dispatcher
        self._channels = channels
        self._admit = admit
        self._say_goodbye = say_goodbye

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
            await self._carry(channel, scope, receive, send)
        finally:
            self._channels.remove(channel)

    async def _carry(self, channel: Channel, scope: Scope, receive: Receive, send: Send) -> None:
        calls = CallQueue(channel, self._dispatcher)
        call_at_shutdown(scope, partial(calls.end_by, partial(self._say_goodbye, channel)))
        reader = asyncio.create_task(_read(receive, calls))
        finish = partial(_finish, channel, send, reader, calls)
        outlet = Outlet(channel, send, wrap=_frame_of, finish=finish, send_now=find_send_now(scope))
        outlet.open()
        try:
            await calls.serve(reader)
        finally:
            await outlet.close()


async def _read(receive: Receive, calls: CallQueue) -> None:
    """Take the client's frames, ahead of their turn, until it is gone."""
    try:
        while (event := await receive())["type"] == "websocket.receive":
            await calls.take(_text_of(event))
    except Exception:
        calls.give_up()
        await _wait_for_end(receive)
    calls.hang_up()


def _text_of(event: Message) -> str:
    """Return the text of a frame. Binary frames are for MessagePack: the JSON parser will say what it thinks."""
    text = event.get("text")
    return text if isinstance(text, str) else bytes(event.get("bytes") or b"").decode(errors="replace")


async def _wait_for_end(receive: Receive) -> None:
    while (await receive())["type"] != "websocket.disconnect":
        pass


def _frame_of(text: str) -> Message:
    return {"type": "websocket.send", "text": text}


async def _finish(channel: Channel, send: Send, reader: asyncio.Task[None], calls: CallQueue) -> None:
    """Close, and wait for the client's end; not for ever, since a server may never tell of it."""
    code = SERVICE_RESTART if channel.may_come_again else NORMAL_CLOSURE
    try:
        async with asyncio.timeout(SEND_S):
            await send({"type": "websocket.close", "code": code})
    except (OSError, RuntimeError):
        channel.lost()
    await asyncio.wait([reader], timeout=SEND_S)
    if not reader.done():
        reader.cancel()
        calls.hang_up()


async def _refuse(scope: Scope, send: Send, refusal: RequestRefusedError) -> None:
    """Answer the upgrade with an HTTP status; a server that cannot will make it 403."""
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close"})
        return
    body = json.dumps({"error": str(refusal)}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    if refusal.retry_after_s is not None:
        headers.append((b"retry-after", str(refusal.retry_after_s).encode()))
    status = refusal.status_code
    await send({"type": "websocket.http.response.start", "status": status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": body})
