"""Clients on real WebSockets that cost little: what is measured is the hub, on a machine that both share."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

_UPGRADE = (
    "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
)
_HANDSHAKE = {"protocol": "json", "version": 1}
#: Only the answer to a call has one.
_ANSWER = b'"invocationId"'


def frame_of(record: dict[str, Any]) -> bytes:
    """Return a text frame of one record; its mask is zero, which saves the work of masking."""
    data = json.dumps(record, separators=(",", ":")).encode() + b"\x1e"
    if len(data) < 126:
        return bytes((0x81, 0x80 | len(data))) + bytes(4) + data
    return bytes((0x81, 0x80 | 126)) + len(data).to_bytes(2) + bytes(4) + data


class LiveClient(asyncio.Protocol):
    """A SignalR connection on which one call is made after the other.

    Attributes:
        events: How many bytes of events have come.
    """

    def __init__(self) -> None:
        self._data = bytearray()
        self._is_upgraded = False
        self._answer: asyncio.Future[bytes] | None = None
        self.event_bytes = 0

    @classmethod
    async def connect(cls, url: str, ticket: str, website_id: str) -> LiveClient:
        """Negotiate, connect and shake hands."""
        query = f"visitorId={ticket}&websiteId={website_id}"
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/chat/negotiate?{query}&negotiateVersion=1")
        parts = urlsplit(url)
        _, self = await asyncio.get_running_loop().create_connection(cls, parts.hostname, parts.port)
        path = f"{parts.path}/chat?{query}&id={answer.json()['connectionToken']}"
        await self._exchange(_UPGRADE.format(path=path, host=parts.netloc).encode())
        await self._exchange(frame_of(_HANDSHAKE))
        return self

    async def call(self, frame: bytes) -> bytes:
        """Send a call, and return the frame with its answer.

        Raises:
            RuntimeError: The hub refuses.
        """
        answer = await self._exchange(frame)
        if b'"error":' in answer:
            raise RuntimeError(f"The hub answers: {answer[:200]!r}")
        return answer

    async def _exchange(self, data: bytes) -> bytes:
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._answer

    def close(self) -> None:
        self._transport.close()

    # asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._data += data
        if not self._is_upgraded:
            if b"\r\n\r\n" not in self._data:
                return
            assert self._data.startswith(b"HTTP/1.1 101"), bytes(self._data)
            self._is_upgraded = True
            self._data.clear()
            self._settle(b"")
        while (payload := self._next_frame()) is not None:
            if _ANSWER in payload or payload == b"{}\x1e":
                self._settle(payload)
            else:
                self.event_bytes += len(payload)

    def _next_frame(self) -> bytes | None:
        """Take a whole frame off what has come (RFC 6455, section 5.2)."""
        data = self._data
        if len(data) < 2:
            return None
        length, start = data[1], 2
        if length >= 126:
            start = 4 if length == 126 else 10
            length = int.from_bytes(data[2:start])
        if len(data) < start + length:
            return None
        payload = bytes(data[start : start + length])
        del data[: start + length]
        return payload

    def _settle(self, answer: bytes) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(RuntimeError(f"The hub has hung up: {exc}"))
