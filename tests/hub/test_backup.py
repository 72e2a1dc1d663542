"""A copy of everything, made while the hub runs; and back."""

from __future__ import annotations

import asyncio
import io
import json
import shutil
import signal
import sqlite3
import sys
import tarfile
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from flask_chatix_comments.errors import BackupError, HubLockedError
from flask_chatix_comments.hub import backup as backup_module
from flask_chatix_comments.hub.backup import Manifest, make_backup
from flask_chatix_comments.hub.config import HubConfig
from flask_chatix_comments.hub.folder import INCOMING, UploadFolder
from flask_chatix_comments.hub.restore import restore_backup
from flask_chatix_comments.process_lock import ProcessLock
from tests.hub.dying_hubs import FILE, config_of, delete, restore_and_die, send, upload
from tests.hub.support import Clock, Hub, Json
from tests.room_processes import context, join

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 26, tzinfo=UTC)


def back_up(config: HubConfig, target: Path, *, overwrites: bool = False, **more: Any) -> Manifest:
    return make_backup(config, target, overwrites=overwrites, now=NOW, **more)


def restore(
    config: HubConfig, source: Path, folder: Path, *, overwrites: bool = False, now: datetime = NOW
) -> Manifest:
    return restore_backup(config, source, lock_path=folder / "hub.lock", overwrites=overwrites, now=now)


async def new_room(hub: Hub) -> str:
    room = str((await hub.post("/chatroom/create", {"title": "A post"})).json()["id"])
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId="ada")
    return room


async def messages_in(hub: Hub, room: str) -> list[Json]:
    items: list[Json] = (await hub.get("/chatroom/messages", chatroomId=room)).json()["items"]
    return items


@pytest.fixture
def old(tmp_path: Path) -> HubConfig:
    (tmp_path / "old").mkdir()
    return config_of(tmp_path / "old")


@pytest.fixture
def new(tmp_path: Path) -> HubConfig:
    (tmp_path / "new").mkdir()
    return config_of(tmp_path / "new")


async def test_all_comes_back(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    target, progress = tmp_path / "backup.tar", list[tuple[int, int]]()
    async with Hub.running(old, Clock()) as hub:
        room = await new_room(hub)
        await send(hub, room, {"content": "hello", "uuid": "key"})
        await send(hub, room, {"type": 5, "file_url": await upload(hub, room)})
        before = await messages_in(hub, room)
        cursor = (await hub.get("/chatroom/changes", chatroomId=room)).json()["cursor"]
        manifest = await asyncio.to_thread(back_up, old, target, progress=lambda *at: progress.append(at))
        # What comes later is not in it.
        await send(hub, room, {"content": "too late"})
        later = (await hub.get("/chatroom/changes", chatroomId=room)).json()["cursor"]
    assert (manifest.website_id, manifest.chatrooms, manifest.messages, manifest.files) == ("local", 1, 2, 1)
    assert manifest.made_at == "2026-11-26T00:00:00+00:00"
    assert progress == [(1, 2), (2, 2)]
    assert target.stat().st_mode & 0o777 == 0o600

    assert restore(new, target, tmp_path / "new") == manifest
    async with Hub.running(new, Clock()) as hub:
        assert await messages_in(hub, room) == before
        assert (await hub.client.get(before[1]["file_url"])).content == FILE
        assert (await send(hub, room, {"content": "again", "uuid": "key"}))["uuid"] == before[0]["uuid"]
        # Readers who have seen more than the backup hear of what is new all the same.
        sent = await send(hub, room, {"content": "new"})
        for known in (cursor, later):
            changes = (await hub.get("/chatroom/changes", chatroomId=room, cursor=known)).json()
            assert [item["uuid"] for item in changes["items"]] == [sent["uuid"]]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backup.tar", "new", "old"]


async def test_what_is_restored_again_has_numbers_of_its_own(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    """Who has seen what came after the first time hears of what comes after the second."""
    async with Hub.running(old, Clock()) as hub:
        room = await new_room(hub)
    back_up(old, tmp_path / "backup.tar")
    known = ""
    for again, moment in enumerate((NOW, NOW + timedelta(seconds=1))):
        restore(new, tmp_path / "backup.tar", tmp_path / "new", overwrites=bool(again), now=moment)
        async with Hub.running(new, Clock()) as hub:
            sent = await send(hub, room, {"content": "new"})
            query = {"cursor": known} if again else {}
            changes = (await hub.get("/chatroom/changes", chatroomId=room, **query)).json()
            assert [item["uuid"] for item in changes["items"]] == [sent["uuid"]]
            known = changes["cursor"]


async def test_what_is_deleted_in_the_middle_is_deleted_in_the_copy(
    old: HubConfig, new: HubConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its files are gone before they could be copied: the copy is as if it had been deleted before."""
    async with Hub.running(old, Clock()) as hub:
        room = await new_room(hub)
        messages = [await send(hub, room, {"type": 5, "file_url": await upload(hub, room)}) for _ in range(2)]
        await upload(hub, room)
        copied = asyncio.Event()
        loop = asyncio.get_running_loop()
        original = backup_module._copy_database

        def copy_and_wait(source: Path, copy: Path) -> None:
            original(source, copy)
            asyncio.run_coroutine_threadsafe(delete(hub, room, messages[0]["uuid"]), loop).result(30)
            loop.call_soon_threadsafe(copied.set)

        monkeypatch.setattr(backup_module, "_copy_database", copy_and_wait)
        manifest = await asyncio.to_thread(back_up, old, tmp_path / "backup.tar")
        assert copied.is_set()
    assert (manifest.messages, manifest.files) == (1, 2)
    restore(new, tmp_path / "backup.tar", tmp_path / "new")
    async with Hub.running(new, Clock()) as hub:
        assert [item["uuid"] for item in await messages_in(hub, room)] == [messages[1]["uuid"]]
        assert (await hub.post("/chatroom/counts", {"chatroom_ids": [room]})).json()["counts"] == {room: 1}
        assert (await hub.client.get(messages[1]["file_url"])).content == FILE


async def test_a_backup_while_many_write_is_whole(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    async with Hub.running(old, Clock()) as hub:
        room = await new_room(hub)
        backup = asyncio.create_task(asyncio.to_thread(back_up, old, tmp_path / "backup.tar"))
        acknowledged = 0
        while not backup.done() or not acknowledged:
            draft = {"type": 5, "file_url": await upload(hub, room)} if acknowledged % 2 else {"content": "x"}
            await send(hub, room, draft)
            acknowledged += 1
        manifest = await backup
    restore(new, tmp_path / "backup.tar", tmp_path / "new")
    async with Hub.running(new, Clock()) as hub:
        messages = await messages_in(hub, room)
        assert len(messages) == manifest.messages <= acknowledged
        assert [message["seq"] for message in messages] == list(range(1, len(messages) + 1))
        for message in messages:
            assert message["type"] == 0 or (await hub.client.get(message["file_url"])).content == FILE


async def small_backup(config: HubConfig, target: Path) -> str:
    """Make a backup of a hub that has a chatroom with a comment and a file; return the chatroom."""
    async with Hub.running(config, Clock()) as hub:
        room = await new_room(hub)
        await send(hub, room, {"type": 5, "file_url": await upload(hub, room)})
    back_up(config, target)
    return room


async def test_a_file_that_exists_is_not_replaced_unless_one_says_so(old: HubConfig, tmp_path: Path) -> None:
    target = tmp_path / "backup.tar"
    target.write_text("something else")
    async with Hub.running(old, Clock()):
        pass
    with pytest.raises(BackupError, match=r"exists\. Give another name, or --force"):
        back_up(old, target)
    assert target.read_text() == "something else"
    back_up(old, target, overwrites=True)
    assert tarfile.is_tarfile(target)


async def test_a_backup_that_fails_leaves_nothing(
    old: HubConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await small_backup(old, tmp_path / "first.tar")

    def fail(*_: Any) -> bool:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_module, "_add_upload", fail)
    with pytest.raises(BackupError, match="cannot be made: No space left on device"):
        back_up(old, tmp_path / "backup.tar")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["first.tar", "old"]


def test_there_must_be_something_to_copy(old: HubConfig, make_config: Callable[..., HubConfig], tmp_path: Path) -> None:
    with pytest.raises(BackupError, match="There is no hub's database at"):
        back_up(old, tmp_path / "backup.tar")
    with pytest.raises(BackupError, match="is no file"):
        back_up(make_config(database_url="postgresql://db/x"), tmp_path / "backup.tar")


async def test_a_running_hub_is_not_replaced(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    await small_backup(old, tmp_path / "backup.tar")
    lock = ProcessLock(tmp_path / "new" / "hub.lock")
    assert lock.take()
    with pytest.raises(HubLockedError, match="Another process runs the hub"):
        restore(new, tmp_path / "backup.tar", tmp_path / "new", overwrites=True)
    lock.release()
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["hub.lock"]


async def test_data_is_not_replaced_unless_one_says_so(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    room = await small_backup(old, tmp_path / "backup.tar")
    other = await small_backup(new, tmp_path / "other.tar")
    with pytest.raises(BackupError, match="There is data at .* --force"):
        restore(new, tmp_path / "backup.tar", tmp_path / "new")
    async with Hub.running(new, Clock()) as hub:
        assert len(await messages_in(hub, other)) == 1
    restore(new, tmp_path / "backup.tar", tmp_path / "new", overwrites=True)
    async with Hub.running(new, Clock()) as hub:
        (message,) = await messages_in(hub, room)
        assert (await hub.client.get(message["file_url"])).content == FILE
        assert (await hub.get("/chatroom/get", chatroomId=other)).status_code == 404
    # Nothing of what was there is left.
    assert len([path for path in (tmp_path / "new" / "hub.files").iterdir() if path.name != INCOMING]) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGKILL")
@pytest.mark.parametrize("before", [True, False], ids=["before", "after"])
async def test_who_dies_leaves_the_old_data_or_the_new_whole(
    old: HubConfig, new: HubConfig, tmp_path: Path, before: bool
) -> None:
    room = await small_backup(old, tmp_path / "backup.tar")
    other = await small_backup(new, tmp_path / "other.tar")
    arguments = (str(tmp_path / "new"), str(tmp_path / "backup.tar"), before)
    process = context().Process(target=restore_and_die, args=arguments)
    process.start()
    assert join(process) == -signal.SIGKILL
    async with Hub.running(new, Clock()) as hub:
        (message,) = await messages_in(hub, other if before else room)
        assert (await hub.client.get(message["file_url"])).content == FILE
        gone = await hub.get("/chatroom/get", chatroomId=room if before else other)
        assert gone.status_code == 404
    # The same again ends what was begun.
    restore(new, tmp_path / "backup.tar", tmp_path / "new", overwrites=True)
    async with Hub.running(new, Clock()) as hub:
        (message,) = await messages_in(hub, room)
        assert (await hub.client.get(message["file_url"])).content == FILE
    assert len([path for path in (tmp_path / "new" / "hub.files").iterdir() if path.name != INCOMING]) == 1


async def test_a_file_that_was_damaged_is_whole_again(old: HubConfig, tmp_path: Path) -> None:
    room = await small_backup(old, tmp_path / "backup.tar")
    assert old.uploads is not None
    (folder,) = (path for path in old.uploads.folder.iterdir() if path.name != INCOMING)
    (folder / "original").write_bytes(b"damaged")
    restore(old, tmp_path / "backup.tar", tmp_path / "old", overwrites=True)
    async with Hub.running(old, Clock()) as hub:
        (message,) = await messages_in(hub, room)
        assert (await hub.client.get(message["file_url"])).content == FILE


async def test_an_empty_hub_is_no_data(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    room = await small_backup(old, tmp_path / "backup.tar")
    async with Hub.running(new, Clock()):
        pass
    restore(new, tmp_path / "backup.tar", tmp_path / "new")
    async with Hub.running(new, Clock()) as hub:
        assert len(await messages_in(hub, room)) == 1


def members_of(source: Path) -> list[tuple[tarfile.TarInfo, bytes]]:
    with tarfile.open(source) as tar:
        return [(member, reader.read()) for member in tar if (reader := tar.extractfile(member)) is not None]


def write(target: Path, members: list[tuple[tarfile.TarInfo, bytes]]) -> None:
    with tarfile.open(target, "w") as tar:
        for member, data in members:
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))


def changed(field: str, value: object) -> Callable[[Any], Any]:
    def change(members: Any) -> Any:
        member, data = members[-1]
        return [*members[:-1], (member, json.dumps(json.loads(data) | {field: value}).encode())]

    return change


def renamed(name: str) -> Callable[[Any], Any]:
    def change(members: Any) -> Any:
        members[0][0].name = name
        return members

    return change


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda members: members[:-1], "is not whole"),
        (lambda members: members[1:], "1 of its files are missing"),
        (lambda members: [*members, members[0]], "is not whole"),
        (lambda members: [members[0], *members], "cannot be restored: File exists"),
        (lambda members: [members[0], (members[1][0], members[1][1][:5000]), members[2]], "cannot be restored|damaged"),
        (renamed("../../outside"), "is not whole"),
        (renamed("files/x/../../../outside"), "is not whole"),
        (renamed("/etc/outside"), "is not whole"),
        (changed("format", 2), "of another kind"),
        (changed("schema_version", 99), "of a newer version .* update flask-chatix-comments first"),
        (changed("website_id", "other"), "is of the website 'other', and this hub serves 'local'"),
        (lambda members: [*members[:-1], (members[-1][0], b"[1]")], "is not whole"),
    ],
)
async def test_what_is_no_whole_backup_changes_nothing(
    old: HubConfig, new: HubConfig, tmp_path: Path, change: Callable[[Any], Any], reason: str
) -> None:
    await small_backup(old, tmp_path / "backup.tar")
    room = await small_backup(new, tmp_path / "other.tar")
    write(tmp_path / "bad.tar", change(members_of(tmp_path / "backup.tar")))
    with pytest.raises(BackupError, match=reason):
        restore(new, tmp_path / "bad.tar", tmp_path / "new", overwrites=True)
    async with Hub.running(new, Clock()) as hub:
        assert len(await messages_in(hub, room)) == 1
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["backup.tar", "bad.tar", "new", "old", "other.tar"]
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["hub.files", "hub.lock", "hub.sqlite3"]


async def test_half_a_backup_and_none(old: HubConfig, new: HubConfig, tmp_path: Path) -> None:
    await small_backup(old, tmp_path / "backup.tar")
    data = (tmp_path / "backup.tar").read_bytes()
    (tmp_path / "half.tar").write_bytes(data[: len(data) // 2])
    (tmp_path / "text.tar").write_text("hello")
    for name in ("half.tar", "text.tar"):
        with pytest.raises(BackupError, match="is not whole"):
            restore(new, tmp_path / name, tmp_path / "new")
    with pytest.raises(BackupError, match="No such file"):
        restore(new, tmp_path / "nothing.tar", tmp_path / "new")


async def test_an_older_backup_is_brought_up_to_date(new: HubConfig, tmp_path: Path) -> None:
    """It has the tables of the version that has made it; the hub changes them when it starts."""
    (tmp_path / "old").mkdir()
    with closing(sqlite3.connect(tmp_path / "old" / "hub.sqlite3")) as connection:
        connection.executescript((Path(__file__).parent / "store" / "version_1.sql").read_text())
    manifest = back_up(config_of(tmp_path / "old"), tmp_path / "backup.tar")
    assert manifest.schema_version == 1
    restore(new, tmp_path / "backup.tar", tmp_path / "new")
    async with Hub.running(new, Clock()) as hub:
        assert [message["content"] for message in await messages_in(hub, "room")] == ["Hello"]


async def test_files_that_are_not_the_backups_stay_out(old: HubConfig, tmp_path: Path) -> None:
    await small_backup(old, tmp_path / "first.tar")
    assert old.uploads is not None
    folder = UploadFolder(old.uploads.folder)
    shutil.copytree(next(p for p in old.uploads.folder.iterdir() if p.name != INCOMING), folder.path("stray", ""))
    back_up(old, tmp_path / "backup.tar")
    names = [member.name.split("/")[0] for member, _ in members_of(tmp_path / "backup.tar")]
    assert names == ["files", "hub.sqlite3", "backup.json"]
