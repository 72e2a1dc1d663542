"""Some rows of an import, held against what the registry has of them, and written where they are missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from .database import chatrooms, hosted_visitors, visitors
from .errors import TransferError
from .registry_lines import TABLES, Row
from .registry_rows import NO_CLAIM
from .registry_upkeep import has_no_lease

#: By what a row is known, in words.
NAMES: Mapping[str, str] = {
    "chatroom": "post or chatroom",
    "visitor": "visitor's key or ID",
    "hosted_visitor": "visitor's key and browser",
}
_MAY_DIFFER = ("title", "state", "is_private")


def identity(kind: str, row: Row) -> tuple[str, str | None]:
    """Return by what a row is known, and by what else no other may be."""
    match kind:
        case "chatroom":
            return row["post_id"], row["chatroom_id"]
        case "visitor":
            return row["visitor_key"], row["visitor_id"]
        case _:
            # No key has a NUL.
            return f"{row['visitor_key']}\0{row['browser_id']}", None


class Known:
    """What the registry has of some rows."""

    def __init__(self, kind: str, rows: list[Row]) -> None:
        self._kind = kind
        self._by_first: dict[str, Row] = {}
        self._by_second: dict[str, Row] = {}
        for row in rows:
            first, second = identity(kind, row)
            self._by_first[first] = row
            if second is not None:
                self._by_second[second] = row

    def same(self, row: Row) -> Row | None:
        """Return the row that is there for the same post, or visitor."""
        return self._by_first.get(identity(self._kind, row)[0])

    def problem(self, row: Row) -> str | None:
        """Say what contradicts a row, or nothing."""
        there, owner = self.same(row), self._by_second.get(identity(self._kind, row)[1] or "")
        match self._kind:
            case "chatroom":
                return _problem_of_chatroom(row, there, owner)
            case "visitor":
                return _problem_of_visitor(row, there, owner)
            case _:
                is_another = there is not None and there["service_id"] != row["service_id"]
                return "The user has another ID of the service here, in this browser." if is_another else None


def _problem_of_chatroom(row: Row, there: Row | None, owner: Row | None) -> str | None:
    post_id, chatroom_id = row["post_id"], row["chatroom_id"]
    if chatroom_id is None:
        return None
    if owner is not None and owner["post_id"] != post_id:
        return f"The chatroom {chatroom_id} of the post {post_id!r} is that of the post {owner['post_id']!r} here."
    if there is None:
        return None
    if there["chatroom_id"] is None:
        is_being_made = there["has_lease"]
        return f"Somebody is just making a chatroom for the post {post_id!r} here." if is_being_made else None
    if there["chatroom_id"] != chatroom_id:
        return f"The post {post_id!r} has the chatroom {there['chatroom_id']} here, and not {chatroom_id}."
    return None


def _problem_of_visitor(row: Row, there: Row | None, owner: Row | None) -> str | None:
    if there is not None and there["visitor_id"] != row["visitor_id"]:
        return f"The user {row['visitor_key']!r} has another public ID here."
    if owner is not None and owner["visitor_key"] != row["visitor_key"]:
        return f"The public ID of the user {row['visitor_key']!r} is another user's here."
    return None


@dataclass(frozen=True, slots=True)
class Batch:
    """Some rows of one table, each with the number of its line."""

    kind: str
    rows: list[tuple[int, Row]]

    @property
    def post_ids(self) -> list[str]:
        """The posts whose rows these are, if they are posts'."""
        return [row["post_id"] for _, row in self.rows] if self.kind == "chatroom" else []

    def known(self, connection: Connection) -> Known:
        """Return what the registry has of them."""
        firsts, seconds = zip(*(identity(self.kind, row) for _, row in self.rows), strict=True)
        query: sa.Select[Any]
        match self.kind:
            case "chatroom":
                c = chatrooms.c
                query = sa.select(chatrooms, sa.not_(has_no_lease).label("has_lease"))
                query = query.where(sa.or_(c.post_id.in_(firsts), c.chatroom_id.in_(set(seconds) - {None})))
            case "visitor":
                v = visitors.c
                query = sa.select(visitors).where(sa.or_(v.visitor_key.in_(firsts), v.visitor_id.in_(seconds)))
            case _:
                keys = {row["visitor_key"] for _, row in self.rows}
                query = sa.select(hosted_visitors).where(hosted_visitors.c.visitor_key.in_(keys))
        return Known(self.kind, [dict(row._mapping) for row in connection.execute(query)])

    def write(self, connection: Connection) -> tuple[int, int]:
        """Write what is missing; return how many rows that are, and how many differ in what may differ.

        Raises:
            TransferError: Something has come to contradict them.
        """
        known = self.known(connection)
        new: list[Row] = []
        taken_over = kept = 0
        for line, row in self.rows:
            there = known.same(row)
            if problem := known.problem(row):
                raise TransferError(f"Line {line}: {problem} That is new: import once more.")
            if there is None:
                new.append(row)
            elif self.kind == "chatroom" and row["chatroom_id"] is not None:
                if there["chatroom_id"] is None:
                    _take_over(connection, row, there)
                    taken_over += 1
                else:
                    kept += any(row[name] != there[name] for name in _MAY_DIFFER)
        if new:
            connection.execute(sa.insert(TABLES[self.kind]), new)
        return len(new) + taken_over, kept


def _take_over(connection: Connection, row: Row, there: Row) -> None:
    """Give a chatroom to a post whose claim has ended; it stays as private as it was to be."""
    values = {name: row[name] for name in ("chatroom_id", "title", "state", "created_at", "updated_at")}
    values |= {"is_private": row["is_private"] or there["is_private"]}
    values |= NO_CLAIM
    is_free = (chatrooms.c.post_id == row["post_id"], chatrooms.c.chatroom_id.is_(None), has_no_lease)
    if connection.execute(sa.update(chatrooms).where(*is_free).values(values)).rowcount == 0:
        raise TransferError(f"Somebody is just making a chatroom for the post {row['post_id']!r}: import once more.")
