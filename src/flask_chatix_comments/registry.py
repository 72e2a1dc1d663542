"""The room registry: which chatroom belongs to which post. Storage only; the rule is in ``rooms``.

A post without a chatroom is *claimed* before its chatroom is created, so that of all the threads and
processes that want it one goes to the API. A claim is a row without ``chatroom_id``, with a token and
a lease. When the lease ends, someone else may take the claim over; what the first one then brings is
refused, since its token is no longer in the row.

Every write is one conditional statement that the database commits by itself: whoever dies, or stands still, holds no
lock. Such a statement may be sent again when a deadlock or a lost connection has swallowed its fate. What is written
in one transaction, many rows or two that change places, may as well. Only the database's clock judges a lease: clocks
of hosts differ.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from .database import (
    DatabaseNow,
    chatrooms,
    create_registry_engine,
)
from .errors import ChatroomTakenError, PostNotRegisteredError, RegistryError
from .registry_bulk import RegistryBulk
from .registry_connections import tells
from .registry_rows import NO_CLAIM, Claim, RegistryEntry, RoomState, entry_from_row, stored_state
from .registry_upkeep import RegistryUpkeep, has_no_lease, is_not_moved, is_still
from .registry_visitors import RegistryVisitors

__all__ = ["Claim", "RegistryEntry", "RoomRegistry", "RoomState", "create_registry_engine"]

# Each attempt lost means that someone else won, so that the next one finds their claim.
_CLAIM_ATTEMPTS = 10


class RoomRegistry(RegistryBulk, RegistryUpkeep, RegistryVisitors):
    """Reads and writes the registry's tables. Safe for threads and processes.

    Every method raises ``RegistryError`` when the database cannot do what is asked.

    Args:
        source: An engine of our own; or what finds the database on first use, since a site may set up its
            own after us.
        sleep: Waits between two tries of one write, in seconds.
        clock: Seconds that never go back.
    """

    def find(self, post_id: str) -> RegistryEntry | None:
        """Return the entry of *post_id*, which may still be ``CREATING``, or ``None``."""
        row = self._read_one(chatrooms.c.post_id == post_id, post_id)
        return None if row is None else entry_from_row(row)

    def find_chatroom(self, chatroom_id: str) -> RegistryEntry | None:
        """Return the entry of the post whose chatroom this is, or ``None``."""
        row = self._read_one(chatrooms.c.chatroom_id == chatroom_id)
        return None if row is None else entry_from_row(row)

    def get(self, post_id: str) -> RegistryEntry:
        """Return the entry of *post_id*.

        Raises:
            PostNotRegisteredError: There is none.
        """
        entry = self.find(post_id)
        if entry is None:
            raise PostNotRegisteredError(f"No chatroom is registered for the post {post_id!r}.", post_id=post_id)
        return entry

    def entries(self, *, after: str | None = None, limit: int = 500) -> Sequence[RegistryEntry]:
        """Return up to *limit* entries in the order of their post IDs, those behind *after*."""
        query = sa.select(chatrooms).order_by(chatrooms.c.post_id).limit(limit)
        if after is not None:
            query = query.where(chatrooms.c.post_id > after)
        with self._transaction() as connection:
            return [entry_from_row(row) for row in connection.execute(query)]

    def claim(self, post_id: str, *, title: str, is_private: bool, owner: str, lease_s: float) -> Claim | RegistryEntry:
        """Take the right to create the chatroom of *post_id*.

        Args:
            owner: Who claims, for people who look at a claim that sticks.
            lease_s: After how many seconds someone else may take over.

        Returns:
            The claim; or the entry as it is, when there is a chatroom, the post has another ID since, or someone else
            holds a claim.
        """
        token = secrets.token_hex(16)
        for _ in range(_CLAIM_ATTEMPTS):
            row = self._read_one(chatrooms.c.post_id == post_id, post_id)
            if row is not None and row.claim_token == token:
                # Written, but the connection was lost before we learned it.
                return Claim(post_id, row.title, row.is_private, token, row.claim_number)
            if row is not None and (row.chatroom_id is not None or not row.has_no_lease or _is_moved(row)):
                return entry_from_row(row)
            claim = Claim(
                post_id=post_id,
                title=title,
                # A stale page that still says "public" must not open what another says is private.
                is_private=is_private or (row is not None and row.is_private),
                token=token,
                number=1 if row is None else row.claim_number + 1,
            )
            if self._write_claim(claim, owner=owner, lease_s=lease_s):
                return claim
        raise RegistryError(f"The post {post_id!r} could not be claimed.", post_id=post_id)

    def _write_claim(self, claim: Claim, *, owner: str, lease_s: float) -> bool:
        """Insert or take over; ``False`` when someone else was faster."""
        values = {
            "title": claim.title,
            "is_private": claim.is_private,
            "claim_token": claim.token,
            "claim_owner": owner[:255],
            "claim_number": claim.number,
            "claim_expires_at": DatabaseNow() + round(lease_s * 1_000_000),
            "updated_at": DatabaseNow(),
        }
        if claim.number == 1:
            first = {"post_id": claim.post_id, "state": RoomState.CREATING.value, "created_at": DatabaseNow()}
            return self._insert(sa.insert(chatrooms).values(**values, **first), claim.post_id)
        take_over = sa.update(chatrooms).values(**values)
        return self._write(
            take_over.where(
                chatrooms.c.post_id == claim.post_id,
                chatrooms.c.chatroom_id.is_(None),
                chatrooms.c.claim_number == claim.number - 1,
                has_no_lease,
                is_not_moved,
            ),
            claim.post_id,
        )

    def record(
        self, claim: Claim, chatroom_id: str, *, state: RoomState = RoomState.OPEN, is_private: bool | None = None
    ) -> RegistryEntry:
        """Register the chatroom that was created under *claim*, and end the claim.

        Args:
            state: Of a chatroom that was adopted.
            is_private: Of a chatroom that was adopted; ``None``: as claimed.

        Returns:
            The entry as it is now. Its ``chatroom_id`` is another, or ``None``, when the claim was
            taken over in between: then nothing has been written.

        Raises:
            PostNotRegisteredError: The claim's row is gone.
            ChatroomTakenError: The chatroom belongs to another post.
        """
        values: dict[str, Any] = {"chatroom_id": chatroom_id, "state": state.value, "updated_at": DatabaseNow()}
        if is_private is not None:
            values["is_private"] = is_private
        statement = sa.update(chatrooms).where(*_held(claim)).values(values | NO_CLAIM)
        self._register(statement, claim.post_id, chatroom_id)
        return self.get(claim.post_id)

    def link(self, post_id: str, chatroom_id: str, *, title: str, is_private: bool, state: RoomState) -> RegistryEntry:
        """Register a chatroom that exists for a post that has none.

        A claim whose lease has ended is taken over: what its holder brings later is refused.

        Returns:
            The entry as it is now. Its ``chatroom_id`` is another where the post has one, or ``None``
            where somebody creates one: then nothing has been written.

        Raises:
            ChatroomTakenError: The chatroom belongs to another post.
        """
        values: dict[str, Any] = {
            "chatroom_id": chatroom_id,
            "title": title,
            "is_private": is_private,
            "state": state.value,
            "updated_at": DatabaseNow(),
        }
        is_free = (chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id.is_(None), has_no_lease)
        take_over = sa.update(chatrooms).where(*is_free).values(values | NO_CLAIM)
        if not self._register(take_over, post_id, chatroom_id):
            first = {"post_id": post_id, "claim_number": 1, "created_at": DatabaseNow()}
            self._register(sa.insert(chatrooms).values(values | first), post_id, chatroom_id)
        return self.get(post_id)

    def unlink(self, entry: RegistryEntry) -> bool:
        """Forget the chatroom of a post; return whether it still was that of *entry*."""
        return self._write(sa.delete(chatrooms).where(*is_still(entry)), entry.post_id)

    def release(self, claim: Claim, *, room_may_exist: bool) -> None:
        """Give *claim* up, so that anyone may claim at once; nothing happens when it was taken over.

        Args:
            room_may_exist: Whether a chatroom may have been created all the same. Then the row stays,
                and the next claim's number tells its holder to look for that chatroom first.
        """
        if room_may_exist or claim.number > 1:
            self._write(sa.update(chatrooms).where(*_held(claim)).values(NO_CLAIM), claim.post_id)
        else:
            self._write(sa.delete(chatrooms).where(*_held(claim)), claim.post_id)

    def update(
        self,
        post_id: str,
        *,
        title: str | None = None,
        is_private: bool | None = None,
        state: RoomState | None = None,
        expected: RegistryEntry | None = None,
    ) -> RegistryEntry:
        """Change what is given of a post that has a chatroom, and return its entry.

        Args:
            expected: Change it only while chatroom and state are those of this entry. That it was closed is
                remembered when it is deleted.

        Raises:
            PostNotRegisteredError: The post has no chatroom (yet).
            RegistryError: Somebody else has changed chatroom or state meanwhile.
        """
        if state in (RoomState.CREATING, RoomState.MOVED):
            raise ValueError(f"a chatroom that exists cannot become {state.name}")
        was_closed = expected is not None and (expected.state is RoomState.CLOSED or expected.was_closed)
        stored = None if state is None else stored_state(state, was_closed=was_closed)
        changes = {"title": title, "is_private": is_private, "state": stored}
        values = {name: value for name, value in changes.items() if value is not None}
        has_room = (chatrooms.c.post_id == post_id, chatrooms.c.chatroom_id.is_not(None))
        met = has_room if expected is None else is_still(expected)
        if not self._write(sa.update(chatrooms).where(*met).values(**values, updated_at=DatabaseNow()), post_id):
            row = self._read_one(sa.and_(*has_room), post_id)
            if row is None:
                raise PostNotRegisteredError(f"The post {post_id!r} has no chatroom yet.", post_id=post_id)
            raise RegistryError(
                f"The chatroom of the post {post_id!r} was changed by somebody else at the same moment. Try again.",
                post_id=post_id,
            )
        return self.get(post_id)

    def _read_one(self, condition: sa.ColumnElement[bool], post_id: str | None = None) -> sa.Row[Any] | None:
        query = sa.select(chatrooms, has_no_lease.label("has_no_lease")).where(condition)
        with self._statement(post_id) as connection:
            return connection.execute(query).one_or_none()

    @tells
    def _register(self, statement: sa.Update | sa.Insert, post_id: str, chatroom_id: str) -> bool:
        """Run *statement*, which gives *post_id* a chatroom; tell whether it did.

        Raises:
            ChatroomTakenError: The chatroom belongs to another post.
        """

        def register(connection: Connection) -> bool:
            try:
                return connection.execute(statement).rowcount > 0
            except IntegrityError as exc:
                connection.rollback()
                query = sa.select(chatrooms.c.post_id).where(chatrooms.c.chatroom_id == chatroom_id)
                owner = connection.execute(query).scalar_one_or_none()
                if owner in (None, post_id):
                    return False  # The post has got its row meanwhile.
                raise taken(chatroom_id, post_id=post_id, owner=owner) from exc

        return self._run(register, post_id)


def _is_moved(row: sa.Row[Any]) -> bool:
    return bool(row.state == RoomState.MOVED.value)


def _held(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether *claim* is still the one in its row; if so, it counts even after its lease."""
    return (chatrooms.c.post_id == claim.post_id, chatrooms.c.claim_token == claim.token)


def taken(chatroom_id: str, *, post_id: str, owner: str) -> ChatroomTakenError:
    """Return the error for a chatroom that is another post's."""
    return ChatroomTakenError(
        f"The chatroom {chatroom_id} belongs to the post {owner!r}. Unlink it there first, if it is to be that of"
        f" the post {post_id!r}.",
        post_id=post_id,
        owner=owner,
    )
