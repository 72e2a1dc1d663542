"""Many processes want the chatrooms of the same posts at the same moment, and are killed again and again.

``STAMPEDE=16x500x200`` has 16 processes, 500 posts and 200 kills; without it, it is a small one.
"""

from __future__ import annotations

import itertools
import os
import random
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa

from flask_chatix_comments.api import ChatixApi
from flask_chatix_comments.database import chatrooms
from flask_chatix_comments.models import Chatroom
from flask_chatix_comments.registry import RoomRegistry, create_registry_engine
from flask_chatix_comments.room_check import Inspector, unchanged
from flask_chatix_comments.room_findings import Trouble, TroubleKind
from flask_chatix_comments.room_info import all_entries
from flask_chatix_comments.room_keeper import RoomKeeper
from flask_chatix_comments.room_marks import is_marked_for, with_mark
from flask_chatix_comments.room_repair import Repairer
from flask_chatix_comments.testing import running_hub
from tests.databases import KINDS
from tests.room_processes import Service, context, make_rooms

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from tests.databases import DatabaseServers

SIZE = os.environ.get("STAMPEDE", "5x40x10")
PROCESSES, POSTS, KILLS = (int(number) for number in SIZE.split("x"))
TIME_LIMIT_S = 120 + POSTS
LEASE_S = 3.0


def all_chatrooms(api: ChatixApi) -> Iterator[Chatroom]:
    for page in itertools.count(1):
        rooms = api.list_chatrooms(page=page, include_deleted=True).chatrooms
        yield from rooms
        if not rooms:
            return


class Herd:
    """The processes; who has been killed is replaced."""

    def __init__(self, database_url: str, service: Service) -> None:
        self._arguments = (database_url, service, POSTS, LEASE_S)
        self._dice = random.Random()
        self._seeds = itertools.count(self._dice.randrange(1_000_000))
        self.running: list[BaseProcess] = [self._start() for _ in range(PROCESSES)]
        self.kills = 0

    def _start(self) -> BaseProcess:
        process = context().Process(target=make_rooms, args=(*self._arguments, next(self._seeds)))
        process.start()
        return process

    def run(self) -> None:
        """Kill, and let them run to their end after that."""
        deadline = time.monotonic() + TIME_LIMIT_S
        while self.running:
            assert time.monotonic() < deadline, f"{len(self.running)} still run, after {self.kills} kills"
            victim = self._dice.choice(self.running)
            victim.join(self._dice.uniform(0, 0.3))
            if victim.is_alive() and self.kills < KILLS:
                os.kill(int(victim.pid or 0), signal.SIGKILL)
                victim.join()
            self._bury()

    def _bury(self) -> None:
        for process in [process for process in self.running if process.exitcode is not None]:
            self.running.remove(process)
            assert process.exitcode in {0, -signal.SIGKILL}
            if process.exitcode:
                self.kills += 1
                self.running.append(self._start())


def mend(registry: RoomRegistry, api: ChatixApi, service: Service) -> tuple[dict[str, TroubleKind], list[Trouble]]:
    """Return what ``check`` names of chatrooms that no row has, and what it names after ``check --repair``."""

    def check(*, repairs: bool = False) -> list[Trouble]:
        is_hosted = service.is_titles_only
        with Inspector(registry, api, is_hosted=is_hosted, margin_s=0) as inspector:
            inspector.fetch()
            keeper = RoomKeeper(registry, lambda: api, is_hosted=is_hosted)
            repairer = Repairer(
                *(registry, api, service.rooms(registry, api), keeper),
                is_hosted=is_hosted,
                title_of=inspector.title_of,
                may_replace=lambda: False,
            )
            return list(inspector.run(repair=repairer.repair if repairs else unchanged))

    found = [trouble for trouble in check() if trouble.kind is not TroubleKind.RETITLED]
    check(repairs=True)
    return {str(trouble.chatroom_id): trouble.kind for trouble in found}, check()


CASES = [*((kind, False) for kind in KINDS), ("sqlite", True)]


@pytest.mark.parametrize(("kind", "is_titles_only"), CASES, ids=["sqlite", "postgresql", "mariadb", "titles only"])
def test_each_post_has_one_chatroom_in_the_end(
    kind: str,
    is_titles_only: bool,
    database_servers: DatabaseServers,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    database_url = database_servers.fresh_url(kind, tmp_path)  # type: ignore[arg-type] # one of KINDS
    registry = RoomRegistry(create_registry_engine(database_url))
    began = time.monotonic()
    with running_hub(tmp_path) as hub:
        settings = hub.settings
        service = Service(
            hub.url, settings["CHATIX_HUB_WEBSITE_ID"], settings["CHATIX_HUB_API_KEY"], is_titles_only=is_titles_only
        )
        herd = Herd(database_url, service)
        herd.run()
        took_s = time.monotonic() - began
        if is_titles_only:
            # A request that outlives its sender arrives when all is over; here it is sure that one does.
            hub.api.create_chatroom(with_mark("Title of 0", "0"))
        rooms = {room.chatroom_id: room for room in all_chatrooms(hub.api)}
        api = service.api()
        named, left = mend(registry, api, service)
        api.close()
    entries = list(all_entries(registry))
    with registry.database.engine.connect() as connection:
        held = connection.execute(sa.select(chatrooms.c.post_id).where(chatrooms.c.claim_token.is_not(None))).all()
    registry.close()
    owners = {entry.chatroom_id: entry.post_id for entry in entries}
    orphans = [room for room in rooms.values() if room.chatroom_id not in owners and not room.is_deleted]
    with capsys.disabled():
        print(
            f"\n{kind}, {'titles only' if is_titles_only else 'our hub'}: {PROCESSES} processes, {POSTS} posts,"
            f" {herd.kills} killed, {took_s:.1f} s: {len(owners)} chatrooms, {len(orphans)} orphans"
        )
    assert herd.kills > 0
    # Each is named as what was made for a post that has another; nobody has written there, so all of them can go.
    assert named == {str(room.chatroom_id): TroubleKind.DUPLICATE for room in orphans}
    assert left == []
    assert held == []
    assert sorted(entry.post_id for entry in entries) == sorted(str(number) for number in range(POSTS))
    assert len(owners) == POSTS and None not in owners
    assert all(not rooms[str(chatroom_id)].is_deleted for chatroom_id in owners)
    if is_titles_only:
        # It is known of each for which post it was made, and that post has another.
        posts = [[entry.post_id for entry in entries if is_marked_for(room.title, entry.post_id)] for room in orphans]
        assert posts and all(len(marked) == 1 for marked in posts)
    else:
        assert orphans == []
        assert {str(id): room.external_id for id, room in rooms.items()} == owners
