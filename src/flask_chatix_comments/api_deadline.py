"""One time limit for all that is read of an answer, over httpx and over plain connections.

Both know limits for each single wait only. Whoever sends a byte now and then, in headers, before a piece of the body or
as news of an answer that is still to come (RFC 9110, section 15.2), would hold up its caller for hours.
"""

from __future__ import annotations

import contextlib
import functools
import io
import socket
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from http.client import HTTPResponse
from typing import Any

import httpx

# Of the request under way in this thread: returns how many seconds are left.
_left_s: ContextVar[Callable[[], float] | None] = ContextVar("left_s", default=None)
_OPENED = ("connect_tcp.complete", "start_tls.complete")


@contextlib.contextmanager
def time_limit(left_s: Callable[[], float]) -> Iterator[None]:
    """Limit what requests of httpx read in this thread, over connections that ``note_connection`` knows."""
    token = _left_s.set(left_s)
    try:
        yield
    finally:
        _left_s.reset(token)


def note_connection(event: str, info: Mapping[str, Any]) -> None:
    """Have a connection that is opened mind the time limit of whoever uses it: a ``trace`` extension for httpx."""
    if event.endswith(_OPENED):
        stream = info["return_value"]
        stream.read = functools.partial(_read, stream.read)


def _read(read: Callable[..., bytes], max_bytes: int, timeout: float | None = None) -> bytes:
    left_s = _left_s.get()
    if left_s is None:
        return read(max_bytes, timeout=timeout)
    limit_s = left_s()
    if limit_s <= 0:
        raise httpx.ReadTimeout("The time for the whole answer is over.")
    return read(max_bytes, timeout=limit_s if timeout is None else min(timeout, limit_s))


def timed_response(left_s: Callable[[], float], connection: socket.socket, *, method: str) -> HTTPResponse:
    """Return the standard library's response, whose reading ends with ``TimeoutError`` when no time is left."""
    return HTTPResponse(_TimedSocket(connection, left_s), method=method)  # type: ignore[arg-type] # Needs makefile alone.


class _TimedSocket:
    def __init__(self, connection: socket.socket, left_s: Callable[[], float]) -> None:
        self._connection = connection
        self._left_s = left_s

    def makefile(self, mode: str) -> io.BufferedReader:
        return io.BufferedReader(_TimedReader(self._connection, self._left_s))


class _TimedReader(io.RawIOBase):
    def __init__(self, connection: socket.socket, left_s: Callable[[], float]) -> None:
        self._connection = connection
        self._left_s = left_s
        # Keeps the socket open until the response is read, should its connection be closed before.
        self._file = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError
        self._connection.settimeout(left_s)
        return self._file.readinto(buffer)

    def close(self) -> None:
        self._file.close()
        super().close()
