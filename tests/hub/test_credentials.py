"""What lets somebody in, and what does not: a public id never does, at any door."""

from __future__ import annotations

import base64
import dataclasses
import hmac
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from flask_chatix_comments.hub import rest
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.transports import channels
from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets
from tests.hub.refusals.connections import Line, query_of
from tests.hub.support import API_KEY, Clock, Hub, Json, World, sign_ticket

pytestmark = pytest.mark.anyio

REFUSED = "The visitor's id is not accepted. Please get a new one."


@dataclasses.dataclass
class Party:
    """A hub with a private chatroom, people of every kind in it, and a file.

    Attributes:
        public: All that anybody may learn there: by what it is called.
    """

    hub: Hub
    room: str
    ticket: str
    file_path: str
    public: dict[str, str]


@pytest.fixture
async def hub(config: HubConfig, clock: Clock) -> AsyncIterator[Hub]:
    """A hub with every door there is."""
    async with Hub.running(dataclasses.replace(config, metrics_keys=("a-key-of-the-metrics",)), clock) as hub:
        yield hub


@pytest.fixture
async def party(hub: Hub, clock: Clock) -> Party:
    room = (await hub.post("/chatroom/create", {"title": "Private", "is_private": True})).json()["id"]
    get_id_ticket = (await hub.client.get("/visitor/get-id?websiteId=local")).json()
    await hub.post("/visitor/update", {"is_manager": True, "is_persistent": True, "name": "Boss"}, visitorId="boss")
    for visitor in ("ada", "g-guest", "boss", get_id_ticket):
        await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId=visitor)
    members = (await hub.get("/chatroom/visitors", chatroomId=room)).json()["items"]
    assert len(members) == 4
    ticket = sign_ticket(clock, "ada")
    query = {"websiteId": "local", "visitorId": ticket, "chatroomId": room}
    answer = await hub.client.post("/file/save", params=query, files={"formFile": ("a.txt", b"text", "text/plain")})
    path = httpx.URL(answer.json()["fileUrl"]).path
    message = await hub.post("/chatroom/send-message", {"content": "Hi", "sender_id": "ada"}, chatroomId=room)
    negotiation = (await negotiate(hub, ticket, negotiateVersion="1")).json()
    public = {f"member {number}": member["uuid"] for number, member in enumerate(members)} | {
        "website": "local",
        "chatroom": room,
        "message": message.json()["uuid"],
        "sender": message.json()["sender_id"],
        "connection": negotiation["connectionId"],
        "upload": path.split("/")[3],
    }
    return Party(hub, room, ticket, path.removeprefix("/v1"), public)


async def negotiate(hub: Hub, visitor_id: str, **query: str) -> httpx.Response:
    return await hub.client.post("/chat/negotiate", params={"websiteId": "local", "visitorId": visitor_id, **query})


def routes() -> list[tuple[str, str]]:
    """Return the REST API's routes."""
    nothing: Any = None
    api = rest.RestApi(
        nothing,
        website_id="",
        api_keys=(),
        max_body_bytes=0,
        check_website=lambda _: None,
        count=lambda *_: None,
        public_url=None,
    )
    return [(method, route.path) for route in api.routes() for method in route.methods or () if method != "HEAD"]


async def doors(party: Party, value: str) -> AsyncIterator[tuple[str, Any]]:
    """Try *value* in the place of a secret everywhere; yield where, and what was answered."""
    client = party.hub.client
    yield "negotiate", (await negotiate(party.hub, value)).status_code
    query = {"websiteId": "local", "visitorId": value, "chatroomId": party.room}
    file = {"formFile": ("a.txt", b"text", "text/plain")}
    yield "upload", (await client.post("/file/save", params=query, files=file)).status_code
    yield "file", (await client.get(party.file_path, params={"pass": value})).status_code
    token = (await negotiate(party.hub, party.ticket, negotiateVersion="1")).json()["connectionToken"]
    for what, socket_query in (("token", query_of(value, party.ticket)), ("ticket", query_of(token, value))):
        yield f"socket, as the {what}", (await Line(party.hub.app, socket_query).refusal())[:3]
        for method in ("GET", "POST", "DELETE"):
            answer = await client.request(method, f"/chat?{socket_query}")
            yield f"{method} of a line, as the {what}", answer.status_code
    bearer = {"Authorization": f"Bearer {value}"}
    yield "metrics", (await client.get("/metrics", headers=bearer)).status_code
    for method, path in routes():
        query = {"websiteId": "local", "chatroomId": party.room, "visitorId": value}
        answer = await client.request(method, path, params=query, headers={"X-Api-Key": value})
        yield f"REST {path}", answer.status_code
        answer = await client.request(method, path, params=query, headers=bearer)
        yield f"REST {path} as a bearer", answer.status_code


async def test_nothing_that_is_public_opens_any_door(party: Party) -> None:
    expected: dict[str, Any] = {"file": 404}
    for what in ("token", "ticket"):
        expected[f"socket, as the {what}"] = "404"
        expected |= {f"{method} of a line, as the {what}": 404 for method in ("GET", "POST", "DELETE")}
    for name, value in party.public.items():
        async for door, answer in doors(party, value):
            assert answer == expected.get(door, 401), (name, door)


async def test_get_id_makes_somebody_new_whoever_asks(party: Party, clock: Clock) -> None:
    for value in party.public.values():
        query = {"websiteId": "local", "visitorId": value}
        ticket = (await party.hub.client.get("/visitor/get-id", params=query)).json()
        await party.hub.post("/chatroom/connect-visitor", chatroomId=party.room, visitorId=ticket)
    members = (await party.hub.get("/chatroom/visitors", chatroomId=party.room)).json()["items"]
    assert len({member["uuid"] for member in members}) == 4 + len(party.public)


async def test_no_hub_method_takes_a_public_id_for_its_owner(world: World) -> None:
    room = await world.room()
    ada = await world.connect("ada", name="Ada", is_persistent=True)
    eve = await world.connect_stranger()
    for visit in (ada, eve):
        await visit.join(room)
    message = await ada.post(room)
    posing = {"uuid": "ada", "sender_id": "ada", "visitorId": "ada"}
    assert (await eve.call("GetVisitorInfo", "ada"))["uuid"] == eve.caller.ticket_text
    seen = await eve.call("GetVisitorByVisitor", "ada")
    assert seen == {"uuid": "ada", "name": "Ada", "is_online": True}
    saved = await eve.call("SaveVisitorInfo", posing | {"name": "Eve"})
    assert (saved["uuid"], saved["name"]) == (eve.caller.ticket_text, "Eve")
    posted = await eve.post(room, "In whose name?", sender_id="ada", sender_name="Ada", sender_flag=1)
    assert (posted["sender_id"], posted["sender_name"], posted["sender_flag"]) == (eve.caller.ticket_text, "Eve", 0)
    for method, arguments in (("UpdateChatroomMessage", ("x", room)), ("DeleteChatroomMessage", (room,))):
        assert await eve.refusal(method, message["uuid"], *arguments) == "This is somebody else's message."
    assert await eve.refusal("SendChatroomWhisper", "Psst", room, None) == "Only managers can whisper."
    assert (await world.service.visitors.get("ada")).name == "Ada"


# Chatrooms that one may not know of, at the doors of HTTP


async def test_the_rest_api_tells_nobody_without_its_key_what_chatrooms_there_are(party: Party) -> None:
    deleted = (await party.hub.post("/chatroom/create", {"title": "Deleted"})).json()["id"]
    await party.hub.post("/chatroom/delete", chatroomId=deleted)
    for method, path in routes():
        for key in ({}, {"X-Api-Key": "wrong"}, {"X-Api-Key": party.ticket}):
            answers = set()
            for room in (party.room, deleted, "nowhere"):
                query = {"websiteId": "local", "chatroomId": room}
                answer = await party.hub.client.request(method, path, params=query, headers=key)
                answers.add((answer.status_code, answer.text))
            assert answers == {(401, '{"error":"The API key is missing or wrong."}')}, path


async def test_uploads_and_files_tell_strangers_nothing_either(party: Party, clock: Clock) -> None:
    deleted = (await party.hub.post("/chatroom/create", {"title": "Deleted"})).json()["id"]
    await party.hub.post("/chatroom/delete", chatroomId=deleted)
    answers = set()
    for room in (party.room, deleted, "nowhere"):
        query = {"websiteId": "local", "visitorId": sign_ticket(clock, "eve"), "chatroomId": room}
        file = {"formFile": ("a.txt", b"text", "text/plain")}
        answer = await party.hub.client.post("/file/save", params=query, files=file)
        answers.add((answer.status_code, answer.text))
    assert answers == {(404, '{"error":"There is no such chatroom."}')}
    paths = (party.file_path, "/file/nothing/a.txt", party.file_path.replace("a.txt", "b.txt"))
    files = {((answer := await party.hub.client.get(path)).status_code, answer.text) for path in paths}
    assert files == {(404, '{"error":"There is no such file."}')}


# Tickets and keys


def ticket_of(clock: Clock, key: bytes, website_id: str = "local") -> str:
    ticket = VisitorTicket(visitor_id="ada", issued_at=clock(), expires_at=clock() + 60)
    return VisitorTickets((key,), website_id=website_id).sign(ticket)


async def test_a_ticket_is_for_one_website_one_visitor_and_a_time(hub: Hub, clock: Clock, config: HubConfig) -> None:
    key = config.ticket_keys[0]
    good = ticket_of(clock, key)
    assert (await negotiate(hub, good)).status_code == 200
    body, _, signature = good.rpartition(".")
    _, _, signature_of_bob = sign_ticket(clock, "bob").rpartition(".")
    bad = [
        ticket_of(clock, key, "elsewhere"),
        ticket_of(clock, b"another key"),
        f"{body}.{signature_of_bob}",
        f"{body}.{signature[:-2]}",
        f"{body}.",
        good[1:],
        good + "x",
    ]
    for ticket in bad:
        assert (await negotiate(hub, ticket)).json() == {"error": REFUSED}
    clock.advance(60)
    assert (await negotiate(hub, good)).json() == {"error": REFUSED}


async def test_keys_are_good_as_long_as_they_are_listed(clock: Clock, config: HubConfig) -> None:
    """Tickets, passes of files and the API's keys, through a change of all keys and the end of the old ones."""
    old = dataclasses.replace(config, ticket_keys=(b"old",), api_keys=("old-key",))
    both = dataclasses.replace(config, ticket_keys=(b"new", b"old"), api_keys=("new-key", "old-key"))
    new = dataclasses.replace(config, ticket_keys=(b"new",), api_keys=("new-key",))
    async with Hub.running(old, clock) as hub:
        made = (await hub.post("/chatroom/create", {"title": "x", "is_private": True}, key="old-key")).json()
        await hub.post("/chatroom/connect-visitor", key="old-key", chatroomId=made["id"], visitorId="ada")
        query = {"websiteId": "local", "visitorId": ticket_of(clock, b"old"), "chatroomId": made["id"]}
        file = {"formFile": ("a.txt", b"text", "text/plain")}
        url = (await hub.client.post("/file/save", params=query, files=file)).json()["fileUrl"]
        draft = {"type": 5, "file_url": url, "sender_id": "ada"}
        message = await hub.post("/chatroom/send-message", draft, key="old-key", chatroomId=made["id"])
        address = httpx.URL(message.json()["file_url"])
        opened = address.raw_path.decode().removeprefix("/v1")

    async def answers(hub: Hub, key: bytes, api_key: str) -> list[int]:
        return [
            (await negotiate(hub, ticket_of(clock, key))).status_code,
            (await hub.get("/chatroom/list", key=api_key)).status_code,
        ]

    async with Hub.running(both, clock) as hub:
        assert await answers(hub, b"old", "old-key") == await answers(hub, b"new", "new-key") == [200, 200]
        assert (await hub.client.get(opened)).status_code == 200
        # What is signed now outlives the old key.
        renewed = (await hub.client.get("/visitor/get-id?websiteId=local")).json()
    async with Hub.running(new, clock) as hub:
        assert await answers(hub, b"old", "old-key") == [401, 401]
        assert await answers(hub, b"new", "new-key") == [200, 200]
        assert (await hub.client.get(opened)).status_code == 404
        assert (await negotiate(hub, renewed)).status_code == 200


async def test_all_keys_of_the_api_are_compared_in_a_time_that_tells_nothing(
    config: HubConfig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    compared: list[tuple[int, int]] = []
    compare = hmac.compare_digest

    def counted(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", counted)
    async with Hub.running(dataclasses.replace(config, api_keys=("first", API_KEY, "a" * 100)), clock) as hub:
        for key, status in ((API_KEY, 200), ("first", 200), ("", 401), ("f", 401), ("x" * 5000, 401)):
            compared.clear()
            assert (await hub.get("/chatroom/list", key=key)).status_code == status
            # Whatever was given, and whichever it is: all of them, and equally long.
            assert compared == [(32, 32)] * 3


# Connection tokens


async def test_a_connection_token_is_long_for_its_ticket_and_good_for_a_moment(hub: Hub, clock: Clock) -> None:
    ticket = sign_ticket(clock, "ada")
    answers: list[Json] = [(await negotiate(hub, ticket, negotiateVersion="1")).json() for _ in range(20)]
    tokens = {answer["connectionToken"] for answer in answers}
    assert len(tokens) == 20
    # 192 bits each, and a signature: another process with the same keys can tell it from what nobody has signed.
    secrets = {json.loads(base64.urlsafe_b64decode(token.partition(".")[0] + "=="))[0] for token in tokens}
    assert len(secrets) == 20
    assert all(len(secret) == 32 for secret in secrets)
    mine, late = [answer["connectionToken"] for answer in answers[:2]]
    # Another ticket, be it one of the same visitor, does not open it.
    clock.advance(1)
    for other in (sign_ticket(clock, "bob"), sign_ticket(clock, "ada"), ""):
        assert (await Line(hub.app, query_of(mine, other)).refusal()).startswith("404")
    line = Line(hub.app, query_of(mine, ticket))
    assert (await line.sent())["type"] == "websocket.accept"
    line.say('{"protocol":"json","version":1}\x1e{"type":7}\x1e')
    await line.records_until_closed()
    # Nor does it open twice, or late.
    assert (await Line(hub.app, query_of(mine, ticket)).refusal()).startswith("404")
    clock.advance(channels.NEGOTIATED_KEPT_S)
    assert (await Line(hub.app, query_of(late, ticket)).refusal()).startswith("404")
