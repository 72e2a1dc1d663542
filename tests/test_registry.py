"""The registry's contract, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Engine, make_url

import flask_chatix_comments
from flask_chatix_comments import database
from flask_chatix_comments.database import Database
from flask_chatix_comments.errors import ChatroomTakenError, PostNotRegisteredError, RegistryError
from flask_chatix_comments.registry import Claim, RegistryEntry, RoomRegistry, RoomState, create_registry_engine
from tests.databases import KINDS

if TYPE_CHECKING:
    from tests.databases import DatabaseServer, DatabaseServers

pytest_plugins = ("tests.rooms_fixtures",)


def claim(registry: RoomRegistry, post_id: str = "7", *, lease_s: float = 30, **changes: Any) -> Claim:
    """Claim *post_id*, which must be free."""
    values: dict[str, Any] = {"title": "Seven", "is_private": False, "owner": "me"} | changes
    claim = registry.claim(post_id, lease_s=lease_s, **values)
    assert isinstance(claim, Claim)
    return claim


def try_to_claim(registry: RoomRegistry) -> Claim | RegistryEntry:
    return registry.claim("7", title="", is_private=False, owner="me", lease_s=30)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, database_servers: DatabaseServers, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return database_servers.fresh_url(request.param, tmp_path)


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'registry.sqlite'}"


@pytest.fixture
def other(database_url: str) -> Iterator[RoomRegistry]:
    """The registry of another process, as it were: with an engine of its own."""
    registry = RoomRegistry(create_registry_engine(database_url))
    yield registry
    registry.close()


def until(condition: Callable[[], bool], *, timeout_s: float = 60) -> None:
    """Wait for *condition*."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.12)  # MariaDB's tables of locks are made anew only when nobody has looked for 0.1 s.


@contextlib.contextmanager
def before(registry: RoomRegistry, start: str, deed: Callable[[], object], *, times: int = 1) -> Iterator[None]:
    """Do *deed* just before the next statements of *registry* that begin with *start*."""
    left = times

    def listen(conn: object, cursor: object, statement: str, *rest: object) -> None:
        nonlocal left
        if left and statement.lstrip().startswith(start):
            left -= 1
            deed()

    sa.event.listen(registry.database.engine, "before_cursor_execute", listen)
    try:
        yield
    finally:
        sa.event.remove(registry.database.engine, "before_cursor_execute", listen)
    assert not left, f"no statement began with {start!r}"


class TestClaim:
    def test_of_an_unknown_post_is_the_first(self, registry: RoomRegistry) -> None:
        assert registry.find("7") is None
        won = claim(registry, is_private=True)
        assert (won.post_id, won.title, won.is_private, won.number) == ("7", "Seven", True, 1)
        entry = registry.get("7")
        assert (entry.chatroom_id, entry.state, entry.is_private) == (None, RoomState.CREATING, True)

    def test_tells_the_time_by_the_database(self, registry: RoomRegistry) -> None:
        claim(registry)
        entry = registry.get("7")
        assert abs(entry.created_at - entry.updated_at) < timedelta(seconds=1)
        assert entry.created_at.tzinfo is UTC
        assert abs(entry.created_at - datetime.now(UTC)) < timedelta(seconds=10)

    def test_is_refused_while_another_holds_it(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        claim(registry)
        entry = other.claim("7", title="Other", is_private=True, owner="other", lease_s=30)
        assert isinstance(entry, RegistryEntry)
        assert (entry.state, entry.title, entry.is_private) == (RoomState.CREATING, "Seven", False)

    def test_is_refused_once_there_is_a_chatroom(self, registry: RoomRegistry) -> None:
        registry.record(claim(registry), "room-1")
        entry = registry.claim("7", title="Seven", is_private=False, owner="me", lease_s=30)
        assert isinstance(entry, RegistryEntry)
        assert entry.chatroom_id == "room-1"

    def test_can_be_taken_over_after_its_lease(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        first = claim(registry, lease_s=0)
        second = claim(other, title="New title")
        assert (second.number, second.title) == (2, "New title")
        assert second.token != first.token
        assert registry.get("7").title == "New title"

    def test_can_be_taken_over_after_the_clock_was_put_back(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        claim(registry)
        with registry.database.engine.begin() as connection:
            an_hour_us = 3600 * 1_000_000
            later = {name: database.chatrooms.c[name] + an_hour_us for name in ("claim_expires_at", "updated_at")}
            connection.execute(sa.update(database.chatrooms).values(later))
        assert not registry.claims(margin_s=60)[0].is_under_way
        assert claim(other).number == 2
        assert registry.claims(margin_s=60)[0].is_under_way

    def test_keeps_privacy_when_taken_over(self, registry: RoomRegistry) -> None:
        claim(registry, is_private=True, lease_s=0)
        assert claim(registry, is_private=False, lease_s=0).is_private
        assert registry.get("7").is_private

    def test_gets_private_when_taken_over(self, registry: RoomRegistry) -> None:
        claim(registry, is_private=False, lease_s=0)
        assert claim(registry, is_private=True).is_private
        assert registry.get("7").is_private

    def test_loses_to_one_that_comes_between_look_and_insert(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        registry.find("7")
        with before(registry, "INSERT INTO chatix_chatrooms", lambda: claim(other, title="Faster")):
            entry = registry.claim("7", title="Slower", is_private=False, owner="me", lease_s=30)
        assert isinstance(entry, RegistryEntry)
        assert entry.title == "Faster"

    def test_loses_to_one_that_takes_over_first(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        claim(registry, lease_s=0)
        with before(registry, "UPDATE chatix_chatrooms", lambda: claim(other, title="Faster")):
            entry = registry.claim("7", title="Slower", is_private=False, owner="me", lease_s=30)
        assert isinstance(entry, RegistryEntry)
        assert entry.title == "Faster"

    def test_gives_up_when_it_always_loses(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        claim(registry, lease_s=0)
        rival = lambda: claim(other, lease_s=0)  # noqa: E731 - a deed for `before`, in one line
        with (
            before(registry, "UPDATE chatix_chatrooms", rival, times=10),
            pytest.raises(RegistryError, match="could not be claimed") as raised,
        ):
            registry.claim("7", title="Slower", is_private=False, owner="me", lease_s=30)
        assert raised.value.post_id == "7"


class TestRecord:
    def test_registers_the_chatroom_and_ends_the_claim(self, registry: RoomRegistry) -> None:
        entry = registry.record(claim(registry), "room-1")
        assert entry == registry.get("7")
        assert (entry.chatroom_id, entry.state, entry.is_private) == ("room-1", RoomState.OPEN, False)
        assert entry.updated_at >= entry.created_at
        with registry.database.engine.connect() as connection:
            row = connection.execute(sa.select(database.chatrooms)).one()
        assert (row.claim_token, row.claim_owner, row.claim_expires_at) == (None, None, None)

    def test_takes_state_and_privacy_of_an_adopted_one(self, registry: RoomRegistry) -> None:
        entry = registry.record(claim(registry), "room-1", state=RoomState.DELETED, is_private=True)
        assert (entry.state, entry.is_private) == (RoomState.DELETED, True)

    def test_counts_after_the_lease_while_nobody_took_over(self, registry: RoomRegistry) -> None:
        assert registry.record(claim(registry, lease_s=0), "room-1").chatroom_id == "room-1"

    def test_never_overwrites_a_claim_that_took_over(self, registry: RoomRegistry) -> None:
        slow = claim(registry, lease_s=0)
        fast = claim(registry)
        assert registry.record(slow, "room-1").chatroom_id is None
        assert registry.record(fast, "room-2").chatroom_id == "room-2"
        assert registry.record(slow, "room-1").chatroom_id == "room-2"

    def test_refuses_a_chatroom_of_another_post(self, registry: RoomRegistry) -> None:
        registry.record(claim(registry, "7"), "room-1")
        with pytest.raises(ChatroomTakenError, match="belongs to the post '7'. Unlink it there first") as raised:
            registry.record(claim(registry, "8"), "room-1")
        assert (raised.value.post_id, raised.value.owner) == ("8", "7")
        assert isinstance(raised.value.__cause__, sa.exc.IntegrityError)
        assert registry.get("8").chatroom_id is None

    def test_says_when_the_row_is_gone(self, registry: RoomRegistry) -> None:
        won = claim(registry)
        registry.release(won, room_may_exist=False)
        with pytest.raises(PostNotRegisteredError):
            registry.record(won, "room-1")


def link(registry: RoomRegistry, post_id: str = "7", chatroom_id: str = "room-1", **changes: Any) -> RegistryEntry:
    values: dict[str, Any] = {"title": "Linked", "is_private": False, "state": RoomState.OPEN} | changes
    return registry.link(post_id, chatroom_id, **values)


def claim_columns(registry: RoomRegistry) -> Any:
    with registry.database.engine.connect() as connection:
        row = connection.execute(sa.select(database.chatrooms)).one()
    return (row.claim_token, row.claim_owner, row.claim_expires_at)


class TestLink:
    def test_registers_a_chatroom_for_a_post_without(self, registry: RoomRegistry) -> None:
        entry = link(registry, is_private=True, state=RoomState.CLOSED)
        assert entry == registry.get("7") == registry.find_chatroom("room-1")
        assert (entry.chatroom_id, entry.title, entry.is_private, entry.state) == (
            "room-1",
            "Linked",
            True,
            RoomState.CLOSED,
        )
        assert abs(entry.created_at - datetime.now(UTC)) < timedelta(seconds=10)
        assert claim_columns(registry) == (None, None, None)
        again = registry.claim("7", title="", is_private=False, owner="me", lease_s=30)
        assert again == entry

    def test_takes_over_a_claim_whose_lease_has_ended(self, registry: RoomRegistry) -> None:
        slow = claim(registry, is_private=True, lease_s=0)
        entry = link(registry)
        assert (entry.chatroom_id, entry.title, entry.is_private) == ("room-1", "Linked", False)
        assert claim_columns(registry) == (None, None, None)
        assert registry.record(slow, "room-2").chatroom_id == "room-1"

    def test_writes_nothing_while_somebody_creates_one(self, registry: RoomRegistry) -> None:
        held = claim(registry)
        entry = link(registry)
        assert (entry.chatroom_id, entry.title, entry.state) == (None, "Seven", RoomState.CREATING)
        assert registry.record(held, "room-2").chatroom_id == "room-2"

    def test_writes_nothing_where_there_is_one(self, registry: RoomRegistry) -> None:
        registry.record(claim(registry), "room-2")
        assert link(registry) == registry.get("7")
        assert (registry.get("7").chatroom_id, registry.get("7").title) == ("room-2", "Seven")
        assert registry.find_chatroom("room-1") is None

    def test_again_changes_nothing(self, registry: RoomRegistry) -> None:
        entry = link(registry)
        assert link(registry, title="Other", state=RoomState.CLOSED) == entry

    @pytest.mark.parametrize("is_claimed", [False, True])
    def test_refuses_a_chatroom_of_another_post(self, registry: RoomRegistry, is_claimed: bool) -> None:
        link(registry, "7")
        if is_claimed:
            claim(registry, "8", lease_s=0)
        with pytest.raises(ChatroomTakenError) as raised:
            link(registry, "8")
        assert (raised.value.post_id, raised.value.owner) == ("8", "7")
        assert (registry.find("8") is not None) == is_claimed
        assert link(registry, "8", "room-2").chatroom_id == "room-2"

    def test_loses_to_a_claim_that_comes_between(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        registry.find("7")
        with before(registry, "INSERT INTO chatix_chatrooms", lambda: claim(other)):
            assert link(registry).chatroom_id is None

    def test_loses_to_the_same_link_that_comes_between(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        registry.find("7")
        with before(registry, "INSERT INTO chatix_chatrooms", lambda: link(other, title="Faster")):
            assert link(registry).title == "Faster"


class TestUnlink:
    def test_forgets_the_chatroom_and_nothing_else(self, registry: RoomRegistry) -> None:
        entry, other = link(registry), link(registry, "8", "room-2")
        assert registry.unlink(entry)
        assert registry.find("7") is None
        assert registry.entries() == [other]
        assert not registry.unlink(entry)
        assert link(registry, "9").chatroom_id == "room-1"

    def test_leaves_what_has_changed_meanwhile(self, registry: RoomRegistry) -> None:
        entry = link(registry)
        registry.unlink(entry)
        link(registry, chatroom_id="room-2")
        assert not registry.unlink(entry)
        entry = registry.get("7")
        registry.update("7", state=RoomState.CLOSED)
        assert not registry.unlink(entry)
        assert registry.get("7").chatroom_id == "room-2"


class TestRelease:
    def test_of_a_first_claim_leaves_nothing(self, registry: RoomRegistry) -> None:
        registry.release(claim(registry), room_may_exist=False)
        assert registry.find("7") is None
        assert claim(registry).number == 1

    def test_tells_the_next_one_to_look_for_a_chatroom(self, registry: RoomRegistry) -> None:
        registry.release(claim(registry), room_may_exist=True)
        assert registry.get("7").state is RoomState.CREATING
        assert claim(registry).number == 2

    def test_of_a_later_claim_keeps_what_the_first_may_have_left(self, registry: RoomRegistry) -> None:
        claim(registry, lease_s=0)
        registry.release(claim(registry), room_may_exist=False)
        assert claim(registry).number == 3

    @pytest.mark.parametrize("room_may_exist", [True, False])
    def test_of_a_lost_claim_does_nothing(self, registry: RoomRegistry, room_may_exist: bool) -> None:
        lost = claim(registry, lease_s=0)
        held = claim(registry)
        registry.release(lost, room_may_exist=room_may_exist)
        assert isinstance(registry.claim("7", title="", is_private=False, owner="", lease_s=30), RegistryEntry)
        assert registry.record(held, "room-1").chatroom_id == "room-1"


class TestUpdate:
    def test_changes_what_is_given(self, registry: RoomRegistry) -> None:
        registry.record(claim(registry), "room-1")
        assert registry.update("7", title="New").title == "New"
        entry = registry.update("7", is_private=True, state=RoomState.CLOSED)
        assert (entry.title, entry.is_private, entry.state) == ("New", True, RoomState.CLOSED)
        assert registry.update("7", is_private=False).is_private is False

    def test_needs_a_chatroom(self, registry: RoomRegistry) -> None:
        with pytest.raises(PostNotRegisteredError):
            registry.update("7", title="New")
        claim(registry)
        with pytest.raises(PostNotRegisteredError, match="no chatroom yet"):
            registry.update("7", state=RoomState.OPEN)

    def test_can_be_made_to_depend_on_what_was_seen(self, registry: RoomRegistry) -> None:
        seen = link(registry)
        closed = registry.update("7", state=RoomState.CLOSED, expected=seen)
        assert closed.state is RoomState.CLOSED
        with pytest.raises(RegistryError, match="by somebody else at the same moment. Try again") as raised:
            registry.update("7", state=RoomState.DELETED, expected=seen)
        assert raised.value.post_id == "7"
        assert registry.get("7").state is RoomState.CLOSED
        registry.unlink(closed)
        with pytest.raises(PostNotRegisteredError):
            registry.update("7", state=RoomState.OPEN, expected=closed)
        link(registry, chatroom_id="room-2", state=RoomState.CLOSED)
        with pytest.raises(RegistryError, match="at the same moment"):
            registry.update("7", state=RoomState.OPEN, expected=closed)

    def test_needs_a_chatroom_of_what_was_seen_too(self, registry: RoomRegistry) -> None:
        held = claim(registry)
        seen = registry.get("7")
        with pytest.raises(PostNotRegisteredError, match="no chatroom yet"):
            registry.update("7", state=RoomState.OPEN, expected=seen)
        assert not registry.unlink(seen)
        assert not registry.vacate(seen)
        assert not registry.rename(seen, "8")
        assert registry.record(held, "room-1").chatroom_id == "room-1"

    def test_cannot_go_back_to_creating(self, registry: RoomRegistry) -> None:
        with pytest.raises(ValueError, match="CREATING"):
            registry.update("7", state=RoomState.CREATING)


HOSTILE_IDS = [
    "a",
    "A",
    "á",
    "a\u0301",
    "a ",
    " a",
    "ß",
    "ss",
    "ı",
    "i",
    "İ",
    "7",
    "07",
    "😀",
    "'; --",
    "%",
    "_",
    "\ufffd",
]


@pytest.fixture(params=["postgresql", "mariadb"])
def server(request: pytest.FixtureRequest, database_servers: DatabaseServers) -> DatabaseServer:
    """A database server, for what SQLite has none of."""
    return database_servers.get(request.param)


class TestInterference:
    """What a database does to a statement, though there is nothing wrong with it."""

    @pytest.fixture
    def server_url(self, server: DatabaseServer) -> str:
        return server.fresh_url()

    @pytest.fixture
    def one(self, server_url: str) -> Iterator[RoomRegistry]:
        registry = RoomRegistry(create_registry_engine(server_url))
        yield registry
        registry.close()

    @pytest.fixture
    def two(self, server_url: str) -> Iterator[RoomRegistry]:
        registry = RoomRegistry(create_registry_engine(server_url))
        yield registry
        registry.close()

    def test_of_two_that_wait_for_a_third_one_gets_the_claim(
        self, server: DatabaseServer, server_url: str, one: RoomRegistry, two: RoomRegistry
    ) -> None:
        """MariaDB gives both a shared lock when the third goes: a deadlock."""
        one.find("7"), two.find("7")
        engine = sa.create_engine(server_url)
        with ThreadPoolExecutor(2) as threads, engine.connect() as third:
            row = {"post_id": "7", "title": "", "is_private": False, "state": "creating", "claim_number": 1}
            third.execute(sa.insert(database.chatrooms).values(**row, created_at=0, updated_at=0))
            try:
                taken = [threads.submit(try_to_claim, registry) for registry in (one, two)]
                until(lambda: server.count_waiting() == 2)
            finally:
                third.rollback()
            outcomes = [future.result(60) for future in taken]
        engine.dispose()
        assert sorted(isinstance(outcome, Claim) for outcome in outcomes) == [False, True]

    def test_a_connection_that_is_lost_is_opened_again(self, server: DatabaseServer, one: RoomRegistry) -> None:
        for start, deed in (
            ("INSERT", lambda: claim(one)),
            ("UPDATE", lambda: link(one, "8")),
            ("DELETE", lambda: one.unlink(one.get("8"))),
        ):
            with before(one, f"{start}", server.drop_connections):
                deed()
        assert [entry.post_id for entry in one.entries()] == ["7"]

    def test_one_that_is_lost_when_it_is_given_back(
        self, server: DatabaseServer, server_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        engine = create_registry_engine(server_url)
        registry = RoomRegistry(engine)
        registry.find("7")
        roll_back, left = engine.dialect.do_rollback, [1]

        def roll_back_and_drop(connection: Any) -> None:
            roll_back(connection)
            if left:
                left.pop()
                server.drop_connections()

        monkeypatch.setattr(engine.dialect, "do_rollback", roll_back_and_drop)
        # More often than the pool has places.
        for number in range(16):
            left[:] = [1]
            assert link(registry, str(number), f"room-{number}").chatroom_id == f"room-{number}"
        registry.close()

    def test_it_is_not_tried_for_ever(self, server: DatabaseServer, server_url: str) -> None:
        pauses: list[float] = []
        registry = RoomRegistry(create_registry_engine(server_url), sleep=pauses.append)
        registry.find("7")
        with before(registry, "INSERT", server.drop_connections, times=7), pytest.raises(RegistryError, match="runs"):
            claim(registry)
        assert len(pauses) == 6 and sum(pauses) < 2
        registry.close()

    def test_a_row_that_somebody_holds_is_waited_for(
        self, server: DatabaseServer, server_url: str, one: RoomRegistry
    ) -> None:
        held = claim(one)
        engine = sa.create_engine(server_url)
        with ThreadPoolExecutor(1) as threads, engine.connect() as somebody:
            try:
                somebody.execute(sa.update(database.chatrooms).values(title="Held"))
                recorded = threads.submit(one.record, held, "room-1")
                until(lambda: server.count_waiting() == 1)
                assert not recorded.done()
            finally:
                somebody.commit()
            assert (recorded.result(60).chatroom_id, recorded.result().title) == ("room-1", "Held")
        engine.dispose()

    def test_nobody_who_stands_still_holds_a_row(self, one: RoomRegistry, two: RoomRegistry) -> None:
        """Between statement and answer the database has committed it already."""
        two.find("7")
        seen: list[RegistryEntry | None] = []

        def stand_still(conn: object, cursor: object, statement: str, *rest: object) -> None:
            if statement.startswith(("INSERT", "UPDATE")):
                seen.append(two.find("7"))
                assert two.claim("7", title="", is_private=False, owner="two", lease_s=0) == seen[-1]

        sa.event.listen(one.database.engine, "after_cursor_execute", stand_still)
        one.record(claim(one), "room-1")
        sa.event.remove(one.database.engine, "after_cursor_execute", stand_still)
        assert [entry and entry.chatroom_id for entry in seen] == [None, "room-1"]

    def test_a_replica_is_told_apart(self, server: DatabaseServer, server_url: str, one: RoomRegistry) -> None:
        one.find("7")
        replica = RoomRegistry(create_registry_engine(server.read_only(server_url)), sleep=lambda _: None)
        assert replica.find("7") is None
        with pytest.raises(RegistryError, match="claimed on the primary: see that CHATIX_DATABASE_URL") as raised:
            claim(replica)
        assert server.password not in str(raised.value)
        replica.close()

    def test_a_replica_that_was_the_primary_is_left(
        self, server: DatabaseServer, server_url: str, one: RoomRegistry
    ) -> None:
        """As after a failover: the connection that is open leads to the old primary, a new one to the new."""
        one.find("7")
        with one.database.engine.connect() as connection:
            connection.exec_driver_sql(server.make_read_only)
            connection.commit()
        assert claim(one).number == 1


class DriverError(Exception):
    """An error as PyMySQL raises it: with a number, and a SQLSTATE that may say nothing."""

    def __init__(self, number: int, sqlstate: str) -> None:
        super().__init__(number, "What it says")
        self.sqlstate = sqlstate


@pytest.mark.parametrize(
    ("number", "sqlstate", "is_passing"), [(1290, "HY000", False), (1792, "25006", False), (1020, "HY000", True)]
)
def test_errors_of_mariadb_are_known_by_their_numbers(number: int, sqlstate: str, is_passing: bool) -> None:
    error = sa.exc.OperationalError("INSERT", None, DriverError(number, sqlstate))
    known = Database(sa.create_engine("mariadb+pymysql://db.invalid/blog"))
    assert known.is_passing(error) is is_passing
    assert ("claimed on the primary" in known.explain(error)) is not is_passing


class TestLostAnswers:
    """The database has done it, and the connection ends before we learn so."""

    @pytest.fixture
    def lose_answer(self, registry: RoomRegistry) -> Iterator[None]:
        registry.find("7")
        left = 1

        def lose(conn: object, cursor: object, statement: str, *rest: object) -> None:
            nonlocal left
            if left and statement.startswith(("INSERT", "UPDATE", "DELETE")):
                left = 0
                if registry.database.engine.dialect.name == "sqlite":
                    cursor.connection.commit()  # type: ignore[attr-defined] # sqlite3's
                raise sa.exc.OperationalError(statement, None, Exception("gone"), connection_invalidated=True)

        sa.event.listen(registry.database.engine, "after_cursor_execute", lose)
        yield
        sa.event.remove(registry.database.engine, "after_cursor_execute", lose)
        assert not left

    def test_to_a_first_claim(self, registry: RoomRegistry, lose_answer: None) -> None:
        won = claim(registry, is_private=True)
        assert (won.post_id, won.title, won.is_private, won.number) == ("7", "Seven", True, 1)
        assert registry.record(won, "room-1").chatroom_id == "room-1"

    def test_to_a_claim_that_takes_over(self, registry: RoomRegistry, other: RoomRegistry, lose_answer: None) -> None:
        claim(other, lease_s=0)
        won = claim(registry)
        assert won.number == 2
        assert registry.record(won, "room-1").chatroom_id == "room-1"

    def test_to_the_record(self, registry: RoomRegistry, other: RoomRegistry, lose_answer: None) -> None:
        assert registry.record(claim(other), "room-1").chatroom_id == "room-1"

    def test_to_a_link(self, registry: RoomRegistry, lose_answer: None) -> None:
        assert link(registry).chatroom_id == "room-1"


class TestLookup:
    def test_of_an_unknown_post(self, registry: RoomRegistry) -> None:
        assert registry.find("x") is None
        assert registry.find_chatroom("x") is None
        with pytest.raises(PostNotRegisteredError) as raised:
            registry.get("x")
        assert raised.value.post_id == "x"

    def test_compares_ids_byte_for_byte(self, registry: RoomRegistry) -> None:
        for post_id in HOSTILE_IDS:
            registry.record(claim(registry, post_id), f"room of {post_id}")
        assert [registry.get(post_id).chatroom_id for post_id in HOSTILE_IDS] == [f"room of {id}" for id in HOSTILE_IDS]
        for post_id in HOSTILE_IDS:
            found = registry.find_chatroom(f"room of {post_id}")
            assert found and found.post_id == post_id
        assert [entry.post_id for entry in registry.entries()] == sorted(HOSTILE_IDS)

    def test_keeps_the_longest_id_and_title(self, registry: RoomRegistry) -> None:
        long = "😀" * 255
        registry.record(claim(registry, long, title=long), "room-1")
        assert (registry.get(long).post_id, registry.get(long).title) == (long, long)

    def test_pages_through_all(self, registry: RoomRegistry) -> None:
        assert registry.entries() == []
        for number in range(5):
            claim(registry, str(number))
        first = registry.entries(limit=2)
        assert [entry.post_id for entry in first] == ["0", "1"]
        assert [entry.post_id for entry in registry.entries(after="1", limit=2)] == ["2", "3"]
        assert [entry.post_id for entry in registry.entries(after="3", limit=2)] == ["4"]
        assert registry.entries(after="4") == []


class TestVisitorIds:
    def test_are_made_once(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        visitor_id = registry.visitor_id_for("ann@example.com")
        assert other.visitor_id_for("ann@example.com") == visitor_id
        assert registry.visitor_id_for("Ann@example.com") != visitor_id
        assert "ann" not in visitor_id and len(visitor_id) == 32

    def test_agree_when_two_come_at_once(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        found: list[str] = []
        with before(registry, "INSERT INTO chatix_visitors", lambda: found.append(other.visitor_id_for("u"))):
            assert registry.visitor_id_for("u") == found[0]

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "\ud800"])
    def test_refuse_keys_that_cannot_be_kept(self, registry: RoomRegistry, key: str) -> None:
        with pytest.raises(RegistryError):
            registry.visitor_id_for(key)


class TestServiceIds:
    def test_are_kept_for_each_user_and_browser(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        assert registry.find_service_id("7", "laptop") is None
        assert registry.keep_service_id("7", "laptop", "a", instead_of=None) == "a"
        assert registry.keep_service_id("7", "phone", "b", instead_of=None) == "b"
        assert registry.keep_service_id("8", "laptop", "c", instead_of=None) == "c"
        assert [other.find_service_id(*row) for row in (("7", "laptop"), ("7", "phone"), ("8", "phone"))] == [
            "a",
            "b",
            None,
        ]

    def test_agree_when_two_come_at_once(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        with before(
            registry,
            "INSERT INTO chatix_hosted_visitors",
            lambda: other.keep_service_id("7", "laptop", "theirs", instead_of=None),
        ):
            assert registry.keep_service_id("7", "laptop", "mine", instead_of=None) == "theirs"

    def test_one_that_was_refused_is_replaced_once(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        registry.keep_service_id("7", "laptop", "old", instead_of=None)
        with before(
            registry,
            "UPDATE chatix_hosted_visitors",
            lambda: other.keep_service_id("7", "laptop", "theirs", instead_of="old"),
        ):
            assert registry.keep_service_id("7", "laptop", "mine", instead_of="old") == "theirs"
        assert registry.keep_service_id("7", "laptop", "x" * 2000, instead_of="theirs") == "x" * 2000

    @pytest.mark.parametrize("key", ["", "x" * 256, "a\0b", "\ud800"])
    def test_refuse_keys_that_cannot_be_kept(self, registry: RoomRegistry, key: str) -> None:
        with pytest.raises(RegistryError):
            registry.find_service_id(key, "laptop")

    def test_a_registry_of_before_gets_the_table(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        claim(registry)
        database.hosted_visitors.drop(registry.database.engine)
        assert other.find_service_id("7", "laptop") is None
        assert other.find("7") is not None


class TestTables:
    def test_are_made_by_whoever_comes_first(self, registry: RoomRegistry, other: RoomRegistry) -> None:
        def lose_the_race() -> None:
            assert other.find("7") is None
            raise sa.exc.ProgrammingError("CREATE TABLE", None, Exception("duplicate key in pg_type"))

        with before(registry, "CREATE TABLE", lose_the_race):
            assert registry.find("7") is None
        claim(registry)

    def test_are_made_again_after_they_were_dropped(self, registry: RoomRegistry) -> None:
        claim(registry)
        database.metadata.drop_all(registry.database.engine)
        with pytest.raises(RegistryError, match="chatix_chatrooms"):
            registry.find("7")
        assert registry.find("7") is None

    @pytest.mark.parametrize("url", ["mysql://", "mariadb://"])
    def test_hold_bytes_where_collations_fold(self, url: str) -> None:
        dialect = make_url(url).get_dialect()()
        text = database.ExactText(255)
        assert str(text.dialect_impl(dialect).compile(dialect=dialect)) == "VARBINARY(1020)"
        assert text.process_bind_param("é ", dialect) == b"\xc3\xa9 "
        assert text.process_result_value(b"\xc3\xa9 ", dialect) == "é "
        assert text.process_bind_param(None, dialect) is None
        assert text.process_result_value(None, dialect) is None
        ddl = str(sa.schema.CreateTable(database.chatrooms).compile(dialect=dialect))
        assert "ENGINE=InnoDB" in ddl and "CHARSET=utf8mb4" in ddl

    @pytest.mark.parametrize(
        ("url", "clock"),
        [
            ("postgresql://", "clock_timestamp()"),
            ("mysql://", "UTC_TIMESTAMP(6)"),
            ("mariadb://", "UTC_TIMESTAMP(6)"),
            ("sqlite://", "julianday('now')"),
        ],
    )
    def test_ask_the_database_for_the_time(self, url: str, clock: str) -> None:
        dialect = make_url(url).get_dialect()()
        assert clock in str(sa.select(database.DatabaseNow()).compile(dialect=dialect))

    def test_compare_exactly_on_postgresql(self) -> None:
        dialect = make_url("postgresql://").get_dialect()()
        assert 'post_id VARCHAR(255) COLLATE "C" NOT NULL' in str(
            sa.schema.CreateTable(database.chatrooms).compile(dialect=dialect)
        )


@pytest.mark.skipif(os.name != "posix", reason="the rights of files are those of POSIX")
class TestFiles:
    def test_are_their_owners_only(self, tmp_path: Path) -> None:
        registry = RoomRegistry(create_registry_engine(f"sqlite:///{tmp_path / 'new' / 'registry.sqlite'}"))
        registry.entries()
        modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "new").iterdir()}
        registry.close()
        assert modes == {"registry.sqlite": 0o600, "registry.sqlite-wal": 0o600, "registry.sqlite-shm": 0o600}

    def test_that_exist_keep_their_rights(self, tmp_path: Path) -> None:
        file = tmp_path / "registry.sqlite"
        file.touch()
        file.chmod(0o640)
        registry = RoomRegistry(create_registry_engine(f"sqlite:///{file}"))
        registry.entries()
        registry.close()
        assert file.stat().st_mode & 0o777 == 0o640


class TestFailures:
    def test_name_the_file_and_the_remedy(self, tmp_path: Path) -> None:
        registry = RoomRegistry(create_registry_engine(f"sqlite:///{tmp_path}"))
        with pytest.raises(RegistryError, match="CHATIX_DATABASE_URL") as raised:
            registry.find("7")
        assert str(tmp_path) in str(raised.value)
        assert raised.value.post_id == "7"

    def test_of_a_database_that_cannot_be_written(self, tmp_path: Path) -> None:
        file = tmp_path / "read-only.sqlite"
        file.touch()
        registry = RoomRegistry(create_registry_engine(f"sqlite:///file:{file}?mode=ro&uri=true"))
        with pytest.raises(RegistryError, match="readonly database"):
            registry.entries()
        registry.close()

    def test_of_a_server_never_show_the_password(self) -> None:
        engine = sa.create_engine("sqlite://")
        engine.url = make_url("postgresql://me:hidden@db.test/blog")
        engine.dialect.name = "postgresql"
        text = Database(engine).explain(sa.exc.OperationalError("SELECT 1", None, Exception("no route\nDETAIL: x")))
        assert text.startswith("The room registry in db.test/blog failed: no route. Check")
        assert "hidden" not in text
        assert "OperationalError" in Database(engine).explain(sa.exc.OperationalError("", None, Exception("")))

    @pytest.mark.parametrize(
        "url", ["", "no url", "nosuch://host/db", "postgresql://u:hid:den@h:hidden/db", "mysql+nosuch://u:hidden@h/d"]
    )
    def test_of_a_url_that_cannot_be_used(self, url: str) -> None:
        with pytest.raises(RegistryError, match="CHATIX_DATABASE_URL") as raised:
            create_registry_engine(url)
        assert "hidden" not in str(raised.value)

    def test_of_a_driver_that_is_not_installed(self) -> None:
        with pytest.raises(RegistryError, match="No module named"):
            create_registry_engine("mssql+pymssql://u:hidden@h/d")

    def test_of_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RegistryError, match="folder must be writable"):
            create_registry_engine(f"sqlite:///{tmp_path}/file/registry.sqlite")

    def test_of_a_database_that_we_do_not_know(self) -> None:
        engine = sa.create_engine("sqlite://")
        engine.dialect.name = "oracle"
        with pytest.raises(RegistryError, match="not in oracle"):
            Database(engine)


class TestEngine:
    def test_of_a_file_is_prepared(self, file_url: str) -> None:
        engine = create_registry_engine(file_url)
        assert [pragma(engine, name) for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")] == [
            "wal",
            2,
            1,
            10_000,
        ]
        engine.dispose()

    def test_in_memory_is_one_database_for_all_threads(self) -> None:
        registry = RoomRegistry(create_registry_engine("sqlite://"))
        with ThreadPoolExecutor(4) as threads:
            ids = set(threads.map(lambda _: registry.visitor_id_for("u"), range(20)))
        assert len(ids) == 1
        registry.close()

    def test_of_a_server_checks_its_connections(self, server: DatabaseServer) -> None:
        engine = create_registry_engine(server.fresh_url())
        with engine.connect() as connection:
            assert connection.get_isolation_level() == "READ COMMITTED"
        server.drop_connections()
        with engine.connect() as connection:
            assert connection.exec_driver_sql("SELECT 1").scalar_one() == 1
        engine.dispose()

    def test_leaves_inherited_connections_alone(self, file_url: str) -> None:
        engine = create_registry_engine(file_url)
        with engine.connect() as connection:
            inherited: Any = connection.connection.dbapi_connection
        database._abandon_connections()
        with engine.connect() as connection:
            assert connection.connection.dbapi_connection is not inherited
        assert inherited.execute("SELECT 1").fetchone() == (1,)
        inherited.close()
        engine.dispose()


def pragma(engine: Engine, name: str) -> object:
    with engine.connect() as connection:
        return connection.exec_driver_sql(f"PRAGMA {name}").scalar_one()


def test_threads_win_each_post_once(registry: RoomRegistry) -> None:
    posts = [str(number) for number in range(20)]

    def claim_all(owner: int) -> list[str]:
        mine = (registry.claim(post, title="", is_private=False, owner=str(owner), lease_s=30) for post in posts)
        return [claim.post_id for claim in mine if isinstance(claim, Claim)]

    with ThreadPoolExecutor(8) as threads:
        won = [post_id for posts in threads.map(claim_all, range(8)) for post_id in posts]
    assert sorted(won) == sorted(posts)


def test_threads_give_a_chatroom_to_one_post(registry: RoomRegistry) -> None:
    """Posts that have a row, posts that have none, all at once, again and again."""
    for round in range(10):
        for number in range(0, 8, 2):
            claim(registry, f"{round}-{number}", lease_s=0)
        together = threading.Barrier(8)

        def try_to_link(number: int, round: int = round, together: threading.Barrier = together) -> str | None:
            together.wait(10)
            try:
                return link(registry, f"{round}-{number}", f"room-{round}").post_id
            except ChatroomTakenError as exc:
                return f"not {exc.owner}"

        with ThreadPoolExecutor(8) as threads:
            outcomes = list(threads.map(try_to_link, range(8)))
        (winner,) = [outcome for outcome in outcomes if outcome and not outcome.startswith("not ")]
        assert outcomes.count(f"not {winner}") == 7
        owner = registry.find_chatroom(f"room-{round}")
        assert owner is not None and owner.post_id == winner


def test_threads_that_link_claim_and_unlink_one_post_leave_one_chatroom_or_none(registry: RoomRegistry) -> None:
    together = threading.Barrier(8)

    def work(number: int) -> None:
        together.wait(10)
        for turn in range(10):
            room = f"room-{number}-{turn}"
            won = registry.claim("7", title="", is_private=False, owner=room, lease_s=0)
            entry = registry.record(won, room) if isinstance(won, Claim) and number % 2 else link(registry, "7", room)
            if number == 0:
                registry.unlink(entry)

    def patiently(number: int) -> None:
        # Whoever loses its row to an unlink is told so, and nothing else goes wrong.
        with contextlib.suppress(PostNotRegisteredError):
            work(number)

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(patiently, range(8)))
    assert len(registry.entries()) <= 1
    assert link(registry, "8", "room-of-another").chatroom_id == "room-of-another"


CLAIM_ALL = """
import sys
from flask_chatix_comments.registry import Claim, RoomRegistry, create_registry_engine
print("ready", flush=True)
sys.stdin.readline()
registry = RoomRegistry(create_registry_engine(sys.argv[1]))
for number in range(30):
    claim = registry.claim(str(number), title="", is_private=False, owner=sys.argv[2], lease_s=30)
    if isinstance(claim, Claim):
        registry.record(claim, f"room {claim.post_id} of {sys.argv[2]}")
        print(claim.post_id)
registry.visitor_id_for("u")
registry.close()
"""


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Start Python on *code*, with this very package."""
    here = str(Path(flask_chatix_comments.__file__).parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([here, *filter(None, [os.environ.get("PYTHONPATH")])])}
    command = [sys.executable, "-W", "error", "-c", code, *arguments]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


def test_processes_win_each_post_once_in_a_new_database(database_url: str, registry: RoomRegistry) -> None:
    processes = [start(CLAIM_ALL, database_url, str(number)) for number in range(4)]
    for process in processes:
        assert process.stdout and process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    won = [line for process in processes for line in process.communicate(timeout=60)[0].split()]
    assert [process.returncode for process in processes] == [0] * 4
    assert sorted(won, key=int) == [str(number) for number in range(30)]
    assert {entry.chatroom_id is None for entry in registry.entries()} == {False}


FORK = """
import os, sys
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
engine = create_registry_engine(sys.argv[1])
registry = RoomRegistry(engine)
mine = registry.visitor_id_for("u")
with engine.connect() as connection:
    inherited = connection.connection.dbapi_connection
child = os.fork()
with engine.connect() as connection:
    is_same = connection.connection.dbapi_connection is inherited
if not child:
    assert not is_same and registry.visitor_id_for("u") == mine
    registry.visitor_id_for("of the child")
    os._exit(0)
assert is_same
assert os.waitpid(child, 0)[1] == 0
registry.visitor_id_for("of the child")
registry.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="Windows does not fork")
def test_a_forked_process_opens_connections_of_its_own(database_url: str) -> None:
    process = start(FORK, database_url)
    process.communicate(timeout=60)
    assert process.returncode == 0


ENDING = """
import sys, threading
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
is_used = threading.Event()
def serve():
    registry = RoomRegistry(create_registry_engine(sys.argv[1]))
    registry.visitor_id_for("u")
    is_used.set()
    threading.Event().wait(60)
# As the reloader's child does, whose main thread only looks for changes.
threading.Thread(target=serve, daemon=True).start()
assert is_used.wait(30)
"""


def test_a_process_that_ends_leaves_the_whole_registry_in_its_file(file_url: str) -> None:
    process = start(ENDING, file_url)
    process.communicate(timeout=60)
    assert process.returncode == 0
    file = Path(str(make_url(file_url).database))
    assert not file.with_name(f"{file.name}-wal").exists()
