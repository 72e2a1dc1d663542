"""An outlet: what one connection sends, without a task as long as nothing has to wait.

The transport's ``send`` is run to its first suspension by whoever has news, and mostly that is its end; a server of our
own needs no coroutine for that. If it must
wait, because the client reads slowly, a task of the connection's own goes on from there: it takes what has come to
wait meanwhile, all in one piece, until nothing is left. So nobody waits for another's client, and nothing is sent
before what was to be sent earlier.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator, MutableMapping
from types import coroutine
from typing import Any

from .channel import Channel

logger = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

#: So long may one piece take to be sent. A server whose pings stay unanswered drops its client, but may go on
#: waiting for what it has written to be taken, without a word to the application.
SEND_S = 60.0


class Outlet:
    """The way out of a channel.

    Args:
        send: The server's.
        wrap: Makes an ASGI message of records.
        finish: Ends the transport, when all has been sent or nothing can be sent any more.
        send_now: Sends a text, or returns false where it would have to wait.
    """

    __slots__ = ("_channel", "_finish", "_send", "_send_now", "_task", "_wrap")

    def __init__(
        self,
        channel: Channel,
        send: Send,
        *,
        wrap: Callable[[str], Message],
        finish: Callable[[], Coroutine[Any, Any, None]],
        send_now: Callable[[str], bool] | None = None,
    ) -> None:
        self._channel = channel
        self._send = send
        self._wrap = wrap
        self._finish = finish
        self._send_now = send_now
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Send what the channel has, from now on."""
        self._channel.on_news = self._push
        self._channel.send_now = self._send_now
        self._push()

    async def close(self) -> None:
        """Send nothing more, whatever is under way."""
        self._channel.on_news = self._channel.send_now = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def _push(self) -> None:
        channel = self._channel
        while self._task is None:
            text = channel.take_text()
            if text is None:
                self._start(self._finish())
                return
            if text and not (self._send_now and self._send_now(text)):
                self._begin(self._send(self._wrap(text)).__await__())
            if not channel.has_ended:
                return

    def _begin(self, sending: Generator[Any, Any, None]) -> None:
        """Run *sending* to its first suspension; a task takes over there."""
        try:
            awaited = next(sending)
        except StopIteration:
            pass
        except (Exception, asyncio.CancelledError) as exc:
            self._fail(exc)
        else:
            self._start(self._go_on(_rest_of(sending, awaited)))

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        self._channel.send_now = None
        self._task = asyncio.create_task(work)

    async def _go_on(self, sending: Awaitable[None]) -> None:
        try:
            async with asyncio.timeout(SEND_S):
                await sending
            while text := self._channel.take_text():
                async with asyncio.timeout(SEND_S):
                    await self._send(self._wrap(text))
        except (Exception, asyncio.CancelledError) as exc:
            if _is_cancelled():
                raise
            self._fail(exc)
        self._task = None
        self._channel.send_now = self._send_now
        self._push()

    def _fail(self, exc: BaseException) -> None:
        """Note that the client is gone or takes nothing: an OSError says so.

        Or uvicorn's RuntimeError: that the server closed by itself after a ping without an answer. The transport
        learns the same, but only behind all that the client had sent.
        """
        if not isinstance(exc, OSError | RuntimeError):
            logger.error("A connection failed.", exc_info=exc)
        self._channel.lost()


def _is_cancelled() -> bool:
    """Whether this task is to end, rather than that the server has cancelled what it waits for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


@coroutine
def _rest_of(sending: Generator[Any, Any, None], awaited: Any) -> Generator[Any, Any, None]:
    """Go on with what was begun elsewhere, and waits for *awaited* there (PEP 380)."""
    try:
        while True:
            try:
                answer = yield awaited
            except GeneratorExit:
                sending.close()
                raise
            except BaseException as exc:
                awaited = sending.throw(exc)
            else:
                awaited = sending.send(answer)
    except StopIteration:
        return
