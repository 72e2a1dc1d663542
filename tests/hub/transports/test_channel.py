"""A channel: what it sends, and when it ends."""

from __future__ import annotations

import asyncio
import itertools
import math

import pytest

from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.messages import Ping
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.channels import Channels
from flask_chatix_comments.tokens import ConnectionTokens, VisitorTicket
from tests.hub.support import TICKET_KEY, Clock

pytestmark = pytest.mark.anyio

TICKET = VisitorTicket(visitor_id="ada", issued_at=0, expires_at=1)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@pytest.fixture
async def channels(clock: Clock) -> Channels:
    secrets = (f"secret-{number}" for number in itertools.count(1))
    return Channels(
        limits=ConnectionLimits(),
        max_per_visitor=1,
        clock=clock,
        wall_clock=lambda: TICKET.issued_at,
        new_secret=lambda: next(secrets),
        tokens=ConnectionTokens((TICKET_KEY,), website_id="local"),
    )


def attach(channels: Channels, *, version: int = 1) -> Channel:
    negotiation = channels.negotiate(version, TICKET, "ticket")
    return channels.attach(negotiation.connection_token, "ticket")


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


@pytest.mark.parametrize("end", ["taken", "lost", "closed", "too slow"])
async def test_a_channel_that_is_behind(channels: Channels, end: str) -> None:
    channel = attach(channels)
    await asyncio.wait_for(channel.drain(), 5)
    await next_text(channel, "handshake")
    channel.send_record("x" * 262_144)
    await asyncio.wait_for(channel.drain(), 5)
    channel.send_record("x")
    waiting = asyncio.create_task(channel.drain())
    await asyncio.sleep(0)
    channel.send_record("x")
    await asyncio.sleep(0)
    assert not waiting.done()
    match end:
        case "taken":
            await next_text(channel)
        case "lost":
            channel.lost()
        case "closed":
            channel.close()
        case "too slow":
            channel.send_record("x" * 1_048_576)
            channel.send_record("x")
    await asyncio.wait_for(waiting, 5)


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


async def test_what_is_given_back_is_taken_first_and_alone(channels: Channels) -> None:
    channel = attach(channels)
    taken = await next_text(channel, "handshake")
    assert taken == "{}\x1e"
    waiting = asyncio.create_task(channel.wait_for_news())
    await asyncio.sleep(0)
    assert not waiting.done()
    channel.give_back(taken)
    await asyncio.wait_for(waiting, 5)
    channel.send_record("x\x1e")
    assert [channel.take_text(), channel.take_text(), channel.take_text()] == [taken, "x\x1e", ""]


async def test_what_is_given_back_to_a_channel_that_says_goodbye(channels: Channels) -> None:
    channel = attach(channels)
    await next_text(channel, "handshake")
    channel.send_record("x\x1e")
    text = channel.take_text()
    channel.close()
    channel.give_back(text or "")
    assert [channel.take_text(), channel.take_text(), channel.take_text()] == ["x\x1e", '{"type":7}\x1e', None]


@pytest.mark.parametrize("is_lost_first", [True, False])
async def test_a_lost_channel_keeps_nothing(channels: Channels, is_lost_first: bool) -> None:
    channel = attach(channels)
    await next_text(channel, "handshake")
    if is_lost_first:
        channel.lost()
    channel.give_back("x\x1e")
    channel.lost()
    assert channel.take_text() is None


async def test_each_transport_has_its_own_patience(channels: Channels, clock: Clock) -> None:
    negotiation = channels.negotiate(1, TICKET, "ticket")
    channel = channels.attach(negotiation.connection_token, "ticket", keep_alive_s=math.inf, client_timeout_s=100)
    await next_text(channel, "handshake")
    clock.advance(99)
    channels.tick()
    assert not channel.has_news
    clock.advance(1)
    channels.tick()
    assert "silent" in (await next_text(channel) or "")
