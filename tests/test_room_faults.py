"""Whoever makes a chatroom may die at any point: somebody else ends what was begun, and there is one chatroom."""

from __future__ import annotations

import functools
import signal
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from flask_chatix_comments.database import chatrooms
from flask_chatix_comments.models import Chatroom, Post
from flask_chatix_comments.registry import RoomRegistry, RoomState, create_registry_engine
from flask_chatix_comments.room_marks import find_left_behind, is_marked, with_mark, without_mark
from flask_chatix_comments.testing import running_hub
from tests.databases import KINDS, Kind
from tests.room_processes import Service, context, join, make_room, resume

if TYPE_CHECKING:
    from collections.abc import Callable

    from flask_chatix_comments.api import ChatixApi
    from flask_chatix_comments.rooms import RoomService
    from tests.databases import DatabaseServers

# Where the first one dies.
POINTS = (
    *("before the claim", "during the claim", "after the claim"),
    *("before the call", "while the call is sent", "during the call", "after the call"),
    *("before the record", "during the record", "after the record"),
)
# Where the next one dies, who takes over from one that left a chatroom.
LATER_POINTS = (
    *("before the claim", "during the claim", "after the claim"),
    *("before the search", "while the search is sent", "during the search", "after the search"),
    *("before the record", "during the record", "after the record"),
)
# A service that keeps only titles is told the title once more, when all is done.
LAST_POINTS = ("before the update", "while the update is sent", "during the update", "after the update")


class Place:
    """A registry and a chat service, used by processes that die and by us."""

    def __init__(self, database_url: str, service: Service) -> None:
        self.database_url = database_url
        self.service = service
        self.registry = RoomRegistry(create_registry_engine(database_url))
        self.api: ChatixApi = service.api()
        self.rooms: RoomService = service.rooms(self.registry, self.api)
        self.registry.entries()

    def kill(self, posts: Mapping[str, str]) -> None:
        """For each post, have another process make its chatroom, and die at its point."""
        running = {}
        for post_id, point in posts.items():
            arguments = (self.database_url, self.service, post_id, point)
            running[post_id] = context().Process(target=make_room, args=arguments)
            running[post_id].start()
        assert {post_id: join(process) for post_id, process in running.items()} == dict.fromkeys(
            running, -signal.SIGKILL
        )

    def leave(self, post_id: str) -> Chatroom:
        """Leave what one leaves that dies before it can record a chatroom, and whose lease ends."""
        title = f"Title of {post_id}"
        self.registry.claim(post_id, title=title, is_private=False, owner="dead", lease_s=0)
        title = with_mark(title, post_id) if self.service.is_titles_only else title
        return self.api.create_chatroom(title, external_id=post_id)

    def end_lease(self, post_id: str) -> None:
        with self.registry.database.engine.begin() as connection:
            connection.execute(
                sa.update(chatrooms)
                .where(chatrooms.c.post_id == post_id, chatrooms.c.claim_expires_at.is_not(None))
                .values(claim_expires_at=sa.text("0"))
            )

    def leaves_claim(self, point: str) -> bool:
        """Tell whether who dies there leaves a claim. Servers commit a statement by themselves, SQLite does not."""
        if point in {"before the claim", "after the record"}:
            return False
        is_committed = self.registry.database.engine.dialect.name != "sqlite"
        return {"during the claim": is_committed, "during the record": not is_committed}.get(point, True)

    def is_claimed(self, post_id: str) -> bool:
        """Tell whether we are kept off, as long as the lease lasts."""
        entry = self.registry.find(post_id)
        if entry is None or entry.state is not RoomState.CREATING:
            return False
        return self.rooms.ensure(Post(post_id), wait_s=0).state is RoomState.CREATING

    def living(self, post_id: str) -> list[Chatroom]:
        """Return the chatrooms that the service has for a post."""
        rooms = self.api.list_chatrooms().chatrooms
        return [room for room in rooms if without_mark(room.title) == f"Title of {post_id}"]

    def check(self, post_id: str) -> None:
        """There is one chatroom, the registry names it, and nothing is left of any claim."""
        entry = self.rooms.ensure(Post(post_id, f"Title of {post_id}"), wait_s=0)
        assert [room.chatroom_id for room in self.living(post_id)] == [entry.chatroom_id]
        with self.registry.database.engine.connect() as connection:
            row = connection.execute(sa.select(chatrooms).where(chatrooms.c.post_id == post_id)).one()
        assert (row.claim_token, row.claim_expires_at, row.state) == (None, None, "open")

    def close(self) -> None:
        self.registry.close()
        self.api.close()


CASES = [*((kind, False) for kind in KINDS), ("sqlite", True)]


@pytest.fixture(scope="module", params=CASES, ids=["sqlite", "postgresql", "mariadb", "titles only"])
def place(
    request: pytest.FixtureRequest, database_servers: DatabaseServers, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    """Our hub beside each kind of database; and one that is asked for nothing but titles."""
    kind: Kind
    kind, is_titles_only = request.param
    folder = tmp_path_factory.mktemp("faults")
    with running_hub(folder) as hub:
        settings = hub.settings
        service = Service(
            hub.url, settings["CHATIX_HUB_WEBSITE_ID"], settings["CHATIX_HUB_API_KEY"], is_titles_only=is_titles_only
        )
        place = Place(database_servers.fresh_url(kind, folder), service)
        yield place
        place.close()


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.01)


def test_wherever_the_first_one_dies_there_is_one_chatroom(place: Place) -> None:
    posts = {f"first: {point}": point for point in POINTS}
    place.kill(posts)
    for post_id, point in posts.items():
        if point == "during the call":
            # The service has got it, and nobody knows when it is done.
            until(functools.partial(place.living, post_id))
        assert place.is_claimed(post_id) == place.leaves_claim(point), point
        place.end_lease(post_id)
        place.check(post_id)


def test_wherever_the_next_one_dies_there_is_one_chatroom(place: Place) -> None:
    posts = {f"next: {point}": point for point in LATER_POINTS}
    left = {post_id: place.leave(post_id).chatroom_id for post_id in posts}
    place.kill(posts)
    for post_id in posts:
        place.end_lease(post_id)
        place.check(post_id)
        assert place.registry.get(post_id).chatroom_id == left[post_id]


def test_wherever_one_dies_while_it_takes_its_mark_away_the_chatroom_stays(place: Place) -> None:
    posts = {f"last: {point}": point for point in LAST_POINTS if place.service.is_titles_only}
    place.kill(posts)
    for post_id, point in posts.items():
        place.check(post_id)
        (room,) = place.living(post_id)
        # It is the post's, whatever it is called; who compares titles finds it.
        if not point.startswith("during"):
            assert is_marked(room.title) == (point != "after the update")


def stop(place: Place, post_id: str, point: str, folder: Path) -> Callable[[], None]:
    """Have another process stand still at *point*; return what lets it go on, to its end."""
    file = folder / point
    process = context().Process(target=make_room, args=(place.database_url, place.service, post_id, point, str(file)))
    process.start()
    until(file.exists)

    def go_on() -> None:
        assert resume(process) == 0

    return go_on


@pytest.mark.parametrize("point", ["before the call", "after the call", "before the record"])
def test_a_slow_one_that_lost_its_lease_overwrites_nothing(place: Place, tmp_path: Path, point: str) -> None:
    post_id = f"slow: {point}"
    go_on = stop(place, post_id, point, tmp_path)
    place.end_lease(post_id)
    place.check(post_id)
    ours = place.registry.get(post_id)
    go_on()
    assert place.registry.get(post_id) == ours
    # What it made too late is gone again.
    place.check(post_id)


def test_of_two_that_are_slow_one_keeps_its_chatroom(place: Place, tmp_path: Path) -> None:
    """The second has looked for what the first one left, and has found nothing."""
    first = stop(place, "two", "before the call", tmp_path)
    place.end_lease("two")
    second = stop(place, "two", "after the call", tmp_path)
    place.end_lease("two")
    place.check("two")
    for go_on in (first, second):
        go_on()
    place.check("two")


def test_what_comes_too_late_from_the_dead_can_be_told(place: Place) -> None:
    """A request that outlives its sender, and arrives when the next one has looked already: nothing prevents that
    on a service that makes a chatroom each time it is asked to."""
    place.check("late")
    title = with_mark("Title of late", "late") if place.service.is_titles_only else "Title of late"
    late = place.api.create_chatroom(title, external_id="late")
    if not place.service.is_titles_only:
        assert late.chatroom_id == place.registry.get("late").chatroom_id
        return
    found = find_left_behind(place.api, "late", lambda room: place.registry.find_chatroom(room.chatroom_id) is None)
    assert found == late
