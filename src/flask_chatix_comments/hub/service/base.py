"""What the parts of the service share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from weakref import WeakValueDictionary

from ...tokens import VisitorTicket
from ..backplane.base import Backplane
from ..config import HubConfig
from ..membership import Membership
from ..store.base import MessageStore


class Turns:
    """One at a time, for each key: who reads, decides and writes takes a turn."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for the turn of *key*, and keep it; it is not given twice to the same task."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        async with lock:
            yield


@dataclass(frozen=True, slots=True)
class Context:
    """What the rules need from outside.

    Attributes:
        clock: Seconds since 1970.
        new_id: Makes an id that nobody can guess.
        remove_files: Removes the files of an upload, by its id; raises ``OSError`` when it cannot. It waits for
            the disk. ``None``: there are no files.
        visitor_turns: Taken by whatever changes a visitor's profile or memberships.
        chatroom_turns: Taken by whatever changes a chatroom's title or flags.
    """

    config: HubConfig
    store: MessageStore
    membership: Membership
    backplane: Backplane
    clock: Callable[[], float]
    new_id: Callable[[], str]
    remove_files: Callable[[str], None] | None = None
    visitor_turns: Turns = field(default_factory=Turns)
    chatroom_turns: Turns = field(default_factory=Turns)

    def now(self) -> datetime:
        """Return the time as an aware UTC datetime."""
        return datetime.fromtimestamp(self.clock(), UTC)


@dataclass(slots=True, eq=False)
class Caller:
    """An open connection, and whose it is.

    Attributes:
        ticket_text: What the visitor is to itself: the credential with which it can come back.
        base_url: Where it reached the hub, up to ``/v1``: there it will find files as well.
        address: Where it comes from; ``None``: that tells nothing.
        typed_at: When it last said that it is typing.
    """

    connection_id: str
    ticket: VisitorTicket
    ticket_text: str = field(repr=False)
    base_url: str
    address: str | None = None
    typed_at: float = float("-inf")

    @property
    def visitor_id(self) -> str:
        """The public id."""
        return self.ticket.visitor_id

    @property
    def is_lasting(self) -> bool:
        """Whether memberships outlive the connection: it came with a get-id ticket."""
        return self.ticket.kind == "get-id"

    @property
    def own_id(self) -> str:
        """How the visitor is named to its own connections.

        Any SDK client compares ``sender_id`` with the id that it holds, which is the ticket; a page of
        ours is told the public id by its site.
        """
        return self.ticket_text if self.is_lasting else self.visitor_id
