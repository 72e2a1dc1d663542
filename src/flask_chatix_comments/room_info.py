"""What the registry and the API know of chatrooms, put together for people and programs that ask."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from .registry import RegistryEntry, RoomRegistry, RoomState
from .room_list import RoomList, no_progress

if TYPE_CHECKING:
    from .api import ChatixApi


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


def all_rooms(registry: RoomRegistry, rooms: RoomList | None) -> Iterator[RoomInfo]:
    """Yield every post of the registry by post id.

    Args:
        rooms: What the service has said of its chatrooms; ``None``: nothing. It is closed in the end.
    """
    with rooms or contextlib.nullcontext():
        for entry in all_entries(registry):
            chatroom = rooms.find(entry.chatroom_id) if rooms and entry.chatroom_id else None
            yield RoomInfo.from_entry(entry, None if chatroom is None else chatroom.number_of_visitors)


def listed_rooms(api: ChatixApi, *, progress: Callable[[int, int | None], None] = no_progress) -> RoomList:
    """Return what the service has, to be closed.

    Raises:
        ApiError: It does not list its chatrooms.
    """
    rooms = RoomList()
    try:
        rooms.fetch(api, progress=progress)
    except BaseException:
        rooms.close()
        raise
    return rooms


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
