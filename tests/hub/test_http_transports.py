"""Server-sent events and long polling on real sockets: clients that go away, and clients that take nothing."""

from __future__ import annotations

import json
import logging
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from flask_chatix_comments.hub import startup
from flask_chatix_comments.hub.server import HubThread
from flask_chatix_comments.hub.web_server import SHUTDOWN_S
from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets
from tests.hub.support import DEADLINE_S, TICKET_KEY, records_of, rest_client

HANDSHAKE = '{"protocol":"json","version":1}\x1e'


@pytest.fixture
def rest(hub_thread: HubThread) -> Iterator[httpx.Client]:
    with rest_client(hub_thread.url) as client:
        yield client


@pytest.fixture
def room(rest: httpx.Client) -> str:
    return str(rest.post("/chatroom/create", json={"title": "A post"}).json()["id"])


def sign(visitor_id: str) -> str:
    ticket = VisitorTicket(visitor_id=visitor_id, issued_at=time.time(), expires_at=time.time() + 3600)
    return VisitorTickets((TICKET_KEY,), website_id="local").sign(ticket)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, f"waited in vain for {what}"
        time.sleep(0.01)


def is_online(rest: httpx.Client, visitor_id: str) -> bool:
    answer = rest.get("/visitor/get", params={"visitorId": visitor_id})
    return answer.status_code == 200 and bool(answer.json()["is_online"])


class Line:
    """A connection that was negotiated."""

    def __init__(self, hub: HubThread, visitor_id: str) -> None:
        self._port = hub.port
        query = {"visitorId": sign(visitor_id), "websiteId": "local", "negotiateVersion": "1"}
        token = httpx.post(f"{hub.url}/chat/negotiate", params=query).json()["connectionToken"]
        self.path = f"/v1/chat?visitorId={query['visitorId']}&websiteId=local&id={token}"
        self.url = f"http://127.0.0.1:{hub.port}{self.path}"

    def post(self, text: str) -> None:
        assert httpx.post(self.url, content=text).status_code == 200

    def call(self, target: str, *arguments: Any) -> None:
        self.post(json.dumps({"type": 1, "target": target, "arguments": arguments}) + "\x1e")

    def poll(self) -> httpx.Response:
        return httpx.get(self.url, timeout=DEADLINE_S)

    def begin(self, accept: str = "*/*", *, buffer_bytes: int | None = None) -> socket.socket:
        """Ask, and do not read the answer."""
        raw = socket.socket()
        if buffer_bytes is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
        raw.settimeout(DEADLINE_S)
        raw.connect(("127.0.0.1", self._port))
        raw.sendall(f"GET {self.path} HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: {accept}\r\n\r\n".encode())
        return raw


def read_until(raw: socket.socket, end: bytes) -> bytes:
    data = b""
    while end not in data:
        piece = raw.recv(65_536)
        assert piece, data
        data += piece
    return data


def contents(body: str) -> list[str]:
    events = [record for record in records_of(body) if record.get("target") == "ApplyChatroomMessage"]
    return [event["arguments"][0]["content"] for event in events]


@pytest.fixture
def polling(hub_thread: HubThread, room: str) -> Line:
    """A client that polls, is in the room, and has heard all there is."""
    line = Line(hub_thread, "ada")
    assert line.poll().text == ""
    line.post(HANDSHAKE)
    assert line.poll().text == "{}\x1e"
    line.call("ConnectToChatroom", room)
    while "OnChatroomPresence" not in line.poll().text:
        pass
    return line


def say(rest: httpx.Client, room: str, content: str) -> None:
    body = {"content": content, "sender_id": "bob"}
    assert rest.post("/chatroom/send-message", params={"chatroomId": room}, json=body).status_code == 200


def test_a_poll_whose_client_went_away_has_taken_nothing(rest: httpx.Client, room: str, polling: Line) -> None:
    polling.begin().close()
    say(rest, room, "Hi")
    assert contents(polling.poll().text) == ["Hi"]


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the system take little of what the hub sends: the rest waits in the hub."""
    bind = startup._bind

    def bind_narrow(host: str, port: int) -> socket.socket:
        listener = bind(host, port)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        return listener

    monkeypatch.setattr(startup, "_bind", bind_narrow)


@pytest.mark.usefixtures("narrow")
def test_a_poll_whose_client_goes_away_in_the_middle_of_its_answer(
    hub_thread: HubThread, rest: httpx.Client, room: str, polling: Line
) -> None:
    texts = [f"{number} {'x' * 9_000}" for number in range(40)]
    for text in texts:
        say(rest, room, text)
    with closing(polling.begin(buffer_bytes=4096)) as raw:
        assert b"200 OK" in read_until(raw, b"\r\n\r\n")
    assert contents(polling.poll().text) == texts


def test_a_stream_ends_with_its_client(hub_thread: HubThread, rest: httpx.Client) -> None:
    line = Line(hub_thread, "ada")
    with closing(line.begin("text/event-stream")) as raw:
        head = read_until(raw, b":\r\n\r\n")
        assert b"content-type: text/event-stream" in head
        line.post(HANDSHAKE)
        assert b"data: {}\x1e" in read_until(raw, b"\x1e\r\n\r\n")
        wait_until(lambda: is_online(rest, "ada"), "the connection to be known")
    wait_until(lambda: not is_online(rest, "ada"), "its end to be noticed")


def test_a_stream_that_nobody_reads_is_dropped(
    hub_thread: HubThread, rest: httpx.Client, room: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("flask_chatix_comments.hub.web_protocols.ANSWER_S", 0.2)
    line = Line(hub_thread, "ada")
    with closing(line.begin("text/event-stream", buffer_bytes=4096)) as raw:
        read_until(raw, b":\r\n\r\n")
        line.post(HANDSHAKE)
        line.call("ConnectToChatroom", room)
        wait_until(lambda: is_online(rest, "ada"), "the connection to be known")
        for _ in range(2000):
            say(rest, room, "x" * 9_000)
            if not is_online(rest, "ada"):
                break
        wait_until(lambda: not is_online(rest, "ada"), "the connection to be dropped")


def test_nothing_of_it_is_in_the_log(
    make_hub_thread: Callable[..., HubThread], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    hub = make_hub_thread()
    hub.start()
    assert hub.wait_ready(DEADLINE_S)
    line = Line(hub, "ada")
    with closing(line.begin("text/event-stream")) as raw:
        read_until(raw, b":\r\n\r\n")
        line.post(HANDSHAKE)
        line.call("SaveChatroomMessage", {"content": "a very private remark"}, "no room")
        for method, status in (("PUT", 405), ("HEAD", 405), ("DELETE", 202)):
            assert httpx.request(method, line.url).status_code == status
        read_until(raw, b"0\r\n\r\n")
    hub.stop()
    lines = [record.getMessage() for record in caplog.records if not record.name.startswith("http")]
    assert lines
    for secret in ("visitorId", "a very private remark", line.path.rpartition("=")[2]):
        assert not [said for said in lines if secret in said]


def test_a_hub_that_ends_says_goodbye_on_streams_and_polls(make_hub_thread: Callable[..., HubThread]) -> None:
    hub = make_hub_thread()
    hub.start()
    assert hub.wait_ready(DEADLINE_S)
    streaming, polling = Line(hub, "ada"), Line(hub, "bob")
    assert polling.poll().text == ""
    polling.post(HANDSHAKE)
    assert polling.poll().text == "{}\x1e"
    with closing(streaming.begin("text/event-stream")) as stream, closing(polling.begin()) as poll:
        read_until(stream, b":\r\n\r\n")
        streaming.post(HANDSHAKE)
        read_until(stream, b"{}\x1e\r\n\r\n")
        # The poll is there when what came behind it is answered.
        polling.call("GetManagers")
        # The server would give up what does not end by itself after SHUTDOWN_S.
        begun = time.monotonic()
        hub.stop(DEADLINE_S)
        assert time.monotonic() - begun < SHUTDOWN_S
        for raw, end in ((stream, b"0\r\n\r\n"), (poll, b'"allowReconnect":true}\x1e')):
            assert b'"target":"OnComeAgain"' in read_until(raw, end)
