"""The room registry: which chatroom belongs to which post. Storage only; the rule is in ``rooms``.

A post without a chatroom is *claimed* before its chatroom is created, so that of all the threads and
processes that want it one goes to the API. A claim is a row without ``chatroom_id``, with a token and
a lease. When the lease ends, someone else may take the claim over; what the first one then brings is
refused, since its token is no longer in the row.

Every write is one conditional statement that the database commits by itself: whoever dies, or stands still, holds no
lock. Such a statement may be sent again when a deadlock or a lost connection has swallowed its fate. Only the
database's clock judges a lease: clocks of hosts differ.
"""

from __future__ import annotations

import contextlib
import functools
import random
import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from .database import (
    MAX_KEY_CHARS,
    Database,
    DatabaseNow,
    chatrooms,
    create_registry_engine,
    hosted_visitors,
    insert_unless_there,
    metadata,
    visitors,
)
from .errors import ChatroomTakenError, PostNotRegisteredError, RegistryError
from .registry_rows import Claim, RegistryEntry, RoomState, entry_from_row, stored_state
from .registry_upkeep import RegistryUpkeep, has_no_lease, is_still

__all__ = ["Claim", "RegistryEntry", "RoomRegistry", "RoomState", "create_registry_engine"]

# Each attempt lost means that someone else won, so that the next one finds their claim.
_CLAIM_ATTEMPTS = 10
# After deadlocks and lost connections; one more try than pauses.
_PAUSES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5)

_NO_CLAIM = {"claim_token": None, "claim_owner": None, "claim_expires_at": None}


def _tells(write: Callable[..., bool]) -> Callable[..., bool]:
    """Have the registry say which post's row *write* may have changed."""

    @functools.wraps(write)
    def told(self: RoomRegistry, statement: sa.UpdateBase, post_id: str | None = None, *rest: str) -> bool:
        try:
            return write(self, statement, post_id, *rest)
        finally:
            if post_id is not None:
                self.on_change(post_id)

    return told


class RoomRegistry(RegistryUpkeep):
    """Reads and writes the registry's tables. Safe for threads and processes.

    Every method raises ``RegistryError`` when the database cannot do what is asked.

    Args:
        source: An engine of our own; or what finds the database on first use, since a site may set up its
            own after us.
        sleep: Waits between two tries of one write, in seconds.
    """

    def __init__(self, source: Engine | Callable[[], Database], *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._find = functools.partial(Database, source) if isinstance(source, Engine) else source
        self._found: list[Database] = []
        self._has_tables = False
        self._sleep = sleep

    @property
    def database(self) -> Database:
        """Where the tables are."""
        # No lock: a fork might copy it locked. Of all that look at once, the first one's find counts.
        if not self._found:
            self._found.append(self._find())
        return self._found[0]

    def find(self, post_id: str) -> RegistryEntry | None:
        """Return the entry of *post_id*, which may still be ``CREATING``, or ``None``."""
        row = self._read_one(chatrooms.c.post_id == post_id, post_id)
        return None if row is None else entry_from_row(row)

    def find_chatroom(self, chatroom_id: str) -> RegistryEntry | None:
        """Return the entry of the post whose chatroom this is, or ``None``."""
        row = self._read_one(chatrooms.c.chatroom_id == chatroom_id)
        return None if row is None else entry_from_row(row)

    def find_many(self, post_ids: Sequence[str]) -> dict[str, RegistryEntry]:
        """Return the entries of those of *post_ids* that have one, by one query; some hundreds at once."""
        if not post_ids:
            return {}
        query = sa.select(chatrooms).where(chatrooms.c.post_id.in_(post_ids))
        try:
            # Without a look at whether the tables are there: a page is rendered meanwhile.
            with self.database.engine.connect() as connection:
                rows = connection.execute(query).all()
        except SQLAlchemyError:
            with self._transaction() as connection:
                rows = connection.execute(query).all()
        return {row.post_id: entry_from_row(row) for row in rows}

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
            The claim; or the entry as it is, when there is a chatroom or someone else holds a claim.
        """
        token = secrets.token_hex(16)
        for _ in range(_CLAIM_ATTEMPTS):
            row = self._read_one(chatrooms.c.post_id == post_id, post_id)
            if row is not None and row.claim_token == token:
                # Written, but the connection was lost before we learned it.
                return Claim(post_id, row.title, row.is_private, token, row.claim_number)
            if row is not None and (row.chatroom_id is not None or not row.has_no_lease):
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
            ),
            claim.post_id,
        )

    def claim_many(self, posts: Sequence[tuple[str, str, bool]], *, owner: str, lease_s: float) -> list[Claim]:
        """Take the right to create the chatrooms of posts that are not in the registry, in one transaction.

        Args:
            posts: Post ID, title and whether private; no post twice, some hundreds at once.

        Returns:
            The claims, first ones all. Posts that have a row already, whatever is in it, have none here.
        """
        # In one order everywhere: two of these at once then wait for each other, and do not lock each other out.
        claims = [Claim(*post, token=secrets.token_hex(16), number=1) for post in sorted(posts)]
        rows = [
            {
                "post_id": claim.post_id,
                "title": claim.title,
                "is_private": claim.is_private,
                "state": RoomState.CREATING.value,
                "claim_token": claim.token,
                "claim_owner": owner[:255],
                "claim_number": claim.number,
            }
            for claim in claims
        ]
        query = sa.select(chatrooms.c.claim_token).where(chatrooms.c.post_id.in_([claim.post_id for claim in claims]))
        with self._transaction() as connection:
            connection.execute(
                insert_unless_there(connection.dialect).values(
                    claim_expires_at=DatabaseNow() + round(lease_s * 1_000_000),
                    created_at=DatabaseNow(),
                    updated_at=DatabaseNow(),
                ),
                rows,
            )
            written = set(connection.execute(query).scalars())
        return [claim for claim in claims if claim.token in written]

    def record_many(self, records: Sequence[tuple[Claim, str, RoomState, bool]]) -> list[RegistryEntry | None]:
        """Register chatrooms that were created under claims, and end these, in one transaction.

        Args:
            records: The claim, the chatroom's ID, state, and whether it is private; some hundreds at once.

        Returns:
            For each what ``record`` returns; ``None``: its row is gone.

        Raises:
            RegistryError: Nothing has been written; ``record`` tells for each what is wrong with it.
        """
        in_order = sorted(records, key=lambda record: record[0].post_id)
        rows = [
            {
                "of_post": claim.post_id,
                "held": claim.token,
                "chatroom": chatroom_id,
                "new_state": state.value,
                "private": is_private,
            }
            for claim, chatroom_id, state, is_private in in_order
        ]
        with self._transaction() as connection:
            connection.execute(_record_one, rows)
        for row in rows:
            self.on_change(str(row["of_post"]))
        entries = self.find_many([claim.post_id for claim, *_ in records])
        return [entries.get(claim.post_id) for claim, *_ in records]

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
        statement = sa.update(chatrooms).where(*_held(claim)).values(values | _NO_CLAIM)
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
        take_over = sa.update(chatrooms).where(*is_free).values(values | _NO_CLAIM)
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
            self._write(sa.update(chatrooms).where(*_held(claim)).values(_NO_CLAIM), claim.post_id)
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
        if state is RoomState.CREATING:
            raise ValueError("a chatroom that exists cannot go back to CREATING")
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

    def visitor_id_for(self, visitor_key: str) -> str:
        """Return the public id of the site's user *visitor_key*, made at random on first use.

        Raises:
            RegistryError: The key is empty, longer than 255 characters or cannot be stored.
        """
        _check_visitor_key(visitor_key)
        query = sa.select(visitors.c.visitor_id).where(visitors.c.visitor_key == visitor_key)
        with self._statement() as connection:
            known = connection.execute(query).scalar_one_or_none()
        if known is not None:
            return str(known)
        fresh = {"visitor_key": visitor_key, "visitor_id": secrets.token_hex(16), "created_at": DatabaseNow()}
        self._insert(sa.insert(visitors).values(**fresh))
        with self._statement() as connection:  # Someone else may have inserted theirs first.
            return str(connection.execute(query).scalar_one())

    def visitor_keys(self, visitor_ids: Sequence[str], *, is_hosted: bool) -> dict[str, str]:
        """Return which of the site's users these visitors are, by their ids; who is none is left out.

        Args:
            is_hosted: Whether they are ids of the hosted service, of which a user has one in each browser.
        """
        table, column = (hosted_visitors, "service_id") if is_hosted else (visitors, "visitor_id")
        query = sa.select(table.c[column], table.c.visitor_key).where(table.c[column].in_(visitor_ids))
        with self._transaction() as connection:
            return {str(visitor_id): str(key) for visitor_id, key in connection.execute(query)}

    def find_service_id(self, visitor_key: str, browser_id: str) -> str | None:
        """Return the id by which the hosted service knows the user *visitor_key* in one browser, or ``None``.

        Raises:
            RegistryError: The key is empty, longer than 255 characters or cannot be stored.
        """
        _check_visitor_key(visitor_key)
        with self._statement() as connection:
            query = sa.select(hosted_visitors.c.service_id).where(*_browser_of(visitor_key, browser_id))
            found = connection.execute(query).scalar_one_or_none()
        return None if found is None else str(found)

    def keep_service_id(self, visitor_key: str, browser_id: str, service_id: str, *, instead_of: str | None) -> str:
        """Keep an id that the hosted service has given, unless another request was faster.

        Args:
            instead_of: What ``find_service_id`` has returned just now.

        Returns:
            The id that counts.
        """
        if instead_of is None:
            row = {"visitor_key": visitor_key, "browser_id": browser_id}
            fresh = {"service_id": service_id, "created_at": DatabaseNow()}
            self._insert(sa.insert(hosted_visitors).values(**row, **fresh))
        else:
            is_the_old_one = hosted_visitors.c.service_id == instead_of
            update = sa.update(hosted_visitors).where(*_browser_of(visitor_key, browser_id), is_the_old_one)
            self._write(update.values(service_id=service_id))
        return self.find_service_id(visitor_key, browser_id) or service_id

    def close(self) -> None:
        """Close our own connections that are not in use; the next call opens new ones."""
        for database in self._found[:1]:
            if not database.is_shared:
                database.engine.dispose()

    def _read_one(self, condition: sa.ColumnElement[bool], post_id: str | None = None) -> sa.Row[Any] | None:
        query = sa.select(chatrooms, has_no_lease.label("has_no_lease")).where(condition)
        with self._statement(post_id) as connection:
            return connection.execute(query).one_or_none()

    @_tells
    def _write(self, statement: sa.Update | sa.Delete, post_id: str | None = None) -> bool:
        """Run *statement*; tell whether it met its row."""
        return self._run(lambda connection: connection.execute(statement).rowcount > 0, post_id)

    @_tells
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

    def _insert(self, statement: sa.Insert, post_id: str | None = None) -> bool:
        """Run *statement*; tell whether the row is new."""

        def insert(connection: Connection) -> bool:
            try:
                connection.execute(statement)
            except IntegrityError:
                connection.rollback()
                return False
            return True

        return self._run(insert, post_id)

    def _run(self, work: Callable[[Connection], bool], post_id: str | None) -> bool:
        """Do *work*, one conditional statement, as often as the database asks for it."""
        for pause_s in _PAUSES_S:
            try:
                with self._statement(post_id) as connection:
                    return work(connection)
            except RegistryError as exc:
                if not self.database.is_passing(exc.__cause__):
                    raise
            # At random, lest two that are in each other's way meet again.
            self._sleep(pause_s * random.uniform(0.5, 1.5))
        with self._statement(post_id) as connection:
            return work(connection)

    @contextlib.contextmanager
    def _transaction(self, post_id: str | None = None) -> Iterator[Connection]:
        """Lend a connection for statements that count together, or not at all."""
        with self._connected(lambda database: database.engine, post_id) as connection:
            yield connection

    @contextlib.contextmanager
    def _statement(self, post_id: str | None = None) -> Iterator[Connection]:
        """Lend a connection for one statement, which the database commits by itself."""
        with self._connected(lambda database: database.committing_engine, post_id) as connection:
            yield connection

    @contextlib.contextmanager
    def _connected(self, engine_of: Callable[[Database], Engine], post_id: str | None) -> Iterator[Connection]:
        database = self.database
        try:
            self._prepare_tables(database, post_id)
            with engine_of(database).connect() as connection:
                yield connection
                connection.commit()
        except (SQLAlchemyError, UnicodeEncodeError) as exc:
            self._has_tables = False  # Look again next time: perhaps they are what is missing.
            raise RegistryError(database.explain(exc), post_id=post_id) from exc
        except database.driver_error as exc:
            database.renew_pool()
            raise RegistryError(database.explain(exc), post_id=post_id) from exc

    def _prepare_tables(self, database: Database, post_id: str | None) -> None:
        # No lock: a fork might copy it locked, and the statements bear being run by many at once.
        if self._has_tables:
            return
        if missing := _missing_tables(database):
            if not database.creates_tables:
                raise RegistryError(database.explain_missing(missing), post_id=post_id)
            try:
                with database.engine.begin() as connection:
                    for table in metadata.sorted_tables:
                        connection.execute(sa.schema.CreateTable(table, if_not_exists=True))
            except SQLAlchemyError:
                # PostgreSQL lets two IF NOT EXISTS collide; the other one's tables are as good.
                if _missing_tables(database):
                    raise
        self._has_tables = True


_record_one = (
    sa.update(chatrooms)
    .where(chatrooms.c.post_id == sa.bindparam("of_post"), chatrooms.c.claim_token == sa.bindparam("held"))
    .values(
        chatroom_id=sa.bindparam("chatroom"),
        state=sa.bindparam("new_state"),
        is_private=sa.bindparam("private"),
        updated_at=DatabaseNow(),
        **_NO_CLAIM,
    )
)


def _missing_tables(database: Database) -> list[str]:
    inspector = sa.inspect(database.engine)
    return [name for name in metadata.tables if not inspector.has_table(name, database.schema)]


def _held(claim: Claim) -> tuple[sa.ColumnElement[bool], ...]:
    """Whether *claim* is still the one in its row; if so, it counts even after its lease."""
    return (chatrooms.c.post_id == claim.post_id, chatrooms.c.claim_token == claim.token)


def _check_visitor_key(visitor_key: str) -> None:
    if not 0 < len(visitor_key) <= MAX_KEY_CHARS or "\0" in visitor_key:
        raise RegistryError(f"A visitor's key has 1 to {MAX_KEY_CHARS} characters and no NUL.")


def _browser_of(visitor_key: str, browser_id: str) -> tuple[sa.ColumnElement[bool], ...]:
    return (hosted_visitors.c.visitor_key == visitor_key, hosted_visitors.c.browser_id == browser_id)


def taken(chatroom_id: str, *, post_id: str, owner: str) -> ChatroomTakenError:
    """Return the error for a chatroom that is another post's."""
    return ChatroomTakenError(
        f"The chatroom {chatroom_id} belongs to the post {owner!r}. Unlink it there first, if it is to be that of"
        f" the post {post_id!r}.",
        post_id=post_id,
        owner=owner,
    )
