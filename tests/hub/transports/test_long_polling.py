"""Long polling: when a poll is answered, and that nothing is lost between one and the next."""

from __future__ import annotations

import asyncio

import pytest

from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.transports import long_polling
from flask_chatix_comments.hub.transports.channel import Channel
from tests.hub.support import Clock, Hub, records_of, sign_ticket, until
from tests.hub.transports.support import PollingClient, count_members, negotiated, new_room, query_of

pytestmark = pytest.mark.anyio


async def new_client(hub: Hub, visitor_id: str = "ada") -> PollingClient:
    ticket = sign_ticket(hub.clock, visitor_id)
    return PollingClient(hub, query_of(ticket, await negotiated(hub, ticket)))


@pytest.fixture
async def room(hub: Hub) -> str:
    return await new_room(hub)


@pytest.fixture
async def ada(hub: Hub, room: str) -> PollingClient:
    """A client that is in the room, and has no open poll."""
    client = await new_client(hub)
    await client.open()
    await client.call("ConnectToChatroom", room)
    await client.heard("OnChatroomPresence")
    return client


def lives() -> list[asyncio.Task[None]]:
    """Return the tasks of connections that no request carries."""
    return [task for task in asyncio.all_tasks() if "HttpTransport._live" in repr(task)]


async def say(hub: Hub, room: str, content: str = "Hi") -> None:
    await hub.post("/chatroom/send-message", {"content": content, "sender_id": "y"}, chatroomId=room)


def said(body: str) -> list[str]:
    """Return the texts of the messages in an answer."""
    return [record["arguments"][0]["content"] for record in records_of(body)]


async def test_the_first_poll_is_answered_at_once_and_the_next_when_there_is_news(hub: Hub, room: str) -> None:
    ada = await new_client(hub)
    first = ada.poll()
    assert await first.answer() == (200, "")
    assert first.headers[b"cache-control"] == b"no-store"
    second = ada.poll()
    await ada.send('{"protocol":"json","version":1}\x1e')
    assert await second.answer() == (200, "{}\x1e")
    assert second.headers[b"content-type"] == b"text/plain; charset=utf-8"
    await ada.vanish()


async def test_what_came_between_two_polls_comes_in_one_answer(hub: Hub, room: str, ada: PollingClient) -> None:
    await say(hub, room, "one")
    await say(hub, room, "two")
    status, body = await ada.poll().answer()
    assert (status, said(body)) == (200, ["one", "two"])
    await ada.vanish()


async def test_a_poll_does_not_wait_for_ever(ada: PollingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polling, "POLL_S", 0.02)
    assert await ada.poll().answer() == (200, "")
    await ada.vanish()


def test_no_client_comes_back_to_a_connection_that_has_lost_an_answer() -> None:
    """The clients give a poll up after 100 s. An answer into a dead line is sent before that, at ``POLL_S`` at last."""
    assert long_polling.POLL_S + long_polling.ABSENT_S < 100


async def test_of_two_polls_at_once_the_older_ends(hub: Hub, room: str, ada: PollingClient) -> None:
    """TransportProtocols.md, "Long Polling": its client has given it up."""
    older = ada.poll()
    await until(lambda: not older.unread, "the older poll to wait")
    newer = ada.poll()
    assert await older.answer() == (204, "")
    await say(hub, room)
    assert said((await newer.answer())[1]) == ["Hi"]
    await ada.vanish()


async def test_a_poll_whose_client_went_away_has_taken_nothing(hub: Hub, room: str, ada: PollingClient) -> None:
    poll = ada.poll()
    await until(lambda: not poll.unread, "the poll to wait")
    await poll.disconnect()
    await say(hub, room)
    assert said((await ada.poll().answer())[1]) == ["Hi"]
    await ada.vanish()


@pytest.mark.parametrize("way", ["silently", "fails", "stalls", "cancelled"])
async def test_what_a_dying_poll_has_taken_is_given_back(
    hub: Hub, room: str, ada: PollingClient, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    poll = ada.poll()
    poll.may_send.clear()
    await say(hub, room, "one")
    # It is being sent, and the client is not there any more.
    await until(lambda: poll.is_sending, "the answer to begin")
    await say(hub, room, "two")
    match way:
        case "silently":
            # As uvicorn does it: what is sent to nobody is dropped without a word.
            poll.say_disconnected()
            await until(lambda: not poll.unread, "the end of the client to be noted")
            poll.may_send.set()
        case "fails":
            poll.failure = ConnectionResetError
            poll.may_send.set()
        case "cancelled":
            assert poll.task is not None
            poll.task.cancel()
        case "stalls":
            pass
    next_poll = ada.poll()
    if way == "stalls":
        # The newer one waits for the older, for as long as that may take.
        assert poll.task is not None
        poll.task.cancel()
    status, body = await next_poll.answer()
    # In the order in which it was said: what was given back comes first.
    if len(records_of(body)) == 1:
        body += (await ada.poll().answer())[1]
    assert (status, said(body)) == (200, ["one", "two"])
    await ada.vanish()


async def test_an_answer_that_nobody_takes_is_given_back(
    hub: Hub, room: str, ada: PollingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_polling, "SEND_S", 0.02)
    poll = ada.poll()
    poll.may_send.clear()
    await say(hub, room)
    await poll.end()
    assert said((await ada.poll().answer())[1]) == ["Hi"]
    await ada.vanish()


async def test_who_does_not_poll_again_is_gone(
    hub: Hub, room: str, ada: PollingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(long_polling, "ABSENT_S", 0.05)
    # While a poll is open nobody is missed, however long it takes.
    monkeypatch.setattr(long_polling, "POLL_S", 0.2)
    assert await ada.poll().answer() == (200, "")
    await until(lambda: not lives(), "the connection to end")
    assert (await hub.get("/visitor/get", visitorId="ada")).json()["is_online"] is False
    assert await count_members(hub, room) == 1


async def test_who_polls_once_and_never_again_is_gone(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_polling, "ABSENT_S", 0.05)
    ada = await new_client(hub)
    assert await ada.connect() == 200
    await until(lambda: not lives(), "the connection to end")
    assert await ada.connect() == 404


async def test_there_are_no_pings(hub: Hub, ada: PollingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    """The clients expect none: each would end a poll."""
    ticks = 0
    tick = Channel.tick

    def much_later(channel: Channel) -> None:
        nonlocal ticks
        now = channel._clock() + 100
        monkeypatch.setattr(channel, "_clock", lambda: now)
        tick(channel)
        ticks += 1

    monkeypatch.setattr(Channel, "tick", much_later)
    poll = ada.poll()
    await until(lambda: ticks > 1, "time to be noticed")
    assert poll.task is not None
    assert not poll.task.done()
    await ada.vanish()
    assert await poll.answer() == (204, "")


async def test_the_hubs_end_is_theirs(config: HubConfig, clock: Clock) -> None:
    async with Hub.running(config, clock) as hub:
        ada = await new_client(hub)
        await ada.open()
        assert len(lives()) == 1
    assert not lives()
