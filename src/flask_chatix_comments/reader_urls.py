"""Where readers find the hub, which may be elsewhere than where the site does."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import quote, urlsplit

from flask import has_request_context, request

from .state import AppState

# What may stand in a URL's path (RFC 3986, section 3.3); a prefix that a proxy names may have escapes already.
_IN_PATH = "/%!$&'()*+,;=:@~"


def hub_url_for_reader(state: AppState) -> str:
    """Return where the reader finds the hub.

    The one of the development server is under the host name by which the reader came: that one surely leads here. It
    speaks plain HTTP, whatever a proxy before the site speaks.
    """
    told = told_hub_url(state)
    if told is not None:
        return told
    host = urlsplit(f"//{request.host}").hostname or "localhost"
    port = state.hub_port
    return f"http://[{host}]:{port}/v1" if ":" in host else f"http://{host}:{port}/v1"


def told_hub_url(state: AppState) -> str | None:
    """Return where readers find the hub, unless it is where it listens; the hub learns this by the ticket.

    One that is mounted is on the page's own origin, and only the browser knows for sure what that is: a path.
    """
    if state.config.hub_url:
        return state.config.hub_url
    if state.own_hub is not None and state.own_hub.is_mounted:
        return quote(f"{request.root_path}{state.config.mounted_hub_path}/v1", safe=_IN_PATH)
    return None


def locator(state: AppState) -> tuple[str, Callable[[str], str | None]]:
    """Return where this reader finds the hub, and what makes addresses there of those that the API told the site."""
    if state.config.is_hosted:
        return "", lambda url: None
    base = hub_url_for_reader(state) if has_request_context() else state.config.hub_url or state.api_url
    told = (f"{state.api_url}/file/", f"{base}/file/")

    def locate(url: str) -> str | None:
        return next((f"{base}/file/{url[len(one) :]}" for one in told if url.startswith(one)), None)

    return base, locate
