"""A look at a hub's data from outside, whether the hub runs or not: how much there is, and one chatroom in full."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from .. import wire
from ..errors import ChatroomNotFoundError, StoreError
from .addresses import located
from .config import HubConfig
from .store import chatrooms
from .store.database import open_database
from .store.reports import Counts, count, messages_in_order
from .store.writer import database_reason

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Stock:
    """What a hub keeps, and what room there is.

    Attributes:
        database_bytes, free_bytes: With what SQLite has beside it, and what is free on its disk; ``None``: the
            database is on a server.
        files_free_bytes: On the disk of the files; ``None``: there are none yet.
    """

    counts: Counts
    database_bytes: int | None
    free_bytes: int | None
    files_free_bytes: int | None


def take_stock(config: HubConfig) -> Stock:
    """Count what there is.

    Raises:
        StoreError: The database cannot be read, or there is none.
    """
    with _reading(config) as connection:
        counts = count(connection)
    file = _file_of(config)
    folder = config.uploads.folder if config.uploads is not None else None
    return Stock(
        counts,
        database_bytes=None if file is None else sum(_sizes_of(file)),
        free_bytes=None if file is None else shutil.disk_usage(file.parent).free,
        files_free_bytes=shutil.disk_usage(folder).free if folder is not None and folder.is_dir() else None,
    )


@contextmanager
def room_in_full(config: HubConfig, chatroom_id: str) -> Iterator[tuple[Json, Iterator[Json]]]:
    """Give a chatroom, deleted or not, and all messages in it, in the words of the REST API and with whispers.

    It is as it was at one moment. In memory there is a part of it only.

    Raises:
        StoreError: The database cannot be read, or there is none.
        ChatroomNotFoundError: It does not have the chatroom.
    """
    with _reading(config) as connection:
        room = chatrooms.find(connection, chatroom_id)
        if room is None:
            raise ChatroomNotFoundError(f"The hub has no chatroom {chatroom_id}.")
        messages = (
            wire.message_to_wire(located(message, config.public_url or ""))
            for message in messages_in_order(connection, chatroom_id)
        )
        yield wire.chatroom_to_wire(room, web_chat_id=config.website_id, for_api=True), messages


@contextmanager
def _reading(config: HubConfig) -> Iterator[sa.Connection]:
    file = _file_of(config)
    if file is not None and not file.is_file():
        raise StoreError(f"There is no hub's database at {file} yet.")
    try:
        with open_database(sa.make_url(config.database_url), begin="BEGIN") as engine, engine.connect() as connection:
            yield connection
    except SQLAlchemyError as exc:
        raise StoreError(
            f"The hub's database cannot be read: {database_reason(exc)}. If it is of an earlier version, the hub brings"
            " it up to date when it starts."
        ) from exc


def _file_of(config: HubConfig) -> Path | None:
    url = sa.make_url(config.database_url)
    return Path(url.database) if url.get_backend_name() == "sqlite" and url.database else None


def _sizes_of(file: Path) -> Iterator[int]:
    for path in (file, *(file.with_name(f"{file.name}-{kind}") for kind in ("wal", "shm"))):
        if path.exists():
            yield path.stat().st_size
