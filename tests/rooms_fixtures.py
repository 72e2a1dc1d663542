"""Doubles for the tests of registry, API client, rooms and backfill. Loaded by ``pytest_plugins``."""

from __future__ import annotations

import itertools
import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
from flask_chatix_comments.room_keeper import RoomKeeper
from flask_chatix_comments.rooms import RoomService

API_KEY = "key-that-must-not-leak"
BASE_URL = "http://api.test/v1"

Fault = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response | None]


class ManualClock:
    """Seconds that pass only by ``sleep`` and ``advance``; remembers how long was slept each time."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.sleeps: list[float] = []
        self.on_sleep: Callable[[], object] = lambda: None

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds
        self.on_sleep()


class FakeService:
    """A chat service that knows chatrooms, behind the paths of the table.

    Attributes:
        is_idempotent: Whether it answers the room that it has for an ``external_id``, as our hub does.
        keeps_external_ids: Whether it stores and shows them, and filters by them.
        knows_closed: Whether a room can be read-only, as our hub's can.
    """

    def __init__(self) -> None:
        self.rooms: dict[str, dict[str, Any]] = {}
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.members: dict[str, list[str]] = {}
        self.online: set[str] = set()
        self.is_idempotent = True
        self.keeps_external_ids = True
        self.knows_closed = True
        self._ids = itertools.count(1)
        self._lock = threading.Lock()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        query = dict(request.url.params)
        body = json.loads(request.content or b"{}")
        with self._lock:
            deed = getattr(self, "_" + request.url.path.removeprefix("/v1/").replace("/", "_").replace("-", "_"))
            if "chatroomId" in query and query["chatroomId"] not in self.rooms:
                return httpx.Response(404, json={"error": "There is no such chatroom."})
            answer: httpx.Response = deed(query, body)
            return answer

    def add(self, title: str = "", *, external_id: str | None = None, **flags: bool) -> dict[str, Any]:
        """Make a room as if somebody else had."""
        room = {
            "id": f"room-{next(self._ids)}",
            "title": title,
            "is_private": False,
            "is_deleted": False,
            "is_closed": False,
            "number_of_visitors": 0,
            "managers": [],
            "external_id": external_id if self.keeps_external_ids else None,
        }
        if not self.knows_closed:
            del room["is_closed"]
        self.rooms[str(room["id"])] = room | flags
        return self.rooms[str(room["id"])]

    def talk(self, chatroom_id: str, count: int, *, words: str = "number {}") -> None:
        """Post messages as if somebody had."""
        known = self.messages.setdefault(chatroom_id, [])
        for number in range(len(known), len(known) + count):
            message = {"uuid": f"m-{number + 1}", "type": 0, "content": words.format(number), "sender_flag": 0}
            known.append(message | {"sender_id": "ada", "sent_at": 1_800_000_000 + number, "seq": number + 1})

    def _known(self, external_id: str | None) -> list[dict[str, Any]]:
        return [room for room in self.rooms.values() if external_id and room["external_id"] == external_id]

    def _chatroom_create(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        if self.is_idempotent and (known := self._known(body.get("external_id"))):
            return httpx.Response(200, json=known[0])
        room = self.add(body["title"], external_id=body.get("external_id"), is_private=body["is_private"])
        return httpx.Response(201, json=room)

    def _chatroom_list(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        rooms = list(self.rooms.values())
        if self.keeps_external_ids and "externalId" in query:
            rooms = self._known(query["externalId"])
        page, per_page = int(query["page"]), int(query["itemsPerPage"])
        items = rooms[(page - 1) * per_page : page * per_page]
        return httpx.Response(200, json={"items": items, "page": page, "total": len(rooms)})

    def _chatroom_update(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        room = self.rooms[query["chatroomId"]]
        if body.get("external_id"):
            for other in self._known(body["external_id"]):
                other["external_id"] = None
        room.update(
            {key: value or None if key == "external_id" else value for key, value in body.items() if key in room}
        )
        return httpx.Response(200, json=self.rooms[query["chatroomId"]])

    def seat(self, chatroom_id: str, *visitor_ids: str) -> None:
        """Make visitors members, as if they had joined."""
        self.members.setdefault(chatroom_id, []).extend(visitor_ids)
        self.rooms[chatroom_id]["number_of_visitors"] = len(self.members[chatroom_id])

    def _visitor(self, visitor_id: str) -> dict[str, Any]:
        return {"uuid": visitor_id, "name": None, "is_online": visitor_id in self.online}

    def _visitor_get(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json=self._visitor(query["visitorId"]))

    def _chatroom_visitors(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        per_page = int(query["itemsPerPage"])
        first = (int(query["page"]) - 1) * per_page
        members = self.members.get(query["chatroomId"], [])[first : first + per_page]
        return httpx.Response(200, json={"items": [self._visitor(member) for member in members]})

    def _chatroom_connect_visitor(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        self.seat(query["chatroomId"], query["visitorId"])
        return httpx.Response(200, json={"is_success": True})

    def _chatroom_disconnect_visitor(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        visitor_id, members = query["visitorId"], self.members.get(query["chatroomId"], [])
        if visitor_id in members and not ("onlyOffline" in query and visitor_id in self.online):
            members.remove(visitor_id)
        return httpx.Response(200, json={"is_success": True, "is_member": visitor_id in members})

    def _chatroom_messages(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        items = self.messages.get(query["chatroomId"], [])
        if "lastMessageId" in query:
            items = items[: [message["uuid"] for message in items].index(query["lastMessageId"])]
        return httpx.Response(200, json={"items": items[-int(query["count"]) :]})

    def _chatroom_find_message(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        for chatroom_id, items in self.messages.items():
            for message in items:
                if message["uuid"] == query["messageId"]:
                    return httpx.Response(200, json={"chatroom_id": chatroom_id, "message": message})
        return httpx.Response(404, json={"error": "There is no such message."})

    def _chatroom_delete_message(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        items = self.messages.get(query["chatroomId"], [])
        kept = [message for message in items if message["uuid"] != query["messageId"]]
        if len(kept) == len(items):
            return httpx.Response(404, json={"error": "There is no such message."})
        self.messages[query["chatroomId"]] = kept
        return httpx.Response(200, json={"is_success": True})

    def _chatroom_get(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        return httpx.Response(200, json=self.rooms[query["chatroomId"]])

    def _chatroom_restore(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        self.rooms[query["chatroomId"]]["is_deleted"] = False
        return httpx.Response(200, json=self.rooms[query["chatroomId"]])

    def _chatroom_delete(self, query: dict[str, str], body: dict[str, Any]) -> httpx.Response:
        self.rooms[query["chatroomId"]]["is_deleted"] = True
        return httpx.Response(200, json={"is_success": True})


class Faults(httpx.BaseTransport):
    """Answers what was ordered, one request after the other, then hands over to *service*.

    An exception is raised, a response returned; a function does something and returns a response, or
    ``None`` to let the request through.
    """

    def __init__(self, service: Callable[[httpx.Request], httpx.Response]) -> None:
        self.service = service
        self.requests: list[httpx.Request] = []
        self._ordered: deque[Fault] = deque()

    def order(self, *faults: Fault) -> None:
        """Queue what happens to the next requests."""
        self._ordered.extend(faults)

    def clear(self) -> None:
        """Forget what was ordered and has not happened."""
        self._ordered.clear()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        request.read()
        self.requests.append(request)
        fault = self._ordered.popleft() if self._ordered else None
        if isinstance(fault, Exception):
            raise fault
        if callable(fault):
            fault = fault(request)
        return fault if fault is not None else self.service(request)

    @property
    def paths(self) -> list[str]:
        """What has been asked for, without the base."""
        return [request.url.path.removeprefix("/v1") for request in self.requests]


@pytest.fixture
def ticking() -> ManualClock:
    """A clock that is moved by hand."""
    return ManualClock()


@pytest.fixture
def service() -> FakeService:
    """A chat service."""
    return FakeService()


@pytest.fixture
def faults(service: FakeService) -> Faults:
    """The network between us and the chat service."""
    return Faults(service)


@pytest.fixture
def api(faults: Faults, ticking: ManualClock) -> Iterator[ChatixApi]:
    """The client, over ``faults``."""
    api = ChatixApi(
        BASE_URL, website_id="site 1", api_key=API_KEY, transport=faults, sleep=ticking.sleep, clock=ticking
    )
    yield api
    api.close()


@pytest.fixture
def database_url(tmp_path: Path) -> str:
    """A database that is fresh for each test; its folder does not exist yet."""
    return f"sqlite:///{tmp_path / 'new folder' / 'registry.sqlite'}"


@pytest.fixture
def registry(database_url: str) -> Iterator[RoomRegistry]:
    """The registry in that database."""
    registry = RoomRegistry(create_registry_engine(database_url))
    yield registry
    registry.close()


@pytest.fixture
def keeper(registry: RoomRegistry, api: ChatixApi) -> RoomKeeper:
    """What is done by hand, where the service is our hub."""
    return RoomKeeper(registry, lambda: api, is_hosted=False)


@pytest.fixture
def hosted_keeper(registry: RoomRegistry, api: ChatixApi, service: FakeService) -> RoomKeeper:
    """What is done by hand, where the service knows nothing of our extensions."""
    service.keeps_external_ids = service.knows_closed = False
    return RoomKeeper(registry, lambda: api, is_hosted=True)


@pytest.fixture
def rooms(registry: RoomRegistry, api: ChatixApi, ticking: ManualClock) -> RoomService:
    """The rule, over the fake service and a real database."""
    return RoomService(registry, lambda: api, sleep=ticking.sleep, clock=ticking)
