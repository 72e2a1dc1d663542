"""What the answers of the REST API become: types, and readers that refuse what is none of them.

A reader raises ``LookupError``, ``TypeError`` or ``ValueError`` for an answer that it cannot read; ``api`` says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from . import wire
from .models import Chatroom, Crowd, Forgotten, Message, Profile

MAX_ID_CHARS = 255
# The SDK puts ids into URLs as they are; get-id may answer a whole ticket.
_URL_SAFE_ID = re.compile(r"[A-Za-z0-9._~:=+/|@-]{1,2000}")


@dataclass(frozen=True, slots=True)
class ChatroomPage:
    """One page of the list of chatrooms.

    Attributes:
        total: How many there are in all, where the API tells.
    """

    chatrooms: tuple[Chatroom, ...]
    total: int | None


@dataclass(frozen=True, slots=True)
class Changes:
    """What is new, edited or deleted in a chatroom since a cursor.

    Attributes:
        cursor: Where the next call goes on.
        has_more: Whether it would find something at once.
    """

    messages: tuple[Message, ...]
    deleted_ids: tuple[str, ...]
    cursor: str
    has_more: bool


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """A page of a chatroom's history.

    Attributes:
        cursor: From where changes can be asked for later; ``None`` where the service has none.
        has_more: Whether there are older ones, where the service says so.
    """

    messages: tuple[Message, ...]
    cursor: str | None
    has_more: bool


def items_of(data: Any) -> list[Any]:
    """Return the items of a list, in its envelope or bare."""
    items = data["items"] if isinstance(data, Mapping) else data
    if not isinstance(items, list):
        raise TypeError("not a list")
    return items


def checked_id(text: Any, *, max_chars: int = MAX_ID_CHARS) -> str:
    """Return *text* as an id that can stand in a URL."""
    if not _URL_SAFE_ID.fullmatch(str(text)) or len(str(text)) > max_chars:
        raise ValueError("is no ID that can stand in a URL")
    return str(text)


def read_chatroom(data: Any, *, asked_id: str | None = None) -> Chatroom:
    """Read a chatroom whose id can stand in a URL.

    Args:
        asked_id: Which one was asked for; another is no answer.
    """
    room = wire.chatroom_from_wire(data)
    checked_id(room.chatroom_id)
    # Ids that differ in case only are one to some services.
    if asked_id is not None and room.chatroom_id.casefold() != asked_id.casefold():
        raise ValueError("another chatroom than was asked for")
    return room


def read_chatroom_page(data: Any) -> ChatroomPage:
    """Read a page of chatrooms."""
    total = data.get("total") if isinstance(data, Mapping) else None
    rooms = tuple(read_chatroom(item) for item in items_of(data))
    return ChatroomPage(rooms, total if isinstance(total, int) else None)


def read_messages(data: Any, chatroom_id: str) -> list[Message]:
    """Read a page of messages."""
    return [wire.message_from_wire(item, chatroom_id=chatroom_id) for item in items_of(data)]


def read_history(data: Any, chatroom_id: str) -> HistoryPage:
    """Read a page of messages, with what our hub says beside them."""
    beside = data if isinstance(data, Mapping) else {}
    cursor = beside.get("cursor")
    messages = tuple(read_messages(data, chatroom_id))
    return HistoryPage(messages, None if cursor is None else str(cursor), beside.get("has_more") is True)


def read_found_message(data: Any) -> Message:
    """Read a message that says where it is."""
    return wire.message_from_wire(data["message"], chatroom_id=checked_id(data["chatroom_id"]))


def read_changes(data: Any, chatroom_id: str) -> Changes:
    """Read a page of changes."""
    items = items_of(data)
    return Changes(
        messages=tuple(
            wire.message_from_wire(item, chatroom_id=chatroom_id) for item in items if not item.get("is_deleted")
        ),
        deleted_ids=tuple(str(item["uuid"]) for item in items if item.get("is_deleted")),
        cursor=str(data["cursor"]),
        has_more=bool(data["has_more"]),
    )


def read_profiles(data: Any) -> list[Profile]:
    """Read a page of visitors."""
    return [wire.profile_from_wire(item) for item in items_of(data)]


def read_presence(data: Any) -> dict[str, bool]:
    """Read who is on a page of visitors, and whether they are online."""
    return {checked_id(item["uuid"]): read_is_online(item) for item in items_of(data)}


def read_is_online(data: Any) -> bool:
    """Read whether a visitor is online; whoever is not said to be offline is not taken for that."""
    if not isinstance(data["is_online"], bool):
        raise TypeError("neither online nor offline")
    return bool(data["is_online"])


def read_forgotten(data: Any) -> Forgotten:
    """Read what there was of a visitor."""
    return Forgotten(int(data["messages"]), int(data["files"]), was_known=bool(data["was_known"]))


def read_crowd(data: Any) -> Crowd:
    """Read who is there, by numbers."""
    return Crowd(int(data["connections"]), int(data["visitors"]))


def read_visitor_id(data: Any) -> str:
    """Read a visitor id, which may be a whole ticket."""
    if not isinstance(data, (str, int)) or isinstance(data, bool):
        raise TypeError("not an id")
    return checked_id(data, max_chars=2000)
