"""What the upkeep of the registry needs: claims that stick, and chatrooms for another post ID."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from .database import DatabaseNow, chatrooms
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
        """Return how many posts the registry has, those whose chatroom is being made too."""
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

        A claim of that post whose lease has ended goes: what its holder brings later is refused.

        Args:
            instead_of: The entry of that post, whose chatroom it loses. Otherwise it must have none.

        Returns:
            Whether it was done. Not when one of the entries has changed, or when the post has a chatroom or a claim.
        """
        has_ended = (chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id.is_(None), has_no_lease)
        goes = has_ended if instead_of is None else is_still(instead_of)
        move = sa.update(chatrooms).where(*is_still(entry)).values(post_id=post_id, updated_at=DatabaseNow())
        is_there = sa.select(chatrooms.c.post_id).where(
            chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id == entry.chatroom_id
        )

        def write(connection: Connection) -> bool:
            try:
                connection.execute(sa.delete(chatrooms).where(*goes))
                if connection.execute(move).rowcount > 0:
                    return True
            except IntegrityError:
                pass  # The post has got another row.
            connection.rollback()
            # Perhaps it was done, and the answer was lost.
            return connection.execute(is_there).first() is not None

        with self._telling(entry.post_id, post_id):
            return self.together(write, entry.post_id)


def _is_under_way(margin_s: float) -> sa.ColumnElement[bool]:
    # A claim that was given up has no lease any more; its call may still arrive.
    last_sign = sa.func.coalesce(chatrooms.c.claim_expires_at, chatrooms.c.updated_at)
    return sa.and_(last_sign > DatabaseNow() - round(margin_s * 1_000_000), last_sign <= _latest_end)


def _claims(margin_s: float) -> sa.Select[Any]:
    is_under_way = _is_under_way(margin_s).label("is_under_way")
    return sa.select(chatrooms, is_under_way).where(chatrooms.c.chatroom_id.is_(None))


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
