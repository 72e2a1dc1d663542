"""Statements about chatrooms; each function is part of a transaction that its caller opened."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ...models import Chatroom
from . import uploads
from .tables import chatroom_from_row, chatrooms, members, messages, to_ms

#: The writer does nothing else meanwhile; what is left is done the next time.
MAX_PURGED = 100

_by_id = sa.select(chatrooms).where(chatrooms.c.id == sa.bindparam("key"))
_by_external_id = sa.select(chatrooms).where(chatrooms.c.external_id == sa.bindparam("key"))


def find(connection: sa.Connection, chatroom_id: str) -> Chatroom | None:
    """Return the chatroom."""
    row = connection.execute(_by_id, {"key": chatroom_id}).first()
    return chatroom_from_row(row) if row else None


def find_by_external_id(connection: sa.Connection, external_id: str) -> Chatroom | None:
    """Return the chatroom that was made under this name."""
    row = connection.execute(_by_external_id, {"key": external_id}).first()
    return chatroom_from_row(row) if row else None


def create(connection: sa.Connection, chatroom: Chatroom, now: datetime) -> Chatroom:
    """Insert the chatroom, unless its external id is known."""
    if chatroom.external_id is not None:
        existing = find_by_external_id(connection, chatroom.external_id)
        if existing:
            return existing
    connection.execute(
        chatrooms.insert(),
        {
            **_changeable(chatroom),
            "id": chatroom.chatroom_id,
            "external_id": chatroom.external_id,
            "created_ms": to_ms(now),
            "message_count": 0,
            "last_seq": 0,
            "last_sub": 0,
            "last_change": 0,
            "last_whisper_change": 0,
            "last_sent_ms": 0,
        },
    )
    return chatroom


def update(connection: sa.Connection, chatroom: Chatroom, now: datetime) -> Chatroom | None:
    """Store title and flags."""
    deleted_ms = sa.func.coalesce(chatrooms.c.deleted_ms, to_ms(now)) if chatroom.is_deleted else None
    statement = chatrooms.update().where(chatrooms.c.id == chatroom.chatroom_id)
    values = _changeable(chatroom) | {"deleted_ms": deleted_ms}
    return chatroom if connection.execute(statement.values(values)).rowcount else None


def name(connection: sa.Connection, chatroom_id: str, external_id: str | None) -> None:
    """Store an external id, which at most one chatroom has."""
    if external_id is not None:
        connection.execute(chatrooms.update().where(chatrooms.c.external_id == external_id).values(external_id=None))
    connection.execute(chatrooms.update().where(chatrooms.c.id == chatroom_id).values(external_id=external_id))


def purge(connection: sa.Connection, deleted_before: datetime, now: datetime) -> list[str]:
    """Delete for good what was deleted before a time, with all that is in it; return the ids."""
    unknown = chatrooms.c.is_deleted & chatrooms.c.deleted_ms.is_(None)
    connection.execute(chatrooms.update().where(unknown).values(deleted_ms=to_ms(now)))
    is_over = chatrooms.c.is_deleted & (chatrooms.c.deleted_ms < to_ms(deleted_before))
    ids = list(connection.scalars(sa.select(chatrooms.c.id).where(is_over).limit(MAX_PURGED)))
    uploads.condemn_of_chatrooms(connection, ids)
    for table in (messages, members):
        connection.execute(table.delete().where(table.c.chatroom_id.in_(ids)))
    connection.execute(chatrooms.delete().where(chatrooms.c.id.in_(ids)))
    return ids


def _changeable(chatroom: Chatroom) -> dict[str, Any]:
    return {
        "title": chatroom.title,
        "is_private": chatroom.is_private,
        "is_deleted": chatroom.is_deleted,
        "is_closed": chatroom.is_closed,
    }


def list_all(
    connection: sa.Connection, page: int, items_per_page: int, include_deleted: bool
) -> tuple[list[Chatroom], int]:
    """Return a page, oldest first, and the total."""
    wanted = sa.true() if include_deleted else ~chatrooms.c.is_deleted
    total = connection.scalar(sa.select(sa.func.count()).select_from(chatrooms).where(wanted)) or 0
    statement = sa.select(chatrooms).where(wanted).order_by(chatrooms.c.number)
    rows = connection.execute(statement.limit(items_per_page).offset((page - 1) * items_per_page))
    return [chatroom_from_row(row) for row in rows], total


def list_for(
    connection: sa.Connection, visitor_id: str, page: int, items_per_page: int, mine_only: bool, with_private: bool
) -> list[Chatroom]:
    """Return a page of what this visitor may know of, by title."""
    is_mine = (
        sa.exists()
        .where(members.c.chatroom_id == chatrooms.c.id, members.c.visitor_id == visitor_id)
        .correlate(chatrooms)
    )
    wanted = [~chatrooms.c.is_deleted]
    if mine_only:
        mine = sa.select(members.c.chatroom_id).where(members.c.visitor_id == visitor_id)
        wanted.append(chatrooms.c.id.in_(mine))
    elif not with_private:
        wanted.append(~chatrooms.c.is_private | is_mine)
    statement = sa.select(chatrooms).where(*wanted).order_by(chatrooms.c.title, chatrooms.c.id)
    rows = connection.execute(statement.limit(items_per_page).offset((page - 1) * items_per_page))
    return [chatroom_from_row(row) for row in rows]
