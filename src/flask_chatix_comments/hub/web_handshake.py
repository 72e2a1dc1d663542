"""uvicorn's WebSockets until they are open: every client that cannot have one is told so, and let go.

uvicorn leaves the connection of a request as it is that its parser of WebSockets does not take: without an answer, for
ever, and it fails over it when the server ends.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

if TYPE_CHECKING:
    from uvicorn._types import ASGISendEvent

_NO_WEBSOCKET = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nConnection: close\r\n"
    b"Content-Length: 29\r\n\r\nThis cannot be a WebSocket.\r\n"
)


class HandshakeProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSockets with an end to every request for one."""

    def data_received(self, data: bytes) -> None:
        """Take what came; answer a request that is none: one with a body, or with more headers than a browser sends."""
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_complete:
            # For some of them the parser has an answer.
            answer = b"".join(self.conn.data_to_send()) or _NO_WEBSOCKET
            self._end_handshake()
            self.transport.write(answer)
            self.transport.close()

    async def send(self, message: ASGISendEvent) -> None:
        """Send what the application says; note when it has refused the client."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and self.close_sent:
            # Or uvicorn takes it for an application that has said nothing, and writes so to its log.
            self._end_handshake()

    def _end_handshake(self) -> None:
        self.handshake_complete = self.close_sent = True
