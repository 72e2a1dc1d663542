"""Channels from negotiate to their end, and how many there may be."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import replace

import pytest

from flask_chatix_comments.errors import RequestRefusedError
from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.negotiate import Negotiation
from flask_chatix_comments.hub.transports import channels as channels_module
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.channels import MAX_WAITING_PER_VISITOR, NEGOTIATED_KEPT_S, Channels
from flask_chatix_comments.tokens import ConnectionTokens, VisitorTicket
from tests.hub.support import DEADLINE_S, TICKET_KEY, Clock

pytestmark = pytest.mark.anyio

TICKET = VisitorTicket(visitor_id="ada", issued_at=0, expires_at=1)
HANDSHAKE = '{"protocol":"json","version":1}\x1e'
MAX_PER_VISITOR = 30


@pytest.fixture
def wall_clock() -> Clock:
    clock = Clock()
    clock.now = TICKET.issued_at
    return clock


@pytest.fixture
async def channels(clock: Clock, wall_clock: Clock) -> Channels:
    secrets = (f"secret-{number}" for number in itertools.count(1))
    return Channels(
        limits=ConnectionLimits(),
        max_per_visitor=MAX_PER_VISITOR,
        clock=clock,
        wall_clock=wall_clock,
        new_secret=lambda: next(secrets),
        tokens=ConnectionTokens((TICKET_KEY,), website_id="local"),
    )


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


async def test_a_connection_is_for_the_ticket_that_it_is_signed_for(channels: Channels) -> None:
    """No list has to be asked: another process of the hub could tell it as well."""
    token = channels.negotiate(1, TICKET, "ticket").connection_token
    signed_by_us = ConnectionTokens((TICKET_KEY,), website_id="local")
    assert signed_by_us.check(token, "ticket") == NEGOTIATED_KEPT_S
    for other in (
        ConnectionTokens((b"another key",), website_id="local").sign("secret-2", "ticket", until=15),
        ConnectionTokens((TICKET_KEY,), website_id="other").sign("secret-2", "ticket", until=15),
        signed_by_us.sign("secret-2", "ticket", until=16),
        token[:-1],
    ):
        assert status_of(channels, other, "ticket") == 404
    assert channels.attach(token, "ticket").negotiation.connection_token == token


async def test_who_comes_late_is_not_let_in(channels: Channels, wall_clock: Clock) -> None:
    """Whether what waits has been looked through since, or not."""
    token, attached = (channels.negotiate(1, TICKET, "ticket").connection_token for _ in range(2))
    wall_clock.advance(NEGOTIATED_KEPT_S - 0.1)
    channel = channels.attach(attached, "ticket")
    wall_clock.advance(0.1)
    assert status_of(channels, token, "ticket") == 404
    # Whoever came in time may go on with it: polls and posted texts name it again and again.
    assert channels.find(attached, "ticket") is channel


async def test_who_negotiates_and_does_not_come_is_forgotten(channels: Channels, clock: Clock) -> None:
    late, in_time = channels.negotiate(1, TICKET, "ticket"), channels.negotiate(1, TICKET, "ticket")
    clock.advance(NEGOTIATED_KEPT_S - 0.1)
    channels.tick()
    channel = channels.attach(in_time.connection_token, "ticket")
    clock.advance(0.1)
    channels.tick()
    assert status_of(channels, late.connection_token, "ticket") == 404
    channel.receive_text(HANDSHAKE)
    assert await asyncio.wait_for(channel.next_text(), DEADLINE_S) == "{}\x1e"


# How many there may be


def negotiate(channels: Channels, visitor_id: str) -> Negotiation:
    return channels.negotiate(1, VisitorTicket(visitor_id=visitor_id, issued_at=0, expires_at=1), "ticket")


def connect(channels: Channels, visitor_id: str) -> Channel:
    return channels.attach(negotiate(channels, visitor_id).connection_token, "ticket")


def assert_refused(channels: Channels, visitor_id: str) -> None:
    with pytest.raises(RequestRefusedError) as caught:
        negotiate(channels, visitor_id)
    assert caught.value.status_code == 429


async def test_a_visitor_has_so_many_channels_that_wait(channels: Channels, clock: Clock) -> None:
    waiting = [negotiate(channels, "ada") for _ in range(MAX_WAITING_PER_VISITOR)]
    assert_refused(channels, "ada")
    negotiate(channels, "bob")
    # Who comes makes room, and so does who does not come in time.
    channels.attach(waiting[0].connection_token, "ticket")
    negotiate(channels, "ada")
    assert_refused(channels, "ada")
    clock.advance(NEGOTIATED_KEPT_S)
    channels.tick()
    negotiate(channels, "ada")


async def test_a_visitor_has_so_many_channels_in_all(channels: Channels) -> None:
    """Those that wait count: else a hundred are negotiated first, and attached then."""
    attached = [connect(channels, "ada") for _ in range(MAX_PER_VISITOR - 2)]
    for _ in range(2):
        negotiate(channels, "ada")
    assert_refused(channels, "ada")
    channels.remove(attached[0])
    # Once more does not count twice.
    channels.remove(attached[0])
    negotiate(channels, "ada")
    assert_refused(channels, "ada")
    connect(channels, "bob")


async def test_when_all_is_full_the_greediest_give_way(channels: Channels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(channels_module, "MAX_WAITING", 6)
    bob = negotiate(channels, "bob")
    eves = [negotiate(channels, "eve") for _ in range(5)]
    zoe = negotiate(channels, "zoe")
    assert status_of(channels, eves[0].connection_token, "ticket") == 404
    # More of the same pushes out only its own.
    eves += [negotiate(channels, "eve") for _ in range(3)]
    for eve in eves[:4]:
        assert status_of(channels, eve.connection_token, "ticket") == 404
    for negotiation in (bob, zoe, *eves[4:]):
        channels.attach(negotiation.connection_token, "ticket")


async def test_what_has_gone_is_not_remembered(channels: Channels, clock: Clock) -> None:
    channels.remove(connect(channels, "ada"))
    negotiate(channels, "bob")
    clock.advance(NEGOTIATED_KEPT_S)
    channels.tick()
    assert (len(channels._waiting), channels._waiting._tokens, channels._attached) == (0, {}, {})


async def test_a_connection_ends_with_its_ticket(channels: Channels, wall_clock: Clock) -> None:
    """The page comes back with a fresh one, if the site still gives it one."""
    expiring, renewed = (channels.negotiate(1, TICKET, "ticket") for _ in range(2))
    open_channels = [channels.attach(one.connection_token, "ticket") for one in (expiring, renewed)]
    for channel in open_channels:
        channel.receive_text(HANDSHAKE)
        assert await channel.next_text() == "{}\x1e"
    open_channels[1].ticket = replace(TICKET, expires_at=5)
    wall_clock.advance(0.9)
    channels.tick()
    assert all(channel.is_open for channel in open_channels)
    wall_clock.advance(0.1)
    channels.tick()
    channels.tick()
    goodbye = '{"type":7,"error":"The ticket has expired.","allowReconnect":true}\x1e'
    assert await asyncio.wait_for(open_channels[0].next_text(), DEADLINE_S) == goodbye
    assert open_channels[1].is_open
    wall_clock.advance(4)
    channels.tick()
    assert await asyncio.wait_for(open_channels[1].next_text(), DEADLINE_S) == goodbye
