"""The registry's contract for many posts at once and for two that change places, on SQLite, PostgreSQL and MariaDB."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments import database
from flask_chatix_comments.errors import RegistryError
from flask_chatix_comments.registry import Claim, RegistryEntry, RoomRegistry, RoomState, create_registry_engine
from tests.databases import KINDS, Kind

if TYPE_CHECKING:
    from tests.databases import DatabaseServers

pytest_plugins = ("tests.rooms_fixtures",)


@pytest.fixture(params=KINDS)
def database_url(request: pytest.FixtureRequest, database_servers: DatabaseServers, tmp_path: Path) -> str:
    """An empty database of each kind."""
    return database_servers.fresh_url(request.param, tmp_path)


@pytest.fixture
def other(database_url: str) -> Iterator[RoomRegistry]:
    """The registry of another process, as it were."""
    registry = RoomRegistry(create_registry_engine(database_url))
    yield registry
    registry.close()


def states(registry: RoomRegistry) -> dict[str, RoomState]:
    return {entry.post_id: entry.state for entry in registry.entries()}


def link(registry: RoomRegistry, post_id: str) -> RegistryEntry:
    return registry.link(post_id, f"room of {post_id}", title="", is_private=False, state=RoomState.OPEN)


WANTED = [("b", "Bee", True), ("a", "Ay", False)]


def test_claims_what_is_free(registry: RoomRegistry, other: RoomRegistry) -> None:
    theirs = other.claim("a", title="", is_private=False, owner="they", lease_s=30)
    claims = registry.claim_many(WANTED, owner="we", lease_s=30)
    assert [(claim.post_id, claim.title, claim.is_private, claim.number) for claim in claims] == [("b", "Bee", True, 1)]
    assert isinstance(theirs, Claim)
    assert other.record(theirs, "room of a").chatroom_id == "room of a"
    assert registry.claim_many(WANTED, owner="we", lease_s=30) == []


def test_claims_have_a_lease(registry: RoomRegistry, other: RoomRegistry) -> None:
    registry.claim_many(WANTED, owner="we", lease_s=30)
    assert not isinstance(other.claim("a", title="", is_private=False, owner="they", lease_s=30), Claim)
    registry.claim_many([("c", "", False)], owner="we", lease_s=0)
    taken = other.claim("c", title="", is_private=False, owner="they", lease_s=30)
    assert isinstance(taken, Claim)
    assert taken.number == 2


def test_records_what_is_still_claimed(registry: RoomRegistry, other: RoomRegistry) -> None:
    claims = registry.claim_many([*WANTED, ("c", "", False), ("d", "", False)], owner="we", lease_s=0)
    lost = other.claim("c", title="", is_private=False, owner="they", lease_s=30)
    assert isinstance(lost, Claim)
    other.record(lost, "their room")
    other.release(claims[3], room_may_exist=False)
    records = [(claim, f"room of {claim.post_id}", RoomState.OPEN, claim.is_private) for claim in claims]
    entries = registry.record_many([*records[:2], (claims[2], "too late", RoomState.OPEN, False), records[3]])
    found = [entry and (entry.post_id, entry.chatroom_id, entry.state, entry.is_private) for entry in entries]
    assert found == [
        ("a", "room of a", RoomState.OPEN, False),
        ("b", "room of b", RoomState.OPEN, True),
        ("c", "their room", RoomState.OPEN, False),
        None,
    ]
    # The claims are over.
    assert registry.update("a", state=RoomState.CLOSED).state is RoomState.CLOSED


def test_records_all_or_nothing(registry: RoomRegistry, other: RoomRegistry) -> None:
    other.link("x", "room of b", title="", is_private=False, state=RoomState.OPEN)
    claims = registry.claim_many(WANTED, owner="we", lease_s=30)
    with pytest.raises(RegistryError):
        registry.record_many([(claim, f"room of {claim.post_id}", RoomState.OPEN, False) for claim in claims])
    assert states(registry) == {"a": RoomState.CREATING, "b": RoomState.CREATING, "x": RoomState.OPEN}


def test_threads_that_want_the_same_hundreds_share_them(registry: RoomRegistry, other: RoomRegistry) -> None:
    """In whatever order they name them."""
    wanted = [(f"{number}", "", False) for number in range(300)]
    registry.find("x")
    with ThreadPoolExecutor(4) as threads:
        orders = [wanted, wanted[::-1], wanted[150:] + wanted[:150], wanted[::2] + wanted[1::2]]
        sources = [registry, other, registry, other]
        running = [
            threads.submit(source.claim_many, order, owner="we", lease_s=30)
            for source, order in zip(sources, orders, strict=True)
        ]
        claims = [claim for future in running for claim in future.result(60)]
    assert sorted(claim.post_id for claim in claims) == sorted(post_id for post_id, *_ in wanted)
    with ThreadPoolExecutor(2) as threads:
        records = [(claim, f"room of {claim.post_id}", RoomState.OPEN, False) for claim in claims]
        halves = [threads.submit(registry.record_many, records[:200]), threads.submit(other.record_many, records[100:])]
        entries = [entry for future in halves for entry in future.result(60)]
    assert all(entry is not None and entry.chatroom_id == f"room of {entry.post_id}" for entry in entries)
    assert set(states(registry).values()) == {RoomState.OPEN}


def test_two_posts_that_change_places_with_each_other(registry: RoomRegistry, other: RoomRegistry) -> None:
    """A deadlock, where a database has such; each of the two is done, or refused as a whole."""
    for _ in range(10):
        first, second = link(registry, "a"), link(registry, "b")
        with ThreadPoolExecutor(2) as threads:
            one = threads.submit(registry.rename, first, "b", instead_of=second)
            two = threads.submit(other.rename, second, "a", instead_of=first)
            assert sorted([one.result(60), two.result(60)]) == [False, True]
        (entry,) = [entry for entry in registry.entries() if entry.chatroom_id is not None]
        assert (entry.post_id, entry.chatroom_id) in {("b", "room of a"), ("a", "room of b")}
        registry.unlink(entry)
        (gone,) = registry.entries()
        assert registry.forget_move(gone)


def test_a_chatroom_that_makes_way_does_so_together_with_the_move_or_not_at_all(registry: RoomRegistry) -> None:
    old, new = link(registry, "old"), link(registry, "new")
    closed = registry.update("old", state=RoomState.CLOSED)
    assert not registry.rename(old, "new", instead_of=new)
    assert [entry.chatroom_id for entry in registry.entries()] == ["room of new", "room of old"]
    assert registry.rename(closed, "new", instead_of=new)
    assert [(entry.post_id, entry.chatroom_id, entry.moved_to) for entry in registry.entries()] == [
        ("new", "room of old", None),
        ("old", None, "new"),
    ]
    # As one does who has not learned of it.
    assert registry.rename(closed, "new", instead_of=new)


def test_nobody_claims_the_id_that_a_post_had(registry: RoomRegistry, other: RoomRegistry) -> None:
    long = "\u00e9\n" * 127
    assert registry.rename(link(registry, "old"), long)
    found = other.claim("old", title="", is_private=False, owner="x", lease_s=30)
    assert isinstance(found, RegistryEntry)
    assert (found.chatroom_id, found.state, found.moved_to) == (None, RoomState.MOVED, long)
    assert other.claim_many([("old", "", False)], owner="x", lease_s=30) == []
    assert other.claims(margin_s=0) == [] and other.find_claim("old", margin_s=0) is None
    assert not registry.unlink(found) and not registry.vacate(found)
    # Back again.
    assert registry.rename(registry.get(long), "old")
    assert {entry.post_id: entry.moved_to for entry in registry.entries()} == {"old": None, long: "old"}


def test_who_claims_while_the_post_moves_finds_it_moved(registry: RoomRegistry, other: RoomRegistry) -> None:
    for number in range(10):
        entry = link(registry, f"{number}")
        with ThreadPoolExecutor(2) as threads:
            moving = threads.submit(registry.rename, entry, f"{number} new")
            claiming = threads.submit(other.claim, f"{number}", title="", is_private=False, owner="x", lease_s=30)
            assert moving.result(60)
            assert isinstance(claiming.result(60), RegistryEntry)
        assert registry.get(f"{number}").moved_to == f"{number} new"


@pytest.mark.parametrize("deed", ["record", "rename", "claim_many", "record_many"])
@pytest.mark.parametrize(
    ("kind", "statement"),
    [("postgresql", "SET lock_timeout = '50ms'"), ("mariadb", "SET innodb_lock_wait_timeout = 1")],
)
def test_a_row_that_is_locked_for_too_long_is_asked_for_again(
    deed: str, kind: Kind, statement: str, database_servers: DatabaseServers
) -> None:
    """SQLite locks files, and waits for them by itself."""
    url = database_servers.get(kind).fresh_url()
    engine, other = create_registry_engine(url), RoomRegistry(create_registry_engine(url))

    def be_quick(connection: Any, _: object) -> None:
        connection.cursor().execute(statement)
        connection.commit()

    sa.event.listen(engine, "connect", be_quick)
    held = other.claim("7", title="", is_private=False, owner="me", lease_s=30)
    assert isinstance(held, Claim)
    entry = link(other, "8")
    somebody = other.database.engine.connect()
    somebody.execute(sa.update(database.chatrooms).values(title="Held"))
    pauses: list[float] = []

    def let_go(pause_s: float) -> None:
        pauses.append(pause_s)
        somebody.commit()
        somebody.close()

    registry = RoomRegistry(engine, sleep=let_go)
    deeds: dict[str, Callable[[], object]] = {
        "record": lambda: registry.record(held, "room").chatroom_id == "room",
        "rename": lambda: registry.rename(entry, "9"),
        "claim_many": lambda: registry.claim_many([("7", "", False), ("9", "", False)], owner="", lease_s=30),
        "record_many": lambda: registry.record_many([(held, "room", RoomState.OPEN, False)])[0],
    }
    assert deeds[deed]()
    assert len(pauses) == 1
    registry.close()
    other.close()


def test_one_that_answers_after_a_minute_is_not_asked_all_day(database_url: str) -> None:
    now, pauses = [0.0], list[float]()
    registry = RoomRegistry(create_registry_engine(database_url), sleep=pauses.append, clock=lambda: now[0])
    registry.find("7")

    def fail(*_: object) -> None:
        now[0] += 50
        raise sa.exc.OperationalError("", None, Exception("gone"), connection_invalidated=True)

    sa.event.listen(registry.database.engine, "before_cursor_execute", fail)
    with pytest.raises(RegistryError):
        registry.together(lambda connection: connection.execute(sa.select(1)))
    assert len(pauses) == 1
    registry.close()
