"""uvicorn's WebSockets frame by frame: each text is made a frame once for all who get it, and no flood of frames.

uvicorn takes all that comes in one go, up to 256 kB: frames of nothing, of which each needs a few bytes on the line,
become as many objects. And it keeps the pieces of a message, however many there are, and answers pings, however many.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State

from .transports.server_extensions import SEND_EXTENSION, SHUTDOWN_EXTENSION
from .web_handshake import HandshakeProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent

#: So much is looked at before the application has its turn with what was in it.
BYTES_AT_ONCE = 2048
#: So much is still looked at when the client is gone: what a page says when it closes.
LATE_BYTES = 16_384
#: So many pieces may a message have.
MAX_FRAGMENTS = 1024
#: So long may it take from its first piece to its last.
MESSAGE_S = 30.0
#: Pings, pongs and frames of nothing: so many at once, and so many a second. Clients that ping do so each few seconds.
IDLE_FRAMES = 100
IDLE_FRAMES_PER_S = 10.0
#: So long may the application take to say goodbye when the server shuts down.
FAREWELL_S = 2.0


class _Frames:
    """Makes frames, and remembers the last: most texts go to many, one after the other.

    Attributes:
        last: A text, and its frame.
    """

    def __init__(self) -> None:
        self.last = ("", b"")

    def frame_of(self, text: str) -> bytes:
        frame = Frame(Opcode.TEXT, text.encode()).serialize(mask=False)
        self.last = text, frame
        return frame


_frames = _Frames()


class _Events:
    """What the application has not taken yet; as much of ``asyncio.Queue`` as uvicorn uses, for one who takes.

    A queue of asyncio's takes 3 kB, for each connection.
    """

    __slots__ = ("_events", "_news")

    def __init__(self) -> None:
        self._events: list[ASGIReceiveEvent] = []
        self._news: asyncio.Future[None] | None = None

    def put_nowait(self, event: ASGIReceiveEvent) -> None:
        self._events.append(event)
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        while not self._events:
            self._news = asyncio.get_running_loop().create_future()
            await self._news
        self._news = None
        return self._events.pop(0)

    def empty(self) -> bool:
        return not self._events

    def qsize(self) -> int:
        return len(self._events)


class FramesProtocol(HandshakeProtocol):
    """uvicorn's WebSockets without compression, with bounds on frames, and with time for the last words."""

    #: Whether nothing can be sent: the connection is not open, or the client is slow, or gone.
    _is_held = True
    _unfed: bytearray | None = None
    _idle_frames_left: float = IDLE_FRAMES
    _idle_frames_at = 0.0
    _fragments = 0
    _message_began_at: float | None = None
    _farewell: Callable[[], None] | None = None
    _farewell_timer: asyncio.TimerHandle | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.queue = _Events()  # type: ignore[assignment]  # as much of it as is used

    # Out

    async def send(self, message: ASGISendEvent) -> None:
        """Send, without a detour where nothing stands in the way."""
        text = message.get("text") if message["type"] == "websocket.send" else None
        if text is None or not self.send_now(text):
            await super().send(message)
            self._note_state()
            if message["type"] == "websocket.accept":
                self._forget_handshake()
            # Whoever closes reads on, to the client's answer.
            self._feed()

    def send_now(self, text: str) -> bool:
        """Send a text, unless something stands in the way: the client's slowness, the beginning or the end."""
        if self._is_held:
            return False
        last_text, frame = _frames.last
        self._write(frame if text is last_text else _frames.frame_of(text))
        return True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin with a transport."""
        super().connection_made(transport)
        # It is asked for with each message for each member.
        self._write = self.transport.write

    def _note_state(self) -> None:
        self._is_held = not self.writable.is_set() or self.conn.state is not State.OPEN

    def _forget_handshake(self) -> None:
        """Free what nobody asks for any more: the largest part of what a connection holds."""
        self.request = self.response = None  # type: ignore[assignment]  # not after the handshake
        self.conn.handshake_exc = None

    def pause_writing(self) -> None:
        """Note that the client takes less than there is for it."""
        super().pause_writing()
        self._note_state()

    def resume_writing(self) -> None:
        """Note that the client has taken most of it."""
        super().resume_writing()
        self._note_state()

    # In

    def data_received(self, data: bytes) -> None:
        """Take what came, in pieces, and no further than the application follows."""
        if not self._unfed and len(data) <= BYTES_AT_ONCE:
            self._take(data)
            return
        if self._unfed is None:
            self._unfed = bytearray()
        self._unfed += data
        self._feed()

    def _take(self, data: bytes) -> None:
        super().data_received(data)
        if not self._is_held:
            self._note_state()

    def _feed(self) -> None:
        while self._unfed and not self.read_paused and not self.transport.is_closing():
            piece = bytes(self._unfed[:BYTES_AT_ONCE])
            del self._unfed[:BYTES_AT_ONCE]
            self._take(piece)

    async def receive(self) -> ASGIReceiveEvent:
        """Hand over a message; then there is room for more."""
        # As uvicorn does it, without another coroutine for each connection.
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self.transport.resume_reading()
        self._feed()
        return message

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end of the connection, behind what the client said before it."""
        if self._unfed and not self.transport.is_closing():
            late, self._unfed = bytes(self._unfed[:LATE_BYTES]), None
            self._take(late)
        self._unfed = None
        self._is_held = True
        if self._farewell_timer is not None:
            self._farewell_timer.cancel()
        super().connection_lost(exc)

    def handle_cont(self, event: Frame) -> None:
        """Keep a piece of a message, unless it has too many, or takes too long."""
        self._fragments += 1
        if self._fragments > MAX_FRAGMENTS:
            self._refuse("too many fragments")
        elif self._is_late():
            self._refuse("a message without an end")
        elif event.data or self._may_be_idle():
            self._message_began_at = None if event.fin else self._message_began_at
            super().handle_cont(event)

    def handle_text(self, event: Frame) -> None:
        """Take a text, or its first piece."""
        self._begin_message(event)
        if event.data or self._may_be_idle():
            super().handle_text(event)

    def handle_bytes(self, event: Frame) -> None:
        """Take a binary message, or its first piece."""
        self._begin_message(event)
        if event.data or self._may_be_idle():
            super().handle_bytes(event)

    def _begin_message(self, first: Frame) -> None:
        self._fragments = 1
        self._message_began_at = None if first.fin else self.loop.time()

    def _is_late(self) -> bool:
        return self._message_began_at is not None and self.loop.time() - self._message_began_at > MESSAGE_S

    def handle_ping(self) -> None:
        """Answer, unless the client takes none of what waits for it already (RFC 6455, 5.5.3: the latest will do)."""
        if not self._may_be_idle():
            return
        if self.writable.is_set():
            super().handle_ping()
        else:
            self.conn.data_to_send()

    def handle_pong(self, event: Frame) -> None:
        """Note an answer to a ping; anybody may send others as well (RFC 6455, 5.5.3)."""
        if self._may_be_idle():
            super().handle_pong(event)

    def _may_be_idle(self) -> bool:
        """Count a frame that brings nothing; who sends too many is sent away."""
        if self.close_sent:
            return False
        # Whoever lives answers our pings, so that this is looked at however little comes.
        if self._is_late():
            self._refuse("a message without an end")
            return False
        now = self.loop.time()
        grown = self._idle_frames_left + (now - self._idle_frames_at) * IDLE_FRAMES_PER_S
        self._idle_frames_left, self._idle_frames_at = min(grown, IDLE_FRAMES) - 1, now
        if self._idle_frames_left < 0:
            self._refuse("too many frames that bring nothing")
            return False
        return True

    def keepalive_timeout(self) -> None:
        """Give up on a client that has not answered a ping."""
        super().keepalive_timeout()
        self._note_state()

    def _refuse(self, reason: str) -> None:
        if not self.close_sent:
            self.conn.fail(CloseCode.POLICY_VIOLATION, reason)
            self.handle_parser_exception()

    # The end of the server

    def handle_connect(self, event: Request) -> None:
        """Begin a connection; the application may ask to be told when the server shuts down."""
        super().handle_connect(event)
        if not self.close_sent:
            extensions = self.scope.get("extensions")
            assert extensions is not None
            extensions[SHUTDOWN_EXTENSION] = {"call": self._call_at_shutdown}
            extensions[SEND_EXTENSION] = {"call": self.send_now}

    def _call_at_shutdown(self, farewell: Callable[[], None]) -> None:
        self._farewell = farewell

    def shutdown(self) -> None:
        """Let the application say goodbye, for a time; then close."""
        farewell, self._farewell = self._farewell, None
        if farewell is None or self.close_sent or self.transport.is_closing():
            self._is_held = True
            super().shutdown()
            return
        self._farewell_timer = self.loop.call_later(FAREWELL_S, self._shut_down)
        farewell()

    def _shut_down(self) -> None:
        if not self.transport.is_closing():
            self._is_held = True
            super().shutdown()
