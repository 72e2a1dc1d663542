"""Fan-out: what many are to be told, each in order.

Comments for one chatroom that come in one turn of the event loop, such as those that were stored in one commit, are
joined once for all and sent once to each. Nobody gets an answer before what was told earlier.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from time import monotonic

from .membership import Membership

logger = logging.getLogger(__name__)

SendRecord = Callable[[str], None]

#: So long at most may a comment wait for others after many have been told of the last one.
LONGEST_REST_S = 0.05


@dataclass(slots=True)
class _ChatroomBatch:
    """Records for all who are in a chatroom when it is their turn.

    Attributes:
        own: By connection: in place of which record it gets which other, or none.
        told: How many of the records a connection has got already.
    """

    chatroom_id: str
    records: list[str] = field(default_factory=list)
    own: dict[str, dict[int, str]] = field(default_factory=dict)
    told: dict[str, int] = field(default_factory=dict)

    def add(self, record: str, own: Mapping[str, str]) -> None:
        for connection_id, own_record in own.items():
            self.own.setdefault(connection_id, {})[len(self.records)] = own_record
        self.records.append(record)

    def text_for(self, connection_id: str) -> str:
        own, start = self.own.get(connection_id, {}), self.told.get(connection_id, 0)
        return "".join(own.get(at, self.records[at]) for at in range(start, len(self.records)))


@dataclass(frozen=True, slots=True)
class _Audience:
    """Who is in a chatroom, as of a version of the membership."""

    version: int
    members: list[tuple[str, SendRecord]]


class Fanout:
    """Tells the connections of this process."""

    def __init__(self, membership: Membership) -> None:
        self._membership = membership
        self._senders: dict[str, SendRecord] = {}
        # A batch, or records by connection.
        self._jobs: deque[_ChatroomBatch | dict[str, str]] = deque()
        self._rest_until = 0.0
        # Whom a chatroom's records went to last: members come and go more seldom than comments.
        self._audiences: dict[str, _Audience] = {}
        # Batches that may take more: nothing else has been told since.
        self._open: dict[str, _ChatroomBatch] = {}

    def add(self, connection_id: str, send_record: SendRecord) -> None:
        """Let a connection be told from now on."""
        self._audiences.clear()
        self._senders[connection_id] = send_record

    def remove(self, connection_id: str) -> None:
        """Forget a connection."""
        self._audiences.clear()
        self._senders.pop(connection_id, None)

    def tell_chatroom(self, chatroom_id: str, record: str, own: Mapping[str, str]) -> None:
        """Tell all in a chatroom, at the end of this turn of the event loop.

        Args:
            own: What some connections get instead; an empty text for nothing.
        """
        batch = self._open.get(chatroom_id)
        if batch is None:
            batch = self._open[chatroom_id] = _ChatroomBatch(chatroom_id)
            self._queue(batch)
        batch.add(record, own)

    def tell(self, records: dict[str, str]) -> None:
        """Tell connections a record each: now, or behind all that is to be told before."""
        if self._jobs:
            self._open.clear()
            self._queue(records)
        else:
            self._tell_each(records.items())

    def catch_up(self, connection_id: str) -> None:
        """Tell one connection all that it is to be told, before it gets an answer."""
        for job in self._jobs:
            if isinstance(job, dict):
                text = job.pop(connection_id, "")
            elif self._membership.is_connected_to(connection_id, job.chatroom_id):
                text = job.text_for(connection_id)
                job.told[connection_id] = len(job.records)
            else:
                text = ""
            if text:
                self._tell_each([(connection_id, text)])

    def flush(self) -> None:
        """Tell all that is to be told."""
        while self._jobs:
            self._work()

    def _queue(self, job: _ChatroomBatch | dict[str, str]) -> None:
        self._jobs.append(job)
        if len(self._jobs) == 1:
            self._go_on_later(self._rest_until - monotonic())

    def _go_on_later(self, delay_s: float) -> None:
        loop = asyncio.get_running_loop()
        if delay_s > 0:
            loop.call_later(delay_s, self._work_in_turn)
        else:
            loop.call_soon(self._work_in_turn)

    def _work_in_turn(self) -> None:
        """Do a job; then others have their turn, for as long as it took: what comes meanwhile is joined."""
        if not self._jobs:
            return
        started = monotonic()
        self._work()
        now = monotonic()
        self._rest_until = now + min(now - started, LONGEST_REST_S)
        if self._jobs:
            self._go_on_later(0)

    def _work(self) -> None:
        job = self._jobs.popleft()
        if isinstance(job, dict):
            self._tell_each(job.items())
            return
        if self._open.get(job.chatroom_id) is job:
            del self._open[job.chatroom_id]
        self._tell_batch(job)

    def _tell_batch(self, batch: _ChatroomBatch) -> None:
        text = batch.records[0] if len(batch.records) == 1 else "".join(batch.records)
        others = batch.own.keys() | batch.told.keys()
        for connection_id, send_record in self._audience_of(batch.chatroom_id):
            own = batch.text_for(connection_id) if connection_id in others else text
            if own:
                _tell_one(send_record, own)

    def _audience_of(self, chatroom_id: str) -> Iterable[tuple[str, SendRecord]]:
        audience = self._audiences.get(chatroom_id)
        if audience is None or audience.version != self._membership.version:
            connections = self._membership.connections_in(chatroom_id)
            members = [(one, self._senders[one]) for one in connections if one in self._senders]
            audience = self._audiences[chatroom_id] = _Audience(self._membership.version, members)
        return audience.members

    def _tell_each(self, texts: Iterable[tuple[str, str]]) -> None:
        for connection_id, text in texts:
            send_record = self._senders.get(connection_id)
            if send_record is not None:
                _tell_one(send_record, text)


def _tell_one(send_record: SendRecord, text: str) -> None:
    try:
        send_record(text)
    except Exception:
        logger.exception("A connection could not be told of an event.")
