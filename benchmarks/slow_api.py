"""A REST API that takes 20 ms for everything, in a process of its own: what a backfill is measured against.

It prints its port and serves until it is ended. No framework: that would be what is measured.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import sys

DELAY_S = float(sys.argv[1]) if len(sys.argv) > 1 else 0.02
_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"


class Connection(asyncio.Protocol):
    """One request after the other; each answer comes when its time is over."""

    numbers = itertools.count(1)
    transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.received = b""

    def data_received(self, data: bytes) -> None:
        self.received += data
        head, end, rest = self.received.partition(b"\r\n\r\n")
        if not end:
            return
        lengths = [line.split(b":")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
        length = int(lengths[0]) if lengths else 0
        if len(rest) >= length:
            self.received = rest[length:]
            asyncio.get_running_loop().call_later(DELAY_S, self.answer, rest[:length])

    def answer(self, body: bytes) -> None:
        asked = json.loads(body or b"{}")
        room = {
            "id": f"room-{next(self.numbers)}",
            "title": asked.get("title"),
            "external_id": asked.get("external_id"),
        }
        content = json.dumps(room).encode()
        self.transport.write(_HEAD % len(content) + content)


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main())
