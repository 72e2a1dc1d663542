"""What the upkeep of the registry needs: claims that stick, and chatrooms for another post ID."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from .database import DatabaseNow, chatrooms
from .errors import RegistryError
from .registry_connections import RegistryConnections
from .registry_rows import RegistryEntry, RoomState

#: No lease is so long. One that seems to be was taken before the database's clock was put back.
LONGEST_LEASE_S = 120.0
_latest_end = DatabaseNow() + round(LONGEST_LEASE_S * 1_000_000)
has_no_lease = sa.or_(
    chatrooms.c.claim_expires_at.is_(None),
    chatrooms.c.claim_expires_at <= DatabaseNow(),
    chatrooms.c.claim_expires_at > _latest_end,
)
#: Rows of posts that have another ID since are nobody's claim.
is_not_moved = chatrooms.c.state != RoomState.MOVED.value
# From one to the next; more would be a circle.
_MAX_MOVES = 20


@dataclass(frozen=True, slots=True)
class OpenClaim:
    """A post whose chatroom somebody makes, or began to make.

    Attributes:
        owner: Who claimed it; ``None``: the claim was given up, and a chatroom may have been made all the same.
        updated_at: When it was claimed, or given up.
        is_under_way: Whether it was claimed or given up so short a time ago that whoever did so may still be at it.
    """

    post_id: str
    title: str
    is_private: bool
    owner: str | None
    updated_at: datetime
    is_under_way: bool


class RegistryUpkeep(RegistryConnections):
    """A part of ``RoomRegistry``."""

    @contextlib.contextmanager
    def _telling(self, *post_ids: str) -> Iterator[None]:
        try:
            yield
        finally:
            for post_id in post_ids:
                self.on_change(post_id)

    def count(self) -> int:
        """Return how many rows the registry has of posts, those whose chatroom is being made or was moved too."""
        with self._transaction() as connection:
            return connection.execute(sa.select(sa.func.count()).select_from(chatrooms)).scalar_one()

    def claims(self, *, margin_s: float, after: str | None = None, limit: int = 500) -> Sequence[OpenClaim]:
        """Return up to *limit* posts without chatroom in the order of their IDs, those behind *after*.

        Args:
            margin_s: How long after its lease a claim still counts as under way.
        """
        query = _claims(margin_s).order_by(chatrooms.c.post_id).limit(limit)
        if after is not None:
            query = query.where(chatrooms.c.post_id > after)
        with self._transaction() as connection:
            return [_claim_from_row(row) for row in connection.execute(query)]

    def find_claim(self, post_id: str, *, margin_s: float) -> OpenClaim | None:
        """Return the claim of a post that has no chatroom, or ``None``."""
        query = _claims(margin_s).where(chatrooms.c.post_id == post_id)
        with self._transaction(post_id) as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else _claim_from_row(row)

    def is_being_made(self, title: str, *, margin_s: float) -> bool:
        """Whether somebody makes a chatroom of this title at this moment, for whatever post."""
        query = _claims(margin_s).where(chatrooms.c.title == title, _is_under_way(margin_s)).limit(1)
        with self._transaction() as connection:
            return connection.execute(query).first() is not None

    def vacate(self, entry: RegistryEntry) -> bool:
        """Forget a chatroom that has vanished; whoever comes next makes the post another, as private as that was.

        Returns:
            Whether it still was that of *entry*.
        """
        values = {"chatroom_id": None, "state": RoomState.CREATING.value, "updated_at": DatabaseNow()}
        vacate = sa.update(chatrooms).where(*is_still(entry)).values(values)
        with self._telling(entry.post_id):
            return self._run(lambda connection: connection.execute(vacate).rowcount > 0, entry.post_id)

    def rename(self, entry: RegistryEntry, post_id: str, *, instead_of: RegistryEntry | None = None) -> bool:
        """Give the chatroom of *entry* to the post *post_id*; keep everything else.

        A claim of that post whose lease has ended goes: what its holder brings later is refused. The row of the old
        ID stays, and says where the post is.

        Args:
            instead_of: The entry of that post, whose chatroom it loses. Otherwise it must have none.

        Returns:
            Whether it was done. Not when one of the entries has changed, or when the post has a chatroom or a claim.
        """
        has_ended = (chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id.is_(None), has_no_lease)
        goes = has_ended if instead_of is None else is_still(instead_of)
        move = sa.update(chatrooms).where(*is_still(entry)).values(post_id=post_id, updated_at=DatabaseNow())
        is_there = sa.select(chatrooms.c.post_id).where(
            chatrooms.c.post_id == post_id,
            chatrooms.c.chatroom_id.is_not(None),
            chatrooms.c.chatroom_id == entry.chatroom_id,
        )

        def write(connection: Connection) -> bool:
            try:
                connection.execute(sa.delete(chatrooms).where(*goes))
                if connection.execute(move).rowcount > 0:
                    connection.execute(sa.insert(chatrooms).values(_moved(entry, post_id)))
                    return True
            except IntegrityError:
                pass  # The post has got another row.
            connection.rollback()
            # Perhaps it was done, and the answer was lost.
            return connection.execute(is_there).first() is not None

        with self._telling(entry.post_id, post_id):
            return self.together(write, entry.post_id)

    def forget_move(self, entry: RegistryEntry) -> bool:
        """Forget that a post has another ID since: its old one can have a chatroom of its own then."""
        is_so = (chatrooms.c.post_id == entry.post_id, chatrooms.c.state == RoomState.MOVED.value)
        return self._write(sa.delete(chatrooms).where(*is_so), entry.post_id)


def follow_moves(find: Callable[[str], RegistryEntry | None], post_id: str) -> tuple[str, RegistryEntry | None]:
    """Return the ID that a post has now, and what *find* finds of it.

    Raises:
        RegistryError: It was moved in a circle.
    """
    entry = find(post_id)
    for _ in range(_MAX_MOVES):
        if entry is None or entry.moved_to is None:
            return post_id, entry
        post_id = entry.moved_to
        entry = find(post_id)
    raise RegistryError(
        f"The post {post_id!r} was moved from one ID to the next without end. Run flask chatix unlink for one of them.",
        post_id=post_id,
    )


def _moved(entry: RegistryEntry, post_id: str) -> dict[str, Any]:
    """Return the row that stays of a post whose chatroom goes to another ID."""
    return {
        "post_id": entry.post_id,
        "title": post_id,
        "is_private": entry.is_private,
        "state": RoomState.MOVED.value,
        "claim_number": 1,
        "created_at": DatabaseNow(),
        "updated_at": DatabaseNow(),
    }


def _is_under_way(margin_s: float) -> sa.ColumnElement[bool]:
    # A claim that was given up has no lease any more; its call may still arrive.
    last_sign = sa.func.coalesce(chatrooms.c.claim_expires_at, chatrooms.c.updated_at)
    return sa.and_(last_sign > DatabaseNow() - round(margin_s * 1_000_000), last_sign <= _latest_end)


def _claims(margin_s: float) -> sa.Select[Any]:
    is_under_way = _is_under_way(margin_s).label("is_under_way")
    return sa.select(chatrooms, is_under_way).where(chatrooms.c.chatroom_id.is_(None), is_not_moved)


def _claim_from_row(row: sa.Row[Any]) -> OpenClaim:
    return OpenClaim(
        post_id=row.post_id,
        title=row.title,
        is_private=row.is_private,
        owner=row.claim_owner,
        updated_at=row.updated_at,
        is_under_way=bool(row.is_under_way),
    )


def is_still(entry: RegistryEntry) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether the post has a chatroom, and it and its state are those of *entry*."""
    return (
        chatrooms.c.post_id == entry.post_id,
        chatrooms.c.chatroom_id.is_not(None),
        chatrooms.c.chatroom_id == entry.chatroom_id,
        chatrooms.c.state == entry.stored_state,
    )
