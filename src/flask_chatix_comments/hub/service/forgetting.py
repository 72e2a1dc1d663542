"""What is forgotten: a visitor when somebody asks for it, and what is old by itself, as far as the site wants that.

Nothing here keeps anybody else waiting: it is done in small pieces, one in each turn of the hub's clock.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from ...models import Forgotten, Message, MessageType
from .attendance import Attendance
from .base import Context
from .chatrooms import Chatrooms
from .messages import Messages
from .uploads import Uploads
from .visitors import Visitors

#: So much is done in one piece.
BATCH = 100
_BEGINNING = datetime.fromtimestamp(0, UTC)

logger = logging.getLogger(__name__)


class Forgetting:
    """Forget visitors, and what is old."""

    def __init__(
        self,
        context: Context,
        visitors: Visitors,
        chatrooms: Chatrooms,
        attendance: Attendance,
        uploads: Uploads,
        messages: Messages,
    ) -> None:
        self._context = context
        self._store = context.store
        self._visitors = visitors
        self._chatrooms = chatrooms
        self._attendance = attendance
        self._uploads = uploads
        self._messages = messages
        self._round: AsyncIterator[None] | None = None

    # One visitor

    async def forget_visitor(self, visitor_id: str) -> Forgotten:
        """Delete all that a visitor has written, and all that is known about it; those who are there see it go.

        Whoever is connected stays so, without a name, and in no chatroom.
        """
        # First of all, so that nothing is added meanwhile.
        was_member = await self._attendance.leave_all(visitor_id)
        # And so that what was being added has been.
        await self._store.try_to_write()
        removed: list[Message] = []
        while places := await self._store.messages_of(visitor_id, limit=BATCH):
            removed += await self._messages.remove(places)
        files = sum(message.type is not MessageType.TEXT for message in removed)
        files += await self._store.condemn_uploads_of(visitor_id)
        await self._uploads.remove_condemned()
        was_stored = await self._visitors.forget(visitor_id)
        # If somebody reads just now, it is done at the end of the next round.
        await self._store.scrub()
        return Forgotten(len(removed), files, was_member or was_stored)

    # What is old

    def begin(self) -> None:
        """Begin a round, unless one is under way."""
        if self._round is None:
            self._round = self._go_round()

    async def step(self) -> None:
        """Do a piece of the round that is under way, if there is one."""
        if self._round is None:
            return
        try:
            await anext(self._round)
        except StopAsyncIteration:
            self._round = None
        except Exception:
            # What is left is for the next round.
            self._round = None
            raise

    async def _go_round(self) -> AsyncIterator[None]:
        retention = self._context.config.retention
        for age_s, files_only in ((retention.files_s, True), (retention.messages_s, False)):
            if age_s is not None:
                async for _ in self._remove_messages(self._ago(age_s), files_only=files_only):
                    yield
        if retention.chatrooms_s is not None:
            async for _ in self._delete_chatrooms(self._ago(retention.chatrooms_s)):
                yield
        async for _ in self._forget_absent(retention.visitors_s):
            yield
        await self._store.scrub()

    def _ago(self, age_s: float) -> datetime:
        return self._context.now() - timedelta(seconds=age_s)

    async def _remove_messages(self, before: datetime, *, files_only: bool) -> AsyncIterator[None]:
        after, count = _BEGINNING, 0
        while places := await self._store.messages_before(before, files_only=files_only, after=after, limit=BATCH):
            count += len(await self._messages.remove(places))
            after = places[-1].sent_at
            await self._uploads.remove_condemned()
            yield
        _log(count, "old messages were deleted")

    async def _delete_chatrooms(self, before: datetime) -> AsyncIterator[None]:
        count = 0
        while chatroom_ids := await self._store.quiet_chatrooms(before=before, limit=BATCH):
            for chatroom_id in chatroom_ids:
                await self._chatrooms.delete(chatroom_id)
            count += len(chatroom_ids)
            yield
        _log(count, "chatrooms without news were deleted")

    async def _forget_absent(self, age_s: float | None) -> AsyncIterator[None]:
        """End the memberships of those whose ticket is no good any more, then forget those of whom nothing is left."""
        ticket_s = self._context.config.ticket_lifetime_s
        before = self._ago(ticket_s)
        while memberships := await self._store.stale_memberships(before=before, limit=BATCH):
            for visitor_id, chatroom_id in memberships:
                await self._attendance.end_stale(visitor_id, chatroom_id)
            yield
        for named, idle_s in ((False, ticket_s), (True, age_s)):
            if idle_s is None:
                continue
            before, count = self._ago(idle_s), 0
            while done := await self._store.forget_visitors(before=before, with_names=named, limit=BATCH):
                count += done
                yield
            _log(count, "visitors who do not come any more were forgotten")


def _log(count: int, what: str) -> None:
    if count:
        logger.info("%d %s.", count, what)
