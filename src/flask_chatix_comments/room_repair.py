"""Mend what ``check`` has found, as far as nothing can be lost by it.

What somebody has written in is never deleted and never put out of sight: that is left to people, and the trouble says
what they can do.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .errors import ApiPayloadError, ChatixCommentsError
from .models import Post
from .registry import RegistryEntry, RoomRegistry
from .room_contents import delete_if_empty
from .room_findings import DUPLICATE_BY_HAND, Trouble, TroubleKind
from .room_keeper import RoomKeeper
from .room_sync import align, find_chatroom
from .rooms import RoomService

if TYPE_CHECKING:
    from .api import ChatixApi

logger = logging.getLogger(__name__)

_MOST_ARE_MISSING = (
    "No new one is made, because more than half of all chatrooms are missing: is this the right service and, for our"
    " hub, its right database? If they are gone for good, say --replace-all."
)
# To be looked at again is all that is left to do.
_CHANGED = "It was changed meanwhile. Check again."


class Repairer:
    """Repairs one trouble after the other. Safe for threads.

    Args:
        title_of: Returns what the site calls a post, if it has said so.
        may_replace: Whether a new chatroom may be made where one has vanished.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        api: ChatixApi,
        rooms: RoomService,
        keeper: RoomKeeper,
        *,
        is_hosted: bool,
        title_of: Callable[[str], str | None],
        may_replace: Callable[[], bool],
    ) -> None:
        self._registry = registry
        self._api = api
        self._rooms = rooms
        self._keeper = keeper
        self._is_hosted = is_hosted
        self._title_of = title_of
        self._may_replace = may_replace

    def repair(self, trouble: Trouble) -> Trouble:
        """Repair *trouble* if that is safe; return what has become of it."""
        mend = _REPAIRS.get(trouble.kind)
        if mend is None or trouble.post_id is None:
            return trouble
        try:
            is_repaired, said = mend(self, trouble.post_id, trouble.chatroom_id)
        except ChatixCommentsError as exc:
            return replace(trouble, error=f"It could not be repaired: {exc}")
        except Exception as exc:
            logger.exception("A chatroom could not be repaired: %r", trouble)
            return replace(trouble, error=f"Unexpected {type(exc).__name__}; the log has more.")
        return replace(trouble, is_repaired=is_repaired, remedy=said)

    def _entry(self, post_id: str, chatroom_id: str | None) -> RegistryEntry | None:
        """Return the post's entry if it still has this chatroom."""
        entry = self._registry.find(post_id)
        return entry if entry is not None and entry.chatroom_id == chatroom_id else None

    def _replace(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        if not self._may_replace():
            return False, _MOST_ARE_MISSING
        entry = self._entry(post_id, chatroom_id)
        if entry is None or not self._registry.vacate(entry):
            return False, _CHANGED
        return self._finish(post_id, chatroom_id)

    def _finish(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        """Make what was begun, or take up what was left; it stays private if it was to be."""
        known = self._registry.get(post_id)
        entry, _ = self._rooms.obtain(Post(post_id, known.title, known.is_private), wait_s=0)
        if entry.chatroom_id is None:
            return False, "Somebody makes it at this moment."
        return True, f"Its chatroom is {entry.chatroom_id} now."

    def _align(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        entry = self._entry(post_id, chatroom_id)
        chatroom = None if chatroom_id is None else find_chatroom(self._api, chatroom_id)
        if entry is None or chatroom is None:
            return False, _CHANGED
        title = self._title_of(post_id) or entry.title
        align(self._registry, self._api, entry, chatroom, title, is_hosted=self._is_hosted)
        return True, "Registry and service agree now."

    def _conceal(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        entry = self._entry(post_id, chatroom_id)
        if entry is None or chatroom_id is None or not entry.is_private:
            return False, _CHANGED
        if not self._api.update_chatroom(chatroom_id, is_private=True).is_private:
            raise ApiPayloadError("The API did not make the chatroom private.", operation="update_chatroom")
        return True, "It is private now."

    def _name(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        if chatroom_id is None or self._entry(post_id, chatroom_id) is None:
            return False, _CHANGED
        holder = self._api.find_chatroom_by_external_id(post_id)
        if holder is not None and not holder.is_deleted and holder.chatroom_id != chatroom_id:
            # Another post's keeps its comments and gets its own name; one of nobody must not become nameless.
            is_of_a_post = self._registry.find_chatroom(holder.chatroom_id) is not None
            if not is_of_a_post and not delete_if_empty(self._api, holder.chatroom_id):
                return False, f"The chatroom {holder.chatroom_id} has this name, and comments. {DUPLICATE_BY_HAND}"
        self._api.update_chatroom(chatroom_id, external_id=post_id)
        return True, "The service knows it by the post's ID now."

    def _adopt(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        entry = self._registry.find(post_id)
        if entry is not None and entry.chatroom_id is None:
            _, said = self._finish(post_id, chatroom_id)
            return self._entry(post_id, chatroom_id) is not None, said
        if entry is not None or chatroom_id is None:
            return False, _CHANGED
        self._keeper.link(post_id, chatroom_id)
        return True, "It is the post's now."

    def _drop(self, post_id: str, chatroom_id: str | None) -> tuple[bool, str]:
        entry = self._registry.find(post_id)
        if entry is None or entry.chatroom_id is None or chatroom_id is None:
            return False, _CHANGED
        if self._registry.find_chatroom(chatroom_id) is not None:
            return False, _CHANGED
        owned = find_chatroom(self._api, entry.chatroom_id)
        if owned is None or owned.is_deleted:
            return False, f"The post's other one is not there any more, so this one is kept. {DUPLICATE_BY_HAND}"
        if not delete_if_empty(self._api, chatroom_id):
            return False, DUPLICATE_BY_HAND
        return True, "It is deleted. It can be restored at the service for a while."


_REPAIRS: dict[TroubleKind, Callable[[Repairer, str, str | None], tuple[bool, str]]] = {
    TroubleKind.VANISHED: Repairer._replace,
    TroubleKind.DUPLICATE: Repairer._drop,
    TroubleKind.ORPHAN: Repairer._adopt,
    TroubleKind.STUCK: Repairer._finish,
    TroubleKind.DELETED: Repairer._align,
    TroubleKind.RESTORED: Repairer._align,
    TroubleKind.CLOSED: Repairer._align,
    TroubleKind.REOPENED: Repairer._align,
    TroubleKind.RETITLED: Repairer._align,
    TroubleKind.EXPOSED: Repairer._conceal,
    TroubleKind.MISNAMED: Repairer._name,
}
