"""What the registry and the API know of chatrooms, put together for people and programs that ask."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .registry import RegistryEntry, RoomRegistry, RoomState

if TYPE_CHECKING:
    from .api import ChatixApi

ROOMS_PER_CALL = 100


@dataclass(frozen=True, slots=True)
class RoomInfo:
    """What the registry knows of a post's chatroom, and the API of its visitors.

    Attributes:
        chatroom_id: ``None`` while the chatroom is being made.
        number_of_visitors: ``None`` when the API did not say.
    """

    post_id: str
    chatroom_id: str | None
    title: str
    is_private: bool
    state: RoomState
    created_at: datetime
    number_of_visitors: int | None = None

    @classmethod
    def from_entry(cls, entry: RegistryEntry, number_of_visitors: int | None = None) -> RoomInfo:
        """Join a row of the registry with what the API said."""
        return cls(
            post_id=entry.post_id,
            chatroom_id=entry.chatroom_id,
            title=entry.title,
            is_private=entry.is_private,
            state=entry.state,
            created_at=entry.created_at,
            number_of_visitors=number_of_visitors,
        )


def visitor_counts(api: ChatixApi) -> dict[str, int]:
    """Return the number of visitors of every chatroom that the API lists, by chatroom id."""
    counts: dict[str, int] = {}
    page = 1
    while True:
        rooms = api.list_chatrooms(page=page, items_per_page=ROOMS_PER_CALL, include_deleted=True).chatrooms
        known = len(counts)
        counts.update((room.chatroom_id, room.number_of_visitors) for room in rooms)
        # A service that ignores the page number would list the same rooms for ever.
        if len(rooms) < ROOMS_PER_CALL or len(counts) == known:
            return counts
        page += 1


def all_rooms(registry: RoomRegistry, counts: dict[str, int]) -> Iterator[RoomInfo]:
    """Yield every post of the registry by post id, with what *counts* says of its chatroom."""
    for entry in all_entries(registry):
        yield RoomInfo.from_entry(entry, counts.get(entry.chatroom_id or ""))


def all_entries(registry: RoomRegistry) -> Iterator[RegistryEntry]:
    """Yield every row of the registry by post id."""
    after: str | None = None
    while entries := registry.entries(after=after):
        yield from entries
        after = entries[-1].post_id


def one_room(registry: RoomRegistry, api: ChatixApi | None, post_id: str) -> RoomInfo:
    """Return what is known of a post's chatroom; without an API its visitors are not.

    Raises:
        PostNotRegisteredError: The post has no chatroom.
        ApiError: The API does not answer.
    """
    entry = registry.get(post_id)
    if api is None or entry.chatroom_id is None:
        return RoomInfo.from_entry(entry)
    return RoomInfo.from_entry(entry, api.get_chatroom(entry.chatroom_id).number_of_visitors)
