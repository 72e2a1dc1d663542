"""HTTP requests, parsed; and what is raised on purpose, as a response."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..errors import (
    InvalidArgumentError,
    InvocationError,
    NameTakenError,
    NotAllowedError,
    NotFoundError,
    RequestRefusedError,
    StoreError,
    StoreFullError,
    TooOftenError,
)
from .limits import MAX_PAGE, check_id, check_number

MAX_ITEMS_PER_PAGE = 500
NO_STORE = {"Cache-Control": "no-store"}
STATUS_BY_ERROR = {NotFoundError: 404, NotAllowedError: 403, NameTakenError: 409, InvocationError: 400}


class Call:
    """A request, parsed: its query and its body, and where it reached the hub."""

    def __init__(self, query: Mapping[str, str], body: Mapping[str, Any], base_url: str) -> None:
        self.query = query
        self.body = body
        self.base_url = base_url

    def id(self, name: str) -> str:
        """Return an id of the query."""
        return check_id(self.query.get(name), name=name)

    def optional_id(self, name: str) -> str | None:
        """Return an id of the query, if it is there; an empty one is no id, and never means "any"."""
        return self.id(name) if name in self.query else None

    def number(self, name: str, *, default: int, largest: int) -> int:
        """Return a whole number of the query."""
        text = self.query.get(name)
        if text is None:
            return default
        number = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
        return check_number(number, name=name, largest=largest)

    def flag(self, name: str) -> bool:
        """Return a flag of the query; false when it is not there."""
        text = self.query.get(name, "false").lower()
        if text not in ("true", "false", "1", "0"):
            raise InvalidArgumentError(f"{name} is true or false.")
        return text in ("true", "1")

    def page(self) -> dict[str, int]:
        """Return which page is wanted."""
        return {
            "page": self.number("page", default=1, largest=MAX_PAGE),
            "items_per_page": self.number("itemsPerPage", default=100, largest=MAX_ITEMS_PER_PAGE),
        }


def digests_of(keys: Sequence[str]) -> tuple[bytes, ...]:
    """Return keys as ``is_key`` takes them."""
    return tuple(_digest(key) for key in keys)


def is_key(given: str, digests: Sequence[bytes]) -> bool:
    """Whether *given*, as it came in a header, is one of our keys."""
    digest = _digest(given)
    # Digests are of one length, and all of them are compared: how long that takes tells nothing.
    return any([hmac.compare_digest(digest, one) for one in digests])


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogateescape")).digest()


async def read_body(request: Request, *, limit_bytes: int) -> Mapping[str, Any]:
    """Return the JSON object that a request carries; one without a body carries an empty one."""
    data = bytearray()
    async for chunk in request.stream():
        data += chunk
        if len(data) > limit_bytes:
            raise RequestRefusedError(413, f"The body is larger than the {limit_bytes} bytes allowed.")
    if not data:
        return {}
    try:
        body = msgspec.json.decode(bytes(data))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as exc:
        raise InvalidArgumentError("The body is not JSON.") from exc
    if not isinstance(body, dict):
        raise InvalidArgumentError("The body is not a JSON object.")
    return body


async def refusal_to_response(_: Request, exc: Exception) -> Response:
    """Answer what was raised on purpose."""
    if isinstance(exc, RequestRefusedError):
        return _error(exc.status_code, str(exc), retry_after_s=exc.retry_after_s)
    if isinstance(exc, StoreFullError):
        return _error(507, exc.FOR_PEOPLE)
    if isinstance(exc, StoreError):
        return _error(503, "The hub's database cannot be used right now.")
    if isinstance(exc, TooOftenError):
        return _error(429, str(exc), retry_after_s=exc.retry_after_s)
    status = next(status for kind, status in STATUS_BY_ERROR.items() if isinstance(exc, kind))
    return _error(status, str(exc))


def _error(status_code: int, message: str, *, retry_after_s: int | None = None) -> Response:
    headers = {"Retry-After": str(retry_after_s or 1)} if status_code in (429, 503) else {}
    return JSONResponse({"error": message}, status_code=status_code, headers=NO_STORE | headers)
