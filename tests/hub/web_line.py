"""A WebSocket of our server without a socket: frames go in, and frames and the close come out."""

from __future__ import annotations

import asyncio
import struct
from typing import Any

import uvicorn
from uvicorn.server import ServerState

from flask_chatix_comments.hub.web_protocols import WebSocketProtocol
from tests.hub.support import DEADLINE_S
from tests.hub.web_doubles import UPGRADE, Loop, Transport

FIN = 0x80
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10


def frame(opcode: int, data: bytes = b"", *, is_last: bool = True) -> bytes:
    """Return a client's frame (RFC 6455, 5.2) under the mask that changes nothing."""
    assert len(data) < 126
    return bytes([opcode | (FIN if is_last else 0), 0x80 | len(data)]) + bytes(4) + data


class Line:
    """One connection to an application that is driven by hand, unless there is another."""

    def __init__(self, loop: Loop, app: Any = None) -> None:
        config = uvicorn.Config(app or self._app, interface="asgi3", ws=WebSocketProtocol, log_config=None)
        config.load()
        self.loop = loop
        self.protocol = WebSocketProtocol(config, ServerState(), {}, _loop=loop)  # type: ignore[arg-type]  # the part used
        self.transport = Transport()
        self._accepted = asyncio.Event()
        self._ended = asyncio.Event()

    async def _app(self, scope: Any, receive: Any, send: Any) -> None:
        self.scope, self._receive, self.send = scope, receive, send
        assert (await receive())["type"] == "websocket.connect"
        await send({"type": "websocket.accept"})
        self._accepted.set()
        await self._ended.wait()

    async def open(self) -> Line:
        self.protocol.connection_made(self.transport)
        self.protocol.data_received(UPGRADE)
        await asyncio.wait_for(self._accepted.wait(), DEADLINE_S)
        self.transport.written = b""
        return self

    def come(self, data: bytes) -> None:
        """Let the client say something."""
        self.protocol.data_received(data)

    async def take(self) -> dict[str, Any]:
        message: dict[str, Any] = await asyncio.wait_for(self._receive(), DEADLINE_S)
        return message

    async def say(self, text: str) -> bytes:
        """Let the application say something; return what is written."""
        before = len(self.transport.written)
        await self.send({"type": "websocket.send", "text": text})
        return self.transport.written[before:]

    def close_code(self) -> int | None:
        """Return the code in a close frame, when it is the last that was written."""
        code = self.close_reason().partition(":")[0]
        return int(code) if code else None

    def close_reason(self) -> str:
        """Return code and reason in a close frame, when it is the last that was written (RFC 6455, 5.5.1)."""
        if not self.transport.how_it_ended():
            return ""
        at = self.transport.written.rindex(bytes([FIN | CLOSE]))
        (code,) = struct.unpack_from("!H", self.transport.written, at + 2)
        reason = self.transport.written[at + 4 :].decode()
        return f"{code}: {reason}" if reason else str(code)

    async def end(self) -> None:
        self._ended.set()
        self.protocol.connection_lost(None)
        await asyncio.sleep(0)
