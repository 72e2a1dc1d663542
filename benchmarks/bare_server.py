"""The least that tells a thousand WebSockets something: the same server, no protocol, nothing stored.

Run by ``fanout.py``; its standard input is the text. Whoever sends anything has it sent to all, and gets an answer.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]

TEXT = sys.stdin.read()
ANSWER = '{"type":3}\x1e'
everybody: list[Send] = []


async def app(scope: dict[str, Any], receive: Callable[[], Awaitable[dict[str, Any]]], send: Send) -> None:
    if scope["type"] != "websocket":
        return
    await receive()
    await send({"type": "websocket.accept"})
    everybody.append(send)
    while (await receive())["type"] == "websocket.receive":
        for one in everybody:
            await one({"type": "websocket.send", "text": TEXT})
        await send({"type": "websocket.send", "text": ANSWER})
    everybody.remove(send)


def main() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(listener.getsockname()[1], flush=True)
        config = uvicorn.Config(
            app,
            loop="asyncio",
            http="h11",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            lifespan="off",
            access_log=False,
            log_config=None,
        )
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
