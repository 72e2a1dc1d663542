"""Who may upload what, where and how much; which upload a message may name; and when files have to go.

A file is uploaded first and posted then, in a message that names its URL. It goes with its message. One that
is never posted goes after a while. Those of a deleted chatroom are out of reach at once, and there as long as
the chatroom can be restored: they go with it.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta

from ...errors import InvalidArgumentError, NotAllowedError, NotFoundError, RequestRefusedError, TokenError
from ...models import Chatroom
from ...tokens import FilePasses
from ..addresses import upload_id_in
from ..config import UploadConfig
from ..store.base import Upload, UploadTotals
from .attendance import Attendance
from .base import Context, Turns
from .chatrooms import IS_CLOSED

QUOTA_TIME = timedelta(hours=1)
#: How long a pass is good at least; at most it is twice as long. Meanwhile URLs stay the same, which caches like.
PASS_S = 24 * 3600
API_PASS_S = 3600
#: Uploads on their way at the same time.
MAX_UNDER_WAY = 100
MAX_UNDER_WAY_PER_VISITOR = 5
#: Anybody can be many visitors.
MAX_UNDER_WAY_PER_ADDRESS = 20

NO_FILES = "Files cannot be attached here."
NO_SUCH_FILE = "There is no such file."
NOT_YOURS = "This file cannot be posted here, or not any more. Please attach it again."
TAKEN = "This file is part of another message."
BUSY = "Many files are on their way already. Please try again in a moment."

logger = logging.getLogger(__name__)


@dataclass(slots=True, eq=False)
class Slot:
    """What a visitor is uploading right now.

    Attributes:
        quota_bytes: How much of what the visitor may upload is kept for it.
        disk_bytes: How much it may still need on the disk.
        address: Where it comes from; ``None``: that tells nothing.
    """

    visitor_id: str
    quota_bytes: int
    disk_bytes: int
    address: str | None = None


class Uploads:
    """The rules of files."""

    def __init__(self, context: Context, attendance: Attendance) -> None:
        self._context = context
        self._store = context.store
        self._attendance = attendance
        self._under_way: set[Slot] = set()
        # Between the look at what a visitor has uploaded and the note that there will be more, nothing may happen.
        self._turns = Turns()
        self._passes = FilePasses(context.config.ticket_keys, website_id=context.config.website_id)

    # Uploading

    @asynccontextmanager
    async def slot(
        self, visitor_id: str, chatroom_id: str, *, file_bytes: int, address: str | None = None
    ) -> AsyncIterator[Slot]:
        """Let a visitor upload one file of at most so many bytes, for as long as the context lasts.

        What will be stored of an image may be more, which ``record`` looks at.

        Args:
            address: See ``Slot``.

        Raises:
            RequestRefusedError: There have been too many, or too much.
            InvocationError: The visitor may not write there.
        """
        config = self._context.config.uploads
        if config is None or not config.is_open:
            raise NotAllowedError(NO_FILES)
        room = await self._attendance.require_visitor(visitor_id, chatroom_id)
        if room.is_closed:
            raise NotAllowedError(IS_CLOSED)
        async with self._turns.of(visitor_id):
            since = self._context.now() - QUOTA_TIME
            totals = await self._store.upload_totals(visitor_id, since=since)
            self._check_count(config, visitor_id, address, totals)
            self._check_bytes(config, visitor_id, file_bytes, totals)
            slot = Slot(visitor_id, quota_bytes=file_bytes, disk_bytes=file_bytes, address=address)
            self._under_way.add(slot)
        try:
            yield slot
        finally:
            self._under_way.remove(slot)

    @property
    def bytes_under_way(self) -> int:
        """How much the uploads that have a slot may need on the disk."""
        return sum(slot.disk_bytes for slot in self._under_way)

    def _of(self, visitor_id: str) -> list[Slot]:
        return [slot for slot in self._under_way if slot.visitor_id == visitor_id]

    def _check_count(self, config: UploadConfig, visitor_id: str, address: str | None, totals: UploadTotals) -> None:
        count = len(self._of(visitor_id))
        from_there = sum(slot.address == address for slot in self._under_way) if address is not None else 0
        is_too_many = count >= MAX_UNDER_WAY_PER_VISITOR or from_there >= MAX_UNDER_WAY_PER_ADDRESS
        if is_too_many or len(self._under_way) >= MAX_UNDER_WAY:
            raise RequestRefusedError(429, BUSY)
        if totals.count + count >= config.files_per_hour:
            files = "1 file" if config.files_per_hour == 1 else f"{config.files_per_hour} files"
            raise self._quota_refusal(f"You can attach {files} in an hour.", totals)

    def _check_bytes(self, config: UploadConfig, visitor_id: str, more_bytes: int, totals: UploadTotals) -> None:
        """Refuse what is more than a visitor may have in an hour, with all that is on its way."""
        under_way = sum(slot.quota_bytes for slot in self._of(visitor_id))
        if totals.stored_bytes + under_way + more_bytes > config.bytes_per_hour:
            raise self._quota_refusal(f"You can attach {megabytes(config.bytes_per_hour)} in an hour.", totals)

    def _quota_refusal(self, rule: str, totals: UploadTotals) -> RequestRefusedError:
        """Say when there will be room: once the first upload is an hour old."""
        first_at = totals.first_at or self._context.now()
        wait_s = max(1, math.ceil((first_at + QUOTA_TIME - self._context.now()).total_seconds()))
        minutes = math.ceil(wait_s / 60)
        when = "in a minute" if minutes == 1 else f"in {minutes} minutes"
        return RequestRefusedError(429, f"{rule} Please try again {when}.", retry_after_s=wait_s)

    async def record(self, slot: Slot, upload: Upload) -> None:
        """Note a file that has come in a slot.

        Raises:
            RequestRefusedError: It has become more than the visitor may upload.
            InvocationError: The visitor may not write there any more.
        """
        config = self._context.config.uploads
        if config is None:
            raise NotAllowedError(NO_FILES)
        async with self._turns.of(slot.visitor_id):
            since = self._context.now() - QUOTA_TIME
            totals = await self._store.upload_totals(slot.visitor_id, since=since)
            self._check_bytes(config, slot.visitor_id, upload.stored_bytes - slot.quota_bytes, totals)
            # It may have been forgotten, or taken out, since it began.
            await self._attendance.require_visitor(slot.visitor_id, upload.chatroom_id)
            await self._store.add_upload(upload)
            # The store counts it from now on.
            slot.quota_bytes = 0

    # Reading

    def pass_to(self, room: Chatroom, visitor_id: str | None) -> str:
        """Return what a chatroom's files are read with, ``""`` for a public one: there the URL lets in who has it.

        Args:
            visitor_id: ``None`` for the site.
        """
        return self.private_pass(room.chatroom_id, visitor_id) if room.is_private else ""

    def private_pass(self, chatroom_id: str, visitor_id: str | None) -> str:
        """Return what the files of a private chatroom are read with: by this visitor, while it is in there."""
        step_s = API_PASS_S if visitor_id is None else PASS_S
        expires_at = (self._context.clock() // step_s + 2) * step_s
        return self._passes.sign(chatroom_id, visitor_id, expires_at=expires_at)

    async def get(self, upload_id: str, file_pass: str) -> tuple[Upload, bool]:
        """Return an upload that may be served, and whether it is for this reader only."""
        upload = await self._store.find_upload(upload_id)
        room = await self._store.find_chatroom(upload.chatroom_id) if upload is not None else None
        if upload is None or room is None or (room.is_private and not await self._opens(room.chatroom_id, file_pass)):
            raise NotFoundError(NO_SUCH_FILE)
        return upload, room.is_private

    async def _opens(self, chatroom_id: str, file_pass: str) -> bool:
        try:
            visitor_id = self._passes.check(file_pass, chatroom_id, now=self._context.clock())
        except TokenError:
            return False
        return visitor_id is None or await self._attendance.sees_private(visitor_id, chatroom_id)

    # Posting

    async def get_own(self, url: str | None, visitor_id: str, chatroom_id: str | None) -> Upload:
        """Return the upload that a visitor's message names.

        Args:
            chatroom_id: Where it is to be posted; ``None``: where it was uploaded to, since chatix-core
                forgets that (Q1 in docs/sdk-quirks.md).
        """
        upload = await self._find(url)
        if upload is None or upload.visitor_id != visitor_id or chatroom_id not in (None, upload.chatroom_id):
            raise NotAllowedError(NOT_YOURS)
        return upload

    async def find_for_api(self, url: str | None, chatroom_id: str) -> Upload | None:
        """Return the upload that a message of the site names; ``None``: the URL leads elsewhere."""
        upload = await self._find(url)
        if upload is not None and upload.chatroom_id != chatroom_id:
            raise InvalidArgumentError("This file was uploaded to another chatroom.")
        return upload

    async def _find(self, url: str | None) -> Upload | None:
        upload_id = upload_id_in(url)
        return await self._store.find_upload(upload_id) if upload_id is not None else None

    # Time

    async def expire(self) -> None:
        """Let go of what was never posted, and forget what no longer counts."""
        config, now = self._context.config.uploads, self._context.now()
        if config is not None:
            await self._store.condemn_uploads(unposted_before=now - timedelta(seconds=config.lifetime_s))
        await self._store.forget_uploads(before=now - QUOTA_TIME)
        await self.remove_condemned()

    async def remove_condemned(self) -> None:
        """Remove the files that have to go. What cannot be removed is tried again the next time."""
        remove, removed = self._context.remove_files, []
        if remove is None:
            return
        for upload_id in await self._store.condemned_uploads():
            try:
                await asyncio.to_thread(remove, upload_id)
            except OSError as exc:
                logger.error("The uploaded file %s could not be removed: %s", upload_id, exc.strerror)
            else:
                removed.append(upload_id)
        await self._store.uploads_removed(removed)


def megabytes(number_bytes: int) -> str:
    """Return a size for people."""
    if number_bytes < 1024:
        return f"{number_bytes} bytes"
    if number_bytes < 1024 * 1024:
        return f"{number_bytes // 1024} KB"
    return f"{number_bytes / 1024 / 1024:.4g} MB"
