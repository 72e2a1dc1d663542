"""Which pages may use the hub: the check of ``Origin``, and CORS.

A request without an ``Origin`` comes from no page: it is allowed. Pages are allowed on any port of the
host by whose name the hub was reached, and on the origins of the configuration.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .web_log import Seldom

ALLOWED_METHODS = "GET, POST, DELETE, OPTIONS"
ALLOWED_HEADERS = "x-requested-with, x-signalr-user-agent, content-type, authorization"
# As long as Chromium keeps it.
PREFLIGHT_KEPT_S = 7200
# Anybody can send a long one.
MAX_LOGGED_CHARS = 200

Headers = Iterable[tuple[bytes, bytes]]

logger = logging.getLogger(__name__)


class OriginPolicy:
    """Decide by a request's headers.

    Args:
        allowed: Origins, spelled as browsers do.
    """

    def __init__(self, allowed: Sequence[str], seldom: Seldom | None = None) -> None:
        self._allowed = frozenset(origin.lower() for origin in allowed)
        self._seldom = seldom or Seldom()

    def is_allowed(self, headers: Headers) -> bool:
        """Whether the page that asks, if any, may use the hub. Now and then the log is told of one that may not."""
        headers = list(headers)
        is_allowed = self._is_allowed(headers)
        if not is_allowed and self._seldom.may_say("origin"):
            origin, host = (", ".join(_values(headers, name))[:MAX_LOGGED_CHARS] for name in (b"origin", b"host"))
            logger.warning(
                "A page of %r is refused at the hub, which it reached as %r. If it is a page of your site, add its"
                " origin to CHATIX_HUB_ALLOWED_ORIGINS, or let CHATIX_HUB_URL have the host name of your pages.",
                origin,
                host,
            )
        return is_allowed

    def _is_allowed(self, headers: Headers) -> bool:
        origins = _values(headers, b"origin")
        hosts = _values(headers, b"host")
        if not origins:
            return True
        if len(origins) > 1:
            return False
        origin = origins[0].lower()
        host_name = _host_name(f"//{hosts[0]}") if len(hosts) == 1 else None
        return origin in self._allowed or (host_name is not None and _web_host_name(origin) == host_name)


def _values(headers: Headers, name: bytes) -> list[str]:
    return [value.decode("latin-1") for key, value in headers if key == name]


def _host_name(url: str) -> str | None:
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None


def _web_host_name(origin: str) -> str | None:
    """Return the host of a web page; extensions and apps name hosts of their own, under schemes of their own."""
    return _host_name(origin) if origin.startswith(("http://", "https://")) else None


class CorsMiddleware:
    """Refuse pages that may not use the hub, and tell browsers of those that may (Fetch, "CORS protocol")."""

    def __init__(self, app: ASGIApp, policy: OriginPolicy) -> None:
        self._app = app
        self._policy = policy

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection; other kinds than HTTP pass unseen."""
        origins = _values(scope["headers"], b"origin") if scope["type"] == "http" else []
        if not origins:
            await self._app(scope, receive, send)
        elif not self._policy.is_allowed(scope["headers"]):
            await respond(send, 403, {"error": "Pages of this origin may not use the hub."}, [(b"vary", b"Origin")])
        elif scope["method"] == "OPTIONS":
            await respond(send, 204, None, [*_permission(origins[0]), *_preflight()])
        else:
            await self._app(scope, receive, _adding(_permission(origins[0]), send))


def _permission(origin: str) -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-origin", origin.encode("latin-1")),
        (b"access-control-allow-credentials", b"true"),
        (b"access-control-expose-headers", b"retry-after"),
        (b"vary", b"Origin"),
    ]


def _preflight() -> list[tuple[bytes, bytes]]:
    return [
        (b"access-control-allow-methods", ALLOWED_METHODS.encode()),
        (b"access-control-allow-headers", ALLOWED_HEADERS.encode()),
        (b"access-control-max-age", str(PREFLIGHT_KEPT_S).encode()),
    ]


def _adding(headers: list[tuple[bytes, bytes]], send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            message = {**message, "headers": [*message.get("headers", ()), *headers]}
        await send(message)

    return send_with_headers


async def respond(
    send: Send, status: int, body: dict[str, Any] | None, headers: Iterable[tuple[bytes, bytes]] = ()
) -> None:
    """Send a whole JSON response, or an empty one."""
    data = b"" if body is None else json.dumps(body).encode()
    about_body = [] if body is None else [(b"content-type", b"application/json")]
    length = [] if status == 204 else [(b"content-length", str(len(data)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": [*about_body, *length, *headers]})
    await send({"type": "http.response.body", "body": data})
