"""The way from a client to the hub where there is no socket: each text is the body of a request of its own."""

from __future__ import annotations

import asyncio

from ...errors import RequestRefusedError
from .calls import CallQueue
from .http_messages import Receive, read_text

#: Older clients begin a request for each of their calls, however many there are.
MAX_WAITING_REQUESTS = 100
#: So long may a body take, once it is its turn.
BODY_S = 15.0
#: So long may a request wait for those before it.
TURN_S = 30.0
RETRY_AFTER_S = 1

GONE = "There is no such connection: negotiate first."
TOO_MANY = "There are too many requests of this connection at once."
BUSY = "The hub is still busy with what this connection has sent before."


class Inbox:
    """Takes what the client of one channel posts: one body after the other, in the order in which they came.

    Args:
        limit_bytes: How large a body may be.
    """

    def __init__(self, calls: CallQueue, *, limit_bytes: int) -> None:
        self._calls = calls
        self._limit_bytes = limit_bytes
        self._turn = asyncio.Lock()
        self._waiting = 0

    def hang_up(self) -> None:
        """End the connection, as the client wishes."""
        self._calls.hang_up()

    async def post(self, receive: Receive) -> bool:
        """Take one body; false when its client goes away before its end.

        Raises:
            RequestRefusedError: It was not taken.
        """
        if self._waiting >= MAX_WAITING_REQUESTS:
            raise RequestRefusedError(429, TOO_MANY, retry_after_s=RETRY_AFTER_S)
        self._waiting += 1
        try:
            async with asyncio.timeout(TURN_S), self._turn:
                return await self._take(receive)
        except TimeoutError:
            raise RequestRefusedError(503, BUSY, retry_after_s=RETRY_AFTER_S) from None
        finally:
            self._waiting -= 1

    async def _take(self, receive: Receive) -> bool:
        text = await read_text(receive, limit_bytes=self._limit_bytes, timeout_s=BODY_S)
        if text is None:
            return False
        try:
            is_taken = await self._calls.take(text)
        except Exception:
            self._calls.give_up()
        else:
            if not is_taken:
                raise RequestRefusedError(404, GONE)
        return True
