"""Where things are: the base by which a reader came, and the paths of uploads below it.

What is stored is a path. It becomes a URL for each reader, on the host that this reader came to: that one
surely leads here.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping
from dataclasses import replace
from typing import Any
from urllib.parse import quote, urlsplit

from ..models import Message, MessageType

THUMB_SIDES_PX = (100, 300)
URL_FIELDS = ("thumb_100_url", "thumb_300_url", "original_url", "file_url")

_SCHEMES = {"http": "http", "https": "https", "ws": "http", "wss": "https"}
# A name, an address of IPv4, or one of IPv6 in brackets; and a port.
_HOST = re.compile(r"([A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(:[0-9]{1,5})?")
_ORIGIN = re.compile(rf"https?://{_HOST.pattern}")
_UPLOAD_PATH = re.compile(r"/file/([A-Za-z0-9_-]{1,100})/[^/]+")


def base_url_of(scope: MutableMapping[str, Any], public_url: str | None, told: str | None = None) -> str:
    """Return the base, up to ``/v1``, of the hub as whoever sent this request reaches it.

    Args:
        scope: Of a route below ``/v1``.
        public_url: Where all reach it, if that is known.
        told: Where the site has sent this visitor (``VisitorTicket.hub_url``). What a proxy has taken off the path,
            only the site knows for sure.
    """
    if told is not None:
        return _origin_of(scope) + told if told.startswith("/") else told
    return public_url or _origin_of(scope) + quote(str(scope.get("root_path", "")))


def _origin_of(scope: MutableMapping[str, Any]) -> str:
    """Return scheme and host by which the request came.

    A page of this very host says by which scheme it was opened; a proxy before us may not.
    """
    host = _header(scope, b"host", _HOST) or _own_host(scope)
    origin = _header(scope, b"origin", _ORIGIN)
    return origin if origin.partition("://")[2] == host else f"{_SCHEMES[scope.get('scheme', 'http')]}://{host}"


def _header(scope: MutableMapping[str, Any], name: bytes, pattern: re.Pattern[str]) -> str:
    """Return the value of a header, unless it is missing, there twice or of another form."""
    values = [value.decode("latin-1") for key, value in scope["headers"] if key == name]
    return values[0] if len(values) == 1 and pattern.fullmatch(values[0]) else ""


def _own_host(scope: MutableMapping[str, Any]) -> str:
    """Return where the server listens: for clients that do not say whom they mean to ask."""
    host, port = scope.get("server") or ("localhost", None)
    if port is None:
        # A socket of this machine has no address that a browser could use.
        return "localhost"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def file_path(upload_id: str, file_name: str) -> str:
    """Return the path of an uploaded file; its name is there for people and for clients that know no other."""
    return f"/file/{upload_id}/{quote(file_name, safe='')}"


def thumb_path(upload_id: str, side_px: int) -> str:
    """Return the path of an image in small."""
    return f"/file/{upload_id}/thumb/{side_px}"


def upload_id_in(url: str | None) -> str | None:
    """Return which upload of ours a URL may name, on whatever host and below whatever prefix."""
    try:
        path = urlsplit(url or "").path
    except ValueError:
        return None
    start = path.rfind("/file/")
    match = _UPLOAD_PATH.fullmatch(path, start) if start >= 0 else None
    return match[1] if match else None


def with_pass(message: Message, file_pass: str) -> Message:
    """Return the message with paths that let its reader in; without a pass they let in everybody who has them."""
    if not file_pass or not has_paths(message):
        return message
    opened: dict[str, Any] = {}
    for name in URL_FIELDS:
        path = getattr(message, name)
        if path is not None and path.startswith("/"):
            opened[name] = f"{path}?pass={file_pass}"
    return replace(message, **opened)


def located(message: Message, base_url: str) -> Message:
    """Return the message with URLs in place of paths. To its sender, the URL of an upload is its key as well."""
    if message.type is MessageType.TEXT:
        return message
    paths = {name: getattr(message, name) for name in URL_FIELDS}
    urls = {name: base_url + path for name, path in paths.items() if path is not None and path.startswith("/")}
    if not urls:
        return message
    url = urls.get("original_url") or urls.get("file_url") or ""
    # As it was told when the file came: a pass is for reading.
    return replace(message, client_key=message.client_key or url.partition("?")[0] or None, **urls)


def has_paths(message: Message) -> bool:
    """Whether the message reads differently on each host."""
    if message.type is MessageType.TEXT:
        return False
    return any((getattr(message, name) or "").startswith("/") for name in URL_FIELDS)
