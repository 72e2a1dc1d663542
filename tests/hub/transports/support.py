"""The server's side of sockets and requests, by hand; and clients of all three transports on top of them."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from flask_chatix_comments.hub.dispatcher import Dispatcher
from flask_chatix_comments.hub.service import Caller
from flask_chatix_comments.hub.signalr.messages import Completion, Invocation
from flask_chatix_comments.hub.transports.server_extensions import SHUTDOWN_EXTENSION
from tests.hub.support import DEADLINE_S, Hub, records_of, sign_ticket, until

HANDSHAKE = '{"protocol":"json","version":1}\x1e'
CALL = '{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e'
Json = dict[str, Any]


async def in_time(task: asyncio.Task[None]) -> None:
    await asyncio.wait_for(asyncio.shield(task), DEADLINE_S)


async def negotiated(hub: Hub, ticket: str, *, version: int = 1) -> str:
    response = await hub.client.post(
        "/chat/negotiate", params={"websiteId": "local", "visitorId": ticket, "negotiateVersion": version}
    )
    answer = response.json()
    return str(answer["connectionToken"] if version else answer["connectionId"])


def query_of(ticket: str, token: str) -> str:
    return f"visitorId={ticket}&websiteId=local&id={token}"


def call_of(number: int | str, target: str, *arguments: Any) -> str:
    return json.dumps({"type": 1, "invocationId": str(number), "target": target, "arguments": arguments}) + "\x1e"


async def new_room(hub: Hub) -> str:
    return str((await hub.post("/chatroom/create", {"title": "A post"})).json()["id"])


async def count_members(hub: Hub, room: str) -> int:
    return int((await hub.get("/chatroom/get", chatroomId=room)).json()["number_of_visitors"])


class Calls:
    """Counts the calls of hub methods, and holds them up while it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.count = 0
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()
        invoke = Dispatcher.invoke

        async def counted(dispatcher: Dispatcher, caller: Caller, invocation: Invocation) -> Completion | None:
            self.count += 1
            await self.may_go_on.wait()
            return await invoke(dispatcher, caller, invocation)

        monkeypatch.setattr(Dispatcher, "invoke", counted)


class Exchange:
    """What the application and a server say to each other about one socket or request."""

    def __init__(self, hub: Hub, scope: Json) -> None:
        self.scope = scope
        self.failure: type[Exception] | None = None
        self.may_send = asyncio.Event()
        self.may_send.set()
        self.is_sending = False
        self.farewells: list[Callable[[], None]] = []
        scope.setdefault("extensions", {})[SHUTDOWN_EXTENSION] = {"call": self.farewells.append}
        self.task: asyncio.Task[None] | None = None
        self._hub = hub
        self._to_app: asyncio.Queue[Json] = asyncio.Queue()
        self._from_app: asyncio.Queue[Json] = asyncio.Queue()

    async def _send(self, message: Json) -> None:
        self.is_sending = True
        await self.may_send.wait()
        if self.failure is not None:
            raise self.failure
        await self._from_app.put(message)

    def begin(self, first: Json) -> None:
        self.task = asyncio.create_task(self._hub.app(self.scope, self._to_app.get, self._send))
        self.tell(first)

    def tell(self, message: Json) -> None:
        self._to_app.put_nowait(message)

    async def sent(self) -> Json:
        return await asyncio.wait_for(self._from_app.get(), DEADLINE_S)

    @property
    def unread(self) -> int:
        """How many messages the application has not taken."""
        return self._to_app.qsize()

    async def end(self) -> None:
        assert self.task is not None
        await in_time(self.task)


class Socket(Exchange):
    """The server's side of a WebSocket, by hand."""

    def __init__(self, hub: Hub, query: str, headers: list[tuple[bytes, bytes]]) -> None:
        self.query = query
        scope = {
            "type": "websocket",
            "path": "/v1/chat",
            "raw_path": b"/v1/chat",
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers,
            "subprotocols": [],
            "extensions": {"websocket.http.response": {}},
        }
        super().__init__(hub, scope)

    def start(self) -> None:
        self.begin({"type": "websocket.connect"})

    async def records(self) -> list[Json]:
        message = await self.sent()
        assert message["type"] == "websocket.send", message
        return records_of(message["text"])

    def receive(self, text: str | None = None, **message: Any) -> None:
        data = {"text": text} if text is not None else {}
        self.tell({"type": "websocket.receive", **data, **message})

    async def heard(self, target: str) -> Json:
        """Return the next event of a kind; others may come in between, such as who is there now."""
        while True:
            for record in await self.records():
                if record.get("target") == target:
                    return record

    async def call(self, target: str, *arguments: Any) -> Any:
        self.receive(call_of("1", target, *arguments))
        while True:
            for record in await self.records():
                if record.get("invocationId") == "1":
                    return record.get("result", record)

    def say_disconnected(self) -> None:
        self.tell({"type": "websocket.disconnect", "code": 1001})

    async def disconnect(self) -> None:
        self.say_disconnected()
        await self.end()


@asynccontextmanager
async def connected(hub: Hub, visitor_id: str, *, host: str | None = None) -> AsyncIterator[Socket]:
    ticket = sign_ticket(hub.clock, visitor_id)
    headers = [] if host is None else [(b"host", host.encode())]
    socket = Socket(hub, query_of(ticket, await negotiated(hub, ticket)), headers)
    socket.start()
    assert (await socket.sent())["type"] == "websocket.accept"
    socket.receive(HANDSHAKE)
    assert await socket.records() == [{}]
    yield socket
    if socket.task is not None and not socket.task.done():
        await socket.disconnect()


class Request(Exchange):
    """The server's side of one HTTP request, by hand."""

    def __init__(self, hub: Hub, method: str, query: str, *, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        scope = {
            "type": "http",
            "method": method,
            "path": "/v1/chat",
            "raw_path": b"/v1/chat",
            "root_path": "",
            "query_string": query.encode(),
            "headers": headers or [],
        }
        super().__init__(hub, scope)
        self.status = 0
        self.headers: dict[bytes, bytes] = {}

    def start(self, body: bytes = b"", *, more_body: bool = False) -> Request:
        self.begin({"type": "http.request", "body": body, "more_body": more_body})
        return self

    async def head(self) -> int:
        """Return the status, as soon as it is there."""
        message = await self.sent()
        assert message["type"] == "http.response.start", message
        self.status, self.headers = message["status"], dict(message["headers"])
        assert len(self.headers) == len(message["headers"]), "a header is there twice"
        return self.status

    async def pieces(self) -> AsyncIterator[str]:
        """Yield what is sent of the body."""
        while True:
            message = await self.sent()
            assert message["type"] == "http.response.body", message
            if message.get("body"):
                yield message["body"].decode()
            if not message.get("more_body", False):
                return

    async def answer(self) -> tuple[int, str]:
        """Return status and body of the whole answer."""
        await self.head()
        text = "".join([piece async for piece in self.pieces()])
        await self.end()
        assert self.headers.get(b"content-length", str(len(text.encode())).encode()) == str(len(text.encode())).encode()
        return self.status, text

    def say_disconnected(self) -> None:
        self.tell({"type": "http.disconnect"})

    async def disconnect(self) -> None:
        self.say_disconnected()
        await self.end()


class Client:
    """A client of one of the transports: what the contract suite needs."""

    transport: str

    def __init__(self, hub: Hub, query: str, headers: list[tuple[bytes, bytes]] | None = None) -> None:
        self.hub = hub
        self.query = query
        self.headers = headers or []
        self._numbers = itertools.count()
        self._records: list[Json] = []

    async def connect(self) -> int:
        """Begin; return the status with which it was refused, or 200."""
        raise NotImplementedError

    async def send(self, text: str) -> None:
        """Send a text, and wait until it is on its way."""
        raise NotImplementedError

    async def next_records(self) -> list[Json] | None:
        """Return what comes next; ``None`` when the hub has ended the connection."""
        raise NotImplementedError

    async def go(self) -> None:
        """Be gone, as when a browser closes."""
        raise NotImplementedError

    async def is_forgotten(self) -> None:
        """Wait until the hub is done with the connection."""
        raise NotImplementedError

    async def vanish(self) -> None:
        """Be gone, and wait until the hub is done with it."""
        await self.go()
        await self.is_forgotten()

    async def be_served(self) -> Exchange:
        """Return the socket, stream or poll on which the hub can say something."""
        raise NotImplementedError

    async def open(self) -> None:
        assert await self.connect() == 200
        await self.send(HANDSHAKE)
        assert await self.next_records() == [{}]

    async def _next(self) -> Json | None:
        """Return the next record."""
        while not self._records:
            records = await self.next_records()
            if records is None:
                return None
            self._records += records
        return self._records.pop(0)

    async def completion(self, number: str) -> Json:
        """Return the answer to a call."""
        while (record := await self._next()) is not None:
            if record.get("invocationId") == number:
                return record
        raise AssertionError("The connection has ended without an answer.")

    async def call(self, target: str, *arguments: Any) -> Any:
        number = f"call-{next(self._numbers)}"
        await self.send(call_of(number, target, *arguments))
        record = await self.completion(number)
        return record.get("result", record)

    async def heard(self, target: str) -> list[Any]:
        """Return the arguments of the next event of a kind."""
        while (record := await self._next()) is not None:
            if record.get("target") == target:
                arguments: list[Any] = record["arguments"]
                return arguments
        raise AssertionError("The connection has ended without this event.")

    async def last_words(self) -> list[Json]:
        """Return all that comes until the hub ends the connection."""
        words = []
        while (record := await self._next()) is not None:
            words.append(record)
        return words


class SocketClient(Client):
    """A client by WebSocket."""

    transport = "WebSockets"

    async def be_served(self) -> Exchange:
        return self._socket

    async def connect(self) -> int:
        self._socket = Socket(self.hub, self.query, self.headers)
        self._socket.start()
        message = await self._socket.sent()
        if message["type"] == "websocket.accept":
            return 200
        assert message["type"] == "websocket.http.response.start", message
        assert json.loads((await self._socket.sent())["body"])["error"]
        await self._socket.end()
        return int(message["status"])

    async def send(self, text: str) -> None:
        self._socket.receive(text)

    async def next_records(self) -> list[Json] | None:
        message = await self._socket.sent()
        if message["type"] == "websocket.close":
            await self._socket.disconnect()
            return None
        return records_of(message["text"])

    async def go(self) -> None:
        self._socket.say_disconnected()

    async def is_forgotten(self) -> None:
        await self._socket.end()


class PostingClient(Client):
    """A client whose texts are bodies of requests."""

    async def send(self, text: str) -> None:
        assert await self.post(text) == 200

    async def post(self, text: str) -> int:
        status, _ = await Request(self.hub, "POST", self.query, headers=self.headers).start(text.encode()).answer()
        return status


class EventsClient(PostingClient):
    """A client by server-sent events."""

    transport = "ServerSentEvents"

    async def be_served(self) -> Exchange:
        return self.stream

    async def connect(self) -> int:
        headers = [*self.headers, (b"accept", b"text/event-stream")]
        self.stream = Request(self.hub, "GET", self.query, headers=headers).start()
        if await self.stream.head() == 200:
            self._pieces = self.stream.pieces()
            assert await anext(self._pieces) == ":\r\n\r\n"
        else:
            body = "".join([piece async for piece in self.stream.pieces()])
            assert json.loads(body)["error"]
            await self.stream.end()
        return self.stream.status

    async def next_records(self) -> list[Json] | None:
        event = await anext(self._pieces, None)
        if event is None:
            await self.stream.end()
            return None
        # One event, in one line.
        data = event.removeprefix("data: ").removesuffix("\r\n\r\n")
        assert event == f"data: {data}\r\n\r\n"
        assert "\n" not in data and "\r" not in data
        return records_of(data)

    async def go(self) -> None:
        self.stream.say_disconnected()

    async def is_forgotten(self) -> None:
        await self.stream.end()


class PollingClient(PostingClient):
    """A client by long polling."""

    transport = "LongPolling"
    _open: Request | None = None

    async def be_served(self) -> Exchange:
        self._open = self.poll()
        await until(lambda: self._open is None or not self._open.unread, "the poll to wait")
        return self._open

    async def connect(self) -> int:
        status, body = await self.poll().answer()
        if status == 200:
            assert body == ""
        else:
            assert json.loads(body)["error"]
        return status

    def poll(self) -> Request:
        return Request(self.hub, "GET", f"{self.query}&_=1", headers=self.headers).start()

    async def next_records(self) -> list[Json] | None:
        poll, self._open = self._open or self.poll(), None
        status, body = await poll.answer()
        if status == 204:
            return None
        assert status == 200
        return records_of(body) if body else []

    async def go(self) -> None:
        """As the clients stop; one that only goes away is missed after a while."""
        status, _ = await Request(self.hub, "DELETE", self.query, headers=self.headers).start().answer()
        assert status == 202

    async def is_forgotten(self) -> None:
        async with asyncio.timeout(DEADLINE_S):
            while (await Request(self.hub, "DELETE", self.query).start().answer())[0] != 404:
                pass


CLIENTS: dict[str, type[Client]] = {
    "websocket": SocketClient,
    "events": EventsClient,
    "polling": PollingClient,
}
