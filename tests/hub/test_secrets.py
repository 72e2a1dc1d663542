"""Nothing that people write and nothing that lets them in is ever in a log line, a traceback or an error.

A hub in a process of its own logs all that it can, every library too, while everything is done to it, and it fails
again and again.
"""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from PIL import Image
from websockets.exceptions import InvalidStatus

from tests.hub.processes import HubProcess
from tests.hub.support import API_KEY, DEADLINE_S, TICKET_KEY, Json, records_of

pytestmark = pytest.mark.anyio

MARK = "sentinel"
#: Logs all there is, and fails at what begins with this word, and from time to time by itself.
PRELUDE = """
import logging, sys
logging.basicConfig(
    filename=sys.argv[1] + "/all.log", level=1, format="%(name)s %(levelname)s %(message)s", encoding="utf-8"
)
logging.getLogger("sqlalchemy").setLevel(1)
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.hub.service.attendance import Attendance

append, rename = SqlStore.append_message, SqlStore.save_visitor

async def append_or_fail(self, message, **more):
    if (message.content or "").startswith("bug"):
        raise RuntimeError("a bug")
    if (message.content or "").startswith("clash"):
        # The database itself is made to refuse what it is given.
        object.__setattr__(message, "message_id", None)
    return await append(self, message, **more)

async def save_or_fail(self, profile, **more):
    if (profile.name or "").startswith("bug"):
        raise RuntimeError("a bug")
    return await rename(self, profile, **more)

async def fail(self):
    raise RuntimeError("a bug")

SqlStore.append_message, SqlStore.save_visitor, Attendance.tell_presence = append_or_fail, save_or_fail, fail
"""


def marked(what: str) -> str:
    return f"{MARK}-{what}"


class Client:
    """A visitor that keeps all that it was told.

    Attributes:
        errors: Every sentence that said no.
        secrets: What it was given to come in by.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self.errors: list[str] = []
        self.secrets: list[str] = []
        # A server that has failed at a request closes its connection, perhaps under the next one.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._http = httpx.AsyncClient(base_url=url, timeout=DEADLINE_S, limits=limits)
        self._number = 0

    async def ask(self, method: str, path: str, **options: Any) -> Any:
        response = await self._http.request(method, path, **options)
        body = response.json()
        if response.is_error:
            self.errors.append(response.text)
        return body

    async def rest(self, path: str, body: Json | None = None, **query: str) -> Any:
        method = "GET" if body is None else "POST"
        options = {"json": body} if body is not None else {}
        query = {"websiteId": "local", **query}
        return await self.ask(method, path, params=query, headers={"X-Api-Key": API_KEY}, **options)

    async def connect(self) -> None:
        self.ticket = await self.ask("GET", "/visitor/get-id?websiteId=local")
        query = {"websiteId": "local", "visitorId": self.ticket, "negotiateVersion": "1"}
        token = (await self.ask("POST", "/chat/negotiate", params=query))["connectionToken"]
        self.secrets += [self.ticket, token]
        self.address = f"{self.url.replace('http', 'ws', 1)}/chat?websiteId=local&visitorId={self.ticket}&id={token}"
        self.socket = await websockets.connect(self.address)
        await self.socket.send('{"protocol":"json","version":1}\x1e')

    async def call(self, target: str, *arguments: Any) -> Any:
        self._number += 1
        call = {"type": 1, "invocationId": str(self._number), "target": target, "arguments": arguments}
        await self.socket.send(json.dumps(call) + "\x1e")
        while True:
            for record in await self.records():
                if record.get("invocationId") == str(self._number):
                    self.errors += [record["error"]] if "error" in record else []
                    return record.get("result")

    async def records(self) -> list[Json]:
        text = await asyncio.wait_for(self.socket.recv(), DEADLINE_S)
        assert isinstance(text, str)
        return records_of(text)

    async def end(self, frame: str) -> None:
        """Break the protocol, and hear why the line ends."""
        await self.socket.send(frame)
        while True:
            for record in await self.records():
                if record.get("type") == 7:
                    self.errors.append(record["error"])
                    return

    async def close(self) -> None:
        await self.socket.close()
        await self._http.aclose()


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[Client]:
    client = Client(url)
    await client.connect()
    yield client
    await client.close()


def photograph() -> bytes:
    """Return an image that holds more than a picture."""
    exif = Image.Exif()
    exif[0x010E] = marked("description")
    buffer = BytesIO()
    Image.new("RGB", (20, 20)).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


async def talk(client: Client) -> None:
    """Write, read, and fail, in as many ways as there are."""
    room = (await client.rest("/chatroom/create", {"title": marked("title"), "is_private": True}))["id"]
    client.secrets.append(room)
    await client.rest("/chatroom/connect-visitor", {}, chatroomId=room, visitorId=client.ticket)
    await client.call("ConnectToChatroom", room)
    profile = {"name": marked("name"), "email": f"{marked('mail')}@x.example", "fields": {"key": marked("field")}}
    await client.call("SaveVisitorInfo", profile)
    await client.call("SaveVisitorInfo", {"name": f"bug {marked('name')}"})
    await client.call("SavePageInfo", marked("page"), marked("page title"))
    message = await client.call("SaveChatroomMessage", text("comment"), room)
    await client.call("UpdateChatroomMessage", message["uuid"], marked("edited"), room)
    for word in ("bug", "clash"):
        await client.call("SaveChatroomMessage", {"type": 0, "content": f"{word} {marked(word)}"}, room)
        await client.rest(
            "/chatroom/send-message", {"content": f"{word} {marked(word)}", "sender_id": "x"}, chatroomId=room
        )
    await client.rest("/chatroom/send-whisper", {"content": marked("whisper"), "sender_id": "x"}, chatroomId=room)
    for target in ("GetChatroomHistory", "GetChatroomChanges"):
        await client.call(target, room, None, 50)
        await client.call(target, room, marked("cursor"), 50)
    await client.call(marked("method"), marked("argument"))
    await client.call("GetChatroom", marked("room"))
    await client.call("SaveChatroomMessage", {"type": 0, "content": marked("long") * 5000}, room)
    await client.call("SaveChatroomMessage", {"type": 5, "file_url": f"ftp://{marked('url')}"}, room)


def text(what: str) -> Json:
    return {"type": 0, "content": marked(what)}


async def upload(client: Client) -> None:
    room = client.secrets[-1]
    query = {"websiteId": "local", "visitorId": client.ticket, "chatroomId": room}
    for data, kind in ((marked("content").encode(), "text/plain"), (photograph(), "image/jpeg"), (b"x", "image/png")):
        files = {"formFile": (f"{marked('file')}.jpg", data, kind)}
        answer = await client.ask("POST", "/file/save", params=query, files=files)
        if "fileUrl" in answer:
            await client.call("SaveChatroomMessage", {"type": 5, "file_url": answer["fileUrl"]}, room)
    broken = {"content": f"--b\r\n{marked('form')}", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}
    await client.ask("POST", "/file/save", params=query, **broken)


async def ask_badly(client: Client) -> None:
    secret = {"websiteId": "local", "visitorId": marked("ticket"), "id": marked("token")}
    for method, path in (("POST", "/chat/negotiate"), ("POST", "/file/save"), ("GET", "/nowhere"), ("PUT", "/health")):
        await client.ask(method, path, params=secret)
    await client.ask("GET", "/chatroom/list", params=secret, headers={"X-Api-Key": marked("key")})
    await client.rest("/chatroom/get", chatroomId=marked("room"))
    await client.ask(
        "POST",
        "/chatroom/create?websiteId=local",
        headers={"X-Api-Key": API_KEY},
        content=b'{"title": "' + marked("body").encode(),
    )
    await client.ask("GET", "/health", headers={"Origin": "https://elsewhere.example", "Cookie": marked("cookie")})
    with pytest.raises(InvalidStatus):
        await websockets.connect(client.address)


def speak_nonsense(url: str) -> None:
    for data in (
        f"{marked('line')}\r\n\r\n",
        f"GET /v1/chat?id={marked('query')} HTTP/9\r\nX: {marked('head')}\r\n\r\n",
    ):
        with socket.create_connection((httpx.URL(url).host, httpx.URL(url).port or 0), DEADLINE_S) as raw:
            raw.sendall(data.encode())
            while raw.recv(4096):
                pass


async def test_nothing_that_people_write_and_no_secret_is_in_a_log_or_an_error(
    run_process: Callable[..., HubProcess], tmp_path: Path
) -> None:
    hub = run_process(PRELUDE)
    await hub.ready()
    errors: list[str] = []
    secrets = [API_KEY, TICKET_KEY.decode(), MARK]
    async with connected(hub.url) as client:
        await talk(client)
        await upload(client)
        await ask_badly(client)
        await client.end(json.dumps({"type": 1, "target": 7, "arguments": [marked("frame")]}) + "\x1e")
        errors, secrets = client.errors, secrets + client.secrets
    async with connected(hub.url) as client:
        await client.end(f"{{{marked('no json')}\x1e")
        errors, secrets = errors + client.errors, secrets + client.secrets
    await asyncio.to_thread(speak_nonsense, hub.url)
    code, printed = await asyncio.to_thread(hub.end, signal.SIGTERM)
    assert code == 0
    log = (tmp_path / "all.log").read_text()
    # It was all there to be told.
    assert log.count("RuntimeError: a bug") >= 3
    assert "The hub's database failed" in log
    assert '"WebSocket /v1/chat?..."' in log
    assert len(errors) >= 20
    for told in (log, printed, *errors):
        for secret in secrets:
            assert not re.findall(f".*{re.escape(secret)}.*", told)
