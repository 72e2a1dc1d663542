"""Who is in which chatroom: connect, join, leave, and what happens when nobody says goodbye.

Everything that changes a visitor's memberships takes that visitor's turn, stores it, then notes it in
memory: two tabs never get in each other's way, and what memory says has been stored.
"""

from __future__ import annotations

import asyncio
import logging
import math
from contextlib import suppress

from ...errors import ChatroomNotFoundError, NotAllowedError, StoreFullError
from ...models import Chatroom, Member, Profile
from ...tokens import VisitorTicket
from ..backplane.base import MemberMoved, Move, PresenceChanged
from ..membership import BY_API, EARLIER
from ..store.base import Hold
from .base import Caller, Context
from .chatrooms import Chatrooms
from .visitors import Visitors

logger = logging.getLogger(__name__)

MEMBERS_PER_PAGE = 500
NO_MEMBER = "Join the chatroom first."


class Attendance:
    """Connections and memberships."""

    def __init__(self, context: Context, visitors: Visitors, chatrooms: Chatrooms) -> None:
        self._context = context
        self._store = context.store
        self._membership = context.membership
        self._visitors = visitors
        self._chatrooms = chatrooms
        self._turn_of = context.visitor_turns.of
        self._crowds_to_tell: set[str] = set()
        self._max_chatrooms = context.config.max_chatrooms_per_visitor

    # Connections

    async def connect(self, connection_id: str, ticket: VisitorTicket, ticket_text: str, base_url: str) -> Caller:
        """Note that a visitor has opened a connection."""
        visitor_id = ticket.visitor_id
        async with self._turn_of(visitor_id):
            before, profile = await self._visitors.load(ticket)
            is_new = not self._membership.is_online(visitor_id)
            if self._membership.is_present(visitor_id):
                self._membership.set_profile(profile)
            else:
                await self._enter(profile)
            self._membership.connect(visitor_id, connection_id)
            if is_new and (profile.is_persistent or ticket.kind == "get-id"):
                # Of others nothing lasts. On a full disk it will be noted another day.
                with suppress(StoreFullError):
                    await self._store.note_visit(visitor_id, now=self._context.now())
            if before.is_manager != profile.is_manager:
                await self._visitors.tell_rights(profile)
            if before.is_manager and not profile.is_manager:
                await self._leave_private(visitor_id)
        return Caller(connection_id, ticket, ticket_text, base_url)

    async def _enter(self, profile: Profile) -> None:
        until = self._context.clock() + self._context.config.grace_s
        holds = {Hold.GRACE: (EARLIER, until), Hold.LASTING: (EARLIER, math.inf), Hold.API: (BY_API, math.inf)}
        stored = await self._store.memberships(profile.visitor_id)
        self._membership.enter(profile, {chatroom_id: holds[hold] for chatroom_id, hold in stored.items()})

    def disconnect(self, caller: Caller) -> None:
        """Note that a connection has dropped. What it joined goes on for a while, or for good."""
        until = math.inf if caller.is_lasting else self._context.clock() + self._context.config.grace_s
        self._membership.disconnect(caller.connection_id, until=until)

    async def resume(self) -> None:
        """After a start, give those who were here before the usual time to come back."""
        visitor_ids = {visitor_id for visitor_id, _ in await self._store.members_on_grace()}
        for visitor_id in visitor_ids:
            async with self._turn_of(visitor_id):
                if not self._membership.is_present(visitor_id):
                    found = await self._store.find_visitor(visitor_id)
                    await self._enter(found[0] if found else Profile(visitor_id))

    # Visitors

    async def require_member(self, caller: Caller, chatroom_id: str) -> Chatroom:
        """Return a chatroom in which the visitor is."""
        room = await self._chatrooms.get_visible(caller, chatroom_id)
        if not self._membership.is_member(caller.visitor_id, chatroom_id):
            raise NotAllowedError(NO_MEMBER)
        return room

    def require_still(self, visitor_id: str, chatroom_id: str) -> None:
        """Look once more, right before something is stored, whether a visitor with a connection is in a chatroom."""
        if not self._membership.is_member(visitor_id, chatroom_id):
            raise NotAllowedError(NO_MEMBER)

    async def require_visitor(self, visitor_id: str, chatroom_id: str) -> Chatroom:
        """Return a chatroom in which the visitor is, with a connection or without one."""
        room = await self._store.find_chatroom(chatroom_id)
        # Even if there is none: how long it takes tells nobody whether there is.
        is_member = await self._is_member(visitor_id, chatroom_id)
        if room is None or room.is_deleted or (room.is_private and not self._sees(visitor_id, is_member)):
            raise ChatroomNotFoundError("There is no such chatroom.")
        if not is_member:
            raise NotAllowedError(NO_MEMBER)
        return room

    async def sees_private(self, visitor_id: str, chatroom_id: str) -> bool:
        """Whether a visitor may see what is in this chatroom, if it is a private one."""
        return self._sees(visitor_id, await self._is_member(visitor_id, chatroom_id))

    def _sees(self, visitor_id: str, is_member: bool) -> bool:
        return is_member or self._visitors.is_manager(visitor_id)

    async def join(self, caller: Caller, chatroom_id: str) -> None:
        """Let the visitor into a chatroom; again does no harm. Private ones are joined by the API only."""
        visitor_id = caller.visitor_id
        async with self._turn_of(visitor_id):
            await self._chatrooms.get_visible(caller, chatroom_id)
            was_member = self._membership.is_member(visitor_id, chatroom_id)
            if not was_member and len(self._membership.chatrooms_of(visitor_id)) >= self._max_chatrooms:
                raise NotAllowedError("You are in too many chatrooms. Leave one of them first.")
            if not was_member or self._membership.is_held_by_api(visitor_id, chatroom_id):
                hold = Hold.LASTING if caller.is_lasting else Hold.GRACE
                await self._put_if_there_is_room(chatroom_id, visitor_id, hold)
            if not was_member:
                await self._look_again(caller, chatroom_id)
            self._membership.join(caller.connection_id, chatroom_id)
            if not was_member:
                await self._tell(await self._move(Move.JOINED, chatroom_id, visitor_id))

    async def _look_again(self, caller: Caller, chatroom_id: str) -> None:
        """Undo what was stored, if the chatroom has become private meanwhile: its strangers may be out already."""
        try:
            await self._chatrooms.get_visible(caller, chatroom_id)
        except ChatroomNotFoundError:
            await self._store.remove_member(chatroom_id, caller.visitor_id)
            raise

    async def leave(self, caller: Caller, chatroom_id: str) -> None:
        """Withdraw this connection's interest in a chatroom; whether there was any makes no difference."""
        async with self._turn_of(caller.visitor_id):
            if self._membership.is_member(caller.visitor_id, chatroom_id):
                # For a page that is just coming its site has let the visitor in; other clients have one page.
                spare_api = not caller.is_lasting
                await self._withdraw(caller.visitor_id, chatroom_id, caller.connection_id, spare_api=spare_api)

    async def leave_private(self, visitor_id: str) -> None:
        """End the memberships in private chatrooms of who is no manager any more; the API may let it in again."""
        async with self._turn_of(visitor_id):
            await self._leave_private(visitor_id)

    # The API

    async def admit(self, visitor_id: str, chatroom_id: str) -> None:
        """Make a visitor a member, of a private chatroom too, until it leaves."""
        room = await self._chatrooms.get_stored(chatroom_id)
        if room.is_deleted:
            raise ChatroomNotFoundError("There is no such chatroom.")
        async with self._turn_of(visitor_id):
            was_member = await self._is_member(visitor_id, chatroom_id)
            await self._put(chatroom_id, visitor_id, Hold.API)
            self._membership.admit(visitor_id, chatroom_id)
            if not was_member:
                await self._tell(await self._move(Move.JOINED, chatroom_id, visitor_id))

    async def expel(self, visitor_id: str, chatroom_id: str) -> None:
        """End a visitor's membership, whatever holds it."""
        await self._chatrooms.get_stored(chatroom_id)
        async with self._turn_of(visitor_id):
            if await self._is_member(visitor_id, chatroom_id):
                await self._end(visitor_id, chatroom_id, was_taken=True)

    async def leave_all(self, visitor_id: str) -> bool:
        """End all memberships of a visitor, who is forgotten; return whether there were any."""
        async with self._turn_of(visitor_id):
            rooms = set(await self._store.memberships(visitor_id)) | set(self._membership.chatrooms_of(visitor_id))
            for chatroom_id in rooms:
                await self._end(visitor_id, chatroom_id, was_taken=True)
            return bool(rooms)

    async def end_stale(self, visitor_id: str, chatroom_id: str) -> None:
        """End the membership of a visitor who cannot come back, unless it is here all the same."""
        async with self._turn_of(visitor_id):
            if self._membership.is_online(visitor_id):
                await self._store.note_visit(visitor_id, now=self._context.now())
            else:
                await self._end(visitor_id, chatroom_id)

    async def expel_strangers(self, chatroom_id: str) -> None:
        """End the memberships that neither the API holds nor a manager's rights: the chatroom has become private."""
        members: list[Profile] = []
        page: list[Profile] | None = None
        while page is None or len(page) == MEMBERS_PER_PAGE:
            number = len(members) // MEMBERS_PER_PAGE + 1
            page = await self._list(chatroom_id, number, MEMBERS_PER_PAGE, posted_only=False)
            members += page
        strangers = [profile.visitor_id for profile in members if not profile.is_manager]
        await asyncio.gather(*(self._expel_stranger(visitor_id, chatroom_id) for visitor_id in strangers))

    async def _expel_stranger(self, visitor_id: str, chatroom_id: str) -> None:
        async with self._turn_of(visitor_id):
            is_stranger = await self._is_member(visitor_id, chatroom_id) and not await self._is_held_by_api(
                visitor_id, chatroom_id
            )
            if is_stranger:
                await self._end(visitor_id, chatroom_id, was_taken=True)

    async def expel_offline(self, visitor_id: str, chatroom_id: str) -> bool:
        """End a visitor's membership unless it is online; return whether it is a member after that.

        A permission of the API that has not been used yet stays: it may be meant for a page that is just coming.
        """
        await self._chatrooms.get_stored(chatroom_id)
        async with self._turn_of(visitor_id):
            if not await self._is_member(visitor_id, chatroom_id):
                return False
            if self._membership.is_online(visitor_id) or await self._is_held_by_api(visitor_id, chatroom_id):
                return True
            await self._end(visitor_id, chatroom_id)
            return False

    async def withdraw(self, visitor_id: str, chatroom_id: str, connection_id: str) -> None:
        """Withdraw the interest of one connection and of the visitor's closed ones.

        This is what a page's beacon says, and it may be late: others of the visitor's open connections
        keep the membership, and so does a permission of the API that has not been used yet.
        """
        await self._chatrooms.get_stored(chatroom_id)
        async with self._turn_of(visitor_id):
            if not self._membership.is_present(visitor_id):
                if (await self._store.memberships(visitor_id)).get(chatroom_id, Hold.API) is not Hold.API:
                    await self._end(visitor_id, chatroom_id)
            elif self._membership.is_member(visitor_id, chatroom_id):
                await self._withdraw(visitor_id, chatroom_id, connection_id, spare_api=True)

    async def list_members(self, chatroom_id: str, *, page: int, items_per_page: int) -> list[Profile]:
        """Return a page of a chatroom's members with all that is known of them."""
        await self._chatrooms.get_stored(chatroom_id)
        return await self._list(chatroom_id, page, items_per_page, posted_only=False)

    async def list_members_for(
        self, caller: Caller, chatroom_id: str, *, page: int, items_per_page: int
    ) -> list[Member]:
        """Return a page of those members whom others may know of."""
        await self.require_member(caller, chatroom_id)
        presence = self._context.config.presence
        if presence == "off":
            return []
        profiles = await self._list(chatroom_id, page, items_per_page, posted_only=presence == "count")
        return [self._visitors.as_member(profile) for profile in profiles]

    async def _list(self, chatroom_id: str, page: int, items_per_page: int, *, posted_only: bool) -> list[Profile]:
        stored = await self._store.list_members(
            chatroom_id, page=page, items_per_page=items_per_page, posted_only=posted_only
        )
        return [self._visitors.refresh(profile) for profile in stored]

    # Time

    async def expire(self) -> None:
        """End the memberships of those who have not come back."""
        expired = self._membership.expired(self._context.clock())
        await asyncio.gather(*(self._expire(visitor_id, chatroom_id) for visitor_id, chatroom_id in expired))

    async def _expire(self, visitor_id: str, chatroom_id: str) -> None:
        async with self._turn_of(visitor_id):
            if self._membership.has_expired(visitor_id, chatroom_id, self._context.clock()):
                await self._end(visitor_id, chatroom_id)

    async def tell_presence(self) -> None:
        """Tell the chatrooms where somebody came or went how many are there now: once for all of them."""
        chatroom_ids, self._crowds_to_tell = self._crowds_to_tell, set()
        if not chatroom_ids or self._context.config.presence == "off":
            return
        counts = await self._store.count_members(chatroom_ids)
        for chatroom_id in chatroom_ids:
            await self._context.backplane.publish(PresenceChanged(chatroom_id, counts.get(chatroom_id, 0)))

    # Inside a visitor's turn

    async def _leave_private(self, visitor_id: str) -> None:
        for chatroom_id in await self._store.memberships(visitor_id):
            room = await self._store.find_chatroom(chatroom_id)
            if room is not None and room.is_private:
                await self._end(visitor_id, chatroom_id, was_taken=True)

    async def _is_member(self, visitor_id: str, chatroom_id: str) -> bool:
        if self._membership.is_present(visitor_id):
            return self._membership.is_member(visitor_id, chatroom_id)
        return chatroom_id in await self._store.memberships(visitor_id)

    async def _is_held_by_api(self, visitor_id: str, chatroom_id: str) -> bool:
        if self._membership.is_present(visitor_id):
            return self._membership.is_held_by_api(visitor_id, chatroom_id)
        return (await self._store.memberships(visitor_id)).get(chatroom_id) is Hold.API

    async def _put(self, chatroom_id: str, visitor_id: str, hold: Hold) -> None:
        is_manager = self._visitors.is_manager(visitor_id)
        if not self._membership.is_present(visitor_id):
            found = await self._store.find_visitor(visitor_id)
            is_manager = found is not None and found[0].is_manager
        await self._store.put_member(chatroom_id, visitor_id, hold, is_manager=is_manager, now=self._context.now())

    async def _put_if_there_is_room(self, chatroom_id: str, visitor_id: str, hold: Hold) -> None:
        """Store a membership; on a full disk memory has to do, so that whoever comes can read."""
        with suppress(StoreFullError):
            await self._put(chatroom_id, visitor_id, hold)

    async def _withdraw(self, visitor_id: str, chatroom_id: str, connection_id: str, *, spare_api: bool) -> None:
        membership = self._membership
        if membership.would_end(visitor_id, chatroom_id, connection_id=connection_id, spare_api=spare_api):
            await self._end(visitor_id, chatroom_id)
        else:
            membership.leave(visitor_id, chatroom_id, connection_id=connection_id, spare_api=spare_api)

    async def _end(self, visitor_id: str, chatroom_id: str, *, was_taken: bool = False) -> None:
        await self._store.remove_member(chatroom_id, visitor_id)
        # Before memory forgets who it was.
        event = await self._move(Move.LEFT, chatroom_id, visitor_id, was_taken=was_taken)
        self._membership.expel(visitor_id, chatroom_id)
        await self._tell(event)

    async def _move(self, move: Move, chatroom_id: str, visitor_id: str, *, was_taken: bool = False) -> MemberMoved:
        profile = await self._visitors.find(visitor_id) or Profile(visitor_id)
        who = self._visitors.as_manager(profile) if profile.is_manager else self._visitors.as_member(profile)
        is_known = await self._may_be_named(visitor_id, chatroom_id)
        return MemberMoved(move, chatroom_id, visitor_id, who, is_known=is_known, was_taken=was_taken)

    async def _may_be_named(self, visitor_id: str, chatroom_id: str) -> bool:
        """Whether others may know of this member: where they are counted only, of those who have posted."""
        presence = self._context.config.presence
        if presence == "count":
            return bool(await self._store.chatrooms_posted_in(visitor_id, [chatroom_id]))
        return presence == "members"

    async def _tell(self, event: MemberMoved) -> None:
        self._crowds_to_tell.add(event.chatroom_id)
        if event.is_known or event.was_taken:
            await self._context.backplane.publish(event)
