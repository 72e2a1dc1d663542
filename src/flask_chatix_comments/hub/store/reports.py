"""Statements for those who look at a database from outside; each is part of a transaction that its caller opened."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import sqlalchemy as sa

from ...models import Message
from .base import UploadState
from .tables import chatrooms, members, message_from_row, messages, uploads, visitors

#: So many rows are in memory at a time.
ROWS_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Counts:
    """How much there is of what.

    Attributes:
        chatrooms: Those that are not deleted.
        messages: Those that all may see, in these chatrooms.
        whispers: In these chatrooms.
        members: Memberships in all chatrooms.
        visitors: Those of whom something is known besides.
        files, file_bytes: What is kept, small images included in the size.
    """

    chatrooms: int
    deleted_chatrooms: int
    messages: int
    whispers: int
    members: int
    visitors: int
    files: int
    file_bytes: int


def count(connection: sa.Connection) -> Counts:
    """Count all."""

    def number(what: sa.ColumnElement[int], *wanted: sa.ColumnElement[bool]) -> int:
        return int(connection.scalar(sa.select(what).where(*wanted)) or 0)

    living = sa.select(chatrooms.c.id).where(~chatrooms.c.is_deleted)
    is_kept = uploads.c.state != str(UploadState.REMOVED)
    return Counts(
        chatrooms=number(sa.func.count(chatrooms.c.id), ~chatrooms.c.is_deleted),
        deleted_chatrooms=number(sa.func.count(chatrooms.c.id), chatrooms.c.is_deleted),
        messages=number(sa.func.sum(chatrooms.c.message_count), ~chatrooms.c.is_deleted),
        whispers=number(
            sa.func.count(messages.c.id),
            messages.c.is_whisper,
            ~messages.c.is_deleted,
            messages.c.chatroom_id.in_(living),
        ),
        members=number(sa.func.count(members.c.visitor_id)),
        visitors=number(sa.func.count(visitors.c.id)),
        files=number(sa.func.count(uploads.c.id), is_kept),
        file_bytes=number(sa.func.sum(uploads.c.stored_bytes), is_kept),
    )


def messages_in_order(connection: sa.Connection, chatroom_id: str) -> Iterator[Message]:
    """Yield all living messages of a chatroom, whispers too, oldest first, as they are at one moment."""
    statement = (
        sa.select(messages)
        .where(messages.c.chatroom_id == chatroom_id, ~messages.c.is_deleted)
        .order_by(messages.c.seq, messages.c.sub)
    )
    rows = connection.execution_options(yield_per=ROWS_AT_ONCE).execute(statement)
    for row in rows:
        yield message_from_row(row)
