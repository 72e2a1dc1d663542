"""The folder of uploaded files: what comes in, what is kept, what goes.

A file on its way has a folder of its own below ``INCOMING``; once it is whole, that folder moves to its
place in one step. So what a crash leaves behind is all in ``INCOMING``, and is removed at the next start.
Everything here waits for the disk: threads call it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import BinaryIO

#: No name that somebody else's folder might have: what is in there is removed.
INCOMING = "chatix-incoming"
#: The file as it comes, before it has been looked at.
RAW = "raw"
#: The file as it is served.
ORIGINAL = "original"


class UploadFolder:
    """A folder that is this hub's alone. Its owner only can look into it, as with the database."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._incoming = root / INCOMING

    def open(self) -> None:
        """Make the folder where it is missing, and remove what never became whole. Called again, it does no harm.

        Raises:
            OSError: It cannot be used.
        """
        self._root.parent.mkdir(parents=True, exist_ok=True)
        for folder in (self._root, self._incoming):
            folder.mkdir(mode=0o700, exist_ok=True)
        for left_behind in self._incoming.iterdir():
            shutil.rmtree(left_behind)

    def free_bytes(self) -> int:
        """Return how much the disk can take."""
        return shutil.disk_usage(self._root).free

    def begin(self, upload_id: str) -> Path:
        """Make the folder of an upload that comes, and return it."""
        folder = self._incoming / upload_id
        folder.mkdir(mode=0o700)
        return folder

    def discard(self, upload_id: str) -> None:
        """Remove what has come of an upload, if it has not been kept."""
        shutil.rmtree(self._incoming / upload_id, ignore_errors=True)

    def keep(self, upload_id: str) -> None:
        """Move an upload to its place, for good: it survives the loss of power from now on."""
        folder = self._incoming / upload_id
        _flush(folder.iterdir())
        _flush([folder])
        folder.rename(self._root / upload_id)
        _flush([self._root])

    def path(self, upload_id: str, name: str) -> Path:
        """Return where a file of a kept upload is."""
        return self._root / upload_id / name

    def remove(self, upload_id: str) -> None:
        """Remove an upload that was kept; again does no harm.

        Raises:
            OSError: It is still there.
        """
        try:
            shutil.rmtree(self._root / upload_id)
        except FileNotFoundError:
            return


def open_private(path: Path) -> BinaryIO:
    """Open a new file for writing, as its owner's only."""
    return os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0), 0o600), "wb")


def thumb_name(side_px: int) -> str:
    """Return the name of the small image whose longer side is so long."""
    return f"thumb-{side_px}"


def _flush(paths: Iterable[Path]) -> None:
    if os.name != "posix":
        return
    for path in paths:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
