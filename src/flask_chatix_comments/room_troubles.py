"""What can be wrong with a post's chatroom, in sentences that say what to do."""

from __future__ import annotations

from .errors import RoomError, RoomMissingError
from .registry import RegistryEntry, RoomRegistry

#: How a service answers about a chatroom or a message that it does not have.
GONE_STATUSES = frozenset({404, 410})

_LOST_HUB = (
    "It may have been deleted longer ago than CHATIX_HUB_RESTORE_DAYS, or the hub's database be another one, or lost:"
    " the registry (CHATIX_DATABASE_URL) and the hub's database (CHATIX_HUB_DATABASE_URL) belong together."
)
_BY_CHECK = "flask chatix check --repair makes a new one."
_AFTER_UNLINK = "and the post is to have comments again, flask chatix unlink lets its next reader make a new one."
_WRONG_SERVICE = "If it should be there, check CHATIX_API_URL and CHATIX_API_OPERATIONS."


def room_of(registry: RoomRegistry, post_id: str) -> tuple[RegistryEntry, str]:
    """Return the entry of a post that has a chatroom, and the ID of that.

    Raises:
        PostNotRegisteredError: The registry does not know the post.
        RoomError: It has no chatroom yet, or another ID.
    """
    entry = registry.get(post_id)
    if entry.moved_to is not None:
        raise moved(entry)
    if entry.chatroom_id is None:
        raise RoomError(
            f"The post {post_id!r} has no chatroom yet. The next reader who comes to its comments makes one.",
            post_id=post_id,
        )
    return entry, entry.chatroom_id


def moved(entry: RegistryEntry) -> RoomError:
    """Return the error for a post that has another ID since."""
    return RoomError(
        f"The post {entry.post_id!r} has been moved: its ID is {entry.moved_to!r} now.", post_id=entry.post_id
    )


def missing(
    post_id: str, chatroom_id: str, api_url: str, *, is_hosted: bool, is_deleted: bool = False
) -> RoomMissingError:
    """Return the error for a post's chatroom that the service does not have.

    Args:
        is_deleted: Whether the registry knows that it was deleted: then nothing makes a new one by itself.
    """
    service, hint = ("service", _WRONG_SERVICE) if is_hosted else ("hub", _LOST_HUB)
    return RoomMissingError(
        f"The {service} at {api_url} does not know the chatroom {chatroom_id} of the post {post_id!r}. {hint} If it is"
        f" gone for good, {_AFTER_UNLINK if is_deleted else _BY_CHECK}",
        post_id=post_id,
    )


def not_there(post_id: str, chatroom_id: str, api_url: str, *, is_hosted: bool) -> RoomMissingError:
    """Return the error for a chatroom that somebody named, and the service does not have."""
    hint = _WRONG_SERVICE if is_hosted else "Check the ID, and CHATIX_API_URL or CHATIX_HUB_URL."
    return RoomMissingError(f"There is no chatroom {chatroom_id} at {api_url}. {hint}", post_id=post_id)


def being_made(post_id: str) -> RoomError:
    """Return the error for a post whose chatroom somebody makes at this moment."""
    return RoomError(
        f"Somebody is just making a chatroom for the post {post_id!r}. Try again in a moment.", post_id=post_id
    )


def has_another(post_id: str, chatroom_id: str | None) -> RoomError:
    """Return the error for a post that has another chatroom than the one that it should get."""
    return RoomError(
        f"The post {post_id!r} has the chatroom {chatroom_id} already. Unlink that one first, if this is to take its"
        " place.",
        post_id=post_id,
    )


def deleted(post_id: str) -> RoomError:
    """Return the error for a deleted chatroom."""
    return RoomError(f"The chatroom of the post {post_id!r} is deleted. Restore it first.", post_id=post_id)


def changed_meanwhile(post_id: str) -> RoomError:
    """Return the error for a chatroom that two change at once."""
    return RoomError(
        f"The chatroom of the post {post_id!r} was changed by somebody else at the same moment. Try again.",
        post_id=post_id,
    )
