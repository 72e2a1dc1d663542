"""From public to private and back, with a real database and a chat service that fails on order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments.access import AccessGate, AccessLoader
from flask_chatix_comments.errors import (
    ApiPayloadError,
    ApiStatusError,
    PostNotRegisteredError,
    RegistryError,
    RoomError,
    RoomMissingError,
)
from flask_chatix_comments.models import Post, Visitor
from flask_chatix_comments.private_rooms import VISITORS_PER_CALL, PrivateRooms
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_keeper import RoomChange
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)

Make = Callable[..., PrivateRooms]


@pytest.fixture
def make(registry: RoomRegistry, rooms: RoomService, api: ChatixApi) -> Make:
    def make(loader: AccessLoader | None = lambda *_: True, *, is_hosted: bool = False) -> PrivateRooms:
        gate = AccessGate(lambda: loader)
        return PrivateRooms(registry, rooms, lambda: api, gate, reader_api=lambda: api, is_hosted=is_hosted)

    return make


@pytest.fixture
def room(rooms: RoomService, faults: Faults) -> str:
    """The public chatroom of the post 7."""
    chatroom_id = rooms.ensure(Post("7", "Seven")).chatroom_id
    faults.requests.clear()
    assert chatroom_id is not None
    return chatroom_id


def test_to_private_and_back(make: Make, service: FakeService, registry: RoomRegistry, room: str) -> None:
    service.talk(room, 3)
    private_rooms = make()
    assert private_rooms.make_private("7") == RoomChange("7", room, "Seven", True, RoomState.OPEN, is_changed=True)
    assert registry.get("7").is_private and service.rooms[room]["is_private"]
    assert private_rooms.make_private("7").is_changed is False
    assert private_rooms.make_public("7") == RoomChange("7", room, "Seven", False, RoomState.OPEN, is_changed=True)
    assert not registry.get("7").is_private and not service.rooms[room]["is_private"]
    assert private_rooms.make_public("7").is_changed is False
    assert len(service.messages[room]) == 3


def test_a_reader_who_comes_between_does_not_close_what_is_being_opened(
    make: Make, service: FakeService, registry: RoomRegistry, faults: Faults, room: str
) -> None:
    make().make_private("7")

    def close(request: httpx.Request) -> httpx.Response:
        answer = service(request)
        service.rooms[room]["is_private"] = True
        return answer

    faults.order(close)
    assert make().make_public("7").is_changed
    assert not registry.get("7").is_private and not service.rooms[room]["is_private"]


def test_a_post_without_a_chatroom_gets_a_private_one(
    make: Make, service: FakeService, registry: RoomRegistry, rooms: RoomService
) -> None:
    change = make().make_private("inner", title="Inner circle")
    assert change == RoomChange("inner", "room-1", "Inner circle", True, RoomState.OPEN, is_changed=True)
    assert service.rooms["room-1"]["is_private"] is True
    # An older page says that it is public.
    assert rooms.ensure(Post("inner")).is_private


def test_a_public_room_that_comes_first_is_made_private_all_the_same(
    make: Make, service: FakeService, registry: RoomRegistry, faults: Faults
) -> None:
    """The registry is lost, and the service has the post's chatroom: a public one."""
    service.add("Seven", external_id="7")
    change = make().make_private("7")
    assert (change.chatroom_id, change.is_private) == ("room-1", True)
    assert service.rooms["room-1"]["is_private"] is True


def test_a_room_that_somebody_is_making(make: Make, registry: RoomRegistry) -> None:
    registry.claim("7", title="Seven", is_private=False, owner="somebody", lease_s=60)
    with pytest.raises(RoomError, match="just making a chatroom"):
        make().make_private("7")


def test_what_is_not_there_is_not_made_public(make: Make, registry: RoomRegistry) -> None:
    with pytest.raises(PostNotRegisteredError):
        make().make_public("7")


def test_nobody_to_ask_is_noted(make: Make, room: str) -> None:
    note = make(None).make_private("7").note
    assert note is not None and "There is no access_loader" in note


@pytest.mark.parametrize("fault", [httpx.Response(500), httpx.ConnectError("no")])
def test_when_the_service_fails_the_pages_are_closed_already(
    make: Make, faults: Faults, service: FakeService, registry: RoomRegistry, room: str, fault: httpx.Response
) -> None:
    faults.order(fault, fault, fault, fault)
    with pytest.raises(RoomError, match="private from now on.*Do it once more"):
        make().make_private("7")
    assert registry.get("7").is_private and not service.rooms[room]["is_private"]
    faults.clear()
    assert make().make_private("7").is_changed is False
    assert service.rooms[room]["is_private"]


def test_when_the_service_fails_a_private_room_stays_private(
    make: Make, faults: Faults, service: FakeService, registry: RoomRegistry, room: str
) -> None:
    make().make_private("7")
    faults.order(*[httpx.Response(500)] * 4)
    with pytest.raises(ApiStatusError):
        make().make_public("7")
    assert registry.get("7").is_private


def test_a_service_that_does_not_do_it(make: Make, faults: Faults, registry: RoomRegistry, room: str) -> None:
    as_before = {"id": room, "title": "Seven", "is_private": False, "managers": []}
    faults.order(httpx.Response(200, json=as_before))
    with pytest.raises(RoomError, match="did not make the chatroom of the post '7' private"):
        make().make_private("7")
    faults.order(httpx.Response(200, json=as_before | {"is_private": True}))
    with pytest.raises(ApiPayloadError, match="did not make the chatroom of the post '7' public"):
        make().make_public("7")
    assert registry.get("7").is_private


def test_a_room_that_the_service_does_not_have(make: Make, service: FakeService, room: str) -> None:
    del service.rooms[room]
    with pytest.raises(RoomMissingError, match="does not know the chatroom room-1"):
        make().make_private("7")
    with pytest.raises(RoomMissingError):
        make().make_public("7")


def test_two_changes_at_once(
    make: Make, registry: RoomRegistry, faults: Faults, service: FakeService, room: str
) -> None:
    make().make_private("7")

    def meanwhile(request: httpx.Request) -> None:
        registry.update("7", state=RoomState.DELETED)

    faults.order(meanwhile)
    with pytest.raises(RegistryError, match="at the same moment"):
        make().make_public("7")
    assert registry.get("7").is_private


class TestWhoIsTakenOut:
    def test_whom_the_site_does_not_let_in(
        self, make: Make, service: FakeService, registry: RoomRegistry, room: str
    ) -> None:
        ada, ben = registry.visitor_id_for("ada"), registry.visitor_id_for("ben")
        service.seat(room, ada, ben, "g-guest", "an-sdk-client")
        asked: list[tuple[str | None, str]] = []

        def loader(visitor: Visitor | None, post_id: str) -> bool:
            asked.append((None if visitor is None else str(visitor.key), post_id))
            return visitor is not None and visitor.key == "ada"

        make(loader).make_private("7")
        assert service.members[room] == [ada]
        assert asked == [("ada", "7"), ("ben", "7"), (None, "7"), (None, "7")]

    def test_on_the_hosted_service_by_its_ids(
        self, make: Make, service: FakeService, registry: RoomRegistry, room: str
    ) -> None:
        for browser in ("b1", "b2"):
            registry.keep_service_id("ada", browser, f"ada-in-{browser}", instead_of=None)
        registry.keep_service_id("ben", "b3", "ben-in-b3", instead_of=None)
        service.seat(room, "ada-in-b1", "ben-in-b3", "unknown", "ada-in-b2")
        make(lambda visitor, _: visitor is not None and visitor.key == "ada", is_hosted=True).make_private("7")
        assert service.members[room] == ["ada-in-b1", "ada-in-b2"]

    def test_what_the_service_knows_is_told_and_managers_stay(
        self, make: Make, service: FakeService, registry: RoomRegistry, room: str, faults: Faults
    ) -> None:
        ada = registry.visitor_id_for("ada")
        row = {"uuid": ada, "name": "Ada", "email": "ada@blog.example", "fields": {"plan": "paid"}}
        boss = {"uuid": "boss", "name": "Marit", "is_manager": True}
        asked: list[Visitor | None] = []

        def loader(visitor: Visitor | None, post_id: str) -> bool:
            asked.append(visitor)
            return True

        faults.order(httpx.Response(200, json={"items": [row, boss]}))
        assert make(loader).strangers_in("7", room) == []
        assert asked == [Visitor("ada", "Ada", email="ada@blog.example", fields={"plan": "paid"})]

    def test_on_all_pages(self, make: Make, service: FakeService, room: str) -> None:
        service.seat(room, *[f"g-{number}" for number in range(2 * VISITORS_PER_CALL + 5)])
        make(lambda *_: False).make_private("7")
        assert service.members[room] == []

    def test_where_a_service_ignores_the_page(self, make: Make, faults: Faults, room: str) -> None:
        page = {"items": [{"uuid": f"v-{number}"} for number in range(VISITORS_PER_CALL)]}
        faults.order(*[httpx.Response(200, json=page)] * 2)
        assert len(make(lambda *_: False).strangers_in("7", room)) == VISITORS_PER_CALL

    def test_who_is_forgotten_meanwhile_is_out(
        self, make: Make, service: FakeService, faults: Faults, room: str
    ) -> None:
        service.seat(room, "g-1", "g-2")
        change = make(lambda *_: True).make_private("7")
        assert change.is_private
        faults.order(httpx.Response(404))
        make().turn_away(room, ["g-1", "g-2"])
        assert service.members[room] == ["g-1"]

    def test_a_failure_is_logged_and_tried_again_by_the_next_visit(
        self, make: Make, service: FakeService, faults: Faults, room: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        service.seat(room, "g-1")
        faults.order(httpx.Response(503))
        make().turn_away(room, ["g-1"])
        assert "could not be taken out" in caplog.text
        make().turn_away(room, ["g-1"])
        assert service.members[room] == []
