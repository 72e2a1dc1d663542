"""Plain connections: the same answers and the same errors as by httpx, over one connection for each thread."""

from __future__ import annotations

import json
import os
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from flask_chatix_comments import api_http, api_lines
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.api_lines import is_direct
from flask_chatix_comments.errors import ApiConnectionError, ApiPayloadError, ApiStatusError, ApiTimeoutError

ROOM = b'{"id": "room-1", "title": "The title"}'


def answer(body: bytes = ROOM, status: str = "200 OK", *more: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *more, "", ""]
    return "\r\n".join(lines).encode() + body


class Server(socketserver.ThreadingTCPServer):
    """Answers each request with the next of *answers*; notes requests, and how many connections there were.

    An answer of ``None`` ends the connection; a function is called first.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answers: list[bytes | None | Callable[[], bytes]] = []
        self.requests: list[bytes] = []
        self.connections = 0
        self.hangs_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/some/v1"


class Handler(socketserver.StreamRequestHandler):
    server: Server

    def handle(self) -> None:
        self.server.connections += 1
        while head := self._head():
            length = int(dict(line.split(b": ") for line in head.split(b"\r\n")[1:] if line).get(b"Content-Length", 0))
            self.server.requests.append(head + self.rfile.read(length))
            what = self.server.answers.pop(0) if self.server.answers else answer()
            if what is None:
                return
            self.wfile.write(what() if callable(what) else what)
            if self.server.hangs_up:
                return

    def _head(self) -> bytes:
        lines = []
        while (line := self.rfile.readline()).strip():
            lines.append(line)
        return b"".join(lines)


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture
def api(server: Server) -> Iterator[ChatixApi]:
    api = ChatixApi(server.url, website_id="site 1", api_key="the-key", timeout_s=5).in_bulk()
    yield api
    api.end_bulk()


def test_sends_what_httpx_sends(server: Server, api: ChatixApi) -> None:
    through_httpx = ChatixApi(server.url, website_id="site 1", api_key="the-key")
    for client in (api, through_httpx):
        assert client.create_chatroom("Ä ☂", is_private=True, external_id="a/b?").title == "The title"
        server.answers.append(answer(b'{"items": []}'))
        client.list_chatrooms(include_deleted=True)
    through_httpx.close()
    create, listing, *by_httpx = map(_parts, server.requests)
    assert create == by_httpx[0]
    assert listing == by_httpx[1]
    assert create[0] == b"POST /some/v1/chatroom/create?websiteId=site+1 HTTP/1.1"
    assert create[1][b"X-Api-Key".lower()] == b"the-key"
    assert b"includeDeleted=true" in listing[0]


def _parts(request: bytes) -> tuple[bytes, dict[bytes, bytes], object]:
    first, *lines = request.split(b"\r\n")
    body = lines.pop()
    headers = {line.split(b": ")[0].lower(): line.split(b": ")[1] for line in lines if line}
    kept = {b"accept", b"x-api-key", b"content-type", b"host"}
    return (
        first.replace(b"%20", b"+"),
        {name: value for name, value in headers.items() if name in kept},
        json.loads(body) if body else None,
    )


def test_one_connection_serves_many_calls(server: Server, api: ChatixApi) -> None:
    for _ in range(5):
        api.create_chatroom("x")
    assert server.connections == 1


def test_each_thread_has_its_own(server: Server, api: ChatixApi) -> None:
    together = threading.Barrier(4)

    def answer_together() -> bytes:
        together.wait(10)
        return answer()

    server.answers += [answer_together] * 4
    with ThreadPoolExecutor(4) as threads:
        for future in [threads.submit(api.create_chatroom, "x") for _ in range(4)]:
            assert future.result().chatroom_id == "room-1"
    assert server.connections == 4


def test_one_that_was_idle_is_replaced(server: Server, api: ChatixApi, monkeypatch: pytest.MonkeyPatch) -> None:
    api.create_chatroom("x")
    monkeypatch.setattr(api_lines, "MAX_IDLE_S", 0)
    api.create_chatroom("x")
    assert server.connections == 2


def test_one_that_the_server_closes_is_replaced(server: Server, api: ChatixApi) -> None:
    server.answers.append(answer(ROOM, "200 OK", "Connection: close"))
    api.create_chatroom("x")
    api.create_chatroom("x")
    assert server.connections == 2


def test_a_forked_child_opens_its_own(server: Server, api: ChatixApi) -> None:
    api.create_chatroom("x")
    pid = os.fork()
    if pid == 0:
        os._exit(0 if api.create_chatroom("x").chatroom_id == "room-1" else 1)
    assert os.waitpid(pid, 0)[1] == 0
    api.create_chatroom("x")
    assert server.connections == 2


@pytest.mark.parametrize("status", ["201 Created", "200 OK"])
def test_a_body_in_pieces(server: Server, api: ChatixApi, status: str) -> None:
    pieces = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in (ROOM[:5], ROOM[5:]))
    head = f"HTTP/1.1 {status}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    server.answers.append(head + pieces + b"0\r\n\r\n")
    assert api.create_chatroom("x").chatroom_id == "room-1"
    api.create_chatroom("x")
    assert server.connections == 1


def test_a_refusal(server: Server, api: ChatixApi) -> None:
    server.answers.append(answer(b'{"error": "Slowly!"}', "429 Too Many Requests", "Retry-After: 7"))
    with pytest.raises(ApiStatusError, match=r"refused create_chatroom with status 429: Slowly!\.$") as caught:
        api.create_chatroom("x")
    assert (caught.value.status_code, caught.value.retry_after_s) == (429, 7)


def test_a_redirect_is_not_followed(server: Server, api: ChatixApi) -> None:
    server.answers.append(answer(b"", "302 Found", "Location: http://127.0.0.1:1/"))
    with pytest.raises(ApiStatusError, match="It redirects: check CHATIX_API_URL"):
        api.create_chatroom("x")


@pytest.mark.parametrize("body", [b"<html>", b"", b'{"id": "room', b"[]"])
def test_nonsense(server: Server, api: ChatixApi, body: bytes) -> None:
    server.answers.append(answer(body))
    with pytest.raises(ApiPayloadError):
        api.create_chatroom("x")
    assert api.create_chatroom("x").chatroom_id == "room-1"


def test_an_answer_without_end(server: Server, api: ChatixApi, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(api_http, "MAX_ANSWER_BYTES", 100)
    server.answers.append(answer(b"x" * 101))
    with pytest.raises(ApiPayloadError, match="more than 100 bytes"):
        api.create_chatroom("x")
    assert api.create_chatroom("x").chatroom_id == "room-1"


@pytest.mark.parametrize("what", [None, b"nonsense\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf"])
def test_a_connection_that_breaks(server: Server, api: ChatixApi, what: bytes | None) -> None:
    if what is not None:
        server.answers.append(what)
    server.answers.append(None)
    if what and b"half" in what:
        server.answers[0] = what.replace(b"Content-Length: 9", b"Connection: close\r\nTransfer-Encoding: chunked")
    with pytest.raises(ApiConnectionError) as caught:
        api.create_chatroom("x")
    assert caught.value.may_have_arrived


def test_nobody_listens() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    api = ChatixApi(f"http://127.0.0.1:{port}/v1", website_id="x", api_key="the-key").in_bulk()
    with pytest.raises(ApiConnectionError, match="Connection refused") as caught:
        api.create_chatroom("x")
    assert not caught.value.may_have_arrived


def test_an_answer_that_does_not_come(server: Server, api: ChatixApi) -> None:
    may_answer = threading.Event()

    def wait() -> bytes:
        may_answer.wait(10)
        return answer()

    server.answers.append(wait)
    with pytest.raises(ApiTimeoutError, match="did not answer create_chatroom within 0") as caught:
        api.sharing(0.1).create_chatroom("x")
    may_answer.set()
    assert caught.value.may_have_arrived
    assert api.create_chatroom("x").chatroom_id == "room-1"


def test_an_answer_that_trickles(server: Server, api: ChatixApi, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]

    def late() -> bytes:
        now[0] += 6
        return answer()

    monkeypatch.setattr(api_lines, "monotonic", lambda: now[0])
    server.answers.append(late)
    with pytest.raises(ApiTimeoutError):
        api.create_chatroom("x")


def test_an_interim_answer_is_not_taken_for_the_answer(server: Server, api: ChatixApi) -> None:
    other = b'{"id": "room-2", "title": "The other"}'
    server.answers += [b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(), answer(other)]
    with pytest.raises(ApiConnectionError, match="interim answer, 103") as caught:
        api.create_chatroom("x")
    assert caught.value.may_have_arrived
    assert api.create_chatroom("y").chatroom_id == "room-2"


def test_a_body_that_is_cut_off(server: Server, api: ChatixApi) -> None:
    server.answers.append(answer()[:-5])
    server.hangs_up = True
    with pytest.raises(ApiConnectionError, match="IncompleteRead"):
        api.create_chatroom("x")


def test_a_proxy_of_the_environment_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.test:3128")
    monkeypatch.setenv("NO_PROXY", "direct.test")
    monkeypatch.delenv("HTTP_PROXY", raising=False)
    monkeypatch.delenv("http_proxy", raising=False)
    monkeypatch.delenv("ALL_PROXY", raising=False)
    assert not is_direct(httpx.URL("https://api.test/v1"))
    assert is_direct(httpx.URL("https://direct.test/v1"))
    assert is_direct(httpx.URL("http://api.test/v1"))
    api = ChatixApi("https://api.test/v1", website_id="x", api_key="k" * 20)
    assert api.in_bulk()._caller._lines is None
    assert ChatixApi("https://direct.test/v1", website_id="x", api_key="k" * 20).in_bulk()._caller._lines is not None


def test_a_tests_transport_is_used() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(200, content=ROOM))
    api = ChatixApi("http://api.test/v1", website_id="x", api_key="the-key", transport=transport).in_bulk()
    assert api.create_chatroom("x").chatroom_id == "room-1"
