"""Refused streams, polls and texts where there is no WebSocket."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from flask_chatix_comments.hub.transports import inbox
from flask_chatix_comments.hub.transports.calls import MAX_WAITING_FRAMES
from tests.hub.refusals.requests import Site
from tests.hub.refusals.rows import Rows
from tests.hub.support import until
from tests.hub.transports.support import (
    CALL,
    Calls,
    Client,
    EventsClient,
    PollingClient,
    Request,
    SocketClient,
    negotiated,
    query_of,
)

REQUESTS = Rows[Site]("Streams, polls and posted texts")
METHODS = ("GET", "POST", "DELETE")


async def ask(site: Site, query: str, *, method: str = "GET") -> str:
    """Return the answer to a request that is refused."""
    return await site.ask(method, f"/chat?{query}")


async def ask_each(site: Site, query: str) -> str:
    """Return the answer to a poll, a text and an end, which is the same."""
    (answer,) = {await ask(site, query, method=method) for method in METHODS}
    return answer


@asynccontextmanager
async def connected(site: Site, kind: type[Client]) -> AsyncIterator[Client]:
    await site.begin()
    ticket = site.ticket()
    client = kind(site.hub, query_of(ticket, await negotiated(site.hub, ticket)))
    await client.open()
    yield client
    await client.vanish()


@REQUESTS.row("a page of an origin that may not use the hub")
async def _(site: Site) -> str:
    await site.begin()
    return await site.ask("GET", "/chat?websiteId=local", headers={"Origin": "https://elsewhere.example"})


def without_connection(what: str, query: Callable[[str, str, str], str]) -> None:
    """Add a row: the query is made of a token, its ticket and the ticket of somebody else."""

    async def row(site: Site) -> str:
        await site.begin()
        ticket, other = site.ticket(), site.ticket(visitor_id="bob")
        return await ask_each(site, query(await negotiated(site.hub, ticket), ticket, other))

    REQUESTS.add(what, row)


without_connection("another website", lambda token, ticket, _: query_of(ticket, token).replace("local", "other"))
without_connection("without a connection's id", lambda _, ticket, __: query_of(ticket, ""))
without_connection("with an id that was not negotiated", lambda _, ticket, __: query_of(ticket, "x"))
without_connection("with an id that was negotiated by another ticket", lambda token, _, other: query_of(other, token))


@REQUESTS.row("on a connection that has ended")
async def _(site: Site) -> str:
    async with connected(site, EventsClient) as client:
        pass
    return await ask_each(site, client.query)


@REQUESTS.row("a stream or a poll on a connection that another transport carries")
async def _(site: Site) -> str:
    answers = set()
    for kind in (SocketClient, EventsClient):
        async with connected(site, kind) as client:
            answers.add(await ask(site, client.query))
            answers.add(await site.ask("GET", f"/chat?{client.query}", headers={"Accept": "text/event-stream"}))
    (answer,) = answers
    return answer


@REQUESTS.row("a text or an end on a connection of another transport, or of none yet")
async def _(site: Site) -> str:
    answers = set()
    async with connected(site, SocketClient) as client:
        answers |= {await ask(site, client.query, method=method) for method in ("POST", "DELETE")}
    ticket = site.ticket()
    answers.add(await ask(site, query_of(ticket, await negotiated(site.hub, ticket)), method="POST"))
    (answer,) = answers
    return answer


@REQUESTS.row("a poll that is open when the next one comes")
async def _(site: Site) -> str:
    async with connected(site, PollingClient) as client:
        assert isinstance(client, PollingClient)
        older = client.poll()
        await until(lambda: not older.unread, "the older poll to wait")
        newer = client.poll()
        answer = nothing_but(*await older.answer())
    await newer.answer()
    return answer


@REQUESTS.row("a poll when the connection ends")
async def _(site: Site) -> str:
    async with connected(site, PollingClient) as client:
        assert isinstance(client, PollingClient)
        poll = client.poll()
        await until(lambda: not poll.unread, "the poll to wait")
    return nothing_but(*await poll.answer())


def nothing_but(status: int, body: str) -> str:
    assert body == ""
    return f"{status} without a sentence"


@REQUESTS.row("a text that is too large")
async def _(site: Site) -> str:
    async with connected(site, EventsClient) as client:
        return await site.ask("POST", f"/chat?{client.query}", content=b"x" * 262_145)


@REQUESTS.row("a text that is no UTF-8")
async def _(site: Site) -> str:
    async with connected(site, EventsClient) as client:
        return await site.ask("POST", f"/chat?{client.query}", content=b"\xff\x1e")


@REQUESTS.row("a text that does not come to its end in time")
async def _(site: Site) -> str:
    async def never_ending() -> AsyncIterator[bytes]:
        yield b"x"
        await until(lambda: False, "nothing")

    site.monkeypatch.setattr(inbox, "BODY_S", 0.02)
    async with connected(site, EventsClient) as client:
        return await site.ask("POST", f"/chat?{client.query}", content=never_ending())


@REQUESTS.row("a text that waits too long for its turn")
async def _(site: Site) -> str:
    async with connected(site, EventsClient) as client:
        site.monkeypatch.setattr(inbox, "TURN_S", 0.05)
        calls = Calls(site.monkeypatch)
        calls.may_go_on.clear()
        for _number in range(MAX_WAITING_FRAMES + 1):
            await client.send(CALL)
            await until(lambda: calls.count, "the first call")
        answer = await site.ask("POST", f"/chat?{client.query}", content=CALL)
        calls.may_go_on.set()
        return answer


@REQUESTS.row("more texts at a time than one connection may post")
async def _(site: Site) -> str:
    site.monkeypatch.setattr(inbox, "MAX_WAITING_REQUESTS", 1)
    async with connected(site, EventsClient) as client:
        first = Request(site.hub, "POST", client.query).start(more_body=True)
        await until(lambda: not first.unread, "the first to be read")
        answer = await site.ask("POST", f"/chat?{client.query}", content=CALL)
        await first.disconnect()
        return answer
