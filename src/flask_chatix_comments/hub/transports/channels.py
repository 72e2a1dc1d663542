"""All channels of this process: the connections that were negotiated, from negotiate to the end."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator

from ...errors import RequestRefusedError, TokenInvalidError
from ...tokens import ConnectionTokens, VisitorTicket
from ..metrics import CLOSED, NO_METRICS, Metrics
from ..signalr.connection import ConnectionLimits
from ..signalr.negotiate import Negotiation, agree
from .channel import TICKET_EXPIRED, Channel
from .delivery import Delivery
from .obstacles import Obstacles
from .waiting_room import WaitingRoom

#: ASP.NET Core's disconnect timeout: so long may a client take from negotiate to its connection.
NEGOTIATED_KEPT_S = 15.0
MAX_WAITING = 10_000
#: So many pages of one visitor may come up in the same moment.
MAX_WAITING_PER_VISITOR = 20
#: How long somebody should wait who has all the connections that there may be.
CROWDED_S = 15


class Channels:
    """All channels of this process, by the secret that addresses them.

    Args:
        max_per_visitor: How many channels one visitor may have, attached or not.
        max_per_address: How many may come from one address.
        clock: Seconds that go on steadily.
        wall_clock: Seconds since 1970, which is what tickets know.
        new_secret: Makes a text that nobody can guess.
        tokens: Makes of it what addresses one connection, for whoever has the ticket that it was negotiated with.
        metrics: Told of each connection that has ended.
    """

    def __init__(
        self,
        *,
        limits: ConnectionLimits,
        max_per_visitor: int,
        max_per_address: int = sys.maxsize,
        clock: Callable[[], float],
        wall_clock: Callable[[], float],
        new_secret: Callable[[], str],
        tokens: ConnectionTokens,
        metrics: Metrics = NO_METRICS,
    ) -> None:
        self._limits = limits
        self._max_per_visitor = max_per_visitor
        self._max_per_address = max_per_address
        self._clock = clock
        self._wall_clock = wall_clock
        self._new_secret = new_secret
        self._tokens = tokens
        self._metrics = metrics
        self._channels: dict[str, Channel] = {}
        self._delivery = Delivery()
        self._waiting = WaitingRoom()
        self._attached: Counter[str] = Counter()
        self._obstacles = Obstacles(clock)
        self._addresses: Counter[str] = Counter()

    def negotiate(
        self, version: int, ticket: VisitorTicket, ticket_text: str, *, address: str | None = None
    ) -> Negotiation:
        """Make a channel for a client that will connect soon.

        When the hub is full of those who never came, the oldest of whoever has most of them gives way: no
        visitor can lock others out.

        Raises:
            RequestRefusedError: This visitor, or this address, has too many channels. It is said here, since
                clients storm later refusals.
        """
        if not self._has_room_for(ticket.visitor_id):
            raise RequestRefusedError(429, "This visitor has too many connections.", retry_after_s=CROWDED_S)
        if address is not None and self._addresses[address] >= self._max_per_address:
            raise RequestRefusedError(429, "There are too many connections from here.", retry_after_s=CROWDED_S)
        if len(self._waiting) >= MAX_WAITING:
            self._drop_waiting(*self._waiting.least_deserving())
        until = self._wall_clock() + NEGOTIATED_KEPT_S
        token = self._tokens.sign(self._new_secret(), ticket_text, until=until)
        negotiation = agree(version, connection_id=self._new_secret(), connection_token=token)
        channel = Channel(
            negotiation, ticket, ticket_text, limits=self._limits, clock=self._clock, delivery=self._delivery
        )
        self._channels[negotiation.connection_token] = channel
        self._waiting.add(ticket.visitor_id, negotiation.connection_token)
        channel.address = address
        if address is not None:
            self._addresses[address] += 1
        return negotiation

    def _has_room_for(self, visitor_id: str) -> bool:
        waiting = self._waiting.count_of(visitor_id)
        return waiting < MAX_WAITING_PER_VISITOR and waiting + self._attached[visitor_id] < self._max_per_visitor

    def _drop_waiting(self, visitor_id: str, token: str) -> None:
        self._waiting.remove(visitor_id, token)
        self._uncount(self._channels.pop(token).address)

    def _uncount(self, address: str | None) -> None:
        if address is not None:
            self._addresses[address] -= 1
            if not self._addresses[address]:
                del self._addresses[address]

    def transports_for(self, visitor_id: str) -> tuple[str, ...]:
        """Return by which transports to connect, the preferred one first."""
        return self._obstacles.transports_for(visitor_id)

    def find(self, token: str | None, ticket_text: str | None) -> Channel:
        """Return a channel that this client has negotiated, connected or not (TransportProtocols.md).

        Raises:
            RequestRefusedError: There is none of this token and ticket.
        """
        if not token:
            raise RequestRefusedError(400, "The connection's id is missing: negotiate first.")
        channel = self._channels.get(token)
        if channel is None or not self._is_good(channel, token, ticket_text or ""):
            raise RequestRefusedError(404, "There is no such connection: negotiate first.")
        return channel

    def _is_good(self, channel: Channel, token: str, ticket_text: str) -> bool:
        """Whether the token is for who has this ticket, and its client has come in time."""
        try:
            until = self._tokens.check(token, ticket_text)
        except TokenInvalidError:
            return False
        return channel.is_attached or self._wall_clock() < until

    def attach(
        self,
        token: str | None,
        ticket_text: str | None,
        transport: str = "websocket",
        *,
        keep_alive_s: float | None = None,
        client_timeout_s: float | None = None,
    ) -> Channel:
        """Return the channel that a client has negotiated and now connects; the rest is as in ``Channel.attach``.

        Raises:
            RequestRefusedError: There is none of this token and ticket, or it is connected already.
        """
        channel = self.find(token, ticket_text)
        if channel.is_attached:
            raise RequestRefusedError(409, "This connection is in use.")
        channel.attach(transport, keep_alive_s=keep_alive_s, client_timeout_s=client_timeout_s)
        self._waiting.remove(channel.ticket.visitor_id, channel.negotiation.connection_token)
        self._attached[channel.ticket.visitor_id] += 1
        return channel

    def _is_over(self, channel: Channel) -> bool:
        """Whether the time is up in which a client had to come."""
        return self._clock() - channel.negotiated_at >= NEGOTIATED_KEPT_S

    def count_attached(self) -> int:
        """Return how many clients are connected."""
        return self._attached.total()

    def remove(self, channel: Channel) -> None:
        """Forget a channel that was attached."""
        channel.lost()
        if self._channels.pop(channel.negotiation.connection_token, None) is None:
            return
        self._uncount(channel.address)
        self._metrics.count(CLOSED, channel.transport, channel.ending)
        visitor_id = channel.ticket.visitor_id
        if channel.was_waited_for_in_vain:
            self._obstacles.note(visitor_id, channel.transport)
        self._attached[visitor_id] -= 1
        if not self._attached[visitor_id]:
            del self._attached[visitor_id]

    def attached(self) -> Iterator[Channel]:
        """Yield the channels that a transport carries."""
        return (channel for channel in self._channels.values() if channel.is_attached)

    def tick(self) -> None:
        """Let time pass for all channels."""
        today = self._wall_clock()
        for token, channel in list(self._channels.items()):
            if channel.is_attached:
                if channel.ticket.expires_at <= today:
                    channel.close(error=TICKET_EXPIRED, allow_reconnect=True)
                channel.tick()
            elif self._is_over(channel):
                self._drop_waiting(channel.ticket.visitor_id, token)
