"""A copy of all that a hub keeps, in one file, made while it runs.

The file is a tar archive: the uploaded files, the database, and last of all ``backup.json``, without which it
is not whole. The database is copied as it is at one moment, and every file that it names then is in the archive.
"""

from __future__ import annotations

import io
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

import sqlalchemy as sa

from ..errors import BackupError
from .config import HubConfig
from .folder import UploadFolder
from .store import messages, uploads
from .store.database import open_database

#: Of what the archive is made; another number would be read in another way.
FORMAT = 1
DATABASE = "hub.sqlite3"
FILES = "files"
MANIFEST = "backup.json"
PAGES_AT_ONCE = 1000

#: How much is done, of how much.
Progress = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Manifest:
    """What an archive says of itself."""

    format: int
    website_id: str
    made_at: str
    schema_version: int
    chatrooms: int
    messages: int
    files: int


def make_backup(
    config: HubConfig, target: Path, *, overwrites: bool, now: datetime, progress: Progress = lambda done, total: None
) -> Manifest:
    """Write all data of a hub, running or not, to one file, which is there when it is whole, and not before.

    Args:
        overwrites: Whether a file that is there is replaced.

    Raises:
        BackupError: It cannot be done; nothing has changed.
    """
    source = database_file(config)
    if not source.is_file():
        raise BackupError(f"There is no hub's database at {source} yet.")
    if target.exists() and not overwrites:
        raise BackupError(f"{target} exists. Give another name, or --force to replace it.")
    try:
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".chatix-backup-") as work:
            archive = Path(work) / "backup.tar"
            manifest = _write_archive(config, source, Path(work) / DATABASE, archive, now, progress)
            _put(archive, target, overwrites=overwrites)
    except (OSError, sqlite3.Error, sa.exc.SQLAlchemyError) as exc:
        raise BackupError(f"The backup {target} cannot be made: {_reason(exc)}.") from exc
    return manifest


def database_file(config: HubConfig) -> Path:
    """Return the file of the hub's database.

    Raises:
        BackupError: It is none: databases of servers have backups of their own.
    """
    url = sa.make_url(config.database_url)
    if url.get_backend_name() != "sqlite" or not url.database:
        raise BackupError("The hub's database is no file. Use what its server has for backups.")
    return Path(url.database)


def count_in(database: Path, statement: str) -> int:
    """Return the number that a statement finds."""
    with closing(sqlite3.connect(database)) as connection:
        (number,) = connection.execute(statement).fetchone()
    return int(number)


def kept_uploads(database: Path) -> list[str]:
    """Return the ids of the uploads whose files belong to a database."""
    with closing(sqlite3.connect(database)) as connection:
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'uploads'").fetchone():
            # Older versions had no files.
            return []
        rows = connection.execute("SELECT id FROM uploads WHERE state IN ('waiting', 'posted') ORDER BY id")
        return [upload_id for (upload_id,) in rows]


def _write_archive(
    config: HubConfig, source: Path, copy: Path, archive: Path, now: datetime, progress: Progress
) -> Manifest:
    _copy_database(source, copy)
    wanted = kept_uploads(copy)
    folder = UploadFolder(config.uploads.folder) if config.uploads is not None else None
    lost = []
    with archive.open("xb") as raw, tarfile.open(fileobj=raw, mode="w") as tar:
        os.chmod(archive, 0o600)
        for number, upload_id in enumerate(wanted, start=1):
            if folder is None or not _add_upload(tar, folder, upload_id):
                lost.append(upload_id)
            progress(number, len(wanted) + 1)
        _delete_lost(copy, lost)
        manifest = _describe(copy, config.website_id, now, files=len(wanted) - len(lost))
        tar.add(copy, DATABASE, filter=_as_ours)
        _add_text(tar, MANIFEST, json.dumps(asdict(manifest)))
        progress(len(wanted) + 1, len(wanted) + 1)
        tar.close()
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _copy_database(source: Path, copy: Path) -> None:
    """Copy the database as it is now. What is written meanwhile neither waits nor gets in."""
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT version FROM schema_info").fetchone()
        with closing(sqlite3.connect(copy)) as destination:
            connection.backup(destination, pages=PAGES_AT_ONCE, sleep=0)
            # All of it in the one file.
            destination.execute("PRAGMA journal_mode=DELETE")


def _add_upload(tar: tarfile.TarFile, folder: UploadFolder, upload_id: str) -> bool:
    """Add the files of an upload; return whether they were there."""
    place = folder.path(upload_id, "")
    try:
        # Open before the first one is written: of what is deleted meanwhile there would be a part only.
        opened = [(path.name, path.open("rb")) for path in sorted(place.iterdir())]
    except FileNotFoundError:
        return False
    for name, file in opened:
        with file:
            info = _as_ours(tar.gettarinfo(arcname=f"{FILES}/{upload_id}/{name}", fileobj=file))
            tar.addfile(info, file)
    return bool(opened)


def _delete_lost(copy: Path, lost: list[str]) -> None:
    """Delete in the copy what has been deleted since it was made, as can be seen by the files that are gone."""
    if not lost:
        return
    url = sa.URL.create("sqlite", database=str(copy))
    with open_database(url, begin="BEGIN IMMEDIATE") as engine, engine.begin() as connection:
        for upload_id in lost:
            message_id = uploads.message_id_of(connection, upload_id)
            message = messages.find_anywhere(connection, message_id) if message_id is not None else None
            if message is not None:
                messages.delete(connection, message.chatroom_id, message.message_id)
        uploads.removed(connection, lost)
    with closing(sqlite3.connect(copy)) as connection:
        connection.execute("PRAGMA journal_mode=DELETE")


def _describe(copy: Path, website_id: str, now: datetime, *, files: int) -> Manifest:
    return Manifest(
        format=FORMAT,
        website_id=website_id,
        made_at=now.isoformat(timespec="seconds"),
        schema_version=count_in(copy, "SELECT version FROM schema_info"),
        chatrooms=count_in(copy, "SELECT COUNT(*) FROM chatrooms"),
        messages=count_in(copy, "SELECT COUNT(*) FROM messages WHERE NOT is_deleted"),
        files=files,
    )


def _as_ours(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Say nothing of who has made it."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _add_text(tar: tarfile.TarFile, name: str, text: str) -> None:
    info = _as_ours(tarfile.TarInfo(name))
    info.size = len(text.encode())
    tar.addfile(info, io.BytesIO(text.encode()))


def _put(archive: Path, target: Path, *, overwrites: bool) -> None:
    """Give the archive its name in one step."""
    if overwrites:
        archive.replace(target)
    else:
        # Somebody may have put something there meanwhile.
        os.link(archive, target)
    flush_folder(target.parent)


def flush_folder(folder: Path) -> None:
    """Have what has got a new name survive the loss of power."""
    if os.name == "posix":
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _reason(exc: Exception) -> str:
    return exc.strerror or str(exc) if isinstance(exc, OSError) else str(getattr(exc, "orig", None) or exc)
