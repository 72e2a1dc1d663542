"""A real hub, and pages in Chromium that hold one of the published npm clients."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.hub.server import HubThread
from tests.e2e.support import running_hub

HERE = Path(__file__).parent
API_KEY = "interop-key-of-some-length"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HubThread]:
    with running_hub(tmp_path_factory.mktemp("hub"), website_id="local", api_key=API_KEY) as hub:
        yield hub


@pytest.fixture(scope="module")
def api(hub: HubThread) -> Iterator[ChatixApi]:
    api = ChatixApi(hub.url, website_id="local", api_key=API_KEY)
    yield api
    api.close()


@pytest.fixture(scope="module")
def bundles(hub: HubThread, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Bundle the clients; chatix-core's base URL is this hub's."""
    folder = tmp_path_factory.mktemp("bundles")
    subprocess.run(["node", str(HERE / "build.mjs"), str(folder), hub.url], check=True, timeout=120)
    return folder


class BlogHandler(BaseHTTPRequestHandler):
    """Every page of this blog is empty."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>Blog</title>")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def blog() -> Iterator[str]:
    """A site on another port than the hub's. A real one: Chromium lets no made-up page reach this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), BlogHandler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def open_client(chromium: Browser, bundles: Path, blog: str) -> Iterator[Callable[..., Page]]:
    """Open pages with a client in them: on another port than the hub, as a blog is."""
    contexts = []

    def open_page(client: str, *, beside: Page | None = None, without: Iterable[str] = ()) -> Page:
        """Open one; *without* are what this browser does not have."""
        if beside is None:
            contexts.append(chromium.new_context())
            contexts[-1].add_init_script("".join(f"delete window.{name};" for name in without))
        context = beside.context if beside is not None else contexts[-1]
        page = context.new_page()
        script = (bundles / f"{client}.js").read_text()
        page.goto(f"{blog}/post?draft=1#end")
        page.add_script_tag(content=script)
        return page

    yield open_page
    for context in contexts:
        context.close()
