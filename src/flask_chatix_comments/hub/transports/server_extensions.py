"""What our own server offers beyond ASGI, as extensions of a scope: ``web_protocols`` has them, others do not."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

#: ``{"call": register}``, where *register* takes what to call when the server shuts down. Both kinds of connections.
SHUTDOWN_EXTENSION = "chatix.shutdown"
#: ``{"call": send}``, where *send* sends a text and returns whether it did, without waiting. WebSockets.
SEND_EXTENSION = "chatix.send"


def call_at_shutdown(scope: MutableMapping[str, Any], farewell: Callable[[], None]) -> None:
    """Have *farewell* called when the server begins to shut down while this connection is open.

    Then there are some seconds for what is under way. Other servers close connections without a word.
    """
    register = _find(scope, SHUTDOWN_EXTENSION)
    if register is not None:
        register(farewell)


def find_send_now(scope: MutableMapping[str, Any]) -> Callable[[str], bool] | None:
    """Return what sends a text at once, or says that it cannot."""
    return _find(scope, SEND_EXTENSION)


def _find(scope: MutableMapping[str, Any], name: str) -> Callable[..., Any] | None:
    # Out of it: a scope is in memory for as long as its connection lasts.
    extension = (scope.get("extensions") or {}).pop(name, None)
    return extension["call"] if extension else None
