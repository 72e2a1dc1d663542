"""The goodbye of a hub that ends: come again, each at a moment of its own."""

from __future__ import annotations

import random

import pytest

from flask_chatix_comments.hub.farewell import COMERS_PER_S, FIRST_S, MAX_WINDOW_S, Farewell
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.negotiate import agree
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.delivery import Delivery
from flask_chatix_comments.tokens import VisitorTicket
from tests.hub.support import Clock, records_of

pytestmark = pytest.mark.anyio

TICKET = VisitorTicket(visitor_id="ada", issued_at=0, expires_at=1)


def new_channel(*, is_open: bool = True) -> Channel:
    negotiation = agree(1, connection_id="id", connection_token="token")
    channel = Channel(negotiation, TICKET, "ticket", limits=ConnectionLimits(), clock=Clock(), delivery=Delivery())
    channel.attach()
    if is_open:
        channel.receive_text('{"protocol":"json","version":1}\x1e')
        assert channel.take_text() == "{}\x1e"
    return channel


def said_by(farewell: Farewell, channel: Channel) -> float:
    """Return how many seconds a client is asked to wait."""
    farewell.say(channel)
    invitation, goodbye = records_of(channel.take_text() or "")
    assert goodbye == {"type": 7, "error": "The hub restarts.", "allowReconnect": True}
    assert (invitation["type"], invitation["target"]) == (1, "OnComeAgain")
    assert channel.take_text() is None
    assert channel.may_come_again
    (after_ms,) = invitation["arguments"]
    return float(after_ms) / 1000


async def test_a_crowd_comes_back_no_faster_than_the_hub_takes_it() -> None:
    count = 1000
    here = [new_channel() for _ in range(count)]
    draw = random.Random(7).random
    # The first ones are gone when the last ones go.
    farewell = Farewell(lambda: len(here), draw=draw)
    waits_s = sorted(said_by(farewell, here.pop()) for _ in range(count))
    assert waits_s[0] >= FIRST_S
    assert waits_s[-1] <= FIRST_S + count / COMERS_PER_S
    by_second = [sum(FIRST_S + second <= wait < FIRST_S + second + 1 for wait in waits_s) for second in range(10)]
    assert min(by_second) > COMERS_PER_S * 0.7
    assert max(by_second) < COMERS_PER_S * 1.3


@pytest.mark.parametrize(("count", "longest_s"), [(1, FIRST_S), (10, FIRST_S), (1_000_000, FIRST_S + MAX_WINDOW_S)])
async def test_nobody_waits_long(count: int, longest_s: float) -> None:
    waits_s = [said_by(Farewell(lambda: count, draw=lambda: 1.0), new_channel()) for _ in range(3)]
    assert all(longest_s <= wait_s <= longest_s + 0.1 for wait_s in waits_s)


async def test_a_client_that_has_not_shaken_hands_is_closed_without_a_word() -> None:
    channel = new_channel(is_open=False)
    Farewell(lambda: 1).say(channel)
    assert channel.take_text() is None
