"""WebSocket frames at which a connection ends, before anybody looks at what is in them."""

from __future__ import annotations

from collections.abc import Callable

from flask_chatix_comments.hub.web_frames import IDLE_FRAMES, MAX_FRAGMENTS, MESSAGE_S
from flask_chatix_comments.hub.web_protocols import MAX_MESSAGE_BYTES, PING_S
from tests.hub.refusals.requests import Site
from tests.hub.refusals.rows import Rows
from tests.hub.web_doubles import Loop
from tests.hub.web_line import BINARY, CONTINUATION, FIN, PING, TEXT, Line, frame

SOCKET_FRAMES = Rows[Site]("WebSocket frames")


def row(what: str, *, is_ours: bool = True) -> Callable[[Callable[[Line], None]], None]:
    """Add a row: what it does to an open connection must end it.

    Args:
        is_ours: Whether the reason is in words of ours, or of the server's libraries, and another in other versions.
    """

    def add(do: Callable[[Line], None]) -> None:
        async def answer(_: Site) -> str:
            line = await Line(Loop()).open()
            do(line)
            reason = line.close_reason()
            await line.end()
            return reason if is_ours else reason.partition(":")[0]

        SOCKET_FRAMES.add(what, answer)

    return add


@row("a message that is too large", is_ours=False)
def _(line: Line) -> None:
    head = bytes([TEXT | FIN, 0x80 | 127]) + (MAX_MESSAGE_BYTES + 1).to_bytes(8)
    line.come(head + bytes(4))


@row("a text that is no UTF-8", is_ours=False)
def _(line: Line) -> None:
    line.come(frame(TEXT, b"\xff"))


@row("what is no frame", is_ours=False)
def _(line: Line) -> None:
    line.come(bytes([TEXT | FIN | 0x40, 0x80]) + bytes(4))


@row("a message in more than 1024 pieces")
def _(line: Line) -> None:
    line.come(frame(BINARY, b"x", is_last=False))
    for _ in range(MAX_FRAGMENTS):
        line.come(frame(CONTINUATION, b"x", is_last=False))


@row("a message whose last piece does not come in time")
def _(line: Line) -> None:
    line.come(frame(TEXT, b"x", is_last=False))
    for _ in range(int(MESSAGE_S) + 1):
        line.loop.advance(1)
        line.come(frame(CONTINUATION, b"x", is_last=False))


@row("too many pings, pongs, empty messages or empty pieces")
def _(line: Line) -> None:
    for _ in range(IDLE_FRAMES + 1):
        line.come(frame(PING))


@row("no answer to a ping")
def _(line: Line) -> None:
    line.loop.advance(2 * PING_S)
