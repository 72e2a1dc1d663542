"""A post's ID changes: with a real database, and a chat service that fails on order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest
import sqlalchemy as sa

from flask_chatix_comments.backfill import Outcome, backfill
from flask_chatix_comments.database import chatrooms
from flask_chatix_comments.errors import (
    ApiConnectionError,
    PostNotRegisteredError,
    RegistryError,
    RoomError,
    RoomMissingError,
)
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim, RoomState
from flask_chatix_comments.room_keeper import RoomChange, RoomKeeper
from flask_chatix_comments.room_mover import RoomMover
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)


@pytest.fixture
def mover(registry: RoomRegistry, api: ChatixApi) -> RoomMover:
    return RoomMover(registry, lambda: api, is_hosted=False)


@pytest.fixture
def room(rooms: RoomService, service: FakeService, faults: Faults) -> str:
    """The chatroom of the post "old", in which somebody has written."""
    chatroom_id = str(rooms.ensure(Post("old", "Title", is_private=True)).chatroom_id)
    service.talk(chatroom_id, 2)
    faults.requests.clear()
    return chatroom_id


def test_the_chatroom_goes_to_the_new_id_with_all_that_is_known_of_it(
    mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    before = registry.get("old")
    change = mover.move("old", "new")
    assert change == RoomChange("new", room, "Title", True, RoomState.OPEN, is_changed=True)
    after = registry.get("new")
    assert (after.chatroom_id, after.title, after.is_private, after.state) == (room, "Title", True, RoomState.OPEN)
    assert after.created_at == before.created_at
    assert registry.get("old").moved_to == "new"
    assert service.rooms[room]["external_id"] == "new"
    assert len(service.messages[room]) == 2


def test_readers_of_the_old_id_are_sent_to_the_new_one(
    mover: RoomMover, rooms: RoomService, faults: Faults, room: str
) -> None:
    mover.move("old", "new")
    mover.move("new", "newer")
    faults.requests.clear()
    entry, is_new = rooms.obtain(Post("old"))
    assert (entry.post_id, entry.chatroom_id, is_new) == ("newer", room, False)
    assert faults.requests == []
    (result,) = backfill(rooms, [Post("old")])
    assert (result.post_id, result.outcome) == ("old", Outcome.EXISTING)
    (result,) = backfill(rooms, [Post("old")], dry_run=True)
    assert result.outcome is Outcome.EXISTING


def test_when_the_new_one_has_lost_its_chatroom_the_old_one_makes_it_there(
    mover: RoomMover, rooms: RoomService, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    mover.move("old", "new")
    registry.unlink(registry.get("new"))
    service.rooms[room]["external_id"] = None
    entry, is_new = rooms.obtain(Post("old"))
    assert (entry.post_id, is_new, entry.chatroom_id != room) == ("new", True, True)
    assert registry.get("old").moved_to == "new"


def test_what_is_done_by_hand_under_the_old_id_is_refused_with_the_new_one(
    mover: RoomMover, keeper: RoomKeeper, registry: RoomRegistry, room: str
) -> None:
    mover.move("old", "new")
    for deed in (keeper.close, keeper.delete, keeper.restore):
        with pytest.raises(RoomError, match="The post 'old' has been moved: its ID is 'new' now"):
            deed("old")
    assert registry.get("new").state is RoomState.OPEN


def test_the_old_id_can_have_a_chatroom_of_its_own_again(
    mover: RoomMover, keeper: RoomKeeper, rooms: RoomService, registry: RoomRegistry, room: str
) -> None:
    mover.move("old", "new")
    change = keeper.unlink("old")
    assert (change.chatroom_id, change.state) == (room, None)
    assert change.note == "It stays that of the post 'new'. The next reader of 'old' gets a new chatroom."
    assert rooms.ensure(Post("old")).chatroom_id != room
    assert registry.get("new").chatroom_id == room


def test_the_old_id_can_be_given_another_chatroom(
    mover: RoomMover, keeper: RoomKeeper, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    mover.move("old", "new")
    other = str(service.add("Another")["id"])
    assert keeper.link("old", other).chatroom_id == other
    assert [(entry.post_id, entry.chatroom_id) for entry in registry.entries()] == [("new", room), ("old", other)]


def test_a_circle_is_noticed(mover: RoomMover, rooms: RoomService, registry: RoomRegistry, room: str) -> None:
    """None comes about by moves; an import can bring one."""
    mover.move("old", "new")
    registry.unlink(registry.get("new"))
    with registry.transaction() as connection:
        row = {"post_id": "new", "title": "old", "is_private": False, "state": "moved", "claim_number": 1}
        connection.execute(sa.insert(chatrooms).values(**row, created_at=0, updated_at=0))
    with pytest.raises(RegistryError, match="from one ID to the next without end"):
        rooms.ensure(Post("old"))


def test_back_again(mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str) -> None:
    mover.move("old", "new")
    assert mover.move("new", "old").post_id == "old"
    assert service.rooms[room]["external_id"] == "old"
    assert [(entry.post_id, entry.moved_to) for entry in registry.entries()] == [("new", "old"), ("old", None)]


def test_back_again_after_it_was_made_public(
    mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    """That the old ID was private once is no reason: nobody is shut out by it any more."""
    mover.move("old", "new")
    registry.update("new", is_private=False)
    service.rooms[room]["is_private"] = False
    assert mover.move("new", "old").is_private is False


def test_to_itself(mover: RoomMover, room: str, faults: Faults) -> None:
    with pytest.raises(RoomError, match="'old' has this ID already"):
        mover.move("old", "old")
    assert faults.requests == []


def test_of_a_deleted_one(mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str) -> None:
    service.rooms[room]["is_deleted"] = True
    registry.update("old", state=RoomState.DELETED)
    assert mover.move("old", "new").state is RoomState.DELETED


def test_of_a_post_without_chatroom(mover: RoomMover, registry: RoomRegistry, rooms: RoomService) -> None:
    with pytest.raises(PostNotRegisteredError, match="No chatroom is registered for the post 'old'.$"):
        mover.move("old", "new")
    registry.claim("old", title="Old", is_private=False, owner="x", lease_s=60)
    with pytest.raises(RoomError, match="has no chatroom yet"):
        mover.move("old", "new")


def test_of_what_has_been_moved_already(mover: RoomMover, room: str) -> None:
    mover.move("old", "new")
    with pytest.raises(PostNotRegisteredError, match="'old'. It has been moved to 'new' already"):
        mover.move("old", "new")


def test_of_one_that_has_vanished(mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str) -> None:
    del service.rooms[room]
    with pytest.raises(RoomMissingError, match=f"does not know the chatroom {room} of the post 'old'"):
        mover.move("old", "new")
    assert registry.get("old").chatroom_id == room


class TestMerging:
    """The new ID has a chatroom of its own."""

    @pytest.fixture
    def other(self, rooms: RoomService, room: str) -> str:
        return str(rooms.ensure(Post("new", "New")).chatroom_id)

    def test_is_refused_where_somebody_has_written(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str, other: str
    ) -> None:
        service.talk(other, 1)
        with pytest.raises(
            RoomError, match=f"own, {other}, in which there are comments. Two threads cannot become one"
        ):
            mover.move("old", "new")
        assert [entry.chatroom_id for entry in registry.entries()] == [other, room]
        assert not service.rooms[other]["is_deleted"]

    def test_is_refused_where_it_is_deleted_and_could_be_restored(
        self, mover: RoomMover, registry: RoomRegistry, other: str
    ) -> None:
        registry.update("new", state=RoomState.DELETED)
        with pytest.raises(RoomError, match="which is deleted and can be restored"):
            mover.move("old", "new")
        assert registry.get("new").chatroom_id == other

    def test_an_unused_one_makes_way(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str, other: str
    ) -> None:
        change = mover.move("old", "new")
        assert change.chatroom_id == room
        assert change.note == f"The chatroom {other} that it had, in which nobody had written, is deleted."
        assert service.rooms[other]["is_deleted"]
        assert (service.rooms[room]["external_id"], service.rooms[other]["external_id"]) == ("new", None)

    def test_a_private_post_is_not_opened(
        self, mover: RoomMover, registry: RoomRegistry, rooms: RoomService, room: str
    ) -> None:
        registry.update("old", is_private=False)
        unused = rooms.ensure(Post("new", "Title", is_private=True)).chatroom_id
        with pytest.raises(RoomError, match="'new' is private and the thread of the post 'old' is public"):
            mover.move("old", "new")
        assert [(entry.post_id, entry.chatroom_id) for entry in registry.entries()] == [("new", unused), ("old", room)]
        registry.update("old", is_private=True)
        assert mover.move("old", "new").is_private

    def test_one_that_has_vanished_makes_way(
        self, mover: RoomMover, service: FakeService, room: str, other: str
    ) -> None:
        del service.rooms[other]
        assert mover.move("old", "new") == RoomChange(
            *("new", room, "Title", True, RoomState.OPEN),
            is_changed=True,
            note=f"The chatroom {other} that it had is not at the service any more.",
        )

    def test_what_is_written_at_the_last_moment_is_kept(
        self, mover: RoomMover, service: FakeService, faults: Faults, room: str, other: str
    ) -> None:
        def write(request: httpx.Request) -> None:
            if request.url.path.endswith("/chatroom/delete"):
                service.talk(other, 1)

        faults.order(*[write] * 9)
        change = mover.move("old", "new")
        assert "/chatroom/restore" in faults.paths
        assert change.note is not None
        assert change.note.startswith(f"Somebody has just written in the chatroom {other} that it had.")
        assert not service.rooms[other]["is_deleted"]
        assert len(service.messages[other]) == 1

    @pytest.mark.parametrize("count", [0, 1])
    def test_one_that_only_the_service_knows(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str, other: str, count: int
    ) -> None:
        service.talk(other, count)
        registry.unlink(registry.get("new"))
        if count:
            with pytest.raises(RoomError, match=f"own, {other}, in which there are comments"):
                mover.move("old", "new")
            assert registry.find("new") is None
        else:
            mover.move("old", "new")
            assert service.rooms[other]["is_deleted"]

    def test_one_that_is_another_posts_and_only_has_a_wrong_name_stays(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, rooms: RoomService, room: str
    ) -> None:
        third = str(rooms.ensure(Post("third")).chatroom_id)
        service.rooms[third]["external_id"] = "new"
        assert mover.move("old", "new").note is None
        assert not service.rooms[third]["is_deleted"]
        assert registry.get("third").chatroom_id == third


class TestClaims:
    def test_somebody_makes_one_at_this_moment(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str
    ) -> None:
        """The chatroom that was made is not taken from whoever is about to register it."""
        claim = registry.claim("new", title="New", is_private=False, owner="x", lease_s=60)
        made = service.add("New", external_id="new")["id"]
        with pytest.raises(RoomError, match="Somebody is just making a chatroom for the post 'new'"):
            mover.move("old", "new")
        assert isinstance(claim, Claim)
        assert registry.record(claim, made).chatroom_id == made
        assert (service.rooms[made]["is_deleted"], service.rooms[made]["external_id"]) == (False, "new")
        assert registry.get("old").chatroom_id == room

    def test_one_that_has_ended_goes(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, room: str
    ) -> None:
        claim = registry.claim("new", title="New", is_private=False, owner="x", lease_s=0)
        made = service.add("New", external_id="new")["id"]
        assert mover.move("old", "new").chatroom_id == room
        assert service.rooms[made]["is_deleted"]
        assert isinstance(claim, Claim)
        # Its holder comes late.
        assert registry.record(claim, "late").chatroom_id == room

    def test_a_change_meanwhile(self, mover: RoomMover, registry: RoomRegistry, faults: Faults, room: str) -> None:
        def close(request: httpx.Request) -> None:
            registry.update("old", state=RoomState.CLOSED)

        faults.order(close)
        with pytest.raises(RoomError, match="changed by somebody else"):
            mover.move("old", "new")
        assert registry.find("new") is None


class TestFailures:
    """Wherever it ends, the same call again does the rest."""

    def test_before_anything_is_done(self, mover: RoomMover, registry: RoomRegistry, faults: Faults, room: str) -> None:
        faults.order(*[httpx.ConnectError("down")] * 3)
        with pytest.raises(ApiConnectionError):
            mover.move("old", "new")
        assert registry.get("old").chatroom_id == room

    def test_before_the_service_knows(
        self, mover: RoomMover, registry: RoomRegistry, service: FakeService, faults: Faults, room: str
    ) -> None:
        def fall(request: httpx.Request) -> None:
            if request.url.path.endswith("/chatroom/update"):
                raise httpx.ConnectError("down")

        faults.order(*[fall] * 6)
        with pytest.raises(RoomError, match="'new' has the chatroom now, but .* Move it once more."):
            mover.move("old", "new")
        assert registry.get("new").chatroom_id == room
        assert service.rooms[room]["external_id"] == "old"
        faults.order()
        assert mover.move("old", "new").chatroom_id == room
        assert service.rooms[room]["external_id"] == "new"

    def test_the_database(self, mover: RoomMover, registry: RoomRegistry, room: str) -> None:
        registry.database.engine.dispose()
        with registry.database.engine.connect() as other:
            other.exec_driver_sql("DROP TABLE chatix_chatrooms")
            other.commit()
        with pytest.raises(RegistryError):
            mover.move("old", "new")


def test_a_service_without_names_is_not_told_any(
    registry: RoomRegistry, api: ChatixApi, service: FakeService, rooms: RoomService, faults: Faults
) -> None:
    service.keeps_external_ids = service.is_idempotent = False
    room = rooms.ensure(Post("old")).chatroom_id
    faults.requests.clear()
    assert RoomMover(registry, lambda: api, is_hosted=True).move("old", "new").chatroom_id == room
    assert "/chatroom/update" not in faults.paths
