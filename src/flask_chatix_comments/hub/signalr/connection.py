"""One SignalR connection as a state machine: handshake, open, closing, closed.

Text that came goes into ``receive_text``, time into ``tick``; what is to be sent is taken by
``records_to_send``. Nothing waits in here but text.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from ...errors import HandshakeError, ProtocolError
from .framing import RecordReader
from .json_protocol import parse_handshake, parse_message, serialize_handshake, serialize_message
from .messages import (
    Close,
    Completion,
    HandshakeResponse,
    Invocation,
    Message,
    Ping,
    StreamInvocation,
)

PING_RECORD = serialize_message(Ping())
TOO_SLOW = "The client reads too slowly."
SILENT = "The client was silent for too long."
NO_STREAMS = "The hub has no methods that return a stream."


class ConnectionState(enum.Enum):
    """Where a connection is in its life."""

    HANDSHAKE = "handshake"
    OPEN = "open"
    #: Our last record is waiting to be sent; nothing more is read.
    CLOSING = "closing"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take.

    Attributes:
        max_record_bytes: The largest record that a client may send.
        max_records_per_text: How many records a client may send at once. @microsoft/signalr joins all that
            a page calls in one go, say the author of each of a hundred messages.
        max_values_per_text: How many values a client may send at once, in a record or in several: each takes far more
            memory than its two or three characters.
        max_waiting_bytes: How much may wait, in UTF-8, when more is to be sent; a client that reads slower is
            closed.
        max_waiting_records: How many records may wait, likewise.
        max_unread_bytes: While more than this waits, no further call of the client's should be begun.
        handshake_timeout_s: How long a client may take for its handshake.
        record_timeout_s: How long a client may take for a record that it has begun.
        keep_alive_s: After so long a silence of ours we send a ping; the clients' default is to give up
            on a hub that is silent for 30 s.
        client_timeout_s: How long a client may be silent; ``None``: for ever. Clients ping each 15 s, but
            browsers run the timers of hidden tabs about once a minute: stay above 120 s.
    """

    max_record_bytes: int = 262_144
    max_records_per_text: int = 1000
    max_values_per_text: int = 16_384
    max_waiting_bytes: int = 1_048_576
    max_waiting_records: int = 4096
    max_unread_bytes: int = 262_144
    handshake_timeout_s: float = 15.0
    record_timeout_s: float = 30.0
    keep_alive_s: float = 15.0
    client_timeout_s: float | None = 150.0


class Connection:
    """The hub's side of one connection.

    Args:
        now: Seconds on any clock that goes on steadily; ``tick`` and ``receive_text`` must use the same.

    Attributes:
        state: Where the connection is in its life.
        is_reading: Whether what the client sends is still looked at; otherwise the connection ends with what waits.
        failure: Why the hub closed it, when the client broke the protocol.
        may_come_again: Whether the hub closed it, and the client had better connect again.
        parting: What the hub said when it closed it; ``None``: nothing, it was not the hub.
    """

    __slots__ = (
        "_amid_since",
        "_last_received",
        "_last_sent",
        "_limits",
        "_opened",
        "_reader",
        "_waiting",
        "_waiting_bytes",
        "failure",
        "is_reading",
        "may_come_again",
        "parting",
        "state",
    )

    def __init__(self, *, now: float, limits: ConnectionLimits) -> None:
        self.state = ConnectionState.HANDSHAKE
        self.is_reading = True
        self.failure: ProtocolError | None = None
        self.may_come_again = False
        self.parting: str | None = None
        self._limits = limits
        self._reader = RecordReader(limit_bytes=limits.max_record_bytes)
        self._waiting: list[str] = []
        self._waiting_bytes = 0
        self._opened = self._last_received = self._last_sent = now
        self._amid_since: float | None = None

    @property
    def has_news(self) -> bool:
        """Whether the transport has something to do: to send what waits, or to end."""
        return bool(self._waiting) or not self.is_reading

    @property
    def is_behind(self) -> bool:
        """Whether the client should take what waits for it before it is given more to wait for."""
        return self.state is ConnectionState.OPEN and self._waiting_bytes > self._limits.max_unread_bytes

    @property
    def waiting_records(self) -> int:
        """How many records wait to be sent."""
        return len(self._waiting)

    def receive_text(self, text: str, *, now: float) -> list[Invocation]:
        """Take what came from the client; return the invocations to answer, in order.

        A broken protocol closes the connection: see ``failure``. What came before the break counts.
        """
        invocations: list[Invocation] = []
        if not self.is_reading:
            return invocations
        self._last_received = now
        number = 0
        try:
            self._check_values(text)
            for number, record in enumerate(self._reader.feed(text), start=1):
                self._check_values(record)
                if number > self._limits.max_records_per_text:
                    raise ProtocolError("There are too many messages at once.")
                if self.state is ConnectionState.HANDSHAKE:
                    self._shake_hands(record)
                elif self.is_reading:
                    invocations += self._receive(parse_message(record))
        except ProtocolError as exc:
            self._fail(exc)
        self._note_part(is_new=number > 0, now=now)
        return invocations

    def _check_values(self, text: str) -> None:
        """Refuse what would be too many values; signs in what people write count as well, so that it costs little."""
        limit = self._limits.max_values_per_text
        if len(text) > limit and sum(map(text.count, "[{,")) > limit:
            raise ProtocolError("There are too many values at once.")

    def _note_part(self, *, is_new: bool, now: float) -> None:
        """Note since when a record has begun that is not whole."""
        if not self._reader.is_amid:
            self._amid_since = None
        elif is_new or self._amid_since is None:
            self._amid_since = now

    def send(self, message: Message) -> None:
        """Queue *message* for the client; without effect unless the connection is open."""
        self.send_record(serialize_message(message))

    def send_record(self, record: str) -> None:
        """Queue what is already serialised: one event for many connections is serialised once."""
        if self.state is not ConnectionState.OPEN:
            return
        # A single answer may be larger than that: what counts is whether the client takes them.
        if self._waiting and self._is_full():
            # The client lost records now, so it has to come again and ask for what it missed.
            self._drop_waiting()
            self.close(error=TOO_SLOW, allow_reconnect=True)
            return
        self._queue(record)

    def note_sent(self, at: float) -> None:
        """Note that something was sent past this, while nothing waited."""
        self._last_sent = max(self._last_sent, at)

    def records_to_send(self, *, now: float) -> list[str]:
        """Return all that waits, and count it as sent."""
        records = self._waiting
        if records:
            self._last_sent = now
            self._waiting, self._waiting_bytes = [], 0
        return records

    def tick(self, now: float) -> None:
        """Let time pass: late handshakes and silent clients are closed, and pings become due."""
        if self.state is ConnectionState.HANDSHAKE:
            if now - self._opened >= self._limits.handshake_timeout_s:
                self._fail(HandshakeError("The handshake did not come in time."))
        elif self.state is ConnectionState.OPEN:
            if self._amid_since is not None and now - self._amid_since >= self._limits.record_timeout_s:
                self._fail(ProtocolError("The message did not come to its end in time."))
                return
            timeout_s = self._limits.client_timeout_s
            if timeout_s is not None and now - self._last_received >= timeout_s:
                self.close(error=SILENT, allow_reconnect=True)
            elif now - self._last_sent >= self._limits.keep_alive_s and not self._waiting:
                self._queue(PING_RECORD)

    def close(self, *, error: str | None = None, allow_reconnect: bool = False) -> None:
        """Say goodbye; the transport closes once ``records_to_send`` have been sent."""
        if self.state is ConnectionState.OPEN:
            self._queue(serialize_message(Close(error=error, allow_reconnect=allow_reconnect)))
        if self.is_reading:
            self._end(ConnectionState.CLOSING)
            self.may_come_again = allow_reconnect
            self.parting = error

    def connection_lost(self) -> None:
        """Note that the transport is gone."""
        self._end(ConnectionState.CLOSED)
        self._drop_waiting()

    def _end(self, state: ConnectionState) -> None:
        self.state, self.is_reading = state, False

    def _shake_hands(self, record: str) -> None:
        parse_handshake(record)
        self.state = ConnectionState.OPEN
        self._queue(serialize_handshake(HandshakeResponse()))

    def _receive(self, message: Message | None) -> list[Invocation]:
        match message:
            case Invocation():
                return [message]
            case StreamInvocation(invocation_id=invocation_id):
                self.send(Completion(invocation_id=invocation_id, error=NO_STREAMS))
            case Close():
                self._end(ConnectionState.CLOSING)
            case _:
                # Pings have done their work by coming; the rest belongs to streams, and to calls of ours.
                pass
        return []

    def _fail(self, failure: ProtocolError) -> None:
        self.failure = failure
        if self.state is ConnectionState.HANDSHAKE:
            self._queue(serialize_handshake(HandshakeResponse(error=str(failure))))
        self.close(error=str(failure))

    def _queue(self, record: str) -> None:
        self._waiting.append(record)
        self._waiting_bytes += len(record) if record.isascii() else len(record.encode())

    def _drop_waiting(self) -> None:
        self._waiting = []
        self._waiting_bytes = 0

    def _is_full(self) -> bool:
        limits = self._limits
        return self._waiting_bytes > limits.max_waiting_bytes or len(self._waiting) >= limits.max_waiting_records
