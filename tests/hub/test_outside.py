"""A look at a hub's data while it runs, and while it does not."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from dataclasses import replace

import pytest
import sqlalchemy as sa

from flask_chatix_comments.errors import ChatroomNotFoundError, StoreError
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.outside import room_in_full, take_stock
from flask_chatix_comments.hub.store import messages
from flask_chatix_comments.hub.store.reports import Counts
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import BASE_URL, World

pytestmark = pytest.mark.anyio


async def test_all_is_counted(world: World) -> None:
    rooms = [await world.room(f"Room {number}") for number in range(3)]
    ada = await world.connect("ada", name="Ada", is_persistent=True)
    for room in rooms:
        await ada.join(room)
    for _ in range(3):
        message = await ada.post(rooms[0])
    await ada.call("DeleteChatroomMessage", message["uuid"], rooms[0])
    await ada.post(rooms[2])
    await world.whisper(rooms[0])
    await world.upload("ada", rooms[0], stored_bytes=1500)
    path = await world.upload("ada", rooms[0], stored_bytes=500)
    posted = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": f"{BASE_URL}{path}"}, None)
    await ada.call("DeleteChatroomMessage", posted["uuid"], rooms[0])
    await world.service.chatrooms.delete(rooms[2])
    stock = take_stock(world.config)
    assert stock.counts == Counts(
        chatrooms=2,
        deleted_chatrooms=1,
        messages=2,
        whispers=1,
        members=3,
        visitors=1,
        files=1,
        file_bytes=1500,
    )
    assert stock.database_bytes and stock.free_bytes and stock.files_free_bytes is None


async def test_an_empty_one(store: SqlStore, config: HubConfig) -> None:
    assert take_stock(config).counts == Counts(0, 0, 0, 0, 0, 0, 0, 0)
    await store.close()


async def test_one_that_is_not_there(config: HubConfig) -> None:
    with pytest.raises(StoreError, match="There is no hub's database at"):
        take_stock(config)
    with pytest.raises(StoreError, match="There is no hub's database at"), room_in_full(config, "room"):
        pass
    with pytest.raises(StoreError, match="There is no hub's database at"):
        take_stock(config)


async def test_a_room_in_full(make_world: Callable[..., World]) -> None:
    world = make_world(public_url="https://chat.example/v1")
    room = await world.room("A post", external_id="post-1")
    ada = await world.connect("ada", name="Ada")
    await ada.join(room)
    first = await ada.post(room, "first")
    await world.whisper(room, "a whisper")
    path = await world.upload("ada", room)
    await ada.call("SaveChatroomMessage", {"type": 5, "file_url": f"{BASE_URL}{path}"}, None)
    gone = await ada.post(room, "gone")
    await ada.call("DeleteChatroomMessage", gone["uuid"], room)
    await ada.post(room, "last", uuid="the-key")
    with room_in_full(world.config, room) as (described, found):
        exported = list(found)
    assert (described["id"], described["title"], described["external_id"]) == (room, "A post", "post-1")
    assert [(one["seq"], one["content"], one.get("is_whisper", False)) for one in exported] == [
        (1, "first", False),
        (1, "a whisper", True),
        (2, "", False),
        (4, "last", False),
    ]
    assert exported[0] == {key: value for key, value in first.items() if key != "client_key"}
    assert exported[2]["file_url"] == f"https://chat.example/v1{path}"
    assert not any("client_key" in one for one in exported)


async def test_a_room_that_is_not_there(world: World) -> None:
    with pytest.raises(ChatroomNotFoundError, match="has no chatroom nowhere"), room_in_full(world.config, "nowhere"):
        pass


async def test_a_database_of_an_earlier_version_says_what_to_do(world: World, store: SqlStore) -> None:
    await store._write(lambda connection: connection.execute(sa.text("ALTER TABLE uploads DROP COLUMN stored_bytes")))
    with pytest.raises(StoreError, match="the hub brings it up to date when it starts"):
        take_stock(world.config)


async def test_writers_do_not_wait_and_memory_stays_flat(world: World, store: SqlStore) -> None:
    room = await world.room()
    ada = await world.connect("ada", name="Ada")
    await ada.join(room)
    template = await world.post_by_api(room, "x" * 2000)

    def fill(connection: sa.Connection) -> None:
        for number in range(2999):
            messages.append(connection, replace(template, message_id=f"m{number}"), template.sent_at, None)

    await store._write(fill)
    with room_in_full(world.config, room) as (_, exported):
        first = next(exported)
        await ada.post(room, "meanwhile")
        tracemalloc.start()
        count = sum(1 for _ in exported)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert (first["seq"], count) == (1, 2999)
    # All of it would be six megabytes and more.
    assert peak < 4_000_000
