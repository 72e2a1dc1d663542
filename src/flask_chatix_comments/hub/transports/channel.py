"""A channel: a SignalR connection, and how its transport learns that there is something to send.

How that reaches the client is the transport's. It takes what waits by ``next_text``, or it sets ``on_news`` and takes
what it can by ``take_text`` whenever it is called: then no task has to wake for it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace

from ...tokens import VisitorTicket
from ..signalr.connection import SILENT, TOO_SLOW, Connection, ConnectionLimits, ConnectionState
from ..signalr.messages import Invocation, Message
from ..signalr.negotiate import Negotiation
from .delivery import Delivery

TICKET_EXPIRED = "The ticket has expired."
#: By what the hub said when it closed a connection, the word for it.
ENDINGS = {None: "client", TOO_SLOW: "slow", SILENT: "silent", TICKET_EXPIRED: "ticket"}


class Channel:
    """One negotiated connection.

    Args:
        clock: Seconds that go on steadily.
        delivery: Tells the channel when it may send.

    Attributes:
        ticket: Whose connection it is, and until when.
        base_url: Where its client reached the hub, up to ``/v1``; known once it is attached.
        address: Where its client negotiated from; ``None``: that tells nothing.
        is_attached: Whether a transport carries it.
        transport: Which one: "websocket", "sse" or "long_polling".
        on_news: Called, in the transport's stead that waits in ``next_text``, when there is something to send, or
            when the channel has ended: once for all that happened in a turn of the event loop. It must not wait, and
            what it takes by ``take_text`` must be sent before it takes more. What it leaves is joined with what
            comes, up to the bounds in ``ConnectionLimits``.
        send_now: Sends a text without waiting, or returns false; set while nothing else is being sent.
    """

    __slots__ = (
        "_clock",
        "_connection",
        "_delivery",
        "_given_back",
        "_has_news",
        "_has_room",
        "_is_clear",
        "_is_due",
        "_passed_at",
        "_was_heard",
        "_limits",
        "address",
        "base_url",
        "is_attached",
        "negotiated_at",
        "negotiation",
        "on_news",
        "send_now",
        "ticket",
        "ticket_text",
        "transport",
    )

    def __init__(
        self,
        negotiation: Negotiation,
        ticket: VisitorTicket,
        ticket_text: str,
        *,
        limits: ConnectionLimits,
        clock: Callable[[], float],
        delivery: Delivery,
    ) -> None:
        self.ticket = ticket
        self.ticket_text = ticket_text
        self.negotiation = negotiation
        self.negotiated_at = clock()
        self.is_attached = False
        self.base_url = ""
        self.on_news: Callable[[], None] | None = None
        self.send_now: Callable[[str], bool] | None = None
        self.address: str | None = None
        self.transport = "websocket"
        self._limits = limits
        self._clock = clock
        self._delivery = delivery
        self._is_due = False
        # Whether nothing waits, so that a record may be sent past the connection; and when the last one was.
        self._is_clear = False
        self._passed_at = 0.0
        # Made when somebody waits: most never do, and there may be ten thousand.
        self._has_news: asyncio.Event | None = None
        self._has_room: asyncio.Event | None = None
        self._connection = Connection(now=clock(), limits=limits)
        self._given_back = ""
        self._was_heard = False

    @property
    def connection_id(self) -> str:
        """The public name of the connection."""
        return self.negotiation.connection_id

    @property
    def is_open(self) -> bool:
        """Whether hands have been shaken, and nobody has said goodbye."""
        return self._connection.state is ConnectionState.OPEN

    @property
    def has_news(self) -> bool:
        """Whether something waits to be sent, or the channel has ended."""
        return bool(self._given_back) or self._connection.has_news

    @property
    def has_ended(self) -> bool:
        """Whether the channel ends with what waits to be sent."""
        return not self._connection.is_reading

    @property
    def may_come_again(self) -> bool:
        """Whether the client has been sent away, and had better connect again."""
        return self._connection.may_come_again

    @property
    def waiting_records(self) -> int:
        """How many records wait for the client."""
        return self._connection.waiting_records

    @property
    def ending(self) -> str:
        """Why the connection has ended, in a word."""
        if self._connection.failure is not None:
            return "protocol"
        return ENDINGS.get(self._connection.parting, "hub")

    @property
    def was_waited_for_in_vain(self) -> bool:
        """Whether the hub gave it up since its client did not say a word."""
        return self._connection.failure is not None and not self._was_heard

    def attach(
        self, transport: str = "websocket", *, keep_alive_s: float | None = None, client_timeout_s: float | None = None
    ) -> None:
        """Let a transport carry the channel; the time for the handshake begins.

        Args:
            keep_alive_s: After so long a silence of ours there is a ping, if not as in the limits.
            client_timeout_s: So long may the client be silent, if not as in the limits.
        """
        limits = self._limits
        if keep_alive_s is not None:
            limits = replace(limits, keep_alive_s=keep_alive_s)
        if client_timeout_s is not None:
            limits = replace(limits, client_timeout_s=client_timeout_s)
        self.is_attached, self.transport = True, transport
        self._connection = Connection(now=self._clock(), limits=limits)

    def receive_text(self, text: str) -> list[Invocation]:
        """Take what came from the client; return the invocations to answer, in order."""
        self._was_heard = True
        invocations = self._connection.receive_text(text, now=self._clock())
        self._notice()
        return invocations

    def send(self, message: Message) -> None:
        """Queue a message for the client."""
        self._connection.send(message)
        self._notice()

    def send_record(self, record: str) -> None:
        """Send a record to the client, or queue it."""
        if self._is_clear and self.send_now is not None and self.send_now(record):
            self._passed_at = self._clock()
            return
        self._is_clear = False
        self._connection.send_record(record)
        # Not by _notice(): it is done for each member and message.
        if not self._is_due:
            self._is_due = True
            self._delivery.add(self)
        if self._has_room is not None:
            self._note_room()

    def close(self, *, error: str | None = None, allow_reconnect: bool = False) -> None:
        """Say goodbye."""
        self._connection.close(error=error, allow_reconnect=allow_reconnect)
        self._notice()

    def tick(self) -> None:
        """Let time pass."""
        self._connection.note_sent(self._passed_at)
        self._connection.tick(self._clock())
        self._notice()

    def lost(self) -> None:
        """Note that the transport is gone."""
        self._connection.connection_lost()
        self._given_back = ""
        self._notice()

    def _notice(self) -> None:
        """Be told at the end of the turn, if there is something to send: most ticks bring nothing."""
        self._is_clear = self._is_clear and not self.has_news
        if self.has_news and not self._is_due:
            self._is_due = True
            self._delivery.add(self)
        self._note_room()

    def _note_room(self) -> None:
        if self._has_room is not None and not self._connection.is_behind:
            self._has_room.set()

    def tell(self) -> None:
        """Let the transport know that there is something to send, or that the channel has ended."""
        self._is_due = False
        if self.on_news is not None:
            self.on_news()
        elif self._has_news is not None:
            self._has_news.set()

    def take_text(self) -> str | None:
        """Take all that waits, whole records; empty when nothing does, ``None`` when the channel has ended.

        What was given back comes alone: so no more is ever held than was taken once and what waits.
        """
        if text := self._given_back:
            self._given_back = ""
            return text
        self._is_clear = self._connection.state is ConnectionState.OPEN
        records = self._connection.records_to_send(now=self._clock())
        if not records:
            return "" if self._connection.is_reading else None
        if self._has_room is not None:
            self._note_room()
        return records[0] if len(records) == 1 else self._delivery.join(records)

    def give_back(self, text: str) -> None:
        """Put what was taken and not sent before all that waits."""
        if self._connection.state is not ConnectionState.CLOSED:
            self._given_back = text
            self._notice()

    async def next_text(self) -> str | None:
        """Wait for something to send, and take all that waits; ``None`` when the channel has ended."""
        while (text := self.take_text()) == "":
            await self.wait_for_news()
        return text

    async def wait_for_news(self) -> None:
        """Wait until something is to be sent, and leave it where it is; or until the channel has ended."""
        while not self.has_news:
            self._has_news = self._has_news or asyncio.Event()
            self._has_news.clear()
            await self._has_news.wait()

    async def drain(self) -> None:
        """Wait until the client has taken most of what waits for it, or is gone."""
        while self._connection.is_behind:
            self._has_room = self._has_room or asyncio.Event()
            self._has_room.clear()
            await self._has_room.wait()
