"""Whether anybody has written in a chatroom, and the deletion of one in which nobody has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .errors import ApiStatusError
from .room_troubles import GONE_STATUSES

if TYPE_CHECKING:
    from .api import ChatixApi


def has_messages(api: ChatixApi, chatroom_id: str) -> bool:
    """Whether there is a message in the chatroom. The API tells of no whispers."""
    return bool(api.list_messages(chatroom_id, limit=1))


def delete_if_empty(api: ChatixApi, chatroom_id: str) -> bool:
    """Delete a chatroom unless there is a message in it; tell whether it is deleted.

    What somebody has written between the look and the deed is found by a second look, and the chatroom restored.
    """
    if has_messages(api, chatroom_id):
        return False
    api.delete_chatroom(chatroom_id)
    try:
        if not has_messages(api, chatroom_id):
            return True
    except ApiStatusError as exc:
        # Some services do not show what they have deleted.
        if exc.status_code not in GONE_STATUSES:
            raise
        return True
    api.restore_chatroom(chatroom_id)
    return False
