"""Marks in titles: for which post a chatroom is being made, on a service that keeps nothing of ours but the title.

A chatroom gets its mark with its creation and loses it once the registry names it. So one that still has a mark was
left by somebody who died, or was too slow, on the way; whoever claims the post next knows it by that, whatever other
posts have the same title.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from .models import MAX_TITLE_CHARS, Chatroom

if TYPE_CHECKING:
    from .api import ChatixApi

ROOMS_PER_CALL = 100
_MARK = re.compile(r"\[chatix-post:([0-9a-f]{16})\]\s*")


def with_mark(title: str, post_id: str) -> str:
    """Return *title* behind the mark of a post: a service may cut long titles, at their end."""
    return f"[chatix-post:{mark_for(post_id)}] {title}"[:MAX_TITLE_CHARS].rstrip()


def without_mark(title: str) -> str:
    """Return *title* as it was before it got a mark, if it has one."""
    return _MARK.sub("", title)


def is_marked(title: str) -> bool:
    """Tell whether *title* has the mark of some post."""
    return _MARK.search(title) is not None


def is_marked_for(title: str, post_id: str) -> bool:
    """Tell whether *title* has the mark of this post."""
    return mark_for(post_id) in _MARK.findall(title)


def mark_in(title: str) -> str | None:
    """Return the mark that *title* has, or ``None``."""
    found = _MARK.search(title)
    return found and found[1]


def mark_for(post_id: str) -> str:
    """Return the mark of a post."""
    # IDs can be longer than titles.
    return hashlib.sha256(post_id.encode()).hexdigest()[:16]


def find_left_behind(api: ChatixApi, post_id: str, is_free: Callable[[Chatroom], bool]) -> Chatroom | None:
    """Return the chatroom that was made for a post and has kept its mark, or our name for it, or ``None``.

    One that is deleted has been taken back, unless the service knows it by the post's ID.

    Args:
        is_free: Tells whether no other post has got this chatroom since.
    """
    deleted: Chatroom | None = None
    for room in _chatrooms(api):
        is_named = room.external_id == post_id
        if (is_named or is_marked_for(room.title, post_id)) and is_free(room):
            if not room.is_deleted:
                return room
            deleted = deleted or (room if is_named else None)
    return deleted


def _chatrooms(api: ChatixApi) -> Iterator[Chatroom]:
    page, first_ids = 1, ("", "")
    while rooms := api.list_chatrooms(page=page, items_per_page=ROOMS_PER_CALL, include_deleted=True).chatrooms:
        first_ids = (first_ids[1], rooms[0].chatroom_id)
        if first_ids[0] == first_ids[1]:
            return  # A service that ignores the page number would list the same rooms for ever.
        yield from rooms
        page += 1
