"""What chatrooms there are, and who may know of them.

Unknown, deleted, and private ones of which one is no member, read the same to a visitor: not found.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from ...errors import ChatroomNotFoundError, InvalidArgumentError
from ...models import Chatroom, is_text, normalize_title
from ..backplane.base import ChatroomChanged, ChatroomStep
from .base import Caller, Context
from .visitors import Visitors

IS_CLOSED = "This chatroom is closed: it can be read, but not written."
MAX_EXTERNAL_ID_CHARS = 255
MAX_COUNTED = 500


class Chatrooms:
    """Find, list and change chatrooms.

    Args:
        expel_strangers: Ends the memberships that a chatroom, which has become private, has no place for.
    """

    def __init__(
        self, context: Context, visitors: Visitors, *, expel_strangers: Callable[[str], Awaitable[None]]
    ) -> None:
        self._context = context
        self._store = context.store
        self._visitors = visitors
        self._expel_strangers = expel_strangers

    # For visitors

    async def get_visible(self, caller: Caller, chatroom_id: str) -> Chatroom:
        """Return a chatroom that this visitor may know of, without the numbers of ``describe``."""
        room = await self._store.find_chatroom(chatroom_id)
        if room is None or room.is_deleted:
            raise ChatroomNotFoundError("There is no such chatroom.")
        is_member = self._context.membership.is_member(caller.visitor_id, chatroom_id)
        if room.is_private and not is_member and not self._visitors.is_manager(caller.visitor_id):
            raise ChatroomNotFoundError("There is no such chatroom.")
        return room

    async def list_visible(
        self, caller: Caller, *, page: int, items_per_page: int, mine_only: bool = False
    ) -> list[Chatroom]:
        """Return a page of the chatrooms that this visitor may know of, or is in, by title."""
        rooms = await self._store.list_chatrooms_for(
            caller.visitor_id,
            page=page,
            items_per_page=items_per_page,
            mine_only=mine_only,
            with_private=self._visitors.is_manager(caller.visitor_id),
        )
        return await self.describe(rooms)

    async def describe(self, rooms: Sequence[Chatroom], *, for_api: bool = False) -> list[Chatroom]:
        """Add who is in the chatrooms, as far as the asker may know."""
        if self._context.config.presence == "off" and not for_api:
            return list(rooms)
        ids = [room.chatroom_id for room in rooms]
        counts = await self._store.count_members(ids)
        posted_only = self._context.config.presence == "count" and not for_api
        managers = await self._store.managers_in(ids, posted_only=posted_only)
        return [
            replace(
                room,
                number_of_visitors=counts.get(room.chatroom_id, 0),
                managers=tuple(self._visitors.as_manager(profile) for profile in managers.get(room.chatroom_id, ())),
            )
            for room in rooms
        ]

    # For the API

    async def create(self, title: object, *, is_private: object, external_id: object) -> Chatroom:
        """Make a chatroom; the same external id again gives the chatroom that has it."""
        if not isinstance(title, str):
            raise InvalidArgumentError("title is missing.")
        wanted = Chatroom(
            chatroom_id=self._context.new_id(),
            title=normalize_title(title),
            is_private=False if is_private is None else _flag(is_private, name="is_private"),
            external_id=_external_id(external_id),
        )
        room = await self._store.create_chatroom(wanted, now=self._context.now())
        if room.chatroom_id != wanted.chatroom_id:
            return await self._described_for_api(room)
        # Nobody can be in it yet.
        await self._context.backplane.publish(ChatroomChanged(ChatroomStep.CREATED, room))
        return room

    async def get(self, chatroom_id: str) -> Chatroom:
        """Return a chatroom, deleted or not."""
        return await self._described_for_api(await self.get_stored(chatroom_id))

    async def get_stored(self, chatroom_id: str) -> Chatroom:
        """Return a chatroom, deleted or not, without the numbers of ``describe``."""
        room = await self._store.find_chatroom(chatroom_id)
        if room is None:
            raise ChatroomNotFoundError("There is no such chatroom.")
        return room

    async def list_all(self, *, page: int, items_per_page: int, include_deleted: bool) -> tuple[list[Chatroom], int]:
        """Return a page of all chatrooms, oldest first, and how many there are."""
        rooms, total = await self._store.list_chatrooms(
            page=page, items_per_page=items_per_page, include_deleted=include_deleted
        )
        return await self.describe(rooms, for_api=True), total

    async def list_by_external_id(self, external_id: str, *, include_deleted: bool) -> list[Chatroom]:
        """Return the chatroom that has the external id, or nothing."""
        _external_id(external_id)
        room = await self._store.find_chatroom_by_external_id(external_id)
        if room is None or (room.is_deleted and not include_deleted):
            return []
        return await self.describe([room], for_api=True)

    async def update(self, chatroom_id: str, changes: Mapping[str, Any]) -> Chatroom:
        """Change title, privacy, external id or whether the thread is read-only; what is not named stays.

        An external id that another chatroom has is taken from that one; an empty one is none. Of a chatroom that
        becomes private only managers stay members, and those whom the API has let in.
        """
        return await self._change(chatroom_id, ChatroomStep.UPDATED, _checked_changes(changes))

    async def delete(self, chatroom_id: str) -> None:
        """Take a chatroom away from everybody; it can be restored for a while, see ``HubConfig.restore_s``."""
        await self._change(chatroom_id, ChatroomStep.DELETED, {"is_deleted": True})

    async def restore(self, chatroom_id: str) -> Chatroom:
        """Bring a deleted chatroom back, with all that was in it."""
        return await self._change(chatroom_id, ChatroomStep.RESTORED, {"is_deleted": False})

    async def _change(self, chatroom_id: str, step: ChatroomStep, changes: dict[str, Any]) -> Chatroom:
        async with self._context.chatroom_turns.of(chatroom_id):
            before = await self.get_stored(chatroom_id)
            after = replace(before, **changes)
            if after.external_id != before.external_id:
                await self._store.name_chatroom(chatroom_id, after.external_id)
            # The external id is the site's own: no visitor hears of it.
            if after != replace(before, external_id=after.external_id):
                if await self._store.update_chatroom(after, now=self._context.now()) is None:
                    # It was deleted for good meanwhile.
                    raise ChatroomNotFoundError("There is no such chatroom.")
                if after.is_private and not before.is_private:
                    await self._expel_strangers(chatroom_id)
                # Nobody knows of a deleted chatroom, so nobody hears that its title has changed.
                if not (before.is_deleted and after.is_deleted):
                    await self._tell(step, after)
        return await self._described_for_api(after)

    async def purge(self) -> None:
        """Delete for good what was deleted so long ago that it cannot be restored any more."""
        restore_s = self._context.config.restore_s
        if restore_s is not None:
            now = self._context.now()
            await self._store.purge_chatrooms(deleted_before=now - timedelta(seconds=restore_s), now=now)

    async def count_messages(self, chatroom_ids: object) -> dict[str, int]:
        """Return how many messages each of the living chatrooms has; others are left out."""
        if not isinstance(chatroom_ids, list) or not all(isinstance(one, str) for one in chatroom_ids):
            raise InvalidArgumentError("chatroom_ids is a list of ids.")
        if len(chatroom_ids) > MAX_COUNTED:
            raise InvalidArgumentError(f"Ask for at most {MAX_COUNTED} chatrooms at once.")
        return await self._store.count_messages(chatroom_ids)

    async def _described_for_api(self, room: Chatroom) -> Chatroom:
        return (await self.describe([room], for_api=True))[0]

    async def _tell(self, step: ChatroomStep, room: Chatroom) -> None:
        (described,) = await self.describe([room])
        await self._context.backplane.publish(ChatroomChanged(step, described))


def _checked_changes(changes: Mapping[str, Any]) -> dict[str, Any]:
    checked: dict[str, Any] = {}
    if changes.get("title") is not None:
        if not isinstance(changes["title"], str):
            raise InvalidArgumentError("title is text.")
        checked["title"] = normalize_title(changes["title"])
    for name in ("is_private", "is_closed"):
        if changes.get(name) is not None:
            checked[name] = _flag(changes[name], name=name)
    if changes.get("external_id") is not None:
        checked["external_id"] = _external_id(changes["external_id"] or None)
    return checked


def _flag(value: object, *, name: str) -> bool:
    if not isinstance(value, bool):
        raise InvalidArgumentError(f"{name} is true or false.")
    return value


def _external_id(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_EXTERNAL_ID_CHARS or not is_text(value):
        raise InvalidArgumentError(f"external_id is text of 1 to {MAX_EXTERNAL_ID_CHARS} characters.")
    return value
