"""Answers that come a byte at a time, wherever in them: no call takes longer than it may."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Iterator

import pytest

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.errors import ApiTimeoutError

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"
GZIP = OK + b"Content-Encoding: gzip\r\nContent-Length: 99999\r\n\r\n" + b"\x1f\x8b\x08\x10\0\0\0\0\0\0"
# What comes at once, and what comes again and again.
ANSWERS = {
    "headers": (OK + b"X: ", b"a"),
    "news of the answer": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "before a piece": (CHUNKED + b"1;", b"a"),
    "behind the last piece": (CHUNKED + b"0\r\nX: ", b"a"),
    "a compressed body": (GZIP, b"a"),
    "a body": (OK + b"Content-Length: 99999\r\n\r\n", b" "),
}


class Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer = (b"", b"")
        self.is_over = threading.Event()


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.request.recv(65_536)
        first, again = self.server.answer
        with contextlib.suppress(OSError):
            self.wfile.write(first)
            # Whoever waits for the end sees another error, after five seconds.
            for _ in range(100):
                self.wfile.write(again)
                if self.server.is_over.wait(0.05):
                    break


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.is_over.set()
        server.shutdown()
        thread.join()


@pytest.fixture(params=["httpx", "plain"])
def api(request: pytest.FixtureRequest, server: Server) -> Iterator[ChatixApi]:
    api = ChatixApi(f"http://127.0.0.1:{server.server_address[1]}/v1", website_id="w", api_key="the-key")
    yield api.in_bulk() if request.param == "plain" else api
    api.close()


@pytest.mark.parametrize("where", ANSWERS)
def test_an_answer_that_trickles(server: Server, api: ChatixApi, where: str) -> None:
    server.answer = ANSWERS[where]
    with pytest.raises(ApiTimeoutError) as raised:
        api.sharing(0.2).create_chatroom("x")
    assert raised.value.may_have_arrived
