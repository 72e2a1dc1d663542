"""Statements about what is to be forgotten; each function is part of a transaction that its caller opened."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta

import sqlalchemy as sa

from ...models import MessageType
from . import uploads as upload_statements
from .base import Hold, Place, UploadState
from .tables import chatrooms, from_ms, members, messages, protected_names, to_ms, uploads, visitors

#: Visits are noted once in this time: a write for each would be too many.
NOTED_EVERY = timedelta(days=1)

_place = sa.select(messages.c.chatroom_id, messages.c.id, messages.c.sent_ms).where(~messages.c.is_deleted)


def note_visit(connection: sa.Connection, visitor_id: str, now: datetime) -> None:
    """Note when the visitor was here."""
    for table, column in ((members, members.c.visitor_id), (visitors, visitors.c.id)):
        is_old_news = (column == visitor_id) & (table.c.seen_ms < to_ms(now - NOTED_EVERY))
        connection.execute(table.update().where(is_old_news).values(seen_ms=to_ms(now)))


def _places(connection: sa.Connection, statement: sa.Select[tuple[str, str, int]]) -> list[Place]:
    return [Place(row.chatroom_id, row.id, from_ms(row.sent_ms)) for row in connection.execute(statement)]


def messages_of(connection: sa.Connection, visitor_id: str, limit: int) -> list[Place]:
    """Return living messages of the visitor."""
    return _places(connection, _place.where(messages.c.sender_id == visitor_id).limit(limit))


def messages_before(
    connection: sa.Connection, moment: datetime, files_only: bool, after: datetime, limit: int
) -> list[Place]:
    """Return living messages sent between *after* and *moment*, oldest first."""
    wanted = [messages.c.sent_ms < to_ms(moment), messages.c.sent_ms >= to_ms(after)]
    if files_only:
        wanted.append(messages.c.type != int(MessageType.TEXT))
    is_there = sa.exists().where(chatrooms.c.id == messages.c.chatroom_id, ~chatrooms.c.is_deleted)
    return _places(connection, _place.where(*wanted, is_there).order_by(messages.c.sent_ms).limit(limit))


def old_client_keys(connection: sa.Connection, before: datetime, after: datetime, limit: int) -> list[Place]:
    """Return messages sent between *after* and *before* that have a client key, oldest first."""
    with_key = sa.select(messages.c.chatroom_id, messages.c.id, messages.c.sent_ms).where(
        messages.c.sent_ms < to_ms(before), messages.c.sent_ms >= to_ms(after), messages.c.client_key.is_not(None)
    )
    return _places(connection, with_key.order_by(messages.c.sent_ms).limit(limit))


def forget_client_keys(connection: sa.Connection, message_ids: Collection[str]) -> int:
    """Forget the keys of these messages."""
    return connection.execute(messages.update().where(messages.c.id.in_(message_ids)).values(client_key=None)).rowcount


def quiet_chatrooms(connection: sa.Connection, before: datetime, limit: int) -> list[str]:
    """Return the living chatrooms without news."""
    before_ms = to_ms(before)
    is_quiet = (chatrooms.c.last_sent_ms < before_ms) & (chatrooms.c.created_ms < before_ms)
    return list(connection.scalars(sa.select(chatrooms.c.id).where(~chatrooms.c.is_deleted, is_quiet).limit(limit)))


def stale_memberships(connection: sa.Connection, before: datetime, limit: int) -> list[tuple[str, str]]:
    """Return the lasting memberships of those who do not come any more."""
    is_stale = (members.c.hold == str(Hold.LASTING)) & (members.c.seen_ms < to_ms(before))
    rows = connection.execute(sa.select(members.c.visitor_id, members.c.chatroom_id).where(is_stale).limit(limit))
    return [(row.visitor_id, row.chatroom_id) for row in rows]


def condemn_uploads_of(connection: sa.Connection, visitor_id: str) -> int:
    """Condemn what the visitor has uploaded."""
    return upload_statements.condemn_of_visitor(connection, visitor_id)


def forget_visitor(connection: sa.Connection, visitor_id: str) -> bool:
    """Delete what is stored about the visitor."""
    # What is left of a message says only that there was one.
    theirs = messages.c.sender_id == visitor_id
    emptied = {"sender_id": "", "sender_name": None, "client_key": None}
    connection.execute(messages.update().where(theirs, messages.c.is_deleted).values(emptied))
    is_removed = uploads.c.state == str(UploadState.REMOVED)
    found = sum(
        connection.execute(statement).rowcount
        for statement in (
            uploads.delete().where(uploads.c.visitor_id == visitor_id, is_removed),
            members.delete().where(members.c.visitor_id == visitor_id),
            protected_names.delete().where(protected_names.c.visitor_id == visitor_id),
            visitors.delete().where(visitors.c.id == visitor_id),
        )
    )
    # Those that could not be removed yet are nobody's.
    connection.execute(uploads.update().where(uploads.c.visitor_id == visitor_id).values(visitor_id=""))
    return found > 0


def forget_visitors(connection: sa.Connection, before: datetime, with_names: bool, limit: int) -> int:
    """Delete visitors of whom nothing else is there."""
    is_idle = [
        visitors.c.seen_ms < to_ms(before),
        ~visitors.c.is_manager,
        ~sa.exists().where(members.c.visitor_id == visitors.c.id),
        ~sa.exists().where(messages.c.sender_id == visitors.c.id),
    ]
    if not with_names:
        is_idle.append(~sa.exists().where(protected_names.c.visitor_id == visitors.c.id))
    ids = list(connection.scalars(sa.select(visitors.c.id).where(*is_idle).limit(limit)))
    connection.execute(protected_names.delete().where(protected_names.c.visitor_id.in_(ids)))
    connection.execute(visitors.delete().where(visitors.c.id.in_(ids)))
    return len(ids)
