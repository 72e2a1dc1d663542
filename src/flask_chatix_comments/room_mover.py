"""A post's ID changes: its chatroom goes to the new ID, with every comment.

The registry is told first: from then on readers of the new ID have their thread, and so have those of pages that still
name the old one. The service is told last under
which name it knows the chatroom; until then, it would refuse a chatroom to the old ID rather than give a wrong one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from . import room_troubles as troubles
from .errors import ApiError, ApiStatusError, PostNotRegisteredError, RoomError
from .models import Chatroom
from .registry import RegistryEntry, RoomRegistry, RoomState
from .room_contents import delete_if_empty, has_messages
from .room_keeper import RoomChange

if TYPE_CHECKING:
    from .api import ChatixApi


_LINK = "Linked to another post, it can be read there."


class RoomMover:
    """Moves chatrooms from one post ID to another. Safe for threads and processes, and to be done again.

    Args:
        api: Returns the client.
        is_hosted: Whether the service is another than our hub.
    """

    def __init__(self, registry: RoomRegistry, api: Callable[[], ChatixApi], *, is_hosted: bool) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted

    def move(self, old_id: str, new_id: str) -> RoomChange:
        """Give the chatroom of the post *old_id* to *new_id*, whose own must be without a message, if there is one.

        Both IDs are normalised. Two threads are never made one.

        Raises:
            PostNotRegisteredError: The old ID has no chatroom.
            RoomError: It cannot be done; the message says why.
            ApiError, RegistryError: A failure on the way. The same call again ends what was begun.
        """
        if old_id == new_id:
            raise RoomError(f"The post {old_id!r} has this ID already.", post_id=old_id)
        api = self._api()
        there, before = self._registry.find(new_id), self._registry.find(old_id)
        if before is None or before.moved_to is not None:
            return self._end(api, old_id, new_id, before)
        entry, chatroom_id = troubles.room_of(self._registry, old_id)
        chatroom = self._get(api, old_id, chatroom_id)
        if there is not None and there.moved_to is None and there.is_private and not entry.is_private:
            raise _would_open(entry, new_id)
        unused = self._unused(api, entry, new_id, there)
        makes_way = None if there is None or there.chatroom_id is None else there
        if not self._registry.rename(entry, new_id, instead_of=makes_way):
            raise self._in_the_way(old_id, new_id)
        # Not before: now nobody else can be about to register it.
        deleted = [unused_id for unused_id in unused if delete_if_empty(api, unused_id)]
        self._name(api, chatroom, new_id)
        vanished = there.chatroom_id if there is not None and there.chatroom_id not in unused else None
        return self._change(new_id, chatroom_id, note=_note(unused, deleted, vanished))

    def _end(self, api: ChatixApi, old_id: str, new_id: str, before: RegistryEntry | None) -> RoomChange:
        """End a move that was interrupted before the service knew of it."""
        entry = self._registry.find(new_id)
        if entry is not None and entry.chatroom_id is not None:
            chatroom = self._get(api, new_id, entry.chatroom_id)
            if chatroom.external_id == old_id:
                self._name(api, chatroom, new_id)
                return self._change(new_id, entry.chatroom_id)
        hint = "" if before is None else f" It has been moved to {before.moved_to!r} already."
        raise PostNotRegisteredError(f"No chatroom is registered for the post {old_id!r}.{hint}", post_id=old_id)

    def _unused(self, api: ChatixApi, entry: RegistryEntry, new_id: str, there: RegistryEntry | None) -> list[str]:
        """Return the chatrooms that the new ID has, made when a reader came under it too early.

        Raises:
            RoomError: It has one that somebody may have written in.
        """
        unused: list[str] = []
        if there is not None and there.chatroom_id is not None:
            if there.state is RoomState.DELETED:
                raise _merge(entry, new_id, there.chatroom_id, what="which is deleted and can be restored")
            try:
                if has_messages(api, there.chatroom_id):
                    raise _merge(entry, new_id, there.chatroom_id, what="in which there are comments")
                unused.append(there.chatroom_id)
            except ApiStatusError as exc:
                if exc.status_code not in troubles.GONE_STATUSES:
                    raise
        known = api.find_chatroom_by_external_id(new_id)
        if (
            known is not None
            and not known.is_deleted
            and known.chatroom_id not in unused
            # That of another post only loses a name that is not its own.
            and self._registry.find_chatroom(known.chatroom_id) is None
        ):
            # The registry has lost it, or whoever made it died.
            if has_messages(api, known.chatroom_id):
                raise _merge(entry, new_id, known.chatroom_id, what="in which there are comments")
            unused.append(known.chatroom_id)
        return unused

    def _in_the_way(self, old_id: str, new_id: str) -> RoomError:
        there = self._registry.find(new_id)
        is_being_made = there is not None and there.chatroom_id is None
        return troubles.being_made(new_id) if is_being_made else troubles.changed_meanwhile(old_id)

    def _name(self, api: ChatixApi, chatroom: Chatroom, post_id: str) -> None:
        """Let the service know whose the chatroom is: it answers by this name when a post has none yet."""
        if chatroom.external_id == post_id or (self._is_hosted and chatroom.external_id is None):
            return
        try:
            api.update_chatroom(chatroom.chatroom_id, external_id=post_id)
        except ApiError as exc:
            raise RoomError(
                f"The post {post_id!r} has the chatroom now, but the service could not be told so: {exc}"
                " Move it once more.",
                post_id=post_id,
            ) from exc

    def _get(self, api: ChatixApi, post_id: str, chatroom_id: str) -> Chatroom:
        try:
            return api.get_chatroom(chatroom_id)
        except ApiStatusError as exc:
            if exc.status_code not in troubles.GONE_STATUSES:
                raise
            raise troubles.missing(post_id, chatroom_id, api.base_url, is_hosted=self._is_hosted) from exc

    def _change(self, post_id: str, chatroom_id: str, *, note: str | None = None) -> RoomChange:
        entry = self._registry.get(post_id)
        return RoomChange(post_id, chatroom_id, entry.title, entry.is_private, entry.state, is_changed=True, note=note)


def _note(unused: list[str], deleted: list[str], vanished: str | None) -> str | None:
    notes = [] if vanished is None else [f"The chatroom {vanished} that it had is not at the service any more."]
    notes += [f"The chatroom {one} that it had, in which nobody had written, is deleted." for one in deleted]
    notes += [
        f"Somebody has just written in the chatroom {one} that it had. {_LINK}" for one in set(unused) - set(deleted)
    ]
    return " ".join(notes) or None


def _would_open(entry: RegistryEntry, new_id: str) -> RoomError:
    """Return the refusal to make a private post public by the way."""
    return RoomError(
        f"The post {new_id!r} is private and the thread of the post {entry.post_id!r} is public: moved there, it would"
        " open that post to everybody. Make one of them what the other is first, by flask chatix make-private or"
        " make-public.",
        post_id=entry.post_id,
    )


def _merge(entry: RegistryEntry, new_id: str, chatroom_id: str, *, what: str) -> RoomError:
    """Return the refusal to make two threads one."""
    return RoomError(
        f"The post {new_id!r} has a chatroom of its own, {chatroom_id}, {what}. Two threads cannot become one: it would"
        f" be a thread in which answers stand before what they answer. Keep that one and leave the post"
        f" {entry.post_id!r} as it is; or give it away first, by flask chatix unlink, and move then."
        f" {_LINK}",
        post_id=entry.post_id,
    )
