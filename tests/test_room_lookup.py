"""Posts in memory: one query for a list, none while it is known, and changes that come through in time."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
import sqlalchemy as sa

from flask_chatix_comments import room_lookup
from flask_chatix_comments.errors import PostError, RegistryError
from flask_chatix_comments.registry import RoomRegistry, RoomState, create_registry_engine
from flask_chatix_comments.room_lookup import LISTS_AGE_S, POSTS_PER_QUERY, RoomLookup
from tests.flask_support import queries

if TYPE_CHECKING:
    from tests.rooms_fixtures import ManualClock

pytest_plugins = ("tests.rooms_fixtures",)

AGE_S = 5.0


@pytest.fixture
def lookup(registry: RoomRegistry, ticking: ManualClock) -> RoomLookup:
    return RoomLookup(registry, max_age_s=AGE_S, clock=ticking)


@pytest.fixture
def other(database_url: str) -> Iterator[RoomRegistry]:
    """The registry of another process, as it were."""
    registry = RoomRegistry(create_registry_engine(database_url))
    yield registry
    registry.close()


def link(registry: RoomRegistry, post_id: str, **changes: Any) -> None:
    values: dict[str, Any] = {"title": "", "is_private": False, "state": RoomState.OPEN} | changes
    registry.link(post_id, f"room of {post_id}", **values)


def room_of(lookup: RoomLookup, post_id: Any) -> str | None:
    entry = lookup.find(post_id)
    return None if entry is None else entry.chatroom_id


def test_a_known_post_is_a_look_at_a_dictionary(lookup: RoomLookup, registry: RoomRegistry) -> None:
    link(registry, "7")
    assert room_of(lookup, 7) == "room of 7"
    with queries(registry) as sent:
        assert room_of(lookup, "7") == room_of(lookup, 7) == "room of 7"
    assert sent == []


def test_a_list_is_one_query_cold_and_none_warm(lookup: RoomLookup, registry: RoomRegistry) -> None:
    for number in range(0, 50, 2):
        link(registry, str(number))
    with queries(registry) as sent:
        lookup.prefetch(range(50))
        assert len(sent) == 1
        found = [room_of(lookup, number) for number in range(50)]
        lookup.prefetch(number for number in range(50))
    assert len(sent) == 1
    # That a post has no chatroom is remembered as well.
    assert found == [None if number % 2 else f"room of {number}" for number in range(50)]


def test_the_first_query_of_a_process_is_one_too(
    lookup: RoomLookup, registry: RoomRegistry, other: RoomRegistry
) -> None:
    link(other, "7")
    with queries(registry) as sent:
        lookup.prefetch([7])
    assert len(sent) == 1
    assert room_of(lookup, 7) == "room of 7"


def test_without_tables_nothing_is_known(lookup: RoomLookup) -> None:
    lookup.prefetch(["7"])
    assert lookup.find("7") is None


def test_only_what_is_not_known_is_asked_for(lookup: RoomLookup, registry: RoomRegistry, ticking: ManualClock) -> None:
    lookup.prefetch(["1", "2"])
    ticking.advance(AGE_S - 1)
    with queries(registry) as sent:
        lookup.prefetch(["1", "2", "3", "3"])
        ticking.advance(2)
        lookup.prefetch(["1", "2", "3"])
    assert [statement.count("?") for statement in sent] == [1, 2]


def test_a_long_list_is_some_queries(lookup: RoomLookup, registry: RoomRegistry) -> None:
    link(registry, "0")
    with queries(registry) as sent:
        lookup.prefetch(range(2 * POSTS_PER_QUERY + 1))
    assert len(sent) == 3
    assert room_of(lookup, 0) == "room of 0"


def test_an_empty_list_is_no_query(lookup: RoomLookup, registry: RoomRegistry) -> None:
    with queries(registry) as sent:
        lookup.prefetch([])
        assert registry.find_many([]) == {}
    assert sent == []


def test_what_this_process_changes_counts_at_once(lookup: RoomLookup, registry: RoomRegistry) -> None:
    assert lookup.find("7") is None
    claim = registry.claim("7", title="", is_private=False, owner="me", lease_s=30)
    registry.record(claim, "room")  # type: ignore[arg-type] # it is free
    assert room_of(lookup, "7") == "room"
    changes: list[dict[str, Any]] = [{"state": RoomState.CLOSED}, {"state": RoomState.DELETED}, {"is_private": True}]
    for change in changes:
        entry = registry.update("7", **change)
        assert lookup.find("7") == entry
    registry.unlink(registry.get("7"))
    assert lookup.find("7") is None
    link(registry, "7")
    assert room_of(lookup, "7") == "room of 7"


@pytest.mark.parametrize("changes", [{"state": RoomState.CLOSED}, {"state": RoomState.DELETED}, {"is_private": True}])
def test_what_others_change_counts_after_the_stated_time(
    lookup: RoomLookup, registry: RoomRegistry, other: RoomRegistry, ticking: ManualClock, changes: dict[str, Any]
) -> None:
    link(registry, "7")
    before = lookup.find("7")
    after = other.update("7", **changes)
    ticking.advance(AGE_S)
    assert lookup.find("7") == before
    ticking.advance(0.1)
    assert lookup.find("7") == after
    assert after != before


def test_the_time_counts_from_before_the_query(
    lookup: RoomLookup, registry: RoomRegistry, other: RoomRegistry, ticking: ManualClock
) -> None:
    link(registry, "7")

    def delay(*rest: object) -> None:
        ticking.advance(AGE_S - 1)

    sa.event.listen(registry.database.engine, "after_cursor_execute", delay, once=True)
    lookup.find("7")
    after = other.update("7", state=RoomState.CLOSED)
    ticking.advance(1.1)
    assert lookup.find("7") == after


def test_what_changes_while_it_is_read_is_not_kept(lookup: RoomLookup, registry: RoomRegistry) -> None:
    link(registry, "7")

    def change(*rest: object) -> None:
        registry.update("7", state=RoomState.CLOSED)

    sa.event.listen(registry.database.engine, "after_cursor_execute", change, once=True)
    lookup.find("7")
    entry = lookup.find("7")
    assert entry is not None
    assert entry.state is RoomState.CLOSED


def test_an_age_of_nothing_asks_each_time(registry: RoomRegistry, other: RoomRegistry, ticking: ManualClock) -> None:
    lookup = RoomLookup(registry, max_age_s=0, clock=ticking)
    link(registry, "7")
    lookup.prefetch(["7"])
    assert room_of(lookup, "7") == "room of 7"
    assert lookup.find("7") != other.update("7", state=RoomState.CLOSED) == lookup.find("7")


def test_lists_of_posts_go_by_nothing_old_whatever_age_is_set(
    registry: RoomRegistry, other: RoomRegistry, ticking: ManualClock
) -> None:
    lookup = RoomLookup(registry, max_age_s=3600, clock=ticking)
    link(registry, "7")
    lookup.look_up(["7"])
    other.update("7", is_private=True)
    ticking.advance(LISTS_AGE_S)
    assert lookup.known_until(["7"]) == ticking.now
    assert lookup.look_up(["7"]) == {}
    ticking.advance(0.1)
    assert lookup.recall("7") is None
    found = lookup.find("7")
    assert found is not None
    assert not found.is_private
    entry = lookup.look_up(["7"])["7"]
    assert entry is not None
    assert entry.is_private


def test_memory_is_bounded(lookup: RoomLookup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room_lookup, "MAX_KEPT", 10)
    for first in range(0, 50, 4):
        lookup.prefetch(range(first, first + 4))
        assert len(lookup._kept) <= 10
    assert lookup.find(48) is None


@pytest.mark.parametrize("post_id", [7, "7", UUID(int=7), "Ä ☂"])
def test_all_that_can_be_a_posts_id(lookup: RoomLookup, registry: RoomRegistry, post_id: Any) -> None:
    link(registry, str(post_id))
    for _ in range(2):
        assert room_of(lookup, post_id) == f"room of {post_id}"


@pytest.mark.parametrize(
    "post_id", ["", None, True, 1.0, "x" * 256, "\0", "\ud800", ["7"], 10**5000], ids=lambda value: type(value).__name__
)
def test_nothing_else_can(lookup: RoomLookup, post_id: Any) -> None:
    with pytest.raises(PostError):
        lookup.find(post_id)
    with pytest.raises(PostError):
        lookup.prefetch([post_id])


def test_a_registry_that_cannot_be_read(
    lookup: RoomLookup, registry: RoomRegistry, ticking: ManualClock, caplog: pytest.LogCaptureFixture
) -> None:
    link(registry, "7")
    lookup.find("7")

    def fail(*rest: object) -> None:
        raise sa.exc.OperationalError("SELECT", {}, Exception("the disk is gone"))

    sa.event.listen(registry.database.engine, "before_cursor_execute", fail)
    try:
        # What is known is known.
        assert room_of(lookup, "7") == "room of 7"
        ticking.advance(AGE_S + 1)
        with pytest.raises(RegistryError, match="the disk is gone"):
            lookup.find("7")
        lookup.prefetch(["7"])
    finally:
        sa.event.remove(registry.database.engine, "before_cursor_execute", fail)
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert room_of(lookup, "7") == "room of 7"


def test_a_child_process_knows_what_its_parent_knew(lookup: RoomLookup, registry: RoomRegistry) -> None:
    link(registry, "7")
    lookup.find("7")
    pid = os.fork()
    if pid == 0:
        os._exit(0 if room_of(lookup, "7") == "room of 7" else 1)
    assert os.waitpid(pid, 0)[1] == 0
