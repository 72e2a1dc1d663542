"""Processes that make chatrooms and die, or stand still, at a point that a test names.

They are forked off one that has imported everything and has no threads, so that each costs little.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import socket
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.errors import ApiError
from flask_chatix_comments.models import Post
from flask_chatix_comments.operations import OPERATIONS, merge_operations
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
from flask_chatix_comments.rooms import RoomService

ROOT = Path(__file__).parents[1]
NEVER_REACHED = 7
JOIN_TIMEOUT_S = 120.0

# A service that knows nothing of ours but titles, and makes a new chatroom whenever it is asked to.
TITLES_ONLY = merge_operations(
    {
        "create_chatroom": {"body": {"external_id": None}},
        "update_chatroom": {"body": {"external_id": None}},
        "list_chatrooms": {"query": {"external_id": None}},
    }
)


@dataclass(frozen=True)
class Service:
    """A chat service: our hub, or what is left of it when only titles are used.

    Attributes:
        is_titles_only: Whether it is treated as a service that keeps nothing of ours but titles.
    """

    url: str
    website_id: str
    api_key: str
    is_titles_only: bool = False

    def api(self, transport: httpx.BaseTransport | None = None) -> ChatixApi:
        """Return a client of it."""
        operations = TITLES_ONLY if self.is_titles_only else OPERATIONS
        return ChatixApi(
            self.url, website_id=self.website_id, api_key=self.api_key, operations=operations, transport=transport
        )

    def rooms(self, registry: RoomRegistry, api: ChatixApi, *, lease_s: float = 30) -> RoomService:
        """Return the rule over it."""
        return RoomService(registry, lambda: api, marks_titles=self.is_titles_only, lease_s=lease_s)


def context() -> ForkServerContext:
    """Return what starts processes; the first call starts what they are forked off."""
    forks = multiprocessing.get_context("forkserver")
    dialects = (f"sqlalchemy.dialects.{name}" for name in ("sqlite", "postgresql.psycopg", "mysql.pymysql"))
    forks.set_forkserver_preload(
        ["tests.room_processes", "tests.hub.dying_hubs", "psycopg", "pymysql", "pytest", *dialects]
    )
    # Up to Python 3.12 the process that forks does not know our sys.path.
    before = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "src"), *filter(None, [before])])
    try:
        forkserver.ensure_running()
    finally:
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before
    return forks


class Point:
    """Where a process ends: at the *number*-th time that it comes there."""

    def __init__(self, name: str, deed: Callable[[], object], number: int = 1) -> None:
        self.name = name
        self._deed = deed
        self._left = number

    def reach(self, name: str) -> None:
        """Tell that we are here."""
        if name == self.name:
            self._left -= 1
            if self._left == 0:
                self._deed()


def die() -> None:
    """End as nobody can prevent or notice."""
    os.kill(os.getpid(), signal.SIGKILL)


# By the beginning of the statement and what is special about it, what it does.
_STATEMENTS = (
    ("INSERT INTO chatix_chatrooms", "", "claim"),
    ("UPDATE chatix_chatrooms", "claim_number=", "claim"),
    ("UPDATE chatix_chatrooms", "SET chatroom_id=", "record"),
)
_CALLS = {"/chatroom/create": "call", "/chatroom/list": "search", "/chatroom/update": "update"}


def watch(registry: RoomRegistry, point: Point) -> None:
    """Have *point* told what happens in the database."""

    begun: list[str] = []

    def kind_of(statement: str) -> str | None:
        return next(
            (kind for start, part, kind in _STATEMENTS if statement.startswith(start) and part in statement), None
        )

    def before(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if kind := kind_of(statement):
            point.reach(f"before the {kind}")

    def after(conn: object, cursor: object, statement: str, *rest: object) -> None:
        if kind := kind_of(statement):
            begun[:] = [kind]
            point.reach(f"during the {kind}")

    def done(connection: Any, record: object) -> None:
        # It goes back to the pool: whatever was begun on it is decided.
        if begun:
            point.reach(f"after the {begun.pop()}")

    engine = registry.database.engine
    sa.event.listen(engine, "before_cursor_execute", before)
    sa.event.listen(engine, "after_cursor_execute", after)
    sa.event.listen(engine, "checkin", done)


class WatchedTransport(httpx.BaseTransport):
    """Carries requests, and tells a point where they are."""

    def __init__(self, point: Point) -> None:
        self._point = point
        self._inner = httpx.HTTPTransport(verify=False)  # No TLS here: certificates cost time.

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        kind = next((kind for path, kind in _CALLS.items() if request.url.path.endswith(path)), "other call")
        self._point.reach(f"before the {kind}")
        for name, share in ((f"while the {kind} is sent", 0.5), (f"during the {kind}", 1.0)):
            if self._point.name == name:
                _send(request, share)
                self._point.reach(name)
        response = self._inner.handle_request(request)
        response.read()
        self._point.reach(f"after the {kind}")
        return response

    def close(self) -> None:
        self._inner.close()


def _send(request: httpx.Request, share: float) -> None:
    """Send the first part of a request, or all of it, and wait for no answer."""
    lines = [f"{request.method} {request.url.raw_path.decode()} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in request.headers.items()]
    data = "\r\n".join([*lines, "", ""]).encode() + request.read()
    connection = socket.create_connection((request.url.host, request.url.port or 80))
    connection.sendall(data[: int(len(data) * share)])


def make_room(database_url: str, service: Service, post_id: str, point_name: str, stop_file: str | None = None) -> None:
    """Make a post's chatroom; at the point, die, or create the file and stand still."""
    warnings.simplefilter("error")

    def stand_still() -> None:
        Path(str(stop_file)).touch()
        os.kill(os.getpid(), signal.SIGSTOP)

    point = Point(point_name, die if stop_file is None else stand_still)
    registry = RoomRegistry(create_registry_engine(database_url))
    api = service.api(WatchedTransport(point))
    watch(registry, point)
    service.rooms(registry, api).ensure(Post(post_id, f"Title of {post_id}"))
    registry.close()
    api.close()
    if stop_file is None:
        os._exit(NEVER_REACHED)


def join(process: BaseProcess) -> int | None:
    """Wait for a process; return how it has ended."""
    process.join(JOIN_TIMEOUT_S)
    return process.exitcode


def resume(process: BaseProcess) -> int | None:
    """Let a process that stands still go on, and wait for its end."""
    deadline = time.monotonic() + JOIN_TIMEOUT_S
    while process.exitcode is None and time.monotonic() < deadline:
        # It may have been on the way to its halt only.
        os.kill(int(process.pid or 0), signal.SIGCONT)
        process.join(0.2)
    return process.exitcode


def make_rooms(database_url: str, service: Service, count: int, lease_s: float, seed: int) -> None:
    """Want the chatrooms of *count* posts, in an order of our own, until all are there; it may end before that."""
    warnings.simplefilter("error")
    dice = random.Random(seed)
    # Every second one dies by its own hand, where a shot from outside would seldom hit.
    name = dice.choice(MORTAL_POINTS) if dice.random() < 0.5 else "nowhere"
    point = Point(name, die, dice.randint(1, max(2, count // 8)))
    registry = RoomRegistry(create_registry_engine(database_url))
    api = service.api(WatchedTransport(point))
    watch(registry, point)
    rooms = service.rooms(registry, api, lease_s=lease_s)
    wanted = [str(number) for number in range(count)]
    while wanted:
        dice.shuffle(wanted)
        wanted = [post_id for post_id in wanted if not _has_room(rooms, post_id)]
        time.sleep(0.02 if wanted else 0)
    registry.close()
    api.close()


MORTAL_POINTS = (
    *("during the claim", "after the claim", "before the call", "while the call is sent", "during the call"),
    *("after the call", "before the record", "during the record", "after the search"),
)


def _has_room(rooms: RoomService, post_id: str) -> bool:
    try:
        return rooms.ensure(Post(post_id, f"Title of {post_id}"), wait_s=0).chatroom_id is not None
    except ApiError:
        return False  # The hub has many to serve: later, then.
