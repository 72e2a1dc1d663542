"""Chatrooms by hand, with a real database and a chat service that fails on order."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments.errors import (
    ApiConnectionError,
    ApiPayloadError,
    ApiStatusError,
    ChatroomTakenError,
    PostNotRegisteredError,
    RegistryError,
    RoomError,
    RoomMissingError,
)
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import RoomState
from flask_chatix_comments.room_keeper import RoomChange, RoomKeeper
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)

Deed = Callable[[RoomKeeper], RoomChange]
DEEDS: dict[str, Deed] = {
    "unlink": lambda keeper: keeper.unlink("7"),
    "close": lambda keeper: keeper.close("7"),
    "reopen": lambda keeper: keeper.reopen("7"),
    "delete": lambda keeper: keeper.delete("7"),
    "restore": lambda keeper: keeper.restore("7"),
}
any_deed = pytest.mark.parametrize("deed", DEEDS.values(), ids=DEEDS)


@pytest.fixture
def room(rooms: RoomService, faults: Faults) -> str:
    """The chatroom of the post 7."""
    chatroom_id = rooms.ensure(Post("7", "Seven")).chatroom_id
    faults.requests.clear()
    assert chatroom_id is not None
    return chatroom_id


class TestLink:
    def test_takes_over_what_the_service_says(
        self, keeper: RoomKeeper, service: FakeService, registry: RoomRegistry
    ) -> None:
        made = service.add("From the\n dashboard", is_private=True, is_closed=True)
        change = keeper.link("7", made["id"])
        assert change == RoomChange("7", "room-1", "From the dashboard", True, RoomState.CLOSED, is_changed=True)
        entry = registry.get("7")
        assert (entry.chatroom_id, entry.title, entry.is_private, entry.state) == (
            "room-1",
            "From the dashboard",
            True,
            RoomState.CLOSED,
        )
        # Under this name the hub finds it when the registry is lost.
        assert service.rooms["room-1"]["external_id"] == "7"

    def test_again_is_no_change_but_brings_up_to_date(self, keeper: RoomKeeper, service: FakeService) -> None:
        service.add("Old")
        first = keeper.link("7", "room-1")
        again = keeper.link("7", "room-1")
        assert (first.is_changed, again.is_changed) == (True, False)
        service.rooms["room-1"].update(title="New", is_private=True, is_closed=True)
        assert keeper.link("7", "room-1") == RoomChange("7", "room-1", "New", True, RoomState.CLOSED, is_changed=True)

    def test_names_a_room_without_title_by_the_post(self, keeper: RoomKeeper, service: FakeService) -> None:
        service.add(" ")
        assert keeper.link("7", "room-1").title == "7"

    def test_of_a_deleted_room_says_so(self, keeper: RoomKeeper, service: FakeService) -> None:
        service.add("Old", is_deleted=True)
        change = keeper.link("7", "room-1")
        assert (change.state, change.note) == (
            RoomState.DELETED,
            "It is deleted: readers see that until it is restored.",
        )
        assert keeper.restore("7").state is RoomState.OPEN

    def test_to_a_room_that_does_not_exist(
        self, keeper: RoomKeeper, hosted_keeper: RoomKeeper, registry: RoomRegistry
    ) -> None:
        with pytest.raises(RoomMissingError, match="There is no chatroom nowhere at http://api.test/v1. Check the ID"):
            keeper.link("7", "nowhere")
        with pytest.raises(RoomMissingError, match="check CHATIX_API_URL and CHATIX_API_OPERATIONS"):
            hosted_keeper.link("7", "nowhere")
        assert registry.entries() == []

    @pytest.mark.parametrize("chatroom_id", ["", " ", "a b", "x" * 256, "é", "a\0", "\n"])
    def test_to_what_is_no_id(self, keeper: RoomKeeper, faults: Faults, chatroom_id: str) -> None:
        with pytest.raises(RoomError, match="cannot be the ID of a chatroom"):
            keeper.link("7", chatroom_id)
        assert faults.requests == []

    def test_to_a_room_of_another_post(self, keeper: RoomKeeper, room: str, registry: RoomRegistry) -> None:
        with pytest.raises(ChatroomTakenError, match="belongs to the post '7'. Unlink it there first") as raised:
            keeper.link("8", room)
        assert (raised.value.post_id, raised.value.owner) == ("8", "7")
        assert registry.find("8") is None

    def test_of_a_post_that_has_another(self, keeper: RoomKeeper, service: FakeService, room: str) -> None:
        other = service.add("Other")
        with pytest.raises(RoomError, match=f"has the chatroom {room} already. Unlink that one first"):
            keeper.link("7", other["id"])
        assert other["external_id"] is None

    def test_while_somebody_makes_one(self, keeper: RoomKeeper, service: FakeService, registry: RoomRegistry) -> None:
        service.add("Other")
        registry.claim("7", title="", is_private=False, owner="other", lease_s=60)
        with pytest.raises(RoomError, match="Somebody is just making a chatroom .* Try again in a moment"):
            keeper.link("7", "room-1")
        assert registry.get("7").chatroom_id is None

    def test_takes_the_place_of_a_creation_that_failed(
        self, keeper: RoomKeeper, rooms: RoomService, service: FakeService, faults: Faults
    ) -> None:
        faults.order(httpx.ReadTimeout("slow"))
        with pytest.raises(ApiConnectionError):
            rooms.ensure(Post("7"))
        service.add("Mine")
        assert keeper.link("7", "room-1").is_changed
        assert rooms.ensure(Post("7")).chatroom_id == "room-1"

    def test_moves_a_thread_to_another_post(
        self, keeper: RoomKeeper, rooms: RoomService, service: FakeService, room: str
    ) -> None:
        """A post that was renamed: the old name must not find the thread again, nor be shut out."""
        keeper.unlink("7")
        change = keeper.link("8", room)
        assert (change.chatroom_id, change.title, change.note) == (room, "Seven", None)
        assert rooms.ensure(Post("7")).chatroom_id != room
        assert rooms.ensure(Post("8")).chatroom_id == room

    def test_says_whose_the_room_was(self, keeper: RoomKeeper, service: FakeService) -> None:
        service.add("Lost", external_id="6")
        assert keeper.link("7", "room-1").note == "It was that of the post '6', whose next reader gets a new chatroom."
        assert service.rooms["room-1"]["external_id"] == "7"

    def test_that_the_hub_could_not_be_told_of_is_ended_by_the_next(
        self, keeper: RoomKeeper, service: FakeService, faults: Faults, registry: RoomRegistry
    ) -> None:
        service.add("Mine")
        faults.order(lambda request: None, httpx.Response(401))
        with pytest.raises(
            RoomError, match="has the chatroom now, but the service could not be told so: .*401.* once more"
        ):
            keeper.link("7", "room-1")
        assert registry.get("7").chatroom_id == "room-1"
        assert not keeper.link("7", "room-1").is_changed
        assert service.rooms["room-1"]["external_id"] == "7"

    def test_that_the_service_refuses(self, keeper: RoomKeeper, faults: Faults, registry: RoomRegistry) -> None:
        faults.order(httpx.Response(403))
        with pytest.raises(ApiStatusError):
            keeper.link("7", "room-1")
        assert registry.entries() == []

    def test_on_the_hosted_service_asks_for_nothing_but_the_room(
        self, hosted_keeper: RoomKeeper, service: FakeService, faults: Faults
    ) -> None:
        service.add("Theirs")
        assert hosted_keeper.link("7", "room-1").is_changed
        assert faults.paths == ["/chatroom/get"]

    def test_on_the_hosted_service_does_not_reopen(self, hosted_keeper: RoomKeeper, service: FakeService) -> None:
        service.add("Theirs")
        hosted_keeper.link("7", "room-1")
        hosted_keeper.close("7")
        service.rooms["room-1"]["title"] = "Renamed"
        change = hosted_keeper.link("7", "room-1")
        assert (change.title, change.state) == ("Renamed", RoomState.CLOSED)

    def test_trusts_the_id_that_the_service_gives(
        self, keeper: RoomKeeper, faults: Faults, service: FakeService, room: str
    ) -> None:
        """A service that does not look at case must not let two posts share a chatroom."""
        faults.order(httpx.Response(200, json=service.rooms[room]))
        with pytest.raises(ChatroomTakenError):
            keeper.link("8", room.upper())

    def test_of_many_posts_at_once_gives_it_to_one(self, keeper: RoomKeeper, service: FakeService) -> None:
        service.add("Wanted")
        together = threading.Barrier(6)

        def link(number: int) -> str:
            together.wait(10)
            try:
                return keeper.link(f"post-{number}", "room-1").post_id
            except ChatroomTakenError as exc:
                return f"not {exc.owner}"

        with ThreadPoolExecutor(6) as threads:
            outcomes = list(threads.map(link, range(6)))
        (winner,) = [outcome for outcome in outcomes if not outcome.startswith("not ")]
        assert outcomes.count(f"not {winner}") == 5
        assert service.rooms["room-1"]["external_id"] == winner


class TestUnlink:
    def test_forgets_and_tells_how_to_get_it_back(
        self, keeper: RoomKeeper, rooms: RoomService, service: FakeService, room: str, registry: RoomRegistry
    ) -> None:
        change = keeper.unlink("7")
        assert (change.chatroom_id, change.state, change.is_changed) == (room, None, True)
        assert change.note is not None and "Linked again, it is back with its comments" in change.note
        assert registry.find("7") is None
        assert not service.rooms[room]["is_deleted"]
        assert keeper.link("7", room).is_changed

    def test_lets_the_next_reader_have_a_new_one(self, keeper: RoomKeeper, rooms: RoomService, room: str) -> None:
        keeper.unlink("7")
        assert rooms.ensure(Post("7")).chatroom_id not in (None, room)

    def test_of_a_room_that_the_hub_has_lost(
        self, keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry
    ) -> None:
        service.rooms.clear()
        note = keeper.unlink("7").note
        assert note == "The service did not have it any more. The post's next reader gets a new chatroom."
        assert registry.entries() == []

    def test_that_the_hub_refuses(self, keeper: RoomKeeper, room: str, faults: Faults, registry: RoomRegistry) -> None:
        faults.order(httpx.Response(403))
        with pytest.raises(ApiStatusError):
            keeper.unlink("7")
        assert registry.get("7").chatroom_id == room

    def test_on_the_hosted_service_changes_nothing_there(
        self, hosted_keeper: RoomKeeper, rooms: RoomService, faults: Faults, registry: RoomRegistry
    ) -> None:
        rooms.ensure(Post("7"))
        faults.requests.clear()
        assert hosted_keeper.unlink("7").is_changed
        assert faults.paths == ["/chatroom/get"]
        assert registry.entries() == []

    def test_on_a_service_that_keeps_names_of_its_own_accord(
        self, registry: RoomRegistry, api: ChatixApi, rooms: RoomService, room: str, service: FakeService
    ) -> None:
        """Another service may do so: then posts must not get in each other's way there either."""
        keeper = RoomKeeper(registry, lambda: api, is_hosted=True)
        keeper.unlink("7")
        assert rooms.ensure(Post("7")).chatroom_id not in (None, room)
        named = service.add("Named", external_id="8")
        keeper.link("9", named["id"])
        assert named["external_id"] == "9"
        assert rooms.ensure(Post("8")).chatroom_id not in (None, named["id"])


class TestCloseAndReopen:
    def test_in_registry_and_hub(
        self, keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry
    ) -> None:
        assert keeper.close("7") == RoomChange("7", room, "Seven", False, RoomState.CLOSED, is_changed=True)
        assert (registry.get("7").state, service.rooms[room]["is_closed"]) == (RoomState.CLOSED, True)
        assert not keeper.close("7").is_changed
        assert keeper.reopen("7") == RoomChange("7", room, "Seven", False, RoomState.OPEN, is_changed=True)
        assert (registry.get("7").state, service.rooms[room]["is_closed"]) == (RoomState.OPEN, False)
        assert not keeper.reopen("7").is_changed

    def test_again_mends_what_differs(self, keeper: RoomKeeper, service: FakeService, room: str) -> None:
        keeper.close("7")
        service.rooms[room]["is_closed"] = False
        assert not keeper.close("7").is_changed
        assert service.rooms[room]["is_closed"]

    @pytest.mark.parametrize("status", [200, 400, 405, 415, 422, 501])
    def test_at_a_service_that_does_not_know_it(
        self, hosted_keeper: RoomKeeper, room: str, faults: Faults, registry: RoomRegistry, status: int
    ) -> None:
        def refuse() -> None:
            if status != 200:
                faults.order(httpx.Response(status, json={"error": "unknown key"}))

        refuse()
        change = hosted_keeper.close("7")
        assert (change.state, registry.get("7").state) == (RoomState.CLOSED, RoomState.CLOSED)
        assert change.note is not None and change.note.startswith("The service does not know read-only chatrooms")
        refuse()
        change = hosted_keeper.reopen("7")
        assert (change.state, change.note) == (RoomState.OPEN, None)

    @pytest.mark.parametrize("status", [401, 403, 429])
    def test_a_refusal_of_another_kind_is_an_error(
        self, hosted_keeper: RoomKeeper, room: str, faults: Faults, registry: RoomRegistry, status: int
    ) -> None:
        faults.order(*[httpx.Response(status)] * 3)
        with pytest.raises(ApiStatusError):
            hosted_keeper.close("7")
        assert registry.get("7").state is RoomState.OPEN

    def test_our_hub_is_believed_when_it_refuses(self, keeper: RoomKeeper, room: str, faults: Faults) -> None:
        faults.order(httpx.Response(400))
        with pytest.raises(ApiStatusError):
            keeper.close("7")

    @pytest.mark.parametrize("deed", [DEEDS["close"], DEEDS["reopen"]])
    def test_not_while_it_is_deleted(
        self, keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry, deed: Deed
    ) -> None:
        service.rooms[room]["is_deleted"] = True
        with pytest.raises(RoomError, match="is deleted. Restore it first"):
            deed(keeper)
        assert registry.get("7").state is RoomState.OPEN
        keeper.delete("7")
        with pytest.raises(RoomError, match="is deleted. Restore it first"):
            deed(keeper)
        assert registry.get("7").state is RoomState.DELETED


class TestDeleteAndRestore:
    def test_at_the_service_and_in_the_registry(
        self, keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry, rooms: RoomService
    ) -> None:
        assert keeper.delete("7") == RoomChange("7", room, "Seven", False, RoomState.DELETED, is_changed=True)
        assert service.rooms[room]["is_deleted"]
        assert rooms.ensure(Post("7")).state is RoomState.DELETED
        assert not keeper.delete("7").is_changed
        assert keeper.restore("7") == RoomChange("7", room, "Seven", False, RoomState.OPEN, is_changed=True)
        assert not service.rooms[room]["is_deleted"]
        assert registry.get("7").state is RoomState.OPEN

    def test_a_closed_thread_comes_back_closed(self, keeper: RoomKeeper, room: str) -> None:
        keeper.close("7")
        keeper.delete("7")
        assert keeper.restore("7").state is RoomState.CLOSED

    def test_a_closed_thread_comes_back_closed_from_a_service_that_does_not_know_such(
        self, hosted_keeper: RoomKeeper, service: FakeService, registry: RoomRegistry
    ) -> None:
        service.add("Theirs")
        hosted_keeper.link("7", "room-1")
        hosted_keeper.close("7")
        service.rooms["room-1"]["is_closed"] = False
        for _ in range(2):
            # A second time changes nothing, in what is remembered neither.
            assert hosted_keeper.delete("7").state is RoomState.DELETED
        assert [entry.state for entry in registry.entries()] == [RoomState.DELETED]
        assert hosted_keeper.restore("7").state is RoomState.CLOSED
        hosted_keeper.reopen("7")
        hosted_keeper.delete("7")
        assert hosted_keeper.restore("7").state is RoomState.OPEN

    def test_restore_of_one_that_lives_is_no_change(self, keeper: RoomKeeper, room: str, faults: Faults) -> None:
        change = keeper.restore("7")
        assert (change.state, change.is_changed) == (RoomState.OPEN, False)
        assert change.note == "It is not deleted: there is nothing to restore."
        assert faults.paths == ["/chatroom/get"]

    def test_restore_of_one_that_was_deleted_without_us(
        self, keeper: RoomKeeper, service: FakeService, room: str
    ) -> None:
        service.rooms[room]["is_deleted"] = True
        assert keeper.restore("7").is_changed
        assert not service.rooms[room]["is_deleted"]

    def test_restore_of_one_that_was_restored_without_us(
        self, keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry
    ) -> None:
        keeper.delete("7")
        service.rooms[room]["is_deleted"] = False
        assert keeper.restore("7").state is RoomState.OPEN
        assert registry.get("7").state is RoomState.OPEN

    def test_what_a_service_no_longer_shows_stays_deleted(
        self, hosted_keeper: RoomKeeper, service: FakeService, room: str
    ) -> None:
        hosted_keeper.delete("7")
        service.rooms.clear()
        change = hosted_keeper.delete("7")
        assert (change.state, change.is_changed) == (RoomState.DELETED, False)
        with pytest.raises(RoomMissingError):
            hosted_keeper.restore("7")

    def test_restored_by_word_only(
        self, keeper: RoomKeeper, service: FakeService, room: str, faults: Faults, registry: RoomRegistry
    ) -> None:
        keeper.delete("7")
        faults.order(httpx.Response(200, json=service.rooms[room]))
        with pytest.raises(ApiPayloadError, match="did not restore"):
            keeper.restore("7")
        assert registry.get("7").state is RoomState.DELETED


class TestAnyDeed:
    @any_deed
    def test_of_a_post_that_is_not_registered(self, keeper: RoomKeeper, faults: Faults, deed: Deed) -> None:
        with pytest.raises(PostNotRegisteredError, match="No chatroom is registered for the post '7'"):
            deed(keeper)
        assert faults.requests == []

    @any_deed
    def test_of_a_post_whose_room_is_being_made(
        self, keeper: RoomKeeper, registry: RoomRegistry, faults: Faults, deed: Deed
    ) -> None:
        registry.claim("7", title="", is_private=False, owner="other", lease_s=60)
        with pytest.raises(RoomError, match="has no chatroom yet") as raised:
            deed(keeper)
        assert raised.value.post_id == "7"
        assert faults.requests == []

    @any_deed
    def test_without_an_answer_loses_nothing(
        self, keeper: RoomKeeper, registry: RoomRegistry, room: str, faults: Faults, service: FakeService, deed: Deed
    ) -> None:
        before = registry.get("7"), json.dumps(service.rooms)
        faults.order(*[httpx.ConnectError("refused")] * 3)
        with pytest.raises(ApiConnectionError):
            deed(keeper)
        assert (registry.get("7"), json.dumps(service.rooms)) == before

    @pytest.mark.parametrize("is_hosted", [False, True])
    @pytest.mark.parametrize("name", ["close", "reopen", "delete", "restore"])
    def test_of_a_room_that_vanished_at_the_service(
        self, registry: RoomRegistry, api: ChatixApi, room: str, service: FakeService, name: str, is_hosted: bool
    ) -> None:
        before = registry.get("7")
        service.rooms.clear()
        keeper = RoomKeeper(registry, lambda: api, is_hosted=is_hosted)
        with pytest.raises(RoomMissingError) as raised:
            DEEDS[name](keeper)
        hint = "CHATIX_API_OPERATIONS" if is_hosted else "CHATIX_HUB_DATABASE_URL"
        assert f"at http://api.test/v1 does not know the chatroom {room} of the post '7'." in str(raised.value)
        assert hint in str(raised.value)
        assert "check --repair makes a new one" in str(raised.value)
        assert registry.get("7") == before

    @any_deed
    def test_at_the_same_moment_as_another_is_refused(
        self, keeper: RoomKeeper, registry: RoomRegistry, room: str, faults: Faults, deed: Deed
    ) -> None:
        if deed is DEEDS["restore"]:
            keeper.delete("7")

        def meanwhile(_: httpx.Request) -> None:
            entry = registry.get("7")
            registry.unlink(entry)
            registry.link("7", "another-room", title="", is_private=False, state=RoomState.OPEN)

        faults.order(meanwhile)
        with pytest.raises((RoomError, RegistryError), match="by somebody else at the same moment. Try again"):
            deed(keeper)
        assert (registry.get("7").chatroom_id, registry.get("7").state) == ("another-room", RoomState.OPEN)


def test_many_at_once_end_in_agreement(
    keeper: RoomKeeper, service: FakeService, room: str, registry: RoomRegistry
) -> None:
    """Whoever is refused is told so; the last one who was not has its way in both places."""
    together = threading.Barrier(6)
    names = ["close", "reopen", "delete", "restore", "close", "delete"]

    def work(name: str) -> int:
        together.wait(10)
        done = 0
        for _ in range(5):
            try:
                DEEDS[name](keeper)
                done += 1
            except (RoomError, RegistryError) as exc:
                assert "Try again" in str(exc) or "Restore it first" in str(exc)
        return done

    with ThreadPoolExecutor(6) as threads:
        assert sum(threads.map(work, names)) > 0
    # Nothing is stuck: one more command brings both to one state.
    assert keeper.restore("7").state is not RoomState.DELETED
    assert keeper.close("7").state is RoomState.CLOSED
    assert (service.rooms[room]["is_deleted"], service.rooms[room]["is_closed"]) == (False, True)
