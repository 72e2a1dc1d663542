"""Statements about messages; each function is part of a transaction that its caller opened."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from ...models import Message, MessageType
from . import uploads
from .base import Appended, Changes, Cursor, History
from .prepared import Prepared
from .tables import chatrooms, from_ms, message_from_row, message_to_row, messages, to_ms

#: A page ends near this size: a small call has no huge answer, and whoever is on a slow line sees it come in pieces.
MAX_PAGE_BYTES = 262_144


class _Room(NamedTuple):
    """What a chatroom's row says of its messages; all but the flags are counters, and belong to the lock."""

    is_deleted: bool
    is_closed: bool
    message_count: int
    last_seq: int
    last_sub: int
    last_change: int
    last_whisper_change: int
    last_sent_ms: int

    @classmethod
    def lock(cls, connection: sa.Connection, chatroom_id: str) -> _Room | None:
        """Read the row, and lock it where a database locks rows."""
        row = _lock_chatroom.first(connection, {"key": chatroom_id})
        return None if row is None else cls(*row)

    def changed(self, *, is_whisper: bool) -> _Room:
        """Return the room after a change of one of its messages."""
        if is_whisper:
            return self._replace(last_whisper_change=self.last_whisper_change + 1)
        return self._replace(last_change=self.last_change + 1)

    def change_number(self, *, is_whisper: bool) -> int:
        """Return the number of the last change of this kind."""
        return self.last_whisper_change if is_whisper else self.last_change

    def save(self, connection: sa.Connection, chatroom_id: str) -> None:
        """Store the counters."""
        values = {name: getattr(self, name) for name in _COUNTERS}
        _save_counters.run(connection, {"key": chatroom_id, **values})


_COUNTERS = _Room._fields[2:]
_lock_chatroom = Prepared(
    sa.select(*(chatrooms.c[name] for name in _Room._fields))
    .where(chatrooms.c.id == sa.bindparam("key"))
    .with_for_update()
)
_save_counters = Prepared(
    chatrooms.update()
    .where(chatrooms.c.id == sa.bindparam("key"))
    .values({name: sa.bindparam(name) for name in _COUNTERS})
)
_id_by_client_key = Prepared(
    sa.select(messages.c.id).where(
        messages.c.chatroom_id == sa.bindparam("room"), messages.c.client_key == sa.bindparam("client_key")
    )
)
_insert = Prepared(messages.insert())
_is_in_room = messages.c.chatroom_id == sa.bindparam("room")
_is_it = messages.c.id == sa.bindparam("key")
_by_id = Prepared(sa.select(messages).where(_is_in_room, _is_it))
_by_id_anywhere = Prepared(sa.select(messages).where(_is_it))
_living_by_id = Prepared(sa.select(messages).where(_is_in_room, _is_it, ~messages.c.is_deleted))
_sub_of = Prepared(sa.select(messages.c.sub).where(_is_it))
_change = messages.update().where(_is_it)
_state = Prepared(
    sa.select(
        chatrooms.c.last_change, chatrooms.c.last_whisper_change, chatrooms.c.is_closed, chatrooms.c.message_count
    ).where(chatrooms.c.id == sa.bindparam("key"))
)


def _newest_first(*, with_whispers: bool) -> Prepared:
    """Return the statement for the living messages before a place in a chatroom."""
    place = sa.tuple_(messages.c.seq, messages.c.sub)
    wanted = [_is_in_room, place < sa.tuple_(sa.bindparam("seq"), sa.bindparam("sub")), ~messages.c.is_deleted]
    if not with_whispers:
        wanted.append(~messages.c.is_whisper)
    ordered = sa.select(messages).where(*wanted).order_by(messages.c.seq.desc(), messages.c.sub.desc())
    return Prepared(ordered.limit(sa.bindparam("count")))


_newest = {with_whispers: _newest_first(with_whispers=with_whispers) for with_whispers in (False, True)}
#: Behind the last message.
_END = {"seq": 2**62, "sub": 0}
_changed_after = Prepared(
    sa.select(messages)
    .where(_is_in_room, messages.c.is_whisper == sa.bindparam("is_whisper"), messages.c.change > sa.bindparam("after"))
    .order_by(messages.c.change)
    .limit(sa.bindparam("count"))
)


def append(connection: sa.Connection, draft: Message, now: datetime, upload_id: str | None) -> Appended | None:
    """Insert the message under the next numbers of its chatroom."""
    room = _Room.lock(connection, draft.chatroom_id)
    if room is None or room.is_deleted:
        return None
    known = _find_known(connection, draft, upload_id)
    if known is not None:
        return Appended(known, is_new=False)
    if room.is_closed or (upload_id is not None and not uploads.post(connection, upload_id, draft)):
        return None
    room = _with_one_more(room, to_ms(now), is_whisper=draft.is_whisper)
    message = replace(
        draft,
        seq=room.last_seq,
        change=room.change_number(is_whisper=draft.is_whisper),
        sent_at=from_ms(room.last_sent_ms),
    )
    room.save(connection, draft.chatroom_id)
    _insert.run(connection, message_to_row(message, sub=room.last_sub))
    return Appended(message, is_new=True)


def _with_one_more(room: _Room, now_ms: int, *, is_whisper: bool) -> _Room:
    """Return the room after a new message, whose numbers and time are the last ones then."""
    room = room.changed(is_whisper=is_whisper)._replace(last_sent_ms=max(now_ms, room.last_sent_ms))
    if is_whisper:
        return room._replace(last_sub=room.last_sub + 1)
    return room._replace(last_seq=room.last_seq + 1, last_sub=0, message_count=room.message_count + 1)


def _find_known(connection: sa.Connection, draft: Message, upload_id: str | None) -> Message | None:
    """Return what was stored when the same draft came before: under its key, or for its upload."""
    if draft.client_key is not None:
        row = _id_by_client_key.first(connection, {"room": draft.chatroom_id, "client_key": draft.client_key})
        if row is not None:
            return find(connection, draft.chatroom_id, row[0])
    message_id = uploads.message_id_of(connection, upload_id) if upload_id is not None else None
    return find(connection, draft.chatroom_id, message_id) if message_id is not None else None


def find(connection: sa.Connection, chatroom_id: str, message_id: str) -> Message | None:
    """Return the message."""
    row = _by_id.first(connection, {"room": chatroom_id, "key": message_id})
    return message_from_row(row) if row else None


def find_anywhere(connection: sa.Connection, message_id: str) -> Message | None:
    """Return the message, of whatever chatroom it is."""
    row = _by_id_anywhere.first(connection, {"key": message_id})
    return message_from_row(row) if row else None


def edit(connection: sa.Connection, chatroom_id: str, message_id: str, content: str, now: datetime) -> Message | None:
    """Change the text."""

    def change(known: Message) -> dict[str, Any]:
        # Readers keep the version with the later time, and clocks are set.
        earliest_ms = 0 if known.edited_at is None else to_ms(known.edited_at) + 1
        return {"content": content, "edited_ms": max(to_ms(now), earliest_ms)}

    return _alter(connection, chatroom_id, message_id, change, is_end=False)


def delete(connection: sa.Connection, chatroom_id: str, message_id: str) -> Message | None:
    """Leave nothing of the message but its place."""
    emptied = {
        "content": "",
        "thumb_100_url": None,
        "thumb_300_url": None,
        "original_url": None,
        "file_url": None,
        "file_name": None,
        "file_bytes": None,
        "width_px": None,
        "height_px": None,
        "sender_name": None,
        "is_deleted": True,
    }
    deleted = _alter(connection, chatroom_id, message_id, lambda _: emptied, is_end=True)
    if deleted is not None:
        uploads.condemn_of_message(connection, message_id)
    return deleted


def _alter(
    connection: sa.Connection,
    chatroom_id: str,
    message_id: str,
    change: Callable[[Message], dict[str, Any]],
    *,
    is_end: bool,
) -> Message | None:
    room = _Room.lock(connection, chatroom_id)
    row = _living_by_id.first(connection, {"room": chatroom_id, "key": message_id})
    if room is None or row is None:
        return None
    known = message_from_row(row)
    is_whisper = known.is_whisper
    room = room.changed(is_whisper=is_whisper)
    if is_end and not is_whisper:
        room = room._replace(message_count=room.message_count - 1)
    room.save(connection, chatroom_id)
    number = room.change_number(is_whisper=is_whisper)
    connection.execute(_change, {"key": message_id, **change(known), "change": number})
    return find(connection, chatroom_id, message_id)


def page_before(
    connection: sa.Connection, chatroom_id: str, before: Message | None, limit: int, with_whispers: bool
) -> History:
    """Return the living messages just before *before*, oldest first."""
    cursor, is_closed, total = _read_state(connection, chatroom_id, with_whispers)
    place = _END
    if before is not None:
        row = _sub_of.first(connection, {"key": before.message_id})
        place = {"seq": before.seq, "sub": row[0] if row else 0}
    # One more than wanted: its presence tells that there is more.
    rows = _newest[with_whispers].all(connection, {"room": chatroom_id, "count": limit + 1, **place})
    found = [message_from_row(row) for row in rows]
    page = _cut(found[:limit])
    return History(page[::-1], cursor, has_more=len(page) < len(found), is_closed=is_closed, total=total)


def _read_state(connection: sa.Connection, chatroom_id: str, with_whispers: bool) -> tuple[Cursor, bool, int]:
    """Return where the chatroom's changes have got to, whether it is read-only, and how many messages it has."""
    row = _state.first(connection, {"key": chatroom_id})
    if row is None:
        return Cursor(), False, 0
    last_change, last_whisper_change, is_closed, total = row
    return Cursor(last_change, last_whisper_change if with_whispers else 0), bool(is_closed), total


def changes_since(
    connection: sa.Connection, chatroom_id: str, cursor: Cursor, limit: int, with_whispers: bool
) -> Changes:
    """Return what happened after *cursor*: what all may see first, then whispers."""
    newest, is_closed, total = _read_state(connection, chatroom_id, with_whispers)
    cursor = _not_ahead(cursor, newest, with_whispers)
    # One more than wanted: its presence tells that there is more.
    found = _changed(connection, chatroom_id, cursor.change, limit + 1, is_whisper=False)
    if with_whispers:
        found += _changed(connection, chatroom_id, cursor.whisper_change, limit + 1 - len(found), is_whisper=True)
    page = _cut(found[:limit])
    for message in page:
        kind = "whisper_change" if message.is_whisper else "change"
        cursor = replace(cursor, **{kind: message.change})
    return Changes(page, cursor, has_more=len(page) < len(found), is_closed=is_closed, total=total)


def _not_ahead(cursor: Cursor, newest: Cursor, with_whispers: bool) -> Cursor:
    """Begin again for who knows more than there is: the database was put back to an earlier state."""
    if cursor.change > newest.change:
        cursor = replace(cursor, change=0)
    if with_whispers and cursor.whisper_change > newest.whisper_change:
        cursor = replace(cursor, whisper_change=0)
    return cursor


def _cut(found: list[Message]) -> list[Message]:
    """Return the messages that fit on a page; the first one always does."""
    size_bytes = 0
    for index, message in enumerate(found):
        size_bytes += _size_of(message)
        if index and size_bytes > MAX_PAGE_BYTES:
            return found[:index]
    return found


def _size_of(message: Message) -> int:
    if message.type is MessageType.TEXT:
        return len(message.content.encode())
    urls = (message.thumb_100_url, message.thumb_300_url, message.original_url, message.file_url)
    return sum(len(url.encode()) for url in urls if url is not None)


def _changed(connection: sa.Connection, chatroom_id: str, after: int, limit: int, *, is_whisper: bool) -> list[Message]:
    values = {"room": chatroom_id, "is_whisper": is_whisper, "after": after, "count": limit}
    return [message_from_row(row) for row in _changed_after.all(connection, values)]


def count(connection: sa.Connection, chatroom_ids: Collection[str]) -> dict[str, int]:
    """Return how many living messages all may see, for each living chatroom."""
    statement = sa.select(chatrooms.c.id, chatrooms.c.message_count).where(
        chatrooms.c.id.in_(chatroom_ids), ~chatrooms.c.is_deleted
    )
    return {row.id: row.message_count for row in connection.execute(statement)}
