"""Doubles for the tests of the Flask side: a clock moved by hand, a REST API without a network."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx
import sqlalchemy as sa
from flask import Flask

from flask_chatix_comments import ChatixComments
from flask_chatix_comments.registry import RoomRegistry
from flask_chatix_comments.state import AppState, get_state
from flask_chatix_comments.tokens import PostClaim

SECRET = "a key of the tests, 32 bytes or so"
Answer = httpx.Response | Exception


@dataclass
class Clock:
    """Seconds since 1970 that pass only when a test says so."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@dataclass
class FakeApi:
    """The REST API as an httpx transport: keeps rooms, notes every call, fails on order.

    Attributes:
        faults: By path, what to answer instead: a response, or an exception to raise.
        calls: Path, query and body of each call, in order.
        timeouts: How long each call was to wait for an answer, in seconds.
        clock: Says when messages are sent.
    """

    rooms: dict[str, dict[str, Any]] = field(default_factory=dict)
    faults: dict[str, Callable[[], Answer]] = field(default_factory=dict)
    calls: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)
    headers: list[httpx.Headers] = field(default_factory=list)
    timeouts: list[float] = field(default_factory=list)
    number_of_visitors: int = 0
    members: dict[str, list[str]] = field(default_factory=dict)
    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)
    clock: Callable[[], float] | None = None

    def __post_init__(self) -> None:
        self._numbers = itertools.count(1)
        self.transport = httpx.MockTransport(self._answer)

    def paths(self) -> list[str]:
        return [path for path, _, _ in self.calls]

    def bodies(self, path: str) -> list[Any]:
        return [body for called, _, body in self.calls if called == path]

    def queries(self, path: str) -> list[dict[str, str]]:
        return [query for called, query, _ in self.calls if called == path]

    def fail(self, path: str, answer: Answer | int) -> None:
        """Answer *path* with a status, a response or an exception from now on."""
        self.faults[path] = lambda: httpx.Response(answer) if isinstance(answer, int) else answer

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/v1")
        query = dict(request.url.params)
        body = json.loads(request.content) if request.content else None
        if path != "/health":
            self.calls.append((path, query, body))
            self.headers.append(request.headers)
            self.timeouts.append(request.extensions["timeout"]["read"])
        if path in self.faults:
            answer = self.faults[path]()
            if isinstance(answer, Exception):
                raise answer
            return answer
        return httpx.Response(200, json=self._result(path, query, body))

    def _result(self, path: str, query: dict[str, str], body: Any) -> Any:
        match path:
            case "/health":
                return {"status": "ok", "website_id": "local"}
            case "/chatroom/create":
                room = {"id": f"room-{next(self._numbers)}", "number_of_visitors": self.number_of_visitors, **body}
                return self.rooms.setdefault(room["id"], room)
            case "/chatroom/get":
                return self.rooms[query["chatroomId"]]
            case "/chatroom/list":
                first = (int(query["page"]) - 1) * int(query["itemsPerPage"])
                matching = [
                    room for room in self.rooms.values() if query.get("externalId") in (None, room.get("external_id"))
                ]
                return {"items": matching[first : first + int(query["itemsPerPage"])], "total": len(matching)}
            case "/chatroom/update":
                self.rooms[query["chatroomId"]].update(body)
                return self.rooms[query["chatroomId"]]
            case "/visitor/get-id":
                return f"service-id-{next(self._numbers)}"
            case "/visitor/update":
                return {"uuid": query["visitorId"], "name": body.get("name")}
            case "/chatroom/update":
                return self.rooms[query["chatroomId"]] | body
            case "/chatroom/messages":
                return self._history(query)
            case "/chatroom/changes":
                cursor = self.cursors.get(query["chatroomId"], 0)
                items = [{"uuid": "m", "is_deleted": True}] if str(cursor) != query["cursor"] else []
                return {"items": items, "cursor": str(cursor), "has_more": False}
            case "/chatroom/counts":
                return {"counts": {room: len(self.messages.get(room, [])) for room in body["chatroom_ids"]}}
            case "/chatroom/send-message":
                return self._send(query["chatroomId"], body)
            case "/chatroom/connect-visitor":
                self.members.setdefault(query["chatroomId"], []).append(query["visitorId"])
                return {"is_success": True}
            case "/chatroom/disconnect-visitor":
                members = self.members.get(query["chatroomId"], [])
                if query["visitorId"] in members:
                    members.remove(query["visitorId"])
                return {"is_success": True}
        raise AssertionError(f"no such path: {path}")

    def write(self, room: str, content: str, **more: Any) -> dict[str, Any]:
        """Put a message into a chatroom, as somebody would."""
        number = next(self._numbers)
        message = {"uuid": f"m{number}", "type": 0, "content": content, "sender_flag": 0, "sender_id": "somebody"}
        message |= {
            "sender_name": "Robin",
            "sent_at": self.clock() if self.clock else 1_767_225_600 + number,
            "seq": number,
        } | more
        self.messages.setdefault(room, []).append(message)
        self.cursors[room] = number
        return message

    def delete(self, room: str, message: dict[str, Any]) -> None:
        """Take a message out of a chatroom, as a manager would."""
        self.messages[room].remove(message)
        self.cursors[room] = next(self._numbers)

    def _history(self, query: dict[str, str]) -> dict[str, Any]:
        room = query["chatroomId"]
        found = self.messages.get(room, [])
        ids = [message["uuid"] for message in found]
        end = ids.index(query["lastMessageId"]) if "lastMessageId" in query else len(found)
        first = max(0, end - int(query["count"]))
        page: dict[str, Any] = {"items": found[first:end], "has_more": first > 0, "is_closed": False}
        return page | {"cursor": str(self.cursors.get(room, 0))}

    def _send(self, room: str, body: dict[str, Any]) -> dict[str, Any]:
        key = body.pop("uuid", None)
        same = [message for message in self.messages.get(room, []) if key and message.get("client_key") == key]
        return same[0] if same else self.write(room, **body, client_key=key)


@dataclass
class Site:
    """An application with a comment section, and what stands around it."""

    app: Flask
    comments: ChatixComments
    api: FakeApi

    @property
    def state(self) -> AppState:
        return get_state(self.app)

    def post_token(self, post_id: str = "hello", title: str = "Hello", *, is_private: bool = False) -> str:
        return self.state.post_tokens.sign(PostClaim(post_id, title, is_private))


@contextlib.contextmanager
def queries(registry: RoomRegistry) -> Iterator[list[str]]:
    """Note the statements that the registry sends."""
    sent: list[str] = []

    def listen(conn: object, cursor: object, statement: str, *rest: object) -> None:
        sent.append(statement)

    sa.event.listen(registry.database.engine, "before_cursor_execute", listen)
    try:
        yield sent
    finally:
        sa.event.remove(registry.database.engine, "before_cursor_execute", listen)
