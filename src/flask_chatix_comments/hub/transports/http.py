"""The transports without a socket, at one address: what comes by GET, POST and DELETE."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ...errors import RequestRefusedError
from ..dispatcher import Dispatcher
from . import sse
from .calls import CallQueue
from .channel import Channel
from .channels import Channels
from .http_messages import Receive, Scope, answer, refuse
from .inbox import Inbox
from .long_polling import Polls
from .outlet import Send
from .server_extensions import call_at_shutdown

METHODS = (b"allow", b"GET, POST, DELETE")


@dataclass(frozen=True, slots=True)
class _Line:
    """A channel that one of these transports carries.

    Attributes:
        say_goodbye: Sends the client away, behind the answers to what it has called.
        polls: ``None`` where the transport is server-sent events.
    """

    inbox: Inbox
    say_goodbye: Callable[[], None]
    polls: Polls | None = None


class HttpTransport:
    """An ASGI application for the ``http`` scope. Refusals are raised, for the application around it to answer.

    Args:
        admit: Returns the negotiated channel that a request connects, with the arguments of ``Channel.attach``, or
            raises ``RequestRefusedError``.
        recognize: Returns the channel that a request belongs to, likewise.
        say_goodbye: Sends a client away because the hub ends.
        max_body_bytes: How much a client may send in one go.
    """

    def __init__(
        self,
        dispatcher: Dispatcher,
        channels: Channels,
        *,
        admit: Callable[..., Channel],
        recognize: Callable[[Scope], Channel],
        say_goodbye: Callable[[Channel], None],
        max_body_bytes: int,
    ) -> None:
        self._dispatcher = dispatcher
        self._channels = channels
        self._admit = admit
        self._recognize = recognize
        self._say_goodbye = say_goodbye
        self._max_body_bytes = max_body_bytes
        self._lines: dict[Channel, _Line] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        match scope["method"]:
            case "GET" if _wants_events(scope):
                await self._stream(scope, receive, send)
            case "GET":
                await self._poll(scope, receive, send)
            case "POST":
                if await self._line_of(scope).inbox.post(receive):
                    await answer(send, 200)
            case "DELETE":
                self._line_of(scope).inbox.hang_up()
                await answer(send, 202)
            case _:
                await refuse(send, 405, "This address does not take this method.", METHODS)

    async def close(self) -> None:
        """End the connections that no request carries."""
        for line in self._lines.values():
            line.inbox.hang_up()
        if self._tasks:
            await asyncio.wait(self._tasks)

    def _line_of(self, scope: Scope) -> _Line:
        line = self._lines.get(self._recognize(scope))
        if line is None:
            raise RequestRefusedError(409, "This connection is not one by server-sent events or long polling.")
        return line

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel = self._admit(scope, transport="sse")
        calls = CallQueue(channel, self._dispatcher)
        self._lines[channel] = line = self._line(channel, calls)
        call_at_shutdown(scope, line.say_goodbye)
        try:
            await sse.carry(channel, calls, receive, send)
        finally:
            self._forget(channel)

    async def _poll(self, scope: Scope, receive: Receive, send: Send) -> None:
        channel = self._recognize(scope)
        if not channel.is_attached:
            # The clients expect no pings here, and send none: the polls themselves are signs of life.
            self._admit(scope, transport="long_polling", keep_alive_s=math.inf, client_timeout_s=math.inf)
            await self._connect(channel).connect(send)
            return
        line = self._lines.get(channel)
        if line is None or line.polls is None:
            raise RequestRefusedError(409, "This connection is in use.")
        call_at_shutdown(scope, line.say_goodbye)
        await line.polls.poll(receive, send)

    def _connect(self, channel: Channel) -> Polls:
        calls = CallQueue(channel, self._dispatcher)
        polls = Polls(channel, calls)
        self._lines[channel] = self._line(channel, calls, polls)
        # It goes on from one request to the next.
        task = asyncio.create_task(self._live(channel, calls))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return polls

    async def _live(self, channel: Channel, calls: CallQueue) -> None:
        try:
            await calls.serve()
        finally:
            self._forget(channel)

    def _line(self, channel: Channel, calls: CallQueue, polls: Polls | None = None) -> _Line:
        inbox = Inbox(calls, limit_bytes=self._max_body_bytes)
        return _Line(inbox, partial(calls.end_by, partial(self._say_goodbye, channel)), polls)

    def _forget(self, channel: Channel) -> None:
        del self._lines[channel]
        self._channels.remove(channel)


def _wants_events(scope: Scope) -> bool:
    return any(name == b"accept" and b"text/event-stream" in value.lower() for name, value in scope["headers"])
