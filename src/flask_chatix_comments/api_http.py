"""Calls of the REST API over HTTP: requests by the table, timeouts, tries, and what failed how.

``api`` stands on it and gives the results their types. Everything that httpx raises ends here.
"""

from __future__ import annotations

import copy
import functools
import ipaddress
import json
import logging
import math
import os
import random
import re
import time
from collections.abc import Callable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar
from urllib.parse import quote, urlencode

import httpx

from .api_deadline import note_connection, time_limit
from .api_guard import ApiGuard
from .api_lines import Answer, HTTPException, NeverSentError, PlainLines, TooLargeError, is_direct
from .errors import ApiConnectionError, ApiError, ApiPayloadError, ApiStatusError, ApiTimeoutError, ConfigError
from .operations import Operation

ATTEMPTS = 3
FIRST_PAUSE_S = 0.2
MAX_PAUSE_S = 2.0
_LEAST_S = 0.01
MAX_RETRY_AFTER_S = 5.0
MAX_ANSWER_BYTES = 8 * 1024 * 1024
_RETRY_STATUSES = frozenset({408, 425, 429, 500, 502, 503, 504})
_T = TypeVar("_T")
# What goes wrong where an answer is JSON, but not what was asked for.
_MISREADINGS = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
# uvicorn drops an idle connection after 5 s: be the first, so that no request meets the drop.
_LIMITS = httpx.Limits(max_connections=100, max_keepalive_connections=64, keepalive_expiry=4.0)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HINTS = {
    401: " If CHATIX_API_KEY is set: check it, and CHATIX_API_AUTH_HEADER for the header that carries it. If not:"
    " another site's hub may answer on this port (CHATIX_HUB_PORT), or SECRET_KEY or CHATIX_HUB_API_KEY differs between"
    " the processes.",
    404: " If it should exist: check CHATIX_API_URL and CHATIX_API_OPERATIONS.",
}


class _UrlFilter(logging.Filter):
    """Keep visitors' ids, which are secrets on the hosted service, out of the lines that httpx itself logs."""

    def __init__(self) -> None:
        super().__init__()
        self.base_urls: set[str] = set()

    def filter(self, record: logging.LogRecord) -> bool:
        """Shorten our URLs to their base."""
        if isinstance(record.args, tuple):
            record.args = tuple(
                self._shortened(value) if isinstance(value, httpx.URL) else value for value in record.args
            )
        return True

    def _shortened(self, url: httpx.URL) -> object:
        base = next((base for base in self.base_urls if str(url).startswith(f"{base}/")), None)
        return url if base is None else f"{base}/…"


_url_filter = _UrlFilter()
logging.getLogger("httpx").addFilter(_url_filter)


class ApiCaller:
    """Sends what ``ChatixApi`` asks for; its arguments are described there."""

    def __init__(
        self,
        base_url: str,
        *,
        website_id: str,
        api_key: str,
        auth_header: str,
        timeout_s: float,
        operations: Mapping[str, Operation],
        transport: httpx.BaseTransport | None,
        sleep: Callable[[float], None],
        clock: Callable[[], float],
    ) -> None:
        self.base_url = _checked_url(base_url)
        _url_filter.base_urls.add(self.base_url)
        self.website_id = website_id
        self.sleep = sleep
        self.clock = clock
        self._api_key = api_key
        self._headers = _auth_headers(auth_header, api_key)
        self._timeout_s = timeout_s
        self._attempts = ATTEMPTS
        self._ends_at = math.inf
        self._is_for_reader = False
        self.guard = ApiGuard(self.base_url, clock=clock)
        self._operations = operations
        # A proxy of the environment is for the world outside, not for a hub on this machine.
        is_outside = not _is_loopback(self.base_url)
        self._client = _ProcessClient(transport, trust_env=is_outside)
        self._may_be_plain = transport is None and not (is_outside and not is_direct(httpx.URL(self.base_url)))
        self._lines: PlainLines | None = None

    def within(self, timeout_s: float) -> ApiCaller:
        """Return a caller over the same connections, with one try of *timeout_s*, for calls that readers wait for."""
        hurried = copy.copy(self)
        hurried._timeout_s = timeout_s
        hurried._attempts = 1
        hurried._is_for_reader = True
        return hurried

    def sharing(self, total_s: float) -> ApiCaller:
        """Return a caller over the same connections, whose calls take *total_s* together, tries and pauses included."""
        bounded = copy.copy(self)
        bounded._ends_at = self.clock() + total_s
        return bounded

    def in_bulk(self) -> ApiCaller:
        """Return a caller for thousands of calls: over plain connections, unless a proxy or a test is in between."""
        if not self._may_be_plain:
            return self
        plain = copy.copy(self)
        plain._lines = PlainLines(httpx.URL(self.base_url))
        return plain

    def close(self) -> None:
        """Close idle connections; a later call opens new ones."""
        self._client.close()

    def end_bulk(self) -> None:
        """Close the connections of ``in_bulk``, when no call is under way any more."""
        if self._lines is not None:
            self._lines.close()

    def call(self, name: str, read: Callable[[Any], _T], /, *, is_text_allowed: bool = False, **arguments: Any) -> _T:
        """Call until there is an answer or another try is not worth it; return what *read* makes of the result.

        Args:
            read: Gets the result as parsed; what it cannot make sense of is a failure of the API.
            is_text_allowed: Whether an answer that is no JSON is a result: its text.

        Raises:
            ApiError: There is no result; ``ApiPausedError`` if the API is not even asked.
        """
        operation = self._operations[name]
        with self.guard.call(name, is_for_reader=self._is_for_reader):
            result = self._call(operation, arguments, is_text_allowed=is_text_allowed)
            try:
                return read(result)
            except _MISREADINGS as exc:
                raise self.nonsense(name, "JSON that has not what was asked for") from exc

    def _call(self, operation: Operation, arguments: Mapping[str, Any], *, is_text_allowed: bool) -> Any:
        ends_at = min(self.clock() + 2 * self._timeout_s, self._ends_at)
        attempt = 1
        while True:
            try:
                content = self._exchange(operation, arguments, headers=self._headers)
                return self._result(operation, content, is_text_allowed=is_text_allowed)
            except (ApiConnectionError, ApiStatusError) as exc:
                pause_s = self._pause_s(operation, exc, attempt)
                if pause_s is None or self.clock() + pause_s > ends_at:
                    raise
            self.sleep(pause_s)
            attempt += 1

    def health(self) -> Any:
        """Return what our hub says of itself. Without the key: who knows who listens there."""
        operation = Operation("ping", "GET", "/health")
        return self._result(operation, self._exchange(operation, {}, headers={}), is_text_allowed=False)

    def nonsense(self, name: str, what: str) -> ApiPayloadError:
        """Return the error for an answer that is not what the table promises."""
        return ApiPayloadError(
            f"The API at {self.base_url} answered {name} with {what}. "
            "Check CHATIX_API_URL and this row of CHATIX_API_OPERATIONS.",
            operation=name,
        )

    def _pause_s(self, operation: Operation, error: ApiError, attempt: int) -> float | None:
        """Return how long to wait before the next try; ``None``: there is none."""
        if attempt >= self._attempts or not operation.is_repeatable:
            return None
        if isinstance(error, ApiStatusError):
            if error.status_code not in _RETRY_STATUSES:
                return None
            if error.retry_after_s is not None:
                return error.retry_after_s if error.retry_after_s <= MAX_RETRY_AFTER_S else None
        pause_s = min(MAX_PAUSE_S, FIRST_PAUSE_S * 2.0 ** (attempt - 1))
        return pause_s * random.uniform(0.5, 1.0)  # nosec B311  # spreads retries

    def _exchange(self, operation: Operation, arguments: Mapping[str, Any], *, headers: Mapping[str, str]) -> bytes:
        """Send one request and return the body of the answer, whose status is a success.

        Raises:
            ApiError: There is none.
        """
        given = {"website_id": self.website_id, **arguments}
        given = {name: value for name, value in given.items() if value is not None}
        path = operation.path.format_map({name: quote(str(value), safe="") for name, value in given.items()})
        body = {theirs: given[ours] for ours, theirs in operation.body.items() if ours in given}
        query = {theirs: given[ours] for ours, theirs in operation.query.items() if ours in given}
        limit_s = min(self._timeout_s, self._ends_at - self.clock())
        if limit_s <= 0:
            raise self._too_slow(operation, 0, may_have_arrived=False)
        send = self._send if self._lines is None else self._send_plainly
        headers = {"Accept": "application/json", **headers}
        answer = send(operation, self.base_url + path, query, body if operation.body else None, headers, limit_s)
        if not 200 <= answer.status_code < 300:
            raise self._refusal(operation, answer)
        return answer.content

    def _send(
        self,
        operation: Operation,
        url: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        limit_s: float,
    ) -> Answer:
        deadline = self.clock() + limit_s
        stream = functools.partial(
            self._client.get().stream, timeout=self._timeouts(), extensions={"trace": note_connection}
        )
        try:
            with (
                time_limit(lambda: deadline - self.clock()),
                stream(operation.method, url, params=query, json=body, headers=headers) as response,
            ):
                content = self._body(operation, response, deadline, limit_s)
                return Answer(response.status_code, response.headers.get("Retry-After"), content)
        except httpx.TimeoutException as exc:
            raise self._too_slow(operation, limit_s, may_have_arrived=not isinstance(exc, _NEVER_SENT)) from exc
        except httpx.DecodingError as exc:
            raise self.nonsense(operation.name, "a body that cannot be decompressed") from exc
        except (httpx.HTTPError, httpx.InvalidURL) as exc:
            raise self._no_answer(operation, exc, may_have_arrived=not isinstance(exc, _NEVER_SENT)) from exc

    def _send_plainly(
        self,
        operation: Operation,
        url: str,
        query: Mapping[str, Any],
        body: Mapping[str, Any] | None,
        headers: Mapping[str, str],
        limit_s: float,
    ) -> Answer:
        assert self._lines is not None
        target = "/" + url.partition("://")[2].partition("/")[2]
        target += f"?{urlencode({name: _in_query(value) for name, value in query.items()})}" if query else ""
        content = None if body is None else json.dumps(body).encode()
        headers = {**headers, "Content-Type": "application/json"} if content else headers
        try:
            return self._lines.exchange(
                operation.method, target, content, headers, timeout_s=limit_s, max_bytes=MAX_ANSWER_BYTES
            )
        except TooLargeError as exc:
            raise self.nonsense(operation.name, f"more than {MAX_ANSWER_BYTES} bytes") from exc
        except TimeoutError as exc:
            raise self._too_slow(operation, limit_s, may_have_arrived=True) from exc
        except (OSError, HTTPException) as exc:
            raise self._no_answer(operation, exc, may_have_arrived=not isinstance(exc, NeverSentError)) from exc

    def _no_answer(self, operation: Operation, exc: Exception, *, may_have_arrived: bool) -> ApiConnectionError:
        return ApiConnectionError(
            f"No answer from the API at {self.base_url} to {operation.name}: {exc or type(exc).__name__}.",
            operation=operation.name,
            may_have_arrived=may_have_arrived,
        )

    def _timeouts(self) -> httpx.Timeout:
        """Return the time limit of each step of a request; one after the other they fit into the time that is left."""
        # It was enough a moment ago; a socket takes no limit below zero.
        left_s = max(_LEAST_S, self._ends_at - self.clock())
        small_s, large_s = (min(self._timeout_s, left_s * part) for part in (1 / 6, 1 / 2))
        return httpx.Timeout(connect=small_s, pool=small_s, write=small_s, read=large_s)

    def _body(self, operation: Operation, response: httpx.Response, deadline: float, limit_s: float) -> bytes:
        """Read the body, neither endless nor for ever: httpx's timeout starts anew with each piece."""
        content = bytearray()
        for piece in response.iter_bytes():
            content += piece
            if len(content) > MAX_ANSWER_BYTES:
                raise self.nonsense(operation.name, f"more than {MAX_ANSWER_BYTES} bytes")
            if self.clock() > deadline:
                raise self._too_slow(operation, limit_s, may_have_arrived=True)
        return bytes(content)

    def _too_slow(self, operation: Operation, limit_s: float, *, may_have_arrived: bool) -> ApiTimeoutError:
        return ApiTimeoutError(
            f"The API at {self.base_url} did not answer {operation.name} within {limit_s:.3g} s.",
            operation=operation.name,
            timeout_s=limit_s,
            may_have_arrived=may_have_arrived,
        )

    def _refusal(self, operation: Operation, answer: Answer) -> ApiStatusError:
        is_redirect = answer.status_code in _REDIRECTS
        hint = " It redirects: check CHATIX_API_URL." if is_redirect else _HINTS.get(answer.status_code, "")
        return ApiStatusError(
            f"The API at {self.base_url} refused {operation.name} with status {answer.status_code}"
            f"{self._reason(answer.content)}.{hint}",
            operation=operation.name,
            status_code=answer.status_code,
            retry_after_s=_retry_after_s(answer.retry_after),
        )

    def _result(self, operation: Operation, content: bytes, *, is_text_allowed: bool) -> Any:
        """Parse the body of a success; find the result in it."""
        try:
            data = _parsed(content)
        except (ValueError, RecursionError) as exc:
            if is_text_allowed:
                return content.decode(errors="replace").strip()
            raise self.nonsense(operation.name, "something that is not JSON") from exc
        if isinstance(data, dict) and data.get("is_success") is False:
            raise ApiStatusError(
                f"The API at {self.base_url} refused {operation.name}{self._reason(content)}.",
                operation=operation.name,
                status_code=200,
            )
        for key in operation.result.split(".") if operation.result else ():
            if not isinstance(data, dict) or key not in data:
                raise self.nonsense(operation.name, f"no {operation.result!r} in it")
            data = data[key]
        return data

    def _reason(self, content: bytes) -> str:
        """Return the API's own sentence as ``: sentence``, on one line, without the key; or nothing."""
        try:
            data = _parsed(content)
        except (ValueError, RecursionError):
            return ""
        texts = [data.get(key) for key in ("error", "description")] if isinstance(data, dict) else []
        text = next((text for text in texts if isinstance(text, str) and text.strip()), "")
        text = "".join(c if c.isprintable() else " " for c in text.replace(self._api_key, "…"))
        return f": {' '.join(text.split())[:200].rstrip('.')}" if text else ""


class _ProcessClient:
    """The ``httpx.Client`` of this process, made on first use: sockets must not be shared over a fork."""

    def __init__(self, transport: httpx.BaseTransport | None, *, trust_env: bool) -> None:
        self._transport = transport
        self._trust_env = trust_env
        self._clients: dict[int, httpx.Client] = {}

    def get(self) -> httpx.Client:
        # No lock: a fork might copy it locked. Of two clients made at once, one is kept and one never used.
        # A parent's client stays where it is: closing it here would end the parent's TLS connections.
        client = self._clients.get(os.getpid())
        return client if client is not None else self._clients.setdefault(os.getpid(), self._make())

    def _make(self) -> httpx.Client:
        return httpx.Client(
            transport=self._transport, trust_env=self._trust_env, limits=_LIMITS, follow_redirects=False
        )

    def close(self) -> None:
        client = self._clients.pop(os.getpid(), None)
        if client is not None:
            client.close()


def _in_query(value: Any) -> str:
    """Return a value as httpx writes it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _parsed(content: bytes) -> Any:
    """Return *content* as JSON; an empty body, as some services answer to a deed, is ``None``."""
    return json.loads(content) if content.strip() else None


def _retry_after_s(value: str | None) -> float | None:
    """Read the header, a number of seconds or a date (RFC 9110, section 10.2.3)."""
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value.strip()):
        return float(value)
    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    except (ValueError, OverflowError, OSError):
        return None


def _checked_url(base_url: str) -> str:
    try:
        url = httpx.URL(base_url)
    except (httpx.InvalidURL, TypeError):
        raise ConfigError("CHATIX_API_URL", "It is not a URL.") from None
    if url.scheme not in {"http", "https"} or not url.host:
        raise ConfigError("CHATIX_API_URL", "It starts with http:// or https:// and names a host.")
    if url.userinfo or url.query or url.fragment:
        raise ConfigError("CHATIX_API_URL", "It has no user, query or fragment; the key is CHATIX_API_KEY.")
    return str(url).rstrip("/")


def _auth_headers(auth_header: str, api_key: str) -> dict[str, str]:
    name, _, scheme = (part.strip() for part in auth_header.partition(":"))
    if not re.fullmatch(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+", name) or not scheme.isascii() or not scheme.isprintable():
        raise ConfigError("CHATIX_API_AUTH_HEADER", "It is a header's name, or like 'Authorization: Bearer'.")
    if not api_key or not api_key.isascii() or not api_key.isprintable() or api_key != api_key.strip():
        raise ConfigError("CHATIX_API_KEY", "It is printable ASCII without blanks around it, and not empty.")
    return {name: f"{scheme} {api_key}".strip()}


def _is_loopback(base_url: str) -> bool:
    host = httpx.URL(base_url).host
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
