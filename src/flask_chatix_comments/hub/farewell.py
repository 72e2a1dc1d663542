"""The goodbye of a hub that ends: each client is told when to come again, so that not all come at once."""

from __future__ import annotations

import random
from collections.abc import Callable

from ..wire import HubEvent
from .signalr.messages import Invocation
from .transports.channel import Channel

HUB_RESTARTS = "The hub restarts."
#: A hub needs about so long until it listens again; who comes before has come in vain.
FIRST_S = 2.0
#: So many are asked to come in a second: each negotiates, connects, joins and asks for what it has missed.
COMERS_PER_S = 100.0
#: Nobody is left without comments for longer, however many there are.
MAX_WINDOW_S = 30.0


class Farewell:
    """Says goodbye to channels.

    Args:
        count: How many clients there are.
        draw: A number from 0 to 1, each as likely as the other.
    """

    def __init__(self, count: Callable[[], int], *, draw: Callable[[], float] = random.random) -> None:
        self._count = count
        self._draw = draw
        self._crowd = 0

    def say(self, channel: Channel) -> None:
        """Send a client away, to come again: chatix-core hears a close, our section also when to come."""
        # The first to go leave fewer behind, but come back among as many.
        self._crowd = max(self._crowd, self._count())
        window_s = min(self._crowd / COMERS_PER_S, MAX_WINDOW_S)
        after_ms = round((FIRST_S + self._draw() * window_s) * 1000)
        channel.send(Invocation(target=HubEvent.COME_AGAIN, arguments=[after_ms]))
        channel.close(error=HUB_RESTARTS, allow_reconnect=True)
