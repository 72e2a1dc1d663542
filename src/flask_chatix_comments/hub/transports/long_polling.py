"""Long polling: the client asks, and is answered when there is something to say.

TransportProtocols.md, "Long Polling (Server-to-Client only)": the client's own texts come by POST.

Nothing is lost with a poll whose client goes away: what was not sent to its end is given back. What went into a
dead line unnoticed is not lost without a word, either: its client is silent then, and after ``ABSENT_S`` its connection
is over, which it learns when it comes back.
"""

from __future__ import annotations

import asyncio

from .calls import CallQueue
from .channel import Channel
from .http_messages import NO_STORE, PLAIN_TEXT, Receive, answer, length_of, piece, start, wait_for_end
from .outlet import SEND_S, Send

#: Within what proxies allow a server that says nothing. The clients give up at 100 s: together with ``ABSENT_S``
#: this must stay below that, or one could come back to a connection after it lost an answer.
POLL_S = 45.0
#: So long may a client be away between two polls: ASP.NET Core's disconnect timeout.
ABSENT_S = 15.0


class Polls:
    """The polls of one channel; the newest is the one that counts."""

    def __init__(self, channel: Channel, calls: CallQueue) -> None:
        self._channel = channel
        self._calls = calls
        self._turn = asyncio.Lock()
        self._count = 0
        self._newest = asyncio.Event()
        self._absence: asyncio.TimerHandle | None = None

    async def connect(self, send: Send) -> None:
        """Answer the first poll, at once."""
        try:
            await answer(send, 200)
        finally:
            self._note_absence()

    async def poll(self, receive: Receive, send: Send) -> None:
        """Answer one poll; one that is open already ends, since its client has given it up."""
        self._newest.set()
        self._newest = is_old = asyncio.Event()
        self._end_absence()
        self._count += 1
        try:
            async with self._turn:
                await self._answer(receive, send, is_old)
        finally:
            self._count -= 1
            if not self._count:
                self._note_absence()

    def _note_absence(self) -> None:
        self._end_absence()
        self._absence = asyncio.get_running_loop().call_later(ABSENT_S, self._calls.hang_up)

    def _end_absence(self) -> None:
        if self._absence is not None:
            self._absence.cancel()
            self._absence = None

    async def _answer(self, receive: Receive, send: Send, is_old: asyncio.Event) -> None:
        gone = asyncio.create_task(wait_for_end(receive))
        try:
            await _first_of(
                gone, asyncio.create_task(is_old.wait()), asyncio.create_task(self._channel.wait_for_news())
            )
            if gone.done():
                return
            text = "" if is_old.is_set() else self._channel.take_text()
            if text is None or is_old.is_set():
                await answer(send, 204)
            else:
                await self._send(text, gone, send)
            if text is None:
                self._calls.hang_up()
        finally:
            gone.cancel()

    async def _send(self, text: str, gone: asyncio.Task[None], send: Send) -> None:
        """Send a text, or give it back."""
        is_sent = False
        try:
            async with asyncio.timeout(SEND_S):
                await send(start(200, NO_STORE, PLAIN_TEXT, length_of(text)))
                await send(piece(text))
                # This waits until the client has taken most of it.
                await send(piece(""))
                # Servers drop what is sent to a client that is gone: its end may have been noted, and not told yet.
                await asyncio.sleep(0)
                if not gone.done():
                    await send(piece("", is_last=True))
                    is_sent = True
        except (OSError, RuntimeError):
            # The client is gone or takes nothing.
            pass
        finally:
            if not is_sent and text:
                self._channel.give_back(text)


async def _first_of(gone: asyncio.Task[None], *others: asyncio.Task[object]) -> None:
    try:
        await asyncio.wait([gone, *others], timeout=POLL_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in others:
            task.cancel()
