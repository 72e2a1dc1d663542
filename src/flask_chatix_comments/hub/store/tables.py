"""The hub's tables, and how their rows become models.

Times are whole milliseconds since 1970: exact, sortable, the same in every database.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from ...models import Chatroom, Message, MessageType, Profile, SenderFlag
from ..names import MAX_KEY_CHARS
from .base import Upload, UploadState

metadata = sa.MetaData()
_id = sa.String(100)

schema_info = sa.Table("schema_info", metadata, sa.Column("version", sa.Integer, primary_key=True))

chatrooms = sa.Table(
    "chatrooms",
    metadata,
    # In the order of creation: pages of a list must not shift while it is read.
    sa.Column("number", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("id", _id, nullable=False, unique=True),
    sa.Column("external_id", sa.String(255), unique=True),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("is_private", sa.Boolean, nullable=False),
    sa.Column("is_deleted", sa.Boolean, nullable=False),
    sa.Column("is_closed", sa.Boolean, nullable=False),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("message_count", sa.Integer, nullable=False),
    # The last numbers that were given out in this chatroom.
    sa.Column("last_seq", sa.BigInteger, nullable=False),
    sa.Column("last_sub", sa.Integer, nullable=False),
    sa.Column("last_change", sa.BigInteger, nullable=False),
    sa.Column("last_whisper_change", sa.BigInteger, nullable=False),
    sa.Column("last_sent_ms", sa.BigInteger, nullable=False),
    # Since when it is deleted, as far as that is known.
    sa.Column("deleted_ms", sa.BigInteger),
    sa.Index("ix_chatrooms_title", "title", "id"),
)

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _id, primary_key=True),
    sa.Column("chatroom_id", _id, sa.ForeignKey(chatrooms.c.id), nullable=False),
    # Whispers share the number of the visible message before them, and count in sub: 1, 2, ...
    # Numbers of their own would leave gaps that tell visitors of them.
    sa.Column("seq", sa.BigInteger, nullable=False),
    sa.Column("sub", sa.Integer, nullable=False),
    sa.Column("change", sa.BigInteger, nullable=False),
    sa.Column("type", sa.SmallInteger, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("thumb_100_url", sa.Text),
    sa.Column("thumb_300_url", sa.Text),
    sa.Column("original_url", sa.Text),
    sa.Column("file_url", sa.Text),
    sa.Column("sender_flag", sa.SmallInteger, nullable=False),
    sa.Column("sender_id", _id, nullable=False),
    sa.Column("sender_name", sa.String(255)),
    sa.Column("sent_ms", sa.BigInteger, nullable=False),
    sa.Column("edited_ms", sa.BigInteger),
    sa.Column("client_key", sa.String(100)),
    sa.Column("is_whisper", sa.Boolean, nullable=False),
    sa.Column("is_deleted", sa.Boolean, nullable=False),
    sa.Column("file_name", sa.String(255)),
    sa.Column("file_bytes", sa.BigInteger),
    sa.Column("width_px", sa.Integer),
    sa.Column("height_px", sa.Integer),
    sa.UniqueConstraint("chatroom_id", "seq", "sub"),
    sa.UniqueConstraint("chatroom_id", "client_key"),
    sa.Index("ix_messages_change", "chatroom_id", "is_whisper", "change", unique=True),
    sa.Index("ix_messages_sender", "sender_id", "chatroom_id"),
    sa.Index("ix_messages_sent", "sent_ms"),
)

members = sa.Table(
    "members",
    metadata,
    sa.Column("chatroom_id", _id, sa.ForeignKey(chatrooms.c.id), primary_key=True),
    sa.Column("visitor_id", _id, primary_key=True),
    sa.Column("hold", sa.String(16), nullable=False),
    sa.Column("is_manager", sa.Boolean, nullable=False),
    # When the visitor was last here, to the day.
    sa.Column("seen_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_members_visitor", "visitor_id"),
    sa.Index("ix_members_hold", "hold"),
)

visitors = sa.Table(
    "visitors",
    metadata,
    sa.Column("id", _id, primary_key=True),
    sa.Column("name", sa.String(255)),
    sa.Column("email", sa.String(255)),
    sa.Column("fields", sa.Text, nullable=False),
    sa.Column("is_manager", sa.Boolean, nullable=False),
    sa.Column("is_persistent", sa.Boolean, nullable=False),
    # When the site said so; 0: it never did.
    sa.Column("said_ms", sa.BigInteger, nullable=False),
    # When the visitor was last here, to the day.
    sa.Column("seen_ms", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_visitors_manager", "is_manager"),
)

# Names that guests may not take, by the keys of ``hub.names``.
protected_names = sa.Table(
    "protected_names",
    metadata,
    sa.Column("name_key", sa.String(MAX_KEY_CHARS), primary_key=True),
    sa.Column("visitor_id", _id, sa.ForeignKey(visitors.c.id), primary_key=True),
    sa.Index("ix_protected_names_visitor", "visitor_id"),
)

# A row outlives its message and its chatroom: it says which files have to go, and what a visitor has uploaded
# in the last hour. So it refers to neither by a foreign key.
uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", _id, primary_key=True),
    sa.Column("chatroom_id", _id, nullable=False),
    sa.Column("visitor_id", _id, nullable=False),
    sa.Column("message_id", _id, unique=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("is_image", sa.Boolean, nullable=False),
    sa.Column("media_type", sa.String(100), nullable=False),
    sa.Column("file_name", sa.String(255), nullable=False),
    sa.Column("file_bytes", sa.BigInteger, nullable=False),
    sa.Column("width_px", sa.Integer),
    sa.Column("height_px", sa.Integer),
    sa.Column("created_ms", sa.BigInteger, nullable=False),
    sa.Column("stored_bytes", sa.BigInteger, nullable=False, server_default="0"),
    sa.Index("ix_uploads_visitor", "visitor_id", "created_ms"),
    sa.Index("ix_uploads_state", "state", "created_ms"),
    sa.Index("ix_uploads_chatroom", "chatroom_id"),
)


_TYPES = {int(type): type for type in MessageType}
_FLAGS = {int(flag): flag for flag in SenderFlag}


def to_ms(moment: datetime) -> int:
    """Return whole milliseconds since 1970."""
    return round(moment.timestamp() * 1000)


def from_ms(milliseconds: int) -> datetime:
    """Return the moment as an aware UTC datetime."""
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def chatroom_from_row(row: sa.Row[*tuple[Any, ...]]) -> Chatroom:
    """Read a row of ``chatrooms``; the number of visitors is not in it."""
    return Chatroom(
        chatroom_id=row.id,
        title=row.title,
        is_private=row.is_private,
        is_deleted=row.is_deleted,
        is_closed=row.is_closed,
        external_id=row.external_id,
    )


def message_from_row(row: Sequence[Any]) -> Message:
    """Read a row of ``messages``: all columns, in their order. By position, since a page has a hundred of them."""
    return Message(
        message_id=row[0],
        chatroom_id=row[1],
        seq=row[2],
        # row[3] only orders whispers.
        change=row[4],
        type=_TYPES[row[5]],
        content=row[6],
        thumb_100_url=row[7],
        thumb_300_url=row[8],
        original_url=row[9],
        file_url=row[10],
        sender_flag=_FLAGS[row[11]],
        sender_id=row[12],
        sender_name=row[13],
        sent_at=from_ms(row[14]),
        edited_at=None if row[15] is None else from_ms(row[15]),
        client_key=row[16],
        is_whisper=bool(row[17]),
        is_deleted=bool(row[18]),
        file_name=row[19],
        file_bytes=row[20],
        width_px=row[21],
        height_px=row[22],
    )


def message_to_row(message: Message, *, sub: int) -> dict[str, Any]:
    """Return the values of a new row of ``messages``."""
    return {
        "id": message.message_id,
        "chatroom_id": message.chatroom_id,
        "seq": message.seq,
        "sub": sub,
        "change": message.change,
        "type": int(message.type),
        "content": message.content,
        "thumb_100_url": message.thumb_100_url,
        "thumb_300_url": message.thumb_300_url,
        "original_url": message.original_url,
        "file_url": message.file_url,
        "sender_flag": int(message.sender_flag),
        "sender_id": message.sender_id,
        "sender_name": message.sender_name,
        "sent_ms": to_ms(message.sent_at),
        "edited_ms": None,
        "client_key": message.client_key,
        "is_whisper": message.is_whisper,
        "is_deleted": False,
        "file_name": message.file_name,
        "file_bytes": message.file_bytes,
        "width_px": message.width_px,
        "height_px": message.height_px,
    }


def upload_from_row(row: sa.Row[*tuple[Any, ...]]) -> Upload:
    """Read a row of ``uploads``."""
    return Upload(
        upload_id=row.id,
        chatroom_id=row.chatroom_id,
        visitor_id=row.visitor_id,
        is_image=row.is_image,
        media_type=row.media_type,
        file_name=row.file_name,
        file_bytes=row.file_bytes,
        stored_bytes=row.stored_bytes,
        width_px=row.width_px,
        height_px=row.height_px,
        created_at=from_ms(row.created_ms),
    )


def upload_to_row(upload: Upload) -> dict[str, Any]:
    """Return the values of a new row of ``uploads``."""
    return {
        "id": upload.upload_id,
        "chatroom_id": upload.chatroom_id,
        "visitor_id": upload.visitor_id,
        "state": str(UploadState.WAITING),
        "is_image": upload.is_image,
        "media_type": upload.media_type,
        "file_name": upload.file_name,
        "file_bytes": upload.file_bytes,
        "stored_bytes": upload.stored_bytes,
        "width_px": upload.width_px,
        "height_px": upload.height_px,
        "created_ms": to_ms(upload.created_at),
    }


def profile_from_row(row: sa.Row[*tuple[Any, ...]]) -> Profile:
    """Read a row of ``visitors``."""
    return Profile(
        visitor_id=row.id,
        name=row.name,
        email=row.email,
        fields=json.loads(row.fields),
        is_manager=row.is_manager,
        is_persistent=row.is_persistent,
    )
