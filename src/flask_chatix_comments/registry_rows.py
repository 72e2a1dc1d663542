"""What a row of the room registry says: a post with its chatroom, or somebody's claim to make one."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa


class RoomState(enum.StrEnum):
    """What the registry knows of a post's chatroom."""

    CREATING = "creating"
    """Claimed: somebody creates the chatroom, or tried to; there is none yet."""
    OPEN = "open"
    CLOSED = "closed"
    """Read-only."""
    DELETED = "deleted"
    """Deleted at the service, which can restore it."""


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One post's row.

    Attributes:
        post_id: Normalised.
        chatroom_id: ``None`` exactly while *state* is ``CREATING``.
    """

    post_id: str
    chatroom_id: str | None
    title: str
    is_private: bool
    state: RoomState
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to create a post's chatroom, for as long as nobody has taken it over.

    Attributes:
        is_private: What the chatroom must be; an earlier claim's ``True`` is kept.
        token: Stands in the row while the claim is held; made anew for each claim.
        number: 1 for the first claim of this post. Above that, an earlier holder may have left a
            chatroom that the registry does not know.
    """

    post_id: str
    title: str
    is_private: bool
    token: str
    number: int


def entry_from_row(row: sa.Row[Any]) -> RegistryEntry:
    """Read a row."""
    return RegistryEntry(
        post_id=row.post_id,
        chatroom_id=row.chatroom_id,
        title=row.title,
        is_private=row.is_private,
        state=RoomState(row.state),
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
