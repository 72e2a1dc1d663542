"""The three ways from a client to the hub, as text that goes and text that comes (TransportProtocols.md)."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

import httpx
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

ANSWER_TIMEOUT_S = 15.0
#: The hub says something each 15 seconds on a stream, and answers a poll after 45.
STREAM_SILENCE_S = 20.0
POLL_S = 60.0
TRANSPORTS = ("websocket", "sse", "long_polling")
#: What a broken line looks like from here.
LINE_ERRORS = (OSError, WebSocketException, TimeoutError, EOFError)


class Line(Protocol):
    """An open connection."""

    async def send(self, text: str) -> None:
        """Send whole records."""

    def texts(self) -> AsyncIterator[str]:
        """Yield what comes, whole records, until the end of the line."""


class WebSocketLine:
    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def send(self, text: str) -> None:
        await self._socket.send(text)

    async def texts(self) -> AsyncIterator[str]:
        async for text in self._socket:
            yield str(text)


class HttpLine:
    """What streams and polls have in common: each text is a request of its own, one after the other."""

    def __init__(self, address: httpx.URL) -> None:
        self._address = address
        self._turn = asyncio.Lock()

    async def send(self, text: str) -> None:
        async with self._turn:
            await ask("POST", self._address, text)


class StreamLine(HttpLine):
    def __init__(self, address: httpx.URL, answer: Answer) -> None:
        super().__init__(address)
        self._answer = answer

    async def texts(self) -> AsyncIterator[str]:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                event = await self._answer.read_event()
                if event.startswith("data: "):
                    yield event.removeprefix("data: ")


class PollLine(HttpLine):
    async def texts(self) -> AsyncIterator[str]:
        status, text = 200, ""
        while status == 200:
            status, text = await ask("GET", self._address, timeout_s=POLL_S)
            if text:
                yield text


@dataclass
class Answer:
    """What has begun to come."""

    status: int
    headers: dict[str, str]
    reader: asyncio.StreamReader

    async def read_event(self) -> str:
        async with asyncio.timeout(STREAM_SILENCE_S):
            return (await self.reader.readuntil(b"\r\n\r\n")).decode().removesuffix("\r\n\r\n")

    async def read_text(self) -> str:
        return (await self.reader.readexactly(int(self.headers.get("content-length", "0")))).decode()


async def ask(method: str, url: httpx.URL, text: str = "", timeout_s: float = ANSWER_TIMEOUT_S) -> tuple[int, str]:
    """Return status and text of an answer."""
    async with asyncio.timeout(timeout_s), asked(method, url, text, timeout_s=timeout_s) as answer:
        return answer.status, await answer.read_text()


@contextlib.asynccontextmanager
async def asked(
    method: str, url: httpx.URL, text: str = "", *, accept: str = "*/*", timeout_s: float = ANSWER_TIMEOUT_S
) -> AsyncIterator[Answer]:
    """Send a request; its connection ends with the context, whatever has come (RFC 1945: so its body needs no end)."""
    body = text.encode()
    reader, writer = await asyncio.open_connection(url.host, url.port, limit=2**22)
    try:
        head = f"{method} {url.raw_path.decode()} HTTP/1.0\r\nAccept: {accept}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        async with asyncio.timeout(timeout_s):
            status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
        headers = dict(line.lower().split(": ", 1) for line in lines if line)
        answer = Answer(int(status.split(" ")[1]), headers, reader)
        if answer.status >= 400:
            raise EOFError(f"{status}: {await answer.read_text()}")
        yield answer
    finally:
        writer.transport.abort()


@contextlib.asynccontextmanager
async def opened(url: str, ticket: str, transport: str) -> AsyncIterator[Line]:
    """Negotiate and connect by one of ``TRANSPORTS``."""
    query = {"visitorId": ticket, "websiteId": "local"}
    _, text = await ask("POST", httpx.URL(f"{url}/chat/negotiate", params={**query, "negotiateVersion": "1"}))
    address = httpx.URL(f"{url}/chat", params={**query, "id": json.loads(text)["connectionToken"]})
    match transport:
        case "websocket":
            place = str(address.copy_with(scheme="ws"))
            async with connect(place, proxy=None, compression=None, ping_interval=5, ping_timeout=5) as socket:
                yield WebSocketLine(socket)
        case "sse":
            async with asked("GET", address, accept="text/event-stream") as answer:
                yield StreamLine(address, answer)
        case _:
            await ask("GET", address)
            yield PollLine(address)
