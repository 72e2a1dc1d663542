"""Chatrooms follow their posts, and the registry follows the service."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flask_chatix_comments.errors import ApiStatusError
from flask_chatix_comments.in_flight import in_flight
from flask_chatix_comments.models import Chatroom, Post
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_list import RoomList
from flask_chatix_comments.room_sync import Synchronizer, SyncOutcome, SyncResult, sync_all
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)


@pytest.fixture
def room(rooms: RoomService, faults: Faults) -> str:
    """The chatroom of the post 7."""
    chatroom_id = str(rooms.ensure(Post("7", "Seven")).chatroom_id)
    faults.requests.clear()
    return chatroom_id


@pytest.fixture(params=[False, True], ids=["one by one", "all fetched"])
def has_list(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


def sync(
    registry: RoomRegistry, api: ChatixApi, *posts: Post, has_list: bool, is_hosted: bool = False
) -> list[SyncResult]:
    if has_list:
        return list(sync_all(registry, api, posts, is_hosted=is_hosted, concurrency=1))
    return list(Synchronizer(registry, api, is_hosted=is_hosted).run(posts, concurrency=1))


def outcome(results: list[SyncResult]) -> SyncOutcome:
    (result,) = results
    return result.outcome


def test_a_new_title(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, faults: Faults, room: str, has_list: bool
) -> None:
    assert outcome(sync(registry, api, Post(7, "Se\nven!"), has_list=has_list)) is SyncOutcome.RETITLED
    assert (service.rooms[room]["title"], registry.get("7").title) == ("Se ven!", "Se ven!")
    faults.requests.clear()
    assert outcome(sync(registry, api, Post(7, "Se ven!"), has_list=has_list)) is SyncOutcome.UNCHANGED
    assert faults.paths == (["/chatroom/list"] if has_list else ["/chatroom/get"])


def test_a_title_that_was_changed_at_the_service(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    service.rooms[room]["title"] = "Another"
    assert outcome(sync(registry, api, Post("7", "Seven"), has_list=has_list)) is SyncOutcome.RETITLED
    assert service.rooms[room]["title"] == "Seven"


def test_a_post_that_tells_no_title_keeps_the_one_that_is_known(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    assert outcome(sync(registry, api, Post("7"), has_list=has_list)) is SyncOutcome.UNCHANGED
    service.rooms[room]["title"] = "Another"
    assert outcome(sync(registry, api, Post("7"), has_list=has_list)) is SyncOutcome.RETITLED
    assert service.rooms[room]["title"] == "Seven"


@pytest.mark.parametrize(
    ("before", "at_service", "after"),
    [
        (RoomState.OPEN, {"is_deleted": True}, RoomState.DELETED),
        (RoomState.DELETED, {}, RoomState.OPEN),
        (RoomState.DELETED, {"is_closed": True}, RoomState.CLOSED),
        (RoomState.OPEN, {"is_closed": True}, RoomState.CLOSED),
        (RoomState.CLOSED, {}, RoomState.OPEN),
    ],
)
def test_what_was_done_at_the_service(
    registry: RoomRegistry,
    api: ChatixApi,
    service: FakeService,
    room: str,
    has_list: bool,
    before: RoomState,
    at_service: dict[str, bool],
    after: RoomState,
) -> None:
    registry.update("7", state=before)
    service.rooms[room].update(at_service)
    assert outcome(sync(registry, api, Post("7", "Seven"), has_list=has_list)) is SyncOutcome.UPDATED
    assert registry.get("7").state is after
    assert outcome(sync(registry, api, Post("7", "Seven"), has_list=has_list)) is SyncOutcome.UNCHANGED


def test_a_service_that_knows_nothing_of_closing_opens_nothing(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    del service.rooms[room]["is_closed"]
    registry.update("7", state=RoomState.CLOSED)
    results = sync(registry, api, Post("7", "Seven"), has_list=has_list, is_hosted=True)
    assert outcome(results) is SyncOutcome.UNCHANGED
    assert registry.get("7").state is RoomState.CLOSED


def test_a_deleted_chatroom_is_renamed_when_it_is_restored(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    service.rooms[room]["is_deleted"] = True
    registry.update("7", state=RoomState.DELETED)
    assert outcome(sync(registry, api, Post("7", "New"), has_list=has_list)) is SyncOutcome.RETITLED
    assert (registry.get("7").title, service.rooms[room]["title"]) == ("New", "Seven")
    assert outcome(sync(registry, api, Post("7", "New"), has_list=has_list)) is SyncOutcome.UNCHANGED
    service.rooms[room]["is_deleted"] = False
    assert outcome(sync(registry, api, Post("7", "New"), has_list=has_list)) is SyncOutcome.RETITLED
    assert (registry.get("7").state, service.rooms[room]["title"]) == (RoomState.OPEN, "New")


def test_posts_without_chatroom_get_none(registry: RoomRegistry, api: ChatixApi, has_list: bool) -> None:
    registry.claim("claimed", title="C", is_private=False, owner="x", lease_s=60)
    results = sync(registry, api, Post("claimed"), Post("none"), has_list=has_list)
    assert [result.outcome for result in results] == [SyncOutcome.NO_CHATROOM] * 2
    assert registry.find("none") is None


def test_a_vanished_one_is_named_and_never_replaced(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    before = registry.get("7")
    del service.rooms[room]
    (result,) = sync(registry, api, Post("7", "New"), has_list=has_list)
    assert result.outcome is SyncOutcome.VANISHED
    assert result.error is not None
    assert f"does not know the chatroom {room} of the post '7'" in result.error
    assert registry.get("7") == before
    assert service.rooms == {}


def test_one_that_was_deleted_may_vanish(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str, has_list: bool
) -> None:
    before = registry.update("7", state=RoomState.DELETED)
    del service.rooms[room]
    assert outcome(sync(registry, api, Post("7", "Seven"), has_list=has_list)) is SyncOutcome.UNCHANGED
    assert registry.get("7") == before


def test_one_failure_does_not_stop_the_others(
    registry: RoomRegistry, api: ChatixApi, rooms: RoomService, faults: Faults, room: str, has_list: bool
) -> None:
    rooms.ensure(Post("8", "Eight"))

    def refuse(request: httpx.Request) -> httpx.Response | None:
        is_seven = request.url.params.get("chatroomId") == room
        return httpx.Response(403) if is_seven and request.method == "POST" else None

    faults.order(*[refuse] * 20)
    results = sync(registry, api, Post("7", "New 7"), Post(True), Post("8", "New 8"), has_list=has_list)
    # They come in the order in which they are done.
    by_post = {result.post_id: result for result in results}
    assert {post_id: result.outcome for post_id, result in by_post.items()} == {
        "7": SyncOutcome.FAILED,
        "True": SyncOutcome.FAILED,
        "8": SyncOutcome.RETITLED,
    }
    assert "403" in str(by_post["7"].error)
    # Nothing is half done: the next run finds it again.
    assert registry.get("7").title == "Seven"


def test_a_post_of_another_kind_is_a_failure_too(registry: RoomRegistry, api: ChatixApi) -> None:
    strange: Any = object()
    (result,) = sync(registry, api, strange, has_list=False)
    assert (result.outcome, result.error) == (
        SyncOutcome.FAILED,
        "Unexpected AttributeError; the log has more.",
    )


def test_what_is_changed_while_it_runs_is_not_undone(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, room: str
) -> None:
    """Somebody closes the thread after the service has listed it as open."""

    def posts() -> Iterator[Post]:
        service.rooms[room]["is_closed"] = True
        registry.update("7", state=RoomState.CLOSED)
        yield Post("7", "Seven")

    assert outcome(list(sync_all(registry, api, posts(), is_hosted=False))) is SyncOutcome.UNCHANGED
    assert registry.get("7").state is RoomState.CLOSED


def test_a_service_that_does_not_list(registry: RoomRegistry, api: ChatixApi, faults: Faults, room: str) -> None:
    faults.order(httpx.Response(403))
    with pytest.raises(ApiStatusError):
        sync(registry, api, Post("7"), has_list=True)


class TestRoomList:
    @pytest.fixture
    def rooms_of_service(self, service: FakeService) -> int:
        for number in range(250):
            service.add(f"Room {number}", external_id=str(number), is_deleted=number == 7)
        return 250

    def test_all_pages_are_fetched(self, service: FakeService, api: ChatixApi, rooms_of_service: int) -> None:
        told: list[tuple[int, int | None]] = []
        with RoomList() as rooms:
            assert rooms.fetch(api, progress=lambda count, total: told.append((count, total))) == rooms_of_service
            assert rooms.find("room-250") == Chatroom("room-250", "Room 249", external_id="249")
            assert rooms.find("nothing") is None
            assert rooms.count_of([f"room-{number}" for number in range(1, 240)] + ["nothing"]) == 239
            left = [room.chatroom_id for room in rooms.unknown()]
        assert told[-1] == (250, 250)
        assert left == [f"room-{number}" for number in range(240, 251)]

    def test_a_service_with_smaller_pages(self, faults: Faults, api: ChatixApi) -> None:
        def answer(request: httpx.Request) -> httpx.Response:
            page = int(request.url.params["page"])
            items = [{"id": f"room-{number}"} for number in range(10 * page - 10, min(10 * page, 25))]
            return httpx.Response(200, json={"items": items})

        faults.service = answer
        with RoomList() as rooms:
            assert rooms.fetch(api) == 25

    def test_a_service_that_ignores_the_page_number(self, faults: Faults, api: ChatixApi) -> None:
        faults.service = lambda request: httpx.Response(200, json=[{"id": "a"}, {"id": "b"}])
        with RoomList() as rooms:
            assert rooms.fetch(api) == 2
        assert len(faults.requests) == 2

    def test_titles(self) -> None:
        with RoomList() as rooms:
            rooms.add_titles([("a", "A", True), ("b", "B", False), ("a", "A again", False), ("c", "", True)])
            assert [rooms.is_private(id) for id in "abcd"] == [False, False, True, False]
            assert rooms.title_of("c") is None
            assert [rooms.title_of(post_id) for post_id in "abc"] == ["A again", "B", None]

    def test_deleted_chatrooms_are_nobodys(self, api: ChatixApi, rooms_of_service: int) -> None:
        with RoomList() as rooms:
            rooms.fetch(api)
            assert "room-8" not in {room.chatroom_id for room in rooms.unknown()}


class TestInFlight:
    def test_nothing_runs_ahead_of_the_caller_by_more_than_it_takes_to_keep_all_busy(self) -> None:
        taken = 0

        def things() -> Iterator[int]:
            nonlocal taken
            for number in range(1_000):
                taken += 1
                yield number

        results = in_flight(lambda number: number, things(), concurrency=3)
        seen = [next(results) for _ in range(10)]
        assert taken <= len(seen) + 3 * 3
        results.close()
        assert taken < 1_000

    def test_what_was_begun_is_yielded_before_the_source_fails(self) -> None:
        def things() -> Iterator[int]:
            yield 1
            yield 2
            raise ValueError("no more")

        results = in_flight(lambda number: number, things(), concurrency=2)
        assert {next(results), next(results)} == {1, 2}
        with pytest.raises(ValueError, match="no more"):
            next(results)

    def test_at_least_one(self) -> None:
        with pytest.raises(ValueError, match="at least 1"):
            next(in_flight(str, [1], concurrency=0))

    def test_of_nothing(self) -> None:
        assert list(in_flight(str, [], concurrency=2)) == []
