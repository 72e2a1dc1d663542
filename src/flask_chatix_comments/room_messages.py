"""Comments by hand: a whole thread, oldest first, and the deletion of one comment.

The API pages backwards, from the newest comment. So that a thread of any length is read in flat memory
and still told from its beginning, its pages wait in a temporary file until the first one has come.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from . import wire
from .errors import ApiPayloadError, ApiStatusError, RoomError
from .models import Message
from .registry import RoomRegistry, RoomState
from .room_troubles import GONE_STATUSES, missing, room_of

if TYPE_CHECKING:
    from .api import ChatixApi

#: So many comments of the greatest length fit into what the client takes as one answer.
PAGE_SIZE = 40
#: Threads up to this size never touch the disk.
MAX_BYTES_IN_MEMORY = 1024 * 1024


@dataclass(frozen=True, slots=True)
class DeletedMessage:
    """A comment that is gone, and where it was."""

    message_id: str
    post_id: str
    chatroom_id: str


def thread(api: ChatixApi, chatroom_id: str, *, limit: int | None = None) -> Iterator[Message]:
    """Yield a chatroom's messages, oldest first, once all of them have been fetched.

    What is posted meanwhile is left out.

    Args:
        limit: How many at most, the newest ones; ``None``: all.

    Raises:
        ApiError: The API failed on the way; nothing has been yielded then.
    """
    with tempfile.SpooledTemporaryFile(MAX_BYTES_IN_MEMORY) as spool:
        starts: list[int] = []
        for page in _pages_backwards(api, chatroom_id, limit):
            starts.append(spool.tell())
            spool.write(json.dumps([wire.message_to_wire(message) for message in page]).encode() + b"\n")
        yield from _read_back(spool, starts, chatroom_id)


def thread_of(
    registry: RoomRegistry, api: ChatixApi, post_id: str, *, limit: int | None, is_hosted: bool
) -> Iterator[Message]:
    """Yield a post's messages as ``thread`` does.

    Raises:
        PostNotRegisteredError, RoomError: At once: the post has no chatroom.
        RoomMissingError: With the first message: the service does not have it.
    """
    entry, chatroom_id = room_of(registry, post_id)

    def told() -> Iterator[Message]:
        try:
            yield from thread(api, chatroom_id, limit=limit)
        except ApiStatusError as exc:
            if exc.status_code not in GONE_STATUSES:
                raise
            is_deleted = entry.state is RoomState.DELETED
            raise missing(post_id, chatroom_id, api.base_url, is_hosted=is_hosted, is_deleted=is_deleted) from exc

    return told()


def _pages_backwards(api: ChatixApi, chatroom_id: str, limit: int | None) -> Iterator[list[Message]]:
    """Yield pages, the newest one first; within a page the oldest message is the first."""
    before_id: str | None = None
    left = limit
    while left is None or left > 0:
        wanted = PAGE_SIZE if left is None else min(PAGE_SIZE, left)
        page = _before(api.list_messages(chatroom_id, before_id=before_id, limit=wanted), before_id)[-wanted:]
        if not page:
            return
        yield page
        before_id = page[0].message_id
        left = None if left is None else left - len(page)


def _before(answer: list[Message], before_id: str | None) -> list[Message]:
    """Return what is older than *before_id*; some services may count that one in."""
    ids = [message.message_id for message in answer]
    if before_id not in ids:
        return answer
    older = answer[: ids.index(before_id)]
    if not older and len(answer) > 1:
        # The same page again: a service that does not know how to page would give it for ever.
        raise ApiPayloadError(
            "The API answered list_messages with messages that it had given before. Check this row of"
            " CHATIX_API_OPERATIONS.",
            operation="list_messages",
        )
    return older


def _read_back(spool: IO[bytes], starts: list[int], chatroom_id: str) -> Iterator[Message]:
    for start in reversed(starts):
        spool.seek(start)
        for data in json.loads(spool.readline()):
            yield wire.message_from_wire(data, chatroom_id=chatroom_id)


def delete_message(
    registry: RoomRegistry, api: ChatixApi, message_id: str, *, post_id: str | None, is_hosted: bool
) -> DeletedMessage:
    """Delete a comment for everybody, for good.

    Args:
        post_id: Where it is; ``None``: our hub is asked.

    Raises:
        RoomError: There is no such comment under a post of the registry.
    """
    found = _chatroom_of(registry, api, message_id, post_id=post_id, is_hosted=is_hosted)
    try:
        api.delete_message(found.chatroom_id, message_id)
    except ApiStatusError as exc:
        if exc.status_code not in GONE_STATUSES:
            raise
        raise RoomError(
            f"There is no comment {message_id!r} under the post {found.post_id!r}.", post_id=found.post_id
        ) from exc
    return found


def _chatroom_of(
    registry: RoomRegistry, api: ChatixApi, message_id: str, *, post_id: str | None, is_hosted: bool
) -> DeletedMessage:
    """Return where the comment is, as its deletion will tell it."""
    if post_id is not None:
        return DeletedMessage(message_id, post_id, room_of(registry, post_id)[1])
    if is_hosted:
        raise RoomError("The hosted service does not tell where a comment is: say which post it is under.")
    message = api.find_message(message_id)
    if message is None:
        raise RoomError(f"There is no comment {message_id!r} at the hub.")
    entry = registry.find_chatroom(message.chatroom_id)
    if entry is None:
        raise RoomError(
            f"The comment {message_id!r} is in the chatroom {message.chatroom_id}, which belongs to no post. Link the"
            " chatroom to one first."
        )
    return DeletedMessage(message_id, entry.post_id, message.chatroom_id)
