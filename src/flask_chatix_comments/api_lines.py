"""Plain connections for thousands of calls in a row: one of the standard library's for each thread.

httpx takes three times as long for a call, which is of no account for one, and decides for a backfill.
"""

from __future__ import annotations

import functools
import http.client
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException, IncompleteRead
from time import monotonic
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpx

from .api_deadline import timed_response

__all__ = ["Answer", "HTTPException", "NeverSentError", "PlainLines", "TooLargeError", "is_direct"]

# uvicorn drops an idle connection after 5 s: be the first, so that no request meets the drop.
MAX_IDLE_S = 4.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, what its ``Retry-After`` says, and the body."""

    status_code: int
    retry_after: str | None
    content: bytes


class NeverSentError(OSError):
    """There is no connection: the request has not left."""


class TooLargeError(HTTPException):
    """The body is larger than was allowed."""


class _InOnePiece(http.client.HTTPConnection):
    """Sends head and body of a request together: what costs most, by far, is to call the system."""

    _pieces: list[bytes] | None = None

    def request_at_once(self, method: str, target: str, body: bytes | None, headers: Mapping[str, str]) -> None:
        """Send a request."""
        pieces: list[bytes] = []
        self._pieces = pieces
        try:
            self.request(method, target, body, dict(headers))
        finally:
            self._pieces = None
        self.send(b"".join(pieces))

    def send(self, data: Any) -> None:
        """Send bytes, or keep them until all of the request are there."""
        if self._pieces is None:
            super().send(data)
        else:
            self._pieces.append(data)


class _InOnePieceByTls(_InOnePiece, http.client.HTTPSConnection):
    """The same, encrypted."""


class PlainLines:
    """Sends requests to one server. Safe for threads and forks.

    Args:
        url: Of the server; its path counts for nothing here.
    """

    def __init__(self, url: httpx.URL) -> None:
        self._url = url
        self._context = httpx.create_ssl_context() if url.scheme == "https" else None
        self._local = threading.local()
        self._open_ones: set[_InOnePiece] = set()

    def close(self) -> None:
        """Close all connections, when no thread uses one any more."""
        while self._open_ones:
            self._open_ones.pop().close()

    def exchange(
        self,
        method: str,
        target: str,
        body: bytes | None,
        headers: Mapping[str, str],
        *,
        timeout_s: float,
        max_bytes: int,
    ) -> Answer:
        """Send a request and read the answer.

        Args:
            timeout_s: For all of it.

        Raises:
            NeverSentError: There is no connection.
            OSError: The connection broke, or was too slow (``TimeoutError``).
            HTTPException: What came is no HTTP, or ``TooLargeError``.
        """
        deadline = monotonic() + timeout_s
        connection = self._connection(timeout_s)
        response: http.client.HTTPResponse | None = None
        try:
            connection.request_at_once(method, target, body, headers)
            timed = functools.partial(timed_response, lambda: deadline - monotonic())
            connection.response_class = timed  # type: ignore[assignment] # It is only called.
            response = connection.getresponse()
            if response.status < 200:
                # The standard library knows none of these but 100; the answer itself is still to come.
                raise HTTPException(f"An interim answer, {response.status}, instead of an answer")
            content = bytearray()
            while piece := response.read1(65_536):
                content += piece
                if len(content) > max_bytes:
                    raise TooLargeError
                if monotonic() > deadline:
                    raise TimeoutError
            if response.length:
                raise IncompleteRead(bytes(content), response.length)
        except BaseException:
            # What is left on the line would be taken for the answer to the next request.
            self._drop()
            raise
        finally:
            # The response, not the connection: only then does that take another request.
            if response is not None:
                response.close()
        self._local.used_at = monotonic()
        if response.will_close:
            self._drop()
        return Answer(response.status, response.getheader("Retry-After"), bytes(content))

    def _connection(self, timeout_s: float) -> _InOnePiece:
        local = self._local
        connection: _InOnePiece | None = getattr(local, "connection", None)
        is_ours = connection is not None and local.pid == os.getpid()
        if connection is not None and is_ours and monotonic() - local.used_at < MAX_IDLE_S:
            connection.sock.settimeout(timeout_s)
            return connection
        if is_ours:
            self._drop()
        connection = self._open(timeout_s)
        local.connection, local.pid, local.used_at = connection, os.getpid(), monotonic()
        self._open_ones.add(connection)
        return connection

    def _open(self, timeout_s: float) -> _InOnePiece:
        host, port = self._url.host, self._url.port
        connection = (
            _InOnePiece(host, port, timeout=timeout_s)
            if self._context is None
            else _InOnePieceByTls(host, port, timeout=timeout_s, context=self._context)
        )
        try:
            connection.connect()
        except OSError as exc:
            connection.close()
            raise NeverSentError(str(exc) or "It took too long to connect") from exc
        return connection

    def _drop(self) -> None:
        connection: _InOnePiece | None = getattr(self._local, "connection", None)
        self._local.connection = None
        if connection is not None:
            connection.close()
            self._open_ones.discard(connection)


def is_direct(url: httpx.URL) -> bool:
    """Whether no proxy of the environment stands between us and *url*."""
    proxies = getproxies()
    return not (proxies.get(url.scheme) or proxies.get("all")) or bool(proxy_bypass(url.host))
