"""The sweep: whom it takes out, whom it never does, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from flask_chatix_comments.errors import ApiConnectionError, ApiStatusError
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_list import ROOMS_PER_CALL
from flask_chatix_comments.sweep import GRACE_S, VISITORS_PER_CALL, Sweeper, SweepResult

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)

both_services = pytest.mark.parametrize("is_hosted", [False, True], ids=["hub", "hosted"])
Make = Callable[..., Sweeper]


@pytest.fixture
def make(registry: RoomRegistry, api: ChatixApi, ticking: ManualClock) -> Make:
    def make(**options: Any) -> Sweeper:
        values: dict[str, Any] = {"is_hosted": False, "sleep": ticking.sleep, "clock": ticking} | options
        return Sweeper(registry, api, **values)

    return make


@pytest.fixture
def room(add_room: Callable[..., str]) -> str:
    return add_room("7")


@pytest.fixture
def add_room(registry: RoomRegistry, service: FakeService) -> Callable[..., str]:
    """Make chatrooms of posts."""

    def add(post_id: str, *, is_private: bool = False, state: RoomState = RoomState.OPEN) -> str:
        chatroom_id: str = service.add(post_id, is_private=is_private)["id"]
        registry.link(post_id, chatroom_id, title=post_id, is_private=is_private, state=state)
        return chatroom_id

    return add


@both_services
class TestWhom:
    def test_takes_out_who_is_offline_at_both_looks(
        self, make: Make, service: FakeService, room: str, ticking: ManualClock, is_hosted: bool
    ) -> None:
        service.seat(room, "here", "gone", "gone-too")
        service.online = {"here"}
        told: list[int] = []
        result = make(is_hosted=is_hosted, waiting=told.append).run()
        assert result == SweepResult(1, offline=2, taken_out=2, came_back=0, failures=(), is_complete=True)
        assert service.members[room] == ["here"]
        assert (ticking.sleeps, told) == ([GRACE_S], [2])

    def test_again_finds_nobody_and_does_not_wait(
        self, make: Make, service: FakeService, room: str, ticking: ManualClock, is_hosted: bool
    ) -> None:
        service.seat(room, "gone")
        sweeper = make(is_hosted=is_hosted)
        sweeper.run()
        ticking.sleeps.clear()
        again = sweeper.run()
        assert (again.offline, again.taken_out, again.is_complete, ticking.sleeps) == (0, 0, True, [])

    def test_spares_who_comes_back_in_the_grace_time(
        self, make: Make, service: FakeService, room: str, ticking: ManualClock, is_hosted: bool
    ) -> None:
        service.seat(room, "between-two-pages", "gone")
        ticking.on_sleep = lambda: service.online.add("between-two-pages")
        result = make(is_hosted=is_hosted).run()
        assert (result.offline, result.taken_out, result.came_back) == (2, 1, 1)
        assert service.members[room] == ["between-two-pages"]

    def test_finds_them_on_all_pages(self, make: Make, service: FakeService, room: str, is_hosted: bool) -> None:
        visitors = [f"v-{number}" for number in range(2 * VISITORS_PER_CALL)]
        service.seat(room, *visitors)
        service.online = set(visitors[::2])
        assert make(is_hosted=is_hosted).run().taken_out == VISITORS_PER_CALL
        assert service.members[room] == visitors[::2]

    @pytest.mark.parametrize("online", [True, False])
    def test_ends_where_a_service_ignores_the_page(
        self, make: Make, service: FakeService, room: str, faults: Faults, is_hosted: bool, online: bool
    ) -> None:
        page = [{"uuid": f"v-{number}", "is_online": online} for number in range(VISITORS_PER_CALL)]
        real = faults.service

        def same_page(request: httpx.Request) -> httpx.Response:
            is_list = request.url.path.endswith("/chatroom/visitors")
            return httpx.Response(200, json=page) if is_list else real(request)

        faults.service = same_page
        service.seat(room, "somebody")
        assert make(is_hosted=is_hosted).run().offline == (0 if online else VISITORS_PER_CALL)
        assert faults.paths.count("/chatroom/visitors") == 2

    def test_leaves_private_deleted_and_unfinished_chatrooms_alone(
        self, make: Make, service: FakeService, registry: RoomRegistry, add_room: Callable[..., str], is_hosted: bool
    ) -> None:
        rooms = [add_room("p", is_private=True), add_room("d", state=RoomState.DELETED)]
        rooms.append(str(service.add("support")["id"]))
        closed = add_room("c", state=RoomState.CLOSED)
        registry.claim("new", title="", is_private=False, owner="", lease_s=60)
        for room in [*rooms, closed]:
            service.seat(room, "gone")
        assert make(is_hosted=is_hosted).run().taken_out == 1
        assert [service.members[room] for room in [*rooms, closed]] == [["gone"], ["gone"], ["gone"], []]

    def test_believes_no_service_that_does_not_say_who_is_online(
        self, make: Make, service: FakeService, room: str, faults: Faults, is_hosted: bool
    ) -> None:
        real = faults.service

        def silent(request: httpx.Request) -> httpx.Response:
            if request.url.path.endswith("/chatroom/visitors"):
                return httpx.Response(200, json={"items": [{"uuid": "here"}]})
            return real(request)

        faults.service = silent
        service.seat(room, "here")
        result = make(is_hosted=is_hosted).run()
        assert (result.taken_out, result.is_complete, len(result.failures)) == (0, False, 1)
        assert "/chatroom/disconnect-visitor" not in faults.paths


class TestRace:
    """Somebody comes back at the very moment of the second look."""

    @pytest.fixture
    def coming_back(self, service: FakeService, faults: Faults) -> Callable[[str], None]:
        """Let the visitor be online, and a member, from just before the request to a path is answered."""

        def arm(path: str, *, after: bool = False) -> None:
            real = faults.service

            def answer(request: httpx.Request) -> httpx.Response:
                is_it = request.url.path.endswith(path)
                response = real(request) if after or not is_it else None
                if is_it:
                    service.online.add("v")
                return response or real(request)

            faults.service = answer

        return arm

    def test_our_hub_looks_and_acts_in_one_step(
        self, make: Make, service: FakeService, room: str, coming_back: Callable[..., None], faults: Faults
    ) -> None:
        service.seat(room, "v")
        coming_back("/chatroom/disconnect-visitor")
        result = make().run()
        assert (result.taken_out, result.came_back, service.members[room]) == (0, 1, ["v"])
        (request,) = [one for one in faults.requests if one.url.path.endswith("disconnect-visitor")]
        assert request.url.params["onlyOffline"] == "true"

    def test_on_the_hosted_service_who_is_seen_in_time_is_not_touched(
        self, make: Make, service: FakeService, room: str, coming_back: Callable[..., None], faults: Faults
    ) -> None:
        service.seat(room, "v")
        coming_back("/visitor/get")
        assert make(is_hosted=True).run().came_back == 1
        assert "/chatroom/disconnect-visitor" not in faults.paths

    def test_on_the_hosted_service_who_is_seen_late_is_put_back(
        self, make: Make, service: FakeService, room: str, coming_back: Callable[..., None], faults: Faults
    ) -> None:
        service.seat(room, "v")
        coming_back("/visitor/get", after=True)
        result = make(is_hosted=True).run()
        assert (result.taken_out, result.came_back, service.members[room]) == (0, 1, ["v"])
        assert faults.paths[-3:] == ["/chatroom/disconnect-visitor", "/visitor/get", "/chatroom/connect-visitor"]


class TestLimits:
    def test_of_seats(self, make: Make, service: FakeService, add_room: Callable[..., str]) -> None:
        for post_id in "abc":
            service.seat(add_room(post_id), f"{post_id}-1", f"{post_id}-2")
        first, second, third = (make(limit=3).run() for _ in range(3))
        assert (first.taken_out, first.is_complete) == (3, False)
        assert (second.taken_out, second.is_complete) == (3, True)
        assert (third.taken_out, third.is_complete) == (0, True)

    def test_of_time_for_the_first_look(
        self, make: Make, service: FakeService, add_room: Callable[..., str], ticking: ManualClock, faults: Faults
    ) -> None:
        for post_id in "abcd":
            service.seat(add_room(post_id), "gone")
        faults.service = slowly(faults.service, ticking, 10, "/chatroom/visitors")
        result = make(time_limit_s=40).run()
        assert (result.chatrooms, result.offline, result.taken_out, result.is_complete) == (2, 2, 2, False)

    def test_of_time_for_the_second_look(
        self, make: Make, service: FakeService, room: str, ticking: ManualClock, faults: Faults
    ) -> None:
        service.seat(room, *(f"v-{number}" for number in range(9)))
        faults.service = slowly(faults.service, ticking, 10, "/chatroom/disconnect-visitor")
        result = make(time_limit_s=40).run()
        assert (result.offline, result.taken_out, result.is_complete) == (9, 4, False)

    def test_rooms_come_in_another_order_each_time(
        self, make: Make, service: FakeService, add_room: Callable[..., str]
    ) -> None:
        """So that sweeps which are always cut short get to all of them."""
        rooms = [add_room(str(number)) for number in range(20)]
        first = set()
        for _ in range(20):
            service.members = {room: ["gone"] for room in rooms}
            make(limit=1, is_hosted=True).run()
            first |= {room for room in rooms if not service.members[room]}
        assert len(first) > 1

    def test_rooms_of_all_pages_are_looked_into(
        self, make: Make, service: FakeService, add_room: Callable[..., str]
    ) -> None:
        rooms = [add_room(str(number)) for number in range(2 * ROOMS_PER_CALL + 1)]
        for room in (rooms[0], rooms[-1]):
            service.seat(room, "gone")
        assert make().run().taken_out == 2

    def test_our_hub_is_not_asked_about_empty_rooms(
        self, make: Make, service: FakeService, add_room: Callable[..., str], faults: Faults
    ) -> None:
        rooms = [add_room(str(number)) for number in range(5)]
        service.seat(rooms[3], "gone")
        assert make().run().chatrooms == 1
        assert faults.paths == ["/chatroom/list", "/chatroom/visitors", "/chatroom/disconnect-visitor"]


class TestFailures:
    def test_of_one_room_do_not_stop_the_others(
        self, make: Make, service: FakeService, add_room: Callable[..., str], ticking: ManualClock
    ) -> None:
        lost, later, well = add_room("lost"), add_room("later"), add_room("well")
        for room in (lost, later, well):
            service.seat(room, "gone-1", "gone-2")
        del service.rooms[lost]
        ticking.on_sleep = lambda: service.rooms.pop(later)
        result = make().run()
        assert (result.chatrooms, result.offline, result.taken_out, result.is_complete) == (2, 4, 2, True)
        assert sorted(failure.post_id for failure in result.failures) == ["later", "lost"]
        assert all("404" in failure.error for failure in result.failures)

    @pytest.mark.parametrize("fault", [httpx.ConnectError("refused"), httpx.Response(401), httpx.Response(503)])
    def test_of_the_service_end_the_sweep(
        self,
        make: Make,
        service: FakeService,
        add_room: Callable[..., str],
        ticking: ManualClock,
        faults: Faults,
        fault: Any,
    ) -> None:
        for post_id in "ab":
            service.seat(add_room(post_id), "gone")
        ticking.on_sleep = lambda: faults.order(*[fault] * 3)
        result = make().run()
        assert (result.offline, result.taken_out, len(result.failures), result.is_complete) == (2, 0, 1, False)

    @pytest.mark.parametrize(
        ("fault", "error"), [(httpx.ConnectError("x"), ApiConnectionError), (httpx.Response(403), ApiStatusError)]
    )
    def test_at_the_very_start_are_the_callers(
        self, make: Make, room: str, faults: Faults, fault: Any, error: type[Exception]
    ) -> None:
        faults.order(*[fault] * 3)
        with pytest.raises(error):
            make().run()


def slowly(
    service: Callable[[httpx.Request], httpx.Response], clock: ManualClock, seconds: float, path: str
) -> Callable[[httpx.Request], httpx.Response]:
    """Let the calls of *path* take their time."""

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith(path):
            clock.advance(seconds)
        return service(request)

    return answer


class TestPrivate:
    """Who is in a private chatroom is there because the site said yes."""

    @both_services
    def test_whom_the_site_does_not_let_in_any_more(
        self, make: Make, service: FakeService, add_room: Callable[..., str], is_hosted: bool, ticking: ManualClock
    ) -> None:
        public, private = add_room("7"), add_room("p", is_private=True)
        for room in (public, private):
            service.seat(room, "ada", "ben", "gone")
        service.online = {"ada", "ben"}
        asked: list[tuple[str, str]] = []

        def strangers_in(post_id: str, chatroom_id: str) -> list[str]:
            asked.append((post_id, chatroom_id))
            return ["ben"]

        result = make(is_hosted=is_hosted, strangers_in=strangers_in).run()
        # Who is online is taken out as well; who has left their seat in a private one comes back by the site.
        assert result == SweepResult(2, offline=2, taken_out=2, came_back=0, failures=(), is_complete=True, refused=1)
        assert (service.members[public], service.members[private]) == (["ada", "ben"], ["ada"])
        assert asked == [("p", private)]
        assert ticking.sleeps == [GRACE_S]

    def test_at_once_though_nobody_is_offline(
        self, make: Make, service: FakeService, add_room: Callable[..., str], ticking: ManualClock
    ) -> None:
        private = add_room("p", is_private=True)
        service.seat(private, "ben")
        service.online = {"ben"}
        assert make(strangers_in=lambda *_: ["ben"]).run().refused == 1
        assert (service.members[private], ticking.sleeps) == ([], [])

    def test_so_many_at_most(self, make: Make, service: FakeService, add_room: Callable[..., str]) -> None:
        private = add_room("p", is_private=True)
        service.seat(private, *"abc")
        service.online = set("abc")
        sweeper = make(limit=2, strangers_in=lambda *_: list(service.members[private]))
        first, second = sweeper.run(), sweeper.run()
        assert (first.refused, first.is_complete) == (2, False)
        assert (second.refused, second.is_complete) == (1, True)

    def test_a_failure_of_one_chatroom_does_not_end_the_sweep(
        self, make: Make, service: FakeService, add_room: Callable[..., str]
    ) -> None:
        gone, private = add_room("gone", is_private=True), add_room("p", is_private=True)
        service.seat(private, "ben")
        del service.rooms[gone]

        def strangers_in(post_id: str, chatroom_id: str) -> list[str]:
            if chatroom_id == gone:
                raise ApiStatusError("no such chatroom", operation="list_visitors", status_code=404)
            return ["ben"]

        result = make(is_hosted=True, strangers_in=strangers_in).run()
        assert (result.refused, [failure.post_id for failure in result.failures]) == (1, ["gone"])
        assert service.members[private] == []
