"""What is done to a post's chatroom by hand: link, unlink, close, reopen, delete, restore.

The chat service is told first and the registry last: whatever fails in between, the same command again
ends as it should. What has been done already is done again without harm, and says so.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from . import room_troubles as troubles
from .errors import ApiError, ApiPayloadError, ApiStatusError, RoomError, RoomMissingError
from .models import Chatroom, normalize_title
from .registry import RegistryEntry, RoomRegistry, RoomState, taken
from .registry_upkeep import follow_moves
from .room_marks import without_mark
from .rooms import state_of

if TYPE_CHECKING:
    from .api import ChatixApi

T = TypeVar("T")

# How a service answers that does not know a key of the body, or the whole operation.
_UNKNOWN_STATUSES = frozenset({400, 405, 415, 422, 501})

# What no URL, no table and no terminal would carry unharmed is no ID of any service.
_ID = re.compile(r"[!-~]{1,255}")
_LIVES = "It is not deleted: there is nothing to restore."
_NOT_HELD = (
    "The service does not know read-only chatrooms: it still takes comments from pages that are open already. Pages"
    " that are opened from now on have no form."
)


@dataclass(frozen=True, slots=True)
class RoomChange:
    """What became of a post's chatroom.

    Attributes:
        title, is_private: As the registry has them.
        state: As the registry has it; ``None``: the post has no chatroom any more.
        is_changed: False when all was so already.
        note: What is worth knowing besides, for people.
    """

    post_id: str
    chatroom_id: str
    title: str
    is_private: bool
    state: RoomState | None
    is_changed: bool
    note: str | None = None


class RoomKeeper:
    """Changes chatrooms that exist. Safe for threads and processes: of two changes at once, one is refused.

    Post IDs are normalised. Every method raises ``ApiError`` when the service fails, ``RegistryError`` when
    the registry does, ``PostNotRegisteredError`` for a post without a chatroom, ``RoomMissingError`` when the
    service does not have the chatroom, and ``RoomError`` when it cannot be done for another reason.

    Args:
        api: Returns the client.
        is_hosted: Whether the service is another than our hub, so that our extensions may mean nothing to it.
    """

    def __init__(self, registry: RoomRegistry, api: Callable[[], ChatixApi], *, is_hosted: bool) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted

    def link(self, post_id: str, chatroom_id: str) -> RoomChange:
        """Make a chatroom that exists the one of a post that has none; take over its title, privacy and state.

        Again, it brings the registry up to date with the chatroom.

        Raises:
            ChatroomTakenError: It is another post's.
        """
        if not _ID.fullmatch(chatroom_id):
            raise RoomError(f"{chatroom_id!r} cannot be the ID of a chatroom.", post_id=post_id)
        chatroom = self._at_service(lambda api: api.get_chatroom(chatroom_id), post_id, chatroom_id, troubles.not_there)
        owner = self._registry.find_chatroom(chatroom.chatroom_id)
        if owner is not None and owner.post_id != post_id:
            raise taken(chatroom.chatroom_id, post_id=post_id, owner=owner.post_id)
        before = self._registry.find(post_id)
        entry = self._link(post_id, chatroom, before)
        self._name(entry, chatroom)
        return _change(entry, chatroom.chatroom_id, before=before, note=_note_of_link(entry, chatroom))

    def _link(self, post_id: str, chatroom: Chatroom, before: RegistryEntry | None) -> RegistryEntry:
        title = normalize_title(without_mark(chatroom.title)) or normalize_title(post_id) or repr(post_id)
        state = self._state(chatroom, before)
        entry = self._registry.link(
            post_id, chatroom.chatroom_id, title=title, is_private=chatroom.is_private, state=state
        )
        if entry.chatroom_id is None:
            raise troubles.being_made(post_id)
        if entry.chatroom_id != chatroom.chatroom_id:
            raise troubles.has_another(post_id, entry.chatroom_id)
        if (entry.title, entry.is_private, entry.state) == (title, chatroom.is_private, state):
            return entry
        return self._registry.update(post_id, title=title, is_private=chatroom.is_private, state=state, expected=entry)

    def _name(self, entry: RegistryEntry, chatroom: Chatroom) -> None:
        """Let the service know whose the chatroom is now: it answers by this name when a post has none yet.

        Our hub keeps such names; another service does, if it has one for this chatroom.
        """
        if chatroom.external_id == entry.post_id or (self._is_hosted and chatroom.external_id is None):
            return
        try:
            self._api().update_chatroom(chatroom.chatroom_id, external_id=entry.post_id)
        except ApiError as exc:
            raise RoomError(
                f"The post {entry.post_id!r} has the chatroom now, but the service could not be told so: {exc}"
                " Link it once more.",
                post_id=entry.post_id,
            ) from exc

    def unlink(self, post_id: str) -> RoomChange:
        """Forget which chatroom a post has. The chatroom and its comments stay at the service.

        Of a post that was moved, forget that.
        """
        moved = self._registry.get(post_id)
        if moved.moved_to is not None:
            return self._forget_move(moved, moved.moved_to)
        entry, chatroom_id = troubles.room_of(self._registry, post_id)
        note = "Linked again, it is back with its comments. Without that, the post's next reader gets a new chatroom."
        try:
            chatroom = self._at_service(lambda api: api.get_chatroom(chatroom_id), post_id, chatroom_id)
            if chatroom.external_id is not None:
                # Otherwise the service would answer the next reader with this very chatroom.
                self._api().update_chatroom(chatroom_id, external_id="")
        except RoomMissingError:
            note = "The service did not have it any more. The post's next reader gets a new chatroom."
        if not self._registry.unlink(entry):
            raise troubles.changed_meanwhile(post_id)
        return RoomChange(post_id, chatroom_id, entry.title, entry.is_private, None, is_changed=True, note=note)

    def _forget_move(self, entry: RegistryEntry, new_id: str) -> RoomChange:
        """Send nobody to the post's new ID any more who comes under its old one."""
        new_id, there = follow_moves(self._registry.find, new_id)
        chatroom_id = str(there.chatroom_id) if there is not None and there.chatroom_id is not None else "-"
        note = f"It stays that of the post {new_id!r}. The next reader of {entry.post_id!r} gets a new chatroom."
        if not self._registry.forget_move(entry):
            raise troubles.changed_meanwhile(entry.post_id)
        return RoomChange(entry.post_id, chatroom_id, entry.title, entry.is_private, None, is_changed=True, note=note)

    def close(self, post_id: str) -> RoomChange:
        """Make a thread read-only."""
        return self._set_closed(post_id, is_closed=True)

    def reopen(self, post_id: str) -> RoomChange:
        """Let a thread that was closed be written in again."""
        return self._set_closed(post_id, is_closed=False)

    def _set_closed(self, post_id: str, *, is_closed: bool) -> RoomChange:
        before, chatroom_id = troubles.room_of(self._registry, post_id)
        if before.state is RoomState.DELETED:
            raise troubles.deleted(post_id)
        is_held = self._tell_closed(post_id, chatroom_id, is_closed=is_closed)
        state = RoomState.CLOSED if is_closed else RoomState.OPEN
        after = self._registry.update(post_id, state=state, expected=before)
        return _change(after, chatroom_id, before=before, note=None if is_held else _NOT_HELD)

    def _tell_closed(self, post_id: str, chatroom_id: str, *, is_closed: bool) -> bool:
        """Tell the service; return whether it holds to it."""
        try:
            chatroom = self._at_service(
                lambda api: api.update_chatroom(chatroom_id, is_closed=is_closed), post_id, chatroom_id
            )
        except ApiStatusError as exc:
            if not self._is_hosted or exc.status_code not in _UNKNOWN_STATUSES:
                raise
            return not is_closed
        if chatroom.is_deleted:
            raise troubles.deleted(post_id)
        return chatroom.is_closed is is_closed

    def delete(self, post_id: str) -> RoomChange:
        """Take a post's chatroom away from everybody. It can be restored, with all that was in it."""
        before, chatroom_id = troubles.room_of(self._registry, post_id)
        try:
            self._at_service(lambda api: api.delete_chatroom(chatroom_id), post_id, chatroom_id)
        except RoomMissingError:
            # Some services do not show what they have deleted.
            if before.state is not RoomState.DELETED:
                raise
        after = self._registry.update(post_id, state=RoomState.DELETED, expected=before)
        return _change(after, chatroom_id, before=before)

    def restore(self, post_id: str) -> RoomChange:
        """Bring a deleted chatroom back, with all that was in it; leave one that lives as it is."""
        before, chatroom_id = troubles.room_of(self._registry, post_id)
        if before.state is not RoomState.DELETED:
            # Somebody may have deleted it at the service, without us.
            chatroom = self._at_service(lambda api: api.get_chatroom(chatroom_id), post_id, chatroom_id)
            if not chatroom.is_deleted:
                return _change(before, chatroom_id, before=before, note=_LIVES)
        chatroom = self._at_service(lambda api: api.restore_chatroom(chatroom_id), post_id, chatroom_id)
        if chatroom.is_deleted:
            raise ApiPayloadError(
                f"The API did not restore the chatroom of the post {post_id!r}.", operation="restore_chatroom"
            )
        after = self._registry.update(post_id, state=self._state(chatroom, before), expected=before)
        return _change(after, chatroom_id, before=None)

    def _state(self, chatroom: Chatroom, before: RegistryEntry | None) -> RoomState:
        """Return the state of a chatroom; of one at a service that knows nothing of closing, the registry does."""
        state = state_of(chatroom)
        is_closed_here = before is not None and (before.state is RoomState.CLOSED or before.was_closed)
        return RoomState.CLOSED if self._is_hosted and state is RoomState.OPEN and is_closed_here else state

    def _at_service(
        self,
        ask: Callable[[ChatixApi], T],
        post_id: str,
        chatroom_id: str,
        trouble: Callable[..., RoomMissingError] | None = None,
    ) -> T:
        """Return the service's answer; say what is the matter when it does not have the chatroom."""
        api = self._api()
        try:
            return ask(api)
        except ApiStatusError as exc:
            if exc.status_code not in troubles.GONE_STATUSES:
                raise
            trouble = trouble or partial(troubles.missing, is_deleted=self._is_deleted(post_id))
            raise trouble(post_id, chatroom_id, api.base_url, is_hosted=self._is_hosted) from exc

    def _is_deleted(self, post_id: str) -> bool:
        entry = self._registry.find(post_id)
        return entry is not None and entry.state is RoomState.DELETED


def _change(
    entry: RegistryEntry, chatroom_id: str, *, before: RegistryEntry | None, note: str | None = None
) -> RoomChange:
    return RoomChange(
        post_id=entry.post_id,
        chatroom_id=chatroom_id,
        title=entry.title,
        is_private=entry.is_private,
        state=entry.state,
        is_changed=before is None or replace(before, updated_at=entry.updated_at) != entry,
        note=note,
    )


def _note_of_link(entry: RegistryEntry, chatroom: Chatroom) -> str | None:
    if entry.state is RoomState.DELETED:
        return "It is deleted: readers see that until it is restored."
    if chatroom.external_id not in (None, entry.post_id):
        return f"It was that of the post {chatroom.external_id!r}, whose next reader gets a new chatroom."
    return None
