"""The rule for chatrooms, with a real database and a chat service that fails on order."""

from __future__ import annotations

import json
import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any
from uuid import UUID

import httpx
import pytest

from flask_chatix_comments import rooms as rooms_module
from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiError,
    ApiPayloadError,
    ApiStatusError,
    ApiTimeoutError,
    PostError,
    RegistryError,
)
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim, RoomState
from flask_chatix_comments.room_marks import is_marked, is_marked_for, with_mark, without_mark
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from collections.abc import Iterator

    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)

POST = Post("7", "Seven")


def take_over(registry: RoomRegistry) -> Claim:
    """Claim the post as somebody else, once the lease of whoever has it is over."""
    with registry.database.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE chatix_chatrooms SET claim_expires_at = 0")
    return hold_claim(registry)


def hold_claim(registry: RoomRegistry, *, lease_s: float = 30, is_private: bool = False) -> Claim:
    """Claim the post as somebody else."""
    claim = registry.claim("7", title="Theirs", is_private=is_private, owner="other", lease_s=lease_s)
    assert isinstance(claim, Claim)
    return claim


class TestEnsure:
    def test_creates_and_records(self, rooms: RoomService, faults: Faults, registry: RoomRegistry) -> None:
        entry = rooms.ensure(POST)
        assert (entry.post_id, entry.chatroom_id, entry.title, entry.state) == ("7", "room-1", "Seven", RoomState.OPEN)
        assert registry.get("7") == entry
        assert faults.paths == ["/chatroom/create"]
        assert json.loads(faults.requests[0].content) == {"title": "Seven", "is_private": False, "external_id": "7"}

    def test_finds_without_asking_the_api(self, rooms: RoomService, faults: Faults) -> None:
        entry = rooms.ensure(POST)
        assert rooms.ensure(Post(7, "Another title", is_private=True)) == entry
        assert rooms.find(7) == rooms.find("7") == entry
        assert len(faults.requests) == 1

    def test_knows_uuids(self, rooms: RoomService) -> None:
        post_id = UUID(int=7)
        assert rooms.ensure(Post(post_id)) == rooms.find(str(post_id))

    def test_titles_a_post_without_title_by_its_id(self, rooms: RoomService, service: FakeService) -> None:
        rooms.ensure(Post("my-post", " \n "))
        rooms.ensure(Post(" "))
        rooms.ensure(Post("long", "x" * 10_000))
        assert [room["title"] for room in service.rooms.values()] == ["my-post", "' '", "x" * 254 + "…"]

    @pytest.mark.parametrize("post_id", [True, "", "a\0b", "x" * 256])
    def test_refuses_ids_that_are_none(self, rooms: RoomService, faults: Faults, post_id: Any) -> None:
        with pytest.raises(PostError):
            rooms.ensure(Post(post_id))
        with pytest.raises(PostError):
            rooms.find(post_id)
        assert faults.requests == []

    def test_makes_private_rooms(self, rooms: RoomService, service: FakeService) -> None:
        assert rooms.ensure(Post("7", is_private=True)).is_private
        assert service.rooms["room-1"]["is_private"] is True

    def test_makes_one_room_for_many_threads(
        self, registry: RoomRegistry, api: ChatixApi, service: FakeService, faults: Faults
    ) -> None:
        service.is_idempotent = False
        rooms = RoomService(registry, lambda: api)
        together = threading.Barrier(8)

        def ensure(number: int) -> str | None:
            together.wait(10)
            return rooms.ensure(POST, wait_s=30).chatroom_id

        with ThreadPoolExecutor(8) as threads:
            assert set(threads.map(ensure, range(8))) == {"room-1"}
        assert faults.paths == ["/chatroom/create"]


class TestWaiting:
    def test_ends_when_the_other_is_done(
        self, rooms: RoomService, registry: RoomRegistry, ticking: ManualClock, faults: Faults
    ) -> None:
        claim = hold_claim(registry)
        ticking.on_sleep = lambda: registry.record(claim, "their-room")
        assert rooms.ensure(POST).chatroom_id == "their-room"
        assert ticking.sleeps == [0.02]
        assert faults.requests == []

    def test_ends_in_time(
        self, rooms: RoomService, registry: RoomRegistry, ticking: ManualClock, faults: Faults
    ) -> None:
        hold_claim(registry)
        entry = rooms.ensure(POST, wait_s=5)
        assert (entry.state, entry.chatroom_id) == (RoomState.CREATING, None)
        assert sum(ticking.sleeps) == pytest.approx(5)
        assert max(ticking.sleeps) == 0.5
        assert faults.requests == []

    def test_can_be_left_out(self, rooms: RoomService, registry: RoomRegistry, ticking: ManualClock) -> None:
        hold_claim(registry)
        assert rooms.ensure(POST, wait_s=0).state is RoomState.CREATING
        assert ticking.sleeps == []

    def test_goes_over_to_creating_when_the_other_gives_up(
        self, rooms: RoomService, registry: RoomRegistry, ticking: ManualClock
    ) -> None:
        claim = hold_claim(registry)
        ticking.on_sleep = lambda: registry.release(claim, room_may_exist=False)
        assert rooms.obtain(POST) == (registry.get("7"), True)
        assert registry.get("7").chatroom_id == "room-1"


class TestTakingOver:
    def test_adopts_the_room_that_a_dead_one_left(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        service.is_idempotent = False
        hold_claim(registry, lease_s=0)
        service.add("Theirs", external_id="7")
        entry = rooms.ensure(POST)
        assert (entry.chatroom_id, entry.title) == ("room-1", "Seven")
        assert service.rooms["room-1"]["title"] == "Seven"
        assert faults.paths == ["/chatroom/list", "/chatroom/update"]

    def test_leaves_a_room_as_it_is_when_it_fits(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Seven", external_id="7", is_closed=True)
        assert rooms.ensure(POST).state is RoomState.CLOSED
        assert faults.paths == ["/chatroom/list"]

    def test_creates_when_nothing_was_left(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Another post's", external_id="8")
        assert rooms.ensure(POST).chatroom_id == "room-2"
        assert faults.paths == ["/chatroom/list", "/chatroom/create"]

    def test_registers_a_deleted_room_as_deleted(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Theirs", external_id="7", is_deleted=True)
        assert rooms.ensure(POST).state is RoomState.DELETED
        assert faults.paths == ["/chatroom/list"]

    def test_gives_the_claim_up_when_it_cannot_look(
        self, rooms: RoomService, registry: RoomRegistry, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        faults.order(httpx.Response(403))
        with pytest.raises(ApiStatusError):
            rooms.ensure(POST)
        assert registry.get("7").state is RoomState.CREATING
        assert rooms.ensure(POST, wait_s=0).chatroom_id == "room-1"

    def test_never_makes_a_private_room_public(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Seven", external_id="7", is_private=True)
        assert rooms.ensure(Post("7", "Seven", is_private=False)).is_private
        assert service.rooms["room-1"]["is_private"] is True


class TestPrivacy:
    def test_is_set_before_the_room_is_recorded(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        service.add("Seven", external_id="7")

        def registered(request: httpx.Request) -> None:
            assert registry.get("7").chatroom_id is None

        faults.order(registered, registered)
        assert rooms.ensure(Post("7", "Seven", is_private=True)).is_private
        assert service.rooms["room-1"]["is_private"] is True
        assert faults.paths == ["/chatroom/create", "/chatroom/update"]

    def test_is_not_believed_unseen(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        room = service.add("Seven", external_id="7")
        faults.order(*[httpx.Response(200, json=room)] * 2)
        with pytest.raises(ApiPayloadError, match="did not make the chatroom of the post '7' private"):
            rooms.ensure(Post("7", "Seven", is_private=True))
        assert registry.get("7").chatroom_id is None

    def test_of_a_public_room_is_asked_for_in_vain(
        self, rooms: RoomService, faults: Faults, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A page that is out of date must change nothing; but somebody is told, once for each post."""
        for post_id in ("7", "8"):
            rooms.ensure(Post(post_id, "Seven"))
        calls = len(faults.requests)
        for _ in range(3):
            assert rooms.ensure(Post("7", "Seven")).is_private is False
        assert caplog.records == []
        for _ in range(3):
            assert rooms.ensure(Post("7", "Seven", is_private=True)).is_private is False
            assert rooms.ensure(Post("8", "Eight", is_private=True)).is_private is False
        messages = [record.getMessage() for record in caplog.records]
        assert [message.split(" is public and stays so")[0] for message in messages] == [
            "The chatroom of the post '7'",
            "The chatroom of the post '8'",
        ]
        assert len(faults.requests) == calls
        monkeypatch.setattr(rooms_module, "MAX_WARNED", 1)
        for post_id in ("9", "10"):
            rooms.ensure(Post(post_id))
            rooms.ensure(Post(post_id, is_private=True))
        assert rooms._warned == {"10"}

    def test_of_a_private_room_is_no_news(self, rooms: RoomService, caplog: pytest.LogCaptureFixture) -> None:
        for _ in range(2):
            assert rooms.ensure(Post("7", "Seven", is_private=True)).is_private
        assert caplog.records == []


class TestFailures:
    @pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.Response(401), httpx.Response(429)])
    def test_that_made_no_room_leave_no_row(
        self, rooms: RoomService, registry: RoomRegistry, faults: Faults, fault: Any
    ) -> None:
        faults.order(fault)
        with pytest.raises(ApiError) as raised:
            rooms.ensure(POST)
        assert raised.value.operation == "create_chatroom"
        assert registry.find("7") is None

    @pytest.mark.parametrize(
        "fault",
        [httpx.ReadTimeout(""), httpx.Response(500), httpx.Response(408), httpx.Response(200, text="<html>")],
    )
    def test_that_may_have_made_one_have_the_next_look(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults, fault: Any
    ) -> None:
        service.is_idempotent = False

        def create_and_fail(request: httpx.Request) -> httpx.Response:
            service(request)
            if isinstance(fault, Exception):
                raise fault
            assert isinstance(fault, httpx.Response)
            return fault

        faults.order(create_and_fail)
        with pytest.raises(ApiError):
            rooms.ensure(POST)
        assert registry.get("7").state is RoomState.CREATING
        assert rooms.ensure(POST, wait_s=0).chatroom_id == "room-1"
        assert list(service.rooms) == ["room-1"]

    def test_of_any_kind_give_the_claim_up(self, registry: RoomRegistry, api: ChatixApi) -> None:
        def interrupt() -> ChatixApi:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            RoomService(registry, interrupt).ensure(POST)
        assert RoomService(registry, lambda: api).ensure(POST, wait_s=0).chatroom_id == "room-1"

    def test_of_the_alignment_are_mended_by_the_next(
        self, rooms: RoomService, service: FakeService, faults: Faults
    ) -> None:
        service.add("Seven", external_id="7")
        faults.order(lambda request: None, httpx.Response(403))
        with pytest.raises(ApiStatusError):
            rooms.ensure(Post("7", "Seven", is_private=True))
        assert rooms.ensure(Post("7", "Seven"), wait_s=0).is_private
        assert service.rooms["room-1"]["is_private"] is True

    def test_refuse_the_room_of_another_post(
        self, rooms: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        faults.order(httpx.Response(200, json=service.add("Other", external_id="8")))
        with pytest.raises(ApiPayloadError, match="chatroom of another"):
            rooms.ensure(POST)
        assert registry.get("7").chatroom_id is None

    def test_refuse_a_room_that_another_post_has(
        self, rooms: RoomService, service: FakeService, registry: RoomRegistry, faults: Faults
    ) -> None:
        service.keeps_external_ids = False
        rooms.ensure(Post("8"))
        faults.order(httpx.Response(200, json=service.rooms["room-1"]))
        with pytest.raises(RegistryError):
            rooms.ensure(POST)
        assert registry.get("7").chatroom_id is None
        assert rooms.ensure(POST, wait_s=0).chatroom_id == "room-2"

    def test_of_the_database_hide_no_failure_of_the_api(
        self, rooms: RoomService, registry: RoomRegistry, faults: Faults, caplog: pytest.LogCaptureFixture
    ) -> None:
        def lose_the_database(request: httpx.Request) -> httpx.Response:
            with registry.database.engine.begin() as connection:
                connection.exec_driver_sql("DROP TABLE chatix_chatrooms")
            raise httpx.ConnectError("refused")

        faults.order(lose_the_database)
        with caplog.at_level(logging.WARNING), pytest.raises(ApiConnectionError):
            rooms.ensure(POST)
        assert "The claim on the post '7' stays until its lease ends" in caplog.text


class TestSlowness:
    """However slow the API is, our calls are over before anybody else may begin."""

    @pytest.fixture
    def patient(self, faults: Faults, ticking: ManualClock) -> Iterator[ChatixApi]:
        """A client with the longest CHATIX_API_TIMEOUT."""
        api = ChatixApi(
            "http://api.test/v1",
            website_id="w",
            api_key="k",
            timeout_s=120,
            transport=faults,
            sleep=ticking.sleep,
            clock=ticking,
        )
        yield api
        api.close()

    @pytest.fixture
    def slow(self, registry: RoomRegistry, patient: ChatixApi, ticking: ManualClock, faults: Faults) -> RoomService:
        def wait(request: httpx.Request) -> httpx.Response:
            timeouts = request.extensions["timeout"]
            assert ticking.now + sum(timeouts.values()) <= 1025
            ticking.advance(timeouts["read"])
            raise httpx.ReadTimeout("")

        faults.service = wait
        return RoomService(registry, lambda: patient, sleep=ticking.sleep, clock=ticking)

    def test_of_the_creation(self, slow: RoomService, registry: RoomRegistry, ticking: ManualClock) -> None:
        with pytest.raises(ApiTimeoutError) as raised:
            slow.ensure(POST)
        assert raised.value.operation == "create_chatroom"
        assert 1010 <= ticking.now <= 1025
        # The claim was given up: the next one begins at once.
        assert isinstance(registry.claim("7", title="x", is_private=False, owner="next", lease_s=30), Claim)

    def test_of_the_search_for_what_another_left(
        self, slow: RoomService, registry: RoomRegistry, ticking: ManualClock, faults: Faults
    ) -> None:
        """It is tried again, but not for longer than there is time."""
        hold_claim(registry, lease_s=0)
        with pytest.raises(ApiTimeoutError):
            slow.ensure(POST)
        assert ticking.now <= 1025
        assert set(faults.paths) == {"/chatroom/list"}
        assert isinstance(registry.claim("7", title="x", is_private=False, owner="next", lease_s=30), Claim)

    def test_of_what_starts_the_api(
        self, registry: RoomRegistry, patient: ChatixApi, ticking: ManualClock, faults: Faults
    ) -> None:
        def start() -> ChatixApi:
            ticking.advance(25)
            return patient

        rooms = RoomService(registry, start, sleep=ticking.sleep, clock=ticking)
        with pytest.raises(ApiTimeoutError) as raised:
            rooms.ensure(POST)
        assert not raised.value.may_have_arrived
        assert faults.requests == []
        assert registry.find("7") is None


class TestTooLate:
    """We are slow, our lease ends, and somebody else takes over meanwhile."""

    @pytest.fixture
    def slow(self, registry: RoomRegistry, api: ChatixApi, ticking: ManualClock, service: FakeService) -> RoomService:
        service.is_idempotent = False
        return RoomService(registry, lambda: api, sleep=ticking.sleep, clock=ticking)

    def test_the_room_is_taken_back(
        self, slow: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        def overtake(request: httpx.Request) -> None:
            registry.record(take_over(registry), service.add("Theirs", external_id="7")["id"])

        faults.order(overtake)
        entry, is_ours = slow.obtain(POST)
        assert (entry.chatroom_id, is_ours) == ("room-1", False)
        assert [room["is_deleted"] for room in service.rooms.values()] == [False, True]

    def test_a_room_that_cannot_be_taken_back_is_named(
        self,
        slow: RoomService,
        registry: RoomRegistry,
        service: FakeService,
        faults: Faults,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        def overtake(request: httpx.Request) -> None:
            registry.record(take_over(registry), service.add("Theirs", external_id="7")["id"])

        faults.order(overtake, httpx.Response(403))
        assert slow.ensure(POST).chatroom_id == "room-1"
        assert "The post '7' has a second chatroom, room-2" in caplog.text

    def test_an_adopted_room_is_left_alone(
        self, slow: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Seven", external_id="7")

        def overtake(request: httpx.Request) -> None:
            registry.record(take_over(registry), "their-room")

        faults.order(overtake)
        assert slow.ensure(POST).chatroom_id == "their-room"
        assert service.rooms["room-1"]["is_deleted"] is False

    def test_while_the_other_still_works_both_wait_for_it(
        self, slow: RoomService, registry: RoomRegistry, ticking: ManualClock, service: FakeService, faults: Faults
    ) -> None:
        claims: list[Claim] = []
        faults.order(lambda request: claims.append(take_over(registry)))
        ticking.on_sleep = lambda: registry.record(claims[0], "room-1")
        assert slow.obtain(POST) == (registry.get("7"), True)
        assert registry.get("7").chatroom_id == "room-1"
        assert service.rooms["room-1"]["is_deleted"] is False

    def test_once_the_other_has_a_room_of_its_own_ours_is_taken_back(
        self, slow: RoomService, registry: RoomRegistry, ticking: ManualClock, service: FakeService, faults: Faults
    ) -> None:
        """However long that takes; nobody is waited for any longer than a lease, though."""
        claims: list[Claim] = []
        faults.order(lambda request: claims.append(take_over(registry)))

        def make_theirs() -> None:
            if ticking.now >= 1020:
                registry.record(claims[0], service.add("Theirs", external_id="7")["id"])

        ticking.on_sleep = make_theirs
        entry, is_ours = slow.obtain(POST, wait_s=1)
        assert (entry.chatroom_id, is_ours) == ("room-2", False)
        assert [room["is_deleted"] for room in service.rooms.values()] == [True, False]

    @pytest.mark.parametrize("ends", ["in vain", "with an error"])
    def test_a_room_whose_fate_stays_open_is_named(
        self,
        slow: RoomService,
        registry: RoomRegistry,
        ticking: ManualClock,
        service: FakeService,
        faults: Faults,
        caplog: pytest.LogCaptureFixture,
        ends: str,
    ) -> None:
        claims: list[Claim] = []
        faults.order(lambda request: claims.append(take_over(registry)))
        if ends == "in vain":
            assert slow.ensure(POST).chatroom_id is None
            assert ticking.now == pytest.approx(1030)
        else:

            def interrupt() -> None:
                raise KeyboardInterrupt

            ticking.on_sleep = interrupt
            with pytest.raises(KeyboardInterrupt):
                slow.ensure(POST)
        assert "The chatroom room-1 of the post '7' came too late" in caplog.text
        assert service.rooms["room-1"]["is_deleted"] is False

    def test_our_own_room_is_found_again_when_the_other_dies(
        self, slow: RoomService, registry: RoomRegistry, ticking: ManualClock, service: FakeService, faults: Faults
    ) -> None:
        claims: list[Claim] = []
        faults.order(lambda request: claims.append(take_over(registry)))

        def end_lease() -> None:
            with registry.database.engine.begin() as connection:
                connection.exec_driver_sql("UPDATE chatix_chatrooms SET claim_expires_at = 0")

        ticking.on_sleep = end_lease
        assert slow.obtain(POST) == (registry.get("7"), True)
        assert list(service.rooms) == ["room-1"]
        assert registry.get("7").chatroom_id == "room-1"


@pytest.mark.parametrize("lease_s", [0, -1, 30.1])
def test_no_lease_is_longer_than_half_a_minute(registry: RoomRegistry, api: ChatixApi, lease_s: float) -> None:
    assert RoomService(registry, lambda: api).lease_s == 30
    with pytest.raises(ValueError, match="30 seconds"):
        RoomService(registry, lambda: api, lease_s=lease_s)


class TestTitlesOnly:
    """A service that keeps nothing of ours but titles, as the hosted one may be."""

    @pytest.fixture
    def titled(self, registry: RoomRegistry, api: ChatixApi, ticking: ManualClock, service: FakeService) -> RoomService:
        service.is_idempotent = service.keeps_external_ids = False
        return RoomService(registry, lambda: api, marks_titles=True, sleep=ticking.sleep, clock=ticking)

    def test_a_room_has_its_mark_until_it_is_recorded(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        def recorded(request: httpx.Request) -> None:
            assert registry.get("7").chatroom_id == "room-1"
            assert service.rooms["room-1"]["title"] == with_mark("Seven", "7")

        faults.order(lambda request: None, recorded)
        assert titled.obtain(POST) == (registry.get("7"), True)
        assert service.rooms["room-1"]["title"] == registry.get("7").title == "Seven"
        assert faults.paths == ["/chatroom/create", "/chatroom/update"]

    def test_it_is_adopted_by_its_mark(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        """Other rooms may have the same title; those of other posts, and deleted ones, are left alone."""
        hold_claim(registry, lease_s=0)
        service.add("Seven")
        service.add(with_mark("Seven", "8"))
        service.add(with_mark("Seven", "7"), is_deleted=True)
        left = service.add(with_mark("Theirs", "7"))
        assert titled.obtain(POST) == (registry.get("7"), True)
        assert registry.get("7").chatroom_id == left["id"]
        assert [room["title"] for room in service.rooms.values()] == [
            "Seven",
            with_mark("Seven", "8"),
            with_mark("Seven", "7"),
            "Seven",
        ]
        assert "/chatroom/create" not in faults.paths

    def test_it_is_made_private_before_it_is_recorded(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0, is_private=True)
        service.add(with_mark("Seven", "7"))
        assert titled.ensure(POST).is_private
        assert service.rooms["room-1"]["is_private"] is True
        assert [json.loads(request.content) for request in faults.requests if request.method == "POST"] == [
            {"is_private": True},
            {"title": "Seven"},
        ]

    def test_one_that_has_become_another_posts_is_left_to_it(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService
    ) -> None:
        left = service.add(with_mark("Seven", "7"))
        registry.link("moved", left["id"], title="Moved", is_private=False, state=RoomState.OPEN)
        hold_claim(registry, lease_s=0)
        assert titled.ensure(POST).chatroom_id == "room-2"

    def test_all_pages_are_looked_through(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        for number in range(250):
            service.add(f"Number {number}")
        left = service.add(with_mark("Seven", "7"))
        assert titled.ensure(POST).chatroom_id == left["id"]
        assert faults.paths == ["/chatroom/list"] * 3 + ["/chatroom/update"]

    def test_one_that_the_service_knows_by_name_is_adopted_too(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService
    ) -> None:
        """A living one rather than a deleted one."""
        service.keeps_external_ids = True
        hold_claim(registry, lease_s=0)
        deleted = service.add("Seven", external_id="7", is_deleted=True)
        living = service.add("Seven", external_id="7")
        assert titled.ensure(POST).chatroom_id == living["id"]
        registry.unlink(registry.get("7"))
        del service.rooms[living["id"]]
        hold_claim(registry, lease_s=0)
        assert titled.ensure(POST).state is RoomState.DELETED
        assert registry.get("7").chatroom_id == deleted["id"]

    def test_a_service_without_pages_is_asked_twice(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        hold_claim(registry, lease_s=0)
        service.add("Number one")
        assert titled.ensure(POST).chatroom_id == "room-2"
        assert faults.paths == ["/chatroom/list"] * 2 + ["/chatroom/create", "/chatroom/update"]

    def test_a_mark_that_stays_harms_nobody(
        self, titled: RoomService, service: FakeService, faults: Faults, caplog: pytest.LogCaptureFixture
    ) -> None:
        faults.order(lambda request: None, httpx.Response(403))
        assert titled.ensure(POST).chatroom_id == "room-1"
        assert f"The chatroom of the post '7' is called {with_mark('Seven', '7')!r} still" in caplog.text

    def test_too_late_ours_is_taken_back_with_its_mark(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        def overtake(request: httpx.Request) -> None:
            registry.record(take_over(registry), service.add("Theirs")["id"])

        faults.order(overtake)
        assert titled.obtain(POST) == (registry.get("7"), False)
        assert [(room["title"], room["is_deleted"]) for room in service.rooms.values()] == [
            ("Theirs", False),
            (with_mark("Seven", "7"), True),
        ]

    def test_too_late_but_given_to_another_post_meanwhile_it_is_left_alone(
        self, titled: RoomService, registry: RoomRegistry, service: FakeService, faults: Faults
    ) -> None:
        def overtake(request: httpx.Request) -> httpx.Response:
            answer = service(request)
            registry.record(take_over(registry), service.add("Theirs")["id"])
            registry.link("8", "room-1", title="", is_private=False, state=RoomState.OPEN)
            return answer

        faults.order(overtake)
        titled.obtain(POST)
        assert registry.get("8").chatroom_id == "room-1"
        assert not service.rooms["room-1"]["is_deleted"]


class TestMarks:
    @pytest.mark.parametrize("post_id", ["7", "x" * 255, "é 😀"])
    def test_are_for_one_post(self, post_id: str) -> None:
        title = with_mark("A title", post_id)
        assert is_marked_for(title, post_id) and not is_marked_for(title, post_id + " ")
        assert is_marked(title) and not is_marked("A title")
        assert without_mark(title) == "A title" == without_mark("A title")

    def test_survive_a_service_that_cuts_or_trims(self) -> None:
        title = with_mark("x" * 255, "7")
        assert len(title) == 255
        assert is_marked_for(title[:40], "7") and is_marked_for(f" {title}", "7")

    def test_are_cut_by_no_title(self) -> None:
        assert is_marked_for(with_mark(with_mark("Hello", "8"), "7"), "7")
