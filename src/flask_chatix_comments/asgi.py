"""Site and hub as one ASGI application on one port: ``asgi = mount(app)``, served by ``uvicorn blog:asgi``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any, cast

from flask import Flask

from .errors import ConfigError
from .state import get_state

if TYPE_CHECKING:
    from .hub.mounted import MountedHub

__all__ = ["mount"]

THREADS = 16

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Scope]]
Send = Callable[[Scope], Awaitable[None]]
ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]


def mount(app: Flask, *, threads: int = THREADS) -> ASGIApp:
    """Return one ASGI application with the site and its hub, for one process.

    The hub lives in the application's lifespan, below the section's views. With settings that name a hub
    elsewhere or the hosted service there is none, and the site is served alone.

    Args:
        app: The site, on which ``init_app`` has been called. Its requests are served in threads.
        threads: How many requests of the site are served at once.

    Raises:
        ConfigError: The site has no comment section, or a package is missing.
    """
    state = get_state(app)
    try:
        from a2wsgi import WSGIMiddleware
    except ImportError as exc:
        message = "needs a2wsgi, which is not installed; run pip install 'flask-chatix-comments[hub]'."
        raise ConfigError("mount", message) from exc
    # a2wsgi spells WSGI's and ASGI's types out, each key of a dict, where others say "a mapping".
    site = _without_disguise(cast(ASGIApp, WSGIMiddleware(cast(Any, app), workers=threads)))
    if state.own_hub is None:
        return site
    from .hub.mounted import MountedHub
    from .hub.web_log import install_for_mounted

    path = state.config.mounted_hub_path
    install_for_mounted(path)
    state.own_hub.mounted = MountedHub(state.hub_config(), lock_path=state.config.hub_lock_path)
    return SiteAndHub(site, state.own_hub.mounted, path)


class SiteAndHub:
    """Hands each connection to whom it is for; the lifespan is the hub's.

    Args:
        path: Where the hub is, below the application's root.
    """

    def __init__(self, site: ASGIApp, hub: MountedHub, path: str) -> None:
        self._site = site
        self._hub = hub
        self._path = path

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection, or the lifespan."""
        if scope["type"] == "lifespan":
            await self._hub(scope, receive, send)
            return
        root = str(scope.get("root_path", ""))
        path = str(scope["path"]).removeprefix(root)
        if path == self._path or path.startswith(f"{self._path}/"):
            await self._hub({**scope, "root_path": root + self._path}, receive, send)
        else:
            await self._site(scope, receive, send)


def _without_disguise(site: ASGIApp) -> ASGIApp:
    """Return the site without headers that WSGI cannot tell from others.

    ``X_Forwarded_For`` would be read as ``X-Forwarded-For``, which a proxy in front has not seen to.
    """

    async def serve(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope.get("headers", ()) if b"_" not in name]
        await site({**scope, "headers": headers}, receive, send)

    return serve
