"""Before the framework: WebSockets go straight to their transport.

What stands between a server and an application stays in memory for as long as a connection lasts, and of the
framework there are a dozen layers. None of them has anything to do for WebSockets.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

from starlette.types import ASGIApp, Receive, Scope, Send


class Front:
    """Leads WebSockets past the rest.

    Args:
        app: Serves all else, WebSockets at other paths as well: it refuses them.
        base_path: What is before the path.
        path: Where the WebSockets are.
    """

    def __init__(self, app: ASGIApp, websockets: ASGIApp, *, base_path: str, path: str) -> None:
        self._app = app
        self._websockets = websockets
        self._path = base_path + path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] == "websocket" and scope["path"].removeprefix(scope.get("root_path", "")) == self._path:
            await self._websockets(scope, receive, send)
        else:
            await self._app(scope, receive, send)


def scope_below(scope: MutableMapping[str, Any], base_path: str) -> MutableMapping[str, Any]:
    """Return a scope as those see it who are mounted at *base_path*."""
    return {**scope, "root_path": scope.get("root_path", "") + base_path}
