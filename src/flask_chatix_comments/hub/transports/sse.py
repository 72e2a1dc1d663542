"""Server-sent events: one answer that never ends, each event of one or more whole records.

TransportProtocols.md, "Server-Sent Events (Server-to-Client only)": the client's own texts come by POST.
"""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial

from .calls import CallQueue
from .channel import Channel
from .http_messages import Receive, piece, start, wait_for_end
from .outlet import SEND_S, Message, Outlet, Send

HEADERS = (
    (b"content-type", b"text/event-stream"),
    # Some proxies pack what they pass on, and keep it until there is enough of it.
    (b"cache-control", b"no-store, no-transform"),
    # nginx: pass on at once what comes.
    (b"x-accel-buffering", b"no"),
)
#: Firefox, and proxies, take an answer as begun when some of its body has come; a line like this is skipped.
COMMENT = ":\r\n\r\n"


async def carry(channel: Channel, calls: CallQueue, receive: Receive, send: Send) -> None:
    """Serve a channel by the answer to one request, until its end."""
    await send(start(200, *HEADERS))
    await send(piece(COMMENT))
    outlet = Outlet(channel, send, wrap=_event_of, finish=partial(_finish, calls))
    outlet.open()
    try:
        await calls.serve(asyncio.create_task(_watch(receive, calls)))
    finally:
        await outlet.close()
    with contextlib.suppress(OSError, RuntimeError):
        async with asyncio.timeout(SEND_S):
            await send(piece("", is_last=True))


def _event_of(text: str) -> Message:
    """Return one event. Records hold no line ends: in JSON they are escaped."""
    return piece(f"data: {text}\r\n\r\n")


async def _watch(receive: Receive, calls: CallQueue) -> None:
    await wait_for_end(receive)
    calls.hang_up()


async def _finish(calls: CallQueue) -> None:
    calls.hang_up()
