"""A storm: many write at once while the hub is killed and lines are cut; then all is held against what is stored."""

from __future__ import annotations

import asyncio
import itertools
import random
import signal
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from flask_chatix_comments.tokens import VisitorTicket, VisitorTickets
from tests.hub.processes import HubProcess
from tests.hub.support import TICKET_KEY, rest_client
from tests.ports import free_port
from tests.soak.client import Comment, Json, Reader, Writer
from tests.soak.cutter import Cutter
from tests.soak.lines import TRANSPORTS

PAGE = 100
#: So long may it take at the end until everybody has what is stored.
CALM_S = 30.0
#: So long may nothing get through before lines are cut again.
PATIENCE_S = 2.0


@dataclass(frozen=True)
class Plan:
    """How bad it gets.

    Attributes:
        readers: Who only reads, beside the writers.
        kills: How often the hub is killed with SIGKILL, spread over the comments.
        timeout_s: When it is given up.
        transports: By which everybody connects, another one each time.
    """

    comments: int
    writers: int
    readers: int
    kills: int
    timeout_s: float
    seed: int = 0
    transports: Sequence[str] = TRANSPORTS


@dataclass
class Outcome:
    """What became of it; *wrong* has a sentence for each promise that was not kept."""

    seconds: float
    stored: int
    sends: int
    kills: int
    cuts: int
    reconnects: int
    wrong: list[str] = field(default_factory=list)


class Storm:
    """Runs a plan on a hub of its own in *folder*."""

    def __init__(self, plan: Plan, folder: Path) -> None:
        self._plan = plan
        self._folder = folder
        self._chance = random.Random(plan.seed)
        self._port = free_port()
        self._hub = HubProcess(folder, self._port)
        self._cutter = Cutter(self._port, self._chance)
        self._writers: list[Writer] = []
        self._readers: list[Reader] = []

    async def run(self) -> Outcome:
        """Do it all; the hub has ended when it returns."""
        started = time.monotonic()
        try:
            await self._hub.ready()
            self._chatroom_id = await asyncio.to_thread(self._make_room)
            async with asyncio.timeout(self._plan.timeout_s), self._cutter.running():
                await self._weather()
            return await asyncio.to_thread(self._judge, started)
        finally:
            self._hub.end(signal.SIGKILL)

    def _make_room(self) -> str:
        with rest_client(self._hub.url) as api:
            answer = api.post("/chatroom/create", json={"title": "A storm", "is_private": False})
        return str(answer.raise_for_status().json()["id"])

    async def _weather(self) -> None:
        self._invite()
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(reader.run()) for reader in self._everybody]
            await self._trouble()
            await self._until(lambda: all(writer.is_done for writer in self._writers))
            await self._calm()
            for task in running:
                task.cancel()

    @property
    def _everybody(self) -> Sequence[Reader]:
        return [*self._writers, *self._readers]

    def _invite(self) -> None:
        numbers = itertools.count()
        shares = [range(first, self._plan.comments, self._plan.writers) for first in range(self._plan.writers)]
        self._writers = [
            Writer([self._comment(number) for number in share], *self._seat(f"writer-{next(numbers)}"))
            for share in shares
        ]
        self._readers = [Reader(*self._seat(f"reader-{next(numbers)}")) for _ in range(self._plan.readers)]

    def _seat(self, visitor_id: str) -> tuple[str, str, str, random.Random, Sequence[str]]:
        now = time.time()
        ticket = VisitorTicket(visitor_id=visitor_id, issued_at=now, expires_at=now + 43_200, name=visitor_id)
        text = VisitorTickets((TICKET_KEY,), website_id="local").sign(ticket)
        chance = random.Random(self._chance.random())
        return self._cutter.url, text, self._chatroom_id, chance, self._plan.transports

    def _comment(self, number: int) -> Comment:
        text = f"Comment {number}"
        final = self._chance.choices([text, f"{text}, edited", None], [90, 7, 3])[0]
        return Comment(f"key-{self._plan.seed}-{number}", text, final)

    @property
    def _done_count(self) -> int:
        return sum(comment.is_done for writer in self._writers for comment in writer.comments)

    async def _trouble(self) -> None:
        """Kill the hub each time that a share of the comments is done; cut lines before, and in between."""
        for kill in range(1, self._plan.kills + 1):
            wanted = self._plan.comments * kill // (self._plan.kills + 1)
            is_due = False
            while not is_due:
                before = self._done_count
                await asyncio.sleep(self._chance.uniform(0.05, 0.3))
                self._cutter.hold(share=0.1)
                await asyncio.sleep(self._chance.uniform(0.01, 0.1))
                self._cutter.cut(share=0.15)
                await self._progress(before)
                is_due = self._done_count >= wanted
            await asyncio.to_thread(self._hub.end, signal.SIGKILL)
            self._hub = await HubProcess(self._folder, self._port).ready()

    async def _progress(self, before: int) -> None:
        """Wait until a comment more is done than before, however slow the machine is; but not for ever."""
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                await self._until(lambda: self._done_count > before)

    async def _calm(self) -> None:
        """Let everybody come to rest. Whose line has held has to have all by now: nobody is made to ask again."""
        self._cutter.cut_held()
        thread = thread_of(await asyncio.to_thread(self._stored))
        with suppress(TimeoutError):
            async with asyncio.timeout(CALM_S):
                await self._until(
                    lambda: all(reader.is_level and reader.thread.read() == thread for reader in self._everybody)
                )

    async def _until(self, condition: Any) -> None:
        while not condition():
            await asyncio.sleep(0.05)

    def _judge(self, started: float) -> Outcome:
        stored = self._stored()
        outcome = Outcome(
            seconds=time.monotonic() - started,
            stored=len(stored),
            sends=sum(writer.sends for writer in self._writers),
            kills=self._plan.kills,
            cuts=self._cutter.cut_count,
            reconnects=sum(reader.reconnects for reader in self._everybody),
        )
        comments = [comment for writer in self._writers for comment in writer.comments]
        outcome.wrong += wrong_texts(comments, stored) + wrong_order(stored)
        thread = thread_of(stored)
        outcome.wrong += [
            f"somebody sees another thread than is stored: {len(reader.thread.messages)} messages"
            for reader in self._everybody
            if reader.thread.read() != thread
        ]
        return outcome

    def _stored(self) -> list[Json]:
        with rest_client(self._hub.url) as api:
            return list(reversed(list(self._newest_first(api))))

    def _newest_first(self, api: httpx.Client) -> Any:
        before: dict[str, str] = {}
        while True:
            query: dict[str, str | int] = {"chatroomId": self._chatroom_id, "count": PAGE, **before}
            items: list[Json] = api.get("/chatroom/messages", params=query).raise_for_status().json()["items"]
            if not items:
                return
            yield from reversed(items)
            before = {"lastMessageId": items[0]["uuid"]}


def thread_of(stored: Sequence[Json]) -> list[tuple[int, str, str]]:
    """Return what everybody should see."""
    return [(message["seq"], message["uuid"], message["content"]) for message in stored]


def wrong_texts(comments: Sequence[Comment], stored: Sequence[Json]) -> list[str]:
    """Tell what is amiss: each acknowledged comment is there once, as it was left, and nothing else is."""
    living = [comment for comment in comments if comment.final is not None]
    wanted, found = Counter(comment.final for comment in living), Counter(message["content"] for message in stored)
    lost, extra = wanted - found, found - wanted
    wrong = [f"{lost.total()} comments are lost, such as {next(iter(lost))!r}"] if lost else []
    wrong += [f"{extra.total()} are there too often, such as {next(iter(extra))!r}"] if extra else []
    if {comment.message_id for comment in living} != {message["uuid"] for message in stored}:
        wrong.append("the ids that were acknowledged are not those that are stored")
    return wrong


def wrong_order(stored: Sequence[Json]) -> list[str]:
    """Tell whether the history, its numbers and its times disagree."""
    numbers = [message["seq"] for message in stored]
    times = [message["sent_at"] for message in stored]
    wrong = ["the history is not in the order of its numbers"] if numbers != sorted(set(numbers)) else []
    return wrong + (["a later number has an earlier time"] if times != sorted(times) else [])
