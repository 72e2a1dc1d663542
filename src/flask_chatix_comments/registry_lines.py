"""The registry as JSON lines: one for each row, between a first and a last one that tell whether it is whole.

The columns of the tables decide: what a table has is exported, except claims, which belong to a process that is alive.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from .api_answers import checked_id
from .database import MAX_SERVICE_ID_CHARS, ExactText, Moment, chatrooms, hosted_visitors, visitors
from .errors import PostError, TransferError
from .models import is_text, normalize_post_id
from .registry_rows import RoomState, read_state

VERSION = 1
FIRST, LAST = "registry", "end"
#: What a line says that it is, and the table of such rows; in this order they are written.
TABLES: Mapping[str, sa.Table] = {"chatroom": chatrooms, "visitor": visitors, "hosted_visitor": hosted_visitors}

_CLAIM = frozenset({"claim_token", "claim_owner", "claim_expires_at"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_INTEGER = 2**31 - 1
_MAX_SHOWN_CHARS = 100
#: What goes into URLs as it is, in requests and in the SDK.
_IDS = frozenset({"chatroom_id", "visitor_id", "service_id"})

Row = dict[str, Any]


def columns_of(table: sa.Table) -> list[sa.Column[Any]]:
    """Return the columns that are exported."""
    return [column for column in table.columns if column.name not in _CLAIM]


def shown(value: object) -> str:
    """Return what stands in a file as a message can quote it: shortened."""
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN_CHARS else f"{text[:_MAX_SHOWN_CHARS]}…"


def line_of(kind: str, row: Mapping[str, Any]) -> str:
    """Return the line of a row, in ASCII."""
    values = {name: value.isoformat() if isinstance(value, datetime) else value for name, value in row.items()}
    return json.dumps({"kind": kind} | values)


def parse_line(line: str) -> tuple[str, Row]:
    """Return what kind of line it is, and what it holds; of a row, values as the database keeps them.

    Raises:
        TransferError: It is none, or holds what the registry could not keep.
    """
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as exc:
        raise TransferError("It is not JSON.") from exc
    if not isinstance(data, dict) or not isinstance(data.get("kind"), str):
        raise TransferError('It is no object with a "kind".')
    kind = data.pop("kind")
    if kind in (FIRST, LAST):
        return kind, data
    if kind not in TABLES:
        raise TransferError(f"There is no kind {shown(kind)}.")
    return kind, _row(kind, data)


def _row(kind: str, data: dict[str, Any]) -> Row:
    columns = {column.name: column for column in columns_of(TABLES[kind])}
    if wrong := sorted(data.keys() ^ columns.keys()):
        what = "has no" if wrong[0] in columns else "cannot have"
        raise TransferError(f"A {kind} {what} {shown(wrong[0])}.")
    row = {name: _value(columns[name], value) for name, value in data.items()}
    if kind == "chatroom":
        _check_chatroom(row)
    return row


def _value(column: sa.Column[Any], value: Any) -> Any:
    if value is None and column.nullable:
        return None
    try:
        read = _READERS[type(column.type)](column.type, value)
        return checked_id(read, max_chars=MAX_SERVICE_ID_CHARS) if column.name in _IDS else read
    except (TypeError, ValueError, OverflowError) as exc:
        raise TransferError(f"{column.name!r} {exc}.") from exc


def _exact_text(kind: Any, value: Any) -> str:
    if not _text(kind, value):
        raise ValueError("is empty")
    return str(value)


def _text(kind: Any, value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("is no text")
    if not is_text(value):
        raise ValueError("holds what no database can keep")
    if len(value) > kind.length:
        raise ValueError(f"has more than {kind.length} characters")
    return value


def _boolean(kind: Any, value: Any) -> bool:
    if not isinstance(value, bool):
        raise TypeError("is neither true nor false")
    return value


def _integer(kind: Any, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INTEGER:
        raise TypeError("is no number from 0 on")
    return value


def _moment(kind: Any, value: Any) -> int:
    try:
        moment = datetime.fromisoformat(value)
        # Some are of a year that no time in UTC has; what cannot be read again would close the whole registry.
        is_one = moment.tzinfo is not None and moment.astimezone(UTC) is not None
    except (TypeError, ValueError, OverflowError):
        is_one = False
    if not is_one:
        raise ValueError("is no time with its zone, such as 2026-11-25T12:00:00.123456+00:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


_READERS = {
    ExactText: _exact_text,
    sa.String: _text,
    sa.Boolean: _boolean,
    sa.Integer: _integer,
    Moment: _moment,
}


def _check_chatroom(row: Row) -> None:
    try:
        normalize_post_id(row["post_id"])
        state, _ = read_state(row["state"])
    except PostError as exc:
        raise TransferError(f"'post_id': {exc}") from exc
    except ValueError as exc:
        raise TransferError(f"'state' is one of {', '.join(RoomState)}.") from exc
    if (state in (RoomState.CREATING, RoomState.MOVED)) is not (row["chatroom_id"] is None):
        raise TransferError("'chatroom_id' is null while the state is creating or moved, and else never.")
    if state is RoomState.MOVED:
        _check_new_id(row)


def _check_new_id(row: Row) -> None:
    """Refuse what is no post ID, or the post's own."""
    try:
        is_another = normalize_post_id(row["title"]) != row["post_id"]
    except PostError as exc:
        raise TransferError(f"'title' is the post's new ID: {exc}") from exc
    if not is_another:
        raise TransferError("'title' is the post's new ID, and not its own.")
