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
    MOVED = "moved"
    """The post has another ID since, and its chatroom went along: who comes under this one is sent there."""


@dataclass(frozen=True, slots=True)
class RegistryEntry:
    """One post's row.

    Attributes:
        post_id: Normalised.
        chatroom_id: ``None`` exactly while *state* is ``CREATING`` or ``MOVED``.
        title: Of one that is ``MOVED``, the post's new ID.
        was_closed: Whether a chatroom that is ``DELETED`` was read-only before. Not every service remembers it.
    """

    post_id: str
    chatroom_id: str | None
    title: str
    is_private: bool
    state: RoomState
    created_at: datetime
    updated_at: datetime
    was_closed: bool = False

    @property
    def moved_to(self) -> str | None:
        """The ID that the post has now, if it has another."""
        return self.title if self.state is RoomState.MOVED else None

    @property
    def stored_state(self) -> str:
        """What stands in the row."""
        return stored_state(self.state, was_closed=self.was_closed)


# In the same column, which is for people to read, too.
_DELETED_AND_CLOSED = "deleted, closed"


def stored_state(state: RoomState, *, was_closed: bool) -> str:
    """Return what stands in a row."""
    return _DELETED_AND_CLOSED if state is RoomState.DELETED and was_closed else state.value


def read_state(stored: str) -> tuple[RoomState, bool]:
    """Return the state that stands in a row, and whether the chatroom was read-only before.

    Raises:
        ValueError: It is none.
    """
    was_closed = stored == _DELETED_AND_CLOSED
    return RoomState.DELETED if was_closed else RoomState(stored), was_closed


#: What stands in the columns of a claim when there is none.
NO_CLAIM = {"claim_token": None, "claim_owner": None, "claim_expires_at": None}  # nosec B105  # names of columns


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
    state, was_closed = read_state(row.state)
    return RegistryEntry(
        post_id=row.post_id,
        chatroom_id=row.chatroom_id,
        title=row.title,
        is_private=row.is_private,
        state=state,
        created_at=row.created_at,
        updated_at=row.updated_at,
        was_closed=was_closed,
    )
