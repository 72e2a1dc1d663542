"""The transports without a socket: what comes by POST and DELETE, methods, headers, refusals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from flask_chatix_comments.hub.transports import inbox
from flask_chatix_comments.hub.transports.calls import MAX_WAITING_FRAMES
from tests.hub.support import Hub, sign_ticket, until
from tests.hub.transports.support import (
    CALL,
    Calls,
    EventsClient,
    PollingClient,
    PostingClient,
    Request,
    SocketClient,
    call_of,
    negotiated,
    new_room,
    query_of,
)

pytestmark = pytest.mark.anyio


@pytest.fixture(params=[EventsClient, PollingClient])
async def ada(request: pytest.FixtureRequest, hub: Hub) -> PostingClient:
    """A client that is connected."""
    ticket = sign_ticket(hub.clock, "ada")
    client: PostingClient = request.param(hub, query_of(ticket, await negotiated(hub, ticket)))
    await client.open()
    return client


def post(client: PostingClient, body: bytes = CALL.encode(), **more: Any) -> Request:
    return Request(client.hub, "POST", client.query).start(body, **more)


async def refusal(request: Request) -> tuple[int, str]:
    """Return status and reason."""
    status, body = await request.answer()
    assert request.headers[b"content-type"] == b"application/json"
    assert request.headers[b"cache-control"] == b"no-store"
    return status, json.loads(body)["error"]


async def test_a_text_in_many_pieces(ada: PostingClient) -> None:
    text = call_of("7", "GetVisitorInfo", None, "\u00e9\u20ac").encode()
    request = post(ada, text[:1], more_body=True)
    for at in range(1, len(text)):
        request.tell({"type": "http.request", "body": text[at : at + 1], "more_body": True})
    request.tell({"type": "http.request"})
    assert await request.answer() == (200, "")
    assert "takes" in (await ada.completion("7"))["error"]
    await ada.vanish()


async def test_an_answer_to_a_post_is_empty_and_not_kept(ada: PostingClient) -> None:
    request = post(ada)
    assert await request.answer() == (200, "")
    assert request.headers == {
        b"cache-control": b"no-store",
        b"content-type": b"text/plain; charset=utf-8",
        b"content-length": b"0",
        b"x-content-type-options": b"nosniff",
    }
    await ada.vanish()


@pytest.mark.parametrize("body", [b"x" * 262_145, b""])
async def test_too_large_a_body_is_refused(ada: PostingClient, body: bytes) -> None:
    request = post(ada, body, more_body=True)
    if not body:
        for _ in range(3):
            request.tell({"type": "http.request", "body": b"x" * 100_000, "more_body": True})
    status, reason = await refusal(request)
    assert (status, "larger" in reason) == (413, True)
    # It has done no harm.
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_a_body_that_is_no_text(ada: PostingClient) -> None:
    assert (await refusal(post(ada, b"\xff\x1e")))[0] == 400
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_a_body_that_does_not_come(ada: PostingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "BODY_S", 0.02)
    assert (await refusal(post(ada, b"x", more_body=True)))[0] == 408
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_half_a_body_counts_for_nothing(ada: PostingClient) -> None:
    request = post(ada, CALL.encode(), more_body=True)
    await request.disconnect()
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_who_sends_faster_than_the_hub_works_has_to_wait(
    ada: PostingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Calls(monkeypatch)
    calls.may_go_on.clear()
    # One is being answered, as many wait as may.
    for _ in range(MAX_WAITING_FRAMES + 1):
        assert await ada.post(CALL) == 200
        await until(lambda: calls.count, "the first call")
    late = [post(ada, call_of(f"late {number}", "GetManagers").encode()) for number in range(20)]
    assert (await ada.hub.get("/health")).status_code == 200
    assert not any(request.task is None or request.task.done() for request in late)
    calls.may_go_on.set()
    assert [await request.answer() for request in late] == [(200, "")] * 20
    # Answered in the order in which they came.
    answered: list[str] = []
    while len(answered) < 20:
        records = await ada.next_records()
        assert records is not None
        answered += [record["invocationId"] for record in records if record["invocationId"] != "1"]
    assert answered == [f"late {number}" for number in range(20)]
    await ada.vanish()


async def test_who_has_waited_too_long_is_told_to_come_again(
    ada: PostingClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox, "TURN_S", 0.02)
    calls = Calls(monkeypatch)
    calls.may_go_on.clear()
    for _ in range(MAX_WAITING_FRAMES + 1):
        assert await ada.post(CALL) == 200
        await until(lambda: calls.count, "the first call")
    request = post(ada)
    assert (await refusal(request))[0] == 503
    assert request.headers[b"retry-after"] == b"1"
    calls.may_go_on.set()
    assert await ada.call("GetManagers") == []
    # What was refused was not taken.
    assert calls.count == MAX_WAITING_FRAMES + 2
    await ada.vanish()


async def test_too_many_requests_at_once(ada: PostingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inbox, "MAX_WAITING_REQUESTS", 2)
    first, second = post(ada, b"", more_body=True), post(ada)
    await until(lambda: not first.unread, "the first to be read")
    third = post(ada)
    assert (await refusal(third))[0] == 429
    assert third.headers[b"retry-after"] == b"1"
    first.tell({"type": "http.request", "body": CALL.encode()})
    assert [await one.answer() for one in (first, second)] == [(200, ""), (200, "")]
    await ada.vanish()


async def test_the_end_frees_who_waits(ada: PostingClient, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = Calls(monkeypatch)
    calls.may_go_on.clear()
    for _ in range(MAX_WAITING_FRAMES + 1):
        assert await ada.post(CALL) == 200
        await until(lambda: calls.count, "the first call")
    late = [post(ada) for _ in range(3)]
    await until(lambda: not any(one.unread for one in late[:1]), "the first to be read")
    await ada.go()
    calls.may_go_on.set()
    assert [(await refusal(one))[0] for one in late] == [404] * 3
    await ada.is_forgotten()


async def test_texts_before_there_is_a_connection(hub: Hub) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    query = query_of(ticket, await negotiated(hub, ticket))
    for method in ("POST", "DELETE"):
        assert (await refusal(Request(hub, method, query).start()))[0] == 409


async def test_a_socket_takes_no_posts_and_no_polls(hub: Hub) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    ada = SocketClient(hub, query_of(ticket, await negotiated(hub, ticket)))
    await ada.open()
    for method in ("POST", "DELETE", "GET"):
        assert (await refusal(Request(hub, method, ada.query).start()))[0] == 409
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_a_stream_takes_no_polls(hub: Hub) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    ada = EventsClient(hub, query_of(ticket, await negotiated(hub, ticket)))
    await ada.open()
    assert await PollingClient(hub, ada.query).connect() == 409
    assert await ada.call("GetManagers") == []
    await ada.vanish()


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("visitorId={ticket}&websiteId=local", 400),
        ("visitorId={ticket}&websiteId=local&id=unknown", 404),
        ("visitorId={other}&websiteId=local&id={token}", 404),
        ("visitorId={ticket}&websiteId=other&id={token}", 404),
    ],
)
async def test_only_the_visitor_uses_its_connection(
    hub: Hub, ada: PostingClient, method: str, query: str, status: int
) -> None:
    token = ada.query.rpartition("=")[2]
    ticket, other = sign_ticket(hub.clock, "ada"), sign_ticket(hub.clock, "bob")
    request = Request(hub, method, query.format(ticket=ticket, other=other, token=token))
    assert (await refusal(request.start()))[0] == status
    assert await ada.call("GetManagers") == []
    await ada.vanish()


@pytest.mark.parametrize("method", ["POST", "DELETE", "GET"])
async def test_only_pages_of_the_site_use_a_connection(hub: Hub, ada: PostingClient, method: str) -> None:
    headers = [(b"host", b"hub.example:5001"), (b"origin", b"https://evil.example")]
    request = Request(hub, method, ada.query, headers=headers).start()
    assert (await request.answer())[0] == 403
    assert await ada.call("GetManagers") == []
    await ada.vanish()


async def test_a_page_of_the_site_may_read_every_answer(hub: Hub) -> None:
    ticket = sign_ticket(hub.clock, "ada")
    headers = [(b"host", b"hub.example:5001"), (b"origin", b"https://hub.example")]
    query = query_of(ticket, await negotiated(hub, ticket))
    for method, status in (("GET", 200), ("POST", 200), ("DELETE", 202), ("PUT", 405)):
        request = Request(hub, method, query, headers=headers).start()
        assert (await request.answer())[0] == status
        assert request.headers[b"access-control-allow-origin"] == b"https://hub.example"
        assert request.headers[b"access-control-allow-credentials"] == b"true"


@pytest.mark.parametrize("method", ["HEAD", "PUT", "PATCH", "OPTIONS"])
async def test_other_methods(ada: PostingClient, method: str) -> None:
    request = Request(ada.hub, method, ada.query).start()
    assert (await refusal(request))[0] == 405
    assert request.headers[b"allow"] == b"GET, POST, DELETE"
    await ada.vanish()


async def test_a_deleted_connection_is_gone(hub: Hub, ada: PostingClient) -> None:
    room = await new_room(hub)
    await ada.call("ConnectToChatroom", room)
    last_words = asyncio.create_task(ada.last_words())
    await asyncio.sleep(0)
    request = Request(hub, "DELETE", ada.query).start()
    assert await request.answer() == (202, "")
    assert {record["target"] for record in await last_words} <= {"OnChatroomPresence"}
    async with asyncio.timeout(10):
        while await ada.post(CALL) != 404:
            pass
    assert (await hub.get("/visitor/get", visitorId="ada")).json()["is_online"] is False
