"""Read what a page sent, and refuse what no page of this site sends.

Nothing of it is believed: sizes, types and characters are checked before anything is looked up.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

from flask import request

MAX_BODY_BYTES = 64 * 1024
# As many as the sweep of browser/sweep.ts sends.
MAX_LEAVES = 100
MAX_ID_CHARS = 255
# A character of four bytes, each of them written with a percent sign.
_FORM_BYTES_PER_CHAR = 12

Body = dict[str, Any]


class RefusalError(Exception):
    """Ends a request with an answer that the script understands and people can read."""

    def __init__(self, status: int, error: str, message: str) -> None:
        super().__init__(error)
        self.status = status
        self.body: Body = {"error": error, "message": message}


def max_form_bytes(max_message_chars: int) -> int:
    """Return how large a form with a comment of this length may be; one that is somewhat longer is told so."""
    return MAX_BODY_BYTES + 2 * _FORM_BYTES_PER_CHAR * max_message_chars


def is_same_origin() -> bool:
    """Believe what the browser says; a client that says nothing is none, and has no cookies to abuse."""
    return is_said_to_be_same_origin() is not False


def is_said_to_be_same_origin() -> bool | None:
    """Return what the browser says of where a request comes from; ``None`` if it says nothing."""
    fetch_site = request.headers.get("Sec-Fetch-Site")
    if fetch_site is not None:
        return fetch_site == "same-origin"
    origin = request.headers.get("Origin")
    try:
        return None if origin is None else _is_own_origin(origin)
    except ValueError:
        return False


def _is_own_origin(origin: str) -> bool:
    url = urlsplit(origin)
    # A site behind a proxy that takes off the TLS may not know that its pages are https.
    is_own_scheme = url.scheme in {request.scheme, "https"}
    return is_own_scheme and url.netloc.lower() == request.host.lower() != ""


def read_body() -> Body:
    """Return the JSON object that was sent, of whatever content type: beacons may be sent as plain text."""
    try:
        body = json.loads(request.get_data())
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise RefusalError(400, "bad_request", "The request must be a JSON object.")
    return body


def read_text(body: Body, key: str) -> str | None:
    value = body.get(key)
    if value is not None and not isinstance(value, str):
        raise RefusalError(400, "bad_request", f"{key} must be text.")
    return value


def read_leaves(body: Body, *, names_connections: bool) -> list[tuple[str, str | None]]:
    """Return chatroom and connection of each.

    Args:
        names_connections: Whether one that names none is dropped, since it would take all tabs out; else none counts.
    """
    leaves = body.get("leaves")
    if not isinstance(leaves, list) or len(leaves) > MAX_LEAVES or not all(isinstance(item, dict) for item in leaves):
        raise RefusalError(400, "bad_request", f"leaves must be a list of at most {MAX_LEAVES} objects.")
    named = [(_read_id(item, "chatroom_id"), _read_id(item, "connection_id")) for item in leaves]
    if not names_connections:
        return [(chatroom_id, None) for chatroom_id, _ in named if chatroom_id]
    return [(chatroom_id, connection_id) for chatroom_id, connection_id in named if chatroom_id and connection_id]


def _read_id(item: Body, key: str) -> str | None:
    value = read_text(item, key)
    if value is not None and not (len(value) <= MAX_ID_CHARS and value.isprintable()):
        raise RefusalError(400, "bad_request", f"{key} is not an id.")
    return value
