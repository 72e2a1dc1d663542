"""``check --repair``: what can be mended is, and nothing that somebody has written is lost or put out of sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim, RoomState
from flask_chatix_comments.room_check import Inspector
from flask_chatix_comments.room_findings import Trouble, TroubleKind
from flask_chatix_comments.room_keeper import RoomKeeper
from flask_chatix_comments.room_marks import with_mark
from flask_chatix_comments.room_repair import Repairer
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)

Told = tuple[str, str | None, bool]


class Mender:
    """Checks and repairs."""

    def __init__(self, registry: RoomRegistry, api: ChatixApi, rooms: RoomService, keeper: RoomKeeper) -> None:
        self.registry = registry
        self.api = api
        self.rooms = rooms
        self.keeper = keeper

    def troubles(
        self,
        *posts: Post,
        repair: bool = True,
        replace_all: bool = False,
        before: Callable[[Trouble], object] = lambda trouble: None,
    ) -> list[Trouble]:
        with Inspector(self.registry, self.api, is_hosted=False, margin_s=0) as inspector:
            inspector.fetch(posts)
            repairer = Repairer(
                self.registry,
                self.api,
                self.rooms,
                self.keeper,
                is_hosted=False,
                title_of=inspector.title_of,
                may_replace=lambda: replace_all or not inspector.are_most_missing,
            )

            def mend(trouble: Trouble) -> Trouble:
                before(trouble)
                return repairer.repair(trouble) if repair else trouble

            found = list(inspector.run(repair=mend, concurrency=1))
        return sorted(found, key=lambda trouble: (trouble.kind, trouble.post_id or ""))

    def __call__(self, *posts: Post, replace_all: bool = False) -> list[Told]:
        troubles = self.troubles(*posts, replace_all=replace_all)
        assert [trouble.error for trouble in troubles] == [None] * len(troubles)
        return [(trouble.kind, trouble.post_id, trouble.is_repaired) for trouble in troubles]

    def remaining(self, *posts: Post) -> list[Told]:
        """What is found afterwards."""
        return [(one.kind, one.post_id, False) for one in self.troubles(*posts, repair=False)]


@pytest.fixture
def mend(registry: RoomRegistry, api: ChatixApi, rooms: RoomService, keeper: RoomKeeper) -> Mender:
    return Mender(registry, api, rooms, keeper)


@pytest.fixture
def room(rooms: RoomService) -> str:
    """The chatroom of the post 7."""
    return str(rooms.ensure(Post("7", "Seven")).chatroom_id)


def test_where_all_fits_nothing_is_done(mend: Mender, registry: RoomRegistry, room: str) -> None:
    before = registry.get("7")
    assert mend() == []
    assert registry.get("7") == before


class TestVanished:
    def test_a_new_one_is_made_as_private_as_it_was(
        self, mend: Mender, registry: RoomRegistry, rooms: RoomService, service: FakeService, room: str
    ) -> None:
        rooms.ensure(Post("8", "Eight", is_private=True))
        rooms.ensure(Post("9", "Nine"))
        del service.rooms["room-2"]
        assert mend() == [("vanished", "8", True)]
        entry = registry.get("8")
        assert entry.chatroom_id == "room-4"
        assert (entry.is_private, service.rooms["room-4"]["is_private"]) == (True, True)
        assert (service.rooms["room-4"]["title"], service.rooms["room-4"]["external_id"]) == ("Eight", "8")
        assert mend.remaining() == []

    def test_not_where_most_are_missing(
        self, mend: Mender, registry: RoomRegistry, rooms: RoomService, service: FakeService, room: str
    ) -> None:
        """It may be the wrong database."""
        other = rooms.ensure(Post("8", "Eight")).chatroom_id
        kept = dict(service.rooms)
        service.rooms.clear()
        troubles = mend.troubles()
        assert [(one.post_id, one.is_repaired) for one in troubles] == [("7", False), ("8", False)]
        assert "--replace-all" in troubles[0].remedy
        assert (registry.get("7").chatroom_id, registry.get("8").chatroom_id) == (room, other)
        service.rooms.update(kept)
        assert mend() == []
        service.rooms.clear()
        assert mend(replace_all=True) == [("vanished", "7", True), ("vanished", "8", True)]
        assert mend.remaining() == []

    def test_what_the_service_knows_for_the_post_is_taken_up(
        self, mend: Mender, registry: RoomRegistry, service: FakeService, room: str
    ) -> None:
        del service.rooms[room]
        other = service.add("Seven", external_id="7")["id"]
        service.talk(other, 3)
        assert mend() == [("vanished", "7", True)]
        assert registry.get("7").chatroom_id == other
        assert mend.remaining() == []

    def test_one_that_is_back(self, mend: Mender, registry: RoomRegistry, service: FakeService, room: str) -> None:
        """Somebody linked the post to another one between the look and the deed."""
        made = service.add("Another", external_id="7")["id"]
        del service.rooms[room]

        def relink(trouble: Trouble) -> None:
            registry.unlink(registry.get("7"))
            registry.link("7", made, title="Seven", is_private=False, state=RoomState.OPEN)

        (trouble,) = mend.troubles(before=relink)[-1:]
        assert (trouble.kind, trouble.is_repaired) == (TroubleKind.VANISHED, False)
        assert registry.get("7").chatroom_id == made

    def test_a_failure(
        self, mend: Mender, registry: RoomRegistry, service: FakeService, faults: Faults, room: str
    ) -> None:
        del service.rooms[room]

        def refuse(request: httpx.Request) -> httpx.Response | None:
            return httpx.Response(403) if request.url.path.endswith("/create") else None

        faults.order(*[refuse] * 20)
        # Without a margin, what has just been given up is found to stick, too.
        _, trouble = mend.troubles()
        assert (trouble.kind, trouble.is_repaired) == (TroubleKind.VANISHED, False)
        assert trouble.error is not None
        assert trouble.error.startswith("It could not be repaired: ")
        # It is taken up again.
        faults.clear()
        assert mend() == [("stuck", "7", True)]
        assert mend.remaining() == []


class TestDuplicates:
    @pytest.fixture
    def second(self, service: FakeService, room: str) -> str:
        """A second chatroom of the post 7, which only the service knows, and by the post's name."""
        service.rooms[room]["external_id"] = None
        return str(service.add("Seven", external_id="7")["id"])

    def test_one_in_which_nobody_has_written_is_deleted(
        self, mend: Mender, service: FakeService, room: str, second: str
    ) -> None:
        service.talk(room, 1)
        assert mend() == [("misnamed", "7", True)]
        assert service.rooms[second]["is_deleted"]
        assert service.rooms[room]["external_id"] == "7"
        assert mend.remaining() == []

    def test_one_with_comments_is_kept_with_its_name(
        self, mend: Mender, registry: RoomRegistry, service: FakeService, room: str, second: str
    ) -> None:
        service.talk(second, 1)
        assert mend() == [("duplicate", "7", False), ("misnamed", "7", False)]
        assert not service.rooms[second]["is_deleted"]
        # The name is all by which somebody can tell whose it was.
        assert service.rooms[second]["external_id"] == "7"
        assert registry.get("7").chatroom_id == room
        assert mend.remaining() == [("duplicate", "7", False), ("misnamed", "7", False)]

    def test_one_in_which_somebody_writes_at_the_last_moment_is_kept(
        self, mend: Mender, service: FakeService, room: str, second: str
    ) -> None:
        service.rooms[room]["external_id"] = "7"

        def write(trouble: Trouble) -> None:
            service.talk(second, 1)

        (trouble,) = mend.troubles(before=write)
        assert (trouble.kind, trouble.is_repaired) == (TroubleKind.DUPLICATE, False)
        assert not service.rooms[second]["is_deleted"]

    def test_one_is_kept_where_the_other_is_deleted(
        self, mend: Mender, registry: RoomRegistry, service: FakeService, room: str, second: str
    ) -> None:
        service.rooms[room]["is_deleted"] = True
        registry.update("7", state=RoomState.DELETED)
        assert mend() == [("duplicate", "7", False)]
        assert not service.rooms[second]["is_deleted"]

    def test_one_that_is_empty_goes(self, mend: Mender, service: FakeService, room: str, second: str) -> None:
        service.rooms[room]["external_id"] = "7"
        assert mend() == [("duplicate", "7", True)]
        assert service.rooms[second]["is_deleted"]
        assert mend.remaining() == []

    def test_names_that_two_posts_have_exchanged(
        self, mend: Mender, rooms: RoomService, service: FakeService, room: str
    ) -> None:
        other = str(rooms.ensure(Post("8", "Eight")).chatroom_id)
        service.rooms[room]["external_id"], service.rooms[other]["external_id"] = "8", "7"
        found = mend()
        assert ("misnamed", "7", True) in found
        assert (service.rooms[room]["external_id"], service.rooms[other]["external_id"]) == ("7", "8")
        assert not service.rooms[other]["is_deleted"]
        assert mend.remaining() == []


class TestOrphans:
    def test_of_a_post_without_chatroom(self, mend: Mender, registry: RoomRegistry, service: FakeService) -> None:
        made = service.add("Eight", external_id="8", is_private=True)["id"]
        service.talk(made, 2)
        assert mend() == [("orphan", "8", True)]
        entry = registry.get("8")
        assert (entry.chatroom_id, entry.title, entry.is_private) == (made, "Eight", True)
        assert mend.remaining() == []

    @pytest.mark.parametrize("count", [0, 1])
    def test_of_nobody_are_left_to_people(self, mend: Mender, service: FakeService, count: int) -> None:
        made = service.add("Made by hand")["id"]
        service.talk(made, count)
        assert mend() == [("orphan", None, False)]
        assert not service.rooms[made]["is_deleted"]

    def test_one_that_the_post_has_got_meanwhile(
        self, mend: Mender, registry: RoomRegistry, service: FakeService
    ) -> None:
        made = service.add("Eight", external_id="8")["id"]

        def link(trouble: Trouble) -> None:
            registry.link("8", made, title="Eight", is_private=False, state=RoomState.OPEN)

        (trouble,) = mend.troubles(before=link)
        assert (trouble.is_repaired, trouble.error) == (False, None)
        assert registry.get("8").chatroom_id == made


class TestClaims:
    @pytest.fixture(autouse=True)
    def claim(self, registry: RoomRegistry) -> Claim:
        claim = registry.claim("8", title="Eight", is_private=True, owner="host:1", lease_s=0)
        assert isinstance(claim, Claim)
        return claim

    def test_what_was_left_is_taken_up_and_made_as_private_as_it_was_to_be(
        self, mend: Mender, registry: RoomRegistry, service: FakeService
    ) -> None:
        made = service.add("Eight", external_id="8")["id"]
        assert mend() == [("stuck", "8", True)]
        assert (registry.get("8").chatroom_id, service.rooms[made]["is_private"]) == (made, True)
        assert mend.remaining() == []

    def test_what_was_not_made_is_made(self, mend: Mender, registry: RoomRegistry) -> None:
        assert mend() == [("stuck", "8", True)]
        assert registry.get("8").is_private
        assert mend.remaining() == []

    def test_somebody_has_come_for_it(self, mend: Mender, registry: RoomRegistry) -> None:
        def take_over(trouble: Trouble) -> None:
            registry.claim("8", title="Eight", is_private=False, owner="host:2", lease_s=60)

        (trouble,) = mend.troubles(before=take_over)
        assert (trouble.is_repaired, trouble.remedy) == (False, "Somebody makes it at this moment.")


@pytest.mark.parametrize(
    ("before", "at_service", "kind", "after"),
    [
        (RoomState.OPEN, {"is_deleted": True}, "deleted", RoomState.DELETED),
        (RoomState.DELETED, {}, "restored", RoomState.OPEN),
        (RoomState.OPEN, {"is_closed": True}, "closed", RoomState.CLOSED),
        (RoomState.CLOSED, {}, "reopened", RoomState.OPEN),
    ],
)
def test_states_follow_the_service(
    mend: Mender,
    registry: RoomRegistry,
    service: FakeService,
    room: str,
    before: RoomState,
    at_service: dict[str, bool],
    kind: str,
    after: RoomState,
) -> None:
    registry.update("7", state=before)
    service.rooms[room].update(at_service)
    assert mend() == [(kind, "7", True)]
    assert registry.get("7").state is after
    assert mend.remaining() == []


def test_titles_follow_the_site(mend: Mender, registry: RoomRegistry, service: FakeService, room: str) -> None:
    assert mend(Post("7", "New")) == [("retitled", "7", True)]
    assert (registry.get("7").title, service.rooms[room]["title"]) == ("New", "New")
    service.rooms[room]["title"] = "Another"
    assert mend() == [("retitled", "7", True)]
    assert service.rooms[room]["title"] == "New"


def test_what_is_private_is_made_so(mend: Mender, registry: RoomRegistry, service: FakeService, room: str) -> None:
    registry.update("7", is_private=True)
    assert mend() == [("exposed", "7", True)]
    assert service.rooms[room]["is_private"]


def test_a_service_that_does_not_make_it_private(
    mend: Mender, registry: RoomRegistry, service: FakeService, faults: Faults, room: str
) -> None:
    def ignore(request: httpx.Request) -> httpx.Response | None:
        is_update = request.url.path.endswith("/update")
        return httpx.Response(200, json=service.rooms[room]) if is_update else None

    registry.update("7", is_private=True)
    faults.order(*[ignore] * 9)
    (trouble,) = mend.troubles()
    assert (trouble.kind, trouble.is_repaired) == (TroubleKind.EXPOSED, False)
    assert trouble.error is not None
    assert "did not make the chatroom private" in trouble.error


def test_what_is_to_be_public_is_left_to_people(
    mend: Mender, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    service.rooms[room]["is_private"] = True
    assert mend() == [("hidden", "7", False)]
    assert (service.rooms[room]["is_private"], registry.get("7").is_private) == (True, False)


@pytest.mark.parametrize("kind", [kind for kind in TroubleKind if kind not in (TroubleKind.STUCK, TroubleKind.ORPHAN)])
def test_what_is_no_more_is_left_alone(
    mend: Mender, registry: RoomRegistry, service: FakeService, faults: Faults, kind: TroubleKind
) -> None:
    """The post has been unlinked since it was looked at."""
    service.add("Left")
    repairer = Repairer(
        registry,
        mend.api,
        mend.rooms,
        mend.keeper,
        is_hosted=False,
        title_of=lambda post_id: None,
        may_replace=lambda: True,
    )
    trouble = Trouble(kind, "7", "room-1", "detail", "remedy")
    assert not repairer.repair(trouble).is_repaired
    assert [path for path in faults.paths if path != "/chatroom/get"] == []
    assert registry.find("7") is None


def test_a_mistake_of_ours_is_one_failure(
    mend: Mender, registry: RoomRegistry, room: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(registry, "update", fail)
    (trouble,) = mend.troubles(Post("7", "New"))
    assert (trouble.is_repaired, trouble.error) == (False, "Unexpected ZeroDivisionError; the log has more.")
    assert "could not be repaired" in caplog.text


@pytest.mark.parametrize("comments", [0, 1])
def test_a_marked_one_of_a_post_that_has_another_goes_if_it_is_empty(
    mend: Mender, service: FakeService, room: str, comments: int
) -> None:
    left = service.add(with_mark("Seven", "7"))["id"]
    service.talk(left, comments)
    assert mend() == [("duplicate", "7", comments == 0)]
    assert service.rooms[left]["is_deleted"] is (comments == 0)


def test_a_marked_one_of_a_post_without_chatroom_is_adopted_and_loses_its_mark(
    mend: Mender, registry: RoomRegistry, service: FakeService
) -> None:
    left = service.add(with_mark("Eight", "8"))["id"]
    service.talk(left, 1)
    assert mend(Post("8", "Eight")) == [("orphan", "8", True)]
    assert (registry.get("8").chatroom_id, registry.get("8").title) == (left, "Eight")
    mend(Post("8", "Eight"))
    assert service.rooms[left]["title"] == "Eight"
    assert mend.remaining(Post("8", "Eight")) == []
