"""Channels from negotiate to their end."""

from __future__ import annotations

import asyncio
import itertools

import pytest

from flask_chatix_comments.errors import RequestRefusedError
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.messages import Ping
from flask_chatix_comments.hub.transports.channel import NEGOTIATED_KEPT_S, Channel, Channels
from flask_chatix_comments.tokens import VisitorTicket
from tests.hub.support import Clock

pytestmark = pytest.mark.anyio

TICKET = VisitorTicket(visitor_id="ada", issued_at=0, expires_at=1)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@pytest.fixture
async def channels(clock: Clock) -> Channels:
    tokens = (f"token-{number}" for number in itertools.count(1))
    return Channels(limits=ConnectionLimits(), clock=clock, new_token=lambda: next(tokens))


def attach(channels: Channels, *, version: int = 1) -> Channel:
    negotiation = channels.negotiate(version, TICKET, "ticket")
    return channels.attach(negotiation.connection_token, "ticket")


def status_of(channels: Channels, token: str | None, ticket: str | None) -> int:
    with pytest.raises(RequestRefusedError) as caught:
        channels.attach(token, ticket)
    return caught.value.status_code


async def test_a_channel_is_attached_once_by_who_negotiated_it(channels: Channels) -> None:
    negotiation = channels.negotiate(1, TICKET, "ticket")
    assert status_of(channels, None, "ticket") == 400
    assert status_of(channels, "", "ticket") == 400
    assert status_of(channels, "unknown", "ticket") == 404
    # The public name of the connection does not address it.
    assert status_of(channels, negotiation.connection_id, "ticket") == 404
    # Somebody else's secret does not help without their ticket.
    assert status_of(channels, negotiation.connection_token, "other ticket") == 404
    assert status_of(channels, negotiation.connection_token, None) == 404
    channel = channels.attach(negotiation.connection_token, "ticket")
    assert channel.connection_id == negotiation.connection_id
    assert channel.ticket == TICKET
    assert status_of(channels, negotiation.connection_token, "ticket") == 409
    channels.remove(channel)
    assert status_of(channels, negotiation.connection_token, "ticket") == 404


async def test_in_version_0_the_id_addresses_the_connection(channels: Channels) -> None:
    negotiation = channels.negotiate(0, TICKET, "ticket")
    assert channels.attach(negotiation.connection_id, "ticket").connection_id == negotiation.connection_id


async def test_who_negotiates_and_does_not_come_is_forgotten(channels: Channels, clock: Clock) -> None:
    late, in_time = channels.negotiate(1, TICKET, "ticket"), channels.negotiate(1, TICKET, "ticket")
    clock.advance(NEGOTIATED_KEPT_S - 0.1)
    channels.tick()
    channel = channels.attach(in_time.connection_token, "ticket")
    clock.advance(0.1)
    channels.tick()
    assert status_of(channels, late.connection_token, "ticket") == 404
    assert await next_text(channel, "handshake") == "{}\x1e"


async def next_text(channel: Channel, after: str | None = None) -> str | None:
    if after == "handshake":
        channel.receive_text(HANDSHAKE)
    return await asyncio.wait_for(channel.next_text(), 5)


async def test_what_waits_is_taken_in_one_text(channels: Channels) -> None:
    channel = attach(channels)
    waiting = asyncio.create_task(channel.next_text())
    await asyncio.sleep(0)
    assert not waiting.done()
    channel.receive_text(HANDSHAKE)
    assert await waiting == "{}\x1e"
    channel.send(Ping())
    channel.send_record("x\x1e")
    assert await next_text(channel) == '{"type":6}\x1ex\x1e'


async def test_a_channel_is_open_after_the_handshake(channels: Channels) -> None:
    channel = attach(channels)
    states = [channel.is_open]
    await next_text(channel, "handshake")
    states.append(channel.is_open)
    channel.close()
    assert [*states, channel.is_open] == [False, True, False]


async def test_time_brings_pings(channels: Channels, clock: Clock) -> None:
    channel = attach(channels)
    await next_text(channel, "handshake")
    clock.advance(15)
    channels.tick()
    assert await next_text(channel) == '{"type":6}\x1e'


async def test_the_time_for_the_handshake_begins_with_the_connection(channels: Channels, clock: Clock) -> None:
    negotiation = channels.negotiate(1, TICKET, "ticket")
    clock.advance(14)
    channel = channels.attach(negotiation.connection_token, "ticket")
    clock.advance(14)
    channels.tick()
    assert await next_text(channel, "handshake") == "{}\x1e"


async def test_a_channel_ends_after_its_last_words(channels: Channels) -> None:
    channel = attach(channels)
    await next_text(channel, "handshake")
    channel.close(error="Bye.", allow_reconnect=True)
    assert await next_text(channel) == '{"type":7,"error":"Bye.","allowReconnect":true}\x1e'
    assert await next_text(channel) is None


async def test_a_lost_channel_has_ended(channels: Channels) -> None:
    channel = attach(channels)
    await next_text(channel, "handshake")
    waiting = asyncio.create_task(channel.next_text())
    await asyncio.sleep(0)
    channels.remove(channel)
    assert await asyncio.wait_for(waiting, 5) is None
    channels.remove(channel)
