"""What holds for a connection whichever transport carries it, each driven by its own ``receive`` and ``send``."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest

from flask_chatix_comments.errors import StoreError
from flask_chatix_comments.hub import app
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.hub.transports.calls import MAX_LATE_CALLS
from flask_chatix_comments.hub.transports.channel import Channel
from flask_chatix_comments.hub.transports.channels import Channels
from tests.hub.support import Clock, Hub, sign_ticket, until
from tests.hub.transports.support import (
    CALL,
    CLIENTS,
    HANDSHAKE,
    Calls,
    Client,
    call_of,
    count_members,
    negotiated,
    new_room,
    query_of,
)

pytestmark = pytest.mark.anyio

NewClient = Callable[..., Awaitable[Client]]
Open = Callable[..., Awaitable[Client]]


@pytest.fixture
async def hub(
    make_config: Callable[..., HubConfig], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Hub]:
    """A hub that looks at the clock often."""
    monkeypatch.setattr(app, "CHANNEL_TICK_S", 0.02)
    async with Hub.running(make_config(presence_interval_s=0.02), clock) as hub:
        yield hub


@pytest.fixture(params=list(CLIENTS))
def kind(request: pytest.FixtureRequest) -> type[Client]:
    return CLIENTS[request.param]


@pytest.fixture
def new_client(kind: type[Client], hub: Hub) -> NewClient:
    """Negotiate as a visitor; keyword arguments are the ticket's."""

    async def make(visitor_id: str, *, version: int = 1, **ticket: Any) -> Client:
        text = sign_ticket(hub.clock, visitor_id, **ticket)
        return kind(hub, query_of(text, await negotiated(hub, text, version=version)))

    return make


@pytest.fixture
def open_client(new_client: NewClient) -> Open:
    """Negotiate as a visitor, connect, and shake hands."""

    async def make(visitor_id: str, **more: Any) -> Client:
        client = await new_client(visitor_id, **more)
        await client.open()
        return client

    return make


@pytest.mark.parametrize("version", [0, 1])
async def test_a_talk(hub: Hub, open_client: Open, version: int) -> None:
    room = await new_room(hub)
    ada, bob = await open_client("ada", version=version), await open_client("bob", version=version)
    for client in (ada, bob):
        assert await client.call("ConnectToChatroom", room) == {"is_success": True}
    message = await ada.call("SaveChatroomMessage", {"type": 0, "content": "Hi\r\n\u2028there \u00e9 \x1e"}, room)
    assert message["content"] == "Hi\r\n\u2028there \u00e9 "
    assert await bob.heard("ApplyChatroomMessage") == [message, room]
    assert (await bob.call("GetChatroomHistory", room, None, 10))["items"] == [message]
    assert await ada.call("DisconnectFromChatroom", room) == {"is_success": True}
    assert await count_members(hub, room) == 1
    await ada.vanish()
    await bob.vanish()


async def test_who_is_there_is_told_alike(hub: Hub, open_client: Open) -> None:
    room = await new_room(hub)
    ada, bob = await open_client("ada"), await open_client("bob")
    await ada.call("ConnectToChatroom", room)
    await bob.call("ConnectToChatroom", room)
    while (await ada.heard("OnChatroomPresence"))[1] != 2:
        pass
    await bob.vanish()
    # For a while it may come back.
    assert await count_members(hub, room) == 2
    hub.clock.advance(61)
    while (await ada.heard("OnChatroomPresence"))[1] != 1:
        pass
    assert await count_members(hub, room) == 1
    await ada.vanish()


async def test_several_records_in_one_go_are_answered_in_order(hub: Hub, open_client: Open) -> None:
    room = await new_room(hub)
    ada = await open_client("ada")
    calls: list[tuple[str, list[Any]]] = [("ConnectToChatroom", [room])]
    calls += [("SaveChatroomMessage", [{"type": 0, "content": f"{n}"}, room]) for n in range(1, 20)]
    calls += [("GetChatroomHistory", [room, None, 100])]
    text = "".join(call_of(number, target, *arguments) for number, (target, arguments) in enumerate(calls))
    await ada.send(text[:100])
    await ada.send(text[100:])
    answers: list[dict[str, Any]] = []
    while len(answers) < 21:
        answers += [record for record in await ada.next_records() or [] if record["type"] == 3]
    assert [answer["invocationId"] for answer in answers] == [str(number) for number in range(21)]
    assert [item["content"] for item in answers[-1]["result"]["items"]] == [str(n) for n in range(1, 20)]
    await ada.vanish()


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("visitorId={ticket}&websiteId=local", 400),
        ("visitorId={ticket}&websiteId=local&id=", 400),
        ("visitorId={ticket}&websiteId=local&id=unknown", 404),
        ("visitorId={other}&websiteId=local&id={token}", 404),
        ("websiteId=local&id={token}", 404),
        ("visitorId={ticket}&websiteId=other&id={token}", 404),
        ("visitorId={ticket}&id={token}", 404),
        ("x=1&" * 60, 400),
    ],
)
async def test_refused_connections(hub: Hub, kind: type[Client], query: str, status: int) -> None:
    ticket, other = sign_ticket(hub.clock, "ada"), sign_ticket(hub.clock, "bob")
    token = await negotiated(hub, ticket)
    client = kind(hub, query.format(ticket=ticket, other=other, token=token))
    assert await client.connect() == status


async def test_a_page_of_another_site_is_refused(hub: Hub, kind: type[Client]) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    headers = [(b"host", b"hub.example:5001"), (b"origin", b"https://evil.example")]
    client = kind(hub, query_of(ticket, await negotiated(hub, ticket)), headers)
    assert await client.connect() == 403


async def test_a_page_of_the_site_is_let_in(hub: Hub, kind: type[Client]) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    headers = [(b"host", b"hub.example:5001"), (b"origin", b"https://hub.example")]
    client = kind(hub, query_of(ticket, await negotiated(hub, ticket)), headers)
    await client.open()
    assert await client.call("GetManagers") == []
    await client.vanish()


@pytest.mark.parametrize("second", ["websocket", "events"])
async def test_a_second_one_on_one_connection_is_refused(hub: Hub, open_client: Open, second: str) -> None:
    ada = await open_client("ada")
    assert await CLIENTS[second](hub, ada.query).connect() == 409
    assert await ada.call("GetManagers") == []
    await ada.vanish()


@pytest.mark.parametrize("text", ["nonsense\x1e", '{"protocol":"messagepack","version":1}\x1e'])
async def test_a_refused_handshake(new_client: NewClient, text: str) -> None:
    ada = await new_client("ada")
    await ada.connect()
    await ada.send(text)
    (record,) = await ada.last_words()
    assert record["error"]


async def offered(hub: Hub, visitor_id: str) -> set[str]:
    """Return the transports that negotiate offers a visitor."""
    query = {"websiteId": "local", "visitorId": sign_ticket(hub.clock, visitor_id)}
    answer = (await hub.client.post("/chat/negotiate", params=query)).json()
    return {entry["transport"] for entry in answer["availableTransports"]}


@pytest.mark.parametrize("is_heard", [False, True])
async def test_a_handshake_that_does_not_come(
    hub: Hub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, is_heard: bool
) -> None:
    ada = await new_client("ada")
    await ada.connect()
    if is_heard:
        await ada.send("{")
    tick = Channel.tick

    def much_later(channel: Channel) -> None:
        now = channel._clock() + 15
        monkeypatch.setattr(channel, "_clock", lambda: now)
        tick(channel)

    monkeypatch.setattr(Channel, "tick", much_later)
    assert "in time" in (await ada.last_words())[0]["error"]
    await ada.is_forgotten()
    monkeypatch.undo()
    # A proxy may pass nothing on. The way that did not work is not tried again; the last one always is.
    in_vain = set() if is_heard else {ada.transport} - {"LongPolling"}
    assert await offered(hub, "ada") == {"WebSockets", "ServerSentEvents", "LongPolling"} - in_vain
    assert await offered(hub, "bob") == {"WebSockets", "ServerSentEvents", "LongPolling"}


async def test_a_client_that_goes_before_it_says_a_word(hub: Hub, new_client: NewClient) -> None:
    ada = await new_client("ada")
    await ada.connect()
    await ada.vanish()
    assert await offered(hub, "ada") == {"WebSockets", "ServerSentEvents", "LongPolling"}


async def test_a_broken_protocol_closes_with_a_reason(open_client: Open) -> None:
    ada = await open_client("ada")
    await ada.send('{"type":1}\x1e')
    (record,) = await ada.last_words()
    assert record["type"] == 7
    assert "malformed" in record["error"]


@pytest.mark.parametrize("ticket_kind", ["site", "get-id"])
async def test_a_connection_ends_when_its_ticket_does(
    hub: Hub, new_client: NewClient, monkeypatch: pytest.MonkeyPatch, ticket_kind: str
) -> None:
    """But for a client that holds a renewed one: ``GetVisitorInfo`` answers it."""
    lifetime_s = 43_200
    ada = await new_client("ada", lifetime_s=lifetime_s, kind=ticket_kind)
    await ada.open()
    hub.clock.advance(lifetime_s - 1)
    info = await ada.call("GetVisitorInfo", None)
    assert (info["uuid"] not in ada.query) is (ticket_kind == "get-id")
    hub.clock.advance(2)
    if ticket_kind == "site":
        record = (await ada.last_words())[-1]
        assert (record["error"], record["allowReconnect"]) == ("The ticket has expired.", True)
    else:
        ticks = 0
        tick = Channels.tick

        def counted(channels: Channels) -> None:
            nonlocal ticks
            tick(channels)
            ticks += 1

        monkeypatch.setattr(Channels, "tick", counted)
        await until(lambda: ticks, "time to be noticed")
        assert await ada.call("GetManagers") == []
        await ada.vanish()


async def test_a_call_without_an_invocation_id_is_not_answered(hub: Hub, open_client: Open) -> None:
    room = await new_room(hub)
    ada = await open_client("ada")
    await ada.send(json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e")
    assert await ada.call("GetManagers") == []
    await ada.vanish()
    assert await count_members(hub, room) == 1


async def test_all_in_one_go_from_handshake_to_goodbye(hub: Hub, new_client: NewClient) -> None:
    room = await new_room(hub)
    ada = await new_client("ada")
    await ada.connect()
    join = json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e"
    await ada.send(HANDSHAKE + join + '{"type":7}\x1e')
    assert await ada.last_words() == [{}]
    members = 0
    while not members:
        members = await count_members(hub, room)
    assert members == 1


async def test_a_store_that_fails_at_connecting(new_client: NewClient, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail(*_: Any) -> None:
        raise StoreError("no")

    monkeypatch.setattr(SqlStore, "find_visitor", fail)
    ada = await new_client("ada")
    await ada.connect()
    await ada.send(HANDSHAKE)
    *_, record = await ada.last_words()
    assert (record["type"], record["allowReconnect"]) == (7, True)
    assert record["error"] != "no"


async def test_what_a_page_says_and_closes_at_once_counts(hub: Hub, open_client: Open) -> None:
    room = await new_room(hub)
    ada = await open_client("ada")
    await ada.send(json.dumps({"type": 1, "target": "ConnectToChatroom", "arguments": [room]}) + "\x1e")
    await ada.send(CALL + '{"type":7}\x1e')
    await ada.vanish()
    assert await count_members(hub, room) == 1


async def test_when_the_server_ends_what_was_called_is_answered_before_the_goodbye(
    hub: Hub, open_client: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And whoever calls later is not: it hears that it was sent away."""
    room = await new_room(hub)
    ada = await open_client("ada")
    await ada.call("ConnectToChatroom", room)
    await ada.heard("OnChatroomPresence")
    exchange = await ada.be_served()
    calls = Calls(monkeypatch)
    calls.may_go_on.clear()
    for number in range(3):
        await ada.send(call_of(f"post {number}", "SaveChatroomMessage", {"type": 0, "content": "Hi"}, room))
    await until(lambda: calls.count == 1 and exchange.unread == 0, "the calls to be taken")
    for farewell in exchange.farewells:
        farewell()
    await ada.send(CALL)
    calls.may_go_on.set()
    records = await ada.last_words()
    assert [one["invocationId"] for one in records if one["type"] == 3] == ["post 0", "post 1", "post 2"]
    assert records[-2]["target"] == "OnComeAgain"
    assert (records[-1]["error"], records[-1]["allowReconnect"]) == ("The hub restarts.", True)
    changes = await hub.get("/chatroom/changes", chatroomId=room)
    assert [item["content"] for item in changes.json()["items"]] == ["Hi"] * 3


async def test_nobody_works_for_a_client_that_is_gone(open_client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await open_client("ada")
    calls = Calls(monkeypatch)
    calls.may_go_on.clear()
    for _ in range(3):
        await ada.send(CALL * 100)
    await until(lambda: calls.count, "the first call")
    await ada.go()
    calls.may_go_on.set()
    await ada.is_forgotten()
    assert calls.count <= MAX_LATE_CALLS + 1


async def test_nobody_works_for_a_client_that_was_sent_away(open_client: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    ada = await open_client("ada")
    calls = Calls(monkeypatch)
    await ada.send(CALL * 100 + "nonsense\x1e")
    assert (await ada.last_words())[-1]["type"] == 7
    assert calls.count <= MAX_LATE_CALLS + 1


async def test_a_public_name_opens_nothing(hub: Hub, kind: type[Client]) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    query: dict[str, Any] = {"websiteId": "local", "visitorId": ticket, "negotiateVersion": 1}
    negotiation = (await hub.client.post("/chat/negotiate", params=query)).json()
    assert await kind(hub, query_of(ticket, negotiation["connectionId"])).connect() == 404


async def test_connections_that_have_ended_are_forgotten(hub: Hub, open_client: Open) -> None:
    ada = await open_client("ada")
    await ada.vanish()
    assert await type(ada)(hub, ada.query).connect() == 404
