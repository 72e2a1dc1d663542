"""What ``backup`` has written becomes a hub's data: all of it or nothing.

Everything is unpacked beside its place and looked at first. Then its files are put beside those that are there, and
its database takes the place of the old one in one step: whoever dies at any point leaves the one or the other, whole.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import IO

from ..errors import BackupError
from .backup import (
    DATABASE,
    FILES,
    FORMAT,
    MANIFEST,
    Manifest,
    Progress,
    count_in,
    database_file,
    flush_folder,
    kept_uploads,
)
from .config import HubConfig
from .folder import INCOMING, ORIGINAL
from .startup import hold_lock
from .store.migrations import SCHEMA_VERSION
from .store.tables import to_ms

#: Readers know how far they know a chatroom's changes. What is new after a restore has numbers that none of them knows:
#: so many more than the backup's, and at least that of the time in milliseconds, since it may be restored again.
CHANGES_SKIPPED = 1_000_000
_FILE = re.compile(rf"{FILES}/([A-Za-z0-9_-]{{1,100}})/([a-z0-9-]{{1,40}})")
NOT_WHOLE = "is not whole, or no backup of a hub. Take another one."


def restore_backup(
    config: HubConfig,
    source: Path,
    *,
    lock_path: Path,
    overwrites: bool,
    now: datetime,
    progress: Progress = lambda done, total: None,
) -> Manifest:
    """Make a backup the data of a hub that does not run.

    Args:
        overwrites: Whether data that is there is replaced, for good.

    Raises:
        BackupError: It cannot be done; what was there is as it was, unless the error says otherwise.
        HubStartError: A hub runs on this data.
    """
    database = database_file(config)
    files = config.uploads.folder if config.uploads is not None else database.with_name(f"{database.name}.files")
    with hold_lock(lock_path):
        if not overwrites and _has_data(database, files):
            raise BackupError(
                f"There is data at {database}, or in {files}. Make a backup of it if it is worth one; then replace it"
                " with --force."
            )
        try:
            files.parent.mkdir(parents=True, exist_ok=True)
            with (
                tempfile.TemporaryDirectory(dir=database.parent, prefix=".chatix-restore-") as work,
                tempfile.TemporaryDirectory(dir=files.parent, prefix=".chatix-restore-") as files_work,
            ):
                manifest = _unpack(source, Path(work), Path(files_work), progress)
                _check(manifest, source, Path(work) / DATABASE, Path(files_work) / FILES, config.website_id)
                _skip_changes(Path(work) / DATABASE, now)
                kept = kept_uploads(Path(work) / DATABASE)
                _add_files(Path(files_work) / FILES, Path(files_work), files)
                # Up to here, all is as it was. From here on, all is as it is in the backup.
                _swap_database(Path(work) / DATABASE, database)
                _remove_other_files(kept, files)
        except (OSError, sqlite3.Error) as exc:
            reason = exc.strerror if isinstance(exc, OSError) and exc.strerror else exc
            raise BackupError(f"The backup {source} cannot be restored: {reason}.") from exc
        except (tarfile.TarError, EOFError, ValueError, TypeError) as exc:
            raise BackupError(f"{source} {NOT_WHOLE}") from exc
    return manifest


def _has_data(database: Path, files: Path) -> bool:
    if files.is_dir() and any(path.name != INCOMING for path in files.iterdir()):
        return True
    if not database.exists() or not database.stat().st_size:
        return False
    try:
        return bool(
            count_in(
                database,
                "SELECT (SELECT COUNT(*) FROM chatrooms) + (SELECT COUNT(*) FROM visitors)",
            )
        )
    except sqlite3.Error:
        # Whatever it is, somebody may want it.
        return True


# Looking at it


def _unpack(source: Path, work: Path, files_work: Path, progress: Progress) -> Manifest:
    """Unpack an archive into folders of ours, nothing of it elsewhere; return its last words."""
    (files_work / FILES).mkdir(mode=0o700)
    manifest: Manifest | None = None
    with tarfile.open(source, mode="r:") as tar:
        for number, (member, place) in enumerate(_members(tar, work, files_work), start=1):
            if manifest is not None:
                raise ValueError("there is something behind the end")
            data = tar.extractfile(member)
            if data is None:
                raise ValueError("no file")
            if place is None:
                manifest = Manifest(**json.loads(data.read(65536)))
            else:
                place.parent.mkdir(mode=0o700, exist_ok=True)
                _copy_out(data, place)
            progress(number, number)
    if manifest is None:
        raise ValueError("it has no end")
    return manifest


def _members(tar: tarfile.TarFile, work: Path, files_work: Path) -> Iterator[tuple[tarfile.TarInfo, Path | None]]:
    """Yield what is in an archive, and where it belongs; ``None`` is for what it says of itself."""
    for member in tar:
        match = _FILE.fullmatch(member.name)
        if not member.isreg() or not (match or member.name in (DATABASE, MANIFEST)):
            raise ValueError("a strange name")
        if match:
            yield member, files_work / FILES / match[1] / match[2]
        else:
            yield member, work / DATABASE if member.name == DATABASE else None


def _copy_out(data: IO[bytes], place: Path) -> None:
    with os.fdopen(os.open(place, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as file:
        shutil.copyfileobj(data, file, 1024 * 1024)
        file.flush()
        os.fsync(file.fileno())


def _check(manifest: Manifest, source: Path, database: Path, files: Path, website_id: str) -> None:
    """Refuse what is not what it should be."""
    if manifest.format != FORMAT:
        raise BackupError(
            f"{source} is a backup of another kind ({manifest.format}) than this program reads ({FORMAT})."
        )
    if manifest.schema_version > SCHEMA_VERSION:
        raise BackupError(
            f"{source} is of a newer version ({manifest.schema_version}) than this program ({SCHEMA_VERSION}): update"
            " flask-chatix-comments first."
        )
    if manifest.website_id != website_id:
        raise BackupError(
            f"{source} is of the website {manifest.website_id!r}, and this hub serves {website_id!r}"
            " (CHATIX_HUB_WEBSITE_ID)."
        )
    with closing(sqlite3.connect(database)) as connection:
        troubles = connection.execute("PRAGMA integrity_check").fetchall()
        ((version,),) = connection.execute("SELECT version FROM schema_info")
    if troubles != [("ok",)] or version != manifest.schema_version:
        raise BackupError(f"{source} {NOT_WHOLE} Its database is damaged.")
    missing = [one for one in kept_uploads(database) if not (files / one / ORIGINAL).is_file()]
    if missing:
        raise BackupError(f"{source} {NOT_WHOLE} {len(missing)} of its files are missing.")


def _skip_changes(database: Path, now: datetime) -> None:
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(
            "UPDATE chatrooms SET last_change = MAX(last_change + :skipped, :now_ms),"
            " last_whisper_change = MAX(last_whisper_change + :skipped, :now_ms)",
            {"skipped": CHANGES_SKIPPED, "now_ms": to_ms(now)},
        )


# Taking its place


def _add_files(new: Path, work: Path, files: Path) -> None:
    """Put the files of a backup beside those that are there: for whoever has the old database, all is as it was."""
    files.mkdir(mode=0o700, exist_ok=True)
    for folder in list(new.iterdir()):
        place = files / folder.name
        if place.exists():
            if _sizes_in(place) == _sizes_in(folder):
                # An upload never changes.
                continue
            place.rename(work / f"old-{folder.name}")
        folder.rename(place)
    flush_folder(files)
    flush_folder(files.parent)


def _sizes_in(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in folder.iterdir()}


def _remove_other_files(kept: list[str], files: Path) -> None:
    for folder in list(files.iterdir()):
        if folder.name != INCOMING and folder.name not in kept:
            shutil.rmtree(folder)


def _swap_database(new: Path, database: Path) -> None:
    """Put the new one in the place of the old one in one step, which leaves nothing of the old one's log."""
    if database.exists():
        with suppress(sqlite3.Error), closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=DELETE")
        for suffix in ("-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
    new.replace(database)
    flush_folder(database.parent)
