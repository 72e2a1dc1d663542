"""Who somebody is: tickets and profiles.

A visitor's public id is never a credential. What the site says of a visitor counts more than what the
visitor says, and of two statements of the site the newer one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime
from typing import Any

from ...errors import InvalidArgumentError, NameTakenError, NotFoundError, StoreFullError, TokenError
from ...models import Manager, Member, Profile, is_guest_id
from ...tokens import VisitorTicket, VisitorTickets
from ..backplane.base import ProfileChanged, RightsChanged
from ..limits import check_email, check_fields, check_id, check_name
from ..names import keys_to_protect, name_keys
from .base import Caller, Context

NAME_TAKEN = "This name belongs to somebody who is known here. Please choose another."
_NEVER = -math.inf
# Tickets know whole seconds only. When in doubt, what was said apart from a ticket is the newer word: it
# may have taken a manager's rights away.
TICKET_ROUNDING_S = 0.5


@dataclass(frozen=True, slots=True)
class ProfileUpdate:
    """What to change of a profile; ``...`` leaves it as it is."""

    name: Any = ...
    email: Any = ...
    fields: Any = ...
    is_persistent: Any = ...
    is_manager: Any = ...

    @classmethod
    def from_mapping(cls, data: Mapping[str, Any]) -> ProfileUpdate:
        """Take what is there, and ignore other keys."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})


class Visitors:
    """Tickets and profiles."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._config = context.config
        self._store = context.store
        self._membership = context.membership
        self._tickets = VisitorTickets(self._config.ticket_keys, website_id=self._config.website_id)

    # Tickets

    def check_ticket(self, text: str) -> VisitorTicket:
        """Return what a ticket says.

        Raises:
            TokenError: It is not ours, or its time is over.
        """
        return self._tickets.check(text, now=self._context.clock())

    def new_ticket(self) -> str:
        """Return a get-id ticket for somebody new."""
        return self._sign_get_id(self._context.new_id())

    def renew(self, caller: Caller) -> str:
        """Return the ticket by which *caller* can come back: a new one when a get-id ticket is past half its life."""
        ticket = caller.ticket
        half_life = (ticket.issued_at + ticket.expires_at) / 2
        if caller.is_lasting and self._context.clock() >= half_life:
            caller.ticket_text = self._sign_get_id(ticket.visitor_id)
            caller.ticket = self.check_ticket(caller.ticket_text)
        return caller.ticket_text

    def _sign_get_id(self, visitor_id: str) -> str:
        now = self._context.clock()
        return self._tickets.sign(
            VisitorTicket(
                visitor_id=visitor_id,
                issued_at=now,
                expires_at=now + self._config.ticket_lifetime_s,
                is_persistent=True,
                kind="get-id",
            )
        )

    def public_id(self, text: object) -> str:
        """Return the public id that *text* stands for: the id itself, or a ticket of ours."""
        if not isinstance(text, str):
            raise InvalidArgumentError("The visitor's id is missing.")
        try:
            return self.check_ticket(text).visitor_id
        except TokenError:
            return check_id(text, name="The visitor's id")

    # Profiles

    async def load(self, ticket: VisitorTicket) -> tuple[Profile, Profile]:
        """Return who connects: what was known before, and what the ticket says, or what is stored if that is newer.

        Whoever is persistent is stored; others leave no row behind.
        """
        found = await self._store.find_visitor(ticket.visitor_id)
        stored, said_at = (found[0], found[1].timestamp()) if found else (Profile(ticket.visitor_id), _NEVER)
        before = self._membership.profile(ticket.visitor_id) or stored
        if ticket.kind == "get-id" or ticket.issued_at - TICKET_ROUNDING_S <= said_at:
            return before, stored
        profile = replace(stored, name=ticket.name, is_manager=ticket.is_manager, is_persistent=ticket.is_persistent)
        if profile.is_persistent and profile != stored:
            issued_at = datetime.fromtimestamp(ticket.issued_at, UTC)
            protect = _keys_of_known(profile, ProfileUpdate(name=profile.name), is_by_site=True)
            # On a full disk the ticket has to do: whoever comes can read.
            with suppress(StoreFullError):
                await self._store.save_visitor(profile, said_at=issued_at, protect=protect, now=self._context.now())
        return before, profile

    async def get(self, visitor_id: str) -> Profile:
        """Return all that is known of a visitor: for the API and for the visitor itself."""
        profile = await self.find(visitor_id)
        if profile is None:
            raise NotFoundError("There is no such visitor.")
        return replace(profile, is_online=self._membership.is_online(visitor_id))

    async def find(self, visitor_id: str) -> Profile | None:
        """Return what is known of a visitor, but not whether it is online."""
        present = self._membership.profile(visitor_id)
        if present is not None:
            return present
        found = await self._store.find_visitor(visitor_id)
        return found[0] if found else None

    def refresh(self, stored: Profile) -> Profile:
        """Return what is known of a member now, from what was stored of it."""
        profile = self._membership.profile(stored.visitor_id) or stored
        return replace(profile, is_online=self._membership.is_online(stored.visitor_id))

    async def get_member(self, visitor_id: str) -> Member:
        """Return what others may see of a visitor."""
        return self.as_member(await self.get(visitor_id))

    def as_member(self, profile: Profile) -> Member:
        """Return what others may see."""
        return Member(profile.visitor_id, profile.name, self._is_seen_online(profile.visitor_id))

    def as_manager(self, profile: Profile) -> Manager:
        """Return what everybody may see of a manager: no e-mail address either."""
        return Manager(profile.visitor_id, profile.name, is_online=self._is_seen_online(profile.visitor_id))

    def _is_seen_online(self, visitor_id: str) -> bool:
        return self._config.presence != "off" and self._membership.is_online(visitor_id)

    async def list_managers(self) -> list[Manager]:
        """Return the website's managers."""
        return [self.as_manager(profile) for profile in await self._store.list_managers()]

    async def get_manager(self, manager_id: str) -> Manager:
        """Return one of the website's managers."""
        profile = await self.find(manager_id)
        if profile is None or not profile.is_manager:
            raise NotFoundError("There is no such manager.")
        return self.as_manager(profile)

    def is_manager(self, visitor_id: str) -> bool:
        """Whether a visitor who is here is a manager now."""
        profile = self._membership.profile(visitor_id)
        return profile is not None and profile.is_manager

    async def save_own(self, caller: Caller, update: ProfileUpdate) -> Profile:
        """Change what a visitor may say of itself; return all that is known.

        With a site ticket that is nothing: all comes from the site, and managers trust it.

        Raises:
            NameTakenError: The name passes for that of somebody whom the site has named.
        """
        if not caller.is_lasting:
            return await self.get(caller.visitor_id)
        update = replace(update, is_persistent=True, is_manager=...)
        async with self._context.visitor_turns.of(caller.visitor_id):
            await self._refuse_taken_name(caller.visitor_id, update)
            return await self._save(caller.visitor_id, update)

    async def update(self, visitor_id: str, update: ProfileUpdate) -> Profile:
        """Change what the site says of a visitor, known or not.

        Raises:
            NameTakenError: A guest's name passes for that of somebody whom the site has named.
        """
        for flag in (update.is_persistent, update.is_manager):
            if flag is not ... and not isinstance(flag, bool):
                raise InvalidArgumentError("is_persistent and is_manager are true or false.")
        async with self._context.visitor_turns.of(visitor_id):
            if is_guest_id(visitor_id):
                await self._refuse_taken_name(visitor_id, update)
            return await self._save(visitor_id, update, is_by_site=True)

    async def remember(self, visitor_id: str, chatroom_id: str) -> None:
        """Store a visitor who writes in a chatroom, so that its id keeps a name; unless it is out of it meanwhile."""
        profile = await self.find(visitor_id)
        if profile is not None and not profile.is_persistent:
            async with self._context.visitor_turns.of(visitor_id):
                if self._membership.is_member(visitor_id, chatroom_id):
                    await self._save(visitor_id, ProfileUpdate(is_persistent=True))

    async def forget(self, visitor_id: str) -> bool:
        """Forget all that is known of a visitor; return whether anything was stored."""
        async with self._context.visitor_turns.of(visitor_id):
            was_stored = await self._store.forget_visitor(visitor_id)
            before = self._membership.profile(visitor_id)
            nobody = Profile(visitor_id)
            self._membership.set_profile(nobody)
            if before is not None and before.is_manager:
                await self.tell_rights(nobody)
            if before is not None and before.name is not None:
                await self._tell(nobody)
        return was_stored

    async def _save(self, visitor_id: str, update: ProfileUpdate, *, is_by_site: bool = False) -> Profile:
        before = await self.find(visitor_id) or Profile(visitor_id)
        after = self._changed(before, update)
        # What the site says is stored though it is nothing new: it is newer than any ticket.
        if is_by_site or (after.is_persistent and after != before):
            said_at = self._context.now() if is_by_site else None
            protect = _keys_of_known(after, update, is_by_site=is_by_site)
            await self._store.save_visitor(after, said_at=said_at, protect=protect, now=self._context.now())
        self._membership.set_profile(after)
        if after.is_manager != before.is_manager:
            await self.tell_rights(after)
        if after.name != before.name:
            await self._tell(after)
        return replace(after, is_online=self._membership.is_online(visitor_id))

    async def _refuse_taken_name(self, visitor_id: str, update: ProfileUpdate) -> None:
        if not isinstance(update.name, str):
            return
        name = check_name(update.name, max_chars=self._config.max_name_chars)
        if name and await self._store.bearers_of(name_keys(name)) - {visitor_id}:
            raise NameTakenError(NAME_TAKEN)

    def _changed(self, profile: Profile, update: ProfileUpdate) -> Profile:
        changes: dict[str, Any] = {}
        if update.name is not ...:
            changes["name"] = check_name(update.name, max_chars=self._config.max_name_chars)
        if update.email is not ...:
            changes["email"] = check_email(update.email)
        if update.fields is not ...:
            changes["fields"] = {} if update.fields is None else check_fields(update.fields)
        for name in ("is_persistent", "is_manager"):
            if getattr(update, name) is not ...:
                changes[name] = getattr(update, name)
        return replace(profile, **changes)

    async def tell_rights(self, profile: Profile) -> None:
        """Tell a visitor's pages that it is a manager from now on, or none any more."""
        await self._context.backplane.publish(RightsChanged(profile.visitor_id, profile.is_manager))

    async def _tell(self, profile: Profile) -> None:
        if self._membership.is_present(profile.visitor_id):
            rooms: tuple[str, ...] = self._membership.chatrooms_of(profile.visitor_id)
        else:
            rooms = tuple(await self._store.memberships(profile.visitor_id))
        if self._config.presence != "members":
            rooms = tuple(await self._store.chatrooms_posted_in(profile.visitor_id, rooms))
        await self._context.backplane.publish(ProfileChanged(self.as_member(profile), rooms))


def _keys_of_known(profile: Profile, update: ProfileUpdate, *, is_by_site: bool) -> frozenset[str] | None:
    """Return the keys under which no guest may go from now on; ``None``: as before.

    Those of a name that the site gives to one of its users, or that a manager has. Other guests' names are free.
    """
    if is_guest_id(profile.visitor_id):
        return None
    is_new = update.name is not ...
    if profile.is_manager or (is_by_site and is_new):
        return keys_to_protect(profile.name) if profile.name else frozenset()
    return frozenset() if is_new else None
