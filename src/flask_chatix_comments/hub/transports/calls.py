"""What one client calls: answered one after the other, whichever transport brings it.

Whoever sends faster than the hub works, or does not take the answers, has to wait: neither calls nor answers pile up.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable

from ..dispatcher import HUB_FAILED, Dispatcher
from ..service import Caller
from ..signalr.messages import Invocation
from .channel import Channel

logger = logging.getLogger(__name__)

#: Whoever sends faster than the hub works has to wait, and the hub need not keep it all in memory.
MAX_WAITING_FRAMES = 8
#: A longer text takes a place more for each of these, up to all of them: so what waits is never much.
BYTES_PER_PLACE = 32_768
#: A page that says what it has to say (leave, post) and closes at once is meant to be heard; a flood is not.
MAX_LATE_CALLS = 10

_Frame = list[Invocation] | Callable[[], None] | None


class CallQueue:
    """The calls of one channel; what came in one go, a frame of a socket or the body of a request, is one entry.

    Attributes:
        is_over: Whether the client is gone: nothing more is taken.
    """

    __slots__ = ("_channel", "_dispatcher", "_frames", "_late_calls_left", "_news", "_places", "is_over")

    def __init__(self, channel: Channel, dispatcher: Dispatcher) -> None:
        self.is_over = False
        self._channel = channel
        self._dispatcher = dispatcher
        self._places = asyncio.Semaphore(MAX_WAITING_FRAMES)
        # What can be called is to be done in its turn; None is the end.
        self._frames: list[tuple[_Frame, int]] = []
        # Somebody waits for a frame. A queue of asyncio's takes as much memory as all the rest of a connection's.
        self._news: asyncio.Future[None] | None = None
        self._late_calls_left = MAX_LATE_CALLS

    async def take(self, text: str) -> bool:
        """Take what came from the client, once there is a place for it; return whether it was taken."""
        wanted, held, is_taken = places_of(text), 0, False
        try:
            while held < wanted:
                await self._places.acquire()
                held += 1
            if not self.is_over:
                self._put(self._channel.receive_text(text), held)
                is_taken = True
        finally:
            if not is_taken:
                self._free(held)
        return is_taken

    def _free(self, places: int) -> None:
        for _ in range(places):
            self._places.release()

    def hang_up(self) -> None:
        """Note that the client is gone: what it has said still counts."""
        if not self.is_over:
            self.is_over = True
            self._channel.lost()
            # Who still waits for places is to learn of it.
            self._put(None, MAX_WAITING_FRAMES)

    def end_by(self, say_goodbye: Callable[[], None]) -> None:
        """Say goodbye to the client, behind the answers to all that it has called so far."""
        if not self.is_over:
            self._put(say_goodbye)

    def give_up(self) -> None:
        """In an exception's handler: log it, and send the client away to come again."""
        logger.exception("A connection failed.")
        self._channel.close(error=HUB_FAILED, allow_reconnect=True)

    async def serve(self, *helpers: asyncio.Task[None]) -> None:
        """Answer the client's calls until it is gone.

        Args:
            helpers: Who read and write meanwhile; they end with it.
        """
        caller: Caller | None = None
        try:
            while (invocations := await self._next()) is not None:
                if caller is None:
                    if not invocations and not self._channel.is_open:
                        continue
                    caller = await self._connect()
                await self._answer(caller, invocations)
                # It may have been renewed.
                self._channel.ticket = caller.ticket
        except Exception:
            self.give_up()
            await self._drain()
        finally:
            if caller is not None:
                self._dispatcher.disconnect(caller)
            self.hang_up()
            await _cancel(helpers)

    async def _next(self) -> list[Invocation] | None:
        while True:
            # Here, and not in a function of its own: each that waits takes memory, for each connection.
            while not self._frames:
                self._news = asyncio.get_running_loop().create_future()
                await self._news
            self._news = None
            frame, places = self._frames.pop(0)
            self._free(places)
            if not callable(frame):
                return frame
            frame()

    def _put(self, frame: _Frame, places: int = 0) -> None:
        self._frames.append((frame, places))
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def _connect(self) -> Caller:
        channel = self._channel
        caller = await self._dispatcher.connect(
            channel.connection_id, channel.ticket, channel.ticket_text, channel.base_url, channel.send_record
        )
        caller.address = channel.address
        return caller

    async def _answer(self, caller: Caller, invocations: list[Invocation]) -> None:
        """Answer the calls of one frame; few are done for whom nobody waits for the answers any more."""
        for invocation in invocations:
            await self._channel.drain()
            if not self._channel.is_open:
                if not self._late_calls_left:
                    break
                self._late_calls_left -= 1
            # Never cancelled half way: what has been stored must be noted in memory, too.
            completion = await self._dispatcher.invoke(caller, invocation)
            if completion is not None:
                self._channel.send(completion)
            # Calls that wait for nothing would keep everybody else waiting, even the news that this client is gone.
            await asyncio.sleep(0)

    async def _drain(self) -> None:
        while await self._next() is not None:
            pass


def places_of(text: str) -> int:
    """Return how many places a text takes while it waits."""
    return min(1 + len(text) // BYTES_PER_PLACE, MAX_WAITING_FRAMES)


async def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
