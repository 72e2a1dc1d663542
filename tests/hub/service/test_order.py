"""Many write, send again and come again at the same time: one order for all, and each comment once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments.hub.backplane.base import MessagePosted
from flask_chatix_comments.hub.store.sql import SqlStore
from tests.hub.support import Clock, Json, Visit, World

pytestmark = pytest.mark.anyio

MakeWorld = Callable[..., World]


async def joined(world: World, visitor_id: str, room: str) -> Visit:
    visit = await world.connect(visitor_id, name=visitor_id.title())
    await visit.join(room)
    return visit


async def history_of(reader: Visit, room: str) -> list[Json]:
    """Return all messages, paged from the end to the beginning."""
    items: list[Json] = []
    has_more = True
    while has_more:
        page = await reader.call("GetChatroomHistory", room, items[0]["uuid"] if items else None, 7)
        items, has_more = page["items"] + items, page["has_more"]
    return items


async def changes_of(reader: Visit, room: str, cursor: str | None = None) -> tuple[list[Json], str | None]:
    """Return all changes since *cursor*, and the cursor behind them."""
    items: list[Json] = []
    has_more = True
    while has_more:
        page = await reader.call("GetChatroomChanges", room, cursor, 7)
        items += page["items"]
        cursor, has_more = page["cursor"], page["has_more"]
    return items, cursor


def thread_of(items: Iterable[Json], before: Iterable[Json] = ()) -> list[tuple[int, str]]:
    """Return what a reader shows who applies changes: number and text, in order."""
    shown = {item["uuid"]: item for item in before}
    for item in items:
        if item.get("is_deleted"):
            shown.pop(item["uuid"], None)
        else:
            shown[item["uuid"]] = item
    return sorted((item["seq"], item["content"]) for item in shown.values())


async def write(visit: Visit, room: str, *numbers: int) -> None:
    for number in numbers:
        await visit.post(room, f"{visit.visitor_id} {number}", uuid=f"{visit.visitor_id}-{number}")


async def test_live_history_and_changes_have_one_order(world: World) -> None:
    room = await world.room()
    reader = await joined(world, "reader", room)
    writers = [await joined(world, f"writer-{number}", room) for number in range(8)]
    await asyncio.gather(*(write(writer, room, *range(10)) for writer in writers))
    live = [message for _, message, _ in reader.heard("ApplyChatroomMessage")]
    assert [message["seq"] for message in live] == list(range(1, 81))
    assert await history_of(reader, room) == live
    assert (await changes_of(reader, room))[0] == live
    # Each hears the others in that order, too, and itself as the answer to its call.
    for writer in writers:
        heard = [message["seq"] for _, message, _ in writer.heard("ApplyChatroomMessage")]
        assert heard == [message["seq"] for message in live if message["sender_id"] != writer.visitor_id]
    times = [message["sent_at"] for message in live]
    assert times == sorted(times)


async def test_who_was_away_has_the_thread_after_the_changes_however_many(world: World) -> None:
    """New, edited and deleted ones, all at the same time, some of them more than once."""
    room = await world.room()
    boss = await world.connect("boss", is_manager=True)
    await boss.join(room)
    writers = [await joined(world, f"writer-{number}", room) for number in range(4)]
    await asyncio.gather(*(write(writer, room, *range(5)) for writer in writers))
    reader = await joined(world, "reader", room)
    before = await history_of(reader, room)
    cursor = (await reader.call("GetChatroomHistory", room, None, 1))["cursor"]
    reader.drop()

    choices = random.Random(4)

    async def moderate(message: Json) -> None:
        if choices.random() < 0.3:
            await boss.call("DeleteChatroomMessage", message["uuid"], room)
            return
        for number in range(choices.randrange(3)):
            await boss.call("UpdateChatroomMessage", message["uuid"], f"{message['content']} ({number})", room)

    await asyncio.gather(
        *(write(writer, room, *range(5, 14)) for writer in writers), *(moderate(message) for message in before)
    )
    await world.pass_time(30)
    back = await joined(world, "reader", room)
    changes, cursor = await changes_of(back, room, cursor)
    assert len({item["uuid"] for item in changes}) == len(changes)
    assert thread_of(changes, before) == thread_of(await history_of(back, room))
    assert await changes_of(back, room, cursor) == ([], cursor)


async def test_the_changes_since_then_are_told_years_later(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    first = await ada.post(room, "first")
    cursor = (await ada.call("GetChatroomHistory", room, None, 1))["cursor"]
    await ada.post(room, "second")
    await world.service.messages.delete_by_api(room, first["uuid"])
    await world.pass_time(3 * 365 * 86_400)
    items, _ = await changes_of(await joined(world, "bob", room), room, cursor)
    assert [(item["uuid"] == first["uuid"], item.get("content")) for item in items] == [(False, "second"), (True, None)]


async def test_two_connections_that_send_the_same_at_the_same_time_store_it_once(world: World) -> None:
    room = await world.room()
    tabs = [await joined(world, "ada", room) for _ in range(6)]
    bob = await joined(world, "bob", room)
    sent = await asyncio.gather(*(tab.post(room, "once", uuid="the-key") for tab in tabs))
    assert len({message["uuid"] for message in sent}) == 1
    assert len(bob.heard("ApplyChatroomMessage")) == 1
    assert [message["content"] for message in await history_of(bob, room)] == ["once"]


async def test_two_connections_that_post_the_same_file_at_the_same_time_store_it_once(world: World) -> None:
    room = await world.room()
    tabs = [await joined(world, "ada", room) for _ in range(4)]
    bob = await joined(world, "bob", room)
    path = await world.upload("ada", room)
    draft = {"type": 5, "file_url": f"http://hub.example:5001/v1{path}"}
    sent = await asyncio.gather(*(tab.call("SaveChatroomMessage", draft, None) for tab in tabs))
    assert len({message["uuid"] for message in sent}) == 1
    assert len(bob.heard("ApplyChatroomMessage")) == len(await history_of(bob, room)) == 1


async def test_what_is_sent_again_after_a_restart_is_what_was_stored(
    make_world: MakeWorld, database_url: str, clock: Clock
) -> None:
    """The answer was lost with the hub; memory is gone, and the visitor comes on a new connection."""
    world = make_world()
    room = await world.room()
    ada = await joined(world, "ada", room)
    path = await world.upload("ada", room)
    file = {"type": 5, "file_url": f"http://hub.example:5001/v1{path}", "uuid": "file-key"}
    text, posted = await ada.post(room, "once", uuid="key"), await ada.call("SaveChatroomMessage", file, None)

    store = SqlStore(database_url)
    store.open()
    again = World(world.config, store, clock)
    await again.service.start()
    returned = await again.connect("ada", name="Ada")
    assert await returned.post(room, "once", uuid="key") == text
    assert await returned.call("SaveChatroomMessage", file, None) == posted
    assert [message["seq"] for message in await history_of(returned, room)] == [1, 2]
    await store.close()


async def test_many_writers_share_a_commit(world: World, store: SqlStore) -> None:
    room = await world.room()
    writers = [await joined(world, f"writer-{number}", room) for number in range(16)]
    # Whoever has not posted before is stored before that.
    await asyncio.gather(*(writer.post(room) for writer in writers))
    commits: list[Any] = []
    sa.event.listen(store._writing, "commit", commits.append)
    told: list[int] = []
    world.backplane.listen(lambda event: told.append(len(commits)) if isinstance(event, MessagePosted) else None)
    await asyncio.gather(*(write(writer, room, *range(5)) for writer in writers))
    assert len(told) == 80
    # The first one finds the writer idle and may be alone; whoever comes meanwhile waits for the next commit.
    assert len(commits) <= 40
    # Nobody is told of anything before a commit.
    assert min(told) >= 1
