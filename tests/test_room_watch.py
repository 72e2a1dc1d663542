"""Chatrooms that are deleted and restored at the service, without us: readers find it out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import RegistryEntry, RoomState
from flask_chatix_comments.room_watch import LOOK_EVERY_S, RoomWatch
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults, ManualClock

pytest_plugins = ("tests.rooms_fixtures",)


@pytest.fixture
def watch(registry: RoomRegistry, api: ChatixApi, ticking: ManualClock) -> RoomWatch:
    return RoomWatch(registry, lambda: api, is_hosted=False, clock=ticking)


@pytest.fixture
def entry(rooms: RoomService, faults: Faults) -> RegistryEntry:
    entry = rooms.ensure(Post("7", "Seven"))
    faults.requests.clear()
    return entry


def test_deleted_and_restored_there(
    watch: RoomWatch, entry: RegistryEntry, service: FakeService, registry: RoomRegistry, ticking: ManualClock
) -> None:
    service.rooms["room-1"]["is_deleted"] = True
    deleted = watch.look(entry)
    assert (deleted.state, registry.get("7").state) == (RoomState.DELETED, RoomState.DELETED)
    service.rooms["room-1"].update(is_deleted=False, is_closed=True)
    ticking.advance(LOOK_EVERY_S)
    assert watch.look(deleted).state is RoomState.CLOSED
    assert registry.get("7").chatroom_id == "room-1"


def test_many_readers_ask_once(
    watch: RoomWatch, entry: RegistryEntry, service: FakeService, faults: Faults, ticking: ManualClock
) -> None:
    assert [watch.look(entry) for _ in range(5)] == [entry] * 5
    assert faults.paths == ["/chatroom/get"]
    ticking.advance(LOOK_EVERY_S)
    watch.look(entry)
    assert faults.paths == ["/chatroom/get"] * 2


@pytest.mark.parametrize("fault", [httpx.Response(503), httpx.ReadTimeout("late"), httpx.Response(200, text="<html>")])
def test_a_service_that_fails_changes_nothing(
    watch: RoomWatch, entry: RegistryEntry, faults: Faults, fault: httpx.Response
) -> None:
    faults.order(fault)
    assert watch.look(entry) == entry
    # It was asked once: somebody waits for the answer.
    assert len(faults.paths) == 1


def test_a_room_that_vanished_is_told_to_the_log_and_stays_the_posts(
    watch: RoomWatch,
    entry: RegistryEntry,
    service: FakeService,
    registry: RoomRegistry,
    ticking: ManualClock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    del service.rooms["room-1"]
    assert watch.look(entry) == entry
    assert "does not know the chatroom room-1 of the post '7'" in caplog.text
    caplog.clear()
    ticking.advance(LOOK_EVERY_S)
    # A service may not show what it has deleted.
    deleted = registry.update("7", state=RoomState.DELETED)
    assert watch.look(deleted) == deleted
    assert caplog.messages == []


def test_somebody_changes_it_at_the_same_moment(
    watch: RoomWatch, entry: RegistryEntry, service: FakeService, registry: RoomRegistry, faults: Faults
) -> None:
    service.rooms["room-1"]["is_deleted"] = True

    def meanwhile(request: httpx.Request) -> None:
        registry.update("7", state=RoomState.CLOSED)

    faults.order(meanwhile)
    assert watch.look(entry) == entry
    assert registry.get("7").state is RoomState.CLOSED


def test_a_post_without_a_chatroom(watch: RoomWatch, registry: RoomRegistry, faults: Faults) -> None:
    registry.claim("8", title="Eight", is_private=False, owner="somebody", lease_s=60)
    entry = registry.get("8")
    assert watch.look(entry) == entry
    assert faults.paths == []


class TestPrivacy:
    """The registry says what is private."""

    def test_what_is_public_at_the_service_is_closed_there_again(
        self,
        watch: RoomWatch,
        entry: RegistryEntry,
        service: FakeService,
        registry: RoomRegistry,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """Somebody has opened it in a dashboard, or make-private could not tell the service."""
        private = registry.update("7", is_private=True)
        assert watch.look(private) == private
        assert service.rooms["room-1"]["is_private"] is True
        assert "is made private there again" in caplog.text

    def test_what_is_private_at_the_service_is_opened_by_nobody(
        self,
        watch: RoomWatch,
        entry: RegistryEntry,
        service: FakeService,
        registry: RoomRegistry,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        service.rooms["room-1"]["is_private"] = True
        assert watch.look(entry) == entry == registry.get("7")
        assert service.rooms["room-1"]["is_private"] is True
        assert "so that nobody gets in" in caplog.text

    def test_what_somebody_opens_meanwhile_is_left_open(
        self, watch: RoomWatch, entry: RegistryEntry, service: FakeService, registry: RoomRegistry, faults: Faults
    ) -> None:
        private = registry.update("7", is_private=True)

        def open_it(request: httpx.Request) -> None:
            registry.update("7", is_private=False)

        faults.order(open_it)
        watch.look(private)
        assert service.rooms["room-1"]["is_private"] is False
        assert faults.paths == ["/chatroom/get"]

    def test_as_it_should_be_it_is_left_alone(
        self, watch: RoomWatch, entry: RegistryEntry, service: FakeService, registry: RoomRegistry, faults: Faults
    ) -> None:
        private = registry.update("7", is_private=True)
        service.rooms["room-1"]["is_private"] = True
        watch.look(private)
        assert faults.paths == ["/chatroom/get"]

    def test_a_service_that_cannot_be_told_is_told_the_next_time(
        self,
        watch: RoomWatch,
        entry: RegistryEntry,
        service: FakeService,
        registry: RoomRegistry,
        faults: Faults,
        ticking: ManualClock,
    ) -> None:
        private = registry.update("7", is_private=True)
        faults.order(lambda _: None, httpx.Response(503))
        assert watch.look(private) == private
        assert service.rooms["room-1"]["is_private"] is False
        ticking.advance(LOOK_EVERY_S)
        watch.look(private)
        assert service.rooms["room-1"]["is_private"] is True
