"""An API that answers anything but what it promises: the page stays whole, and the section says how it is."""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from tests.e2e.support import Reader, Site, section, wait_until

pytestmark = pytest.mark.browser
NewReader = Callable[..., Reader]

ANSWERS = {
    "401": (401, '{"error": "Who are you?"}', "application/json"),
    "404": (404, "not here", "text/plain"),
    "429": (429, "{}", "application/json"),
    "500": (500, "oops", "text/plain"),
    "HTML": (200, "<html><h1>Maintenance</h1>", "text/html"),
    "nothing": (200, "", "application/json"),
    "half": (200, '{"id": "room-', "application/json"),
}


class BadApi(ThreadingHTTPServer):
    """Answers every request with the same; or not before it is released.

    Attributes:
        asked: How many requests have come.
        resets: Whether it breaks each connection instead.
    """

    answer = ANSWERS["500"]
    asked = 0
    resets = False
    retry_after = "1"

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.may_answer = threading.Event()
        self.may_answer.set()
        self.silenced = 0


class Handler(BaseHTTPRequestHandler):
    server: BadApi

    def do_GET(self) -> None:
        self.server.asked += 1
        if self.server.resets:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            return
        if not self.server.may_answer.is_set():
            self.server.silenced += 1
            self.server.may_answer.wait()
            return
        status, body, content_type = self.server.answer
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Retry-After", self.server.retry_after)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@pytest.fixture
def bad_api() -> Iterator[BadApi]:
    with BadApi(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.may_answer.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def site(tmp_path: Path, bad_api: BadApi) -> Iterator[Site]:
    url = f"http://127.0.0.1:{bad_api.server_port}/v1"
    settings = {
        "CHATIX_WEBSITE_ID": "site-1234",
        "CHATIX_API_KEY": "a-secret-of-the-account",
        "CHATIX_API_URL": url,
        "CHATIX_API_TIMEOUT": "3",
    }
    site = Site(tmp_path / "data", settings=settings)
    site.start()
    yield site
    site.stop()


def test_whatever_the_api_answers_the_page_stays_whole(site: Site, bad_api: BadApi, new_reader: NewReader) -> None:
    for slug, name in zip(site.slugs(), ANSWERS, strict=False):
        bad_api.answer = ANSWERS[name]
        page = new_reader().open(site.post_url(slug))
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        found = section(page)
        found.scroll_into_view_if_needed()
        expect(found.get_by_role("status")).to_have_text("Offline")
        # What went wrong is the site's business; the reader is told what that means for the comments.
        expect(found).to_contain_text("The comments are on their way")
        expect(found).not_to_contain_text("API")
        page.close()
    assert "a-secret-of-the-account" not in site.log
    assert "CHATIX_API_KEY" in site.log


def test_an_api_that_takes_requests_and_never_answers(site: Site, bad_api: BadApi, new_reader: NewReader) -> None:
    slug = site.slugs()[0]
    bad_api.may_answer.clear()
    page = new_reader().open(site.post_url(slug))
    # The page does not wait for it, nor do others while one request does.
    expect(page.get_by_role("heading", level=1)).to_be_visible()
    found = section(page)
    found.scroll_into_view_if_needed()
    wait_until(lambda: bad_api.silenced, "the API to be asked")
    assert site.answers()
    expect(found.get_by_role("status")).to_have_text("Offline")
    expect(found).not_to_contain_text("API")
    wait_until(lambda: "did not answer create_chatroom within" in site.log, "the log to say so")
    assert "a-secret-of-the-account" not in site.log


def test_comments_come_by_themselves_when_the_api_does(site: Site, bad_api: BadApi, new_reader: NewReader) -> None:
    bad_api.resets = True
    found = section(new_reader().open(site.post_url(site.slugs()[0])))
    found.scroll_into_view_if_needed()
    expect(found).to_contain_text("The comments are on their way")
    wait_until(lambda: "is left alone for" in site.log, "the site to leave the API alone")
    # Now it costs nothing: neither the API nor the workers of the site have anything to do with readers who ask.
    asked, began = bad_api.asked, time.monotonic()
    for _ in range(20):
        assert site.answers()
    assert bad_api.asked - asked <= 1 + time.monotonic() - began
    bad_api.resets = False
    bad_api.answer = (200, '{"id": "room-1", "title": "x", "items": [], "total": 0}', "application/json")
    with found.page.expect_response(lambda answer: answer.url.endswith("/join") and answer.ok):
        pass
    assert "answers again, after" in site.log
    assert "Traceback" not in site.log


def test_an_api_that_wants_to_be_left_alone_is(site: Site, bad_api: BadApi, new_reader: NewReader) -> None:
    bad_api.answer = (429, "{}", "application/json")
    bad_api.retry_after = "600"
    for slug in site.slugs()[:3]:
        found = section(new_reader().open(site.post_url(slug)))
        found.scroll_into_view_if_needed()
        expect(found).to_contain_text("The comments are on their way")
    assert bad_api.asked == 1
