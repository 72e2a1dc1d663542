"""The service as one thing: what the doors of the hub are given."""

from __future__ import annotations

from datetime import datetime, timedelta

from ...models import Crowd, Profile
from .attendance import Attendance
from .base import Context
from .chatrooms import Chatrooms
from .forgetting import Forgetting
from .messages import Messages
from .uploads import Uploads
from .visitors import ProfileUpdate, Visitors

CLIENT_KEYS_KEPT = timedelta(days=30)
CLEANING_INTERVAL_S = 3600.0


class ChatService:
    """The rules of one hub.

    Attributes:
        visitors: Who somebody is.
        chatrooms: What chatrooms there are.
        attendance: Who is in them.
        uploads: What files there are.
        messages: What is said.
        forgetting: What goes.
    """

    def __init__(self, context: Context) -> None:
        self._context = context
        self.visitors = Visitors(context)
        self.chatrooms = Chatrooms(
            context, self.visitors, expel_strangers=lambda chatroom_id: self.attendance.expel_strangers(chatroom_id)
        )
        self.attendance = Attendance(context, self.visitors, self.chatrooms)
        self.uploads = Uploads(context, self.attendance)
        self.messages = Messages(context, self.visitors, self.chatrooms, self.attendance, self.uploads)
        self.forgetting = Forgetting(
            context, self.visitors, self.chatrooms, self.attendance, self.uploads, self.messages
        )
        self._clean_at = 0.0

    def now(self) -> datetime:
        """Return the hub's time, by which the age of messages is told."""
        return self._context.now()

    def crowd(self) -> Crowd:
        """Return who is here now, by numbers."""
        return self._context.membership.crowd()

    async def update_visitor(self, visitor_id: str, update: ProfileUpdate) -> Profile:
        """Change what the site says of a visitor, with what follows for where it may be; return all that is known.

        Raises:
            NameTakenError: A guest's name passes for that of somebody whom the site has named.
        """
        before = await self.visitors.find(visitor_id)
        profile = await self.visitors.update(visitor_id, update)
        if before is not None and before.is_manager and not profile.is_manager:
            await self.attendance.leave_private(visitor_id)
        return profile

    async def start(self) -> None:
        """Take up where an earlier run ended."""
        await self.attendance.resume()

    async def tick(self) -> None:
        """Do what time brings: called about once a second."""
        await self.attendance.expire()
        await self.attendance.tell_presence()
        now = self._context.clock()
        if now >= self._clean_at:
            self._clean_at = now + CLEANING_INTERVAL_S
            await self._context.store.forget_client_keys(before=self._context.now() - CLIENT_KEYS_KEPT)
            await self.chatrooms.purge()
            await self.uploads.expire()
            self.forgetting.begin()
        await self.forgetting.step()
