"""Notice what has happened to a chatroom at the service without us: somebody has deleted or restored it there.

Readers find it out: those who come to a chatroom that the registry calls deleted or private, and those whom the
service has not let into another. The service is asked for each chatroom now and then, however many come.

Deleted is what the service calls so. Private is what the registry calls so, and the service is told again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from . import room_troubles as troubles
from .errors import ApiError, ApiStatusError, RegistryError
from .registry import RegistryEntry, RoomRegistry, RoomState
from .rooms import state_of
from .shell_words import quoted

if TYPE_CHECKING:
    from .api import ChatixApi

#: About as often as a page asks whether its chatroom is back.
LOOK_EVERY_S = 50.0
LOOK_TIMEOUT_S = 2.0
MAX_REMEMBERED = 10_000

logger = logging.getLogger(__name__)


class RoomWatch:
    """Brings the registry up to date with the service. Safe for threads.

    Args:
        api: Returns the client.
        is_hosted: Whether the service is another than our hub.
        clock: Seconds that never go back.
    """

    def __init__(
        self, registry: RoomRegistry, api: Callable[[], ChatixApi], *, is_hosted: bool, clock: Callable[[], float]
    ) -> None:
        self._registry = registry
        self._api = api
        self._is_hosted = is_hosted
        self._clock = clock
        self._next_look: dict[str, float] = {}

    def look(self, entry: RegistryEntry) -> RegistryEntry:
        """Return the entry as the service knows its chatroom, if it is time to ask; whatever fails, as it was."""
        if entry.chatroom_id is None or not self._is_due(entry.chatroom_id):
            return entry
        try:
            return self._compare(entry, entry.chatroom_id)
        except (ApiError, RegistryError) as exc:
            logger.info("Whether the chatroom of the post %r is deleted could not be found out: %s", entry.post_id, exc)
            return entry

    def _is_due(self, chatroom_id: str) -> bool:
        now = self._clock()
        if now < self._next_look.get(chatroom_id, now):
            return False
        if len(self._next_look) >= MAX_REMEMBERED:
            self._next_look.clear()
        self._next_look[chatroom_id] = now + LOOK_EVERY_S
        return True

    def _compare(self, entry: RegistryEntry, chatroom_id: str) -> RegistryEntry:
        api, is_deleted = self._api().within(LOOK_TIMEOUT_S), entry.state is RoomState.DELETED
        try:
            chatroom = api.get_chatroom(chatroom_id)
        except ApiStatusError as exc:
            if exc.status_code not in troubles.GONE_STATUSES:
                raise
            # Some services do not show what they have deleted.
            if not is_deleted:
                logger.warning(
                    "%s", troubles.missing(entry.post_id, chatroom_id, api.base_url, is_hosted=self._is_hosted)
                )
            return entry
        if chatroom.is_private is not entry.is_private:
            # As it is now: somebody may be about to make it public.
            _mend_privacy(api, self._registry.get(entry.post_id), chatroom_id, is_private=chatroom.is_private)
        if chatroom.is_deleted is is_deleted:
            return entry
        logger.info("The chatroom of the post %r was deleted or restored at the service.", entry.post_id)
        return self._registry.update(entry.post_id, state=state_of(chatroom), expected=entry)


def _mend_privacy(api: ChatixApi, entry: RegistryEntry, chatroom_id: str, *, is_private: bool) -> None:
    """Close what ought to be private; to open something is nobody's but a person's to do."""
    if entry.is_private is is_private or entry.chatroom_id != chatroom_id:
        return
    if not entry.is_private:
        logger.warning(
            "The chatroom of the post %r is private at the service and public in the registry, so that nobody gets in."
            " Run flask chatix make-public %s, or make-private.",
            entry.post_id,
            quoted(entry.post_id),
        )
        return
    logger.warning(
        "The chatroom of the post %r was public at the service, though the registry says that it is private: it is"
        " made private there again. To open it: flask chatix make-public %s",
        entry.post_id,
        quoted(entry.post_id),
    )
    api.update_chatroom(chatroom_id, is_private=True)
