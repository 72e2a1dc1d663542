"""Server-sent events: the stream itself."""

from __future__ import annotations

import pytest

from flask_chatix_comments.hub.signalr.connection import ConnectionLimits
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.hub.transports import outlet, sse
from flask_chatix_comments.hub.transports.channel import Channel
from tests.hub.support import Hub, sign_ticket
from tests.hub.transports.support import EventsClient, count_members, negotiated, new_room, query_of

pytestmark = pytest.mark.anyio


async def new_client(hub: Hub, visitor_id: str = "ada") -> EventsClient:
    ticket = sign_ticket(hub.clock, visitor_id)
    return EventsClient(hub, query_of(ticket, await negotiated(hub, ticket)))


async def open_client(hub: Hub, visitor_id: str = "ada") -> EventsClient:
    client = await new_client(hub, visitor_id)
    await client.open()
    return client


async def test_nobody_keeps_or_holds_up_what_is_sent(hub: Hub) -> None:
    ada = await open_client(hub)
    assert ada.stream.headers == {
        b"content-type": b"text/event-stream",
        b"cache-control": b"no-store, no-transform",
        b"x-accel-buffering": b"no",
        b"x-content-type-options": b"nosniff",
    }
    await ada.vanish()


async def test_the_answer_begins_before_there_is_anything_to_say(hub: Hub) -> None:
    """The clients send their handshake only then."""
    ada = await new_client(hub)
    assert await ada.connect() == 200
    await ada.vanish()


@pytest.mark.parametrize("error", [ConnectionResetError, RuntimeError])
async def test_a_client_that_vanishes_while_something_is_sent(hub: Hub, error: type[Exception]) -> None:
    room = await new_room(hub)
    ada = await open_client(hub)
    await ada.call("ConnectToChatroom", room)
    ada.stream.failure = error
    await hub.post("/chatroom/send-message", {"content": "x", "sender_id": "y"}, chatroomId=room)
    await ada.stream.end()
    assert await count_members(hub, room) == 1
    assert (await hub.get("/visitor/get", visitorId="ada")).json()["is_online"] is False


async def test_a_client_that_takes_nothing_is_dropped(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    room = await new_room(hub)
    ada = await open_client(hub)
    await ada.call("ConnectToChatroom", room)
    for module in (outlet, sse):
        monkeypatch.setattr(module, "SEND_S", 0.05)
    ada.stream.may_send.clear()
    await hub.post("/chatroom/send-message", {"content": "x", "sender_id": "y"}, chatroomId=room)
    await ada.stream.end()
    assert (await hub.get("/visitor/get", visitorId="ada")).json()["is_online"] is False


async def test_a_client_that_says_nothing_any_more_is_sent_away(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    """No server pings it: its own pings, which come by POST, are the only sign of life."""
    ada = await open_client(hub)
    tick = Channel.tick

    def later(channel: Channel) -> None:
        now = channel._clock() + (ConnectionLimits().client_timeout_s or 0)
        monkeypatch.setattr(channel, "_clock", lambda: now)
        tick(channel)

    monkeypatch.setattr(Channel, "tick", later)
    record = (await ada.last_words())[-1]
    assert (record["error"], record["allowReconnect"]) == ("The client was silent for too long.", True)


async def test_a_text_at_which_the_hub_fails(
    hub: Hub, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> list[Invocation]:
        raise ValueError("a bug of ours")

    ada = await open_client(hub)
    monkeypatch.setattr(Channel, "receive_text", fail)
    await ada.send("x\x1e")
    (record,) = await ada.last_words()
    assert (record["type"], record["allowReconnect"]) == (7, True)
    assert "bug" not in record["error"]
    assert "a bug of ours" in caplog.text
