"""Chatrooms that are not for everybody: who is let in, who is taken out, and how a post's becomes one.

Whether a chatroom is private is what the registry says: set when the chatroom is made, and changed by the two
methods here, never by a page. It is told first that a chatroom is private and last that it is public, so that
whatever fails in between, the pages keep people out rather than in.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from . import room_troubles as troubles
from .access import AccessGate
from .errors import ApiError, ApiPayloadError, ApiStatusError, RoomError
from .models import Post, Profile, Visitor
from .registry import RegistryEntry, RoomRegistry
from .room_keeper import RoomChange
from .rooms import RoomService

if TYPE_CHECKING:
    from .api import ChatixApi

VISITORS_PER_CALL = 100
#: To take out who may not read needs the API, and who asks is told the same whether it works or not.
TAKE_OUT_TIMEOUT_S = 2.0
_NO_LOADER = (
    "There is no access_loader: nobody but managers can read it until there is one."
    " Decorate a function of visitor and post ID with @comments.access_loader."
)

logger = logging.getLogger(__name__)


class PrivateRooms:
    """Makes chatrooms private and public, and sees to it that who is in a private one may be there.

    Post IDs are normalised.

    Args:
        api: Returns the client.
        reader_api: Returns it for calls that a reader's request waits for.
        is_hosted: Whether the service is another than our hub.
    """

    def __init__(
        self,
        registry: RoomRegistry,
        rooms: RoomService,
        api: Callable[[], ChatixApi],
        access: AccessGate,
        *,
        reader_api: Callable[[], ChatixApi],
        is_hosted: bool,
    ) -> None:
        self._registry = registry
        self._rooms = rooms
        self._api = api
        self._access = access
        self._reader_api = reader_api
        self._is_hosted = is_hosted

    def make_private(self, post_id: str, *, title: str | None = None) -> RoomChange:
        """Make a post's chatroom private, with all that is in it, and take out who may not read it.

        A post without one gets a private one, so that no page can make a public one before.

        Raises:
            RoomError: It could not be finished; the pages keep people out already. Or the post has another ID.
            RoomMissingError: The service does not have the chatroom.
        """
        note = None if self._access.is_open_to_some else _NO_LOADER
        before = self._registry.find(post_id)
        if before is not None and before.moved_to is not None:
            raise troubles.moved(before)
        if before is None or before.chatroom_id is None:
            entry, is_new = self._rooms.obtain(Post(post_id, title, is_private=True))
            if entry.chatroom_id is None:
                raise troubles.being_made(post_id)
            if is_new and entry.is_private:
                return _change(entry, entry.chatroom_id, is_changed=True, note=note)
            before = entry
        chatroom_id = str(before.chatroom_id)
        after = self._registry.update(post_id, is_private=True, expected=before)
        try:
            self._tell(post_id, chatroom_id, is_private=True)
            self._take_out(chatroom_id, self.strangers_in(post_id, chatroom_id))
        except ApiError as exc:
            raise RoomError(
                f"The post {post_id!r} is private from now on, and its pages let nobody in who may not read it. But"
                f" the service could not be told, or who is in the chatroom not be taken out: {exc} Do it once more.",
                post_id=post_id,
            ) from exc
        return _change(after, chatroom_id, is_changed=not before.is_private, note=note)

    def make_public(self, post_id: str) -> RoomChange:
        """Open a post's chatroom to everybody, with all that is in it."""
        before, chatroom_id = troubles.room_of(self._registry, post_id)
        self._tell(post_id, chatroom_id, is_private=False)
        after = self._registry.update(post_id, is_private=False, expected=before)
        if self._api().get_chatroom(chatroom_id).is_private:
            # A reader came between the two, and had closed what the registry still called private.
            self._tell(post_id, chatroom_id, is_private=False)
        return _change(after, chatroom_id, is_changed=before.is_private)

    def _tell(self, post_id: str, chatroom_id: str, *, is_private: bool) -> None:
        api = self._api()
        try:
            chatroom = api.update_chatroom(chatroom_id, is_private=is_private)
        except ApiStatusError as exc:
            if exc.status_code not in troubles.GONE_STATUSES:
                raise
            raise troubles.missing(post_id, chatroom_id, api.base_url, is_hosted=self._is_hosted) from exc
        if chatroom.is_private is not is_private:
            wanted = "private" if is_private else "public"
            raise ApiPayloadError(
                f"The API did not make the chatroom of the post {post_id!r} {wanted}.", operation="update_chatroom"
            )

    def admit(self, chatroom_id: str, visitor_id: str) -> None:
        """Let a visitor into a private chatroom, after the site has said yes.

        Raises:
            ApiError: The service fails: then nobody is in.
        """
        self._reader_api().connect_visitor(chatroom_id, visitor_id)

    def turn_away(self, chatroom_id: str, visitor_ids: Iterable[str]) -> None:
        """Take out who may have been let in before, on pages that are open still; a failure is logged only."""
        try:
            self._take_out(chatroom_id, visitor_ids, timeout_s=TAKE_OUT_TIMEOUT_S)
        except ApiError as exc:
            logger.warning("Who may not read a private chatroom any more could not be taken out: %s", exc)

    def _take_out(self, chatroom_id: str, visitor_ids: Iterable[str], *, timeout_s: float | None = None) -> None:
        api = self._api() if timeout_s is None else self._api().within(timeout_s)
        for visitor_id in visitor_ids:
            try:
                api.disconnect_visitor(chatroom_id, visitor_id)
            except ApiStatusError as exc:
                # A visitor whom the service has forgotten is in no chatroom.
                if exc.status_code not in troubles.GONE_STATUSES:
                    raise

    @property
    def find_strangers(self) -> Callable[[str, str], list[str]] | None:
        """What tells who is in a private chatroom and may not read it; ``None`` while the site has nobody to ask."""
        return self.strangers_in if self._access.is_open_to_some else None

    def strangers_in(self, post_id: str, chatroom_id: str) -> list[str]:
        """Return who is in a private chatroom and may not read it.

        All members are listed before anybody goes, since that would shift the pages. Who is no user of the site is
        a guest.

        Raises:
            ApiError: The service does not say who is in it.
        """
        strangers: list[str] = []
        for page in self._members(chatroom_id):
            keys = self._registry.visitor_keys([profile.visitor_id for profile in page], is_hosted=self._is_hosted)
            strangers += [
                profile.visitor_id
                for profile in page
                # Their rights are the service's to know, whatever they are to the site.
                if not profile.is_manager
                and not self._access.may_read(_user(profile, keys.get(profile.visitor_id)), post_id)
            ]
        return strangers

    def _members(self, chatroom_id: str) -> Iterator[list[Profile]]:
        seen: set[str] = set()
        number = 1
        while True:
            page = self._api().list_visitors(chatroom_id, page=number, items_per_page=VISITORS_PER_CALL)
            fresh = [profile for profile in page if profile.visitor_id not in seen]
            seen.update(profile.visitor_id for profile in fresh)
            yield fresh
            # A service that ignores the page number would list the same visitors for ever.
            if len(page) < VISITORS_PER_CALL or not fresh:
                return
            number += 1


def _user(profile: Profile, key: str | None) -> Visitor | None:
    """Return the user of the site whom the service knows as *profile*."""
    if key is None:
        return None
    return Visitor(key, profile.name or "", email=profile.email, fields=profile.fields)


def _change(entry: RegistryEntry, chatroom_id: str, *, is_changed: bool, note: str | None = None) -> RoomChange:
    return RoomChange(
        post_id=entry.post_id,
        chatroom_id=chatroom_id,
        title=entry.title,
        is_private=entry.is_private,
        state=entry.state,
        is_changed=is_changed,
        note=note,
    )
