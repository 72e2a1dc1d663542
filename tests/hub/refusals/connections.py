"""Refused sockets, and frames at which a connection ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from functools import partial
from typing import Any

from flask_chatix_comments.hub import app as hub_app
from flask_chatix_comments.hub.dispatcher import Dispatcher
from flask_chatix_comments.hub.signalr.connection import Connection, ConnectionLimits
from flask_chatix_comments.hub.signalr.messages import Ping
from flask_chatix_comments.hub.transports import channels
from flask_chatix_comments.hub.transports.server_extensions import SHUTDOWN_EXTENSION
from flask_chatix_comments.hub.transports.websocket import NORMAL_CLOSURE, SERVICE_RESTART
from tests.hub.refusals.requests import ELSEWHERE, Site
from tests.hub.refusals.rows import Rows, of_records, spelled
from tests.hub.support import DEADLINE_S, Json, records_of

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
PING = '{"type":6}\x1e'


class Line:
    """A WebSocket's server, by hand."""

    def __init__(self, app: Any, query: str, **scope: Any) -> None:
        self._to_app: asyncio.Queue[Json] = asyncio.Queue()
        self._from_app: asyncio.Queue[Json] = asyncio.Queue()
        self._to_app.put_nowait({"type": "websocket.connect"})
        defaults = {
            "type": "websocket",
            "path": "/v1/chat",
            "root_path": "",
            "query_string": query.encode(),
            "headers": [(b"host", b"hub.example")],
            "client": (ELSEWHERE, 4711),
            "extensions": {"websocket.http.response": {}},
        }
        self.task = asyncio.create_task(app(defaults | scope, self._to_app.get, self._from_app.put))

    def say(self, text: str | None = None, **message: Any) -> None:
        data = {"text": text} if text is not None else {}
        self._to_app.put_nowait({"type": "websocket.receive", **data, **message})

    async def sent(self) -> Json:
        return await asyncio.wait_for(self._from_app.get(), DEADLINE_S)

    async def sent_text(self) -> str:
        """Return the next text that is sent."""
        while (message := await self.sent())["type"] != "websocket.send":
            pass
        return str(message["text"])

    async def records_until_closed(self) -> list[Json]:
        """Return what comes before the server is told to close, which it must do as after any goodbye."""
        records: list[Json] = []
        while (message := await self.sent())["type"] != "websocket.close":
            records += records_of(message["text"]) if message["type"] == "websocket.send" else []
        may_come_again = bool(records) and records[-1].get("allowReconnect")
        code = SERVICE_RESTART if may_come_again else NORMAL_CLOSURE
        assert message.get("code") == code
        self._to_app.put_nowait({"type": "websocket.disconnect", "code": code})
        await asyncio.wait_for(self.task, DEADLINE_S)
        return records

    async def refusal(self) -> str:
        """Return the answer to an upgrade that is refused."""
        start = await self.sent()
        if start["type"] == "websocket.close":
            return "403 without a sentence"
        body = json.loads((await self.sent())["body"])
        when = ", `Retry-After`" if b"retry-after" in dict(start["headers"]) else ""
        return spelled(f"{start['status']}{when}: {body['error']}")


async def open_line(site: Site, *texts: str, extensions: Json | None = None, **settings: Any) -> Line:
    """Connect, and say something; *extensions* are the server's."""
    await site.begin(**settings)
    ticket = site.ticket()
    token = await negotiated_token(site, ticket)
    line = Line(site.hub.app, query_of(token, ticket), **({"extensions": extensions} if extensions else {}))
    for text in texts:
        line.say(text)
    return line


async def negotiated_token(site: Site, ticket: str) -> str:
    token: str = (await site.negotiated(ticket, negotiateVersion="1")).json()["connectionToken"]
    return token


def query_of(token: str, ticket: str) -> str:
    return f"websiteId=local&visitorId={ticket}&id={token}"


# Upgrades

UPGRADES = Rows[Site]("Sockets")


@UPGRADES.row("a page of an origin that may not use the hub")
async def _(site: Site) -> str:
    await site.begin()
    headers = [(b"host", b"hub.example"), (b"origin", b"https://elsewhere.example")]
    return await Line(site.hub.app, "websiteId=local", headers=headers).refusal()


def upgrade(what: str, query: Callable[[str, str, str], str]) -> None:
    """Add a row: the query is made of a token, its ticket and the ticket of somebody else."""

    async def row(site: Site) -> str:
        await site.begin()
        ticket, other = site.ticket(), site.ticket(visitor_id="bob")
        return await Line(site.hub.app, query(await negotiated_token(site, ticket), ticket, other)).refusal()

    UPGRADES.add(what, row)


upgrade("another website", lambda token, ticket, _: query_of(token, ticket).replace("local", "other"))
upgrade("without a connection's id", lambda _, ticket, __: f"websiteId=local&visitorId={ticket}")
upgrade("with an id that was not negotiated", lambda _, ticket, __: query_of("x", ticket))
upgrade("with an id that was negotiated by another ticket", lambda token, _, other: query_of(token, other))


@UPGRADES.row("later than 15 seconds after negotiate")
async def _(site: Site) -> str:
    await site.begin()
    ticket = site.ticket()
    token = await negotiated_token(site, ticket)
    site.clock.advance(channels.NEGOTIATED_KEPT_S)
    return await Line(site.hub.app, query_of(token, ticket)).refusal()


@UPGRADES.row("a second socket on one connection")
async def _(site: Site) -> str:
    await site.begin()
    ticket = site.ticket()
    query = query_of(await negotiated_token(site, ticket), ticket)
    first = Line(site.hub.app, query)
    assert (await first.sent())["type"] == "websocket.accept"
    second = await Line(site.hub.app, query).refusal()
    first.say('{"protocol":"json","version":1}\x1e{"type":7}\x1e')
    await first.records_until_closed()
    return second


@UPGRADES.row("through a server that cannot answer an upgrade with a status")
async def _(site: Site) -> str:
    await site.begin()
    return await Line(site.hub.app, "websiteId=local", extensions={}).refusal()


# Frames

FRAMES = Rows[Site]("What ends a connection")


def frames(what: str, *texts: str) -> None:
    async def row(site: Site) -> str:
        line = await open_line(site, *texts)
        return of_records(await line.records_until_closed())

    FRAMES.add(what, row)


frames("a first record that is no handshake", '{"protocol":7}\x1e')
frames("a handshake for another protocol or version", '{"protocol":"messagepack","version":1}\x1e')
frames("a record that is no JSON", HANDSHAKE, "{\x1e")
frames("a message that is malformed", HANDSHAKE, '{"type":1,"arguments":[]}\x1e')
frames("a message that is nested too deeply", HANDSHAKE, '{"type":1,"target":"x","arguments":' + "[" * 10_000 + "\x1e")
frames("a message that is too large", HANDSHAKE, "x" * 300_000)
frames("too many messages at once", HANDSHAKE, PING * 1001)
frames("too many values at once", HANDSHAKE, '{"type":1,"target":"x","arguments":[' + "[]," * 20_000 + "[]]}\x1e")


@FRAMES.row("a binary frame that is no JSON")
async def _(site: Site) -> str:
    line = await open_line(site, HANDSHAKE)
    line.say(bytes=b"\x93\x01\xc0\xff\x1e")
    return of_records(await line.records_until_closed())


@FRAMES.row("a handshake that does not come in time")
async def _(site: Site) -> str:
    in_no_time = partial(ConnectionLimits, handshake_timeout_s=0)
    site.monkeypatch.setattr(hub_app, "ConnectionLimits", in_no_time)
    site.monkeypatch.setattr(hub_app, "CHANNEL_TICK_S", 0.01)
    line = await open_line(site, is_fresh=True)
    return of_records(await line.records_until_closed())


@FRAMES.row("a ticket whose time is over")
async def _(site: Site) -> str:
    site.monkeypatch.setattr(hub_app, "CHANNEL_TICK_S", 0.01)
    line = await open_line(site, HANDSHAKE, is_fresh=True)
    assert (await line.sent())["type"] == "websocket.accept"
    await line.sent()
    site.clock.advance(43_200)
    return of_records(await line.records_until_closed())


@FRAMES.row("a failure of the hub's own that concerns the whole connection")
async def _(site: Site) -> str:
    async def fail(*_: Any) -> None:
        raise RuntimeError("a bug")

    site.monkeypatch.setattr(Dispatcher, "connect", fail)
    line = await open_line(site, HANDSHAKE)
    return of_records(await line.records_until_closed())


def open_connection(**limits: Any) -> Connection:
    connection = Connection(now=0, limits=ConnectionLimits(**limits))
    connection.receive_text(HANDSHAKE, now=0)
    return connection


@FRAMES.row("a client that is silent for too long, where the transport does not notice")
async def _(_: Site) -> str:
    connection = open_connection(client_timeout_s=120)
    connection.tick(120)
    return of_records(records_of("".join(connection.records_to_send(now=120))))


@FRAMES.row("a message that does not come to its end in time")
async def _(_: Site) -> str:
    connection = open_connection(record_timeout_s=30)
    connection.receive_text("{", now=0)
    connection.tick(30)
    return of_records(records_of("".join(connection.records_to_send(now=30))))


@FRAMES.row("a client that does not take what is sent")
async def _(_: Site) -> str:
    connection = open_connection(max_waiting_bytes=10)
    for _number in range(10):
        connection.send(Ping())
    return of_records(records_of("".join(connection.records_to_send(now=0))))


@FRAMES.row("a hub that ends, or starts anew")
async def _(site: Site) -> str:
    farewells: list[Callable[[], None]] = []
    line = await open_line(site, HANDSHAKE, extensions={SHUTDOWN_EXTENSION: {"call": farewells.append}})
    assert records_of(await line.sent_text()) == [{}]
    farewells[0]()
    return of_records(await line.records_until_closed())


# What is answered, and ends nothing

ANSWERED = Rows[Site]("What is answered or passed over, and ends nothing")


async def answered(site: Site, record: str) -> str:
    """Return the first answer but the handshake's to a record, before that to another one."""
    call = '{"type":1,"invocationId":"last","target":"GetManagers","arguments":[]}\x1e'
    line = await open_line(site, f"{HANDSHAKE}{record}\x1e{call}")
    records: list[Json] = []
    while not any(one.get("invocationId") == "last" for one in records):
        message = await line.sent()
        records += records_of(message["text"]) if message["type"] == "websocket.send" else []
    line.say('{"type":7}\x1e')
    await line.records_until_closed()
    errors = [one["error"] for one in records if one.get("invocationId") == "1"]
    return f"error: {errors[0]}" if errors else "nothing"


def passed(what: str, record: str) -> None:
    async def row(site: Site) -> str:
        return await answered(site, record)

    ANSWERED.add(what, row)


passed("a call for a stream", '{"type":4,"invocationId":"1","target":"GetManagers","arguments":[]}')
passed("a message of an unknown type", '{"type":99,"target":"x"}')
passed("an item, a completion or a cancellation that nobody waits for", '{"type":3,"invocationId":"1","result":1}')
passed("a refused call that wants no answer", '{"type":1,"target":"Nonsense","arguments":[]}')
