"""Hubs that die at a point that a test names, or at any: forked off a process that has imported everything.

They have no sockets: requests go to the application directly, which is the whole of it otherwise.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import random
import signal
import warnings
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from flask_chatix_comments.hub import restore
from flask_chatix_comments.hub.config import HubConfig, UploadConfig
from flask_chatix_comments.hub.folder import UploadFolder
from flask_chatix_comments.hub.store.writer import DatabaseThreads
from tests.hub.support import API_KEY, TICKET_KEY, Clock, Hub, sign_ticket

NEVER_REACHED = 7
VISITOR = "ada"
FILE = b"%PDF-1.7 what somebody has attached"

Json = dict[str, Any]


def config_of(folder: Path) -> HubConfig:
    return HubConfig(
        website_id="local",
        database_url=f"sqlite:///{folder / 'hub.sqlite3'}",
        ticket_keys=(TICKET_KEY,),
        api_keys=(API_KEY,),
        uploads=UploadConfig(folder=folder / "hub.files", files_per_hour=10_000, lifetime_s=3600),
    )


# What they do


async def send(hub: Hub, room: str, body: Json) -> Json:
    message: Json = (await hub.post("/chatroom/send-message", {"sender_id": VISITOR, **body}, chatroomId=room)).json()
    return message


async def upload(hub: Hub, room: str) -> str:
    """Return the URL of a file that has come."""
    query = {"websiteId": "local", "chatroomId": room, "visitorId": sign_ticket(hub.clock, VISITOR)}
    files = {"formFile": ("a.pdf", FILE, "application/pdf")}
    answer = await hub.client.post("/file/save", params=query, files=files)
    assert answer.status_code == 200, answer.text
    url: str = answer.json()["fileUrl"]
    return url


async def join(hub: Hub, room: str) -> None:
    await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId="somebody-new")


async def delete(hub: Hub, room: str, message_id: str) -> None:
    await hub.post("/chatroom/delete-message", chatroomId=room, messageId=message_id)


DEEDS: dict[str, Callable[..., Awaitable[Any]]] = {
    "post": lambda hub, room, _: send(hub, room, {"content": "hello", "uuid": "the-key"}),
    "upload": lambda hub, room, _: upload(hub, room),
    "post a file": lambda hub, room, url: send(hub, room, {"type": 5, "file_url": url}),
    "delete a file": delete,
    "join": lambda hub, room, _: join(hub, room),
}


# Where they die


def die(*_: Any, **__: Any) -> None:
    """End as nobody can prevent or notice."""
    os.kill(os.getpid(), signal.SIGKILL)


def _before(owner: Any, name: str) -> None:
    setattr(owner, name, die)


def _after(owner: Any, name: str) -> None:
    original = getattr(owner, name)

    def act_and_die(*args: Any, **kwargs: Any) -> Any:
        original(*args, **kwargs)
        die()

    setattr(owner, name, act_and_die)


def _in_transaction() -> None:
    """All is written, and nothing is committed."""
    original = DatabaseThreads._transact

    def act(self: DatabaseThreads, jobs: Any, run: Any) -> bool:
        def run_and_die(connection: Any, jobs: Any) -> None:
            run(connection, jobs)
            if self._max_batch > 1:
                die()

        return original(self, jobs, run_and_die)

    DatabaseThreads._transact = act  # type: ignore[method-assign]  # This process has nothing else to do.


def _after_commit() -> None:
    """It is committed, and nobody has heard of it."""
    original = DatabaseThreads._transact

    def act(self: DatabaseThreads, jobs: Any, run: Any) -> bool:
        result = original(self, jobs, run)
        if self._max_batch > 1:
            die()
        return result

    DatabaseThreads._transact = act  # type: ignore[method-assign]  # This process has nothing else to do.


def _nowhere() -> None:
    """Die somewhere else."""


def _half_way_into_place() -> None:
    """The folder of a file has been moved, and that is not flushed."""

    def move_and_die(self: UploadFolder, upload_id: str) -> None:
        (self._incoming / upload_id).rename(self._root / upload_id)
        die()

    UploadFolder.keep = move_and_die  # type: ignore[method-assign]  # This process has nothing else to do.


#: In the folder of files.
FILE_POINTS: dict[str, Callable[[], None]] = {
    "before the file is in its place": lambda: _before(UploadFolder, "keep"),
    "half way into its place": _half_way_into_place,
    "when the file is in its place": lambda: _after(UploadFolder, "keep"),
    "before the file is removed": lambda: _before(UploadFolder, "remove"),
    "when the file is removed": lambda: _after(UploadFolder, "remove"),
}
#: In the database, where a hub that starts has something to do as well.
DATABASE_POINTS: dict[str, Callable[[], None]] = {
    "in the transaction": _in_transaction,
    "after the commit": _after_commit,
}


def act_and_die(folder: str, deed: str, point: str, *arguments: str) -> None:
    """Run a hub on a folder that has one, do something, and die at the point."""
    warnings.simplefilter("error")

    async def run() -> None:
        FILE_POINTS.get(point, _nowhere)()
        async with Hub.running(config_of(Path(folder)), Clock()) as hub:
            DATABASE_POINTS.get(point, _nowhere)()
            await DEEDS[deed](hub, *arguments)
            os._exit(NEVER_REACHED)

    asyncio.run(run())


def restore_and_die(folder: str, source: str, before: bool) -> None:
    """Put a backup back, and die just before or just after the database takes its place."""
    warnings.simplefilter("error")
    (_before if before else _after)(restore, "_swap_database")
    config = config_of(Path(folder))
    now = datetime.now(UTC)
    restore.restore_backup(config, Path(source), lock_path=Path(folder) / "hub.lock", now=now, overwrites=True)
    os._exit(NEVER_REACHED)


def storm(folder: str, room: str, seed: int) -> None:
    """Post, attach, delete and join, several at once, and note what was acknowledged, until somebody ends it."""
    warnings.simplefilter("error")
    notes = os.open(Path(folder) / "notes", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def work(hub: Hub, number: int) -> None:
        dice = random.Random(seed * 100 + number)
        for index in itertools.count():
            key = f"{seed}.{number}.{index}"
            draft = {"type": 5, "file_url": await upload(hub, room)} if dice.random() < 0.3 else {"content": key}
            message = await send(hub, room, draft | {"uuid": key})
            _note(notes, "posted", message["uuid"], key)
            if dice.random() < 0.2:
                await delete(hub, room, message["uuid"])
                _note(notes, "deleted", message["uuid"])
            if dice.random() < 0.2:
                await hub.post("/chatroom/connect-visitor", chatroomId=room, visitorId=key)
                _note(notes, "joined", key)

    async def run() -> None:
        async with Hub.running(config_of(Path(folder)), Clock()) as hub:
            await asyncio.gather(*(work(hub, number) for number in range(4)))

    asyncio.run(run())


def _note(notes: int, *what: str) -> None:
    os.write(notes, json.dumps(what).encode() + b"\n")
