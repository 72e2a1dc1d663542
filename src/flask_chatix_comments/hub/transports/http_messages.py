"""What the transports over plain HTTP say and hear, in raw ASGI."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from ...errors import RequestRefusedError
from .outlet import Message, Send

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Header = tuple[bytes, bytes]

NO_STORE = (b"cache-control", b"no-store")
PLAIN_TEXT = (b"content-type", b"text/plain; charset=utf-8")


def start(status: int, *headers: Header) -> Message:
    """Return the message that begins an answer."""
    return {"type": "http.response.start", "status": status, "headers": list(headers)}


def piece(text: str, *, is_last: bool = False) -> Message:
    """Return a message with a part of an answer's body."""
    return {"type": "http.response.body", "body": text.encode(), "more_body": not is_last}


def length_of(body: str) -> Header:
    """Return the header that says how long the body is."""
    return (b"content-length", str(len(body.encode())).encode())


async def answer(send: Send, status: int, *headers: Header) -> None:
    """Send an answer without a body."""
    about_body = () if status == 204 else (PLAIN_TEXT, length_of(""))
    await send(start(status, NO_STORE, *about_body, *headers))
    await send(piece("", is_last=True))


async def refuse(send: Send, status: int, reason: str, *headers: Header) -> None:
    """Send an answer that says why it is no other."""
    body = json.dumps({"error": reason})
    await send(start(status, NO_STORE, (b"content-type", b"application/json"), length_of(body), *headers))
    await send(piece(body, is_last=True))


async def wait_for_end(receive: Receive) -> None:
    """Wait until the client of a request is gone, or the answer complete."""
    while (await receive())["type"] != "http.disconnect":
        pass


async def read_text(receive: Receive, *, limit_bytes: int, timeout_s: float) -> str | None:
    """Return the body of a request; ``None`` when the client goes away before its end.

    Raises:
        RequestRefusedError: It is too large, too slow or no text.
    """
    try:
        async with asyncio.timeout(timeout_s):
            body = await _read(receive, limit_bytes)
        return None if body is None else body.decode()
    except TimeoutError:
        raise RequestRefusedError(408, "The body did not come in time.") from None
    except UnicodeDecodeError:
        raise RequestRefusedError(400, "The body is not UTF-8.") from None


async def _read(receive: Receive, limit_bytes: int) -> bytes | None:
    body = bytearray()
    while (event := await receive())["type"] == "http.request":
        body += event.get("body", b"")
        if len(body) > limit_bytes:
            raise RequestRefusedError(413, f"The body is larger than the {limit_bytes} bytes allowed.")
        if not event.get("more_body", False):
            return bytes(body)
    return None
