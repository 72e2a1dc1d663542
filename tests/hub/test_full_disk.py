"""A disk without room: posts and files are refused with the reason, reading goes on, and later posting does."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments.errors import StoreFullError
from flask_chatix_comments.hub.folder import INCOMING
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import Hub, Json, World, sign_ticket

pytestmark = pytest.mark.anyio

REFUSAL = "There is no room left on the server for this. Please tell its owner."
TEXT = "x" * 9_000


class Disk:
    """The room that the hub's database has."""

    def __init__(self, store: SqlStore) -> None:
        self._store = store

    async def fill(self) -> None:
        """Leave no room but what the file has already."""

        def limit(connection: sa.Connection) -> None:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")

        await self._store._write(limit)

    async def free(self) -> None:
        await self._store._write(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))


@pytest.fixture
def disk(store: SqlStore) -> Disk:
    return Disk(store)


@pytest.fixture
async def hub(store: SqlStore, config: Any, clock: Any) -> AsyncIterator[Hub]:
    async with Hub.running(config, clock, store=store) as hub:
        yield hub


async def test_posts_are_refused_reading_goes_on_and_later_posting_does(world: World, disk: Disk) -> None:
    room = await world.room()
    ada, bob = await world.connect("ada", name="Ada"), await world.connect("bob", name="Bob")
    for visit in (ada, bob):
        await visit.join(room)
    stored = [await ada.post(room, TEXT, uuid="first")]
    await disk.fill()
    refusals: list[str] = []
    for number in range(10):
        draft = {"type": 0, "content": TEXT, "uuid": f"later-{number}"}
        completion: Json = await ada._complete("SaveChatroomMessage", (draft, room))
        if "error" in completion:
            refusals.append(completion["error"])
        else:
            # There may be a little room in what is there already.
            stored.append(completion["result"])
    assert set(refusals) == {REFUSAL}
    history = await bob.call("GetChatroomHistory", room, None, 50)
    assert [message["uuid"] for message in history["items"]] == [message["uuid"] for message in stored]
    assert len(bob.heard("ApplyChatroomMessage")) == len(stored)

    await disk.free()
    sent = await ada.post(room, TEXT, uuid="later-9")
    assert sent["seq"] == len(stored) + 1
    assert len(bob.heard("ApplyChatroomMessage")) == len(stored) + 1


async def test_who_comes_to_a_full_disk_can_read(
    world: World, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither what the site says of a signed-in visitor nor its membership can be stored."""
    room = await world.room()
    ada = await world.connect("ada", name="Ada")
    await ada.join(room)
    message = await ada.post(room)

    async def refuse(*_: Any, **__: Any) -> Any:
        raise StoreFullError("database or disk is full")

    for name in ("put_member", "save_visitor", "append_message"):
        monkeypatch.setattr(store, name, refuse)
    bob = await world.connect("bob", name="Bob", is_persistent=True)
    await bob.join(room)
    history = await bob.call("GetChatroomHistory", room, None, 50)
    assert [item["uuid"] for item in history["items"]] == [message["uuid"]]
    assert await bob.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room) == REFUSAL
    monkeypatch.undo()
    assert (await bob.post(room))["sender_name"] == "Bob"


async def test_the_api_and_uploads_say_so_too(hub: Hub, disk: Disk, store: SqlStore, files_folder: Path) -> None:
    room = (await hub.post("/chatroom/create", {"title": "A post"})).json()["id"]
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId="ada")
    await disk.fill()
    statuses = set()
    for number in range(5):
        body = {"content": TEXT, "sender_id": "author", "uuid": f"key-{number}"}
        response = await hub.post("/chatroom/send-message", body, chatroomId=room)
        statuses.add(response.status_code)
        if response.status_code != 200:
            assert (response.status_code, response.json()) == (507, {"error": REFUSAL})
    assert 507 in statuses
    query = {"websiteId": "local", "chatroomId": room, "visitorId": sign_ticket(hub.clock, "ada")}
    for _ in range(40):
        files = {"formFile": (f"{'n' * 200}.pdf", b"%PDF-1.7", "application/pdf")}
        response = await hub.client.post("/file/save", params=query, files=files)
        if response.status_code != 200:
            break
    assert (response.status_code, response.json()) == (507, {"error": REFUSAL})
    assert list((files_folder / INCOMING).iterdir()) == []
    kept = {path.name for path in files_folder.iterdir()} - {INCOMING}
    assert kept == set(await store._read(lambda c: set(c.scalars(sa.text("SELECT id FROM uploads")))))
    assert (await hub.get("/chatroom/messages", chatroomId=room)).status_code == 200
    await disk.free()
    assert (await hub.client.post("/file/save", params=query, files=files)).status_code == 200


async def test_a_hub_starts_on_a_full_disk(database_url: str, store: SqlStore) -> None:
    """What is there is of this version: nothing has to be written."""
    await store.close()
    engine = sa.create_engine(database_url)
    with closing(engine.raw_connection()) as connection:
        before = connection.execute("PRAGMA data_version").fetchone()
        again = SqlStore(database_url)
        again.open()
        await again.close()
        assert connection.execute("PRAGMA data_version").fetchone() == before
    engine.dispose()
