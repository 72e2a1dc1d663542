"""The end of the server: some can tell an application beforehand, with a part of a scope that is our own."""

from __future__ import annotations

from collections.abc import Callable, MutableMapping
from typing import Any

#: A scope's extension, ``{"call": register}``: our ``web_protocols`` have it, for both kinds of connections.
SHUTDOWN_EXTENSION = "chatix.shutdown"


def call_at_shutdown(scope: MutableMapping[str, Any], farewell: Callable[[], None]) -> None:
    """Have *farewell* called when the server begins to shut down while this connection is open.

    Then there are some seconds for what is under way. Other servers close connections without a word.
    """
    extension = (scope.get("extensions") or {}).get(SHUTDOWN_EXTENSION)
    if extension is not None:
        extension["call"](farewell)
