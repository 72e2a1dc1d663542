"""From the body of a request to a file that is kept: received, looked at, recorded, put in its place.

A body goes to the disk piece by piece: what the hub holds of a file at any time is a megabyte, and of all
images together the pixels of one. What fails half way leaves nothing behind.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from ..errors import RequestRefusedError
from .addresses import THUMB_SIDES_PX
from .config import UploadConfig
from .file_names import clean_file_name
from .file_types import HEAD_BYTES, IMAGE_TYPES, is_accepted, served_type, sniff
from .folder import ORIGINAL, RAW, UploadFolder, open_private, thumb_name
from .images import MAX_THUMB_BYTES, Size, rewrite_image
from .multipart import MAX_OVERHEAD_BYTES, FilePart
from .service.uploads import Slot, Uploads, megabytes
from .store.base import Upload

#: So much is gathered before a thread writes it.
WRITE_BYTES = 1024 * 1024
#: So much of a refused body is waited for.
MAX_DRAINED_BYTES = 64 * 1024 * 1024
#: A body that is slower than this on the whole only keeps others from theirs.
MIN_BYTES_PER_S = 4096

STALLED = "The upload has come to a halt. Please try again."
NO_END = "The upload cannot be read: there is too much around the file."
EMPTY = "This file is empty."
NOT_TAKEN = "Files of this kind cannot be attached here."
NO_IMAGE = "This is not the JPEG or PNG image that it is said to be."
DISK_IS_FULL = "There is no room for more files on the server. Please tell its owner."

#: The last: the process may not write files so large (`ulimit -f`).
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


@dataclass(frozen=True, slots=True)
class _Received:
    """A file that has come, in ``RAW``.

    Attributes:
        head: How it begins.
    """

    name: str
    declared_type: str
    head: bytes


class Intake:
    """Takes files.

    Args:
        clock: Seconds since 1970.
        new_id: Makes an id that nobody can guess; it stands in URLs, which open the file to whoever has them.
        uploads: What may be uploaded; it notes a file that has come, before it is in its place.
    """

    def __init__(
        self,
        folder: UploadFolder,
        config: UploadConfig,
        *,
        clock: Callable[[], float],
        new_id: Callable[[], str],
        uploads: Uploads,
    ) -> None:
        self._folder = folder
        self._config = config
        self._clock = clock
        self._new_id = new_id
        self._uploads = uploads
        # One image at a time: each may need hundreds of megabytes, and on the disk as much as a file may have.
        self._image_turn = asyncio.Lock()
        self._image_thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="chatix-hub-images")

    async def start(self) -> None:
        """Make the folder, and remove what an earlier run has left half done."""
        await asyncio.to_thread(self._folder.open)

    def stop(self) -> None:
        """Begin no more work on images."""
        self._image_thread.shutdown(wait=False, cancel_futures=True)

    def expected_bytes(self, content_length: str) -> int:
        """Return how large the file of a body can be.

        Args:
            content_length: The header, as it came.
        """
        limit = self._config.max_file_bytes
        if not re.fullmatch("[0-9]{1,18}", content_length):
            return limit
        if int(content_length) > limit + MAX_OVERHEAD_BYTES:
            raise self._too_large()
        return min(limit, int(content_length))

    def _too_large(self) -> RequestRefusedError:
        return RequestRefusedError(413, f"A file has at most {megabytes(self._config.max_file_bytes)}.")

    async def _check_disk(self) -> None:
        """Refuse an upload when what is on its way, this one included, might fill the disk."""
        free_bytes = await asyncio.to_thread(self._folder.free_bytes)
        if free_bytes - self._uploads.bytes_under_way < self._config.min_free_bytes:
            raise RequestRefusedError(507, DISK_IS_FULL)

    async def take(
        self, body: AsyncIterator[bytes], content_type: str, *, slot: Slot, visitor_id: str, chatroom_id: str
    ) -> Upload:
        """Take the one file of a body.

        Args:
            slot: What has been kept for it.

        Raises:
            RequestRefusedError: It is refused.
        """
        await self._check_disk()
        part = FilePart(content_type)
        upload_id = self._new_id()
        try:
            place = await asyncio.to_thread(self._folder.begin, upload_id)
            received = await self._receive(body, part, place / RAW)
            media_type, size = await self._examine(received, place, slot)
            kept = await asyncio.to_thread(_sizes_in, place)
            upload = Upload(
                upload_id=upload_id,
                chatroom_id=chatroom_id,
                visitor_id=visitor_id,
                is_image=size is not None,
                media_type=media_type,
                file_name=clean_file_name(
                    received.name,
                    image_type=media_type if size is not None else None,
                    only_type=received.declared_type if self._config.file_types is not None else None,
                ),
                file_bytes=kept[ORIGINAL],
                stored_bytes=sum(kept.values()),
                width_px=size.width_px if size is not None else None,
                height_px=size.height_px if size is not None else None,
                created_at=datetime.fromtimestamp(self._clock(), UTC),
            )
            # First the row: files that no row knows of would stay for ever.
            await self._uploads.record(slot, upload)
            await asyncio.to_thread(self._folder.keep, upload_id)
            return upload
        except OSError as exc:
            if exc.errno in _FULL:
                raise RequestRefusedError(507, DISK_IS_FULL) from exc
            raise
        finally:
            await asyncio.to_thread(self._folder.discard, upload_id)

    async def _receive(self, body: AsyncIterator[bytes], part: FilePart, path: Path) -> _Received:
        """Write the file of a body to *path*."""
        head, waiting, size_bytes, body_bytes = b"", bytearray(), 0, 0
        file = await asyncio.to_thread(open_private, path)
        try:
            async for chunk in self._in_time(body):
                body_bytes += len(chunk)
                for piece in () if part.is_whole else part.receive(chunk):
                    waiting += piece
                    size_bytes += len(piece)
                if body_bytes - size_bytes > MAX_OVERHEAD_BYTES:
                    # Before the form or behind it: nobody has said how long the body will be.
                    raise RequestRefusedError(400, NO_END)
                if size_bytes > self._config.max_file_bytes:
                    raise self._too_large()
                if len(waiting) >= WRITE_BYTES:
                    head = head or bytes(waiting[:HEAD_BYTES])
                    await asyncio.to_thread(file.write, waiting)
                    waiting = bytearray()
            part.finish()
            await asyncio.to_thread(file.write, waiting)
        finally:
            await asyncio.to_thread(file.close)
        if not size_bytes:
            raise RequestRefusedError(422, EMPTY)
        return _Received(part.file_name, part.declared_type, head or bytes(waiting[:HEAD_BYTES]))

    async def drain(self, body: AsyncIterator[bytes]) -> None:
        """Let the rest of a body pass unread, if it is not too much and comes fast enough."""
        size_bytes = 0
        async for chunk in self._in_time(body):
            size_bytes += len(chunk)
            if size_bytes > MAX_DRAINED_BYTES:
                return

    async def _in_time(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield what comes of a body, while it comes fast enough."""
        clock = asyncio.get_running_loop().time
        started, size_bytes = clock(), 0
        while True:
            too_slow_at = started + self._config.idle_s + size_bytes / MIN_BYTES_PER_S
            try:
                async with asyncio.timeout_at(min(too_slow_at, clock() + self._config.idle_s)):
                    chunk = await anext(body, None)
            except TimeoutError:
                raise RequestRefusedError(400, STALLED) from None
            if chunk is None:
                return
            size_bytes += len(chunk)
            yield chunk

    async def _examine(self, received: _Received, place: Path, slot: Slot) -> tuple[str, Size | None]:
        """Make of what has come what will be served; return its type, and of an image its size."""
        declared, head, accepted = received.declared_type, received.head, self._config.file_types
        if not is_accepted(declared, head, accepted):
            raise RequestRefusedError(415, NOT_TAKEN)
        if declared not in IMAGE_TYPES:
            await asyncio.to_thread((place / RAW).rename, place / ORIGINAL)
            return served_type(head, accepted), None
        actual = sniff(head)
        if actual not in IMAGE_TYPES:
            raise RequestRefusedError(415, NO_IMAGE)
        # What has come is on the disk. What it will be is not known: packed well, little comes of much.
        slot.disk_bytes = 0
        async with self._image_turn:
            slot.disk_bytes = self._config.max_file_bytes + len(THUMB_SIDES_PX) * MAX_THUMB_BYTES
            await self._check_disk()
            loop = asyncio.get_running_loop()
            return actual, await loop.run_in_executor(self._image_thread, self._rewrite, place, actual)

    def _rewrite(self, place: Path, media_type: str) -> Size:
        thumbs = {side_px: place / thumb_name(side_px) for side_px in THUMB_SIDES_PX}
        for path in (place / ORIGINAL, *thumbs.values()):
            open_private(path).close()
        size = rewrite_image(
            place / RAW,
            place / ORIGINAL,
            thumbs,
            media_type=media_type,
            max_pixels=self._config.max_image_pixels,
            max_bytes=self._config.max_file_bytes,
        )
        if size is None:
            limit = megabytes(self._config.max_file_bytes)
            raise RequestRefusedError(413, f"A file has at most {limit}, and this image has more when it is unpacked.")
        (place / RAW).unlink()
        return size


def _sizes_in(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in place.iterdir()}
