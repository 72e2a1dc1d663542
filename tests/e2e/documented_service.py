"""The hosted service as far as it is documented: our hub, behind a door that lets nothing else in.

What a page or a site asks for beyond that is refused and noted. The tables say what the vendor's page and the
published SDK show, and for the REST API what docs/hosted-service.md has without our hub's extras; they are written down
here anew, so that the code cannot make them follow.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from flask_chatix_comments.hub.server import HubThread
from tests.e2e.support import HOSTED_API_KEY, HOSTED_WEBSITE_ID, running_hub

RECORD_END = "\x1e"

VISITOR = {"visitorId", "websiteId"}
ROOM = {"websiteId", "chatroomId"}
PAGE = {"page", "itemsPerPage"}
FILE_URLS = {"thumb_100_url", "thumb_300_url", "original_url", "file_url"}

#: Method and path, parameters of the query, keys of the JSON body.
REQUESTS: dict[str, tuple[set[str], set[str]]] = {
    # What the SDK asks for; the newer SignalR client names its version.
    "GET /visitor/get-id": ({"websiteId"}, set()),
    "POST /chat/negotiate": (VISITOR | {"negotiateVersion"}, set()),
    "GET /chat": (VISITOR | {"id"}, set()),
    "POST /file/save": (VISITOR | {"chatroomId"}, set()),
    # What the site asks for.
    "POST /chatroom/create": ({"websiteId"}, {"title", "is_private", "external_id"}),
    "GET /chatroom/get": (ROOM, set()),
    "GET /chatroom/list": ({"websiteId", "includeDeleted"} | PAGE, set()),
    "POST /chatroom/update": (ROOM, {"title", "is_private"}),
    "POST /chatroom/delete": (ROOM, set()),
    "POST /chatroom/restore": (ROOM, set()),
    "POST /chatroom/connect-visitor": (ROOM | VISITOR, set()),
    "POST /chatroom/disconnect-visitor": (ROOM | VISITOR, set()),
    "GET /chatroom/visitors": (ROOM | PAGE, set()),
    "GET /chatroom/messages": (ROOM | {"lastMessageId", "count"}, set()),
    "POST /chatroom/send-message": (ROOM, {"type", "content", "sender_flag", "sender_id"} | FILE_URLS),
    "POST /chatroom/update-message": (ROOM | {"messageId"}, {"content"}),
    "POST /chatroom/delete-message": (ROOM | {"messageId"}, set()),
    "POST /chatroom/send-whisper": (ROOM, {"content", "sender_id"}),
    "GET /visitor/get": (VISITOR, set()),
    "POST /visitor/update": (VISITOR, {"name", "email", "fields"}),
}
#: Files, at the addresses that the service itself has given out.
FILE = re.compile(r"GET /file/[0-9a-f]+/[^/]+(/300)?")

#: Hub methods of the SDK, and how many arguments it gives them.
METHODS = {
    "GetVisitorInfo": 1,
    "GetManagers": 0,
    "GetMyChatrooms": 3,
    "SavePageInfo": 2,
    "GetAllChatrooms": 3,
    "GetChatroom": 1,
    "ConnectToChatroom": 1,
    "DisconnectFromChatroom": 1,
    "SaveChatroomMessage": 2,
    "GetChatroomHistory": 3,
    "GetChatroomVisitors": 3,
    "GetVisitorByVisitor": 1,
    "SaveVisitorInfo": 1,
    "GetWebChatManagers": 0,
    "GetManagerInfo": 1,
    "GetWebChatInfo": 0,
}
#: What the SDK puts into a message that it sends.
DRAFT = {"uuid", "type", "content", "sender_flag", "sender_id", "sent_at"} | FILE_URLS


class Door:
    """ASGI middleware: lets documented requests and invocations through, and notes all others in *extras*."""

    def __init__(self, app: ASGIApp, extras: list[str]) -> None:
        self._app = app
        self._extras = extras
        self.closed_sockets = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            try:
                await self._app(scope, self._looked_into(receive), send)
            finally:
                self.closed_sockets += 1
        elif scope["type"] == "http" and scope["method"] != "OPTIONS":
            await self._pass_request(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _pass_request(self, scope: Scope, receive: Receive, send: Send) -> None:
        name = f"{scope['method']} {scope['path'].removeprefix('/v1')}"
        given = {key for key, _ in parse_qsl(scope["query_string"].decode(), keep_blank_values=True)}
        query, keys = (set(), set()) if FILE.fullmatch(name) else REQUESTS.get(name, (None, set()))
        headers = {key.decode(): value.decode() for key, value in scope["headers"]}
        body = b""
        if headers.get("content-type") == "application/json":
            body = await _read(receive)
            receive = _again(body)
        found = set(json.loads(body)) if body else set()
        if query is None or not given <= query or not found <= keys:
            self._extras.append(f"{name} with {sorted(given)} and {sorted(found)}")
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body", "body": b"There is no such thing."})
            return
        await self._app(scope, receive, send)

    def _looked_into(self, receive: Receive) -> Receive:
        async def look() -> Message:
            message = await receive()
            if message["type"] == "websocket.receive" and message.get("text"):
                records = [self._checked(record) for record in message["text"].split(RECORD_END) if record]
                message = {**message, "text": "".join(record + RECORD_END for record in records)}
            return message

        return look

    def _checked(self, text: str) -> str:
        """Return the record; another, to be refused, where a method or an argument is not of the SDK."""
        record: dict[str, Any] = json.loads(text)
        if record.get("type") != 1:
            return text
        target, arguments = record["target"], record["arguments"]
        if is_of_the_sdk(target, arguments):
            return text
        self._extras.append(f"{target} with {arguments}")
        return json.dumps(record | {"target": "NoSuchMethod"})


def is_of_the_sdk(target: str, arguments: list[Any]) -> bool:
    """Whether the published SDK makes such an invocation."""
    if METHODS.get(target) != len(arguments):
        return False
    if target != "SaveChatroomMessage":
        return True
    # The id of a message is the service's to give.
    return set(arguments[0]) <= DRAFT and arguments[0].get("uuid") is None


async def _read(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        body += bytes(message.get("body", b""))
        if not message.get("more_body"):
            return body


def _again(body: bytes) -> Receive:
    messages: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    return receive


#: By the URL of the service.
_doors: dict[str, Door] = {}


def count_closed_sockets(url: str) -> int:
    """Return how many sockets of the service at *url* have been closed; what that means to it is done."""
    return _doors[url].closed_sockets


@contextlib.contextmanager
def running_service(folder: Path, *, port: int = 0) -> Iterator[HubThread]:
    """Run the service; whatever is asked for beyond the documents fails the test in the end."""
    extras: list[str] = []
    doors: list[Door] = []

    def wrap(app: ASGIApp) -> ASGIApp:
        doors.append(Door(app, extras))
        return doors[0]

    with running_hub(
        folder,
        website_id=HOSTED_WEBSITE_ID,
        api_key=HOSTED_API_KEY,
        port=port,
        wrap=wrap,
    ) as service:
        _doors[service.url] = doors[0]
        yield service
    assert not extras, extras
