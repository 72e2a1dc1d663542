"""Chatrooms in batches: claimed and recorded together, nothing lost when it is interrupted, patient with the API."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa

from flask_chatix_comments import room_batches
from flask_chatix_comments.backfill import BackfillResult, Outcome, backfill
from flask_chatix_comments.errors import ApiConnectionError, ApiError, RegistryError
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim, RoomRegistry, RoomState, create_registry_engine
from tests.flask_support import queries

if TYPE_CHECKING:
    from flask_chatix_comments.rooms import RoomService
    from tests.rooms_fixtures import FakeService, Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)


def posts(count: int) -> list[Post]:
    return [Post(number, f"Post {number}") for number in range(count)]


def states(registry: RoomRegistry) -> dict[str, RoomState]:
    return {entry.post_id: entry.state for entry in registry.entries()}


@pytest.fixture
def other(database_url: str) -> Iterator[RoomRegistry]:
    """The registry of another process, as it were."""
    registry = RoomRegistry(create_registry_engine(database_url))
    yield registry
    registry.close()


def test_many_posts_cost_the_database_few_statements(rooms: RoomService, registry: RoomRegistry) -> None:
    registry.find("x")
    with queries(registry) as sent:
        results = list(backfill(rooms, posts(320), concurrency=32))
    assert {result.outcome for result in results} == {Outcome.CREATED}
    assert {result.post_id for result in results} == {str(number) for number in range(320)}
    assert len(sent) < 320
    with queries(registry) as sent:
        results = list(backfill(rooms, posts(320), concurrency=32))
    assert {result.outcome for result in results} == {Outcome.EXISTING}
    assert len(sent) == 10


def test_a_post_that_comes_again_meanwhile(rooms: RoomService, service: FakeService) -> None:
    wanted = [Post("7"), Post(7), Post("8"), Post("7")]
    results = [(result.post_id, result.outcome) for result in backfill(rooms, wanted, concurrency=4)]
    assert sorted(results) == [
        ("7", Outcome.CREATED),
        ("7", Outcome.EXISTING),
        ("7", Outcome.EXISTING),
        ("8", Outcome.CREATED),
    ]
    assert len(service.rooms) == 2


def test_one_that_comes_again_after_a_refusal_is_tried_again(rooms: RoomService, faults: Faults) -> None:
    faults.order(httpx.Response(403))
    results = [result.outcome for result in backfill(rooms, [Post("7"), Post(7)], concurrency=2)]
    assert results == [Outcome.FAILED, Outcome.CREATED]


def test_a_private_post_gets_a_private_room(rooms: RoomService, service: FakeService, registry: RoomRegistry) -> None:
    list(backfill(rooms, [Post("7", is_private=True)]))
    assert [room["is_private"] for room in service.rooms.values()] == [True]
    assert registry.get("7").is_private


def test_what_a_crash_left_is_adopted(rooms: RoomService, service: FakeService, registry: RoomRegistry) -> None:
    left = service.add("Old", external_id="7")
    claim = registry.claim("7", title="Old", is_private=False, owner="dead", lease_s=0)
    assert isinstance(claim, Claim)
    (result,) = backfill(rooms, [Post("7", "New")])
    assert result.outcome is Outcome.CREATED
    assert registry.get("7").chatroom_id == left["id"]
    assert left["title"] == "New"


def test_a_room_that_came_too_late_is_taken_back(
    rooms: RoomService, service: FakeService, faults: Faults, other: RoomRegistry
) -> None:
    service.is_idempotent = False

    def overtake(request: httpx.Request) -> None:
        with other.database.engine.begin() as connection:
            connection.execute(sa.text("DELETE FROM chatix_chatrooms"))
        other.link("7", "their room", title="", is_private=False, state=RoomState.OPEN)

    faults.order(overtake)
    (result,) = backfill(rooms, [Post("7")])
    assert result == BackfillResult("7", Outcome.EXISTING)
    assert [room["is_deleted"] for room in service.rooms.values()] == [True]


def test_what_cannot_be_recorded_together_is_recorded_one_by_one(
    rooms: RoomService, registry: RoomRegistry, monkeypatch: pytest.MonkeyPatch, service: FakeService
) -> None:
    def fail(records: object) -> None:
        raise RegistryError("a deadlock")

    monkeypatch.setattr(registry, "record_many", fail)
    results = list(backfill(rooms, posts(5), concurrency=5))
    assert {result.outcome for result in results} == {Outcome.CREATED}
    # Found again by the posts' IDs, and adopted.
    assert len(service.rooms) == 5
    assert set(states(registry).values()) == {RoomState.OPEN}


class TestInterruption:
    def test_what_was_begun_is_recorded_and_the_rest_is_free(
        self, rooms: RoomService, registry: RoomRegistry, faults: Faults
    ) -> None:
        may_answer, are_busy = threading.Event(), threading.Barrier(3)

        def wait(request: httpx.Request) -> None:
            are_busy.wait(10)
            may_answer.wait(10)

        faults.order(lambda request: None, wait, wait)
        results = backfill(rooms, posts(100), concurrency=2)
        first = next(results)
        are_busy.wait(10)
        may_answer.set()
        results.close()
        made = {post_id for post_id, state in states(registry).items() if state is RoomState.OPEN}
        assert first.post_id in made
        assert len(made) >= 3
        # Nobody has to wait for a lease.
        assert set(states(registry).values()) == {RoomState.OPEN}
        assert not any(thread.name.startswith("chatix-backfill") for thread in threading.enumerate())
        assert {result.outcome for result in backfill(rooms, posts(100))} == {Outcome.CREATED, Outcome.EXISTING}
        assert len(states(registry)) == 100

    def test_by_the_keyboard(self, rooms: RoomService, registry: RoomRegistry) -> None:
        def interrupted() -> Iterator[Post]:
            yield from posts(10)
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt), closing(backfill(rooms, interrupted(), concurrency=2)) as results:
            for _ in results:
                pass
        assert set(states(registry).values()) == {RoomState.OPEN}

    def test_nobody_sits_out_a_pause(self, rooms: RoomService, faults: Faults) -> None:
        def refuse(request: httpx.Request) -> httpx.Response:
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            return httpx.Response(429, headers={"Retry-After": "500"})

        # While the only thread would wait for 500 s, this one waits for it, and somebody presses Ctrl-C.
        faults.order(refuse)
        results = backfill(rooms, posts(3), concurrency=1, patience_s=10_000)
        with pytest.raises(KeyboardInterrupt), closing(results):
            list(results)
        assert not any(thread.name.startswith("chatix-backfill") for thread in threading.enumerate())


class TestPatience:
    def run(self, rooms: RoomService, wanted: int, clock: ManualClock, **options: Any) -> list[BackfillResult]:
        """Run it by the moved clock; pauses take no time."""
        return list(backfill(rooms, posts(wanted), concurrency=1, pause=clock.sleep, **options))

    @pytest.fixture(autouse=True)
    def on_the_same_clock(self, monkeypatch: pytest.MonkeyPatch, ticking: ManualClock) -> None:
        make_rooms = room_batches.make_rooms
        monkeypatch.setattr(
            "flask_chatix_comments.backfill.make_rooms", lambda *args, **more: make_rooms(*args, clock=ticking, **more)
        )

    def test_an_outage_is_waited_for(self, rooms: RoomService, faults: Faults, ticking: ManualClock) -> None:
        faults.order(*[httpx.ConnectError("refused")] * 5)
        results = self.run(rooms, 3, ticking)
        assert {result.outcome for result in results} == {Outcome.CREATED}
        assert len(results) == 3
        assert ticking.sleeps

    def test_retry_after_is_respected(
        self, rooms: RoomService, faults: Faults, ticking: ManualClock, service: FakeService
    ) -> None:
        began = ticking.now
        faults.order(httpx.Response(429, headers={"Retry-After": "40"}))
        asked_at: list[float] = []

        def note(request: httpx.Request) -> httpx.Response:
            asked_at.append(ticking.now)
            return service(request)

        faults.service = note
        results = self.run(rooms, 3, ticking)
        assert {result.outcome for result in results} == {Outcome.CREATED}
        assert min(asked_at) >= began + 40

    def test_it_has_an_end(
        self, rooms: RoomService, faults: Faults, ticking: ManualClock, registry: RoomRegistry
    ) -> None:
        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectError("refused")

        faults.service = refuse
        results: list[BackfillResult] = []
        with pytest.raises(ApiConnectionError):
            results.extend(backfill(rooms, posts(1000), concurrency=2, pause=ticking.sleep, patience_s=100))
        assert len(results) <= 4
        assert {result.outcome for result in results} == {Outcome.FAILED}
        assert ticking.now > 1100
        assert len(faults.requests) < 50
        # To begin again is all there is to do.
        assert set(states(registry).values()) <= {RoomState.CREATING}

    def test_what_was_done_by_then_is_told(
        self, rooms: RoomService, faults: Faults, ticking: ManualClock, service: FakeService
    ) -> None:
        def last_for_three(request: httpx.Request) -> httpx.Response:
            if len(service.rooms) >= 3:
                return httpx.Response(503)
            return service(request)

        faults.service = last_for_three
        results: list[BackfillResult] = []
        with pytest.raises(ApiError):
            for result in backfill(rooms, posts(1000), concurrency=1, pause=ticking.sleep, patience_s=100):
                results.append(result)
        assert [result.outcome for result in results].count(Outcome.CREATED) == 3
        assert 1 <= [result.outcome for result in results].count(Outcome.FAILED) <= 4

    @pytest.mark.parametrize("status", [400, 403, 404])
    def test_a_refusal_is_not_waited_for(
        self, rooms: RoomService, faults: Faults, ticking: ManualClock, status: int
    ) -> None:
        faults.service = lambda request: httpx.Response(status)
        results = self.run(rooms, 20, ticking)
        assert [result.outcome for result in results] == [Outcome.FAILED] * 20
        assert ticking.sleeps == []


def test_the_loader_is_read_in_the_callers_thread(rooms: RoomService) -> None:
    threads: set[threading.Thread] = set()

    def loader() -> Iterator[Post]:
        for post in posts(100):
            threads.add(threading.current_thread())
            yield post

    assert len(list(backfill(rooms, loader(), concurrency=4))) == 100
    assert threads == {threading.current_thread()}
