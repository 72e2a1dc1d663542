"""The store in an SQL database: each method is a statement of another module, in a transaction of its own."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection
from datetime import UTC, datetime

from ...models import Chatroom, Message, Profile
from . import chatrooms, forgetting, messages, people, uploads
from .base import Appended, Changes, Cursor, History, Hold, Place, Upload, UploadTotals
from .database import SqlDatabase

CACHED_CHATROOMS = 10_000
#: So many client keys are forgotten in one transaction: posts wait for no more.
KEYS_AT_ONCE = 500


class SqlStore(SqlDatabase):
    """A ``MessageStore``. One process has one: it keeps chatrooms in memory.

    Args:
        database_url: An SQLAlchemy URL.

    Raises:
        ConfigError: It is no such URL, or names a database in memory, which no second connection sees.
    """

    def __init__(self, database_url: str) -> None:
        super().__init__(database_url)
        self._cache: OrderedDict[str, Chatroom] = OrderedDict()
        self._cache_age = 0

    # Chatrooms

    async def create_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom:
        """See ``MessageStore``."""
        return await self._write(chatrooms.create, chatroom, now)

    async def find_chatroom(self, chatroom_id: str) -> Chatroom | None:
        """See ``MessageStore``. Asked at every call of a hub method, so it is answered from memory if it can be.

        It never is for one that is not open to all: who is told that there is none could tell it by the time.
        """
        cached = self._cache.get(chatroom_id)
        if cached is not None:
            self._cache.move_to_end(chatroom_id)
            return cached
        age = self._cache_age
        found = await self._read(chatrooms.find, chatroom_id)
        is_open = found is not None and not found.is_private and not found.is_deleted
        if found is not None and is_open and age == self._cache_age:
            self._cache[chatroom_id] = found
            if len(self._cache) > CACHED_CHATROOMS:
                self._cache.popitem(last=False)
        return found

    async def find_chatroom_by_external_id(self, external_id: str) -> Chatroom | None:
        """See ``MessageStore``."""
        return await self._read(chatrooms.find_by_external_id, external_id)

    async def update_chatroom(self, chatroom: Chatroom, *, now: datetime) -> Chatroom | None:
        """See ``MessageStore``."""
        try:
            return await self._write(chatrooms.update, chatroom, now)
        finally:
            self._drop_cached(chatroom.chatroom_id)

    async def purge_chatrooms(self, *, deleted_before: datetime, now: datetime) -> list[str]:
        """See ``MessageStore``."""
        purged = await self._write(chatrooms.purge, deleted_before, now)
        self._drop_cached(*purged)
        return purged

    def _drop_cached(self, *chatroom_ids: str) -> None:
        # A reader that is under way may have seen the old row: it must not put that back.
        self._cache_age += 1
        for chatroom_id in chatroom_ids:
            self._cache.pop(chatroom_id, None)

    async def name_chatroom(self, chatroom_id: str, external_id: str | None) -> None:
        """See ``MessageStore``."""
        try:
            await self._write(chatrooms.name, chatroom_id, external_id)
        finally:
            # Who has lost the name is not known here; this is done by hand, and rarely.
            self._cache_age += 1
            self._cache.clear()

    async def list_chatrooms(
        self, *, page: int, items_per_page: int, include_deleted: bool
    ) -> tuple[list[Chatroom], int]:
        """See ``MessageStore``."""
        return await self._read(chatrooms.list_all, page, items_per_page, include_deleted)

    async def list_chatrooms_for(
        self, visitor_id: str, *, page: int, items_per_page: int, mine_only: bool, with_private: bool
    ) -> list[Chatroom]:
        """See ``MessageStore``."""
        return await self._read(chatrooms.list_for, visitor_id, page, items_per_page, mine_only, with_private)

    # Messages

    async def append_message(self, draft: Message, *, now: datetime, upload_id: str | None = None) -> Appended | None:
        """See ``MessageStore``."""
        return await self._write(messages.append, draft, now, upload_id)

    async def find_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._read(messages.find, chatroom_id, message_id)

    async def find_message_anywhere(self, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._read(messages.find_anywhere, message_id)

    async def edit_message(self, chatroom_id: str, message_id: str, content: str, *, now: datetime) -> Message | None:
        """See ``MessageStore``."""
        return await self._write(messages.edit, chatroom_id, message_id, content, now)

    async def delete_message(self, chatroom_id: str, message_id: str) -> Message | None:
        """See ``MessageStore``."""
        return await self._write(messages.delete, chatroom_id, message_id)

    async def page_before(
        self, chatroom_id: str, before: Message | None, *, limit: int, with_whispers: bool
    ) -> History:
        """See ``MessageStore``."""
        return await self._read(messages.page_before, chatroom_id, before, limit, with_whispers)

    async def changes_since(self, chatroom_id: str, cursor: Cursor, *, limit: int, with_whispers: bool) -> Changes:
        """See ``MessageStore``."""
        return await self._read(messages.changes_since, chatroom_id, cursor, limit, with_whispers)

    async def count_messages(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """See ``MessageStore``."""
        return await self._read(messages.count, chatroom_ids)

    async def forget_client_keys(self, *, before: datetime) -> int:
        """See ``MessageStore``."""
        after, count = datetime.fromtimestamp(0, UTC), 0
        # They are looked for beside the writer, since that takes the longer the more messages there are.
        while places := await self._read(forgetting.old_client_keys, before, after, KEYS_AT_ONCE):
            count += await self._write(forgetting.forget_client_keys, [place.message_id for place in places])
            after = places[-1].sent_at
        return count

    # Uploads

    async def add_upload(self, upload: Upload) -> None:
        """See ``MessageStore``."""
        await self._write(uploads.add, upload)

    async def find_upload(self, upload_id: str) -> Upload | None:
        """See ``MessageStore``."""
        return await self._read(uploads.find, upload_id)

    async def upload_totals(self, visitor_id: str, *, since: datetime) -> UploadTotals:
        """See ``MessageStore``."""
        return await self._read(uploads.totals, visitor_id, since)

    async def condemn_uploads(self, *, unposted_before: datetime) -> int:
        """See ``MessageStore``."""
        return await self._write(uploads.condemn_unposted, unposted_before)

    async def condemned_uploads(self) -> list[str]:
        """See ``MessageStore``."""
        return await self._read(uploads.condemned)

    async def uploads_removed(self, upload_ids: Collection[str]) -> None:
        """See ``MessageStore``."""
        await self._write(uploads.removed, upload_ids)

    async def forget_uploads(self, *, before: datetime) -> int:
        """See ``MessageStore``."""
        return await self._write(uploads.forget, before)

    # Members

    async def put_member(
        self, chatroom_id: str, visitor_id: str, hold: Hold, *, is_manager: bool, now: datetime | None = None
    ) -> None:
        """See ``MessageStore``."""
        await self._write(people.put_member, chatroom_id, visitor_id, hold, is_manager, now or datetime.now(UTC))

    async def remove_member(self, chatroom_id: str, visitor_id: str) -> bool:
        """See ``MessageStore``."""
        return await self._write(people.remove_member, chatroom_id, visitor_id)

    async def memberships(self, visitor_id: str) -> dict[str, Hold]:
        """See ``MessageStore``."""
        return await self._read(people.memberships, visitor_id)

    async def members_on_grace(self) -> list[tuple[str, str]]:
        """See ``MessageStore``."""
        return await self._read(people.members_on_grace)

    async def count_members(self, chatroom_ids: Collection[str]) -> dict[str, int]:
        """See ``MessageStore``."""
        return await self._read(people.count_members, chatroom_ids)

    async def list_members(
        self, chatroom_id: str, *, page: int, items_per_page: int, posted_only: bool
    ) -> list[Profile]:
        """See ``MessageStore``."""
        return await self._read(people.list_members, chatroom_id, page, items_per_page, posted_only)

    async def managers_in(self, chatroom_ids: Collection[str], *, posted_only: bool) -> dict[str, list[Profile]]:
        """See ``MessageStore``."""
        return await self._read(people.managers_in, chatroom_ids, posted_only)

    async def chatrooms_posted_in(self, visitor_id: str, chatroom_ids: Collection[str]) -> set[str]:
        """See ``MessageStore``."""
        return await self._read(people.chatrooms_posted_in, visitor_id, chatroom_ids)

    # Visitors

    async def find_visitor(self, visitor_id: str) -> tuple[Profile, datetime] | None:
        """See ``MessageStore``."""
        return await self._read(people.find, visitor_id)

    async def save_visitor(
        self,
        profile: Profile,
        *,
        said_at: datetime | None,
        protect: Collection[str] | None = None,
        now: datetime | None = None,
    ) -> None:
        """See ``MessageStore``."""
        await self._write(people.save, profile, said_at, protect, now or datetime.now(UTC))

    async def bearers_of(self, name_keys: Collection[str]) -> set[str]:
        """See ``MessageStore``."""
        return await self._read(people.bearers_of, name_keys)

    async def list_managers(self) -> list[Profile]:
        """See ``MessageStore``."""
        return await self._read(people.list_managers)

    async def note_visit(self, visitor_id: str, *, now: datetime) -> None:
        """See ``MessageStore``."""
        await self._write(forgetting.note_visit, visitor_id, now)

    # Forgetting

    async def messages_of(self, visitor_id: str, *, limit: int) -> list[Place]:
        """See ``MessageStore``."""
        return await self._read(forgetting.messages_of, visitor_id, limit)

    async def messages_before(self, moment: datetime, *, files_only: bool, after: datetime, limit: int) -> list[Place]:
        """See ``MessageStore``."""
        return await self._read(forgetting.messages_before, moment, files_only, after, limit)

    async def quiet_chatrooms(self, *, before: datetime, limit: int) -> list[str]:
        """See ``MessageStore``."""
        return await self._read(forgetting.quiet_chatrooms, before, limit)

    async def stale_memberships(self, *, before: datetime, limit: int) -> list[tuple[str, str]]:
        """See ``MessageStore``."""
        return await self._read(forgetting.stale_memberships, before, limit)

    async def condemn_uploads_of(self, visitor_id: str) -> int:
        """See ``MessageStore``."""
        return await self._write(forgetting.condemn_uploads_of, visitor_id)

    async def forget_visitor(self, visitor_id: str) -> bool:
        """See ``MessageStore``."""
        return await self._write(forgetting.forget_visitor, visitor_id)

    async def forget_visitors(self, *, before: datetime, with_names: bool, limit: int) -> int:
        """See ``MessageStore``."""
        return await self._write(forgetting.forget_visitors, before, with_names, limit)
