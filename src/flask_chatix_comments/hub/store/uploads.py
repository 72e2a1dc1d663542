"""Statements about uploads; each function is part of a transaction that its caller opened."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from ...models import Message
from .base import Upload, UploadState, UploadTotals
from .tables import chatrooms, from_ms, to_ms, upload_from_row, upload_to_row, uploads

_IN_USE = (str(UploadState.WAITING), str(UploadState.POSTED))

_living_by_id = (
    sa.select(uploads)
    .join(chatrooms, chatrooms.c.id == uploads.c.chatroom_id)
    .where(uploads.c.id == sa.bindparam("key"), uploads.c.state.in_(_IN_USE), ~chatrooms.c.is_deleted)
)
_remove = uploads.update().where(uploads.c.id == sa.bindparam("key")).values(state=str(UploadState.REMOVED))


def add(connection: sa.Connection, upload: Upload) -> None:
    """Insert the upload."""
    connection.execute(uploads.insert(), upload_to_row(upload))


def find(connection: sa.Connection, upload_id: str) -> Upload | None:
    """Return the upload, unless it is condemned or its chatroom is deleted."""
    row = connection.execute(_living_by_id, {"key": upload_id}).first()
    return upload_from_row(row) if row else None


def totals(connection: sa.Connection, visitor_id: str, since: datetime) -> UploadTotals:
    """Return what the visitor has uploaded since a time."""
    row = connection.execute(
        sa.select(
            sa.func.count().label("total"),
            sa.func.coalesce(sa.func.sum(uploads.c.stored_bytes), 0).label("stored_bytes"),
            sa.func.min(uploads.c.created_ms).label("first_ms"),
        ).where(uploads.c.visitor_id == visitor_id, uploads.c.created_ms > to_ms(since))
    ).one()
    return UploadTotals(row.total, int(row.stored_bytes), None if row.first_ms is None else from_ms(row.first_ms))


def message_id_of(connection: sa.Connection, upload_id: str) -> str | None:
    """Return the message that has the upload already."""
    return connection.scalar(sa.select(uploads.c.message_id).where(uploads.c.id == upload_id))


def post(connection: sa.Connection, upload_id: str, message: Message) -> bool:
    """Give the upload to its message; return whether it was waiting for one."""
    is_waiting = (uploads.c.id == upload_id) & (uploads.c.state == str(UploadState.WAITING))
    values = {"message_id": message.message_id, "state": str(UploadState.POSTED)}
    return connection.execute(uploads.update().where(is_waiting).values(values)).rowcount > 0


def condemn_of_message(connection: sa.Connection, message_id: str) -> None:
    """Condemn the upload of a message that is deleted."""
    _condemn(connection, uploads.c.message_id == message_id)


def condemn_of_chatrooms(connection: sa.Connection, chatroom_ids: Collection[str]) -> None:
    """Condemn the uploads of chatrooms that are deleted for good."""
    _condemn(connection, uploads.c.chatroom_id.in_(chatroom_ids) & uploads.c.state.in_(_IN_USE))


def condemn_of_visitor(connection: sa.Connection, visitor_id: str) -> int:
    """Condemn all that a visitor has uploaded and that is there."""
    return _condemn(connection, (uploads.c.visitor_id == visitor_id) & uploads.c.state.in_(_IN_USE))


def condemn_unposted(connection: sa.Connection, before: datetime) -> int:
    """Condemn what was never posted."""
    is_waiting = uploads.c.state == str(UploadState.WAITING)
    return _condemn(connection, is_waiting & (uploads.c.created_ms < to_ms(before)))


def _condemn(connection: sa.Connection, which: sa.ColumnElement[bool]) -> int:
    return connection.execute(uploads.update().where(which).values(state=str(UploadState.CONDEMNED))).rowcount


def condemned(connection: sa.Connection) -> list[str]:
    """Return the ids of those whose files have to go."""
    return list(connection.scalars(sa.select(uploads.c.id).where(uploads.c.state == str(UploadState.CONDEMNED))))


def removed(connection: sa.Connection, upload_ids: Collection[str]) -> None:
    """Note that files are gone."""
    if upload_ids:
        connection.execute(_remove, [{"key": upload_id} for upload_id in upload_ids])


def forget(connection: sa.Connection, before: datetime) -> int:
    """Forget those without files."""
    is_over = (uploads.c.state == str(UploadState.REMOVED)) & (uploads.c.created_ms < to_ms(before))
    return connection.execute(uploads.delete().where(is_over)).rowcount
