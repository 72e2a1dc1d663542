"""How often somebody may come: by visitor and by address, and what everybody is told at each door."""

from __future__ import annotations

import asyncio
import dataclasses
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from flask_chatix_comments.errors import TooOftenError
from flask_chatix_comments.hub import app
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.limiter import Limiter, too_often
from flask_chatix_comments.hub.mounted import MountedHub
from flask_chatix_comments.hub.rate_config import Action, RateConfig, Rates
from flask_chatix_comments.hub.rates import Rate
from flask_chatix_comments.hub.server import HubThread
from flask_chatix_comments.setting_values import RATE_NAMES, RATE_SIDES
from tests.hub.support import API_KEY, DEADLINE_S, Clock, Hub, Visit, World, lifespan, sign_ticket

pytestmark = pytest.mark.anyio

ELSEWHERE = "203.0.113.5"
FEW = Rates(Rate(2, 60), Rate(4, 60))


def rates(**changes: Rates) -> RateConfig:
    return dataclasses.replace(RateConfig.same(1_000_000), **changes)


@asynccontextmanager
async def hub_from(config: HubConfig, clock: Clock, address: str = ELSEWHERE) -> AsyncIterator[Hub]:
    """A hub whose clients come from an address."""
    async with Hub.running(config, clock) as hub:
        transport = httpx.ASGITransport(app=hub.app, raise_app_exceptions=False, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example:5001/v1") as client:
            yield Hub(hub.app, client, clock)


def told_to_wait(response: httpx.Response, sentence: str) -> int:
    """Return how long, after a look at the whole answer."""
    assert response.status_code == 429
    wait_s = int(response.headers["retry-after"])
    assert response.json() == {"error": f"{sentence} Please try again in {wait_s} seconds."}
    assert response.headers["cache-control"] == "no-store"
    return wait_s


def test_the_settings_name_what_is_counted() -> None:
    assert tuple(str(action) for action in Action) == RATE_NAMES
    assert {field.name for field in dataclasses.fields(RateConfig)} == set(RATE_NAMES)
    assert {field.name for field in dataclasses.fields(Rates)} == set(RATE_SIDES)


def test_some_rates_are_changed() -> None:
    changed = RateConfig.of({"posting": {"visitor": (3, 4.0)}})
    assert changed.posting == Rates(Rate(3, 4.0), RateConfig().posting.address)
    assert changed.reading == RateConfig().reading


def test_whoever_of_the_two_has_had_enough_waits_and_the_other_is_not_counted(clock: Clock) -> None:
    limiter = Limiter(rates(posting=FEW), clock=clock)

    def post(visitor_id: str | None, address: str | None) -> int:
        return limiter.wait_s(Action.POSTING, visitor_id=visitor_id, address=address)

    assert [post("ada", "a") for _ in range(3)] == [0, 0, 30]
    assert [post("bob", "a") for _ in range(2)] == [0, 0]
    assert post("cy", "a") == 15
    assert post("cy", "b") == 0
    assert post("cy", None) == 0
    assert post("cy", "b") == 30
    assert post(None, None) == 0


def test_nothing_is_left_of_who_has_gone(clock: Clock) -> None:
    limiter = Limiter(rates(posting=FEW), clock=clock)
    for visitor_id, address in (("ada", "a"), ("bob", "b")):
        limiter.wait_s(Action.POSTING, visitor_id=visitor_id, address=address)
    counts = limiter._counts[Action.POSTING]
    clock.advance(29)
    limiter.tick()
    assert (len(counts.visitors), len(counts.addresses)) == (2, 0)
    clock.advance(1)
    limiter.tick()
    assert (len(counts.visitors), len(counts.addresses)) == (0, 0)


async def test_the_hub_lets_the_limiter_forget(
    config: HubConfig, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    ticked = asyncio.Event()
    monkeypatch.setattr(Limiter, "tick", lambda _: ticked.set())
    monkeypatch.setattr(app, "CHANNEL_TICK_S", 0.001)
    async with Hub.running(config, clock):
        await asyncio.wait_for(ticked.wait(), DEADLINE_S)


def test_the_sentence_says_how_long(clock: Clock) -> None:
    assert too_often(Action.POSTING, 1).endswith(" Please try again in 1 second.")
    limiter = Limiter(rates(typing=FEW), clock=clock)
    for _ in range(2):
        limiter.check_call(Action.TYPING, visitor_id="ada", address=None)
    with pytest.raises(TooOftenError, match=r" try again in 30 seconds\.$") as caught:
        limiter.check_call(Action.TYPING, visitor_id="ada", address=None)
    assert caught.value.retry_after_s == 30


# At the doors


async def test_get_id_by_address(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW))
    async with hub_from(strict, clock) as hub:
        for _ in range(4):
            assert (await hub.client.get("/visitor/get-id?websiteId=local")).status_code == 200
        response = await hub.client.get("/visitor/get-id?websiteId=local", headers={"X-Forwarded-For": "198.51.100.1"})
        assert told_to_wait(response, "There were too many connections from here.") <= 15


async def test_behind_a_trusted_proxy_each_reader_is_counted_alone(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW), trusted_proxies=(ELSEWHERE,))
    async with hub_from(strict, clock) as hub:

        async def status(forwarded: str) -> int:
            headers = {"X-Forwarded-For": forwarded}
            return (await hub.client.get("/visitor/get-id?websiteId=local", headers=headers)).status_code

        assert [await status("198.51.100.1") for _ in range(5)] == [200, 200, 200, 200, 429]
        assert await status("198.51.100.9, 198.51.100.1") == 429
        assert await status("198.51.100.2") == 200


async def test_negotiate_by_visitor(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW))
    async with Hub.running(strict, clock) as hub:

        async def negotiate(visitor_id: str) -> httpx.Response:
            query = {"websiteId": "local", "visitorId": sign_ticket(clock, visitor_id)}
            return await hub.client.post("/chat/negotiate", params=query)

        assert [(await negotiate("ada")).status_code for _ in range(2)] == [200, 200]
        assert told_to_wait(await negotiate("ada"), "There were too many connections from here.") <= 30
        assert (await negotiate("bob")).status_code == 200


async def test_calls_of_rest_without_the_key_and_never_those_with_it(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=RateConfig.of({name: {"address": (4, 60)} for name in RATE_NAMES}))
    async with hub_from(strict, clock) as hub:
        for number in range(4):
            assert (await hub.get("/chatroom/list", key=f"wrong {number}")).status_code == 401
        told_to_wait(await hub.get("/chatroom/list", key="wrong"), "There were too many connections from here.")
        for _ in range(10):
            assert (await hub.get("/chatroom/list", key=API_KEY)).status_code == 200


async def test_uploads_by_visitor_and_those_that_are_refused_as_well(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(uploading=FEW))
    async with Hub.running(strict, clock) as hub:
        query = {"websiteId": "local", "visitorId": sign_ticket(clock, "ada"), "chatroomId": "none"}

        async def upload() -> httpx.Response:
            return await hub.client.post("/file/save", params=query, files={"formFile": ("a.txt", b"a")})

        assert [(await upload()).status_code for _ in range(2)] == [404, 404]
        response = await upload()
        assert response.status_code == 429
        assert response.json()["error"].startswith("There were too many files in a short time.")


async def test_a_socket_by_address(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW))
    async with Hub.running(strict, clock) as hub:
        answers = [await open_socket(hub.app) for _ in range(5)]
    assert [start["status"] for start, _ in answers] == [404, 404, 404, 404, 429]
    start, body = answers[-1]
    assert int(dict(start["headers"])[b"retry-after"]) <= 15
    assert json.loads(body["body"])["error"].startswith("There were too many connections from here.")


async def test_polls_are_not_counted_but_for_the_first(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=Rates(Rate(2, 60), Rate(2, 60))))
    async with hub_from(strict, clock) as hub:
        ticket = sign_ticket(clock, "ada")
        query = {"websiteId": "local", "visitorId": ticket, "negotiateVersion": "1"}
        token = (await hub.client.post("/chat/negotiate", params=query)).json()["connectionToken"]
        query = {"websiteId": "local", "visitorId": ticket, "id": token}
        assert (await hub.client.get("/chat", params=query)).status_code == 200
        for content in ('{"protocol":"json","version":1}\x1e', *['{"type":6}\x1e'] * 5):
            assert (await hub.client.post("/chat", params=query, content=content)).status_code == 200
        assert (await hub.client.get("/chat", params=query)).text == "{}\x1e"
        await hub.client.delete("/chat", params=query)
        told_to_wait(
            await hub.client.get("/visitor/get-id?websiteId=local"), "There were too many connections from here."
        )


async def open_socket(app: Any) -> list[dict[str, Any]]:
    """Ask for a socket that nobody has negotiated; return the answer's two messages."""
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "websocket",
        "path": "/v1/chat",
        "root_path": "",
        "query_string": b"websiteId=local&visitorId=x&id=y",
        "headers": [(b"host", b"hub.example")],
        "client": (ELSEWHERE, 4711),
        "extensions": {"websocket.http.response": {}},
    }
    await app(scope, receive, send)
    return sent


async def test_connections_by_address(config: HubConfig, clock: Clock) -> None:
    strict = dataclasses.replace(config, max_connections_per_address=3)
    async with hub_from(strict, clock) as hub:

        async def negotiate(visitor_id: str) -> httpx.Response:
            query = {"websiteId": "local", "visitorId": sign_ticket(clock, visitor_id)}
            return await hub.client.post("/chat/negotiate", params=query)

        assert [(await negotiate(f"visitor {number}")).status_code for number in range(3)] == [200] * 3
        response = await negotiate("ada")
        assert (response.status_code, response.headers["retry-after"]) == (429, "15")
        assert response.json() == {"error": "There are too many connections from here."}


async def test_pages_on_other_origins_can_read_when_to_come_again(config: HubConfig, clock: Clock) -> None:
    async with Hub.running(config, clock) as hub:
        response = await hub.client.get("/health", headers={"Origin": "http://hub.example"})
        assert response.headers["access-control-expose-headers"] == "retry-after"


# Hub methods


CALLS: list[tuple[Action, str, Callable[[str, str], list[Any]]]] = [
    (Action.POSTING, "SaveChatroomMessage", lambda room, _: [{"type": 0, "content": "Hello"}, room]),
    (Action.POSTING, "SendChatroomWhisper", lambda room, _: ["Psst", room, None]),
    (Action.EDITING, "UpdateChatroomMessage", lambda room, message: [message, "Hello!", room]),
    (Action.EDITING, "DeleteChatroomMessage", lambda room, message: [message, room]),
    (Action.EDITING, "SaveVisitorInfo", lambda room, _: [{"name": "Ada"}]),
    (Action.TYPING, "ChatroomTyping", lambda room, _: [room]),
    (Action.READING, "GetChatroomHistory", lambda room, _: [room, None, 10]),
    (Action.READING, "GetChatroomChanges", lambda room, _: [room, None, 10]),
    (Action.READING, "GetAllChatrooms", lambda room, _: [10, 1, False]),
    (Action.READING, "ConnectToChatroom", lambda room, _: [room]),
    (Action.READING, "NoSuchMethod", lambda room, _: []),
]


def limited(world: World, config: RateConfig) -> None:
    world.dispatcher._limiter = Limiter(config, clock=world.clock)


async def joined(world: World, visitor_id: str = "ada", **ticket: Any) -> tuple[Visit, str, str]:
    """Return a visitor in a chatroom, and a message of its own."""
    room = await world.room()
    visit = await world.connect(visitor_id, **ticket)
    await visit.join(room)
    return visit, room, (await visit.post(room))["uuid"]


@pytest.mark.parametrize(("action", "method", "arguments"), CALLS, ids=[method for _, method, _ in CALLS])
async def test_calls_by_visitor(
    world: World, action: Action, method: str, arguments: Callable[[str, str], list[Any]]
) -> None:
    visit, room, message = await joined(world)
    limited(world, rates(**{action: FEW}))
    sentence = too_often(action, 30)
    for _ in range(2):
        completion = await visit._complete(method, tuple(arguments(room, message)))
        assert completion.get("error") != sentence
    assert await visit.refusal(method, *arguments(room, message)) == sentence
    world.clock.advance(30)
    completion = await visit._complete(method, tuple(arguments(room, message)))
    assert completion.get("error") != sentence


async def test_calls_by_address(world: World) -> None:
    limited(world, rates(reading=Rates(Rate(100, 60), Rate(3, 60))))
    visits = [await world.connect(visitor_id) for visitor_id in ("ada", "bob", "cy", "di")]
    for visit in visits:
        visit.caller.address = ELSEWHERE
    for visit in visits[:3]:
        await visit.call("GetManagers")
    assert (await visits[3].refusal("GetManagers")).endswith("in 20 seconds.")
    visits[3].caller.address = None
    await visits[3].call("GetManagers")


async def test_a_comment_that_came_too_early_is_not_stored(world: World) -> None:
    visit, room, _ = await joined(world)
    limited(world, rates(posting=FEW))
    await visit.post(room, "one")
    await visit.post(room, "two")
    await visit.refusal("SaveChatroomMessage", {"type": 0, "content": "three"}, room)
    history = await visit.call("GetChatroomHistory", room, None, 10)
    assert [item["content"] for item in history["items"]] == ["Hello", "one", "two"]


async def test_managers_are_not_counted(world: World) -> None:
    visit, room, message = await joined(world, "boss", is_manager=True)
    limited(world, rates(editing=FEW))
    for number in range(5):
        await visit.call("UpdateChatroomMessage", message, f"Hello {number}", room)


async def test_so_many_chatrooms_for_each_visitor(make_world: Callable[..., World]) -> None:
    world = make_world(max_chatrooms_per_visitor=2)
    visit = await world.connect("ada")
    first, second, third = [await world.room(title) for title in ("one", "two", "three")]
    await visit.join(first)
    await visit.join(second)
    await visit.join(second)
    refused = {"is_success": False, "description": "You are in too many chatrooms. Leave one of them first."}
    assert await visit.call("ConnectToChatroom", third) == refused
    # The site may do so all the same.
    await world.service.attendance.admit("ada", third)
    await visit.leave(first)
    await visit.leave(second)
    await visit.join(first)


# On real sockets, and inside of another application


async def many_ids(url: str, forwarded: list[str]) -> list[int]:
    async with httpx.AsyncClient() as client:
        return [
            (
                await client.get(f"{url}/visitor/get-id?websiteId=local", headers={"X-Forwarded-For": address})
            ).status_code
            for address in forwarded
        ]


@pytest.mark.parametrize(
    ("trusted", "last"),
    [
        # The server believes nobody by itself; whoever is on this machine is not counted.
        ((), 200),
        (("127.0.0.1",), 429),
    ],
)
async def test_proxies_of_a_hub_of_its_own(
    make_hub_thread: Callable[..., HubThread], config: HubConfig, trusted: tuple[str, ...], last: int
) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW), trusted_proxies=trusted)
    thread = make_hub_thread(config=strict)
    thread.start()
    assert await asyncio.to_thread(thread.wait_ready, 20), thread.error
    statuses = await many_ids(thread.url, [f"198.51.100.{number}, {ELSEWHERE}" for number in range(5)])
    assert statuses == [200, 200, 200, 200, last]


@pytest.mark.parametrize(("trusted", "last"), [((), 429), ((ELSEWHERE,), 200)])
async def test_proxies_of_a_mounted_hub(config: HubConfig, tmp_path: Path, trusted: tuple[str, ...], last: int) -> None:
    strict = dataclasses.replace(config, rates=rates(connecting=FEW), trusted_proxies=trusted)
    mounted = MountedHub(strict, lock_path=tmp_path / "hub.lock")
    async with lifespan(mounted):
        transport = httpx.ASGITransport(app=mounted, client=(ELSEWHERE, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://hub.example/v1") as client:
            statuses = [
                (
                    await client.get(
                        "/visitor/get-id?websiteId=local", headers={"X-Forwarded-For": f"198.51.100.{number}"}
                    )
                ).status_code
                for number in range(5)
            ]
    assert statuses == [200, 200, 200, 200, last]
