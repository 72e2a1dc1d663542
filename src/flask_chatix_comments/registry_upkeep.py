"""What the registry's upkeep needs beside finding and claiming: to give a chatroom to another post ID."""

from __future__ import annotations

from contextlib import AbstractContextManager

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from .database import DatabaseNow, chatrooms
from .registry_rows import RegistryEntry

_has_no_lease = sa.or_(chatrooms.c.claim_expires_at.is_(None), chatrooms.c.claim_expires_at <= DatabaseNow())


class RegistryUpkeep:
    """A part of ``RoomRegistry``."""

    def _transaction(self, post_id: str | None = None) -> AbstractContextManager[Connection]:
        raise NotImplementedError

    def rename(self, entry: RegistryEntry, post_id: str) -> bool:
        """Give the chatroom of *entry* to the post *post_id*, which has none; keep everything else.

        A claim of that post whose lease has ended goes: what its holder brings later is refused.

        Returns:
            Whether it was done. Not when *entry* has changed, or when the post has a chatroom or a claim.
        """
        has_ended = (chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id.is_(None), _has_no_lease)
        move = sa.update(chatrooms).where(*_is_still(entry)).values(post_id=post_id, updated_at=DatabaseNow())
        with self._transaction(entry.post_id) as connection:
            try:
                connection.execute(sa.delete(chatrooms).where(*has_ended))
                if connection.execute(move).rowcount > 0:
                    return True
                connection.rollback()
            except IntegrityError:
                connection.rollback()
            return False


def _is_still(entry: RegistryEntry) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether chatroom and state of the post are those of *entry*."""
    return (
        chatrooms.c.post_id == entry.post_id,
        chatrooms.c.chatroom_id == entry.chatroom_id,
        chatrooms.c.state == entry.state.value,
    )
