"""Readers and writers on real sockets, who do what the section's script does: catch up, send again under one key."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import random
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.soak.lines import ANSWER_TIMEOUT_S, LINE_ERRORS, TRANSPORTS, Line, opened

Json = dict[str, Any]
RECORD_SEPARATOR = "\x1e"
PAGE = 100


class RefusedError(Exception):
    """The hub has answered that it will not."""


class Connection:
    """A SignalR connection: calls, of which several may be under way, and events in the order in which they come."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._handshake: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._numbers = itertools.count()
        self._waiting: dict[str, asyncio.Future[Any]] = {}
        self.events: asyncio.Queue[Json | None] = asyncio.Queue()

    async def call(self, target: str, *arguments: Any) -> Any:
        """Call a hub method.

        Raises:
            RefusedError: The hub said no, and why.
            EOFError: The line is gone; whether the hub did it is not known.
        """
        number = str(next(self._numbers))
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        await self._send({"type": 1, "invocationId": number, "target": target, "arguments": arguments})
        return await asyncio.wait_for(answer, ANSWER_TIMEOUT_S)

    async def _send(self, record: Json) -> None:
        await self._line.send(json.dumps(record) + RECORD_SEPARATOR)

    async def run(self) -> None:
        """Take what comes, until the end of the line."""
        try:
            async for text in self._line.texts():
                for record in map(json.loads, text.split(RECORD_SEPARATOR)[:-1]):
                    self._take(record)
        finally:
            self.events.put_nowait(None)
            for answer in (self._handshake, *self._waiting.values()):
                if not answer.done():
                    answer.set_exception(EOFError())
                    answer.exception()  # Whoever asked may be gone too.

    def _take(self, record: Json) -> None:
        match record:
            case {"type": 1}:
                self.events.put_nowait(record)
            case {"type": 3, "invocationId": number}:
                answer = self._waiting.pop(number)
                if answer.done():
                    return
                if "error" in record:
                    answer.set_exception(RefusedError(record["error"]))
                else:
                    answer.set_result(record.get("result"))
            case _ if not self._handshake.done():
                self._handshake.set_result(record)

    async def shake_hands(self) -> None:
        """Open the SignalR connection (HubProtocol.md, "Handshake")."""
        await self._send({"protocol": "json", "version": 1})
        answer = await asyncio.wait_for(self._handshake, ANSWER_TIMEOUT_S)
        assert answer == {}, answer


@contextlib.asynccontextmanager
async def connected(url: str, ticket: str, transport: str) -> AsyncIterator[Connection]:
    """Negotiate, connect and shake hands."""
    async with opened(url, ticket, transport) as line:
        connection = Connection(line)
        reading = asyncio.create_task(connection.run())
        try:
            await connection.shake_hands()
            yield connection
        finally:
            reading.cancel()
            with contextlib.suppress(asyncio.CancelledError, *LINE_ERRORS):
                await reading


@dataclass
class Thread:
    """What a reader sees of a chatroom."""

    messages: dict[str, Json] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    cursor: Any = None

    def put(self, message: Json) -> None:
        """Take a message, unless what is known of it is newer."""
        if message.get("is_deleted"):
            self.remove(message["uuid"])
            return
        known = self.messages.get(message["uuid"])
        is_older = known is not None and (known["edited_at"] or 0) > (message["edited_at"] or 0)
        if message["uuid"] not in self.deleted and not is_older:
            self.messages[message["uuid"]] = message

    def remove(self, message_id: str) -> None:
        """Note that a message is deleted, so that it stays so."""
        self.deleted.add(message_id)
        self.messages.pop(message_id, None)

    def read(self) -> list[tuple[int, str, str]]:
        """Return number, id and text of each message in its order."""
        return sorted((message["seq"], message["uuid"], message["content"]) for message in self.messages.values())


class Reader:
    """Somebody who looks at a chatroom, through whatever happens to the line.

    Args:
        transports: Of which one is taken each time.

    Attributes:
        is_level: Whether nothing is known to be missing.
        reconnects: How often it has come back.
    """

    def __init__(
        self,
        url: str,
        ticket: str,
        chatroom_id: str,
        chance: random.Random,
        transports: Sequence[str] = TRANSPORTS,
    ) -> None:
        self._url = url
        self._transports = transports
        self._ticket = ticket
        self.chatroom_id = chatroom_id
        self.chance = chance
        self.thread = Thread()
        self.is_level = False
        self.reconnects = -1
        self._has_news = asyncio.Event()

    async def run(self) -> None:
        """Come back whenever the line is gone, until cancelled."""
        while True:
            with contextlib.suppress(*LINE_ERRORS):
                transport = self.chance.choice(self._transports)
                async with connected(self._url, self._ticket, transport) as connection:
                    self.reconnects += 1
                    await self._attend(connection)
            self.is_level = False
            await asyncio.sleep(self.chance.uniform(0.01, 0.2))

    async def _attend(self, connection: Connection) -> None:
        joined = await connection.call("ConnectToChatroom", self.chatroom_id)
        assert joined["is_success"], joined
        listening = asyncio.create_task(self._listen(connection))
        try:
            await self.catch_up(connection)
            self.is_level = True
            await self.work(connection)
            await listening
        finally:
            listening.cancel()

    async def catch_up(self, connection: Connection) -> None:
        """Ask for all that has happened since the last time."""
        has_more = True
        while has_more:
            page = await connection.call("GetChatroomChanges", self.chatroom_id, self.thread.cursor, PAGE)
            for item in page["items"]:
                self.thread.put(item)
            self.thread.cursor, has_more = page["cursor"], page["has_more"]

    async def work(self, connection: Connection) -> None:
        """Do what is done on an open line; a mere reader does nothing."""

    def may_follow(self, seq: int, last_seq: int) -> bool:
        """Whether a message may come live behind the last one, 0 for none: on one line nothing is left out."""
        return not last_seq or seq == last_seq + 1

    async def _listen(self, connection: Connection) -> None:
        last_seq = 0
        while (event := await connection.events.get()) is not None:
            match event:
                case {"target": "ApplyChatroomMessage", "arguments": [message, _]}:
                    assert self.may_follow(message["seq"], last_seq), f"{message['seq']} came live after {last_seq}"
                    last_seq = message["seq"]
                    self.thread.put(message)
                case {"target": "OnUpdateChatroomMessage", "arguments": [message, _]}:
                    self.thread.put(message)
                case {"target": "OnDeleteChatroomMessage", "arguments": [message_id, _]}:
                    self.thread.remove(message_id)


@dataclass
class Comment:
    """What a writer wants to be there, and what the hub has said of it.

    Attributes:
        final: The text that it has in the end; ``None``: deleted.
    """

    key: str
    text: str
    final: str | None
    message_id: str | None = None
    is_done: bool = False


class Writer(Reader):
    """A reader who also writes: several comments under way at a time, some edited, some deleted afterwards.

    Attributes:
        comments: All that it has to say.
        sends: How often a comment was sent, repetitions included.
    """

    def __init__(self, comments: list[Comment], *seat: Any) -> None:
        super().__init__(*seat)
        self.comments = comments
        self.sends = 0

    @property
    def is_done(self) -> bool:
        """Whether all is said and acknowledged."""
        return all(comment.is_done for comment in self.comments)

    def may_follow(self, seq: int, last_seq: int) -> bool:
        """What it has sent itself came as answers."""
        return seq > last_seq

    async def work(self, connection: Connection) -> None:
        """Send what is not done, up to three at a time, in no order; whatever does not get through is a broken line."""
        left = [comment for comment in self.comments if not comment.is_done]
        while left:
            batch, left = left[:3], left[3:]
            await asyncio.gather(*(self._see_through(connection, comment) for comment in batch))

    async def _see_through(self, connection: Connection, comment: Comment) -> None:
        if comment.message_id is None:
            self.sends += 1
            draft = {"type": 0, "content": comment.text, "uuid": comment.key}
            stored = await connection.call("SaveChatroomMessage", draft, self.chatroom_id)
            assert stored["client_key"] == comment.key, stored
            comment.message_id = stored["uuid"]
            self.thread.put(stored)
        if comment.final is None:
            await self._delete(connection, comment.message_id)
        elif comment.final != comment.text:
            edited = await connection.call("UpdateChatroomMessage", comment.message_id, comment.final, self.chatroom_id)
            self.thread.put(edited)
        comment.is_done = True

    async def _delete(self, connection: Connection, message_id: str) -> None:
        # Refused: it was done before, and the answer was lost.
        with contextlib.suppress(RefusedError):
            await connection.call("DeleteChatroomMessage", message_id, self.chatroom_id)
        self.thread.remove(message_id)
