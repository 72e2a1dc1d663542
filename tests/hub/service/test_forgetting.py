"""Visitors who are forgotten, and what goes when it is old."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from flask_chatix_comments.errors import NotAllowedError
from flask_chatix_comments.hub.config import RetentionConfig
from flask_chatix_comments.hub.service import forgetting
from flask_chatix_comments.hub.service.visitors import ProfileUpdate
from flask_chatix_comments.hub.store import database
from flask_chatix_comments.hub.store.sql import SqlStore
from flask_chatix_comments.models import Crowd, Forgotten
from tests.hub.support import BASE_URL, Visit, World

pytestmark = pytest.mark.anyio

DAY_S = 86_400.0
MakeWorld = Callable[..., World]


async def joined(world: World, visitor_id: str, room: str, **ticket: Any) -> Visit:
    visit = await world.connect(visitor_id, name=visitor_id.title(), **ticket)
    await visit.join(room)
    return visit


async def texts(reader: Visit, room: str) -> list[str]:
    return [item["content"] for item in (await reader.call("GetChatroomHistory", room, None, 100))["items"]]


def traces(world: World, text: str) -> list[str]:
    """Return the tables in which there is a text."""
    path = world.config.database_url.removeprefix("sqlite:///")
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}
    return sorted({name for name in names for row in rows[name] if any(text in str(value) for value in row)})


def bytes_of(world: World) -> bytes:
    """Return all that SQLite has on the disk."""
    path = Path(world.config.database_url.removeprefix("sqlite:///"))
    return b"".join(file.read_bytes() for file in sorted(path.parent.glob(f"{path.name}*")))


async def let_go(world: World, seconds: float) -> None:
    """Let time pass, and the hub do all that it brings."""
    await world.pass_time(seconds)
    while world.service.forgetting._round is not None:
        await world.service.tick()


# One visitor


async def test_a_visitor_is_forgotten_everywhere(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    room, other = await world.room("A post"), await world.room("Another")
    ada = await joined(world, "ada-public-id", room, is_persistent=True)
    await ada.join(other)
    bob = await joined(world, "bob", room)
    update = ProfileUpdate(name="Ada Lund", email="ada@x.example", fields={"shoe": "ada-shoe"})
    await world.service.update_visitor("ada-public-id", update)
    sent = [await ada.post(room, f"ada-text {number}", uuid=f"ada-key-{number}") for number in range(5)]
    await ada.call("DeleteChatroomMessage", sent[0]["uuid"], room)
    path = await world.upload("ada-public-id", room, file_name="ada-file.pdf")
    posted = await ada.call("SaveChatroomMessage", {"type": 5, "file_url": f"{BASE_URL}{path}"}, None)
    await world.upload("ada-public-id", room, file_name="ada-other.pdf")
    await bob.post(room, "bob's")
    bob.forget_events()

    outcome = await world.service.forgetting.forget_visitor("ada-public-id")
    assert outcome == Forgotten(messages=5, files=2, was_known=True)
    gone = {message["uuid"] for message in [*sent[1:], posted]}
    assert {message_id for _, message_id, _ in bob.heard("OnDeleteChatroomMessage")} == gone
    assert await texts(bob, room) == ["bob's"]
    assert sorted(world.removed_files) == ["upload-1", "upload-2"]
    for trace in ("ada-public-id", "Ada Lund", "ada@x.example", "ada-shoe", "ada-text", "ada-key", "ada-file", "ada-o"):
        assert traces(world, trace) == [], trace
    assert await world.members(room) == ["bob"]
    # Her name is free, and she, who is connected still, is nobody.
    await world.service.update_visitor("g-guest", ProfileUpdate(name="Ada Lund"))
    assert (await world.service.visitors.get("ada-public-id")).name is None
    assert "Join the chatroom first" in await ada.refusal("SaveChatroomMessage", {"type": 0, "content": "x"}, room)
    # Who was away hears of the deletions as of any others.
    changes = await bob.call("GetChatroomChanges", room, None, 100)
    deleted = {item["uuid"] for item in changes["items"] if item.get("is_deleted")}
    assert deleted == gone | {sent[0]["uuid"]}


@pytest.fixture
def careless_sqlite() -> Iterator[None]:
    """Be an SQLite that leaves what is deleted where it was, as most builds do unless they are told otherwise."""

    def connect(_: Any, __: Any, arguments: Any, options: Any) -> sqlite3.Connection:
        connection: sqlite3.Connection = sqlite3.connect(*arguments, **options)
        connection.execute("PRAGMA secure_delete=OFF")
        return connection

    sa.event.listen(sa.Engine, "do_connect", connect)
    yield
    sa.event.remove(sa.Engine, "do_connect", connect)


async def test_what_is_forgotten_is_in_no_file(careless_sqlite: None, world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada-public-id", room, is_persistent=True)
    await world.service.update_visitor("ada-public-id", ProfileUpdate(email="ada@x.example"))
    for number in range(30):
        await ada.post(room, f"ada-text {number} " * 100)
    # Some of it is in the database by now, and some in the log.
    with closing(sqlite3.connect(world.config.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    await ada.post(room, "ada-text, the last")
    await world.service.forgetting.forget_visitor("ada-public-id")
    kept = bytes_of(world)
    for trace in (b"ada-text", b"ada-public-id", b"ada@x.example", b"Ada-Public-Id"):
        assert kept.count(trace) == 0, trace


async def test_what_is_read_while_somebody_is_forgotten_goes_with_the_next_round(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "SCRUB_S", 0.0)
    room = await world.room()
    await (await joined(world, "ada", room)).post(room, "ada-text")
    with closing(sqlite3.connect(world.config.database_url.removeprefix("sqlite:///"))) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT COUNT(*) FROM messages").fetchone()
        await world.service.forgetting.forget_visitor("ada")
        assert b"ada-text" in bytes_of(world)
    await let_go(world, 7200)
    assert b"ada-text" not in bytes_of(world)


async def test_nothing_is_left_of_what_a_visitor_posts_while_it_is_forgotten(world: World) -> None:
    room = await world.room()
    for number in range(10):
        visitor_id = f"ada-{number}"
        ada = await joined(world, visitor_id, room, is_persistent=bool(number % 2))

        async def post(visit: Visit = ada) -> None:
            # Some come too late.
            with suppress(AssertionError):
                await visit.post(room, "ada-text")

        posting = [asyncio.create_task(post()) for _ in range(20)]
        for _ in range(number):
            await asyncio.sleep(0)
        await world.service.forgetting.forget_visitor(visitor_id)
        await asyncio.gather(*posting)
        assert traces(world, "ada-text") == []
        assert traces(world, visitor_id) == []


async def test_nothing_is_left_of_what_a_visitor_uploads_while_it_is_forgotten(world: World) -> None:
    room = await world.room()
    await joined(world, "ada", room)
    with pytest.raises(NotAllowedError, match="Join the chatroom first"):
        await world.upload("ada", room, meanwhile=world.service.forgetting.forget_visitor("ada"))
    assert traces(world, "ada") == []


async def test_to_forget_somebody_again_or_nobody_does_no_harm(world: World) -> None:
    room = await world.room()
    await (await joined(world, "ada", room)).post(room)
    assert (await world.service.forgetting.forget_visitor("ada")).messages == 1
    for visitor_id in ("ada", "nobody"):
        assert await world.service.forgetting.forget_visitor(visitor_id) == Forgotten(0, 0, was_known=False)


async def test_a_forgotten_manager_is_none_and_whispers_go_too(world: World) -> None:
    room = await world.room()
    boss = await joined(world, "boss", room, is_manager=True, is_persistent=True)
    other = await joined(world, "other", room, is_manager=True)
    await world.whisper(room, "boss's whisper")
    outcome = await world.service.forgetting.forget_visitor("boss")
    assert outcome.messages == 1
    assert len(other.heard("OnDeleteChatroomMessage")) == 1
    assert boss.heard("OnManagerRightsChanged") == [["OnManagerRightsChanged", False]]
    assert await world.service.visitors.list_managers() == []


async def test_how_many_are_here(world: World) -> None:
    assert world.service.crowd() == Crowd(0, 0)
    tabs = [await world.connect("ada"), await world.connect("ada"), await world.connect("bob")]
    assert world.service.crowd() == Crowd(connections=3, visitors=2)
    room = await world.room()
    await tabs[2].join(room)
    tabs[2].drop()
    assert world.service.crowd() == Crowd(connections=2, visitors=1)


# What is old


@pytest.fixture
def make_forgetful(make_world: MakeWorld) -> MakeWorld:
    def make(**days: float) -> World:
        retention = RetentionConfig(**{f"{name}_s": number * DAY_S for name, number in days.items()})
        return make_world(retention=retention)

    return make


async def test_nothing_goes_unless_the_site_wants_it(world: World) -> None:
    room = await world.room()
    ada = await joined(world, "ada", room)
    await ada.post(room, "old")
    await let_go(world, 5 * 365 * DAY_S)
    assert await texts(await joined(world, "bob", room), room) == ["old"]


async def test_old_messages_go_and_readers_see_it(make_forgetful: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    world = make_forgetful(messages=30)
    room = await world.room()
    ada = await joined(world, "ada", room)
    for number in range(5):
        await ada.post(room, f"old {number}")
    await world.pass_time(29 * DAY_S)
    ada = await joined(world, "ada", room)
    await ada.post(room, "young")
    ada.forget_events()
    await let_go(world, 2 * DAY_S)
    assert len(ada.heard("OnDeleteChatroomMessage")) == 5
    assert await texts(await joined(world, "bob", room), room) == ["young"]


async def test_it_is_done_in_small_pieces(make_forgetful: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    world = make_forgetful(messages=30)
    room = await world.room()
    ada = await joined(world, "ada", room)
    for number in range(5):
        await ada.post(room, f"old {number}")
    counts = []
    world.clock.advance(31 * DAY_S)
    for _ in range(3):
        await world.service.tick()
        counts.append((await world.service.chatrooms.count_messages([room]))[room])
    assert counts == [3, 1, 0]


async def test_old_files_go_and_texts_stay(make_forgetful: MakeWorld) -> None:
    world = make_forgetful(files=7)
    room = await world.room()
    ada = await joined(world, "ada", room)
    await ada.post(room, "text")
    path = await world.upload("ada", room)
    await ada.call("SaveChatroomMessage", {"type": 5, "file_url": f"{BASE_URL}{path}"}, None)
    await let_go(world, 8 * DAY_S)
    assert world.removed_files == ["upload-1"]
    assert await texts(await joined(world, "bob", room), room) == ["text"]


async def test_chatrooms_without_news_are_deleted_and_can_be_restored(make_forgetful: MakeWorld) -> None:
    world = make_forgetful(chatrooms=100)
    quiet, busy = await world.room("Quiet"), await world.room("Busy")
    ada = await joined(world, "ada", quiet)
    await ada.post(quiet, "long ago")
    await let_go(world, 99 * DAY_S)
    bob = await joined(world, "bob", busy)
    await bob.post(busy)
    await let_go(world, 2 * DAY_S)
    assert ((await world.get_room(quiet)).is_deleted, (await world.get_room(busy)).is_deleted) == (True, False)
    await world.service.chatrooms.restore(quiet)
    assert await texts(await joined(world, "bob", quiet), quiet) == ["long ago"]


async def test_who_does_not_come_any_more_is_forgotten(make_forgetful: MakeWorld) -> None:
    """Managers, writers and members are not."""
    world = make_forgetful(visitors=60)
    room = await world.room()
    for visitor_id in ("idle", "writer", "returning"):
        await world.service.update_visitor(visitor_id, ProfileUpdate(name=visitor_id.title(), is_persistent=True))
    await world.service.update_visitor("boss", ProfileUpdate(name="Boss", is_manager=True))
    await world.service.update_visitor("member", ProfileUpdate(name="Member", is_persistent=True))
    await world.service.attendance.admit("member", room)
    await (await joined(world, "writer", room, is_persistent=True)).post(room)
    await let_go(world, 59 * DAY_S)
    (await world.connect("returning", name="Returning", is_persistent=True)).drop()
    await let_go(world, 2 * DAY_S)
    known = {one for one in ("idle", "writer", "returning", "boss", "member") if await world.store.find_visitor(one)}
    assert known == {"writer", "returning", "boss", "member"}
    # The name is free again.
    await world.service.update_visitor("g-guest", ProfileUpdate(name="Idle"))


async def test_strangers_who_never_did_anything_leave_nothing(world: World, store: SqlStore) -> None:
    """Their ticket is no good any more: neither membership nor name is of any use."""
    room = await world.room()
    strangers = [await world.connect_stranger() for _ in range(3)]
    reader, named, writer = strangers
    for stranger in strangers:
        await stranger.join(room)
    await named.call("SaveVisitorInfo", {"name": "Named"})
    await writer.call("SaveVisitorInfo", {"name": "Writer"})
    await writer.post(room)
    for stranger in strangers:
        stranger.drop()
    await let_go(world, 179 * DAY_S)
    assert len(await world.members(room)) == 3
    back = await world.connect_with(writer.caller.ticket_text)
    back.drop()
    await let_go(world, 2 * DAY_S)
    assert await world.members(room) == [writer.visitor_id]
    known = [one.visitor_id for one in strangers if await store.find_visitor(one.visitor_id)]
    assert known == [writer.visitor_id]
    assert traces(world, reader.visitor_id) == traces(world, named.visitor_id) == []
    assert [message["content"] for message in (await back_again(world, room))] == ["Hello"]


async def back_again(world: World, room: str) -> list[Any]:
    visit = await joined(world, "somebody", room)
    items: list[Any] = (await visit.call("GetChatroomHistory", room, None, 10))["items"]
    return items


async def test_who_is_here_is_not_stale(world: World) -> None:
    """Somebody whose connection has been open for half a year."""
    room = await world.room()
    stranger = await world.connect_stranger()
    await stranger.join(room)
    await let_go(world, 200 * DAY_S)
    assert await world.members(room) == [stranger.visitor_id]


async def test_a_round_that_fails_is_begun_again_later(
    make_forgetful: MakeWorld, store: SqlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = make_forgetful(messages=30)
    room = await world.room()
    await (await joined(world, "ada", room)).post(room)

    async def fail(*_: Any, **__: Any) -> Any:
        raise OSError("for a moment")

    with monkeypatch.context() as patch:
        patch.setattr(store, "messages_before", fail)
        with pytest.raises(OSError, match="for a moment"):
            await world.pass_time(31 * DAY_S)
    await let_go(world, 3601)
    assert await world.service.chatrooms.count_messages([room]) == {room: 0}
