"""Site and hub as one ASGI application, on a real uvicorn."""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from socket import create_connection
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from flask import Flask, request
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_chatix_comments import ChatixComments, ConfigError
from flask_chatix_comments.asgi import mount
from flask_chatix_comments.hub.web_protocols import MAX_MESSAGE_BYTES, HttpProtocol, WebSocketProtocol
from flask_chatix_comments.state import MOUNTED_HUB_URL
from tests.asgi_server import served
from tests.flask_support import Site
from tests.hub.support import records_of

HUB = "/chatix-comments/hub"
CALL = '{"type":1,"invocationId":"1","target":"GetManagers","arguments":[]}\x1e'
DEADLINE_S = 20.0


@pytest.fixture
def site(make_site: Callable[..., Site]) -> Site:
    """A site whose API client has no double: it reaches the hub that is mounted."""
    return make_blog(make_site)


def make_blog(make_site: Callable[..., Site], **settings: Any) -> Site:
    site = make_site(extension=ChatixComments(), **settings)
    site.app.add_url_rule("/", "index", lambda: f"{request.scheme}://{request.host}{request.root_path}/")
    return site


def join(base: str, site: Site, post_id: str = "hello", **options: Any) -> dict[str, Any]:
    answer = httpx.post(f"{base}/chatix-comments/join", json={"post": site.post_token(post_id)}, timeout=30, **options)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    return body


def negotiate(base: str, access: dict[str, Any]) -> str:
    """Return the address of a connection to the hub that the site has named."""
    query = f"visitorId={access['ticket']}&websiteId={access['website_id']}"
    answer = httpx.post(f"{base}{access['api_url']}/chat/negotiate?{query}&negotiateVersion=1")
    assert answer.status_code == 200, answer.text
    address = f"{base}{access['api_url']}".replace("http", "ws", 1)
    return f"{address}/chat?{query}&id={answer.json()['connectionToken']}"


def call(socket: ClientConnection, target: str, *arguments: Any) -> Any:
    socket.send(json.dumps({"type": 1, "invocationId": "1", "target": target, "arguments": arguments}) + "\x1e")
    while True:
        for record in records_of(str(socket.recv(DEADLINE_S))):
            if record.get("invocationId") == "1":
                return record.get("result", record)


def shake_hands(socket: ClientConnection) -> ClientConnection:
    socket.send('{"protocol":"json","version":1}\x1e')
    assert records_of(str(socket.recv(DEADLINE_S))) == [{}]
    return socket


# On one port


def test_site_and_hub_answer_on_one_port(site: Site) -> None:
    with served(mount(site.app)) as base:
        assert httpx.get(f"{base}/").text == f"{base}/"
        assert httpx.get(f"{base}{HUB}/v1/health").json() == {"status": "ok", "website_id": "local"}
        access = join(base, site)
        # A path: the browser knows scheme, host and port for sure.
        assert access["api_url"] == f"{HUB}/v1"
        with connect(negotiate(base, access)) as socket:
            shake_hands(socket)
            room = access["chatroom_id"]
            assert call(socket, "ConnectToChatroom", room) == {"is_success": True}
            message = call(socket, "SaveChatroomMessage", {"type": 0, "content": "Hi", "uuid": "key"}, room)
            assert message["content"] == "Hi"
            with site.app.app_context():
                (stored,) = site.comments.api.list_messages(room)
                assert stored.content == "Hi"
                # What the site does by the API, readers hear.
                site.comments.api.update_message(room, stored.message_id, content="Hello")
            while not any(
                record.get("target") == "OnUpdateChatroomMessage" for record in records_of(str(socket.recv(DEADLINE_S)))
            ):
                pass


@pytest.mark.parametrize("accept", ["text/event-stream", "*/*"])
def test_the_other_transports_go_past_the_adapter_of_the_site(site: Site, accept: str) -> None:
    """Readers who hold a request open take none of the site's threads."""
    with served(mount(site.app, threads=1), http=HttpProtocol) as base, httpx.Client(timeout=DEADLINE_S) as client:
        access = join(base, site)
        address = negotiate(base, access).replace("ws", "http", 1)

        def post(text: str) -> None:
            assert httpx.post(address, content=text).status_code == 200

        with ExitStack() as stack:
            if accept == "*/*":
                assert client.get(address).text == ""
                post('{"protocol":"json","version":1}\x1e')
                assert client.get(address).text == "{}\x1e"
                post(CALL)
                assert '"invocationId":"1"' in client.get(address).text
            else:
                answer = stack.enter_context(client.stream("GET", address, headers={"Accept": accept}))
                lines = (line for line in answer.iter_lines() if line.startswith("data: "))
                post('{"protocol":"json","version":1}\x1e')
                assert next(lines) == "data: {}"
                post(CALL)
                assert '"invocationId":"1"' in next(lines)
            assert httpx.get(f"{base}/", timeout=DEADLINE_S).text == f"{base}/"
            assert httpx.delete(address).status_code == 202


def test_requests_that_all_wait_for_the_hub_do_not_stop_it(site: Site) -> None:
    with served(mount(site.app, threads=2)) as base, ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda number: join(base, site, f"post-{number}"), range(24)))
    assert len({answer["chatroom_id"] for answer in answers}) == 24


def test_a_busy_site_does_not_stop_the_hub(site: Site) -> None:
    may_answer = threading.Event()
    site.app.add_url_rule("/slow", "slow", lambda: str(may_answer.wait(DEADLINE_S)))
    with served(mount(site.app, threads=2)) as base, ThreadPoolExecutor(4) as pool:
        slow = [pool.submit(httpx.get, f"{base}/slow", timeout=DEADLINE_S) for _ in range(4)]
        assert httpx.get(f"{base}{HUB}/v1/health").status_code == 200
        may_answer.set()
        assert [future.result(DEADLINE_S).text for future in slow] == ["True"] * 4


def test_what_is_not_the_hubs_is_the_sites(site: Site) -> None:
    site.app.add_url_rule(f"{HUB}board", "board", lambda: "a board")
    with served(mount(site.app)) as base:
        assert httpx.get(f"{base}{HUB}board").text == "a board"
        assert httpx.get(f"{base}{HUB}").status_code == 404
        assert httpx.get(f"{base}{HUB}/v1/nothing").json() == {"error": "There is nothing at this address."}
        assert httpx.get(f"{base}/chatix-comments/nothing").json()["error"] == "not_found"
        with pytest.raises(InvalidStatus):
            connect(f"{base.replace('http', 'ws', 1)}/")


def test_the_prefix_of_the_views_is_that_of_the_hub(make_site: Callable[..., Site]) -> None:
    site = make_blog(make_site, CHATIX_URL_PREFIX="/talk")
    with served(mount(site.app)) as base:
        assert httpx.get(f"{base}/talk/hub/v1/health").status_code == 200
        answer = httpx.post(f"{base}/talk/join", json={"post": site.post_token()})
        assert answer.json()["api_url"] == "/talk/hub/v1"


# Behind something


def test_under_a_root_path_that_the_server_is_told(site: Site) -> None:
    with served(mount(site.app), root_path="/blog") as base:
        # uvicorn puts the root before what a proxy has left.
        assert httpx.get(f"{base}/").text == f"{base}/blog/"
        access = join(base, site)
        assert access["api_url"] == f"/blog{HUB}/v1"
        assert httpx.get(f"{base}{HUB}/v1/health").status_code == 200
        with connect(negotiate(base, access | {"api_url": f"{HUB}/v1"})) as socket:
            shake_hands(socket)


def test_behind_a_proxy_that_says_so(site: Site) -> None:
    site.app.wsgi_app = ProxyFix(site.app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]  # as Flask documents it
    with served(mount(site.app)) as base:
        headers = {"Host": "blog.example", "X-Forwarded-Proto": "https", "X-Forwarded-Prefix": "/blog"}
        assert httpx.get(f"{base}/", headers=headers).text == "https://blog.example/blog/"
        assert join(base, site, headers=headers)["api_url"] == f"/blog{HUB}/v1"


@pytest.mark.parametrize(
    ("prefix", "path"),
    [
        ("/blog", "/blog"),
        ("/blog/", "/blog"),
        # Of several, ProxyFix takes the nearest proxy's.
        ("/x, /blog", "/blog"),
        ("/caf%C3%A9", "/caf%C3%A9"),
        ("/café", "/caf%C3%A9"),
        ("/my+blog", "/my+blog"),
        ("/~u@x", "/~u@x"),
        ("/chatix-comments", "/chatix-comments"),
    ],
)
def test_the_site_alone_has_to_know_the_prefix(site: Site, prefix: str, path: str) -> None:
    site.app.wsgi_app = ProxyFix(site.app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]  # as Flask documents it
    with served(mount(site.app)) as base:
        access = join(base, site, headers={"X-Forwarded-Prefix": prefix.encode()})
        assert access["api_url"] == f"{path}{HUB}/v1"
        assert upload_answers(base, site, access) == {f"{base}{path}{HUB}/v1/file/"}


def upload_answers(base: str, site: Site, access: dict[str, Any], **headers: str) -> set[str]:
    """Return what is before the IDs in the URLs by which a reader of *access* hears of a file."""
    with site.app.app_context():
        site.comments.api.connect_visitor(access["chatroom_id"], access["visitor"]["id"])
    query = {"visitorId": access["ticket"], "websiteId": "local", "chatroomId": access["chatroom_id"]}
    files = {"formFile": ("a.txt", b"Hi")}
    answer = httpx.post(f"{base}{HUB}/v1/file/save", params=query, files=files, headers=headers)
    url = answer.json()["fileUrl"]
    place, _, name = url.partition("/file/")
    assert httpx.get(f"{base}{HUB}/v1/file/{name}").content == b"Hi"
    address = urlsplit(negotiate(base, access | {"api_url": f"{HUB}/v1"}))
    more = {name: value for name, value in headers.items() if name != "Host"}
    asked = address._replace(netloc=headers.get("Host", address.netloc)).geturl()
    # The name in the URL is what the Host header says.
    line = create_connection((address.hostname, address.port))
    with connect(asked, sock=line, additional_headers=more) as socket:
        shake_hands(socket)
        call(socket, "ConnectToChatroom", access["chatroom_id"])
        sent = call(socket, "SaveChatroomMessage", {"type": 5, "file_url": url}, access["chatroom_id"])
        (found,) = call(socket, "GetChatroomHistory", access["chatroom_id"], None, 10)["items"]
    return {one.replace(name, "") for one in (url, sent["file_url"], found["file_url"])}


@pytest.mark.parametrize(
    ("root_path", "headers", "expected"),
    [
        ("", {}, "{base}"),
        ("/blog", {}, "{base}/blog"),
        ("/blog", {"Host": "blog.example", "X-Forwarded-Proto": "https"}, "https://blog.example/blog"),
        # What a browser says of the page is as good as what a proxy says of its scheme.
        ("", {"Host": "blog.example", "Origin": "https://blog.example"}, "https://blog.example"),
        ("", {"Host": "blog.example", "Origin": "https://blog.example:8443"}, "http://blog.example"),
        # Nobody but the site is believed.
        ("", {"X-Forwarded-Prefix": "/evil"}, "{base}"),
    ],
)
def test_files_are_where_the_reader_finds_the_hub(
    site: Site, root_path: str, headers: dict[str, str], expected: str
) -> None:
    with served(mount(site.app), root_path=root_path) as base:
        access = join(base, site)
        assert upload_answers(base, site, access, **headers) == {f"{expected.format(base=base)}{HUB}/v1/file/"}


def test_a_header_with_an_underscore_is_not_taken_for_another(site: Site) -> None:
    site.app.wsgi_app = ProxyFix(site.app.wsgi_app, x_prefix=1)  # type: ignore[method-assign]  # as Flask documents it
    with served(mount(site.app)) as base:
        assert httpx.get(f"{base}/", headers={"X_Forwarded_Prefix": "/evil"}).text == f"{base}/"
        headers = {"X-Forwarded-Prefix": "/blog", "X_Forwarded_Prefix": "/evil"}
        assert httpx.get(f"{base}/", headers=headers).text == f"{base}/blog/"


# Start and end


def test_it_can_be_served_again(site: Site) -> None:
    app = mount(site.app)
    with ExitStack() as stack:
        with served(app) as base:
            room = join(base, site)["chatroom_id"]
            socket = shake_hands(stack.enter_context(connect(negotiate(base, join(base, site)))))
            call(socket, "ConnectToChatroom", room)
        with pytest.raises(ConnectionClosed) as caught:
            while True:
                socket.recv(DEADLINE_S)
    # "Service restart" (RFC 6455, registry of close codes): clients come again.
    assert caught.value.rcvd is not None
    assert caught.value.rcvd.code == 1012
    with served(app) as base:
        assert join(base, site)["chatroom_id"] == room
        with connect(negotiate(base, join(base, site))) as socket:
            shake_hands(socket)


def test_a_second_process_is_refused(
    site: Site, make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture
) -> None:
    first = mount(site.app)
    database = site.state.config.hub_database_url
    second = make_blog(make_site, CHATIX_HUB_DATABASE_URL=database)
    with served(first) as base:
        with pytest.raises(AssertionError, match="did not start"), served(mount(second.app)):
            pass
        assert "Another process runs the hub already" in caplog.text
        assert "serve it without --workers" in caplog.text
        assert join(base, site)["state"] == "open"
    with served(mount(second.app)) as base:
        assert join(base, second)["state"] == "open"


def test_a_database_that_cannot_be_used(make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = make_blog(make_site, CHATIX_HUB_DATABASE_URL="sqlite:///text")
    database = site.state.config.hub_lock_path.with_suffix("")
    database.parent.mkdir(parents=True, exist_ok=True)
    database.write_text("this is no database, " * 100)
    with pytest.raises(AssertionError, match="did not start"), served(mount(site.app)):
        pass
    assert "The setting is CHATIX_HUB_DATABASE_URL." in caplog.text
    assert "Traceback" not in caplog.text


def test_a_folder_of_files_that_cannot_be_used(
    make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    (tmp_path / "files").write_text("this is no folder")
    site = make_blog(make_site, CHATIX_HUB_FILES=str(tmp_path / "files"))
    with pytest.raises(AssertionError, match="did not start"), served(mount(site.app)):
        pass
    assert "The setting is CHATIX_HUB_FILES." in caplog.text
    assert "Traceback" not in caplog.text


def test_a_server_that_runs_no_lifespan(make_site: Callable[..., Site], caplog: pytest.LogCaptureFixture) -> None:
    site = make_blog(make_site, TESTING=False)
    with served(mount(site.app), lifespan="off") as base:
        assert httpx.get(f"{base}/").status_code == 200
        answer = httpx.post(f"{base}/chatix-comments/join", json={"post": site.post_token()})
        assert (answer.status_code, answer.json()["error"]) == (503, "no_hub")
        answer = httpx.get(f"{base}{HUB}/v1/health")
        assert (answer.status_code, list(answer.json())) == (503, ["error"])
        with pytest.raises(InvalidStatus):
            connect(f"{base.replace('http', 'ws', 1)}{HUB}/v1/chat")
    (line,) = [record.getMessage() for record in caplog.records if record.levelno == logging.CRITICAL]
    assert "has not run the lifespan" in line


def test_a_hub_that_fails_at_its_start(
    site: Site, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("something unexpected")

    with monkeypatch.context() as patch:
        patch.setattr("flask_chatix_comments.hub.mounted.create_hub", fail)
        with pytest.raises(AssertionError, match="did not start"), served(mount(site.app)):
            pass
    assert "something unexpected" in caplog.text
    # It kept neither the lock nor the database.
    with served(mount(site.app)) as base:
        assert join(base, site)["state"] == "open"


# Settings


@pytest.mark.parametrize(
    "settings",
    [{"CHATIX_HUB_URL": "https://chat.example"}, {"CHATIX_WEBSITE_ID": "a", "CHATIX_API_KEY": "b"}],
    ids=["a hub elsewhere", "the hosted service"],
)
def test_where_the_hub_is_elsewhere_the_site_is_served_alone(
    make_site: Callable[..., Site], settings: dict[str, str]
) -> None:
    site = make_blog(make_site, **settings)
    with served(mount(site.app), lifespan="on") as base:
        assert httpx.get(f"{base}/").text == f"{base}/"
        assert httpx.get(f"{base}{HUB}/v1/health").json()["error"] == "not_found"
        assert not site.state.config.hub_lock_path.exists()


def test_an_application_without_comments() -> None:
    with pytest.raises(ConfigError, match="call ChatixComments.init_app"):
        mount(Flask("bare"))


def test_a_package_that_is_missing(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "a2wsgi", None)
    with pytest.raises(ConfigError, match=r"needs a2wsgi.*pip install 'flask-chatix-comments\[hub\]'"):
        mount(site.app)


def test_where_it_does_not_run_the_api_is_where_the_settings_say(make_site: Callable[..., Site]) -> None:
    """In a command's process, say."""
    site = make_blog(make_site, CHATIX_API_URL=f"http://127.0.0.1:8000{HUB}/v1")
    with served(mount(site.app)):
        assert site.state.api_url == MOUNTED_HUB_URL
        assert site.state.api().ping()
    assert site.state.api_url == f"http://127.0.0.1:8000{HUB}/v1"


# What the server's command line decides


@pytest.mark.parametrize(
    ("ws", "extension"), [("auto", "permessage-deflate"), (WebSocketProtocol, None)], ids=["uvicorn's", "ours"]
)
def test_our_protocol_compresses_nothing(site: Site, ws: Any, extension: str | None) -> None:
    with served(mount(site.app), ws=ws) as base, connect(negotiate(base, join(base, site))) as socket:
        assert socket.response is not None
        accepted = socket.response.headers.get("Sec-WebSocket-Extensions")
        assert (accepted or "").partition(";")[0] == (extension or "")


@pytest.mark.parametrize(("ws", "size_bytes"), [("auto", 2 * MAX_MESSAGE_BYTES), (WebSocketProtocol, 300_000)])
def test_with_either_protocol_the_hub_takes_no_record_that_is_too_large(site: Site, ws: Any, size_bytes: int) -> None:
    with served(mount(site.app), ws=ws) as base, connect(negotiate(base, join(base, site)), compression=None) as socket:
        shake_hands(socket)
        socket.send(json.dumps({"type": 1, "target": "x" * size_bytes, "arguments": []}) + "\x1e")
        (record,) = records_of(str(socket.recv(DEADLINE_S)))
        assert record["type"] == 7
        assert "larger than the 262144 bytes allowed" in record["error"]


def test_our_protocol_of_http_serves_the_site_too(site: Site) -> None:
    with served(mount(site.app), ws=WebSocketProtocol, http=HttpProtocol) as base:
        assert httpx.get(f"{base}/").text == f"{base}/"
        with connect(negotiate(base, join(base, site))) as socket:
            shake_hands(socket)


def test_our_protocol_does_not_even_read_what_no_record_can_be(site: Site) -> None:
    with (
        served(mount(site.app), ws=WebSocketProtocol) as base,
        connect(negotiate(base, join(base, site)), compression=None) as socket,
    ):
        shake_hands(socket)
        with pytest.raises(ConnectionClosed) as caught:
            socket.send("x" * (MAX_MESSAGE_BYTES + 1))
            socket.recv(DEADLINE_S)
    assert caught.value.rcvd is not None
    # "Message too big" (RFC 6455, 7.4.1)
    assert caught.value.rcvd.code == 1009


@pytest.mark.parametrize("level", [logging.INFO, 5], ids=["INFO", "TRACE"])
def test_no_ticket_and_no_comment_in_the_servers_log(site: Site, caplog: pytest.LogCaptureFixture, level: int) -> None:
    caplog.set_level(level)
    with served(mount(site.app), log_level=level) as base:
        access = join(base, site)
        with connect(negotiate(base, access)) as socket:
            shake_hands(socket)
            call(socket, "ConnectToChatroom", access["chatroom_id"])
            call(socket, "SaveChatroomMessage", {"type": 0, "content": "a private remark"}, access["chatroom_id"])
        httpx.get(f"{base}/?q=swifts")
    lines = [record.getMessage() for record in caplog.records if record.name.startswith("uvicorn")]
    assert any(f"POST {HUB}/v1/chat/negotiate?... HTTP" in line for line in lines)
    assert any(f'"WebSocket {HUB}/v1/chat?..." [accepted]' in line for line in lines)
    assert any("/?q=swifts" in line for line in lines)
    assert not [line for line in lines if access["ticket"] in line or "private remark" in line]


def test_a_server_may_leave_out_what_is_optional_in_a_scope(site: Site) -> None:
    app = mount(site.app)

    async def ask() -> list[Any]:
        sent: list[Any] = []
        scope = {"type": "http", "http_version": "1.1", "method": "GET", "path": "/", "query_string": b""}

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": b""}

        async def send(message: Any) -> None:
            sent.append(message)

        await app(scope, receive, send)
        return sent

    assert asyncio.run(ask())[0]["status"] == 200
