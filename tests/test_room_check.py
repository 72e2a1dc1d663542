"""What does not fit between registry, service and site: with a real database, and a chat service without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import httpx
import pytest

from flask_chatix_comments.errors import ApiStatusError
from flask_chatix_comments.models import Post
from flask_chatix_comments.registry import Claim, RegistryEntry, RoomState
from flask_chatix_comments.room_check import Inspector
from flask_chatix_comments.room_findings import Trouble, TroubleKind
from flask_chatix_comments.room_marks import with_mark
from flask_chatix_comments.rooms import RoomService

if TYPE_CHECKING:
    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.registry import RoomRegistry
    from tests.rooms_fixtures import FakeService, Faults

pytest_plugins = ("tests.rooms_fixtures",)

Found = tuple[str, str | None, str | None]


@pytest.fixture
def room(rooms: RoomService, faults: Faults) -> str:
    """The chatroom of the post 7."""
    chatroom_id = str(rooms.ensure(Post("7", "Seven")).chatroom_id)
    faults.requests.clear()
    return chatroom_id


class Checker:
    """Checks, and remembers what was counted."""

    def __init__(self, registry: RoomRegistry, api: ChatixApi) -> None:
        self.registry = registry
        self.api = api
        self.counts = (0, 0, 0)

    def troubles(self, *posts: Post, is_hosted: bool = False, margin_s: float = 0) -> list[Trouble]:
        with Inspector(self.registry, self.api, is_hosted=is_hosted, margin_s=margin_s) as inspector:
            inspector.fetch(posts)
            found = list(inspector.run(concurrency=2))
            self.counts = (inspector.posts, inspector.chatrooms, inspector.missing)
        return sorted(found, key=lambda trouble: (trouble.kind, trouble.post_id or "", trouble.chatroom_id or ""))

    def __call__(self, *posts: Post, is_hosted: bool = False, margin_s: float = 0) -> list[Found]:
        troubles = self.troubles(*posts, is_hosted=is_hosted, margin_s=margin_s)
        assert all(trouble.detail and trouble.remedy and not trouble.is_repaired for trouble in troubles)
        return [(trouble.kind, trouble.post_id, trouble.chatroom_id) for trouble in troubles]


def test_what_was_made_for_an_id_that_a_post_had_is_the_new_ones_duplicate(
    registry: RoomRegistry, service: FakeService, check: Checker, room: str
) -> None:
    assert registry.rename(registry.get("7"), "8")
    service.rooms[room]["external_id"] = "8"
    late = str(service.add("Seven", external_id="7")["id"])
    assert check() == [(TroubleKind.DUPLICATE, "8", late)]
    assert check.counts == (1, 2, 0)


def test_a_private_post_with_a_public_chatroom_is_named(
    registry: RoomRegistry, service: FakeService, check: Checker, room: str
) -> None:
    assert check(Post("7", is_private=True)) == [(TroubleKind.UNGUARDED, "7", room)]
    assert check(Post("7", "Seven", is_private=False)) == []
    registry.update("7", is_private=True)
    service.rooms[room]["is_private"] = True
    assert check(Post("7", "Seven", is_private=True)) == []
    # What the site calls public may well be private still.
    assert check(Post("7", "Seven")) == []


@pytest.fixture
def check(registry: RoomRegistry, api: ChatixApi) -> Checker:
    return Checker(registry, api)


def test_all_fits(check: Checker, rooms: RoomService, service: FakeService, faults: Faults, room: str) -> None:
    rooms.ensure(Post("8", "Eight", is_private=True))
    service.add("Deleted long ago", is_deleted=True)
    faults.requests.clear()
    assert check() == []
    assert check.counts == (2, 3, 0)
    # Where nothing is amiss, nothing is asked twice.
    assert faults.paths == ["/chatroom/list"]


def test_an_empty_registry(check: Checker) -> None:
    assert check() == []


def test_a_vanished_one(check: Checker, service: FakeService, room: str) -> None:
    del service.rooms[room]
    assert check() == [("vanished", "7", room)]
    assert check.counts == (1, 0, 1)


def test_one_that_was_deleted_may_vanish(
    check: Checker, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    """It is past restoring, or at a service that hides it: no reason to open the post's comments again."""
    registry.update("7", state=RoomState.DELETED)
    del service.rooms[room]
    assert check() == []
    assert check.counts == (1, 0, 0)


def test_one_that_is_only_missing_in_the_list(check: Checker, service: FakeService, faults: Faults, room: str) -> None:
    """Lists shift while they are read, and some services leave out what is deleted."""
    faults.order(httpx.Response(200, json={"items": []}))
    assert check() == []
    assert faults.paths == ["/chatroom/list", "/chatroom/get"]


@pytest.mark.parametrize(
    ("before", "at_service", "kind"),
    [
        (RoomState.OPEN, {"is_deleted": True}, "deleted"),
        (RoomState.CLOSED, {"is_deleted": True}, "deleted"),
        (RoomState.DELETED, {}, "restored"),
        (RoomState.DELETED, {"is_closed": True}, "restored"),
        (RoomState.OPEN, {"is_closed": True}, "closed"),
        (RoomState.CLOSED, {}, "reopened"),
        (RoomState.DELETED, {"is_deleted": True}, None),
        (RoomState.CLOSED, {"is_closed": True}, None),
    ],
)
def test_states(
    check: Checker,
    registry: RoomRegistry,
    service: FakeService,
    room: str,
    before: RoomState,
    at_service: dict[str, bool],
    kind: str | None,
) -> None:
    registry.update("7", state=before)
    service.rooms[room].update(at_service)
    assert check() == ([] if kind is None else [(kind, "7", room)])


def test_closed_at_a_service_that_knows_nothing_of_that(
    check: Checker, registry: RoomRegistry, service: FakeService, room: str
) -> None:
    del service.rooms[room]["is_closed"]
    registry.update("7", state=RoomState.CLOSED)
    assert check(is_hosted=True) == []


def test_privacy(check: Checker, registry: RoomRegistry, service: FakeService, room: str) -> None:
    registry.update("7", is_private=True)
    assert check() == [("exposed", "7", room)]
    registry.update("7", is_private=False)
    service.rooms[room]["is_private"] = True
    assert check() == [("hidden", "7", room)]
    (trouble,) = check.troubles()
    assert trouble.remedy.endswith("flask chatix make-public 7, or make-private.")


def test_titles(check: Checker, registry: RoomRegistry, service: FakeService, room: str) -> None:
    assert check(Post(7, "Seven"), Post("other", "Other"), Post(""), Post("nameless")) == []
    (trouble,) = check.troubles(Post(7, "{7} New\ntitle"))
    assert (trouble.kind, trouble.detail) == (
        TroubleKind.RETITLED,
        "The post's title is '{7} New title', the registry has 'Seven' and the service 'Seven'.",
    )
    # Without the site, the registry's title is the one that counts.
    service.rooms[room]["title"] = "From the dashboard"
    assert check() == [("retitled", "7", room)]
    # A deleted one cannot be renamed, and need not.
    registry.update("7", state=RoomState.DELETED)
    service.rooms[room]["is_deleted"] = True
    assert check() == []


def test_names(check: Checker, service: FakeService, room: str) -> None:
    service.rooms[room]["external_id"] = "8"
    assert check() == [("misnamed", "7", room)]
    service.rooms[room]["external_id"] = None
    assert check() == [("misnamed", "7", room)]
    assert check(is_hosted=True) == []


class TestOrphans:
    @pytest.mark.parametrize(
        ("count", "contents"), [(0, "Nobody has written in it."), (1, "There are comments in it.")]
    )
    def test_of_a_post_without_chatroom(self, check: Checker, service: FakeService, count: int, contents: str) -> None:
        made = service.add("Left", external_id="8")["id"]
        service.talk(made, count)
        (trouble,) = check.troubles()
        assert (trouble.kind, trouble.post_id, trouble.chatroom_id) == (TroubleKind.ORPHAN, "8", made)
        assert trouble.detail.endswith(contents)
        assert trouble.remedy == f"flask chatix link 8 {made}, or check --repair."

    @pytest.mark.parametrize("external_id", [None, "", "x" * 256])
    def test_of_nobody(self, check: Checker, service: FakeService, external_id: str | None) -> None:
        made = service.add("Made by hand", external_id=external_id)["id"]
        assert check() == [("orphan", None, made)]

    @pytest.mark.parametrize("count", [0, 1])
    def test_a_duplicate(self, check: Checker, service: FakeService, room: str, count: int) -> None:
        service.rooms[room]["external_id"] = None
        second = service.add("Seven", external_id="7")["id"]
        service.talk(second, count)
        found = check.troubles()
        assert [(one.kind, one.post_id, one.chatroom_id) for one in found] == [
            ("duplicate", "7", second),
            ("misnamed", "7", room),
        ]
        assert ("check --repair" in found[0].remedy) == (count == 0)
        assert room in found[0].detail


class TestMarks:
    """On a service that keeps only titles, the mark in one tells the post."""

    def test_of_a_post_that_has_another(self, check: Checker, service: FakeService, room: str) -> None:
        service.rooms[room]["external_id"] = None
        left = service.add(with_mark("Seven", "7"))["id"]
        service.add("Another group chat")
        assert check(is_hosted=True) == [("duplicate", "7", left), ("orphan", None, "room-3")]

    def test_of_a_post_that_only_the_site_knows(self, check: Checker, service: FakeService) -> None:
        left = service.add(with_mark("Eight", "8"))["id"]
        assert check(Post("8", "Eight"), is_hosted=True) == [("orphan", "8", left)]
        assert check(is_hosted=True) == [("orphan", None, left)]

    def test_that_is_about_to_be_taken_up(self, check: Checker, registry: RoomRegistry, service: FakeService) -> None:
        registry.claim("8", title="Eight", is_private=False, owner="host:1", lease_s=0)
        service.add(with_mark("Eight", "8"))
        assert check(margin_s=60, is_hosted=True) == []

    def test_that_was_not_taken_away(self, check: Checker, service: FakeService, room: str) -> None:
        service.rooms[room] |= {"external_id": None, "title": with_mark("Seven", "7")}
        assert check(is_hosted=True) == [("retitled", "7", room)]


class TestClaims:
    """What somebody is making at this moment is no trouble; what nobody comes for any more is."""

    @pytest.fixture
    def claim(self, registry: RoomRegistry) -> Claim:
        claim = registry.claim("8", title="Eight", is_private=False, owner="host:1", lease_s=0)
        assert isinstance(claim, Claim)
        return claim

    def test_under_way(self, check: Checker, service: FakeService, claim: Claim) -> None:
        service.add("Eight", external_id="8")
        assert check(margin_s=60) == []

    def test_under_way_at_a_service_without_names(self, check: Checker, service: FakeService, claim: Claim) -> None:
        service.add("Eight")
        other = service.add("Another")["id"]
        assert check(margin_s=60, is_hosted=True) == [("orphan", None, other)]

    def test_one_that_sticks(self, check: Checker, service: FakeService, claim: Claim) -> None:
        (trouble,) = check.troubles()
        assert (trouble.kind, trouble.post_id, trouble.chatroom_id) == (TroubleKind.STUCK, "8", None)
        assert trouble.detail.startswith("host:1 began to make a chatroom (")
        made = service.add("Eight", external_id="8")["id"]
        assert check() == [("orphan", "8", made), ("stuck", "8", None)]

    def test_one_that_was_given_up(self, check: Checker, registry: RoomRegistry, claim: Claim) -> None:
        registry.release(claim, room_may_exist=True)
        assert check(margin_s=60) == []
        (trouble,) = check.troubles()
        assert trouble.detail.startswith("The making of a chatroom failed (")

    def test_one_that_is_registered_while_the_service_is_asked(
        self, check: Checker, registry: RoomRegistry, service: FakeService, faults: Faults, claim: Claim
    ) -> None:
        made = service.add("Eight", external_id="8")["id"]

        def record(request: httpx.Request) -> None:
            if request.url.path.endswith("/get"):
                registry.record(claim, made)

        faults.order(*[record] * 2)
        assert [kind for kind, *_ in check() if kind != "stuck"] == []


def test_what_changes_meanwhile_is_no_trouble(
    check: Checker, registry: RoomRegistry, service: FakeService, faults: Faults, room: str
) -> None:
    def restore(request: httpx.Request) -> None:
        service.rooms[room]["is_deleted"] = False

    service.rooms[room]["is_deleted"] = True
    faults.order(lambda request: None, restore)
    assert check() == []

    def unlink(request: httpx.Request) -> httpx.Response:
        registry.unlink(registry.get("7"))
        return httpx.Response(200, json={"items": [], "total": 0})

    faults.order(unlink)
    assert check() == []


def test_what_cannot_be_looked_into_is_named_and_does_not_stop_the_rest(
    check: Checker, rooms: RoomService, service: FakeService, faults: Faults, room: str
) -> None:
    rooms.ensure(Post("8", "Eight"))
    service.rooms[room]["title"] = service.rooms["room-2"]["title"] = "Another"
    made = service.add("Made by hand")["id"]

    def refuse(request: httpx.Request) -> httpx.Response | None:
        return httpx.Response(403) if request.url.params.get("chatroomId") in (room, made) else None

    faults.order(*[refuse] * 20)
    found = check.troubles()
    assert [(one.kind, one.post_id, one.chatroom_id) for one in found] == [
        ("retitled", "8", "room-2"),
        ("unclear", None, made),
        ("unclear", "7", room),
    ]
    assert [one.error is None for one in found] == [True, False, False]


def test_a_mistake_of_ours_is_one_trouble_too(
    check: Checker, service: FakeService, room: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    service.rooms[room]["title"] = "Another"

    def fail(*_: object) -> RegistryEntry:
        raise ZeroDivisionError

    monkeypatch.setattr(check.registry, "find", fail)
    (trouble,) = check.troubles()
    assert (trouble.kind, trouble.error) == (TroubleKind.UNCLEAR, "Unexpected ZeroDivisionError; the log has more.")
    assert "could not be checked" in caplog.text


def test_a_service_that_does_not_list(check: Checker, faults: Faults) -> None:
    faults.order(httpx.Response(401))
    with pytest.raises(ApiStatusError):
        check()


def test_many(check: Checker, registry: RoomRegistry, service: FakeService) -> None:
    """More than a page of everything."""
    for number in range(1_203):
        post_id = f"{number:04}"
        made = service.add(post_id, external_id=post_id)["id"]
        if number < 1_200:
            registry.link(post_id, made, title=post_id, is_private=False, state=RoomState.OPEN)
    for number in range(600):
        registry.claim(f"claim {number}", title="x", is_private=False, owner="x", lease_s=0)
    service.rooms["room-1001"]["title"] = "Another"
    found = check(*(Post(f"{number:04}", f"{number:04}") for number in range(1_200)))
    assert [one for one in found if one[0] != "stuck"] == [
        *(("orphan", f"{number}", f"room-{number + 1}") for number in (1200, 1201, 1202)),
        ("retitled", "1000", "room-1001"),
    ]
    assert len(found) == 604
    assert check.counts == (1_800, 1_203, 0)
