"""Statements about members and visitors; each function is part of a transaction that its caller opened."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ...models import Profile
from .base import Hold
from .tables import from_ms, members, messages, profile_from_row, protected_names, to_ms, visitors

_by_id = sa.select(visitors).where(visitors.c.id == sa.bindparam("key"))
_has_posted = (
    sa.exists()
    .where(
        messages.c.chatroom_id == members.c.chatroom_id,
        messages.c.sender_id == members.c.visitor_id,
        ~messages.c.is_whisper,
        ~messages.c.is_deleted,
    )
    .correlate(members)
)
# Whoever has not taken part has no row of its own.
_with_profile = sa.select(
    members.c.chatroom_id,
    members.c.visitor_id.label("id"),
    members.c.is_manager,
    visitors.c.name,
    visitors.c.email,
    sa.func.coalesce(visitors.c.fields, "{}").label("fields"),
    sa.func.coalesce(visitors.c.is_persistent, sa.false()).label("is_persistent"),
).select_from(members.outerjoin(visitors, visitors.c.id == members.c.visitor_id))


def put_member(
    connection: sa.Connection, chatroom_id: str, visitor_id: str, hold: Hold, is_manager: bool, now: datetime
) -> None:
    """Insert or update a membership."""
    values = {"hold": str(hold), "is_manager": is_manager, "seen_ms": to_ms(now)}
    is_it = (members.c.chatroom_id == chatroom_id) & (members.c.visitor_id == visitor_id)
    if not connection.execute(members.update().where(is_it).values(values)).rowcount:
        connection.execute(members.insert(), {"chatroom_id": chatroom_id, "visitor_id": visitor_id, **values})


def remove_member(connection: sa.Connection, chatroom_id: str, visitor_id: str) -> bool:
    """Delete a membership; return whether there was one."""
    is_it = (members.c.chatroom_id == chatroom_id) & (members.c.visitor_id == visitor_id)
    return connection.execute(members.delete().where(is_it)).rowcount > 0


def memberships(connection: sa.Connection, visitor_id: str) -> dict[str, Hold]:
    """Return where the visitor is a member."""
    statement = sa.select(members.c.chatroom_id, members.c.hold).where(members.c.visitor_id == visitor_id)
    return {row.chatroom_id: Hold(row.hold) for row in connection.execute(statement)}


def members_on_grace(connection: sa.Connection) -> list[tuple[str, str]]:
    """Return the memberships that end without a connection."""
    statement = sa.select(members.c.visitor_id, members.c.chatroom_id).where(members.c.hold == str(Hold.GRACE))
    return [(row.visitor_id, row.chatroom_id) for row in connection.execute(statement)]


def count_members(connection: sa.Connection, chatroom_ids: Collection[str]) -> dict[str, int]:
    """Return how many members that are no managers each chatroom has."""
    statement = (
        sa.select(members.c.chatroom_id, sa.func.count().label("total"))
        .where(members.c.chatroom_id.in_(chatroom_ids), ~members.c.is_manager)
        .group_by(members.c.chatroom_id)
    )
    return {row.chatroom_id: row.total for row in connection.execute(statement)}


def list_members(
    connection: sa.Connection, chatroom_id: str, page: int, items_per_page: int, posted_only: bool
) -> list[Profile]:
    """Return a page of members."""
    wanted = [members.c.chatroom_id == chatroom_id, *([_has_posted] if posted_only else [])]
    statement = _with_profile.where(*wanted).order_by(members.c.visitor_id)
    rows = connection.execute(statement.limit(items_per_page).offset((page - 1) * items_per_page))
    return [profile_from_row(row) for row in rows]


def managers_in(
    connection: sa.Connection, chatroom_ids: Collection[str], posted_only: bool
) -> dict[str, list[Profile]]:
    """Return the managers among the members of each chatroom."""
    wanted = [members.c.chatroom_id.in_(chatroom_ids), members.c.is_manager, *([_has_posted] if posted_only else [])]
    return _grouped(connection.execute(_with_profile.where(*wanted).order_by(members.c.visitor_id)))


def _grouped(rows: Iterable[sa.Row[*tuple[Any, ...]]]) -> dict[str, list[Profile]]:
    groups: dict[str, list[Profile]] = {}
    for row in rows:
        groups.setdefault(row.chatroom_id, []).append(profile_from_row(row))
    return groups


def chatrooms_posted_in(connection: sa.Connection, visitor_id: str, chatroom_ids: Collection[str]) -> set[str]:
    """Return where the visitor has written what all may see."""
    statement = (
        sa.select(messages.c.chatroom_id)
        .where(
            messages.c.chatroom_id.in_(chatroom_ids),
            messages.c.sender_id == visitor_id,
            ~messages.c.is_whisper,
            ~messages.c.is_deleted,
        )
        .distinct()
    )
    return set(connection.scalars(statement))


def find(connection: sa.Connection, visitor_id: str) -> tuple[Profile, datetime] | None:
    """Return what is stored, and since when."""
    row = connection.execute(_by_id, {"key": visitor_id}).first()
    return (profile_from_row(row), from_ms(row.said_ms)) if row else None


def save(
    connection: sa.Connection,
    profile: Profile,
    said_at: datetime | None,
    protect: Collection[str] | None,
    now: datetime,
) -> None:
    """Insert or update a visitor; its memberships follow the manager flag."""
    values: dict[str, Any] = {
        "name": profile.name,
        "email": profile.email,
        "fields": json.dumps(dict(profile.fields)),
        "is_manager": profile.is_manager,
        "is_persistent": profile.is_persistent,
        "seen_ms": to_ms(now),
    }
    if said_at is not None:
        values["said_ms"] = to_ms(said_at)
    if not connection.execute(visitors.update().where(visitors.c.id == profile.visitor_id).values(values)).rowcount:
        connection.execute(visitors.insert(), {"id": profile.visitor_id, "said_ms": 0, **values})
    theirs = members.c.visitor_id == profile.visitor_id
    connection.execute(members.update().where(theirs).values(is_manager=profile.is_manager))
    if protect is not None:
        _protect(connection, profile.visitor_id, protect)


def _protect(connection: sa.Connection, visitor_id: str, name_keys: Collection[str]) -> None:
    connection.execute(protected_names.delete().where(protected_names.c.visitor_id == visitor_id))
    if name_keys:
        connection.execute(
            protected_names.insert(), [{"name_key": key, "visitor_id": visitor_id} for key in sorted(name_keys)]
        )


def bearers_of(connection: sa.Connection, name_keys: Collection[str]) -> set[str]:
    """Return those whose name is protected by any of the keys."""
    statement = sa.select(protected_names.c.visitor_id).where(protected_names.c.name_key.in_(name_keys))
    return set(connection.scalars(statement))


def list_managers(connection: sa.Connection) -> list[Profile]:
    """Return all managers, by name."""
    statement = sa.select(visitors).where(visitors.c.is_manager).order_by(visitors.c.name, visitors.c.id)
    return [profile_from_row(row) for row in connection.execute(statement)]
