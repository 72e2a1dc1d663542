"""Wherever the hub dies, what it has acknowledged is there, what it has not may be sent again, and files fit."""

from __future__ import annotations

import asyncio
import json
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.hub.folder import INCOMING
from tests.hub.dying_hubs import DEEDS, FILE, act_and_die, config_of, delete, send, storm, upload
from tests.hub.support import Clock, Hub
from tests.room_processes import context
from tests.room_processes import join as wait_for

pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL"),
]

DEADLINE_S = 60.0

# Whether what is done is there afterwards; where it is, nobody has been told.
POINTS = [
    ("post", "in the transaction", False),
    ("post", "after the commit", True),
    ("upload", "in the transaction", False),
    ("upload", "after the commit", False),
    ("upload", "before the file is in its place", False),
    ("upload", "half way into its place", True),
    ("upload", "when the file is in its place", True),
    ("post a file", "in the transaction", False),
    ("post a file", "after the commit", True),
    ("delete a file", "in the transaction", False),
    ("delete a file", "after the commit", True),
    ("delete a file", "before the file is removed", True),
    ("delete a file", "when the file is removed", True),
    ("join", "in the transaction", False),
    ("join", "after the commit", True),
]


class Place:
    """The folder of a hub, and a chatroom on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = Clock()
        self.room = ""

    def running(self) -> Any:
        return Hub.running(config_of(self.folder), self.clock)

    def rows(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.folder / "hub.sqlite3")) as connection:
            return connection.execute(statement).fetchall()

    def kept(self) -> set[str]:
        """Return the uploads that have files."""
        files = self.folder / "hub.files"
        return {path.name for path in files.iterdir() if path.name != INCOMING and any(path.iterdir())}

    def check(self) -> None:
        """The tables fit each other and the folder of files, once a hub has started again."""
        assert not any((self.folder / "hub.files" / INCOMING).iterdir())
        seqs = [seq for (seq,) in self.rows("SELECT seq FROM messages ORDER BY seq")]
        assert seqs == list(range(1, len(seqs) + 1))
        changes = self.rows("SELECT change FROM messages")
        assert len(set(changes)) == len(changes)
        ((living,),) = self.rows("SELECT COUNT(*) FROM messages WHERE NOT is_deleted")
        (counted,) = self.rows(f"SELECT message_count, last_seq FROM chatrooms WHERE id = '{self.room}'")
        assert counted == (living, len(seqs))
        states = dict(self.rows("SELECT id, state FROM uploads"))
        # What is served is there; what is to go is gone, or will be asked for again.
        assert {upload_id for upload_id, state in states.items() if state == "posted"} <= self.kept()
        assert self.kept() <= {upload_id for upload_id, state in states.items() if state != "removed"}
        posted = self.rows("SELECT message_id FROM uploads WHERE state = 'posted'")
        living_files = self.rows("SELECT id FROM messages WHERE type = 5 AND NOT is_deleted")
        assert sorted(posted) == sorted(living_files)


@pytest.fixture
async def place(tmp_path: Path) -> AsyncIterator[Place]:
    place = Place(tmp_path)
    async with place.running() as hub:
        place.room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
        await hub.post("/chatroom/connect-visitor", chatroomId=place.room, visitorId="ada")
    yield place


async def prepare(place: Place, deed: str) -> str:
    """Return what the deed needs: the URL of a file, or the id of a message with one."""
    async with place.running() as hub:
        if deed == "post a file":
            return await upload(hub, place.room)
        if deed == "delete a file":
            draft = {"type": 5, "file_url": await upload(hub, place.room)}
            return str((await send(hub, place.room, draft))["uuid"])
    return ""


async def is_done(hub: Hub, place: Place, deed: str) -> bool:
    if deed == "upload":
        return bool(place.kept())
    if deed == "join":
        members = (await hub.get("/chatroom/visitors", chatroomId=place.room)).json()["items"]
        return len(members) == 2
    messages = (await hub.get("/chatroom/messages", chatroomId=place.room)).json()["items"]
    return len(messages) == (0 if deed == "delete a file" else 1)


@pytest.mark.parametrize(("deed", "point", "is_there"), POINTS, ids=[f"{deed}: {point}" for deed, point, _ in POINTS])
async def test_wherever_it_dies_all_fits(place: Place, deed: str, point: str, is_there: bool) -> None:
    arguments = (place.room, await prepare(place, deed))
    process = context().Process(target=act_and_die, args=(str(place.folder), deed, point, *arguments))
    process.start()
    assert wait_for(process) == -signal.SIGKILL
    async with place.running() as hub:
        assert await is_done(hub, place, deed) == is_there
        place.check()
        # Nobody was told: it is done again, and is done once.
        await DEEDS[deed](hub, *arguments)
        assert await is_done(hub, place, deed)
        place.clock.advance(7200)
    async with place.running() as hub:
        # What waited for a message that never came has gone, and so has what was deleted.
        await until_gone(place, "waiting", "condemned")
        place.check()
        ((count,),) = place.rows("SELECT COUNT(*) FROM messages")
        assert count == (0 if deed in ("upload", "join") else 1)
        assert len(place.kept()) == (1 if deed == "post a file" else 0)


async def until_gone(place: Place, *states: str) -> None:
    """Wait until no upload is in one of these states: a hub that has started has looked for what has to go."""
    deadline = time.monotonic() + DEADLINE_S
    while {state for (state,) in place.rows("SELECT state FROM uploads")} & {*states}:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)


async def test_killed_again_and_again_in_the_middle_of_much(place: Place) -> None:
    notes = place.folder / "notes"
    dice = random.Random(5)
    wanted = 0
    for seed in range(3):
        process = context().Process(target=storm, args=(str(place.folder), place.room, seed))
        process.start()
        wanted += dice.randint(10, 40)
        deadline = time.monotonic() + DEADLINE_S
        while not notes.exists() or len(notes.read_bytes().splitlines()) < wanted:
            assert time.monotonic() < deadline and process.is_alive()
            time.sleep(0.005)
        process.kill()
        assert wait_for(process) == -signal.SIGKILL
        async with place.running() as hub:
            await until_gone(place, "condemned")
            place.check()
            await check_notes(hub, place, [json.loads(line) for line in notes.read_bytes().splitlines()])
        wanted = len(notes.read_bytes().splitlines())


async def check_notes(hub: Hub, place: Place, notes: list[list[str]]) -> None:
    """All that was acknowledged is as it was said; what is sent again is what was stored."""
    deleted = {message_id for kind, message_id, *_ in notes if kind == "deleted"}
    posted = {message_id: key for kind, message_id, *rest in notes if kind == "posted" for key in rest}
    stored = dict(place.rows("SELECT id, is_deleted FROM messages"))
    assert posted.keys() <= stored.keys()
    assert all(stored[message_id] for message_id in deleted)
    members = {visitor_id for (visitor_id,) in place.rows("SELECT visitor_id FROM members")}
    assert {key for kind, key, *_ in notes if kind == "joined"} <= members
    living = [(message_id, key) for message_id, key in posted.items() if not stored[message_id]]
    for message_id, key in living[-3:]:
        assert (await send(hub, place.room, {"content": "again", "uuid": key}))["uuid"] == message_id
    ((url,),) = place.rows("SELECT file_url FROM messages WHERE file_url IS NOT NULL LIMIT 1") or [("",)]
    if url:
        assert (await hub.client.get(url.removeprefix("/"))).content == FILE


async def test_what_a_message_names_is_never_removed(place: Place) -> None:
    """A second message of the same file is refused; deleting the first one removes it, and nothing else does."""
    async with place.running() as hub:
        urls = [await upload(hub, place.room) for _ in range(2)]
        messages = [await send(hub, place.room, {"type": 5, "file_url": url}) for url in urls]
        await delete(hub, place.room, messages[0]["uuid"])
        await until_gone(place, "condemned")
        place.check()
        assert [(await hub.client.get(url)).status_code for url in urls] == [404, 200]
