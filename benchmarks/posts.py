"""How many comments a second are stored and acknowledged, and how fast a thread is read; beside SQLite and Isso.

Run by ``make bench``. All figures are of one run on one machine, so ratios are what counts: senders and readers share
its processors with what they measure. Everybody waits for the answer to one comment before sending the next.
Exit status 1 when a limit is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import httpx
from isso_peer import Isso, free_port, running_isso
from live_clients import LiveClient, frame_of
from report import Report

from flask_chatix_comments.hub.backplane.local import LocalBackplane
from flask_chatix_comments.hub.broadcast import Broadcast
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.dispatcher import Dispatcher
from flask_chatix_comments.hub.membership import Membership
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.service import Caller, ChatService, Context
from flask_chatix_comments.hub.signalr.messages import Invocation
from flask_chatix_comments.hub.store.database import MAX_BATCH
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.hub.store.tables import message_to_row
from flask_chatix_comments.models import Message, MessageType, SenderFlag
from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets

CONTENT = "A comment of an ordinary length, such as readers write: a hundred characters, or some more than that."
SENDERS = (1, 16, 64)
HISTORY = 100
HISTORY_THREAD = 1000
ROUNDS = 3
SINGLE = "SQLite, a commit for each small row"
SAME_ROWS = "SQLite, a commit for each comment, as the hub stores it"
ISSO = "Isso, 1 or 16 senders"
SERVICE = "the hub without sockets, senders: {}"
SOCKETS = "the hub on WebSockets, senders: {}"
ONE_EACH = "the same hub, a commit for each comment, senders: 16"
TOGETHER = "the hub on WebSockets, 16 senders who hear each other"
READS = "the hub on WebSockets"
ISSO_READS = "Isso"
API_KEY = secrets.token_hex(16)
TICKET_KEY = b"k" * 32
HUB = """
import sys
from pathlib import Path
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.rate_config import RateConfig
from flask_chatix_comments.hub.server import run_hub
from flask_chatix_comments.hub.store import database

database.MAX_BATCH = int(sys.argv[4])
folder = Path(sys.argv[1])
config = HubConfig(
    website_id="bench",
    database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
    ticket_keys=(b"k" * 32,),
    api_keys=(sys.argv[2],),
    rates=RateConfig.same(1_000_000),
)
run_hub(config, host="127.0.0.1", port=int(sys.argv[3]), lock_path=folder / "hub.lock")
"""

Act = Callable[[int], Awaitable[Any]]


async def rate_of(acts: Sequence[Act], seconds: float) -> float:
    """Return how often in a second something is done by those who each do it again and again, one time at a time."""
    count, end = 0, time.perf_counter() + seconds

    async def go_on(act: Act) -> None:
        nonlocal count
        number = 0
        while time.perf_counter() < end:
            await act(number)
            number += 1
            count += 1

    started = time.perf_counter()
    await asyncio.gather(*map(go_on, acts))
    return count / (time.perf_counter() - started)


def ticket_of(visitor_id: str) -> str:
    now = time.time()
    ticket = VisitorTicket(visitor_id=visitor_id, issued_at=now, expires_at=now + 3600, name=visitor_id.title())
    return VisitorTickets((TICKET_KEY,), website_id="bench").sign(ticket)


# SQLite by itself


def single_commits(folder: Path, seconds: float) -> float:
    """Return how many small rows a second are stored that each have a commit of their own."""
    with closing(_connect(folder / "single.sqlite3")) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS comments (id TEXT PRIMARY KEY, content TEXT)")

        def store(_: int) -> None:
            connection.execute("INSERT INTO comments VALUES (?, ?)", (secrets.token_hex(16), CONTENT))

        return _commits(store, seconds)


def same_rows(folder: Path, seconds: float) -> float:
    """Return the same for what the hub stores of a comment: its row in the hub's table, and its chatroom's counters."""
    path = folder / "same.sqlite3"
    store = SqlStore(f"sqlite:///{path}")
    store.open()
    asyncio.run(store.close())
    room = secrets.token_hex(8)
    with closing(_connect(path)) as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(messages)")]
        insert = f"INSERT INTO messages VALUES ({', '.join(f':{name}' for name in columns)})"
        connection.execute(
            "INSERT INTO chatrooms (id, title, is_private, is_deleted, is_closed, created_ms, message_count, last_seq,"
            " last_sub, last_change, last_whisper_change, last_sent_ms) VALUES (?, ?, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)",
            (room, "A post"),
        )

        def post(number: int) -> None:
            message = Message(
                *(secrets.token_hex(16), room, MessageType.TEXT, SenderFlag.VISITOR, room, datetime.now(UTC), CONTENT),
                seq=number,
                change=number,
                client_key=secrets.token_hex(16),
            )
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(
                "UPDATE chatrooms SET message_count = ?, last_seq = ?, last_change = ? WHERE id = ?",
                (number, number, number, room),
            )
            connection.execute(insert, message_to_row(message, sub=0))
            connection.execute("COMMIT")

        return _commits(post, seconds)


def _connect(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, isolation_level=None)
    for pragma in ("journal_mode=WAL", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}")
    return connection


def _commits(act: Callable[[int], None], seconds: float) -> float:
    count, started = 0, time.perf_counter()
    while (passed := time.perf_counter() - started) < seconds:
        count += 1
        act(count)
    return count / passed


# The hub without sockets


class Service:
    """The hub's rules and its store, and visitors who call its methods."""

    def __init__(self, folder: Path) -> None:
        config = HubConfig(
            website_id="bench",
            database_url=f"sqlite:///{folder / 'service.sqlite3'}",
            ticket_keys=(TICKET_KEY,),
            api_keys=(API_KEY,),
            rates=RateConfig.same(1_000_000),
        )
        self.store = SqlStore(config.database_url)
        membership, backplane = Membership(), LocalBackplane()
        context = Context(
            config, self.store, membership, backplane, clock=time.time, new_id=lambda: secrets.token_hex(16)
        )
        self.service = ChatService(context)
        broadcast = Broadcast(
            membership,
            website_id="bench",
            is_manager=self.service.visitors.is_manager,
            private_pass=self.service.uploads.private_pass,
        )
        backplane.listen(broadcast.deliver)
        self.dispatcher = Dispatcher(self.service, broadcast, website_id="bench")

    async def sender(self, name: str) -> Act:
        """Return what posts a comment, in a chatroom of its own."""
        text = ticket_of(name)
        ticket = self.service.visitors.check_ticket(text)
        caller = await self.dispatcher.connect(name, ticket, text, "http://127.0.0.1/v1", lambda record: None)
        room = await self.service.chatrooms.create(name, is_private=False, external_id=None)
        await self._call(caller, "ConnectToChatroom", room.chatroom_id)

        async def post(number: int) -> None:
            await self._call(caller, "SaveChatroomMessage", draft_of(name, number), room.chatroom_id)

        return post

    async def _call(self, caller: Caller, target: str, *arguments: Any) -> None:
        completion = await self.dispatcher.invoke(
            caller, Invocation(target=target, arguments=list(arguments), invocation_id="1")
        )
        assert completion is not None and not isinstance(completion.error, str), completion

    async def rate(self, count: int, seconds: float) -> float:
        """Return how many comments a second are acknowledged, each sender in a chatroom of its own."""
        self.store.open()
        try:
            return await rate_of([await self.sender(secrets.token_hex(4)) for _ in range(count)], seconds)
        finally:
            await self.store.close()


def draft_of(name: str, number: int) -> dict[str, Any]:
    return {"type": 0, "content": CONTENT, "uuid": f"{name}-{number}"}


# The hub on sockets


class Hub:
    """A hub in a process of its own."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._api = httpx.Client(base_url=url, params={"websiteId": "bench"}, headers={"X-Api-Key": API_KEY})

    @classmethod
    @contextmanager
    def running(cls, folder: Path, *, max_batch: int = MAX_BATCH) -> Iterator[Hub]:
        port = free_port()
        folder.mkdir(exist_ok=True)
        process = subprocess.Popen([sys.executable, "-c", HUB, str(folder), API_KEY, str(port), str(max_batch)])
        hub = cls(f"http://127.0.0.1:{port}/v1")
        try:
            while not hub._answers():
                assert process.poll() is None, "The hub has ended."
                time.sleep(0.05)
            yield hub
        finally:
            hub._api.close()
            process.terminate()
            process.wait()

    def _answers(self) -> bool:
        try:
            return self._api.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def room(self) -> str:
        room: str = self._api.post("/chatroom/create", json={"title": "A post"}).json()["id"]
        return room

    async def client(self, name: str, room: str) -> LiveClient:
        """Return somebody who has joined a chatroom."""
        client = await LiveClient.connect(self._url, ticket_of(name), "bench")
        await client.call(call_of("ConnectToChatroom", room))
        return client

    async def rate(self, count: int, seconds: float, *, is_one_room: bool = False) -> float:
        """Return how many comments a second are acknowledged, each sender in a chatroom of its own or all in one."""
        room = self.room() if is_one_room else None
        names = [secrets.token_hex(4) for _ in range(count)]
        rooms = [room or self.room() for _ in names]
        clients = [await self.client(name, at) for name, at in zip(names, rooms, strict=True)]
        posts = [poster(*sender) for sender in zip(clients, names, rooms, strict=True)]
        rate = await rate_of(posts, seconds)
        for client in clients:
            client.close()
        return rate

    async def history_rate(self, count: int, seconds: float) -> float:
        """Return how often a second somebody reads a page of a hundred comments."""
        room = self.room()
        writer = await self.client("writer", room)
        for number in range(HISTORY):
            await poster(writer, "writer", room)(number)
        readers = [await self.client(f"reader-{number}", room) for number in range(count)]
        frame = call_of("GetChatroomHistory", room, None, HISTORY)
        assert (await readers[0].call(frame)).count(b'"seq":') == HISTORY
        rate = await rate_of([lambda _, reader=reader: reader.call(frame) for reader in readers], seconds)
        for client in (writer, *readers):
            client.close()
        return rate


def call_of(target: str, *arguments: Any) -> bytes:
    return frame_of({"type": 1, "invocationId": "1", "target": target, "arguments": arguments})


def poster(client: LiveClient, name: str, room: str) -> Act:
    def post(number: int) -> Awaitable[bytes]:
        return client.call(call_of("SaveChatroomMessage", draft_of(name, number), room))

    return post


# Isso


async def isso_post_rate(isso: Isso, count: int, seconds: float) -> float:
    """Return how many comments a second are acknowledged, each sender in a thread of its own."""
    return await rate_of([lambda _, thread=thread: isso.post(thread, CONTENT) for thread in range(count)], seconds)


async def isso_history_rate(isso: Isso, count: int, seconds: float) -> float:
    """Return how often a second somebody reads a thread of a hundred comments."""
    return await rate_of([lambda _: isso.history(HISTORY_THREAD)] * count, seconds)


async def fill_isso(isso: Isso) -> None:
    for _ in range(HISTORY):
        await isso.post(HISTORY_THREAD, CONTENT)


@dataclass
class Figures:
    """The best of some rounds for each figure: each round has its turn with all of them, so that moods are shared."""

    seconds: float
    rates: dict[str, float] = field(default_factory=dict)

    def take(self, name: str, rate: float) -> None:
        self.rates[name] = max(rate, self.rates.get(name, 0))

    def measure(self, name: str, rate: Callable[[float], Awaitable[float]]) -> None:
        async def run() -> float:
            return await rate(self.seconds)

        self.take(name, asyncio.run(run()))

    def best(self, *names: str) -> float:
        return max(self.rates[name] for name in names)


def take_round(figures: Figures, folder: Path, service: Service, hub: Hub, one_each: Hub, isso: Isso) -> None:
    figures.take(SINGLE, single_commits(folder, figures.seconds))
    figures.take(SAME_ROWS, same_rows(folder, figures.seconds))
    for count in SENDERS:
        figures.measure(SERVICE.format(count), partial(service.rate, count))
        figures.measure(SOCKETS.format(count), partial(hub.rate, count))
    figures.measure(ONE_EACH, partial(one_each.rate, 16))
    figures.measure(TOGETHER, partial(hub.rate, 16, is_one_room=True))
    for count in (1, 16):
        figures.measure(ISSO, partial(isso_post_rate, isso, count))
    for count in (1, 4):
        figures.measure(READS, partial(hub.history_rate, count))
        figures.measure(ISSO_READS, partial(isso_history_rate, isso, count))


def measure(report: Report, seconds: float) -> None:
    figures = Figures(seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        service = Service(folder)
        with (
            running_isso(folder) as isso,
            Hub.running(folder / "hub") as hub,
            Hub.running(folder / "one-each", max_batch=1) as one_each,
        ):
            asyncio.run(fill_isso(isso))
            for _ in range(ROUNDS):
                take_round(figures, folder, service, hub, one_each, isso)
    rates = figures.rates
    report.title("Comments stored and acknowledged, in a second")
    for what in (
        SINGLE,
        SAME_ROWS,
        ISSO,
        *map(SERVICE.format, SENDERS),
        *map(SOCKETS.format, SENDERS),
        ONE_EACH,
        TOGETHER,
    ):
        report.note(what, rates[what], "/s")
    service_rate = figures.best(SERVICE.format(16), SERVICE.format(64))
    socket_rate = figures.best(SOCKETS.format(16), SOCKETS.format(64))
    # Like with like: what sockets cost, SQLite by itself does not have to pay.
    report.least("without sockets, 16 or more, of SQLite by itself", service_rate / rates[SAME_ROWS], "times", 1)
    report.least("on WebSockets, 16, of the same hub's", rates[SOCKETS.format(16)] / rates[ONE_EACH], "times", 1)
    report.note("on WebSockets, 16 or more, of SQLite by itself", socket_rate / rates[SAME_ROWS], "times")
    report.least("on WebSockets, 16 or more, of Isso", socket_rate / rates[ISSO], "times", 10)
    report.title("A thread of 100 comments read, in a second")
    report.note(ISSO_READS, rates[ISSO_READS], "/s")
    report.note(READS, rates[READS], "/s")
    report.least("the hub, of Isso", rates[READS] / rates[ISSO_READS], "times", 20)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=1.0, help="For each figure, in each of three rounds.")
    options = parser.parse_args()
    report = Report()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")
    measure(report, options.seconds)
    if report.missed:
        print(f"\nMissed: {', '.join(report.missed)}.")
    return 1 if report.missed else 0


if __name__ == "__main__":
    sys.exit(main())
